//! The lab tested by itself: raw clients, polite and rude, against each thing a script can do.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test opens its own sockets and fails by panicking"
)]

mod lab;

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use lab::*;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

const HOST: &str = "mail.example.org";

/// A mail client's half of a conversation.
struct Client<S>(S);

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    async fn say(&mut self, words: &str) {
        self.0.write_all(words.as_bytes()).await.unwrap();
        self.0.flush().await.unwrap();
    }

    /// Everything up to the end of a reply, or of the connection.
    async fn reply(&mut self) -> String {
        let mut words = Vec::new();
        let mut line = 0;
        while let Ok(byte) = self.0.read_u8().await {
            words.push(byte);
            if byte == b'\n' {
                if words.get(line + 3) != Some(&b'-') {
                    break;
                }
                line = words.len();
            }
        }
        String::from_utf8(words).unwrap()
    }

    async fn ask(&mut self, words: &str) -> String {
        self.say(&format!("{words}\r\n")).await;
        self.reply().await
    }

    async fn rest(&mut self) -> Result<Vec<u8>, ErrorKind> {
        let mut words = Vec::new();
        let read = self.0.read_to_end(&mut words).await;
        read.map(|_| words).map_err(|error| error.kind())
    }
}

async fn dial(server: &Server) -> Client<TcpStream> {
    Client(TcpStream::connect(server.address()).await.unwrap())
}

async fn play(script: &str) -> (Server, Client<TcpStream>) {
    let server = Server::start(Script::of(script), Options::default()).await;
    let client = dial(&server).await;
    (server, client)
}

fn now() -> SystemTime {
    SystemTime::now()
}

fn connector(roots: Arc<RootCertStore>) -> TlsConnector {
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    TlsConnector::from(Arc::new(config))
}

async fn handshake(tcp: TcpStream, authority: &Authority) -> Result<Client<TlsStream<TcpStream>>, std::io::Error> {
    let name = ServerName::try_from(HOST).unwrap();
    let tls = connector(authority.roots()).connect(name, tcp).await?;
    Ok(Client(tls))
}

/// The one log of a server that has had one client.
async fn only(server: &Server) -> SessionLog {
    server.finished(1).await.remove(0)
}

// Scripts.

#[test]
fn every_transcript_parses() {
    let all = transcripts();
    assert_eq!(all.len(), 72);
    for script in &all {
        assert!(script.port.is_some() && script.expect.is_object());
        let spoken = script.steps.iter().any(|s| matches!(s, Step::Send(_)));
        assert!(spoken, "{}", script.name);
        let first_is_tls = script.steps[0] == Step::Tls;
        assert_eq!(first_is_tls, script.tls == "implicit", "{}", script.name);
    }
    let iis = Script::recorded("iis-smtp-7-truncated");
    assert!(matches!(&iis.steps[0], Step::Send(b) if b.ends_with(b"-0700 \r\n")));
    let brief = Script::recorded("briefmx-double-reply-bare-lf");
    let both = b"220 smtp.briefmx.com ESMTP BriefMX\n554 No SMTP service here\n".to_vec();
    let steps = [Step::Send(both), Step::End(Ending::Close)];
    assert_eq!(brief.steps, steps);
}

#[test]
fn a_wrong_script_is_told_its_line() {
    for (script, error) in [
        ("S: 220 x\n*explode", "line 2: no such step: *explode"),
        ("*drip x abc", "line 1: \"x\" is no number: *drip x abc"),
        ("*raw \\q", "line 1: no such escape: *raw \\q"),
        ("hello", "line 1: not a step: hello"),
    ] {
        assert_eq!(Script::parse(script).unwrap_err(), error);
    }
}

#[test]
fn the_stage_after_an_unrecorded_tls_has_no_starttls() {
    let script = Script::of("S: 220 a\nC: EHLO\nS: 250-a\nS: 250-SIZE\nS: 250 starttls\nC: QUIT");
    let reply = Step::Send(b"250-a\r\n250 SIZE\r\n".to_vec());
    assert_eq!(script.ehlo_again(), [Step::Expect("EHLO".into()), reply]);
}

// Playing.

/// Speaks with a transcript's server as a probe does and returns the replies.
async fn probe(server: &Server, implicit: bool, authority: &Authority) -> Vec<String> {
    let tcp = TcpStream::connect(server.address()).await.unwrap();
    let mut replies = Vec::new();
    if implicit {
        let mut client = handshake(tcp, authority).await.unwrap();
        replies.push(client.reply().await);
        replies.push(client.ask("EHLO probe.example.org").await);
        bye(&mut client).await;
        return replies;
    }
    let mut client = Client(tcp);
    replies.push(client.reply().await);
    if !replies[0].starts_with("220") || replies[0].contains("BriefMX") {
        return replies;
    }
    replies.push(client.ask("EHLO probe.example.org").await);
    if !replies[1].contains("STARTTLS\r\n") {
        bye(&mut client).await;
        return replies;
    }
    replies.push(client.ask("STARTTLS").await);
    if replies[2].starts_with("220") {
        let mut client = handshake(client.0, authority).await.unwrap();
        replies.push(client.ask("EHLO probe.example.org").await);
        bye(&mut client).await;
    } else if !replies[2].starts_with("454") {
        bye(&mut client).await;
    }
    replies
}

/// QUIT, its answer, and the end of TLS; a server that has gone away may.
async fn bye(client: &mut Client<impl AsyncRead + AsyncWrite + Unpin>) {
    let _ = client.0.write_all(b"QUIT\r\n").await;
    let _ = timeout(Duration::from_millis(300), client.reply()).await;
    let _ = client.0.shutdown().await;
}

#[tokio::test]
async fn every_transcript_plays_the_same_however_it_is_cut() {
    let authority = Arc::new(Authority::new("Lab CA"));
    let tls = authority.issue(&Leaf::new(HOST, now())).server_config();
    // A greeting that is never whole is waited for until the server hangs up.
    let patient = |script: &Script| script.name != "postfix-postscreen-pregreet";
    let mut playing = JoinSet::new();
    for script in transcripts().into_iter().filter(patient) {
        playing.spawn(play_cut(script, Options::from(tls.clone()), authority.clone()));
    }
    while let Some(played) = playing.join_next().await {
        played.unwrap();
    }
}

async fn play_cut(script: Script, mut options: Options, authority: Arc<Authority>) {
    let mut whole = None;
    for chunking in [Chunking::Whole, Chunking::PerByte, Chunking::SplitAt(70)] {
        options.chunking = chunking;
        let server = Server::start(script.clone(), options.clone()).await;
        let replies = probe(&server, script.tls == "implicit", &authority).await;
        let violations = only(&server).await.violations;
        assert_eq!(violations, [], "{} {chunking:?}", script.name);
        assert!(!replies[0].is_empty(), "{}", script.name);
        let first = whole.get_or_insert_with(|| replies.clone());
        assert_eq!(*first, replies, "{} {chunking:?}", script.name);
    }
}

#[tokio::test]
async fn a_command_is_found_further_on_in_its_stage() {
    let script = "S: 220 a
        C: help
        S: 214 no
        C: EHLO x
        S: 250 b
        C: MAIL FROM:<>
        S: 530 c
        === TLS
        C: HELO x
        S: 250 d";
    let (server, mut client) = play(script).await;
    assert_eq!(client.reply().await, "220 a\r\n");
    assert_eq!(client.ask("ehlo probe").await, "250 b\r\n");
    assert!(client.ask("HELO probe").await.starts_with("500 ")); // beyond the TLS
    assert!(client.ask("QUIT").await.starts_with("221 "));
    assert_eq!(client.rest().await, Ok(vec![]));
    drop(client);
    let log = only(&server).await;
    assert!(log.quit && log.violations.is_empty());
    assert_eq!(log.lines, ["ehlo probe", "HELO probe", "QUIT"]);
    assert_eq!(log.clear, b"ehlo probe\r\nHELO probe\r\nQUIT\r\n");
}

#[tokio::test]
async fn starttls_that_was_not_recorded_works() {
    let authority = Authority::new("Lab CA");
    let tls = authority.issue(&Leaf::new(HOST, now())).server_config();
    let script = Script::recorded("sendmail-8144-auth-starttls");
    let server = Server::start(script, tls.into()).await;
    let mut client = dial(&server).await;
    client.reply().await;
    assert!(client.ask("EHLO a").await.contains("250-STARTTLS\r\n"));
    assert!(client.ask("STARTTLS").await.starts_with("220 "));
    let mut client = handshake(client.0, &authority).await.unwrap();
    let inside = client.ask("EHLO a").await;
    assert!(inside.contains("250-DELIVERBY") && !inside.contains("STARTTLS"));
    assert!(client.ask("STARTTLS").await.starts_with("500 "));
    client.ask("QUIT").await;
    client.0.shutdown().await.unwrap();
    let log = only(&server).await;
    assert!(log.tls && log.quit && log.close_notify);
    assert_eq!(log.server_name.as_deref(), Some(HOST));
    assert_eq!(log.violations, [Violation::StartTlsTwice]);
}

#[tokio::test]
async fn a_client_that_only_hangs_up_is_known() {
    let authority = Authority::new("Lab CA");
    let tls = authority.issue(&Leaf::new(HOST, now())).server_config();
    let script = Script::of("S: 220 a").implicit_tls();
    let server = Server::start(script, tls.into()).await;
    let tcp = TcpStream::connect(server.address()).await.unwrap();
    let mut client = handshake(tcp, &authority).await.unwrap();
    client.reply().await;
    client.0.get_mut().0.shutdown().await.unwrap();
    let log = only(&server).await;
    assert!(log.tls && !log.quit && !log.close_notify && !log.reset);
}

#[tokio::test]
async fn a_server_can_change_and_counts_its_clients() {
    let (server, mut first) = play("S: 220 old\n*idle").await;
    assert_eq!(first.reply().await, "220 old\r\n");
    server.change(Script::of("S: 421 new\n*close"), None);
    let mut second = dial(&server).await;
    assert_eq!(second.rest().await, Ok(b"421 new\r\n".to_vec()));
    assert_eq!(server.most_at_once(), 2);
    drop((first, second));
    assert_eq!(server.finished(2).await.len(), 2);
    let address = server.address();
    drop(server);
    sleep(Duration::from_millis(20)).await;
    assert!(TcpStream::connect(address).await.is_err());
}

// Violations.

#[tokio::test]
async fn bad_manners_are_noted() {
    let polite = "S: 220 a\nC: EHLO\n*sleep 0.02\nS: 250 a";
    let long = format!("EHLO {}\r\n", "x".repeat(506));
    for (words, fault) in [
        ("EHLO a\nQUIT", Violation::BareLf),
        ("EHLO a\rb\r\n", Violation::BareCr),
        (&long, Violation::LineTooLong),
        ("EHLO a\r\nQ", Violation::Pipelined),
        ("MAIL FROM:<>\r\n", Violation::ForbiddenCommand("MAIL".into())),
        ("AUTH PLAIN\r\n", Violation::ForbiddenCommand("AUTH".into())),
    ] {
        let (server, mut client) = play(polite).await;
        client.reply().await;
        client.say(words).await;
        client.reply().await;
        drop(client);
        let seen = only(&server).await.violations;
        assert!(seen.contains(&fault), "{words:?}: {seen:?}");
    }
    let (server, mut client) = play(polite).await;
    client.reply().await;
    client.ask(&format!("EHLO {}", "x".repeat(505))).await;
    client.ask("QUIT").await;
    drop(client);
    assert_eq!(only(&server).await.violations, []);
}

#[tokio::test]
async fn words_sent_later_but_before_the_reply_are_pipelined() {
    let (server, mut client) = play("S: 220 a\nC: EHLO\n*sleep 0.05\nS: 250 a").await;
    client.reply().await;
    client.say("EHLO a\r\n").await;
    sleep(Duration::from_millis(10)).await;
    client.say("QUIT\r\n").await;
    client.rest().await.unwrap();
    drop(client);
    assert_eq!(only(&server).await.violations, [Violation::Pipelined]);
}

#[tokio::test]
async fn a_command_that_crosses_an_unasked_reply_is_no_fault() {
    let (server, mut client) = play("S: 220 a\nC: EHLO\nS: 250 a\n*sleep 0.05\nS: 421 late").await;
    client.reply().await;
    client.ask("EHLO a").await;
    sleep(Duration::from_millis(10)).await;
    assert_eq!(client.ask("QUIT").await, "421 late\r\n");
    assert!(client.reply().await.starts_with("221 "));
    drop(client);
    assert_eq!(only(&server).await.violations, []);
}

#[tokio::test]
async fn speaking_into_a_greeting_is_noted() {
    let teaser = "S: 220-wait\n*sleep 0.05\nS: 220 a\nC: EHLO\nS: 250 a";
    let never = "S: 220-wait\nC: EHLO\nS: 521 a\n*close";
    for script in [teaser, never] {
        let (server, mut client) = play(script).await;
        client.say("EHLO a\r\n").await;
        client.reply().await;
        drop(client);
        let seen = only(&server).await.violations;
        assert_eq!(seen, [Violation::SpokeBeforeGreeting], "{script}");
    }
}

#[tokio::test]
async fn clear_text_after_a_failed_handshake_is_noted() {
    let tls = Identity::self_signed(&Leaf::new(HOST, now())).server_config();
    let refusing = "S: 220 a\nC: STARTTLS\nS: 220 b\n*refuse-tls 40";
    let failing = "S: 220 a\nC: STARTTLS\nS: 220 b\n=== TLS";
    for script in [refusing, failing] {
        for rude in [false, true] {
            let server = Server::start(Script::of(script), tls.clone().into()).await;
            let mut client = dial(&server).await;
            client.reply().await;
            client.ask("STARTTLS").await;
            let name = ServerName::try_from(HOST).unwrap();
            let strict = connector(Authority::new("another").roots());
            let failed = strict.connect(name, client.0).into_fallible().await;
            let (error, mut tcp) = failed.expect_err("not our authority");
            let expected = if script == refusing { "HandshakeFailure" } else { "UnknownIssuer" };
            assert!(error.to_string().contains(expected), "{error}");
            if rude {
                tcp.write_all(b"QUIT\r\n").await.unwrap();
            }
            drop(tcp);
            let log = only(&server).await;
            let fault = vec![Violation::ClearTextAfterFailedTls];
            assert_eq!(log.violations, if rude { fault } else { vec![] });
            assert!(!log.tls && !log.quit);
        }
    }
}

// Faults.

#[tokio::test]
async fn endings() {
    for (ending, end) in [
        ("*close", Ok(b"220 a\r\n".to_vec())),
        ("*reset", Err(ErrorKind::ConnectionReset)),
        ("*half-close", Ok(b"220 a\r\n".to_vec())),
        ("?: not captured", Ok(b"220 a\r\n".to_vec())),
    ] {
        let (server, mut client) = play(&format!("S: 220 a\nC: EHLO\n{ending}")).await;
        client.say("EHLO a\r\n").await;
        sleep(Duration::from_millis(20)).await;
        let rest = client.rest().await;
        assert_eq!(rest, end, "{ending}");
        if ending == "*half-close" {
            client.say("QUIT\r\n").await;
        }
        drop(client);
        assert_eq!(only(&server).await.quit, ending == "*half-close", "{ending}");
    }
}

#[tokio::test]
async fn an_ending_inside_tls_is_announced_or_cut() {
    let authority = Authority::new("Lab CA");
    let tls = authority.issue(&Leaf::new(HOST, now())).server_config();
    for (ending, end) in
        [("*close", Ok(vec![])), ("*cut", Err(ErrorKind::UnexpectedEof)), ("*reset", Err(ErrorKind::ConnectionReset))]
    {
        let script = Script::of(&format!("=== TLS\nS: 220 a\nC: EHLO\n{ending}"));
        let server = Server::start(script, tls.clone().into()).await;
        let tcp = TcpStream::connect(server.address()).await.unwrap();
        let mut client = handshake(tcp, &authority).await.unwrap();
        client.reply().await;
        client.say("EHLO a\r\n").await;
        assert_eq!(client.rest().await, end, "{ending}");
    }
}

#[tokio::test]
async fn bytes_of_every_kind() {
    for (script, bytes) in [
        ("*raw \\x32\\x32\\x30 a\\0\\\\\\r\\n\n*close", b"220 a\0\\\r\n".to_vec()),
        ("*lf\nS: 220-a\n*crlf\nS: 220 b\n*close", b"220-a\n220 b\r\n".to_vec()),
        ("*repeat 100000 220-x\\r\\n\n*close", b"220-x\r\n".repeat(100_000)),
        ("*drip 2 220 a\\r\\n\n*close", b"220 a\r\n".to_vec()),
        ("S: 220 a\n*segment\n*raw 250\n*close", b"220 a\r\n250".to_vec()),
        ("S:\nS: 220 é \n*close", "\r\n220 é \r\n".into()),
    ] {
        let (_server, mut client) = play(script).await;
        assert!(client.rest().await == Ok(bytes), "{script}");
    }
}

#[tokio::test]
async fn segments_arrive_apart_and_neighbours_together() {
    let (_server, mut client) = play("S: 220-a\nS: 220 b\n*segment\nS: 250 c\n*close").await;
    let mut bytes = [0; 64];
    let first = client.0.read(&mut bytes).await.unwrap();
    assert_eq!(bytes[..first], *b"220-a\r\n220 b\r\n");
    let second = client.0.read(&mut bytes).await.unwrap();
    assert_eq!(bytes[..second], *b"250 c\r\n");
}

#[tokio::test]
async fn a_slow_server_takes_its_time() {
    let begin = Instant::now();
    let (_server, mut client) = play("*sleep 0.05\n*drip 5 220 abcdef\\r\\n\n*close").await;
    client.rest().await.unwrap();
    assert!(begin.elapsed() >= Duration::from_millis(110));
}

#[tokio::test]
async fn an_endless_server_stops_with_its_client() {
    let (server, mut client) = play("*forever x").await;
    let mut bytes = vec![0; 1 << 20];
    client.0.read_exact(&mut bytes).await.unwrap();
    assert!(bytes.iter().all(|byte| *byte == b'x'));
    drop(client);
    only(&server).await;
}

#[tokio::test]
async fn silence_is_kept() {
    for script in ["*idle", "S: 220 a\nC: EHLO\n*idle\nS: 451 never", "*no-read"] {
        let (server, mut client) = play(script).await;
        if script.starts_with('S') {
            client.reply().await;
        }
        client.say("EHLO a\r\n").await;
        assert!(timeout(Duration::from_millis(30), client.reply()).await.is_err());
        drop(client);
        if script != "*no-read" {
            only(&server).await;
        }
    }
}

#[tokio::test]
async fn tls_can_be_answered_with_anything() {
    let authority = Authority::new("Lab CA");
    let tls = authority.issue(&Leaf::new(HOST, now())).server_config();
    for (script, expected) in [
        ("*client-hello\n*raw 421 busy\\r\\n\n*close", "InvalidContentType"),
        ("*client-hello\n*close", "eof"),
        ("*client-hello\n*reset", "reset"),
        ("*refuse-tls 70", "ProtocolVersion"),
        ("*cut-tls 200\n*close", "eof"),
        ("*cut-tls 1\n*reset", "reset"),
    ] {
        let server = Server::start(Script::of(script), tls.clone().into()).await;
        let tcp = TcpStream::connect(server.address()).await.unwrap();
        let error = handshake(tcp, &authority).await.map(|_| ()).unwrap_err();
        assert!(error.to_string().contains(expected), "{script}: {error}");
        assert_eq!(only(&server).await.violations, [], "{script}");
    }
}

#[tokio::test]
async fn a_handshake_may_be_cut_anywhere() {
    let authority = Authority::new("Lab CA");
    let tls = authority.issue(&Leaf::new(HOST, now())).server_config();
    let mut completed = false;
    for budget in (1..3000).step_by(331) {
        let script = Script::of(&format!("*cut-tls {budget}\n*close"));
        let server = Server::start(script, tls.clone().into()).await;
        let tcp = TcpStream::connect(server.address()).await.unwrap();
        let attempt = timeout(Duration::from_millis(500), handshake(tcp, &authority)).await;
        completed = matches!(attempt, Ok(Ok(_)));
        assert!(completed == only_tls(&server).await, "{budget}");
    }
    assert!(completed);
}

async fn only_tls(server: &Server) -> bool {
    sleep(Duration::from_millis(5)).await;
    server.sessions()[0].tls
}

// Certificates.

#[tokio::test]
async fn certificates_are_what_they_say() {
    let root = Authority::new("Lab CA");
    let below = root.intermediate("Lab intermediate");
    let late = root.intermediate_until("Late", now() - DAY);
    let good = Leaf::new(HOST, now());
    let with = |key| Leaf { key, ..good.clone() };
    let old = Leaf { not_before: now() - 9 * DAY, not_after: now() - DAY, ..good.clone() };
    let young = Leaf { not_before: now() + DAY, ..good.clone() };
    let bare = Leaf { dns: vec![], ..good.clone() };
    let ca = Leaf { is_ca: true, ..good.clone() };
    let client = Leaf { client_auth_only: true, ..good.clone() };
    for (what, identity, verdict) in [
        ("P-256", root.issue(&good), ""),
        ("P-384", root.issue(&with(Key::P384)), ""),
        ("Ed25519", root.issue(&with(Key::Ed25519)), ""),
        ("RSA", root.issue(&with(Key::Rsa2048)), ""),
        ("intermediate", below.issue(&good), ""),
        ("missing intermediate", below.issue(&good).leaf_only(), "UnknownIssuer"),
        ("expired intermediate", late.issue(&good), "expired"),
        ("expired", root.issue(&old), "expired"),
        ("not yet valid", root.issue(&young), "not valid yet"),
        ("another name", root.issue(&Leaf::new("b.example", now())), "not valid for name"),
        ("no name", root.issue(&bare), "not valid for name"),
        ("client only", root.issue(&client), "extended key usage"),
        ("self-signed", Identity::self_signed(&good), "UnknownIssuer"),
        ("self-signed CA", Identity::self_signed(&ca), "CaUsedAsEndEntity"),
    ] {
        let script = Script::of("=== TLS\nS: 220 a");
        let server = Server::start(script, identity.server_config().into()).await;
        let tcp = TcpStream::connect(server.address()).await.unwrap();
        let error = handshake(tcp, &root).await.err();
        let text = error.map(|error| error.to_string()).unwrap_or_default();
        assert_eq!(text.is_empty(), verdict.is_empty(), "{what}: {text}");
        assert!(text.contains(verdict), "{what}: {text}");
    }
}

#[tokio::test]
async fn versions_and_client_certificates_can_be_demanded() {
    let root = Authority::new("Lab CA");
    let identity = root.issue(&Leaf::new(HOST, now()));
    for version in [&TLS12, &TLS13] {
        let tls = identity.server_config_with(&[version], None);
        let server = Server::start(Script::of("=== TLS\nS: 220 a"), tls.into()).await;
        let tcp = TcpStream::connect(server.address()).await.unwrap();
        let client = handshake(tcp, &root).await.unwrap();
        assert_eq!(client.0.get_ref().1.protocol_version(), Some(version.version));

        let tls = identity.server_config_with(&[version], Some(&root));
        let server = Server::start(Script::of("=== TLS\nS: 220 a"), tls.into()).await;
        let tcp = TcpStream::connect(server.address()).await.unwrap();
        // With TLS 1.3 the client has finished before it is refused: the first read tells.
        let error = match handshake(tcp, &root).await {
            Ok(mut client) => client.0.read_u8().await.unwrap_err(),
            Err(error) => error,
        };
        let demanded = ["CertificateRequired", "HandshakeFailure"];
        assert!(demanded.iter().any(|alert| error.to_string().contains(alert)), "{error}");
        assert!(only(&server).await.tls_error.is_some());
    }
}

#[tokio::test]
async fn a_liar_shows_any_certificate() {
    let root = Authority::new("Lab CA");
    let chain = root.issue(&Leaf { key: Key::Rsa2048, ..Leaf::new(HOST, now()) }).chain;
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/certificates");
    let fixture = |name: &str| vec![std::fs::read(format!("{folder}/{name}")).unwrap().into()];
    for (chain, expected) in [
        (chain, "BadSignature"),
        (fixture("rsa-1024.der"), "UnknownIssuer"),
        (fixture("x509-v1.der"), "UnsupportedCertVersion"),
    ] {
        let server = Server::start(Script::of("=== TLS"), liar_config(chain).into()).await;
        let tcp = TcpStream::connect(server.address()).await.unwrap();
        let error = handshake(tcp, &root).await.err().unwrap().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

// Where nobody answers, and names.

#[tokio::test]
async fn dead_addresses() {
    let refused = TcpStream::connect(refused_port().await).await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::ConnectionRefused);
    let hole = Blackhole::start().await;
    let dial = TcpStream::connect(hole.address());
    assert!(timeout(Duration::from_millis(200), dial).await.is_err());
}

#[tokio::test]
async fn names_are_answered_from_the_table() {
    let both = Answer::addresses(&["192.0.2.1", "192.0.2.2", "2001:db8::1"]);
    let server = DnsServer::start(&[
        ("mail.example.org", both, 300),
        ("empty.example.org", Answer::NoData, 5),
        ("broken.example.org", Answer::ServFail, 0),
        ("closed.example.org", Answer::Refused, 0),
        ("silent.example.org", Answer::Silent, 0),
    ])
    .await;
    // Name, type; then response code, answers, authorities, and the bytes at the end.
    for (name, kind, rcode, answers, authorities, end) in [
        ("mail.EXAMPLE.org", 1, 0, 2, 0, &[0, 4, 192, 0, 2, 2][..]),
        ("mail.example.org", 28, 0, 1, 0, &[0, 0, 0, 1]),
        ("empty.example.org", 1, 0, 0, 1, &[0, 0, 0, 5]),
        ("nobody.example.org", 1, 3, 0, 1, &[0, 0, 0, 60]),
        ("broken.example.org", 1, 2, 0, 0, &[0, 1, 0, 1]),
        ("closed.example.org", 1, 5, 0, 0, &[0, 1, 0, 1]),
    ] {
        let reply = lookup(server.address(), name, kind).await.unwrap();
        assert_eq!(reply[..2], [0xab, 0xcd]);
        assert_eq!(reply[3] & 15, rcode, "{name}");
        assert_eq!((reply[7], reply[9]), (answers, authorities), "{name}");
        assert!(reply.ends_with(end), "{name}: {reply:?}");
    }
    assert_eq!(lookup(server.address(), "silent.example.org", 1).await, None);
    assert_eq!(server.queries()[0], ("mail.example.org".into(), 1));
}

async fn lookup(server: SocketAddr, name: &str, kind: u8) -> Option<Vec<u8>> {
    let mut query = vec![0xab, 0xcd, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        query.push(label.len() as u8);
        query.extend(label.bytes());
    }
    query.extend([0, 0, kind, 0, 1]);
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.send_to(&query, server).await.unwrap();
    let mut reply = vec![0; 512];
    let read = timeout(Duration::from_millis(100), socket.recv(&mut reply)).await;
    reply.truncate(read.ok()?.unwrap());
    Some(reply)
}
