//! SRV records: where a domain's users hand mail in and fetch it (RFC 2782, RFC 6186, RFC 8314 §5.1), and what is
//! wrong with what DNS says.
//!
//! Records in, verdict out, as with [`super::mx`]. Not here: POP3, which RFC 6186 has too, and IMAP without TLS, which
//! RFC 8314 §3 lets go; nor the choice by weight, for every host is looked at.

use super::host::{self, Fault};
use super::problems::problems;

/// What a domain can offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Service {
    /// Submission with implicit TLS (RFC 8314 §3.3).
    Submissions,
    /// Submission with STARTTLS (RFC 6186 §3.1).
    Submission,
    /// IMAP with implicit TLS (RFC 6186 §3.2).
    Imaps,
}

impl Service {
    /// All of them, in the order of the documentation.
    pub const ALL: [Self; 3] = [Self::Submissions, Self::Submission, Self::Imaps];

    /// Its IANA name, in metrics and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Submissions => "submissions",
            Self::Submission => "submission",
            Self::Imaps => "imaps",
        }
    }

    /// The name that has the records of a domain (RFC 2782: `_service._proto.name`).
    pub fn name_in(self, domain: &str) -> String {
        format!("_{}._tcp.{domain}", self.as_str())
    }

    /// Ports on which clients expect TLS to begin in another way, or another protocol.
    fn foreign_ports(self) -> &'static [u16] {
        match self {
            Self::Submissions => &[25, 143, 587, 588, 993],
            Self::Submission => &[143, 465, 993, 2465],
            Self::Imaps => &[25, 143, 465, 587],
        }
    }
}

/// One SRV record.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Record {
    /// The lower, the earlier it is tried.
    pub priority: u16,
    /// Among equals, its share.
    pub weight: u16,
    /// The port.
    pub port: u16,
    /// The host, without its final dot; empty for the root.
    pub target: String,
}

/// What the records of a service come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// The hosts in the order of their priority, each port of each once.
    pub hosts: Vec<Record>,
    /// What is wrong, each with the host that is meant, or empty.
    pub problems: Vec<(Problem, String)>,
}

problems! {
    /// No record.
    Missing = "srv_missing":
        "The domain has no such SRV record: mail programs guess, or ask their user. Publish one (RFC 6186, RFC 8314 §5.1), or “0 0 0 .” to say that there is no such service.",
    /// RFC 2782: the target is the root.
    NotOffered = "srv_not_offered":
        "The domain says that it does not offer this service (SRV target “.”).",
    /// RFC 2782.
    NotOfferedNotAlone = "srv_not_offered_not_alone":
        "An SRV record with the target “.” says that there is no such service, and others say where it is: remove one or the other.",
    /// RFC 2782: the target must not be an alias.
    Alias = "srv_host_is_alias":
        "The host of the SRV record is an alias (CNAME), which RFC 2782 forbids; some mail programs do not find it. Name the host itself.",
    /// NXDOMAIN.
    Dangling = "srv_host_not_found":
        "The host of the SRV record does not exist in DNS: whoever can register that name is sent passwords. Correct it, or remove the record.",
    /// No A and no AAAA.
    NoAddress = "srv_host_no_address":
        "The host of the SRV record exists and has no address: publish one, or remove the record.",
    /// An address where a name should be.
    AddressLiteral = "srv_host_is_address":
        "The SRV record has an IP address where only a name may stand (RFC 2782): give the host a name.",
    /// No host name at all.
    Malformed = "srv_host_malformed":
        "The host of the SRV record is no host name: correct it.",
    /// 0, or that of another service.
    WrongPort = "srv_wrong_port":
        "The SRV record has port 0, or one where another protocol is spoken or TLS begins in another way: submissions is for implicit TLS (465), submission for STARTTLS (587), imaps for implicit TLS (993).",
    /// More than are looked at.
    TooMany = "too_many_srv":
        "The service has more SRV records than are looked at: the last ones are left out.",
}

/// Judges the records of a service that has some.
pub fn judge(service: Service, records: &[Record]) -> Verdict {
    let mut sorted = records.to_vec();
    // The heaviest of a priority is the one most clients take.
    sorted.sort_by_cached_key(|record| (record.priority, std::cmp::Reverse(record.weight), record.clone()));
    let (mut verdict, mut is_denied) = (Verdict::default(), false);
    for record in sorted {
        if record.target.is_empty() {
            is_denied = true;
        } else if let Some(fault) = host::fault_of(&record.target) {
            let problem = if fault == Fault::Address { Problem::AddressLiteral } else { Problem::Malformed };
            verdict.problems.push((problem, record.target));
        } else {
            if record.port == 0 || service.foreign_ports().contains(&record.port) {
                verdict.problems.push((Problem::WrongPort, record.target.clone()));
            }
            let is_same = |other: &Record| other.target == record.target && other.port == record.port;
            if record.port > 0 && !verdict.hosts.iter().any(is_same) {
                verdict.hosts.push(record);
            }
        }
    }
    if is_denied {
        let is_alone = verdict.hosts.is_empty() && verdict.problems.is_empty();
        let problem = if is_alone { Problem::NotOffered } else { Problem::NotOfferedNotAlone };
        verdict.problems.push((problem, String::new()));
    }
    verdict
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `0 1 465 mail.example, …`: priority, weight, port and host.
    fn judged(service: Service, text: &str) -> String {
        let record = |text: &str| {
            let words: Vec<&str> = text.trim().splitn(4, ' ').collect();
            let number = |at: usize| words[at].parse().unwrap();
            let target = words[3].trim_end_matches('.').to_owned();
            Record { priority: number(0), weight: number(1), port: number(2), target }
        };
        let verdict = judge(service, &text.split(',').map(record).collect::<Vec<_>>());
        let hosts = verdict.hosts.iter().map(|host| format!("{}:{}", host.target, host.port));
        let problems = verdict.problems.iter().map(|(problem, host)| format!("{problem} {host}").trim_end().to_owned());
        hosts.chain(problems).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn hosts_come_by_priority_then_weight_each_port_once() {
        for (records, expected) in [
            ("0 1 465 a.example", "a.example:465"),
            ("20 0 465 b.example, 10 0 465 a.example", "a.example:465, b.example:465"),
            ("0 1 465 a.example, 0 9 465 b.example", "b.example:465, a.example:465"),
            ("0 1 465 a.example, 0 1 2465 a.example", "a.example:465, a.example:2465"),
            ("0 1 465 a.example, 5 1 465 a.example", "a.example:465"),
        ] {
            assert_eq!(judged(Service::Submissions, records), expected, "{records}");
        }
    }

    #[test]
    fn what_is_wrong_has_a_word() {
        for (records, expected) in [
            ("0 0 0 .", "srv_not_offered"),
            ("0 0 0 ., 0 1 465 a.example", "a.example:465, srv_not_offered_not_alone"),
            ("0 0 0 ., 0 1 465 192.0.2.1", "srv_host_is_address 192.0.2.1, srv_not_offered_not_alone"),
            ("0 1 465 192.0.2.1.", "srv_host_is_address 192.0.2.1"),
            ("0 1 465 a..example", "srv_host_malformed a..example"),
            ("0 1 465 a.123", "srv_host_malformed a.123"),
            ("0 1 0 a.example", "srv_wrong_port a.example"),
            ("0 1 587 a.example", "a.example:587, srv_wrong_port a.example"),
        ] {
            assert_eq!(judged(Service::Submissions, records), expected, "{records}");
        }
    }

    #[test]
    fn a_port_is_wrong_where_tls_begins_in_another_way() {
        use Service::{Imaps, Submission, Submissions};
        for (service, port, is_wrong) in [
            (Submission, 587, false),
            (Submission, 25, false),
            (Submission, 10587, false),
            (Submission, 465, true),
            (Submissions, 443, false),
            (Submissions, 25, true),
            (Imaps, 993, false),
            (Imaps, 143, true),
        ] {
            let found = judged(service, &format!("0 1 {port} a.example")).contains("srv_wrong_port");
            assert_eq!(found, is_wrong, "{service:?} {port}");
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
