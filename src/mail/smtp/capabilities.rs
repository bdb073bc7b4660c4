//! What an EHLO reply offers (RFC 5321 §4.1.1.1, RFC 4954 §3, RFC 1870, RFC 3207).

use super::reply::Reply;
use crate::mail::Printable;

/// The most mechanisms kept of one server; the longest list seen in the wild has 63 names in all servers.
const MAX_MECHANISMS: usize = 32;

/// One EHLO line: a keyword in upper case and its parameters as sent.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Capability {
    /// Upper case; keywords are case-insensitive (RFC 5321 §2.4).
    pub keyword: Printable,
    /// What followed, cleaned; empty if nothing did.
    pub parameters: Printable,
}

/// All that one EHLO reply offers. A HELO reply offers nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Capabilities {
    /// False when the server knew only HELO.
    pub esmtp: bool,
    /// Every keyword in the order of first sight.
    pub all: Vec<Capability>,
    /// Mechanisms of `AUTH` and the older `AUTH=`, united, upper case, in order of first sight.
    pub auth: Vec<Printable>,
    /// `STARTTLS` was offered.
    pub starttls: bool,
    /// A firewall overwrote a keyword of the length of `STARTTLS` with `X`s (Cisco PIX and ASA do).
    pub starttls_masked: bool,
    /// The size limit in octets. `None` when `SIZE` is missing, has no readable number, or says 0,
    /// which means that no limit is fixed (RFC 1870 §4).
    pub size_limit: Option<u64>,
}

impl Capabilities {
    /// Reads the reply to EHLO. Its first line is the greeting and never a keyword.
    pub fn from_ehlo(reply: &Reply) -> Self {
        let mut out = Self { esmtp: true, ..Self::default() };
        for line in reply.lines.iter().skip(1) {
            out.line(line);
        }
        out
    }

    fn line(&mut self, line: &[u8]) {
        let mut words = line.split(|b| matches!(b, b' ' | b'\t')).filter(|word| !word.is_empty());
        let Some(first) = words.next() else { return };
        let upper = first.to_ascii_uppercase();
        // Before RFC 2554 servers wrote "AUTH=PLAIN"; clients of that age still need it, so servers still send it.
        let (keyword, glued) = match upper.strip_prefix(b"AUTH=") {
            Some(mechanism) => (&b"AUTH"[..], Some(mechanism)),
            None => (&upper[..], None),
        };
        match keyword {
            b"AUTH" => self.mechanisms(glued.into_iter().chain(words.clone())),
            b"STARTTLS" => self.starttls = true,
            b"SIZE" => self.size_limit = words.clone().next().and_then(positive),
            masked if is_masked_starttls(masked) => self.starttls_masked = true,
            _ => {}
        }
        let keyword = Printable::from_bytes(keyword);
        if !self.offers(keyword.as_str()) {
            let parameters = Printable::from_bytes(&words.collect::<Vec<_>>().join(&b' '));
            self.all.push(Capability { keyword, parameters });
        }
    }

    fn mechanisms<'a>(&mut self, names: impl Iterator<Item = &'a [u8]>) {
        for name in names.filter(|name| !name.is_empty()) {
            let name = Printable::from_bytes(&name.to_ascii_uppercase());
            if self.auth.len() < MAX_MECHANISMS && !self.auth.contains(&name) {
                self.auth.push(name);
            }
        }
    }

    /// Whether a keyword, in upper case, is among them.
    pub fn offers(&self, keyword: &str) -> bool {
        self.all.iter().any(|capability| capability.keyword.as_str() == keyword)
    }
}

fn positive(digits: &[u8]) -> Option<u64> {
    let all_digits = digits.iter().all(u8::is_ascii_digit);
    let number = std::str::from_utf8(digits).ok().filter(|_| all_digits)?.parse().ok()?;
    (number > 0).then_some(number)
}

/// `STARTTLS` overwritten in place: eight characters, all `X` but perhaps the last.
fn is_masked_starttls(keyword: &[u8]) -> bool {
    keyword.strip_prefix(b"XXXXXXX").is_some_and(|last| matches!(last, [b'A'..=b'Z']))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ehlo(lines: &[&str]) -> Capabilities {
        let lines = std::iter::once("mx.example").chain(lines.iter().copied()).map(|l| l.as_bytes().to_vec());
        Capabilities::from_ehlo(&Reply { code: 250, lines: lines.collect() })
    }

    fn auth(lines: &[&str]) -> String {
        ehlo(lines).auth.iter().map(Printable::as_str).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn auth_and_its_older_form_are_united() {
        assert_eq!(auth(&["AUTH LOGIN PLAIN", "AUTH=LOGIN XOAUTH"]), "LOGIN PLAIN XOAUTH");
        assert_eq!(auth(&["AUTH=plain  login"]), "PLAIN LOGIN");
        assert_eq!(auth(&["AUTH\tPLAIN \t LOGIN  ", "auth CRAM-MD5"]), "PLAIN LOGIN CRAM-MD5");
        assert_eq!(auth(&["AUTH PLAIN,LOGIN"]), "PLAIN,LOGIN");
        assert_eq!(auth(&["AUTH"]), "");
        assert_eq!(auth(&["X-EXPS GSSAPI NTLM", "XAUTH PLAIN"]), "");
    }

    #[test]
    fn starttls_is_the_whole_word() {
        assert!(ehlo(&["starttls REQUIRED"]).starttls);
        for other in ["XSTARTTLS", "STARTTLSX", "X-ANONYMOUSTLS", "HELP STARTTLS"] {
            assert!(!ehlo(&[other]).starttls, "{other}");
        }
        assert!(!Capabilities::from_ehlo(&Reply { code: 250, lines: vec![b"STARTTLS".to_vec()] }).starttls);
    }

    #[test]
    fn a_masked_starttls_is_seen() {
        assert!(ehlo(&["XXXXXXXA"]).starttls_masked);
        assert!(!ehlo(&["XXXB", "XFORWARD"]).starttls_masked);
    }

    #[test]
    fn size_is_a_positive_number_or_nothing() {
        assert_eq!(ehlo(&["SIZE 10240000"]).size_limit, Some(10_240_000));
        for none in ["SIZE", "SIZE 0", "SIZE -1", "SIZE +1", "SIZE 18446744073709551616", "SIZE 10MB", "DSN"] {
            assert_eq!(ehlo(&[none]).size_limit, None, "{none}");
        }
    }

    #[test]
    fn a_server_cannot_make_the_lists_grow_without_end() {
        let many: Vec<String> = (0..1000).map(|n| format!("M{n}")).collect();
        assert_eq!(ehlo(&[&format!("AUTH {}", many.join(" "))]).auth.len(), MAX_MECHANISMS);
    }
}
