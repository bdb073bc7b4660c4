//! What DNS says of the domains among the targets, below the table of their endpoints.

use super::markup::Html;
use crate::endpoint::NameFault;
use crate::export::domains::{Told, told};
use crate::outcome::domain::DomainFacts;
use crate::outcome::failure::Reason;
use crate::store::Snapshot;

/// The most rows on a page.
const ROWS: usize = 200;

/// The section; nothing without domains. Those with something wrong come first.
pub(super) fn section(html: &mut Html, snapshot: &Snapshot) {
    let mut all: Vec<(&DomainFacts, Vec<Told<'_>>)> =
        snapshot.domains.iter().map(|facts| (&**facts, told(facts))).collect();
    if all.is_empty() {
        return;
    }
    let is_wrong = |told: &[Told<'_>]| told.iter().any(|one| !one.problems.is_empty() || one.fault.is_some());
    let wrong = all.iter().filter(|(_, told)| is_wrong(told)).count();
    let number = all.len();
    all.sort_by_key(|(_, told)| !is_wrong(told));
    html.element("section", &[("class", "card domains")], |html| {
        let shown = if number > ROWS { format!(", {ROWS} of them shown") } else { String::new() };
        let domains = if number == 1 { "one domain".to_owned() } else { format!("{number} domains") };
        html.leaf("h2", &[], &format!("What DNS says of {domains}{shown}; of {wrong} not all is well"));
        html.element("table", &[], |html| {
            html.element("thead", &[], |html| {
                html.element("tr", &[], |html| {
                    for title in ["Domain", "Records", "What is wrong"] {
                        html.leaf("th", &[("scope", "col")], title);
                    }
                });
            });
            html.element("tbody", &[], |html| all.iter().take(ROWS).for_each(|(facts, told)| row(html, facts, told)));
        });
    });
}

fn row(html: &mut Html, facts: &DomainFacts, told: &[Told<'_>]) {
    html.element("tr", &[], |html| {
        html.element("th", &[("scope", "row")], |html| {
            html.host(&facts.domain);
            if facts.target != facts.domain {
                html.leaf("small", &[("class", "muted")], &format!(" {}", facts.target));
            }
        });
        html.element("td", &[], |html| {
            for line in told.iter().flat_map(|one| &one.records) {
                html.leaf("p", &[("class", "host")], line);
            }
        });
        html.element("td", &[], |html| {
            for one in told {
                one.fault.into_iter().for_each(|fault| failed(html, fault));
                for (problem, host, advice) in &one.problems {
                    html.element("p", &[], |html| {
                        html.leaf("span", &[("class", "warn")], &format!("{problem} {host}"));
                        html.leaf("small", &[("class", "muted")], advice);
                    });
                }
            }
        });
    });
}

fn failed(html: &mut Html, fault: &NameFault) {
    html.element("p", &[], |html| {
        html.leaf("span", &[("class", "bad")], Reason::from(fault.kind).as_str());
        html.leaf("small", &[("class", "muted")], &fault.detail);
    });
}
