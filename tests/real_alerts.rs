//! Prometheus with the example rules, and Alertmanager with the example routes: what reaches people.
//! `tests/real/rules.sh` starts both, in a hurry (minutes are seconds), and this test plays the exporter that they
//! scrape and the receiver that is notified.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, opens its own sockets and says what it measured"
)]

use std::collections::BTreeMap;
use std::env;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

const HOSTS: usize = 500;

/// What the exporter says of the endpoints at the time.
#[derive(Clone, Copy)]
enum Scene {
    /// All is well.
    Calm,
    /// Our own network blocks port 25.
    Blocked,
    /// One certificate has expired.
    Expired,
}

/// The exporter's metrics in a scene: 500 hosts with two ports each.
fn exposition(scene: Scene) -> String {
    let mut text = String::from("mail_exporter_build_info{version=\"0.1.0\"} 1\n");
    for host in 0..HOSTS {
        for port in [25, 587] {
            let labels =
                format!("target=\"t{host}\",host=\"h{host}.example.org\",port=\"{port}\",team=\"t{}\"", host % 5);
            let blocked = matches!(scene, Scene::Blocked) && port == 25;
            let expired = matches!(scene, Scene::Expired) && port == 587 && host == 7;
            let failed = blocked || expired;
            writeln!(text, "mail_probe_success{{{labels}}} {}", u8::from(!failed)).unwrap();
            for (state, is) in
                [("open", !blocked), ("egress_blocked", blocked), ("filtered", false), ("unreachable", false)]
            {
                writeln!(text, "mail_port_state{{{labels},state=\"{state}\"}} {}", u8::from(is)).unwrap();
            }
            if port == 587 {
                writeln!(text, "mail_expectation_met{{{labels},expectation=\"certificate\"}} {}", u8::from(!expired))
                    .unwrap();
            }
            let (phase, reason) = if blocked { ("connect", "timeout") } else { ("tls", "certificate_expired") };
            if failed {
                let why = format!("phase=\"{phase}\",reason=\"{reason}\",code=\"\",enhanced_code=\"\"");
                writeln!(text, "mail_probe_failure_info{{{labels},{why}}} 1").unwrap();
            }
            if expired {
                writeln!(text, "mail_tls_certificate_invalid_info{{{labels},reason=\"{reason}\"}} 1").unwrap();
            }
        }
    }
    text
}

/// Exporter and receiver in one.
struct Stage {
    scene: Mutex<Scene>,
    /// Path and body of each notification.
    notifications: Mutex<Vec<(String, Value)>>,
}

impl Stage {
    async fn open(port: u16) -> Arc<Self> {
        let stage = Arc::new(Self { scene: Mutex::new(Scene::Calm), notifications: Mutex::default() });
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let served = stage.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let stage = served.clone();
                tokio::spawn(async move { stage.serve(stream).await });
            }
        });
        stage
    }

    /// One request a connection.
    async fn serve(&self, stream: TcpStream) -> Option<()> {
        let mut stream = BufReader::new(stream);
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await.ok()? == 0 {
                return None;
            }
            if line.trim().is_empty() {
                break;
            }
            lines.push(line.trim().to_ascii_lowercase());
        }
        let path = lines.first()?.split(' ').nth(1)?.to_owned();
        let length =
            lines.iter().find_map(|line| line.strip_prefix("content-length: ")).map_or(0, |n| n.parse().unwrap());
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.ok()?;
        let mut answer = String::new();
        if path == "/metrics" {
            answer = exposition(*self.scene.lock().unwrap());
        } else {
            self.notifications.lock().unwrap().push((path, serde_json::from_slice(&body).unwrap()));
        }
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nConnection: close\r\n";
        let whole = format!("{head}Content-Length: {}\r\n\r\n{answer}", answer.len());
        stream.get_mut().write_all(whole.as_bytes()).await.ok()
    }

    fn play(&self, scene: Scene) {
        *self.scene.lock().unwrap() = scene;
    }

    /// The notifications so far, each as a line: receiver, status, its group, how many alerts.
    fn notified(&self) -> Vec<String> {
        let notifications = self.notifications.lock().unwrap();
        notifications
            .iter()
            .map(|(path, body)| {
                let group = &body["groupLabels"];
                let subject =
                    group.get("port").or_else(|| group.get("target")).and_then(Value::as_str).unwrap_or_default();
                let alerts = body["alerts"].as_array().unwrap().len();
                format!(
                    "{path} {} {} {subject} {alerts}",
                    body["status"].as_str().unwrap(),
                    group["alertname"].as_str().unwrap()
                )
            })
            .collect()
    }

    async fn until(&self, what: &str, is: impl Fn(&[String]) -> bool) {
        let end = Instant::now() + Duration::from_secs(60);
        while !is(&self.notified()) {
            assert!(Instant::now() < end, "no {what}: {:?}", self.notified());
            sleep(Duration::from_millis(100)).await;
        }
    }
}

fn port(name: &str) -> u16 {
    env::var(name).unwrap_or_else(|_| panic!("{name}: started by tests/real/rules.sh")).parse().unwrap()
}

/// How many alerts Alertmanager has, by name and state.
async fn alerts(alertmanager: u16) -> BTreeMap<String, usize> {
    let mut stream = TcpStream::connect(("127.0.0.1", alertmanager)).await.unwrap();
    // HTTP 1.0: an answer in one piece.
    stream.write_all(b"GET /api/v2/alerts HTTP/1.0\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    let mut counts = BTreeMap::new();
    for alert in serde_json::from_str::<Vec<Value>>(body).unwrap() {
        let (name, state) =
            (alert["labels"]["alertname"].as_str().unwrap(), alert["status"]["state"].as_str().unwrap());
        *counts.entry(format!("{name} {state}")).or_default() += 1;
    }
    counts
}

async fn until_alerts(alertmanager: u16, wanted: &[(&str, usize)]) {
    let wanted: BTreeMap<String, usize> = wanted.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        let found = alerts(alertmanager).await;
        if found == wanted {
            return;
        }
        assert!(Instant::now() < end, "{found:?}, not {wanted:?}");
        sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test]
#[ignore = "needs Prometheus and Alertmanager: tests/real/rules.sh"]
async fn what_has_one_cause_is_one_notification() {
    let alertmanager = port("ALERTMANAGER");
    let stage = Stage::open(port("STAGE")).await;

    // A blocked port: one page, and 500 alerts that nobody is told of.
    stage.play(Scene::Blocked);
    let wanted = [("MailPortBlockedByOwnNetwork active", 1), ("MailEndpointDown suppressed", HOSTS)];
    until_alerts(alertmanager, &wanted).await;
    // Several group intervals.
    sleep(Duration::from_secs(6)).await;
    until_alerts(alertmanager, &wanted).await;
    assert_eq!(stage.notified(), ["/pager firing MailPortBlockedByOwnNetwork 25 1"]);
    let text = stage.notifications.lock().unwrap()[0].1["alerts"][0]["annotations"]["description"].to_string();
    assert!(text.contains("port 25 of none of 500 hosts"), "{text}");
    eprintln!("{} alerts, notifications: {:?}", HOSTS + 1, stage.notified());

    // It ends: one more word.
    stage.play(Scene::Calm);
    stage.until("end", |notified| notified.len() > 1).await;
    assert_eq!(stage.notified()[1..], ["/pager resolved MailPortBlockedByOwnNetwork 25 1"]);
    until_alerts(alertmanager, &[]).await;

    // An expired certificate: the alert that says so, not the one that says that something is wrong.
    stage.play(Scene::Expired);
    until_alerts(alertmanager, &[("MailCertificateExpired active", 1), ("MailEndpointDown suppressed", 1)]).await;
    sleep(Duration::from_secs(4)).await;
    assert_eq!(stage.notified()[2..], ["/pager firing MailCertificateExpired t7 1"]);
    let last = stage.notifications.lock().unwrap().last().unwrap().1.clone();
    assert_eq!(last["alerts"][0]["labels"]["team"], "t2", "{last}");
    eprintln!("notifications: {:?}", stage.notified());
}
