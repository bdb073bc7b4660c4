//! Logging in: every mechanism against servers that accept, refuse and misbehave, and what is shown of it.

#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "a test fails by panicking")]

mod lab;
mod support;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use aws_lc_rs::{digest, hmac, pbkdf2};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lab::{Authority, Identity, Leaf, Options, Script, Server, SessionLog};
use mail_endpoint_exporter::config::Config;
use mail_endpoint_exporter::export::{json, text};
use mail_endpoint_exporter::outcome::Outcome;
use mail_endpoint_exporter::outcome::port_state::PortState;
use support::{Exporter, config, file, one_endpoint, probe, verdict};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

const PASSWORD: &str = "correct horse battery";

/// A CA, and a server with a certificate that it vouches for.
fn trusted() -> (Arc<ServerConfig>, PathBuf) {
    let ca = Authority::new("Lab CA");
    let leaf = Leaf { ips: vec!["127.0.0.1".parse().unwrap()], ..Leaf::new("mail.example.org", SystemTime::now()) };
    (ca.issue(&leaf).server_config(), file("ca.pem", &ca.pem()))
}

/// The EHLO that offers these mechanisms inside TLS, and what comes after it.
fn offers(mechanisms: &str, rest: &str) -> String {
    format!("=== TLS\nS: 220 mx ESMTP\nC: EHLO x\nS: 250-mx\nS: 250 AUTH {mechanisms}\n{rest}")
}

fn module(security: &str, ca: &std::path::Path, auth: &str) -> String {
    let password = file("password", &format!("{PASSWORD}\n"));
    format!(
        "{{security: {security}, ca_file: '{}', auth: {{username: 'u@example.org', password_file: '{}'{auth}}}}}",
        ca.display(),
        password.display()
    )
}

/// One probe of a scripted server; the second is what the server heard after EHLO.
async fn log_in(script: &str, auth: &str) -> (Outcome, Vec<String>) {
    let (tls, ca) = trusted();
    let server = Server::start(Script::of(script), Options::from(tls)).await;
    let outcome = probe(server.address(), &module("tls", &ca, auth)).await;
    let log = server.finished(1).await.remove(0);
    assert!(log.quit || !said_auth(&log) || outcome.failure.is_some(), "{:?}", log.lines);
    (outcome, log.lines.into_iter().filter(|line| !line.starts_with("EHLO")).collect())
}

fn said_auth(log: &SessionLog) -> bool {
    log.lines.iter().any(|line| line.starts_with("AUTH"))
}

fn base64(text: &str) -> String {
    STANDARD.encode(text)
}

#[tokio::test]
async fn plain_is_sent_with_the_command() {
    let script = offers("LOGIN PLAIN", "C: AUTH\nS: 235 2.7.0 welcome");
    let (outcome, said) = log_in(&script, "").await;
    assert_eq!(verdict(&outcome), "ok");
    let message = base64(&format!("\0u@example.org\0{PASSWORD}"));
    assert_eq!(said, [format!("AUTH PLAIN {message}"), "QUIT".into()]);
    let judged = outcome.judgements.last().unwrap();
    assert_eq!((judged.expectation, judged.found.as_str()), ("auth_accepted", "accepted with 235, by PLAIN"));
    let phases: Vec<&str> = outcome.findings.phases.iter().map(|(phase, _)| phase.as_str()).collect();
    assert_eq!(phases.join(" "), "resolve connect tls banner ehlo auth quit");
}

#[tokio::test]
async fn login_answers_prompts() {
    let script = offers("LOGIN", "C: AUTH\nS: 334 VXNlcm5hbWU6\nC:\nS: 334 UGFzc3dvcmQ6\nC:\nS: 235 ok");
    let (outcome, said) = log_in(&script, "").await;
    assert_eq!(verdict(&outcome), "ok");
    assert_eq!(said, ["AUTH LOGIN".into(), base64("u@example.org"), base64(PASSWORD), "QUIT".into()]);
}

#[tokio::test]
async fn a_server_that_knows_no_initial_response_is_asked_without() {
    for refusal in ["501 5.5.4 syntax", "504 no parameter"] {
        let script = offers("PLAIN", &format!("C: AUTH\nS: {refusal}\nC: AUTH\nS: 334 \nC:\nS: 235 ok"));
        let (outcome, said) = log_in(&script, "").await;
        assert_eq!(verdict(&outcome), "ok");
        let message = base64(&format!("\0u@example.org\0{PASSWORD}"));
        assert_eq!(said, [format!("AUTH PLAIN {message}"), "AUTH PLAIN".into(), message, "QUIT".into()]);
    }
    let script = offers("PLAIN", "C: AUTH\nS: 504 no\nC: AUTH\nS: 504 5.5.4 no such mechanism");
    let (outcome, said) = log_in(&script, "").await;
    assert_eq!((verdict(&outcome).as_str(), said.len()), ("permanent_reply in auth", 3));
}

#[tokio::test]
async fn cram_md5_sends_a_digest() {
    let challenge = base64("<1896.697170952@postoffice.reston.mci.net>");
    let script = offers("CRAM-MD5", &format!("C: AUTH\nS: 334 {challenge}\nC:\nS: 235 ok"));
    let (outcome, said) = log_in(&script, ", mechanism: cram-md5").await;
    assert_eq!(verdict(&outcome), "ok");
    // As `openssl dgst -md5 -hmac` has it.
    assert_eq!(said[1], base64("u@example.org 4015b0248913916b18546a4962e5b010"));
}

#[tokio::test]
async fn what_the_server_answers_decides() {
    let table = [
        ("535 5.7.8 no", "auth_rejected in auth", "ok"),
        ("534 5.7.9 too weak", "auth_rejected in auth", "ok"),
        ("525 5.7.13 disabled", "auth_rejected in auth", "ok"),
        ("550 5.7.30 basic authentication is not supported", "auth_rejected in auth", "ok"),
        ("235 2.7.0 ok", "ok", "auth_accepted in auth"),
        // None of these is a word on the password: a test that it is refused has not taken place.
        ("530 5.7.0 Must issue a STARTTLS command first", "permanent_reply in auth", "permanent_reply in auth"),
        ("538 5.7.11 encryption needed", "permanent_reply in auth", "permanent_reply in auth"),
        ("503 5.5.1 not enabled", "permanent_reply in auth", "permanent_reply in auth"),
        ("550 no", "permanent_reply in auth", "permanent_reply in auth"),
        ("454 4.7.0 later", "transient_reply in auth", "transient_reply in auth"),
        ("432 4.7.12 a password transition is needed", "transient_reply in auth", "transient_reply in auth"),
        ("421 4.7.0 too many errors", "rate_limited in auth", "rate_limited in auth"),
        ("250 ok", "unexpected_reply in auth", "unexpected_reply in auth"),
        ("354 go on", "unexpected_reply in auth", "unexpected_reply in auth"),
        ("hello", "malformed_reply in auth", "malformed_reply in auth"),
    ];
    for (reply, accepted, rejected) in table {
        let script = offers("PLAIN", &format!("C: AUTH\nS: {reply}\nC: AUTH\nS: {reply}"));
        assert_eq!(verdict(&log_in(&script, "").await.0), accepted, "{reply}");
        assert_eq!(verdict(&log_in(&script, ", expect: rejected").await.0), rejected, "{reply}");
    }
    for (rest, expected) in
        [("*close", "closed in auth"), ("*reset", "reset in auth"), ("*raw 235 x", "closed in auth")]
    {
        let end = if rest.starts_with("*raw") { "\n*close" } else { "" };
        let script = offers("PLAIN", &format!("C: AUTH\n{rest}{end}"));
        assert_eq!(verdict(&log_in(&script, "").await.0), expected, "{rest}");
    }
}

#[tokio::test]
async fn an_exchange_that_goes_wrong_is_given_up_with_an_asterisk() {
    let table = [
        ("PLAIN", "334 more", "unexpected_reply in auth"),
        ("CRAM-MD5", "334 not base64!", "malformed_reply in auth"),
        ("CRAM-MD5", "334 ", "malformed_reply in auth"),
        ("SCRAM-SHA-256", "334 cj14", "malformed_reply in auth"),
        ("XOAUTH2", "334 eyJzdGF0dXMiOiI0MDAifQ==", "auth_rejected in auth"),
    ];
    for (mechanism, challenge, expected) in table {
        let (tls, ca) = trusted();
        let rest = format!("C: AUTH\nS: {challenge}\nC: *\nS: 501 5.7.0 given up\nC:\nS: 535 5.7.8 no");
        let server = Server::start(Script::of(&offers(mechanism, &rest)), Options::from(tls)).await;
        let mut module = module("tls", &ca, "");
        if mechanism == "XOAUTH2" {
            module = module.replace("password_file", "token_file");
        }
        let outcome = probe(server.address(), &module).await;
        assert_eq!(verdict(&outcome), expected, "{mechanism} {challenge}");
        let said = server.finished(1).await.remove(0).lines;
        let last = if mechanism == "XOAUTH2" { "" } else { "*" };
        assert_eq!(said[2..], [last, "QUIT"], "{mechanism} {challenge}");
    }
}

#[tokio::test]
async fn an_initial_response_that_makes_the_command_too_long_waits() {
    let (tls, ca) = trusted();
    let rest = "C: AUTH\nS: 334 \nC:\nS: 235 ok";
    let server = Server::start(Script::of(&offers("XOAUTH2", rest)), Options::from(tls)).await;
    let token = "t".repeat(1500);
    let module = module("tls", &ca, "").replace("password_file", "token_file");
    let path = module.split("token_file: '").nth(1).unwrap().split('\'').next().unwrap();
    std::fs::write(path, &token).unwrap();
    assert_eq!(verdict(&probe(server.address(), &module).await), "ok");
    let said = server.finished(1).await.remove(0).lines;
    assert_eq!(said[1], "AUTH XOAUTH2");
    assert_eq!(said[2], base64(&format!("user=u@example.org\x01auth=Bearer {token}\x01\x01")));
}

#[tokio::test]
async fn nothing_is_sent_where_somebody_may_listen() {
    let (tls, ca) = trusted();
    // A certificate that nobody vouches for; any will do for the rest of the probe.
    let strange = Identity::self_signed(&Leaf::new("mail.example.org", SystemTime::now())).server_config();
    let inside = offers("PLAIN", "C: AUTH\nS: 235 ok");
    let clear = "S: 220 mx\nC: EHLO x\nS: 250-mx\nS: 250 AUTH PLAIN\nC: AUTH\nS: 235 ok";
    let starttls = "S: 220 mx\nC: EHLO x\nS: 250-mx\nS: 250-AUTH PLAIN\nS: 250 STARTTLS\nC: STARTTLS\nS: 220 go\n=== TLS\n\
                    C: EHLO x\nS: 250-mx\nS: 250 AUTH PLAIN\nC: AUTH\nS: 235 ok";
    let any = ", expect: {certificate: any}}";
    for (script, tls, security, verdict_safe) in [
        (inside.as_str(), Some(strange.clone()), "tls", "auth_unsafe in auth"),
        (starttls, Some(strange), "starttls", "auth_unsafe in auth"),
        (starttls, Some(tls), "starttls", "ok"),
        (clear, None, "opportunistic", "auth_unsafe in auth"),
    ] {
        for insecure in [false, true] {
            let server = Server::start(Script::of(script), tls.clone().map(Options::from).unwrap_or_default()).await;
            let auth = if insecure { ", insecure: true" } else { "" };
            let module = module(security, &ca, auth);
            let module = format!("{}{any}", module.strip_suffix('}').unwrap());
            let outcome = probe(server.address(), &module).await;
            assert_eq!(verdict(&outcome), if insecure { "ok" } else { verdict_safe }, "{security}");
            let log = server.finished(1).await.remove(0);
            assert_eq!(said_auth(&log), insecure || verdict_safe == "ok", "{:?}", log.lines);
            assert!(log.quit);
        }
    }
}

#[tokio::test]
async fn a_certificate_that_is_not_valid_is_the_failure_and_not_what_follows_from_it() {
    let (_, ca) = trusted();
    let strange = Identity::self_signed(&Leaf::new("mail.example.org", SystemTime::now())).server_config();
    let server = Server::start(Script::of(&offers("PLAIN", "")), Options::from(strange)).await;
    let outcome = probe(server.address(), &module("tls", &ca, "")).await;
    assert_eq!(verdict(&outcome), "certificate_host_mismatch in tls");
    assert!(outcome.judgements.iter().any(|one| one.expectation == "auth_accepted" && one.failure.is_some()));
}

/// A server that does SCRAM-SHA-256 by the standard, but for one fault; what it heard is in the second.
async fn scram_server(
    tls: Arc<ServerConfig>,
    password: &'static str,
    fault: &'static str,
) -> (std::net::SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let heard: Arc<Mutex<Vec<String>>> = Arc::default();
    let log = heard.clone();
    tokio::spawn(async move {
        let (tcp, _) = listener.accept().await.unwrap();
        let mut lines = BufReader::new(TlsAcceptor::from(tls).accept(tcp).await.unwrap());
        let (mut first, mut server_first, mut turn) = (String::new(), String::new(), 0);
        let mut reply = "220 mx ESMTP".to_owned();
        loop {
            lines.write_all(format!("{reply}\r\n").as_bytes()).await.unwrap();
            let mut line = String::new();
            if lines.read_line(&mut line).await.unwrap_or(0) == 0 {
                return;
            }
            let line = line.trim_end();
            log.lock().unwrap().push(line.to_owned());
            let decoded = |text: &str| String::from_utf8(STANDARD.decode(text).unwrap()).unwrap();
            reply = match line.split(' ').next().unwrap() {
                "EHLO" => "250-mx\r\n250 AUTH SCRAM-SHA-256 PLAIN".into(),
                "QUIT" => "221 bye".into(),
                "*" => "501 5.7.0 given up".into(),
                "AUTH" => {
                    first = decoded(line.rsplit(' ').next().unwrap()).replacen("n,,", "", 1);
                    let nonce = first.split("r=").nth(1).unwrap();
                    server_first = format!("r={nonce}-of-the-server,s={},i=4096", base64("salt of the server"));
                    format!("334 {}", base64(&server_first))
                }
                _ if turn == 0 => {
                    turn = 1;
                    let (bare, proof) =
                        decoded(line).rsplit_once(",p=").map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
                    let message = format!("{first},{server_first},{bare}");
                    let (right, signature) = scram(password, &message);
                    match fault {
                        _ if right != proof => "535 5.7.8 no".into(),
                        "early" => "235 ok".into(),
                        "impostor" => format!("334 {}", base64(&format!("v={}", scram("guess", &message).1))),
                        "error" => format!("334 {}", base64("e=other-error")),
                        _ => format!("334 {}", base64(&format!("v={signature}"))),
                    }
                }
                _ if fault == "error" => "535 5.7.8 no".into(),
                _ => "235 2.7.0 ok".into(),
            };
        }
    });
    (address, heard)
}

/// RFC 5802 §3, from the server's side: the client's proof and the server's signature.
fn scram(password: &str, message: &str) -> (String, String) {
    let sign = |key: &[u8], text: &[u8]| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text).as_ref().to_vec();
    let mut salted = [0; 32];
    let count = std::num::NonZeroU32::new(4096).unwrap();
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, count, b"salt of the server", password.as_bytes(), &mut salted);
    let client = sign(&salted, b"Client Key");
    let stored = digest::digest(&digest::SHA256, &client);
    let proof: Vec<u8> = client.iter().zip(sign(stored.as_ref(), message.as_bytes())).map(|(a, b)| a ^ b).collect();
    (STANDARD.encode(proof), STANDARD.encode(sign(&sign(&salted, b"Server Key"), message.as_bytes())))
}

#[tokio::test]
async fn scram_proves_both_sides() {
    for (password, fault, expected) in [
        (PASSWORD, "", "ok"),
        ("another password", "", "auth_rejected in auth"),
        (PASSWORD, "early", "unexpected_reply in auth"),
        (PASSWORD, "impostor", "unexpected_reply in auth"),
        (PASSWORD, "error", "auth_rejected in auth"),
    ] {
        let (tls, ca) = trusted();
        let (address, heard) = scram_server(tls, password, fault).await;
        let outcome = probe(address, &module("tls", &ca, "")).await;
        assert_eq!(verdict(&outcome), expected, "{fault}");
        let heard = heard.lock().unwrap().join("\n");
        assert!(heard.contains("AUTH SCRAM-SHA-256 ") && heard.ends_with("QUIT"), "the best is chosen: {heard}");
        assert!(!heard.contains(&base64(PASSWORD)), "the password stays here");
    }
}

#[tokio::test]
async fn no_nonce_comes_twice() {
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..3 {
        let (tls, ca) = trusted();
        let (address, heard) = scram_server(tls, PASSWORD, "").await;
        probe(address, &module("tls", &ca, "")).await;
        let first = heard.lock().unwrap().iter().find(|line| line.starts_with("AUTH")).unwrap().clone();
        assert!(seen.insert(first));
    }
}

/// All that anybody is shown of an outcome.
fn shown(outcome: &Outcome) -> String {
    let pair = [(outcome, PortState::Open)];
    let style = text::Style { colour: false, transcript: true };
    format!("{outcome:?}\n{}\n{}", json::outcomes(&pair, true), text::report(&pair, style))
}

#[tokio::test]
async fn no_secret_is_shown_even_if_the_server_repeats_it() {
    let plain = base64(&format!("\0u@example.org\0{PASSWORD}"));
    let challenge = base64("<challenge@mx>");
    for (mechanism, rest) in [
        ("PLAIN", format!("C: AUTH\nS: 535 5.7.8 {plain} is {PASSWORD}, and that is wrong")),
        ("PLAIN", format!("C: AUTH\n*raw 535 {plain}{PASSWORD}\n*close")),
        ("PLAIN", format!("C: AUTH\nS: what is {PASSWORD} {plain}")),
        ("PLAIN", format!("C: AUTH\nS: 235 ok {PASSWORD}\nC: QUIT\nS: 221 bye {PASSWORD} {plain}")),
        (
            "LOGIN",
            format!("C: AUTH\nS: 334 {challenge}\nC:\nS: 334 {}\nC:\nS: 454 {}", base64(PASSWORD), base64(PASSWORD)),
        ),
        ("CRAM-MD5", format!("C: AUTH\nS: 334 {challenge}\nC:\nS: 535 no {PASSWORD}")),
    ] {
        let (outcome, _) = log_in(&offers(mechanism, &rest), "").await;
        let shown = shown(&outcome);
        for secret in [PASSWORD, &base64(PASSWORD), &plain, &challenge] {
            assert!(!shown.contains(secret), "{mechanism}: {secret}\n{shown}");
        }
        assert!(shown.contains("<redacted>"), "{shown}");
    }
}

#[tokio::test]
async fn the_transcript_has_the_course_of_a_login() {
    let script = offers("CRAM-MD5", &format!("C: AUTH\nS: 334 {}\nC:\nS: 235 2.7.0 ok", base64("<1@mx>")));
    let (outcome, _) = log_in(&script, "").await;
    let lines: Vec<&str> = outcome.findings.transcript.lines().map(|line| line.text).collect();
    let from = lines.iter().position(|line| line.starts_with("AUTH")).unwrap();
    assert_eq!(lines[from..from + 4], ["AUTH CRAM-MD5", "334 <redacted>", "<redacted>", "235 2.7.0 ok"]);
    let (outcome, _) = log_in(&offers("PLAIN", "C: AUTH\nS: 235 ok"), "").await;
    assert!(outcome.findings.transcript.lines().any(|line| line.text == "AUTH PLAIN <redacted>"));
}

#[tokio::test]
async fn a_whole_exporter_shows_no_secret_and_a_changed_password_is_read_again() {
    let (tls, ca) = trusted();
    let server = Server::start(
        Script::of(&offers("PLAIN", &format!("C: AUTH\nS: 535 5.7.8 not {PASSWORD}"))),
        Options::from(tls),
    )
    .await;
    let module = module("tls", &ca, "");
    let config = one_endpoint(server.address(), &module);
    assert!(!format!("{config:?}").contains(PASSWORD));
    let exporter = Exporter::start(&config).await;
    exporter.first_round().await;
    let metrics = exporter.get("/metrics").await;
    assert_eq!(metrics.value("mail_probe_failure_info", &["reason=\"auth_rejected\"", "code=\"535\""]), 1.0);
    assert_eq!(metrics.value("mail_expectation_met", &["expectation=\"auth_accepted\""]), 0.0);
    assert_eq!(metrics.value("mail_smtp_reply_code", &["phase=\"auth\""]), 535.0);
    let all = exporter.get("/api/v1/endpoints").await.body;
    let id = all.split("\"id\": \"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    for path in ["/", "/api/v1/endpoints", &format!("/api/v1/endpoints/{id}"), &format!("/endpoint/{id}"), "/metrics"] {
        let answer = exporter.get(path).await;
        assert_eq!(answer.status, 200, "{path}");
        assert!(!answer.body.contains(PASSWORD) && !answer.body.contains(&base64(PASSWORD)), "{path}");
    }
    exporter.stop().await;
    let path = module.split("password_file: '").nth(1).unwrap().split('\'').next().unwrap().to_owned();
    let before = config.watched.look();
    std::fs::write(&path, "another one, and longer than that\n").unwrap();
    assert_ne!(config.watched.look(), before, "the file is watched");
}

/// What is wrong with a module's `auth`, or nothing.
fn problems(security: &str, auth: &str) -> String {
    let path = file("mail.yml", &format!("modules:\n  m: {{security: {security}, auth: {auth}}}\n"));
    let why = Config::load(&path).map_err(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"));
    why.err().unwrap_or_default()
}

#[test]
fn a_configuration_that_is_wrong_says_so_without_the_secret() {
    let secret = |content: &str| format!("{{username: u, password_file: '{}'}}", file("p", content).display());
    for good in ["p", "p\n", "p\r\n", " p ", "pä\n"] {
        assert_eq!(problems("tls", &secret(good)), "", "{good:?}");
    }
    for (content, why) in [
        ("", "it is empty"),
        ("\n", "it is empty"),
        ("Hunter2\nHunter2\n", "more than one line"),
        ("Hunter2\0", "control characters"),
    ] {
        let text = problems("tls", &secret(content));
        assert!(text.contains(why) && !text.contains("Hunter2"), "{text}");
    }
    for (auth, why) in [
        ("Hunter2", "write a mapping here"),
        ("{username: u, password: Hunter2}", "secrets do not stand in the configuration"),
        ("{username: u, token: Hunter2}", "secrets do not stand in the configuration"),
        ("{username: u, password_env: Hunter2}", "no name of a variable"),
        ("{username: u, password_env: NO_SUCH_VARIABLE_HERE}", "has no variable NO_SUCH_VARIABLE_HERE"),
        ("{username: u, password_file: /no/such/file}", "cannot be read"),
        ("{username: u}", "exactly one of password_file, password_env, token_file, token_env"),
        ("{username: u, password_env: PATH, token_env: PATH}", "exactly one of"),
        ("{password_env: PATH}", "`username` is missing"),
        ("{username: '', password_env: PATH}", "the username is empty"),
        ("{username: u, password_env: PATH, mechanism: digest-md5}", "not known here"),
        ("{username: u, password_env: PATH, mechanism: xoauth2}", "sends a token"),
        ("{username: u, token_env: PATH, mechanism: plain}", "sends no token"),
        ("{username: u, password_env: PATH, expect: maybe}", "accepted, rejected"),
        ("{username: u, password_env: PATH, insecure: perhaps}", "true, false"),
        ("{username: u, password_env: PATH, cram: x}", "unknown key"),
    ] {
        let text = problems("tls", auth);
        assert!(text.contains(why) && !text.contains("Hunter2"), "{auth}: {text}");
    }
    let auth = "{username: u, password_env: PATH}";
    assert!(problems("plain", auth).contains("only inside TLS"));
    assert_eq!(problems("plain", "{username: u, password_env: PATH, insecure: true}"), "");
    assert_eq!(problems("opportunistic", auth), "");
}

#[test]
fn logging_in_often_is_remarked() {
    let of = |keys: &str| {
        let yaml = format!(
            "modules: {{m: {{security: tls, auth: {{username: u, password_env: PATH}}}}}}\n\
             targets: [{{host: mx.example, ports: [{{port: 465, module: m}}], {keys}}}]"
        );
        config(&yaml).warnings.join("\n").contains("log in or name a recipient more often than every 5m")
    };
    assert!(of("interval: 60s") && !of("interval: 5m"));
    assert!(of("interval: 60s, addresses: all") && !of("interval: 5m, addresses: all"));
    assert!(of("interval: 5m, interval_when_failing: 30s"));
}

#[tokio::test]
async fn a_stranger_cannot_have_the_login_sent_elsewhere() {
    for every_address in ["", ", addresses: all"] {
        nor_to_another_name(every_address).await;
    }
}

async fn nor_to_another_name(every_address: &str) {
    let (tls, ca) = trusted();
    let server = Server::start(Script::of(&offers("PLAIN", "C: AUTH\nS: 235 ok")), Options::from(tls.clone())).await;
    let other = Server::start(Script::of(&offers("PLAIN", "C: AUTH\nS: 235 ok")), Options::from(tls)).await;
    let (port, elsewhere) = (server.address().port(), other.address().port());
    let exporter = Exporter::start(&config(&format!(
        "ehlo_name: probe.example.org\nmodules:\n  m: {}\n  look: {{security: tls, expect: {{certificate: any}}}}\n\
         probe_endpoint: {{allow: [127.0.0.0/8], ports: [{port}, {elsewhere}]}}\n\
         targets:\n- {{host: 127.0.0.1, ports: [{{port: {port}, module: m}}, {{port: {elsewhere}, module: look}}], interval: 1s{every_address}}}\n",
        module("tls", &ca, "")
    )))
    .await;
    exporter.first_round().await;
    for (query, status) in [
        (format!("target=127.0.0.1:{port}&module=m"), 200),
        (format!("target=127.0.0.1:{port}&module=m&hostname=evil.example"), 403),
        (format!("target=127.0.0.1:{elsewhere}&module=m"), 403),
        (format!("target=127.0.0.1:{elsewhere}&module=look"), 200),
        ("target=127.0.0.2:465&module=m".into(), 403),
    ] {
        assert_eq!(exporter.get(&format!("/probe?{query}")).await.status, status, "{query}");
    }
    assert!(other.finished(1).await.iter().all(|log| !said_auth(log)));
    exporter.stop().await;
}
