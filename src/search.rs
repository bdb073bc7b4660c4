//! Targets of which DNS says what their endpoints are.
//!
//! A [`Search`] is what the user asks for, complete but for what only DNS can tell; [`crate::discovery`] turns it
//! into endpoints, and does so again when DNS changes.

use std::sync::Arc;

use crate::endpoint::Endpoint;

/// One thing to ask DNS for.
#[derive(Clone, Debug)]
pub enum Search {
    /// Every address of a host is an endpoint: this one, which has no address yet.
    Host(Arc<Endpoint>),
    /// The mail servers of a domain are endpoints.
    Domain(MailDomain),
    /// The submission servers of a domain are endpoints.
    Services(MailServices),
}

/// One port of the mail servers of a domain.
#[derive(Clone, Debug)]
pub struct MailDomain {
    /// The endpoint, with the domain in the place of the host.
    pub blueprint: Arc<Endpoint>,
    /// Every address of each host is an endpoint of its own.
    pub every_address: bool,
}

/// The submission servers of a domain. SRV records name their hosts and ports.
#[derive(Clone, Debug)]
pub struct MailServices {
    /// An endpoint of `submissions`, with the domain in the place of the host and the usual port.
    pub submissions: Arc<Endpoint>,
    /// The same of `submission`.
    pub submission: Arc<Endpoint>,
    /// Every address of each host is an endpoint of its own.
    pub every_address: bool,
}

impl MailServices {
    /// The usual ports of `submissions` and `submission`.
    pub const PORTS: [u16; 2] = [465, 587];
}

impl Search {
    /// What is known without DNS.
    pub fn blueprint(&self) -> &Endpoint {
        match self {
            Self::Host(endpoint) => endpoint,
            Self::Domain(domain) => &domain.blueprint,
            Self::Services(services) => &services.submissions,
        }
    }

    /// The endpoint, where its host is named: those of a domain are not.
    pub fn named(&self) -> Option<&Endpoint> {
        match self {
            Self::Host(endpoint) => Some(endpoint),
            Self::Domain(_) | Self::Services(_) => None,
        }
    }

    /// The number that all endpoints of it share.
    pub fn host_hash(&self) -> u64 {
        self.blueprint().host_hash()
    }
}
