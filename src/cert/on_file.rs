//! The certificate in a file, to be held against the one that a server shows.
//!
//! The file is the server's own: it may hold a private key beside the certificate. Nothing of it but the facts of
//! the certificate is kept, and no message quotes it.

use std::path::{Path, PathBuf};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::facts::{Certificate, Facts};

/// A certificate on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFile {
    /// Where it is.
    pub path: PathBuf,
    /// The first certificate in it: servers want their own before those that vouch for it (RFC 8446 §4.4.2).
    pub leaf: Certificate,
}

impl CertificateFile {
    /// Takes the first certificate of a PEM file; the error says what is wrong with the file.
    pub fn from_pem(path: &Path, pem: &[u8]) -> Result<Self, String> {
        // A parse error could quote the file: it is told in words of our own.
        let der = CertificateDer::pem_slice_iter(pem).next().and_then(Result::ok);
        let der = der.ok_or("it has no readable certificate (-----BEGIN CERTIFICATE-----)")?;
        let leaf = Certificate::from_der(&der);
        if leaf.facts.is_none() {
            return Err("its first certificate cannot be read as X.509".into());
        }
        Ok(Self { path: path.to_owned(), leaf })
    }

    /// What it says.
    pub fn facts(&self) -> Option<&Facts> {
        self.leaf.facts.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_key_is_told() {
        let secret = "c2VjcmV0IHNlY3JldCBzZWNyZXQ=";
        for pem in [
            format!("-----BEGIN PRIVATE KEY-----\n{secret}\n-----END PRIVATE KEY-----\n"),
            format!("-----BEGIN CERTIFICATE-----\n{secret}!\n-----END CERTIFICATE-----\n"),
            format!("-----BEGIN CERTIFICATE-----\n{secret}\n-----END CERTIFICATE-----\n"),
            secret.to_owned(),
        ] {
            let error = CertificateFile::from_pem(Path::new("mail.pem"), pem.as_bytes()).unwrap_err();
            assert!(!error.contains("c2Vj") && error.starts_with("it"), "{error}");
        }
    }
}
