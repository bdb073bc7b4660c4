//! Our manners, as servers with their default limits see them: what Postfix (smtpd, submission, postscreen), Exim and
//! Dovecot log of the exporter holds no complaint, and nothing that fail2ban's own filters would ban it for.
//!
//! `tests/real.sh` starts the servers (`tests/real/servers.sh`, `tests/real/citizen.sh`) and runs these tests.
//! `CITIZEN_MINUTES=10` watches for ten minutes at the default interval; without it there are more probes in less
//! time. `--nocapture` shows how many probes left how many lines.
//!
//! One filter must match: `dovecot[mode=aggressive]` is meant for every client that leaves without a login, and
//! whoever uses it has to list the exporter in `ignoreip`.

#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "the table is shown as well as checked")]

mod support;

use std::fmt::Write as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use support::program::{Program, attempts, failures, skipped, successes, told};
use support::rig::{Rig, Watch};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::sleep;

/// The servers that are probed, and the security to use.
const SERVERS: [(&str, &str); 8] = [
    ("CITIZEN_SMTP", "opportunistic"),
    ("CITIZEN_POSTSCREEN", "opportunistic"),
    ("CITIZEN_SUBMISSION", "starttls"),
    ("CITIZEN_SUBMISSIONS", "tls"),
    ("CITIZEN_DOVECOT_SUBMISSION", "starttls"),
    ("CITIZEN_DOVECOT_SUBMISSIONS", "tls"),
    ("EXIM_SMTP", "starttls"),
    ("EXIM_SUBMISSIONS", "tls"),
];

/// Each log, and the filters of fail2ban that read it.
const LOGS: [(&str, &[&str]); 5] = [
    ("citizen-postfix.log", &["postfix", "postfix[mode=aggressive]"]),
    ("exim-main.log", &["exim", "exim-spam"]),
    ("exim-reject.log", &["exim", "exim-spam"]),
    ("exim-panic.log", &["exim"]),
    ("citizen-dovecot.log", &["dovecot"]),
];

/// What servers say of clients without manners, and of trouble that clients make.
const COMPLAINTS: [&str; 16] = [
    "lost connection",
    "improper command",
    "pipelining",
    "pregreet",
    "hangup",
    "non-smtp",
    "timeout",
    "synchronization",
    "warning",
    "error",
    "fatal",
    "unexpected",
    "reset",
    "reject",
    "too many",
    "limit",
];

/// Every server twice: once with its CA, and once without, so that its certificate is refused.
fn configuration(rig: &Rig, interval: &str, servers: &[(&str, &str)]) -> String {
    let mut text = format!("ehlo_name: probe.example.org\ninterval: {interval}\nmodules:\n");
    for security in ["opportunistic", "starttls", "tls"] {
        let ca = &rig.env["CA_FILE"];
        let server_name = &rig.env["SERVER_NAME"];
        let valid = "expect: {certificate: valid}, timeout: 20s";
        writeln!(text, "  {security}: {{security: {security}, ca_file: {ca}, server_name: {server_name}, {valid}}}")
            .unwrap();
        writeln!(text, "  {security}-untrusted: {{security: {security}, {valid}}}").unwrap();
    }
    text += "targets:\n";
    for (key, security) in servers {
        for trust in ["", "-untrusted"] {
            let port = &rig.env[*key];
            let ports = format!("[{{port: {port}, module: {security}{trust}}}]");
            writeln!(text, "- {{name: {key}{trust}, host: 127.0.0.1, ports: {ports}}}").unwrap();
        }
    }
    text
}

fn observe(rig: &Rig) -> Watch<'_> {
    rig.watch(&LOGS.map(|(name, _)| name))
}

/// Checks what is new in every log, and prints what it found.
fn end(watch: &Watch<'_>, what: &str, probes: f64) {
    println!("\n{what}: {probes} probes\n{:<24} {:>6} {:>10}  matches of fail2ban", "log", "lines", "complaints");
    let mut wrong = String::new();
    for ((name, new), (_, filters)) in watch.news().zip(LOGS) {
        let complains = |line: &&str| COMPLAINTS.iter().any(|complaint| line.to_ascii_lowercase().contains(complaint));
        let complaints: Vec<&str> = new.lines().filter(complains).collect();
        let matches: Vec<String> =
            filters.iter().map(|filter| format!("{filter} {}", matches_of(&new, filter))).collect();
        println!("{name:<24} {:>6} {:>10}  {}", new.lines().count(), complaints.len(), matches.join(", "));
        if !complaints.is_empty() {
            let _ = writeln!(wrong, "{name}: {complaints:#?}");
        }
        for found in matches.iter().filter(|found| !found.ends_with(" 0")) {
            let _ = writeln!(wrong, "{name}: {found}");
        }
    }
    assert!(wrong.is_empty(), "{what}:\n{wrong}");
}

/// How many lines a filter of fail2ban would ban for.
fn matches_of(log: &str, filter: &str) -> u64 {
    if log.is_empty() {
        return 0;
    }
    let path = support::file("log", log);
    let output = Command::new("fail2ban-regex").arg(&path).arg(filter).stdin(Stdio::null()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().find(|line| line.starts_with("Lines: ")).unwrap_or_else(|| panic!("{filter}: {text}"));
    // Lines: 20 lines, 0 ignored, 2 matched, 18 missed
    line.split(", ").find_map(|part| part.strip_suffix(" matched")).unwrap().parse().unwrap()
}

#[tokio::test]
#[ignore = "needs Postfix, Exim, Dovecot and fail2ban (tests/real.sh)"]
async fn servers_and_fail2ban_have_nothing_to_complain_of() {
    let rig = Rig::new();
    let minutes: Option<u64> = std::env::var("CITIZEN_MINUTES").ok().map(|text| text.parse().unwrap());
    // The default interval, or as many probes in less time.
    let (interval, minutes) = minutes.map_or(("5s", 1), |minutes| ("60s", minutes));
    let watch = observe(&rig);
    let mut program = Program::start("", &configuration(&rig, interval, &SERVERS)).await;
    sleep(Duration::from_secs(minutes * 60)).await;
    let metrics = program.metrics().await;
    program.signal("TERM");
    assert!(program.ends().success());
    assert_eq!(successes(&metrics), SERVERS.len() as f64, "{}", told(&metrics));
    let distrust = failures(&metrics, "certificate_not_trusted") + failures(&metrics, "certificate_host_mismatch");
    assert_eq!(failures(&metrics, ""), distrust, "{}", told(&metrics));
    sleep(Duration::from_secs(1)).await;
    end(&watch, &format!("{minutes} minutes at {interval}"), attempts(&metrics));

    // What is looked for can be found: one without manners is.
    let watch = observe(&rig);
    let mut rude = TcpStream::connect(rig.address("CITIZEN_SMTP")).await.unwrap();
    rude.write_all(b"EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<a@test.example>\r\n").await.unwrap();
    let _ = rude.read(&mut [0; 100]).await;
    drop(rude);
    sleep(Duration::from_secs(2)).await;
    let (_, new) = watch.news().next().unwrap();
    assert!(matches_of(&new, "postfix[mode=aggressive]") > 0, "{new}");
}

#[tokio::test]
#[ignore = "needs Postfix, Exim, Dovecot and fail2ban (tests/real.sh)"]
async fn an_interval_shorter_than_the_probe_is_no_rudeness() {
    let rig = Rig::new();
    let watch = observe(&rig);
    // postscreen lets them wait for six seconds.
    let mut program = Program::start("", &configuration(&rig, "1s", &SERVERS[..3])).await;
    let metrics = program.until("skipping", |now| skipped(now, "running") > 20.0).await;
    program.signal("TERM");
    assert!(program.ends().success());
    assert_eq!(failures(&metrics, "timeout"), 0.0, "{}", told(&metrics));
    sleep(Duration::from_secs(1)).await;
    let (_, new) = watch.news().next().unwrap();
    // A client of postscreen that must stop while it waits can only hang up.
    assert!(new.matches("HANGUP").count() <= 2, "{new}");
    let calm: Vec<&str> = new.lines().filter(|line| !line.contains("HANGUP")).collect();
    assert_eq!(matches_of(&calm.join("\n"), "postfix[mode=aggressive]"), 0, "{new}");
}

#[tokio::test]
#[ignore = "needs Postfix, Exim, Dovecot and fail2ban (tests/real.sh)"]
async fn a_storm_of_reloads_breaks_off_no_dialogue() {
    let rig = Rig::new();
    let without_postscreen: Vec<_> = SERVERS.into_iter().filter(|(key, _)| *key != "CITIZEN_POSTSCREEN").collect();
    let (all, some) =
        (configuration(&rig, "1s", &without_postscreen), configuration(&rig, "1s", &without_postscreen[..3]));
    let watch = observe(&rig);
    let mut program = Program::start("", &all).await;
    for number in 0..100 {
        // Targets come and go meanwhile.
        let new = program.config.with_extension("new");
        std::fs::write(&new, if number % 2 == 0 { &some } else { &all }).unwrap();
        std::fs::rename(&new, &program.config).unwrap();
        program.signal("HUP");
        sleep(Duration::from_millis(100)).await;
    }
    let count = 2.0 * without_postscreen.len() as f64;
    let settled =
        |now: &support::Answer| now.value("mail_exporter_endpoints", &[]) == count && successes(now) == count / 2.0;
    let metrics = program.until("settled", settled).await;
    assert_eq!(metrics.value("mail_exporter_config_last_reload_successful", &[]), 1.0);
    program.signal("TERM");
    assert!(program.ends().success());
    sleep(Duration::from_secs(1)).await;
    end(&watch, "100 reloads", attempts(&metrics));
}

#[tokio::test]
#[ignore = "needs Postfix, Exim, Dovecot and fail2ban (tests/real.sh)"]
async fn a_stop_in_the_middle_of_probes_takes_leave() {
    let rig = Rig::new();
    let without_postscreen: Vec<_> = SERVERS.into_iter().filter(|(key, _)| *key != "CITIZEN_POSTSCREEN").collect();
    // Fifty endpoints at once: whenever it is stopped, some are in the middle.
    let mut config = configuration(&rig, "1s", &without_postscreen);
    config = config.replace("interval: 1s", "interval: 1s\nmax_connections_per_address: 20");
    let (head, targets) = config.split_once("targets:\n").unwrap();
    let many: String = (0..4).map(|copy| targets.replace("{name: ", &format!("{{name: copy{copy}-"))).collect();
    let config = format!("{head}targets:\n{many}");
    let watch = observe(&rig);
    let mut probes = 0.0;
    for round in 0..10 {
        let mut program = Program::start("", &config).await;
        sleep(Duration::from_millis(1500 + 37 * round)).await;
        probes += attempts(&program.metrics().await);
        program.signal(if round % 2 == 0 { "TERM" } else { "INT" });
        let began = Instant::now();
        assert!(program.ends().success());
        assert!(began.elapsed() < Duration::from_secs(10), "it took {:?} to end", began.elapsed());
    }
    sleep(Duration::from_secs(1)).await;
    end(&watch, "10 stops", probes);
}
