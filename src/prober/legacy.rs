//! A second look at a server that is too old for us: one more connection, with a hello that it understands.
//!
//! rustls has no TLS before 1.2, no RSA key exchange and no CBC. A handshake that fails for want of those shows no
//! certificate, and its expiry would go unseen. So the server is asked once more, by hand ([`crate::hello`]): what
//! it would agree on, and which certificate it has. No key is exchanged. The probe has failed all the same.
//!
//! It happens at most once a probe, within what is left of the probe's time, in the same place that the first
//! connection had at the address, and its time is in no phase.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use tokio::time::timeout;

use super::dial::open;
use super::run::{Halt, Run};
use super::stream::Stream;
use super::{drive, tls};
use crate::cert::name::ServerName;
use crate::endpoint::{Security, TlsVersion};
use crate::hello::Version;
use crate::hello::client::{client_hello, goodbye};
use crate::hello::server::{Answer, Fault, Seen};
use crate::outcome::TlsFacts;
use crate::outcome::failure::{Failure, Reason};
use crate::outcome::transcript::Speaker;
use crate::phase::Phase;

/// How long the server may take to close after our goodbye.
const CLOSE_WAIT: Duration = Duration::from_millis(100);

/// What a server says to an offer of old TLS.
pub(super) enum Reply {
    /// It takes it.
    Accepted(Seen),
    /// It ended the handshake with this alert before it agreed on anything.
    Refused(u8),
    /// Nobody knows: the connection failed, or something else was said.
    Unknown,
}

/// Looks again after a handshake that failed, adds what is seen to the findings, and tells the failure better.
pub(super) async fn look(run: &mut Run, failure: Failure) -> Failure {
    match ask(run, Version::Tls12).await {
        Reply::Accepted(seen) => note(run, &seen, failure),
        Reply::Refused(alert) => {
            event(run, &format!("second connection, with an old hello: alert {alert}"));
            failure
        }
        Reply::Unknown => failure,
    }
}

/// Whether a server agrees on one of the TLS versions up to `newest`, asked on a connection of its own.
pub(super) async fn ask(run: &Run, newest: Version) -> Reply {
    let mut aside = run.aside();
    // It goes straight to the server: not where something stands in between.
    if run.endpoint.module.proxy.is_some() || run.endpoint.module.proxy_protocol.is_some() {
        return Reply::Unknown;
    }
    let Some(address) = run.findings.address else { return Reply::Unknown };
    let target = SocketAddr::new(address, run.endpoint.port);
    match converse(&mut aside, target, newest).await {
        Ok(reply) => reply,
        Err(_) => Reply::Unknown,
    }
}

async fn converse(aside: &mut Run, target: SocketAddr, newest: Version) -> Result<Reply, Halt> {
    aside.enter(Phase::Connect);
    let source = aside.endpoint.module.source_address;
    let Ok(tcp) = aside.within(open(target, source)).await? else { return Ok(Reply::Unknown) };
    aside.connected();
    let mut stream = Stream::Clear(tcp);
    if aside.endpoint.module.security != Security::Tls {
        let Some(ready) = drive::up_to_tls(aside, stream).await else { return Ok(Reply::Unknown) };
        stream = ready;
    }
    aside.enter(Phase::Tls);
    let name = match aside.endpoint.server_name() {
        ServerName::Dns(name) => Some(name.clone()),
        // RFC 6066 §3: an address is no name to ask for.
        ServerName::Ip(_) => None,
    };
    let hello = client_hello(newest, name.as_deref(), &tls::random());
    let mut answer = Answer::default();
    let read = aside.within(read_answer(&mut stream, &hello, &mut answer)).await;
    let seen = answer.into_seen();
    leave(&mut stream, seen.as_ref().map_or(Version::Tls10, |seen| seen.version)).await;
    Ok(match (seen, read) {
        (Some(seen), _) => Reply::Accepted(seen),
        (None, Ok(Ok(Err(Fault::Alert(alert))))) => Reply::Refused(alert),
        (None, _) => Reply::Unknown,
    })
}

/// The inner result is what the server's words came to; their end without a fault is none either.
async fn read_answer(stream: &mut Stream, hello: &[u8], answer: &mut Answer) -> io::Result<Result<(), Fault>> {
    stream.write_all(hello).await?;
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer).await? {
            0 => return Ok(Ok(())),
            length => match answer.feed(buffer.get(..length).unwrap_or_default()) {
                Ok(false) => {}
                Ok(true) => return Ok(Ok(())),
                Err(fault) => return Ok(Err(fault)),
            },
        }
    }
}

/// Takes leave as far as a handshake that is not completed allows.
async fn leave(stream: &mut Stream, version: Version) {
    let farewell = async {
        stream.write_all(&goodbye(version)).await?;
        stream.shutdown().await?;
        let mut rest = [0; 512];
        while stream.read(&mut rest).await? > 0 {}
        io::Result::Ok(())
    };
    // Whatever comes of it, all that is wanted has been seen.
    let _ = timeout(CLOSE_WAIT, farewell).await;
}

fn note(run: &mut Run, seen: &Seen, mut failure: Failure) -> Failure {
    let version = version(seen.version);
    let agreed = format!("{} {}", version.as_str(), seen.suite);
    event(run, &format!("second connection, with an old hello: {agreed}"));
    let chain: Vec<CertificateDer<'static>> = seen.chain.iter().map(|der| der.clone().into()).collect();
    run.findings.certificate = tls::certificate_facts(run, &chain);
    run.findings.tls = Some(TlsFacts { version, cipher: seen.suite.into(), group: seen.group.map(Into::into) });
    if version < TlsVersion::Tls12 {
        // It was offered TLS 1.2, and has chosen the newest it has (RFC 5246 §E.1).
        failure.reason = Reason::TlsVersion;
        failure.detail = format!("the newest TLS of the server is {agreed}");
    } else {
        failure.detail = format!("{}; with old clients it agrees on {agreed}", failure.detail);
    }
    failure
}

fn event(run: &mut Run, text: &str) {
    run.findings.transcript.add(run.elapsed(), Speaker::Event, text);
}

fn version(seen: Version) -> TlsVersion {
    match seen {
        Version::Ssl3 => TlsVersion::Ssl3,
        Version::Tls10 => TlsVersion::Tls10,
        Version::Tls11 => TlsVersion::Tls11,
        Version::Tls12 => TlsVersion::Tls12,
    }
}
