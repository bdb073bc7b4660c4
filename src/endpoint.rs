//! What is probed, and what is expected of it.
//!
//! A *target* is what the user names; an [`Endpoint`] is one host and port of it; a [`Module`] says how
//! to probe. The values here are complete and cannot be wrong: the configuration is read and checked in
//! [`crate::config`], and nothing past it has to check again.
//!
//! - `module.rs`: how to probe, and what makes a probe a success.
//! - `trials.rs`: what is tried beyond looking: a login, a mail.

mod module;
mod trials;

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::cert::name::ServerName;
use crate::cert::on_file::CertificateFile;

pub use module::{AuthExpectation, Expectations, Module, Presence, Protocol, Security, TlsVersion};
pub use trials::{LoginTrial, MailExpectation, MailTrial};

/// Label names with a meaning of their own in the metrics; a user's label may have none of them.
pub const RESERVED_LABELS: &[&str] = &[
    "target",
    "host",
    "port",
    "address",
    "phase",
    "reason",
    "code",
    "enhanced_code",
    "module",
    "protocol",
    "security",
    "expectation",
    "state",
    "stage",
    "mechanism",
    "capability",
    "version",
    "cipher",
    "group",
    "subject",
    "issuer",
    "serial",
    "sha256",
    "key",
    "signature",
    "family",
    "le",
    "quantile",
    "preference",
    "problem",
    "service",
    "priority",
    "weight",
];

/// One host and port to probe.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// What the user calls the target; the label `target`.
    pub target: String,
    /// The host, label `host`.
    pub host: ServerName,
    /// The port, label `port`.
    pub port: u16,
    /// The only address probed, label `address`. `None` when the host's addresses are tried in order
    /// until one connects.
    pub address: Option<IpAddr>,
    /// The user's labels.
    pub labels: BTreeMap<String, String>,
    /// How often it is probed.
    pub interval: Duration,
    /// What changes that for a while.
    pub pace: Pace,
    /// Which addresses of the host count.
    pub family: Family,
    /// What DNS said of the host. `None` when nobody asked before the probe: the probe itself does.
    pub found: Option<Arc<Found>>,
    /// How it is probed.
    pub module: Arc<Module>,
    /// The file with the certificate that the server ought to show, if the target names one.
    pub certificate_file: Option<Arc<CertificateFile>>,
}

impl Endpoint {
    /// What stays the same over restarts and reloads, and differs between any two endpoints.
    pub fn id(&self) -> EndpointId {
        let address = self.address.map(|address| address.to_string()).unwrap_or_default();
        EndpointId(fnv(&[&self.target, &self.host.to_string(), &self.port.to_string(), &address]))
    }

    /// A number that all endpoints of a host share, evenly spread over many hosts.
    pub fn host_hash(&self) -> u64 {
        mixed(fnv(&[&self.host.to_string()]))
    }

    /// `host:port`, with brackets around an IPv6 address.
    pub fn host_and_port(&self) -> String {
        match self.host {
            ServerName::Ip(IpAddr::V6(_)) | ServerName::Link(..) => format!("[{}]:{}", self.host, self.port),
            _ => format!("{}:{}", self.host, self.port),
        }
    }

    /// [`Self::host_and_port`], with the address where it is the endpoint's own: `mx.example.org:25 at 192.0.2.1`.
    pub fn title(&self) -> String {
        match self.address {
            Some(address) if self.host != ServerName::Ip(address) => format!("{} at {address}", self.host_and_port()),
            _ => self.host_and_port(),
        }
    }

    /// Whether an address is of the family asked for, and of that of the address we are to connect from.
    pub fn wants(&self, address: IpAddr) -> bool {
        self.family.has(address) && self.module.source().is_none_or(|source| source.is_ipv4() == address.is_ipv4())
    }

    /// The name asked for in the handshake and looked for in the certificate.
    pub fn server_name(&self) -> &ServerName {
        self.module.server_name.as_ref().unwrap_or(&self.host)
    }

    /// The file with the certificate that the server ought to show: the target's, else the module's.
    pub fn certificate_file(&self) -> Option<&CertificateFile> {
        self.certificate_file.as_deref().or(self.module.certificate_file.as_deref())
    }

    /// The time the whole probe may take.
    pub fn timeout(&self) -> Duration {
        self.module.timeout
    }
}

/// FNV-1a, 64 bit: a hash that is the same in every version and on every machine.
fn fnv(parts: &[&str]) -> u64 {
    let bytes = parts.iter().flat_map(|part| part.bytes().chain([0]));
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Mixes the bits (as MurmurHash3 ends), since names that differ in their last letters have hashes that
/// differ little in front.
fn mixed(mut x: u64) -> u64 {
    x = (x ^ (x >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    x = (x ^ (x >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    x ^ (x >> 33)
}

/// The name of an endpoint for machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EndpointId(u64);

impl EndpointId {
    /// A number between 0 and 1 that depends on nothing but the endpoint, evenly spread over many.
    pub fn fraction(self) -> f64 {
        (mixed(self.0) >> 11) as f64 / (1u64 << 53) as f64
    }
}

impl fmt::Display for EndpointId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// How an endpoint is probed beside its interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// The interval while it fails; `None`: the same.
    pub when_failing: Option<Duration>,
    /// How often a failure is tried again before it counts.
    pub retries: u32,
    /// How long before each.
    pub retry_delay: Duration,
    /// How often TLS is done; `None`: by each probe.
    pub certificate_interval: Option<Duration>,
}

impl Default for Pace {
    /// Each probe as any other, and each counts.
    fn default() -> Self {
        Self { when_failing: None, retries: 0, retry_delay: Duration::from_secs(5), certificate_interval: None }
    }
}

/// Which addresses of a name are used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Family {
    /// All.
    #[default]
    Any,
    /// A records only.
    Ipv4,
    /// AAAA records only.
    Ipv6,
}

impl Family {
    /// Whether an address is one of it.
    pub fn has(self, address: IpAddr) -> bool {
        match self {
            Self::Any => true,
            Self::Ipv4 => address.is_ipv4(),
            Self::Ipv6 => address.is_ipv6(),
        }
    }
}

/// How many addresses a name had.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AddressCount {
    /// A records.
    pub ipv4: usize,
    /// AAAA records.
    pub ipv6: usize,
}

impl AddressCount {
    /// The count of these.
    pub fn of(addresses: &[IpAddr]) -> Self {
        let count = |family: fn(&IpAddr) -> bool| addresses.iter().filter(|address| family(address)).count();
        Self { ipv4: count(IpAddr::is_ipv4), ipv6: count(IpAddr::is_ipv6) }
    }
}

/// What DNS said of a host whose every address is an endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The addresses of the name.
    pub addresses: AddressCount,
    /// Why the last question brought nothing. With an address of its own the endpoint goes on with what was found
    /// before; without one there is nothing to connect to, and this is why.
    pub fault: Option<NameFault>,
}

/// Why a name leads to no address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameFault {
    /// The kind.
    pub kind: NameFaultKind,
    /// What happened, as a sentence without its full stop.
    pub detail: String,
}

/// The ways in which a name leads to no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NameFaultKind {
    /// It exists, without an address of the families wanted.
    NoAddress,
    /// It does not exist.
    NotFound,
    /// It is a domain that takes no mail (RFC 7505).
    NullMx,
    /// No name server gave an answer that can be used.
    Failed,
    /// This machine could not ask.
    Local,
}
