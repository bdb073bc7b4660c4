//! The validity of a certificate (RFC 5280 §4.1.2.5), read so that no fault of form hides when it ends.
//!
//! RFC 5280 allows exactly `YYMMDDHHMMSSZ` (UTCTime) and `YYYYMMDDHHMMSSZ` (GeneralizedTime). Strict parsers
//! refuse a whole certificate for anything else. Its owner still has to know when it expires, so here each other
//! form whose meaning is clear is read, and what is wrong with it is told beside the time:
//!
//! - no seconds, a fraction of a second (cut off), an offset from UTC, no zone at all (taken for UTC);
//! - second 60, and 24:00:00, count on into the next minute and day;
//! - a day that its month does not have counts on into the next month, as C's `timegm` does;
//! - four digits of the year where two are due.
//!
//! What has no meaning (month 13, hour 25, letters) is no time.

#![cfg_attr(not(test), expect(clippy::arithmetic_side_effects, reason = "every figure has four digits at most"))]

use std::fmt;

/// UTCTime.
pub const UTC_TIME: u8 = 0x17;
/// GeneralizedTime.
pub const GENERALIZED_TIME: u8 = 0x18;

/// One end of a validity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Date {
    /// Seconds since 1970; `None` if it says no time.
    pub seconds: Option<i64>,
    /// What is wrong with it, also where it could be read.
    pub fault: Option<DateFault>,
}

/// What is wrong with a date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DateFault {
    /// It is missing, or of another type than the two that are allowed.
    NoDate,
    /// It is not made of digits as the two forms are.
    Form,
    /// A month, day, hour, minute or second that does not exist.
    Range,
}

impl fmt::Display for DateFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoDate => "is no date",
            Self::Form => "is not written as RFC 5280 has it",
            Self::Range => "does not exist in the calendar",
        })
    }
}

impl Date {
    /// A date that is not there.
    pub const MISSING: Self = Self { seconds: None, fault: Some(DateFault::NoDate) };

    /// Reads the content of a time of either type.
    pub fn read(tag: u8, text: &[u8]) -> Self {
        let year_digits = match (tag, digits(text)) {
            // A four-digit year in a UTCTime is a known mistake, and cannot mean anything else.
            (UTC_TIME, 14) => 4,
            (UTC_TIME, _) => 2,
            (GENERALIZED_TIME, _) => 4,
            _ => return Self::MISSING,
        };
        let Some((moment, plain)) = Moment::read(text, year_digits) else {
            return Self { seconds: None, fault: Some(DateFault::Form) };
        };
        let seconds = moment.seconds();
        let as_allowed = plain && year_digits == if tag == UTC_TIME { 2 } else { 4 };
        let fault = match seconds {
            None => Some(DateFault::Range),
            Some(_) if !moment.is_in_the_calendar() => Some(DateFault::Range),
            Some(_) => (!as_allowed).then_some(DateFault::Form),
        };
        Self { seconds, fault }
    }
}

/// How many digits a text begins with.
fn digits(text: &[u8]) -> usize {
    text.iter().take_while(|byte| byte.is_ascii_digit()).count()
}

/// A time as it is written.
struct Moment {
    year: i64,
    month: i64,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
    /// What the clock it was read from was ahead of UTC, in seconds.
    offset: i64,
}

impl Moment {
    /// With whether it is written as it must be: to the second, and with `Z`.
    fn read(text: &[u8], year_digits: usize) -> Option<(Self, bool)> {
        let (figures, mut rest) = text.split_at(digits(text));
        let (year, others) = figures.split_at_checked(year_digits)?;
        let pair = |at: usize| others.get(at * 2..at * 2 + 2).and_then(number);
        let has_seconds = others.len() == 10;
        if !has_seconds && others.len() != 8 {
            return None;
        }
        let year = match (number(year)?, year_digits) {
            // RFC 5280 §4.1.2.5.1: 50 to 99 are of the twentieth century, 00 to 49 of this one.
            (year, 2) => year + if year < 50 { 2000 } else { 1900 },
            (year, _) => year,
        };
        let mut plain = has_seconds;
        if let [b'.' | b',', fraction @ ..] = rest {
            let (digits, zone) = fraction.split_at(digits(fraction));
            rest = zone;
            plain = false;
            if digits.is_empty() {
                return None;
            }
        }
        plain &= rest == b"Z";
        let offset = offset(rest)?;
        let second = if has_seconds { pair(4)? } else { 0 };
        Some((Self { year, month: pair(0)?, day: pair(1)?, hour: pair(2)?, minute: pair(3)?, second, offset }, plain))
    }

    /// Since 1970; `None` where a part has no meaning at all.
    fn seconds(&self) -> Option<i64> {
        let Self { year, month, day, hour, minute, second, offset } = *self;
        let midnight = hour == 24 && minute == 0 && second == 0;
        let meant = (1..=12).contains(&month)
            && (1..=31).contains(&day)
            && (hour < 24 || midnight)
            && minute < 60
            && second <= 60;
        meant.then(|| days_from_1970(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset)
    }

    fn is_in_the_calendar(&self) -> bool {
        self.hour < 24 && self.second < 60 && self.day <= days_in(self.year, self.month)
    }
}

fn number(digits: &[u8]) -> Option<i64> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// `Z`, nothing, `+hhmm` or `-hhmm` (X.680 §46, §47) in seconds.
fn offset(zone: &[u8]) -> Option<i64> {
    let (sign, figures) = match zone {
        [] | b"Z" | b"z" => return Some(0),
        [b'+', figures @ ..] => (1, figures),
        [b'-', figures @ ..] => (-1, figures),
        _ => return None,
    };
    let (hours, minutes) = match (digits(figures), figures.len()) {
        (4, 4) => {
            let (hours, minutes) = figures.split_at_checked(2)?;
            (number(hours)?, number(minutes)?)
        }
        (2, 2) => (number(figures)?, 0),
        _ => return None,
    };
    (hours < 24 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}

fn days_in(year: i64, month: i64) -> i64 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Of the Gregorian calendar, which is counted back before 1582 too. A day beyond its month goes on into the next.
fn days_from_1970(year: i64, month: i64, day: i64) -> i64 {
    // The year begins in March here, so that a leap day is its last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARCH: i64 = 1_740_787_200; // 2025-03-01 00:00:00

    fn utc(text: &str) -> (Option<i64>, Option<DateFault>) {
        let date = Date::read(UTC_TIME, text.as_bytes());
        (date.seconds, date.fault)
    }

    fn generalized(text: &str) -> (Option<i64>, Option<DateFault>) {
        let date = Date::read(GENERALIZED_TIME, text.as_bytes());
        (date.seconds, date.fault)
    }

    #[test]
    fn what_rfc_5280_allows_is_read_without_a_fault() {
        for (text, seconds) in [
            ("19700101000000Z", 0),
            ("20250301000000Z", MARCH),
            ("20240229235959Z", 1_709_251_199),
            ("20000229000000Z", 951_782_400),
            ("20500101000000Z", 2_524_608_000),
            ("20380119031408Z", 2_147_483_648),
            ("21060207062816Z", 4_294_967_296),
            ("99991231235959Z", 253_402_300_799),
            ("19500101000000Z", -631_152_000),
            ("00000101000000Z", -62_167_219_200),
        ] {
            assert_eq!(generalized(text), (Some(seconds), None), "{text}");
        }
        assert_eq!(utc("250301000000Z"), (Some(MARCH), None));
    }

    #[test]
    fn two_digits_of_a_year_are_of_the_century_from_1950_to_2049() {
        assert_eq!(utc("491231235959Z"), (Some(2_524_607_999), None));
        assert_eq!(utc("500101000000Z"), (Some(-631_152_000), None));
        assert_eq!(utc("991231235959Z"), (Some(946_684_799), None));
        assert_eq!(utc("000101000000Z"), (Some(946_684_800), None));
    }

    #[test]
    fn forms_whose_meaning_is_clear_are_read_with_a_fault() {
        for text in [
            "202503010000Z",
            "20250301000000.5Z",
            "20250301000000,999Z",
            "20250301000000",
            "20250301000000z",
            "20250301020000+0200",
            "20250228190000-0500",
            "20250301020000+02",
        ] {
            assert_eq!(generalized(text), (Some(MARCH), Some(DateFault::Form)), "{text}");
        }
        for text in ["2503010000Z", "250301013000+0130", "20250301000000Z"] {
            assert_eq!(utc(text), (Some(MARCH), Some(DateFault::Form)), "{text}");
        }
    }

    #[test]
    fn times_beyond_the_calendar_count_on() {
        for text in ["20250228240000Z", "20250228235960Z", "20250229000000Z"] {
            assert_eq!(generalized(text), (Some(MARCH), Some(DateFault::Range)), "{text}");
        }
        assert_eq!(generalized("20250230000000Z"), (Some(MARCH + 86_400), Some(DateFault::Range)));
    }

    #[test]
    fn what_says_no_time_is_none() {
        for text in ["20251301000000Z", "20250001000000Z", "20250300000000Z", "20250332000000Z"] {
            assert_eq!(generalized(text), (None, Some(DateFault::Range)), "{text}");
        }
        for text in ["20250301250000Z", "20250301240001Z", "20250301006000Z", "20250301000061Z"] {
            assert_eq!(generalized(text), (None, Some(DateFault::Range)), "{text}");
        }
        for text in ["", "Z", "2025", "2025030100Z", "2025-03-01T00Z", "20250301000000.Z", "20250301000000+2500"] {
            assert_eq!(generalized(text), (None, Some(DateFault::Form)), "{text}");
        }
        for text in ["20250301000000Z ", "20250301000000ZZ", "-0250301000000Z", "２0250301000000Z", "never"] {
            assert_eq!(generalized(text).0, None, "{text}");
        }
        assert_eq!(Date::read(0x0c, b"20250301000000Z"), Date::MISSING, "a UTF8String");
    }

    #[test]
    fn every_day_of_eight_centuries_follows_the_one_before() {
        let mut expected = days_from_1970(1600, 1, 1);
        for year in 1600..2400 {
            for month in 1..=12 {
                for day in 1..=days_in(year, month) {
                    assert_eq!(days_from_1970(year, month, day), expected, "{year}-{month}-{day}");
                    expected += 1;
                }
            }
        }
    }
}
