//! Certificates of every kind, in rows: what a server shows, why it is not valid, and what is read of it all the same.
//!
//! | file | what is odd about the certificates |
//! | --- | --- |
//! | `chains.rs` | who signed them, and what is sent along |
//! | `names.rs` | whom they are for, and what they are called |
//! | `keys.rs` | keys, signatures, versions and serial numbers |
//! | `dates.rs` | from when and until when they say they are valid |
//! | `forms.rs` | the DER itself |
//!
//! `tests/certificate_kinds.rs` plays every row with a server that shows anything, `tests/real_certificates.rs` with
//! OpenSSL's.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    reason = "each test uses a part, and fails by panicking"
)]

mod chains;
mod dates;
mod forms;
mod keys;
mod names;

use std::path::Path;

use mail_endpoint_exporter::cert::facts::Facts;
use mail_endpoint_exporter::outcome::Outcome;
use mail_endpoint_exporter::outcome::failure::Reason;
use rcgen::KeyPair;

use super::lab::forge::{Forged, alternative_names, common_name, dns, rsa_key};
use super::support::verdict;

pub const HOST: &str = "mail.example.org";

pub struct Row {
    pub id: &'static str,
    pub what: &'static str,
    /// Why it is not valid, without the word `certificate_`.
    pub invalid: &'static str,
    pub verdict: &'static str,
    pub host: &'static str,
    pub chain: Vec<Vec<u8>>,
    /// `None`: the server has no key that fits.
    pub key: Option<KeyPair>,
    /// Parts of the facts, with ` | ` between them.
    pub says: String,
}

impl Row {
    pub fn host(self, host: &'static str) -> Row {
        Row { host, ..self }
    }

    /// How the probe ends, and that the server has no key.
    pub fn liar(self, verdict: &'static str) -> Row {
        Row { verdict, key: None, ..self }
    }

    pub fn ends(self, verdict: &'static str) -> Row {
        Row { verdict, ..self }
    }

    pub fn says(self, says: impl Into<String>) -> Row {
        Row { says: says.into(), ..self }
    }

    /// The module that this is probed with: any certificate will do, and is judged all the same.
    pub fn module(&self, ca_file: &Path) -> String {
        format!(
            "{{security: tls, timeout: 20s, server_name: '{}', ca_file: '{}', expect: {{certificate: any}}}}",
            self.host,
            ca_file.display()
        )
    }

    /// What was found otherwise than this row and `ends` say.
    pub fn difference(&self, ends: &str, outcome: &Outcome) -> Option<String> {
        let leaf = outcome.findings.certificate.as_ref().and_then(|seen| seen.leaf());
        let said = summary(leaf.and_then(|leaf| leaf.facts.as_ref()));
        let missing: Vec<&str> = self.says.split(" | ").filter(|part| !said.contains(part)).collect();
        let found = (verdict(outcome), reasons(outcome));
        let same = found == (ends.to_owned(), self.invalid.to_owned()) && missing.is_empty();
        let detail = outcome.failure.as_ref().map(|failure| failure.detail.clone());
        (!same).then(|| format!("{} {}: {found:?} {detail:?}, without {missing:?} in {said}", self.id, self.what))
    }
}

/// A root, an intermediate and a server, all with keys.
pub struct Lab {
    pub root: KeyPair,
    pub middle: KeyPair,
    pub leaf: KeyPair,
    pub root_der: Vec<u8>,
}

pub fn p256() -> KeyPair {
    KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap()
}

impl Lab {
    pub fn new() -> Lab {
        let (root, middle, leaf) = (p256(), p256(), p256());
        let root_der = Forged::authority("Root", "Root", &root).signed_by(&root);
        Lab { root, middle, leaf, root_der }
    }

    pub fn key(&self) -> KeyPair {
        KeyPair::from_pem(&self.leaf.serialize_pem()).unwrap()
    }

    /// A server's certificate from the root, changed in one thing.
    pub fn leaf(&self, change: impl FnOnce(&mut Forged)) -> Vec<u8> {
        self.leaf_of("Root", &self.root, change)
    }

    pub fn leaf_of(&self, issuer: &str, key: &KeyPair, change: impl FnOnce(&mut Forged)) -> Vec<u8> {
        let mut forged =
            Forged { extensions: vec![alternative_names(&[dns(HOST)])], ..Forged::new(HOST, issuer, &self.leaf) };
        change(&mut forged);
        forged.signed_by(key)
    }

    pub fn named(&self, names: &[Vec<u8>]) -> Vec<u8> {
        self.leaf(|leaf| leaf.extensions = vec![alternative_names(names)])
    }

    pub fn until(&self, tag: u8, text: &str) -> Vec<u8> {
        self.leaf(|leaf| leaf.not_after = (tag, text.into()))
    }

    pub fn from(&self, tag: u8, text: &str) -> Vec<u8> {
        self.leaf(|leaf| leaf.not_before = (tag, text.into()))
    }

    pub fn subject(&self, tag: u8, text: &[u8]) -> Vec<u8> {
        self.leaf(|leaf| leaf.subject = common_name(tag, text))
    }

    /// An intermediate below the root.
    pub fn middle(&self, change: impl FnOnce(&mut Forged)) -> Vec<u8> {
        let mut forged = Forged::authority("Middle", "Root", &self.middle);
        change(&mut forged);
        forged.signed_by(&self.root)
    }

    pub fn below_middle(&self) -> Vec<u8> {
        self.leaf_of("Middle", &self.middle, |_| {})
    }

    pub fn self_signed(&self, change: impl FnOnce(&mut Forged)) -> Vec<u8> {
        self.leaf_of(HOST, &self.leaf, change)
    }

    pub fn row(&self, id: &'static str, what: &'static str, invalid: &'static str, chain: Vec<Vec<u8>>) -> Row {
        Row { id, what, invalid, verdict: "ok", host: HOST, chain, key: Some(self.key()), says: String::new() }
    }

    /// A row with a chain of one.
    pub fn one(&self, id: &'static str, what: &'static str, invalid: &'static str, leaf: Vec<u8>) -> Row {
        self.row(id, what, invalid, vec![leaf])
    }

    /// A server with another key.
    pub fn keyed(&self, id: &'static str, what: &'static str, key: KeyPair, says: &str) -> Row {
        let leaf = Forged { extensions: vec![alternative_names(&[dns(HOST)])], ..Forged::new(HOST, "Root", &key) };
        Row { key: Some(key), ..self.one(id, what, "", leaf.signed_by(&self.root)).says(says) }
    }

    /// An RSA key without its other half.
    pub fn rsa(&self, id: &'static str, what: &'static str, bits: usize) -> Row {
        let leaf = self.leaf(|leaf| leaf.key = rsa_key(bits));
        self.one(id, what, "", leaf).liar("tls_protocol in tls").says(format!("key=RSA {bits} "))
    }
}

/// Every row.
pub fn rows(lab: &Lab) -> Vec<Row> {
    [chains::rows(lab), names::rows(lab), keys::rows(lab), dates::rows(lab), forms::rows(lab)]
        .into_iter()
        .flatten()
        .collect()
}

pub fn reasons(outcome: &Outcome) -> String {
    let invalid = outcome.findings.certificate.as_ref().map(|seen| seen.invalid.as_slice()).unwrap_or_default();
    let words = invalid.iter().map(|finding| Reason::from(finding.reason).as_str().trim_start_matches("certificate_"));
    words.collect::<Vec<_>>().join(" ")
}

pub fn summary(facts: Option<&Facts>) -> String {
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
