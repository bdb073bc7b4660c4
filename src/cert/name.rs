//! Host names: what we ask for, and which names in a certificate answer to it (RFC 9525).

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use rustls::pki_types::DnsName;

/// A host: a DNS name in its ASCII form, or an address. It can only be made valid.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ServerName {
    /// A host name in lower case, A-labels, without a trailing dot.
    Dns(String),
    /// An address literal.
    Ip(IpAddr),
    /// A link-local address, and the interface whose link is meant, by name or number (RFC 4007 §11).
    Link(Ipv6Addr, String),
}

impl ServerName {
    /// Reads a name or an address as a person writes it: any case, IDN, with or without a final dot,
    /// an IPv6 address with or without brackets, a link-local one with its zone.
    pub fn parse(text: &str) -> Result<Self, String> {
        // What stands before it may be a password, which no message may show.
        if text.contains('@') {
            return Err("a host is written without the user and the password before its `@`: remove them".into());
        }
        let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
        match bare.parse::<IpAddr>() {
            Ok(IpAddr::V6(address)) if address.is_unicast_link_local() => {
                return Err(format!(
                    "{address} is an address on every link: write which is meant, as in {address}%eth0"
                ));
            }
            Ok(address) => return Ok(Self::Ip(address)),
            Err(_) => {}
        }
        if let Some((address, zone)) = bare.split_once('%')
            && let Ok(address) = address.parse()
        {
            return link(address, zone);
        }
        let wrong = |why: &str| format!("{text:?} is no host name or address: {why}");
        // RFC 5890: internationalised names are asked for and compared as A-labels.
        let ascii = idna::domain_to_ascii(text).map_err(|_| wrong("it has characters that a host name cannot have"))?;
        let name = ascii.strip_suffix('.').unwrap_or(&ascii);
        if name.is_empty() {
            return Err(wrong("it is empty"));
        }
        if name.len() > 253 || name.split('.').any(|label| label.len() > 63) {
            return Err(wrong("it is longer than DNS allows (253 characters, 63 a label)"));
        }
        if !name.split('.').all(is_label) {
            return Err(wrong("write letters, digits and hyphens between dots, such as mail.example.org"));
        }
        if name.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
            return Err(wrong("an IPv4 address has four numbers up to 255"));
        }
        // Such a name cannot be asked for in TLS (SNI), since others read it as an address.
        if DnsName::try_from(name).is_err() {
            return Err(wrong(
                "it ends in a number, as no domain does: write the whole name, such as mail.example.org",
            ));
        }
        Ok(Self::Dns(name.to_owned()))
    }
}

/// RFC 4007 §6: other addresses of a host are the same on every link.
fn link(address: Ipv6Addr, zone: &str) -> Result<ServerName, String> {
    if !address.is_unicast_link_local() {
        return Err(format!("only a link-local address (fe80::/10) has a zone: write {address} without %{zone}"));
    }
    let is_zone_byte = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'~');
    let ok = (1..=32).contains(&zone.len()) && zone.bytes().all(is_zone_byte) && zone != "0";
    let wrong = || format!("behind the % of {address} stands the name or number of an interface, as in {address}%eth0");
    ok.then(|| ServerName::Link(address, zone.to_owned())).ok_or_else(wrong)
}

/// RFC 1123 §2.1. Underscores are no part of a host name, yet such names exist.
fn is_label(label: &str) -> bool {
    let is_host_byte = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    !label.is_empty() && label.bytes().all(is_host_byte) && !label.starts_with('-') && !label.ends_with('-')
}

impl fmt::Display for ServerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) => f.write_str(name),
            Self::Ip(address) => address.fmt(f),
            Self::Link(address, zone) => write!(f, "{address}%{zone}"),
        }
    }
}

/// Whether a certificate with these alternative names is good for the host.
///
/// RFC 9525 §6.3: names are compared without case; a wildcard is the whole left-most label and stands
/// for exactly one. §6.5: the subject's common name is never looked at.
pub fn covers(dns_names: &[String], addresses: &[IpAddr], host: &ServerName) -> bool {
    match host {
        ServerName::Ip(address) => addresses.contains(address),
        ServerName::Link(address, _) => addresses.contains(&IpAddr::V6(*address)),
        ServerName::Dns(host) => dns_names.iter().any(|name| dns_name_covers(name, host)),
    }
}

fn dns_name_covers(pattern: &str, host: &str) -> bool {
    let pattern = pattern.strip_suffix('.').unwrap_or(pattern);
    match pattern.strip_prefix("*.") {
        None => pattern.eq_ignore_ascii_case(host),
        // A wildcard right under a top-level domain would cover strangers.
        Some(parent) => {
            parent.contains('.') && host.split_once('.').is_some_and(|(_, rest)| rest.eq_ignore_ascii_case(parent))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good_for(pattern: &str, host: &str) -> bool {
        covers(&[pattern.to_owned()], &[], &ServerName::parse(host).unwrap())
    }

    #[test]
    fn names_cover_without_case_and_final_dots() {
        assert!(good_for("Mail.Example.org", "mail.example.ORG."));
        assert!(!good_for("mail.example.org", "example.org"));
    }

    #[test]
    fn a_wildcard_is_one_whole_label() {
        assert!(good_for("*.example.org", "mx.example.org"));
        for host in ["example.org", "a.b.example.org"] {
            assert!(!good_for("*.example.org", host), "{host}");
        }
        assert!(!good_for("*.org", "example.org"));
        assert!(!good_for("m*.example.org", "mx.example.org"));
        assert!(!good_for("*", "localhost"));
    }

    #[test]
    fn addresses_match_addresses_only() {
        let host = ServerName::parse("[::1]").unwrap();
        assert!(covers(&[], &["::1".parse().unwrap()], &host));
        assert!(!covers(&["::1".into()], &[], &host));
    }

    #[test]
    fn a_link_local_address_has_a_zone_and_no_other_has() {
        for good in ["fe80::1%eth0", "fe80::1%3", "febf::1%wg-0.7"] {
            let host = ServerName::parse(good).unwrap();
            assert_eq!((host.to_string().as_str(), ServerName::parse(&format!("[{good}]"))), (good, Ok(host.clone())));
            let address = good.split('%').next().unwrap().parse().unwrap();
            assert!(covers(&[], &[address], &host), "a certificate knows no zones");
        }
        for (bad, why) in [
            ("fe80::1", "write which is meant, as in fe80::1%eth0"),
            ("fe80::1%", "the name or number of an interface"),
            ("fe80::1%0", "the name or number of an interface"),
            ("fe80::1%eth0/64", "the name or number of an interface"),
            ("fe80::1%eth0%eth1", "the name or number of an interface"),
            ("2001:db8::1%eth0", "write 2001:db8::1 without %eth0"),
            ("::1%lo", "write ::1 without %lo"),
            ("192.0.2.1%eth0", "is no host name or address"),
        ] {
            let found = ServerName::parse(bad).unwrap_err();
            assert!(found.contains(why), "{bad}: {found}");
        }
    }

    #[test]
    fn idn_is_compared_in_ascii() {
        assert!(good_for("xn--bcher-kva.example", "Bücher.example"));
    }

    #[test]
    fn a_name_that_ends_in_a_number_is_refused_before_tls_refuses_it() {
        for bad in ["foo.123", "foo.0x1", "foo.0X1", "0x", "mx.example.0xbeef."] {
            let found = ServerName::parse(bad).unwrap_err();
            assert!(found.contains("it ends in a number, as no domain does: write"), "{bad}: {found}");
        }
        for good in ["123.example.org", "0x1.example.org", "foo.x1", "foo.1x", "mx.xn--p1ai", "mx_1", "localhost"] {
            let name = ServerName::parse(good).unwrap();
            assert!(rustls::pki_types::ServerName::try_from(name.to_string()).is_ok(), "{good}");
        }
    }

    #[test]
    fn what_is_no_host() {
        for bad in
            ["", ".", "a..b", "mx example", "1.2.3", "999.1.1.1", "mx/25", "a@b", "http://x", "-a.b", "a-.b", "a\r\nb"]
        {
            assert!(ServerName::parse(bad).is_err(), "{bad:?}");
        }
        assert!(ServerName::parse(&format!("{}.org", "a".repeat(64))).is_err());
        assert!(ServerName::parse("_dmarc.example.org").is_ok());
    }
}
