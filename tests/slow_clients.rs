//! Clients that dawdle, flood or never read: neither probing nor other scrapes may stop.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking"
)]

mod lab;
mod support;

use std::time::Duration;

use lab::{Options, Script, Server};
use support::{Exporter, config};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{sleep, timeout};

const PLAIN: &str = "S: 220 mx ESMTP\nC: EHLO x\nS: 250 mx\nC: QUIT\nS: 221 bye\n*close";

/// An exporter that probes this many endpoints every 200 ms.
async fn exporter(server: &Server, endpoints: usize) -> Exporter {
    let port = server.address().port();
    let targets: String = (0..endpoints)
        .map(|number| format!("- {{name: t{number}, host: 127.0.0.1, ports: [{{port: {port}, module: clear}}]}}\n"))
        .collect();
    let yaml = format!(
        "interval: 200ms\nmax_connections_per_address: 50\nmodules: {{clear: {{security: plain}}}}\ntargets:\n{targets}"
    );
    let exporter = Exporter::start(&config(&yaml)).await;
    exporter.first_round().await;
    exporter
}

/// A scrape answers though others are slow, and probes have gone on.
async fn lives(exporter: &Exporter) {
    let attempts = |exporter: &Exporter| -> u64 {
        exporter.store.snapshot().endpoints.iter().map(|history| history.attempts).sum()
    };
    let before = attempts(exporter);
    // Far less than the slow ones are given, and far more than a busy machine needs.
    let answer = timeout(Duration::from_secs(15), exporter.get("/metrics")).await.expect("a scrape within 15 s");
    assert_eq!(answer.status, 200);
    sleep(Duration::from_millis(500)).await;
    assert!(attempts(exporter) > before, "probing goes on");
}

async fn server() -> Server {
    Server::start(Script::of(PLAIN), Options { forget: true, ..Options::default() }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_idle_connections() {
    let server = server().await;
    let exporter = exporter(&server, 5).await;
    let mut idle = Vec::new();
    for number in 0..10_000 {
        // Some say nothing, some begin a request and stop.
        let Ok(Ok(mut tcp)) = timeout(Duration::from_secs(2), TcpStream::connect(exporter.address)).await else {
            break;
        };
        if number % 3 == 0 {
            let _ = tcp.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n").await;
        }
        idle.push(tcp);
        // The test's own descriptors have a limit too: the oldest ones go, as the exporter lets them go.
        if idle.len() > 700 {
            idle.drain(..100);
        }
        if number % 2500 == 2499 {
            lives(&exporter).await;
        }
    }
    lives(&exporter).await;
    exporter.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_that_come_drop_by_drop() {
    let server = server().await;
    let exporter = exporter(&server, 2).await;
    for _ in 0..100 {
        let address = exporter.address;
        tokio::spawn(async move {
            let mut tcp = TcpStream::connect(address).await.unwrap();
            for byte in b"GET /metrics HTTP/1.1\r\nX-Slow: ".iter().cycle() {
                if tcp.write_all(&[*byte]).await.is_err() {
                    break;
                }
                sleep(Duration::from_millis(20)).await;
            }
        });
    }
    sleep(Duration::from_millis(300)).await;
    lives(&exporter).await;
    exporter.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn huge_heads_are_refused() {
    let server = server().await;
    let exporter = exporter(&server, 1).await;
    for head in [
        format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(1_000_000)),
        format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(1_000_000)),
        format!("GET / HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(100_000)),
    ] {
        let mut tcp = TcpStream::connect(exporter.address).await.unwrap();
        let _ = tcp.write_all(head.as_bytes()).await;
        let mut answer = Vec::new();
        let _ = timeout(Duration::from_secs(5), tcp.read_to_end(&mut answer)).await.expect("an end within 5 s");
        let first = String::from_utf8_lossy(&answer).lines().next().unwrap_or_default().to_owned();
        assert!(first.is_empty() || first.contains(" 4"), "{first}");
    }
    lives(&exporter).await;
    exporter.stop().await;
}

/// A client that asks for the metrics and lets hardly any of them into its buffers. The answer has begun.
async fn scrape(exporter: &Exporter) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut tcp = socket.connect(exporter.address).await.unwrap();
    tcp.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
    let begun = timeout(Duration::from_secs(30), tcp.read_u8()).await.expect("an answer within 30 s");
    assert_eq!(begun.unwrap(), b'H');
    tcp
}

/// Whether all the rest of the answer comes.
async fn is_whole(mut tcp: TcpStream) -> bool {
    let mut rest = Vec::new();
    let read = timeout(Duration::from_secs(60), tcp.read_to_end(&mut rest)).await.expect("an end within a minute");
    read.is_ok() && rest.ends_with(b"\r\n0\r\n\r\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scrape_under_way_is_not_idle() {
    let server = server().await;
    let exporter = exporter(&server, 400).await;
    let under_way = scrape(&exporter).await;
    let mut idle = Vec::new();
    for _ in 0..600 {
        idle.push(TcpStream::connect(exporter.address).await.unwrap());
    }
    lives(&exporter).await;
    assert!(is_whole(under_way).await);
    exporter.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_that_nobody_reads_are_let_go() {
    const MUCH: usize = 64 * 1024 * 1024;
    // What the system may take of each.
    const SYSTEM: usize = 4 * 1024 * 1024;
    let server = server().await;
    let exporter = exporter(&server, 1000).await;
    let may_lie_there = MUCH / (exporter.get("/metrics").await.body.len() - SYSTEM) + 1;
    let mut deaf = Vec::new();
    for _ in 0..2 * may_lie_there {
        deaf.push(scrape(&exporter).await);
    }
    lives(&exporter).await;
    let mut whole = 0;
    for tcp in deaf {
        whole += usize::from(is_whole(tcp).await);
    }
    assert!((1..may_lie_there * 3 / 2).contains(&whole), "{whole} pages lay there, {may_lie_there} may");
    exporter.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_never_read() {
    let server = server().await;
    let exporter = exporter(&server, 200).await;
    let mut deaf = Vec::new();
    for _ in 0..600 {
        let mut tcp = TcpStream::connect(exporter.address).await.unwrap();
        tcp.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        deaf.push(tcp);
    }
    lives(&exporter).await;
    exporter.stop().await;
}
