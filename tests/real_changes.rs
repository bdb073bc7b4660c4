//! Real servers that change: a certificate that is renewed and not loaded, a server that goes away and comes back; and
//! ports and offers that ought not to be there.
//!
//! `tests/real.sh` starts the servers and runs this.

#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "a test fails by panicking")]

mod lab;
mod support;

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use lab::refused_port;
use support::program::Program;
use support::rig::{Rig, output};
use support::{Answer, folder, no_names, one_endpoint, run, verdict};

/// Renews the certificate of a server as its CA would: another serial, valid from now, for the same key.
fn renew(rig: &Rig, name: &str, to: &Path) {
    let certs = rig.folder.join("certs");
    let path = |name: &str| certs.join(name).display().to_string();
    let to = to.display().to_string();
    let extensions = "subjectAltName = DNS:mail.test.example, IP:127.0.0.1\nextendedKeyUsage = serverAuth";
    let extensions = support::file("extensions", extensions).display().to_string();
    let request = folder().join("csr").display().to_string();
    output(
        "openssl",
        &["req", "-new", "-key", &path(&format!("{name}.key")), "-subj", "/CN=renewed", "-out", &request],
    );
    let (ca, key) = (path("ca.pem"), path("ca.key"));
    let signing = ["x509", "-req", "-in", &request, "-CA", &ca, "-CAkey", &key, "-days", "90", "-extfile", &extensions];
    output("openssl", &[&signing[..], &["-out", &to]].concat());
    assert!(fs::read_to_string(to).unwrap().contains("BEGIN CERTIFICATE"));
}

fn flag(metrics: &Answer, name: &str, port: &str) -> Option<bool> {
    let found = metrics.samples(&format!("{name}{{")).into_iter().find(|line| line.contains(port));
    found.map(|line| line.ends_with(" 1.0"))
}

#[tokio::test]
#[ignore = "needs Exim and OpenSMTPD (tests/real.sh)"]
async fn a_renewed_certificate_that_no_server_has_loaded_is_told_until_it_has() {
    let rig = Rig::new();
    let served = rig.folder.join("certs/exim.pem");
    let before = fs::read(&served).unwrap();
    // What is renewed is a copy, as where a deploy hook is missing.
    let on_disk = folder().join("fullchain.pem");
    fs::copy(&served, &on_disk).unwrap();
    let port = |key: &str| format!("port=\"{}\"", rig.env[key]);
    let (exim, exim_tls, opensmtpd) = (port("EXIM_SMTP"), port("EXIM_SUBMISSIONS"), port("OPENSMTPD_SUBMISSIONS"));
    let module = |security| rig.module(security, "");
    let config = format!(
        "modules: {{mx: {}, tls: {}}}\ninterval: 500ms\ntargets:\n  - {{host: 127.0.0.1, certificate_file: '{}', ports: \
         [{{port: {}, module: mx}}, {{port: {}, module: tls}}]}}\n  - {{host: 127.0.0.1, ports: [{{port: {}, module: tls}}]}}\n",
        module("starttls"),
        module("tls"),
        on_disk.display(),
        rig.env["EXIM_SMTP"],
        rig.env["EXIM_SUBMISSIONS"],
        rig.env["OPENSMTPD_SUBMISSIONS"]
    );
    let exporter = Program::start("", &config).await;
    let all = |metrics: &Answer, wanted: bool| {
        [&exim, &exim_tls].iter().all(|port| flag(metrics, "mail_tls_certificate_matches_file", port) == Some(wanted))
    };
    let first = exporter.until("the certificate on disk", |metrics| all(metrics, true)).await;
    let changed = first.value("mail_tls_certificate_changed_timestamp_seconds", &[&exim]);

    renew(&rig, "exim", &on_disk);
    let stale = exporter.until("older than the file", |metrics| all(metrics, false)).await;
    assert_eq!(
        stale.value("mail_tls_certificate_changed_timestamp_seconds", &[&exim]),
        changed,
        "what is shown is the same"
    );
    let told = exporter.get("/api/v1/endpoints").await.body;
    assert_eq!(told.matches("\"matches_file\": false").count(), 2, "{told}");

    // Exim reads it for each connection: this is its reload.
    fs::copy(&on_disk, &served).unwrap();
    let loaded = exporter.until("loaded", |metrics| all(metrics, true)).await;
    assert!(loaded.value("mail_tls_certificate_changed_timestamp_seconds", &[&exim]) > changed);
    // The other port of the host still shows its old one.
    let siblings = exporter
        .until("one of the host that is behind", |metrics| {
            flag(metrics, "mail_tls_certificate_matches_siblings", &opensmtpd) == Some(false)
        })
        .await;
    assert_eq!(flag(&siblings, "mail_tls_certificate_matches_siblings", &exim), Some(true));
    fs::write(served, before).unwrap();
}

/// One more Exim.
fn exim(rig: &Rig, configuration: &Path, port: u16) -> Child {
    let mut command = Command::new(&rig.env["EXIM"]);
    command.arg("-C").arg(configuration).args(["-bdf", "-oX", &format!("127.0.0.1.{port}"), "-oP", "/dev/null"]);
    command.stdin(Stdio::null()).spawn().unwrap()
}

#[tokio::test]
#[ignore = "needs Exim (tests/real.sh)"]
async fn a_server_that_turns_us_away_is_asked_less_often() {
    let rig = Rig::new();
    let port = refused_port().await.port();
    let usual = fs::read_to_string(rig.folder.join("exim/exim.conf")).unwrap();
    let busy =
        usual.replace("begin acl\n", "acl_smtp_connect = busy\nbegin acl\nbusy:\n  defer message = 421 4.7.0 busy\n");
    let configuration = rig.folder.join("exim/busy.conf");
    fs::write(&configuration, busy).unwrap();
    let mut exim = exim(&rig, &configuration, port);
    let module = rig.module("starttls", "");
    let config = format!(
        "modules: {{mx: {module}}}\ntargets: [{{host: 127.0.0.1, ports: [{{port: {port}, module: mx}}], interval: 1s}}]\n"
    );
    let exporter = Program::start("", &config).await;
    for interval in [2.0, 4.0] {
        exporter
            .until("asked less often", |metrics| {
                metrics.samples("mail_probe_current_interval_seconds{").len() == 1
                    && metrics.value("mail_probe_current_interval_seconds", &[]) == interval
            })
            .await;
    }
    let metrics = exporter.metrics().await;
    assert!(
        metrics.samples("mail_probe_failures_total{").iter().any(|line| line.contains("rate_limited")),
        "{}",
        metrics.body
    );
    exim.kill().unwrap();
    exim.wait().unwrap();
}

#[tokio::test]
#[ignore = "needs Exim (tests/real.sh)"]
async fn a_server_that_goes_and_comes_is_followed_at_its_pace() {
    let rig = Rig::new();
    let port = refused_port().await.port();
    let config = format!(
        "modules: {{mx: {}}}\ntargets:\n  - {{host: 127.0.0.1, ports: [{{port: {port}, module: mx}}], interval: 1s, \
         interval_when_failing: 300ms, retries: 1, retry_delay: 100ms, certificate_interval: 1h}}\n",
        rig.module("starttls", "")
    );
    let exporter = Program::start("", &config).await;
    let down = exporter.until("down", |metrics| metrics.samples("mail_probe_failures_total{").len() == 1).await;
    assert!(down.samples("mail_probe_failures_total{")[0].contains("reason=\"refused\""), "{}", down.body);
    assert_eq!(down.value("mail_probe_current_interval_seconds", &[]), 0.3);
    assert!(down.value("mail_probe_retries_total", &[]) >= 1.0, "each failure was confirmed");

    let mut exim = exim(&rig, &rig.folder.join("exim/exim.conf"), port);
    let up = exporter.until("up", |metrics| metrics.value("mail_probe_success", &[]) == 1.0).await;
    assert_eq!(up.value("mail_probe_current_interval_seconds", &[]), 1.0);
    assert_eq!(up.value("mail_tls_certificate_valid", &[]), 1.0);
    // TLS was done by the first of the good probes, and is not done again for an hour.
    let light = exporter.until("light", |metrics| metrics.value("mail_probe_light", &[]) == 1.0).await;
    assert_eq!(light.value("mail_tls_certificate_valid", &[]), 1.0, "what was seen is still shown");

    exim.kill().unwrap();
    exim.wait().unwrap();
    let gone = exporter.until("gone", |metrics| metrics.value("mail_probe_success", &[]) == 0.0).await;
    assert_eq!(gone.value("mail_probe_current_interval_seconds", &[]), 0.3);
}

/// What ought not to be, of which server, and how the probe ends.
const NEGATIVE: &[(&str, &str, &str, &str)] = &[
    ("", "plain", "port: closed", "ok"),
    ("POSTFIX_SMTP", "plain", "port: closed", "port_open in connect"),
    ("POSTFIX_SUBMISSION", "starttls", "starttls: required", "ok"),
    ("EXIM_SMTP", "starttls", "starttls: required", "starttls_not_required in mail_clear"),
    ("POSTFIX_SMTP", "starttls", "auth: absent", "ok"),
    ("POSTFIX_SUBMISSION", "starttls", "auth_in_clear: absent", "ok"),
    ("EXIM_SUBMISSIONS", "tls", "auth: absent", "unexpected_reply in ehlo"),
    ("OPENSMTPD_SUBMISSIONS", "tls", "old_tls: refused", "ok"),
];

#[tokio::test]
#[ignore = "needs Postfix, Exim and OpenSMTPD (tests/real.sh)"]
async fn what_ought_not_to_be_there_is_found_if_it_is() {
    let rig = Rig::new();
    for (server, security, expectation, ends) in NEGATIVE {
        let address = if server.is_empty() { refused_port().await } else { rig.address(server) };
        let module = rig.module(security, &format!(", expect: {{{expectation}}}"));
        let outcome = run(&one_endpoint(address, &module), no_names()).await;
        assert_eq!(verdict(&outcome), *ends, "{server} {expectation}: {:?}", outcome.failure);
    }
}
