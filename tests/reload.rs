//! Loading again: what stays keeps everything, what goes is gone, and what is wrong changes nothing.

#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "a test fails by panicking")]

mod lab;
mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use lab::{Authority, Leaf, Options, Script, Server};
use mail_endpoint_exporter::app::App;
use mail_endpoint_exporter::config::Config;
use mail_endpoint_exporter::dns::{self, Resolver};
use support::{Answer, Exporter, folder, no_names};
use tokio::time::sleep;

const PLAIN: &str = "S: 220 mx ESMTP\nC: EHLO x\nS: 250 mx\nC: QUIT\nS: 221 bye\n*close";

struct Rig {
    folder: PathBuf,
    server: Server,
    exporter: Exporter,
}

impl Rig {
    /// An exporter on a file with targets of these names, all at one server.
    async fn start(names: &[&str]) -> Self {
        let server = Server::start(Script::of(PLAIN), Options::default()).await;
        let folder = folder();
        fs::create_dir(folder.join("more")).unwrap();
        fs::write(folder.join("mail.yml"), main_file(&server, names)).unwrap();
        let path = folder.join("mail.yml");
        let config = Config::load(&path).unwrap_or_else(|problems| panic!("{problems:?}"));
        let exporter = Exporter::start_with(App::with_resolver(&config, Some(&path), no_names())).await;
        exporter.first_round().await;
        Self { folder, server, exporter }
    }

    fn write(&self, name: &str, text: &str) {
        // As editors and config managers do: whole or not at all.
        let new = self.folder.join("new");
        fs::write(&new, text).unwrap();
        fs::rename(&new, self.folder.join(name)).unwrap();
    }

    async fn reload(&self) -> Answer {
        self.exporter.request("POST", "/-/reload", "").await
    }

    async fn metrics(&self) -> Answer {
        self.exporter.get("/metrics").await
    }

    /// Waits until the metrics are as wanted.
    async fn until(&self, what: &str, wanted: impl Fn(&Answer) -> bool) -> Answer {
        for _ in 0..200 {
            let metrics = self.metrics().await;
            if wanted(&metrics) {
                return metrics;
            }
            sleep(Duration::from_millis(50)).await;
        }
        panic!("{what} within 10 s\n{}", self.metrics().await.body);
    }
}

fn target(server: &Server, name: &str) -> String {
    format!("- {{name: {name}, host: 127.0.0.1, ports: [{{port: {}, module: clear}}]}}\n", server.address().port())
}

fn main_file(server: &Server, names: &[&str]) -> String {
    let targets: String = names.iter().map(|name| target(server, name)).collect();
    format!(
        "interval: 200ms\nmodules: {{clear: {{security: plain}}}}\ntarget_files: [more/*.yml, more/*.json]\ntargets:\n{targets}"
    )
}

fn attempts(metrics: &Answer, name: &str) -> f64 {
    metrics.value("mail_probe_attempts_total", &[&format!("target=\"{name}\"")])
}

#[tokio::test]
async fn what_stays_keeps_its_counts_and_what_goes_is_gone_at_once() {
    let rig = Rig::start(&["stays", "goes"]).await;
    let before = rig.until("some probes", |metrics| attempts(metrics, "stays") >= 3.0).await;
    rig.write("mail.yml", &main_file(&rig.server, &["stays", "comes"]));
    assert_eq!(rig.metrics().await.samples("mail_probe_attempts_total").len(), 2, "nothing changes by itself");
    assert_eq!(rig.exporter.get("/-/ready").await.status, 200);
    let answer = rig.reload().await;
    assert_eq!(rig.exporter.get("/-/ready").await.status, 200, "also while another has not been probed yet");
    assert_eq!((answer.status, answer.body.as_str()), (200, "loaded: 2 endpoints\n"));
    let after = rig.metrics().await;
    assert!(attempts(&after, "stays") >= attempts(&before, "stays"));
    assert!(after.samples("").iter().all(|line| !line.contains("target=\"goes\"")), "its series are gone");
    assert_eq!(after.value("mail_exporter_endpoints", &[]), 2.0);
    rig.until("the new one is probed", |metrics| attempts(metrics, "comes") >= 1.0).await;
    rig.exporter.stop().await;
}

#[tokio::test]
async fn another_interval_makes_no_second_probe_beside_the_one_that_runs() {
    let rig = Rig::start(&["t"]).await;
    rig.server.change(Script::of(&format!("*sleep 1.2\n{PLAIN}")), None);
    let slow = rig.server.sessions().len() + 1;
    rig.until("a slow probe", |_| rig.server.sessions().len() > slow).await;
    for interval in ["100ms", "150ms", "200ms"] {
        let file = main_file(&rig.server, &["t"]).replace("interval: 200ms", &format!("interval: {interval}"));
        rig.write("mail.yml", &file);
        assert_eq!(rig.reload().await.status, 200);
        sleep(Duration::from_millis(400)).await;
    }
    let before = attempts(&rig.metrics().await, "t");
    rig.until("probing goes on", |metrics| attempts(metrics, "t") > before).await;
    assert_eq!(rig.server.most_at_once(), 1);
    rig.exporter.stop().await;
}

#[tokio::test]
async fn another_interval_is_no_reason_to_press_a_server_that_turns_us_away() {
    let rig = Rig::start(&["t"]).await;
    rig.server.change(Script::of("S: 421 later\nC: QUIT\nS: 221 bye\n*close"), None);
    let current = |metrics: &Answer| metrics.value("mail_probe_current_interval_seconds", &[]);
    let rest = rig.until("rest", |metrics| current(metrics) >= 0.8).await;
    rig.write("mail.yml", &main_file(&rig.server, &["t"]).replace("interval: 200ms", "interval: 300ms"));
    assert_eq!(rig.reload().await.status, 200);
    let seen = attempts(&rest, "t") + 2.0;
    let after = rig.until("two more probes", |metrics| attempts(metrics, "t") >= seen).await;
    assert!(current(&after) >= 2.0, "it is left alone for longer each time: {} s", current(&after));
    rig.exporter.stop().await;
}

#[tokio::test]
async fn a_reload_is_not_lost_when_dns_answers_meanwhile() {
    // So many that DNS, which a table answers at once, is faster than the load.
    let hosts: String =
        (0..500).map(|number| format!("- {{name: t{number}, host: 192.0.2.1, ports: [25]}}\n")).collect();
    let path = folder().join("mail.yml");
    let found = "- {host: mx.example, ports: [25], addresses: all}";
    fs::write(&path, format!("interval: 1h\ntargets:\n{found}\n{hosts}")).unwrap();
    let config = Config::load(&path).unwrap_or_else(|problems| panic!("{problems:?}"));
    // Often: at times it looks at files first, and the request only comes after the answer.
    for _ in 0..10 {
        let ttl = Duration::from_secs(3600);
        let answer = dns::Answer { addresses: vec![[192, 0, 2, 2].into()], ttl, authentic: false };
        let names = Resolver::Table([("mx.example".to_owned(), Ok(answer))].into());
        let app = App::with_resolver(&config, Some(&path), names);
        let handle = app.reload_handle();
        let reload = tokio::spawn(async move { handle.reload().await });
        tokio::task::yield_now().await;
        let exporter = Exporter::start_with(app).await;
        assert_eq!(reload.await.unwrap(), Ok(501));
        exporter.stop().await;
    }
}

#[tokio::test]
async fn an_invalid_file_keeps_the_old_state_whole_and_is_reported() {
    let rig = Rig::start(&["a"]).await;
    let loaded = rig.metrics().await.value("mail_exporter_config_last_reload_success_timestamp_seconds", &[]);
    for broken in ["targets: [", "targets: [{host: x}]", "nonsense: 1", "interval: 5M"] {
        rig.write("mail.yml", broken);
        let answer = rig.reload().await;
        assert_eq!(answer.status, 500);
        assert!(answer.body.contains("mail.yml"), "{broken}: {}", answer.body);
        let metrics = rig.metrics().await;
        assert_eq!(metrics.value("mail_exporter_config_last_reload_successful", &[]), 0.0);
        assert_eq!(metrics.value("mail_exporter_config_last_reload_success_timestamp_seconds", &[]), loaded);
        assert_eq!(metrics.value("mail_exporter_endpoints", &[]), 1.0);
    }
    let before = attempts(&rig.metrics().await, "a");
    rig.until("probing goes on", |metrics| attempts(metrics, "a") > before).await;
    rig.write("mail.yml", &main_file(&rig.server, &["a"]));
    assert_eq!(rig.reload().await.status, 200);
    assert_eq!(rig.metrics().await.value("mail_exporter_config_last_reload_successful", &[]), 1.0);
    rig.exporter.stop().await;
}

#[tokio::test]
async fn target_files_are_read_when_they_change() {
    let rig = Rig::start(&["a"]).await;
    rig.write("more/own.yml", &target(&rig.server, "own"));
    rig.until("a new file", |metrics| metrics.body.contains("target=\"own\"")).await;
    let port = rig.server.address().port();
    rig.write(
        "more/sd.json",
        &format!(r#"[{{"targets": ["127.0.0.1:{port}"], "labels": {{"__param_module": "clear", "site": "sd"}}}}]"#),
    );
    rig.until("a file of service discovery", |metrics| metrics.body.contains("site=\"sd\"")).await;
    // A main file that is being edited takes no effect before somebody says so.
    rig.write("mail.yml", &main_file(&rig.server, &["a", "b"]));
    fs::remove_file(rig.folder.join("more/own.yml")).unwrap();
    let metrics = rig.until("a file less", |metrics| !metrics.body.contains("target=\"own\"")).await;
    assert!(!metrics.body.contains("target=\"b\""));
    rig.write("more/sd.json", "[{");
    rig.until("a broken file is reported", |metrics| {
        metrics.value("mail_exporter_config_last_reload_successful", &[]) == 0.0
    })
    .await;
    assert!(rig.metrics().await.body.contains("site=\"sd\""), "and changes nothing");
    rig.exporter.stop().await;
}

#[tokio::test]
async fn a_ca_that_changed_is_used_without_a_restart() {
    let now = SystemTime::now();
    let (old, new) = (Authority::new("Old CA"), Authority::new("New CA"));
    let leaf = Leaf { ips: vec!["127.0.0.1".parse().unwrap()], ..Leaf::new("mx.example.org", now) };
    let script = "=== TLS\nS: 220 mx\nC: EHLO x\nS: 250 mx\nC: QUIT\nS: 221 bye\n*close";
    let server = Server::start(Script::of(script), new.issue(&leaf).server_config().into()).await;
    let folder = folder();
    fs::write(folder.join("ca.pem"), old.pem()).unwrap();
    let path = folder.join("mail.yml");
    let port = server.address().port();
    fs::write(&path, format!("interval: 200ms\nmodules: {{m: {{security: tls, ca_file: ca.pem}}}}\ntargets: [{{host: 127.0.0.1, ports: [{{port: {port}, module: m}}]}}]\n")).unwrap();
    let config = Config::load(&path).unwrap_or_else(|problems| panic!("{problems:?}"));
    let exporter = Exporter::start_with(App::with_resolver(&config, Some(&path), no_names())).await;
    let rig = Rig { folder, server, exporter };
    rig.exporter.first_round().await;
    let reason = "mail_probe_failure_info{";
    assert!(rig.metrics().await.samples(reason)[0].contains("certificate_not_trusted"));
    rig.write("ca.pem", &new.pem());
    rig.until("the new CA is used", |metrics| metrics.value("mail_probe_success", &[]) == 1.0).await;
    rig.exporter.stop().await;
}

#[tokio::test]
async fn a_reload_of_two_thousand_endpoints_under_load_loses_no_count() {
    let server = Server::start(Script::of(PLAIN), Options { forget: true, ..Options::default() }).await;
    let names: Vec<String> = (0..2000).map(|number| format!("t{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let text = main_file(&server, &names).replace("interval: 200ms", "interval: 4s\nmax_connections_per_address: 100");
    let folder = folder();
    let path = folder.join("mail.yml");
    fs::write(&path, &text).unwrap();
    let config = Config::load(Path::new(&path)).unwrap_or_else(|problems| panic!("{problems:?}"));
    let exporter = Exporter::start_with(App::with_resolver(&config, Some(&path), no_names())).await;
    let rig = Rig { folder, server, exporter };
    let total = |metrics: &Answer| -> f64 {
        metrics
            .samples("mail_probe_attempts_total{")
            .iter()
            .map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap())
            .sum()
    };
    rig.exporter.first_round().await;
    let mut last = 0.0;
    for _ in 0..5 {
        assert_eq!(rig.reload().await.status, 200);
        let metrics = rig.metrics().await;
        assert_eq!(metrics.samples("mail_probe_attempts_total{").len(), 2000);
        let now = total(&metrics);
        assert!(now >= last && now >= 2000.0, "{now} after {last}");
        last = now;
        sleep(Duration::from_millis(300)).await;
    }
    rig.exporter.stop().await;
}

/// What never ends: a pipe that nobody writes into, like a file on a disk that hangs.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_reload_that_never_ends_does_not_hold_up_the_stop() {
    use std::process::{Command, Stdio};
    use support::program::Program;
    let mut exporter = Program::start_with("", "targets: []", &[], Stdio::null()).await;
    fs::remove_file(&exporter.config).unwrap();
    assert!(Command::new("mkfifo").arg(&exporter.config).status().unwrap().success());
    exporter.signal("HUP");
    sleep(Duration::from_millis(500)).await;
    exporter.signal("TERM");
    assert!(exporter.ends().success());
}
