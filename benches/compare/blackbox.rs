//! blackbox_exporter, and what a Prometheus would ask of it: one request a probe, on a connection kept open.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::bare::address;
use crate::process::{Process, folder, free_port};
use crate::stub::{NAME, Stub};

/// A running blackbox_exporter that is asked for probes.
pub(crate) struct Blackbox {
    /// Ends before the process does.
    _asking: tokio::runtime::Runtime,
    pub(crate) process: Process,
    /// What it said of each probe: the duration, if it succeeded.
    totals: Arc<Mutex<Vec<Option<f64>>>>,
}

impl Blackbox {
    /// Starts it with so many targets at an interval; `None` where it is not installed.
    pub(crate) fn start(stub: &Stub, count: usize, interval: Duration) -> Option<Blackbox> {
        let program =
            std::env::var_os("BLACKBOX_EXPORTER").map_or("prometheus-blackbox-exporter".into(), PathBuf::from);
        Command::new(&program).arg("--version").output().ok()?;
        let port = free_port();
        let config = folder().join("blackbox.yml");
        std::fs::write(&config, configuration(stub)).unwrap();
        let mut command = Command::new(program);
        command.arg(format!("--config.file={}", config.display()));
        command.arg(format!("--web.listen-address=127.0.0.1:{port}")).arg("--log.level=error");
        let process = Process::start(command.stderr(Stdio::null()));
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            std::thread::sleep(Duration::from_millis(10));
        }
        let asking = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let totals = Arc::default();
        let start = Instant::now();
        for number in 0..count {
            let first = start + interval.mul_f64(number as f64 / count as f64);
            asking.spawn(ask(port, format!("{}:{}", address(number), stub.port), first, interval, Arc::clone(&totals)));
        }
        Some(Blackbox { _asking: asking, process, totals })
    }

    /// What came of the probes since the last call.
    pub(crate) fn totals(&self) -> Vec<Option<f64>> {
        std::mem::take(&mut self.totals.lock().unwrap())
    }
}

fn configuration(stub: &Stub) -> String {
    format!(
        "modules:\n  bench:\n    prober: tcp\n    timeout: 20s\n    tcp:\n      preferred_ip_protocol: ip4\n\
        \x20     tls_config: {{ca_file: '{}', server_name: {NAME}}}\n      query_response:\n\
        \x20     - expect: '^220 '\n      - send: \"EHLO probe.bench.test\\r\"\n      - expect: '^250-STARTTLS'\n\
        \x20     - expect: '^250 '\n      - send: \"STARTTLS\\r\"\n      - expect: '^220 '\n      - starttls: true\n\
        \x20     - send: \"EHLO probe.bench.test\\r\"\n      - expect: '^250-AUTH'\n      - expect: '^250 '\n\
        \x20     - send: \"QUIT\\r\"\n      - expect: '^221 '\n",
        stub.ca.display()
    )
}

async fn ask(port: u16, target: String, first: Instant, interval: Duration, totals: Arc<Mutex<Vec<Option<f64>>>>) {
    let mut ticks = interval_at(first, interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut tcp = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let request = format!("GET /probe?module=bench&target={target} HTTP/1.1\r\nHost: bench\r\n\r\n");
    loop {
        ticks.tick().await;
        tcp.write_all(request.as_bytes()).await.unwrap();
        let answer = answer(&mut tcp).await;
        let value = |name: &str| {
            let line = answer.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|value| value.trim().parse::<f64>().ok())
        };
        let total = value("probe_duration_seconds ").filter(|_| value("probe_success ") == Some(1.0));
        totals.lock().unwrap().push(total);
    }
}

/// One answer, whose length is given or whose chunks end with an empty one.
async fn answer(tcp: &mut TcpStream) -> String {
    let mut answer = String::new();
    let mut buffer = [0; 16384];
    loop {
        let read = tcp.read(&mut buffer).await.unwrap();
        assert!(read > 0, "blackbox_exporter hung up");
        answer.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
        let Some((head, body)) = answer.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
        let whole = match length {
            Some(length) => body.len() >= length.parse().unwrap(),
            None => body.ends_with("\r\n0\r\n\r\n"),
        };
        if whole {
            return answer;
        }
    }
}
