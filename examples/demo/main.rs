//! The demo: mail servers of every kind on loopback, and the real exporter over them.
//!
//! ```text
//! cargo run --release --example demo                  # serves http://127.0.0.1:10125/metrics
//! cargo run --release --example demo -- 127.0.0.1:0   # the same on another address
//! ```
//!
//! | file | what it is |
//! | --- | --- |
//! | `main.rs` | the course of the demo |
//! | `fleet.rs` | the servers: ports, names and certificates |
//! | `dialogues.rs` | what they say |
//! | `../demo.yml` | the exporter's configuration: what is probed, and how |
//!
//! The servers play scripts (`tests/lab`); everything else is real: the exporter does not know that
//! this is a demo. With `--once` it shows the table and ends.

#[path = "../../tests/lab/mod.rs"]
mod lab;

mod dialogues;
mod fleet;

use std::collections::HashMap;
use std::future::pending;
use std::io::{IsTerminal as _, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use mail_endpoint_exporter::app::App;
use mail_endpoint_exporter::config::Config;
use mail_endpoint_exporter::discovery::Discovery;
use mail_endpoint_exporter::dns::Resolver;
use mail_endpoint_exporter::endpoint::Endpoint;
use mail_endpoint_exporter::export::domains;
use mail_endpoint_exporter::export::text::{self, Style};
use mail_endpoint_exporter::outcome::Outcome;
use mail_endpoint_exporter::outcome::port_state::port_states;
use mail_endpoint_exporter::store::Store;
use tokio::net::TcpListener;
use tokio::signal;
use tokio_util::sync::CancellationToken;

use fleet::Fleet;

/// Where the exporter serves unless told otherwise.
const ADDRESS: &str = "127.0.0.1:10125";

#[tokio::main]
async fn main() -> ExitCode {
    match demo().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            let _ = writeln!(std::io::stderr(), "The demo cannot run: {why}");
            ExitCode::FAILURE
        }
    }
}

/// What the command line asks for.
struct Wishes {
    address: String,
    once: bool,
}

impl Wishes {
    fn read(arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut wishes = Self { address: ADDRESS.to_owned(), once: false };
        for argument in arguments {
            match argument.as_str() {
                "--once" => wishes.once = true,
                flag if flag.starts_with('-') => return Err(format!("{flag} is not known; an address may be given")),
                _ => wishes.address = argument,
            }
        }
        Ok(wishes)
    }
}

async fn demo() -> Result<(), String> {
    let wishes = Wishes::read(std::env::args().skip(1))?;
    let listener = listen(&wishes.address).await?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    let fleet = Fleet::start(&path("target/demo/ca.pem")).await?;
    let config = configuration()?;
    let endpoints = endpoints(&config, fleet.resolver()?).await;
    fleet::check(&endpoints)?;

    let app = App::with_resolver(&config, None, fleet.resolver()?);
    let (store, stop) = (app.store(), CancellationToken::new());
    let exporter = tokio::spawn(app.run(vec![listener], stop.clone()));

    say(&introduction(address, fleet.len()));
    tokio::select! {
        () = show(&store, &endpoints, address, wishes.once) => {}
        () = fleet.live() => {}
        () = interrupted() => say("\nStopping.\n"),
    }
    stop.cancel();
    exporter.await.map_err(|error| format!("the exporter broke down: {error}"))
}

async fn listen(address: &str) -> Result<TcpListener, String> {
    TcpListener::bind(address).await.map_err(|error| {
        let why = fleet::unusable(address, &error);
        format!("{why}; let the exporter serve elsewhere: cargo run --release --example demo -- 127.0.0.1:0")
    })
}

/// A file of this project, wherever the demo was started.
fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn configuration() -> Result<Config, String> {
    Config::load(&path("examples/demo.yml")).map_err(|problems| {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        lines.join("\n")
    })
}

/// What is probed: what is configured, and what DNS makes of it.
async fn endpoints(config: &Config, resolver: Resolver) -> Vec<Arc<Endpoint>> {
    let found = Discovery::once(Arc::new(resolver), config.searches.clone()).await;
    config.endpoints.iter().cloned().chain(found.endpoints).collect()
}

fn introduction(address: SocketAddr, servers: usize) -> String {
    format!(
        "{servers} mail servers, good and bad, are up on 127.0.0.1. The exporter probes them every 10 s,
as examples/demo.yml says (their names are made up), and serves

  http://{address}/metrics   for Prometheus
  http://{address}/          for people

The first round takes some 10 s: probes are spread over their interval, on purpose.

"
    )
}

/// Shows the first round, and goes on for as long as it is wanted.
async fn show(store: &Store, endpoints: &[Arc<Endpoint>], address: SocketAddr, once: bool) {
    let outcomes = first_round(store, endpoints).await;
    let outcomes: Vec<&Outcome> = outcomes.iter().map(Arc::as_ref).collect();
    let states = port_states(&outcomes);
    let rows: Vec<_> = outcomes.into_iter().zip(states).collect();
    let domains = store.snapshot().domains;
    say(&domains::text(&domains.iter().map(Arc::as_ref).collect::<Vec<_>>()));
    let style = Style { colour: is_terminal() && std::env::var_os("NO_COLOR").is_none(), transcript: false };
    say(&text::table(&rows, style));
    if !once {
        say(&suggestions(address));
        pending::<()>().await;
    }
}

/// The first outcome of each endpoint.
async fn first_round(store: &Store, endpoints: &[Arc<Endpoint>]) -> Vec<Arc<Outcome>> {
    let all = endpoints.len();
    loop {
        let snapshot = store.snapshot();
        let latest = snapshot.endpoints.iter().filter_map(|history| history.latest.clone());
        let mut outcomes: HashMap<_, _> = latest.map(|outcome| (outcome.endpoint.id(), outcome)).collect();
        progress(outcomes.len(), all);
        if outcomes.len() == all {
            return endpoints.iter().filter_map(|endpoint| outcomes.remove(&endpoint.id())).collect();
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// A line that changes in place, and is gone in the end.
fn progress(done: usize, all: usize) {
    if is_terminal() {
        let text = if done < all { format!("{done} of {all} ports probed") } else { String::new() };
        say(&format!("\r\x1b[K{text}"));
    }
}

fn suggestions(address: SocketAddr) -> String {
    format!(
        "
In another terminal, see which servers fail, and why, as Prometheus sees it:

  curl -s http://{address}/metrics | grep ^mail_probe_failure_info

and look closely at a good one and a bad one:

  cargo run --release -- probe 127.0.0.1:20587 --module submission --config.file examples/demo.yml
  cargo run --release -- probe 127.0.0.1:21465 --module submissions --config.file examples/demo.yml --transcript

Ctrl-C stops the demo.
"
    )
}

#[cfg(unix)]
async fn interrupted() {
    use signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => tokio::select! {
            _ = signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        },
        Err(_) => drop(signal::ctrl_c().await),
    }
}

#[cfg(not(unix))]
async fn interrupted() {
    let _ = signal::ctrl_c().await;
}

fn is_terminal() -> bool {
    std::io::stdout().is_terminal()
}

/// Writes to standard output; a reader that has gone away (`| head`) is no error.
fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
