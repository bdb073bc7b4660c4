//! The commands a probe sends, and the name it gives itself.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use zeroize::Zeroizing;

use super::envelope::{Address, Sender};
use crate::mail::sasl::Mechanism;
use crate::mail::secret::{REDACTED, Secret};

/// Every command this client can send. There is no `DATA`: a probe never sends mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// RFC 5321 §4.1.1.1.
    Ehlo(EhloName),
    /// RFC 5321 §4.1.1.1, for servers that know no EHLO.
    Helo(EhloName),
    /// RFC 3207 §4.
    StartTls,
    /// RFC 4954 §4, with the initial response in base64 if there is one.
    Auth(Mechanism, Option<Secret>),
    /// An answer to a challenge, in base64 (RFC 4954 §4).
    AuthAnswer(Secret),
    /// `*`: the exchange is given up (RFC 4954 §4).
    AuthCancel,
    /// RFC 5321 §4.1.1.2.
    Mail {
        /// Who the mail would be from.
        from: Sender,
        /// The address is not ASCII (RFC 6531 §3.4).
        smtputf8: bool,
    },
    /// RFC 5321 §4.1.1.3.
    Rcpt(Address),
    /// RFC 5321 §4.1.1.5.
    Rset,
    /// RFC 5321 §4.1.1.10.
    Quit,
}

impl Command {
    /// The command line, with its CRLF (RFC 5321 §2.3.8).
    pub fn to_line(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("{}\r\n", *self.text(&|secret| String::from_utf8_lossy(secret.expose()).into_owned())))
    }

    /// The command for people: without its secret, and without an end.
    pub fn shown(&self) -> String {
        self.text(&|_| REDACTED.to_owned()).to_string()
    }

    /// What of it must not be shown.
    pub fn secret(&self) -> Option<&Secret> {
        match self {
            Self::Auth(_, secret) => secret.as_ref(),
            Self::AuthAnswer(secret) => Some(secret),
            _ => None,
        }
    }

    fn text(&self, secret: &dyn Fn(&Secret) -> String) -> Zeroizing<String> {
        Zeroizing::new(match self {
            Self::Ehlo(name) => format!("EHLO {name}"),
            Self::Helo(name) => format!("HELO {name}"),
            Self::StartTls => "STARTTLS".into(),
            Self::Auth(mechanism, None) => format!("AUTH {}", mechanism.name()),
            Self::Auth(mechanism, Some(initial)) => {
                format!("AUTH {} {}", mechanism.name(), *Zeroizing::new(secret(initial)))
            }
            Self::AuthAnswer(answer) => secret(answer),
            Self::AuthCancel => "*".into(),
            Self::Mail { from, smtputf8: false } => format!("MAIL FROM:{from}"),
            Self::Mail { from, smtputf8: true } => format!("MAIL FROM:{from} SMTPUTF8"),
            Self::Rcpt(to) => format!("RCPT TO:{to}"),
            Self::Rset => "RSET".into(),
            Self::Quit => "QUIT".into(),
        })
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
        assert_eq!(*Command::Ehlo(name).to_line(), "EHLO [IPv6:::1]\r\n");
    }

    #[test]
    fn what_is_shown_has_no_secret() {
        let answer = Command::AuthAnswer(Secret::from("c2VjcmV0"));
        assert_eq!((answer.to_line().as_str(), answer.shown().as_str()), ("c2VjcmV0\r\n", "<redacted>"));
        let auth = Command::Auth(Mechanism::Plain, Some(Secret::from("c2VjcmV0")));
        assert_eq!(
            (auth.to_line().as_str(), auth.shown().as_str()),
            ("AUTH PLAIN c2VjcmV0\r\n", "AUTH PLAIN <redacted>")
        );
        assert_eq!(*Command::Auth(Mechanism::Login, None).to_line(), "AUTH LOGIN\r\n");
        assert!(!format!("{answer:?} {auth:?}").contains("c2VjcmV0"));
    }
}
