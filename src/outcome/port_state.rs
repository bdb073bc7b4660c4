//! Whether a port is open, and if not, on whose side it is closed: a pure function over the last
//! outcomes of all endpoints.
//!
//! One endpoint alone cannot tell a dead host from a firewall, nor our own network's block of port 25
//! from theirs. Many endpoints together can.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use super::Outcome;
use super::failure::Reason;
use crate::cert::name::ServerName;
use crate::phase::Phase;

/// The verdict on a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortState {
    /// It connected.
    Open,
    /// The host answered that nothing listens.
    Refused,
    /// Silent, while another port of the same host is open: a firewall, theirs or on the way.
    Filtered,
    /// Silent, and no other port of the host is open either: the host is down or out of reach.
    Unreachable,
    /// Silent or refused at every host probed on this port, while one of them is open on another port:
    /// the network we probe from blocks the port. Ports that are to be closed neither count for it nor get it.
    EgressBlocked,
    /// It could not be tried: no address, or a fault of our own.
    Unknown,
}

impl PortState {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Open, Self::Refused, Self::Filtered, Self::Unreachable, Self::EgressBlocked, Self::Unknown];

    /// The word in metrics and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Refused => "refused",
            Self::Filtered => "filtered",
            Self::Unreachable => "unreachable",
            Self::EgressBlocked => "egress_blocked",
            Self::Unknown => "unknown",
        }
    }
}

/// How one connection attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    Open,
    Refused,
    /// No answer, or ICMP unreachable. (The system shows ICMP's "port unreachable" as a refusal.)
    Silent,
    Unknown,
}

fn reach(outcome: &Outcome) -> Reach {
    // Not the verdict: where the port is to be closed, it calls a refusal a success.
    match &outcome.findings.breakdown {
        Some(failure) if failure.phase == Phase::Resolve => Reach::Unknown,
        Some(failure) if failure.phase == Phase::Connect => match failure.reason {
            Reason::Refused => Reach::Refused,
            Reason::Timeout | Reason::Unreachable => Reach::Silent,
            // A SYN that is not welcome is refused (RFC 9293 §3.10.7.3): what is cut off had been connected.
            Reason::Reset | Reason::Closed => Reach::Open,
            _ => Reach::Unknown,
        },
        _ if outcome.findings.reached(Phase::Connect) => Reach::Open,
        _ => Reach::Unknown,
    }
}

/// The state of each endpoint's port, in the order given.
pub fn port_states(outcomes: &[&Outcome]) -> Vec<PortState> {
    let tried: Vec<Tried<'_>> = outcomes
        .iter()
        .map(|outcome| Tried {
            host: &outcome.endpoint.host,
            place: (&outcome.endpoint.host, outcome.endpoint.address),
            port: outcome.endpoint.port,
            reach: reach(outcome),
            to_be_closed: outcome.endpoint.module.expect.port_closed,
        })
        .collect();
    let survey = Survey::of(&tried);
    tried.iter().map(|one| survey.state(one)).collect()
}

/// A host, and the address where it is the endpoint's own: one address may be dead while another lives.
type Place<'a> = (&'a ServerName, Option<IpAddr>);

struct Tried<'a> {
    host: &'a ServerName,
    place: Place<'a>,
    port: u16,
    reach: Reach,
    /// That nobody answers is as it should be, and says nothing of our own network.
    to_be_closed: bool,
}

/// What is known of all hosts and ports together.
struct Survey<'a> {
    /// Place and port of all that are open.
    open: HashSet<(Place<'a>, u16)>,
    /// How many ports of a place are open.
    open_ports: HashMap<Place<'a>, usize>,
    /// The ports that our own network blocks.
    blocked: HashSet<u16>,
}

impl<'a> Survey<'a> {
    fn of(tried: &[Tried<'a>]) -> Self {
        let open: HashSet<_> =
            tried.iter().filter(|one| one.reach == Reach::Open).map(|one| (one.place, one.port)).collect();
        let mut open_ports = HashMap::<_, usize>::new();
        for (place, _) in &open {
            let count = open_ports.entry(*place).or_default();
            *count = count.saturating_add(1);
        }
        let mut by_port: HashMap<u16, Vec<&Tried<'a>>> = HashMap::new();
        // Open all the same it shows that nothing blocks the port.
        for one in tried.iter().filter(|one| !one.to_be_closed || one.reach == Reach::Open) {
            by_port.entry(one.port).or_default().push(one);
        }
        let blocked = by_port.iter().filter(|(_, all)| is_blocked(all, &open_ports)).map(|(port, _)| *port).collect();
        Self { open, open_ports, blocked }
    }

    fn state(&self, one: &Tried<'a>) -> PortState {
        match one.reach {
            Reach::Open => PortState::Open,
            Reach::Unknown => PortState::Unknown,
            Reach::Refused | Reach::Silent if self.blocked.contains(&one.port) && !one.to_be_closed => {
                PortState::EgressBlocked
            }
            Reach::Refused => PortState::Refused,
            Reach::Silent if self.open_elsewhere(one) => PortState::Filtered,
            Reach::Silent => PortState::Unreachable,
        }
    }

    fn open_elsewhere(&self, one: &Tried<'a>) -> bool {
        let here = usize::from(self.open.contains(&(one.place, one.port)));
        self.open_ports.get(&one.place).copied().unwrap_or(0) > here
    }
}

/// At least two hosts, none of them open here, at least one open elsewhere. Two addresses of one host are one host:
/// that both are silent says more about the host than about us.
fn is_blocked(on_port: &[&Tried<'_>], open_ports: &HashMap<Place<'_>, usize>) -> bool {
    let known = || on_port.iter().filter(|one| one.reach != Reach::Unknown);
    let hosts: HashSet<_> = known().map(|one| one.host).collect();
    hosts.len() >= 2
        && known().all(|one| one.reach != Reach::Open)
        && known().any(|one| open_ports.contains_key(&one.place))
}

#[cfg(test)]
pub(super) mod tests;
