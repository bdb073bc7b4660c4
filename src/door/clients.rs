//! The certificates of clients: who signed them, and whose they are.

use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer as _;

use crate::config::web::ClientCertificates;

/// Asks clients for certificates. That they have the keys is always verified.
#[derive(Debug)]
pub(super) struct Verifier {
    wanted: ClientCertificates,
    /// Verifies chains; `None`: who signed it does not matter.
    chains: Option<Arc<dyn ClientCertVerifier>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Verifier {
    pub(super) fn new(wanted: ClientCertificates, provider: &Arc<CryptoProvider>) -> Result<Self, String> {
        let chains = wanted.roots.as_ref().map(|roots| {
            WebPkiClientVerifier::builder_with_provider(roots.store.clone(), provider.clone())
                .build()
                .map_err(|error| format!("the certificates of clients cannot be verified: {error}"))
        });
        Ok(Self { chains: chains.transpose()?, wanted, algorithms: provider.signature_verification_algorithms })
    }

    fn verify_chain(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        let Some(chains) = &self.chains else { return ParsedCertificate::try_from(leaf).map(drop) };
        let verified = chains.verify_client_cert(leaf, others, now).map(drop);
        // One that is named itself needs no signature, as with Go: the way of `openssl req -x509`, whose
        // certificates are authorities too, which no chain may end with.
        let named = self.wanted.roots.as_ref().is_some_and(|roots| roots.named.contains(leaf));
        verified.or_else(|error| if named && is_for_clients(leaf, now) { Ok(()) } else { Err(error) })
    }
}

impl ClientCertVerifier for Verifier {
    fn client_auth_mandatory(&self) -> bool {
        self.wanted.required
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.chains.as_ref().map_or(&[], |chains| chains.root_hint_subjects())
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.verify_chain(leaf, others, now)?;
        let allowed = &self.wanted.allowed_names;
        if !allowed.is_empty() && !has_one_of(leaf, allowed) {
            return Err(CertificateError::ApplicationVerificationFailure.into());
        }
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, leaf, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, leaf, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Within its time, and not made for something else (RFC 5280 §4.2.1.12).
fn is_for_clients(der: &[u8], now: UnixTime) -> bool {
    let Ok((_, certificate)) = X509Certificate::from_der(der) else { return false };
    let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    let validity = certificate.validity();
    let in_time = (validity.not_before.timestamp()..=validity.not_after.timestamp()).contains(&now);
    let usage = match certificate.extended_key_usage() {
        Ok(usage) => usage.is_none_or(|usage| usage.value.client_auth || usage.value.any),
        Err(_) => false,
    };
    in_time && usage
}

/// Whether a certificate has one of these alternative names: DNS, e-mail, URI or IP address. The subject is
/// never looked at.
fn has_one_of(der: &[u8], allowed: &[String]) -> bool {
    let Ok((_, certificate)) = X509Certificate::from_der(der) else { return false };
    let Ok(Some(extension)) = certificate.subject_alternative_name() else { return false };
    extension.value.general_names.iter().any(|name| allowed.iter().any(|allowed| is(name, allowed)))
}

fn is(name: &GeneralName<'_>, allowed: &str) -> bool {
    match name {
        // RFC 4343: names of hosts have no case.
        GeneralName::DNSName(dns) => dns.eq_ignore_ascii_case(allowed),
        GeneralName::RFC822Name(text) | GeneralName::URI(text) => *text == allowed,
        GeneralName::IPAddress(octets) => match allowed.parse() {
            Ok(std::net::IpAddr::V4(address)) => *octets == address.octets(),
            Ok(std::net::IpAddr::V6(address)) => *octets == address.octets(),
            Err(_) => false,
        },
        _ => false,
    }
}
