//! Names to addresses, with all that later questions need: the TTL, and whether DNSSEC vouches for it.
//!
//! Answers are never cached here: a probe measures how long the name took, each time. Which of the
//! addresses is probed is not decided here either.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::{ResolverBuilder, TokioResolver};

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
        let mut connection = ConnectionConfig::udp();
        connection.port = server.port();
        let server = NameServerConfig::new(server.ip(), true, vec![connection]);
        let config = ResolverConfig::from_name_servers(vec![server]);
        Self::build(TokioResolver::builder_with_config(config, TokioRuntimeProvider::default()))
    }

    fn build(mut builder: ResolverBuilder<TokioRuntimeProvider>) -> Result<Self, String> {
        builder.options_mut().cache_size = 0;
        builder.build().map(|resolver| Self::System(Box::new(resolver))).map_err(|error| error.to_string())
    }

    /// All addresses of a name.
    pub async fn addresses(&self, name: &str) -> Result<Answer, DnsFault> {
        match self {
            Self::Missing(why) => Err(DnsFault::Failed(why.clone())),
            Self::Table(table) => table.get(name).cloned().unwrap_or(Err(DnsFault::NotFound)),
            Self::System(resolver) => {
                let found = resolver.lookup_ip(name).await.map_err(|error| fault(&error))?;
                let (v6, v4): (Vec<IpAddr>, Vec<IpAddr>) = found.iter().partition(IpAddr::is_ipv6);
                let lookup = found.as_lookup();
                let answer = Answer {
                    addresses: v6.into_iter().chain(v4).collect(),
                    ttl: lookup
                        .answers()
                        .iter()
                        .map(|record| record.ttl)
                        .min()
                        .map_or(Duration::ZERO, |seconds| Duration::from_secs(seconds.into())),
                    authentic: lookup.message().metadata.authentic_data,
                };
                if answer.addresses.is_empty() { Err(DnsFault::NoAddress) } else { Ok(answer) }
            }
        }
    }
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
