//! Certificates made by hand, byte for byte: for all that a library refuses to make.
//!
//! [`Forged`] has the parts of a TBSCertificate (RFC 5280 §4.1) as DER; change one and sign. Whatever is put in comes
//! out, true or not.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use rcgen::{KeyPair, PublicKeyData, SigningKey};
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{ServerConfig, SupportedProtocolVersion};

pub const UTC: u8 = 0x17;
pub const GENERALIZED: u8 = 0x18;
pub const UTF8: u8 = 0x0c;
pub const BMP: u8 = 0x1e;
pub const T61: u8 = 0x14;

/// Algorithms of signatures, as the content of an OBJECT IDENTIFIER.
pub const ECDSA_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
pub const ECDSA_SHA1: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 1];
pub const RSA_SHA1: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 5];
pub const RSA_MD5: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 4];

/// One element with a length of the shortest form.
pub fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let digits = length.to_be_bytes();
    let digits = &digits[digits.iter().take_while(|digit| **digit == 0).count()..];
    let header = if length < 128 { vec![length as u8] } else { [&[0x80 | digits.len() as u8], digits].concat() };
    [&[tag][..], &header, content].concat()
}

pub fn sequence(parts: &[Vec<u8>]) -> Vec<u8> {
    tlv(0x30, &parts.concat())
}

/// A name of one attribute: CN, whose text has this type.
pub fn common_name(tag: u8, text: &[u8]) -> Vec<u8> {
    sequence(&[tlv(0x31, &sequence(&[tlv(6, &[0x55, 4, 3]), tlv(tag, text)]))])
}

pub fn extension(oid: &[u8], critical: bool, value: &[u8]) -> Vec<u8> {
    let critical = if critical { tlv(1, &[0xff]) } else { Vec::new() };
    sequence(&[tlv(6, oid), critical, tlv(4, value)])
}

/// Subject alternative names out of GeneralNames.
pub fn alternative_names(names: &[Vec<u8>]) -> Vec<u8> {
    extension(&[0x55, 0x1d, 0x11], false, &sequence(names))
}

pub fn dns(name: &str) -> Vec<u8> {
    tlv(0x82, name.as_bytes())
}

pub fn ip(octets: &[u8]) -> Vec<u8> {
    tlv(0x87, octets)
}

/// An RSA key of this size, of which nobody has the other half.
pub fn rsa_key(bits: usize) -> Vec<u8> {
    let mut modulus = vec![0x9d; bits / 8];
    modulus[bits / 8 - 1] |= 1;
    let key = sequence(&[tlv(2, &[&[0][..], &modulus].concat()), tlv(2, &[1, 0, 1])]);
    let algorithm = sequence(&[tlv(6, &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1]), tlv(5, &[])]);
    sequence(&[algorithm, tlv(3, &[&[0][..], &key].concat())])
}

/// What a certificate says, each part in DER.
#[derive(Clone, Debug)]
pub struct Forged {
    /// 2 is X.509 v3; `None` leaves the field out, as v1 does.
    pub version: Option<u8>,
    pub serial: Vec<u8>,
    pub signature: &'static [u8],
    pub issuer: Vec<u8>,
    pub not_before: (u8, String),
    pub not_after: (u8, String),
    pub subject: Vec<u8>,
    /// SubjectPublicKeyInfo.
    pub key: Vec<u8>,
    pub extensions: Vec<Vec<u8>>,
}

impl Forged {
    /// A right one, valid from 1970 to 2099.
    pub fn new(subject: &str, issuer: &str, key: &KeyPair) -> Forged {
        Forged {
            version: Some(2),
            serial: vec![0x0f, 0x1e],
            signature: ECDSA_SHA256,
            issuer: common_name(UTF8, issuer.as_bytes()),
            not_before: (UTC, "700101000000Z".into()),
            not_after: (GENERALIZED, "20991231235959Z".into()),
            subject: common_name(UTF8, subject.as_bytes()),
            key: key.subject_public_key_info(),
            extensions: Vec::new(),
        }
    }

    /// One that may sign others.
    pub fn authority(subject: &str, issuer: &str, key: &KeyPair) -> Forged {
        let is_ca = extension(&[0x55, 0x1d, 0x13], true, &sequence(&[tlv(1, &[0xff])]));
        Forged { extensions: vec![is_ca], ..Forged::new(subject, issuer, key) }
    }

    pub fn signed_by(&self, key: &KeyPair) -> Vec<u8> {
        let algorithm = sequence(&[tlv(6, self.signature)]);
        let time = |(tag, text): &(u8, String)| tlv(*tag, text.as_bytes());
        let mut parts = vec![
            self.version.map(|version| tlv(0xa0, &tlv(2, &[version]))).unwrap_or_default(),
            tlv(2, &self.serial),
            algorithm.clone(),
            self.issuer.clone(),
            sequence(&[time(&self.not_before), time(&self.not_after)]),
            self.subject.clone(),
            self.key.clone(),
        ];
        if !self.extensions.is_empty() {
            parts.push(tlv(0xa3, &sequence(&self.extensions)));
        }
        let signed = sequence(&parts);
        let signature = key.sign(&signed).unwrap();
        sequence(&[signed, algorithm, tlv(3, &[&[0][..], &signature].concat())])
    }
}

/// A time as certificates of our days have it.
pub fn generalized(time: SystemTime) -> (u8, String) {
    let seconds = time.duration_since(UNIX_EPOCH).unwrap().as_secs();
    let text = humantime::format_rfc3339_seconds(UNIX_EPOCH + std::time::Duration::from_secs(seconds)).to_string();
    (GENERALIZED, text.replace(['-', 'T', ':'], ""))
}

/// A server that shows these certificates, whatever they are, and has the key of the first.
pub fn showing(
    chain: Vec<Vec<u8>>,
    key: &KeyPair,
    versions: &[&'static SupportedProtocolVersion],
) -> Arc<ServerConfig> {
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let signer = aws_lc_rs::sign::any_supported_type(&key).unwrap();
    let shown = Shown(Arc::new(CertifiedKey::new(chain.into_iter().map(CertificateDer::from).collect(), signer)));
    let builder = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let builder = builder.with_protocol_versions(versions).unwrap().with_no_client_auth();
    Arc::new(builder.with_cert_resolver(Arc::new(shown)))
}

#[derive(Debug)]
struct Shown(Arc<CertifiedKey>);

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }
}

/// For a `ca_file`.
pub fn pem(der: &[u8]) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}
