//! Every reason of the contract, produced by a server (or a name, or a machine) that deserves it.
//!
//! A row is a scene, the module that meets it, and where and why the probe must fail. The last test
//! holds the rows against the list of all reasons: a reason that nothing produces has no business there.

#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "a test fails by panicking")]

mod lab;
mod support;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

use lab::{Authority, DAY, DnsServer, Identity, Leaf, Script, Server, Violation, liar_config, refused_port};
use mail_endpoint_exporter::discovery::Discovery;
use mail_endpoint_exporter::dns::Resolver;
use mail_endpoint_exporter::outcome::Outcome;
use mail_endpoint_exporter::outcome::failure::Reason;
use support::{probe, run, verdict};
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::version::TLS12;

const OFFER: &str = "S: 220 mx.example.org ESMTP\nC: EHLO x\nS: 250-mx\nS: 250 STARTTLS\nC: STARTTLS\n";

const AUTH_534: &str = "S: 220 mx\nC: EHLO x\nS: 250-mx\nS: 250 AUTH PLAIN\nC: AUTH\nS: 534 5.7.9 another password";

/// Failures in clear text: script, module, verdict.
const CLEAR: &[(&str, &str, &str)] = &[
    ("*idle", "{security: plain, timeout: 300ms}", "timeout in banner"),
    ("S: 220-mx.example.org\n*idle", "{security: plain, timeout: 300ms}", "timeout in banner"),
    ("S: 220 mx\nC: EHLO x\n*idle", "{security: plain, timeout: 300ms}", "timeout in ehlo"),
    ("S: 220 mx\nC: EHLO x\n*idle", "{security: plain, phase_timeouts: {ehlo: 200ms}}", "timeout in ehlo"),
    ("*drip 50 220 slow but never done, ever and ever\\r\\n", "{security: plain, timeout: 500ms}", "timeout in banner"),
    ("*reset", "{security: plain}", "reset in banner"),
    ("S: 220 mx\nC: EHLO x\n*reset", "{security: plain}", "reset in ehlo"),
    ("*close", "{security: plain}", "closed in banner"),
    ("*raw 220 mx.example\n*close", "{security: plain}", "closed in banner"),
    ("S: 220 mx\nC: EHLO x\nS: 250-mx\n*close", "{security: plain}", "closed in ehlo"),
    ("S: 421 4.7.0 Too many connections", "{security: plain}", "rate_limited in banner"),
    ("S: 450 4.3.2 try later", "{security: plain}", "rate_limited in banner"),
    ("S: 220 mx\nC: EHLO x\nS: 421 bye", "{security: plain}", "rate_limited in ehlo"),
    ("S: 220 mx\nC: EHLO x\nS: 450 busy", "{security: plain}", "transient_reply in ehlo"),
    ("S: 554 mx ESMTP blocked", "{security: plain}", "permanent_reply in banner"),
    ("S: 220 ftp\nC: EHLO x\nS: 530 log in\nC: HELO x\nS: 530 log in", "{security: plain}", "permanent_reply in ehlo"),
    ("S: 250 what", "{security: plain}", "unexpected_reply in banner"),
    ("S: 220 mx\nC: EHLO x\nS: 354 go on", "{security: plain}", "unexpected_reply in ehlo"),
    ("*raw SSH-2.0-OpenSSH_9.2\\r\\n", "{security: plain}", "malformed_reply in banner"),
    ("*raw 220-a\\r\\n554 b\\r\\n", "{security: plain}", "malformed_reply in banner"),
    ("*forever xxxxxxxxxxxxxxxx", "{security: plain}", "reply_too_large in banner"),
    ("*forever 220-again\\r\\n", "{security: plain}", "reply_too_large in banner"),
    ("*raw 220 mx\\r\\n554 no\\r\\n", "{security: plain}", "unsolicited_data in banner"),
    ("S: 220 mx\nC: EHLO x\nS: 250 mx", "{security: starttls}", "starttls_not_supported in starttls"),
    ("S: 220 mx\nC: EHLO x\nS: 250-mx\nS: 250 XXXXXXXA", "{security: starttls}", "starttls_not_supported in starttls"),
    (
        "S: 220 mx\nC: EHLO x\nS: 250 mx",
        "{security: plain, expect: {starttls: offered}}",
        "starttls_not_supported in starttls",
    ),
    (
        "S: 220 mx\nC: EHLO x\nS: 250-mx\nS: 250 STARTTLS",
        "{security: plain, expect: {starttls: absent}}",
        "unexpected_reply in ehlo",
    ),
    ("S: 220 mx\nC: EHLO x\nS: 250 mx", "{security: plain, expect: {auth: offered}}", "auth_not_offered in ehlo"),
    (
        "S: 220 mx\nC: EHLO x\nS: 250-mx\nS: 250 AUTH PLAIN",
        "{security: plain, expect: {auth: [PLAIN, LOGIN]}}",
        "auth_not_offered in ehlo",
    ),
    (
        "S: 220 mx\nC: EHLO x\nS: 250-mx\nS: 250 AUTH PLAIN",
        "{security: plain, expect: {auth: absent}}",
        "unexpected_reply in ehlo",
    ),
    (
        "S: 220 mx\nC: EHLO x\nS: 250-mx\nS: 250 AUTH PLAIN",
        "{security: plain, expect: {auth_in_clear: absent}}",
        "auth_in_clear in ehlo",
    ),
    (AUTH_534, "{security: plain, auth: {username: u, password_env: PATH, insecure: true}}", "auth_rejected in auth"),
    (
        "S: 220 mx\nC: EHLO x\nS: 250-mx\nS: 250 AUTH PLAIN\nC: AUTH\nS: 235 2.7.0 welcome",
        "{security: plain, auth: {username: u, password_env: PATH, insecure: true, expect: rejected}}",
        "auth_accepted in auth",
    ),
    (AUTH_534, "{security: opportunistic, auth: {username: u, password_env: PATH}}", "auth_unsafe in auth"),
    (
        "S: 220 mx\nC: EHLO x\nS: 250-mx\nS: 250 AUTH NTLM",
        "{security: plain, auth: {username: u, password_env: PATH, insecure: true}}",
        "auth_not_offered in auth",
    ),
    (
        "S: 220 mx\nC: EHLO x\nS: 250-mx\nS: 250 AUTH PLAIN\nC: AUTH\nS: 454 4.7.0 later",
        "{security: plain, auth: {username: u, password_env: PATH, insecure: true}}",
        "transient_reply in auth",
    ),
    (
        "S: 220 mx\nC: EHLO x\nS: 250 mx\nC: MAIL\nS: 250 ok\nC: RCPT\nS: 250 ok",
        "{security: plain, mail: {from: a@example.org, to: b@example.net, expect: rejected}}",
        "relay_accepted in rcpt",
    ),
    (
        "S: 220 mx\nC: EHLO x\nS: 250 mx\nC: MAIL\nS: 250 ok\nC: RCPT\nS: 450 4.2.0 Greylisted",
        "{security: plain, mail: {from: a@example.org, to: b@example.net}}",
        "greylisted in rcpt",
    ),
    (
        "S: 220 mx\nC: EHLO x\nS: 250-mx\nS: 250 STARTTLS\nC: MAIL\nS: 250 ok\nC: RSET\nS: 250 ok",
        "{security: plain, expect: {starttls: required}}",
        "starttls_not_required in mail_clear",
    ),
    ("S: 220 mx", "{security: plain, expect: {port: closed}}", "port_open in connect"),
    ("*reset", "{security: plain, expect: {port: closed}}", "port_open in connect"),
    (
        "S: 220 other.example ESMTP\nC: EHLO x\nS: 250 mx",
        "{security: plain, expect: {banner: '^220 mx\\.example'}}",
        "banner_mismatch in banner",
    ),
    ("*client-hello\n*raw 421 4.7.0 busy\\r\\n\n*close", "{security: tls}", "plaintext_on_tls_port in tls"),
    ("S: 220 mx.example.org ESMTP\n*idle", "{security: tls}", "plaintext_on_tls_port in tls"),
    ("*refuse-tls 40", "{security: tls}", "tls_alert in tls"),
    ("*refuse-tls 70", "{security: tls}", "tls_version in tls"),
    (
        "*client-hello\n*raw \\x16\\x03\\x03\\x00\\x04\\x0b\\x00\\x00\\x00\n*close",
        "{security: tls}",
        "tls_protocol in tls",
    ),
    ("*client-hello\n*close", "{security: tls}", "closed in tls"),
    ("*client-hello\n*reset", "{security: tls}", "reset in tls"),
    ("*client-hello\n*idle", "{security: tls, timeout: 300ms}", "timeout in tls"),
];

/// Failures after an offer of STARTTLS: the script's rest, verdict.
const STARTTLS: &[(&str, &str)] = &[
    ("S: 454 4.7.0 TLS not available", "transient_reply in starttls"),
    ("S: 502 unimplemented", "permanent_reply in starttls"),
    ("S: 200 STRIPTLS", "unexpected_reply in starttls"),
    ("*raw 220 go\\r\\n235 ok\\r\\n", "starttls_injection in starttls"),
    ("*raw 454 no\\r\\n235 ok\\r\\n", "starttls_injection in starttls"),
    ("S: 220 go\n*client-hello\n*raw 220 text, not TLS\\r\\n\n*close", "tls_protocol in tls"),
    ("S: 220 go\n*client-hello\n*idle", "timeout in tls"),
    ("S: 220 go\n*client-hello\n*reset", "reset in tls"),
];

async fn serve(script: &str, tls: Option<Arc<ServerConfig>>) -> Server {
    let options = tls.map(lab::Options::from).unwrap_or_default();
    Server::start(Script::of(script), options).await
}

fn is_asked_for(violation: &Violation, module: &str) -> bool {
    match violation {
        Violation::ForbiddenCommand(verb) if verb == "AUTH" => {
            module.contains("auth: {") && module.contains("insecure")
        }
        Violation::ForbiddenCommand(verb) if verb == "MAIL" || verb == "RSET" => {
            module.contains("mail: {") || module.contains("required")
        }
        Violation::ForbiddenCommand(verb) if verb == "RCPT" => module.contains("mail: {"),
        // A PATH may be longer than the line that can hold it.
        _ => false,
    }
}

async fn scene(script: &str, module: &str) -> Outcome {
    let server = serve(script, None).await;
    let outcome = probe(server.address(), module).await;
    let violations: Vec<_> = server.sessions().into_iter().flat_map(|session| session.violations).collect();
    // Where a module tries something, more than the usual is said.
    let violations: Vec<_> = violations.into_iter().filter(|one| !is_asked_for(one, module)).collect();
    // To a server of clear text a TLS handshake is nonsense, whoever sends it.
    assert!(violations.is_empty() || module.contains("security: tls"), "{script}: {violations:?}");
    outcome
}

#[tokio::test]
async fn failures_in_clear_text() {
    for (script, module, expected) in CLEAR {
        assert_eq!(verdict(&scene(script, module).await), *expected, "{script}");
    }
}

#[tokio::test]
async fn failures_of_starttls() {
    for (rest, expected) in STARTTLS {
        let outcome = scene(&format!("{OFFER}{rest}"), "{security: starttls, timeout: 400ms}").await;
        assert_eq!(verdict(&outcome), *expected, "{rest}");
        assert!(outcome.findings.smtp.clear.is_some(), "what was found before survives");
    }
}

/// The reasons that a certificate is found to deserve.
fn certificates(now: SystemTime) -> Vec<(&'static str, Arc<ServerConfig>)> {
    let ca = Authority::new("Lab CA");
    let leaf = || Leaf { ips: vec!["127.0.0.1".parse().unwrap()], ..Leaf::new("mail.example.org", now) };
    let fixture = |name: &str| {
        let path = format!("{}/tests/data/certificates/{name}", env!("CARGO_MANIFEST_DIR"));
        liar_config(vec![CertificateDer::from(std::fs::read(path).unwrap())])
    };
    std::fs::create_dir_all(ca_file().parent().unwrap()).unwrap();
    std::fs::write(ca_file(), ca.pem()).unwrap();
    vec![
        ("ok", ca.issue(&leaf()).server_config()),
        ("certificate_expired in tls", ca.issue(&Leaf { not_after: now - DAY, ..leaf() }).server_config()),
        ("certificate_not_yet_valid in tls", ca.issue(&Leaf { not_before: now + DAY, ..leaf() }).server_config()),
        ("certificate_host_mismatch in tls", ca.issue(&Leaf { ips: Vec::new(), ..leaf() }).server_config()),
        ("certificate_self_signed in tls", Identity::self_signed(&leaf()).server_config()),
        ("certificate_self_signed in tls", Identity::self_signed(&Leaf { is_ca: true, ..leaf() }).server_config()),
        ("certificate_not_trusted in tls", Authority::new("Other CA").issue(&leaf()).server_config()),
        ("certificate_not_trusted in tls", ca.issue(&Leaf { client_auth_only: true, ..leaf() }).server_config()),
        ("certificate_weak in tls", fixture("rsa-1024.der")),
        ("certificate_malformed in tls", fixture("x509-v1.der")),
    ]
}

fn ca_file() -> std::path::PathBuf {
    std::path::PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("reasons-{}/ca.pem", std::process::id()))
}

#[tokio::test]
async fn failures_of_certificates() {
    let script = "=== TLS\nS: 220 mx ESMTP\nC: EHLO x\nS: 250-mx\nS: 250 AUTH PLAIN";
    for (expected, tls) in certificates(SystemTime::now()) {
        let server = serve(script, Some(tls)).await;
        let module = format!("{{security: tls, ca_file: '{}'}}", ca_file().display());
        let outcome = probe(server.address(), &module).await;
        assert_eq!(verdict(&outcome), expected);
        let certificate = outcome.findings.certificate.as_ref().expect("the certificate is seen whatever its worth");
        assert!(certificate.leaf().unwrap().facts.is_some(), "{expected}: its facts too");
    }
}

#[tokio::test]
async fn several_faults_of_a_certificate_are_all_reported() {
    let now = SystemTime::now();
    let tls = Identity::self_signed(&Leaf { not_after: now - DAY, ..Leaf::new("other.example", now) }).server_config();
    let server = serve("=== TLS\nS: 220 mx\nC: EHLO x\nS: 250 mx", Some(tls)).await;
    let outcome = probe(server.address(), "{security: tls, expect: {certificate: any}}").await;
    assert_eq!(verdict(&outcome), "ok", "facts are no failure where any certificate will do");
    let reasons: Vec<&str> =
        outcome.findings.certificate.unwrap().invalid.iter().map(|f| Reason::from(f.reason).as_str()).collect();
    assert_eq!(reasons, ["certificate_expired", "certificate_host_mismatch", "certificate_self_signed"]);
}

#[tokio::test]
async fn an_old_tls_version_is_a_failure_where_a_newer_one_is_wanted() {
    let tls = Identity::self_signed(&Leaf::new("x.example", SystemTime::now())).server_config_with(&[&TLS12], None);
    let server = serve("=== TLS\nS: 220 mx\nC: EHLO x\nS: 250 mx", Some(tls)).await;
    let module = "{security: tls, expect: {certificate: any, tls_min: '1.3'}}";
    assert_eq!(verdict(&probe(server.address(), module).await), "tls_too_old in tls");
}

#[tokio::test]
async fn old_tls_is_a_failure_where_it_is_to_be_refused() {
    let tls = Identity::self_signed(&Leaf::new("x.example", SystemTime::now())).server_config();
    // ServerHello: TLS 1.0, TLS_RSA_WITH_AES_128_CBC_SHA. ServerHelloDone.
    let hello = format!("\\x02\\x00\\x00\\x26\\x03\\x01{}\\x00\\x00\\x2f\\x00", "\\x07".repeat(32));
    let old = format!("*client-hello\n*raw \\x16\\x03\\x01\\x00\\x2e{hello}\\x0e\\x00\\x00\\x00\n*idle");
    let options = lab::Options { later: Some(Arc::new(Script::of(&old))), ..tls.into() };
    let server = Server::start(Script::of("=== TLS\nS: 220 mx\nC: EHLO x\nS: 250 mx"), options).await;
    let module = "{security: tls, expect: {certificate: any, old_tls: refused}}";
    assert_eq!(verdict(&probe(server.address(), module).await), "old_tls_accepted in tls");
}

#[tokio::test]
async fn nobody_listens() {
    let outcome = probe(refused_port().await, "{security: plain}").await;
    assert_eq!(verdict(&outcome), "refused in connect");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn there_is_no_way() {
    // A broadcast address is never the end of a TCP connection.
    let outcome = probe(SocketAddr::from(([255, 255, 255, 255], 25)), "{security: plain, timeout: 2s}").await;
    assert_eq!(verdict(&outcome), "unreachable in connect");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_dial_that_hangs() {
    let hole = lab::Blackhole::start().await;
    let outcome = probe(hole.address(), "{security: plain, timeout: 800ms}").await;
    assert_eq!(verdict(&outcome), "timeout in connect");
    assert_eq!(outcome.findings.address, Some(hole.address().ip()));
}

#[tokio::test]
async fn our_own_machine_cannot() {
    // 192.0.2.0/24 is for documentation (RFC 5737): no machine has such an address.
    let module = "{security: plain, source_address: 192.0.2.7}";
    assert_eq!(verdict(&probe(refused_port().await, module).await), "local_resource in connect");
}

#[tokio::test]
async fn a_proxy_that_is_not_there() {
    let proxy = refused_port().await;
    let outcome = probe(proxy, &format!("{{security: plain, proxy: 'socks5://{proxy}'}}")).await;
    assert_eq!(verdict(&outcome), "proxy_failed in connect");
}

#[tokio::test]
async fn names_without_addresses() {
    use lab::Answer::{NoData, NxDomain, Refused, ServFail};
    let table = [
        ("gone.example", NxDomain, 60),
        ("empty.example", NoData, 60),
        ("broken.example", ServFail, 60),
        ("shut.example", Refused, 60),
        ("v4.example", lab::Answer::addresses(&["127.0.0.1"]), 60),
    ];
    let server = DnsServer::start(&table).await;
    let look_up = async |name: &str, family: &str| {
        let yaml = format!("targets: [{{host: {name}, ports: [25], family: {family}}}]");
        verdict(&run(&support::config(&yaml), Resolver::with_server(server.address()).unwrap()).await)
    };
    assert_eq!(look_up("gone.example", "any").await, "dns_not_found in resolve");
    assert_eq!(look_up("empty.example", "any").await, "dns_no_address in resolve");
    assert_eq!(look_up("v4.example", "ipv6").await, "dns_no_address in resolve");
    assert_eq!(look_up("broken.example", "any").await, "dns_failed in resolve");
    assert_eq!(look_up("shut.example", "any").await, "dns_failed in resolve");
}

#[tokio::test]
async fn a_domain_that_takes_no_mail() {
    let server = DnsServer::start(&[("null.example", lab::Answer::mx(&[(0, "")]), 60)]).await;
    let resolver = Arc::new(Resolver::with_server(server.address()).unwrap());
    let searches = support::config("targets: [{domain: null.example}]").searches;
    let found = Discovery::once(resolver, searches).await;
    let mut config = support::config("targets: []");
    config.endpoints = found.endpoints;
    assert_eq!(verdict(&run(&config, support::no_names()).await), "null_mx in resolve");
}

/// The only reason no server can produce: a fault of our own, for which the scheduler has a test.
const INTERNAL: (&str, &str) = ("internal", "a_probe_that_breaks_down_is_internal_and_the_next_one_runs");

#[test]
fn every_reason_has_a_scene() {
    let here = include_str!("reasons.rs");
    let elsewhere = std::fs::read_to_string(format!("{}/src/scheduler/tests.rs", env!("CARGO_MANIFEST_DIR"))).unwrap();
    assert!(elsewhere.contains(INTERNAL.1));
    let produced: BTreeSet<&str> = here
        .split('"')
        .filter_map(|text| text.split_once(" in "))
        .map(|(reason, _)| reason)
        .chain([INTERNAL.0])
        .collect();
    let missing: Vec<&str> =
        Reason::ALL.iter().map(|reason| reason.as_str()).filter(|r| !produced.contains(r)).collect();
    assert!(missing.is_empty(), "no scene produces {missing:?}");
}
