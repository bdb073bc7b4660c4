//! A long run among servers that misbehave in every way at once: memory, file descriptors and threads of the exporter
//! must stay where they are.
//!
//! `tests/soak.sh` builds the program as it is shipped and runs this. `SOAK_EXPORTER` names the program,
//! `SOAK_MINUTES` says how long (30), `SOAK_ENDPOINTS` over how many endpoints (2000) and `SOAK_INTERVAL` how often
//! each is probed (10s). Meanwhile it is scraped in every format, asked to probe, and read by its API.
//!
//! The first quarter warms it up. The figures of the last quarter must not be above those of the second.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "the table is the point")]

mod lab;
mod support;

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use lab::{Authority, Blackhole, DAY, Identity, Leaf, Options, Script, Server, liar_config, refused_port, transcripts};
use support::{Answer, folder, request_bytes};
use tokio::time::{interval, sleep, timeout};
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::CertificateDer;

/// Servers without a good word, each with the security to use.
const FAULTS: &[(&str, &str)] = &[
    ("*idle", "plain"),
    ("S: 220-mx.example.org\n*idle", "plain"),
    ("S: 220 mx\nC: EHLO x\n*idle", "plain"),
    ("S: 220 mx\nC: EHLO x\n*no-read", "plain"),
    ("*drip 50 220 slow but never done, ever and ever and ever and ever and ever\\r\\n", "plain"),
    ("*reset", "plain"),
    ("S: 220 mx\nC: EHLO x\n*reset", "plain"),
    ("*close", "plain"),
    ("*raw 220 mx.example\n*close", "plain"),
    ("S: 220 mx\nC: EHLO x\nS: 250-mx\n*close", "plain"),
    ("*half-close\n*idle", "plain"),
    ("S: 421 4.7.0 Too many connections", "plain"),
    ("S: 450 4.3.2 try later", "plain"),
    ("S: 220 mx\nC: EHLO x\nS: 450 busy", "plain"),
    ("S: 554 mx ESMTP blocked", "plain"),
    ("S: 250 what", "plain"),
    ("*raw SSH-2.0-OpenSSH_9.2\\r\\n", "plain"),
    ("*raw 220-a\\r\\n554 b\\r\\n", "plain"),
    ("*raw \\0\\xff\\xfe\\x1b[2J\\r\\n", "plain"),
    ("*forever xxxxxxxxxxxxxxxx", "plain"),
    ("*forever 220-again\\r\\n", "plain"),
    ("S: 220 mx\nC: EHLO x\n*repeat 100000 250-SIZE 10\\r\\n", "plain"),
    ("*raw 220 mx\\r\\n554 no\\r\\n", "plain"),
    ("S: 220 mx\nC: EHLO x\nS: 250 mx\nC: QUIT\n*idle", "plain"),
    ("S: 220 mx\nC: EHLO x\nS: 250 mx\nC: QUIT\n*reset", "plain"),
    ("S: 220 mx\nC: EHLO x\nS: 250 mx", "starttls"),
    ("S: 220 mx\nC: EHLO x\nS: 250-mx\nS: 250 STARTTLS\nC: STARTTLS\nS: 454 4.7.0 TLS not available", "starttls"),
    ("S: 220 mx\nC: EHLO x\nS: 250-mx\nS: 250 STARTTLS\nC: STARTTLS\n*raw 220 go\\r\\n235 ok\\r\\n", "starttls"),
    ("S: 220 mx\nC: EHLO x\nS: 250-mx\nS: 250 STARTTLS\nC: STARTTLS\nS: 220 go\n*client-hello\n*idle", "starttls"),
    ("S: 220 mx\nC: EHLO x\nS: 250-mx\nS: 250 STARTTLS\nC: STARTTLS\nS: 220 go\n*client-hello\n*reset", "starttls"),
    ("*client-hello\n*raw 421 4.7.0 busy\\r\\n\n*close", "tls"),
    ("S: 220 mx.example.org ESMTP\n*idle", "tls"),
    ("*refuse-tls 40", "tls"),
    ("*refuse-tls 70", "tls"),
    ("*client-hello\n*raw \\x16\\x03\\x03\\x00\\x04\\x0b\\x00\\x00\\x00\n*close", "tls"),
    ("*client-hello\n*close", "tls"),
    ("*client-hello\n*reset", "tls"),
    ("*client-hello\n*idle", "tls"),
    ("*cut-tls 100\n*close", "tls"),
    ("*cut-tls 900\n*reset", "tls"),
];

/// What a server with a certificate of some kind says.
const GOOD: &str =
    "=== TLS\nS: 220 mx ESMTP\nC: EHLO x\nS: 250-mx\nS: 250 AUTH PLAIN LOGIN\nC: QUIT\nS: 221 bye\n*close";

fn variable<T: std::str::FromStr>(name: &str, default: T) -> T {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Certificates, right and wrong.
fn certificates(now: SystemTime) -> Vec<Arc<ServerConfig>> {
    let (ca, leaf) = (Authority::new("Soak CA"), || Leaf::new("mail.example.org", now));
    let weak = format!("{}/tests/data/certificates/rsa-1024.der", env!("CARGO_MANIFEST_DIR"));
    let many = Leaf { dns: (0..1000).map(|number| format!("name{number}.example.org")).collect(), ..leaf() };
    let chain = (0..5).fold(Authority::new("Other CA"), |above, _| above.intermediate("Between"));
    vec![
        ca.issue(&leaf()).server_config(),
        ca.issue(&Leaf { not_after: now - DAY, ..leaf() }).server_config(),
        ca.issue(&Leaf { not_before: now + DAY, ..leaf() }).server_config(),
        ca.issue(&many).server_config(),
        chain.issue(&leaf()).server_config(),
        Identity::self_signed(&leaf()).server_config(),
        liar_config(vec![CertificateDer::from(fs::read(weak).unwrap())]),
    ]
}

/// The servers, and where each is met with which security. They live as long as this does.
struct Town {
    servers: Vec<Server>,
    hole: Blackhole,
    places: Vec<(SocketAddr, &'static str)>,
}

impl Town {
    async fn build() -> Self {
        let certificates = certificates(SystemTime::now());
        let mut town = Self { servers: Vec::new(), hole: Blackhole::start().await, places: Vec::new() };
        for script in transcripts() {
            let security = if script.tls == "implicit" { "tls" } else { "opportunistic" };
            town.open(script, security, Some(certificates[0].clone())).await;
        }
        for (script, security) in FAULTS {
            town.open(Script::of(script), security, Some(certificates[0].clone())).await;
        }
        for tls in &certificates {
            town.open(Script::of(GOOD), "tls", Some(tls.clone())).await;
        }
        town.places.push((town.hole.address(), "plain"));
        town.places.push((refused_port().await, "plain"));
        town
    }

    /// Each server has an address of its own, so that none waits for a place at another's.
    async fn open(&mut self, script: Script, security: &'static str, tls: Option<Arc<ServerConfig>>) {
        let number = self.servers.len();
        let bind = Some(SocketAddr::from(([127, 1, (number / 250) as u8, (number % 250) as u8 + 1], 0)));
        let server = Server::start(script, Options { tls, bind, forget: true, ..Options::default() }).await;
        self.places.push((server.address(), security));
        self.servers.push(server);
    }

    /// A configuration of so many endpoints over these servers.
    fn configuration(&self, endpoints: usize) -> PathBuf {
        let modules: String = ["plain", "opportunistic", "starttls", "tls"]
            .iter()
            .map(|security| format!("  {security}: {{security: {security}, timeout: 3s}}\n"))
            .collect();
        let targets: String = self
            .places
            .iter()
            .cycle()
            .take(endpoints)
            .enumerate()
            .map(|(number, (address, module))| {
                let (host, port) = (address.ip(), address.port());
                format!("- {{name: t{number}, host: {host}, ports: [{{port: {port}, module: {module}}}]}}\n")
            })
            .collect();
        let every = variable("SOAK_INTERVAL", "10s".to_owned());
        let text = format!(
            "ehlo_name: probe.example.org\ninterval: {every}\nmax_connections_per_address: 20\n\
             modules:\n{modules}targets:\n{targets}"
        );
        let path = folder().join("mail.yml");
        fs::write(&path, text).unwrap();
        path
    }
}

/// The program, until it is dropped.
struct Exporter {
    child: Child,
    address: SocketAddr,
}

impl Exporter {
    async fn start(config: &Path) -> Self {
        let address = refused_port().await;
        let program = variable("SOAK_EXPORTER", env!("CARGO_BIN_EXE_mail_endpoint_exporter").to_owned());
        let mut serve = Command::new(program);
        serve.args(["--log.level=error", &format!("--web.listen-address={address}"), "--config.file"]).arg(config);
        let child = serve.stdin(Stdio::null()).spawn().unwrap();
        let exporter = Self { child, address };
        while tokio::net::TcpStream::connect(address).await.is_err() {
            sleep(Duration::from_millis(50)).await;
        }
        exporter
    }

    /// One row of the table.
    async fn sample(&self, minutes: f64) -> Sample {
        let proc = format!("/proc/{}", self.child.id());
        let status = fs::read_to_string(format!("{proc}/status")).unwrap();
        let figure = |name: &str| -> u64 {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.split_whitespace().next().unwrap().parse().unwrap()
        };
        let descriptors = fs::read_dir(format!("{proc}/fd")).unwrap().count() as u64;
        let metrics = Answer::of(&String::from_utf8(get(self.address, "/metrics", "").await).unwrap());
        let series = metrics.body.lines().filter(|line| !line.starts_with('#')).count() as u64;
        let probes = metrics.samples("mail_probe_attempts_total{").into_iter().map(number).sum::<f64>() as u64;
        Sample {
            minutes,
            memory: figure("VmRSS:") as f64 / 1024.0,
            descriptors,
            threads: figure("Threads:"),
            in_flight: metrics.value("mail_exporter_probes_in_flight", &[]) as u64,
            series,
            probes,
        }
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn number(line: &str) -> f64 {
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

/// An answer that must come, however busy the machine is.
async fn get(address: SocketAddr, path: &str, headers: &str) -> Vec<u8> {
    let answer = timeout(Duration::from_secs(60), request_bytes(address, "GET", path, headers)).await;
    answer.unwrap_or_else(|_| panic!("{path}: no answer within 60 s"))
}

struct Sample {
    minutes: f64,
    memory: f64,
    descriptors: u64,
    threads: u64,
    in_flight: u64,
    series: u64,
    probes: u64,
}

/// Asks for everything there is, again and again.
async fn readers(address: SocketAddr, place: SocketAddr) {
    let formats = [
        "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited",
        "application/openmetrics-text;version=1.0.0",
        "text/plain;version=0.0.4",
    ];
    let mut tick = interval(Duration::from_secs(2));
    for round in 0_usize.. {
        tick.tick().await;
        let gzip = if round % 4 == 3 { "" } else { "Accept-Encoding: gzip\r\n" };
        let headers = format!("Accept: {}\r\n{gzip}", formats[round % 3]);
        get(address, "/metrics", &headers).await;
        get(address, &format!("/probe?target={place}&module=plain"), "").await;
        match round % 10 {
            0 => drop(get(address, "/api/v1/endpoints", gzip).await),
            3 => drop(get(address, &format!("/?page={}", round % 7), gzip).await),
            6 => {
                let list = String::from_utf8(get(address, "/api/v1/endpoints", "").await).unwrap();
                let id = list.split("\"id\":\"").nth(1 + round % 500).and_then(|rest| rest.split('"').next());
                get(address, &format!("/api/v1/endpoints/{}", id.unwrap_or_default()), "").await;
            }
            _ => {}
        }
    }
}

/// The middle one of the figures.
fn median(samples: &[Sample], figure: impl Fn(&Sample) -> f64) -> f64 {
    let mut figures: Vec<f64> = samples.iter().map(figure).collect();
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes half an hour (tests/soak.sh)"]
async fn nothing_grows() {
    let (minutes, endpoints) = (variable("SOAK_MINUTES", 30.0), variable("SOAK_ENDPOINTS", 2000));
    let town = Town::build().await;
    let exporter = Exporter::start(&town.configuration(endpoints)).await;
    let reading = tokio::spawn(readers(exporter.address, town.places[0].0));
    println!("{} servers, {endpoints} endpoints", town.places.len());
    println!("minutes  RSS MiB  descriptors  threads  in flight   series    probes");
    let (began, mut samples) = (Instant::now(), Vec::new());
    let mut tick = interval(Duration::from_secs(10));
    while began.elapsed().as_secs_f64() < minutes * 60.0 {
        tick.tick().await;
        assert!(!reading.is_finished(), "an answer did not come: {:?}", reading.await);
        let sample = exporter.sample(began.elapsed().as_secs_f64() / 60.0).await;
        println!(
            "{:>7.1}  {:>7.1}  {:>11}  {:>7}  {:>9}  {:>7}  {:>8}",
            sample.minutes,
            sample.memory,
            sample.descriptors,
            sample.threads,
            sample.in_flight,
            sample.series,
            sample.probes
        );
        samples.push(sample);
    }
    reading.abort();
    let quarter = samples.len() / 4;
    assert!(quarter > 2, "too short to tell: SOAK_MINUTES={minutes}");
    let (second, last) = (&samples[quarter..2 * quarter], &samples[3 * quarter..]);
    assert!(median(last, |s| s.probes as f64) > median(second, |s| s.probes as f64), "no probes any more");
    let mut grown = Vec::new();
    let mut compare = |what: &str, figure: fn(&Sample) -> f64, share: f64, more: f64| {
        let (before, after) = (median(second, figure), median(last, figure));
        println!("{what:<12} {before:>9.1} → {after:>9.1}");
        if after > before * share + more {
            grown.push(format!("{what}: {before:.1} → {after:.1}"));
        }
    };
    compare("RSS MiB", |s| s.memory, 1.05, 8.0);
    // What probes under way hold comes and goes.
    compare("descriptors", |s| s.descriptors as f64 - s.in_flight as f64, 1.1, 20.0);
    compare("threads", |s| s.threads as f64, 1.0, 2.0);
    compare("series", |s| s.series as f64, 1.01, 0.0);
    assert!(grown.is_empty(), "grown: {grown:#?}");
}
