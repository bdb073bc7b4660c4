//! Endpoints that DNS names: each address on its own, the set as DNS has it now, and what is told of it.

#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "a test fails by panicking")]

mod lab;
mod support;

use std::time::Duration;

use lab::{Answer, DnsServer, Options, Script, Server};
use mail_endpoint_exporter::app::App;
use mail_endpoint_exporter::dns::Resolver;
use support::{Exporter, config};
use tokio::time::sleep;

const PLAIN: &str = "S: 220 mx ESMTP\nC: EHLO x\nS: 250 mx\nC: QUIT\nS: 221 bye\n*close";

/// A mail server on 127.0.0.1, a DNS server, and an exporter that asks it.
struct Rig {
    server: Server,
    dns: DnsServer,
    exporter: Exporter,
}

impl Rig {
    /// `targets` may hold `PORT`, the port of the mail server.
    async fn start(table: &[(&str, Answer, u32)], targets: &str) -> Self {
        let server = Server::start(Script::of(PLAIN), Options::default()).await;
        let dns = DnsServer::start(table).await;
        let targets = targets.replace("PORT", &server.address().port().to_string());
        let yaml = format!("interval: 200ms\nmodules: {{clear: {{security: plain}}}}\ntargets:\n{targets}\n");
        let resolver = Resolver::with_server(dns.address()).unwrap();
        let exporter = Exporter::start_with(App::with_resolver(&config(&yaml), None, resolver)).await;
        Self { server, dns, exporter }
    }

    async fn metrics(&self) -> support::Answer {
        self.exporter.get("/metrics").await
    }

    /// Waits until the metrics are as wanted.
    async fn until(&self, what: &str, wanted: impl Fn(&support::Answer) -> bool) -> support::Answer {
        for _ in 0..600 {
            let metrics = self.metrics().await;
            if wanted(&metrics) {
                return metrics;
            }
            sleep(Duration::from_millis(50)).await;
        }
        panic!("{what} within 30 s\n{}", self.metrics().await.body);
    }
}

const ALL: &str =
    "- {name: t, host: mx.example, ports: [{port: PORT, module: clear}], addresses: all, labels: {site: a}}";

#[tokio::test]
async fn each_address_has_its_own_series_and_a_dead_one_is_not_hidden() {
    let table = [("mx.example", Answer::addresses(&["127.0.0.1", "127.0.0.2"]), 60)];
    let rig = Rig::start(&table, ALL).await;
    rig.exporter.first_round().await;
    assert_eq!(rig.exporter.get("/-/ready").await.status, 200);
    let metrics = rig.metrics().await;
    assert_eq!(metrics.value("mail_probe_success", &["address=\"127.0.0.1\"", "site=\"a\""]), 1.0);
    assert_eq!(metrics.value("mail_probe_success", &["address=\"127.0.0.2\""]), 0.0);
    let failure = metrics.samples("mail_probe_failure_info{");
    assert!(failure.len() == 1 && failure[0].contains("reason=\"refused\""), "{failure:?}");
    let port = format!("port=\"{}\"", rig.server.address().port());
    let identity = format!("{{target=\"t\",host=\"mx.example\",{port},site=\"a\"}}");
    assert_eq!(metrics.value(&format!("mail_target_addresses_total{identity}"), &[]), 2.0);
    assert_eq!(metrics.value(&format!("mail_target_addresses_up{identity}"), &[]), 1.0);
    assert_eq!(metrics.value("mail_dns_addresses", &["family=\"ipv4\"", "site=\"a\""]), 2.0);
    assert_eq!(metrics.value("mail_dns_addresses", &["family=\"ipv6\""]), 0.0);
    assert!(metrics.samples("mail_dns_failure_info").is_empty());
    let json = rig.exporter.get("/api/v1/endpoints").await.body;
    assert!(json.contains("\"address\": \"127.0.0.1\"") && json.contains("\"address\": \"127.0.0.2\""), "{json}");
    let page = rig.exporter.get("/").await.body.replace("<wbr/>", "");
    assert!(page.contains("at 127.0.0.2"), "{page}");
    rig.exporter.stop().await;
}

#[tokio::test]
async fn addresses_come_and_go_with_dns_and_stay_while_it_is_silent() {
    let rig = Rig::start(&[("mx.example", Answer::addresses(&["127.0.0.1", "127.0.0.2"]), 1)], ALL).await;
    let attempts = |metrics: &support::Answer, address: &str| {
        metrics.value("mail_probe_attempts_total", &[&format!("address=\"{address}\"")])
    };
    let before = rig.until("some probes", |metrics| metrics.body.contains("address=\"127.0.0.1\"")).await;
    rig.dns.set(&[("mx.example", Answer::addresses(&["127.0.0.1", "127.0.0.3"]), 1)]);
    let after = rig.until("the new address", |metrics| metrics.body.contains("address=\"127.0.0.3\"")).await;
    assert!(!after.body.contains("address=\"127.0.0.2\""), "the series of the old one are gone at once");
    assert!(attempts(&after, "127.0.0.1") >= attempts(&before, "127.0.0.1"), "what stays keeps its counts");
    rig.dns.set(&[("mx.example", Answer::ServFail, 1)]);
    let stale = rig.until("the fault", |metrics| !metrics.samples("mail_dns_failure_info{").is_empty()).await;
    assert!(stale.samples("mail_dns_failure_info{")[0].contains("reason=\"dns_failed\""));
    let probed = attempts(&stale, "127.0.0.1");
    rig.until("probing goes on", |metrics| attempts(metrics, "127.0.0.1") > probed).await;
    // That the name is gone is an answer: there is nothing left to probe, and that is a failure.
    rig.dns.set(&[]);
    let gone = rig.until("its failure", |metrics| metrics.body.contains("reason=\"dns_not_found\",code")).await;
    assert!(!gone.body.contains("address=\"127.0.0.1\""));
    assert_eq!(gone.value("mail_probe_success", &["host=\"mx.example\""]), 0.0);
    rig.exporter.stop().await;
}

#[tokio::test]
async fn nobody_is_told_ready_before_dns_has_answered() {
    let rig = Rig::start(&[("mx.example", Answer::Silent, 1)], ALL).await;
    sleep(Duration::from_millis(300)).await;
    assert_eq!(rig.exporter.get("/-/ready").await.status, 503);
    assert!(rig.exporter.get("/").await.body.contains("DNS is being asked"));
    rig.dns.set(&[("mx.example", Answer::addresses(&["127.0.0.1"]), 60)]);
    rig.until("the answer", |metrics| metrics.body.contains("address=\"127.0.0.1\"")).await;
    rig.exporter.first_round().await;
    assert_eq!(rig.exporter.get("/-/ready").await.status, 200);
    rig.exporter.stop().await;
}

#[tokio::test]
async fn a_name_without_addresses_is_a_failing_endpoint_and_one_family_is_enough() {
    let table = [("empty.example", Answer::NoData, 60), ("v4.example", Answer::addresses(&["127.0.0.1"]), 60)];
    let targets = "- {host: empty.example, ports: [25], addresses: all}\n\
                   - {host: v4.example, ports: [{port: PORT, module: clear}], addresses: all}\n\
                   - {name: six, host: v4.example, ports: [{port: PORT, module: clear}], addresses: all, family: ipv6}\n\
                   - {name: literal, host: 127.0.0.1, ports: [{port: PORT, module: clear}], addresses: all}";
    let rig = Rig::start(&table, targets).await;
    rig.exporter.first_round().await;
    let metrics = rig.metrics().await;
    let reason = |target: &str| {
        let found = metrics.samples("mail_probe_failure_info{");
        found.into_iter().find(|line| line.contains(&format!("target=\"{target}\""))).map(str::to_owned)
    };
    assert!(reason("empty.example").unwrap().contains("dns_no_address"));
    assert!(reason("six").unwrap().contains("dns_no_address"));
    assert_eq!((reason("v4.example"), reason("literal")), (None, None));
    assert_eq!(metrics.value("mail_target_addresses_up", &["target=\"literal\""]), 1.0);
    assert!(metrics.samples("mail_target_addresses_total{target=\"six\"").is_empty());
    rig.exporter.stop().await;
}
