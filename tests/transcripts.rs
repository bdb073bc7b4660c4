//! Recorded dialogues of real servers, replayed whole, byte by byte, and cut at every place.
//!
//! Each file in `tests/transcripts/` says in its header what a right reading of it finds. A few record what
//! happens to clients that do what this one never does (speak early, send STARTTLS before EHLO); with them
//! goes the outcome that a well-behaved client gets, below.

#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "a test fails by panicking")]

mod lab;
mod support;

use std::sync::Arc;
use std::time::SystemTime;

use lab::{Chunking, Identity, Leaf, Options, Script, Server, Step, transcripts};
use mail_endpoint_exporter::mail::Printable;
use mail_endpoint_exporter::mail::smtp::capabilities::Capabilities;
use mail_endpoint_exporter::mail::smtp::command::EhloName;
use mail_endpoint_exporter::mail::smtp::session::{Action, Facts, Session, TlsUse};
use mail_endpoint_exporter::outcome::Outcome;
use serde_json::Value;
use support::{probe, verdict};
use tokio_rustls::rustls::ServerConfig;

/// The verdict on each dialogue that does not end well, whatever its reason.
const NOT_OK: &[(&str, &str)] = &[
    ("briefmx-double-reply-bare-lf", "unsolicited_data in banner"),
    ("curl-454-with-injected-replies", "starttls_injection in starttls"),
    ("exim-hostile-starttls-450", "transient_reply in starttls"),
    ("exim-hostile-temp-busy", "transient_reply in ehlo"),
    ("fastmail-465-banner", "closed in ehlo"),
    ("gmx-striptls-invalid-code", "unexpected_reply in starttls"),
    ("icloud-587-partial", "closed in ehlo"),
    ("ideasmtp-partial", "closed in ehlo"),
    ("iis-smtp-7-truncated", "closed in ehlo"),
    ("kerio-852-partial", "closed in ehlo"),
    ("mimecast-outbound-banner", "closed in ehlo"),
    ("postfix-39-early-talker", "permanent_reply in ehlo"),
    ("postfix-postscreen-pregreet", "timeout in banner"),
    ("proofpoint-554-greeting", "permanent_reply in banner"),
];

/// What the file expects, or what the table above says of it.
fn expected(script: &Script) -> &'static str {
    NOT_OK.iter().find(|(name, _)| *name == script.name).map_or("ok", |(_, verdict)| *verdict)
}

fn security(script: &Script) -> &'static str {
    match script.tls.as_str() {
        "implicit" => "tls",
        _ => "opportunistic",
    }
}

async fn replay(script: &Script, chunking: Chunking, tls: &Arc<ServerConfig>) -> Outcome {
    let options = Options { tls: Some(tls.clone()), chunking, ..Options::default() };
    let server = Server::start(script.clone(), options).await;
    let timeout = if script.name == "postfix-postscreen-pregreet" { "1s" } else { "10s" };
    let module = format!("{{security: {}, timeout: {timeout}, expect: {{certificate: any}}}}", security(script));
    let outcome = probe(server.address(), &module).await;
    for session in server.sessions() {
        assert!(session.violations.is_empty(), "{}: {:?}", script.name, session.violations);
    }
    outcome
}

fn tls() -> Arc<ServerConfig> {
    Identity::self_signed(&Leaf::new("mail.example.org", SystemTime::now())).server_config()
}

/// Compares the facts with the header's `expect`.
fn check(script: &Script, facts: &Facts) {
    let compare = |key: &str, offered: Option<&Capabilities>, found: fn(&Capabilities) -> Value| {
        if let Some(wanted) = script.expect.get(key) {
            let offered = offered.unwrap_or_else(|| panic!("{}: {key}: EHLO was not answered", script.name));
            assert_eq!(found(offered), *wanted, "{}: {key}", script.name);
        }
    };
    for (stage, offered) in [("before", facts.clear.as_deref()), ("after", facts.tls.as_deref())] {
        compare(&format!("starttls_{stage}"), offered, |offered| offered.starttls.into());
        compare(&format!("auth_{stage}"), offered, |offered| offered.auth.iter().map(Printable::as_str).collect());
        compare(&format!("size_{stage}"), offered, |offered| offered.size_limit.into());
    }
}

#[test]
fn all_of_them_are_here() {
    assert_eq!(transcripts().len(), 72);
    for (name, _) in NOT_OK {
        assert!(transcripts().iter().any(|script| script.name == *name), "{name}");
    }
}

#[tokio::test]
async fn replayed_whole() {
    let tls = tls();
    for script in transcripts() {
        let outcome = replay(&script, Chunking::Whole, &tls).await;
        assert_eq!(verdict(&outcome), expected(&script), "{}: {:?}", script.name, outcome.failure);
        check(&script, &outcome.findings.smtp);
    }
}

/// Dialogues whose fault is that two things come in one segment: cut up, they are others.
const ONE_SEGMENT: [&str; 2] = ["briefmx-double-reply-bare-lf", "curl-454-with-injected-replies"];

#[tokio::test]
async fn replayed_byte_by_byte() {
    let tls = tls();
    for script in transcripts().into_iter().filter(|script| !ONE_SEGMENT.contains(&script.name.as_str())) {
        let outcome = replay(&script, Chunking::PerByte, &tls).await;
        assert_eq!(verdict(&outcome), expected(&script), "{}: {:?}", script.name, outcome.failure);
        check(&script, &outcome.findings.smtp);
    }
}

/// Runs the session alone over what the server says, cut after `cut` bytes of each of its turns.
fn session(script: &Script, cut: usize) -> (Facts, Option<String>) {
    let tls = if script.tls == "implicit" { TlsUse::FromTheStart } else { TlsUse::IfOffered };
    let mut session = Session::new(tls, EhloName::parse("probe.example.org").unwrap());
    let mut steps =
        script.steps.iter().filter(|step| matches!(step, Step::Send(_) | Step::Expect(_) | Step::Idle)).peekable();
    let mut turn = || {
        let mut said = Vec::new();
        while let Some(Step::Send(bytes)) = steps.next_if(|step| matches!(step, Step::Send(_))) {
            said.extend_from_slice(bytes);
        }
        steps.next();
        said
    };
    let (mut inbox, mut failure) = (turn(), None);
    let mut action = session.next_action();
    loop {
        action = match action {
            Action::Send(_) => {
                inbox.extend(turn());
                session.next_action()
            }
            Action::Receive if inbox.is_empty() => session.end_of_stream(),
            Action::Receive => {
                let rest = inbox.split_off(cut.clamp(1, inbox.len()));
                session.feed(&inbox);
                inbox = rest;
                session.next_action()
            }
            Action::StartTls => session.tls_started(),
            Action::Fail(step, fault) => {
                failure = Some(format!("{step:?} {fault:?}"));
                session.next_action()
            }
            Action::Done => return (session.into_facts(), failure),
        };
    }
}

#[test]
fn cut_everywhere_the_session_comes_to_the_same_end() {
    for script in transcripts().into_iter().filter(|script| !ONE_SEGMENT.contains(&script.name.as_str())) {
        let whole = session(&script, usize::MAX);
        let longest = script.steps.iter().map(|step| if let Step::Send(bytes) = step { bytes.len() } else { 0 }).sum();
        for cut in 1..=longest {
            assert_eq!(session(&script, cut), whole, "{} cut after {cut}", script.name);
        }
    }
}
