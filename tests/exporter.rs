//! The whole exporter in one process: schedule, memory, formats and routes, over scripted servers.

#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "a test fails by panicking")]

mod lab;
mod support;

use std::collections::BTreeSet;
use std::io::Read as _;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use lab::{Identity, Leaf, Options, Script, Server, refused_port};
use mail_endpoint_exporter::export::prometheus::family_names;
use support::{Answer, Exporter, config, request_bytes};
use tokio::time::sleep;

const OPENMETRICS: &str = "Accept: application/openmetrics-text;version=1.0.0\r\n";
const PLAIN: &str = "S: 220 mx ESMTP\nC: EHLO x\nS: 250-mx\nS: 250 SIZE 1000\nC: QUIT\nS: 221 bye\n*close";
const STARTTLS: &str = "S: 220 mx ESMTP\nC: EHLO x\nS: 250-mx\nS: 250 STARTTLS\nC: STARTTLS\nS: 220 go\n=== TLS\n\
                        C: EHLO x\nS: 250-mx\nS: 250-AUTH PLAIN X-OWN\nS: 250 SIZE 2000\nC: QUIT\nS: 221 bye\n*close";

fn tls() -> Options {
    Identity::self_signed(&Leaf::new("mail.example.org", SystemTime::now())).server_config().into()
}

async fn exporter(targets: &str) -> Exporter {
    let yaml = format!(
        "interval: 300ms\nehlo_name: probe.example.org\nmodules:\n  plain: {{security: plain}}\n  \
         start: {{security: starttls, server_name: mail.example.org, timeout: 2s, expect: {{auth: offered}}}}\ntargets:\n{targets}"
    );
    let exporter = Exporter::start(&config(&yaml)).await;
    exporter.first_round().await;
    exporter
}

fn target(name: &str, server: &Server, module: &str) -> String {
    let port = server.address().port();
    format!("- {{name: {name}, host: 127.0.0.1, ports: [{{port: {port}, module: {module}}}], labels: {{site: lab}}}}\n")
}

#[tokio::test]
async fn a_healthy_endpoint_shows_every_fact() {
    let server = Server::start(Script::of(STARTTLS), tls()).await;
    let exporter = exporter(&target("good", &server, "start")).await;
    let metrics = exporter.get("/metrics").await;
    let port = format!("port=\"{}\"", server.address().port());
    let value = |name: &str, labels: &[&str]| metrics.value(name, &[labels, &[&port, "site=\"lab\""]].concat());
    assert_eq!(value("mail_probe_success", &[]), 0.0, "self-signed");
    assert_eq!(value("mail_probe_failure_info", &["phase=\"tls\"", "reason=\"certificate_self_signed\""]), 1.0);
    assert_eq!(value("mail_tls_certificate_valid", &[]), 0.0);
    assert!(value("mail_tls_certificate_not_after_timestamp_seconds", &[]) > 1e9);
    assert_eq!(value("mail_tls_chain_length", &[]), 1.0);
    assert_eq!(value("mail_smtp_starttls_offered", &[]), 1.0);
    assert_eq!(value("mail_smtp_auth_offered", &["stage=\"clear\""]), 0.0);
    assert_eq!(value("mail_smtp_auth_offered", &["stage=\"tls\""]), 1.0);
    assert_eq!(value("mail_smtp_auth_mechanism_offered", &["mechanism=\"PLAIN\""]), 1.0);
    assert_eq!(value("mail_smtp_auth_mechanism_offered", &["mechanism=\"other\""]), 1.0);
    assert_eq!(value("mail_smtp_size_limit_bytes", &[]), 2000.0, "what counts is what is said inside TLS");
    assert_eq!(value("mail_smtp_reply_code", &["phase=\"ehlo_tls\""]), 250.0);
    assert_eq!(value("mail_port_state", &["state=\"open\""]), 1.0);
    assert_eq!(value("mail_port_state", &["state=\"refused\""]), 0.0);
    assert_eq!(value("mail_probe_info", &["module=\"start\"", "protocol=\"smtp\"", "security=\"starttls\""]), 1.0);
    assert_eq!(value("mail_probe_address_info", &["address=\"127.0.0.1\""]), 1.0);
    assert_eq!(value("mail_probe_interval_seconds", &[]), 0.3);
    assert_eq!(value("mail_expectation_met", &["expectation=\"auth\""]), 1.0);
    assert_eq!(value("mail_expectation_met", &["expectation=\"certificate\""]), 0.0);
    for phase in ["resolve", "connect", "banner", "ehlo", "starttls", "tls", "ehlo_tls", "quit"] {
        assert!(value("mail_probe_last_phase_duration_seconds", &[&format!("phase=\"{phase}\"")]) >= 0.0);
        let count = value("mail_probe_phase_duration_seconds_count", &[&format!("phase=\"{phase}\"")]);
        let all = value("mail_probe_phase_duration_seconds_bucket", &[&format!("phase=\"{phase}\""), "le=\"+Inf\""]);
        assert!(count >= 1.0 && all == count);
    }
    exporter.stop().await;
}

#[tokio::test]
async fn what_was_not_reached_is_absent_and_not_zero() {
    let port = refused_port().await.port();
    let target = format!("- {{name: shut, host: 127.0.0.1, ports: [{{port: {port}, module: start}}]}}\n");
    let exporter = exporter(&target).await;
    let metrics = exporter.get("/metrics").await;
    assert_eq!(metrics.value("mail_probe_failure_info", &["phase=\"connect\"", "reason=\"refused\""]), 1.0);
    assert_eq!(metrics.value("mail_port_state", &["state=\"refused\""]), 1.0);
    for absent in [
        "mail_smtp_starttls_offered{",
        "mail_smtp_auth_offered{",
        "mail_tls_",
        "mail_smtp_reply_code{",
        "mail_dns_addresses{",
    ] {
        assert_eq!(metrics.samples(absent), Vec::<&str>::new());
    }
    exporter.stop().await;
}

#[tokio::test]
async fn counters_grow_and_a_recovery_ends_the_failure() {
    let server = Server::start(Script::of("S: 421 busy\nC: QUIT\nS: 221 bye\n*close"), Options::default()).await;
    let exporter = exporter(&target("flaky", &server, "plain")).await;
    let failing = exporter.get("/metrics").await;
    assert_eq!(failing.value("mail_probe_failure_info", &["reason=\"rate_limited\"", "code=\"421\""]), 1.0);
    assert_eq!(failing.samples("mail_probe_success_timestamp_seconds{"), Vec::<&str>::new());
    server.change(Script::of(PLAIN), None);
    sleep(Duration::from_millis(700)).await;
    let healthy = exporter.get("/metrics").await;
    assert_eq!(healthy.value("mail_probe_success", &[]), 1.0);
    assert_eq!(healthy.samples("mail_probe_failure_info{"), Vec::<&str>::new());
    assert!(healthy.value("mail_probe_failures_total", &["reason=\"rate_limited\""]) >= 1.0);
    assert!(healthy.value("mail_probe_attempts_total", &[]) > failing.value("mail_probe_attempts_total", &[]));
    assert!(healthy.value("mail_probe_success_timestamp_seconds", &[]) > 1e9);
    exporter.stop().await;
}

/// Names and labels of all series, without values.
fn series(metrics: &Answer) -> BTreeSet<String> {
    let samples = metrics.body.lines().filter(|line| !line.starts_with('#'));
    samples.map(|line| line.rsplit_once(' ').unwrap().0.to_owned()).collect()
}

#[tokio::test]
async fn hostile_text_changes_nothing_else_in_the_scrape() {
    // No newline: it would end the line, and what follows would be another mistake of the server.
    let evil = "\"} 1\\rmail_probe_success{target=\"x\"} 9\\r\\x1b[2J\\0\\xff\\xc3(\u{202e}";
    let hostile = format!(
        "*raw 220 {evil}\\r\\n\nC: EHLO x\n*raw 250-{evil}\\r\\n\n*raw 250-{evil} {evil}\\r\\n\n*raw 250 AUTH {evil}\\r\\n\n\
         C: QUIT\n*raw 221 {evil}\\r\\n\n*close"
    );
    let tame = "S: 220 mx\nC: EHLO x\nS: 250-mx\nS: 250-ODD odd\nS: 250 AUTH ODD\nC: QUIT\nS: 221 bye\n*close";
    let mut seen = Vec::new();
    for script in [hostile.as_str(), tame] {
        let server = Server::start(Script::of(script), Options::default()).await;
        let exporter = exporter(&target("t", &server, "plain")).await;
        let metrics = exporter.get("/metrics").await;
        let port = server.address().port().to_string();
        seen.push(series(&metrics).into_iter().map(|line| line.replace(&port, "PORT")).collect::<BTreeSet<_>>());
        exporter.stop().await;
    }
    assert_eq!(seen[0], seen[1]);
}

#[tokio::test]
async fn a_subject_full_of_quotes_stays_in_its_label() {
    let evil = "a\"}\n# EOF\nmail_x 1\\ \u{202e}é";
    let leaf = Leaf { common_name: evil.into(), ..Leaf::new("mail.example.org", SystemTime::now()) };
    let tls = Identity::self_signed(&leaf).server_config();
    let server = Server::start(Script::of(STARTTLS), tls.into()).await;
    let exporter = exporter(&target("t", &server, "start")).await;
    let metrics = exporter.request("GET", "/metrics", OPENMETRICS).await;
    let info = metrics.samples("mail_tls_certificate_info{");
    assert_eq!(info.len(), 1);
    assert!(info[0].contains("subject=\"CN=a\\\"}?# EOF?mail_x 1\\\\ ?é\""), "{}", info[0]);
    assert_eq!(metrics.body.matches("# EOF").count(), 3, "the end, and harmless text in subject and issuer");
    assert!(metrics.body.ends_with("\n# EOF\n"));
    exporter.stop().await;
}

#[tokio::test]
async fn formats_follow_accept() {
    let server = Server::start(Script::of(PLAIN), Options::default()).await;
    let exporter = exporter(&target("t", &server, "plain")).await;
    let text = exporter.get("/metrics").await;
    assert!(text.head.contains("content-type: text/plain; version=0.0.4; charset=utf-8"));
    assert!(text.body.contains("# TYPE mail_probe_attempts_total counter\n") && !text.body.contains("# EOF"));
    let open = exporter.request("GET", "/metrics", OPENMETRICS).await;
    assert!(open.head.contains("content-type: application/openmetrics-text; version=1.0.0; charset=utf-8"));
    assert!(open.body.contains("# TYPE mail_probe_attempts counter\n"));
    assert!(open.body.contains("# UNIT mail_probe_duration_seconds seconds\n"));
    assert!(open.body.ends_with("# EOF\n"));
    exporter.stop().await;
}

/// Head and body of an answer that is no text.
async fn get_bytes(exporter: &Exporter, headers: &str) -> (String, Vec<u8>) {
    let answer = request_bytes(exporter.address, "GET", "/metrics", headers).await;
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    (String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase(), answer[end + 4..].to_vec())
}

#[tokio::test]
async fn gzip_for_those_who_ask() {
    let server = Server::start(Script::of(PLAIN), Options::default()).await;
    let exporter = exporter(&target("t", &server, "plain")).await;
    for wanted in ["gzip", "deflate, gzip;q=0.5", "*"] {
        let (head, body) = get_bytes(&exporter, &format!("Accept-Encoding: {wanted}\r\n")).await;
        assert!(head.contains("content-encoding: gzip") && head.contains("vary: accept, accept-encoding"), "{head}");
        let mut text = String::new();
        flate2::read::GzDecoder::new(body.as_slice()).read_to_string(&mut text).unwrap();
        assert!(text.contains("mail_probe_success{") && text.len() > 4 * body.len());
    }
    for refused in ["", "Accept-Encoding: br, gzip;q=0\r\n", "Accept-Encoding: gzip;q=0, *\r\n"] {
        let (head, body) = get_bytes(&exporter, refused).await;
        assert!(!head.contains("content-encoding") && body.starts_with(b"# HELP"), "{head}");
    }
    exporter.stop().await;
}

#[tokio::test]
async fn protobuf_for_those_who_ask() {
    let server = Server::start(Script::of(PLAIN), Options::default()).await;
    let exporter = exporter(&target("t", &server, "plain")).await;
    let accept =
        "Accept: application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited\r\n";
    let (head, body) = get_bytes(&exporter, accept).await;
    assert!(head.contains(
        "content-type: application/vnd.google.protobuf; proto=io.prometheus.client.metricfamily; encoding=delimited"
    ));
    // Messages, each behind its length; the first field of each is the family's name.
    let (mut rest, mut names) = (body.as_slice(), Vec::new());
    while !rest.is_empty() {
        let (length, size) = varint(rest);
        let message = &rest[size..size + length];
        assert_eq!(message[0], 0x0a);
        names.push(String::from_utf8(message[2..2 + usize::from(message[1])].to_vec()).unwrap());
        rest = &rest[size + length..];
    }
    assert_eq!(names, family_names().collect::<Vec<_>>());
    exporter.stop().await;
}

fn varint(bytes: &[u8]) -> (usize, usize) {
    let size = bytes.iter().position(|byte| byte & 0x80 == 0).unwrap() + 1;
    let value = bytes[..size].iter().rev().fold(0, |value, byte| value << 7 | usize::from(byte & 0x7f));
    (value, size)
}

#[tokio::test]
async fn histograms_are_shown_as_configured() {
    let server = Server::start(Script::of(PLAIN), Options::default()).await;
    for (histograms, in_text) in [("both", true), ("classic", true), ("native", false), ("none", false)] {
        let targets = target("t", &server, "plain");
        let yaml = format!(
            "interval: 100ms\nhistograms: {histograms}\nmodules: {{plain: {{security: plain}}}}\ntargets:\n{targets}"
        );
        let exporter = Exporter::start(&config(&yaml)).await;
        exporter.first_round().await;
        let metrics = exporter.get("/metrics").await;
        assert_eq!(metrics.body.contains("mail_probe_phase_duration_seconds_bucket"), in_text, "{histograms}");
        exporter.stop().await;
    }
}

#[tokio::test]
async fn the_catalogue_is_what_is_exposed() {
    let server = Server::start(Script::of(PLAIN), Options::default()).await;
    let exporter = exporter(&target("t", &server, "plain")).await;
    let metrics = exporter.get("/metrics").await;
    let exposed: Vec<&str> = metrics.samples("# TYPE ").iter().map(|line| line.split(' ').nth(2).unwrap()).collect();
    assert_eq!(exposed, family_names().collect::<Vec<_>>());
    exporter.stop().await;
}

#[tokio::test]
async fn routes_and_methods() {
    let exporter = exporter(" []").await;
    for (method, path, status) in [
        ("GET", "/", 200),
        ("GET", "/metrics", 200),
        ("GET", "/metrics?x=y", 200),
        ("GET", "/-/healthy", 200),
        ("GET", "/-/ready", 200),
        ("HEAD", "/metrics", 200),
        ("POST", "/metrics", 405),
        ("DELETE", "/", 405),
        ("GET", "/nothing", 404),
        ("GET", "/metrics/", 404),
        ("POST", "/nothing", 404),
    ] {
        let answer = exporter.request(method, path, "").await;
        assert_eq!(answer.status, status, "{method} {path}");
        assert_eq!(answer.body.is_empty(), method == "HEAD", "{method} {path}");
    }
    assert!(exporter.request("POST", "/metrics", "").await.head.contains("allow: get, head"));
    exporter.stop().await;
}

#[tokio::test]
async fn it_is_ready_once_every_endpoint_has_been_probed() {
    let server = Server::start(Script::of("*sleep 0.6\nS: 220 mx\nC: EHLO x\nS: 250 mx"), Options::default()).await;
    let yaml = format!(
        "interval: 200ms\nmodules: {{plain: {{security: plain}}}}\ntargets:\n{}",
        target("t", &server, "plain")
    );
    let exporter = Exporter::start(&config(&yaml)).await;
    assert_eq!(exporter.get("/-/ready").await.status, 503);
    assert_eq!(exporter.get("/-/healthy").await.status, 200);
    let before = exporter.get("/metrics").await;
    assert_eq!(before.value("mail_probe_attempts_total", &[]), 0.0);
    assert_eq!(before.samples("mail_probe_success{"), Vec::<&str>::new(), "no probe, no verdict");
    exporter.first_round().await;
    assert_eq!(exporter.get("/-/ready").await.status, 200);
    exporter.stop().await;
}

#[tokio::test]
async fn one_probe_of_an_endpoint_at_a_time_and_the_ticks_it_misses_are_counted() {
    let slow = "*sleep 0.5\nS: 220 mx\nC: EHLO x\nS: 250 mx\nC: QUIT\nS: 221 bye\n*close";
    let server = Server::start(Script::of(slow), Options::default()).await;
    let yaml = format!(
        "interval: 100ms\nmodules: {{plain: {{security: plain}}}}\ntargets:\n{}",
        target("t", &server, "plain")
    );
    let exporter = Exporter::start(&config(&yaml)).await;
    sleep(Duration::from_millis(1800)).await;
    let metrics = exporter.get("/metrics").await;
    assert_eq!(server.most_at_once(), 1);
    assert!(metrics.value("mail_exporter_probes_skipped_total", &["reason=\"running\""]) >= 5.0);
    assert!(metrics.value("mail_exporter_schedule_lateness_seconds_count", &[]) >= 2.0);
    exporter.stop().await;
}

#[tokio::test]
async fn first_probes_are_spread_over_the_interval() {
    let server = Server::start(Script::of(PLAIN), Options::default()).await;
    let port = server.address().port();
    let targets: String = (0..40)
        .map(|number| format!("- {{name: t{number}, host: 127.0.0.1, ports: [{{port: {port}, module: plain}}]}}\n"))
        .collect();
    let yaml = format!(
        "interval: 2s\nmax_connections_per_address: 50\nmodules: {{plain: {{security: plain}}}}\ntargets:\n{targets}"
    );
    let exporter = Exporter::start(&config(&yaml)).await;
    let mut done = Vec::new();
    for _ in 0..4 {
        sleep(Duration::from_millis(500)).await;
        done.push(exporter.store.snapshot().endpoints.iter().filter(|history| history.latest.is_some()).count());
    }
    assert!(done.is_sorted() && (3..20).contains(&done[0]) && (10..32).contains(&done[1]), "{done:?}");
    exporter.first_round().await;
    exporter.stop().await;
}

#[tokio::test]
async fn no_more_probes_run_at_once_than_allowed() {
    let slow = "*sleep 0.2\nS: 220 mx\nC: EHLO x\nS: 250 mx\nC: QUIT\nS: 221 bye\n*close";
    let server = Server::start(Script::of(slow), Options::default()).await;
    let port = server.address().port();
    let targets: String = (0..12)
        .map(|number| format!("- {{name: t{number}, host: 127.0.0.1, ports: [{{port: {port}, module: plain}}]}}\n"))
        .collect();
    let yaml = format!(
        "interval: 1s\nmax_concurrent_probes: 3\nmax_connections_per_address: 50\nmodules: {{plain: {{security: plain}}}}\ntargets:\n{targets}"
    );
    let exporter = Exporter::start(&config(&yaml)).await;
    sleep(Duration::from_millis(1500)).await;
    assert!(server.most_at_once() <= 3, "{}", server.most_at_once());
    exporter.stop().await;
}

/// 40 endpoints at an address that serves some three of them a second, and one at another address.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_busy_address_keeps_no_others_waiting_and_is_not_reported_as_down() {
    let slow = "*sleep 0.3\nS: 220 mx\nC: EHLO x\nS: 250 mx\nC: QUIT\nS: 221 bye\n*close";
    let busy = Server::start(Script::of(slow), Options::default()).await;
    let elsewhere = Options { bind: Some("127.0.0.2:0".parse().unwrap()), ..Options::default() };
    let other = Server::start(Script::of(PLAIN), elsewhere).await;
    let (port, other_port) = (busy.address().port(), other.address().port());
    let many: String = (0..40)
        .map(|number| format!("- {{name: t{number}, host: 127.0.0.1, ports: [{{port: {port}, module: plain}}]}}\n"))
        .collect();
    let yaml = format!(
        "interval: 1s\nmax_concurrent_probes: 3\nmax_connections_per_address: 1\n\
         modules: {{plain: {{security: plain, timeout: 2s}}}}\ntargets:\n{many}\
         - {{name: other, host: 127.0.0.2, ports: [{{port: {other_port}, module: plain}}], interval: 200ms}}\n"
    );
    let exporter = Exporter::start(&config(&yaml)).await;
    // Long enough for those who wait to miss their time.
    sleep(Duration::from_secs(6)).await;
    let metrics = exporter.get("/metrics").await;
    let attempts = metrics.value("mail_probe_attempts_total", &["target=\"other\""]);
    assert!(attempts >= 10.0, "30 were due, {attempts} took place");
    assert_eq!(metrics.samples("mail_probe_failures_total{"), Vec::<&str>::new());
    assert!(metrics.value("mail_exporter_probes_skipped_total", &["reason=\"capacity\""]) >= 10.0);
    assert!(metrics.value("mail_exporter_probes_in_flight", &[]) <= 3.0, "who waits for a turn is not in flight");
    assert_eq!(busy.most_at_once(), 1);
    let probed = metrics.samples("mail_probe_success{").len();
    assert!(probed >= 8, "the busy one is used all the time: {probed} endpoints were probed");
    let began = Instant::now();
    exporter.stop().await;
    assert!(began.elapsed() < Duration::from_secs(4), "who waits is let go at once");
}

#[tokio::test]
async fn a_stop_is_quick_and_polite() {
    let server = Server::start(
        Script::of("*sleep 0.3\nS: 220 mx\nC: EHLO x\nS: 250 mx\nC: QUIT\nS: 221 bye\n*close"),
        Options::default(),
    )
    .await;
    let yaml = format!(
        "interval: 100ms\nmodules: {{plain: {{security: plain}}}}\ntargets:\n{}",
        target("t", &server, "plain")
    );
    let exporter = Exporter::start(&config(&yaml)).await;
    sleep(Duration::from_millis(250)).await;
    let began = Instant::now();
    exporter.stop().await;
    assert!(began.elapsed() < Duration::from_secs(3));
    for session in server.finished(server.sessions().len()).await {
        assert!(session.quit && session.violations.is_empty(), "{session:?}");
    }
}

#[tokio::test]
async fn everything_is_served_under_the_prefix_alone() {
    let app = mail_endpoint_exporter::app::App::with_resolver(&config("targets: []"), None, support::no_names());
    let exporter = Exporter::start_with(app.with_route_prefix("/mail/")).await;
    assert_eq!(exporter.get("/mail/metrics").await.status, 200);
    assert_eq!(exporter.get("/mail").await.status, 301);
    assert_eq!(exporter.get("/metrics").await.status, 404);
    assert_eq!(exporter.get("/mailx/metrics").await.status, 404);
    exporter.stop().await;
}

#[tokio::test]
async fn clients_that_dawdle_do_not_stop_a_scrape() {
    let exporter = Arc::new(exporter(" []").await);
    let mut idle = Vec::new();
    for _ in 0..200 {
        let mut tcp = tokio::net::TcpStream::connect(exporter.address).await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut tcp, b"GET /metr").await.unwrap();
        idle.push(tcp);
    }
    assert_eq!(exporter.get("/metrics").await.status, 200);
}
