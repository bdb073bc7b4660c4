//! Certificates of every kind: what is wrong with each, and what is read of it all the same.
//!
//! A row is a chain that a server really shows. The probe goes on with any certificate (`certificate: any`), so the
//! row tells apart how the probe ended, why the certificate is not valid, and the facts. `tests/FAULTS_TLS.md` has the
//! rows as a table; `UPDATE=1` writes it.
//!
//! RSA keys other than of 2048 bits have no private half here, since making one takes long: their server cannot sign,
//! and what counts is that the certificate is read. Not played: F37, revocation, which is not checked; F39, a system
//! without roots, which would need another system.

#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "a test fails by panicking")]

mod lab;
mod support;

use std::time::SystemTime;

use lab::forge::{
    BMP, ECDSA_SHA1, Forged, GENERALIZED, RSA_MD5, RSA_SHA1, T61, UTC, UTF8, alternative_names, common_name, dns,
    extension, generalized, ip, pem, rsa_key, sequence, showing, tlv,
};
use lab::{Script, Server, liar_config};
use mail_endpoint_exporter::cert::chain::Chain;
use mail_endpoint_exporter::cert::facts::{Certificate, Facts};
use mail_endpoint_exporter::cert::name::ServerName;
use mail_endpoint_exporter::cert::roots::Roots;
use mail_endpoint_exporter::cert::verdict::{Invalid, judge};
use mail_endpoint_exporter::outcome::Outcome;
use mail_endpoint_exporter::outcome::failure::Reason;
use rcgen::{KeyPair, RsaKeySize};
use support::{file, probe, table_is_current, verdict};
use tokio_rustls::rustls::ALL_VERSIONS;
use tokio_rustls::rustls::pki_types::CertificateDer;

const HOST: &str = "mail.example.org";
const SCRIPT: &str = "=== TLS\nS: 220 mx ESMTP\nC: EHLO x\nS: 250 mx\nC: QUIT\nS: 221 bye\n*close";

struct Row {
    id: &'static str,
    what: &'static str,
    /// Why it is not valid, without the word `certificate_`.
    invalid: &'static str,
    verdict: &'static str,
    host: &'static str,
    chain: Vec<Vec<u8>>,
    /// `None`: the server has no key that fits.
    key: Option<KeyPair>,
    /// Parts of the facts, with ` | ` between them.
    says: String,
}

impl Row {
    fn host(self, host: &'static str) -> Row {
        Row { host, ..self }
    }

    /// How the probe ends, and that the server has no key.
    fn liar(self, verdict: &'static str) -> Row {
        Row { verdict, key: None, ..self }
    }

    fn ends(self, verdict: &'static str) -> Row {
        Row { verdict, ..self }
    }

    fn says(self, says: impl Into<String>) -> Row {
        Row { says: says.into(), ..self }
    }
}

/// A root, an intermediate and a server, all with keys.
struct Lab {
    root: KeyPair,
    middle: KeyPair,
    leaf: KeyPair,
    root_der: Vec<u8>,
}

fn p256() -> KeyPair {
    KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap()
}

impl Lab {
    fn new() -> Lab {
        let (root, middle, leaf) = (p256(), p256(), p256());
        let root_der = Forged::authority("Root", "Root", &root).signed_by(&root);
        Lab { root, middle, leaf, root_der }
    }

    fn key(&self) -> KeyPair {
        KeyPair::from_pem(&self.leaf.serialize_pem()).unwrap()
    }

    /// A server's certificate from the root, changed in one thing.
    fn leaf(&self, change: impl FnOnce(&mut Forged)) -> Vec<u8> {
        self.leaf_of("Root", &self.root, change)
    }

    fn leaf_of(&self, issuer: &str, key: &KeyPair, change: impl FnOnce(&mut Forged)) -> Vec<u8> {
        let mut forged =
            Forged { extensions: vec![alternative_names(&[dns(HOST)])], ..Forged::new(HOST, issuer, &self.leaf) };
        change(&mut forged);
        forged.signed_by(key)
    }

    fn named(&self, names: &[Vec<u8>]) -> Vec<u8> {
        self.leaf(|leaf| leaf.extensions = vec![alternative_names(names)])
    }

    fn until(&self, tag: u8, text: &str) -> Vec<u8> {
        self.leaf(|leaf| leaf.not_after = (tag, text.into()))
    }

    fn from(&self, tag: u8, text: &str) -> Vec<u8> {
        self.leaf(|leaf| leaf.not_before = (tag, text.into()))
    }

    fn subject(&self, tag: u8, text: &[u8]) -> Vec<u8> {
        self.leaf(|leaf| leaf.subject = common_name(tag, text))
    }

    /// An intermediate below the root.
    fn middle(&self, change: impl FnOnce(&mut Forged)) -> Vec<u8> {
        let mut forged = Forged::authority("Middle", "Root", &self.middle);
        change(&mut forged);
        forged.signed_by(&self.root)
    }

    fn below_middle(&self) -> Vec<u8> {
        self.leaf_of("Middle", &self.middle, |_| {})
    }

    fn self_signed(&self, change: impl FnOnce(&mut Forged)) -> Vec<u8> {
        self.leaf_of(HOST, &self.leaf, change)
    }

    fn row(&self, id: &'static str, what: &'static str, invalid: &'static str, chain: Vec<Vec<u8>>) -> Row {
        Row { id, what, invalid, verdict: "ok", host: HOST, chain, key: Some(self.key()), says: String::new() }
    }

    /// A row with a chain of one.
    fn one(&self, id: &'static str, what: &'static str, invalid: &'static str, leaf: Vec<u8>) -> Row {
        self.row(id, what, invalid, vec![leaf])
    }

    /// A server with another key.
    fn keyed(&self, id: &'static str, what: &'static str, key: KeyPair, says: &str) -> Row {
        let leaf = Forged { extensions: vec![alternative_names(&[dns(HOST)])], ..Forged::new(HOST, "Root", &key) };
        Row { key: Some(key), ..self.one(id, what, "", leaf.signed_by(&self.root)).says(says) }
    }

    /// An RSA key without its other half.
    fn rsa(&self, id: &'static str, what: &'static str, bits: usize) -> Row {
        let leaf = self.leaf(|leaf| leaf.key = rsa_key(bits));
        self.one(id, what, "", leaf).liar("tls_protocol in tls").says(format!("key=RSA {bits} "))
    }
}

fn chains(lab: &Lab) -> Vec<Row> {
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

fn names(lab: &Lab) -> Vec<Row> {
    let many = |count: usize| -> Vec<Vec<u8>> {
        (0..count).map(|n| dns(&format!("host-{n}.example.org"))).chain([dns(HOST)]).collect()
    };
    let smtp_utf8 =
        tlv(0xa0, &[tlv(6, &[0x2b, 6, 1, 5, 5, 7, 8, 9]), tlv(0xa0, &tlv(UTF8, "x@é.example".as_bytes()))].concat());
    let uri = tlv(0x86, b"https://mail.example.org/");
    let mixed =
        [ip(&[192, 0, 2, 1]), uri, smtp_utf8, dns(HOST), ip(&[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1])];
    let wild = |pattern: &str| lab.named(&[dns(pattern)]);
    vec![
        lab.one("F12", "for another host", "host_mismatch", wild("other.example")),
        lab.one("F13", "wildcard for one label", "", wild("*.example.org")),
        lab.one("F13", "wildcard for two labels", "host_mismatch", wild("*.example.org")).host("a.b.example.org"),
        lab.one("F13", "wildcard for its own parent", "host_mismatch", wild("*.example.org")).host("example.org"),
        lab.one("F14", "wildcard *.org", "host_mismatch", wild("*.org")).host("example.org"),
        lab.one("F14", "wildcard m*.example.org", "host_mismatch", wild("m*.example.org")),
        lab.one("F14", "wildcard *.*.example.org", "host_mismatch", wild("*.*.example.org")).host("a.b.example.org"),
        lab.one("F14", "wildcard *", "host_mismatch", wild("*")),
        lab.one("F15", "common name only", "host_mismatch", lab.leaf(|leaf| leaf.extensions.clear())).says("names=0"),
        lab.one("F16", "names of all kinds", "", lab.named(&mixed)).says("names=1"),
        lab.one("F16", "an address as target", "", lab.named(&mixed)).host("192.0.2.1"),
        lab.one("F16", "an IPv6 address as target", "", lab.named(&mixed)).host("2001:db8::1"),
        lab.one("F16", "another address as target", "host_mismatch", lab.named(&mixed)).host("192.0.2.2"),
        lab.one("F16", "an address written as a name", "host_mismatch", wild("192.0.2.1")).host("192.0.2.1"),
        lab.one("F16", "an address of five octets", "host_mismatch", lab.named(&[ip(&[192, 0, 2, 1, 9])]))
            .host("192.0.2.1"),
        lab.one("F17", "IDN as A-label, target as U-label", "", wild("xn--bcher-kva.example")).host("bücher.example"),
        lab.one("F17", "IDN as U-label", "host_mismatch", wild("bücher.example")).host("bücher.example"),
        lab.one("F18", "final dot of the target", "", wild(HOST)).host("mail.example.org."),
        lab.one("F18", "final dot of the certificate", "", wild("mail.example.org.")),
        lab.one("F32", "quotes, backslash, newline", "", lab.subject(UTF8, b"a\"b\\c\nd"))
            .says("subject=CN=a\"b\\c?d "),
        lab.one("F32", "NUL", "", lab.subject(UTF8, b"a\0b")).says("subject=CN=a?b "),
        lab.one("F32", "right-to-left override", "", lab.subject(UTF8, "a\u{202e}b".as_bytes()))
            .says("subject=CN=a?b "),
        lab.one("F32", "Chinese", "", lab.subject(UTF8, "邮件".as_bytes())).says("subject=CN=邮件 "),
        lab.one("F32", "BMPString", "", lab.subject(BMP, &[0, b'a', 0x90, 0xae])).says("subject=CN=a邮 "),
        lab.one("F32", "half a BMPString", "", lab.subject(BMP, &[0, b'a', 0x90])).says("subject=CN=a "),
        lab.one("F32", "T61String", "", lab.subject(T61, b"M\xfcller")).says("subject=CN=Müller "),
        lab.one("F32", "no UTF-8", "", lab.subject(UTF8, b"a\xffb")).says("subject=CN=a"),
        lab.one("F32", "NUL in a name", "host_mismatch", wild("mail.example.org\0.evil.example")),
        lab.one("F32", "no subject", "", lab.leaf(|leaf| leaf.subject = sequence(&[]))).says("subject= issuer"),
        lab.one("F33", "101 names", "", lab.named(&many(100))).says("names=101"),
        lab.one("F33", "1,501 names", "", lab.named(&many(1500))).says("names=1501"),
    ]
}

fn keys(lab: &Lab) -> Vec<Row> {
    let key = |algorithm| KeyPair::generate_for(algorithm).unwrap();
    let rsa = KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
    let version = |number: Option<u8>| {
        lab.leaf(|leaf| {
            leaf.version = number;
            leaf.extensions.clear();
        })
    };
    let signature = |oid| lab.leaf(|leaf| leaf.signature = oid);
    let serial = |serial: &[u8]| lab.leaf(|leaf| leaf.serial = serial.to_vec());
    let malformed = "certificate_malformed in tls";
    vec![
        lab.one("F20", "X.509 v1", "host_mismatch malformed", version(None)).ends(malformed).says("until=4102444799"),
        lab.one("F20", "X.509 v2", "host_mismatch malformed", version(Some(1)))
            .ends(malformed)
            .says("until=4102444799"),
        Row { invalid: "weak", ..lab.rsa("F21", "RSA 1024", 1024) }.ends("certificate_weak in tls"),
        lab.keyed("F23", "RSA 2048", rsa, "key=RSA 2048"),
        lab.rsa("F22", "RSA 4096", 4096),
        lab.rsa("F22", "RSA 8192", 8192),
        lab.rsa("F22", "RSA 16384", 16384),
        lab.keyed("F23", "P-256", p256(), "key=ECDSA P-256"),
        lab.keyed("F23", "P-384", key(&rcgen::PKCS_ECDSA_P384_SHA384), "key=ECDSA P-384"),
        lab.keyed("F23", "P-521", key(&rcgen::PKCS_ECDSA_P521_SHA512), "key=ECDSA P-521"),
        lab.keyed("F23", "Ed25519", key(&rcgen::PKCS_ED25519), "key=Ed25519"),
        lab.one("F24", "signed with SHA-1", "not_trusted weak", signature(ECDSA_SHA1))
            .says("signature=ecdsa-with-SHA1"),
        lab.one("F24", "signed with SHA-1, RSA", "not_trusted weak", signature(RSA_SHA1))
            .says("signature=sha1WithRSAEncryption"),
        lab.one("F24", "signed with MD5", "not_trusted weak", signature(RSA_MD5))
            .says("signature=md5WithRSAEncryption"),
        lab.one("F25", "negative serial", "", serial(&[0xfb])).says("serial=fb"),
        lab.one("F25", "serial 0", "", serial(&[0])).says("serial=00"),
        lab.one("F25", "serial of 21 bytes", "", serial(&[0x7f; 21])).says(format!("serial={}", "7f".repeat(21))),
    ]
}

fn dates(lab: &Lab) -> Vec<Row> {
    let until = |id, what, invalid, tag, text, says: &str| {
        lab.one(id, what, invalid, lab.until(tag, text)).says(format!("until={says} "))
    };
    let odd = |what, tag, text, says| until("F29", what, "malformed", tag, text, says);
    vec![
        until("F26", "UTCTime of 2049", "", UTC, "491231235959Z", "2524607999"),
        until("F26", "UTCTime of 1950", "expired malformed", UTC, "500101000000Z", "-631152000"),
        until("F27", "GeneralizedTime before 2050", "", GENERALIZED, "20400101000000Z", "2208988800"),
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

fn forms(lab: &Lab) -> Vec<Row> {
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

fn rows(lab: &Lab) -> Vec<Row> {
    [chains(lab), names(lab), keys(lab), dates(lab), forms(lab)].into_iter().flatten().collect()
}

fn reasons(outcome: &Outcome) -> String {
    let invalid = outcome.findings.certificate.as_ref().map(|seen| seen.invalid.as_slice()).unwrap_or_default();
    let words = invalid.iter().map(|finding| Reason::from(finding.reason).as_str().trim_start_matches("certificate_"));
    words.collect::<Vec<_>>().join(" ")
}

fn summary(facts: Option<&Facts>) -> String {
    let Some(facts) = facts else { return "none".into() };
    let time = |seconds: Option<i64>| seconds.map_or("?".to_owned(), |seconds| seconds.to_string());
    format!(
        "from={} until={} subject={} issuer={} serial={} key={} signature={} names={}",
        time(facts.not_before),
        time(facts.not_after),
        facts.subject,
        facts.issuer,
        facts.serial,
        facts.key,
        facts.signature,
        facts.dns_names.len()
    )
}

#[tokio::test]
async fn every_kind_is_judged_and_its_facts_are_kept() {
    let lab = Lab::new();
    let ca_file = file("ca.pem", &pem(&lab.root_der));
    let mut wrong = Vec::new();
    for row in rows(&lab) {
        let tls = match &row.key {
            Some(key) => showing(row.chain.clone(), key, ALL_VERSIONS),
            None => liar_config(row.chain.iter().cloned().map(CertificateDer::from).collect()),
        };
        let server = Server::start(Script::of(SCRIPT), tls.into()).await;
        let module = format!(
            "{{security: tls, server_name: '{}', ca_file: '{}', expect: {{certificate: any}}}}",
            row.host,
            ca_file.display()
        );
        let outcome = probe(server.address(), &module).await;
        let leaf = outcome.findings.certificate.as_ref().and_then(|seen| seen.leaf());
        let said = summary(leaf.and_then(|leaf| leaf.facts.as_ref()));
        let missing: Vec<&str> = row.says.split(" | ").filter(|part| !said.contains(part)).collect();
        let found = (verdict(&outcome), reasons(&outcome));
        if found != (row.verdict.to_owned(), row.invalid.to_owned()) || !missing.is_empty() {
            let detail = outcome.failure.as_ref().map(|failure| failure.detail.clone());
            wrong.push(format!("{} {}: {found:?} {detail:?}, without {missing:?} in {said}", row.id, row.what));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_table_is_current() {
    let lab = Lab::new();
    let line = |row: &Row| {
        let invalid = if row.invalid.is_empty() { "valid" } else { row.invalid };
        format!(
            "| {} | {} | {} | {} |\n",
            row.id,
            row.what.replace('*', "\\*"),
            row.verdict,
            invalid.replace(' ', ", ")
        )
    };
    let lines: String = rows(&lab).iter().map(line).collect();
    let head =
        "| id | certificate | the probe, with `certificate: any` | the certificate |\n| --- | --- | --- | --- |\n";
    table_is_current("tests/FAULTS_TLS.md", "Certificates", &format!("{head}{lines}"));
}

fn certificate(der: &[u8]) -> Certificate {
    Certificate::from_der(der)
}

fn judged(lab: &Lab, der: Vec<u8>, now: i64) -> Vec<Invalid> {
    let roots = Roots::from_pem(pem(&lab.root_der).as_bytes()).unwrap();
    let host = ServerName::parse(HOST).unwrap();
    let der = [CertificateDer::from(der)];
    judge(&Chain::new(&der), &der, &host, now, &roots).iter().map(|found| found.reason).collect()
}

/// F2, and F40: the clock of this machine decides.
#[test]
fn a_certificate_is_valid_to_its_last_second() {
    let lab = Lab::new();
    let end = 1_893_456_000; // 2030-01-01
    let der = lab.until(GENERALIZED, "20300101000000Z");
    assert_eq!(judged(&lab, der.clone(), end), []);
    assert_eq!(judged(&lab, der.clone(), end + 1), [Invalid::Expired]);
    assert_eq!(judged(&lab, der.clone(), 0), []);
    assert_eq!(judged(&lab, der.clone(), 4_294_967_296), [Invalid::Expired]);
    let since_2000 = lab.from(UTC, "000101000000Z");
    assert_eq!(judged(&lab, since_2000.clone(), 946_684_799), [Invalid::NotYetValid]);
    assert_eq!(judged(&lab, since_2000, 946_684_800), []);
}

/// F2 on the wire: whichever side of the second it is, it is one of the two.
#[tokio::test]
async fn a_certificate_that_expires_now_is_valid_or_expired() {
    let lab = Lab::new();
    let (tag, text) = generalized(SystemTime::now());
    let server =
        Server::start(Script::of(SCRIPT), showing(vec![lab.until(tag, &text)], &lab.leaf, ALL_VERSIONS).into()).await;
    let ca_file = file("ca.pem", &pem(&lab.root_der));
    let module = format!("{{security: tls, server_name: {HOST}, ca_file: '{}'}}", ca_file.display());
    let verdict = verdict(&probe(server.address(), &module).await);
    assert!(["ok", "certificate_expired in tls"].contains(&verdict.as_str()), "{verdict}");
}

/// F38.
#[tokio::test]
async fn a_renewed_certificate_is_seen_by_the_next_probe() {
    let lab = Lab::new();
    let show = |text: &str| showing(vec![lab.until(GENERALIZED, text)], &lab.leaf, ALL_VERSIONS);
    let server = Server::start(Script::of(SCRIPT), show("20400101000000Z").into()).await;
    let mut ends = Vec::new();
    for renewed in ["20410101000000Z", "20420101000000Z"] {
        let seen = probe(server.address(), "{security: tls, expect: {certificate: any}}").await.findings.certificate;
        ends.push(seen.unwrap().chain_not_after().unwrap());
        server.change(Script::of(SCRIPT), Some(show(renewed)));
    }
    assert_eq!(ends, [2_208_988_800, 2_240_611_200]);
}

/// F34: what is cut off costs what follows, and nothing is read that is not there.
#[test]
fn a_certificate_cut_at_any_byte_has_right_facts_or_none() {
    let lab = Lab::new();
    let der = lab.leaf(|_| {});
    let whole = certificate(&der).facts.unwrap();
    assert_eq!(whole.malformed, None);
    for length in 0..der.len() {
        let Some(facts) = certificate(&der[..length]).facts else { continue };
        assert!(facts.malformed.is_some(), "{length}");
        assert_eq!(facts.window(), whole.window(), "{length}");
        let or_nothing = |part: &str, whole: &str| part == whole || part.is_empty();
        assert!(or_nothing(facts.subject.as_str(), whole.subject.as_str()), "{length}: {}", facts.subject);
        assert!(or_nothing(facts.issuer.as_str(), whole.issuer.as_str()), "{length}: {}", facts.issuer);
        assert!(or_nothing(&facts.key, &whole.key), "{length}: {}", facts.key);
        assert!(facts.dns_names.is_empty() || facts.dns_names == whole.dns_names, "{length}: {:?}", facts.dns_names);
    }
}

/// F34: a changed bit may change what it is part of; it moves no date anywhere else.
#[test]
fn a_certificate_with_any_bit_flipped_has_its_dates_or_none() {
    let lab = Lab::new();
    let der = lab.leaf(|_| {});
    let whole = certificate(&der).facts.unwrap();
    let start = der.windows(2).position(|pair| pair == [UTC, 13]).unwrap();
    let dates = start..start + 15 + 17;
    let mut kept = 0;
    for at in (0..der.len()).filter(|at| !dates.contains(at)) {
        for bit in 0..8 {
            let mut flipped = der.clone();
            flipped[at] ^= 1 << bit;
            let Some(facts) = certificate(&flipped).facts else { continue };
            for (found, right) in [(facts.not_before, whole.not_before), (facts.not_after, whole.not_after)] {
                assert!(found.is_none() || found == right, "byte {at}, bit {bit}: {found:?}");
                kept += usize::from(found.is_some());
            }
        }
    }
    assert!(kept > der.len() * 8, "most flips cost no date: {kept}");
    // The digits and the zone; the tags and lengths before them are another matter.
    let header = |at: usize| [0, 1, 15, 16].contains(&(at - start));
    for at in dates.filter(|at| !header(*at)) {
        for bit in 0..8 {
            let mut flipped = der.clone();
            flipped[at] ^= 1 << bit;
            // What a strict reader takes for a date, this one takes for the same.
            if let Ok((_, strict)) = x509_parser::parse_x509_certificate(&flipped) {
                let (start, end) = (strict.validity().not_before.timestamp(), strict.validity().not_after.timestamp());
                assert_eq!(certificate(&flipped).facts.unwrap().window(), Some((start, end)), "byte {at}, bit {bit}");
            }
        }
    }
}
