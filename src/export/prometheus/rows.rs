//! What the families are filled from: endpoints, groups of them and domains, each with its labels.

use std::net::IpAddr;
use std::sync::Arc;

use crate::cert::facts::Facts as CertificateFacts;
use crate::endpoint::AddressCount;
use crate::export::wire::Sink;
use crate::mail::smtp::capabilities::Capabilities;
use crate::outcome::domain::DomainFacts;
use crate::outcome::failure::Reason;
use crate::outcome::port_state::{PortState, port_states};
use crate::outcome::siblings::matches_siblings;
use crate::outcome::{Findings, Outcome};
use crate::store::{History, Snapshot};

/// One endpoint, ready to be written.
pub(super) struct View {
    /// As the sink wants them.
    pub(super) labels: Vec<u8>,
    pub(super) history: Arc<History>,
    /// `None` before the first probe.
    pub(super) port_state: Option<PortState>,
    /// `None` where no certificate was seen, or no other port or address of the host showed one.
    pub(super) matches_siblings: Option<bool>,
}

pub(super) fn views(snapshot: &Snapshot, sink: &dyn Sink) -> Vec<View> {
    let probed: Vec<&Outcome> = snapshot.endpoints.iter().filter_map(|history| history.latest.as_deref()).collect();
    let mut verdicts = port_states(&probed).into_iter().zip(matches_siblings(&probed));
    let view = |history: &Arc<History>| {
        let verdict = history.latest.as_ref().and_then(|_| verdicts.next());
        View {
            labels: identity(history, history.endpoint.address, sink),
            history: history.clone(),
            port_state: verdict.map(|(state, _)| state),
            matches_siblings: verdict.and_then(|(_, matches)| matches),
        }
    };
    snapshot.endpoints.iter().map(view).collect()
}

/// All endpoints of one host and port of a target: one, or one for each address.
pub(super) struct Group {
    pub(super) labels: Vec<u8>,
    /// `None` where no name was looked up.
    pub(super) dns: Option<AddressCount>,
    pub(super) dns_failure: Option<Reason>,
    /// The endpoints with an address of their own.
    pub(super) addresses: usize,
    /// Those of them that are well; `None` while none has been probed.
    pub(super) up: Option<usize>,
}

/// Endpoints of a group stand one behind the other.
pub(super) fn groups(views: &[View], sink: &dyn Sink) -> Vec<Group> {
    let same = |one: &View, other: &View| {
        let (one, other) = (&one.history.endpoint, &other.history.endpoint);
        one.port == other.port && one.host == other.host && one.target == other.target
    };
    views.chunk_by(same).filter_map(|views| group(views, sink)).collect()
}

fn group(views: &[View], sink: &dyn Sink) -> Option<Group> {
    let own: Vec<&View> = views.iter().filter(|view| view.history.endpoint.address.is_some()).collect();
    let probed = || own.iter().filter_map(|view| view.outcome());
    let first = views.first()?;
    let found = first.history.endpoint.found.as_ref();
    Some(Group {
        labels: identity(&first.history, None, sink),
        dns: found.map(|found| found.addresses).or_else(|| first.findings()?.dns),
        dns_failure: found.and_then(|found| found.fault.as_ref()).map(|fault| fault.kind.into()),
        addresses: own.len(),
        up: probed().next().map(|_| probed().filter(|outcome| outcome.success()).count()),
    })
}

fn identity(history: &History, address: Option<IpAddr>, sink: &dyn Sink) -> Vec<u8> {
    let endpoint = &history.endpoint;
    let (host, port) = (endpoint.host.to_string(), endpoint.port.to_string());
    let address = address.map(|address| address.to_string());
    let mut labels = vec![("target", endpoint.target.as_str()), ("host", &host), ("port", &port)];
    labels.extend(address.as_deref().map(|address| ("address", address)));
    labels.extend(endpoint.labels.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    sink.labels(&labels)
}

impl View {
    pub(super) fn outcome(&self) -> Option<&Outcome> {
        self.history.latest.as_deref()
    }

    pub(super) fn findings(&self) -> Option<&Findings> {
        self.outcome().map(|outcome| &outcome.findings)
    }

    /// What was offered, by stage.
    pub(super) fn stages(&self) -> impl Iterator<Item = (&'static str, &Capabilities)> {
        let smtp = self.findings().map(|findings| &findings.smtp);
        let clear = smtp.and_then(|smtp| smtp.clear.as_deref()).map(|offered| ("clear", offered));
        let tls = smtp.and_then(|smtp| smtp.tls.as_deref()).map(|offered| ("tls", offered));
        clear.into_iter().chain(tls)
    }

    pub(super) fn leaf(&self) -> Option<(&str, &CertificateFacts)> {
        let leaf = self.findings()?.certificate.as_ref()?.leaf()?;
        leaf.facts.as_ref().map(|facts| (&*leaf.sha256, facts))
    }
}

/// The labels of a domain.
pub(super) fn domain_identity(facts: &DomainFacts, sink: &dyn Sink) -> Vec<u8> {
    let own = facts.labels.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    sink.labels(&std::iter::once(("target", facts.target.as_str())).chain(own).collect::<Vec<_>>())
}
