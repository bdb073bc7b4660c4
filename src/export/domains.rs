//! What DNS says of domains, for people and for scripts; the probes of their hosts follow behind it.

use std::fmt::Write as _;

use serde::Serialize;

use crate::mail::Printable;
use crate::outcome::domain::DomainFacts;
use crate::outcome::failure::Reason;

/// A paragraph for each domain.
pub fn text(domains: &[&DomainFacts]) -> String {
    let mut out = String::new();
    for facts in domains {
        let _ = writeln!(out, "{}", facts.domain);
        for host in facts.hosts.iter().flatten() {
            let _ = writeln!(out, "  MX          {:>5} {}", host.preference, host.exchange);
        }
        if let Some(fault) = &facts.fault {
            let _ = writeln!(out, "  failed      {}: {}", Reason::from(fault.kind), fault.detail);
        }
        for (problem, host) in &facts.problems {
            let host = Printable::from_bytes(host.as_bytes());
            let _ = writeln!(out, "  problem     {}", format!("{problem} {host}").trim_end());
            let _ = writeln!(out, "              {}", problem.advice());
        }
        out.push('\n');
    }
    out
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
    /// Null when DNS has not told.
    mx: Option<Vec<Host<'a>>>,
    problems: Vec<Wrong>,
    failure: Option<Failure<'a>>,
}

#[derive(Serialize)]
struct Host<'a> {
    preference: u16,
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
        let hosts = facts.hosts.as_ref();
        let wrong = |(problem, host): &(crate::mail::mx::Problem, String)| Wrong {
            problem: problem.as_str(),
            host: (!host.is_empty()).then(|| Printable::from_bytes(host.as_bytes()).to_string()),
            advice: problem.advice(),
        };
        Self {
            target: &facts.target,
            domain: &facts.domain,
            mx: hosts.map(|hosts| {
                hosts.iter().map(|host| Host { preference: host.preference, host: &host.exchange }).collect()
            }),
            problems: facts.problems.iter().map(wrong).collect(),
            failure: facts
                .fault
                .as_ref()
                .map(|fault| Failure { reason: Reason::from(fault.kind).as_str(), detail: &fault.detail }),
        }
    }
}
