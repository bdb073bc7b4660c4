//! The configuration: a YAML file to values that cannot be wrong, or every error in it at once.
//!
//! - [`adhoc`]: endpoints that no file names.
//! - [`mod@file`]: YAML, and the place of each value in it.
//! - [`bounded`]: reads the files that are named, up to a size.
//! - [`reader`]: takes a tree apart and collects the problems.
//! - [`values`]: single values.
//! - [`modules`] and [`targets`]: what is probed, and how; [`trials`]: what is tried beyond looking; [`mod@domain`]: which
//!   mail servers of a domain.
//! - [`probe_endpoint`]: what `/probe` may be asked for.
//! - [`proxy`]: the proxy on the way, and its password.
//! - [`secret`]: passwords and tokens, from files and from the environment.
//! - [`hostname`]: the default of `ehlo_name`.
//! - [`certificate_file`]: the certificates that servers ought to show.
//! - [`watch`]: the other files, and whether they have changed.
//! - [`web`]: another file, of who may come in to our HTTP server.

pub mod adhoc;
mod bounded;
mod certificate_file;
mod domain;
mod file;
mod hostname;
mod modules;
mod probe_endpoint;
mod proxy;
mod reader;
mod secret;
mod shard;
mod targets;
mod trials;
mod values;
mod watch;
pub mod web;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::cert::roots::Roots;
use crate::endpoint::{Endpoint, Pace};
use crate::mail::smtp::command::EhloName;
use crate::search::Search;

use certificate_file::CertificateFiles;
use file::Node;
pub use modules::{DEFAULT_TIMEOUT, Modules, by_port};
pub use probe_endpoint::ProbeRules;
pub use reader::Problem;
use reader::{At, Entries, Source, list};
pub use shard::Shard;
use targets::{Targets, interval, pace};
use values::{number, text, word};
pub use watch::{Fingerprint, Watched};

/// How often an endpoint is probed unless its target says otherwise.
pub const DEFAULT_INTERVAL: Duration = Duration::from_secs(60);

/// How many probes run at once unless the file says otherwise.
pub const DEFAULT_CONCURRENT_PROBES: usize = 512;

/// How many connections an address has at once unless the file says otherwise.
pub const DEFAULT_CONNECTIONS_PER_ADDRESS: usize = 2;

/// Below this, an interval is a burden to servers that are not one's own.
const POLITE_INTERVAL: Duration = Duration::from_secs(10);

/// Below this, a probe that logs in or names a recipient may be taken for an attack: by the default of fail2ban,
/// five failures within ten minutes are one.
const DISCREET_INTERVAL: Duration = Duration::from_secs(5 * 60);

/// Which histograms are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Histograms {
    /// Classic ones, and native ones to those who can read them.
    Both,
    /// With buckets as series of their own.
    Classic,
    /// Native ones, which only Prometheus' protobuf format carries; none in text.
    Native,
    /// None.
    None,
}

impl Histograms {
    /// Whether there are buckets as series of their own.
    pub fn has_classic(self) -> bool {
        matches!(self, Self::Both | Self::Classic)
    }

    /// Whether there are native ones.
    pub fn has_native(self) -> bool {
        matches!(self, Self::Both | Self::Native)
    }
}

/// A whole configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// What is probed, as far as no DNS is needed to know it.
    pub endpoints: Vec<Arc<Endpoint>>,
    /// The targets of which DNS says what their endpoints are.
    pub searches: Vec<Search>,
    /// What targets and the command line can name.
    pub modules: Modules,
    /// The most probes at once.
    pub max_concurrent_probes: usize,
    /// The most established connections to one address at once.
    pub max_connections_per_address: usize,
    /// Which histograms are shown.
    pub histograms: Histograms,
    /// What `/probe` may be asked for.
    pub probe_rules: ProbeRules,
    /// What works and is perhaps not meant.
    pub warnings: Vec<String>,
    /// The other files it was made of.
    pub watched: Watched,
    /// The main file as it was read; empty without one.
    text: Arc<str>,
    /// The share of the targets that this is.
    shard: Shard,
}

impl Config {
    /// What there is without a file: the built-in modules and no target.
    pub fn built_in() -> Self {
        let (roots, note) = Roots::system();
        let ehlo = hostname::qualified();
        Self {
            endpoints: Vec::new(),
            searches: Vec::new(),
            modules: Modules::built_in(&Arc::new(roots), ehlo.as_ref()),
            max_concurrent_probes: DEFAULT_CONCURRENT_PROBES,
            max_connections_per_address: DEFAULT_CONNECTIONS_PER_ADDRESS,
            histograms: Histograms::Both,
            probe_rules: ProbeRules::default(),
            warnings: note.into_iter().collect(),
            watched: Watched::default(),
            text: Arc::default(),
            shard: Shard::WHOLE,
        }
    }

    /// The hosts and ports that it names.
    pub fn hosts(&self) -> HashSet<(String, u16)> {
        self.named().map(|endpoint| (endpoint.host.to_string(), endpoint.port)).collect()
    }

    /// The endpoints whose host is named, those of which DNS is to say the addresses among them.
    pub fn named(&self) -> impl Iterator<Item = &Endpoint> {
        let searched = self.searches.iter().filter_map(Search::named);
        self.endpoints.iter().map(|endpoint| &**endpoint).chain(searched)
    }

    /// Loads a file and all that it names.
    pub fn load(path: &Path) -> Result<Self, Vec<Problem>> {
        Self::load_share(path, Shard::WHOLE)
    }

    /// Loads a file and keeps a share of its targets.
    pub fn load_share(path: &Path, shard: Shard) -> Result<Self, Vec<Problem>> {
        let (source, root) = Source::open(path).map_err(|problem| vec![problem])?;
        Self::finish(source, &root, shard)
    }

    /// Loads the file again, and all that it names.
    pub fn load_again(&self, path: &Path) -> Result<Self, Vec<Problem>> {
        Self::load_share(path, self.shard)
    }

    /// Loads the other files again, with the main file as it was: what is being edited in it takes effect
    /// only when somebody says so.
    pub fn load_other_files(&self, path: &Path) -> Result<Self, Vec<Problem>> {
        let (source, root) = Source::of(path, self.text.to_string()).map_err(|problem| vec![problem])?;
        Self::finish(source, &root, self.shard)
    }

    fn finish(mut source: Source, root: &Node, shard: Shard) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut config = read(&mut source, root, &mut problems);
        config.endpoints.retain(|endpoint| shard.holds(endpoint.host_hash()));
        config.searches.retain(|search| shard.holds(search.host_hash()));
        config.shard = shard;
        problems.splice(0..0, source.problems);
        if problems.is_empty() { Ok(config) } else { Err(problems) }
    }
}

/// Reads the main file; the problems of further files go to `problems`.
fn read(source: &mut Source, root: &Node, problems: &mut Vec<Problem>) -> Config {
    let mut entries = Entries::of(source, root, At::default());
    let own_interval = entries.read(source, "interval", interval).unwrap_or(DEFAULT_INTERVAL);
    let own_pace = pace(source, &mut entries, Pace::default());
    let ehlo = entries.read(source, "ehlo_name", |node| EhloName::parse(&text(node)?)).or_else(hostname::qualified);
    let max_concurrent_probes =
        entries.read(source, "max_concurrent_probes", number(1..=100_000)).unwrap_or(DEFAULT_CONCURRENT_PROBES);
    let max_connections_per_address = entries
        .read(source, "max_connections_per_address", number(1..=1000))
        .unwrap_or(DEFAULT_CONNECTIONS_PER_ADDRESS);
    let kinds = [
        ("classic", Histograms::Classic),
        ("native", Histograms::Native),
        ("both", Histograms::Both),
        ("none", Histograms::None),
    ];
    let histograms = entries.read(source, "histograms", word(&kinds)).unwrap_or(Histograms::Both);

    let (roots, note) = Roots::system();
    let mut warnings: Vec<String> = note.into_iter().collect();
    let roots = Arc::new(roots);
    let mut modules = Modules::built_in(&roots, ehlo.as_ref());
    let mut certificates = CertificateFiles::default();
    if let Some((node, at)) = entries.get("modules") {
        modules.read(source, node, at, &roots, ehlo.as_ref(), &mut certificates);
    }
    let mut targets = Targets::new(&modules, own_interval, own_pace, certificates);
    if let Some((node, at)) = entries.get("targets") {
        targets.read(source, node, &at);
    }
    let mut patterns = Vec::new();
    if let Some((node, at)) = entries.get("target_files") {
        patterns = target_files(source, node, &at, &mut targets, problems);
    }
    let rules = entries.get("probe_endpoint").map(|(node, at)| ProbeRules::read(source, node, at));
    entries.finish(source);
    let mut files = std::mem::take(&mut source.used);
    files.append(&mut targets.used);
    let (endpoints, searches) = (targets.endpoints, targets.searches);
    warnings.extend(remarks(&endpoints, &searches));
    Config {
        endpoints,
        searches,
        modules,
        max_concurrent_probes,
        max_connections_per_address,
        histograms,
        probe_rules: rules.unwrap_or_default(),
        warnings,
        watched: Watched { patterns, files },
        text: source.text().into(),
        shard: Shard::WHOLE,
    }
}

fn remarks(endpoints: &[Arc<Endpoint>], searches: &[Search]) -> Vec<String> {
    let mut remarks = Vec::new();
    if endpoints.is_empty() && searches.is_empty() {
        remarks.push("no target is configured: nothing is probed".to_owned());
    }
    let fastest = |endpoint: &Endpoint| endpoint.pace.when_failing.unwrap_or(endpoint.interval).min(endpoint.interval);
    let all = || endpoints.iter().map(|endpoint| &**endpoint).chain(searches.iter().map(Search::blueprint));
    let hasty = all().filter(|endpoint| fastest(endpoint) < POLITE_INTERVAL).count();
    if hasty > 0 {
        remarks.push(format!(
            "{hasty} endpoints are probed more often than every 10s: do that only to servers of your own"
        ));
    }
    let trying = |endpoint: &&Endpoint| endpoint.module.login.is_some() || endpoint.module.mail.is_some();
    let bold = all().filter(trying).filter(|endpoint| fastest(endpoint) < DISCREET_INTERVAL).count();
    if bold > 0 {
        remarks.push(format!(
            "{bold} endpoints log in or name a recipient more often than every 5m: a server may ban this machine or lock \
             the account when it fails"
        ));
    }
    remarks
}

/// Reads the files that the patterns of `target_files` match; the patterns themselves are to be watched.
fn target_files(
    source: &mut Source,
    node: &Node,
    at: &At,
    targets: &mut Targets<'_>,
    problems: &mut Vec<Problem>,
) -> Vec<PathBuf> {
    let mut patterns = Vec::new();
    for (number, node) in list(source, node, at).iter().enumerate() {
        let at = at.item(number);
        let pattern = text(node).map(|pattern| source.relative(&pattern));
        match pattern.and_then(|pattern| Ok((watch::matches(&pattern)?, pattern))) {
            Err(why) => source.problem(&at, why),
            Ok((paths, pattern)) => {
                paths.iter().for_each(|path| target_file(path, targets, problems));
                patterns.push(pattern);
            }
        }
    }
    patterns
}

fn target_file(path: &Path, targets: &mut Targets<'_>, problems: &mut Vec<Problem>) {
    match Source::open(path) {
        Err(problem) => problems.push(problem),
        Ok((mut source, root)) => {
            if root != Node::Null {
                targets.read(&mut source, &root, &At::default());
            }
            targets.used.append(&mut source.used);
            problems.extend(source.problems);
        }
    }
}

#[cfg(test)]
mod tests;
