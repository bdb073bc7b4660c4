//! What DNS says of domains, for people and for scripts; the probes of their hosts follow behind it.

use std::fmt::Write as _;

use serde::Serialize;

use crate::endpoint::NameFault;
use crate::mail::srv::{self, Service};
use crate::mail::{Printable, mx};
use crate::outcome::domain::{DomainFacts, MOST_HOSTS, MxFacts, ServiceFacts};
use crate::outcome::failure::Reason;

/// What is told of one question: of the MX records, or of those of a service.
pub struct Told<'a> {
    /// A line for each record.
    pub records: Vec<String>,
    /// Why the last question brought nothing.
    pub fault: Option<&'a NameFault>,
    /// The word, the host or service that is meant, and what to do.
    pub problems: Vec<(&'static str, Printable, &'static str)>,
}

/// All that is told of a domain, MX records first.
pub fn told(facts: &DomainFacts) -> Vec<Told<'_>> {
    facts.mx.iter().map(Told::of_mx).chain(facts.services.iter().map(Told::of_service)).collect()
}

impl<'a> Told<'a> {
    fn of_mx(mx: &'a MxFacts) -> Self {
        let line = |host: &mx::Record| format!("{:<11} {:>5} {}", "MX", host.preference, host.exchange);
        let problem = |(problem, host): &(mx::Problem, String)| {
            (problem.as_str(), Printable::from_bytes(host.as_bytes()), problem.advice())
        };
        Self {
            records: mx.hosts.iter().flatten().take(MOST_HOSTS).map(line).collect(),
            fault: mx.fault.as_ref(),
            problems: mx.problems.iter().take(MOST_HOSTS).map(problem).collect(),
        }
    }

    fn of_service(facts: &'a ServiceFacts) -> Self {
        let name = facts.service.as_str();
        let note = if is_probed(facts.service) { "" } else { " (not probed)" };
        let line = |host: &srv::Record| format!("{name:<11} {:>5} {}:{}{note}", host.priority, host.target, host.port);
        let problem = |(problem, host): &(srv::Problem, String)| {
            let meant = if host.is_empty() { name } else { host };
            (problem.as_str(), Printable::from_bytes(meant.as_bytes()), problem.advice())
        };
        Self {
            records: facts.hosts.iter().flatten().take(MOST_HOSTS).map(line).collect(),
            fault: facts.fault.as_ref(),
            problems: facts.problems.iter().take(MOST_HOSTS).map(problem).collect(),
        }
    }
}

/// A paragraph for each domain.
pub fn text(domains: &[&DomainFacts]) -> String {
    let mut out = String::new();
    for facts in domains {
        let _ = writeln!(out, "{}", facts.domain);
        for one in told(facts) {
            for line in &one.records {
                let _ = writeln!(out, "  {line}");
            }
            if let Some(fault) = one.fault {
                let _ = writeln!(out, "  failed      {}: {}", Reason::from(fault.kind), fault.detail);
            }
            for (problem, host, advice) in &one.problems {
                let _ = writeln!(out, "  problem     {}", format!("{problem} {host}").trim_end());
                let _ = writeln!(out, "              {advice}");
            }
        }
        out.push('\n');
    }
    out
}

/// Of IMAP the records are looked at, and no more.
fn is_probed(service: Service) -> bool {
    service != Service::Imaps
}

/// The domains as an array, ready to stand in an object beside the outcomes.
pub fn json(domains: &[&DomainFacts]) -> String {
    let views: Vec<View<'_>> = domains.iter().map(|facts| View::of(facts)).collect();
    // The views hold strings, numbers and lists only: they always have a JSON form.
    serde_json::to_string_pretty(&views).unwrap_or_default()
}

#[derive(Serialize)]
struct View<'a> {
    target: &'a str,
    domain: &'a str,
    /// Null when DNS has not told, or nobody asked.
    mx: Option<Vec<MxHost<'a>>>,
    problems: Vec<Wrong>,
    failure: Option<Failure<'a>>,
    srv: Vec<ServiceView<'a>>,
}

#[derive(Serialize)]
struct MxHost<'a> {
    preference: u16,
    host: &'a str,
}

#[derive(Serialize)]
struct ServiceView<'a> {
    service: &'static str,
    probed: bool,
    /// Null when DNS has not told.
    hosts: Option<Vec<SrvHost<'a>>>,
    problems: Vec<Wrong>,
    failure: Option<Failure<'a>>,
}

#[derive(Serialize)]
struct SrvHost<'a> {
    priority: u16,
    weight: u16,
    port: u16,
    host: &'a str,
}

#[derive(Serialize)]
struct Wrong {
    problem: &'static str,
    host: Option<String>,
    advice: &'static str,
}

#[derive(Serialize)]
struct Failure<'a> {
    reason: &'static str,
    detail: &'a str,
}

impl<'a> View<'a> {
    fn of(facts: &'a DomainFacts) -> Self {
        let mx = facts.mx.as_ref();
        let host = |host: &'a mx::Record| MxHost { preference: host.preference, host: &host.exchange };
        Self {
            target: &facts.target,
            domain: &facts.domain,
            mx: mx.and_then(|mx| mx.hosts.as_ref()).map(|hosts| hosts.iter().map(host).collect()),
            problems: mx
                .iter()
                .flat_map(|mx| &mx.problems)
                .map(|(p, host)| Wrong::of(p.as_str(), host, p.advice()))
                .collect(),
            failure: mx.and_then(|mx| mx.fault.as_ref()).map(Failure::of),
            srv: facts.services.iter().map(ServiceView::of).collect(),
        }
    }
}

impl<'a> ServiceView<'a> {
    fn of(facts: &'a ServiceFacts) -> Self {
        let host = |host: &'a srv::Record| SrvHost {
            priority: host.priority,
            weight: host.weight,
            port: host.port,
            host: &host.target,
        };
        Self {
            service: facts.service.as_str(),
            probed: is_probed(facts.service),
            hosts: facts.hosts.as_ref().map(|hosts| hosts.iter().map(host).collect()),
            problems: facts.problems.iter().map(|(p, host)| Wrong::of(p.as_str(), host, p.advice())).collect(),
            failure: facts.fault.as_ref().map(Failure::of),
        }
    }
}

impl Wrong {
    fn of(problem: &'static str, host: &str, advice: &'static str) -> Self {
        let host = (!host.is_empty()).then(|| Printable::from_bytes(host.as_bytes()).to_string());
        Self { problem, host, advice }
    }
}

impl<'a> Failure<'a> {
    fn of(fault: &'a NameFault) -> Self {
        Self { reason: Reason::from(fault.kind).as_str(), detail: &fault.detail }
    }
}
