//! Manners towards servers, over all probes together: how many connections, and how often.

#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "a test fails by panicking")]

mod lab;
mod support;

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use lab::{Options, Script, Server};
use support::{Exporter, config};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

/// When a connection was accepted, and when its client had left.
type Stay = (Instant, Instant);

/// A server that takes half a second for each client, on so many ports of one address.
async fn slow_ports(address: IpAddr, ports: usize, stays: &Arc<Mutex<Vec<Stay>>>) -> Option<Vec<u16>> {
    let mut bound = Vec::new();
    for _ in 0..ports {
        let listener = TcpListener::bind(SocketAddr::new(address, 0)).await.ok()?;
        bound.push(listener.local_addr().unwrap().port());
        let stays = stays.clone();
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let (began, stays) = (Instant::now(), stays.clone());
                tokio::spawn(async move {
                    converse(tcp).await;
                    stays.lock().unwrap().push((began, Instant::now()));
                });
            }
        });
    }
    Some(bound)
}

async fn converse(mut tcp: TcpStream) {
    sleep(Duration::from_millis(500)).await;
    let mut heard = [0; 512];
    for reply in ["220 mx\r\n", "250 mx\r\n", "221 bye\r\n"] {
        if tcp.write_all(reply.as_bytes()).await.is_err() || matches!(tcp.read(&mut heard).await, Ok(0) | Err(_)) {
            break;
        }
    }
    while matches!(tcp.read(&mut heard).await, Ok(length) if length > 0) {}
}

/// The most stays at one time; one that had as good as ended when another began does not count.
fn most_at_once(stays: &[Stay]) -> usize {
    // A client leaves before its server notices, and a busy machine notices late.
    let tolerance = Duration::from_millis(400);
    let during = |at: Instant| stays.iter().filter(|(began, ended)| *began <= at && at + tolerance < *ended).count();
    stays.iter().map(|(began, _)| during(*began)).max().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_connections_to_an_address_at_most_over_all_endpoints_ports_and_families() {
    let stays: [Arc<Mutex<Vec<Stay>>>; 2] = Default::default();
    let mut targets = String::new();
    let mut used = 0;
    for (host, stays) in ["127.0.0.1", "::1"].into_iter().zip(&stays) {
        let Some(ports) = slow_ports(host.parse().unwrap(), 4, stays).await else { continue };
        used += 1;
        let ports: Vec<String> = ports.iter().map(|port| format!("{{port: {port}, module: m}}")).collect();
        for name in ["a", "b", "c"] {
            targets += &format!("- {{name: '{name} {host}', host: '{host}', ports: [{}]}}\n", ports.join(", "));
        }
    }
    let yaml = format!("interval: 200ms\nmodules: {{m: {{security: plain}}}}\ntargets:\n{targets}");
    let exporter = Exporter::start(&config(&yaml)).await;
    exporter.first_round().await;
    sleep(Duration::from_secs(2)).await;
    exporter.stop().await;
    for stays in &stays[..used] {
        let stays = stays.lock().unwrap();
        assert!(stays.len() >= 12, "each of 12 endpoints was probed: {}", stays.len());
        assert_eq!(most_at_once(&stays), 2, "{} connections", stays.len());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_turns_us_away_is_probed_more_rarely_until_it_lets_us_in() {
    let server = Server::start(Script::of("S: 421 4.7.0 busy\nC: QUIT\nS: 221 bye\n*close"), Options::default()).await;
    let port = server.address().port();
    let yaml = format!(
        "interval: 200ms\nmodules: {{m: {{security: plain}}}}\n\
         targets: [{{name: t, host: 127.0.0.1, ports: [{{port: {port}, module: m}}]}}]\n"
    );
    let exporter = Exporter::start(&config(&yaml)).await;
    exporter.first_round().await;
    let figure = async |name| exporter.get("/metrics").await.value(name, &[]);
    // 30 intervals: probes after 1, 2, 4, 8, 8 of them.
    sleep(Duration::from_secs(6)).await;
    let attempts = figure("mail_probe_attempts_total").await;
    assert!((3.0..=9.0).contains(&attempts), "{attempts} probes of a server that wants none");
    assert!((figure("mail_probe_current_interval_seconds").await - 1.6).abs() < 1e-9, "8 intervals");
    server.change(Script::of("S: 220 mx\nC: EHLO x\nS: 250 mx\nC: QUIT\nS: 221 bye\n*close"), None);
    for _ in 0..100 {
        if figure("mail_probe_success").await > 0.5 {
            break;
        }
        sleep(Duration::from_millis(100)).await;
    }
    let before = figure("mail_probe_attempts_total").await;
    sleep(Duration::from_secs(3)).await;
    assert!(figure("mail_probe_attempts_total").await >= before + 3.0, "at its usual times again");
    assert!((figure("mail_probe_current_interval_seconds").await - 0.2).abs() < 1e-9);
    exporter.stop().await;
}
