//! Two exporters share the work, divided by a real Prometheus or by themselves, as `examples/sharding` shows.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking"
)]

mod lab;
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use lab::{Options, Script, Server, refused_port};
use serde_json::Value;
use support::{Answer, folder, request};
use tokio::net::TcpStream;
use tokio::time::sleep;

const PLAIN: &str = "S: 220 mx ESMTP\nC: EHLO x\nS: 250-mx\nS: 250 SIZE 1000\nC: QUIT\nS: 221 bye\n*close";

/// Ten hosts with two ports each: that all fall to one exporter has a chance of one in 512, were it left to chance.
async fn servers() -> Vec<Server> {
    let mut servers = Vec::new();
    for host in 2..12 {
        for _ in 0..2 {
            let bind = Some(SocketAddr::from(([127, 0, 0, host], 0)));
            servers.push(Server::start(Script::of(PLAIN), Options { bind, ..Options::default() }).await);
        }
    }
    servers
}

/// A program that does not outlive its test.
struct Running {
    child: Child,
    address: SocketAddr,
}

impl Running {
    /// Starts it with the place of its HTTP server as its last argument, and waits until it is ready there.
    async fn start(program: &str, arguments: &[&str], folder: &Path) -> Self {
        let address = refused_port().await;
        let log = folder.join(format!("{}.log", address.port()));
        let child = Command::new(program)
            .args(arguments)
            .arg(format!("--web.listen-address={address}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(&log).unwrap())
            .spawn()
            .unwrap_or_else(|error| panic!("{program}: {error}"));
        let mut running = Self { child, address };
        let began = Instant::now();
        while TcpStream::connect(address).await.is_err() || running.get("/-/ready").await.status != 200 {
            let ended = running.child.try_wait().unwrap();
            let in_time = ended.is_none() && began.elapsed() < Duration::from_secs(30);
            assert!(in_time, "{program}: {}", fs::read_to_string(&log).unwrap());
            sleep(Duration::from_millis(50)).await;
        }
        running
    }

    async fn exporter(config: &Path, more: &[&str]) -> Self {
        let arguments = [&["--config.file", config.to_str().unwrap()], more].concat();
        Self::start(env!("CARGO_BIN_EXE_mail_endpoint_exporter"), &arguments, config.parent().unwrap()).await
    }

    /// Prometheus with an example, its exporters, and a scrape every second.
    async fn prometheus(example: &str, exporters: [&Self; 2], folder: &Path) -> Self {
        let path = format!("{}/examples/sharding/{example}", env!("CARGO_MANIFEST_DIR"));
        let mut text = fs::read_to_string(path).unwrap();
        let intervals = ["scrape_interval: 60s", "scrape_interval: 30s"].map(|from| (from, "scrape_interval: 1s"));
        let timeouts = ["scrape_timeout: 20s", "scrape_timeout: 10s"].map(|from| (from, "scrape_timeout: 1s"));
        for (from, to) in intervals.into_iter().chain(timeouts) {
            text = text.replace(from, to);
        }
        assert_eq!(text.matches(": 1s\n").count(), 2, "the interval and its limit: {text}");
        for (number, exporter) in exporters.into_iter().enumerate() {
            let name = format!("exporter-{number}.example.org:10125");
            assert!(text.contains(&name));
            text = text.replace(&name, &exporter.address.to_string());
        }
        let config = folder.join("prometheus.yml");
        fs::write(&config, text).unwrap();
        let arguments =
            [format!("--config.file={}", config.display()), format!("--storage.tsdb.path={}/data", folder.display())];
        Self::start("prometheus", &arguments.each_ref().map(String::as_str), folder).await
    }

    async fn get(&self, path: &str) -> Answer {
        Answer::of(&request(self.address, "GET", path, "").await)
    }

    /// What Prometheus answers: for each label set the value.
    async fn query(&self, expression: &str) -> Vec<(BTreeMap<String, String>, f64)> {
        let encoded: String = expression.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let answer = self.get(&format!("/api/v1/query?query={encoded}")).await;
        let answer: Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(answer["status"], "success", "{expression}: {answer}");
        let result = answer["data"]["result"].as_array().unwrap().iter();
        let sample = |sample: &Value| {
            let labels = serde_json::from_value(sample["metric"].clone()).unwrap();
            (labels, sample["value"][1].as_str().unwrap().parse().unwrap())
        };
        result.map(sample).collect()
    }

    /// Waits until Prometheus has so many series.
    async fn has(&self, expression: &str, count: usize) {
        let began = Instant::now();
        loop {
            let found = self.query(expression).await;
            if found.len() == count {
                return;
            }
            assert!(began.elapsed() < Duration::from_secs(60), "{expression}: {} of {count}", found.len());
            sleep(Duration::from_millis(200)).await;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Every share has hosts, and each host is in one.
fn assert_divided(shares: [&BTreeSet<SocketAddr>; 2], servers: &[Server]) {
    let all: BTreeSet<SocketAddr> = servers.iter().map(Server::address).collect();
    assert_eq!(shares[0].union(shares[1]).copied().collect::<BTreeSet<_>>(), all, "every target is probed");
    let hosts = shares.map(|share| share.iter().map(SocketAddr::ip).collect::<BTreeSet<_>>());
    assert!(hosts[0].is_disjoint(&hosts[1]), "no host is probed by both: {hosts:?}");
    assert!(hosts.iter().all(|hosts| !hosts.is_empty()), "both have work: {hosts:?}");
}

#[tokio::test]
#[ignore = "needs Prometheus (tests/real.sh)"]
async fn prometheus_divides_the_targets_by_their_hash() {
    let (servers, folder) = (servers().await, folder());
    let mut exporters = Vec::new();
    for number in 0..2 {
        let ports: Vec<String> = servers.iter().map(|server| server.address().port().to_string()).collect();
        let config = folder.join(format!("mail-{number}.yml"));
        let yaml = format!(
            "ehlo_name: exporter-{number}.example.org\nmodules: {{clear: {{security: plain}}}}\n\
             probe_endpoint: {{allow: [127.0.0.0/8], ports: [{}]}}\n",
            ports.join(", ")
        );
        fs::write(&config, yaml).unwrap();
        exporters.push(Running::exporter(&config, &[]).await);
    }
    fs::create_dir(folder.join("targets")).unwrap();
    let targets: Vec<String> = servers.iter().map(|server| format!("'{}'", server.address())).collect();
    let group = format!("- targets: [{}]\n  labels: {{__param_module: clear}}\n", targets.join(", "));
    fs::write(folder.join("targets/lab.yml"), group).unwrap();
    let prometheus = Running::prometheus("prometheus-hashmod.yml", [&exporters[0], &exporters[1]], &folder).await;
    prometheus.has("probe_success == 1", servers.len()).await;
    prometheus.has("mail_probe_success == 1", servers.len()).await;
    // Twice more, so that whoever probes out of turn has had the time.
    prometheus.has("count_over_time(probe_success[1m]) >= 3", servers.len()).await;

    // As Prometheus sees it, …
    let series = prometheus.query("count by (instance, exporter) (probe_success)").await;
    let share = |exporter: &Running| -> BTreeSet<SocketAddr> {
        let of = exporter.address.to_string();
        let mine = series.iter().filter(|(labels, _)| labels["exporter"] == of);
        mine.map(|(labels, _)| labels["instance"].parse().unwrap()).collect()
    };
    let shares = [share(&exporters[0]), share(&exporters[1])];
    assert_divided([&shares[0], &shares[1]], &servers);
    // … and as the mail servers do, to whom each exporter says its name.
    for server in &servers {
        let sessions = server.sessions();
        let names: BTreeSet<&str> =
            sessions.iter().filter_map(|session| session.lines.first()).map(String::as_str).collect();
        let number = usize::from(shares[1].contains(&server.address()));
        assert_eq!(names, BTreeSet::from([format!("EHLO exporter-{number}.example.org").as_str()]));
        assert!(sessions.iter().all(|session| session.violations.is_empty()));
    }
}

#[tokio::test]
#[ignore = "needs Prometheus (tests/real.sh)"]
async fn the_exporters_divide_one_configuration() {
    let (servers, folder) = (servers().await, folder());
    let config = folder.join("mail.yml");
    let target = |server: &Server| {
        let address = server.address();
        format!("- {{host: {}, ports: [{{port: {}, module: clear}}]}}\n", address.ip(), address.port())
    };
    let targets: String = servers.iter().map(target).collect();
    let yaml = format!(
        "interval: 500ms\nehlo_name: probe.example.org\nmodules: {{clear: {{security: plain}}}}\ntargets:\n{targets}"
    );
    fs::write(&config, yaml).unwrap();
    let first = Running::exporter(&config, &["--shard", "0/2"]).await;
    let second = Running::exporter(&config, &["--shard", "1/2"]).await;
    let prometheus = Running::prometheus("prometheus-shards.yml", [&first, &second], &folder).await;
    prometheus.has("mail_probe_success == 1", servers.len()).await;
    prometheus.has("mail_probe_attempts_total >= 3", servers.len()).await;

    // As Prometheus sees it, …
    let series = prometheus.query("count by (instance, host, port) (mail_probe_success)").await;
    assert!(series.iter().all(|(_, count)| *count == 1.0));
    let share = |exporter: &Running| -> BTreeSet<SocketAddr> {
        let of = exporter.address.to_string();
        let mine = series.iter().filter(|(labels, _)| labels["instance"] == of);
        mine.map(|(labels, _)| format!("{}:{}", labels["host"], labels["port"]).parse().unwrap()).collect()
    };
    let shares = [share(&first), share(&second)];
    assert_divided([&shares[0], &shares[1]], &servers);
    prometheus.has("count by (target, host, port) (mail_probe_success) > 1", 0).await;
    assert_eq!(prometheus.query("sum(mail_exporter_endpoints)").await[0].1, servers.len() as f64);
    // … and as the mail servers do: without the first exporter its share is silent, and the other goes on.
    drop(first);
    sleep(Duration::from_millis(200)).await;
    let counts = || servers.iter().map(|server| server.sessions().len()).collect::<Vec<_>>();
    let before = counts();
    sleep(Duration::from_secs(3)).await;
    for ((server, before), after) in servers.iter().zip(before).zip(counts()) {
        assert_eq!(after > before, shares[1].contains(&server.address()), "{}", server.address());
    }
    // Nobody takes over; that is to be seen.
    prometheus.has("up == 0", 1).await;
}
