//! Searches and what is known of DNS, to endpoints: a pure function, so that every case is a table.
//!
//! It also says what must be asked. What is not known yet makes no endpoint; what DNS cannot say makes one without
//! an address, whose probes fail with the reason, so that nothing that is configured goes missing.

mod domain;
mod services;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

use super::known::{Fact, Known};
use crate::cert::name::ServerName;
use crate::dns::DnsFault;
use crate::dns::records::{Question, Records};
use crate::endpoint::{AddressCount, Endpoint, EndpointId, Found, NameFault, NameFaultKind};
use crate::outcome::domain::DomainFacts;
use crate::search::Search;

/// How many addresses of a name are probed, the lowest first; all are counted.
pub const MOST_ADDRESSES: usize = 128;

/// What searches come to.
#[derive(Clone, Debug, Default)]
pub struct Expansion {
    /// What is to be probed.
    pub endpoints: Vec<Arc<Endpoint>>,
    /// What DNS says of the domains among the targets.
    pub domains: Vec<Arc<DomainFacts>>,
    /// What must be asked, now and again.
    pub questions: BTreeSet<Question>,
    /// Every question has been answered, one way or the other.
    pub is_complete: bool,
}

/// Works out the endpoints of all searches.
pub fn expand(searches: &[Search], known: &Known) -> Expansion {
    let mut work = Work {
        known,
        out: Expansion { is_complete: true, ..Expansion::default() },
        seen: HashSet::new(),
        told: HashMap::new(),
        domains: Vec::new(),
    };
    for search in searches {
        match search {
            Search::Host(endpoint) => work.every_address(endpoint),
            Search::Domain(domain) => work.domain(domain),
            Search::Services(services) => work.services(services),
        }
    }
    work.out.domains = work.domains.into_iter().map(Arc::new).collect();
    work.out
}

struct Work<'a> {
    known: &'a Known,
    out: Expansion,
    seen: HashSet<EndpointId>,
    /// What is told of domains, and where in it each stands, by target and name.
    domains: Vec<DomainFacts>,
    told: HashMap<(String, String), usize>,
}

/// What DNS says of the addresses of a name.
#[derive(Default)]
struct Addresses {
    all: Vec<IpAddr>,
    faults: Vec<(bool, DnsFault)>,
    /// A question has no answer yet.
    pending: bool,
    /// The name is an alias.
    alias: bool,
}

/// Why a question for records, which `what` calls by their purpose, brought none.
fn no_records(fault: DnsFault, what: &str, name: &str) -> NameFault {
    match fault {
        DnsFault::Failed(why) => {
            NameFault { kind: NameFaultKind::Failed, detail: format!("{what} could not be found: {why}") }
        }
        other => other.of(name),
    }
}

/// What is wrong with a host that a record names, as far as anybody can tell.
#[derive(Clone, Copy, PartialEq, Eq)]
enum OfRecord {
    Good,
    Alias,
    Dangling,
    NoAddress,
}

impl Work<'_> {
    /// The endpoints of one host and port, one for each address.
    fn every_address(&mut self, blueprint: &Endpoint) {
        let name = match &blueprint.host {
            // An address is its own and only one, and nobody has to be asked.
            ServerName::Ip(address) => {
                return self.endpoint(Endpoint { address: Some(*address), ..blueprint.clone() });
            }
            ServerName::Link(..) => return self.endpoint(blueprint.clone()),
            ServerName::Dns(name) => name,
        };
        let addresses = self.addresses(name);
        let wanted: Vec<IpAddr> = addresses.all.iter().copied().filter(|address| blueprint.wants(*address)).collect();
        let found = Found {
            addresses: AddressCount::of(&addresses.all),
            fault: addresses.fault(blueprint, wanted.is_empty()).map(|fault| fault.of(name)),
        };
        let found = Arc::new(found);
        if wanted.is_empty() && found.fault.is_some() {
            self.endpoint(Endpoint { found: Some(found), ..blueprint.clone() });
            return;
        }
        for address in wanted.into_iter().take(MOST_ADDRESSES) {
            self.endpoint(Endpoint { address: Some(address), found: Some(found.clone()), ..blueprint.clone() });
        }
    }

    fn addresses(&mut self, name: &str) -> Addresses {
        let mut addresses = Addresses::default();
        for (is_ipv4, question) in [(true, Question::Ipv4(name.to_owned())), (false, Question::Ipv6(name.to_owned()))] {
            match self.ask(question) {
                None => addresses.pending = true,
                Some(Fact { reply, fault }) => {
                    addresses.alias |= reply.as_ref().is_some_and(|reply| reply.alias);
                    if let Some(Records::Addresses(found)) = reply.as_ref().map(|reply| &reply.records) {
                        addresses.all.extend(found);
                    }
                    addresses.faults.extend(fault.clone().map(|fault| (is_ipv4, fault)));
                }
            }
        }
        addresses
    }

    fn ask(&mut self, question: Question) -> Option<&Fact> {
        let fact = self.known.get(&question);
        self.out.is_complete &= fact.is_some();
        self.out.questions.insert(question);
        fact
    }

    /// What is told of the domain of a target.
    fn facts_of(&mut self, blueprint: &Endpoint) -> Option<&mut DomainFacts> {
        let (target, domain) = (blueprint.target.clone(), blueprint.host.to_string());
        let next = self.domains.len();
        let at = *self.told.entry((target.clone(), domain.clone())).or_insert(next);
        if at == next {
            let labels = blueprint.labels.clone();
            self.domains.push(DomainFacts { target, domain, labels, mx: None, services: Vec::new() });
        }
        self.domains.get_mut(at)
    }

    /// There is nothing to connect to, and every probe says why.
    fn nowhere(&mut self, blueprint: &Endpoint, fault: NameFault) {
        let found = Found { fault: Some(fault), ..Found::default() };
        self.endpoint(Endpoint { found: Some(found.into()), ..blueprint.clone() });
    }

    /// What is found twice is probed once.
    fn endpoint(&mut self, endpoint: Endpoint) {
        if self.seen.insert(endpoint.id()) {
            self.out.endpoints.push(Arc::new(endpoint));
        }
    }
}

impl Addresses {
    /// What they come to for a host that a record names.
    fn of_record(&self) -> OfRecord {
        if self.alias {
            return OfRecord::Alias;
        }
        if !self.all.is_empty() || self.pending {
            return OfRecord::Good;
        }
        let has = |wanted: &DnsFault| self.faults.iter().any(|(_, fault)| fault == wanted);
        match (has(&DnsFault::NotFound), has(&DnsFault::NoAddress)) {
            (true, _) => OfRecord::Dangling,
            (false, true) if self.faults.len() > 1 => OfRecord::NoAddress,
            _ => OfRecord::Good,
        }
    }

    /// What to tell of the faults of the families wanted. That a name has no address of one family is none, as long
    /// as it has one of the other; that nobody could say is.
    fn fault(&self, blueprint: &Endpoint, none_wanted: bool) -> Option<DnsFault> {
        let is_wanted = |is_ipv4: bool| {
            let example = if is_ipv4 { IpAddr::from([0, 0, 0, 0]) } else { IpAddr::from([0u16; 8]) };
            blueprint.wants(example)
        };
        let mut faults: Vec<&DnsFault> =
            self.faults.iter().filter(|(is_ipv4, _)| is_wanted(*is_ipv4)).map(|(_, fault)| fault).collect();
        // RFC 8020 §2: a name that does not exist has no records of any type.
        let weight = |fault: &DnsFault| match fault {
            DnsFault::NotFound => 0,
            DnsFault::Failed(_) | DnsFault::Local(_) => 1,
            DnsFault::NoAddress => 2,
        };
        faults.sort_by_key(|fault| weight(fault));
        if none_wanted {
            // While one family is still unknown, nothing can be said; two that leave nothing wanted have no address.
            let worst = faults.first().copied().cloned().unwrap_or(DnsFault::NoAddress);
            return (!self.pending).then_some(worst);
        }
        faults.into_iter().find(|fault| matches!(fault, DnsFault::Failed(_) | DnsFault::Local(_))).cloned()
    }
}
