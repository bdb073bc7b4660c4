//! Whether the ports and addresses of a host show the same certificate: a pure function over the last outcomes of all
//! endpoints.
//!
//! A renewed certificate that one service has loaded and another has not is the commonest way in which mail stops on
//! a day nobody expects. So what counts is not what most of them show, but what was issued last: after a renewal the
//! services that were *not* reloaded are the odd ones, be they one or all but one.
//!
//! The certificate that a host ought to show, out of those that it does show:
//!
//! 1. one that is valid for the host, before one that is not (a self-signed stop-gap is often the youngest);
//! 2. the one issued last (`not before`);
//! 3. of two issued together (RSA and ECDSA), the one that more of its ports and addresses show;
//! 4. of two that are still equal, the one with the smaller SHA-256, so that the answer never depends on the order.
//!
//! An endpoint matches if it shows that one. Endpoints that ask for different names (`server_name`) may be shown
//! different certificates and are no siblings; the same port of the same host in two targets is one sibling.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use super::Outcome;
use crate::cert::name::ServerName;

/// For each outcome, in the order given: whether its certificate is the one that its host ought to show. `None` where
/// it showed none, and where no other port or address of the host did.
pub fn matches_siblings(outcomes: &[&Outcome]) -> Vec<Option<bool>> {
    let mut hosts: HashMap<Host<'_>, Shown<'_>> = HashMap::new();
    for outcome in outcomes {
        if let Some(seen) = Seen::of(outcome) {
            hosts.entry(host(outcome)).or_default().add(seen);
        }
    }
    let expected: HashMap<Host<'_>, &str> =
        hosts.iter().filter_map(|(host, shown)| Some((*host, shown.expected()?))).collect();
    let matches = |outcome: &&Outcome| {
        let shown = Seen::of(outcome)?.sha256;
        expected.get(&host(outcome)).map(|expected| *expected == shown)
    };
    outcomes.iter().map(matches).collect()
}

/// A host, and the name that it is asked for.
type Host<'a> = (&'a ServerName, &'a ServerName);

/// A port of it, and the address where each has an endpoint of its own.
type Place = (u16, Option<IpAddr>);

fn host(outcome: &Outcome) -> Host<'_> {
    (&outcome.endpoint.host, outcome.endpoint.server_name())
}

/// What one endpoint showed.
struct Seen<'a> {
    place: Place,
    sha256: &'a str,
    valid: bool,
    /// The beginning of time for one that tells none, which is never preferred.
    not_before: i64,
}

impl<'a> Seen<'a> {
    fn of(outcome: &'a Outcome) -> Option<Self> {
        let certificate = outcome.findings.certificate.as_ref()?;
        let leaf = certificate.leaf()?;
        Some(Self {
            place: (outcome.endpoint.port, outcome.endpoint.address),
            sha256: &leaf.sha256,
            valid: certificate.invalid.is_empty(),
            not_before: leaf.facts.as_ref().and_then(|facts| facts.not_before).unwrap_or(i64::MIN),
        })
    }
}

/// All that a host showed.
#[derive(Default)]
struct Shown<'a> {
    places: HashSet<Place>,
    certificates: HashMap<&'a str, Candidate>,
}

#[derive(Default)]
struct Candidate {
    /// Where anybody takes it for valid: modules may trust different CAs.
    valid: bool,
    not_before: i64,
    places: HashSet<Place>,
}

impl<'a> Shown<'a> {
    fn add(&mut self, seen: Seen<'a>) {
        self.places.insert(seen.place);
        let candidate = self.certificates.entry(seen.sha256).or_default();
        candidate.valid |= seen.valid;
        candidate.not_before = seen.not_before;
        candidate.places.insert(seen.place);
    }

    /// The certificate that all ought to show; `None` for a place that is alone.
    fn expected(&self) -> Option<&'a str> {
        let rank =
            |(sha256, one): &(&&'a str, &Candidate)| (one.valid, one.not_before, one.places.len(), Reverse(**sha256));
        let best = self.certificates.iter().max_by_key(rank)?;
        (self.places.len() > 1).then_some(*best.0)
    }
}

#[cfg(test)]
pub(super) mod tests;
