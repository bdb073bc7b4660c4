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
    let has_hyphen_at_an_end = |label: &str| label.starts_with('-') || label.ends_with('-');
    let is_label = |label: &str| {
        (1..=63).contains(&label.len()) && label.bytes().all(is_host_byte) && !has_hyphen_at_an_end(label)
    };
    if name.parse::<Ipv4Addr>().is_ok() || name.contains(':') {
        return Some(Fault::Address);
    }
    let ends_in_number = name.rsplit('.').next().is_some_and(is_number);
    (ends_in_number || !name.split('.').all(is_label)).then_some(Fault::Malformed)
}

/// Some read a name that ends in one as an address, and TLS cannot ask for it.
fn is_number(label: &str) -> bool {
    match label.strip_prefix("0x").or_else(|| label.strip_prefix("0X")) {
        Some(digits) => digits.bytes().all(|b| b.is_ascii_hexdigit()),
        None => label.bytes().all(|b| b.is_ascii_digit()),
    }
}
