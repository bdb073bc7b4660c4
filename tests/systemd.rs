//! What systemd sees of the exporter: its messages, its sockets, and its units.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking and opens its own sockets"
)]

mod support;

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use support::{file, folder};

const PROGRAM: &str = env!("CARGO_BIN_EXE_mail_endpoint_exporter");

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// A child that does not outlive its test.
struct Running(Child);

impl Running {
    fn terminate(&self) {
        assert!(Command::new("kill").args(["-TERM", &self.0.id().to_string()]).status().unwrap().success());
    }

    fn ends(&mut self) -> ExitStatus {
        let began = Instant::now();
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status;
            }
            assert!(began.elapsed() < PATIENCE, "it does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn configuration() -> String {
    file("mail.yml", "ehlo_name: probe.example.org\ntargets: []\n").display().to_string()
}

/// What systemd listens on; in a short path, for those of sockets have 107 bytes at most.
struct Manager {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Manager {
    fn new(name: &str) -> Self {
        let path = PathBuf::from(format!("/tmp/mail-{}-{name}", std::process::id()));
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { socket, path }
    }

    /// An exporter that is told of it; systemd sets WATCHDOG_PID too, but other managers do not.
    fn start(&self, watchdog: Option<Duration>) -> Running {
        let mut command = Command::new(PROGRAM);
        command
            .args(["--config.file", &configuration(), "--web.listen-address", "127.0.0.1:0"])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .env("NOTIFY_SOCKET", &self.path)
            .env_remove("WATCHDOG_PID")
            .env_remove("WATCHDOG_USEC");
        if let Some(patience) = watchdog {
            command.env("WATCHDOG_USEC", patience.as_micros().to_string());
        }
        Running(command.spawn().unwrap())
    }

    /// The next message; nothing if none comes.
    fn next(&self) -> Option<String> {
        let mut buffer = [0; 4096];
        let length = self.socket.recv(&mut buffer).ok()?;
        Some(String::from_utf8(buffer[..length].to_vec()).unwrap().trim_end().to_owned())
    }

    /// The messages up to the one awaited.
    fn until(&self, awaited: &str) -> Vec<String> {
        let mut messages = Vec::new();
        let began = Instant::now();
        while messages.last().is_none_or(|message| message != awaited) {
            let next = self.next().filter(|_| began.elapsed() < PATIENCE);
            messages.push(next.unwrap_or_else(|| panic!("no {awaited}: {messages:?}")));
        }
        messages
    }

    /// What has come and was not looked at.
    fn rest(&self) -> Vec<String> {
        self.socket.set_nonblocking(true).unwrap();
        std::iter::from_fn(|| self.next()).collect()
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

#[test]
fn it_says_that_it_serves_that_it_lives_and_that_it_stops() {
    let manager = Manager::new("all");
    let began = Instant::now();
    let mut exporter = manager.start(Some(Duration::from_millis(400)));
    manager.until("READY=1");
    for _ in 0..5 {
        assert_eq!(manager.until("WATCHDOG=1").len(), 1, "nothing else is said while it serves");
    }
    // Twice in the time of the watchdog, the first at once.
    assert!(began.elapsed() >= Duration::from_millis(800), "{:?}", began.elapsed());
    exporter.terminate();
    manager.until("STOPPING=1");
    assert_eq!(exporter.ends().code(), Some(0));
    assert!(!manager.rest().iter().any(|word| word == "STOPPING=1"), "it is said once");
}

#[test]
fn without_a_watchdog_it_does_not_bark() {
    let manager = Manager::new("quiet");
    let mut exporter = manager.start(None);
    assert_eq!(manager.next().as_deref(), Some("READY=1"));
    std::thread::sleep(Duration::from_millis(300));
    exporter.terminate();
    assert_eq!(exporter.ends().code(), Some(0));
    let rest = manager.rest();
    assert!(!rest.contains(&"WATCHDOG=1".to_owned()), "{rest:?}");
}

/// The status line of an answer; an empty one while nobody answers.
fn status(server: SocketAddr, path: &str) -> String {
    let ask = || -> std::io::Result<String> {
        let mut tcp = TcpStream::connect_timeout(&server, PATIENCE)?;
        tcp.set_read_timeout(Some(PATIENCE))?;
        tcp.write_all(format!("GET {path} HTTP/1.0\r\nHost: test\r\n\r\n").as_bytes())?;
        let mut answer = String::new();
        tcp.read_to_string(&mut answer)?;
        Ok(answer.lines().next().unwrap_or_default().to_owned())
    };
    ask().unwrap_or_default()
}

/// `--web.listen-address` names a port that is taken: the exporter that opened it itself would end.
fn taken() -> (TcpListener, String) {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    (taken, address)
}

#[test]
fn it_serves_on_the_sockets_that_it_is_handed() {
    let sockets: Vec<TcpListener> =
        ["127.0.0.1:0", "[::1]:0"].iter().filter_map(|address| TcpListener::bind(address).ok()).collect();
    let addresses: Vec<SocketAddr> = sockets.iter().map(|socket| socket.local_addr().unwrap()).collect();
    let (_taken, other) = taken();
    let count = sockets.len();
    let mut sockets = sockets.into_iter().map(|socket| Stdio::from(OwnedFd::from(socket)));
    // A shell puts them where systemd would: at file descriptor 3 and after it.
    let script =
        "exec 3<&0; [ \"$LISTEN_FDS\" = 1 ] || exec 4<&1; export LISTEN_PID=$$; exec \"$0\" \"$@\" </dev/null >&2";
    let mut command = Command::new("sh");
    command
        .args(["-c", script, PROGRAM, "--config.file", &configuration(), "--web.listen-address", &other])
        .env("LISTEN_FDS", count.to_string())
        .stdin(sockets.next().unwrap())
        .stderr(Stdio::null());
    if let Some(second) = sockets.next() {
        command.stdout(second);
    }
    let mut exporter = Running(command.spawn().unwrap());
    drop(command);
    for address in addresses {
        // The sockets are open from the start: whoever asks waits.
        assert_eq!(status(address, "/-/healthy"), "HTTP/1.0 200 OK", "{address}");
    }
    exporter.terminate();
    assert_eq!(exporter.ends().code(), Some(0));
}

#[test]
#[ignore = "needs systemd-socket-activate (tests/real.sh)"]
fn systemd_hands_over_its_socket() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (_taken, other) = taken();
    let command = Command::new("systemd-socket-activate")
        .args(["-l", &port.to_string(), PROGRAM, "--config.file", &configuration()])
        .args(["--web.listen-address", &other])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let mut exporter = Running(command.unwrap());
    let began = Instant::now();
    // It starts the exporter, as the same process, at the first connection, which the exporter then answers.
    while status(port, "/-/healthy") != "HTTP/1.0 200 OK" {
        assert!(began.elapsed() < PATIENCE, "nobody answers");
        std::thread::sleep(Duration::from_millis(20));
    }
    exporter.terminate();
    assert_eq!(exporter.ends().code(), Some(0));
}

/// The units as installed, but with a program that is there.
fn units() -> (PathBuf, PathBuf) {
    let folder = folder();
    let copy = |kind: &str| {
        let name = format!("mail_endpoint_exporter.{kind}");
        let from = format!("{}/examples/systemd/{name}", env!("CARGO_MANIFEST_DIR"));
        let text = fs::read_to_string(from).unwrap().replace("/usr/local/bin/mail_endpoint_exporter", PROGRAM);
        fs::write(folder.join(&name), text).unwrap();
        folder.join(name)
    };
    (copy("service"), copy("socket"))
}

/// What `systemd-analyze` says, and whether it was content.
fn analyze(arguments: &[&str]) -> (bool, String) {
    let output = Command::new("systemd-analyze").args(arguments).stdin(Stdio::null()).output().unwrap();
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    (output.status.success(), text(&output.stdout) + &text(&output.stderr))
}

#[test]
#[ignore = "needs systemd-analyze (tests/real.sh)"]
fn systemd_has_nothing_to_complain_of() {
    let (service, socket) = units();
    let verified = analyze(&["verify", service.to_str().unwrap(), socket.to_str().unwrap()]);
    assert_eq!(verified, (true, String::new()));
}

#[test]
#[ignore = "needs systemd-analyze (tests/real.sh)"]
fn the_service_is_exposed_little() {
    let (service, _) = units();
    let (ok, text) = analyze(&["security", "--offline=true", "--threshold=20", service.to_str().unwrap()]);
    let line = text.lines().find(|line| line.contains("Overall exposure level")).unwrap_or_else(|| panic!("{text}"));
    let level = line.rsplit_once(": ").unwrap().1.split(' ').next().unwrap();
    assert!(ok && level.parse::<f64>().unwrap() <= 2.0, "{line}");
}
