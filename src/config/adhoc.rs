//! Endpoints that no file names: what the command line and `/probe` ask for.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::DEFAULT_INTERVAL;
pub use super::modules::first_port;
use crate::cert::name::ServerName;
use crate::endpoint::{Endpoint, Family, Module, Pace};

/// `host`, `host:port`, an IPv6 address alone, or one in brackets with or without a port.
pub fn host_and_port(text: &str) -> Result<(ServerName, Option<u16>), String> {
    let colons = text.bytes().filter(|b| *b == b':').count();
    if text.contains('@') || colons == 0 || (colons > 1 && !text.starts_with('[')) || text.ends_with(']') {
        return ServerName::parse(text).map(|host| (host, None));
    }
    let (host, port) = text.rsplit_once(':').unwrap_or((text, ""));
    let port = port.parse().ok().filter(|port| *port > 0);
    let port = port.ok_or_else(|| format!("{text:?} has no port from 1 to 65535 after its colon"))?;
    Ok((ServerName::parse(host)?, Some(port)))
}

/// The name to ask for in TLS and to verify.
pub fn server_name(text: &str) -> Result<ServerName, String> {
    ServerName::parse(text)
}

/// An endpoint whose target is its host.
pub fn endpoint(host: &ServerName, port: u16, module: Arc<Module>) -> Endpoint {
    Endpoint {
        target: host.to_string(),
        host: host.clone(),
        port,
        address: None,
        labels: BTreeMap::new(),
        interval: DEFAULT_INTERVAL,
        pace: Pace::default(),
        family: Family::Any,
        found: None,
        module,
        certificate_file: None,
    }
}
