//! MX records: which hosts take a domain's mail, in which order, and what is wrong with what DNS says
//! (RFC 5321 §5.1, RFC 7505).
//!
//! Records in, verdict out. Nothing is looked up here: whether a host exists is told by its address records, which
//! somebody else has asked for.

use super::host::{self, Fault};
use super::problems::problems;

/// One MX record.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Record {
    /// The lower, the earlier it is tried.
    pub preference: u16,
    /// The host, without its final dot; empty for the root.
    pub exchange: String,
}

/// What the records of a domain come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// The domain takes no mail, and says so (RFC 7505).
    pub is_null: bool,
    /// The hosts in the order to try, each once.
    pub hosts: Vec<Record>,
    /// What is wrong, each with the exchange that is meant, or empty.
    pub problems: Vec<(Problem, String)>,
}

problems! {
    /// RFC 5321 §5.1.
    Implicit = "implicit_mx":
        "The domain has no MX record: mail goes to its own address, which is often a web server. Publish an MX, or a null MX (RFC 7505) if it takes no mail.",
    /// RFC 7505.
    Null = "null_mx":
        "The domain says that it takes no mail (RFC 7505): take it out of the targets, or publish its mail servers.",
    /// RFC 7505 §3.
    NullNotAlone = "null_mx_not_alone":
        "“MX 0 .” says that no mail is taken, and other records say where it goes: remove one or the other.",
    /// RFC 2181 §10.3, RFC 5321 §5.1.
    Alias = "mx_is_alias":
        "The MX is an alias (CNAME), which RFC 2181 §10.3 forbids; some servers do not deliver to it. Name the host itself.",
    /// NXDOMAIN.
    Dangling = "mx_not_found":
        "The MX does not exist in DNS: whoever can register that name gets the mail. Correct it, or remove it.",
    /// No A and no AAAA.
    NoAddress = "mx_no_address":
        "The MX exists and has no address: publish one, or remove the record.",
    /// An address where a name should be.
    AddressLiteral = "mx_is_address":
        "The MX is an IP address, where only a name may stand (RFC 1035 §3.3.9): give the host a name.",
    /// No host name at all.
    Malformed = "mx_malformed":
        "The MX is no host name: correct it.",
    /// More than are probed.
    TooMany = "too_many_mx":
        "The domain has more MX hosts than are probed: the last ones are left out.",
}

/// Judges the records of a domain that has some.
pub fn judge(records: &[Record]) -> Verdict {
    let mut sorted = records.to_vec();
    sorted.sort_unstable();
    let mut verdict = Verdict::default();
    for record in sorted {
        if record.exchange.is_empty() {
            verdict.is_null = true;
        } else if let Some(fault) = host::fault_of(&record.exchange) {
            let problem = if fault == Fault::Address { Problem::AddressLiteral } else { Problem::Malformed };
            verdict.problems.push((problem, record.exchange));
        } else if verdict.hosts.iter().all(|other| other.exchange != record.exchange) {
            verdict.hosts.push(record);
        }
    }
    if verdict.is_null {
        // RFC 7505 §3: a null MX must be the only one. With others beside it, senders go by those.
        let alone = verdict.hosts.is_empty() && verdict.problems.is_empty();
        verdict.is_null = alone;
        verdict.problems.push((if alone { Problem::Null } else { Problem::NullNotAlone }, String::new()));
    }
    verdict
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `10 mx1.example, 20 mx2.example`; `0 .` is the null MX.
    fn judged(text: &str) -> String {
        let record = |text: &str| {
            let (preference, exchange) = text.trim().split_once(' ').unwrap();
            let exchange = exchange.trim_end_matches('.').to_owned();
            Record { preference: preference.parse().unwrap(), exchange }
        };
        let verdict = judge(&text.split(',').map(record).collect::<Vec<_>>());
        let hosts = verdict.hosts.iter().map(|host| format!("{} {}", host.preference, host.exchange));
        let problems = verdict.problems.iter().map(|(problem, host)| format!("{problem} {host}").trim_end().to_owned());
        let null = verdict.is_null.then(|| "NULL".to_owned());
        hosts.chain(null).chain(problems).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn hosts_come_in_the_order_of_their_preference_each_once() {
        for (records, expected) in [
            ("20 b.example, 10 a.example", "10 a.example, 20 b.example"),
            ("10 b.example, 10 a.example", "10 a.example, 10 b.example"),
            ("20 a.example, 10 a.example", "10 a.example"),
            ("0 mail", "0 mail"),
        ] {
            assert_eq!(judged(records), expected, "{records}");
        }
    }

    #[test]
    fn what_is_wrong_has_a_word() {
        for (records, expected) in [
            ("0 .", "NULL, null_mx"),
            ("7 .", "NULL, null_mx"),
            ("0 ., 10 a.example", "10 a.example, null_mx_not_alone"),
            ("0 ., 10 192.0.2.1", "mx_is_address 192.0.2.1, null_mx_not_alone"),
            ("10 192.0.2.1", "mx_is_address 192.0.2.1"),
            ("10 2001:db8::1", "mx_is_address 2001:db8::1"),
            ("10 a.example, 20 192.0.2.1.", "10 a.example, mx_is_address 192.0.2.1"),
            ("10 a b.example", "mx_malformed a b.example"),
            ("10 a..example", "mx_malformed a..example"),
            ("10 http\\058//a", "mx_malformed http\\058//a"),
            ("10 -a.example", "mx_malformed -a.example"),
            ("10 mx.1, 20 mx.0xF", "mx_malformed mx.1, mx_malformed mx.0xF"),
            ("10 mx.0x1.example, 20 0xmx", "10 mx.0x1.example, 20 0xmx"),
        ] {
            assert_eq!(judged(records), expected, "{records}");
        }
    }

    #[test]
    fn words_and_advice_are_whole() {
        for problem in Problem::ALL {
            assert!(problem.as_str().bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{problem}");
            assert!(problem.advice().ends_with('.'), "{problem}");
        }
    }
}
