//! What is wrong with the name of a host in a record: DNS itself allows any bytes (RFC 2181 §11).

use std::net::Ipv4Addr;

/// Why a name cannot be that of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It is an address.
    Address,
    /// It is no host name.
    Malformed,
}

/// The fault of a name, if it has one. Underscores are no part of a host name, yet such names exist.
pub(super) fn fault_of(name: &str) -> Option<Fault> {
    let is_host_byte = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    let is_label = |label: &str| !label.is_empty() && label.len() <= 63 && label.bytes().all(is_host_byte);
    if name.parse::<Ipv4Addr>().is_ok() || name.contains(':') {
        return Some(Fault::Address);
    }
    (!name.split('.').all(is_label)).then_some(Fault::Malformed)
}
