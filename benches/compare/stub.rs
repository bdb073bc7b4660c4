//! The server: STARTTLS and what follows, with a delay before each answer that is planned in advance.
//!
//! The delays are kept by a thread of its own, since the timers of the runtime count in milliseconds. How
//! late the server was all the same is noted, so that nobody else is blamed for it. It stands for another machine: where
//! the processor is fought for, it comes before everybody else (`chrt`), as far as the system lets it.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt::Write as _;
use std::io::{self, BufRead as _};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256;

use crate::lab::{Authority, Leaf};
use crate::process::{Role, folder};

/// The name in the certificate.
pub(crate) const NAME: &str = "mail.bench.test";

const GREETING: &[u8] = b"220 mail.bench.test ESMTP Postfix\r\n";
const CLEAR: &[u8] = b"250-mail.bench.test\r\n250-PIPELINING\r\n250-SIZE 52428800\r\n250-ETRN\r\n250-STARTTLS\r\n\
    250-ENHANCEDSTATUSCODES\r\n250-8BITMIME\r\n250-DSN\r\n250-SMTPUTF8\r\n250 CHUNKING\r\n";
const TLS: &[u8] = b"250-mail.bench.test\r\n250-PIPELINING\r\n250-SIZE 52428800\r\n250-ETRN\r\n\
    250-AUTH PLAIN LOGIN\r\n250-ENHANCEDSTATUSCODES\r\n250-8BITMIME\r\n250-DSN\r\n250-SMTPUTF8\r\n250 CHUNKING\r\n";

/// The phases that have a planned delay, as the metrics call them.
pub(crate) const PHASES: [&str; 6] = ["banner", "ehlo", "starttls", "tls", "ehlo_tls", "quit"];

/// The server as its parent sees it.
pub(crate) struct Stub {
    role: Role,
    pub(crate) port: u16,
    pub(crate) ca: PathBuf,
}

impl Stub {
    /// A server that answers at once.
    pub(crate) fn start() -> Stub {
        Self::with_delays([0; 6])
    }

    /// One that waits so many milliseconds in each of [`PHASES`].
    pub(crate) fn with_delays(millis: [u64; 6]) -> Stub {
        let plan = millis.map(|one| one.to_string()).join(",");
        let start = if millis == [0; 6] { Role::start } else { Role::start_first };
        let mut role = start(&["stub", &plan]);
        let line = role.line();
        let (port, ca) = line.split_once(' ').unwrap();
        Stub { port: port.parse().unwrap(), ca: ca.into(), role }
    }

    /// How many conversations came to their end.
    pub(crate) fn sessions(&mut self) -> u64 {
        self.role.ask("sessions").parse().unwrap()
    }

    /// Forgets when the first connection came.
    pub(crate) fn forget(&mut self) {
        self.role.ask("forget");
    }

    /// When the first connection since then came; `None` if there was none.
    pub(crate) fn first(&mut self) -> Option<SystemTime> {
        let nanos: u64 = self.role.ask("first").parse().unwrap();
        (nanos > 0).then(|| UNIX_EPOCH + Duration::from_nanos(nanos))
    }

    /// How much later than planned it answered, in seconds: the median and the 99th percentile of each phase.
    pub(crate) fn lateness(&mut self) -> Vec<(f64, f64)> {
        let numbers: Vec<f64> = self.role.ask("lateness").split(' ').map(|n| n.parse().unwrap()).collect();
        numbers.chunks(2).map(|pair| (pair[0], pair[1])).collect()
    }
}

#[derive(Default)]
struct Shared {
    delays: [Duration; 6],
    sessions: AtomicU64,
    first: AtomicU64,
    late: Mutex<[Vec<f64>; 6]>,
    clock: Clock,
}

/// The role itself: serves until its standard input ends.
pub(crate) fn play(plan: &str) {
    let millis: Vec<u64> = plan.split(',').map(|n| n.parse().unwrap()).collect();
    let delays = <[u64; 6]>::try_from(millis).unwrap().map(Duration::from_millis);
    let shared = Arc::new(Shared { delays, ..Shared::default() });
    let root = Authority::new("Bench Root");
    let identity = root.intermediate("Bench CA").issue(&Leaf::new(NAME, SystemTime::now()));
    let ca = folder().join("ca.pem");
    std::fs::write(&ca, root.pem()).unwrap();
    // The one that everybody must have (RFC 8446 §9.1): left to choose, each client would pay for another.
    let tls = TlsAcceptor::from(identity.server_config_of(TLS13_AES_128_GCM_SHA256));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let listener = runtime.block_on(TcpListener::bind("0.0.0.0:0")).unwrap();
    println!("{} {}", listener.local_addr().unwrap().port(), ca.display());
    let clock = shared.clone();
    std::thread::spawn(move || clock.clock.run());
    runtime.spawn(serve(listener, tls, shared.clone()));
    for question in io::stdin().lock().lines() {
        println!("{}", answer(&shared, &question.unwrap()));
    }
}

fn answer(shared: &Shared, question: &str) -> String {
    match question {
        "sessions" => shared.sessions.load(Ordering::SeqCst).to_string(),
        "forget" => {
            shared.first.store(0, Ordering::SeqCst);
            *shared.late.lock().unwrap() = Default::default();
            "forgotten".into()
        }
        "first" => shared.first.load(Ordering::SeqCst).to_string(),
        _ => {
            let mut out = String::new();
            for values in shared.late.lock().unwrap().iter_mut() {
                values.push(0.0);
                let (median, high) = (crate::quantile(values, 0.5), crate::quantile(values, 0.99));
                write!(out, "{median} {high} ").unwrap();
            }
            out.trim_end().to_owned()
        }
    }
}

async fn serve(listener: TcpListener, tls: TlsAcceptor, shared: Arc<Shared>) {
    loop {
        let Ok((tcp, _)) = listener.accept().await else { continue };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
        // Only the first is kept.
        let _ = shared.first.compare_exchange(0, now, Ordering::SeqCst, Ordering::SeqCst);
        let (tls, shared) = (tls.clone(), shared.clone());
        tokio::spawn(async move {
            // A client that breaks off is not counted.
            if session(tcp, &tls, &shared).await.is_ok() {
                shared.sessions.fetch_add(1, Ordering::SeqCst);
            }
        });
    }
}

async fn session(tcp: TcpStream, tls: &TlsAcceptor, shared: &Shared) -> io::Result<()> {
    tcp.set_nodelay(true)?;
    let mut clear = BufReader::new(tcp);
    shared.wait(0).await;
    clear.write_all(GREETING).await?;
    exchange(&mut clear, shared, 1, CLEAR).await?;
    exchange(&mut clear, shared, 2, b"220 2.0.0 Ready to start TLS\r\n").await?;
    // Whoever is slow to say hello has not been waiting.
    clear.get_ref().readable().await?;
    shared.wait(3).await;
    let mut secure = BufReader::new(tls.accept(clear.into_inner()).await?);
    exchange(&mut secure, shared, 4, TLS).await?;
    exchange(&mut secure, shared, 5, b"221 2.0.0 Bye\r\n").await?;
    secure.shutdown().await
}

async fn exchange<S>(stream: &mut BufReader<S>, shared: &Shared, phase: usize, answer: &[u8]) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut command = String::new();
    if stream.read_line(&mut command).await? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    shared.wait(phase).await;
    stream.write_all(answer).await?;
    stream.flush().await
}

impl Shared {
    async fn wait(&self, phase: usize) {
        let delay = self.delays[phase];
        if delay.is_zero() {
            return;
        }
        let due = Instant::now() + delay;
        self.clock.until(due).await;
        let late = due.elapsed().as_secs_f64();
        self.late.lock().unwrap()[phase].push(late);
    }
}

/// A timer as exact as the system's.
#[derive(Default)]
struct Clock {
    waiting: Mutex<BinaryHeap<Reverse<Alarm>>>,
    earlier: Condvar,
}

struct Alarm {
    at: Instant,
    ring: oneshot::Sender<()>,
}

impl Clock {
    async fn until(&self, at: Instant) {
        let (ring, rung) = oneshot::channel();
        self.set(Alarm { at, ring });
        // The clock never goes away before those who wait.
        let _ = rung.await;
    }

    fn set(&self, alarm: Alarm) {
        let mut waiting = self.waiting.lock().unwrap();
        let is_next = waiting.peek().is_none_or(|Reverse(next)| alarm < *next);
        waiting.push(Reverse(alarm));
        if is_next {
            self.earlier.notify_one();
        }
    }

    fn run(&self) {
        let mut waiting = self.waiting.lock().unwrap();
        loop {
            let now = Instant::now();
            match waiting.peek().map(|Reverse(alarm)| alarm.at.saturating_duration_since(now)) {
                None => waiting = self.earlier.wait(waiting).unwrap(),
                Some(left) if left.is_zero() => {
                    if let Some(Reverse(alarm)) = waiting.pop() {
                        // Whoever waited may have been cut off.
                        let _ = alarm.ring.send(());
                    }
                }
                Some(left) => waiting = self.earlier.wait_timeout(waiting, left).unwrap().0,
            }
        }
    }
}

impl PartialEq for Alarm {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl Eq for Alarm {}

impl PartialOrd for Alarm {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Alarm {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.at.cmp(&other.at)
    }
}
