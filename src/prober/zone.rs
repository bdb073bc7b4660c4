//! Zones of link-local addresses (RFC 4007 §11): `fe80::1%eth0` is the fe80::1 on the link of eth0.
//!
//! The interface is looked up for each probe: it may come, go, and come back with another number.

use std::net::{IpAddr, SocketAddr, SocketAddrV6};

use crate::outcome::failure::{Failure, Reason};
use crate::phase::Phase;

/// The number of an interface, by its name or number.
pub(super) async fn number(zone: &str) -> Result<u32, Failure> {
    if let Ok(number) = zone.parse() {
        return Ok(number);
    }
    // The system's own way from names to numbers. Of an address with a zone it asks no name server.
    let found = tokio::net::lookup_host((format!("fe80::1%{zone}"), 0)).await;
    let mut numbers = found.into_iter().flatten().filter_map(|address| match address {
        SocketAddr::V6(address) => Some(address.scope_id()).filter(|number| *number > 0),
        SocketAddr::V4(_) => None,
    });
    numbers.next().ok_or_else(|| {
        let detail = format!("this machine has no interface {zone}, which the address names after its %");
        Failure::new(Phase::Resolve, Reason::LocalResource, detail)
    })
}

/// Where to connect to; the number is 0 where no interface is named.
pub(super) fn socket_address(address: IpAddr, number: u32, port: u16) -> SocketAddr {
    match address {
        IpAddr::V6(address) => SocketAddrV6::new(address, port, 0, number).into(),
        IpAddr::V4(_) => SocketAddr::new(address, port),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn numbers_are_taken_and_names_looked_up() {
        assert_eq!(number("7").await.unwrap(), 7);
        let missing = number("nosuchif0").await.unwrap_err();
        assert_eq!((missing.phase, missing.reason), (Phase::Resolve, Reason::LocalResource));
        assert!(missing.detail.contains("no interface nosuchif0"), "{}", missing.detail);
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn every_linux_has_its_loopback() {
        assert!(number("lo").await.unwrap() > 0);
    }

    #[test]
    fn only_ipv6_has_zones() {
        for (address, expected) in [("fe80::1", "[fe80::1%3]:25"), ("192.0.2.1", "192.0.2.1:25")] {
            assert_eq!(socket_address(address.parse().unwrap(), 3, 25).to_string(), expected);
        }
    }
}
