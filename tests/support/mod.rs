//! What the tests share: configurations from text, one probe of an address, a running exporter, and a
//! plain HTTP client.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "each test uses a part, opens its own sockets and fails by panicking"
)]

pub mod alone;
pub mod program;
pub mod rig;
pub mod s_server;

use std::collections::HashMap;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

use mail_endpoint_exporter::app::App;
use mail_endpoint_exporter::config::Config;
use mail_endpoint_exporter::dns::Resolver;
use mail_endpoint_exporter::outcome::Outcome;
use mail_endpoint_exporter::prober::Prober;
use mail_endpoint_exporter::store::Store;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// A folder of its own for one test.
pub fn folder() -> PathBuf {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let name = format!("{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&path).unwrap();
    path
}

/// An address for a server that is started in a moment: nobody else's, though nobody holds it, since each is another of
/// the loopback's.
pub fn free_address() -> SocketAddr {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let own = Ipv4Addr::from_bits(Ipv4Addr::new(127, 83, 0, 1).to_bits() + COUNT.fetch_add(1, Ordering::Relaxed));
    std::net::TcpListener::bind((own, 0)).unwrap().local_addr().unwrap()
}

/// A file with this content, in a folder of its own.
pub fn file(name: &str, content: &str) -> PathBuf {
    let path = folder().join(name);
    fs::write(&path, content).unwrap();
    path
}

/// A configuration from its text.
pub fn config(yaml: &str) -> Config {
    let path = file("mail.yml", yaml);
    let config = Config::load(&path).unwrap_or_else(|problems| {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        panic!("{}\n{yaml}", lines.join("\n"))
    });
    fs::remove_dir_all(path.parent().unwrap()).unwrap();
    config
}

/// The configuration of one endpoint; `module` is a YAML mapping in braces.
pub fn one_endpoint(address: SocketAddr, module: &str) -> Config {
    host_and_module(&address.ip().to_string(), address.port(), module)
}

/// The same for a host name.
pub fn host_and_module(host: &str, port: u16, module: &str) -> Config {
    config(&format!(
        "ehlo_name: probe.example.org\nmodules:\n  m: {module}\n\
         targets: [{{name: t, host: '{host}', ports: [{{port: {port}, module: m}}], interval: 200ms}}]\n"
    ))
}

/// A resolver that knows nothing: for targets that are addresses.
pub fn no_names() -> Resolver {
    Resolver::Table(HashMap::new())
}

/// Probes one address once.
pub async fn probe(address: SocketAddr, module: &str) -> Outcome {
    run(&one_endpoint(address, module), no_names()).await
}

/// Probes the only endpoint of a configuration once.
pub async fn run(config: &Config, resolver: Resolver) -> Outcome {
    let prober = Prober::new(resolver, config.max_connections_per_address);
    let endpoint = config.endpoints[0].clone();
    prober.probe(endpoint, &CancellationToken::new()).await.expect("nobody stopped it")
}

/// `ok`, or `reason in phase`.
pub fn verdict(outcome: &Outcome) -> String {
    match &outcome.failure {
        None => "ok".into(),
        Some(failure) => format!("{} in {}", failure.reason, failure.phase),
    }
}

/// Holds a section of a file of tables to what a test makes of its rows; `UPDATE=1` writes it.
pub fn table_is_current(file: &str, title: &str, table: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(file);
    let text = fs::read_to_string(&path).unwrap();
    let heading = format!("## {title}\n\n");
    let start = text.find(&heading).unwrap_or_else(|| panic!("{file} has no section {title}")) + heading.len();
    let end = text[start..].find("\n## ").map_or(text.len(), |end| start + end);
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, format!("{}{table}{}", &text[..start], &text[end..])).unwrap();
    } else {
        assert!(text[start..end] == *table, "{file} is not current: run the test with UPDATE=1");
    }
}

/// A whole exporter on a free port.
pub struct Exporter {
    pub address: SocketAddr,
    pub store: Arc<Store>,
    pub stop: CancellationToken,
    running: JoinHandle<()>,
}

impl Exporter {
    pub async fn start(config: &Config) -> Self {
        Self::start_with(App::with_resolver(config, None, no_names())).await
    }

    pub async fn start_with(app: App) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (store, stop) = (app.store(), CancellationToken::new());
        let running = tokio::spawn(app.run(vec![listener], stop.clone()));
        Self { address, store, stop, running }
    }

    /// Waits until every endpoint has been probed.
    pub async fn first_round(&self) {
        for _ in 0..600 {
            if self.store.snapshot().first_round_is_done() {
                return;
            }
            sleep(Duration::from_millis(50)).await;
        }
        panic!("the first round is not done within 30 s");
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.request("GET", path, "").await
    }

    /// `headers` are whole lines, each with its CRLF.
    pub async fn request(&self, method: &str, path: &str, headers: &str) -> Answer {
        Answer::of(&request(self.address, method, path, headers).await)
    }

    /// Stops it; the test goes on when everything has ended.
    pub async fn stop(self) {
        self.stop.cancel();
        self.running.await.unwrap();
    }
}

/// Asks an HTTP server; its whole answer as it came.
pub async fn request(server: SocketAddr, method: &str, path: &str, headers: &str) -> String {
    String::from_utf8(request_bytes(server, method, path, headers).await).expect("HTTP in UTF-8")
}

/// The same for answers that are no text.
pub async fn request_bytes(server: SocketAddr, method: &str, path: &str, headers: &str) -> Vec<u8> {
    request_over(TcpStream::connect(server).await.unwrap(), method, path, headers).await
}

/// The same over a connection that is there already, in clear or inside TLS.
pub async fn request_over(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    method: &str,
    path: &str,
    headers: &str,
) -> Vec<u8> {
    // HTTP/1.0, so that no answer comes in chunks.
    let request = format!("{method} {path} HTTP/1.0\r\nHost: test\r\nConnection: close\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    answer
}

/// An HTTP answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    pub fn of(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").expect("a head and a body");
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Self { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
    }

    /// The samples whose text begins so, in order.
    pub fn samples(&self, start: &str) -> Vec<&str> {
        self.body.lines().filter(|line| line.starts_with(start)).collect()
    }

    /// The value of the only sample that begins so and has all of these labels.
    pub fn value(&self, name: &str, labels: &[&str]) -> f64 {
        let found: Vec<&str> = self
            .samples(name)
            .into_iter()
            .filter(|line| line[name.len()..].starts_with('{') || line[name.len()..].starts_with(' '))
            .filter(|line| labels.iter().all(|label| line.contains(label)))
            .collect();
        assert_eq!(found.len(), 1, "{name} {labels:?}: {found:#?}");
        found[0].rsplit(' ').next().unwrap().parse().unwrap()
    }
}
