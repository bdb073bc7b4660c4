//! A domain's mail servers, to endpoints (RFC 5321 §5.1, RFC 7505).

use super::{OfRecord, Work, no_records};
use crate::cert::name::ServerName;
use crate::dns::DnsFault;
use crate::dns::records::{Question, Records};
use crate::endpoint::{Endpoint, NameFault, NameFaultKind};
use crate::mail::mx::{Problem, Record, Verdict, judge};
use crate::outcome::domain::{MOST_HOSTS, MxFacts};
use crate::search::MailDomain;

impl Work<'_> {
    /// The endpoints of one domain and port: one for each MX host, or for each address of each.
    pub(super) fn domain(&mut self, search: &MailDomain) {
        let domain = search.blueprint.host.to_string();
        let Some(fact) = self.ask(Question::Mx(domain.clone())).cloned() else { return };
        let verdict = match (fact.reply.map(|reply| reply.records), &fact.fault) {
            (Some(Records::Mx(records)), _) => Some(judge(&records)),
            // No MX, yet a domain: it is its own mail server, of preference 0.
            (_, Some(DnsFault::NoAddress)) => {
                Some(Verdict { problems: vec![(Problem::Implicit, String::new())], ..Verdict::default() })
            }
            _ => None,
        };
        let fault = fact
            .fault
            .filter(|fault| *fault != DnsFault::NoAddress)
            .map(|fault| no_records(fault, &format!("the mail servers of {domain}"), &domain));
        let mut facts = MxFacts {
            hosts: verdict.as_ref().map(|verdict| verdict.hosts.clone()),
            problems: verdict.as_ref().map(|verdict| verdict.problems.clone()).unwrap_or_default(),
            fault: fault.clone(),
        };
        match verdict {
            Some(verdict) if !verdict.is_null => self.hosts(search, verdict, &mut facts),
            Some(_) => self.nowhere(&search.blueprint, null_mx(&domain)),
            None => self.nowhere(&search.blueprint, fault.unwrap_or_else(|| no_host(&domain))),
        }
        // Ports of a domain share its facts.
        if let Some(told) = self.facts_of(&search.blueprint) {
            told.mx.get_or_insert(facts);
        }
    }

    fn hosts(&mut self, search: &MailDomain, verdict: Verdict, facts: &mut MxFacts) {
        let domain = search.blueprint.host.to_string();
        let is_implicit = verdict.problems.iter().any(|(problem, _)| *problem == Problem::Implicit);
        let mut hosts: Vec<Record> = verdict.hosts;
        if is_implicit {
            hosts.push(Record { preference: 0, exchange: domain.clone() });
        }
        if hosts.is_empty() {
            self.nowhere(&search.blueprint, no_host(&domain));
        }
        if hosts.len() > MOST_HOSTS {
            facts.problems.push((Problem::TooMany, String::new()));
        }
        for host in hosts.into_iter().take(MOST_HOSTS) {
            let problem = problem(self.addresses(&host.exchange).of_record(), is_implicit);
            facts.problems.extend(problem.map(|problem| (problem, host.exchange.clone())));
            let Ok(name) = ServerName::parse(&host.exchange) else {
                facts.problems.push((Problem::Malformed, host.exchange));
                continue;
            };
            let blueprint = Endpoint { host: name, ..Endpoint::clone(&search.blueprint) };
            if search.every_address { self.every_address(&blueprint) } else { self.endpoint(blueprint) }
        }
    }
}

/// What is wrong with a host as an MX. A domain that is its own mail server may be an alias.
fn problem(found: OfRecord, is_implicit: bool) -> Option<Problem> {
    match found {
        OfRecord::Good => None,
        OfRecord::Alias => (!is_implicit).then_some(Problem::Alias),
        OfRecord::Dangling => Some(Problem::Dangling),
        OfRecord::NoAddress => Some(Problem::NoAddress),
    }
}

fn null_mx(domain: &str) -> NameFault {
    NameFault { kind: NameFaultKind::NullMx, detail: format!("{domain} takes no mail (null MX)") }
}

fn no_host(domain: &str) -> NameFault {
    NameFault { kind: NameFaultKind::NoAddress, detail: format!("no MX record of {domain} names a host") }
}
