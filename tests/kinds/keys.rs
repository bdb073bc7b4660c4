//! Certificates that differ in their key, signature, version and serial number.
//!
//! RSA keys other than of 2048 bits have no private half here, since making one takes long: their server cannot sign,
//! and what counts is that the certificate is read. `tests/real_tls.rs` has OpenSSL make real ones.

use rcgen::{KeyPair, RsaKeySize};

use super::super::lab::forge::{ECDSA_SHA1, RSA_MD5, RSA_SHA1};
use super::{Lab, Row, p256};

pub fn rows(lab: &Lab) -> Vec<Row> {
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
        lab.one("F25", "serial 1", "", serial(&[1])).says("serial=01"),
        lab.one("F25", "serial of 21 bytes", "", serial(&[0x7f; 21])).says(format!("serial={}", "7f".repeat(21))),
    ]
}
