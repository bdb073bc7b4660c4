//! A listening server that plays its script to every client.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::rustls::ServerConfig;

use super::session::Session;
use super::{Chunking, Script, SessionLog};

/// How a script is played.
#[derive(Clone, Default)]
pub struct Options {
    /// `None`: a handshake the script asks for is a close.
    pub tls: Option<Arc<ServerConfig>>,
    pub chunking: Chunking,
    /// Default: a free port of 127.0.0.1.
    pub bind: Option<SocketAddr>,
    /// What all clients but the first hear, if it is not the script itself.
    pub later: Option<Arc<Script>>,
    /// Keeps no logs: for a server that runs for days.
    pub forget: bool,
}

impl From<Arc<ServerConfig>> for Options {
    fn from(config: Arc<ServerConfig>) -> Options {
        Options { tls: Some(config), ..Options::default() }
    }
}

/// A server on loopback; it stops, conversations and all, when dropped.
pub struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    listening: JoinHandle<()>,
}

/// What the listener and its owner share.
struct Shared {
    scene: Mutex<(Arc<Script>, Options)>,
    logs: Mutex<Vec<Arc<Mutex<SessionLog>>>>,
    served: AtomicBool,
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Server {
    /// Listens, and plays `script` to each client from the start.
    pub async fn start(script: Script, options: Options) -> Server {
        let bind = options.bind.unwrap_or(([127, 0, 0, 1], 0).into());
        let listener = TcpListener::bind(bind).await;
        let listener = listener.unwrap_or_else(|error| panic!("{bind}: {error}"));
        let shared = Arc::new(Shared {
            scene: Mutex::new((Arc::new(script), options)),
            logs: Mutex::default(),
            served: AtomicBool::new(false),
            now: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
        });
        Server {
            address: listener.local_addr().unwrap(),
            shared: shared.clone(),
            listening: tokio::spawn(listen(listener, shared)),
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From the next client on, another script and another TLS (its certificate was renewed, say).
    pub fn change(&self, script: Script, tls: Option<Arc<ServerConfig>>) {
        let mut scene = self.shared.scene.lock().unwrap();
        scene.0 = Arc::new(script);
        scene.1.tls = tls;
    }

    /// Every conversation so far, those still going on too.
    pub fn sessions(&self) -> Vec<SessionLog> {
        let logs = self.shared.logs.lock().unwrap();
        logs.iter().map(|log| log.lock().unwrap().clone()).collect()
    }

    /// Waits until at least `count` conversations have ended and gives all of them.
    pub async fn finished(&self, count: usize) -> Vec<SessionLog> {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let sessions = self.sessions();
            if sessions.iter().filter(|log| log.finished).count() >= count {
                return sessions;
            }
            assert!(Instant::now() < deadline, "not finished: {sessions:#?}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// The most conversations there ever were at one time.
    pub fn most_at_once(&self) -> usize {
        self.shared.most.load(Ordering::SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn listen(listener: TcpListener, shared: Arc<Shared>) {
    let mut sessions = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => if let Ok((tcp, peer)) = accepted {
                sessions.spawn(serve(tcp, peer, shared.clone()));
            },
            Some(_) = sessions.join_next() => {}
        }
    }
}

async fn serve(tcp: TcpStream, peer: SocketAddr, shared: Arc<Shared>) {
    let log = Arc::new(Mutex::new(SessionLog::new(peer)));
    let (script, options) = shared.scene.lock().unwrap().clone();
    if !options.forget {
        shared.logs.lock().unwrap().push(log.clone());
    }
    let first = !shared.served.swap(true, Ordering::SeqCst);
    let script = options.later.clone().filter(|_| !first).unwrap_or(script);
    let now = shared.now.fetch_add(1, Ordering::SeqCst) + 1;
    shared.most.fetch_max(now, Ordering::SeqCst);
    Session::new(tcp, script, options, log.clone()).run().await;
    shared.now.fetch_sub(1, Ordering::SeqCst);
    log.lock().unwrap().finished = true;
}
