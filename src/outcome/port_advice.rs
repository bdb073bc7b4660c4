//! What to tell a person about a port that is not open: what that means, what to do, and which other port of the host
//! to use instead.

use super::Outcome;
use super::port_state::PortState;
use crate::endpoint::{Endpoint, Security};

/// The port between mail servers; no other stands in for it, nor it for another.
const RELAY: u16 = 25;

/// The ports for submission, the most usual first: 587 (RFC 6409), 465 (RFC 8314 §3.3), and what providers add to them.
const SUBMISSION: [u16; 6] = [587, 465, 2525, 2587, 588, 2465];

/// One sentence or more, over the last outcomes of all. `None` for a port that is open, and for one that could not be
/// tried: its failure says why.
pub fn advice(outcome: &Outcome, state: PortState, all: &[(&Outcome, PortState)]) -> Option<String> {
    let endpoint = outcome.endpoint.as_ref();
    let meaning = meaning(endpoint.port, state)?;
    let more = match state {
        PortState::Unreachable if is_alone(endpoint, all) => {
            Some("Probe another port of it too: that tells a firewall from a dead host.".to_owned())
        }
        PortState::EgressBlocked if endpoint.port == RELAY => Some(
            "Many networks block 25 outwards; submission goes by 587 (RFC 6409), 465 (RFC 8314) or 2525.".to_owned(),
        ),
        _ => None,
    };
    let instead = alternative(endpoint, all).map(|other| instead(endpoint, other));
    Some([Some(meaning), more, instead].into_iter().flatten().collect::<Vec<_>>().join(" "))
}

fn meaning(port: u16, state: PortState) -> Option<String> {
    let text = match state {
        PortState::Open | PortState::Unknown => return None,
        PortState::Refused => {
            "is refused: start the service there, or correct the port; a firewall may refuse as well."
        }
        PortState::Filtered => "is filtered: the host is up, and a firewall, its own or one on the way, stops us.",
        PortState::Unreachable => {
            "is unreachable: no port probed of this host is open. Check that it is up, its address, and the way to it."
        }
        PortState::EgressBlocked => {
            "is blocked by the network we probe from: no host lets us in there, though some do on another port. \
             Its operator may open it."
        }
    };
    Some(format!("Port {port} {text}"))
}

/// Whether no other port of the host was probed.
fn is_alone(endpoint: &Endpoint, all: &[(&Outcome, PortState)]) -> bool {
    !all.iter().any(|(other, _)| is_same_place(&other.endpoint, endpoint) && other.endpoint.port != endpoint.port)
}

/// Whether two endpoints are ports of the same host, at the same address if they have one of their own.
fn is_same_place(one: &Endpoint, other: &Endpoint) -> bool {
    one.host == other.host && one.address == other.address
}

/// The best other port of the host: one that works before one that is merely open, one that needs nothing changed but
/// the number before one with TLS at another place, and a usual one before an unusual one.
fn alternative<'a>(endpoint: &Endpoint, all: &[(&'a Outcome, PortState)]) -> Option<&'a Outcome> {
    let place = |port| SUBMISSION.iter().position(|usual| *usual == port).unwrap_or(SUBMISSION.len());
    all.iter()
        .filter(|(_, state)| *state == PortState::Open)
        .map(|(other, _)| *other)
        .filter(|other| is_same_place(&other.endpoint, endpoint))
        .filter(|other| other.endpoint.port != endpoint.port && other.endpoint.port != RELAY)
        .min_by_key(|other| {
            let port = other.endpoint.port;
            (!other.success(), is_implicit(&other.endpoint) != is_implicit(endpoint), place(port), port)
        })
}

/// Whether TLS begins before the first byte.
fn is_implicit(endpoint: &Endpoint) -> bool {
    endpoint.module.security == Security::Tls
}

fn instead(endpoint: &Endpoint, other: &Outcome) -> String {
    let port = other.endpoint.port;
    let how = match (is_implicit(endpoint), is_implicit(&other.endpoint)) {
        (false, true) => " with TLS from the first byte",
        (true, false) => " with STARTTLS",
        _ => "",
    };
    match &other.failure {
        None => format!("Use {port}{how}: it works."),
        Some(failure) => format!("Use {port}{how}: it is open, but fails too ({failure})."),
    }
}

#[cfg(test)]
mod tests {
    use super::super::port_state::tests::{outcomes, states};
    use super::*;

    /// The advice for the first of the tries (their signs are in the tests of the port states).
    fn first(tries: &str) -> Option<String> {
        let outcomes = outcomes(tries);
        let all: Vec<(&Outcome, PortState)> = outcomes.iter().zip(states(&outcomes)).collect();
        advice(all[0].0, all[0].1, &all)
    }

    #[test]
    fn each_state_has_its_words() {
        for (tries, expected) in [
            (
                "a:25x",
                "Port 25 is refused: start the service there, or correct the port; a firewall may refuse as well.",
            ),
            (
                "a:587- a:25+",
                "Port 587 is filtered: the host is up, and a firewall, its own or one on the way, stops us.",
            ),
            (
                "a:587- a:465-",
                "Port 587 is unreachable: no port probed of this host is open. Check that it is up, its address, and the way to it.",
            ),
            (
                "a:587- b:587+ b:25+",
                "Port 587 is unreachable: no port probed of this host is open. Check that it is up, its address, and the way to it. \
                 Probe another port of it too: that tells a firewall from a dead host.",
            ),
            (
                "a:465- b:465- b:587+",
                "Port 465 is blocked by the network we probe from: no host lets us in there, though some do on another port. \
                 Its operator may open it.",
            ),
            (
                "a:25- b:25- a:587+",
                "Port 25 is blocked by the network we probe from: no host lets us in there, though some do on another port. \
                 Its operator may open it. \
                 Many networks block 25 outwards; submission goes by 587 (RFC 6409), 465 (RFC 8314) or 2525. \
                 Use 587: it works.",
            ),
        ] {
            assert_eq!(first(tries).as_deref(), Some(expected), "{tries}");
        }
    }

    #[test]
    fn an_open_port_and_one_not_tried_need_no_words() {
        for tries in ["a:25+ a:587+", "a:25* a:587+", "a:25n a:587+", "a:25l a:587+"] {
            assert_eq!(first(tries), None, "{tries}");
        }
    }

    #[test]
    fn the_port_to_use_instead() {
        for (tries, expected) in [
            ("a:25- a:587+ a:465+ a:2525+", "Use 587: it works."),
            ("a:25- a:465+", "Use 465 with TLS from the first byte: it works."),
            ("a:587- a:2525+ a:465+", "Use 2525: it works."),
            ("a:587x a:465+", "Use 465 with TLS from the first byte: it works."),
            ("a:465- a:587+ a:2525+", "Use 587 with STARTTLS: it works."),
            ("a:465- a:587+ a:2465+", "Use 2465: it works."),
            ("a:2525- a:587+ a:465+", "Use 587: it works."),
            // One that works before one that is only open.
            ("a:25- a:587* a:465+", "Use 465 with TLS from the first byte: it works."),
            (
                "a:587- a:2525*",
                "Use 2525: it is open, but fails too (certificate_expired in tls: as the test wants it).",
            ),
        ] {
            assert!(first(tries).unwrap().ends_with(expected), "{tries}: {:?}", first(tries));
        }
        // Not that of another host, none that is shut, and never that between servers.
        for tries in ["a:587- b:465+", "a:587- a:465x", "a:587- a:25+"] {
            assert!(!first(tries).unwrap().contains("Use"), "{tries}: {:?}", first(tries));
        }
    }
}
