//! What a row of the table is, and how it is played.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, Instant, SystemTime};

use mail_endpoint_exporter::cert::name::ServerName;
use mail_endpoint_exporter::dns::Resolver;
use mail_endpoint_exporter::endpoint::Endpoint;
use mail_endpoint_exporter::outcome::Outcome;
use mail_endpoint_exporter::prober::Prober;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_rustls::rustls::ServerConfig;
use tokio_util::sync::CancellationToken;

use crate::facts;
use crate::lab::{Chunking, Identity, Leaf, Options, Script, Server, Step};
use crate::rules;
use crate::support::{self, verdict};

/// How many plays run at once: enough that silence costs little, few enough for two slow cores.
const AT_ONCE: usize = 12;

/// Modules. A row that waits for silence has little time for the phase it is about; everything else has more than a
/// busy machine needs.
pub const PLAIN: &str = "{security: plain, timeout: 30s}";
pub const SHORT: &str = "{security: plain, timeout: 1500ms}";
pub const SHORT_BANNER: &str = "{security: plain, timeout: 30s, phase_timeouts: {banner: 800ms}}";
pub const SHORT_EHLO: &str = "{security: plain, timeout: 30s, phase_timeouts: {ehlo: 800ms}}";
pub const OPPORTUNISTIC: &str = "{security: opportunistic, timeout: 30s}";
pub const STARTTLS: &str = "{security: starttls, timeout: 30s, expect: {certificate: any}}";
pub const TLS: &str = "{security: tls, timeout: 30s, expect: {certificate: any}}";
pub const SHORT_TLS: &str = "{security: tls, timeout: 30s, phase_timeouts: {tls: 800ms}}";

/// One fault.
pub struct Row {
    /// Its number in the catalogue; a fault with several faces has several rows.
    pub id: &'static str,
    /// What happens.
    pub what: &'static str,
    /// Who does it.
    peer: Peer,
    module: &'static str,
    /// `ok`, or `reason in phase`.
    pub ends: &'static str,
    /// What is known afterwards, as [`facts::kept`] writes it.
    pub kept: &'static str,
    /// The commands the probe sent.
    pub said: &'static str,
    cuts: Cuts,
    /// The server takes no part in the end: it neither reads nor sees that the probe has gone.
    pub deaf: bool,
}

/// How the server's words are cut.
enum Cuts {
    Whole,
    /// One byte a segment.
    PerByte,
    /// Once, at every place in turn.
    Everywhere,
}

/// Who the probe meets.
pub enum Peer {
    /// A server for each script; all of them must end the same.
    Scripts(Vec<String>),
    /// Whatever else.
    Stage(fn() -> Staging),
}

pub type Staging = Pin<Box<dyn Future<Output = Stage> + Send>>;

/// A place that is no single server on loopback.
pub struct Stage {
    pub host: String,
    pub port: u16,
    pub resolver: Resolver,
    /// Whose log is looked at.
    pub server: Option<Server>,
    /// Lives as long as the play.
    pub keep: Box<dyn Any + Send>,
}

impl Stage {
    /// An address without a server that keeps a log.
    pub fn at(address: SocketAddr, keep: impl Any + Send) -> Stage {
        let (host, port) = (address.ip().to_string(), address.port());
        Stage { host, port, resolver: support::no_names(), server: None, keep: Box::new(keep) }
    }
}

impl From<&str> for Peer {
    fn from(script: &str) -> Peer {
        Peer::Scripts(vec![script.to_owned()])
    }
}

impl From<Vec<String>> for Peer {
    fn from(scripts: Vec<String>) -> Peer {
        Peer::Scripts(scripts)
    }
}

/// A script for each reply, in many lines, that fills to the octet what a probe reads at once, or what a TLS record
/// holds: `before`, the reply with this last line, and `behind` in its segment.
pub fn filling(before: &str, code: &str, last: &str, behind: &str) -> Vec<String> {
    let reply = |octets: usize| {
        let mut left = octets - "250 \r\n".len() - last.len();
        let mut lines = String::new();
        while left > 0 {
            let next = if left > 600 { 500 } else { left };
            lines += &format!("S: {code}-{}\n", "x".repeat(next - "250-\r\n".len()));
            left -= next;
        }
        format!("{before}{lines}S: {code} {last}\n{behind}")
    };
    [4096, 16384].map(reply).to_vec()
}

/// A row; it ends as `ends` says, keeps `kept` and says `said`.
pub fn row(
    id: &'static str,
    what: &'static str,
    peer: impl Into<Peer>,
    module: &'static str,
    ends: &'static str,
    kept: &'static str,
    said: &'static str,
) -> Row {
    Row { id, what, peer: peer.into(), module, ends, kept, said, cuts: Cuts::Whole, deaf: false }
}

impl Row {
    pub fn per_byte(self) -> Row {
        Row { cuts: Cuts::PerByte, ..self }
    }

    pub fn cut_everywhere(self) -> Row {
        Row { cuts: Cuts::Everywhere, ..self }
    }

    pub fn deaf(self) -> Row {
        Row { deaf: true, ..self }
    }

    fn chunkings(&self, script: &str) -> Vec<Chunking> {
        match self.cuts {
            Cuts::Whole => vec![Chunking::Whole],
            Cuts::PerByte => vec![Chunking::PerByte],
            Cuts::Everywhere => (1..words(script)).map(Chunking::SplitAt).collect(),
        }
    }
}

/// How many bytes a script's server says.
fn words(script: &str) -> usize {
    let said = |step: &Step| if let Step::Send(bytes) = step { bytes.len() } else { 0 };
    Script::of(script).steps.iter().map(said).sum()
}

/// Plays the rows, many at a time, and tells everything that is wrong with them at once.
pub async fn play(rows: Vec<Row>) {
    let wanted = std::env::var("FAULT").ok();
    let (places, mut plays) = (Arc::new(Semaphore::new(AT_ONCE)), JoinSet::new());
    let ports = Arc::new(Mutex::new(BTreeSet::new()));
    for row in rows.into_iter().filter(|row| wanted.as_deref().is_none_or(|wanted| wanted == row.id)) {
        let row = Arc::new(row);
        let scenes: Vec<Scene> = match &row.peer {
            Peer::Stage(stage) => vec![Scene::Stage(*stage)],
            Peer::Scripts(scripts) => scripts
                .iter()
                .flat_map(|script| row.chunkings(script).into_iter().map(|cut| Scene::Script(script.clone(), cut)))
                .collect(),
        };
        for scene in scenes {
            let (row, places, ports) = (row.clone(), places.clone(), ports.clone());
            plays.spawn(async move {
                let _place = places.acquire_owned().await.unwrap();
                row.play(scene, &ports).await
            });
        }
    }
    let mut wrong: Vec<String> = plays.join_all().await.into_iter().flatten().collect();
    wrong.sort();
    wrong.dedup();
    assert!(wrong.is_empty(), "{} faults end otherwise:\n{}", wrong.len(), wrong.join("\n"));
    let ports = std::mem::take(&mut *ports.lock().unwrap());
    rules::all_closed(&ports).await;
}

/// One play of a row.
enum Scene {
    Script(String, Chunking),
    Stage(fn() -> Staging),
}

/// What a play came to.
pub struct Played {
    pub outcome: Outcome,
    /// From the call to the answer, on the wall.
    pub took: Duration,
    /// The longest it may take.
    pub limit: Duration,
    /// The server ends by RST, and has nobody left then to see go.
    pub resets: bool,
    /// Whose log is looked at.
    pub server: Option<Server>,
}

impl Row {
    /// What is wrong with it.
    async fn play(&self, scene: Scene, ports: &Mutex<BTreeSet<u16>>) -> Option<String> {
        let resets = matches!(&scene, Scene::Script(script, _) if script.contains("*reset"));
        let name = match &scene {
            Scene::Script(script, cut) => format!("{cut:?} {script:?}"),
            Scene::Stage(_) => String::new(),
        };
        let Stage { host, port, resolver, server, keep } = match scene {
            Scene::Stage(stage) => stage().await,
            Scene::Script(script, chunking) => serve(&script, chunking).await,
        };
        ports.lock().unwrap().insert(port);
        let endpoint = endpoint(&host, port, self.module);
        // The shortest limit of a phase is that of the phase the row is about.
        let limit = endpoint.module.phase_timeouts.values().min().copied().unwrap_or(endpoint.timeout());
        let (prober, stop) = (Prober::new(resolver, 2), CancellationToken::new());
        let began = Instant::now();
        let outcome = prober.probe(endpoint, &stop).await.expect("one outcome, since nobody stops it");
        let played = Played { outcome, took: began.elapsed(), limit, resets, server };
        let mut wrong = Vec::new();
        for (what, found, wanted) in [
            ("ends", verdict(&played.outcome), self.ends),
            ("kept", facts::kept(&played.outcome), self.kept),
            ("said", facts::said(&played.outcome), self.said),
        ] {
            if found != wanted {
                wrong.push(format!("{what}: {found:?}, not {wanted:?}"));
            }
        }
        wrong.extend(rules::broken(self, &played).await);
        drop(keep);
        (!wrong.is_empty()).then(|| format!("{} {}: {}\n    {name:.300}", self.id, self.what, wrong.join("; ")))
    }
}

/// The endpoint that `module` probes there. A configuration is read once for each module: it takes time, since
/// the system's roots are read with it.
fn endpoint(host: &str, port: u16, module: &'static str) -> Arc<Endpoint> {
    static READ: Mutex<BTreeMap<&'static str, Arc<Endpoint>>> = Mutex::new(BTreeMap::new());
    let mut read = READ.lock().unwrap();
    let like =
        read.entry(module).or_insert_with(|| support::host_and_module("x.example", 1, module).endpoints[0].clone());
    let host = ServerName::parse(host).unwrap();
    Arc::new(Endpoint { host, port, ..Endpoint::clone(like) })
}

async fn serve(script: &str, chunking: Chunking) -> Stage {
    let options = Options { tls: Some(identity()), chunking, ..Options::default() };
    let server = Server::start(Script::of(script), options).await;
    let stage = Stage::at(server.address(), ());
    Stage { server: Some(server), ..stage }
}

/// The certificate that all servers here show: valid in nothing but its form.
pub fn identity() -> Arc<ServerConfig> {
    static IDENTITY: LazyLock<Arc<ServerConfig>> =
        LazyLock::new(|| Identity::self_signed(&Leaf::new("mail.example.org", SystemTime::now())).server_config());
    IDENTITY.clone()
}
