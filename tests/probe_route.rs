//! `/probe`: what blackbox_exporter's users ask of it, and what nobody may get out of it.

#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "a test fails by panicking")]

mod lab;
mod support;

use std::time::{Duration, Instant, SystemTime};

use lab::{Authority, Identity, Leaf, Options, Script, Server};
use support::{Exporter, config, file};

const STARTTLS: &str = "S: 220 mx ESMTP\nC: EHLO x\nS: 250-mx\nS: 250 STARTTLS\nC: STARTTLS\nS: 220 go\n=== TLS\n\
                        C: EHLO x\nS: 250-mx\nS: 250 AUTH PLAIN\nC: QUIT\nS: 221 bye\n*close";
const PLAIN: &str = "S: 220 mx ESMTP\nC: EHLO x\nS: 250 mx\nC: QUIT\nS: 221 bye\n*close";

/// An exporter without targets whose `/probe` may reach this machine on these ports.
async fn exporter(ports: &[u16], modules: &str) -> Exporter {
    let yaml = format!(
        "ehlo_name: probe.example.org\nmodules:\n  clear: {{security: plain}}\n{modules}\
         probe_endpoint: {{allow: [127.0.0.0/8], ports: {ports:?}}}\n"
    );
    Exporter::start(&config(&yaml)).await
}

#[tokio::test]
async fn blackbox_names_stand_beside_ours_with_the_same_meaning() {
    let ca = Authority::new("Lab CA");
    let leaf = Leaf { ips: vec!["127.0.0.1".parse().unwrap()], ..Leaf::new("mx.example.org", SystemTime::now()) };
    let server = Server::start(Script::of(STARTTLS), ca.issue(&leaf).server_config().into()).await;
    let port = server.address().port();
    let ca_file = file("ca.pem", &ca.pem());
    let exporter = exporter(&[port], &format!("  submission: {{ca_file: '{}'}}\n", ca_file.display())).await;
    // `hostname` is the name to ask for, as blackbox_exporter has it.
    let answer =
        exporter.get(&format!("/probe?target=127.0.0.1:{port}&module=submission&hostname=mx.example.org")).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(server.sessions()[0].server_name.as_deref(), Some("mx.example.org"));
    let value = |name: &str| answer.value(name, &[]);
    assert_eq!(value("probe_success"), 1.0);
    assert_eq!(value("probe_ip_protocol"), 4.0);
    assert!(value("probe_duration_seconds") > 0.0 && value("probe_dns_lookup_time_seconds") >= 0.0);
    let expiry = value("probe_ssl_earliest_cert_expiry");
    assert_eq!(expiry, value("probe_ssl_last_chain_expiry_timestamp_seconds"));
    assert_eq!(expiry, answer.value("mail_tls_certificate_not_after_timestamp_seconds", &[]));
    assert_eq!(answer.value("probe_tls_version_info", &["version=\"TLS 1.3\""]), 1.0);
    let labels = [
        "fingerprint_sha256=\"",
        "subject=\"CN=mx.example.org\"",
        "issuer=\"CN=Lab CA\"",
        "subjectalternative=\"mx.example.org\"",
        "serialnumber=\"",
    ];
    assert_eq!(answer.value("probe_ssl_last_chain_info", &labels), 1.0);
    assert_eq!(answer.value("mail_probe_success", &["target=\"127.0.0.1\""]), 1.0);
    assert!(!answer.body.contains("mail_exporter_") && !answer.body.contains("process_"));
    exporter.stop().await;
}

#[tokio::test]
async fn an_expired_certificate_keeps_its_date_where_blackbox_loses_it() {
    let now = SystemTime::now();
    let tls = Identity::self_signed(&Leaf { not_after: now - lab::DAY, ..Leaf::new("mx.example.org", now) });
    let server = Server::start(Script::of(STARTTLS), tls.server_config().into()).await;
    let port = server.address().port();
    let exporter = exporter(&[port], "").await;
    let answer = exporter.get(&format!("/probe?target=127.0.0.1:{port}&module=submission")).await;
    assert_eq!(answer.value("probe_success", &[]), 0.0);
    assert!(answer.value("probe_ssl_earliest_cert_expiry", &[]) > 1e9);
    assert_eq!(answer.samples("probe_ssl_last_chain_expiry"), Vec::<&str>::new(), "no chain was verified");
    exporter.stop().await;
}

#[tokio::test]
async fn formats_follow_accept_here_too() {
    let server = Server::start(Script::of(PLAIN), Options::default()).await;
    let port = server.address().port();
    let exporter = exporter(&[port], "").await;
    let path = format!("/probe?target=127.0.0.1:{port}&module=clear");
    let text = exporter.get(&path).await;
    assert!(text.head.contains("text/plain; version=0.0.4") && !text.body.contains("# EOF"));
    let open = exporter.request("GET", &path, "Accept: application/openmetrics-text;version=1.0.0\r\n").await;
    assert!(open.head.contains("application/openmetrics-text; version=1.0.0"));
    assert!(open.body.ends_with("# EOF\n") && open.body.matches("# EOF").count() == 1);
    exporter.stop().await;
}

#[tokio::test]
async fn debug_is_the_report_with_the_dialogue() {
    let server = Server::start(Script::of(PLAIN), Options::default()).await;
    let port = server.address().port();
    let exporter = exporter(&[port], "").await;
    let answer = exporter.get(&format!("/probe?target=127.0.0.1:{port}&module=clear&debug=true")).await;
    for part in ["← 220 mx ESMTP", "→ EHLO probe.example.org", "← 221 bye", "phases"] {
        assert!(answer.body.contains(part), "{part}\n{}", answer.body);
    }
    exporter.stop().await;
}

#[tokio::test]
async fn a_bad_query_is_400_with_one_line_that_says_why() {
    let exporter = exporter(&[25], "").await;
    for (query, part) in [
        ("", "target is missing"),
        ("target=", "target is missing"),
        ("target=mx.example", "has no port: write mx.example:587"),
        ("target=mx.example:0", "no port from 1 to 65535"),
        ("target=mx%20example:25", "is no host name"),
        ("target=mx.example:26", "port 26 has no module of its own"),
        ("target=mx.example:25&module=nope", "there is no module \"nope\""),
        ("target=a.example:25&target=b.example:25", "target is given more than once"),
        ("target=mx.example:25&debug=perhaps", "write true or false"),
        ("target=mx.example:25&verbose=1", "unknown parameter \"verbose\""),
        ("target=%zz", "no valid query"),
        ("target=mx.example%0d%0aQUIT:25", "is no host name"),
    ] {
        let answer = exporter.get(&format!("/probe?{query}")).await;
        assert_eq!(answer.status, 400, "{query}: {}", answer.body);
        assert!(answer.body.contains(part) && answer.body.lines().count() == 1, "{query}: {}", answer.body);
    }
    assert_eq!(exporter.request("POST", "/probe", "").await.status, 405);
    exporter.stop().await;
}

#[tokio::test]
async fn it_is_no_port_scanner_and_leads_nowhere_inside() {
    let server = Server::start(Script::of(PLAIN), Options::default()).await;
    let port = server.address().port();
    let plain = "modules: {clear: {security: plain}}\n";
    let by_default = Exporter::start(&config(plain)).await;
    let local = Exporter::start(&config(&format!("{plain}probe_endpoint: {{ports: [{port}]}}\n"))).await;
    for (exporter, target) in [
        (&by_default, "192.0.2.1:22".to_owned()),
        (&by_default, "192.0.2.1:8080".to_owned()),
        (&local, format!("127.0.0.1:{port}")),
        (&local, format!("[::1]:{port}")),
        (&local, format!("[::ffff:127.0.0.1]:{port}")),
        (&local, format!("169.254.169.254:{port}")),
        (&local, format!("0.0.0.0:{port}")),
    ] {
        let answer = exporter.get(&format!("/probe?target={target}&module=clear")).await;
        assert_eq!(answer.status, 403, "{target}: {}", answer.body);
        assert!(answer.body.contains("probe_endpoint."), "{target}: {}", answer.body);
    }
    assert!(server.sessions().is_empty(), "nothing was connected to");
    by_default.stop().await;
    local.stop().await;
}

#[tokio::test]
async fn a_target_of_the_configuration_may_always_be_probed() {
    let server = Server::start(Script::of(PLAIN), Options::default()).await;
    let port = server.address().port();
    let yaml = format!(
        "interval: 1h\nmodules: {{clear: {{security: plain}}}}\ntargets: [{{host: 127.0.0.1, ports: [{{port: {port}, module: clear}}]}}]\n"
    );
    let exporter = Exporter::start(&config(&yaml)).await;
    let answer = exporter.get(&format!("/probe?target=127.0.0.1:{port}&module=clear")).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    exporter.stop().await;
}

#[tokio::test]
async fn many_who_ask_for_one_slow_host_are_answered_in_time() {
    let server = Server::start(Script::of("*idle"), Options::default()).await;
    let port = server.address().port();
    let exporter = std::sync::Arc::new(exporter(&[port], "").await);
    let began = Instant::now();
    let probes: Vec<_> = (0..12)
        .map(|_| {
            let (exporter, path) = (exporter.clone(), format!("/probe?target=127.0.0.1:{port}&module=clear"));
            tokio::spawn(
                async move { exporter.request("GET", &path, "X-Prometheus-Scrape-Timeout-Seconds: 1.5\r\n").await },
            )
        })
        .collect();
    for probe in probes {
        // Who comes to a turn meets the silence, the others are told that there was none.
        let answer = probe.await.unwrap();
        assert_eq!(answer.value("probe_success", &[]), 0.0);
        let info = answer.samples("mail_probe_failure_info{")[0];
        assert!(info.contains("reason=\"timeout\"") || info.contains("reason=\"local_resource\""), "{info}");
    }
    assert!(began.elapsed() < Duration::from_millis(1500), "{:?}", began.elapsed());
}

#[tokio::test]
async fn credentials_are_for_configured_hosts_only() {
    let client = Authority::new("CA").issue(&Leaf::new("probe.example.org", SystemTime::now()));
    let (cert, key) = (file("c.pem", &client.certificate_pem), file("k.pem", &client.key_pem));
    let module = format!(
        "  secret: {{security: tls, client_certificate: {{cert_file: '{}', key_file: '{}'}}}}\n",
        cert.display(),
        key.display()
    );
    let server = Server::start(Script::of("*idle"), Options::default()).await;
    let port = server.address().port();
    let exporter = exporter(&[port], &module).await;
    let answer = exporter.get(&format!("/probe?target=127.0.0.1:{port}&module=secret")).await;
    assert_eq!(answer.status, 403);
    assert!(answer.body.contains("has credentials"), "{}", answer.body);
    assert!(server.sessions().is_empty());
    exporter.stop().await;
}

#[tokio::test]
async fn the_answer_is_there_before_prometheus_gives_up() {
    let server = Server::start(Script::of("*idle"), Options::default()).await;
    let port = server.address().port();
    let exporter = exporter(&[port], "").await;
    let path = format!("/probe?target=127.0.0.1:{port}&module=clear");
    let began = Instant::now();
    let answer = exporter.request("GET", &path, "X-Prometheus-Scrape-Timeout-Seconds: 1.0\r\n").await;
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    assert_eq!(answer.value("probe_success", &[]), 0.0);
    assert_eq!(answer.value("mail_probe_failure_info", &["reason=\"timeout\"", "phase=\"banner\""]), 1.0);
    exporter.stop().await;
}

#[tokio::test]
async fn waiting_for_a_turn_is_no_time_of_the_servers() {
    let slow = "*sleep 1\nS: 220 mx\nC: EHLO x\nS: 250 mx\nC: QUIT\nS: 221 bye\n*close";
    let server = Server::start(Script::of(slow), Options::default()).await;
    let port = server.address().port();
    let modules = "  patient: {security: plain, timeout: 20s}\n  hasty: {security: plain, timeout: 2500ms}\n";
    let exporter = exporter(&[port], modules).await;
    let six = async |module: &str| {
        let path = format!("/probe?target=127.0.0.1:{port}&module={module}");
        // Two at a time have a connection.
        let [a, b, c, d, e, f] = [(); 6].map(|()| exporter.get(&path));
        let (a, b, c, d, e, f) = tokio::join!(a, b, c, d, e, f);
        [a, b, c, d, e, f]
    };
    for answer in six("patient").await {
        assert_eq!(answer.value("mail_probe_success", &[]), 1.0, "{}", answer.body);
        let took = answer.value("mail_probe_duration_seconds", &[]);
        assert!(took < 1.9, "{took} s: the last two waited for 2 s");
    }
    let mut late = 0;
    for answer in six("hasty").await {
        if answer.value("mail_probe_success", &[]) == 0.0 {
            assert!(answer.body.contains("reason=\"local_resource\""), "{}", answer.body);
            assert_eq!(answer.value("mail_port_state", &["state=\"unreachable\""]), 0.0);
            late += 1;
        }
    }
    assert!(late > 0, "the last two have half a second left");
    exporter.stop().await;
}
