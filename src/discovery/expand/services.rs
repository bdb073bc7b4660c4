//! A domain's submission servers, to endpoints (RFC 6186, RFC 8314 §5.1).
//!
//! IMAPS has no probe of its own here: its records are judged and its hosts looked up, and that is all.

use super::{OfRecord, Work, no_records};
use crate::cert::name::ServerName;
use crate::dns::DnsFault;
use crate::dns::records::{Question, Records};
use crate::endpoint::{Endpoint, NameFault, NameFaultKind};
use crate::mail::srv::{Problem, Service, Verdict, judge};
use crate::outcome::domain::{MOST_HOSTS, ServiceFacts};
use crate::search::MailServices;

/// What the services for handing mail in come to.
#[derive(Default)]
struct Submission {
    is_pending: bool,
    /// Some record names a host.
    is_somewhere: bool,
    /// A record says that there is no such service.
    is_denied: bool,
    /// Some record is there.
    has_records: bool,
    fault: Option<NameFault>,
}

impl Work<'_> {
    /// The endpoints of one domain: one for each host and port that its SRV records name, or for each address of each.
    pub(super) fn services(&mut self, search: &MailServices) {
        let mut submission = Submission::default();
        for service in Service::ALL {
            let found = self.service(search, service);
            if service != Service::Imaps {
                submission.add(found.as_ref());
            }
            if let (Some(found), Some(told)) = (found, self.facts_of(&search.submissions))
                && told.services.iter().all(|other| other.service != service)
            {
                told.services.push(found);
            }
        }
        if !submission.is_somewhere && !submission.is_pending {
            self.nowhere(&search.submissions, submission.nowhere(&search.submissions.host.to_string()));
        }
    }

    /// What DNS says of a service; `None` as long as it has not answered.
    fn service(&mut self, search: &MailServices, service: Service) -> Option<ServiceFacts> {
        let name = service.name_in(&search.submissions.host.to_string());
        let fact = self.ask(Question::Srv(name.clone())).cloned()?;
        let is_missing = matches!(fact.fault, Some(DnsFault::NoAddress | DnsFault::NotFound));
        let verdict = match fact.reply.map(|reply| reply.records) {
            Some(Records::Srv(records)) => Some(judge(service, &records)),
            // The names of records need not exist, where the domain does.
            _ => {
                is_missing.then(|| Verdict { problems: vec![(Problem::Missing, String::new())], ..Verdict::default() })
            }
        };
        let mut facts = ServiceFacts {
            service,
            hosts: verdict.as_ref().map(|verdict| verdict.hosts.clone()),
            problems: verdict.map(|verdict| verdict.problems).unwrap_or_default(),
            fault: fact
                .fault
                .filter(|_| !is_missing)
                .map(|fault| no_records(fault, &format!("the SRV records {name}"), &name)),
        };
        self.hosts_of_service(search, &mut facts);
        Some(facts)
    }

    fn hosts_of_service(&mut self, search: &MailServices, facts: &mut ServiceFacts) {
        let hosts = facts.hosts.as_deref().unwrap_or_default();
        if hosts.len() > MOST_HOSTS {
            facts.problems.push((Problem::TooMany, String::new()));
        }
        for host in hosts.iter().take(MOST_HOSTS) {
            let problem = problem(self.addresses(&host.target).of_record());
            facts.problems.extend(problem.map(|problem| (problem, host.target.clone())));
            let Ok(name) = ServerName::parse(&host.target) else {
                facts.problems.push((Problem::Malformed, host.target.clone()));
                continue;
            };
            let blueprint = match facts.service {
                Service::Submissions => &search.submissions,
                Service::Submission => &search.submission,
                Service::Imaps => continue,
            };
            let blueprint = Endpoint { host: name, port: host.port, ..Endpoint::clone(blueprint) };
            if search.every_address { self.every_address(&blueprint) } else { self.endpoint(blueprint) }
        }
    }
}

impl Submission {
    fn add(&mut self, facts: Option<&ServiceFacts>) {
        let Some(facts) = facts else {
            self.is_pending = true;
            return;
        };
        let has = |wanted: Problem| facts.problems.iter().any(|(problem, _)| *problem == wanted);
        self.is_somewhere |= facts.hosts.iter().flatten().any(|host| ServerName::parse(&host.target).is_ok());
        self.is_denied |= has(Problem::NotOffered);
        self.has_records |= facts.hosts.is_some() && !has(Problem::Missing);
        self.fault = self.fault.take().or_else(|| facts.fault.clone());
    }

    /// Why there is nothing to connect to.
    fn nowhere(self, domain: &str) -> NameFault {
        if let Some(fault) = self.fault {
            return fault;
        }
        let (kind, detail) = match (self.is_denied, self.has_records) {
            (true, _) => (NameFaultKind::NoAddress, format!("{domain} offers no submission (SRV target “.”)")),
            (false, true) => (NameFaultKind::NoAddress, format!("no SRV record of {domain} names a submission server")),
            (false, false) => (
                NameFaultKind::NotFound,
                format!("DNS has no SRV record _submissions._tcp.{domain} or _submission._tcp.{domain}"),
            ),
        };
        NameFault { kind, detail }
    }
}

/// What is wrong with a host that an SRV record names.
fn problem(found: OfRecord) -> Option<Problem> {
    match found {
        OfRecord::Good => None,
        OfRecord::Alias => Some(Problem::Alias),
        OfRecord::Dangling => Some(Problem::Dangling),
        OfRecord::NoAddress => Some(Problem::NoAddress),
    }
}
