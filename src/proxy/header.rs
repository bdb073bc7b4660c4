//! The PROXY protocol as HAProxy defines it (proxy-protocol.txt), versions 1 and 2: a server behind a proxy of its own
//! expects each connection to begin with who is calling.
//!
//! We tell the truth: our end of the connection and theirs. Where one of them is not known, because a proxy looked the
//! name up, or where their families differ, the header says that it does not say (`UNKNOWN`, `LOCAL`).

use std::net::{IpAddr, SocketAddr};

/// The versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// A line of text.
    V1,
    /// Binary.
    V2,
}

/// What no other protocol begins with (§2.2).
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// The header of a connection.
pub fn header(version: Version, from: SocketAddr, to: Option<SocketAddr>) -> Vec<u8> {
    let ends = to.map(|to| (from.ip().to_canonical(), to.ip().to_canonical(), from.port(), to.port()));
    let ends = ends.filter(|(from, to, ..)| from.is_ipv4() == to.is_ipv4());
    match version {
        Version::V1 => v1(ends),
        Version::V2 => v2(ends),
    }
}

type Ends = Option<(IpAddr, IpAddr, u16, u16)>;

fn v1(ends: Ends) -> Vec<u8> {
    let line = match ends {
        None => "PROXY UNKNOWN\r\n".to_owned(),
        Some((from, to, from_port, to_port)) => {
            let family = if from.is_ipv4() { "TCP4" } else { "TCP6" };
            format!("PROXY {family} {from} {to} {from_port} {to_port}\r\n")
        }
    };
    line.into_bytes()
}

fn v2(ends: Ends) -> Vec<u8> {
    let mut bytes = SIGNATURE.to_vec();
    let Some((from, to, from_port, to_port)) = ends else {
        // Version 2, LOCAL: the ends of the connection itself count.
        bytes.extend([0x20, 0x00, 0, 0]);
        return bytes;
    };
    // Version 2, PROXY; TCP over IPv4 or IPv6; the length of the addresses.
    bytes.extend(if from.is_ipv4() { [0x21, 0x11, 0, 12] } else { [0x21, 0x21, 0, 36] });
    for address in [from, to] {
        match address {
            IpAddr::V4(v4) => bytes.extend(v4.octets()),
            IpAddr::V6(v6) => bytes.extend(v6.octets()),
        }
    }
    bytes.extend(from_port.to_be_bytes());
    bytes.extend(to_port.to_be_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(version: Version, from: &str, to: Option<&str>) -> Vec<u8> {
        header(version, from.parse().unwrap(), to.map(|to| to.parse().unwrap()))
    }

    #[test]
    fn version_1_is_a_line() {
        let text = |from, to| String::from_utf8(of(Version::V1, from, to)).unwrap();
        assert_eq!(text("192.0.2.7:4000", Some("192.0.2.25:25")), "PROXY TCP4 192.0.2.7 192.0.2.25 4000 25\r\n");
        assert_eq!(
            text("[2001:db8::7]:4000", Some("[2001:db8::25]:25")),
            "PROXY TCP6 2001:db8::7 2001:db8::25 4000 25\r\n"
        );
        assert_eq!(
            text("[::ffff:192.0.2.7]:4000", Some("192.0.2.25:25")),
            "PROXY TCP4 192.0.2.7 192.0.2.25 4000 25\r\n"
        );
        for unknown in [None, Some("[2001:db8::25]:25")] {
            assert_eq!(text("192.0.2.7:4000", unknown), "PROXY UNKNOWN\r\n");
        }
    }

    #[test]
    fn version_2_is_binary() {
        let head = |from, to| of(Version::V2, from, to)[12..].to_vec();
        assert_eq!(
            head("192.0.2.7:4000", Some("192.0.2.25:25")),
            [0x21, 0x11, 0, 12, 192, 0, 2, 7, 192, 0, 2, 25, 0x0f, 0xa0, 0, 25]
        );
        let v6 = head("[2001:db8::7]:4000", Some("[2001:db8::25]:25"));
        assert_eq!((&v6[..4], v6.len()), (&[0x21, 0x21, 0, 36][..], 40));
        assert_eq!(head("192.0.2.7:4000", None), [0x20, 0, 0, 0]);
        assert!(
            of(Version::V2, "192.0.2.7:4000", None).starts_with(b"\x0d\x0a\x0d\x0a\x00\x0d\x0a\x51\x55\x49\x54\x0a")
        );
    }
}
