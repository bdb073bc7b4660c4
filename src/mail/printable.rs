//! Text that a peer chose, made safe to show.

use std::fmt;

/// The longest text kept, in characters.
const MAX_CHARS: usize = 256;

/// Text from outside (a banner, a certificate's subject, a keyword) in which every character prints
/// and nothing can change the terminal, the log line, the page or the exposition around it.
///
/// Bytes that are not UTF-8, control characters and the invisible formatting characters (bidirectional
/// overrides, zero-width marks) become `?`; what is longer than 256 characters is cut and ends in `…`.
/// It can only be made by cleaning, so no face of the exporter has to remember to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Printable(Box<str>);

impl Printable {
    /// Cleans bytes as they came from the wire.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        if let Some(plain) = plain(bytes) {
            return Self(plain.into());
        }
        // Four bytes are the longest UTF-8 character: what lies further cannot be among the kept ones.
        let enough = bytes.get(..4 * (MAX_CHARS + 1)).unwrap_or(bytes);
        let mut out = String::with_capacity(enough.len());
        for chunk in enough.utf8_chunks() {
            out.push_str(chunk.valid());
            if !chunk.invalid().is_empty() {
                out.push('?');
            }
        }
        Self::from_text(&out)
    }

    /// Cleans text.
    pub fn from_text(text: &str) -> Self {
        let mut out: String = text.chars().take(MAX_CHARS).map(|c| if prints(c) { c } else { '?' }).collect();
        if text.chars().nth(MAX_CHARS).is_some() {
            out.pop();
            out.push('…');
        }
        Self(out.into_boxed_str())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether nothing is left to show.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Printable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What most servers send: short, ASCII, and nothing in it to clean.
fn plain(bytes: &[u8]) -> Option<&str> {
    let is_plain = bytes.len() <= MAX_CHARS && bytes.iter().all(|byte| matches!(byte, b' '..=b'~'));
    is_plain.then(|| std::str::from_utf8(bytes).ok())?
}

/// Whether a character shows as itself: no controls, no line separators, no invisible formatting.
fn prints(c: char) -> bool {
    let invisible = matches!(c,
        '\u{00AD}' | '\u{061C}' | '\u{180E}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}'
        | '\u{2060}'..='\u{206F}' | '\u{FEFF}' | '\u{FFF9}'..='\u{FFFB}' | '\u{E0000}'..='\u{E0FFF}');
    !c.is_control() && !invisible
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_move_the_cursor_or_the_line_becomes_a_question_mark() {
        let text = Printable::from_bytes(b"a\x1b[2J\r\n\0\x7f\xff\xc3b\xe2\x80\xaec");
        assert_eq!(text.as_str(), "a?[2J??????b?c");
    }

    #[test]
    fn every_octet_is_cleaned_in_the_same_way_alone_and_among_others() {
        for byte in 0..=u8::MAX {
            let (alone, among) = (Printable::from_bytes(&[byte]), Printable::from_bytes(&[0xff, byte]));
            assert_eq!(format!("?{alone}"), among.as_str(), "{byte:#x}");
        }
        let long = "x".repeat(MAX_CHARS);
        assert_eq!(Printable::from_bytes(long.as_bytes()).as_str(), long);
        assert!(Printable::from_bytes(format!("{long}x").as_bytes()).as_str().ends_with("x…"));
    }

    #[test]
    fn quotes_and_other_scripts_stay() {
        assert_eq!(Printable::from_text("\"日本\" \\ <b>").as_str(), "\"日本\" \\ <b>");
    }

    #[test]
    fn long_text_is_cut_at_256_characters() {
        let text = Printable::from_bytes("é".repeat(300).as_bytes());
        assert_eq!(text.as_str().chars().count(), 256);
        assert!(text.as_str().ends_with('…'));
    }
}
