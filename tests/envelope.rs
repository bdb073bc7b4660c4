//! What must not be possible: relaying, mail without TLS, ports that are open. And mail that must be taken.

#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "a test fails by panicking")]

mod lab;
mod support;

use std::time::SystemTime;

use lab::{Identity, Leaf, Options, Script, Server, refused_port};
use mail_endpoint_exporter::config::Config;
use mail_endpoint_exporter::outcome::Outcome;
use mail_endpoint_exporter::outcome::port_state::{PortState, port_states};
use support::{Exporter, config, file, one_endpoint, probe, verdict};

const MAIL: &str = "{from: 'probe@example.org', to: 'someone@example.net'";

/// One probe in clear, and what the server heard after EHLO.
async fn ask(rest: &str, module: &str) -> (Outcome, Vec<String>) {
    let script = format!("S: 220 mx\nC: EHLO x\nS: 250-mx\nS: 250 SIZE 1000\n{rest}");
    let server = Server::start(Script::of(&script), Options::default()).await;
    let outcome = probe(server.address(), module).await;
    let lines = server.finished(1).await.remove(0).lines;
    assert!(lines.iter().all(|line| !line.starts_with("DATA") && !line.starts_with("BDAT")), "{lines:?}");
    (outcome, lines[1..].to_vec())
}

fn phases(outcome: &Outcome) -> String {
    outcome.findings.phases.iter().map(|(phase, _)| phase.as_str()).collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn a_mail_that_would_be_taken_is_taken_back() {
    for reply in ["250 2.1.5 ok", "251 will forward"] {
        let rest = format!("C: MAIL\nS: 250 2.1.0 ok\nC: RCPT\nS: {reply}\nC: RSET\nS: 250 2.0.0 ok");
        let (outcome, said) = ask(&rest, &format!("{{security: plain, mail: {MAIL}}}}}")).await;
        assert_eq!(verdict(&outcome), "ok");
        let expected =
            ["MAIL FROM:<probe@example.org>", "RCPT TO:<someone@example.net>", "RSET", "QUIT"].map(str::to_owned);
        assert_eq!(said, expected);
        assert_eq!(phases(&outcome), "resolve connect banner ehlo mail rcpt quit");
        assert_eq!(outcome.judgements.last().unwrap().expectation, "mail");
    }
}

#[tokio::test]
async fn a_refusal_of_mail_ends_it() {
    let module = format!("{{security: plain, mail: {MAIL}, expect: rejected}}}}");
    let (outcome, said) = ask("C: MAIL\nS: 550 5.7.1 blocked", &module).await;
    assert_eq!(verdict(&outcome), "ok");
    assert_eq!(said, ["MAIL FROM:<probe@example.org>", "QUIT"], "no RCPT, and nothing to take back");
    assert_eq!(outcome.judgements.last().unwrap().found, "550 to MAIL");
}

#[tokio::test]
async fn the_answer_is_held_against_what_is_expected() {
    let table = [
        ("250 ok", "ok", "relay_accepted in rcpt", "relay_accepted in rcpt"),
        ("550 5.1.1 no such user", "permanent_reply in rcpt", "ok", "ok"),
        ("554 5.7.1 relay access denied", "permanent_reply in rcpt", "ok", "permanent_reply in rcpt"),
        ("454 4.7.1 Relay access denied", "transient_reply in rcpt", "ok", "transient_reply in rcpt"),
        ("454 4.3.0 later", "transient_reply in rcpt", "transient_reply in rcpt", "transient_reply in rcpt"),
        ("450 4.7.1 greylisted", "greylisted in rcpt", "greylisted in rcpt", "greylisted in rcpt"),
        ("451 4.7.1 greylisted", "greylisted in rcpt", "greylisted in rcpt", "ok"),
        ("450 4.2.0 greylisted", "greylisted in rcpt", "greylisted in rcpt", "greylisted in rcpt"),
        ("450 4.1.8 no domain", "transient_reply in rcpt", "transient_reply in rcpt", "transient_reply in rcpt"),
        ("452 4.2.2 full", "transient_reply in rcpt", "transient_reply in rcpt", "transient_reply in rcpt"),
        ("421 4.7.0 too many", "rate_limited in rcpt", "rate_limited in rcpt", "rate_limited in rcpt"),
        ("354 go on", "unexpected_reply in rcpt", "unexpected_reply in rcpt", "unexpected_reply in rcpt"),
        ("what", "malformed_reply in rcpt", "malformed_reply in rcpt", "malformed_reply in rcpt"),
    ];
    for (reply, accepted, rejected, codes) in table {
        let rest = format!("C: MAIL\nS: 250 ok\nC: RCPT\nS: {reply}");
        for (expect, wanted) in [("accepted", accepted), ("rejected", rejected), ("{code: [550, 451]}", codes)] {
            let (outcome, _) = ask(&rest, &format!("{{security: plain, mail: {MAIL}, expect: {expect}}}}}")).await;
            assert_eq!(verdict(&outcome), wanted, "{reply} {expect}");
        }
    }
}

#[tokio::test]
async fn nobody_may_be_the_sender_and_530_what_is_wanted() {
    let module = "{security: plain, mail: {from: '<>', to: postmaster@example.org, expect: {code: 530}}}";
    let (outcome, said) = ask("C: MAIL\nS: 530 5.7.0 authentication required", module).await;
    assert_eq!((verdict(&outcome).as_str(), said[0].as_str()), ("ok", "MAIL FROM:<>"));
    let (outcome, _) = ask("C: MAIL\nS: 250 ok\nC: RCPT\nS: 250 ok", module).await;
    assert_eq!(verdict(&outcome), "relay_accepted in rcpt");
}

#[tokio::test]
async fn an_address_that_is_not_ascii_goes_only_where_it_is_understood() {
    let module = "{security: plain, mail: {from: '<>', to: jürgen@bücher.example}}";
    let (outcome, said) = ask("C: MAIL\nS: 250 ok", module).await;
    assert_eq!((verdict(&outcome).as_str(), said.join(" ")), ("unexpected_reply in mail", "QUIT".to_owned()));
    let script = "S: 220 mx\nC: EHLO x\nS: 250-mx\nS: 250 SMTPUTF8\nC: MAIL\nS: 250 ok\nC: RCPT\nS: 250 ok";
    let server = Server::start(Script::of(script), Options::default()).await;
    assert_eq!(verdict(&probe(server.address(), module).await), "ok");
    let said = server.finished(1).await.remove(0).lines;
    assert_eq!(said[1..3], ["MAIL FROM:<> SMTPUTF8", "RCPT TO:<jürgen@xn--bcher-kva.example>"]);
}

#[tokio::test]
async fn after_a_login_a_mail_is_asked_about_only_if_it_is_accepted() {
    let module = format!(
        "{{security: plain, auth: {{username: u, password_env: CARGO_PKG_NAME, insecure: true}}, mail: {MAIL}}}}}"
    );
    for (reply, expected, asked) in [("235 ok", "ok", true), ("535 no", "auth_rejected in auth", false)] {
        let script = format!(
            "S: 220 mx\nC: EHLO x\nS: 250-mx\nS: 250 AUTH PLAIN\nC: AUTH\nS: {reply}\nC: MAIL\nS: 250 ok\nC: RCPT\nS: 250 ok"
        );
        let server = Server::start(Script::of(&script), Options::default()).await;
        assert_eq!(verdict(&probe(server.address(), &module).await), expected);
        let said = server.finished(1).await.remove(0).lines;
        assert_eq!(said.iter().any(|line| line.starts_with("MAIL")), asked, "{said:?}");
    }
}

/// A server with STARTTLS that answers MAIL before TLS in this way.
async fn before_tls(reply: &str, security: &str) -> (Outcome, Vec<String>) {
    let script = format!(
        "S: 220 mx\nC: EHLO x\nS: 250-mx\nS: 250 STARTTLS\nC: MAIL\nS: {reply}\nC: RSET\nS: 250 ok\nC: STARTTLS\n\
         S: 220 go\n=== TLS\nC: EHLO x\nS: 250 mx"
    );
    let tls = Identity::self_signed(&Leaf::new("mail.example.org", SystemTime::now())).server_config();
    let server = Server::start(Script::of(&script), Options::from(tls)).await;
    let module = format!("{{security: {security}, expect: {{starttls: required, certificate: any}}}}");
    let outcome = probe(server.address(), &module).await;
    (outcome, server.finished(1).await.remove(0).lines)
}

#[tokio::test]
async fn mail_before_tls_must_be_refused_where_tls_is_required() {
    for (reply, expected) in [
        ("530 5.7.0 Must issue a STARTTLS command first", "ok"),
        ("530 no", "ok"),
        ("538 5.7.11 encryption", "ok"),
        ("554 5.7.1 TLS is required", "ok"),
        ("250 ok", "starttls_not_required in mail_clear"),
        ("550 5.1.8 no such sender", "permanent_reply in mail_clear"),
        ("451 4.3.0 later", "transient_reply in mail_clear"),
        ("421 bye", "rate_limited in mail_clear"),
        ("354 go on", "unexpected_reply in mail_clear"),
    ] {
        for security in ["starttls", "opportunistic", "plain"] {
            let (outcome, said) = before_tls(reply, security).await;
            assert_eq!(verdict(&outcome), expected, "{reply} {security}");
            assert_eq!(said[1], "MAIL FROM:<>");
            assert_eq!(said.contains(&"RSET".to_owned()), reply.starts_with("250"), "{said:?}");
            assert_eq!(said.last().unwrap(), "QUIT");
        }
        if reply.starts_with("250") || expected == "ok" {
            let (outcome, said) = before_tls(reply, "starttls").await;
            assert!(said.contains(&"STARTTLS".to_owned()), "the session goes on: {said:?}");
            assert!(outcome.findings.tls.is_some());
            assert_eq!(phases(&outcome), "resolve connect banner ehlo mail_clear starttls tls ehlo_tls quit");
            let code =
                outcome.findings.smtp.codes.iter().find(|(step, _)| format!("{step:?}") == "MailClear").unwrap().1;
            assert_eq!(code.to_string(), reply[..3]);
        }
    }
}

#[tokio::test]
async fn a_port_that_must_be_closed() {
    let closed = "{security: plain, timeout: 1s, expect: {port: closed}}";
    let refused = refused_port().await;
    let outcome = probe(refused, closed).await;
    assert_eq!((verdict(&outcome).as_str(), outcome.judgements[0].found.as_str()), ("ok", "refused"));
    assert_eq!(port_states(&[&outcome]), [PortState::Refused], "the state of the port stays a fact");
    let server = Server::start(Script::of("S: 220 mx\nC: EHLO x\nS: 250 mx"), Options::default()).await;
    let outcome = probe(server.address(), closed).await;
    assert_eq!(verdict(&outcome), "port_open in connect");
    assert_eq!(port_states(&[&outcome]), [PortState::Open]);
    assert!(server.finished(1).await[0].quit, "and it is left politely");
    let own_fault = "{security: plain, source_address: 192.0.2.7, expect: {port: closed}}";
    assert_eq!(verdict(&probe(refused, own_fault).await), "local_resource in connect", "this has shown nothing");
    let exporter = Exporter::start(&one_endpoint(refused, closed)).await;
    exporter.first_round().await;
    let metrics = exporter.get("/metrics").await;
    assert_eq!(metrics.value("mail_probe_success", &[]), 1.0);
    assert_eq!(metrics.value("mail_expectation_met", &["expectation=\"port\""]), 1.0);
    assert_eq!(exporter.get("/").await.status, 200);
    exporter.stop().await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn silence_is_closed_too() {
    let hole = lab::Blackhole::start().await;
    let outcome = probe(hole.address(), "{security: plain, timeout: 800ms, expect: {port: closed}}").await;
    assert_eq!((verdict(&outcome).as_str(), outcome.judgements[0].found.as_str()), ("ok", "timeout"));
}

#[test]
fn a_configuration_that_is_wrong_says_what_to_write() {
    let problems = |module: &str| {
        let path = file("mail.yml", &format!("modules:\n  m: {module}\n"));
        let why = Config::load(&path).map_err(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"));
        why.err().unwrap_or_default()
    };
    let auth = "auth: {username: u, password_env: PATH, expect: rejected}";
    for (module, why) in [
        ("{security: tls, mail: {to: a@b}}".to_owned(), "`from` is missing"),
        ("{security: tls, mail: {from: '<>'}}".into(), "`to` is missing"),
        ("{security: tls, mail: {from: '<>', to: '<>'}}".into(), "no mail address"),
        ("{security: tls, mail: {from: '<>', to: \"a@b\\r\\nDATA\"}}".into(), "no mail address"),
        ("{security: tls, mail: {from: '<>', to: a@b, expect: no}}".into(), "{code: [550, 554]}"),
        ("{security: tls, mail: {from: '<>', to: a@b, expect: {code: 600}}}".into(), "from 200 to 599"),
        ("{security: tls, mail: {from: '<>', to: a@b, expect: {code: []}}}".into(), "no code stands here"),
        ("{security: tls, mail: {from: '<>', to: a@b, expect: {}}}".into(), "`code` is missing"),
        (format!("{{security: tls, {auth}, mail: {{from: '<>', to: a@b}}}}"), "make two modules"),
        ("{security: tls, expect: {starttls: required}}".into(), "no time before TLS"),
        ("{security: plain, mail: {from: '<>', to: a@b}, expect: {port: closed}}".into(), "nobody to ask"),
        (format!("{{security: tls, {auth}, expect: {{port: closed}}}}"), "nobody to log in to"),
        ("{security: plain, expect: {port: shut}}".into(), "any, closed"),
    ] {
        assert!(problems(&module).contains(why), "{module}: {}", problems(&module));
    }
    let example = std::fs::read_to_string(format!("{}/examples/trials.yml", env!("CARGO_MANIFEST_DIR"))).unwrap();
    assert!(example.contains("relay"), "the example shows what is tested here");
    assert!(config("modules: {m: {security: plain, expect: {port: closed}}}").warnings.len() == 1);
}
