//! Endpoints that DNS names: each address on its own, the set as DNS has it now, and what is told of it.

#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "a test fails by panicking")]

mod lab;
#[path = "discovery/services.rs"]
mod services;
mod support;

use std::time::Duration;

use lab::{Answer, DnsServer, Options, Script, Server};
use mail_endpoint_exporter::app::App;
use mail_endpoint_exporter::config::Config;
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

#[tokio::test]
async fn the_mail_servers_of_a_domain_are_probed_and_their_faults_told() {
    let table = [
        (
            "shop.example",
            Answer::mx(&[(20, "mx2.shop.example"), (10, "mx1.shop.example"), (30, "gone.shop.example")]),
            60,
        ),
        ("mx1.shop.example", Answer::addresses(&["127.0.0.1", "127.0.0.2"]), 60),
        ("mx2.shop.example", Answer::Cname("mx1.shop.example".into()), 60),
        ("null.example", Answer::mx(&[(0, "")]), 60),
        ("bare.example", Answer::addresses(&["127.0.0.1"]), 60),
        ("literal.example", Answer::mx(&[(10, "192.0.2.1")]), 60),
        ("number.example", Answer::mx(&[(10, "mx.123")]), 60),
        ("broken.example", Answer::ServFail, 60),
    ];
    let ports = "ports: [{port: PORT, module: clear}]";
    let domains = ["shop", "null", "bare", "literal", "number", "broken", "nowhere"];
    let mut targets: String = domains.iter().map(|name| format!("- {{domain: {name}.example, {ports}}}\n")).collect();
    targets += &format!("- {{name: all, domain: shop.example, {ports}, addresses: all, labels: {{site: a}}}}");
    let rig = Rig::start(&table, &targets).await;
    rig.exporter.first_round().await;
    let metrics = rig.metrics().await;
    let verdict = |target: &str, host: &str| {
        let of = |line: &&str| line.contains(&format!("target=\"{target}\",host=\"{host}\""));
        let success = metrics.samples("mail_probe_success{").into_iter().find(of).unwrap_or("none none");
        let reason = metrics.samples("mail_probe_failure_info{").into_iter().find(of).unwrap_or_default();
        let reason = reason.split("reason=\"").nth(1).map_or("", |rest| rest.split('"').next().unwrap());
        format!("{} {reason}", success.rsplit(' ').next().unwrap()).trim_end().to_owned()
    };
    assert_eq!(verdict("shop.example", "mx1.shop.example"), "1.0");
    assert_eq!(verdict("shop.example", "mx2.shop.example"), "1.0");
    assert_eq!(verdict("shop.example", "gone.shop.example"), "0.0 dns_not_found");
    assert_eq!(verdict("shop.example", "shop.example"), "none", "the domain itself is no mail server");
    assert_eq!(verdict("null.example", "null.example"), "0.0 null_mx");
    assert_eq!(verdict("bare.example", "bare.example"), "1.0");
    assert_eq!(verdict("literal.example", "literal.example"), "0.0 dns_no_address");
    assert_eq!(verdict("number.example", "number.example"), "0.0 dns_no_address");
    assert_eq!(verdict("broken.example", "broken.example"), "0.0 dns_failed");
    assert_eq!(verdict("nowhere.example", "nowhere.example"), "0.0 dns_not_found");
    let all = metrics.samples("mail_probe_success{target=\"all\"");
    assert_eq!(all.iter().filter(|line| line.contains("address=")).count(), 4, "{all:?}");

    let problems: Vec<&str> = metrics.samples("mail_mx_problem_info{");
    let has = |target: &str, host: &str, problem: &str| {
        let label = format!("{{target=\"{target}\",host=\"{host}\",problem=\"{problem}\"}}");
        assert!(problems.iter().any(|line| line.contains(&label)), "{label}: {problems:#?}");
    };
    has("shop.example", "mx2.shop.example", "mx_is_alias");
    has("shop.example", "gone.shop.example", "mx_not_found");
    has("null.example", "", "null_mx");
    has("bare.example", "", "implicit_mx");
    has("literal.example", "192.0.2.1", "mx_is_address");
    has("number.example", "mx.123", "mx_malformed");
    assert_eq!(metrics.value("mail_mx_hosts", &["target=\"shop.example\""]), 3.0);
    assert_eq!(metrics.value("mail_mx_hosts", &["target=\"null.example\""]), 0.0);
    assert_eq!(
        metrics.value("mail_mx_info", &["target=\"all\"", "host=\"mx1.shop.example\"", "preference=\"10\""]),
        1.0
    );
    let domains: serde_json::Value = serde_json::from_str(&rig.exporter.get("/api/v1/domains").await.body).unwrap();
    let of = |name: &str| domains.as_array().unwrap().iter().find(|one| one["target"] == name).unwrap();
    assert_eq!(of("shop.example")["mx"][0], serde_json::json!({"preference": 10, "host": "mx1.shop.example"}));
    assert_eq!(of("literal.example")["problems"][0]["host"], "192.0.2.1");
    assert_eq!(of("broken.example")["failure"]["reason"], "dns_failed");
    assert_eq!(rig.exporter.get("/api/v1/domains?x=1").await.status, 400);
    assert_eq!(metrics.value("mail_mx_failure_info", &["target=\"broken.example\"", "reason=\"dns_failed\""]), 1.0);
    assert!(metrics.samples("mail_mx_hosts{target=\"broken.example\"").is_empty(), "what DNS has not told is absent");
    rig.exporter.stop().await;
}

#[tokio::test]
async fn an_mx_that_comes_is_probed_and_one_that_goes_is_not() {
    let address = Answer::addresses(&["127.0.0.1"]);
    let with = |host: &str| {
        [
            ("shop.example", Answer::mx(&[(10, host)]), 1),
            ("old.example", address.clone(), 1),
            ("new.example", address.clone(), 1),
        ]
    };
    let rig = Rig::start(&with("old.example"), "- {domain: shop.example, ports: [{port: PORT, module: clear}]}").await;
    rig.until("the old one", |metrics| metrics.body.contains("host=\"old.example\"")).await;
    rig.dns.set(&with("new.example"));
    let after = rig.until("the new one", |metrics| metrics.body.contains("host=\"new.example\"")).await;
    assert!(!after.body.contains("host=\"old.example\""));
    rig.exporter.stop().await;
}

#[tokio::test]
async fn what_is_secret_is_not_shown_to_hosts_that_dns_names() {
    let identity = lab::Identity::self_signed(&lab::Leaf::new("probe.example.org", std::time::SystemTime::now()));
    let (cert, key) =
        (support::file("client.pem", &identity.certificate_pem), support::file("client.key", &identity.key_pem));
    let (cert, key) = (cert.display(), key.display());
    let yaml = format!(
        "modules: {{smtp: {{client_certificate: {{cert_file: '{cert}', key_file: '{key}'}}}}}}\ntargets:\n- domain: a.example\n"
    );
    let problems = Config::load(&support::file("mail.yml", &yaml)).unwrap_err();
    assert!(problems[0].message.contains("name a module without one, or the mail servers by `host`"), "{problems:?}");
    std::fs::write(key.to_string(), "password").unwrap();
    let login = format!(
        "modules: {{in: {{security: tls, auth: {{username: probe, password_file: '{key}'}}}}}}\ntargets:\n\
         - {{domain: a.example, ports: [{{port: 465, module: in}}]}}\n"
    );
    let refused = Config::load(&support::file("mail.yml", &login)).unwrap_err();
    assert!(refused.iter().any(|problem| problem.message.contains("has `auth`")), "{refused:?}");
    std::fs::write(key.to_string(), &identity.key_pem).unwrap();
    let hosts = yaml.replace("- domain: a.example", "- {host: mx.a.example, ports: [25], addresses: all}");
    assert!(Config::load(&support::file("mail.yml", &hosts)).is_ok(), "a host that the user names may see it");
}
