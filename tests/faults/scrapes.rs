//! J: what those who scrape can do, and what servers can do to a scrape.

use std::collections::BTreeSet;
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::exposition::{self, Sample};
use super::kit::identity;
use crate::lab::{Identity, Leaf, Options, Script, Server};
use crate::support::{Exporter, config, request_bytes};

const OPENMETRICS: &str = "Accept: application/openmetrics-text;version=1.0.0\r\n";

const MODULES: &str = "interval: 200ms\nehlo_name: probe.example.org\nmax_connections_per_address: 50\n\
                       modules: {m: {security: opportunistic, expect: {certificate: any}}}\n";

/// An exporter that probes a server under these names.
async fn exporter(server: &Server, names: &[&str], more: &str) -> Exporter {
    let port = server.address().port();
    let target =
        |name: &&str| format!("- {{name: {name}, host: 127.0.0.1, ports: [{{port: {port}, module: m}}]{more}}}\n");
    let targets: String = names.iter().map(target).collect();
    Exporter::start(&config(&format!("{MODULES}targets:\n{targets}"))).await
}

async fn scrape(exporter: &Exporter) -> Vec<Sample> {
    let answer = timeout(Duration::from_secs(20), exporter.request("GET", "/metrics", OPENMETRICS)).await.unwrap();
    assert_eq!(answer.status, 200);
    exposition::read(&answer.body).unwrap_or_else(|error| panic!("{error}\n{}", answer.body))
}

fn attempts(samples: &[Sample]) -> f64 {
    samples.iter().filter(|sample| sample.name == "mail_probe_attempts_total").map(|sample| sample.value).sum()
}

/// Waits until so many probes have ended since `before`.
async fn probed(exporter: &Exporter, before: f64, more: f64) -> Vec<Sample> {
    for _ in 0..300 {
        let samples = scrape(exporter).await;
        if attempts(&samples) >= before + more {
            return samples;
        }
        sleep(Duration::from_millis(50)).await;
    }
    panic!("no {more} probes in 15 s");
}

fn healthy() -> Script {
    Script::of(super::tcp::GOOD_TLS)
}

fn with_tls() -> Options {
    Options { forget: true, ..Options::from(identity()) }
}

/// Bytes that differ from call to call and not from run to run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    /// Text as `*raw` takes it: of arbitrary bytes without a newline, with no blank in it for a `word`.
    fn text(&mut self, length: u64, word: bool) -> String {
        let bytes = std::iter::repeat_with(|| self.roll(256) as u8);
        let fits = |b: &u8| *b != b'\n' && *b != b'\r' && !(word && b.is_ascii_whitespace());
        bytes.filter(fits).take(length as usize).map(|b| format!("\\x{b:02x}")).collect()
    }
}

/// A server that goes well and says nothing that any other does.
fn any_server(dice: &mut Dice) -> Script {
    let (banner, name, bye) = (dice.text(40, false), dice.text(20, false), dice.text(30, false));
    let keywords: String =
        (0..3).map(|_| format!("250-X{} {}\\r\\n", dice.text(12, true), dice.text(9, false))).collect();
    let auth: String = (0..4).map(|_| format!(" Q{}", dice.text(8, true))).collect();
    let list = format!("*raw 250-{name}\\r\\n{keywords}250-AUTH{auth}\\r\\n");
    Script::of(&format!(
        "*raw 220 {banner}\\r\\n\nC: EHLO x\n{list}250-SIZE {size}\\r\\n250 STARTTLS\\r\\n\nC: STARTTLS\nS: 220 go\n=== TLS\n\
         C: EHLO x\n{list}250 SIZE {size}\\r\\n\nC: QUIT\n*raw 221 {bye}\\r\\n\n*close",
        size = 1 + dice.roll(1_000_000),
    ))
}

fn any_certificate(dice: &mut Dice) -> Options {
    let number = dice.roll(1_000_000);
    let leaf = Leaf {
        common_name: format!("n{number}\"}}\n\\ \u{202e}"),
        ..Leaf::new(&format!("h{number}.example"), std::time::SystemTime::now())
    };
    Options::from(Identity::self_signed(&leaf).server_config())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_another_one_at_every_probe_adds_no_series() {
    let mut dice = Dice(7);
    let server = Server::start(any_server(&mut dice), Options { forget: true, ..any_certificate(&mut dice) }).await;
    let exporter = exporter(&server, &["changing"], "").await;
    exporter.first_round().await;
    let mut counts = BTreeSet::new();
    let mut subjects = BTreeSet::new();
    for _ in 0..12 {
        let seen = attempts(&scrape(&exporter).await);
        server.change(any_server(&mut dice), any_certificate(&mut dice).tls);
        // The second one began after the change.
        let samples = probed(&exporter, seen, 2.0).await;
        let info = samples.iter().find(|sample| sample.name == "mail_tls_certificate_info").expect("a certificate");
        subjects.insert(info.labels["subject"].clone());
        counts.insert(samples.iter().filter(|sample| !sample.name.starts_with("process_")).count());
    }
    assert!(subjects.len() >= 10, "the server did change: {subjects:?}");
    assert_eq!(counts.len(), 1, "the number of series depends on the configuration alone: {counts:?}");
    exporter.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn labels_with_everything_in_them_come_through_a_scrape_unharmed() {
    let value = "q\"uote} back\\slash\nline \u{202e}{a=\"b\"} 1 # é日本 \t";
    // A string of JSON is one of YAML as well.
    let yaml = serde_json::to_string(value).unwrap();
    let long = "x".repeat(1_000_000);
    let server = Server::start(healthy(), with_tls()).await;
    let labels = format!(", labels: {{odd: {yaml}, long: {long}}}");
    let exporter = exporter(&server, &[yaml.as_str()], &labels).await;
    exporter.first_round().await;
    let samples = scrape(&exporter).await;
    let success = samples.iter().find(|sample| sample.name == "mail_probe_success").unwrap();
    assert_eq!((success.labels["target"].as_str(), success.labels["odd"].as_str()), (value, value));
    assert_eq!(success.labels["long"].len(), long.len());
    exporter.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_scrapes_at_once_are_answered_and_probing_goes_on() {
    let server = Server::start(healthy(), with_tls()).await;
    let exporter = exporter(&server, &["a", "b"], "").await;
    exporter.first_round().await;
    let (address, mut scrapes) = (exporter.address, JoinSet::new());
    let mut answered = 0;
    for number in 0..2000 {
        scrapes.spawn(async move { request_bytes(address, "GET", "/metrics", "").await });
        // As many as a machine with 1,024 descriptors can play both ends of.
        if number % 300 == 299 || number == 1999 {
            while let Some(answer) = timeout(Duration::from_secs(60), scrapes.join_next()).await.expect("an answer") {
                let answer = String::from_utf8(answer.unwrap()).unwrap();
                let whole =
                    answer.starts_with("HTTP/1.") && answer.ends_with('\n') && answer.contains("mail_probe_success");
                assert!(whole, "{answer:.300}");
                answered += 1;
            }
        }
    }
    assert_eq!(answered, 2000);
    assert!(attempts(&probed(&exporter, attempts(&scrape(&exporter).await), 1.0).await) > 0.0, "probing goes on");
    exporter.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_leave_in_the_middle_of_an_answer() {
    let server = Server::start(healthy(), with_tls()).await;
    let exporter = exporter(&server, &["a"], "").await;
    exporter.first_round().await;
    for number in 0..100 {
        let mut tcp = TcpStream::connect(exporter.address).await.unwrap();
        tcp.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        if number % 2 == 0 {
            tcp.read_exact(&mut [0; 10]).await.unwrap();
        }
        // RST, with bytes on their way.
        SockRef::from(&tcp).set_linger(Some(Duration::ZERO)).unwrap();
    }
    let seen = attempts(&scrape(&exporter).await);
    probed(&exporter, seen, 2.0).await;
    exporter.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_requests_at_once_and_an_expectation() {
    let server = Server::start(healthy(), with_tls()).await;
    let exporter = exporter(&server, &["a"], "").await;
    let mut tcp = TcpStream::connect(exporter.address).await.unwrap();
    let requests = "GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n".repeat(3)
        + "POST /metrics HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\n"
        + "abcdeGET /-/healthy HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    tcp.write_all(requests.as_bytes()).await.unwrap();
    let mut text = String::new();
    timeout(Duration::from_secs(20), tcp.read_to_string(&mut text)).await.expect("an end").unwrap();
    let statuses: Vec<&str> =
        text.split("HTTP/1.1 ").skip(1).map(|answer| &answer[..3]).filter(|status| *status != "100").collect();
    assert_eq!(statuses[..4], ["200", "200", "200", "405"], "{text}");
    exporter.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scrape_waits_for_no_probe() {
    let server = Server::start(Script::of("*idle"), with_tls()).await;
    let exporter = exporter(&server, &["a", "b", "c", "d", "e"], "").await;
    for _ in 0..300 {
        if exporter.store.snapshot().exporter.in_flight == 5 {
            break;
        }
        sleep(Duration::from_millis(20)).await;
    }
    let samples = scrape(&exporter).await;
    let value = |name: &str| samples.iter().find(|sample| sample.name == name).map(|sample| sample.value);
    assert_eq!(value("mail_exporter_probes_in_flight"), Some(5.0));
    assert_eq!(value("mail_probe_success"), None, "what was not probed yet is neither up nor down");
    assert_eq!(value("mail_probe_interval_seconds"), Some(0.2));
    exporter.stop().await;
}
