//! The commands a probe sends, and the name it gives itself.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Every command this client can send. There is no `DATA`: a probe never sends mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// RFC 5321 §4.1.1.1.
    Ehlo(EhloName),
    /// RFC 5321 §4.1.1.1, for servers that know no EHLO.
    Helo(EhloName),
    /// RFC 3207 §4.
    StartTls,
    /// RFC 5321 §4.1.1.10.
    Quit,
}

impl Command {
    /// The command line, with its CRLF (RFC 5321 §2.3.8).
    pub fn to_line(&self) -> String {
        match self {
            Self::Ehlo(name) => format!("EHLO {name}\r\n"),
            Self::Helo(name) => format!("HELO {name}\r\n"),
            Self::StartTls => "STARTTLS\r\n".into(),
            Self::Quit => "QUIT\r\n".into(),
        }
    }
}

/// Who we say we are: a fully qualified name, or an address literal (RFC 5321 §4.1.1.1, §4.1.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EhloName(String);

impl EhloName {
    /// Checks a name from the configuration. Anything that could end the command line is refused.
    pub fn parse(name: &str) -> Result<Self, String> {
        let literal = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        match literal {
            Some(inner) => inner
                .strip_prefix("IPv6:")
                .map_or_else(|| inner.parse::<Ipv4Addr>().is_ok(), |v6| v6.parse::<Ipv6Addr>().is_ok())
                .then(|| Self(name.to_owned()))
                .ok_or_else(|| format!("{name:?} is no address literal: write [192.0.2.1] or [IPv6:2001:db8::1]")),
            None if is_qualified(name) => Ok(Self(name.to_owned())),
            None => Err(format!(
                "{name:?} is no fully qualified host name: write one with a dot, such as probe.example.org, \
                 or an address literal such as [192.0.2.1]"
            )),
        }
    }

    /// The literal for an address of ours.
    pub fn literal(address: IpAddr) -> Self {
        Self(match address {
            IpAddr::V4(v4) => format!("[{v4}]"),
            IpAddr::V6(v6) => format!("[IPv6:{v6}]"),
        })
    }
}

impl fmt::Display for EhloName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Two labels or more of letters, digits, hyphens (RFC 1123 §2.1); 253 octets at most.
fn is_qualified(name: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.len() <= 253 && name.contains('.') && name.split('.').all(label) && name.parse::<IpAddr>().is_err()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_servers_accept() {
        for good in ["probe.example.org", "a.b", "[192.0.2.1]", "[IPv6:2001:db8::1]", "xn--bcher-kva.example"] {
            assert!(EhloName::parse(good).is_ok(), "{good}");
        }
    }

    #[test]
    fn names_that_servers_refuse_or_that_would_inject() {
        for bad in [
            "localhost",
            "",
            "a..b",
            "a.b.",
            "192.0.2.1",
            "[2001:db8::1]",
            "[x]",
            "a.b\r\nQUIT",
            "a b.c",
            "-a.b",
            "[192.0.2.1]\r\nX",
        ] {
            assert!(EhloName::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn lines_end_in_crlf() {
        let name = EhloName::literal("::1".parse().unwrap());
        assert_eq!(Command::Ehlo(name).to_line(), "EHLO [IPv6:::1]\r\n");
    }
}
