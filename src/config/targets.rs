//! Targets: hosts and ports, in the configuration itself, in further files, and in Prometheus' file_sd lists.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::certificate_file::CertificateFiles;
use super::domain::{self, Named, named};
use super::file::Node;
use super::modules::{Modules, by_port};
use super::reader::{At, Entries, Source, list};
use super::values::{duration, number, port, text, word};
use crate::cert::name::ServerName;
use crate::cert::on_file::CertificateFile;
use crate::endpoint::{Endpoint, EndpointId, Family, Module, Pace, RESERVED_LABELS};
use crate::search::{MailDomain, MailServices, Search};

/// The shortest and the longest interval.
const INTERVALS: std::ops::RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(86_400);

/// What all targets share, and the endpoints found so far.
pub(super) struct Targets<'a> {
    pub modules: &'a Modules,
    pub interval: Duration,
    pub pace: Pace,
    pub endpoints: Vec<Arc<Endpoint>>,
    /// The files named in target files that were read.
    pub used: Vec<PathBuf>,
    certificates: CertificateFiles,
    pub searches: Vec<Search>,
    seen: HashSet<EndpointId>,
    /// The domains so far, by the labels of what is told of them.
    domains: HashMap<(String, BTreeMap<String, String>), ServerName>,
}

/// The conversion for `interval`.
pub(super) fn interval(node: &Node) -> Result<Duration, String> {
    duration(INTERVALS)(node)
}

/// What is said of the pace, over what holds where nothing is.
pub(super) fn pace(source: &mut Source, entries: &mut Entries<'_>, base: Pace) -> Pace {
    let retries = entries.read(source, "retries", number(0..=10)).and_then(|retries| u32::try_from(retries).ok());
    let delays = Duration::from_millis(100)..=Duration::from_secs(600);
    let certificates = Duration::from_millis(100)..=Duration::from_secs(7 * 86_400);
    Pace {
        when_failing: entries.read(source, "interval_when_failing", interval).or(base.when_failing),
        retries: retries.unwrap_or(base.retries),
        retry_delay: entries.read(source, "retry_delay", duration(delays)).unwrap_or(base.retry_delay),
        certificate_interval: entries
            .read(source, "certificate_interval", duration(certificates))
            .or(base.certificate_interval),
    }
}

/// Which addresses of a host are probed.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Addresses {
    /// The first that connects.
    #[default]
    First,
    /// Each, as an endpoint of its own.
    All,
}

/// What the ports of a target have in common.
struct Common {
    target: String,
    host: ServerName,
    labels: BTreeMap<String, String>,
    interval: Duration,
    pace: Pace,
    family: Family,
    addresses: Addresses,
    named: Named,
    module: Option<String>,
    certificate_file: Option<Arc<CertificateFile>>,
}

impl Common {
    fn endpoint(&self, port: u16, module: Arc<Module>) -> Endpoint {
        Endpoint {
            target: self.target.clone(),
            host: self.host.clone(),
            port,
            address: None,
            labels: self.labels.clone(),
            interval: self.interval,
            pace: self.pace,
            family: self.family,
            found: None,
            module,
            certificate_file: self.certificate_file.clone(),
        }
    }
}

impl<'a> Targets<'a> {
    pub(super) fn new(modules: &'a Modules, interval: Duration, pace: Pace, certificates: CertificateFiles) -> Self {
        let (endpoints, searches) = (Vec::new(), Vec::new());
        let (used, seen, domains) = (Vec::new(), HashSet::new(), HashMap::new());
        Self { modules, interval, pace, endpoints, searches, used, certificates, seen, domains }
    }

    /// A list of targets; an entry with a `targets` key of its own is one of Prometheus' file_sd groups.
    pub(super) fn read(&mut self, source: &mut Source, node: &Node, at: &At) {
        for (number, node) in list(source, node, at).iter().enumerate() {
            let at = at.item(number);
            match node {
                Node::Map(entries) if entries.iter().any(|(key, _)| key == "targets") => self.group(source, node, at),
                _ => self.target(source, node, at),
            }
        }
    }

    fn target(&mut self, source: &mut Source, node: &Node, at: At) {
        let mut entries = Entries::of(source, node, at.clone());
        let name = entries.read(source, "name", name);
        let (host, named) = named(source, &mut entries);
        // Between mail servers there is one port (RFC 5321 §4.5.4.2).
        let relay = Node::List(vec![Node::Scalar("25".into())]);
        let given = entries.get("ports");
        let are_given = given.is_some();
        let ports = given.or_else(|| (named != Named::Host).then(|| (&relay, at.clone())));
        let own_interval = entries.read(source, "interval", interval);
        let pace = pace(source, &mut entries, self.pace);
        let module = entries.read(source, "module", |node| self.module_name(&text(node)?));
        let choices = [("first", Addresses::First), ("all", Addresses::All)];
        let addresses = entries.read(source, "addresses", word(&choices)).unwrap_or_default();
        let families = [("any", Family::Any), ("ipv4", Family::Ipv4), ("ipv6", Family::Ipv6)];
        let family = entries.read(source, "family", word(&families)).unwrap_or_default();
        let given_labels = entries.get("labels").map(|(node, at)| Entries::of(source, node, at));
        let labels = labels(source, given_labels.iter().flat_map(Entries::all));
        let certificate_file = entries.get("certificate_file");
        let certificate_file = certificate_file.and_then(|(node, at)| self.certificates.read(source, node, &at));
        if ports.is_none() {
            entries.missing(source, "ports", "[25, 465, 587]");
        }
        entries.finish(source);
        let (Some(host), Some((ports, ports_at))) = (host, ports) else { return };
        if let ServerName::Ip(address) = host
            && !family.has(address)
        {
            source.problem(&at, format!("`family` leaves nothing of {host}, which is of the other one: leave it out"));
        }
        let target = name.unwrap_or_else(|| host.to_string());
        let interval = own_interval.unwrap_or(self.interval);
        let common =
            Common { target, host, labels, interval, pace, family, addresses, named, module, certificate_file };
        if named != Named::Host {
            self.domain(source, &common, &at);
        }
        if named.has_services() {
            self.services(source, &common, &at);
        }
        if !named.has_ports() {
            return;
        }
        let ports_list = list(source, ports, &ports_at);
        if ports_list.is_empty() {
            source.problem(&ports_at, "no port is named: write `ports: [25, 465, 587]`");
        }
        for (number, node) in ports_list.iter().enumerate() {
            let at = if are_given { ports_at.item(number) } else { ports_at.clone() };
            self.port(source, &common, node, at);
        }
    }

    fn port(&mut self, source: &mut Source, common: &Common, node: &Node, at: At) {
        let (port, module) = if let Node::Map(_) = node {
            let mut entries = Entries::of(source, node, at.clone());
            let port = entries.require(source, "port", "10587", port);
            let module = entries.read(source, "module", |node| self.module_name(&text(node)?));
            entries.finish(source);
            (port, module)
        } else {
            (port(node).map_err(|why| source.problem(&at, why)).ok(), None)
        };
        let Some(port) = port else { return };
        self.endpoint(source, common, port, module.or_else(|| common.module.clone()), &at);
    }

    fn endpoint(&mut self, source: &mut Source, common: &Common, port: u16, module: Option<String>, at: &At) {
        let Some(module) = module.or_else(|| by_port(port).map(str::to_owned)) else {
            let example = format!("{{port: {port}, module: submission}}");
            source.problem(at, format!("port {port} has no module of its own: name one, such as {example}"));
            return;
        };
        let Some(module) = self.modules.get(&module) else { return };
        if let Err(why) = module.can_reach(&common.host) {
            source.problem(at, why);
        }
        let endpoint = common.endpoint(port, module.clone());
        if common.named != Named::Host {
            domain::secret(source, module, at);
        }
        if self.seen.insert(endpoint.id()) {
            let (blueprint, every_address) = (Arc::new(endpoint), common.addresses == Addresses::All);
            match (common.named, every_address) {
                (Named::Host, false) => self.endpoints.push(blueprint),
                (Named::Host, true) => self.searches.push(Search::Host(blueprint)),
                (Named::Domain(_), _) => self.searches.push(Search::Domain(MailDomain { blueprint, every_address })),
            }
        } else {
            let what = endpoint.host_and_port();
            source.problem(
                at,
                format!("{what} of target {:?} stands twice: remove one, or give one another `name`", common.target),
            );
        }
    }

    /// The submission servers of a domain.
    fn services(&mut self, source: &mut Source, common: &Common, at: &At) {
        let endpoint = |port| {
            let module = self.modules.get(by_port(port)?)?;
            domain::secret(source, module, at);
            Some(Arc::new(common.endpoint(port, module.clone())))
        };
        // Both modules are built in.
        let [Some(submissions), Some(submission)] = MailServices::PORTS.map(endpoint) else { return };
        let every_address = common.addresses == Addresses::All;
        let is_new = self.searches.iter().all(|search| match search {
            Search::Services(other) => other.submissions.id() != submissions.id(),
            _ => true,
        });
        if is_new {
            self.searches.push(Search::Services(MailServices { submissions, submission, every_address }));
        } else {
            let (host, target) = (&common.host, &common.target);
            source.problem(at, format!("`srv` of {host} of target {target:?} stands twice: remove one"));
        }
    }

    /// What is told of a domain has the target and the labels for a name, and no other.
    fn domain(&mut self, source: &mut Source, common: &Common, at: &At) {
        let key = (common.target.clone(), common.labels.clone());
        let first = self.domains.entry(key).or_insert_with(|| common.host.clone());
        if *first != common.host {
            let (host, target) = (&common.host, &common.target);
            source.problem(
                at,
                format!("{host} and {first} are both named {target:?}: give each its own `name`, or other `labels`"),
            );
        }
    }

    fn module_name(&self, name: &str) -> Result<String, String> {
        let known = self.modules.names();
        let ok = known.contains(&name).then(|| name.to_owned());
        ok.ok_or_else(|| {
            format!("there is no module {name:?}: write one of {}, or add it under `modules`", known.join(", "))
        })
    }

    /// A group of Prometheus' file_sd: `targets` are host:port, `labels` go to all of them. Of the labels
    /// that begin with two underscores only `__param_module` means something here.
    fn group(&mut self, source: &mut Source, node: &Node, at: At) {
        let mut entries = Entries::of(source, node, at);
        let targets = entries.get("targets");
        let given = entries.get("labels").map(|(node, at)| Entries::of(source, node, at));
        entries.finish(source);
        let given = || given.iter().flat_map(Entries::all);
        let module = given().find(|(name, _, _)| *name == "__param_module").and_then(|(_, node, at)| {
            text(node).and_then(|name| self.module_name(&name)).map_err(|why| source.problem(&at, why)).ok()
        });
        let labels = labels(source, given().filter(|(name, _, _)| !name.starts_with(META)));
        let Some((targets, targets_at)) = targets else { return };
        for (number, node) in list(source, targets, &targets_at).iter().enumerate() {
            let at = targets_at.item(number);
            match text(node).and_then(|text| host_and_port(&text)) {
                Err(why) => source.problem(&at, why),
                Ok((host, port)) => {
                    let common = Common {
                        target: host.to_string(),
                        host,
                        labels: labels.clone(),
                        interval: self.interval,
                        pace: self.pace,
                        family: Family::Any,
                        addresses: Addresses::First,
                        named: Named::Host,
                        module: None,
                        certificate_file: None,
                    };
                    self.endpoint(source, &common, port, module.clone(), &at);
                }
            }
        }
    }
}

/// A target without one has its host's.
fn name(node: &Node) -> Result<String, String> {
    let text = text(node)?;
    if text.is_empty() { Err("the name is empty: write one, or leave `name` out".into()) } else { Ok(text) }
}

fn host_and_port(text: &str) -> Result<(ServerName, u16), String> {
    let wrong = || format!("{text:?} is no host:port: write one such as smtp.example.org:587 or [2001:db8::1]:25");
    if text.contains('@') {
        return Err(ServerName::parse(text).err().unwrap_or_default());
    }
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    // Without brackets nobody can tell where an IPv6 address ends.
    if host.contains(':') && !host.ends_with(']') {
        return Err(wrong());
    }
    Ok((ServerName::parse(host)?, port.parse().ok().filter(|port| *port > 0).ok_or_else(wrong)?))
}

/// How the labels begin that Prometheus keeps for itself.
const META: &str = "__";

fn labels<'n>(source: &mut Source, given: impl Iterator<Item = (&'n str, &'n Node, At)>) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    for (name, node, at) in given {
        match (label_name(name), text(node)) {
            (Err(why), _) | (_, Err(why)) => source.problem(&at, why),
            (Ok(()), Ok(value)) => {
                labels.insert(name.to_owned(), value);
            }
        }
    }
    labels
}

/// Prometheus' data model: `[a-zA-Z_][a-zA-Z0-9_]*`.
fn label_name(name: &str) -> Result<(), String> {
    if RESERVED_LABELS.contains(&name) {
        return Err(format!("the label {name:?} has a meaning of its own here: use another name"));
    }
    if name.starts_with(META) {
        return Err(format!("the label {name:?} begins with two underscores, as Prometheus' own: use another name"));
    }
    let ok =
        name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') && !name.starts_with(|c: char| c.is_ascii_digit());
    (ok && !name.is_empty())
        .then_some(())
        .ok_or_else(|| format!("{name:?} is no label name: use letters, digits and underscores"))
}
