//! The program as its users run it: arguments, output, exit codes, signals.

#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "a test fails by panicking")]

mod lab;
mod support;

use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant, SystemTime};

use lab::{Authority, Leaf, Options, Script, Server, refused_port};
use serde_json::Value;
use support::{file, folder, free_address};

const PLAIN: &str = "S: 220 mx ESMTP\nC: EHLO x\nS: 250-mx\nS: 250 SIZE 1000\nC: QUIT\nS: 221 bye\n*close";
const SUBMISSIONS: &str =
    "=== TLS\nS: 220 mx ESMTP\nC: EHLO x\nS: 250-mx\nS: 250 AUTH PLAIN LOGIN\nC: QUIT\nS: 221 bye\n*close";

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mail_endpoint_exporter"));
    command.env("NO_COLOR", "1").stdin(Stdio::null());
    command
}

async fn run(arguments: &[&str]) -> (i32, String, String) {
    let arguments: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
    let output: Output =
        tokio::task::spawn_blocking(move || program().args(arguments).output().unwrap()).await.unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

async fn submissions() -> (Server, String) {
    let ca = Authority::new("Lab CA");
    let tls = ca.issue(&Leaf::new("mail.example.org", SystemTime::now())).server_config();
    let server = Server::start(Script::of(SUBMISSIONS), tls.into()).await;
    (server, file("ca.pem", &ca.pem()).display().to_string())
}

/// With all that it takes for a success.
async fn probe_well(address: &str, ca: &str, more: &[&str]) -> (i32, String, String) {
    let how = ["--module", "submissions", "--ca-file", ca, "--server-name", "mail.example.org"];
    run(&[&["probe", address], &how[..], more].concat()).await
}

#[tokio::test]
async fn probe_tells_people_everything_at_one_look() {
    let (server, ca) = submissions().await;
    let address = server.address().to_string();
    let (code, out, err) = probe_well(&address, &ca, &["--transcript"]).await;
    assert_eq!((code, err.as_str()), (0, ""));
    for part in [
        &format!("✔ {address}  ok in"),
        "connect",
        "ehlo",
        "250",
        "AUTH PLAIN LOGIN",
        "TLSv1.3",
        "valid;",
        "days left",
        "→ QUIT",
        "← 221 bye",
    ] {
        assert!(out.contains(part), "{part}\n{out}");
    }
    assert!(!out.contains('\x1b'), "no colour where there is no terminal");
}

#[tokio::test]
async fn probe_says_why_and_what_to_do() {
    let (server, _) = submissions().await;
    let address = server.address().to_string();
    let (code, out, _) = run(&["probe", &address, "--module", "submissions"]).await;
    assert_eq!(code, 2);
    // Long lines are broken between words.
    let flowing = out.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in [
        "FAILED",
        "certificate_host_mismatch in tls: the certificate is for mail.example.org, not for 127.0.0.1",
        "what to do",
        "certificate_not_trusted",
    ] {
        assert!(flowing.contains(part), "{part}\n{out}");
    }
}

#[tokio::test]
async fn probe_gives_json_to_scripts() {
    let (server, ca) = submissions().await;
    let address = server.address().to_string();
    let (code, out, _) = probe_well(&address, &ca, &["--output", "json", "--transcript"]).await;
    assert_eq!(code, 0);
    let outcome: Value = serde_json::from_str::<Value>(&out).unwrap()[0].take();
    for (pointer, expected) in [
        ("/target", "127.0.0.1".into()),
        ("/port", server.address().port().into()),
        ("/address", "127.0.0.1".into()),
        ("/module", "submissions".into()),
        ("/protocol", "smtp".into()),
        ("/security", "tls".into()),
        ("/success", true.into()),
        ("/port_state", "open".into()),
        ("/phases/0/phase", "resolve".into()),
        ("/phases/2/phase", "tls".into()),
        ("/phases/3/reply_code", 220.into()),
        ("/failure", Value::Null),
        ("/expectations/0", serde_json::json!({"expectation": "certificate", "met": true, "found": "valid"})),
        ("/smtp/banner", "220 mx ESMTP".into()),
        ("/smtp/starttls_offered", Value::Null),
        ("/smtp/auth", serde_json::json!({"clear": null, "tls": ["PLAIN", "LOGIN"]})),
        ("/smtp/capabilities/tls", serde_json::json!(["AUTH"])),
        ("/tls/version", "TLSv1.3".into()),
        ("/certificate/valid", true.into()),
        ("/certificate/invalid_reasons", serde_json::json!([])),
        ("/certificate/dns_names", serde_json::json!(["mail.example.org"])),
        (
            "/transcript/0",
            serde_json::json!({"from": "server", "text": "220 mx ESMTP", "at_seconds": outcome["transcript"][0]["at_seconds"]}),
        ),
        ("/transcript/1/text", "EHLO".into()),
    ] {
        let found = outcome.pointer(pointer).unwrap_or_else(|| panic!("{pointer} is missing\n{out}"));
        let is_prefix = pointer == "/transcript/1/text" && found.as_str().unwrap().starts_with("EHLO ");
        assert!(found == &expected || is_prefix, "{pointer}: {found}");
    }
    assert_eq!(outcome["chain"][0]["sha256"], outcome["certificate"]["sha256"]);
}

#[tokio::test]
async fn probe_gives_metrics() {
    let server = Server::start(Script::of(PLAIN), Options::default()).await;
    let port = server.address().port();
    let module = file("m.yml", "modules: {clear: {security: plain}}").display().to_string();
    let (code, out, _) = run(&[
        "probe",
        &format!("127.0.0.1:{port}"),
        "--module",
        "clear",
        "--config.file",
        &module,
        "--output",
        "prometheus",
    ])
    .await;
    assert_eq!(code, 0);
    let expected = format!("mail_probe_success{{target=\"127.0.0.1\",host=\"127.0.0.1\",port=\"{port}\"}} 1.0");
    assert!(out.lines().any(|line| line == expected), "{out}");
    assert!(!out.contains("mail_exporter_"));
}

#[tokio::test]
async fn several_endpoints_come_in_one_table_in_the_order_asked() {
    let server = Server::start(Script::of(PLAIN), Options::default()).await;
    let (open, shut) = (server.address().to_string(), refused_port().await.to_string());
    let (code, out, _) = run(&["probe", &shut, &open, "--module", "smtp"]).await;
    assert_eq!(code, 2, "one failed");
    let lines: Vec<&str> = out.lines().collect();
    assert!(lines[1].contains(&shut) && lines[1].contains("refused in connect"), "{out}");
    assert!(lines[2].contains(&open) && lines[2].contains("✔"), "{out}");
    // Each knows of the others: which port to use instead.
    let flowing = out.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(flowing.contains(&format!("Use {}: it works.", server.address().port())), "{out}");
}

#[tokio::test]
async fn a_host_without_a_port_is_probed_on_the_four_usual_ones() {
    let (code, out, _) = run(&["probe", "127.0.0.1", "--output", "json", "--timeout", "1s"]).await;
    assert!([0, 2].contains(&code));
    let outcomes: Value = serde_json::from_str(&out).unwrap();
    let ports: Vec<u64> =
        outcomes.as_array().unwrap().iter().map(|outcome| outcome["port"].as_u64().unwrap()).collect();
    assert_eq!(ports, [25, 465, 587, 2525]);
}

#[tokio::test]
async fn wrong_usage_is_64_with_one_line_that_helps() {
    for (arguments, part) in [
        (&["probe"][..], "required"),
        (&["probe", "mx.example:99999"], "no port from 1 to 65535"),
        (&["probe", "mx.example:26"], "port 26 has no module of its own: add --module"),
        (&["probe", "mx example"], "is no host name"),
        (&["probe", "mx.0x1"], "\"mx.0x1\" is no host name or address: it ends in a number, as no domain does: write"),
        (&["probe", "mx.example", "--server-name", "foo.123"], "\"foo.123\" is no host name or address: it ends"),
        (&["probe", "mx.example", "--module", "nope"], "there is no module \"nope\""),
        (&["probe", "192.0.2.1", "--mx"], "192.0.2.1 is no domain: leave --mx out"),
        (&["probe", "192.0.2.1", "--srv"], "192.0.2.1 is no domain: leave --srv out"),
        (&["probe", "a.example:465", "--srv"], "the SRV records of a.example name the ports: leave :465 out"),
        (&["probe", "a.example", "--srv", "--module", "smtp"], "'--srv' cannot be used with '--module"),
        (&["probe", "mx.example", "--timeout", "5"], "write a number with a unit"),
        (&["probe", "mx.example", "--ca-file", "none.pem"], "none.pem cannot be read"),
        (&["probe", "mx.example", "--config.file", "none.yml"], "none.yml: the file cannot be read"),
        (&["nonsense"], "unrecognized subcommand"),
        (&["serve", "--nonsense"], "unexpected argument"),
    ] {
        let (code, out, err) = run(arguments).await;
        assert_eq!((code, out.as_str()), (64, ""), "{arguments:?}\n{err}");
        assert!(err.contains(part), "{arguments:?}\n{err}");
    }
}

#[tokio::test]
async fn check_reports_every_error_and_exits_1() {
    let good = file("good.yml", "targets: [{host: mx.example, ports: [25, 587]}]").display().to_string();
    assert_eq!(
        run(&["check", "--config.file", &good]).await,
        (0, format!("{good}: ok, 2 endpoints of 1 host\n"), String::new())
    );
    let bad = file("bad.yml", "interval: 60\ntargets: [{host: mx.example, prots: [25]}]").display().to_string();
    let (code, out, err) = run(&["check", "--config.file", &bad]).await;
    assert_eq!((code, out.as_str()), (1, ""));
    assert_eq!(err.lines().count(), 3, "{err}");
    assert!(err.contains(&format!("{bad}:1:11: interval: \"60\" is no duration")), "{err}");
    assert!(err.contains("targets[0].prots: unknown key: did you mean `ports`?"), "{err}");
}

#[tokio::test]
async fn help_and_version_are_no_errors() {
    let (code, out, _) = run(&["--version"]).await;
    assert_eq!((code, out), (0, format!("mail_endpoint_exporter {}\n", env!("CARGO_PKG_VERSION"))));
    let (code, out, _) = run(&["--help"]).await;
    assert_eq!(code, 0);
    for part in ["serve", "check", "probe", "--config.file", "--web.listen-address", "--log.format"] {
        assert!(out.contains(part), "{part}\n{out}");
    }
}

#[tokio::test]
async fn serve_runs_until_a_signal_and_answers_its_health_check() {
    let server = Server::start(Script::of(PLAIN), Options::default()).await;
    let port = server.address().port();
    let yaml = format!(
        "interval: 200ms\nmodules: {{clear: {{security: plain}}}}\ntargets: [{{host: 127.0.0.1, ports: [{{port: {port}, module: clear}}]}}]"
    );
    let config = file("mail.yml", &yaml);
    for signal in ["TERM", "INT"] {
        let listen = free_address().to_string();
        let log = folder().join("log");
        let mut child = program()
            .args(["--config.file", config.to_str().unwrap(), "--web.listen-address", &listen, "--log.level", "debug"])
            .stderr(std::fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let url = format!("http://{listen}/-/healthy");
        let began = Instant::now();
        while run(&["healthcheck", "--url", &url]).await.0 != 0 {
            assert!(began.elapsed() < Duration::from_secs(10), "{}", std::fs::read_to_string(&log).unwrap());
        }
        tokio::time::sleep(Duration::from_millis(400)).await;
        let kill = Command::new("kill").args([&format!("-{signal}"), &child.id().to_string()]).status().unwrap();
        assert!(kill.success());
        let status = tokio::task::spawn_blocking(move || child.wait().unwrap()).await.unwrap();
        assert_eq!(status.code(), Some(0), "SIG{signal}");
        let log = std::fs::read_to_string(&log).unwrap();
        let serving = format!(" level=info msg=\"serving metrics\" address={listen} ");
        for part in [&serving, "msg=\"probe succeeded\"", "msg=stopped"] {
            assert!(log.contains(part), "{part}\n{log}");
        }
        assert_eq!(run(&["healthcheck", "--url", &url]).await.0, 1, "it has stopped");
    }
}

/// The value of the counter of all attempts.
fn attempts(metrics: &str) -> f64 {
    let lines = metrics.lines().filter(|line| line.starts_with("mail_probe_attempts_total{"));
    lines.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
}

#[cfg(unix)]
#[tokio::test]
async fn a_log_that_nobody_reads_stops_neither_probes_nor_scrapes_nor_the_end() {
    let port = refused_port().await.port();
    let targets: String = (0..50)
        .map(|n| format!("- {{name: t{n}, host: 127.0.0.1, ports: [{{port: {port}, module: clear}}]}}\n"))
        .collect();
    let yaml = format!("interval: 200ms\nmodules: {{clear: {{security: plain}}}}\ntargets:\n{targets}");
    let (config, listen) = (file("mail.yml", &yaml), free_address().to_string());
    let mut child = program()
        .args(["--config.file", config.to_str().unwrap(), "--web.listen-address", &listen])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A pipe holds 64 KiB, the queue 1,024 lines: with 200 bytes a line, all is full after 2,000 failures.
    let began = Instant::now();
    let mut seen = 0.0;
    while seen < 3000.0 {
        assert!(began.elapsed() < Duration::from_secs(60), "probing has stopped at {seen}");
        tokio::time::sleep(Duration::from_millis(100)).await;
        if tokio::net::TcpStream::connect(&listen).await.is_ok() {
            seen = attempts(&support::request(listen.parse().unwrap(), "GET", "/metrics", "").await);
        }
    }
    Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    let ended = tokio::task::spawn_blocking(move || (child.wait().unwrap(), child.stderr.take()));
    let (status, log) = tokio::time::timeout(Duration::from_secs(20), ended).await.unwrap().unwrap();
    assert_eq!(status.code(), Some(0));
    let mut text = String::new();
    std::io::Read::read_to_string(&mut log.unwrap(), &mut text).unwrap();
    assert!(text.contains("msg=\"probe failed\"") && text.len() < 256 * 1024, "{}", text.len());
}

#[tokio::test]
async fn serve_listens_at_several_addresses_behind_a_proxy_and_logs_json() {
    let config = file("mail.yml", "targets: []");
    let (first, second) = (free_address(), free_address());
    let log = folder().join("log");
    let (listen, also) = (first.to_string(), second.to_string());
    let mut child = program()
        .args([
            "--config.file",
            config.to_str().unwrap(),
            "--web.listen-address",
            &listen,
            "--web.listen-address",
            &also,
        ])
        .args(["--web.external-url", "https://mon.example.org/mail/", "--log.format", "json"])
        .stderr(std::fs::File::create(&log).unwrap())
        .spawn()
        .unwrap();
    let began = Instant::now();
    for address in [listen, also] {
        // The path of the external URL is where everything is served.
        let url = format!("http://{address}/mail/-/healthy");
        while run(&["healthcheck", "--url", &url]).await.0 != 0 {
            assert!(began.elapsed() < Duration::from_secs(10), "{}", std::fs::read_to_string(&log).unwrap());
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    for line in std::fs::read_to_string(&log).unwrap().lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        assert!(event["timestamp"].is_string() && event["level"].is_string() && event["message"].is_string(), "{line}");
    }
}

#[tokio::test]
async fn serve_refuses_what_it_cannot_use() {
    let config = file("mail.yml", "targets: []").display().to_string();
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    for (extra, part) in [
        (["--web.listen-address", taken.as_str()], "in use"),
        (["--web.listen-address", "nonsense"], "write host:port or :port"),
        (["--web.route-prefix", "mail"], "write one such as /mail"),
        (["--web.external-url", "mon.example.org"], "write a URL such as https://"),
    ] {
        let arguments = [&["--config.file", &config][..], &extra[..]].concat();
        let (code, _, err) = run(&arguments).await;
        assert_eq!(code, 64, "{extra:?}\n{err}");
        assert!(err.contains(part), "{extra:?}\n{err}");
    }
    assert_eq!(run(&["--config.file", "none.yml"]).await.0, 1);
}
