//! Names to addresses, with all that later questions need: the TTL, and whether DNSSEC vouches for it.
//!
//! Answers are never cached here: a probe measures how long the name took, each time. Which of the
//! addresses is probed is not decided here either. [`records`] has the questions of those who ask before the probe.

pub mod records;

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::Name;
use hickory_resolver::{ResolverBuilder, TokioResolver};

use crate::endpoint::{NameFault, NameFaultKind};

/// The addresses of a name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// In the order to try: IPv6 first, as RFC 6724 prefers, each family as DNS gave it. Never empty.
    pub addresses: Vec<IpAddr>,
    /// How long the answer holds.
    pub ttl: Duration,
    /// The resolver says that DNSSEC vouches for it (the AD bit, RFC 4035 §3.2.3).
    pub authentic: bool,
}

/// Why a name has no address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DnsFault {
    /// NXDOMAIN.
    NotFound,
    /// It exists without one.
    NoAddress,
    /// This machine could not even ask.
    Local(String),
    /// No name server gave an answer that can be used.
    Failed(String),
}

impl DnsFault {
    /// The fault of this name, in words.
    pub fn of(self, name: &str) -> NameFault {
        let (kind, detail) = match self {
            Self::NotFound => (NameFaultKind::NotFound, format!("DNS knows no {name} (NXDOMAIN)")),
            Self::NoAddress => (NameFaultKind::NoAddress, format!("{name} has no address of the families probed")),
            Self::Local(why) => (NameFaultKind::Local, format!("this machine could not ask for {name}: {why}")),
            Self::Failed(why) => (NameFaultKind::Failed, format!("the address of {name} could not be found: {why}")),
        };
        NameFault { kind, detail }
    }
}

/// Where answers come from.
pub enum Resolver {
    /// The name servers and hosts file of this system.
    System(Box<TokioResolver>),
    /// The system has no usable resolver, for this reason: addresses can be probed, names cannot.
    Missing(String),
    /// A table, for tests.
    Table(HashMap<String, Result<Answer, DnsFault>>),
}

impl Resolver {
    /// As /etc/resolv.conf and /etc/hosts say now.
    pub fn system() -> Self {
        let missing = |error: &dyn std::fmt::Display| {
            Self::Missing(format!("the system's resolver configuration (/etc/resolv.conf) cannot be used: {error}"))
        };
        match TokioResolver::builder_tokio() {
            Ok(builder) => Self::build(builder).unwrap_or_else(|error| missing(&error)),
            Err(error) => missing(&error),
        }
    }

    /// One name server, and nothing else.
    pub fn with_server(server: SocketAddr) -> Result<Self, String> {
        Self::with_servers(&[server], &[])
    }

    /// These name servers, and domains to look for short names in.
    pub fn with_servers(servers: &[SocketAddr], search: &[&str]) -> Result<Self, String> {
        let reached_at = |server: &SocketAddr| {
            let mut ways = vec![ConnectionConfig::udp(), ConnectionConfig::tcp()];
            ways.iter_mut().for_each(|way| way.port = server.port());
            NameServerConfig::new(server.ip(), true, ways)
        };
        let search: Result<Vec<Name>, _> = search.iter().map(|domain| domain.parse()).collect();
        let search = search.map_err(|error| error.to_string())?;
        let config = ResolverConfig::from_parts(None, search, servers.iter().map(reached_at).collect());
        Self::build(TokioResolver::builder_with_config(config, TokioRuntimeProvider::default()))
    }

    fn build(mut builder: ResolverBuilder<TokioRuntimeProvider>) -> Result<Self, String> {
        let options = builder.options_mut();
        options.cache_size = 0;
        builder.build().map(|resolver| Self::System(Box::new(resolver))).map_err(|error| error.to_string())
    }

    /// All addresses of a name.
    pub async fn addresses(&self, name: &str) -> Result<Answer, DnsFault> {
        match self {
            Self::Missing(why) => Err(DnsFault::Failed(why.clone())),
            Self::Table(table) => table.get(name).cloned().unwrap_or(Err(DnsFault::NotFound)),
            Self::System(resolver) => as_written_first(resolver, name).await,
        }
    }
}

/// Looks a name with a dot up as it is written, and in the search domains only if it does not exist. Otherwise
/// Kubernetes' `ndots:5` asks for mail.example.org.svc.cluster.local and the like first, which costs time in every
/// probe, and a SERVFAIL for the name itself is covered by an NXDOMAIN from a search domain.
async fn as_written_first(resolver: &TokioResolver, name: &str) -> Result<Answer, DnsFault> {
    if !name.contains('.') {
        return look_up(resolver, name, false).await;
    }
    match look_up(resolver, name, true).await {
        Err(DnsFault::NotFound) => look_up(resolver, name, false).await.map_err(|_| DnsFault::NotFound),
        other => other,
    }
}

async fn look_up(resolver: &TokioResolver, name: &str, as_written: bool) -> Result<Answer, DnsFault> {
    // Hosts have names with underscores, whatever the rules of host names say: no rules beyond those of DNS.
    let mut name = Name::from_ascii(name).map_err(|error| DnsFault::Failed(error.to_string()))?;
    name.set_fqdn(as_written);
    let found = resolver.lookup_ip(name).await.map_err(|error| fault(&error))?;
    // 0.0.0.0 and :: are what filters answer for what they hide. No host has them (RFC 1122 §3.2.1.3,
    // RFC 4291 §2.5.2), and a connection to them would reach this machine.
    let hosts = found.iter().filter(|address| !address.is_unspecified());
    let (v6, v4): (Vec<IpAddr>, Vec<IpAddr>) = hosts.partition(IpAddr::is_ipv6);
    let lookup = found.as_lookup();
    let answer = Answer {
        addresses: v6.into_iter().chain(v4).collect(),
        ttl: records::least_ttl(lookup),
        authentic: lookup.message().metadata.authentic_data,
    };
    if answer.addresses.is_empty() { Err(DnsFault::NoAddress) } else { Ok(answer) }
}

fn fault(error: &NetError) -> DnsFault {
    match error {
        NetError::Dns(DnsError::NoRecordsFound(none)) => match none.response_code {
            ResponseCode::NXDomain => DnsFault::NotFound,
            ResponseCode::NoError => DnsFault::NoAddress,
            code => DnsFault::Failed(format!("the name server answered {code}")),
        },
        NetError::Dns(DnsError::ResponseCode(ResponseCode::NXDomain)) => DnsFault::NotFound,
        // The resolver does not say why it has no socket: whether we could have one tells whose trouble it is.
        NetError::Io(_) | NetError::NoConnections => match UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)) {
            Ok(_) => DnsFault::Failed(error.to_string()),
            Err(error) => DnsFault::Local(error.to_string()),
        },
        other => DnsFault::Failed(other.to_string()),
    }
}
