//! `probe`: once, now, for the person who asks.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{USAGE, complain, load, runtime, say};
use crate::cert::name::ServerName;
use crate::cert::roots::Roots;
use crate::config::{Config, Shard, adhoc, by_port};
use crate::discovery::Discovery;
use crate::discovery::expand::Expansion;
use crate::dns::Resolver;
use crate::endpoint::{Endpoint, Module};
use crate::export::text::Style;
use crate::export::{domains, json, openmetrics, prometheus, text};
use crate::outcome::Outcome;
use crate::outcome::domain::DomainFacts;
use crate::outcome::port_state::{PortState, port_states};
use crate::prober::Prober;
use crate::search::{MailDomain, MailServices, Search};

/// The ports of a host named without one.
const PORTS: [u16; 4] = [25, 465, 587, 2525];

/// Some probe failed.
const FAILED: u8 = 2;

/// What `probe` is asked.
#[derive(Args)]
pub(super) struct Options {
    /// The hosts; without a port 25, 465, 587 and 2525 side by side
    #[arg(required = true, value_name = "HOST[:PORT]")]
    hosts: Vec<String>,
    /// How to probe; by default the port decides
    #[arg(long, value_name = "NAME")]
    module: Option<String>,
    /// Where more modules and limits are configured
    #[arg(long = "config.file", value_name = "FILE")]
    config: Option<PathBuf>,
    /// What to print
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    output: Output,
    /// How long each probe may take
    #[arg(long, value_name = "DURATION", value_parser = timeout)]
    timeout: Option<Duration>,
    /// The PEM file of the CAs to trust, instead of the system's
    #[arg(long = "ca-file", value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// The name to ask for (SNI) and to verify, instead of the host
    #[arg(long = "server-name", value_name = "NAME", value_parser = ServerName::parse)]
    server_name: Option<ServerName>,
    /// Which addresses of a host: the first that connects, or each on its own
    #[arg(long, value_name = "WHICH", default_value = "first")]
    addresses: Addresses,
    /// The hosts are domains: probe their mail servers, and tell what is wrong with their MX records
    #[arg(long)]
    mx: bool,
    /// The hosts are domains: probe the submission servers that their SRV records name, and tell what is wrong with those
    #[arg(long, conflicts_with = "module")]
    srv: bool,
    /// Add the dialogue (text and json)
    #[arg(long)]
    transcript: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Output {
    Text,
    Json,
    Prometheus,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Addresses {
    First,
    All,
}

fn timeout(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text).map_err(|_| "write a number with a unit, such as 10s".to_owned())?;
    let bounds = Duration::from_millis(100)..=Duration::from_secs(600);
    bounds.contains(&duration).then_some(duration).ok_or_else(|| "write a duration from 100ms to 10m".to_owned())
}

pub(super) fn run(options: &Options) -> ExitCode {
    let config = match &options.config {
        None => Some(Config::built_in()),
        Some(path) => load(path, Shard::WHOLE),
    };
    let Some(config) = config else { return ExitCode::from(USAGE) };
    let outcomes = wanted(options, &config).and_then(|wanted| {
        let resolver = Arc::new(Resolver::system());
        let prober = Arc::new(Prober::new(resolver.clone(), config.max_connections_per_address));
        runtime().map(|runtime| {
            runtime.block_on(async {
                let found = search(options, resolver, wanted).await;
                (probe_all(prober, found.endpoints).await, found.domains)
            })
        })
    });
    match outcomes {
        Ok((outcomes, domains)) => {
            let failed = outcomes.iter().any(|outcome| !outcome.success());
            print(options, outcomes, &domains);
            ExitCode::from(if failed { FAILED } else { 0 })
        }
        Err(why) => {
            complain(&format!("mail_endpoint_exporter: {why}"));
            ExitCode::from(USAGE)
        }
    }
}

/// What is asked for, as far as no DNS is needed to know it.
#[derive(Default)]
struct Wanted {
    endpoints: Vec<Arc<Endpoint>>,
    services: Vec<MailServices>,
}

fn wanted(options: &Options, config: &Config) -> Result<Wanted, String> {
    if let Some(name) = options.module.as_deref().filter(|name| config.modules.get(name).is_none()) {
        return Err(format!("there is no module {name:?}: name one of {}", config.modules.names().join(", ")));
    }
    let roots = options.ca_file.as_ref().map(roots).transpose()?;
    let mut wanted = Wanted::default();
    for text in &options.hosts {
        let (host, port) = adhoc::host_and_port(text)?;
        if options.is_of_domains() && !matches!(host, ServerName::Dns(_)) {
            let option = if options.mx { "--mx" } else { "--srv" };
            return Err(format!("{host} is no domain: leave {option} out, or name a domain"));
        }
        if options.srv {
            if let (false, Some(port)) = (options.mx, port) {
                return Err(format!("the SRV records of {host} name the ports: leave :{port} out"));
            }
            let endpoint = |port| endpoint(options, config, &host, port, roots.as_ref());
            let [submissions, submission] = MailServices::PORTS.map(endpoint);
            let (submissions, submission) = (submissions?, submission?);
            wanted.services.push(MailServices { submissions, submission, every_address: options.every_address() });
        }
        let all = || match (options.mx, options.srv) {
            (true, _) => vec![25],
            (false, true) => Vec::new(),
            (false, false) => ports(options.module.as_deref()),
        };
        for port in port.map_or_else(all, |port| vec![port]) {
            let endpoint = endpoint(options, config, &host, port, roots.as_ref())?;
            if wanted.endpoints.iter().all(|other| other.id() != endpoint.id()) {
                wanted.endpoints.push(endpoint);
            }
        }
    }
    Ok(wanted)
}

fn endpoint(
    options: &Options,
    config: &Config,
    host: &ServerName,
    port: u16,
    roots: Option<&Arc<Roots>>,
) -> Result<Arc<Endpoint>, String> {
    let module = module(options, config, port, roots)?;
    if let (true, Some(secret)) = (options.is_of_domains(), module.secret()) {
        let name = &module.name;
        return Err(format!("module {name:?} has `{secret}`, which hosts that DNS names do not get to see"));
    }
    module.can_reach(host)?;
    Ok(Arc::new(adhoc::endpoint(host, port, module)))
}

impl Options {
    fn is_of_domains(&self) -> bool {
        self.mx || self.srv
    }

    fn every_address(&self) -> bool {
        self.addresses == Addresses::All
    }
}

/// The endpoints that DNS makes of what is wanted.
async fn search(options: &Options, resolver: Arc<Resolver>, wanted: Wanted) -> Expansion {
    let every_address = options.every_address();
    if !options.is_of_domains() && !every_address {
        return Expansion { endpoints: wanted.endpoints, ..Expansion::default() };
    }
    let search = |blueprint| match options.mx {
        true => Search::Domain(MailDomain { blueprint, every_address }),
        false => Search::Host(blueprint),
    };
    let searches = wanted.endpoints.into_iter().map(search);
    Discovery::once(resolver, searches.chain(wanted.services.into_iter().map(Search::Services)).collect()).await
}

fn roots(path: &PathBuf) -> Result<Arc<Roots>, String> {
    let pem = std::fs::read(path).map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
    Roots::from_pem(&pem).map(Arc::new).map_err(|why| format!("{} cannot be used: {why}", path.display()))
}

/// A built-in module probes the ports it is for; any other all four.
fn ports(module: Option<&str>) -> Vec<u16> {
    let own: Vec<u16> = PORTS.into_iter().filter(|port| module.is_some() && by_port(*port) == module).collect();
    if own.is_empty() { PORTS.to_vec() } else { own }
}

fn module(options: &Options, config: &Config, port: u16, roots: Option<&Arc<Roots>>) -> Result<Arc<Module>, String> {
    let name = options.module.as_deref().or_else(|| by_port(port)).ok_or_else(|| {
        let names = config.modules.names().join(", ");
        format!("port {port} has no module of its own: add --module with one of {names}")
    })?;
    let module = config.modules.get(name).ok_or_else(|| format!("there is no module {name:?}"))?;
    let mut module = Module::clone(module);
    module.timeout = options.timeout.unwrap_or(module.timeout);
    module.server_name = options.server_name.clone().or(module.server_name);
    module.roots = roots.unwrap_or(&module.roots).clone();
    Ok(Arc::new(module))
}

async fn probe_all(prober: Arc<Prober>, endpoints: Vec<Arc<Endpoint>>) -> Vec<Outcome> {
    let mut probes = JoinSet::new();
    for (number, endpoint) in endpoints.into_iter().enumerate() {
        let prober = prober.clone();
        probes.spawn(async move { (number, prober.probe(endpoint, &CancellationToken::new()).await) });
    }
    let mut outcomes = probes.join_all().await;
    outcomes.sort_by_key(|(number, _)| *number);
    outcomes.into_iter().filter_map(|(_, outcome)| outcome).collect()
}

fn print(options: &Options, outcomes: Vec<Outcome>, domains: &[Arc<DomainFacts>]) {
    let facts: Vec<&DomainFacts> = domains.iter().map(|facts| &**facts).collect();
    let all: Vec<&Outcome> = outcomes.iter().collect();
    let states = port_states(&all);
    let with_states: Vec<(&Outcome, PortState)> = all.into_iter().zip(states).collect();
    match options.output {
        Output::Text => {
            let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            say(&domains::text(&facts));
            say(&text::report(&with_states, Style { colour, transcript: options.transcript }));
        }
        Output::Json if options.is_of_domains() => {
            let endpoints = json::outcomes(&with_states, options.transcript);
            say(&format!("{{\"domains\": {}, \"endpoints\": {endpoints}}}\n", domains::json(&facts)));
        }
        Output::Json => say(&(json::outcomes(&with_states, options.transcript) + "\n")),
        Output::Prometheus => {
            say(&openmetrics::to_text_0_0_4(&prometheus::outcomes_openmetrics(outcomes)));
        }
    }
}
