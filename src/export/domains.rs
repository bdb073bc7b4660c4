//! What DNS says of domains, for people and for scripts; the probes of their hosts follow behind it.

use std::fmt::Write as _;

use serde::Serialize;

use crate::endpoint::NameFault;
use crate::mail::srv::{self, Service};
use crate::mail::{Printable, mx};
use crate::outcome::domain::{DomainFacts, MxFacts, ServiceFacts};
use crate::outcome::failure::Reason;

/// A paragraph for each domain.
pub fn text(domains: &[&DomainFacts]) -> String {
    let mut out = String::new();
    for facts in domains {
        let _ = writeln!(out, "{}", facts.domain);
        facts.mx.iter().for_each(|mx| text_of_mx(&mut out, mx));
        facts.services.iter().for_each(|service| text_of_service(&mut out, service));
        out.push('\n');
    }
    out
}

fn text_of_mx(out: &mut String, mx: &MxFacts) {
    for host in mx.hosts.iter().flatten() {
        let _ = writeln!(out, "  MX          {:>5} {}", host.preference, host.exchange);
    }
    failed(out, mx.fault.as_ref());
    for (problem, host) in &mx.problems {
        wrong(out, problem.as_str(), host, problem.advice());
    }
}

fn text_of_service(out: &mut String, facts: &ServiceFacts) {
    let name = facts.service.as_str();
    let note = if is_probed(facts.service) { "" } else { " (not probed)" };
    for host in facts.hosts.iter().flatten() {
        let _ = writeln!(out, "  {name:<11} {:>5} {}:{}{note}", host.priority, host.target, host.port);
    }
    failed(out, facts.fault.as_ref());
    for (problem, host) in &facts.problems {
        wrong(out, problem.as_str(), if host.is_empty() { name } else { host }, problem.advice());
    }
}

fn failed(out: &mut String, fault: Option<&NameFault>) {
    if let Some(fault) = fault {
        let _ = writeln!(out, "  failed      {}: {}", Reason::from(fault.kind), fault.detail);
    }
}

fn wrong(out: &mut String, problem: &str, host: &str, advice: &str) {
    let host = Printable::from_bytes(host.as_bytes());
    let _ = writeln!(out, "  problem     {}", format!("{problem} {host}").trim_end());
    let _ = writeln!(out, "              {advice}");
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
