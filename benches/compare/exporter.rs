//! Our own program, as a process, and what it shows.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::bare::address;
use crate::process::{Process, folder, free_port};
use crate::stub::{NAME, Stub};

/// The program measured.
pub(crate) fn program() -> PathBuf {
    std::env::var_os("EXPORTER").map_or_else(|| env!("CARGO_BIN_EXE_mail_endpoint_exporter").into(), PathBuf::from)
}

/// How an exporter is to run.
pub(crate) struct Setup<'a> {
    pub(crate) endpoints: usize,
    pub(crate) interval: Duration,
    pub(crate) histograms: &'a str,
    /// On one core only.
    pub(crate) one_core: bool,
}

impl Setup<'_> {
    pub(crate) fn new(endpoints: usize, interval: Duration) -> Self {
        Setup { endpoints, interval, histograms: "both", one_core: false }
    }

    /// The configuration: every target an address of its own, all of them the stub.
    fn config(&self, port: u16, ca: &str) -> PathBuf {
        let mut text = format!(
            "interval: {}ms\nehlo_name: probe.bench.test\nmax_concurrent_probes: 4096\nhistograms: {}\n\
             modules:\n  bench: {{security: starttls, server_name: {NAME}, ca_file: '{ca}', \
             expect: {{starttls: offered, auth: offered, certificate: valid}}}}\ntargets:\n",
            self.interval.as_millis(),
            self.histograms,
        );
        for number in 0..self.endpoints {
            writeln!(text, "- {{host: {}, ports: [{{port: {port}, module: bench}}]}}", address(number)).unwrap();
        }
        let path = folder().join("mail.yml");
        std::fs::write(&path, text).unwrap();
        path
    }
}

/// A running exporter.
pub(crate) struct Exporter {
    pub(crate) process: Process,
    port: u16,
}

impl Exporter {
    pub(crate) fn start(stub: &Stub, setup: &Setup<'_>) -> Exporter {
        Self::start_at(stub.port, stub.ca.to_str().unwrap(), setup)
    }

    /// Its endpoints are at this port, whoever listens there.
    pub(crate) fn start_at(target: u16, ca: &str, setup: &Setup<'_>) -> Exporter {
        let config = setup.config(target, ca);
        let port = free_port();
        let mut command = match setup.one_core {
            true => Command::new("taskset"),
            false => Command::new(program()),
        };
        if setup.one_core {
            command.args(["-c", "0"]).arg(program());
        }
        command.arg("--config.file").arg(config).args(["--log.level", "error"]);
        command.args(["--web.listen-address", &format!("127.0.0.1:{port}")]).stderr(Stdio::null());
        Exporter { process: Process::start(&mut command), port }
    }

    /// Waits until it answers.
    pub(crate) fn healthy(&self) {
        self.wait_for("/-/healthy", Duration::from_secs(60));
    }

    /// Waits until every endpoint has been probed.
    pub(crate) fn ready(&self) {
        self.wait_for("/-/ready", Duration::from_secs(900));
    }

    fn wait_for(&self, path: &str, patience: Duration) {
        let began = Instant::now();
        while !matches!(self.get(path, ""), Some(answer) if answer.starts_with(b"HTTP/1.0 200")) {
            assert!(began.elapsed() < patience, "{path} is not well within {patience:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The whole answer to a request; `None` while nobody listens.
    pub(crate) fn get(&self, path: &str, headers: &str) -> Option<Vec<u8>> {
        let mut tcp = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        write!(tcp, "GET {path} HTTP/1.0\r\n{headers}\r\n").ok()?;
        let mut answer = Vec::new();
        tcp.read_to_end(&mut answer).ok()?;
        Some(answer)
    }

    pub(crate) fn metrics(&self) -> Metrics {
        let answer = self.get("/metrics", "Accept: application/openmetrics-text\r\n").unwrap();
        let answer = String::from_utf8(answer).unwrap();
        Metrics(answer.split_once("\r\n\r\n").unwrap().1.to_owned())
    }
}

/// A page of metrics.
pub(crate) struct Metrics(pub(crate) String);

impl Metrics {
    /// The values of all samples whose text begins so and holds this.
    pub(crate) fn values(&self, start: &str, holds: &str) -> Vec<f64> {
        let lines = self.0.lines().filter(|line| line.starts_with(start) && line.contains(holds));
        lines.map(|line| line.rsplit(' ').next().unwrap().parse().unwrap()).collect()
    }

    pub(crate) fn sum(&self, start: &str, holds: &str) -> f64 {
        self.values(start, holds).iter().sum()
    }

    /// The quantile of a histogram without labels, interpolated as Prometheus does it.
    pub(crate) fn quantile(&self, name: &str, share: f64) -> f64 {
        let start = format!("{name}_bucket{{le=\"");
        let buckets = self.0.lines().filter_map(|line| line.strip_prefix(&start));
        let buckets: Vec<(f64, f64)> = buckets
            .map(|rest| rest.split_once("\"} ").unwrap())
            .map(|(bound, count)| (bound.replace("+Inf", "inf").parse().unwrap(), count.parse().unwrap()))
            .collect();
        let wanted = buckets.last().unwrap().1 * share;
        let at = buckets.iter().position(|(_, count)| *count >= wanted).unwrap();
        let (low, before) = if at == 0 { (0.0, 0.0) } else { buckets[at - 1] };
        let (high, count) = buckets[at];
        low + (high - low) * (wanted - before) / (count - before).max(1.0)
    }
}
