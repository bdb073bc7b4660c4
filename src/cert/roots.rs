//! Trust anchors, and whether a chain leads to one of them (RFC 5280 §6).

use std::fmt;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{WebPkiSupportedAlgorithms, aws_lc_rs};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, Error, RootCertStore};

/// The certificates that are believed without proof.
pub struct Roots {
    /// No others of this process have the same.
    id: u64,
    store: RootCertStore,
    /// The certificates of a `ca_file` byte for byte: a self-signed leaf that is named there is trusted.
    named: Vec<CertificateDer<'static>>,
}

/// Why a chain does not lead to a root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChainFault {
    /// No root, nor a certificate the server sent, signed it.
    UnknownIssuer,
    /// A certificate on the way has expired.
    Expired,
    /// A certificate on the way is not valid yet.
    NotYetValid,
    /// It cannot be read as X.509 v3.
    Malformed,
    /// Another rule of RFC 5280 is broken, named in words.
    Other(String),
}

impl Roots {
    /// The roots of this system, or Mozilla's as of the build where the system has none (an empty
    /// container). Says in words what it did when that is not the plain case.
    pub fn system() -> (Self, Option<String>) {
        let found = rustls_native_certs::load_native_certs();
        let mut store = RootCertStore::empty();
        let (_, ignored) = store.add_parsable_certificates(found.certs);
        let note = if store.is_empty() {
            store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
            Some("this system has no trusted certificates; using the built-in Mozilla roots".into())
        } else {
            (ignored > 0)
                .then(|| format!("{ignored} of the system's trusted certificates cannot be read and are ignored"))
        };
        (Self::new(store, Vec::new()), note)
    }

    /// The certificates of a PEM file, and no others.
    pub fn from_pem(pem: &[u8]) -> Result<Self, String> {
        let named = CertificateDer::pem_slice_iter(pem)
            .collect::<Result<Vec<_>, _>>()
            // No detail: it would quote the file, which may be one with a key by mistake.
            .map_err(|_| "it is no valid PEM file".to_owned())?;
        let mut store = RootCertStore::empty();
        let (added, _) = store.add_parsable_certificates(named.iter().cloned());
        if added == 0 {
            return Err("it has no readable certificate (-----BEGIN CERTIFICATE-----)".into());
        }
        Ok(Self::new(store, named))
    }

    fn new(store: RootCertStore, named: Vec<CertificateDer<'static>>) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        Self { id: COUNT.fetch_add(1, Ordering::Relaxed), store, named }
    }

    /// What tells them from all other roots of this process.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Whether the chain, as sent, leads to a root at a given time.
    pub fn verify(&self, chain: &[CertificateDer<'_>], at: UnixTime) -> Result<(), ChainFault> {
        let Some((leaf, others)) = chain.split_first() else { return Err(ChainFault::UnknownIssuer) };
        if self.named.contains(leaf) {
            return Ok(());
        }
        ParsedCertificate::try_from(leaf)
            .and_then(|parsed| {
                verify_server_cert_signed_by_trust_anchor(&parsed, &self.store, others, at, ALGORITHMS.all)
            })
            .map_err(|error| ChainFault::of(&error))
    }
}

/// The signatures that can be checked.
static ALGORITHMS: LazyLock<WebPkiSupportedAlgorithms> =
    LazyLock::new(|| aws_lc_rs::default_provider().signature_verification_algorithms);

impl ChainFault {
    fn of(error: &Error) -> Self {
        let Error::InvalidCertificate(error) = error else { return Self::Other(error.to_string()) };
        match error {
            CertificateError::UnknownIssuer => Self::UnknownIssuer,
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => Self::Expired,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => Self::NotYetValid,
            CertificateError::BadEncoding => Self::Malformed,
            CertificateError::Other(other) => match format!("{other:?}") {
                text if text.contains("UnsupportedCertVersion") => Self::Malformed,
                text if text.contains("CaUsedAsEndEntity") => {
                    Self::Other("it is a CA certificate, which must not serve as a server's own".into())
                }
                text => Self::Other(text),
            },
            other => Self::Other(other.to_string()),
        }
    }
}

impl fmt::Debug for Roots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Roots").field("certificates", &self.store.len()).finish()
    }
}
