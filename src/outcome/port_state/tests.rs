//! The rule as a table, and held against a second, slower telling of it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, SystemTime};

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::config::{Config, by_port};
use crate::endpoint::{Endpoint, Family};
use crate::outcome::Findings;
use crate::outcome::failure::Failure;

/// What became of each try, and the states in the same order, one letter each.
///
/// A try is a host, a port and a sign: `+` succeeded, `*` connected and failed later, `-` no answer, `i` ICMP
/// unreachable, `x` refused, `n` no address in DNS, `l` a fault of our own machine. Where the port is to be closed,
/// `_` is no answer, `X` refused, `!` open all the same. The host `4` is an IPv4 address,
/// `6` an IPv6 address, any other a name; `a1` and `a2` are two addresses of the host `a`, probed on their own.
///
/// A state is `O`pen, `R`efused, `F`iltered, `U`nreachable, `E`gress blocked or `?`.
const TABLE: &[(&str, &str, &str)] = &[
    ("nothing", "", ""),
    // One host.
    ("a host", "a:25+ a:587+", "OO"),
    ("a port that fails after the connection is open", "a:25* a:587+", "OO"),
    ("one port, silent: who can tell", "a:25-", "U"),
    ("one port, ICMP", "a:25i", "U"),
    ("one port, refused", "a:25x", "R"),
    ("a host, all silent", "a:25- a:465- a:587-", "UUU"),
    ("a host, all unreachable", "a:25i a:465i a:587i", "UUU"),
    ("a host, all refused", "a:25x a:465x a:587x", "RRR"),
    ("refused is an answer, but not an open port", "a:25- a:587x", "UR"),
    ("silent beside an open one", "a:25- a:587+", "FO"),
    ("ICMP beside an open one", "a:25i a:587+", "FO"),
    ("refused beside an open one", "a:25x a:587+", "RO"),
    ("silent beside one that fails later", "a:25- a:587*", "FO"),
    ("silent, refused and open", "a:25- a:465x a:587+", "FRO"),
    ("one host alone proves no block of ours", "a:25- a:465- a:587+", "FFO"),
    // Two hosts.
    ("25 silent at both, one open elsewhere", "a:25- b:25- a:587+", "EEO"),
    ("… both open elsewhere", "a:25- b:25- a:587+ b:587+", "EEOO"),
    ("… by ICMP", "a:25i b:25i a:587+", "EEO"),
    ("… by a reset on the way", "a:25x b:25x a:587+", "EEO"),
    ("… mixed", "a:25- b:25x c:25i a:587+", "EEEO"),
    ("… open where it then fails", "a:25- b:25- a:587*", "EEO"),
    ("silent at both, open nowhere", "a:25- b:25-", "UU"),
    ("refused at both, open nowhere", "a:25x b:25x a:587x", "RRR"),
    ("open only at a host not probed on 25", "a:25- b:25- c:587+", "UUO"),
    ("open at one of them: theirs", "a:25+ b:25- b:587+", "OFO"),
    ("… or down", "a:25+ b:25- b:587-", "OUU"),
    ("one that fails later was open too", "a:25* b:25- b:587+", "OFO"),
    ("two ports of ours, 465 as well", "a:25- b:25- a:465- b:465- b:587+", "EEEEO"),
    ("25 by us, and a host down", "a:25- b:25- a:587+ b:587-", "EEOU"),
    ("25 by us, 465 by them", "a:25- b:25- a:465- b:465+ a:587+", "EEFOO"),
    ("the other port is closed by them all", "a:25- b:25- a:587x b:587x", "UURR"),
    ("all ports of all hosts: our network is down", "a:25- a:587- b:25- b:587-", "UUUU"),
    // To be closed.
    ("closed on purpose at both, open elsewhere", "a:25X b:25X a:587+ b:587+", "RROO"),
    ("… by a firewall", "a:25_ b:25_ a:587+ b:587-", "FUOU"),
    ("… is no second host", "a:25- b:25X a:587+", "FRO"),
    ("… nor called a block of ours beside one", "a:25- b:25- c:25X d:25_ a:587+", "EERUO"),
    ("… nor open elsewhere", "a:25- b:25- c:25X c:587+", "UURO"),
    ("… and open all the same: nothing blocks it", "a:25- b:25x c:25! a:587+", "FROO"),
    // Not tried.
    ("no address", "a:25n", "?"),
    ("a fault of our own", "a:25l a:587+", "?O"),
    ("not tried is no second host", "a:25- b:25n a:587+", "F?O"),
    ("… nor a contradiction", "a:25- b:25- c:25n a:587+", "EE?O"),
    ("… nor open elsewhere", "a:25- b:25- a:587l b:587n", "UU??"),
    ("not tried on 25 itself", "a:25- b:25- c:25l c:587+", "UU?O"),
    // Addresses.
    ("two addresses are two hosts", "4:25- 6:25- 4:587+", "EEO"),
    ("one family is down", "4:25+ 4:587+ 6:25- 6:587-", "OOUU"),
    ("25 is blocked in one family, and one host cannot tell", "4:25+ 4:587+ 6:25- 6:587+", "OOFO"),
    ("two addresses of one host are one host", "a1:25- a2:25- a1:587+ a2:587+", "FFOO"),
    ("… of which one is dead", "a1:25+ a1:587+ a2:25- a2:587-", "OOUU"),
    ("… and with another host, a block of ours", "a1:25- a2:25- a1:587+ b:25-", "EEOE"),
    // One host and port, probed in two ways.
    ("one host twice is one host", "a:25- a:25- a:587+", "FFO"),
    ("open in one way, silent in the other", "a:25+ a:25-", "OU"),
    ("… with another port", "a:25+ a:25- a:587+", "OFO"),
    ("… at two hosts", "a:25- a:25+ b:25- b:587+", "UOFO"),
];

#[test]
fn port_states_are_as_the_table_says() {
    for (name, tries, expected) in TABLE {
        assert_eq!(letters(&states(&outcomes(tries))), *expected, "{name}: {tries}");
    }
}

/// Only what happens before or while connecting says something about the port.
#[test]
fn how_a_probe_fails_decides_what_the_port_is() {
    for phase in Phase::ALL {
        for reason in Reason::ALL {
            let expected = match (phase, reason) {
                (Phase::Resolve, _) => PortState::Unknown,
                (Phase::Connect, Reason::Timeout | Reason::Unreachable) => PortState::Unreachable,
                (Phase::Connect, Reason::Refused) => PortState::Refused,
                // Only what was connected can be cut off.
                (Phase::Connect, Reason::Reset | Reason::Closed) => PortState::Open,
                (Phase::Connect, _) => PortState::Unknown,
                _ => PortState::Open,
            };
            let outcome = outcome("a", 25, Some((phase, *reason)));
            assert_eq!(states(&[outcome]), [expected], "{reason} in {phase}");
        }
    }
}

/// The tries of a row.
pub(in crate::outcome) fn outcomes(tries: &str) -> Vec<Outcome> {
    let one = |word: &str| {
        let (host, rest) = word.split_once(':').unwrap();
        let (port, sign) = rest.split_at(rest.len() - 1);
        let failure = match sign {
            "+" => None,
            "*" => Some((Phase::Tls, Reason::CertificateExpired)),
            "!" => None,
            "-" | "_" => Some((Phase::Connect, Reason::Timeout)),
            "i" => Some((Phase::Connect, Reason::Unreachable)),
            "x" | "X" => Some((Phase::Connect, Reason::Refused)),
            "n" => Some((Phase::Resolve, Reason::DnsNoAddress)),
            "l" => Some((Phase::Connect, Reason::LocalResource)),
            _ => panic!("{word}"),
        };
        let mut outcome = outcome(host, port.parse().unwrap(), failure);
        if matches!(sign, "_" | "X" | "!") {
            let mut endpoint = Endpoint::clone(&outcome.endpoint);
            Arc::make_mut(&mut endpoint.module).expect.port_closed = true;
            outcome.endpoint = Arc::new(endpoint);
        }
        outcome
    };
    tries.split_whitespace().map(one).collect()
}

fn outcome(host: &str, port: u16, failure: Option<(Phase, Reason)>) -> Outcome {
    let mut findings = Findings::new(SystemTime::UNIX_EPOCH);
    let last = failure.map_or(Phase::Quit, |(phase, _)| phase);
    let passed = [Phase::Resolve, Phase::Connect].into_iter().take_while(|phase| *phase != last);
    findings.phases = passed.chain([last]).map(|phase| (phase, Duration::ZERO)).collect();
    let failure = failure.map(|(phase, reason)| Box::new(Failure::new(phase, reason, "as the test wants it")));
    findings.breakdown = failure.clone();
    Outcome { endpoint: Arc::new(endpoint(host, port)), findings, failure, judgements: Arc::default(), turned_away: 0 }
}

/// Reading the system's CAs takes long: once is enough.
static CONFIG: LazyLock<Config> = LazyLock::new(Config::built_in);

fn endpoint(host: &str, port: u16) -> Endpoint {
    let (host, address) = match host.strip_suffix(['1', '2']) {
        Some(name) => (name, Some(IpAddr::from([192, 0, 2, host.as_bytes()[1]]))),
        None => (host, None),
    };
    let host = match host {
        "4" => ServerName::Ip(IpAddr::from([192, 0, 2, 1])),
        "6" => ServerName::Ip("2001:db8::1".parse().unwrap()),
        name => ServerName::Dns(format!("{name}.example")),
    };
    Endpoint {
        target: host.to_string(),
        host,
        port,
        address,
        labels: BTreeMap::new(),
        interval: Duration::from_secs(60),
        pace: crate::endpoint::Pace::default(),
        family: Family::Any,
        found: None,
        module: CONFIG.modules.get(by_port(port).unwrap()).unwrap().clone(),
        certificate_file: None,
    }
}

pub(in crate::outcome) fn states(outcomes: &[Outcome]) -> Vec<PortState> {
    port_states(&outcomes.iter().collect::<Vec<_>>())
}

fn letters(states: &[PortState]) -> String {
    let letter = |state: &PortState| match state {
        PortState::Open => 'O',
        PortState::Refused => 'R',
        PortState::Filtered => 'F',
        PortState::Unreachable => 'U',
        PortState::EgressBlocked => 'E',
        PortState::Unknown => '?',
    };
    states.iter().map(letter).collect()
}

/// The rule once more, word by word and without a thought for speed.
fn by_the_word(one: &Outcome, all: &[Outcome]) -> PortState {
    let is = |other: &Outcome, wanted: Reach| reach(other) == wanted;
    let open_on_another_port = |this: &Endpoint| {
        all.iter().any(|other| {
            let other_endpoint = &other.endpoint;
            other_endpoint.host == this.host
                && other_endpoint.address == this.address
                && other_endpoint.port != one.endpoint.port
                && is(other, Reach::Open)
        })
    };
    let to_be_closed = |other: &Outcome| other.endpoint.module.expect.port_closed;
    let tried: Vec<&Outcome> = all
        .iter()
        .filter(|other| other.endpoint.port == one.endpoint.port && !is(other, Reach::Unknown))
        .filter(|other| !to_be_closed(other) || is(other, Reach::Open))
        .collect();
    let two_hosts = tried.iter().any(|other| other.endpoint.host != tried[0].endpoint.host);
    let none_open = tried.iter().all(|other| is(other, Reach::Silent) || is(other, Reach::Refused));
    let one_open_elsewhere = tried.iter().any(|other| open_on_another_port(&other.endpoint));
    match reach(one) {
        Reach::Open => PortState::Open,
        Reach::Unknown => PortState::Unknown,
        _ if !to_be_closed(one) && two_hosts && none_open && one_open_elsewhere => PortState::EgressBlocked,
        Reach::Refused => PortState::Refused,
        Reach::Silent if open_on_another_port(&one.endpoint) => PortState::Filtered,
        Reach::Silent => PortState::Unreachable,
    }
}

/// Tries at few hosts and ports, so that they have much to do with each other.
fn any_tries() -> impl Strategy<Value = Vec<String>> {
    let host = prop_oneof![Just("a"), Just("b"), Just("4"), Just("6"), Just("a1"), Just("a2")];
    let port = prop_oneof![Just(25), Just(465), Just(587)];
    // More silence than anything else: most of the rule is about it.
    let sign = prop_oneof![4 => Just("-"), 1 => Just("i"), 1 => Just("x"), 1 => Just("+"), 1 => Just("*"),
        1 => Just("n"), 1 => Just("l"), 1 => Just("X"), 1 => Just("_"), 1 => Just("!")];
    vec((host, port, sign).prop_map(|(host, port, sign)| format!("{host}:{port}{sign}")), 0..12)
}

proptest! {
    #[test]
    fn port_states_follow_the_rule_by_the_word(tries in any_tries()) {
        let all = outcomes(&tries.join(" "));
        let found = states(&all);
        prop_assert_eq!(found.len(), all.len());
        for (one, state) in all.iter().zip(found) {
            prop_assert_eq!(state, by_the_word(one, &all));
            prop_assert_eq!(state == PortState::Open, reach(one) == Reach::Open);
            prop_assert_eq!(PortState::ALL.iter().filter(|other| **other == state).count(), 1);
            if state == PortState::EgressBlocked {
                let (host, port) = (&one.endpoint.host, one.endpoint.port);
                prop_assert!(all.iter().any(|other| other.endpoint.port == port && other.endpoint.host != *host));
                prop_assert!(all.iter().any(|other| other.endpoint.port != port && reach(other) == Reach::Open));
            }
        }
    }

    #[test]
    fn port_states_do_not_depend_on_the_order(
        (tries, shuffled) in any_tries()
            .prop_map(|tries| tries.into_iter().enumerate().collect::<Vec<_>>())
            .prop_flat_map(|tries| (Just(tries.clone()), Just(tries).prop_shuffle()))
    ) {
        let of = |tries: &[(usize, String)]| {
            let words: Vec<&str> = tries.iter().map(|(_, word)| word.as_str()).collect();
            states(&outcomes(&words.join(" ")))
        };
        let (before, after) = (of(&tries), of(&shuffled));
        for ((number, word), state) in shuffled.iter().zip(after) {
            prop_assert_eq!(state, before[*number], "{}", word);
        }
    }
}

/// They are asked for at each scrape. (Comparing each with each takes many seconds.)
#[test]
fn port_states_of_ten_thousand_endpoints_take_no_time() {
    let host = |host| format!("h{host}:25- h{host}:465+ h{host}:587+ h{host}:2525+");
    let tries: Vec<String> = (0..2500).map(host).collect();
    let all = outcomes(&tries.join(" "));
    let refs: Vec<&Outcome> = all.iter().collect();
    #[expect(clippy::disallowed_methods, reason = "a measurement")]
    let began = std::time::Instant::now();
    assert_eq!(port_states(&refs).len(), 10_000);
    let took = began.elapsed();
    assert!(took < Duration::from_secs(1), "{took:?}");
}
