//! A real Prometheus before the door: TLS, client certificates and passwords, in the words of Go.
//!
//! `tests/real.sh` installs Prometheus and runs this.

#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "a test fails by panicking")]

mod lab;
mod support;

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use lab::{Authority, Leaf, refused_port};
use mail_endpoint_exporter::app::App;
use mail_endpoint_exporter::door::Door;
use serde_json::Value;
use support::{Answer, Exporter, config, folder, no_names, request};
use tokio::net::TcpStream;
use tokio::time::sleep;

/// A Prometheus that ends with the test.
struct Prometheus {
    process: Child,
    address: SocketAddr,
}

impl Prometheus {
    async fn start(folder: &Path, scrapes: &str) -> Self {
        let address = refused_port().await;
        let path = folder.join("prometheus.yml");
        fs::write(&path, format!("global: {{scrape_interval: 1s, scrape_timeout: 1s}}\nscrape_configs:\n{scrapes}"))
            .unwrap();
        let process = Command::new("prometheus")
            .arg(format!("--config.file={}", path.display()))
            .arg(format!("--storage.tsdb.path={}", folder.join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .stdin(Stdio::null())
            .stderr(fs::File::create(folder.join("prometheus.log")).unwrap())
            .spawn()
            .unwrap();
        let began = Instant::now();
        while TcpStream::connect(address).await.is_err() {
            assert!(began.elapsed() < Duration::from_secs(30), "Prometheus does not start");
            sleep(Duration::from_millis(100)).await;
        }
        Self { process, address }
    }

    /// Of each job that has been scraped: `up`, or what went wrong.
    async fn jobs(&self) -> BTreeMap<String, String> {
        let answer = Answer::of(&request(self.address, "GET", "/api/v1/targets", "").await);
        // Prometheus answers 503 until it has started.
        let Ok(answer) = serde_json::from_str::<Value>(&answer.body) else { return BTreeMap::new() };
        let targets = answer["data"]["activeTargets"].as_array().cloned().unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let scraped = targets.iter().filter(|target| target["health"] != "unknown");
        scraped
            .map(|target| {
                let up = target["health"] == "up";
                (text(&target["labels"]["job"]), if up { "up".to_owned() } else { text(&target["lastError"]) })
            })
            .collect()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

#[tokio::test]
#[ignore = "needs Prometheus (tests/real.sh)"]
async fn prometheus_comes_in_with_the_right_certificate_and_password_only() {
    let folder = folder();
    let (ca, clients) = (Authority::new("CA"), Authority::new("Clients"));
    let write = |name: &str, text: &str| fs::write(folder.join(name), text).unwrap();
    let server = ca.issue(&Leaf::new("exporter.test", SystemTime::now()));
    let client = Leaf { client_auth_only: true, ..Leaf::new("prometheus.test", SystemTime::now()) };
    let (right, wrong) = (clients.issue(&client), ca.issue(&client));
    write("ca.crt", &ca.pem());
    write("clients.crt", &clients.pem());
    for (name, identity) in [("server", &server), ("right", &right), ("wrong", &wrong)] {
        write(&format!("{name}.crt"), &identity.certificate_pem);
        write(&format!("{name}.key"), &identity.key_pem);
    }
    write("password", "päßwörd 🔑");
    // As Go makes it (tests/data/bcrypt.txt).
    let hash = "$2a$04$t1mZkzZteV31Z8SkUctAVuuGy64X.u84B2oxAafRklpBf2JGkNwX2";
    write(
        "web.yml",
        &format!(
            "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n  client_ca_file: clients.crt\n  \
             client_auth_type: RequireAndVerifyClientCert\n  client_allowed_sans: [prometheus.test]\n\
             basic_auth_users: {{prometheus: {hash}}}\nrate_limit: {{interval: 1ms, burst: 100}}\n"
        ),
    );
    let app = App::with_resolver(&config("targets: []"), None, no_names());
    let exporter = Exporter::start_with(app.with_door(Door::load(&folder.join("web.yml")).unwrap())).await;

    let job = |name: &str, scheme: &str, client: &str, server_name: &str, login: &str| {
        format!(
            "- job_name: {name}\n  scheme: {scheme}\n  static_configs: [{{targets: ['{}']}}]\n  \
             tls_config: {{ca_file: ca.crt, server_name: {server_name}{client}}}\n{login}",
            exporter.address
        )
    };
    let certificate = |name: &str| format!(", cert_file: {name}.crt, key_file: {name}.key");
    let login = "  basic_auth: {username: prometheus, password_file: password}\n";
    let scrapes = [
        job("right", "https", &certificate("right"), "exporter.test", login),
        job("wrong_password", "https", &certificate("right"), "exporter.test", &login.replace("_file", "")),
        job("no_password", "https", &certificate("right"), "exporter.test", ""),
        job("wrong_certificate", "https", &certificate("wrong"), "exporter.test", login),
        job("no_certificate", "https", "", "exporter.test", login),
        job("wrong_name", "https", &certificate("right"), "other.test", login),
        job("no_tls", "http", "", "exporter.test", login),
    ];
    let prometheus = Prometheus::start(&folder, &scrapes.concat()).await;
    let began = Instant::now();
    let jobs = loop {
        let jobs = prometheus.jobs().await;
        if jobs.len() == scrapes.len() {
            break jobs;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "{jobs:#?}");
        sleep(Duration::from_millis(300)).await;
    };
    for (job, said) in [
        ("right", "up"),
        ("wrong_password", "401 Unauthorized"),
        ("no_password", "401 Unauthorized"),
        ("wrong_certificate", "tls: "),
        ("no_certificate", "tls: "),
        ("wrong_name", "x509: certificate is valid for exporter.test"),
        ("no_tls", "400 Bad Request"),
    ] {
        assert!(jobs[job].contains(said), "{job}: {jobs:#?}");
    }
    let query = "/api/v1/query?query=up%3D%3D1";
    let up = loop {
        let answer = Answer::of(&request(prometheus.address, "GET", query, "").await);
        let answer: Value = serde_json::from_str(&answer.body).unwrap();
        let up = answer["data"]["result"].as_array().unwrap().clone();
        if !up.is_empty() {
            break up;
        }
        assert!(began.elapsed() < Duration::from_secs(60));
        sleep(Duration::from_millis(300)).await;
    };
    assert_eq!((up.len(), &up[0]["metric"]["job"]), (1, &Value::from("right")));
    drop(prometheus);
    exporter.stop().await;
}
