//! The submission servers that a domain's SRV records name.

use std::time::SystemTime;

use super::lab::{Answer, Authority, DnsServer, Leaf, Options, Script, Server};
use super::support::{self, Exporter, config, file};
use super::{App, Config, Resolver};

const STARTTLS: &str = "S: 220 mx ESMTP\nC: EHLO x\nS: 250-mx\nS: 250 STARTTLS\nC: STARTTLS\nS: 220 go\n=== TLS\n\
                        C: EHLO x\nS: 250-mx\nS: 250 AUTH PLAIN\nC: QUIT\nS: 221 bye\n*close";
const IMPLICIT: &str = "=== TLS\nS: 220 mx ESMTP\nC: EHLO x\nS: 250-mx\nS: 250 AUTH PLAIN\nC: QUIT\nS: 221 bye\n*close";

/// The name of a service of `shop.example`, and its records.
fn service(name: &str, records: &[([u16; 3], &str)], ttl: u32) -> (String, Answer, u32) {
    (format!("_{name}._tcp.shop.example"), Answer::srv(records), ttl)
}

fn host(name: &str) -> (String, Answer, u32) {
    (name.to_owned(), Answer::addresses(&["127.0.0.1"]), 60)
}

/// As the DNS server takes it.
fn table(rows: &[(String, Answer, u32)]) -> Vec<(&str, Answer, u32)> {
    rows.iter().map(|(name, answer, ttl)| (name.as_str(), answer.clone(), *ttl)).collect()
}

/// A server with implicit TLS and one with STARTTLS, both `mail.shop.example`.
struct Rig {
    submissions: Server,
    submission: Server,
    ca_file: String,
}

impl Rig {
    async fn start() -> Self {
        let ca = Authority::new("Shop CA");
        let tls = || Options::from(ca.issue(&Leaf::new("mail.shop.example", SystemTime::now())).server_config());
        Self {
            submissions: Server::start(Script::of(IMPLICIT), tls()).await,
            submission: Server::start(Script::of(STARTTLS), tls()).await,
            ca_file: file("ca.pem", &ca.pem()).display().to_string(),
        }
    }

    /// The two ports.
    fn ports(&self) -> [u16; 2] {
        [self.submissions.address().port(), self.submission.address().port()]
    }

    async fn exporter(&self, dns: &DnsServer, targets: &str) -> Exporter {
        let ca_file = &self.ca_file;
        let modules = format!("{{submissions: {{ca_file: '{ca_file}'}}, submission: {{ca_file: '{ca_file}'}}}}");
        let yaml = format!("interval: 200ms\nmodules: {modules}\ntargets:\n{targets}\n");
        let resolver = Resolver::with_server(dns.address()).unwrap();
        Exporter::start_with(App::with_resolver(&config(&yaml), None, resolver)).await
    }
}

async fn until(exporter: &Exporter, what: &str, wanted: impl Fn(&support::Answer) -> bool) -> support::Answer {
    for _ in 0..600 {
        let metrics = exporter.get("/metrics").await;
        if wanted(&metrics) {
            return metrics;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("{what} within 30 s\n{}", exporter.get("/metrics").await.body);
}

#[tokio::test]
async fn each_service_is_probed_as_its_name_says() {
    let rig = Rig::start().await;
    let [tls, starttls] = rig.ports();
    let rows = [
        service("submissions", &[([0, 5, tls], "mail.shop.example")], 60),
        service("submission", &[([10, 1, starttls], "mail.shop.example")], 60),
        service("imaps", &[([0, 1, 993], "imap.shop.example")], 60),
        host("mail.shop.example"),
    ];
    let dns = DnsServer::start(&table(&rows)).await;
    let target = "- {domain: shop.example, mx: false, srv: true, addresses: all, labels: {site: a}}";
    let exporter = rig.exporter(&dns, target).await;
    exporter.first_round().await;
    let metrics = exporter.get("/metrics").await;
    for (port, security) in [(tls, "tls"), (starttls, "starttls")] {
        let port = format!("port=\"{port}\"");
        let labels = [&port, "target=\"shop.example\"", "host=\"mail.shop.example\"", "address=\"127.0.0.1\""];
        assert_eq!(metrics.value("mail_probe_success", &labels), 1.0, "{}", metrics.body);
        assert_eq!(metrics.value("mail_probe_info", &[&port, &format!("security=\"{security}\"")]), 1.0);
    }
    assert_eq!(metrics.samples("mail_probe_success{").len(), 2, "IMAPS is looked up, and not probed");
    let identity = ["target=\"shop.example\"", "site=\"a\""];
    let value = |family: &str, labels: &[&str]| metrics.value(family, &[&identity, labels].concat());
    for name in ["submissions", "submission", "imaps"] {
        assert_eq!(value("mail_srv_hosts", &[&format!("service=\"{name}\"")]), 1.0);
    }
    let port = format!("port=\"{starttls}\"");
    let facts = ["service=\"submission\"", "host=\"mail.shop.example\"", &port, "priority=\"10\"", "weight=\"1\""];
    assert_eq!(value("mail_srv_info", &facts), 1.0);
    let dangling = ["service=\"imaps\"", "host=\"imap.shop.example\"", "problem=\"srv_host_not_found\""];
    assert_eq!(value("mail_srv_problem_info", &dangling), 1.0);
    assert_eq!(metrics.samples("mail_srv_problem_info{").len(), 1);
    assert!(metrics.samples("mail_mx_").is_empty(), "nobody asked for the MX records");
    let domains: serde_json::Value = serde_json::from_str(&exporter.get("/api/v1/domains").await.body).unwrap();
    assert_eq!((&domains[0]["domain"], &domains[0]["mx"]), (&"shop.example".into(), &serde_json::Value::Null));
    let imaps = &domains[0]["srv"][2];
    assert_eq!((&imaps["service"], &imaps["probed"]), (&"imaps".into(), &false.into()));
    assert_eq!(
        imaps["hosts"],
        serde_json::json!([{"priority": 0, "weight": 1, "port": 993, "host": "imap.shop.example"}])
    );
    assert_eq!(imaps["problems"][0]["problem"], "srv_host_not_found");
    let page = exporter.get("/").await.body;
    for part in ["What DNS says of one domain; of 1 not all is well", "srv_host_not_found imap.shop.example"] {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(dns.queries().iter().all(|(_, kind)| *kind != 15));
    exporter.stop().await;
}

#[tokio::test]
async fn what_is_wrong_with_the_records_is_told() {
    let rig = Rig::start().await;
    let [tls, starttls] = rig.ports();
    let rows = [
        service("submissions", &[([0, 1, tls], "alias.shop.example"), ([1, 1, 465], "gone.shop.example")], 60),
        service("submission", &[([0, 1, starttls], "192.0.2.1"), ([0, 1, 0], "mail.shop.example"), ([0; 3], "")], 60),
        service("imaps", &[([0; 3], "")], 60),
        ("alias.shop.example".to_owned(), Answer::Cname("mail.shop.example".into()), 60),
        ("empty.shop.example".to_owned(), Answer::NoData, 60),
        host("mail.shop.example"),
        ("_submissions._tcp.silent.example".to_owned(), Answer::ServFail, 60),
        ("_submission._tcp.denied.example".to_owned(), Answer::srv(&[([0; 3], "")]), 60),
        ("_submission._tcp.bare.example".to_owned(), Answer::srv(&[([0, 1, 587], "empty.shop.example")]), 60),
    ];
    let dns = DnsServer::start(&table(&rows)).await;
    let domains = ["shop", "nowhere", "silent", "denied", "bare"];
    let targets: Vec<String> =
        domains.iter().map(|name| format!("- {{domain: {name}.example, mx: false, srv: true}}")).collect();
    let exporter = rig.exporter(&dns, &targets.join("\n")).await;
    exporter.first_round().await;
    let metrics = exporter.get("/metrics").await;
    let told: Vec<String> = metrics
        .samples("mail_srv_problem_info{")
        .into_iter()
        .map(|line| line.split('"').skip(1).step_by(2).collect::<Vec<_>>().join(" "))
        .filter(|line| !line.contains("srv_missing"))
        .collect();
    assert_eq!(
        told,
        [
            "shop.example submissions alias.shop.example srv_host_is_alias",
            "shop.example submissions gone.shop.example srv_host_not_found",
            "shop.example submission  srv_not_offered_not_alone",
            "shop.example submission 192.0.2.1 srv_host_is_address",
            "shop.example submission mail.shop.example srv_wrong_port",
            "shop.example imaps  srv_not_offered",
            "denied.example submission  srv_not_offered",
            "bare.example submission empty.shop.example srv_host_no_address",
        ]
    );
    let missing = metrics.samples("mail_srv_problem_info{target=\"nowhere.example\"");
    assert!(missing.len() == 3 && missing.iter().all(|line| line.contains("srv_missing")), "{missing:?}");
    let failure = |target: &str| {
        let start = format!("mail_probe_failure_info{{target=\"{target}.example\",host=");
        let found = metrics.samples(&start);
        assert_eq!(found.len(), 1, "{target}: {found:?}");
        let words: Vec<&str> = found[0].split('"').collect();
        format!("{}:{} {}", words[3], words[5], words[9])
    };
    assert_eq!(failure("nowhere"), "nowhere.example:465 dns_not_found");
    assert_eq!(failure("silent"), "silent.example:465 dns_failed");
    assert_eq!(failure("denied"), "denied.example:465 dns_no_address");
    assert_eq!(failure("bare"), "empty.shop.example:587 dns_no_address");
    let silent = ["target=\"silent.example\"", "service=\"submissions\"", "reason=\"dns_failed\""];
    assert_eq!(metrics.value("mail_srv_failure_info", &silent), 1.0);
    let untold = metrics.samples("mail_srv_hosts{target=\"silent.example\",service=\"submissions\"");
    assert!(untold.is_empty(), "what DNS has not told is absent");
    assert_eq!(metrics.value("mail_srv_hosts", &["target=\"denied.example\"", "service=\"submission\""]), 0.0);
    exporter.stop().await;
}

#[tokio::test]
async fn mx_and_srv_of_a_domain_stand_side_by_side_and_follow_dns() {
    let rig = Rig::start().await;
    let [tls, _] = rig.ports();
    let rows = |name: &str| {
        [
            ("shop.example".to_owned(), Answer::mx(&[(10, "mail.shop.example")]), 60),
            service("submissions", &[([0, 1, tls], name)], 1),
            host("mail.shop.example"),
            host("other.shop.example"),
        ]
    };
    let dns = DnsServer::start(&table(&rows("mail.shop.example"))).await;
    let exporter = rig.exporter(&dns, "- {domain: shop.example, srv: true}").await;
    let port = format!("host=\"mail.shop.example\",port=\"{tls}\"");
    let before = until(&exporter, "the old one", |now| {
        now.body.contains(&format!("mail_probe_success{{target=\"shop.example\",{port}"))
    })
    .await;
    assert_eq!(before.value("mail_mx_hosts", &["target=\"shop.example\""]), 1.0);
    assert!(before.body.contains("host=\"mail.shop.example\",port=\"25\""));
    dns.set(&table(&rows("other.shop.example")));
    let after = until(&exporter, "the new one", |now| now.body.contains("host=\"other.shop.example\"")).await;
    assert!(!after.body.contains(&port), "the series of what is gone are gone at once\n{}", after.body);
    assert!(after.body.contains("host=\"mail.shop.example\",port=\"25\""), "the MX stays");
    exporter.stop().await;
}

#[test]
fn what_is_secret_is_not_shown_to_submission_servers_that_dns_names() {
    let password = file("password", "open sesame");
    let yaml = format!(
        "modules: {{submission: {{auth: {{username: probe, password_file: '{}'}}}}}}\n\
         targets: [{{domain: shop.example, srv: true}}]\n",
        password.display()
    );
    let refused = Config::load(&file("mail.yml", &yaml)).unwrap_err();
    assert!(refused.len() == 1 && refused[0].message.contains("\"submission\" has `auth`"), "{refused:?}");
}
