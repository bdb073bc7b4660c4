//! A second look at a server, with an old hello: because it is too old for us, or since it ought to be too new for that.
//!
//! rustls has no TLS before 1.2, no RSA key exchange and no CBC. A handshake that fails for want of those shows no
//! certificate, and its expiry would go unseen. So the server is asked once more, by hand ([`crate::hello`]): what
//! it would agree on, and which certificate it has. No key is exchanged. The probe has failed all the same.
//!
//! Where a module expects that old TLS is refused (`expect.old_tls`), a server that has agreed on TLS 1.2 or 1.3 is
//! tempted in the same way: would it speak TLS 1.1 or older with a client that knows no better?
//!
//! It happens at most once a probe, by the same way as the first connection (through a proxy, with the PROXY protocol),
//! within what is left of the probe's time, in the same place that the first connection had at the address, and its time
//! is in no phase.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::dial::{Waiting, dial};
use super::run::{Halt, Run};
use super::stream::Stream;
use super::zone::socket_address;
use super::{drive, io_error, tls};
use crate::cert::name::ServerName;
use crate::dns::Resolver;
use crate::endpoint::{Security, TlsVersion};
use crate::hello::Version;
use crate::hello::client::{client_hello, goodbye};
use crate::hello::server::{Answer, Fault, Seen};
use crate::outcome::failure::{Failure, Reason};
use crate::outcome::transcript::Speaker;
use crate::outcome::{OldTls, TlsFacts};
use crate::phase::Phase;
use crate::proxy::Destination;

/// How long the server may take to close after our goodbye.
const CLOSE_WAIT: Duration = Duration::from_millis(100);

/// What a server says to an offer of old TLS.
#[derive(Default)]
struct Reply {
    /// What it would agree on, as far as it has said so.
    seen: Option<Seen>,
    end: End,
}

/// How the server's words ended.
#[derive(Clone, Copy, Default)]
enum End {
    /// It said all that it says in clear.
    Whole,
    /// With this alert.
    Alert(u8),
    /// It hung up on the hello.
    HungUp,
    /// Nobody knows: the connection failed before, or something else was said, or nothing in time.
    #[default]
    Unknown,
}

/// Looks again after a handshake that failed, adds what is seen to the findings, and tells the failure better.
pub(super) async fn look(run: &mut Run, resolver: &Resolver, failure: Failure) -> Failure {
    let reply = ask(run, resolver, Version::Tls12).await;
    match (reply.seen, reply.end) {
        (Some(seen), _) => note(run, &seen, failure),
        (None, End::Alert(alert)) => {
            event(run, &format!("alert {alert}"));
            failure
        }
        (None, _) => failure,
    }
}

/// Notes whether a server that can do better would speak TLS 1.1 or older.
pub(super) async fn tempt(run: &mut Run, resolver: &Resolver) {
    let reply = ask(run, resolver, Version::Tls11).await;
    let old_tls = match (reply.seen, reply.end) {
        // Nothing newer was offered: a newer version is no answer.
        (Some(seen), End::Whole) if seen.version < Version::Tls12 => OldTls::Accepted(facts(&seen)),
        // Also behind a ServerHello: OpenSSL finds only then that it has no signature to go with the old version.
        (_, End::Alert(alert)) => OldTls::Refused(Some(alert)),
        // As Windows does it. Without a reply to STARTTLS before, it may as well be that the connection was unwelcome.
        (None, End::HungUp) if run.endpoint.module.security != Security::Tls => OldTls::Refused(None),
        _ => return,
    };
    let text = match &old_tls {
        OldTls::Accepted(tls) => format!("{} {}", tls.version.as_str(), tls.cipher),
        OldTls::Refused(Some(alert)) => format!("alert {alert}"),
        OldTls::Refused(None) => "the end".to_owned(),
    };
    event(run, &text);
    run.findings.old_tls = Some(old_tls);
}

/// Whether a server agrees on one of the TLS versions up to `newest`, asked on a connection of its own.
async fn ask(run: &Run, resolver: &Resolver, newest: Version) -> Reply {
    let endpoint = &run.endpoint;
    let to = match run.findings.address {
        Some(address) => Destination::Address(socket_address(address, run.interface, endpoint.port)),
        // The proxy alone knows where the first connection went.
        None => Destination::of(&endpoint.host, endpoint.port),
    };
    converse(&mut run.aside(), resolver, &to, newest).await.unwrap_or_default()
}

async fn converse(aside: &mut Run, resolver: &Resolver, to: &Destination, newest: Version) -> Result<Reply, Halt> {
    aside.enter(Phase::Connect);
    let (endpoint, waiting) = (aside.endpoint.clone(), Waiting::default());
    let dialled = aside.within(dial(resolver, &endpoint.module, to, &waiting)).await?;
    let Ok(tcp) = dialled else { return Ok(Reply::default()) };
    aside.connected();
    let mut stream = Stream::new(tcp);
    if aside.endpoint.module.security != Security::Tls {
        let Some(ready) = drive::up_to_tls(aside, stream).await else { return Ok(Reply::default()) };
        stream = ready;
    }
    aside.enter(Phase::Tls);
    let name = match aside.endpoint.server_name() {
        ServerName::Dns(name) => Some(name.clone()),
        // RFC 6066 §3: an address is no name to ask for.
        ServerName::Ip(_) | ServerName::Link(..) => None,
    };
    let hello = client_hello(newest, name.as_deref(), &tls::random());
    let mut answer = Answer::default();
    let read = aside.within(read_answer(&mut stream, &hello, &mut answer)).await;
    let seen = answer.into_seen();
    leave(&mut stream, seen.as_ref().map_or(Version::Tls10, |seen| seen.version)).await;
    let end = match read {
        Ok(Ok(end)) => end,
        Ok(Err(error)) if io_error::is_end(&error) => End::HungUp,
        _ => End::Unknown,
    };
    Ok(Reply { seen, end })
}

async fn read_answer(stream: &mut Stream, hello: &[u8], answer: &mut Answer) -> io::Result<End> {
    stream.write_all(hello).await?;
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer).await? {
            0 => return Ok(End::HungUp),
            length => match answer.feed(buffer.get(..length).unwrap_or_default()) {
                Ok(false) => {}
                Ok(true) => return Ok(End::Whole),
                Err(Fault::Alert(alert)) => return Ok(End::Alert(alert)),
                Err(_) => return Ok(End::Unknown),
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
    let tls = facts(seen);
    let (version, agreed) = (tls.version, format!("{} {}", tls.version.as_str(), tls.cipher));
    event(run, &agreed);
    let chain = seen.chain.iter().map(|der| der.clone().into()).collect();
    run.findings.certificate = tls::certificate_facts(run, chain);
    run.findings.tls = Some(tls.clone());
    if version < TlsVersion::Tls12 {
        run.findings.old_tls = Some(OldTls::Accepted(tls));
        // It was offered TLS 1.2, and has chosen the newest it has (RFC 5246 §E.1).
        failure.reason = Reason::TlsVersion;
        failure.detail = format!("the newest TLS of the server is {agreed}");
    } else {
        failure.detail = format!("{}; with old clients it agrees on {agreed}", failure.detail);
    }
    failure
}

fn event(run: &mut Run, answer: &str) {
    let text = format!("second connection, with an old hello: {answer}");
    run.findings.transcript.add(run.elapsed(), Speaker::Event, &text);
}

fn facts(seen: &Seen) -> Arc<TlsFacts> {
    let group = seen.group.map(Into::into);
    Arc::new(TlsFacts { version: version(seen.version), cipher: seen.suite.into(), group })
}

fn version(seen: Version) -> TlsVersion {
    match seen {
        Version::Ssl3 => TlsVersion::Ssl3,
        Version::Tls10 => TlsVersion::Tls10,
        Version::Tls11 => TlsVersion::Tls11,
        Version::Tls12 => TlsVersion::Tls12,
    }
}
