//! A machine in trouble: file descriptors, ports, threads and memory run out, the clock steps, the machine sleeps, the
//! name server falls silent, the disk is full, and configurations are half written.
//!
//! The rule is always the same: probing goes on or comes back without a restart, the metrics can be had, and what is
//! our own trouble is called `local_resource` and never blamed on a server.
//!
//! `tests/real.sh` runs these tests. Each runs itself again in a network and a mount namespace of its own, so that
//! ports, mounts and sysctls are its own.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "figures are shown as well as checked")]

mod lab;
mod support;

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant, SystemTime};

use lab::{Answer as Dns, Authority, DAY, DnsServer, Leaf, Options, Script, Server};
use support::alone::{alone, resolver_is, shell};
use support::program::{Program, attempts, blames_nobody, failures, skipped, successes, sum, told};
use support::{Answer, folder, request_bytes};
use tokio::time::{sleep, timeout};

const PLAIN: &str = "S: 220 mx ESMTP\nC: EHLO x\nS: 250-mx\nS: 250 SIZE 1000\nC: QUIT\nS: 221 bye\n*close";

async fn server(script: &str) -> Server {
    Server::start(Script::of(script), Options { forget: true, ..Options::default() }).await
}

/// So many targets at one address, with a module `m` of clear text.
fn targets(address: SocketAddr, count: usize) -> String {
    let (host, port) = (address.ip(), address.port());
    let target = |n| format!("- {{name: t{n}, host: {host}, ports: [{{port: {port}, module: m}}]}}\n");
    (0..count).map(target).collect()
}

/// A configuration whose targets are probed every second.
fn configuration(targets: &str) -> String {
    format!(
        "ehlo_name: probe.example.org\ninterval: 1s\nmax_connections_per_address: 1000\n\
         modules: {{m: {{security: plain, timeout: 5s}}}}\ntargets:\n{targets}"
    )
}

#[test]
#[ignore = "needs root, util-linux and iproute2 (tests/real.sh)"]
fn no_file_descriptors_for_probes_leave_some_for_scrapes() {
    alone("no_file_descriptors_for_probes_leave_some_for_scrapes", async {
        // More endpoints than descriptors, at servers that hold the line.
        let (silent, good) = (server("S: 220 mx\nC: EHLO x\n*idle").await, server(PLAIN).await);
        let all = targets(silent.address(), 200) + &targets(good.address(), 1).replace("t0", "good");
        let exporter = Program::start("prlimit --nofile=64", &configuration(&all)).await;
        let metrics = exporter.until("short of descriptors", |now| failures(now, "local_resource") > 100.0).await;
        assert_eq!(failures(&metrics, ""), failures(&metrics, "local_resource") + failures(&metrics, "timeout"));
        assert!(metrics.value("process_open_fds", &[]) < 64.0, "even what reads /proc has some");
        // It is not the number of probes alone: clients that hold the line must not take them all either.
        let mut idle = Vec::new();
        for _ in 0..100 {
            idle.push(tokio::net::TcpStream::connect(exporter.address).await.unwrap());
        }
        for _ in 0..10 {
            assert_eq!(exporter.metrics().await.status, 200);
        }
        let before = exporter.metrics().await;
        exporter.until("probing", |now| attempts(now) > attempts(&before) + 200.0).await;
        drop(idle);
        fs::write(&exporter.config, configuration(&targets(good.address(), 5))).unwrap();
        exporter.signal("HUP");
        exporter.until("reloaded", |now| now.value("mail_exporter_endpoints", &[]) == 5.0).await;
        exporter.recovers().await;
    });
}

#[test]
#[ignore = "needs root, util-linux and iproute2 (tests/real.sh)"]
fn a_machine_without_file_descriptors_is_not_the_servers_fault() {
    alone("a_machine_without_file_descriptors_is_not_the_servers_fault", async {
        let good = server(PLAIN).await;
        let table = [("mx.test", Dns::addresses(&["127.0.0.1"]), 60)];
        let _dns = DnsServer::start_at("127.0.0.1:53".parse().unwrap(), &table).await;
        resolver_is("127.0.0.1");
        let named =
            targets(good.address(), 5).replace("host: 127.0.0.1", "host: mx.test").replace("name: t", "name: n");
        let all = configuration(&(targets(good.address(), 5) + &named));
        let exporter = Program::start("prlimit --nofile=1024:1024", &all).await;
        exporter.recovers().await;
        // Not one more than it has, neither for servers nor for name servers.
        let limit = |most: &str| shell(&format!("prlimit --nofile={most}:1024 --pid {}", exporter.child.id()));
        limit("3");
        sleep(Duration::from_secs(4)).await;
        limit("1024");
        let metrics = exporter.recovers().await;
        println!("EMFILE for 4 s: {} probes of {} had no descriptor", failures(&metrics, ""), attempts(&metrics));
        assert!(failures(&metrics, "local_resource") > 0.0, "{}", told(&metrics));
        blames_nobody(&metrics);
    });
}

#[test]
#[ignore = "needs root, util-linux and iproute2 (tests/real.sh)"]
fn without_free_ports_the_trouble_is_ours() {
    alone("without_free_ports_the_trouble_is_ours", async {
        // They hold the line, so that four connections are all there can be to one port.
        let slow = server("S: 220 mx\nC: EHLO x\n*sleep 1\nS: 250 mx\nC: QUIT\nS: 221 bye\n*close").await;
        let exporter = Program::start("", &configuration(&targets(slow.address(), 12))).await;
        fs::write("/proc/sys/net/ipv4/ip_local_port_range", "40000 40003").unwrap();
        let metrics = exporter.until("short of ports", |now| failures(now, "local_resource") > 10.0).await;
        assert!(successes(&metrics) > 0.0, "those with a port go on");
        blames_nobody(&metrics);
        fs::write("/proc/sys/net/ipv4/ip_local_port_range", "32768 60999").unwrap();
        blames_nobody(&exporter.recovers().await);
    });
}

#[test]
#[ignore = "needs root, util-linux and iproute2 (tests/real.sh)"]
fn without_threads_it_goes_on_or_says_why_it_does_not_start() {
    alone("without_threads_it_goes_on_or_says_why_it_does_not_start", async {
        let good = server(PLAIN).await;
        let user = "setpriv --reuid=59127 --regid=59127 --clear-groups --inh-caps=-all";
        let exporter = Program::start(user, &configuration(&targets(good.address(), 5))).await;
        // As if the user's other programs had used them up, after the exporter has been idle for a while.
        shell(&format!("{user} prlimit --nproc=1:1 --pid {}", exporter.child.id()));
        sleep(Duration::from_secs(12)).await;
        assert_eq!(exporter.get("/").await.status, 200);
        blames_nobody(&exporter.recovers().await);
        fs::write(&exporter.config, configuration(&targets(good.address(), 7))).unwrap();
        exporter.signal("HUP");
        exporter.until("reloaded", |now| now.value("mail_exporter_endpoints", &[]) == 7.0).await;
        drop(exporter);

        let log = folder().join("log");
        let output = Stdio::from(fs::File::create(&log).unwrap());
        let limited = format!("prlimit --nproc=1:1 {user}");
        let mut exporter = Program::launch(&limited, &configuration(""), &[], output);
        assert!(!exporter.ends().success());
        let text = fs::read_to_string(log).unwrap();
        assert!(text.contains("thread") && !text.contains("panicked"), "{text}");
    });
}

#[test]
#[ignore = "needs root, util-linux and iproute2 (tests/real.sh)"]
fn without_memory_it_goes_on_or_ends_for_a_restart() {
    alone("without_memory_it_goes_on_or_ends_for_a_restart", async {
        let good = server(PLAIN).await;
        let mut exporter = Program::start("", &configuration(&targets(good.address(), 500))).await;
        exporter.recovers().await;
        // Nothing can be mapped any more.
        shell(&format!("prlimit --as=1:1 --pid {}", exporter.child.id()));
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(10) {
            if let Some(status) = exporter.child.try_wait().unwrap() {
                println!("it ended: {status}");
                assert!(!status.success(), "so that whoever watches over it starts it again");
                return;
            }
            let _ = timeout(Duration::from_secs(5), request_bytes(exporter.address, "GET", "/metrics", "")).await;
            sleep(Duration::from_millis(200)).await;
        }
        println!("it goes on");
        exporter.recovers().await;
    });
}

#[test]
#[ignore = "needs root, libfaketime, util-linux and iproute2 (tests/real.sh)"]
fn a_clock_that_steps_moves_certificates_and_nothing_else() {
    alone("a_clock_that_steps_moves_certificates_and_nothing_else", async {
        let now = SystemTime::now();
        let ca = Authority::new("Host CA");
        let leaf = Leaf { ips: vec!["127.0.0.1".parse().unwrap()], ..Leaf::new("mx.test", now) };
        let tls = ca.issue(&Leaf { not_before: now - 3 * DAY, ..leaf }).server_config();
        let good =
            Server::start(Script::of(&format!("=== TLS\n{PLAIN}")), Options { forget: true, ..tls.into() }).await;
        let ca_file = support::file("ca.pem", &ca.pem());
        let config = configuration(&targets(good.address(), 5))
            .replace("security: plain", &format!("security: tls, ca_file: {}", ca_file.display()));
        let offset = support::file("offset", "+0");
        let set = |text: &str| {
            // Never half written.
            let new = offset.with_extension("new");
            fs::write(&new, text).unwrap();
            fs::rename(&new, &offset).unwrap();
        };
        let faked = format!(
            "env LD_PRELOAD={} DONT_FAKE_MONOTONIC=1 NO_FAKE_STAT=1 FAKETIME_NO_CACHE=1 FAKETIME_TIMESTAMP_FILE={}",
            faketime(),
            offset.display()
        );
        let exporter = Program::start(&faked, &config).await;
        exporter.recovers().await;
        for (what, text, reason) in [
            ("a day ahead", "+1d", ""),
            ("a day back", "-1d", ""),
            ("1970", "@1970-01-01 00:00:10", "certificate_not_yet_valid"),
            ("2106, past 32 bits", "@2106-02-07 06:28:10", "certificate_expired"),
            ("right again", "+0", ""),
        ] {
            let before = exporter.metrics().await;
            let began = Instant::now();
            set(text);
            let part = format!("reason=\"{reason}\"");
            let judged = |now: &Answer| match reason {
                "" => successes(now) == 5.0,
                _ => sum(now, "mail_probe_failure_info{", &part) == 5.0,
            };
            let after = exporter.until(what, |now| judged(now) && attempts(now) >= attempts(&before) + 15.0).await;
            let (probes, seconds) = (attempts(&after) - attempts(&before), began.elapsed().as_secs_f64());
            println!("{what:<20} {probes} probes of 5 endpoints in {seconds:.1} s");
            assert!(probes <= 5.0 * (seconds + 2.0), "{what}: {probes} probes in {seconds} s is a burst");
            assert_eq!(skipped(&after, "late") - skipped(&before, "late"), 0.0, "{what}");
            let longest = after.samples("mail_probe_duration_seconds{").into_iter().map(last).fold(0.0, f64::max);
            assert!((0.0..5.0).contains(&longest), "{what}: a probe took {longest} s");
            for reason in ["timeout", "local_resource", "internal"] {
                assert_eq!(failures(&after, reason), 0.0, "{what}: {}", told(&after));
            }
        }
    });
}

fn last(line: &str) -> f64 {
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

/// Where Debian has it.
fn faketime() -> String {
    let found = glob::glob("/usr/lib/*/faketime/libfaketime.so.1").unwrap().next();
    found.unwrap().unwrap().display().to_string()
}

#[test]
#[ignore = "needs root, util-linux and iproute2 (tests/real.sh)"]
fn a_name_server_that_falls_silent_and_comes_back() {
    alone("a_name_server_that_falls_silent_and_comes_back", async {
        let good = server(PLAIN).await;
        let place: SocketAddr = "127.0.0.1:53".parse().unwrap();
        let table = [("mx.test", Dns::addresses(&["127.0.0.1"]), 60)];
        let dns = DnsServer::start_at(place, &table).await;
        resolver_is("127.0.0.1");
        let all = targets(good.address(), 5).replace("host: 127.0.0.1", "host: mx.test");
        let all = all + &targets(good.address(), 1).replace("name: t0", "name: by-address");
        let exporter = Program::start("", &configuration(&all)).await;
        exporter.recovers().await;
        drop(dns);
        // Somebody is there, and says nothing.
        let silence = loop {
            match tokio::net::UdpSocket::bind(place).await {
                Ok(socket) => break socket,
                Err(_) => sleep(Duration::from_millis(10)).await,
            }
        };
        let dead = exporter.until("without names", |now| successes(now) == 1.0).await;
        let of_names = sum(&dead, "mail_probe_failures_total{", "phase=\"resolve\"");
        assert_eq!(failures(&dead, ""), of_names, "the servers have nothing to do with it: {}", told(&dead));
        assert_eq!(sum(&dead, "mail_port_state{", "state=\"unknown\""), 5.0, "nor have their ports");
        drop(silence);
        let _dns = DnsServer::start_at(place, &table).await;
        exporter.recovers().await;
    });
}

#[test]
#[ignore = "needs root, util-linux and iproute2 (tests/real.sh)"]
fn a_machine_that_sleeps_wakes_without_a_burst_and_blames_nobody() {
    alone("a_machine_that_sleeps_wakes_without_a_burst_and_blames_nobody", async {
        // Some probes are always under way.
        let slow = server("S: 220 mx\nC: EHLO x\n*sleep 0.5\nS: 250 mx\nC: QUIT\nS: 221 bye\n*close").await;
        let exporter = Program::start("", &configuration(&targets(slow.address(), 20))).await;
        exporter.recovers().await;
        let before = exporter.metrics().await;
        exporter.signal("STOP");
        sleep(Duration::from_secs(60)).await;
        exporter.signal("CONT");
        let woken = Instant::now();
        sleep(Duration::from_secs(1)).await;
        let after = exporter.metrics().await;
        let (probes, seconds) = (attempts(&after) - attempts(&before), woken.elapsed().as_secs_f64());
        println!("{probes} probes of 20 endpoints in {seconds:.1} s after the sleep");
        // Each may have had one under way, and begins one a second.
        assert!(probes <= 20.0 * (seconds + 2.0), "{probes} probes in {seconds} s is a burst");
        let missed = skipped(&after, "late") + skipped(&after, "running");
        assert!(missed >= 20.0 * 50.0, "the ticks that were slept through are counted: {missed}");
        let after = exporter.recovers().await;
        println!("{} probes were cut by the sleep", failures(&after, "local_resource"));
        blames_nobody(&after);
    });
}

#[test]
#[ignore = "needs root, util-linux and iproute2 (tests/real.sh)"]
fn a_machine_too_slow_shows_in_the_lateness() {
    alone("a_machine_too_slow_shows_in_the_lateness", async {
        let good = server(PLAIN).await;
        let exporter = Program::start("", &configuration(&targets(good.address(), 20))).await;
        exporter.recovers().await;
        let late = |metrics: &Answer| {
            let within =
                |le: &str| sum(metrics, "mail_exporter_schedule_lateness_seconds_bucket", &format!("le=\"{le}\""));
            within("+Inf") - within("0.1")
        };
        let calm = exporter.metrics().await;
        // The exporter has one tenth of the time.
        let pid = exporter.child.id();
        shell(&format!("for i in $(seq 15); do kill -STOP {pid}; sleep 0.9; kill -CONT {pid}; sleep 0.1; done"));
        let busy = exporter.recovers().await;
        println!("late by more than 0.1 s: {} before, {} then", late(&calm), late(&busy));
        assert!(late(&busy) > late(&calm) + 100.0, "{:#?}", busy.samples("mail_exporter_schedule_lateness_seconds"));
        blames_nobody(&busy);
    });
}

#[test]
#[ignore = "needs root, util-linux and iproute2 (tests/real.sh)"]
fn a_log_that_cannot_be_written_stops_nothing() {
    alone("a_log_that_cannot_be_written_stops_nothing", async {
        let good = server(PLAIN).await;
        let disk = folder();
        shell(&format!("mount -t tmpfs -o size=16k none {}", disk.display()));
        let (gone, closed) = std::io::pipe().unwrap();
        drop(gone);
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let small = fs::File::create(disk.join("log")).unwrap();
        let logs: [(&str, Stdio); 3] = [
            ("a full disk", full.into()),
            ("a disk that fills up", small.into()),
            ("a pipe whose reader has gone", closed.into()),
        ];
        for (what, log) in logs {
            let arguments = ["--log.level=trace", "--log.format=json"];
            let mut exporter =
                Program::start_with("", &configuration(&targets(good.address(), 300)), &arguments, log).await;
            let mut metrics = exporter.recovers().await;
            for _ in 0..3 {
                metrics = exporter.recovers().await;
            }
            println!("{what:<30} {} probes", attempts(&metrics));
            blames_nobody(&metrics);
            exporter.signal("TERM");
            assert!(exporter.ends().success(), "{what}: it ends as it should");
        }
    });
}

#[test]
#[ignore = "needs root, util-linux and iproute2 (tests/real.sh)"]
fn it_needs_no_disk_to_write_to() {
    alone("it_needs_no_disk_to_write_to", async {
        let good = server(PLAIN).await;
        let config = support::file("mail.yml", &configuration(&targets(good.address(), 5)));
        shell("mount -o remount,ro,bind /");
        let exporter = Program::launch_at("env -C /", config, &[], Stdio::null());
        exporter.serves().await;
        assert!(fs::write("/tmp/x", "").is_err(), "the disk is read-only");
        exporter.recovers().await;
    });
}

/// Configurations that are not to be taken, each with what it is called.
fn broken(whole: &str) -> Vec<(&'static str, String)> {
    let nine = |name: &str, of: &str| format!("{name}: &{name} [{}]\n", vec![format!("*{of}"); 9].join(", "));
    let mut laughs = "a: &a [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for (name, of) in ["b", "c", "d", "e", "f", "g", "h", "i"].iter().zip(["a", "b", "c", "d", "e", "f", "g", "h"]) {
        laughs += &nine(name, of);
    }
    vec![
        ("half written", whole[..whole.len() - 20].to_owned()),
        ("no text", "\0\u{1}\u{feff}".repeat(100)),
        ("a hundred megabytes", "# comment, and nothing but comment\n".repeat(3_000_000)),
        ("deep", format!("{}{}", "[".repeat(100_000), "]".repeat(100_000))),
        ("a billion laughs", laughs),
    ]
}

#[test]
#[ignore = "needs root, util-linux and iproute2 (tests/real.sh)"]
fn a_configuration_that_is_half_there_changes_nothing() {
    alone("a_configuration_that_is_half_there_changes_nothing", async {
        let good = server(PLAIN).await;
        let whole = configuration(&targets(good.address(), 3));
        let exporter = Program::start_with("", &whole, &["--log.level=error"], Stdio::null()).await;
        exporter.recovers().await;
        let loaded = |metrics: &Answer| metrics.value("mail_exporter_config_last_reload_successful", &[]);
        for (what, text) in broken(&whole) {
            fs::write(&exporter.config, text).unwrap();
            exporter.signal("HUP");
            let began = Instant::now();
            exporter.until(what, |now| loaded(now) == 0.0).await;
            println!("{what:<24} refused within {:.1} s", began.elapsed().as_secs_f64());
            assert_eq!(exporter.recovers().await.value("mail_exporter_endpoints", &[]), 3.0, "{what}");
            fs::write(&exporter.config, &whole).unwrap();
            exporter.signal("HUP");
            exporter.until("loaded", |now| loaded(now) == 1.0).await;
        }
        fs::remove_file(&exporter.config).unwrap();
        exporter.signal("HUP");
        exporter.until("missing", |now| loaded(now) == 0.0).await;
        fs::create_dir(&exporter.config).unwrap();
        exporter.signal("HUP");
        sleep(Duration::from_secs(1)).await;
        assert_eq!(exporter.recovers().await.value("mail_exporter_endpoints", &[]), 3.0);
    });
}

#[test]
#[ignore = "needs root, util-linux and iproute2 (tests/real.sh)"]
fn target_files_swapped_by_a_link_are_taken_whole() {
    alone("target_files_swapped_by_a_link_are_taken_whole", async {
        let good = server(PLAIN).await;
        // As Kubernetes mounts a ConfigMap: files lead through ..data to the folder of a version.
        let mount = folder();
        let version = |name: &str, text: &str| {
            fs::create_dir(mount.join(name)).unwrap();
            fs::write(mount.join(name).join("targets.yml"), text).unwrap();
            symlink(name, mount.join("..new")).unwrap();
            fs::rename(mount.join("..new"), mount.join("..data")).unwrap();
        };
        version("..1", &targets(good.address(), 3));
        symlink("..data/targets.yml", mount.join("targets.yml")).unwrap();
        let config = configuration("").replace("targets:\n", "");
        let config = format!("{config}target_files: ['{}/*.yml']\n", mount.display());
        let exporter = Program::start_with("", &config, &["--log.level=error"], Stdio::null()).await;
        let has = |count: f64| move |now: &Answer| now.value("mail_exporter_endpoints", &[]) == count;
        exporter.until("loaded", has(3.0)).await;
        version("..2", &targets(good.address(), 8));
        exporter.until("swapped", has(8.0)).await;
        let half = targets(good.address(), 20);
        write_slowly(&mount.join("..2/targets.yml"), &half, &exporter).await;
        exporter.until("written to its end", has(20.0)).await;
        fs::remove_file(mount.join("..data")).unwrap();
        exporter.until("away", |now| now.value("mail_exporter_endpoints", &[]) != 20.0 || successes(now) == 20.0).await;
        symlink("..1", mount.join("..data")).unwrap();
        exporter.until("back", has(3.0)).await;
        exporter.recovers().await;
    });
}

/// Writes a file in pieces, none of which ends with a line.
async fn write_slowly(path: &Path, text: &str, exporter: &Program) {
    for end in (1..text.len()).step_by(text.len() / 5) {
        fs::write(path, &text[..end]).unwrap();
        sleep(Duration::from_millis(2100)).await;
        let endpoints = exporter.metrics().await.value("mail_exporter_endpoints", &[]);
        println!("{end:>5} bytes of {}: {endpoints} endpoints", text.len());
    }
    fs::write(path, text).unwrap();
}
