//! Names as a real name server has them (Knot DNS), asked over the way every program asks: /etc/resolv.conf.
//!
//! `tests/real.sh` installs the name server and runs these tests. Each is alone in a network and a mount namespace, writes
//! its zones, and starts the name server there (`tests/real/dns.sh`). Figures are shown with `--nocapture`.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "figures are shown as well as checked")]

mod lab;
mod support;

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::SystemTime;

use lab::{Authority, Leaf, Options, Script, Server};
use support::alone::{alone, resolver_is, shell};
use support::program::Program;
use support::{Answer, request};
use tokio_rustls::rustls::ServerConfig;

const PLAIN: &str = "S: 220 mx ESMTP\nC: EHLO x\nS: 250-mx\nS: 250 SIZE 1000\nC: QUIT\nS: 221 bye\n*close";
const STARTTLS: &str = "S: 220 mx ESMTP\nC: EHLO x\nS: 250-mx\nS: 250 STARTTLS\nC: STARTTLS\nS: 220 go\n=== TLS\n\
                        C: EHLO x\nS: 250-mx\nS: 250 AUTH PLAIN\nC: QUIT\nS: 221 bye\n*close";
const IMPLICIT: &str = "=== TLS\nS: 220 mx ESMTP\nC: EHLO x\nS: 250-mx\nS: 250 AUTH PLAIN\nC: QUIT\nS: 221 bye\n*close";

/// The name server, until it is dropped.
struct Knot {
    folder: PathBuf,
    serial: u32,
}

impl Knot {
    /// Serves the zone `test`, fails for `broken.example`, and refuses everything else.
    fn start(records: &str) -> Self {
        let folder = PathBuf::from(std::env::var("REAL_DIR").unwrap()).join(format!("knot{}", std::process::id()));
        fs::create_dir_all(folder.join("dns")).unwrap();
        fs::write(folder.join("dns/broken.example.broken"), "").unwrap();
        let mut knot = Self { folder, serial: 0 };
        knot.write(records);
        knot.tell("start");
        resolver_is("127.0.0.1");
        knot
    }

    /// Serves other records.
    fn set(&mut self, records: &str) {
        self.write(records);
        self.tell("reload");
    }

    fn write(&mut self, records: &str) {
        self.serial += 1;
        let head = format!("@ IN SOA ns hostmaster {} 3600 600 86400 1\n@ NS ns\nns A 127.0.0.1\n", self.serial);
        fs::write(self.folder.join("dns/test.zone"), format!("$ORIGIN test.\n$TTL 1\n{head}{records}\n")).unwrap();
    }

    fn tell(&self, what: &str) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/real/dns.sh");
        assert!(Command::new(script).arg(what).arg(&self.folder).status().unwrap().success(), "dns.sh {what}");
    }
}

impl Drop for Knot {
    fn drop(&mut self) {
        self.tell("stop");
    }
}

async fn server(bind: &str, script: &str, tls: Option<Arc<ServerConfig>>) -> Server {
    let bind: Option<SocketAddr> = Some(bind.parse().unwrap());
    Server::start(Script::of(script), Options { bind, tls, ..Options::default() }).await
}

async fn exporter(targets: &str) -> Program {
    let head = "ehlo_name: probe.example.org\ninterval: 1s\n";
    let exporter = Program::start("", &format!("{head}{targets}")).await;
    let mut ready = exporter.get("/-/ready").await;
    for _ in 0..600 {
        if ready.status == 200 {
            return exporter;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        ready = exporter.get("/-/ready").await;
    }
    panic!("not ready: {}", ready.body);
}

/// The label values of samples, joined; the value behind them if it is not 1.
fn told(metrics: &Answer, family: &str, target: &str) -> Vec<String> {
    let lines = metrics.samples(&format!("{family}{{target=\"{target}\","));
    let words = |line: &&str| {
        let labels: Vec<&str> = line.split('"').skip(3).step_by(2).collect();
        let value = line.rsplit(' ').next().unwrap().trim_end_matches(".0");
        let value = if value == "1" { String::new() } else { format!(" {value}") };
        format!("{}{value}", labels.join(" "))
    };
    lines.iter().map(words).collect()
}

const KINDS: &str = "
mx1 A 127.0.0.1
mx2 A 127.0.0.2
ordered MX 20 mx2
ordered MX 10 mx1
null MX 0 .
both MX 0 .
both MX 10 mx1
bare A 127.0.0.9
alias MX 10 www
www CNAME mx1
dangling MX 10 gone
literal MX 10 192.0.2.1.
empty MX 10 text
text TXT \"no address\"
many MX 10 hundred
xn--bcher-kva MX 10 mx1
chain CNAME c1
c1 CNAME c2
c2 CNAME mx1
";

#[test]
#[ignore = "needs root, knot, util-linux and iproute2 (tests/real.sh)"]
fn each_kind_of_mx_is_probed_or_has_its_problem() {
    alone("each_kind_of_mx_is_probed_or_has_its_problem", async {
        let hundred: String = (101..=200).map(|last| format!("hundred A 127.0.0.{last}\n")).collect();
        let _knot = Knot::start(&format!("{KINDS}{hundred}"));
        let _server = server("0.0.0.0:25", PLAIN, None).await;
        // Name, what is probed and with which reason it fails, problems.
        let table: [(&str, &[&str], &[&str]); 13] = [
            ("ordered.test", &["mx1.test", "mx2.test"], &[]),
            ("null.test", &["null.test null_mx"], &["null_mx"]),
            ("both.test", &["mx1.test"], &["null_mx_not_alone"]),
            ("bare.test", &["bare.test"], &["implicit_mx"]),
            ("alias.test", &["www.test"], &["www.test mx_is_alias"]),
            ("dangling.test", &["gone.test dns_not_found"], &["gone.test mx_not_found"]),
            ("literal.test", &["literal.test dns_no_address"], &["192.0.2.1 mx_is_address"]),
            ("empty.test", &["text.test dns_no_address"], &["text.test mx_no_address"]),
            ("many.test", &["hundred.test"], &[]),
            ("bücher.test", &["mx1.test"], &[]),
            ("nowhere.test", &["nowhere.test dns_not_found"], &[]),
            ("broken.example", &["broken.example dns_failed"], &[]),
            ("refused.example", &["refused.example dns_failed"], &[]),
        ];
        let domains: String = table.iter().map(|(name, ..)| format!("- {{domain: {name}}}\n")).collect();
        let hosts = "- {name: hundred, host: hundred.test, ports: [25], addresses: all}\n\
                     - {name: chain, host: chain.test, ports: [25], addresses: all}\n";
        let exporter = exporter(&format!("targets:\n{domains}{hosts}")).await;
        let metrics = exporter.metrics().await;
        for (name, probed, problems) in table {
            let name = if name == "bücher.test" { "xn--bcher-kva.test" } else { name };
            let failed = told(&metrics, "mail_probe_failure_info", name);
            let found: Vec<String> = told(&metrics, "mail_probe_success", name)
                .into_iter()
                .map(|words| {
                    let host = words.split(' ').next().unwrap().to_owned();
                    let failure = failed.iter().find(|words| words.starts_with(&format!("{host} ")));
                    let reason = failure.map(|words| words.split(' ').nth(3).unwrap());
                    assert_eq!(reason.is_some(), words.ends_with(" 0"), "{words}: {failed:?}");
                    reason.map_or(host.clone(), |reason| format!("{host} {reason}"))
                })
                .collect();
            let wrong = told(&metrics, "mail_mx_problem_info", name);
            let wrong: Vec<&str> = wrong.iter().map(|words| words.trim_start()).collect();
            println!("{name:<20} {:<30} {}", found.join(", "), wrong.join(", "));
            assert_eq!(
                (found, wrong.as_slice()),
                (probed.iter().map(|&one| one.to_owned()).collect(), problems),
                "{name}"
            );
        }
        assert_eq!(told(&metrics, "mail_mx_info", "ordered.test"), ["mx1.test 10", "mx2.test 20"]);
        for name in ["broken.example", "refused.example"] {
            assert_eq!(told(&metrics, "mail_mx_failure_info", name), ["dns_failed"]);
        }
        for (target, count) in [("hundred", 100.0), ("chain", 1.0)] {
            let target = format!("target=\"{target}\"");
            assert_eq!(metrics.value("mail_target_addresses_total", &[&target]), count);
            assert_eq!(metrics.value("mail_target_addresses_up", &[&target]), count, "{target}");
        }
    });
}

#[test]
#[ignore = "needs root, knot, util-linux and iproute2 (tests/real.sh)"]
fn submission_servers_are_found_by_their_srv_records() {
    alone("submission_servers_are_found_by_their_srv_records", async {
        let ca = Authority::new("Shop CA");
        let tls = || Some(ca.issue(&Leaf::new("mail.test", SystemTime::now())).server_config());
        let _servers = [server("127.0.0.1:465", IMPLICIT, tls()).await, server("127.0.0.1:587", STARTTLS, tls()).await];
        let _relay = server("127.0.0.1:25", PLAIN, None).await;
        let _knot = Knot::start(
            "mail A 127.0.0.1\nalias CNAME mail\nshop MX 10 mail\n\
             _submissions._tcp.shop SRV 0 1 465 mail\n_submission._tcp.shop SRV 0 1 587 mail\n\
             _imaps._tcp.shop SRV 0 1 993 gone\n\
             _submissions._tcp.none SRV 0 0 0 .\n_submission._tcp.none SRV 0 1 465 alias\n",
        );
        let ca = support::file("ca.pem", &ca.pem());
        let module = format!("{{ca_file: '{}', timeout: 3s}}", ca.display());
        let targets = "- {domain: shop.test, srv: true}\n- {domain: none.test, mx: false, srv: true}\n";
        let exporter =
            exporter(&format!("modules: {{submissions: {module}, submission: {module}}}\ntargets:\n{targets}")).await;
        let metrics = exporter.metrics().await;
        let probed = told(&metrics, "mail_probe_success", "shop.test");
        assert_eq!(probed, ["mail.test 25", "mail.test 465", "mail.test 587"]);
        let facts = ["submissions mail.test 465 0 1", "submission mail.test 587 0 1", "imaps gone.test 993 0 1"];
        assert_eq!(told(&metrics, "mail_srv_info", "shop.test"), facts);
        let problem = ["imaps gone.test srv_host_not_found"];
        assert_eq!(told(&metrics, "mail_srv_problem_info", "shop.test"), problem);
        let problems = told(&metrics, "mail_srv_problem_info", "none.test");
        let wanted = ["submissions  srv_not_offered", "alias.test srv_host_is_alias", "alias.test srv_wrong_port"];
        assert!(wanted.iter().all(|words| problems.iter().any(|line| line.ends_with(words))), "{problems:?}");

        // The same on the command line.
        let program = env!("CARGO_BIN_EXE_mail_endpoint_exporter");
        let arguments = ["probe", "shop.test", "--mx", "--srv", "--ca-file"];
        let output = Command::new(program).args(arguments).arg(&ca).env("NO_COLOR", "1").output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{text}");
        for part in ["MX             10 mail.test", "submissions     0 mail.test:465", "gone.test:993 (not probed)"] {
            assert!(text.contains(part), "{part}: {text}");
        }
    });
}

#[test]
#[ignore = "needs root, knot, util-linux and iproute2 (tests/real.sh)"]
fn addresses_and_servers_follow_their_records() {
    alone("addresses_and_servers_follow_their_records", async {
        let _server = server("0.0.0.0:25", PLAIN, None).await;
        let mut knot =
            Knot::start("mx A 127.0.0.1\nmx A 127.0.0.2\nshop MX 10 old\nold A 127.0.0.5\nnew A 127.0.0.6\n");
        let targets = "targets:\n- {host: mx.test, ports: [25], addresses: all}\n- {domain: shop.test}\n";
        let exporter = exporter(targets).await;
        let before = exporter.metrics().await;
        assert_eq!(told(&before, "mail_probe_success", "mx.test"), ["mx.test 25 127.0.0.1", "mx.test 25 127.0.0.2"]);
        knot.set("mx A 127.0.0.1\nmx A 127.0.0.3\nshop MX 10 new\nold A 127.0.0.5\nnew A 127.0.0.6\n");
        let both = |metrics: &Answer| metrics.body.contains("127.0.0.3") && metrics.body.contains("host=\"new.test\"");
        let after = exporter.until("the new ones are probed", both).await;
        for gone in ["127.0.0.2", "host=\"old.test\""] {
            assert!(!after.body.contains(gone), "{gone} is gone with all its series");
        }
        let attempts = |metrics: &Answer| metrics.value("mail_probe_attempts_total", &["address=\"127.0.0.1\""]);
        assert!(attempts(&after) >= attempts(&before), "what stays keeps its counts");
        // The name server is gone: what it said is still probed, and it is told.
        drop(knot);
        let failing = |metrics: &Answer| !metrics.samples("mail_dns_failure_info{").is_empty();
        let stale = exporter.until("the name server is missed", failing).await;
        assert!(stale.body.contains("address=\"127.0.0.3\""));
        exporter.until("probing goes on", |now| attempts(now) > attempts(&stale)).await;
    });
}

/// blackbox_exporter, until it is dropped.
struct Blackbox(Child);

impl Drop for Blackbox {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

const BLACKBOX: &str = "127.0.0.1:9115";

impl Blackbox {
    async fn start() -> Self {
        let config = "modules: {smtp: {prober: tcp, timeout: 4s, tcp: {preferred_ip_protocol: ip4, \
                      query_response: [{expect: '^220 '}, {send: QUIT}]}}}\n";
        let mut command = Command::new("prometheus-blackbox-exporter");
        command.arg("--config.file").arg(support::file("blackbox.yml", config)).arg("--log.level=error");
        command.arg(format!("--web.listen-address={BLACKBOX}")).stdin(Stdio::null());
        let blackbox = Self(command.spawn().unwrap());
        for _ in 0..600 {
            if tokio::net::TcpStream::connect(BLACKBOX).await.is_ok() {
                return blackbox;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        panic!("blackbox_exporter does not start");
    }

    async fn probe(&self, target: &str) -> Answer {
        let path = format!("/probe?module=smtp&target={target}");
        Answer::of(&request(BLACKBOX.parse().unwrap(), "GET", &path, "").await)
    }
}

#[test]
#[ignore = "needs root, knot, blackbox_exporter, util-linux and iproute2 (tests/real.sh)"]
fn one_dead_address_of_three_is_named() {
    alone("one_dead_address_of_three_is_named", async {
        let _servers = [server("127.0.0.1:25", PLAIN, None).await, server("127.0.0.3:25", PLAIN, None).await];
        let _knot = Knot::start("mx A 127.0.0.1\nmx A 127.0.0.2\nmx A 127.0.0.3\n");
        let exporter = exporter("targets:\n- {host: mx.test, ports: [25], addresses: all}\n").await;
        let metrics = exporter.metrics().await;
        let failed = metrics.samples("mail_probe_failure_info{");
        assert!(failed.len() == 1 && failed[0].contains("address=\"127.0.0.2\""), "exactly the dead one: {failed:?}");
        assert!(failed[0].contains("phase=\"connect\",reason=\"refused\""), "{failed:?}");
        assert_eq!(metrics.value("mail_target_addresses_up", &[]), 2.0);
        assert_eq!(metrics.value("mail_target_addresses_total", &[]), 3.0);

        let (blackbox, mut successes) = (Blackbox::start().await, 0);
        for _ in 0..30 {
            let metrics = blackbox.probe("mx.test:25").await;
            successes += u32::from(metrics.value("probe_success", &[]) == 1.0);
            // It tells neither which address it took nor how many there are.
            assert!((1..=3).all(|last| !metrics.body.contains(&format!("127.0.0.{last}"))), "{}", metrics.body);
        }
        println!("blackbox_exporter: {successes} of 30 probes of the same name succeeded, the others failed");
        assert!(successes > 0);
    });
}

#[test]
#[ignore = "needs root, util-linux and iproute2 (tests/real.sh)"]
fn a_link_local_address_is_probed_on_the_link_that_it_names() {
    alone("a_link_local_address_is_probed_on_the_link_that_it_names", async {
        // Two links, and fe80::25 at the end of both.
        shell(
            "for link in a b; do
                 ip link add near-$link type veth peer name far-$link
                 for end in near far; do
                     sysctl -qw net.ipv6.conf.$end-$link.accept_dad=0
                     ip link set $end-$link up
                 done
                 ip address add fe80::24/64 dev near-$link nodad
                 ip address add fe80::25/64 dev far-$link nodad
             done",
        );
        let index = |link: &str| {
            let output = Command::new("ip").args(["-o", "link", "show", "dev", link]).output().unwrap();
            let line = String::from_utf8(output.stdout).unwrap();
            line.split(':').next().unwrap().trim().parse::<u32>().unwrap()
        };
        let _good = server(&format!("[fe80::25%{}]:25", index("far-a")), PLAIN, None).await;
        let _bad = server(&format!("[fe80::25%{}]:25", index("far-b")), "S: 554 no\n*close", None).await;
        let number = index("near-a");
        let hosts = ["near-a", &number.to_string(), "near-b", "near-c"].map(|zone| format!("fe80::25%{zone}"));
        let targets: String = hosts.iter().map(|host| format!("- {{host: '{host}', ports: [25]}}\n")).collect();
        let exporter = exporter(&format!("targets:\n{targets}- {{targets: ['[fe80::24%far-a]:25']}}\n")).await;
        let metrics = exporter.metrics().await;
        let reason = |host: &str| {
            let failed = told(&metrics, "mail_probe_failure_info", host);
            failed
                .first()
                .map_or("ok".to_owned(), |words| words.split(' ').skip(2).take(2).collect::<Vec<_>>().join(" "))
        };
        let found: Vec<String> = hosts.iter().map(|host| reason(host)).collect();
        assert_eq!(found, ["ok", "ok", "banner permanent_reply", "resolve local_resource"]);
        assert_eq!(reason("fe80::24%far-a"), "connect refused");
    });
}
