//! Retries, another interval while it fails, and probes that leave TLS out: each as the metrics and the server see it.

#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "a test fails by panicking")]

mod lab;
mod support;

use std::time::{Duration, SystemTime};

use lab::{DnsServer, Identity, Leaf, Options, Script, Server};
use mail_endpoint_exporter::app::App;
use mail_endpoint_exporter::dns::Resolver;
use support::{Answer, Exporter, config};
use tokio::time::sleep;

const PLAIN: &str = "S: 220 mx\nC: EHLO x\nS: 250 mx\nC: QUIT\nS: 221 bye\n*close";
const REFUSES: &str = "S: 554 no\nC: QUIT\nS: 221 bye\n*close";
const BUSY: &str = "S: 421 later\nC: QUIT\nS: 221 bye\n*close";
const STARTTLS: &str = "S: 220 mx\nC: EHLO x\nS: 250-mx\nS: 250 STARTTLS\nC: STARTTLS\nS: 220 go\n=== TLS\n\
                        C: EHLO x\nS: 250-mx\nS: 250 AUTH PLAIN\nC: QUIT\nS: 221 bye\n*close";

async fn exporter(server: &Server, pace: &str, security: &str) -> Exporter {
    let port = server.address().port();
    let module = format!("{{security: {security}, expect: {{certificate: any}}}}");
    let target = format!("{{name: t, host: 127.0.0.1, ports: [{{port: {port}, module: m}}], {pace}}}");
    Exporter::start(&config(&format!("modules: {{m: {module}}}\ntargets: [{target}]\n"))).await
}

async fn until(exporter: &Exporter, what: &str, wanted: impl Fn(&Answer) -> bool) -> Answer {
    for _ in 0..600 {
        let metrics = exporter.get("/metrics").await;
        if wanted(&metrics) {
            return metrics;
        }
        sleep(Duration::from_millis(50)).await;
    }
    panic!("no {what} within 30 s\n{}", exporter.get("/metrics").await.body);
}

fn attempts(metrics: &Answer) -> f64 {
    metrics.value("mail_probe_attempts_total", &[])
}

#[tokio::test]
async fn a_failure_that_a_repetition_does_not_confirm_is_none() {
    let server = Server::start(Script::of(REFUSES), Options::default()).await;
    let exporter = exporter(&server, "interval: 5s, retries: 1, retry_delay: 2s", "plain").await;
    server.finished(1).await;
    server.change(Script::of(PLAIN), None);
    let metrics = until(&exporter, "result", |metrics| attempts(metrics) >= 1.0).await;
    assert_eq!(metrics.value("mail_probe_success", &[]), 1.0);
    assert_eq!(metrics.value("mail_probe_retries_total", &[]), 1.0);
    assert_eq!(attempts(&metrics), 1.0, "the two are one");
    assert_eq!(metrics.samples("mail_probe_failures_total{"), Vec::<&str>::new());
    exporter.stop().await;
}

#[tokio::test]
async fn a_failure_counts_once_it_is_confirmed() {
    let server = Server::start(Script::of(REFUSES), Options::default()).await;
    let exporter = exporter(&server, "interval: 5s, retries: 2, retry_delay: 200ms", "plain").await;
    let metrics = until(&exporter, "result", |metrics| attempts(metrics) >= 1.0).await;
    assert_eq!(metrics.value("mail_probe_failures_total", &["reason=\"permanent_reply\""]), 1.0);
    assert_eq!(metrics.value("mail_probe_retries_total", &[]), 2.0);
    assert_eq!(server.sessions().len(), 3);
    exporter.stop().await;
}

#[tokio::test]
async fn a_server_that_has_enough_of_us_is_asked_no_sooner() {
    let server = Server::start(Script::of(BUSY), Options::default()).await;
    let pace = "interval: 5s, interval_when_failing: 100ms, retries: 3, retry_delay: 100ms";
    let exporter = exporter(&server, pace, "plain").await;
    until(&exporter, "result", |metrics| attempts(metrics) >= 1.0).await;
    sleep(Duration::from_millis(800)).await;
    let metrics = exporter.get("/metrics").await;
    assert_eq!(metrics.value("mail_probe_retries_total", &[]), 0.0);
    assert!(metrics.value("mail_probe_current_interval_seconds", &[]) >= 5.0);
    assert_eq!(attempts(&metrics), 1.0);
    assert_eq!(server.sessions().len(), 1);
    exporter.stop().await;
}

#[tokio::test]
async fn while_it_fails_it_is_probed_at_another_interval() {
    let server = Server::start(Script::of(REFUSES), Options::default()).await;
    let exporter = exporter(&server, "interval: 8s, interval_when_failing: 100ms", "plain").await;
    // At the regular interval this would take more than a minute.
    let failing = until(&exporter, "haste", |metrics| attempts(metrics) >= 10.0).await;
    assert_eq!(failing.value("mail_probe_current_interval_seconds", &[]), 0.1);
    assert_eq!(failing.value("mail_probe_interval_seconds", &[]), 8.0, "as configured");
    assert_eq!(failing.samples("mail_probe_retries_total{"), Vec::<&str>::new());
    server.change(Script::of(PLAIN), None);
    let well = until(&exporter, "recovery", |metrics| metrics.value("mail_probe_success", &[]) == 1.0).await;
    assert_eq!(well.value("mail_probe_current_interval_seconds", &[]), 8.0);
    sleep(Duration::from_millis(1500)).await;
    assert_eq!(attempts(&exporter.get("/metrics").await), attempts(&well), "no haste any more");
    exporter.stop().await;
}

#[tokio::test]
async fn light_probes_keep_what_is_known_of_tls() {
    let leaf = Leaf::new("mail.example.org", SystemTime::now());
    let tls = Identity::self_signed(&leaf).server_config();
    let server = Server::start(Script::of(STARTTLS), tls.clone().into()).await;
    let exporter = exporter(&server, "interval: 200ms, certificate_interval: 1h", "starttls").await;
    let full = until(&exporter, "full probe", |metrics| attempts(metrics) >= 1.0).await;
    let light = until(&exporter, "light probe", |metrics| metrics.value("mail_probe_light", &[]) == 1.0).await;
    for name in ["mail_tls_timestamp_seconds", "mail_tls_certificate_not_after_timestamp_seconds"] {
        assert_eq!(light.value(name, &[]), full.value(name, &[]), "{name}");
    }
    assert!(light.value("mail_probe_timestamp_seconds", &[]) > light.value("mail_tls_timestamp_seconds", &[]));
    assert_eq!(light.value("mail_probe_success", &[]), 1.0);
    assert_eq!(light.value("mail_smtp_auth_offered", &["stage=\"tls\""]), 1.0);
    assert_eq!(light.samples("mail_tls_info{").len(), 1);
    let phase =
        |phase: &str| light.samples("mail_probe_last_phase_duration_seconds{").iter().any(|line| line.contains(phase));
    assert!(phase("\"ehlo\"") && phase("\"quit\"") && !phase("\"tls\"") && !phase("\"starttls\""));

    // The offer goes: a light probe sees it, and what was known is gone with it.
    server.change(Script::of(PLAIN), None);
    let without = until(&exporter, "failure", |metrics| metrics.value("mail_probe_success", &[]) == 0.0).await;
    assert_eq!(without.value("mail_probe_failure_info", &["reason=\"starttls_not_supported\""]), 1.0);
    assert_eq!(without.samples("mail_tls_"), without.samples("mail_tls_certificate_changed"));
    server.change(Script::of(STARTTLS), Some(tls));
    let again = until(&exporter, "recovery", |metrics| metrics.value("mail_probe_success", &[]) == 1.0).await;
    assert!(again.value("mail_tls_timestamp_seconds", &[]) > full.value("mail_tls_timestamp_seconds", &[]));
    exporter.stop().await;
    let sessions = server.sessions();
    let with_tls: Vec<bool> =
        sessions.iter().filter(|session| session.finished && session.quit).map(|s| s.tls).collect();
    assert!(with_tls[0] && !with_tls[1], "the first in full, the next lightly: {with_tls:?}");
    assert!(sessions.iter().all(|session| session.violations.is_empty()), "{sessions:#?}");
}

#[tokio::test]
async fn light_probes_go_on_when_another_name_moves() {
    let tls = Identity::self_signed(&Leaf::new("mail.example.org", SystemTime::now())).server_config();
    let server = Server::start(Script::of(STARTTLS), tls.into()).await;
    let table = |moves| {
        let at = |address: &str| lab::Answer::addresses(&[address]);
        [("still.example", at("127.0.0.1"), 60), ("moves.example", at(moves), 1)]
    };
    let dns = DnsServer::start(&table("127.0.0.1")).await;
    let port = server.address().port();
    let target = |name| format!("- {{host: {name}, ports: [{{port: {port}, module: m}}], addresses: all}}\n");
    let yaml = format!(
        "interval: 500ms\ncertificate_interval: 1h\nmodules: {{m: {{security: starttls, expect: {{certificate: any}}}}}}\n\
         targets:\n{}{}",
        target("still.example"),
        target("moves.example"),
    );
    let resolver = Resolver::with_server(dns.address()).unwrap();
    let exporter = Exporter::start_with(App::with_resolver(&config(&yaml), None, resolver)).await;
    let still = |metrics: &Answer, name: &str| {
        let of = |line: &&str| line.contains("host=\"still.example\"");
        let line = metrics.samples(name).into_iter().find(of).map(|line| line.rsplit(' ').next().unwrap().to_owned());
        line.map_or(0.0, |value| value.parse::<f64>().unwrap())
    };
    let light = until(&exporter, "light probe", |metrics| still(metrics, "mail_probe_light{") == 1.0).await;
    dns.set(&table("127.0.0.2"));
    let moved = until(&exporter, "move", |metrics| metrics.body.contains("address=\"127.0.0.2\"")).await;
    let more = still(&moved, "mail_probe_attempts_total{") + 3.0;
    let after = until(&exporter, "probes", |metrics| still(metrics, "mail_probe_attempts_total{") >= more).await;
    let full = |metrics| still(metrics, "mail_tls_timestamp_seconds{");
    assert!(full(&light) > 0.0);
    assert_eq!(full(&after), full(&light), "TLS was done again");
    exporter.stop().await;
}
