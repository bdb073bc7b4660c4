//! The facts of a certificate, out of its DER.
//!
//! They are read whatever the verdict: an expired, misnamed or untrusted certificate has dates too, and
//! those are what its owner needs. Text is cleaned here, once, since whoever made the certificate chose it.

use std::net::IpAddr;

use x509_parser::asn1_rs::{Any, Tag};
use x509_parser::certificate::X509Certificate;
use x509_parser::der_parser::oid;
use x509_parser::extensions::GeneralName;
use x509_parser::objects::{oid_registry, oid2abbrev};
use x509_parser::oid_registry::{self as oids, Oid};
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::{SubjectPublicKeyInfo, X509Name};

use crate::mail::Printable;

/// The most alternative names kept.
const MAX_NAMES: usize = 2000;

/// One certificate of a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// SHA-256 of the DER, in lower-case hexadecimal.
    pub sha256: String,
    /// What it says; `None` if it cannot be read.
    pub facts: Option<Facts>,
}

/// What a readable certificate says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Seconds since 1970; before it, negative.
    pub not_before: i64,
    /// Seconds since 1970; 9999-12-31 23:59:59 means "no expiry" (RFC 5280 §4.1.2.5).
    pub not_after: i64,
    /// The subject's attributes as encoded: `C=US, O=Example, CN=mail.example.org`.
    pub subject: Printable,
    /// The issuer's.
    pub issuer: Printable,
    /// The serial number in lower-case hexadecimal.
    pub serial: String,
    /// DNS names of the subject alternative name extension.
    pub dns_names: Vec<String>,
    /// IP addresses of the same extension.
    pub addresses: Vec<IpAddr>,
    /// Algorithm and size, such as `RSA 2048` or `ECDSA P-256`.
    pub key: String,
    /// Such as `sha256WithRSAEncryption`.
    pub signature: String,
    /// Issuer and subject are the same.
    pub self_issued: bool,
    /// RSA below 2048 bits, or signed with MD5 or SHA-1.
    pub weak: Option<Weakness>,
    /// X.509 version 3 (RFC 5280 §4.1.2.1); older versions cannot carry names.
    pub version_3: bool,
}

/// What is weak about a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weakness {
    /// The key is too short (RFC 9325 §4.5).
    Key,
    /// The signature's hash can be forged (RFC 9155).
    Signature,
}

impl Certificate {
    /// Reads a certificate; never fails, since a certificate that cannot be read is a fact too.
    pub fn from_der(der: &[u8]) -> Self {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, der);
        let facts = X509Certificate::from_der(der).ok().map(|(_, certificate)| Facts::of(&certificate));
        Self { sha256: hex(digest.as_ref()), facts }
    }
}

impl Facts {
    fn of(certificate: &X509Certificate<'_>) -> Self {
        let validity = certificate.validity();
        let (dns_names, addresses) = alternative_names(certificate);
        let (key, short_key) = key(certificate.public_key());
        let signature = &certificate.signature_algorithm.algorithm;
        let self_issued = certificate.subject().as_raw() == certificate.issuer().as_raw();
        let forgeable = FORGEABLE.contains(signature) && !self_issued;
        Self {
            not_before: validity.not_before.timestamp(),
            not_after: validity.not_after.timestamp(),
            subject: name(certificate.subject()),
            issuer: name(certificate.issuer()),
            serial: serial(certificate.raw_serial()),
            dns_names,
            addresses,
            key,
            signature: signature_name(signature),
            self_issued,
            weak: short_key.then_some(Weakness::Key).or(forgeable.then_some(Weakness::Signature)),
            version_3: certificate.version().0 == 2,
        }
    }
}

/// Without the zero octet that only keeps DER's number positive, as OpenSSL shows it.
fn serial(octets: &[u8]) -> String {
    match octets {
        [0, rest @ ..] if !rest.is_empty() => hex(rest),
        _ => hex(octets),
    }
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn alternative_names(certificate: &X509Certificate<'_>) -> (Vec<String>, Vec<IpAddr>) {
    let (mut dns_names, mut addresses) = (Vec::new(), Vec::new());
    let names = certificate.subject_alternative_name().ok().flatten();
    for name in names.iter().flat_map(|extension| &extension.value.general_names).take(MAX_NAMES) {
        match name {
            GeneralName::DNSName(dns) => dns_names.push(Printable::from_text(dns).to_string()),
            GeneralName::IPAddress(octets) => addresses.extend(address(octets)),
            _ => {}
        }
    }
    (dns_names, addresses)
}

fn address(octets: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(octets).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(octets).map(IpAddr::from)).ok()
}

/// `C=US, O=Example, CN=mail.example.org`, in the order of the encoding.
fn name(name: &X509Name<'_>) -> Printable {
    let attribute = |oid: &Oid<'_>, value: &Any<'_>| {
        let key = oid2abbrev(oid, oid_registry()).map_or_else(|_| oid.to_id_string(), str::to_owned);
        format!("{key}={}", attribute_text(value))
    };
    let parts: Vec<String> = name.iter_attributes().map(|a| attribute(a.attr_type(), a.attr_value())).collect();
    Printable::from_text(&parts.join(", "))
}

fn attribute_text(value: &Any<'_>) -> String {
    // BMPString is UTF-16, big end first; all others are read as UTF-8, which cleaning makes safe.
    if value.tag() == Tag::BmpString {
        let units = value.data.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
        return char::decode_utf16(units).map(|c| c.unwrap_or('?')).collect();
    }
    String::from_utf8_lossy(value.data).into_owned()
}

/// The key's name, and whether it is too short.
fn key(info: &SubjectPublicKeyInfo<'_>) -> (String, bool) {
    match info.parsed() {
        Ok(PublicKey::RSA(rsa)) => {
            let bits = rsa.key_size();
            // RFC 9325 §4.5: at least 2048 bits.
            (format!("RSA {bits}"), bits < 2048)
        }
        Ok(PublicKey::EC(point)) => {
            let curve = info.algorithm.parameters.as_ref().and_then(|any| any.as_oid().ok());
            let named =
                |curve: Oid<'_>| CURVES.iter().find(|(oid, _)| *oid == curve).map(|(_, name)| (*name).to_owned());
            let bits = point.key_size();
            (format!("ECDSA {}", curve.and_then(named).unwrap_or_else(|| format!("{bits} bit"))), bits < 224)
        }
        Ok(PublicKey::DSA(_)) => ("DSA".into(), true),
        _ => {
            let oid = &info.algorithm.algorithm;
            let known = ALGORITHMS.iter().find(|(known, _)| known == oid);
            (known.map_or_else(|| oid.to_id_string(), |(_, name)| (*name).to_owned()), false)
        }
    }
}

fn signature_name(oid: &Oid<'_>) -> String {
    let known = ALGORITHMS.iter().find(|(known, _)| known == oid).map(|(_, name)| *name);
    known.or_else(|| oid_registry().get(oid).map(|entry| entry.sn())).map_or_else(|| oid.to_id_string(), str::to_owned)
}

const CURVES: &[(Oid<'static>, &str)] =
    &[(oids::OID_EC_P256, "P-256"), (oids::OID_NIST_EC_P384, "P-384"), (oids::OID_NIST_EC_P521, "P-521")];

const ALGORITHMS: &[(Oid<'static>, &str)] = &[(oids::OID_SIG_ED25519, "Ed25519"), (oids::OID_SIG_ED448, "Ed448")];

/// RFC 9155: signatures with these hashes prove nothing.
const FORGEABLE: &[Oid<'static>] =
    &[oids::OID_PKCS1_MD5WITHRSAENC, oids::OID_PKCS1_SHA1WITHRSA, oid!(1.2.840.10045.4.1)];
