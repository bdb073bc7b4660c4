//! Our side of the handshake.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::{NoClientAuth, NoServerSessionStorage};
use rustls::sign::SingleCertAndKey;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::clients::Verifier;
use crate::config::web::Tls;

/// How long a client may take to shake hands.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// What someone is told who forgot the `s` of `https`.
const NOT_TLS: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n\
    Connection: close\r\n\r\n400: HTTPS is spoken here: write https:// before the address\n";

/// What rustls needs to know.
pub(super) fn server_config(tls: &Tls) -> Result<ServerConfig, String> {
    let provider = Arc::new(CryptoProvider {
        cipher_suites: tls.cipher_suites.clone(),
        kx_groups: tls.groups.clone(),
        ..aws_lc_rs::default_provider()
    });
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&tls.versions)
        .map_err(|error| format!("this cannot be spoken: {error}"))?;
    let builder = match &tls.clients {
        None => builder.with_client_cert_verifier(Arc::new(NoClientAuth)),
        Some(clients) => builder.with_client_cert_verifier(Arc::new(Verifier::new(clients.clone(), &provider)?)),
    };
    let identity = SingleCertAndKey::from(tls.certificate.clone());
    let mut config = builder.with_cert_resolver(Arc::new(identity));
    config.ignore_client_order = tls.our_order;
    // RFC 7301: a client that also offers h2 then knows that it is not spoken here.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    if tls.clients.is_some() {
        // A session taken up again would not show its certificate again, expired as it may be by then.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
    }
    Ok(config)
}

/// Shakes hands.
pub(super) async fn accept(tcp: TcpStream, config: Arc<ServerConfig>) -> io::Result<TlsStream<TcpStream>> {
    let accepted = timeout(HANDSHAKE, shake_hands(tcp, config)).await;
    accepted.unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, "the handshake took too long")))
}

async fn shake_hands(mut tcp: TcpStream, config: Arc<ServerConfig>) -> io::Result<TlsStream<TcpStream>> {
    let mut first = [0];
    tcp.peek(&mut first).await?;
    // RFC 8446 §5.1: a record begins with its type, which is no letter; a request of HTTP begins with one.
    if first[0].is_ascii_alphabetic() {
        let mut request = [0; 4096];
        let _ = tcp.read(&mut request).await?;
        tcp.write_all(NOT_TLS).await?;
        tcp.shutdown().await?;
        return Err(io::Error::other("plain HTTP where HTTPS is spoken"));
    }
    TlsAcceptor::from(config).accept(tcp).await
}
