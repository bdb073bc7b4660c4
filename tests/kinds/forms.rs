//! Certificates that break the rules of their encoding, DER.

use super::{Lab, Row};

pub fn rows(lab: &Lab) -> Vec<Row> {
    let malformed = "certificate_malformed in tls";
    let whole = lab.leaf(|_| {});
    let trailing = [&whole[..], &[0, 1, 2]].concat();
    let indefinite = [&[0x30, 0x80][..], &whole[4..], &[0, 0]].concat();
    let deep =
        lab.leaf(|leaf| leaf.subject = [&[0x30, 0x84, 0, 0, 0x20, 0][..], &[0x30, 0x80].repeat(0x1000)].concat());
    vec![
        lab.one("F34", "bytes behind it", "malformed", trailing).ends(malformed).says("until=4102444799 | names=1"),
        lab.one("F34", "indefinite length", "malformed", indefinite).ends(malformed).says("until=4102444799 | names=1"),
        lab.one("F34", "nested 4,096 deep", "malformed", deep).ends(malformed).says("until=4102444799"),
        lab.one("F34", "the first half of it", "host_mismatch malformed", whole[..whole.len() / 2].to_vec())
            .ends(malformed)
            .says("until=4102444799"),
        lab.one("F34", "no certificate", "malformed", b"hello".to_vec()).ends(malformed).says("none"),
        lab.one("F34", "no bytes", "malformed", vec![0x30, 0]).ends(malformed).says("none"),
    ]
}
