//! The command line: what is asked for, run, and with which exit code.
//!
//! - `serve` (or no command) probes on schedule and serves HTTP: [`serve`].
//! - `check` loads a configuration and reports every error: [`check`].
//! - `probe` probes once, now: [`probe`].
//! - `healthcheck` asks a running exporter: [`healthcheck`].

mod check;
mod healthcheck;
mod log;
mod probe;
mod serve;
mod systemd;

use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::config::{Config, Problem, Shard};
use crate::door::Door;

/// Wrong usage or configuration (EX_USAGE of sysexits.h).
const USAGE: u8 = 64;

/// Monitors mail endpoints for Prometheus: connects to SMTP ports, measures every phase, checks
/// STARTTLS, AUTH and certificates, and says why a probe failed.
#[derive(Parser)]
#[command(name = "mail_endpoint_exporter", version, args_conflicts_with_subcommands = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: serve::Options,
}

#[derive(Subcommand)]
enum Command {
    /// Probe on schedule and serve metrics (the default)
    Serve(serve::Options),
    /// Load a configuration as serve would, and report every error in it
    Check(check::Options),
    /// Probe once now, and report to people, JSON or Prometheus
    Probe(probe::Options),
    /// Ask a running exporter whether it is healthy (for containers)
    Healthcheck(healthcheck::Options),
}

/// What `serve` runs with, and `check` checks.
#[derive(Args)]
struct Files {
    /// The configuration
    #[arg(long = "config.file", value_name = "FILE", default_value = "mail.yml")]
    config: std::path::PathBuf,
    /// Which share of the targets is this one's: INDEX/COUNT, such as 0/3; all ports of a host are in one share
    #[arg(long, value_name = "SHARE", default_value = "0/1", value_parser = Shard::parse)]
    shard: Shard,
    /// Who may come in, and how: TLS, passwords, limits (the format of Prometheus' exporters)
    #[arg(long = "web.config.file", value_name = "FILE")]
    web_config: Option<std::ffi::OsString>,
}

impl Files {
    /// What both files say; on failure every problem of both has been reported.
    fn load(&self) -> Option<(Config, Door)> {
        let (config, door) = (load(&self.config, self.shard), self.door());
        Some((config?, door?))
    }

    /// No file, or an empty name as scripts may write it, leaves the door open.
    fn door(&self) -> Option<Door> {
        match self.web_config.as_deref().filter(|name| !name.is_empty()) {
            None => Some(Door::open()),
            Some(name) => Door::load(Path::new(name)).map_err(|problems| report(&problems)).ok(),
        }
    }
}

/// Reads the arguments and does what they say.
pub fn run(arguments: impl IntoIterator<Item = std::ffi::OsString>) -> ExitCode {
    let matches = match Cli::command().try_get_matches_from(arguments) {
        Ok(matches) => matches,
        Err(error) => {
            // Help and version are no errors.
            let code = if error.use_stderr() { USAGE } else { 0 };
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    let cli = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(USAGE);
        }
    };
    match cli.command.unwrap_or(Command::Serve(cli.serve)) {
        Command::Serve(options) => serve::run(&options),
        Command::Check(options) => check::run(&options),
        Command::Probe(options) => probe::run(&options),
        Command::Healthcheck(options) => healthcheck::run(&options),
    }
}

/// Loads a file; on failure every problem has been reported.
fn load(path: &Path, shard: Shard) -> Option<Config> {
    match Config::load_share(path, shard) {
        Ok(config) => Some(config),
        Err(problems) => {
            report(&problems);
            None
        }
    }
}

fn report(problems: &[Problem]) {
    for problem in problems {
        complain(&problem.to_string());
    }
}

/// Writes a line to standard error; whether anybody reads it is not our affair.
fn complain(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Writes to standard output; a reader that has gone away (`| head`) is no error.
fn say(text: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// How many threads do what waits for a disk or takes long: loading, writing pages, comparing passwords.
const BLOCKING_THREADS: usize = 8;

/// A runtime for the commands that use the network.
fn runtime() -> Result<tokio::runtime::Runtime, String> {
    let why = |error: io::Error| format!("the runtime could not start: {error}");
    can_start_threads()
        .map_err(|error| format!("no threads can be started ({error}): raise the limit of processes"))?;
    let built = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS)
        // They stay: when the machine has no more threads to give, those that are there go on.
        .thread_keep_alive(Duration::MAX)
        .build()
        .map_err(why)?;
    built.block_on(built.spawn_blocking(|| ())).map_err(|error| why(error.into()))?;
    Ok(built)
}

/// Starts as many threads as the runtime needs, for that panics where it cannot have them, and one for probes.
fn can_start_threads() -> io::Result<()> {
    let count = std::thread::available_parallelism().map_or(1, usize::from).saturating_add(2);
    let (hold, held) = std::sync::mpsc::channel::<()>();
    let held = std::sync::Arc::new(std::sync::Mutex::new(held));
    let start = |_| {
        let held = held.clone();
        // All at once: each ends when `hold` is dropped.
        std::thread::Builder::new().spawn(move || held.lock().map(|held| held.recv().is_ok()).is_ok())
    };
    let threads: io::Result<Vec<_>> = (0..count).map(start).collect();
    drop(hold);
    threads.map(drop)
}
