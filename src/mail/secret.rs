//! Passwords and tokens: values that go to a server and nowhere else.
//!
//! A [`Secret`] has no text form. Its `Debug` is `<redacted>`, it cannot be displayed or serialised, and its memory
//! is overwritten when it is dropped. The few places that need the bytes say [`Secret::expose`], which is easy
//! to search for. A server may repeat what it was sent, so its words are shown only after [`Redaction::apply`].

use std::borrow::Cow;
use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// What stands where a secret was.
pub const REDACTED: &str = "<redacted>";

/// So much of a secret's beginning is enough to know it by, for a text may have been cut.
const TELLING: usize = 16;

/// A shorter secret is not looked for: it would be found in ordinary words.
const SHORTEST: usize = 4;

/// Bytes that must not be shown.
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes the bytes over; whoever had them must not keep a copy.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The same in base64, as SASL travels in SMTP (RFC 4954 §4).
    pub fn to_base64(&self) -> Self {
        let mut text = Zeroizing::new(STANDARD.encode(self.expose()));
        Self::new(std::mem::take(&mut *text).into_bytes())
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self::new(text.as_bytes().to_vec())
    }
}

/// Takes the same time wherever they differ.
impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        verify_slices_are_equal(self.expose(), other.expose()).is_ok()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

/// The secrets that a text must not show.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Redaction(Vec<Secret>);

impl Redaction {
    /// Adds one.
    pub fn add(&mut self, secret: &Secret) {
        if secret.expose().len() >= SHORTEST && !self.0.contains(secret) {
            self.0.push(secret.clone());
        }
    }

    /// The text with `<redacted>` in the place of each secret, or of as much of one as the text has.
    pub fn apply<'t>(&self, text: &'t [u8]) -> Cow<'t, [u8]> {
        if self.0.is_empty() {
            return Cow::Borrowed(text);
        }
        let mut out = Vec::with_capacity(text.len());
        let mut rest = text;
        while let Some((first, others)) = rest.split_first() {
            match self.found_at(rest) {
                0 => {
                    out.push(*first);
                    rest = others;
                }
                length => {
                    out.extend_from_slice(REDACTED.as_bytes());
                    rest = rest.get(length..).unwrap_or_default();
                }
            }
        }
        if out == text { Cow::Borrowed(text) } else { Cow::Owned(out) }
    }

    /// How much of a secret the text begins with.
    fn found_at(&self, text: &[u8]) -> usize {
        let common = |secret: &Secret| {
            let same = secret.expose().iter().zip(text).take_while(|(secret, text)| secret == text).count();
            if same >= secret.expose().len().min(TELLING) { same } else { 0 }
        };
        self.0.iter().map(common).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_does_not_show_itself() {
        let secret = Secret::from("hunter2");
        assert_eq!(format!("{secret:?} {:?}", Some(&secret)), "<redacted> Some(<redacted>)");
        assert_eq!(secret.to_base64().expose(), b"aHVudGVyMg==");
        assert_eq!(secret, Secret::from("hunter2"));
        assert_ne!(secret, Secret::from("hunter3"));
    }

    #[test]
    fn what_a_server_repeats_is_taken_out() {
        let mut redaction = Redaction::default();
        for secret in ["hunter2", "a-token-of-more-than-sixteen", "abc"] {
            redaction.add(&Secret::from(secret));
        }
        let shown = |text: &str| String::from_utf8(redaction.apply(text.as_bytes()).into_owned()).unwrap();
        assert_eq!(shown("535 no hunter2, hunter2!"), "535 no <redacted>, <redacted>!");
        assert_eq!(shown("535 hunter"), "535 hunter", "a part of a short one could be any word");
        assert_eq!(shown("a-token-of-more-th"), "<redacted>", "a long one is known by its beginning");
        assert_eq!(shown("abc"), "abc");
        assert!(matches!(redaction.apply(b"535 no"), Cow::Borrowed(_)));
    }
}
