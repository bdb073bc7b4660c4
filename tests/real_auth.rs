//! Logging in to real mail servers, and what they must not let strangers do.
//!
//! `tests/real.sh` starts the servers and runs these tests.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::path::Path;
use std::time::Duration;

use mail_endpoint_exporter::outcome::Outcome;
use support::rig::Rig;
use support::{file, probe, verdict};

/// Probes a server by a module that says more.
async fn probed(rig: &Rig, key: &str, security: &str, more: &str) -> Outcome {
    probe(rig.address(key), &rig.module(security, &format!(", {more}"))).await
}

/// A login, for a module.
fn auth(rig: &Rig, password: &Path, more: &str) -> String {
    format!("auth: {{username: {}, password_file: '{}'{more}}}", rig.env["SMTP_USER"], password.display())
}

/// What was said last, as it is shown.
fn said(outcome: &Outcome) -> Vec<String> {
    let lines: Vec<String> = outcome.findings.transcript.lines().map(|line| line.text.to_owned()).collect();
    lines[lines.len().saturating_sub(6)..].to_vec()
}

/// Server, security, the mechanism in the configuration, and the one that is used.
const LOGINS: &[(&str, &str, &str, &str)] = &[
    ("POSTFIX_AUTH", "starttls", "auto", "SCRAM-SHA-256"),
    ("POSTFIX_AUTH", "starttls", "scram-sha-256", "SCRAM-SHA-256"),
    ("POSTFIX_AUTH", "starttls", "plain", "PLAIN"),
    ("POSTFIX_AUTH", "starttls", "login", "LOGIN"),
    ("POSTFIX_AUTH", "starttls", "cram-md5", "CRAM-MD5"),
    ("POSTFIX_SUBMISSIONS", "tls", "auto", "PLAIN"),
    ("EXIM_SUBMISSIONS", "tls", "auto", "PLAIN"),
    ("EXIM_SUBMISSIONS", "tls", "login", "LOGIN"),
    ("EXIM_AUTH", "starttls", "auto", "CRAM-MD5"),
    ("OPENSMTPD_SMTP", "starttls", "auto", "PLAIN"),
    ("OPENSMTPD_SUBMISSIONS", "tls", "login", "LOGIN"),
];

#[tokio::test]
#[ignore = "needs Postfix, Dovecot, Exim and OpenSMTPD (tests/real.sh)"]
async fn every_mechanism_logs_in_and_the_servers_have_nothing_to_complain_of() {
    let rig = Rig::new();
    let right = file("password", &format!("{}\n", rig.env["SMTP_PASSWORD"]));
    let logs = ["postfix.log", "exim-main.log", "exim-reject.log", "exim-panic.log", "opensmtpd.log", "dovecot.log"];
    let watch = rig.watch(&logs);
    for (key, security, mechanism, used) in LOGINS {
        let login = auth(&rig, &right, &format!(", mechanism: {mechanism}"));
        let mail = "mail: {from: 'tester@test.example', to: 'postmaster@test.example'}";
        let outcome = probed(&rig, key, security, &format!("{login}, {mail}")).await;
        assert_eq!(verdict(&outcome), "ok", "{key} {mechanism}: {:?}", outcome.failure);
        let found = &outcome.judgements.iter().find(|one| one.expectation == "auth_accepted").unwrap().found;
        assert_eq!(*found, format!("accepted with 235, by {used}"), "{key}");
        let text = format!("{outcome:?}");
        assert!(!text.contains(&rig.env["SMTP_PASSWORD"]), "{key}");
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    watch.has_none_of(&[
        "lost connection",
        "improper command",
        "timeout",
        "synchronization",
        "warning",
        "error",
        "unexpected",
    ]);
    let postfix = rig.log("postfix.log");
    assert!(
        postfix.contains("sasl_method=SCRAM-SHA-256") || postfix.contains("auth=1"),
        "the log is the one looked at"
    );
}

#[tokio::test]
#[ignore = "needs Postfix, Dovecot, Exim and OpenSMTPD (tests/real.sh)"]
async fn every_server_refuses_a_wrong_password() {
    let rig = Rig::new();
    let wrong = file("password", "another-horse\n");
    for (key, security, mechanism, _) in LOGINS {
        let rejected = auth(&rig, &wrong, &format!(", mechanism: {mechanism}, expect: rejected"));
        let outcome = probed(&rig, key, security, &rejected).await;
        assert_eq!(verdict(&outcome), "ok", "{key} {mechanism}: {:?}", outcome.failure);
        let outcome = probed(&rig, key, security, &auth(&rig, &wrong, &format!(", mechanism: {mechanism}"))).await;
        assert_eq!(verdict(&outcome), "auth_rejected in auth", "{key} {mechanism}");
        assert_eq!(outcome.failure.unwrap().code, Some(535), "{key} {mechanism}");
    }
}

/// Dovecot says what is wrong with a token in a challenge of its own, which must be answered with nothing.
#[tokio::test]
#[ignore = "needs Postfix and Dovecot (tests/real.sh)"]
async fn a_token_is_good_or_expired_or_forged_and_never_shown() {
    let rig = Rig::new();
    let good = &rig.env["SMTP_TOKEN"];
    let (claims, _) = good.rsplit_once('.').unwrap();
    let forged = format!("{claims}.{}", "A".repeat(43));
    for (what, token, mechanism, expected) in [
        ("good", good, "auto", "ok"),
        ("good", good, "xoauth2", "ok"),
        ("expired", &rig.env["SMTP_TOKEN_EXPIRED"], "xoauth2", "auth_rejected in auth"),
        ("forged", &forged, "xoauth2", "auth_rejected in auth"),
    ] {
        let path = file("token", &format!("{token}\n"));
        let login = format!(
            "auth: {{username: {}, token_file: '{}', mechanism: {mechanism}}}",
            rig.env["SMTP_USER"],
            path.display()
        );
        let watch = rig.watch(&["postfix.log"]);
        let outcome = probed(&rig, "POSTFIX_AUTH", "starttls", &login).await;
        assert_eq!(verdict(&outcome), expected, "{what}: {:?}", outcome.failure);
        let found = &outcome.judgements.iter().find(|one| one.expectation == "auth_accepted").unwrap().found;
        match &outcome.failure {
            None => assert_eq!(*found, "accepted with 235, by XOAUTH2"),
            Some(failure) => {
                assert_eq!(failure.code, Some(535), "{what}");
                // The challenge with the reason, and what it was answered with.
                let said = said(&outcome);
                assert_eq!(said[..3], ["AUTH XOAUTH2 <redacted>", "334 <redacted>", "<redacted>"]);
                assert!(said[3].starts_with("535 5.7.8 "), "{said:?}");
            }
        }
        assert!(!format!("{outcome:?}").contains(token.as_str()), "{what}");
        watch.has_none_of(&["lost connection", "improper command", "timeout"]);
    }
}

#[tokio::test]
#[ignore = "needs Postfix, Exim and OpenSMTPD (tests/real.sh)"]
async fn strangers_may_not_relay_and_mailboxes_exist_or_not() {
    let rig = Rig::new();
    let mail = |to: &str, expect: &str| format!("mail: {{from: 'probe@example.org', to: '{to}', expect: {expect}}}");
    for (key, security) in [
        ("POSTFIX_SMTP", "starttls"),
        ("POSTFIX_SUBMISSION", "starttls"),
        ("EXIM_SMTP", "starttls"),
        ("OPENSMTPD_SMTP", "starttls"),
    ] {
        let outcome = probed(&rig, key, security, &mail("someone@example.net", "rejected")).await;
        assert_eq!(verdict(&outcome), "ok", "{key}: {:?}", outcome.failure);
        let outcome = probed(&rig, key, security, &mail("postmaster@test.example", "accepted")).await;
        assert_eq!(verdict(&outcome), "ok", "{key}: {:?}", outcome.failure);
        let outcome = probed(&rig, key, security, &mail("postmaster@test.example", "rejected")).await;
        assert_eq!(verdict(&outcome), "relay_accepted in rcpt", "{key}");
    }
    let nobody = probed(&rig, "POSTFIX_SMTP", "starttls", &mail("nobody@test.example", "accepted")).await;
    assert_eq!(verdict(&nobody), "permanent_reply in rcpt");
    let grey = probed(&rig, "POSTFIX_SMTP", "starttls", &mail("grey@test.example", "accepted")).await;
    assert_eq!(verdict(&grey), "greylisted in rcpt");
    let expected = probed(&rig, "POSTFIX_SMTP", "starttls", &mail("grey@test.example", "{code: [450, 451]}")).await;
    assert_eq!(verdict(&expected), "ok");
}

#[tokio::test]
#[ignore = "needs Postfix, Exim and OpenSMTPD (tests/real.sh)"]
async fn submission_without_tls_is_refused_where_tls_is_required() {
    let rig = Rig::new();
    let required = "expect: {starttls: required}";
    for (key, expected) in [
        ("POSTFIX_SUBMISSION", "ok"),
        ("POSTFIX_AUTH", "ok"),
        ("POSTFIX_SMTP", "starttls_not_required in mail_clear"),
        ("EXIM_SMTP", "starttls_not_required in mail_clear"),
        ("OPENSMTPD_SMTP", "starttls_not_required in mail_clear"),
    ] {
        let outcome = probed(&rig, key, "starttls", required).await;
        assert_eq!(verdict(&outcome), expected, "{key}: {:?}", outcome.failure);
        assert!(outcome.findings.tls.is_some(), "{key}: TLS comes all the same");
    }
}
