//! The program itself, as its users start it, and what its metrics say in sums.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use tokio::time::{sleep, timeout};

use super::{Answer, folder, free_address, request_bytes};

const PROGRAM: &str = env!("CARGO_BIN_EXE_mail_endpoint_exporter");

/// Longer than a busy machine takes for anything here.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The program itself, until it is dropped.
pub struct Program {
    pub child: Child,
    pub config: PathBuf,
    pub address: SocketAddr,
}

impl Program {
    /// Starts it by what stands before a command, such as `prlimit --nofile=64`.
    pub async fn start(before: &str, config: &str) -> Self {
        Self::start_with(before, config, &["--log.level=error"], Stdio::inherit()).await
    }

    /// The same with more of its arguments, and a place for its log.
    pub async fn start_with(before: &str, config: &str, arguments: &[&str], log: Stdio) -> Self {
        let program = Self::launch(before, config, arguments, log);
        program.serves().await;
        program
    }

    /// Waits until it answers.
    pub async fn serves(&self) {
        let began = Instant::now();
        while tokio::net::TcpStream::connect(self.address).await.is_err() {
            assert!(began.elapsed() < PATIENCE, "it does not serve");
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Without waiting for it to serve.
    pub fn launch(before: &str, config: &str, arguments: &[&str], log: Stdio) -> Self {
        let path = folder().join("mail.yml");
        fs::write(&path, config).unwrap();
        Self::launch_at(before, path, arguments, log)
    }

    /// With a configuration that is in a file already.
    pub fn launch_at(before: &str, config: PathBuf, arguments: &[&str], log: Stdio) -> Self {
        let address = free_address();
        let words: Vec<&str> = before.split(' ').filter(|word| !word.is_empty()).chain([PROGRAM]).collect();
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).args(arguments).arg(format!("--web.listen-address={address}"));
        command.arg("--config.file").arg(&config).stdin(Stdio::null()).stderr(log);
        Self { child: command.spawn().unwrap(), config, address }
    }

    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }

    /// Any answer, which must come.
    pub async fn get(&self, path: &str) -> Answer {
        let answer = timeout(PATIENCE, request_bytes(self.address, "GET", path, "")).await;
        let answer = answer.unwrap_or_else(|_| panic!("{path}: no answer"));
        Answer::of(&String::from_utf8(answer).unwrap())
    }

    pub async fn metrics(&self) -> Answer {
        self.get("/metrics").await
    }

    /// Waits for metrics in which something holds.
    pub async fn until(&self, what: &str, holds: impl Fn(&Answer) -> bool) -> Answer {
        let began = Instant::now();
        loop {
            let metrics = self.metrics().await;
            if holds(&metrics) {
                return metrics;
            }
            assert!(began.elapsed() < PATIENCE, "not {what}:\n{}", told(&metrics));
            sleep(Duration::from_millis(200)).await;
        }
    }

    /// Waits until every endpoint is well, by a probe that began after this call.
    pub async fn recovers(&self) -> Answer {
        let before = self.metrics().await;
        let count = before.samples("mail_probe_interval_seconds{").len() as f64;
        let attempts = attempts(&before) + 2.0 * count;
        self.until("well again", |now| successes(now) == count && self::attempts(now) >= attempts).await
    }

    /// Waits until it has ended.
    pub fn ends(&mut self) -> ExitStatus {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(began.elapsed() < PATIENCE, "it does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Of all samples that begin so and have this in their labels.
pub fn sum(metrics: &Answer, start: &str, part: &str) -> f64 {
    let lines = metrics.samples(start).into_iter().filter(|line| line.contains(part));
    lines.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
}

pub fn attempts(metrics: &Answer) -> f64 {
    sum(metrics, "mail_probe_attempts_total{", "")
}

pub fn successes(metrics: &Answer) -> f64 {
    sum(metrics, "mail_probe_success{", "")
}

pub fn skipped(metrics: &Answer, reason: &str) -> f64 {
    sum(metrics, "mail_exporter_probes_skipped_total{", &format!("reason=\"{reason}\""))
}

/// How many probes failed for a reason; for any, if that is empty.
pub fn failures(metrics: &Answer, reason: &str) -> f64 {
    let part = if reason.is_empty() { String::new() } else { format!("reason=\"{reason}\"") };
    sum(metrics, "mail_probe_failures_total{", &part)
}

/// What a failed wait is explained by.
pub fn told(metrics: &Answer) -> String {
    let starts = ["mail_probe_failures_total", "mail_probe_success{", "mail_exporter_probes", "process_"];
    starts.iter().flat_map(|start| metrics.samples(start)).map(|line| format!("{line}\n")).take(60).collect()
}

/// Nothing that went wrong was the servers' fault.
pub fn blames_nobody(metrics: &Answer) {
    assert_eq!(failures(metrics, ""), failures(metrics, "local_resource"), "{}", told(metrics));
}
