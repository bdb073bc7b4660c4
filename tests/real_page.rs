//! The status page in a real browser: it shows what it should, and breaks none of its own rules. The
//! screenshots stay in `target/tmp/status_page`, to be looked at.

#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "a test fails by panicking")]

mod lab;
mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use lab::{DAY, Identity, Leaf, Script, Server, refused_port};
use support::{Exporter, config, folder};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::time::sleep;

/// What makes Chromium behave: no sandbox for root, no traffic of its own.
const FLAGS: [&str; 9] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
];

/// Asks the page for its dark colours.
const DARK: &str = "--blink-settings=preferredColorScheme=0";

/// What a visit printed: to the output, and to the console of the page.
struct Visit {
    output: String,
    console: Vec<String>,
}

/// Runs Chromium once, with a profile of its own.
async fn visit(url: &str, arguments: &[&str]) -> Visit {
    let profile = folder();
    let mut command = Command::new("chromium");
    command.args(FLAGS).arg(format!("--user-data-dir={}", profile.display())).arg("--enable-logging=stderr");
    command.args(arguments).arg(url).stdin(Stdio::null());
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    fs::remove_dir_all(profile).unwrap();
    assert!(output.status.success(), "{output:?}");
    let log = String::from_utf8_lossy(&output.stderr);
    let console = log.lines().filter(|line| line.contains(":CONSOLE")).map(str::to_owned).collect();
    Visit { output: String::from_utf8_lossy(&output.stdout).into_owned(), console }
}

async fn dom(url: &str) -> String {
    let visit = visit(url, &["--dump-dom"]).await;
    assert_eq!(visit.console, Vec::<String>::new(), "{url}");
    visit.output
}

/// Takes a picture and gives its content.
async fn screenshot(url: &str, name: &str, (width, height): (u32, u32), more: &[&str]) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("status_page");
    fs::create_dir_all(&folder).unwrap();
    let file: PathBuf = folder.join(format!("{name}.png"));
    let (size, to) = (format!("--window-size={width},{height}"), format!("--screenshot={}", file.display()));
    visit(url, &[&[size.as_str(), to.as_str()], more].concat()).await;
    let png = fs::read(file).unwrap();
    let number = |at: usize| u32::from_be_bytes(png[at..at + 4].try_into().unwrap());
    assert_eq!((&png[..8], number(16), number(20)), (&b"\x89PNG\r\n\x1a\n"[..], width, height), "{name}");
    png
}

async fn server(script: &str, leaf: Leaf) -> Server {
    Server::start(Script::of(script), Identity::self_signed(&leaf).server_config().into()).await
}

/// Servers of all kinds, and an exporter that has probed them all but one.
async fn fleet() -> (Exporter, Vec<Server>) {
    let ehlo = "C: EHLO x\nS: 250-mx\nS: 250-PIPELINING\nS: 250-SIZE 52428800\n";
    let starttls = format!(
        "*sleep 0.03\nS: 220 mail.example.org ESMTP Postfix\n{ehlo}S: 250-STARTTLS\nS: 250 8BITMIME\nC: STARTTLS\n\
         S: 220 2.0.0 Ready\n=== TLS\n{ehlo}S: 250-AUTH PLAIN LOGIN\nS: 250 8BITMIME\nC: QUIT\nS: 221 2.0.0 Bye\n*close"
    );
    let tls = format!(
        "=== TLS\nS: 220 mail.example.org ESMTP\n*sleep 0.02\n{ehlo}S: 250 AUTH PLAIN LOGIN\nC: QUIT\nS: 221 Bye\n*close"
    );
    let hostile = format!("S: 554 <script>alert('{}')</script>\nC: QUIT\nS: 221 <b>bye</b>\n*close", "x".repeat(150));
    let now = SystemTime::now();
    let good = Leaf::new("mail.example.org", now);
    let soon = Leaf { not_before: now - 81 * DAY, not_after: now + 9 * DAY + DAY / 2, ..good.clone() };
    let gone = Leaf { not_before: now - 93 * DAY, not_after: now - 3 * DAY, ..good.clone() };
    let mut servers = Vec::new();
    let mut targets = String::new();
    for (name, module, script, leaf) in [
        ("mail.example.org", "starttls", starttls.as_str(), &good),
        ("mail.example.org", "tls", &tls, &good),
        ("smtp.example.net", "starttls", &starttls, &soon),
        ("submit.example.net", "strict", &starttls, &gone),
        ("mx1.example.com", "starttls", "S: 421 4.7.0 mx1 Error: too many connections\n*close", &good),
        ("mx2.example.com", "starttls", &hostile, &good),
        ("a-long-name-of-a-customer.mail.hosting.example.co.uk", "tls", &tls, &soon),
        ("slow.example.com", "starttls", "*sleep 60", &good),
    ] {
        servers.push(server(script, leaf.clone()).await);
        targets += &format!(
            "- {{name: {name}, host: 127.0.0.1, ports: [{{port: {}, module: {module}}}], labels: {{provider: lab}}}}\n",
            servers[servers.len() - 1].address().port()
        );
    }
    targets += &format!(
        "- {{name: mx3.example.com, host: 127.0.0.1, ports: [{{port: {}, module: tls}}]}}\n",
        refused_port().await.port()
    );
    let modules = "  starttls: {security: starttls, server_name: mail.example.org, expect: {certificate: any, auth: offered}}\n  \
                   tls: {security: tls, server_name: mail.example.org, expect: {certificate: any, auth: offered}}\n  \
                   strict: {security: starttls, server_name: mail.example.org}\n";
    let yaml = format!("interval: 1s\nehlo_name: probe.example.org\nmodules:\n{modules}targets:\n{targets}");
    let exporter = Exporter::start(&config(&yaml)).await;
    sleep(Duration::from_secs(5)).await;
    (exporter, servers)
}

fn id(exporter: &Exporter, target: &str) -> String {
    let endpoints = exporter.store.snapshot().endpoints;
    endpoints.iter().find(|history| history.endpoint.target == target).unwrap().endpoint.id().to_string()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium (tests/real.sh)"]
async fn a_browser_shows_the_pages_and_has_nothing_to_complain_of() {
    let (exporter, _servers) = fleet().await;
    let root = format!("http://{}", exporter.address);
    let list = dom(&format!("{root}/?sort=cert")).await;
    for word in ["4 of 9 endpoints failed", "expired 3 days ago", "rate_limited", "not probed yet", "self signed"] {
        assert!(list.contains(word), "{word}: {list}");
    }
    assert!(!list.contains("<script") && list.contains("&lt;script&gt;"));
    let detail = format!("{root}/endpoint/{}", id(&exporter, "submit.example.net"));
    let one = dom(&detail).await;
    for word in ["certificate_expired", "What to do: ", "ehlo_tls", "EHLO probe.example.org", "Recent failures"] {
        assert!(one.contains(word), "{word}: {one}");
    }
    let pending = dom(&format!("{root}/endpoint/{}", id(&exporter, "slow.example.com"))).await;
    assert!(pending.contains("none yet"), "{pending}");
    assert!(dom(&format!("{root}/endpoint/0")).await.contains("No such endpoint"));

    let (desktop, phone) = ((1280, 1400), (390, 2600));
    let light = screenshot(&root, "list-light", desktop, &[]).await;
    let dark = screenshot(&root, "list-dark", desktop, &[DARK]).await;
    let narrow = screenshot(&root, "list-phone", phone, &[]).await;
    screenshot(&detail, "endpoint-light", (1280, 1700), &[]).await;
    screenshot(&detail, "endpoint-dark", (1280, 1700), &[DARK]).await;
    screenshot(&detail, "endpoint-phone", phone, &[]).await;
    for png in [&light, &dark, &narrow] {
        assert!(png.len() > 20_000, "an empty page: {} bytes", png.len());
    }
    assert_ne!(light, dark);
    exporter.stop().await;
}

/// If this one finds nothing, neither would the test above.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium (tests/real.sh)"]
async fn a_browser_would_complain_of_a_style_that_the_policy_forbids() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut tcp, _)) = listener.accept().await {
            let answer = "HTTP/1.0 200 OK\r\nContent-Type: text/html\r\nContent-Security-Policy: default-src 'none'\r\n\r\n\
                          <!DOCTYPE html><p style=\"color: red\">x</p>";
            let _ = tcp.read(&mut [0; 4096]).await;
            let _ = tcp.write_all(answer.as_bytes()).await;
        }
    });
    let console = visit(&url, &["--dump-dom"]).await.console;
    assert!(console.iter().any(|line| line.contains("Content Security Policy")), "{console:?}");
}
