//! The TLS handshake, which sees the certificate whatever its worth.
//!
//! The verifier accepts every certificate, keeps the chain, and leaves the verdict to
//! [`crate::cert::verdict`]: so the dialogue goes on, and one connection shows everything. Signatures of
//! the handshake itself are still checked; a key that rustls refuses (RSA below 2048 or above 8192 bits,
//! X.509 v1) therefore ends the handshake, with the chain already kept.
//!
//! A server that has only TLS older than 1.2, or only suites that rustls does not have, is looked at again by
//! [`super::legacy`].
//!
//! Sessions are never resumed: a resumed one shows no certificate, and its expiry would go stale.

use std::io;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::SystemTime;

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName as TlsName, UnixTime};
use rustls::sign::SingleCertAndKey;
use rustls::{
    AlertDescription, CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, Error, InvalidMessage,
    NamedGroup,
};
use rustls::{ProtocolVersion, SignatureScheme};
use tokio_rustls::TlsConnector;

use super::io_error;
use super::run::{Halt, Run};
use super::stream::{Stream, Watched};
use crate::cert::chain::Chains;
use crate::cert::links;
use crate::cert::name::ServerName;
use crate::cert::verdict::{self, Invalid};
use crate::endpoint::{Module, Security, TlsVersion};
use crate::hello::server::MAX_HANDSHAKE;
use crate::mail::Printable;
use crate::outcome::failure::{Failure, Reason};
use crate::outcome::transcript::Speaker;
use crate::outcome::{CertificateFacts, TlsFacts};
use crate::phase::Phase;

/// The longest RSA key whose signatures are verified here.
const MAX_RSA_BITS: usize = 8192;

static PROVIDER: LazyLock<Arc<CryptoProvider>> =
    LazyLock::new(|| Arc::new(rustls::crypto::aws_lc_rs::default_provider()));

/// Every chain that an outcome shows, whoever probed it.
static CHAINS: LazyLock<Chains> = LazyLock::new(Chains::default);

/// Without a client certificate; what all handshakes share is made once.
static CONFIG: LazyLock<Result<ClientConfig, Error>> = LazyLock::new(|| {
    let builder = ClientConfig::builder_with_provider(PROVIDER.clone())
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Recorder::default()));
    let mut config = builder.with_no_client_auth();
    config.resumption = Resumption::disabled();
    Ok(config)
});

/// Does now what the first handshake of the process would do otherwise, and be measured with it.
pub(super) fn warm_up() {
    // Only the time it takes matters.
    let _ = PROVIDER.secure_random.fill(&mut [0; 1]);
}

/// For a hello. It protects nothing: no key is ever made from it.
pub(super) fn random() -> [u8; 32] {
    let mut bytes = [0; 32];
    let _ = PROVIDER.secure_random.fill(&mut bytes);
    bytes
}

/// Does the handshake and notes what it shows, in success and in failure.
pub(super) async fn handshake(run: &mut Run, stream: Stream) -> Result<Stream, Halt> {
    run.enter(Phase::Tls);
    let Stream::Clear(tcp) = stream else {
        return Err(Failure::new(Phase::Tls, Reason::Internal, "TLS inside TLS was asked for").into());
    };
    let recorder = Arc::new(Recorder::default());
    let config = config(&run.endpoint.module, recorder.clone())
        .map_err(|error| Failure::new(Phase::Tls, Reason::Internal, format!("TLS cannot be set up: {error}")))?;
    let name = tls_name(run.endpoint.server_name())
        .ok_or_else(|| Failure::new(Phase::Tls, Reason::Internal, "the server name cannot be asked for in TLS"))?;
    let connect = TlsConnector::from(config).connect(name, Watched::new(tcp, MAX_HANDSHAKE)).into_fallible();
    let result = run.within(connect).await;
    let ended = run.now();
    run.findings.certificate = certificate_facts(run, recorder.take());
    let mut tls = match result? {
        Ok(tls) => tls,
        Err((error, mut watched)) => {
            if io_error::is_end(&error) {
                // Said before it hung up, and unread if it did so before our hello.
                let _ = run.within(watched.hear_out()).await;
            }
            run.turn(None, watched.began.unwrap_or(ended));
            let failure = failure(run, &error, &watched.first);
            if failure.reason == Reason::PlaintextOnTlsPort {
                run.findings.transcript.received(run.elapsed(), &watched.first);
            }
            if run.findings.certificate.is_none() && is_too_old(&error) {
                run.suspect_old_tls();
            }
            run.lap_at(Phase::Tls, ended);
            return Err(failure.into());
        }
    };
    let (watched, connection) = tls.get_mut();
    watched.unwatch();
    // From the hello to the server's last word. How long we calculate before and after it is our own affair.
    run.turn(None, watched.began.unwrap_or(ended));
    run.lap_at(Phase::Tls, watched.tcp.received().unwrap_or(ended));
    let sent = watched.tcp.sent().unwrap_or(ended);
    run.turn(None, sent);
    let facts = facts(connection);
    if let Some(facts) = &facts {
        let event =
            format!("TLS: {} {} {}", facts.version.as_str(), facts.cipher, facts.group.as_deref().unwrap_or(""));
        run.findings.transcript.add(run.elapsed_at(sent), Speaker::Event, &event);
    }
    run.findings.tls = facts.map(Arc::new);
    Ok(Stream::Tls(Box::new(tls)))
}

/// An alert that arrives with the first data after the handshake, as TLS 1.3 has it when the server
/// wanted a client certificate (RFC 8446 §4.4.2.4).
pub(super) fn alert(phase: Phase, error: &io::Error) -> Option<Failure> {
    Some(match tls_error(error) {
        Some(Error::AlertReceived(alert)) => alert_failure(phase, *alert),
        Some(other) => Failure::new(phase, Reason::TlsProtocol, format!("TLS broke: {other}")),
        None => limit(phase, error)?,
    })
}

/// rustls stops reading from a server that sends more than TLS has a use for, such as a thousand session tickets.
/// The error is its own, not one of the system.
fn limit(phase: Phase, error: &io::Error) -> Option<Failure> {
    let own =
        error.raw_os_error().is_none() && matches!(error.kind(), io::ErrorKind::Other | io::ErrorKind::InvalidData);
    own.then(|| Failure::new(phase, Reason::TlsProtocol, format!("the server sent too much TLS: {error}")))
}

fn config(module: &Module, recorder: Arc<Recorder>) -> Result<Arc<ClientConfig>, Error> {
    let mut config = CONFIG.clone()?;
    config.dangerous().set_certificate_verifier(recorder);
    if let Some(key) = &module.client_certificate {
        config.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(key.clone()));
    }
    Ok(Arc::new(config))
}

/// For an address there is no SNI (RFC 6066 §3).
fn tls_name(name: &ServerName) -> Option<TlsName<'static>> {
    match name {
        ServerName::Ip(address) => Some(TlsName::IpAddress((*address).into())),
        ServerName::Link(address, _) => Some(TlsName::IpAddress(std::net::IpAddr::V6(*address).into())),
        ServerName::Dns(name) => TlsName::try_from(name.clone()).ok(),
    }
}

/// What servers say, or do, that have nothing in common with us.
fn is_too_old(error: &io::Error) -> bool {
    use AlertDescription::{HandshakeFailure, InsufficientSecurity, ProtocolVersion};
    match tls_error(error) {
        Some(Error::AlertReceived(alert)) => matches!(alert, ProtocolVersion | HandshakeFailure | InsufficientSecurity),
        Some(Error::PeerIncompatible(_)) => true,
        _ => false,
    }
}

pub(super) fn certificate_facts(run: &Run, chain: Vec<CertificateDer<'static>>) -> Option<CertificateFacts> {
    let kept = links::shorten(chain);
    if kept.is_empty() {
        return None;
    }
    let chain = CHAINS.get(&kept);
    let now = run.wall_clock().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64);
    let invalid = verdict::judge(&chain, &kept, run.endpoint.server_name(), now, &run.endpoint.module.roots);
    Some(CertificateFacts { chain, invalid })
}

fn facts(connection: &ClientConnection) -> Option<TlsFacts> {
    let version = match connection.protocol_version()? {
        ProtocolVersion::TLSv1_2 => TlsVersion::Tls12,
        ProtocolVersion::TLSv1_3 => TlsVersion::Tls13,
        _ => return None,
    };
    // IANA has no version in the names of the TLS 1.3 suites.
    let cipher = format!("{:?}", connection.negotiated_cipher_suite()?.suite()).replacen("TLS13_", "TLS_", 1);
    let group = connection.negotiated_key_exchange_group().map(|group| match group.name() {
        NamedGroup::X25519 => "x25519".to_owned(),
        NamedGroup::secp256r1MLKEM768 => "SecP256r1MLKEM768".to_owned(),
        other => format!("{other:?}"),
    });
    Some(TlsFacts { version, cipher, group })
}

/// Why a handshake failed. The certificate explains it, if one was seen that TLS cannot work with.
fn failure(run: &Run, error: &io::Error, first: &[u8]) -> Failure {
    let Some(error) = tls_error(error) else {
        // The end of the stream after some clear text is the clear text's fault.
        return clear_text(run, first)
            .or_else(|| limit(Phase::Tls, error))
            .unwrap_or_else(|| io_error::failure(Phase::Tls, error));
    };
    let protocol = |detail: String| Failure::new(Phase::Tls, Reason::TlsProtocol, detail);
    match error {
        Error::AlertReceived(alert) => alert_failure(Phase::Tls, *alert),
        Error::InvalidMessage(InvalidMessage::HandshakePayloadTooLarge) => {
            protocol("the certificate chain is longer than TLS libraries accept (64 KiB)".into())
        }
        Error::InvalidMessage(_) if clear_text(run, first).is_some() => {
            clear_text(run, first).unwrap_or_else(|| protocol(error.to_string()))
        }
        Error::PeerIncompatible(
            rustls::PeerIncompatible::ServerDoesNotSupportTls12Or13
            | rustls::PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
        ) => Failure::new(Phase::Tls, Reason::TlsVersion, "the server offers no TLS version from 1.2 on"),
        Error::InvalidCertificate(fault) => unusable(run, fault)
            .or_else(|| too_long(run).map(protocol))
            .unwrap_or_else(|| protocol(format!("the server's key does not prove its certificate: {error}"))),
        other => protocol(format!("the handshake failed: {other}")),
    }
}

/// A certificate whose weakness or form, or a rule in it that nobody knows, is why the handshake could not go on.
fn unusable(run: &Run, fault: &CertificateError) -> Option<Failure> {
    let certificate = run.findings.certificate.as_ref()?;
    let blocks = |reason| match reason {
        Invalid::Weak | Invalid::Malformed => true,
        Invalid::NotTrusted => *fault != CertificateError::BadSignature,
        _ => false,
    };
    let blocking: Vec<_> = certificate.invalid.iter().filter(|finding| blocks(finding.reason)).cloned().collect();
    Failure::certificate(&blocking)
}

/// A key that is longer than what is verified, which says nothing bad about the server.
fn too_long(run: &Run) -> Option<String> {
    let facts = run.findings.certificate.as_ref()?.leaf()?.facts.as_ref()?;
    let bits = facts.rsa_bits.filter(|bits| *bits > MAX_RSA_BITS)?;
    Some(format!(
        "the server's key has {bits} bits: TLS libraries verify RSA keys of up to {MAX_RSA_BITS}, and so does this program"
    ))
}

fn alert_failure(phase: Phase, alert: AlertDescription) -> Failure {
    // RFC 8446 §6.2.
    let reason = if alert == AlertDescription::ProtocolVersion { Reason::TlsVersion } else { Reason::TlsAlert };
    Failure::new(phase, reason, format!("the server ended TLS with the alert {alert:?}"))
}

/// Text where a TLS record should be. Records begin with a byte from 20 to 23 (RFC 8446 §5.1); text may have a byte order
/// mark, blanks or empty lines in front.
fn clear_text(run: &Run, first: &[u8]) -> Option<Failure> {
    let first = first.strip_prefix("\u{feff}".as_bytes()).unwrap_or(first).trim_ascii_start();
    let line = first.split(|b| *b == b'\n').next().unwrap_or_default();
    if !first.first().is_some_and(|b| b.is_ascii_graphic()) {
        return None;
    }
    let implicit = run.endpoint.module.security == Security::Tls;
    let reason = if implicit { Reason::PlaintextOnTlsPort } else { Reason::TlsProtocol };
    let text = Printable::from_bytes(line.trim_ascii_end());
    let mut failure = Failure::new(Phase::Tls, reason, format!("the server sent “{text}” in clear instead of TLS"));
    let digits = first.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
    failure.code =
        digits.filter(|digits| digits.bytes().all(|b| b.is_ascii_digit())).and_then(|digits| digits.parse().ok());
    Some(failure)
}

fn tls_error(error: &io::Error) -> Option<&Error> {
    error.get_ref()?.downcast_ref::<Error>()
}

/// Accepts and remembers.
#[derive(Debug, Default)]
struct Recorder {
    chain: Mutex<Vec<CertificateDer<'static>>>,
}

impl Recorder {
    fn take(&self) -> Vec<CertificateDer<'static>> {
        std::mem::take(&mut self.chain.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn algorithms() -> &'static WebPkiSupportedAlgorithms {
        &PROVIDER.signature_verification_algorithms
    }
}

impl ServerCertVerifier for Recorder {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &TlsName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let chain = std::iter::once(end_entity).chain(intermediates).map(|der| der.clone().into_owned()).collect();
        *self.chain.lock().unwrap_or_else(PoisonError::into_inner) = chain;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, Self::algorithms())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, Self::algorithms())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        Self::algorithms().supported_schemes()
    }
}

#[cfg(test)]
#[path = "tls_tests.rs"]
mod tests;
