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
}

impl Search {
    /// What is known without DNS.
    pub fn blueprint(&self) -> &Endpoint {
        match self {
            Self::Host(endpoint) => endpoint,
        }
    }

    /// The host and the port, where they are named.
    pub fn host_and_port(&self) -> Option<(String, u16)> {
        match self {
            Self::Host(endpoint) => Some((endpoint.host.to_string(), endpoint.port)),
        }
    }

    /// The number that all endpoints of it share.
    pub fn host_hash(&self) -> u64 {
        self.blueprint().host_hash()
    }
}
