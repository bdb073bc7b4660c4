//! What a probe promises beside its verdict: times, manners, addresses, and a clean end.

#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "a test fails by panicking")]

mod lab;
mod support;

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use lab::{Authority, Identity, Leaf, Options, Script, Server};
use mail_endpoint_exporter::dns::{Answer, Resolver};
use mail_endpoint_exporter::mail::Printable;
use mail_endpoint_exporter::outcome::Outcome;
use mail_endpoint_exporter::phase::Phase;
use mail_endpoint_exporter::prober::Prober;
use support::{config, file, host_and_module, no_names, one_endpoint, probe, run, verdict};
use tokio::time::sleep;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_util::sync::CancellationToken;

const PLAIN: &str = "S: 220 mx ESMTP\nC: EHLO x\nS: 250-mx\nS: 250 SIZE 1000\nC: QUIT\nS: 221 bye\n*close";
const STARTTLS: &str = "S: 220 mx ESMTP\nC: EHLO x\nS: 250-mx\nS: 250-AUTH LOGIN\nS: 250 STARTTLS\nC: STARTTLS\n\
                        S: 220 go\n=== TLS\nC: EHLO x\nS: 250-mx\nS: 250-AUTH PLAIN\nS: 250 SIZE 2000\nC: QUIT\nS: 221 bye\n*close";

fn self_signed() -> Arc<ServerConfig> {
    Identity::self_signed(&Leaf::new("mail.example.org", SystemTime::now())).server_config()
}

fn phases(outcome: &Outcome) -> String {
    outcome.findings.phases.iter().map(|(phase, _)| phase.as_str()).collect::<Vec<_>>().join(" ")
}

fn time(outcome: &Outcome, phase: Phase) -> Duration {
    outcome.findings.phases.iter().find(|(one, _)| *one == phase).map(|(_, time)| *time).unwrap()
}

#[tokio::test]
async fn phases_come_in_order_and_add_up_to_the_whole() {
    let server = Server::start(Script::of(STARTTLS), self_signed().into()).await;
    let outcome = probe(server.address(), "{security: starttls, expect: {certificate: any}}").await;
    assert_eq!(verdict(&outcome), "ok");
    assert_eq!(phases(&outcome), "resolve connect banner ehlo starttls tls ehlo_tls quit");
    let sum: Duration = outcome.findings.phases.iter().map(|(_, time)| *time).sum();
    assert_eq!(sum, outcome.findings.duration);

    let implicit = Script::of(PLAIN).implicit_tls();
    let server = Server::start(implicit, self_signed().into()).await;
    let outcome = probe(server.address(), "{security: tls, expect: {certificate: any}}").await;
    assert_eq!(phases(&outcome), "resolve connect tls banner ehlo quit");
}

#[tokio::test]
async fn a_delay_is_found_in_its_own_phase() {
    let slow = "*sleep 0.15\nS: 220-mx\n*segment\n*sleep 0.15\nS: 220 mx\nC: EHLO x\n*sleep 0.2\nS: 250 mx";
    let server = Server::start(Script::of(slow), Options::default()).await;
    let outcome = probe(server.address(), "{security: plain}").await;
    assert_eq!(verdict(&outcome), "ok");
    assert!(time(&outcome, Phase::Banner) >= Duration::from_millis(300), "the last line of the greeting counts");
    assert!(time(&outcome, Phase::Ehlo) >= Duration::from_millis(200));
    assert!(time(&outcome, Phase::Ehlo) < time(&outcome, Phase::Banner));
}

/// What a server says while the exporter has no time to read is not late.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_busy_exporter_does_not_make_a_server_slow() {
    const BUSY: Duration = Duration::from_millis(400);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (accepted, connection) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || accepted.send(listener.accept().unwrap().0).unwrap());
    let began = Instant::now();
    let probing = tokio::spawn(async move { probe(address, "{security: plain}").await });
    let mut server = connection.await.unwrap();
    // The probe comes to wait for the greeting.
    sleep(Duration::from_millis(50)).await;
    server.write_all(b"220 mx ESMTP\r\n").unwrap();
    let greeted = began.elapsed();
    // It runs in this thread, which has no time for it now.
    std::thread::sleep(BUSY);
    std::thread::spawn(move || {
        let mut lines = BufReader::new(server.try_clone().unwrap()).lines();
        for answer in [&b"250 mx\r\n"[..], b"221 bye\r\n"] {
            lines.next().unwrap().unwrap();
            server.write_all(answer).unwrap();
        }
    });
    let outcome = probing.await.unwrap();
    assert_eq!(verdict(&outcome), "ok");
    let banner = time(&outcome, Phase::Banner);
    assert!(banner <= greeted, "{banner:?} of {greeted:?}");
    let (duration, whole) = (outcome.findings.duration, began.elapsed());
    assert!(duration + BUSY / 2 < whole, "{duration:?} of {whole:?}");
}

/// The kernel holds back the second part of a reply until the first is acknowledged (RFC 9293 §3.7.4), which ours might
/// put off by 40 ms. The quickest of several, for this machine may be busy.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_reply_in_parts_is_not_held_up_by_us() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut server in listener.incoming().map_while(Result::ok) {
            let mut lines = BufReader::new(server.try_clone().unwrap()).lines();
            let _ = server.write_all(b"220 mx ESMTP\r\n");
            for parts in
                [[&b"250-mx\r\n"[..], b"250-HELP\r\n", b"250 SIZE\r\n"], [b"221-a\r\n", b"221-b\r\n", b"221 c\r\n"]]
            {
                let _ = lines.next();
                parts.iter().for_each(|part| drop(server.write_all(part)));
            }
        }
    });
    let mut quickest = [Duration::MAX; 2];
    for _ in 0..10 {
        let outcome = probe(address, "{security: plain}").await;
        assert_eq!(verdict(&outcome), "ok");
        let times = [Phase::Ehlo, Phase::Quit].map(|phase| time(&outcome, phase));
        quickest = [quickest[0].min(times[0]), quickest[1].min(times[1])];
    }
    assert!(quickest.iter().all(|time| *time < Duration::from_millis(30)), "{quickest:?}");
}

#[tokio::test]
async fn the_phase_that_failed_has_its_time_too() {
    let server = Server::start(Script::of("S: 220 mx\nC: EHLO x\n*idle"), Options::default()).await;
    let outcome = probe(server.address(), "{security: plain, timeout: 400ms}").await;
    assert_eq!(phases(&outcome), "resolve connect banner ehlo");
    assert!(time(&outcome, Phase::Ehlo) >= Duration::from_millis(300));
    assert!(outcome.findings.duration < Duration::from_millis(550), "{:?}", outcome.findings.duration);
}

#[tokio::test]
async fn a_phase_that_the_server_ends_by_closing_has_its_time_too() {
    let server = Server::start(Script::of("S: 220 mx\nC: EHLO x\n*sleep 0.3\n*close"), Options::default()).await;
    let outcome = probe(server.address(), "{security: plain}").await;
    assert_eq!(verdict(&outcome), "closed in ehlo");
    assert!(time(&outcome, Phase::Ehlo) >= Duration::from_millis(290));
}

#[tokio::test]
async fn a_source_address_uses_its_own_family_only() {
    let server = Server::start(Script::of(PLAIN), Options::default()).await;
    let config = host_and_module("mx.example", server.address().port(), "{security: plain, source_address: 127.0.0.1}");
    let outcome = run(&config, table("mx.example", &["::1", "127.0.0.1"])).await;
    assert_eq!(verdict(&outcome), "ok");
    assert!(outcome.findings.passed_over.is_empty());
}

#[tokio::test]
async fn what_was_learned_before_tls_is_kept_and_not_judged() {
    let server = Server::start(Script::of(STARTTLS), self_signed().into()).await;
    let module = "{security: starttls, expect: {certificate: any, auth: [PLAIN]}}";
    let outcome = probe(server.address(), module).await;
    assert_eq!(verdict(&outcome), "ok");
    let auth = |offered: &Option<Arc<mail_endpoint_exporter::mail::smtp::capabilities::Capabilities>>| {
        offered.as_ref().unwrap().auth.iter().map(Printable::to_string).collect::<Vec<_>>()
    };
    assert_eq!(auth(&outcome.findings.smtp.clear), ["LOGIN"]);
    assert_eq!(auth(&outcome.findings.smtp.tls), ["PLAIN"]);
}

#[tokio::test]
async fn leave_is_taken_politely_in_success_and_in_failure() {
    let scenes = [
        (PLAIN, "{security: plain}"),
        (STARTTLS, "{security: starttls, expect: {certificate: any}}"),
        (STARTTLS, "{security: starttls}"),
        ("S: 554 no\nC: QUIT\nS: 221 bye", "{security: plain}"),
        ("S: 421 busy\nC: QUIT\nS: 221 bye", "{security: plain}"),
        (
            "S: 220 mx\nC: EHLO x\nS: 250-mx\nS: 250 STARTTLS\nC: STARTTLS\nS: 454 no\nC: QUIT\nS: 221 bye",
            "{security: starttls}",
        ),
    ];
    for (script, module) in scenes {
        let server = Server::start(Script::of(script), self_signed().into()).await;
        probe(server.address(), module).await;
        let session = server.finished(1).await.remove(0);
        assert!(session.quit && session.violations.is_empty(), "{script}: {:?}", session.violations);
        assert!(!session.reset, "{script}: ended by FIN, not RST");
        assert!(session.close_notify || !session.tls, "{script}: TLS is closed before TCP");
    }
}

#[tokio::test]
async fn nothing_is_said_before_the_greeting_is_complete() {
    let server = Server::start(Script::of("S: 220-teaser\n*idle"), Options::default()).await;
    probe(server.address(), "{security: plain, timeout: 300ms}").await;
    let session = server.finished(1).await.remove(0);
    assert!(session.clear.is_empty(), "{:?}", session.lines);
}

#[tokio::test]
async fn an_answer_to_quit_that_never_comes_is_waited_for_two_seconds() {
    let server = Server::start(Script::of("S: 220 mx\nC: EHLO x\nS: 250 mx\nC: QUIT\n*idle"), Options::default()).await;
    let outcome = probe(server.address(), "{security: plain}").await;
    assert_eq!(verdict(&outcome), "ok");
    let quit = time(&outcome, Phase::Quit);
    assert!((Duration::from_secs(2)..Duration::from_secs(3)).contains(&quit), "{quit:?}");
}

#[tokio::test]
async fn a_server_that_knows_only_helo_has_no_extensions() {
    let old = "S: 220 old\nC: EHLO x\nS: 502 what\nC: HELO x\nS: 250-old\nS: 250 SIZE 5\nC: QUIT\nS: 221 bye";
    let server = Server::start(Script::of(old), Options::default()).await;
    let outcome = probe(server.address(), "{security: opportunistic}").await;
    assert_eq!(verdict(&outcome), "ok");
    let clear = outcome.findings.smtp.clear.unwrap();
    assert!(!clear.esmtp && !clear.starttls && clear.size_limit.is_none());
    assert_eq!(server.finished(1).await[0].lines, ["EHLO probe.example.org", "HELO probe.example.org", "QUIT"]);
}

#[tokio::test]
async fn without_a_name_of_its_own_the_probe_gives_its_address() {
    let server = Server::start(Script::of(PLAIN), Options::default()).await;
    let mut config = one_endpoint(server.address(), "{security: plain}");
    let mut endpoint = mail_endpoint_exporter::endpoint::Endpoint::clone(&config.endpoints[0]);
    Arc::make_mut(&mut endpoint.module).ehlo_name = None;
    config.endpoints = vec![Arc::new(endpoint)];
    run(&config, no_names()).await;
    assert_eq!(server.finished(1).await[0].lines[0], "EHLO [127.0.0.1]");
}

#[tokio::test]
async fn trust_names_and_client_certificates_are_as_configured() {
    let (ca, clients) = (Authority::new("Lab CA"), Authority::new("Client CA"));
    let now = SystemTime::now();
    let client = clients.issue(&Leaf { client_auth_only: true, ..Leaf::new("probe.example.org", now) });
    let (ca_file, cert, key) =
        (file("ca.pem", &ca.pem()), file("client.pem", &client.certificate_pem), file("client.key", &client.key_pem));
    let script = Script::of(PLAIN).implicit_tls();
    for versions in [&[&TLS12][..], &[&TLS13]] {
        let tls = ca.issue(&Leaf::new("mail.example.org", now)).server_config_with(versions, Some(&clients));
        let server = Server::start(script.clone(), tls.into()).await;
        let named = format!("security: tls, ca_file: '{}', server_name: mail.example.org", ca_file.display());
        let with = format!("client_certificate: {{cert_file: '{}', key_file: '{}'}}", cert.display(), key.display());
        assert_eq!(verdict(&probe(server.address(), &format!("{{{named}, {with}}}")).await), "ok");
        let session = server.finished(1).await.remove(0);
        assert_eq!(session.server_name.as_deref(), Some("mail.example.org"));
        // TLS 1.3 tells only with the first data that a certificate was wanted.
        let without = probe(server.address(), &format!("{{{named}}}")).await;
        assert_eq!(without.failure.as_ref().unwrap().reason.as_str(), "tls_alert", "{:?}", without.failure);
        assert!(
            without.findings.certificate.unwrap().invalid.is_empty(),
            "the server's certificate is seen all the same"
        );
    }
}

#[tokio::test]
async fn a_self_signed_certificate_named_as_ca_file_is_trusted() {
    let identity = Identity::self_signed(&Leaf::new("mail.example.org", SystemTime::now()));
    let ca_file = file("own.pem", &identity.certificate_pem);
    let server = Server::start(Script::of(PLAIN).implicit_tls(), identity.server_config().into()).await;
    let module = format!("{{security: tls, server_name: mail.example.org, ca_file: '{}'}}", ca_file.display());
    assert_eq!(verdict(&probe(server.address(), &module).await), "ok");
}

#[tokio::test]
async fn an_address_has_no_sni() {
    let server = Server::start(Script::of(PLAIN).implicit_tls(), self_signed().into()).await;
    probe(server.address(), "{security: tls}").await;
    assert_eq!(server.finished(1).await[0].server_name, None);
}

fn table(name: &str, addresses: &[&str]) -> Resolver {
    let addresses: Vec<IpAddr> = addresses.iter().map(|address| address.parse().unwrap()).collect();
    Resolver::Table(HashMap::from([(name.to_owned(), Ok(Answer { addresses, ..Answer::default() }))]))
}

#[tokio::test]
async fn addresses_are_tried_in_order_until_one_connects() {
    let server = Server::start(Script::of(PLAIN), Options::default()).await;
    let config = host_and_module("mx.example", server.address().port(), "{security: plain}");
    let outcome = run(&config, table("mx.example", &["::1", "127.0.0.1", "127.0.0.2"])).await;
    assert_eq!(verdict(&outcome), "ok");
    assert_eq!(outcome.findings.address, Some("127.0.0.1".parse().unwrap()));
    let passed: Vec<IpAddr> = outcome.findings.passed_over.iter().map(|(address, _)| *address).collect();
    assert_eq!(passed, ["::1".parse::<IpAddr>().unwrap()]);
    let dns = outcome.findings.dns.unwrap();
    assert_eq!((dns.ipv4, dns.ipv6), (2, 1));
    assert_eq!(server.sessions().len(), 1);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_hundred_dead_addresses_end_at_the_deadline() {
    let hole = lab::Blackhole::start().await;
    let config = host_and_module("mx.example", hole.address().port(), "{security: plain, timeout: 1s}");
    let began = Instant::now();
    let outcome = run(&config, table("mx.example", &["127.0.0.1"; 100])).await;
    assert_eq!(verdict(&outcome), "timeout in connect");
    assert!(began.elapsed() < Duration::from_millis(1400), "{:?}", began.elapsed());
}

#[tokio::test]
async fn an_address_never_has_more_connections_than_allowed() {
    let slow = "*sleep 0.1\nS: 220 mx\nC: EHLO x\nS: 250 mx\nC: QUIT\nS: 221 bye\n*close";
    let server = Server::start(Script::of(slow), Options::default()).await;
    let config = one_endpoint(server.address(), "{security: plain, timeout: 2s}");
    let prober = Arc::new(Prober::new(no_names(), 2));
    let probes: Vec<_> = (0..10)
        .map(|_| {
            let (prober, endpoint) = (prober.clone(), config.endpoints[0].clone());
            tokio::spawn(async move { prober.probe(endpoint, &CancellationToken::new()).await.unwrap() })
        })
        .collect();
    for probe in probes {
        let outcome = probe.await.unwrap();
        assert_eq!(verdict(&outcome), "ok");
        let waited = time(&outcome, Phase::Connect) + time(&outcome, Phase::Resolve);
        assert!(waited < Duration::from_millis(90), "waiting for a turn is in no phase: {waited:?}");
        assert!(outcome.findings.duration < Duration::from_millis(400), "{:?}", outcome.findings.duration);
    }
    assert_eq!(server.most_at_once(), 2);
}

#[tokio::test]
async fn who_has_no_turn_is_told_which_key_has_a_say_in_it() {
    let server = Server::start(Script::of("*idle"), Options::default()).await;
    let prober = Arc::new(Prober::new(no_names(), 1));
    let endpoint = |timeout| {
        let module = format!("{{security: plain, timeout: {timeout}}}");
        one_endpoint(server.address(), &module).endpoints[0].clone()
    };
    let (first, stays) = (prober.clone(), endpoint("60s"));
    let holder = tokio::spawn(async move { first.probe(stays, &CancellationToken::new()).await });
    while server.sessions().is_empty() {
        sleep(Duration::from_millis(10)).await;
    }
    let outcome = prober.probe(endpoint("300ms"), &CancellationToken::new()).await.unwrap();
    assert_eq!(verdict(&outcome), "local_resource in connect");
    let detail = outcome.failure.unwrap().detail;
    assert!(detail.contains("`max_connections_per_address`"), "{detail}");
    holder.abort();
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn dials_that_hang_do_not_keep_others_waiting() {
    let hole = lab::Blackhole::start().await;
    let server = Server::start(Script::of(PLAIN), Options::default()).await;
    let prober = Arc::new(Prober::new(no_names(), 2));
    let hanging = one_endpoint(hole.address(), "{security: plain, timeout: 5s}");
    for _ in 0..6 {
        let (prober, endpoint) = (prober.clone(), hanging.endpoints[0].clone());
        tokio::spawn(async move { prober.probe(endpoint, &CancellationToken::new()).await });
    }
    sleep(Duration::from_millis(50)).await;
    let began = Instant::now();
    let healthy = one_endpoint(server.address(), "{security: plain}");
    let outcome = prober.probe(healthy.endpoints[0].clone(), &CancellationToken::new()).await.unwrap();
    assert_eq!(verdict(&outcome), "ok");
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_stop_lets_the_conversation_end_politely_and_discards_it() {
    let slow = "S: 220 mx\nC: EHLO x\n*sleep 0.4\nS: 250 mx\nC: QUIT\nS: 221 bye\n*close";
    let server = Server::start(Script::of(slow), Options::default()).await;
    let config = one_endpoint(server.address(), "{security: plain}");
    let stop = CancellationToken::new();
    let (endpoint, token) = (config.endpoints[0].clone(), stop.clone());
    let probe = tokio::spawn(async move { Prober::new(no_names(), 2).probe(endpoint, &token).await });
    sleep(Duration::from_millis(150)).await;
    stop.cancel();
    assert!(probe.await.unwrap().is_none(), "a stopped probe says nothing about the server");
    let session = server.finished(1).await.remove(0);
    assert!(session.quit && session.violations.is_empty(), "{:?}", session.violations);
}

/// The kernel has made the connection, and the probe does not know it yet.
#[tokio::test]
async fn a_connection_that_nobody_has_seen_yet_is_taken_leave_of() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let config = one_endpoint(listener.local_addr().unwrap(), "{security: plain}");
    let heard = std::thread::spawn(move || {
        let mut server = listener.accept().unwrap().0;
        server.write_all(b"220 mx ESMTP\r\n").unwrap();
        BufReader::new(server).lines().next().map(Result::unwrap)
    });
    let stop = CancellationToken::new();
    let (endpoint, token) = (config.endpoints[0].clone(), stop.clone());
    let probe = tokio::spawn(async move { Prober::new(no_names(), 2).probe(endpoint, &token).await });
    // It has its turn right after the probe's first, before the runtime asks the kernel.
    tokio::spawn(async move { stop.cancel() });
    assert!(probe.await.unwrap().is_none());
    assert_eq!(heard.join().unwrap().as_deref(), Some("QUIT"));
}

#[tokio::test]
async fn a_stop_does_not_wait_for_a_silent_server() {
    let server = Server::start(Script::of("*idle"), Options::default()).await;
    let config = one_endpoint(server.address(), "{security: plain}");
    let stop = CancellationToken::new();
    let (endpoint, token) = (config.endpoints[0].clone(), stop.clone());
    let probe = tokio::spawn(async move { Prober::new(no_names(), 2).probe(endpoint, &token).await });
    sleep(Duration::from_millis(100)).await;
    let began = Instant::now();
    stop.cancel();
    assert!(probe.await.unwrap().is_none());
    assert!(began.elapsed() < Duration::from_secs(3));
}

#[tokio::test]
async fn the_dialogue_is_kept_with_its_times() {
    let server = Server::start(Script::of(STARTTLS), self_signed().into()).await;
    let outcome = probe(server.address(), "{security: starttls, expect: {certificate: any}}").await;
    let lines: Vec<&str> = outcome.findings.transcript.lines().map(|line| line.text).collect();
    assert_eq!(lines[..3], ["220 mx ESMTP", "EHLO probe.example.org", "250-mx"]);
    assert!(lines.iter().any(|line| line.starts_with("TLS: TLSv1.3 TLS_")), "{lines:?}");
    assert_eq!(lines.last(), Some(&"221 bye"));
    assert!(outcome.findings.transcript.lines().map(|line| line.at).is_sorted());
}

#[test]
fn limits_of_single_phases_are_read() {
    let config = config("modules: {submission: {phase_timeouts: {connect: 5s, banner: 15s}}}");
    let limits = &config.modules.get("submission").unwrap().phase_timeouts;
    assert_eq!(limits[&Phase::Connect], Duration::from_secs(5));
}
