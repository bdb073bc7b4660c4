//! Servers whose TLS is broken, old or hostile: how each probe ends, what is known all the same, and in which time.
//!
//! A row is what the server does once it has read the ClientHello, played both with implicit TLS and after STARTTLS.
//! `tests/FAULTS_TLS.md` has the rows as a table; `UPDATE=1` writes it.
//!
//! Elsewhere: E12 to E15 with real servers in `tests/real_tls.rs`; E30 (RSA 16384) is F22 of
//! `tests/certificate_kinds.rs`. Not played: E35 and E36, KeyUpdate floods and renegotiation, which no server of the
//! lab can send; E41, a compressed certificate, which is never asked for.

#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "a test fails by panicking")]

mod lab;
mod support;

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use lab::forge::{Forged, alternative_names, dns, showing};
use lab::{Authority, Chunking, DAY, Identity, Leaf, Options, Script, Server};
use mail_endpoint_exporter::outcome::Outcome;
use mail_endpoint_exporter::phase::Phase;
use mail_endpoint_exporter::prober::Prober;
use mail_endpoint_exporter::prober::seat::Seat;
use support::{no_names, one_endpoint, probe, table_is_current, verdict};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_rustls::rustls::crypto::{CryptoProvider, SupportedKxGroup, aws_lc_rs};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{ALL_VERSIONS, ServerConfig, ServerConnection, Stream, SupportedProtocolVersion};
use tokio_util::sync::CancellationToken;

const OFFER: &str = "S: 220 mx ESMTP\nC: EHLO x\nS: 250-mx\nS: 250 STARTTLS\nC: STARTTLS\nS: 220 go\n";
const GREETING: &str = "S: 220 mx ESMTP\nC: EHLO x\nS: 250 mx\nC: QUIT\nS: 221 bye\n*close";
const INSIDE: &str = "C: EHLO x\nS: 250 mx\nC: QUIT\nS: 221 bye\n*close";
const ANY: &str = "expect: {certificate: any}";

/// What the server does instead of a handshake, and how the probe ends: with implicit TLS, and after STARTTLS.
const ROWS: &[(&str, &str, &str, &str, &str)] = &[
    ("E2", "alert protocol_version", "*refuse-tls 70", "tls_version in tls", "tls_version in tls"),
    ("E3", "alert handshake_failure", "*refuse-tls 40", "tls_alert in tls", "tls_alert in tls"),
    ("E4", "alert unrecognized_name", "*refuse-tls 112", "tls_alert in tls", "tls_alert in tls"),
    ("E5", "alert insufficient_security", "*refuse-tls 71", "tls_alert in tls", "tls_alert in tls"),
    ("E6", "alert certificate_required", "*refuse-tls 116", "tls_alert in tls", "tls_alert in tls"),
    ("E7", "alert internal_error", "*refuse-tls 80", "tls_alert in tls", "tls_alert in tls"),
    ("E8", "alert access_denied", "*refuse-tls 49", "tls_alert in tls", "tls_alert in tls"),
    ("E9", "alert user_canceled", "*refuse-tls 90", "tls_alert in tls", "tls_alert in tls"),
    ("E9", "alert close_notify as a fatal one", "*refuse-tls 0", "tls_alert in tls", "tls_alert in tls"),
    (
        "E11",
        "an answer of SSL 2.0",
        "*client-hello\n*raw \\x80\\x03\\x00\\x00\\x01\n*close",
        "tls_protocol in tls",
        "tls_protocol in tls",
    ),
    (
        "E16",
        "SMTP in clear",
        "*client-hello\n*raw 554 5.7.1 go away\\r\\n\n*close",
        "plaintext_on_tls_port in tls",
        "tls_protocol in tls",
    ),
    (
        "E17",
        "HTTP",
        "*client-hello\n*raw HTTP/1.1 400 Bad Request\\r\\n\\r\\n\n*close",
        "plaintext_on_tls_port in tls",
        "tls_protocol in tls",
    ),
    (
        "E18",
        "garbage",
        "*client-hello\n*raw \\x99\\x98\\x97\\x96\\x95\\x94\\x93\\x92\\x91\n*close",
        "tls_protocol in tls",
        "tls_protocol in tls",
    ),
    (
        "E18",
        "garbage without end",
        "*client-hello\n*forever \\x16\\x03\\x03\\x40\\x00\\x99\\x98\\x97",
        "tls_protocol in tls",
        "tls_protocol in tls",
    ),
    (
        "E19",
        "a record of 65,535 bytes",
        "*client-hello\n*raw \\x16\\x03\\x03\\xff\\xff\\x02\n*idle",
        "tls_protocol in tls",
        "tls_protocol in tls",
    ),
    (
        "E20",
        "empty records without end",
        "*client-hello\n*forever \\x16\\x03\\x03\\x00\\x00",
        "tls_protocol in tls",
        "tls_protocol in tls",
    ),
    (
        "E21",
        "HelloRequest without end",
        "*client-hello\n*forever \\x16\\x03\\x03\\x00\\x04\\x00\\x00\\x00\\x00",
        "tls_protocol in tls",
        "tls_protocol in tls",
    ),
    (
        "E22",
        "ChangeCipherSpec first",
        "*client-hello\n*raw \\x14\\x03\\x03\\x00\\x01\\x01\n*close",
        "tls_protocol in tls",
        "tls_protocol in tls",
    ),
    (
        "E23",
        "a heartbeat",
        "*client-hello\n*raw \\x18\\x03\\x03\\x00\\x03\\x01\\xff\\xff\n*close",
        "tls_protocol in tls",
        "tls_protocol in tls",
    ),
    ("E27", "the end", "*client-hello\n*close", "closed in tls", "closed in tls"),
    ("E27", "a reset", "*client-hello\n*reset", "reset in tls", "reset in tls"),
    ("E38", "silence", "*client-hello\n*idle", "timeout in tls", "timeout in tls"),
    ("E38", "one byte, then silence", "*client-hello\n*raw \\x16\n*idle", "timeout in tls", "timeout in tls"),
];

/// Its id, what it is, the minor version, suite and ServerKeyExchange that it answers to an old hello, what is then
/// known, and how the probe ends.
type Old = (&'static str, &'static str, u8, u16, &'static [u8], &'static str, &'static str);

/// Old servers.
const OLD: &[Old] = &[
    ("E10", "TLS 1.0 only", 1, 0x002f, &[], "TLSv1.0 TLS_RSA_WITH_AES_128_CBC_SHA", "tls_version in tls"),
    (
        "E10",
        "TLS 1.1 only",
        2,
        0xc013,
        &[3, 0, 23],
        "TLSv1.1 TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA secp256r1",
        "tls_version in tls",
    ),
    ("E11", "SSL 3.0 only", 0, 0x000a, &[], "SSLv3 TLS_RSA_WITH_3DES_EDE_CBC_SHA", "tls_version in tls"),
    ("E12", "RSA key exchange only", 3, 0x009c, &[], "TLSv1.2 TLS_RSA_WITH_AES_128_GCM_SHA256", "tls_alert in tls"),
    ("E13", "DHE only", 3, 0x009e, &[0, 128], "TLSv1.2 TLS_DHE_RSA_WITH_AES_128_GCM_SHA256", "tls_alert in tls"),
    (
        "E14",
        "CBC only",
        3,
        0xc027,
        &[3, 0, 29],
        "TLSv1.2 TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256 x25519",
        "tls_alert in tls",
    ),
    (
        "E15",
        "P-521 only",
        3,
        0xc02f,
        &[3, 0, 25],
        "TLSv1.2 TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 secp521r1",
        "tls_alert in tls",
    ),
];

/// Servers with a real handshake that is odd in one thing; the certificate is always seen.
const ODD: &[(&str, &str, &str)] = &[
    ("E4", "warning unrecognized_name, then the handshake", "ok"),
    ("E6", "TLS 1.2 wants a client certificate", "tls_alert in tls"),
    ("E25", "every byte in a segment of its own", "ok"),
    ("E26", "every byte in a record of its own, TLS 1.2", "ok"),
    ("E29", "a chain of 130 KiB", "tls_protocol in tls"),
    ("E31", "HelloRetryRequest", "ok"),
    ("E32", "an address as target: no SNI", "ok"),
    ("E33", "another certificate than that of the name", "ok"),
    ("E34", "a hundred session tickets", "ok"),
    ("E34", "a thousand session tickets", "tls_protocol in banner"),
    ("E37", "TLS 1.3 wants a client certificate", "tls_alert in banner"),
    ("E40", "an OCSP answer of garbage", "ok"),
    ("E42", "silence after the handshake", "timeout in banner"),
];

/// What is asserted of every probe: it ends in time, in one failure or none.
fn in_time(outcome: &Outcome, what: &str) {
    assert!(outcome.findings.duration < Duration::from_secs(15), "{what}: {:?}", outcome.findings.duration);
}

fn self_signed() -> Identity {
    Identity::self_signed(&Leaf::new("mail.example.org", SystemTime::now()))
}

fn modes(script: &str) -> [(String, String); 2] {
    let patience = if script.contains("*idle") { "timeout: 600ms, " } else { "" };
    ["tls", "starttls"].map(|security| {
        let before = if security == "tls" { "" } else { OFFER };
        (format!("{before}{script}"), format!("{{security: {security}, {patience}{ANY}}}"))
    })
}

#[tokio::test]
async fn every_broken_answer_ends_as_it_should() {
    for (id, what, script, implicit, starttls) in ROWS {
        for ((script, module), expected) in modes(script).into_iter().zip([implicit, starttls]) {
            let server = Server::start(Script::of(&script), Options::default()).await;
            let outcome = probe(server.address(), &module).await;
            assert_eq!(verdict(&outcome), **expected, "{id} {what}: {:?}", outcome.failure);
            in_time(&outcome, what);
            assert!(outcome.findings.tls.is_none() && outcome.findings.certificate.is_none(), "{id} {what}");
            assert_eq!(outcome.findings.smtp.clear.is_some(), module.contains("starttls"), "{id} {what}");
        }
    }
}

/// E1.
#[tokio::test]
async fn every_alert_of_both_levels_is_read() {
    for (before, security) in [("", "tls"), (OFFER, "starttls")] {
        let server = Server::start(Script::of("*close"), Options::default()).await;
        let config = one_endpoint(server.address(), &format!("{{security: {security}, {ANY}}}"));
        let prober = Prober::new(no_names(), 2);
        for (alert, level) in (0..=255_u8).flat_map(|alert| [(alert, 1), (alert, 2)]) {
            let script =
                format!("{before}*client-hello\n*raw \\x15\\x03\\x03\\x00\\x02\\x0{level}\\x{alert:02x}\n*close");
            server.change(Script::of(&script), None);
            let sessions = server.sessions().len();
            let outcome = prober.probe(config.endpoints[0].clone(), &CancellationToken::new()).await.unwrap();
            let expected = match (level, alert) {
                // RFC 5246 §7.2: a warning ends nothing, but then the server closes.
                (1, _) => "closed in tls",
                (_, 70) => "tls_version in tls",
                _ => "tls_alert in tls",
            };
            assert_eq!(verdict(&outcome), expected, "{alert} {level} {security}: {:?}", outcome.failure);
            in_time(&outcome, &script);
            // Only what an old server says is followed by a second connection.
            let looks = if level == 2 && [40, 70, 71].contains(&alert) { 2 } else { 1 };
            assert_eq!(server.sessions().len() - sessions, looks, "{alert} {level} {security}");
        }
    }
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind][..], &(body.len() as u32).to_be_bytes()[1..], body].concat()
}

/// The clear part of an old server's handshake, as a script says it.
fn old_flight(minor: u8, suite: u16, exchange: &[u8], certificate: &[u8]) -> String {
    let hello = [&[3, minor][..], &[7; 32], &[0], &suite.to_be_bytes(), &[0]].concat();
    let length = |bytes: &[u8]| (bytes.len() as u32).to_be_bytes()[1..].to_vec();
    let entry = [length(certificate), certificate.to_vec()].concat();
    let mut flight = message(2, &hello);
    flight.extend(message(11, &[length(&entry), entry].concat()));
    if !exchange.is_empty() {
        flight.extend(message(12, exchange));
    }
    flight.extend(message(14, &[]));
    let record = [&[22, 3, minor][..], &(flight.len() as u16).to_be_bytes(), &flight].concat();
    format!("*client-hello\n*raw {}\n*idle", record.iter().map(|byte| format!("\\x{byte:02x}")).collect::<String>())
}

#[tokio::test]
async fn an_old_server_is_seen_at_a_second_look() {
    let identity = self_signed();
    for (id, what, minor, suite, exchange, agreed, expected) in OLD {
        let alert = if *minor == 3 { 40 } else { 70 };
        let refusal = modes(&format!("*refuse-tls {alert}"));
        let second = modes(&old_flight(*minor, *suite, exchange, &identity.chain[0]));
        for ((first, module), (second, _)) in refusal.into_iter().zip(second) {
            let options = Options { later: Some(Arc::new(Script::of(&second))), ..Options::default() };
            let server = Server::start(Script::of(&first), options).await;
            let module = module.replace(ANY, "expect: {certificate: any, tls_min: '1.2', old_tls: refused}");
            let outcome = probe(server.address(), &module).await;
            assert_eq!(verdict(&outcome), *expected, "{id} {what}: {:?}", outcome.failure);
            in_time(&outcome, what);
            let tls = outcome.findings.tls.as_ref().unwrap_or_else(|| panic!("{id} {what}: {module}"));
            let found = format!("{} {} {}", tls.version.as_str(), tls.cipher, tls.group.as_deref().unwrap_or_default());
            assert_eq!(found.trim_end(), *agreed, "{id} {what}");
            let leaf = outcome.findings.certificate.as_ref().unwrap().leaf().unwrap();
            assert!(leaf.facts.as_ref().unwrap().not_after.is_some());
            let too_old = outcome.judgements.iter().find(|one| one.expectation == "tls_min").unwrap();
            let reason = too_old.failure.as_ref().map(|failure| failure.reason.as_str());
            assert_eq!(reason, (*minor < 3).then_some("tls_too_old"), "{id} {what}");
            let old = outcome.judgements.iter().any(|one| one.expectation == "old_tls" && one.failure.is_some());
            assert_eq!(old, *minor < 3, "{id} {what}");
            let sum: Duration = outcome.findings.phases.iter().map(|(_, time)| *time).sum();
            assert_eq!(sum, outcome.findings.duration, "the second look is in no phase");
            let sessions = server.finished(2).await;
            assert_eq!((sessions.len(), server.most_at_once() <= 2), (2, true), "{id} {what}");
            assert!(sessions.iter().all(|session| session.violations.is_empty()), "{id} {what}: {sessions:#?}");
        }
    }
}

/// Whatever the second connection brings, the first failure stays, and in time.
#[tokio::test]
async fn a_second_look_that_sees_nothing_changes_nothing() {
    for second in ["*reset", "*close", "*idle", "*client-hello\n*idle", "*client-hello\n*forever x", "*refuse-tls 40"] {
        for ((first, module), (second, _)) in modes("*refuse-tls 40").into_iter().zip(modes(second)) {
            let options = Options { later: Some(Arc::new(Script::of(&second))), ..Options::default() };
            let server = Server::start(Script::of(&first), options).await;
            let outcome = probe(server.address(), &module.replace("{security", "{timeout: 2s, security")).await;
            assert_eq!(verdict(&outcome), "tls_alert in tls", "{second}");
            assert!(outcome.findings.tls.is_none() && outcome.findings.certificate.is_none());
            assert_eq!(server.sessions().len(), 2, "one more, and no third");
        }
    }
}

/// What a server that has agreed on a new version says to a hello of TLS 1.1 on the next connection, and what is found of
/// `expect.old_tls` with implicit TLS and after STARTTLS; nothing where nothing can be told.
fn answers_to_old_hellos(certificate: &[u8]) -> Vec<(String, &'static str, &'static str)> {
    let flight = |minor, suite| old_flight(minor, suite, &[], certificate);
    let tls10 = "TLSv1.0 TLS_RSA_WITH_AES_128_CBC_SHA";
    let tls11 = "TLSv1.1 TLS_RSA_WITH_AES_128_CBC_SHA";
    let ssl3 = "SSLv3 TLS_RSA_WITH_3DES_EDE_CBC_SHA";
    // In place of ServerHelloDone: a Finished that nobody waits for; nothing, and then an alert.
    let broken = flight(1, 0x2f).replace("\\x0e\\x00\\x00\\x00\n*idle", "\\x14\\x00\\x00\\x00\n*close");
    let no_signature =
        flight(1, 0x2f).replace("\\x0e\\x00\\x00\\x00\n", "\\x00\\x00\\x00\\x00\\x15\\x03\\x01\\x00\\x02\\x02\\x50\n");
    vec![
        (flight(2, 0x2f), tls11, tls11),
        (flight(1, 0x2f), tls10, tls10),
        (flight(0, 0x0a), ssl3, ssl3),
        ("*refuse-tls 70".into(), "refused by alert 70", "refused by alert 70"),
        ("*refuse-tls 40".into(), "refused by alert 40", "refused by alert 40"),
        (no_signature, "refused by alert 80", "refused by alert 80"),
        // Was it the hello, or the second connection? After STARTTLS it was the hello.
        ("*client-hello\n*close".into(), "", "refused without a word"),
        ("*client-hello\n*reset".into(), "", "refused without a word"),
        ("*client-hello\n*idle".into(), "", ""),
        ("*client-hello\n*raw 421 busy\\r\\n\n*close".into(), "", ""),
        // A version that was not offered, and an answer that does not keep to the rules.
        (flight(3, 0x2f), "", ""),
        (broken, "", ""),
    ]
}

#[tokio::test]
async fn a_server_that_could_do_better_is_asked_for_old_tls_where_that_is_to_be_refused() {
    let identity = self_signed();
    for (second, implicit, starttls) in answers_to_old_hellos(&identity.chain[0]) {
        for (before, inside, security, found) in
            [("", GREETING, "tls", implicit), (OFFER, INSIDE, "starttls", starttls)]
        {
            let script = format!("{before}=== TLS\n{inside}");
            let later = Some(Arc::new(Script::of(&format!("{before}{second}"))));
            let server = Server::start(Script::of(&script), Options { later, ..identity.server_config().into() }).await;
            let module =
                format!("{{security: {security}, timeout: 3s, expect: {{certificate: any, old_tls: refused}}}}");
            let outcome = Prober::new(no_names(), 1)
                .probe(one_endpoint(server.address(), &module).endpoints[0].clone(), &CancellationToken::new())
                .await
                .unwrap();
            let accepted = found.contains("TLS");
            let expected = if accepted { "old_tls_accepted in tls" } else { "ok" };
            assert_eq!(verdict(&outcome), expected, "{security} {second}: {:?}", outcome.failure);
            in_time(&outcome, &second);
            let judged = outcome.judgements.iter().find(|one| one.expectation == "old_tls");
            assert_eq!(judged.map_or("", |one| &one.found), found, "{security} {second}");
            assert!(judged.is_none_or(|one| one.failure.is_some() == accepted));
            let tls = outcome.findings.tls.as_ref().unwrap();
            assert_eq!(tls.version.as_str(), "TLSv1.3", "what was agreed on stays");
            let sum: Duration = outcome.findings.phases.iter().map(|(_, time)| *time).sum();
            assert_eq!(sum, outcome.findings.duration, "the second look is in no phase");
            assert_eq!(server.sessions().len(), 2, "{security} {second}");
        }
    }
}

#[tokio::test]
async fn nobody_is_asked_for_old_tls_unless_it_is_to_be_refused_and_there_was_new_tls() {
    let new = format!("{OFFER}=== TLS\n{INSIDE}");
    let turned_away = format!("{OFFER}=== TLS\nC: EHLO x\nS: 421 4.7.0 enough");
    for (script, security, old_tls) in [
        (new.as_str(), "starttls", "any"),
        (GREETING, "opportunistic", "refused"),
        (&turned_away, "starttls", "refused"),
    ] {
        let server = Server::start(Script::of(script), self_signed().server_config().into()).await;
        let module = format!("{{security: {security}, expect: {{certificate: any, old_tls: {old_tls}}}}}");
        let outcome = probe(server.address(), &module).await;
        assert!(outcome.judgements.iter().all(|one| one.expectation != "old_tls"));
        assert_eq!(server.finished(1).await.len(), 1, "{script}");
    }
}

/// A seat that nobody else wants.
struct Alone;

impl Seat for Alone {
    fn leave(&mut self) {}

    fn take(&mut self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async {})
    }

    fn until(&self) -> Instant {
        Instant::now() + Duration::from_secs(3600)
    }
}

/// A light probe does not ask again, and still says what the last full one saw.
#[tokio::test]
async fn light_probes_remember_what_became_of_the_old_hello() {
    let identity = self_signed();
    let script = format!("{OFFER}=== TLS\n{INSIDE}");
    let later = Some(Arc::new(Script::of(&format!("{OFFER}{}", old_flight(1, 0x2f, &[], &identity.chain[0])))));
    let server = Server::start(Script::of(&script), Options { later, ..identity.server_config().into() }).await;
    let config = one_endpoint(server.address(), "{security: starttls, expect: {certificate: any, old_tls: refused}}");
    let (prober, endpoint) = (Prober::new(no_names(), 2), &config.endpoints[0]);
    let full = prober.probe(endpoint.clone(), &CancellationToken::new()).await.unwrap();
    let stop = CancellationToken::new();
    let light = prober.probe_seated(endpoint.clone(), Some(&full), &stop, Box::new(Alone)).await.unwrap();
    assert_eq!((verdict(&full), verdict(&light)), ("old_tls_accepted in tls".into(), "old_tls_accepted in tls".into()));
    assert_eq!(server.sessions().len(), 3);
}

/// A server whose first flight is changed on its way; it then talks on as a mail server.
fn tampering(config: Arc<ServerConfig>, change: impl Fn(Vec<u8>) -> Vec<u8> + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for tcp in listener.incoming() {
            // A client that leaves in the middle is what these tests are about.
            let _ = serve_tampered(tcp.unwrap(), config.clone(), &change);
        }
    });
    address
}

/// What a server answers to a ClientHello.
fn first_flight(tcp: &mut TcpStream, connection: &mut ServerConnection) -> std::io::Result<Vec<u8>> {
    let mut flight = Vec::new();
    while flight.is_empty() {
        if connection.read_tls(tcp)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        connection.process_new_packets().map_err(std::io::Error::other)?;
        while connection.wants_write() {
            connection.write_tls(&mut flight)?;
        }
    }
    Ok(flight)
}

fn serve_tampered(
    mut tcp: TcpStream,
    config: Arc<ServerConfig>,
    change: &dyn Fn(Vec<u8>) -> Vec<u8>,
) -> std::io::Result<()> {
    let mut connection = ServerConnection::new(config).unwrap();
    let flight = first_flight(&mut tcp, &mut connection)?;
    tcp.write_all(&change(flight))?;
    connection.complete_io(&mut tcp)?;
    let mut stream = BufReader::new(Stream::new(&mut connection, &mut tcp));
    stream.get_mut().write_all(b"220 mx ESMTP\r\n")?;
    let mut line = String::new();
    while stream.read_line(&mut line)? > 0 {
        let answer = if line.starts_with("QUIT") { "221 bye\r\n" } else { "250 mx\r\n" };
        stream.get_mut().write_all(answer.as_bytes())?;
        line.clear();
    }
    Ok(())
}

/// The handshake records cut into records of one byte (RFC 5246 §6.2.1 allows it).
fn one_byte_records(flight: Vec<u8>) -> Vec<u8> {
    let mut rest = &flight[..];
    let mut out = Vec::new();
    while let [kind, major, minor, high, low, after @ ..] = rest {
        let (content, after) = after.split_at(usize::from(u16::from_be_bytes([*high, *low])));
        for byte in content {
            out.extend([*kind, *major, *minor, 0, 1, *byte]);
        }
        rest = after;
    }
    out
}

/// A server that agrees on one group and one version only.
fn with_group(
    identity: &Identity,
    group: &'static dyn SupportedKxGroup,
    version: &'static SupportedProtocolVersion,
) -> Arc<ServerConfig> {
    let provider = Arc::new(CryptoProvider { kx_groups: vec![group], ..aws_lc_rs::default_provider() });
    let builder = ServerConfig::builder_with_provider(provider).with_protocol_versions(&[version]).unwrap();
    let built = builder.with_no_client_auth().with_single_cert(identity.chain.clone(), identity.key.clone_key());
    Arc::new(built.unwrap())
}

/// A server for a row of [`ODD`], and the module to probe it with.
async fn odd(id: &str, what: &str, ca: &Authority) -> (Option<Server>, SocketAddr, String) {
    let identity = self_signed();
    let config = |versions: &[_]| identity.server_config_with(versions, None);
    let change = |edit: fn(&mut ServerConfig)| {
        let mut config = ServerConfig::clone(&config(ALL_VERSIONS));
        edit(&mut config);
        Arc::new(config)
    };
    let plain = format!("{{security: tls, {ANY}}}");
    let impatient = format!("{{security: tls, timeout: 1s, {ANY}}}");
    let script = if id == "E42" { "=== TLS\n*idle".to_owned() } else { format!("=== TLS\n{GREETING}") };
    let (options, module): (Options, String) = match id {
        "E4" => {
            let warned = |flight: Vec<u8>| [vec![21, 3, 3, 0, 2, 1, 112], flight].concat();
            return (None, tampering(config(&[&TLS12]), warned), plain);
        }
        "E26" => return (None, tampering(config(&[&TLS12]), one_byte_records), plain),
        "E6" => (identity.server_config_with(&[&TLS12], Some(ca)).into(), plain),
        "E37" => (identity.server_config_with(&[&TLS13], Some(ca)).into(), plain),
        "E25" => (Options { chunking: Chunking::PerByte, ..config(ALL_VERSIONS).into() }, plain),
        "E29" => {
            let key = rcgen::KeyPair::generate().unwrap();
            let names: Vec<_> = (0..5000).map(|n| dns(&format!("host-{n}.example.org"))).collect();
            let big = Forged { extensions: vec![alternative_names(&names)], ..Forged::new("big", "big", &key) };
            (showing(vec![big.signed_by(&key)], &key, ALL_VERSIONS).into(), plain)
        }
        "E31" => (with_group(&identity, aws_lc_rs::kx_group::SECP384R1, &TLS13).into(), plain),
        "E33" => (config(ALL_VERSIONS).into(), format!("{{security: tls, server_name: other.example, {ANY}}}")),
        "E34" if what.contains("hundred") => (change(|config| config.send_tls13_tickets = 100).into(), plain),
        "E34" => (change(|config| config.send_tls13_tickets = 1000).into(), plain),
        "E40" => {
            let builder = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
            let builder = builder.with_protocol_versions(ALL_VERSIONS).unwrap().with_no_client_auth();
            let key = identity.key.clone_key();
            let built = builder.with_single_cert_with_ocsp(identity.chain.clone(), key, vec![0x99; 3000]);
            (Arc::new(built.unwrap()).into(), plain)
        }
        "E42" => (config(ALL_VERSIONS).into(), impatient),
        "E32" => (config(ALL_VERSIONS).into(), plain),
        _ => panic!("no server for {id} {what}"),
    };
    let server = Server::start(Script::of(&script), options).await;
    let address = server.address();
    (Some(server), address, module)
}

#[tokio::test]
async fn every_odd_handshake_shows_its_certificate() {
    let ca = Authority::new("Client CA");
    for (id, what, expected) in ODD {
        let (server, address, module) = odd(id, what, &ca).await;
        let outcome = probe(address, &module).await;
        assert_eq!(verdict(&outcome), *expected, "{id} {what}: {:?}", outcome.failure);
        in_time(&outcome, what);
        let seen = outcome.findings.certificate.as_ref();
        // RFC 8446 §4.4.2 allows chains of 16 MiB; no library takes more than 64 KiB.
        assert_eq!(seen.is_some(), *id != "E29", "{id} {what}");
        if *id == "E33" {
            assert!(seen.unwrap().invalid.iter().any(|found| found.detail.contains("not for other.example")));
        }
        if let (Some(server), "E32") = (&server, *id) {
            assert_eq!(server.finished(1).await[0].server_name, None);
        }
        if *id == "E31" {
            assert_eq!(outcome.findings.tls.unwrap().group.as_deref(), Some("secp384r1"));
        }
    }
}

/// A server that ends its flight after no byte for the first client, after one for the second, and so on. With the
/// length of the flight, once it is known.
fn cutting(config: Arc<ServerConfig>, reset: bool) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let length = Arc::new(AtomicUsize::new(usize::MAX));
    let told = length.clone();
    std::thread::spawn(move || {
        for (cut, tcp) in listener.incoming().enumerate() {
            let mut tcp = tcp.unwrap();
            let mut connection = ServerConnection::new(config.clone()).unwrap();
            let Ok(flight) = first_flight(&mut tcp, &mut connection) else { continue };
            told.store(flight.len(), Ordering::SeqCst);
            let _ = tcp.write_all(&flight[..cut.min(flight.len())]);
            if reset {
                socket2::SockRef::from(&tcp).set_linger(Some(Duration::ZERO)).unwrap();
            } else if tcp.shutdown(Shutdown::Write).is_ok() {
                // A socket closed with unread bytes sends RST.
                let _ = std::io::copy(&mut tcp, &mut std::io::sink());
            }
        }
    });
    (address, length)
}

/// E27 and E28: the server's flight ends anywhere, by FIN and by RST.
#[tokio::test]
async fn a_handshake_cut_at_any_byte_fails_and_keeps_what_was_seen() {
    let identity = self_signed();
    for (versions, reset) in [(&[&TLS12][..], false), (&[&TLS12], true), (&[&TLS13], false), (&[&TLS13], true)] {
        let (address, length) = cutting(identity.server_config_with(versions, None), reset);
        let config = one_endpoint(address, &format!("{{security: tls, {ANY}}}"));
        let prober = Prober::new(no_names(), 2);
        let (mut cut, mut seen) = (0, 0);
        // An ECDSA signature has up to eight bytes less in another handshake.
        while cut + 8 < length.load(Ordering::SeqCst) {
            let outcome = prober.probe(config.endpoints[0].clone(), &CancellationToken::new()).await.unwrap();
            in_time(&outcome, "cut");
            let expected = if reset { "reset in tls" } else { "closed in tls" };
            assert_eq!(verdict(&outcome), expected, "after {cut}: {:?}", outcome.failure);
            if let Some(certificate) = &outcome.findings.certificate {
                let facts = certificate.leaf().unwrap().facts.as_ref().unwrap();
                assert_eq!(facts.malformed, None, "whole or not at all");
                seen += 1;
            }
            cut += 1;
        }
        assert!(cut > 500, "{cut} with the certificate seen {seen} times");
    }
}

/// E24: in each byte of the flight one bit is flipped, by eight clients beside each other. The handshake fails (nearly
/// every bit is signed), or the bit meant nothing.
#[tokio::test]
async fn a_flipped_bit_never_goes_through_as_another_certificate() {
    const CLIENTS: usize = 8;
    let identity = self_signed();
    for version in [&TLS12, &TLS13] {
        // The default group has keys of 1,200 bytes, each bit of which does the same.
        let config = with_group(&identity, aws_lc_rs::kx_group::X25519, version);
        let module = format!("{{security: tls, timeout: 2s, {ANY}}}");
        let right = probe(tampering(config.clone(), |flight| flight), &module).await.findings.certificate.unwrap();
        let mut clients = JoinSet::new();
        for client in 0..CLIENTS {
            let (config, module, right) = (config.clone(), module.clone(), right.clone());
            clients.spawn(async move {
                let (at, length) = (Arc::new(AtomicUsize::new(client)), Arc::new(AtomicUsize::new(usize::MAX)));
                let (place, told) = (at.clone(), length.clone());
                let address = tampering(config, move |mut flight| {
                    told.store(flight.len(), Ordering::SeqCst);
                    let at = place.load(Ordering::SeqCst);
                    if let Some(byte) = flight.get_mut(at) {
                        *byte ^= 1 << (at % 8);
                    }
                    flight
                });
                let config = one_endpoint(address, &module);
                let prober = Prober::new(no_names(), 2);
                let (mut flipped, mut harmless) = (0, 0);
                while at.load(Ordering::SeqCst) < length.load(Ordering::SeqCst) {
                    let outcome = prober.probe(config.endpoints[0].clone(), &CancellationToken::new()).await.unwrap();
                    in_time(&outcome, "flip");
                    if outcome.success() {
                        assert_eq!(outcome.findings.certificate.as_ref(), Some(&right));
                        assert!(outcome.findings.tls.is_some());
                        harmless += 1;
                    }
                    flipped += 1;
                    at.fetch_add(CLIENTS, Ordering::SeqCst);
                }
                (flipped, harmless)
            });
        }
        let (mut flipped, mut harmless) = (0, 0);
        while let Some(counts) = clients.join_next().await {
            let counts = counts.unwrap();
            (flipped, harmless) = (flipped + counts.0, harmless + counts.1);
        }
        assert!(flipped > 500 && harmless < flipped / 10, "{harmless} of {flipped}");
    }
}

/// E39.
#[tokio::test]
async fn sessions_are_never_resumed() {
    for versions in [&[&TLS12][..], &[&TLS13]] {
        let config = self_signed().server_config_with(versions, None);
        let server = Server::start(Script::of(&format!("=== TLS\n{GREETING}")), config.into()).await;
        let config = one_endpoint(server.address(), &format!("{{security: tls, {ANY}}}"));
        let prober = Prober::new(no_names(), 2);
        for _ in 0..3 {
            let outcome = prober.probe(config.endpoints[0].clone(), &CancellationToken::new()).await.unwrap();
            assert!(outcome.success() && outcome.findings.certificate.is_some());
        }
    }
}

/// E38: slow is not down, and the time is that of the handshake.
#[tokio::test]
async fn a_slow_handshake_is_waited_for() {
    let leaf = Leaf { not_after: SystemTime::now() + DAY, ..Leaf::new("mail.example.org", SystemTime::now()) };
    let config = Identity::self_signed(&leaf).server_config();
    let server = Server::start(Script::of(&format!("*sleep 0.4\n=== TLS\n{GREETING}")), config.into()).await;
    let outcome = probe(server.address(), &format!("{{security: tls, {ANY}}}")).await;
    assert_eq!(verdict(&outcome), "ok");
    let tls = outcome.findings.phases.iter().find(|(phase, _)| *phase == Phase::Tls).unwrap().1;
    assert!(tls >= Duration::from_millis(350), "{tls:?}");
}

#[test]
fn the_table_is_current() {
    let mut lines = String::from(
        "| id | the server | implicit TLS | STARTTLS | seen all the same |\n| --- | --- | --- | --- | --- |\n",
    );
    lines += "| E1 | each alert 0 to 255, fatal | tls_alert (70: tls_version) | the same | |\n";
    lines += "| E1 | each alert 0 to 255, as a warning, then the end | closed | closed | |\n";
    for (id, what, _, implicit, starttls) in ROWS {
        lines += &format!("| {id} | {what} | {implicit} | {starttls} | |\n");
    }
    for (id, what, _, _, _, agreed, expected) in OLD {
        lines += &format!("| {id} | {what} | {expected} | {expected} | {agreed}, certificate |\n");
    }
    for (id, what, expected) in ODD {
        let seen = if *id == "E29" { "" } else { "certificate" };
        lines += &format!("| {id} | {what} | {expected} | | {seen} |\n");
    }
    lines +=
        "| E24 | a bit flipped on the way, in each byte | a failure in tls, or ok if the bit meant nothing | | |\n";
    lines +=
        "| E27, E28 | FIN or RST after any number of bytes | closed or reset | | the certificate, if it was whole |\n";
    lines += "| E38 | an answer after a while | ok | | certificate |\n";
    lines += "| E39 | session tickets | ok, never resumed | | certificate, each time |\n";
    table_is_current("tests/FAULTS_TLS.md", "Handshakes", &lines);
}
