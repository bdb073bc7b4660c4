//! Probes through proxies that do what a test says: the tunnel, each refusal, and silence; and the PROXY protocol.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking"
)]

mod lab;
mod support;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use lab::{Identity, Leaf, Options, Script, Server, refused_port};
use mail_endpoint_exporter::config::Config;
use mail_endpoint_exporter::outcome::Outcome;
use mail_endpoint_exporter::outcome::port_state::{PortState, port_states};
use support::{Exporter, config, file, host_and_module, no_names, probe, run, verdict};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

const PLAIN: &str = "S: 220 mx\nC: EHLO x\nS: 250 mx\nC: QUIT\nS: 221 bye\n*close";

/// A proxy. On each connection, for each turn it reads so many bytes (0: a head that ends with an empty line), then says something; after the
/// last it is a tunnel to `server`, or silent, or gone.
struct Proxy {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<u8>>>,
    running: JoinHandle<()>,
}

impl Proxy {
    async fn start(turns: &[(usize, &[u8])], then: Then) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let heard: Arc<Mutex<Vec<u8>>> = Arc::default();
        let turns: Vec<(usize, Vec<u8>)> = turns.iter().map(|(length, said)| (*length, said.to_vec())).collect();
        let ear = heard.clone();
        let turns = Arc::new(turns);
        let running = tokio::spawn(async move {
            loop {
                let (tcp, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(tcp, turns.clone(), ear.clone(), then));
            }
        });
        Self { address, heard, running }
    }

    fn heard(&self) -> Vec<u8> {
        self.heard.lock().unwrap().clone()
    }
}

async fn serve(mut tcp: TcpStream, turns: Arc<Vec<(usize, Vec<u8>)>>, ear: Arc<Mutex<Vec<u8>>>, then: Then) {
    for (length, said) in turns.iter() {
        let mut bytes = Vec::new();
        while bytes.len() < (*length).max(1) || (*length == 0 && !bytes.ends_with(b"\r\n\r\n")) {
            let Ok(byte) = tcp.read_u8().await else { return };
            bytes.push(byte);
        }
        ear.lock().unwrap().extend(bytes);
        // Byte by byte, as a slow network may have it.
        for byte in said {
            tcp.write_all(&[*byte]).await.unwrap();
            tokio::task::yield_now().await;
        }
    }
    match then {
        Then::Tunnel(server) => {
            let mut server = TcpStream::connect(server).await.unwrap();
            let _ = copy_bidirectional(&mut tcp, &mut server).await;
        }
        Then::Silence => std::future::pending().await,
        Then::Close => {}
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.running.abort();
    }
}

#[derive(Clone, Copy)]
enum Then {
    Tunnel(SocketAddr),
    Silence,
    Close,
}

fn module(proxy: &Proxy, scheme: &str, more: &str) -> String {
    format!("{{security: plain, timeout: 1s, proxy: '{scheme}{}'{more}}}", proxy.address)
}

fn state(outcome: &Outcome) -> PortState {
    port_states(&[outcome])[0]
}

const NO_LOGIN: (usize, &[u8]) = (3, &[5, 0]);
const CONNECTED: &[u8] = &[5, 0, 0, 1, 127, 0, 0, 1, 0, 99];

#[tokio::test]
async fn through_socks_5() {
    let server = Server::start(Script::of(PLAIN), Options::default()).await;
    let to = server.address();
    let proxy = Proxy::start(&[NO_LOGIN, (10, CONNECTED)], Then::Tunnel(to)).await;
    let outcome = probe(to, &module(&proxy, "socks5://", "")).await;
    assert_eq!(verdict(&outcome), "ok");
    assert_eq!(outcome.findings.address, Some(to.ip()));
    assert_eq!(proxy.heard()[3..], [&[5, 1, 0, 1, 127, 0, 0, 1][..], &to.port().to_be_bytes()].concat());

    // With a password, and the name for the proxy to look up.
    let turns: [(usize, &[u8]); 3] = [(4, &[5, 2]), (12, &[1, 0]), (17, CONNECTED)];
    let proxy = Proxy::start(&turns, Then::Tunnel(to)).await;
    let password = file("password", "hunter2\n");
    let more = format!(", proxy_password_file: '{}'", password.display());
    let yaml = module(&proxy, "socks5h://me@", &more);
    let outcome = run(&host_and_module("mx.example", to.port(), &yaml), no_names()).await;
    assert_eq!(verdict(&outcome), "ok");
    assert_eq!(outcome.findings.address, None, "only the proxy knows it");
    let heard = proxy.heard();
    assert_eq!(heard[4..16], *b"\x01\x02me\x07hunter2");
    assert_eq!(heard[16..], [&[5, 1, 0, 3, 10][..], b"mx.example", &to.port().to_be_bytes()].concat());
    assert!(!format!("{outcome:?}").contains("hunter2"));
}

#[tokio::test]
async fn through_connect() {
    let server = Server::start(Script::of(PLAIN), Options::default()).await;
    let to = server.address();
    let proxy = Proxy::start(&[(0, b"HTTP/1.1 200 ok\r\nVia: p\r\n\r\n")], Then::Tunnel(to)).await;
    let outcome = run(&host_and_module("mx.example", to.port(), &module(&proxy, "http://", "")), no_names()).await;
    assert_eq!(verdict(&outcome), "ok");
    let port = to.port();
    let expected = format!("CONNECT mx.example:{port} HTTP/1.1\r\nHost: mx.example:{port}\r\n\r\n");
    assert_eq!(String::from_utf8(proxy.heard()).unwrap(), expected);
}

/// The second look at a server takes the same way: it never goes round a proxy.
#[tokio::test]
async fn an_old_hello_goes_through_the_proxy_too() {
    let tls = Identity::self_signed(&Leaf::new("mx.example", SystemTime::now())).server_config();
    let later = Some(Arc::new(Script::of("*refuse-tls 70")));
    let options = Options { later, ..tls.into() };
    let server =
        Server::start(Script::of("=== TLS\nS: 220 mx\nC: EHLO x\nS: 250 mx\nC: QUIT\nS: 221 x"), options).await;
    let proxy = Proxy::start(&[NO_LOGIN, (17, CONNECTED)], Then::Tunnel(server.address())).await;
    let yaml = format!(
        "{{security: tls, timeout: 5s, proxy: 'socks5h://{}', expect: {{certificate: any, old_tls: refused}}}}",
        proxy.address
    );
    let outcome = run(&host_and_module("mx.example", 465, &yaml), no_names()).await;
    assert_eq!(verdict(&outcome), "ok", "{:?}", outcome.failure);
    let judged = outcome.judgements.iter().find(|one| one.expectation == "old_tls").expect("an answer");
    assert_eq!(judged.found, "refused by alert 70");
    let asked = [&[5, 1, 0, 5, 1, 0, 3, 10][..], b"mx.example", &465_u16.to_be_bytes()].concat();
    assert_eq!(proxy.heard(), [&asked[..], &asked].concat());
}

#[tokio::test]
async fn whose_fault_it_is() {
    let to: SocketAddr = "127.0.0.1:9".parse().unwrap();
    let reply = |code: u8| [5, code, 0, 1, 0, 0, 0, 0, 0, 0];
    let socks = |code| vec![(3, vec![5, 0]), (10, reply(code).to_vec())];
    let http = |head: &str| vec![(0, format!("HTTP/1.1 {head}\r\n\r\n").into_bytes())];
    for (scheme, turns, then, expected, port) in [
        ("socks5://", socks(5), Then::Close, "refused", PortState::Refused),
        ("socks5://", socks(4), Then::Close, "unreachable", PortState::Unreachable),
        ("socks5://", socks(6), Then::Close, "timeout", PortState::Unreachable),
        ("socks5://", socks(2), Then::Close, "proxy_failed", PortState::Unknown),
        ("socks5://", vec![(3, vec![5, 0xff])], Then::Close, "proxy_failed", PortState::Unknown),
        ("socks5://", vec![], Then::Close, "proxy_failed", PortState::Unknown),
        // Before it is asked for the server, silence is its own; afterwards it may be the server's.
        ("socks5://", vec![], Then::Silence, "proxy_failed", PortState::Unknown),
        ("socks5://", vec![(3, vec![5, 0])], Then::Silence, "timeout", PortState::Unreachable),
        ("http://", http("403 Forbidden"), Then::Close, "proxy_failed", PortState::Unknown),
        ("http://", http("407 Who?"), Then::Close, "proxy_failed", PortState::Unknown),
        ("http://", http("504 Gateway Timeout"), Then::Close, "timeout", PortState::Unreachable),
        ("http://", http("503 x\r\nX-Squid-Error: ERR_CONNECT_FAIL 111"), Then::Close, "refused", PortState::Refused),
        ("http://", http("503 x\r\nX-Squid-Error: ERR_DNS_FAIL 0"), Then::Close, "dns_failed", PortState::Unknown),
    ] {
        let borrowed: Vec<(usize, &[u8])> = turns.iter().map(|(length, said)| (*length, said.as_slice())).collect();
        let proxy = Proxy::start(&borrowed, then).await;
        let outcome = probe(to, &module(&proxy, scheme, "")).await;
        assert_eq!(verdict(&outcome), format!("{expected} in connect"), "{scheme} {turns:?} {:?}", outcome.failure);
        assert_eq!(state(&outcome), port, "{scheme} {turns:?}");
        let detail = outcome.failure.unwrap().detail;
        assert!(detail.contains(&proxy.address.to_string()) || expected == "timeout", "{detail}");
    }
    let nobody = refused_port().await;
    let outcome = probe(to, &format!("{{security: plain, proxy: 'http://{nobody}'}}")).await;
    assert_eq!(verdict(&outcome), "proxy_failed in connect");
    assert_eq!(state(&outcome), PortState::Unknown);
}

#[tokio::test]
async fn a_server_that_expects_the_proxy_protocol() {
    for version in ["v1", "v2"] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let to = listener.local_addr().unwrap();
        let server = tokio::spawn(async move {
            let (mut tcp, peer) = listener.accept().await.unwrap();
            let mut header = Vec::new();
            while !header.ends_with(b"\r\n") || header.len() < 16 {
                header.push(tcp.read_u8().await.unwrap());
                if header.len() == 28 && header.starts_with(b"\r\n\r\n") {
                    break;
                }
            }
            tcp.write_all(b"554 seen\r\n").await.unwrap();
            let mut rest = Vec::new();
            let _ = tcp.read_to_end(&mut rest).await;
            (header, peer)
        });
        let outcome = probe(to, &format!("{{security: plain, proxy_protocol: {version}}}")).await;
        assert_eq!(verdict(&outcome), "permanent_reply in banner");
        let (header, peer) = server.await.unwrap();
        match version {
            "v1" => {
                let line = format!("PROXY TCP4 127.0.0.1 127.0.0.1 {} {}\r\n", peer.port(), to.port());
                assert_eq!(String::from_utf8(header).unwrap(), line);
            }
            _ => assert_eq!(header[24..], [peer.port().to_be_bytes(), to.port().to_be_bytes()].concat()),
        }
    }
}

/// What a configuration says is wrong with the module's proxy; nothing if it is good.
fn problems(proxy: &str) -> String {
    let path = file("mail.yml", &format!("modules: {{m: {{security: plain, {proxy}}}}}\n"));
    let problems = Config::load(&path).err().unwrap_or_default();
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

#[test]
fn a_configuration_that_is_wrong_says_so_without_the_password() {
    let with = |content: &str| {
        let path = file("p", content);
        format!("proxy: 'http://me@p.example:3128', proxy_password_file: '{}'", path.display())
    };
    for good in ["p", "p\n", "p\r\n", " p "] {
        assert_eq!(problems(&with(good)), "", "{good:?}");
    }
    assert_eq!(problems("proxy: 'socks5://me@p.example:1080', proxy_password_env: PATH"), "");
    let folder = format!("proxy: 'http://me@p.example:1', proxy_password_file: '{}'", support::folder().display());
    for (proxy, why) in [
        (with(""), "1 to 255 octets"),
        (with(&"Hunter2".repeat(50)), "1 to 255 octets"),
        (with(&"Hunter2".repeat(5000)), "larger than 16 KiB"),
        (folder, "is no regular file"),
        ("proxy: 'http://me@p:1', proxy_password_file: /no/such/file".into(), "/no/such/file cannot be read"),
        ("proxy: 'http://me@p:1', proxy_password_env: Hunter2".into(), "no name of a variable"),
        ("proxy: 'http://me@p:1', proxy_password_env: NO_SUCH_VARIABLE_HERE".into(), "no variable NO_SUCH_VARIABLE"),
        ("proxy: 'http://me@p:1', proxy_password: Hunter2".into(), "secrets do not stand in the configuration"),
        ("proxy: 'http://me:Hunter2@p:1'".into(), "a password does not belong here"),
        ("proxy: 'http://me@p:1'".into(), "the name has no password"),
        ("proxy: 'http://p:1', proxy_password_env: PATH".into(), "a password needs a name"),
        (
            "proxy: 'http://me@p:1', proxy_password_env: PATH, proxy_password_file: Hunter2".into(),
            "the password is named twice",
        ),
        ("proxy_password_env: PATH".into(), "the password of no proxy"),
        ("proxy: 'socks4://p:1'".into(), "socks5://[user@]host:port"),
        ("proxy: p:1".into(), "this is no proxy"),
        ("proxy: 'http://p'".into(), "the port is missing"),
        ("proxy: 'http://p:70000'".into(), "the port is none"),
        ("proxy_protocol: v3".into(), "write v1, v2"),
    ] {
        let text = problems(&proxy);
        assert!(text.contains(why) && !text.contains("Hunter2"), "{proxy}: {text}");
        assert_eq!(text.lines().count(), 1, "{proxy}: one error for one fault: {text}");
    }
}

/// Whoever may ask `/probe` must not get at what lies behind the proxy.
#[tokio::test]
async fn probes_on_demand_use_a_proxy_for_named_hosts_only() {
    let server = Server::start(Script::of(PLAIN), Options::default()).await;
    let to = server.address();
    let proxy = Proxy::start(&[NO_LOGIN, (10, CONNECTED)], Then::Tunnel(to)).await;
    let yaml = format!(
        "ehlo_name: probe.example.org\nmodules: {{m: {}}}\n\
         targets: [{{host: 127.0.0.1, interval: 1h, ports: [{{port: {}, module: m}}]}}]\n\
         probe_endpoint: {{allow: [127.0.0.0/8, intranet.example], ports: [25]}}\n",
        module(&proxy, "socks5://", ""),
        to.port()
    );
    let exporter = Exporter::start(&config(&yaml)).await;
    exporter.first_round().await;
    let before = proxy.heard().len();
    for stranger in ["127.0.0.2:25", "intranet.example:25"] {
        let answer = exporter.get(&format!("/probe?target={stranger}&module=m")).await;
        assert_eq!(answer.status, 403, "{stranger}: {}", answer.body);
        assert!(answer.body.contains("only for hosts that the configuration names"), "{}", answer.body);
    }
    assert_eq!(proxy.heard().len(), before, "the proxy has heard nothing of it");
    let answer = exporter.get(&format!("/probe?target={to}&module=m")).await;
    assert_eq!((answer.status, answer.value("probe_success", &[])), (200, 1.0), "{}", answer.body);
    assert!(proxy.heard().len() > before);
    exporter.stop().await;
}
