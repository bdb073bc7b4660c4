//! Certificates that differ in who signed them and what is sent along (RFC 5280 §6, RFC 8446 §4.4.2).

use super::super::lab::forge::{
    ECDSA_SHA1, Forged, GENERALIZED, UTC, alternative_names, dns, extension, rsa_key, sequence, tlv,
};
use super::{Lab, Row, p256};

pub fn rows(lab: &Lab) -> Vec<Row> {
    let other = p256();
    let past = |forged: &mut Forged| forged.not_after = (UTC, "200101000000Z".into());
    let old_root = {
        let mut root = Forged::authority("Root", "Root", &lab.root);
        past(&mut root);
        root.signed_by(&lab.root)
    };
    let cross = Forged::authority("Middle", "Elsewhere", &lab.middle).signed_by(&other);
    let second = p256();
    let second_der = Forged::authority("Second", "Middle", &second).signed_by(&lab.middle);
    let below_second = lab.leaf_of("Second", &second, |_| {});
    let junk: Vec<Vec<u8>> =
        (0..5).map(|n| Forged::authority(&format!("Junk {n}"), "Nobody", &other).signed_by(&other)).collect();
    let weak = |subject, issuer| {
        Forged { key: rsa_key(1024), ..Forged::authority(subject, issuer, &other) }.signed_by(&lab.root)
    };
    let old_cross =
        Forged { signature: ECDSA_SHA1, ..Forged::authority("Root", "Elsewhere", &lab.root) }.signed_by(&other);
    let far = {
        let others = |n| Forged::authority(&format!("Junk {n}"), "Nobody", &other).signed_by(&other);
        [vec![lab.below_middle()], (0..15).map(others).collect(), vec![lab.middle(|_| {})]].concat()
    };
    let big = |count: usize| {
        let padding = alternative_names(&(0..count).map(|n| dns(&format!("host-{n}.example.org"))).collect::<Vec<_>>());
        Forged { extensions: vec![padding], ..Forged::authority("Big", "Nobody", &other) }.signed_by(&other)
    };
    let with_ca = |id: &'static str, what: &'static str, invalid, constraint: Vec<u8>| {
        let middle = lab.middle(|middle| middle.extensions.push(extension(&[0x55, 0x1d, 0x1e], true, &constraint)));
        lab.row(id, what, invalid, vec![lab.below_middle(), middle])
    };
    let permitted = |name: &str| sequence(&[tlv(0xa0, &sequence(&[dns(name)]))]);
    vec![
        lab.one("F0", "right in all", "", lab.leaf(|_| {})).says("until=4102444799 | names=1"),
        lab.one("F1", "expired", "expired", lab.leaf(past)).says("until=1577836800"),
        lab.one("F3", "not yet valid", "not_yet_valid", lab.from(GENERALIZED, "20900101000000Z"))
            .says("from=3786912000"),
        lab.row("F4", "expired intermediate", "expired", vec![lab.below_middle(), lab.middle(past)]),
        lab.row("F5", "expired root sent along", "", vec![lab.leaf(|_| {}), old_root]),
        lab.one(
            "F6",
            "self-signed, CA:TRUE",
            "self_signed",
            lab.self_signed(|leaf| {
                leaf.extensions.extend(Forged::authority("x", "x", &lab.leaf).extensions);
            }),
        ),
        lab.one("F7", "self-signed, CA:FALSE", "self_signed", lab.self_signed(|_| {})),
        lab.one("F8", "unknown root", "not_trusted", lab.leaf_of("Elsewhere", &other, |_| {})),
        lab.one("F9", "missing intermediate", "not_trusted", lab.below_middle()),
        lab.row("F9", "with its intermediate", "", vec![lab.below_middle(), lab.middle(|_| {})]),
        lab.row("F10", "intermediates in the wrong order", "", vec![below_second, lab.middle(|_| {}), second_der]),
        lab.row(
            "F10",
            "intermediate before the leaf",
            "host_mismatch not_trusted",
            vec![lab.middle(|_| {}), lab.below_middle()],
        )
        .ends("tls_protocol in tls")
        .says("subject=CN=Middle"),
        lab.row("F10", "cross-signed intermediate", "", vec![lab.below_middle(), cross, lab.middle(|_| {})]),
        lab.row("F11", "five certificates of others", "", [vec![lab.leaf(|_| {})], junk].concat()),
        lab.row(
            "F11",
            "a weak one of others",
            "",
            vec![lab.below_middle(), lab.middle(|_| {}), weak("Junk", "Nobody")],
        ),
        lab.row("F11", "root cross-signed with SHA-1", "", vec![lab.leaf(|_| {}), old_cross]),
        lab.row("F11", "weak intermediate", "not_trusted weak", vec![lab.below_middle(), weak("Middle", "Root")]),
        lab.row(
            "F11",
            "missing intermediate, a weak one of others",
            "not_trusted",
            vec![lab.below_middle(), weak("Junk", "Nobody")],
        ),
        lab.row("F11", "its intermediate behind fifteen of others", "", far),
        lab.row("F11", "chain of 60 KiB", "", vec![lab.leaf(|_| {}), big(2300)]),
        lab.row("F11", "chain of 130 KiB", "", vec![lab.leaf(|_| {}), big(5000)])
            .ends("tls_protocol in tls")
            .says("none"),
        lab.one(
            "F19",
            "for clients only (EKU)",
            "not_trusted",
            lab.leaf(|leaf| {
                let client_auth = sequence(&[tlv(6, &[0x2b, 6, 1, 5, 5, 7, 3, 2])]);
                leaf.extensions.push(extension(&[0x55, 0x1d, 0x25], false, &client_auth));
            }),
        ),
        lab.one(
            "F35",
            "unknown critical extension",
            "not_trusted",
            lab.leaf(|leaf| {
                leaf.extensions.push(extension(&[0x2b, 6, 1, 4, 1, 0x82, 0x37, 99], true, &[5, 0]));
            }),
        )
        .ends("certificate_not_trusted in tls"),
        lab.one(
            "F35",
            "unknown extension, not critical",
            "",
            lab.leaf(|leaf| {
                leaf.extensions.push(extension(&[0x2b, 6, 1, 4, 1, 0x82, 0x37, 99], false, &[5, 0]));
            }),
        ),
        with_ca("F36", "name constraint that allows the name", "", permitted("example.org")),
        with_ca("F36", "name constraint that forbids the name", "not_trusted", permitted("example.com")),
    ]
}
