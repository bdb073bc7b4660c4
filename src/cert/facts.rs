//! The facts of a certificate, out of its DER.
//!
//! They are read whatever the verdict: an expired, misnamed or untrusted certificate has dates too, and
//! those are what its owner needs. A certificate that breaks the rules of X.509 has facts as well: each part is
//! read for itself, and one that cannot be read is left out. Text is cleaned here, once, since whoever made the
//! certificate chose it.

use std::net::IpAddr;
use std::sync::Arc;

use x509_parser::asn1_rs::{Any, Tag};
use x509_parser::certificate::X509Certificate;
use x509_parser::der_parser::oid;
use x509_parser::objects::{oid_registry, oid2abbrev};
use x509_parser::oid_registry::{self as oids, Oid};
use x509_parser::prelude::FromDer;
use x509_parser::public_key::{PublicKey, RSAPublicKey};
use x509_parser::x509::{AlgorithmIdentifier, SubjectPublicKeyInfo, X509Name};

use super::dates::Date;
use super::der::{Element, Elements, INTEGER, OCTET_STRING, OID, SEQUENCE};
use super::name::{self, ServerName};
use crate::mail::Printable;

/// The most alternative names kept. Whom a certificate is for is judged by all of them: see [`Facts::covers`].
const MAX_NAMES: usize = 2000;

/// One certificate of a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// SHA-256 of the DER, in lower-case hexadecimal.
    pub sha256: Arc<str>,
    /// What it says; `None` if it is no certificate at all.
    pub facts: Option<Facts>,
}

/// What a certificate says. A text is empty where that part cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Seconds since 1970; before it, negative. `None` if it says no time.
    pub not_before: Option<i64>,
    /// Seconds since 1970; 9999-12-31 23:59:59 means "no expiry" (RFC 5280 §4.1.2.5). `None` if it says no time.
    pub not_after: Option<i64>,
    /// What is wrong with its form, as the end of a sentence; `None` if it keeps the rules of X.509.
    pub malformed: Option<String>,
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
    /// How many names and addresses there are that are not kept.
    pub further_names: usize,
    /// Algorithm and size, such as `RSA 2048` or `ECDSA P-256`.
    pub key: String,
    /// The size of an RSA key.
    pub rsa_bits: Option<usize>,
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
        Self { sha256: hex(digest.as_ref()).into(), facts: Facts::from_der(der) }
    }
}

impl Facts {
    /// From when and until when it is valid; `None` if either says no time.
    pub fn window(&self) -> Option<(i64, i64)> {
        Some((self.not_before?, self.not_after?))
    }

    /// Whether it is good for a host. Its bytes are not kept and must be given once more: names that were too many to
    /// keep are looked for there.
    pub fn covers(&self, der: &[u8], host: &ServerName) -> bool {
        let further = || Parts::of(der).is_some_and(|parts| parts.alternative_names().any(|name| name.covers(host)));
        name::covers(&self.dns_names, &self.addresses, host) || (self.further_names > 0 && further())
    }

    fn from_der(der: &[u8]) -> Option<Self> {
        let parts = Parts::of(der)?;
        let [not_before, not_after] = parts.dates();
        let (mut dns_names, mut addresses) = (Vec::new(), Vec::new());
        let mut names = parts.alternative_names();
        for name in names.by_ref().take(MAX_NAMES) {
            match name {
                AlternativeName::Dns(name) => dns_names.push(name),
                AlternativeName::Ip(address) => addresses.push(address),
            }
        }
        let further_names = names.count();
        let key = parts.key().map(|info| Key::of(&info)).unwrap_or_default();
        let signature = parts.signature.and_then(|part| AlgorithmIdentifier::from_der(part.whole).ok());
        let signature = signature.map(|(_, identifier)| identifier.algorithm);
        let self_issued = parts.subject.is_some() && parts.subject == parts.issuer;
        let forgeable = signature.as_ref().is_some_and(|oid| FORGEABLE.contains(oid)) && !self_issued;
        Some(Self {
            not_before: not_before.seconds,
            not_after: not_after.seconds,
            malformed: malformed(der, not_before, not_after),
            subject: distinguished_name(parts.subject),
            issuer: distinguished_name(parts.issuer),
            serial: parts.serial.map(|part| serial(part.content)).unwrap_or_default(),
            dns_names,
            addresses,
            further_names,
            key: key.name,
            rsa_bits: key.rsa_bits,
            signature: signature.as_ref().map(signature_name).unwrap_or_default(),
            self_issued,
            weak: key.short.then_some(Weakness::Key).or(forgeable.then_some(Weakness::Signature)),
            version_3: parts.version == 2,
        })
    }
}

/// Subject and issuer as they are encoded, which is how a path compares them.
pub(super) fn subject_and_issuer(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let parts = Parts::of(der)?;
    Some((parts.subject?.content, parts.issuer?.content))
}

/// What is wrong with the form of a certificate, judged by a strict reader. A fault of its dates is named.
fn malformed(der: &[u8], not_before: Date, not_after: Date) -> Option<String> {
    let dates = [("start", not_before), ("end", not_after)];
    if let Some((which, fault)) = dates.iter().find_map(|(which, date)| Some((which, date.fault?))) {
        return Some(format!("the {which} of its validity {fault}"));
    }
    match X509Certificate::from_der(der) {
        Ok(([], _)) => None,
        Ok(_) => Some("more bytes follow it".into()),
        Err(_) => Some("it breaks the rules of its encoding (DER)".into()),
    }
}

/// The parts of a TBSCertificate (RFC 5280 §4.1), as far as they can be told apart.
#[derive(Default)]
struct Parts<'a> {
    /// 0 is X.509 v1, where the field is absent.
    version: u8,
    serial: Option<Element<'a>>,
    signature: Option<Element<'a>>,
    issuer: Option<Element<'a>>,
    validity: Option<Element<'a>>,
    subject: Option<Element<'a>>,
    key: Option<Element<'a>>,
    extensions: Option<Element<'a>>,
}

/// `[0]` of a TBSCertificate: the version.
const VERSION: u8 = 0xa0;
/// `[3]`: the extensions.
const EXTENSIONS: u8 = 0xa3;
/// `[2]` of a GeneralName (RFC 5280 §4.2.1.6).
const DNS_NAME: u8 = 0x82;
/// `[7]`.
const IP_ADDRESS: u8 = 0x87;
/// 2.5.29.17.
const SUBJECT_ALTERNATIVE_NAME: &[u8] = &[0x55, 0x1d, 0x11];

impl<'a> Parts<'a> {
    /// `None` if there is nothing to know from it.
    fn of(der: &'a [u8]) -> Option<Self> {
        let certificate = Elements::of(der).next_of(SEQUENCE)?;
        let mut fields = certificate.children().next_of(SEQUENCE)?.children();
        let version =
            fields.next_whole(VERSION).and_then(|part| part.children().next_of(INTEGER)?.content.last().copied());
        let mut parts = Self { version: version.unwrap_or(0), ..Self::default() };
        // Without the part before it nobody can tell which one comes next.
        let _ = parts.fill(&mut fields);
        (parts.validity.is_some() || parts.subject.is_some()).then_some(parts)
    }

    fn fill(&mut self, fields: &mut Elements<'a>) -> Option<()> {
        self.serial = Some(fields.next_whole(INTEGER)?);
        for part in [&mut self.signature, &mut self.issuer, &mut self.validity, &mut self.subject, &mut self.key] {
            *part = Some(fields.next_whole(SEQUENCE)?);
        }
        self.extensions = fields.find(|part| part.tag == EXTENSIONS);
        Some(())
    }

    fn dates(&self) -> [Date; 2] {
        let mut times = self.validity.iter().flat_map(Element::children);
        [(); 2].map(|()| {
            times.next().filter(|time| time.complete).map_or(Date::MISSING, |time| Date::read(time.tag, time.content))
        })
    }

    fn key(&self) -> Option<SubjectPublicKeyInfo<'a>> {
        SubjectPublicKeyInfo::from_der(self.key?.whole).ok().map(|(_, info)| info)
    }

    /// RFC 5280 §4.2.1.6. Kinds that no host is looked for under are passed over.
    fn alternative_names(&self) -> impl Iterator<Item = AlternativeName> + use<'a> {
        let list = self.extensions.and_then(|part| part.children().next_of(SEQUENCE));
        let extensions = list.into_iter().flat_map(|list| list.children());
        let names = extensions.filter_map(|extension| general_names(&extension)).flat_map(|names| names.children());
        names.filter(|name| name.complete).filter_map(|name| match name.tag {
            DNS_NAME => Some(AlternativeName::Dns(Printable::from_bytes(name.content).to_string())),
            IP_ADDRESS => address(name.content).map(AlternativeName::Ip),
            _ => None,
        })
    }
}

/// A name under which a host can be looked for.
enum AlternativeName {
    Dns(String),
    Ip(IpAddr),
}

impl AlternativeName {
    fn covers(&self, host: &ServerName) -> bool {
        match self {
            Self::Dns(name) => name::covers(std::slice::from_ref(name), &[], host),
            Self::Ip(address) => name::covers(&[], std::slice::from_ref(address), host),
        }
    }
}

/// The names in an extension, if it is that of the subject's alternative names.
fn general_names<'a>(extension: &Element<'a>) -> Option<Element<'a>> {
    let mut fields = extension.children();
    fields.next_of(OID).filter(|oid| oid.content == SUBJECT_ALTERNATIVE_NAME)?;
    // Whether it is critical may stand before its value.
    fields.find(|field| field.tag == OCTET_STRING)?.children().next_of(SEQUENCE)
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

fn address(octets: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(octets).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(octets).map(IpAddr::from)).ok()
}

/// `C=US, O=Example, CN=mail.example.org`, in the order of the encoding.
fn distinguished_name(part: Option<Element<'_>>) -> Printable {
    let name = part.and_then(|part| X509Name::from_der(part.whole).ok());
    let Some((_, name)) = name else { return Printable::default() };
    let attribute = |oid: &Oid<'_>, value: &Any<'_>| {
        let key = oid2abbrev(oid, oid_registry()).map_or_else(|_| oid.to_id_string(), str::to_owned);
        format!("{key}={}", attribute_text(value))
    };
    let parts: Vec<String> = name.iter_attributes().map(|a| attribute(a.attr_type(), a.attr_value())).collect();
    Printable::from_text(&parts.join(", "))
}

fn attribute_text(value: &Any<'_>) -> String {
    match value.tag() {
        // UTF-16, big end first.
        Tag::BmpString => {
            let units = value.data.as_chunks().0.iter().map(|pair| u16::from_be_bytes(*pair));
            char::decode_utf16(units).map(|c| c.unwrap_or('?')).collect()
        }
        // UTF-32, big end first.
        Tag::UniversalString => {
            let units = value.data.as_chunks().0.iter().map(|four| u32::from_be_bytes(*four));
            units.map(|unit| char::from_u32(unit).unwrap_or('?')).collect()
        }
        // By the book T.61, in practice Latin-1.
        Tag::T61String => value.data.iter().copied().map(char::from).collect(),
        // All others are read as UTF-8, which cleaning makes safe.
        _ => String::from_utf8_lossy(value.data).into_owned(),
    }
}

/// What is known of a key.
#[derive(Default)]
struct Key {
    name: String,
    rsa_bits: Option<usize>,
    short: bool,
}

impl Key {
    fn of(info: &SubjectPublicKeyInfo<'_>) -> Self {
        let algorithm = &info.algorithm.algorithm;
        match info.parsed() {
            Ok(PublicKey::RSA(rsa)) => Self::rsa("RSA", &rsa),
            Ok(PublicKey::EC(point)) => {
                let curve = info.algorithm.parameters.as_ref().and_then(|any| any.as_oid().ok());
                let known = |curve| CURVES.iter().find(|(oid, _)| *oid == curve).map(|(_, name)| (*name).to_owned());
                let bits = point.key_size();
                let name = format!("ECDSA {}", curve.and_then(known).unwrap_or_else(|| format!("{bits} bit")));
                Self { name, short: bits < 224, ..Self::default() }
            }
            Ok(PublicKey::DSA(_)) => Self { name: "DSA".into(), short: true, ..Self::default() },
            // RFC 4055 §1.2: a key of RSA that may be used for PSS only.
            _ if *algorithm == oids::OID_PKCS1_RSASSAPSS => match RSAPublicKey::from_der(&info.subject_public_key.data)
            {
                Ok((_, rsa)) => Self::rsa("RSA-PSS", &rsa),
                Err(_) => Self { name: "RSA-PSS".into(), ..Self::default() },
            },
            _ => {
                let known = ALGORITHMS.iter().find(|(known, _)| known == algorithm);
                let name = known.map_or_else(|| algorithm.to_id_string(), |(_, name)| (*name).to_owned());
                Self { name, ..Self::default() }
            }
        }
    }

    fn rsa(kind: &str, key: &RSAPublicKey<'_>) -> Self {
        let bits = key.key_size();
        // RFC 9325 §4.5: at least 2048 bits.
        Self { name: format!("{kind} {bits}"), rsa_bits: Some(bits), short: bits < 2048 }
    }
}

fn signature_name(oid: &Oid<'_>) -> String {
    let known = ALGORITHMS.iter().find(|(known, _)| known == oid).map(|(_, name)| *name);
    known.or_else(|| oid_registry().get(oid).map(|entry| entry.sn())).map_or_else(|| oid.to_id_string(), str::to_owned)
}

/// RFC 5480 §2.1.1.1 and RFC 5639 §4.1.
const CURVES: &[(Oid<'static>, &str)] = &[
    (oids::OID_EC_P256, "P-256"),
    (oids::OID_NIST_EC_P384, "P-384"),
    (oids::OID_NIST_EC_P521, "P-521"),
    (oid!(1.2.840.10045.3.1.1), "P-192"),
    (oid!(1.3.132.0.33), "P-224"),
    (oid!(1.3.132.0.10), "secp256k1"),
    (oid!(1.3.36.3.3.2.8.1.1.7), "brainpoolP256r1"),
    (oid!(1.3.36.3.3.2.8.1.1.11), "brainpoolP384r1"),
    (oid!(1.3.36.3.3.2.8.1.1.13), "brainpoolP512r1"),
];

const ALGORITHMS: &[(Oid<'static>, &str)] =
    &[(oids::OID_SIG_ED25519, "Ed25519"), (oids::OID_SIG_ED448, "Ed448"), (oid!(1.2.840.10045.4.1), "ecdsa-with-SHA1")];

/// RFC 9155: signatures with these hashes prove nothing.
const FORGEABLE: &[Oid<'static>] =
    &[oids::OID_PKCS1_MD5WITHRSAENC, oids::OID_PKCS1_SHA1WITHRSA, oid!(1.2.840.10045.4.1)];

#[cfg(test)]
mod tests {
    use super::*;

    const DER: &[u8] = include_bytes!("../../tests/data/certificates/rsa-1024.der");

    /// The certificate with another end of validity, a GeneralizedTime.
    fn ending(date: &[u8; 15]) -> Facts {
        let at = DER.windows(2).position(|pair| pair == [0x18, 15]).unwrap() + 2;
        let mut der = DER.to_vec();
        der[at..at + 15].copy_from_slice(date);
        Certificate::from_der(&der).facts.unwrap()
    }

    #[test]
    fn a_date_that_does_not_exist_costs_no_other_fact() {
        let whole = Certificate::from_der(DER).facts.unwrap();
        assert_eq!(whole.malformed, None);
        let facts = ending(b"20300230000000Z");
        assert_eq!(facts.not_after, Some(1_898_640_000), "30 February is 2 March");
        assert_eq!(facts.malformed.as_deref(), Some("the end of its validity does not exist in the calendar"));
        let facts = ending(b"20301399000000Z");
        assert_eq!(facts.not_after, None);
        let same = Facts { not_after: whole.not_after, malformed: None, ..facts };
        assert_eq!(same, whole);
    }

    #[test]
    fn a_part_that_is_cut_off_costs_only_what_follows() {
        let whole = Certificate::from_der(DER).facts.unwrap();
        let mut seen = 0;
        for length in 0..DER.len() {
            let Some(facts) = Certificate::from_der(&DER[..length]).facts else { continue };
            assert!(facts.malformed.is_some());
            assert_eq!(facts.window(), whole.window());
            assert!(facts.subject == whole.subject || facts.subject.is_empty());
            assert!(facts.key == whole.key || facts.key.is_empty());
            seen += 1;
        }
        assert!(seen > DER.len() / 2, "{seen}");
    }
}
