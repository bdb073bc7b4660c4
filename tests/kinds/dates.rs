//! Certificates that differ in their dates (RFC 5280 §4.1.2.5).

use super::super::lab::forge::{GENERALIZED, UTC, UTF8};
use super::{Lab, Row};

pub fn rows(lab: &Lab) -> Vec<Row> {
    let until = |id, what, invalid, tag, text, says: &str| {
        lab.one(id, what, invalid, lab.until(tag, text)).says(format!("until={says} "))
    };
    let odd = |what, tag, text, says| until("F29", what, "malformed", tag, text, says);
    vec![
        until("F26", "UTCTime of 2049", "", UTC, "491231235959Z", "2524607999"),
        until("F26", "UTCTime of 1950", "expired malformed", UTC, "500101000000Z", "-631152000"),
        until("F27", "GeneralizedTime before 2050", "", GENERALIZED, "20400101000000Z", "2208988800"),
        until("F27", "GeneralizedTime of 2050", "", GENERALIZED, "20500101000000Z", "2524608000"),
        until("F28", "9999-12-31, no expiry", "", GENERALIZED, "99991231235959Z", "253402300799"),
        odd("30 February", GENERALIZED, "20400230000000Z", "2214172800"),
        odd("second 60", GENERALIZED, "20400101000060Z", "2208988860"),
        odd("hour 24", GENERALIZED, "20400101240000Z", "2209075200"),
        odd("hour 25", GENERALIZED, "20400101250000Z", "?"),
        odd("month 13", GENERALIZED, "20401301000000Z", "?"),
        odd("no seconds", GENERALIZED, "204001010000Z", "2208988800"),
        odd("a fraction", GENERALIZED, "20400101000000.75Z", "2208988800"),
        odd("an offset", GENERALIZED, "20400101000000+0200", "2208981600"),
        odd("no zone", GENERALIZED, "20400101000000", "2208988800"),
        odd("UTCTime without seconds", UTC, "4001010000Z", "2208988800"),
        odd("UTCTime with an offset", UTC, "400101000000-0100", "2208992400"),
        odd("UTCTime with a year of four digits", UTC, "20400101000000Z", "2208988800"),
        odd("words", GENERALIZED, "in a good while", "?"),
        odd("nothing", GENERALIZED, "", "?"),
        odd("a text as date", UTF8, "20400101000000Z", "?"),
        lab.one("F30", "valid from 29 February 2000", "", lab.from(UTC, "000229123456Z")).says("from=951827696"),
        lab.one("F30", "valid from 1900", "malformed", lab.from(GENERALIZED, "19000228000000Z"))
            .says("from=-2203977600"),
        lab.one("F30", "valid from 1600", "malformed", lab.from(GENERALIZED, "16000229000000Z"))
            .says("from=-11670998400"),
        lab.one("F30", "valid from the year 0", "malformed", lab.from(GENERALIZED, "00000101000000Z"))
            .says("from=-62167219200"),
        lab.one("F30", "valid from 1950", "malformed", lab.from(UTC, "500101000000Z")).says("from=-631152000"),
        lab.one(
            "F31",
            "ends before it begins",
            "expired not_yet_valid",
            lab.leaf(|leaf| {
                leaf.not_before = (GENERALIZED, "20900101000000Z".into());
                leaf.not_after = (UTC, "200101000000Z".into());
            }),
        ),
    ]
}
