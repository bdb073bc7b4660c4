//! Real mail servers, a real Prometheus, and the exporter that people use today, beside this one.
//!
//! `tests/real.sh` installs and starts the servers and runs these tests; `REAL_DIR` names the folder in
//! which `tests/real/servers.sh` keeps what it made.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking"
)]
#![allow(clippy::print_stdout, reason = "the comparison is shown as well as checked")]

mod lab;
mod support;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use lab::{Authority, DAY, Identity, Leaf, Options, Script, Server, refused_port};
use mail_endpoint_exporter::cert::facts::Facts;
use mail_endpoint_exporter::export::time::rfc3339;
use mail_endpoint_exporter::mail::smtp::capabilities::Capabilities;
use mail_endpoint_exporter::outcome::Outcome;
use serde_json::Value;
use support::rig::{Rig, output};
use support::{Answer, Exporter, config, host_and_module, no_names, one_endpoint, probe, request, run, verdict};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::time::sleep;

/// Every server: its key, the security to use, and what it must offer before and inside TLS.
const SERVERS: &[(&str, &str, &str, &str)] = &[
    ("POSTFIX_SMTP", "starttls", "no AUTH", "no AUTH"),
    ("POSTFIX_SUBMISSION", "starttls", "no AUTH", "PLAIN LOGIN"),
    ("POSTFIX_SUBMISSIONS", "tls", "", "PLAIN LOGIN"),
    ("POSTFIX_POSTSCREEN", "starttls", "no AUTH", "no AUTH"),
    ("EXIM_SMTP", "starttls", "no AUTH", "PLAIN LOGIN"),
    ("EXIM_SUBMISSIONS", "tls", "", "PLAIN LOGIN"),
    ("OPENSMTPD_SMTP", "starttls", "no AUTH", "PLAIN LOGIN"),
    ("OPENSMTPD_SUBMISSIONS", "tls", "", "PLAIN LOGIN"),
    ("OPENSMTPD_PLAIN", "plain", "no AUTH", ""),
];

fn auth(offered: Option<&Capabilities>) -> String {
    let Some(offered) = offered else { return String::new() };
    let names: Vec<&str> = offered.auth.iter().map(|name| name.as_str()).collect();
    if names.is_empty() { "no AUTH".into() } else { names.join(" ") }
}

#[tokio::test]
#[ignore = "needs Postfix, Exim and OpenSMTPD (tests/real.sh)"]
async fn every_server_succeeds_and_its_facts_are_those_that_openssl_and_swaks_see() {
    let rig = Rig::new();
    for (key, security, clear, tls) in SERVERS {
        let address = rig.address(key);
        let outcome = probe(address, &rig.module(security, "")).await;
        assert_eq!(verdict(&outcome), "ok", "{key}: {:?}", outcome.failure);
        assert_eq!(auth(outcome.findings.smtp.clear.as_deref()), *clear, "{key} in clear");
        assert_eq!(auth(outcome.findings.smtp.tls.as_deref()), *tls, "{key} inside TLS");
        if *security != "plain" {
            compare_certificate(key, address, security, &outcome);
        }
        compare_capabilities(key, address, security, &outcome);
    }
}

fn compare_certificate(key: &str, address: SocketAddr, security: &str, outcome: &Outcome) {
    let certificate = outcome.findings.certificate.as_ref().unwrap();
    assert!(certificate.invalid.is_empty(), "{key}: {:?}", certificate.invalid);
    let leaf = certificate.leaf().unwrap();
    let starttls = if security == "starttls" { "-starttls smtp" } else { "" };
    let pipe = format!(
        "openssl s_client -connect {address} {starttls} 2>/dev/null | \
         openssl x509 -noout -serial -subject -issuer -dates -fingerprint -sha256 -dateopt iso_8601 -nameopt oneline,-space_eq"
    );
    let printed = output("sh", &["-c", &pipe]);
    let field = |name: &str| {
        let line =
            printed.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix(name).map(|_| &line[name.len()..]));
        line.unwrap_or_else(|| panic!("{key}: {name}\n{printed}")).to_owned()
    };
    let Facts { serial, subject, issuer, not_before, not_after, .. } = leaf.facts.as_ref().unwrap();
    assert_eq!(field("serial=").to_ascii_lowercase(), *serial, "{key}");
    assert_eq!(field("sha256 fingerprint=").replace(':', "").to_ascii_lowercase(), *leaf.sha256, "{key}");
    assert_eq!(field("subject="), subject.as_str(), "{key}");
    assert_eq!(field("issuer="), issuer.as_str(), "{key}");
    let date = |seconds: i64| rfc3339(seconds).unwrap().replace('T', " ");
    assert_eq!(field("notbefore="), date(not_before.unwrap()), "{key}");
    assert_eq!(field("notafter="), date(not_after.unwrap()), "{key}");
}

/// The EHLO keywords that swaks sees: `<-` in clear, `<~` inside TLS.
fn compare_capabilities(key: &str, address: SocketAddr, security: &str, outcome: &Outcome) {
    let port = address.port().to_string();
    let tls: &[&str] = match security {
        "starttls" => &["--tls"],
        "tls" => &["--tls-on-connect"],
        _ => &[],
    };
    let ask = ["--server", "127.0.0.1", "--port", &port, "--ehlo", "probe.example.org", "--to", "a@test.example"];
    let printed = output("swaks", &[&ask[..], &["--quit-after", "EHLO"], tls].concat());
    let printed = if security == "starttls" {
        output("swaks", &[&ask[..], &["--quit-after", "TLS"], tls].concat()) + &printed
    } else {
        printed
    };
    let seen = |mark: &str| -> BTreeSet<String> {
        let lines = printed.lines().filter_map(|line| line.trim_start().strip_prefix(mark));
        let words = lines.map(str::trim_start).filter(|line| line.starts_with("250"));
        words.filter_map(|line| line[4..].split(' ').next()).map(str::to_owned).collect()
    };
    for (mark, offered) in [("<-", &outcome.findings.smtp.clear), ("<~", &outcome.findings.smtp.tls)] {
        let ours: BTreeSet<String> =
            offered.iter().flat_map(|offered| &offered.all).map(|one| one.keyword.to_string()).collect();
        let theirs = seen(mark);
        // The greeting line and what a QUIT is answered are no keywords.
        let strangers: Vec<&String> = theirs.difference(&ours).filter(|word| !word.contains('.')).collect();
        assert!(strangers.is_empty(), "{key}: swaks sees {strangers:?} beside ours {ours:?}\n{printed}");
        let missing: Vec<&String> = ours.difference(&theirs).collect();
        assert!(missing.is_empty(), "{key}: swaks does not see {missing:?}\n{printed}");
    }
}

#[tokio::test]
#[ignore = "needs Postfix's postscreen (tests/real.sh)"]
async fn postscreen_makes_us_wait_and_sees_no_early_talker() {
    let rig = Rig::new();
    let outcome = probe(rig.address("POSTFIX_POSTSCREEN"), &rig.module("starttls", "")).await;
    assert_eq!(verdict(&outcome), "ok");
    let banner = outcome.findings.phases.iter().find(|(phase, _)| phase.as_str() == "banner").unwrap().1;
    assert!(banner >= Duration::from_secs(3), "{banner:?}");
    assert!(!rig.log("postfix.log").contains("PREGREET"));
}

#[tokio::test]
#[ignore = "needs Postfix, Exim and OpenSMTPD (tests/real.sh)"]
async fn the_servers_have_nothing_to_complain_of() {
    let rig = Rig::new();
    let logs = ["postfix.log", "exim-main.log", "exim-reject.log", "exim-panic.log", "opensmtpd.log"];
    let watch = rig.watch(&logs);
    for _ in 0..5 {
        for (key, security, ..) in SERVERS.iter().filter(|(key, ..)| *key != "POSTFIX_POSTSCREEN") {
            // A certificate that is not trusted is no reason to be rude either.
            for module in [rig.module(security, ""), format!("{{security: {security}}}")] {
                probe(rig.address(key), &module).await;
            }
        }
    }
    sleep(Duration::from_millis(500)).await;
    watch.has_none_of(&[
        "lost connection",
        "improper command",
        "pipelining",
        "timeout",
        "synchronization",
        "warning",
        "error",
        "unexpected",
        "reset",
    ]);
    assert!(rig.log("postfix.log").contains("disconnect from"), "the log is the one that is looked at");
}

/// A whole exporter over the real servers and one that refuses.
async fn exporter_over(rig: &Rig) -> Exporter {
    let targets: String = SERVERS
        .iter()
        .map(|(key, security, ..)| {
            format!("- {{name: {key}, host: 127.0.0.1, ports: [{{port: {}, module: {security}}}]}}\n", rig.env[*key])
        })
        .collect();
    let modules: String = ["starttls", "tls", "plain"]
        .iter()
        .map(|security| format!("  {security}: {}\n", rig.module(security, "")))
        .collect();
    let shut = refused_port().await.port();
    let exporter = Exporter::start(&config(&format!(
        "interval: 2s\nehlo_name: probe.example.org\nmodules:\n{modules}targets:\n{targets}\
         - {{name: shut, host: 127.0.0.1, ports: [{{port: {shut}, module: plain}}]}}\n"
    )))
    .await;
    exporter.first_round().await;
    exporter
}

#[tokio::test]
#[ignore = "needs promtool (tests/real.sh)"]
async fn promtool_has_nothing_to_complain_of() {
    let rig = Rig::new();
    let exporter = exporter_over(&rig).await;
    let metrics = exporter.get("/metrics").await.body;
    let path = support::file("metrics", &metrics);
    let output =
        Command::new("sh").args(["-c", &format!("promtool check metrics < '{}'", path.display())]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.trim().is_empty(), "{text}");
    exporter.stop().await;
}

/// Hands a scrape on to the exporter, but asks for one format alone.
async fn only(exporter: SocketAddr, format: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut tcp, _) = listener.accept().await.unwrap();
            let mut head = [0; 4096];
            let _ = tcp.read(&mut head).await;
            let answer = request(exporter, "GET", "/metrics", &format!("Accept: {format}\r\n")).await;
            let _ = tcp.write_all(answer.as_bytes()).await;
        }
    });
    address
}

async fn query(prometheus: SocketAddr, expression: &str) -> Vec<Value> {
    let encoded: String = expression.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let answer = Answer::of(&request(prometheus, "GET", &format!("/api/v1/query?query={encoded}"), "").await);
    let answer: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(answer["status"], "success", "{expression}: {answer}");
    answer["data"]["result"].as_array().unwrap().clone()
}

/// Waits until an expression finds so many series: a busy machine may have a probe fail now and then.
async fn finds(prometheus: SocketAddr, expression: &str, wanted: usize) {
    for _ in 0..100 {
        if query(prometheus, expression).await.len() == wanted {
            return;
        }
        sleep(Duration::from_millis(300)).await;
    }
    panic!("{expression} finds not {wanted} series within 30 s: {:#?}", query(prometheus, expression).await);
}

#[tokio::test]
#[ignore = "needs Prometheus (tests/real.sh)"]
async fn prometheus_scrapes_all_formats_and_answers() {
    let mut rig = Rig::new();
    let exporter = exporter_over(&rig).await;
    let text = only(exporter.address, "text/plain;version=0.0.4").await;
    let open = only(exporter.address, "application/openmetrics-text;version=1.0.0").await;
    let targets = [exporter.address, text, open].map(|address| address.to_string());
    rig.script("prometheus", &["start", &targets[0], &targets[1], &targets[2]]);
    let prometheus = rig.address("PROMETHEUS");
    let began = Instant::now();
    // All must have been scraped some times, so that rates exist.
    while query(prometheus, "sum_over_time(up[1m]) >= 6").await.len() < 3 {
        assert!(began.elapsed() < Duration::from_secs(60), "{:?}", query(prometheus, "up").await);
        sleep(Duration::from_millis(500)).await;
    }
    finds(prometheus, "up == 1", 3).await;
    finds(prometheus, "mail_probe_success == 1", 3 * SERVERS.len()).await;
    finds(prometheus, "mail_probe_failure_info{target=\"shut\",reason=\"refused\",phase=\"connect\"}", 3).await;
    finds(prometheus, "mail_port_state{state=\"open\"} == 1", 3 * SERVERS.len()).await;
    let quantile = "histogram_quantile(0.95, sum by (instance, target, le) (rate(mail_probe_phase_duration_seconds_bucket{phase=\"tls\"}[1m]))) > 0";
    finds(prometheus, quantile, 2 * (SERVERS.len() - 1)).await;
    let native = "histogram_quantile(0.95, sum by (instance, target) (rate(mail_probe_phase_duration_seconds{phase=\"tls\"}[1m]))) > 0";
    finds(prometheus, native, SERVERS.len() - 1).await;
    finds(prometheus, "mail_exporter_schedule_lateness_seconds", 1).await;
    let remaining = "(mail_tls_certificate_not_after_timestamp_seconds - time()) / (mail_tls_certificate_not_after_timestamp_seconds - mail_tls_certificate_not_before_timestamp_seconds) > 0.9";
    finds(prometheus, remaining, 3 * (SERVERS.len() - 1)).await;
    // Each family that is no histogram has the same series in all formats.
    for family in query(prometheus, "count by (__name__) ({__name__=~\"mail_.+\",__name__!~\".+_(duration|lateness)_seconds(_bucket|_sum|_count)?\"})").await {
        let count: u64 = family["value"][1].as_str().unwrap().parse().unwrap();
        assert_eq!(count % 3, 0, "{family}");
    }
    assert!(!rig.log("prometheus.log").contains("level=warn component=\"scrape manager\""));
    rig.script("prometheus", &["stop"]);
    exporter.stop().await;
}

/// One row of the comparison: what the server does, and what we must say of it.
struct Row {
    what: &'static str,
    script: String,
    tls: Option<Identity>,
    ours: &'static str,
}

/// The dialogue that blackbox_exporter's own example expects.
const OFFER: &str = "S: 220 mx.example.org ESMTP ready\nC: EHLO x\nS: 250-mx.example.org\nS: 250-STARTTLS\nS: 250-PIPELINING\nS: 250 DSN\n";
const ACCEPT: &str = "C: STARTTLS\nS: 220 ready\n=== TLS\nC: EHLO x\nS: 250-mx.example.org\nS: 250-AUTH PLAIN\nS: 250 DSN\nC: QUIT\nS: 221 bye\n*close";

fn rows(ca: &Authority) -> Vec<Row> {
    let now = SystemTime::now();
    let leaf = || Leaf { ips: vec!["127.0.0.1".parse().unwrap()], ..Leaf::new("mx.example.org", now) };
    let good = || Some(ca.issue(&leaf()));
    let row = |what, script: String, tls, ours| Row { what, script, tls, ours };
    vec![
        row("good certificate", format!("{OFFER}{ACCEPT}"), good(), "ok"),
        row("expired certificate", format!("{OFFER}{ACCEPT}"), Some(ca.issue(&Leaf { not_after: now - DAY, ..leaf() })), "certificate_expired in tls"),
        row("wrong name", format!("{OFFER}{ACCEPT}"), Some(ca.issue(&Leaf { ips: Vec::new(), ..leaf() })), "certificate_host_mismatch in tls"),
        row("`250 STARTTLS` as the last line", format!("S: 220 mx.example.org ESMTP ready\nC: EHLO x\nS: 250-mx.example.org\nS: 250 STARTTLS\n{ACCEPT}"), good(), "ok"),
        row("STARTTLS not offered", "S: 220 mx.example.org ESMTP ready\nC: EHLO x\nS: 250-mx.example.org\nS: 250 DSN\nC: QUIT\nS: 221 bye\n*close".into(), None, "starttls_not_supported in starttls"),
        row("421 greeting, held open", "S: 421 4.7.0 mx.example.org ESMTP busy\nC: QUIT\nS: 221 bye".into(), None, "rate_limited in banner"),
        row("421 greeting, closed", "S: 421 4.7.0 busy\n*close".into(), None, "rate_limited in banner"),
        row("accepts and never speaks", "*idle".into(), None, "timeout in banner"),
        row("RST after accept", "*reset".into(), None, "reset in banner"),
        row("greeting after 1.5 s, TLS after 1 s", format!("*sleep 1.5\n{OFFER}{}", ACCEPT.replace("S: 220 ready", "*sleep 1\nS: 220 ready")), good(), "ok"),
        row("greeting in two parts, 1 s between", format!("S: 220-mx.example.org ESMTP ready\n*segment\n*sleep 1\n{OFFER}{ACCEPT}"), good(), "ok"),
    ]
}

/// What blackbox_exporter's metrics say of a fault: the names present, and the values that could tell.
async fn blackbox(exporter: SocketAddr, target: &str) -> (bool, f64, String) {
    let path = format!("/probe?module=smtp_starttls&target={target}");
    let metrics = Answer::of(&request(exporter, "GET", &path, "").await);
    let told = ["probe_failed_due_to_regex 1", "probe_ssl_earliest_cert_expiry", "probe_tls_version_info"];
    let told: Vec<&str> = told.into_iter().filter(|name| !metrics.samples(name).is_empty()).collect();
    (metrics.value("probe_success", &[]) == 1.0, metrics.value("probe_duration_seconds", &[]), told.join(" "))
}

#[tokio::test]
#[ignore = "needs blackbox_exporter (tests/real.sh)"]
async fn every_fault_that_blackbox_exporter_shows_alike_has_its_own_reason_here() {
    let mut rig = Rig::new();
    let ca = Authority::new("Lab CA");
    let ca_path = rig.env["CA_FILE"].clone();
    let both = std::fs::read_to_string(&ca_path).unwrap() + &ca.pem();
    std::fs::write(&ca_path, both).unwrap();
    rig.script("blackbox", &["start"]);
    let theirs = rig.address("BLACKBOX");
    println!("{:38} {:>9} {:>7}  {:58} here", "server", "blackbox", "s", "what blackbox adds");
    let mut ours = BTreeSet::new();
    let mut false_alarms = 0;
    let module =
        rig.module("starttls", ", expect: {starttls: offered, auth: offered, certificate: valid}").replace("10s", "4s");
    let mut show = |what: &str, (success, seconds, told): (bool, f64, String), outcome: &Outcome, expected: &str| {
        println!("{what:38} {:>9} {seconds:>7.3}  {told:58} {}", if success { "1" } else { "0" }, verdict(outcome));
        assert_eq!(verdict(outcome), expected, "{what}");
        false_alarms += usize::from(!success && outcome.success());
        ours.insert(verdict(outcome));
    };
    for row in rows(&ca) {
        let options = row.tls.map(|identity| Options::from(identity.server_config())).unwrap_or_default();
        let server = Server::start(Script::of(&row.script), options).await;
        let outcome = probe(server.address(), &module).await;
        show(row.what, blackbox(theirs, &server.address().to_string()).await, &outcome, row.ours);
    }
    let shut = refused_port().await;
    show(
        "nobody listens",
        blackbox(theirs, &shut.to_string()).await,
        &probe(shut, &module).await,
        "refused in connect",
    );
    let unknown = host_and_module("nowhere.invalid", 25, &module);
    let outcome = run(&unknown, no_names()).await;
    show("no such name", blackbox(theirs, "nowhere.invalid:25").await, &outcome, "dns_not_found in resolve");
    assert_eq!(ours.len(), 9, "eight faults, eight reasons, and ok: {ours:?}");
    assert!(false_alarms >= 1, "a legal server that blackbox_exporter reports as down");
    rig.script("blackbox", &["stop"]);
}

/// A job for blackbox_exporter, word for word, and the same with another address.
fn jobs(blackbox: SocketAddr, ours: SocketAddr, targets: &str) -> String {
    let job = |name: &str, address: SocketAddr| {
        format!(
            "  - job_name: {name}\n    metrics_path: /probe\n    params: {{module: [smtp_starttls]}}\n    \
             static_configs: [{{targets: [{targets}]}}]\n    relabel_configs:\n      \
             - {{source_labels: [__address__], target_label: __param_target}}\n      \
             - {{source_labels: [__param_target], target_label: instance}}\n      \
             - {{target_label: __address__, replacement: '{address}'}}\n"
        )
    };
    let (theirs, ours) = (job("theirs", blackbox), job("ours", ours));
    format!("global: {{scrape_interval: 2s, scrape_timeout: 2s}}\nscrape_configs:\n{theirs}{ours}")
}

#[tokio::test]
#[ignore = "needs blackbox_exporter and Prometheus (tests/real.sh)"]
async fn a_job_for_blackbox_exporter_works_with_another_address_only() {
    let mut rig = Rig::new();
    rig.script("blackbox", &["start"]);
    // Servers at which blackbox_exporter's own example succeeds.
    let targets: Vec<String> =
        ["POSTFIX_SUBMISSION", "EXIM_SMTP", "OPENSMTPD_SMTP"].iter().map(|key| rig.address(key).to_string()).collect();
    let ports: Vec<u16> = targets.iter().map(|target| target.parse::<SocketAddr>().unwrap().port()).collect();
    let module = rig.module("starttls", ", expect: {auth: offered}");
    let yaml = format!(
        "ehlo_name: probe.example.org\nmodules: {{smtp_starttls: {module}}}\nprobe_endpoint: {{allow: [127.0.0.0/8], ports: {ports:?}}}\n"
    );
    let exporter = Exporter::start(&config(&yaml)).await;
    let jobs = support::file("prometheus.yml", &jobs(rig.address("BLACKBOX"), exporter.address, &targets.join(", ")));
    rig.script_with("prometheus", &["start", "-"], &[("PROMETHEUS_CONFIG", jobs.to_str().unwrap())]);
    let prometheus = rig.address("PROMETHEUS");
    let began = Instant::now();
    while query(prometheus, "probe_success == 1").await.len() < 2 * targets.len() {
        assert!(began.elapsed() < Duration::from_secs(60), "{:#?}", query(prometheus, "probe_success").await);
        sleep(Duration::from_millis(500)).await;
    }
    // Every expression finds with ours what it finds with theirs.
    for expression in [
        "probe_success == 1",
        "probe_duration_seconds < 2",
        "probe_ip_protocol == 4",
        "probe_dns_lookup_time_seconds < 1",
        "probe_ssl_earliest_cert_expiry - time() > 86400 * 80",
        "probe_ssl_last_chain_expiry_timestamp_seconds - time() > 86400 * 80",
        "probe_ssl_last_chain_info{fingerprint_sha256!=\"\", subject!=\"\", subjectalternative!=\"\"}",
        "probe_tls_version_info{version=\"TLS 1.3\"}",
    ] {
        let found = query(prometheus, &format!("count by (job) ({expression})")).await;
        let counts: Vec<&str> = found.iter().map(|row| row["value"][1].as_str().unwrap()).collect();
        assert_eq!(counts, ["3", "3"], "{expression}");
    }
    let same =
        "probe_ssl_earliest_cert_expiry{job=\"ours\"} == on (instance) probe_ssl_earliest_cert_expiry{job=\"theirs\"}";
    assert_eq!(query(prometheus, same).await.len(), 3);
    let same = "count by (instance, fingerprint_sha256, subjectalternative) (probe_ssl_last_chain_info) == 2";
    assert_eq!(query(prometheus, same).await.len(), 3, "{:#?}", query(prometheus, "probe_ssl_last_chain_info").await);
    rig.script("prometheus", &["stop"]);
    rig.script("blackbox", &["stop"]);
    exporter.stop().await;
}

#[tokio::test]
#[ignore = "needs Postfix (tests/real.sh)"]
async fn an_expired_certificate_on_a_real_server_keeps_its_date() {
    // The one server here that speaks what one tells it: openssl, with a certificate of yesterday.
    let now = SystemTime::now();
    let identity = Identity::self_signed(&Leaf { not_after: now - DAY, ..Leaf::new("mail.example.org", now) });
    let (cert, key) =
        (support::file("cert.pem", &identity.certificate_pem), support::file("key.pem", &identity.key_pem));
    let port = refused_port().await.port().to_string();
    let mut server = Command::new("openssl")
        .args(["s_server", "-quiet", "-accept", &port, "-cert", cert.to_str().unwrap(), "-key", key.to_str().unwrap()])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    sleep(Duration::from_millis(500)).await;
    let address: SocketAddr = format!("127.0.0.1:{port}").parse().unwrap();
    let outcome = run(&one_endpoint(address, "{security: tls, timeout: 1s}"), no_names()).await;
    server.kill().unwrap();
    server.wait().unwrap();
    assert_eq!(verdict(&outcome), "timeout in banner", "openssl speaks no SMTP");
    let leaf = outcome.findings.certificate.as_ref().unwrap().leaf().unwrap().facts.clone().unwrap();
    let yesterday = (now - DAY).duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs() as i64;
    assert!((leaf.not_after.unwrap() - yesterday).abs() <= 1);
}
