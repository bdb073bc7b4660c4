//! The envelope of a mail that is never sent: who it would be from, and whom for.
//!
//! MAIL and RCPT show whether a server would take a mail; RSET then takes it back, and DATA is not a command
//! of this client. Addresses are those of RFC 5321 §4.1.2 and RFC 6531 §3.3, without source routes.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

/// RFC 5321 §4.5.3.1.1.
const LONGEST_LOCAL_PART: usize = 64;

/// RFC 5321 §4.5.3.1.3: a path has 256 octets, of which two are the brackets.
const LONGEST: usize = 254;

/// A mailbox, checked: nothing in it can end the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address(String);

impl Address {
    /// Reads `local@domain`. A domain that is not ASCII becomes its A-labels (RFC 5890), which every server knows.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| format!("{text:?} is no mail address: {why}");
        // RFC 5321 §4.1.1.3: every server knows this one.
        if text.eq_ignore_ascii_case("postmaster") {
            return Ok(Self(text.to_owned()));
        }
        let (local, domain) = text.rsplit_once('@').ok_or_else(|| wrong("write one such as probe@example.org"))?;
        if !(is_dotted(local) || is_quoted(local)) {
            return Err(wrong("the part before the @ has characters that must not be there, or none"));
        }
        let domain = if is_literal(domain) { Some(domain.to_owned()) } else { ascii_domain(domain) };
        let domain = domain.ok_or_else(|| wrong("what stands behind the @ is no domain"))?;
        let address = format!("{local}@{domain}");
        if local.len() > LONGEST_LOCAL_PART || address.len() > LONGEST {
            return Err(wrong("it is longer than 64 octets before the @, or than 254 in all"));
        }
        Ok(Self(address))
    }

    /// Whether a server must know SMTPUTF8 to take it (RFC 6531).
    pub fn needs_smtputf8(&self) -> bool {
        !self.0.is_ascii()
    }
}

impl fmt::Display for Address {
    /// With its brackets, as a path.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{}>", self.0)
    }
}

/// Who a mail is from: an address, or nobody, as reports of failed delivery are (RFC 5321 §4.5.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sender {
    /// `<>`.
    Nobody,
    /// Somebody.
    Address(Address),
}

impl Sender {
    /// Reads `<>` or an address.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() || text == "<>" { Ok(Self::Nobody) } else { Address::parse(text).map(Self::Address) }
    }
}

impl fmt::Display for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nobody => f.write_str("<>"),
            Self::Address(address) => address.fmt(f),
        }
    }
}

/// Sender and recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// Who the mail would be from.
    pub from: Sender,
    /// Whom it would be for.
    pub to: Address,
}

impl Envelope {
    /// The address that needs SMTPUTF8, if one does.
    pub fn needs_smtputf8(&self) -> Option<&Address> {
        let from = match &self.from {
            Sender::Address(address) => Some(address),
            Sender::Nobody => None,
        };
        from.into_iter().chain([&self.to]).find(|address| address.needs_smtputf8())
    }
}

/// RFC 5321 §4.1.2, Dot-string; RFC 6531 §3.3 adds what is not ASCII.
fn is_dotted(local: &str) -> bool {
    let is_atext = |c: char| match c {
        c if c.is_ascii() => c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c),
        c => !c.is_control() && !c.is_whitespace(),
    };
    local.split('.').all(|atom| !atom.is_empty() && atom.chars().all(is_atext))
}

/// RFC 5321 §4.1.2, Quoted-string: printable, with `\` before `"` and `\`.
fn is_quoted(local: &str) -> bool {
    let Some(inner) = local.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else { return false };
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        let c = if c == '\\' { chars.next() } else { Some(c).filter(|c| *c != '"') };
        if !c.is_some_and(|c| c == ' ' || c.is_ascii_graphic()) {
            return false;
        }
    }
    true
}

/// RFC 5321 §4.1.3.
fn is_literal(domain: &str) -> bool {
    let Some(inner) = domain.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) else { return false };
    match inner.strip_prefix("IPv6:") {
        Some(v6) => v6.parse::<Ipv6Addr>().is_ok(),
        None => inner.parse::<Ipv4Addr>().is_ok(),
    }
}

fn ascii_domain(domain: &str) -> Option<String> {
    let ascii = idna::domain_to_ascii(domain).ok()?;
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    ascii.split('.').all(is_label).then_some(ascii)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_can_be_sent() {
        for (text, path) in [
            ("probe@example.org", "<probe@example.org>"),
            ("a.b+c=d@EXAMPLE.org", "<a.b+c=d@example.org>"),
            ("\"a b\\\"c\"@x.example", "<\"a b\\\"c\"@x.example>"),
            ("p@[192.0.2.1]", "<p@[192.0.2.1]>"),
            ("p@[IPv6:2001:db8::1]", "<p@[IPv6:2001:db8::1]>"),
            ("p@bücher.example", "<p@xn--bcher-kva.example>"),
            ("p@localhost", "<p@localhost>"),
            ("Postmaster", "<Postmaster>"),
        ] {
            let address = Address::parse(text).unwrap();
            assert_eq!(address.to_string(), path);
            assert!(!address.needs_smtputf8());
        }
        assert!(Address::parse("jürgen@example.org").unwrap().needs_smtputf8());
    }

    #[test]
    fn addresses_that_are_none_or_would_inject() {
        let long = format!("{}@example.org", "a".repeat(65));
        let longer = format!("a@{}example.org", "a.".repeat(130));
        for text in [
            "",
            "probe",
            "@example.org",
            "a@",
            "a@b\r\nDATA",
            "a\r\nDATA@example.org",
            "a b@example.org",
            "a..b@example.org",
            ".a@example.org",
            "a@b@example.org",
            "a>@example.org",
            "\"a\r\nb\"@example.org",
            "\"a\"b\"@example.org",
            "\"a\\\"@example.org",
            "a@[192.0.2]",
            "a@-x.example",
            "a@x..example",
            "a@exa mple.org",
            "@relay.example:a@example.org",
            "ü\u{85}@example.org",
            long.as_str(),
            longer.as_str(),
        ] {
            assert!(Address::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn nobody_is_a_sender_and_no_recipient() {
        assert_eq!(Sender::parse("<>").unwrap().to_string(), "<>");
        assert_eq!(Sender::parse("").unwrap(), Sender::Nobody);
        assert_eq!(Sender::parse("a@example.org").unwrap().to_string(), "<a@example.org>");
        assert!(Address::parse("<>").is_err());
        assert!(Address::parse("<a@example.org>").is_err(), "the brackets are ours to write");
    }
}
