//! What real proxies do with a probe, and what real servers hear of it: SOCKS 5 (Dante, microsocks), CONNECT (tinyproxy,
//! Squid), the PROXY protocol (Postfix, postscreen, HAProxy), and a source address of our own.
//!
//! `tests/real.sh` starts them (`tests/real/servers.sh`, `tests/real/proxy.sh`) and runs these tests. Each proxy connects
//! from an address of its own, and only they know the servers by name.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::net::SocketAddr;
use std::time::Duration;

use mail_endpoint_exporter::outcome::Outcome;
use mail_endpoint_exporter::outcome::port_state::{PortState, port_states};
use support::rig::{Rig, Watch};
use support::{file, host_and_module, no_names, probe, run, verdict};

/// Each proxy that lets everybody in: its scheme, and where it connects from.
const PROXIES: &[(&str, &str, &str)] = &[
    ("PROXY_DANTE", "socks5h", "127.0.0.3"),
    ("PROXY_TINYPROXY", "http", "127.0.0.5"),
    ("PROXY_SQUID", "http", "127.0.0.6"),
];

/// A module by way of a proxy, `user@` before its place.
fn by(rig: &Rig, scheme: &str, user: &str, key: &str, security: &str, more: &str) -> String {
    rig.module(security, &format!(", proxy: '{scheme}://{user}{}'{more}", rig.address(key)))
}

/// All that a mail server tells has been seen, whatever stands in between.
fn is_whole(outcome: &Outcome, security: &str, what: &str) {
    assert_eq!(verdict(outcome), "ok", "{what}: {:?}", outcome.failure);
    let findings = &outcome.findings;
    let greeting = String::from_utf8(findings.smtp.greeting.as_ref().unwrap().text()).unwrap();
    assert!(greeting.starts_with("mail.test.example "), "{what}: {greeting}");
    assert_eq!(findings.smtp.clear.is_some(), security == "starttls", "{what}");
    assert_eq!(findings.tls.as_ref().unwrap().version.as_str(), "TLSv1.3", "{what}");
    assert!(findings.certificate.as_ref().unwrap().invalid.is_empty(), "{what}");
    let phases: Vec<&str> = findings.phases.iter().map(|(phase, _)| phase.as_str()).collect();
    let all: &[&str] = match security {
        "starttls" => &["resolve", "connect", "banner", "ehlo", "starttls", "tls", "ehlo_tls", "quit"],
        _ => &["resolve", "connect", "tls", "banner", "ehlo", "quit"],
    };
    assert_eq!(phases, all, "{what}");
    assert_eq!(state(outcome), PortState::Open, "{what}");
}

fn state(outcome: &Outcome) -> PortState {
    port_states(&[outcome])[0]
}

/// Waits until the only log that is watched has this line: the servers write when they come to it.
async fn logged(watch: &Watch<'_>, text: &str) {
    for _ in 0..100 {
        if watch.news().any(|(_, new)| new.contains(text)) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("no {text}: {:#?}", watch.news().collect::<Vec<_>>());
}

#[tokio::test]
#[ignore = "needs Dante, tinyproxy, Squid and Postfix (tests/real.sh)"]
async fn all_is_seen_through_a_proxy_that_knows_the_name() {
    let rig = Rig::new();
    let name = &rig.env["SERVER_NAME"];
    for (key, scheme, from) in PROXIES {
        for (server, security) in [("POSTFIX_SUBMISSION", "starttls"), ("POSTFIX_SUBMISSIONS", "tls")] {
            let watch = rig.watch(&["postfix.log"]);
            let what = format!("{key} to {server}");
            let port = rig.address(server).port();
            let module = by(&rig, scheme, "", key, security, "");
            let outcome = run(&host_and_module(name, port, &module), no_names()).await;
            is_whole(&outcome, security, &what);
            assert_eq!(outcome.findings.address, None, "{what}: only the proxy knows it");
            logged(&watch, &format!(": connect from unknown[{from}]")).await;
            let (_, new) = watch.news().next().unwrap();
            // Of port 25 what a test before this one did may be told only now.
            let mut of_submission = new.lines().filter(|line| line.contains("postfix/submission"));
            let is_direct = |line: &str| line.contains("connect from unknown[127.0.0.1]");
            assert!(!of_submission.any(is_direct), "{what} goes round the proxy: {new}");
        }
    }
    // The name is in no DNS of ours.
    let module = by(&rig, "socks5", "", "PROXY_DANTE", "tls", "");
    let outcome = run(&host_and_module(name, 465, &module), no_names()).await;
    assert_eq!(verdict(&outcome), "dns_not_found in resolve");
}

#[tokio::test]
#[ignore = "needs Dante, microsocks, Squid and Postfix (tests/real.sh)"]
async fn passwords_are_right_or_wrong_and_never_shown() {
    let rig = Rig::new();
    let to = rig.address("POSTFIX_SUBMISSION");
    let right = file("password", &format!("{}\n", rig.env["PROXY_PASSWORD"]));
    let wrong = file("password", "open-barley\n");
    let user = format!("{}@", rig.env["PROXY_USER"]);
    let with = |path: &std::path::Path| format!(", proxy_password_file: '{}'", path.display());
    let squid = "a name and a password that it knows (407)";
    for (key, scheme, user, password, expected) in [
        ("PROXY_MICROSOCKS", "socks5", user.as_str(), with(&right), None),
        ("PROXY_MICROSOCKS", "socks5", &user, with(&wrong), Some("refuses our name or password")),
        ("PROXY_MICROSOCKS", "socks5", "", String::new(), Some("wants an authentication that we do not have")),
        // A name and a password for a proxy that asks for none.
        ("PROXY_DANTE", "socks5", &user, with(&right), None),
        ("PROXY_SQUID_LOGIN", "http", &user, with(&right), None),
        ("PROXY_SQUID_LOGIN", "http", &user, with(&wrong), Some(squid)),
        ("PROXY_SQUID_LOGIN", "http", "", String::new(), Some(squid)),
    ] {
        let outcome = probe(to, &by(&rig, scheme, user, key, "starttls", &password)).await;
        let what = format!("{key} {user} {password}");
        match expected {
            None => is_whole(&outcome, "starttls", &what),
            Some(why) => {
                assert_eq!(verdict(&outcome), "proxy_failed in connect", "{what}");
                assert_eq!(state(&outcome), PortState::Unknown, "{what}: nobody has asked the server");
                let detail = outcome.failure.as_ref().unwrap().detail.to_string();
                assert!(detail.ends_with(why), "{what}: {detail}");
            }
        }
        let shown = format!("{outcome:?}");
        assert!(!shown.contains(&rig.env["PROXY_PASSWORD"]) && !shown.contains("open-barley"), "{what}");
    }
}

#[tokio::test]
#[ignore = "needs Dante, microsocks, tinyproxy and Squid (tests/real.sh)"]
async fn a_refusal_is_the_proxys_or_the_servers() {
    let rig = Rig::new();
    let forbidden: SocketAddr = "127.0.0.9:25".parse().unwrap();
    let shut: SocketAddr = "127.0.0.1:9".parse().unwrap();
    let user = format!("{}@", rig.env["PROXY_USER"]);
    let password = file("password", &rig.env["PROXY_PASSWORD"]);
    let password = format!(", proxy_password_file: '{}'", password.display());
    for (key, scheme, to, expected, port, why) in [
        ("PROXY_DANTE", "socks5", forbidden, "proxy_failed", PortState::Unknown, "by its rules"),
        ("PROXY_TINYPROXY", "http", forbidden, "proxy_failed", PortState::Unknown, "by its rules (403)"),
        ("PROXY_SQUID", "http", forbidden, "proxy_failed", PortState::Unknown, "by its rules (403)"),
        ("PROXY_DANTE", "socks5", shut, "refused", PortState::Refused, "refuses the connection"),
        ("PROXY_MICROSOCKS", "socks5", shut, "refused", PortState::Refused, "refuses the connection"),
        ("PROXY_SQUID", "http", shut, "refused", PortState::Refused, "refuses the connection"),
        // It does not say what the matter is.
        ("PROXY_TINYPROXY", "http", shut, "unreachable", PortState::Unreachable, "cannot be reached"),
    ] {
        let login = if key == "PROXY_MICROSOCKS" { (user.as_str(), password.as_str()) } else { ("", "") };
        let outcome = probe(to, &by(&rig, scheme, login.0, key, "plain", login.1)).await;
        assert_eq!(verdict(&outcome), format!("{expected} in connect"), "{key} to {to}: {:?}", outcome.failure);
        assert_eq!(state(&outcome), port, "{key} to {to}");
        let detail = outcome.failure.unwrap().detail.to_string();
        assert!(detail.contains(why) && detail.contains(&rig.address(key).to_string()), "{key} to {to}: {detail}");
    }
    // What is no proxy at all.
    for (key, scheme, why) in [
        ("POSTFIX_SMTP", "socks5", "does not speak SOCKS 5"),
        ("POSTFIX_SMTP", "http", "does not speak HTTP: it sent “220 mail.test.example"),
    ] {
        let outcome = probe(shut, &by(&rig, scheme, "", key, "plain", "")).await;
        assert_eq!(verdict(&outcome), "proxy_failed in connect", "{scheme}");
        let detail = outcome.failure.unwrap().detail.to_string();
        assert!(detail.contains(why), "{scheme}: {detail}");
    }
}

/// Who expects the PROXY protocol, and in which version; HAProxy hands on what it is told.
const PROXIED: &[(&str, &str, &[&str])] = &[
    ("PROXIED_SMTP", "starttls", &["v1", "v2"]),
    ("PROXIED_SUBMISSIONS", "tls", &["v1", "v2"]),
    ("PROXIED_POSTSCREEN", "starttls", &["v1", "v2"]),
    ("PROXY_HAPROXY", "starttls", &["v1", "v2"]),
    ("PROXY_HAPROXY_V2", "tls", &["v1", "v2"]),
];

#[tokio::test]
#[ignore = "needs Postfix and HAProxy (tests/real.sh)"]
async fn servers_hear_by_the_proxy_protocol_who_we_are() {
    let rig = Rig::new();
    for (key, security, versions) in PROXIED {
        for version in *versions {
            let watch = rig.watch(&["proxied-postfix.log"]);
            let more = format!(", proxy_protocol: {version}, source_address: 127.0.0.2");
            let outcome = probe(rig.address(key), &rig.module(security, &more)).await;
            is_whole(&outcome, security, &format!("{key} {version}"));
            let told = if *key == "PROXIED_POSTSCREEN" { "CONNECT from [127.0.0.2]" } else { "unknown[127.0.0.2]" };
            logged(&watch, told).await;
            for (_, new) in watch.news() {
                for bad in ["warning", "127.0.0.7", "lost connection"] {
                    assert!(!new.contains(bad), "{key} {version}: {new}");
                }
            }
        }
    }
}

/// Debian's Postfix still takes TLS 1.1, which is seen on a second connection: by the same way as the first.
#[tokio::test]
#[ignore = "needs Dante, HAProxy and Postfix (tests/real.sh)"]
async fn an_old_hello_takes_the_same_way() {
    let rig = Rig::new();
    let proxy = format!("proxy: 'socks5://{}'", rig.address("PROXY_DANTE"));
    for (key, log, more, seen) in [
        ("POSTFIX_SUBMISSION", "postfix.log", proxy.as_str(), "connect from unknown[127.0.0.3]"),
        ("PROXY_HAPROXY", "proxied-postfix.log", "proxy_protocol: v2", "connect from unknown[127.0.0.2]"),
    ] {
        let more = format!(", {more}, source_address: 127.0.0.2, expect: {{old_tls: refused}}");
        let watch = rig.watch(&[log]);
        let outcome = probe(rig.address(key), &rig.module("starttls", &more)).await;
        assert_eq!(verdict(&outcome), "old_tls_accepted in tls", "{key}: {:?}", outcome.failure);
        tokio::time::sleep(Duration::from_millis(500)).await;
        let (_, new) = watch.news().next().unwrap();
        let came = new.lines().filter(|line| line.contains(": connect from"));
        assert_eq!(came.filter(|line| line.contains(seen)).count(), 2, "{key}: {new}");
        assert_eq!(new.matches(": connect from").count(), 2, "{key}: {new}");
    }
}

/// What is told counts, not who connects: a SOCKS proxy in between is not seen.
#[tokio::test]
#[ignore = "needs Dante and Postfix (tests/real.sh)"]
async fn the_proxy_protocol_goes_through_a_proxy() {
    let rig = Rig::new();
    for version in ["v1", "v2"] {
        let watch = rig.watch(&["proxied-postfix.log"]);
        let more = format!(", proxy_protocol: {version}, source_address: 127.0.0.2");
        let module = by(&rig, "socks5", "", "PROXY_DANTE", "starttls", &more);
        let outcome = probe(rig.address("PROXIED_SMTP"), &module).await;
        is_whole(&outcome, "starttls", version);
        logged(&watch, "unknown[127.0.0.2]").await;
        // Where the name is looked up elsewhere there is nothing to tell but that, and Postfix wants version 2 then.
        let module = by(&rig, "socks5h", "", "PROXY_DANTE", "starttls", &more);
        let port = rig.address("PROXIED_SMTP").port();
        let outcome = run(&host_and_module(&rig.env["SERVER_NAME"], port, &module), no_names()).await;
        if version == "v2" {
            is_whole(&outcome, "starttls", version);
            logged(&watch, "unknown[127.0.0.3]").await;
        } else {
            assert_eq!(verdict(&outcome), "rate_limited in banner", "{:?}", outcome.failure);
            logged(&watch, "bad or missing protocol type: PROXY UNKNOWN").await;
        }
    }
}

#[tokio::test]
#[ignore = "needs Postfix and HAProxy (tests/real.sh)"]
async fn a_server_that_waits_in_vain_for_the_proxy_protocol() {
    let rig = Rig::new();
    for (key, security, expected) in [
        // Postfix says 421, also where it should speak TLS.
        ("PROXIED_SMTP", "starttls", &["rate_limited in banner"][..]),
        ("PROXIED_SUBMISSIONS", "tls", &["plaintext_on_tls_port in tls"]),
        ("PROXY_HAPROXY_V2", "tls", &["reset in tls", "closed in tls"]),
    ] {
        let outcome = probe(rig.address(key), &rig.module(security, "")).await;
        assert!(expected.contains(&verdict(&outcome).as_str()), "{key}: {:?}", outcome.failure);
    }
    // The other way round: who does not expect it takes it for commands, and answers them before it is asked.
    for version in ["v1", "v2"] {
        let more = format!(", proxy_protocol: {version}");
        let outcome = probe(rig.address("POSTFIX_SMTP"), &rig.module("starttls", &more)).await;
        let failure = outcome.failure.as_ref().unwrap();
        let (phase, reason) = (failure.phase.as_str(), failure.reason.as_str());
        assert!(["banner", "ehlo"].contains(&phase), "{version}: {failure:?}");
        assert!(
            ["unsolicited_data", "permanent_reply", "unexpected_reply"].contains(&reason),
            "{version}: {failure:?}"
        );
    }
}

#[tokio::test]
#[ignore = "needs Postfix and Exim (tests/real.sh)"]
async fn servers_see_the_source_address() {
    let rig = Rig::new();
    for (key, log, seen) in [
        ("POSTFIX_SUBMISSION", "postfix.log", "connect from unknown[127.0.0.2]"),
        ("EXIM_SMTP", "exim-main.log", "SMTP connection from [127.0.0.2]"),
    ] {
        let watch = rig.watch(&[log]);
        let outcome = probe(rig.address(key), &rig.module("starttls", ", source_address: 127.0.0.2")).await;
        is_whole(&outcome, "starttls", key);
        logged(&watch, seen).await;
        for (_, new) in watch.news() {
            assert!(!new.contains("127.0.0.1]"), "{key}: {new}");
        }
    }
    // An address that this machine does not have is its own trouble.
    let outcome = probe(rig.address("POSTFIX_SMTP"), &rig.module("plain", ", source_address: 192.0.2.7")).await;
    assert_eq!(verdict(&outcome), "local_resource in connect", "{:?}", outcome.failure);
    assert_eq!(state(&outcome), PortState::Unknown);
}
