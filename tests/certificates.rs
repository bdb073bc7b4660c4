//! One host, different truths: its ports compared with each other, with the file on disk, and with what they showed
//! before.

#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "a test fails by panicking")]

mod lab;
mod support;

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, SystemTime};

use lab::{Authority, DAY, Identity, Leaf, Script, Server};
use mail_endpoint_exporter::app::App;
use mail_endpoint_exporter::config::Config;
use support::{Answer, Exporter, folder, no_names};
use tokio::time::sleep;

const TLS: &str = "=== TLS\nS: 220 mx\nC: EHLO x\nS: 250 mx\nC: QUIT\nS: 221 bye\n*close";

/// A host with two ports, an exporter, and the CA of both.
struct Host {
    ca: Authority,
    folder: PathBuf,
    ports: [Server; 2],
    exporter: Exporter,
}

/// A certificate issued so many days ago.
fn issue(ca: &Authority, days: u32) -> Identity {
    let leaf = Leaf::new("mail.example.org", SystemTime::now());
    ca.issue(&Leaf { not_before: SystemTime::now() - days * DAY, ..leaf })
}

impl Host {
    /// Both show this certificate; `more` are further keys of the target.
    async fn start(ca: Authority, first: &Identity, more: &str) -> Self {
        let server = || Server::start(Script::of(TLS), first.server_config().into());
        let ports = [server().await, server().await];
        let folder = folder();
        fs::write(folder.join("ca.pem"), ca.pem()).unwrap();
        fs::write(folder.join("mail.pem"), format!("{}{}", first.key_pem, first.certificate_pem)).unwrap();
        // In a target file of its own: what is named there is watched too.
        let list = ports.iter().map(|server| format!("{{port: {}, module: m}}", server.address().port()));
        let list = list.collect::<Vec<_>>().join(", ");
        fs::write(folder.join("targets.yml"), format!("- {{name: mx, host: 127.0.0.1, ports: [{list}]{more}}}\n"))
            .unwrap();
        let path = folder.join("mail.yml");
        let text = "interval: 200ms\nmodules: {m: {security: tls, ca_file: ca.pem, server_name: mail.example.org}}\n\
                    target_files: [targets.yml]\n";
        fs::write(&path, text).unwrap();
        let config = Config::load(&path).unwrap_or_else(|problems| panic!("{problems:?}"));
        let exporter = Exporter::start_with(App::with_resolver(&config, Some(&path), no_names())).await;
        exporter.first_round().await;
        Self { ca, folder, ports, exporter }
    }

    fn label(&self, number: usize) -> String {
        format!("port=\"{}\"", self.ports[number].address().port())
    }

    fn show(&self, number: usize, identity: &Identity) {
        self.ports[number].change(Script::of(TLS), Some(identity.server_config()));
    }

    async fn metrics(&self) -> Answer {
        self.exporter.get("/metrics").await
    }

    /// Waits until a family has these values at the two ports.
    async fn until(&self, family: &str, expected: [f64; 2]) -> Answer {
        for _ in 0..400 {
            let metrics = self.metrics().await;
            let values = [0, 1].map(|number| metrics.value(family, &[&self.label(number)]));
            if values == expected {
                return metrics;
            }
            sleep(Duration::from_millis(50)).await;
        }
        panic!("{family} is not {expected:?} within 20 s\n{}", self.metrics().await.body);
    }
}

const SIBLINGS: &str = "mail_tls_certificate_matches_siblings";
const FILE: &str = "mail_tls_certificate_matches_file";
const CHANGED: &str = "mail_tls_certificate_changed_timestamp_seconds";

#[tokio::test]
async fn the_port_that_was_not_reloaded_is_the_odd_one() {
    let ca = Authority::new("CA");
    let old = issue(&ca, 60);
    let host = Host::start(ca, &old, "").await;
    let before = host.until(SIBLINGS, [1.0, 1.0]).await;
    assert_eq!(before.samples(FILE), Vec::<&str>::new(), "no file is named");
    let since = [0, 1].map(|number| before.value(CHANGED, &[&host.label(number)]));
    assert!(since[0] > 1.7e9 && since[1] > 1.7e9);

    let new = issue(&host.ca, 1);
    host.show(1, &new);
    let after = host.until(SIBLINGS, [0.0, 1.0]).await;
    assert_eq!(after.value(CHANGED, &[&host.label(0)]), since[0], "it has not changed");
    assert!(after.value(CHANGED, &[&host.label(1)]) > since[1]);
    let all: serde_json::Value = serde_json::from_str(&host.exporter.get("/api/v1/endpoints").await.body).unwrap();
    let matches = |number: usize| {
        let port = host.ports[number].address().port();
        let one = all.as_array().unwrap().iter().find(|one| one["port"] == port).unwrap();
        assert!(one["certificate_changed"].is_string());
        one["certificate"]["matches_siblings"].clone()
    };
    assert_eq!([matches(0), matches(1)], [false, true]);

    host.show(0, &new);
    host.until(SIBLINGS, [1.0, 1.0]).await;
    host.exporter.stop().await;
}

#[tokio::test]
async fn a_renewed_file_that_nobody_serves_is_seen_when_it_changes() {
    let ca = Authority::new("CA");
    let old = issue(&ca, 60);
    let host = Host::start(ca, &old, ", certificate_file: mail.pem").await;
    let before = host.until(FILE, [1.0, 1.0]).await;
    let end =
        |metrics: &Answer| metrics.value("mail_tls_certificate_file_not_after_timestamp_seconds", &[&host.label(0)]);
    let new = issue(&host.ca, 1);
    let renewed = host.folder.join("renewed");
    fs::write(&renewed, format!("{}{}", new.certificate_pem, new.key_pem)).unwrap();
    fs::rename(&renewed, host.folder.join("mail.pem")).unwrap();
    let stale = host.until(FILE, [0.0, 0.0]).await;
    assert!(end(&stale) >= end(&before));
    let id =
        |body: &str| serde_json::from_str::<serde_json::Value>(body).unwrap()[0]["id"].as_str().unwrap().to_owned();
    let id = id(&host.exporter.get("/api/v1/endpoints").await.body);
    let page = host.exporter.get(&format!("/endpoint/{id}")).await.body;
    assert!(page.contains("the file has a newer one: reload the server"), "{page}");
    host.show(0, &new);
    host.until(FILE, [1.0, 0.0]).await;

    // What cannot be read is told, changes nothing, and shows nothing of the file.
    fs::write(host.folder.join("mail.pem"), &new.key_pem).unwrap();
    let failed = |metrics: &Answer| metrics.value("mail_exporter_config_last_reload_successful", &[]) == 0.0;
    for _ in 0..400 {
        if failed(&host.metrics().await) {
            break;
        }
        sleep(Duration::from_millis(50)).await;
    }
    assert!(failed(&host.metrics().await));
    let answer = host.exporter.request("POST", "/-/reload", "").await;
    assert!(answer.body.contains("targets.yml:1:"), "{}", answer.body);
    assert!(answer.body.contains("mail.pem cannot be used: it has no readable certificate"), "{}", answer.body);
    let secret = new.key_pem.lines().nth(1).unwrap();
    assert!(!answer.body.contains(secret) && !host.metrics().await.body.contains(secret));
    host.until(FILE, [1.0, 0.0]).await;
    host.exporter.stop().await;
}

#[tokio::test]
async fn the_report_of_a_probe_says_what_differs() {
    let ca = Authority::new("CA");
    let (old, new) = (issue(&ca, 60), issue(&ca, 1));
    let (first, second) = (
        Server::start(Script::of(TLS), old.server_config().into()).await,
        Server::start(Script::of(TLS), new.server_config().into()).await,
    );
    let folder = folder();
    fs::write(folder.join("ca.pem"), ca.pem()).unwrap();
    fs::write(folder.join("mail.pem"), &new.certificate_pem).unwrap();
    let path = folder.join("mail.yml");
    let module = "{security: tls, ca_file: ca.pem, server_name: mail.example.org, certificate_file: mail.pem}";
    fs::write(&path, format!("modules: {{m: {module}}}\n")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_mail_endpoint_exporter"));
    command.args(["probe", &first.address().to_string(), &second.address().to_string(), "--module", "m"]);
    command.arg("--config.file").arg(&path);
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let report = String::from_utf8(output.stdout).unwrap();
    let siblings = "another port of the host shows a newer or better one: was this service reloaded?";
    assert_eq!(report.matches(siblings).count(), 1, "{report}");
    let flat = report.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(flat.contains("mail.pem: the file has a newer one: reload the server"), "{report}");
    assert!(flat.contains("mail.pem: it is the one in the file"), "{report}");
    let (one, _) = report.split_once(siblings).unwrap();
    assert!(one.contains(&format!("{}  ok", first.address())), "the first is the odd one\n{report}");
    assert!(!one.contains(&format!("{}  ok", second.address())), "{report}");
}
