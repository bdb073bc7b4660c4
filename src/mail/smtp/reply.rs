//! SMTP replies (RFC 5321 §4.2): three digits, then `-` for more or a space for the last line.
//!
//! Mail programs differ in what they let pass; this reader accepts what cannot be misread (no text,
//! bare LF, any bytes in the text, any three digits) and refuses what two programs would read
//! differently (a missing separator, codes that change within one reply).

use crate::mail::secret::Redaction;

/// The longest reply, in octets of text.
const MAX_REPLY: usize = 64 * 1024;

/// The most lines in a reply.
const MAX_LINES: usize = 256;

/// One whole reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The three digits.
    pub code: u16,
    /// The text of each line, after the separator, as sent.
    pub lines: Vec<Vec<u8>>,
}

impl Reply {
    /// The enhanced status code of the last line, if it begins with one (RFC 2034 §4).
    pub fn enhanced_code(&self) -> Option<String> {
        let first = self.lines.last()?.split(|b| *b == b' ').next()?;
        let text = std::str::from_utf8(first).ok()?;
        let parts: Vec<&str> = text.split('.').collect();
        let digits = |part: &str, most| (1..=most).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        // RFC 3463 §2: class "." subject "." detail; class is 2, 4 or 5.
        let ok = matches!(parts[..], [class, subject, detail]
            if matches!(class, "2" | "4" | "5") && digits(subject, 3) && digits(detail, 3));
        ok.then(|| text.to_owned())
    }

    /// The reply as it may be shown.
    pub(super) fn concealed(mut self, redaction: &Redaction) -> Self {
        for line in &mut self.lines {
            *line = redaction.apply(line).into_owned();
        }
        self
    }

    /// The text of all lines, one after another.
    pub fn text(&self) -> Vec<u8> {
        self.lines.join(&b' ')
    }
}

/// Why a reply could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplyFault {
    /// A line that is no reply line, or does not belong to the reply before it.
    Malformed(Vec<u8>),
    /// More than 64 KiB or 256 lines.
    TooLarge,
}

/// Collects the lines of one reply.
#[derive(Debug, Default)]
pub struct ReplyReader {
    /// The code of the first line; `None` before it.
    code: Option<u16>,
    lines: Vec<Vec<u8>>,
    size: usize,
}

impl ReplyReader {
    /// Takes one line. `Some` when it was the last of its reply; the reader is then empty again.
    pub fn line(&mut self, line: &[u8]) -> Result<Option<Reply>, ReplyFault> {
        let malformed = || ReplyFault::Malformed(line.to_vec());
        let (code, rest) = split_code(line).ok_or_else(malformed)?;
        let (last, text) = match rest {
            [] => (true, rest),
            [b' ', text @ ..] => (true, text),
            [b'-', text @ ..] => (false, text),
            _ => return Err(malformed()),
        };
        // RFC 5321 §4.2.1: the code of every line of a reply must be the same.
        if *self.code.get_or_insert(code) != code {
            return Err(malformed());
        }
        self.size = self.size.saturating_add(line.len());
        if self.size > MAX_REPLY || self.lines.len() >= MAX_LINES {
            return Err(ReplyFault::TooLarge);
        }
        self.lines.push(text.to_vec());
        Ok(last.then(|| {
            let mut lines = std::mem::take(self).lines;
            // Most have one line, and are kept for long.
            lines.shrink_to_fit();
            Reply { code, lines }
        }))
    }

    /// As much as has come of a reply that will not end; `None` if none has begun.
    pub(super) fn cut_short(self) -> Option<Reply> {
        Some(Reply { code: self.code?, lines: self.lines })
    }

    /// Whether a reply has begun and not ended.
    pub fn is_inside(&self) -> bool {
        self.code.is_some()
    }
}

/// Splits three leading digits off. Every code is read, also ones no RFC defines: what they mean for
/// the probe is decided where the reply is expected.
fn split_code(line: &[u8]) -> Option<(u16, &[u8])> {
    let (digits, rest) = line.split_at_checked(3)?;
    let all_digits = digits.iter().all(u8::is_ascii_digit);
    let code = std::str::from_utf8(digits).ok().filter(|_| all_digits)?.parse().ok()?;
    Some((code, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&str]) -> Result<Option<Reply>, ReplyFault> {
        let mut reader = ReplyReader::default();
        let mut last = Ok(None);
        for line in lines {
            last = Ok(reader.line(line.as_bytes())?);
        }
        last
    }

    fn malformed(lines: &[&str]) -> bool {
        matches!(read(lines), Err(ReplyFault::Malformed(_)))
    }

    #[test]
    fn one_line_and_many() {
        assert_eq!(read(&["220 hi"]).unwrap().unwrap().lines, [b"hi".to_vec()]);
        let reply = read(&["250-a", "250-", "250 b"]).unwrap().unwrap();
        assert_eq!((reply.code, reply.lines.len()), (250, 3));
        assert_eq!(read(&["250-a"]), Ok(None));
    }

    #[test]
    fn a_reply_without_text_is_one() {
        assert_eq!(read(&["220"]).unwrap().unwrap().lines, [Vec::<u8>::new()]);
        assert_eq!(read(&["220 "]).unwrap().unwrap().lines, [Vec::<u8>::new()]);
    }

    #[test]
    fn what_two_programs_would_read_differently_is_malformed() {
        for line in ["220OK", "2200 x", "22X", "22", "", " 220 x", "\u{feff}220 x", "220\tx", "HTTP/1.1 400 Bad"] {
            assert!(malformed(&[line]), "{line:?}");
        }
        assert!(malformed(&["220-a", "554 b"]));
    }

    #[test]
    fn codes_no_rfc_defines_are_read() {
        assert_eq!(read(&["699 x"]).unwrap().unwrap().code, 699);
        assert_eq!(read(&["099 x"]).unwrap().unwrap().code, 99);
    }

    #[test]
    fn more_lines_than_any_server_needs_are_too_large() {
        let mut reader = ReplyReader::default();
        let results: Vec<_> = (0..=MAX_LINES).map(|_| reader.line(b"250-x")).collect();
        assert_eq!(results.last(), Some(&Err(ReplyFault::TooLarge)));
        assert!(results[..MAX_LINES].iter().all(|r| *r == Ok(None)));
    }

    #[test]
    fn enhanced_codes() {
        let code = |line: &str| read(&[line]).unwrap().unwrap().enhanced_code();
        assert_eq!(code("530 5.7.0 Must issue a STARTTLS command first").as_deref(), Some("5.7.0"));
        for none in ["500 hi", "500 5.7 x", "500 1.2.3 x", "500 5.1234.0 x", "500 5.x.0 x", "500"] {
            assert_eq!(code(none), None, "{none}");
        }
    }
}
