//! Single questions, one for each name and record type, for those who ask again when the answer has had its time.
//!
//! A probe asks for all addresses of a name at once and takes what comes ([`Resolver::addresses`]). Here each
//! family is a question of its own: an answer to one must not hide that the other had none.

use std::net::IpAddr;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::lookup::Lookup;
use hickory_resolver::proto::rr::{Name, RData, RecordType};

use super::{DnsFault, Resolver, fault};
use crate::mail::{mx, srv};

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Question {
    /// The A records of a name.
    Ipv4(String),
    /// Its AAAA records.
    Ipv6(String),
    /// The MX records of a domain.
    Mx(String),
    /// The SRV records of a service; the name begins with `_service._tcp`.
    Srv(String),
}

/// What was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The records, in no order that means anything.
    pub records: Records,
    /// The name is an alias (CNAME) of the one that has them.
    pub alias: bool,
    /// The resolver says that DNSSEC vouches for it (the AD bit, RFC 4035 §3.2.3).
    pub authentic: bool,
    /// How long it holds: the least of all records on the way, those of aliases included.
    pub ttl: Duration,
}

/// Records of the type asked for; never none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Records {
    /// Sorted, each once: name servers turn the order of addresses with every answer.
    Addresses(Vec<IpAddr>),
    /// Sorted, names in lower case and without the final dot; the root is the empty name.
    Mx(Vec<mx::Record>),
    /// The same.
    Srv(Vec<srv::Record>),
}

impl Resolver {
    /// Asks one question.
    pub async fn ask(&self, question: &Question) -> Result<Reply, DnsFault> {
        match self {
            Self::Missing(why) => Err(DnsFault::Failed(why.clone())),
            Self::Table(_) => self.ask_table(question).await,
            Self::System(resolver) => as_written_first(resolver, question).await,
        }
    }

    async fn ask_table(&self, question: &Question) -> Result<Reply, DnsFault> {
        let (Question::Ipv4(name) | Question::Ipv6(name)) = question else { return Err(DnsFault::NoAddress) };
        let answer = self.addresses(name).await?;
        let records = Records::addresses(answer.addresses.into_iter().filter(|ip| question.is_for(*ip)));
        let reply = |records| Reply { records, alias: false, authentic: answer.authentic, ttl: answer.ttl };
        records.map(reply).ok_or(DnsFault::NoAddress)
    }
}

impl Question {
    fn record_type(&self) -> (&str, RecordType) {
        match self {
            Self::Ipv4(name) => (name, RecordType::A),
            Self::Ipv6(name) => (name, RecordType::AAAA),
            Self::Mx(domain) => (domain, RecordType::MX),
            Self::Srv(service) => (service, RecordType::SRV),
        }
    }

    fn is_for(&self, address: IpAddr) -> bool {
        matches!(self, Self::Ipv4(_)) == address.is_ipv4()
    }
}

impl Records {
    fn addresses(found: impl Iterator<Item = IpAddr>) -> Option<Self> {
        let mut addresses: Vec<IpAddr> = found.collect();
        addresses.sort_unstable();
        addresses.dedup();
        (!addresses.is_empty()).then_some(Self::Addresses(addresses))
    }
}

/// As the probes look names up.
async fn as_written_first(resolver: &TokioResolver, question: &Question) -> Result<Reply, DnsFault> {
    let (name, _) = question.record_type();
    if let Question::Mx(_) | Question::Srv(_) = question {
        // A domain is a whole name (RFC 5321 §2.3.5): no search list may lengthen it.
        return look_up(resolver, question, true).await;
    }
    if !name.contains('.') {
        return look_up(resolver, question, false).await;
    }
    match look_up(resolver, question, true).await {
        Err(DnsFault::NotFound) => look_up(resolver, question, false).await.map_err(|_| DnsFault::NotFound),
        other => other,
    }
}

async fn look_up(resolver: &TokioResolver, question: &Question, as_written: bool) -> Result<Reply, DnsFault> {
    let (name, kind) = question.record_type();
    let mut name = Name::from_ascii(name).map_err(|error| DnsFault::Failed(error.to_string()))?;
    name.set_fqdn(as_written);
    let lookup = resolver.lookup(name, kind).await.map_err(|error| fault(&error))?;
    Ok(Reply {
        records: records(&lookup, question).ok_or(DnsFault::NoAddress)?,
        alias: lookup.answers().iter().any(|record| record.record_type() == RecordType::CNAME),
        authentic: lookup.message().metadata.authentic_data,
        ttl: least_ttl(&lookup),
    })
}

fn records(lookup: &Lookup, question: &Question) -> Option<Records> {
    let data = || lookup.answers().iter().map(|record| &record.data);
    match question {
        Question::Ipv4(_) | Question::Ipv6(_) => {
            // 0.0.0.0 and :: are what filters answer for what they hide: no host has them.
            let hosts = data().filter_map(RData::ip_addr).filter(|address| !address.is_unspecified());
            Records::addresses(hosts.filter(|address| question.is_for(*address)))
        }
        Question::Mx(_) => {
            let mut records: Vec<mx::Record> = data()
                .filter_map(|data| match data {
                    RData::MX(mx) => Some(mx::Record { preference: mx.preference, exchange: host(&mx.exchange) }),
                    _ => None,
                })
                .collect();
            records.sort_unstable();
            (!records.is_empty()).then_some(Records::Mx(records))
        }
        Question::Srv(_) => {
            let mut records: Vec<srv::Record> = data()
                .filter_map(|data| match data {
                    RData::SRV(found) => Some(srv::Record {
                        priority: found.priority,
                        weight: found.weight,
                        port: found.port,
                        target: host(&found.target),
                    }),
                    _ => None,
                })
                .collect();
            records.sort_unstable();
            (!records.is_empty()).then_some(Records::Srv(records))
        }
    }
}

/// A name in the form that names have here.
fn host(name: &Name) -> String {
    name.to_ascii().trim_end_matches('.').to_ascii_lowercase()
}

/// The least of all records of an answer.
pub(super) fn least_ttl(lookup: &Lookup) -> Duration {
    let seconds = lookup.answers().iter().map(|record| record.ttl).min().unwrap_or_default();
    Duration::from_secs(seconds.into())
}
