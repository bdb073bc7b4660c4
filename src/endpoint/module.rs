//! How to probe, and what makes a probe a success.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::sign::CertifiedKey;

use super::{LoginTrial, MailTrial};
use crate::cert::name::ServerName;
use crate::cert::on_file::CertificateFile;
use crate::cert::roots::Roots;
use crate::mail::smtp::command::EhloName;
use crate::phase::Phase;
use crate::proxy::{Proxy, header};

/// How to probe.
#[derive(Clone, Debug)]
pub struct Module {
    /// What the configuration calls it.
    pub name: String,
    /// The protocol spoken.
    pub protocol: Protocol,
    /// Where TLS comes in.
    pub security: Security,
    /// The limit of the whole probe.
    pub timeout: Duration,
    /// The limit of single phases; a phase not listed has the probe's.
    pub phase_timeouts: BTreeMap<Phase, Duration>,
    /// The name for SNI and verification, if it is not the host.
    pub server_name: Option<ServerName>,
    /// What is trusted.
    pub roots: Arc<Roots>,
    /// The file with the certificate that the server ought to show, if it is on this machine.
    pub certificate_file: Option<Arc<CertificateFile>>,
    /// What we show if the server asks who we are.
    pub client_certificate: Option<Arc<CertifiedKey>>,
    /// The local address connections start from, if not the system's choice.
    pub source_address: Option<IpAddr>,
    /// The proxy that leads to the server, if there is one.
    pub proxy: Option<Arc<Proxy>>,
    /// With which version of the PROXY protocol connections begin, if the server expects it.
    pub proxy_protocol: Option<header::Version>,
    /// The name in EHLO. `None`: the literal of the connection's own address, which is all there is
    /// when this machine has no fully qualified name (RFC 5321 §4.1.4).
    pub ehlo_name: Option<EhloName>,
    /// A login to try, if any.
    pub login: Option<LoginTrial>,
    /// A mail to ask about, if any.
    pub mail: Option<MailTrial>,
    /// What makes the probe a success.
    pub expect: Expectations,
}

impl Module {
    /// Whether it can be used for a host at all; the error says why not.
    pub fn can_reach(&self, host: &ServerName) -> Result<(), String> {
        let (address, is_near) = match host {
            ServerName::Dns(_) => return Ok(()),
            ServerName::Ip(address) => (*address, false),
            ServerName::Link(address, _) => (IpAddr::V6(*address), true),
        };
        if is_near && self.proxy.is_some() {
            return Err(format!(
                "{host} is on a link of this machine, and no proxy reaches it: name a module without `proxy`"
            ));
        }
        match self.source() {
            Some(source) if source.is_ipv4() != address.is_ipv4() => Err(format!(
                "{host} cannot be reached from the `source_address` {source} of the module {:?}: one is IPv4, the other IPv6",
                self.name
            )),
            _ => Ok(()),
        }
    }

    /// Where connections to the host start from, if that is said. Through a proxy it is the proxy that connects.
    pub(super) fn source(&self) -> Option<IpAddr> {
        self.source_address.filter(|_| self.proxy.is_none())
    }

    /// The key of what must be shown to nobody but the hosts that the user names, if there is any.
    pub fn secret(&self) -> Option<&'static str> {
        let keys = [("client_certificate", self.client_certificate.is_some()), ("auth", self.login.is_some())];
        keys.into_iter().find(|(_, is_there)| *is_there).map(|(key, _)| key)
    }
}

/// The protocols known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// RFC 5321.
    Smtp,
}

impl Protocol {
    /// Its name in the configuration and in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Smtp => "smtp",
        }
    }
}

/// Where TLS comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// Nowhere.
    Plain,
    /// With STARTTLS where it is offered.
    Opportunistic,
    /// With STARTTLS, which must be offered.
    StartTls,
    /// Before the first byte (implicit TLS).
    Tls,
}

impl Security {
    /// All of them, in the order of the documentation.
    pub const ALL: [Self; 4] = [Self::Plain, Self::Opportunistic, Self::StartTls, Self::Tls];

    /// Its name in the configuration and in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Opportunistic => "opportunistic",
            Self::StartTls => "starttls",
            Self::Tls => "tls",
        }
    }
}

/// What makes a probe a success.
#[derive(Clone, Debug, Default)]
pub struct Expectations {
    /// STARTTLS in the EHLO before TLS.
    pub starttls: Presence,
    /// MAIL before TLS must be refused.
    pub starttls_required: bool,
    /// The port must not accept connections.
    pub port_closed: bool,
    /// AUTH in the last EHLO: inside TLS, if there was TLS.
    pub auth: AuthExpectation,
    /// AUTH must not be offered in clear.
    pub no_auth_in_clear: bool,
    /// The certificate must be valid.
    pub certificate_valid: bool,
    /// The oldest TLS version accepted.
    pub tls_min: Option<TlsVersion>,
    /// TLS 1.0 and 1.1 must be refused, which takes a connection of its own to see.
    pub no_old_tls: bool,
    /// A pattern the greeting must match.
    pub banner: Option<regex_lite::Regex>,
}

/// Whether something must be there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Presence {
    /// It must.
    Offered,
    /// It must not.
    Absent,
    /// It is the same.
    #[default]
    Any,
}

/// What AUTH must be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AuthExpectation {
    /// Anything.
    #[default]
    Any,
    /// Offered with any mechanism.
    Offered,
    /// Not offered.
    Absent,
    /// Offered with all of these, in upper case.
    Mechanisms(Vec<String>),
}

/// TLS versions, oldest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TlsVersion {
    /// RFC 6101, forbidden by RFC 7568.
    Ssl3,
    /// RFC 2246, forbidden by RFC 8996.
    Tls10,
    /// RFC 4346, forbidden by RFC 8996.
    Tls11,
    /// RFC 5246.
    Tls12,
    /// RFC 8446.
    Tls13,
}

impl TlsVersion {
    /// Those that a configuration may ask for, oldest first.
    pub const ALL: [Self; 4] = [Self::Tls10, Self::Tls11, Self::Tls12, Self::Tls13];

    /// The name in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ssl3 => "SSLv3",
            Self::Tls10 => "TLSv1.0",
            Self::Tls11 => "TLSv1.1",
            Self::Tls12 => "TLSv1.2",
            Self::Tls13 => "TLSv1.3",
        }
    }

    /// The number alone, as in the configuration.
    pub fn number(self) -> &'static str {
        self.as_str().trim_start_matches(char::is_alphabetic)
    }
}
