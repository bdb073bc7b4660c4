//! The bare client: the same conversation with tokio and rustls, verified as any client would, nothing kept.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::Resumption;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::process::Role;
use crate::stub::{NAME, Stub};

/// Starts it: so many targets, each at this interval.
pub(crate) fn start(stub: &Stub, count: usize, interval: Duration) -> Role {
    let (port, count, interval) = (stub.port.to_string(), count.to_string(), interval.as_millis().to_string());
    Role::start(&["bare", stub.ca.to_str().unwrap(), &port, &count, &interval])
}

/// The address of a target.
pub(crate) fn address(number: usize) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(Ipv4Addr::new(127, 1, 0, 1)) + number as u32)
}

/// The role itself: probes until it is killed.
pub(crate) fn play(ca: &str, port: &str, count: &str, interval: &str) {
    let (port, count): (u16, usize) = (port.parse().unwrap(), count.parse().unwrap());
    let interval = Duration::from_millis(interval.parse().unwrap());
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(ca).unwrap()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    let connector = TlsConnector::from(Arc::new(config));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let now = Instant::now();
        for number in 0..count {
            let mut ticks = interval_at(now + interval.mul_f64(number as f64 / count as f64), interval);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
            let (connector, target) = (connector.clone(), SocketAddr::from((address(number), port)));
            tokio::spawn(async move {
                loop {
                    ticks.tick().await;
                    probe(&connector, target).await.unwrap();
                }
            });
        }
        std::future::pending::<()>().await;
    });
}

async fn probe(connector: &TlsConnector, target: SocketAddr) -> io::Result<()> {
    let mut clear = TcpStream::connect(target).await?;
    clear.set_nodelay(true)?;
    reply(&mut clear).await?;
    clear.write_all(b"EHLO probe.bench.test\r\n").await?;
    reply(&mut clear).await?;
    clear.write_all(b"STARTTLS\r\n").await?;
    reply(&mut clear).await?;
    let mut secure = connector.connect(ServerName::try_from(NAME).unwrap(), clear).await?;
    secure.write_all(b"EHLO probe.bench.test\r\n").await?;
    reply(&mut secure).await?;
    secure.write_all(b"QUIT\r\n").await?;
    reply(&mut secure).await?;
    secure.shutdown().await
}

/// Reads to the end of a reply.
async fn reply(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> io::Result<()> {
    let (mut buffer, mut end) = ([0; 4096], 0);
    loop {
        let read = stream.read(&mut buffer[end..]).await?;
        end += read;
        let is_last = |line: &[u8]| line.get(3) == Some(&b' ');
        let whole = buffer[..end].strip_suffix(b"\r\n");
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if whole.is_some_and(|lines| lines.split(|b| *b == b'\n').next_back().is_some_and(is_last)) {
            return Ok(());
        }
    }
}
