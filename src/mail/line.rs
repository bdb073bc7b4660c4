//! Lines out of a byte stream, within bounds.
//!
//! A server may send its lines in any pieces: several lines in one segment, or one line in many. The
//! buffer keeps what has arrived and hands out whole lines. It does not decide what a line means.

/// The longest line accepted. RFC 5321 §4.5.3.1.5 allows 512 octets; servers exceed it.
pub const MAX_LINE: usize = 4096;

/// The most a server may send in clear or inside TLS during one session.
pub const MAX_SESSION: usize = 256 * 1024;

/// The peer sent more than it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overflow {
    /// A line went past [`MAX_LINE`].
    Line,
    /// The session went past [`MAX_SESSION`].
    Session,
}

/// The bytes received and not yet used.
#[derive(Debug, Default)]
pub struct LineBuffer {
    bytes: Vec<u8>,
    /// Where the unused part begins.
    start: usize,
    /// How much of the unused part is known to hold no line ending, so that a server that sends single bytes
    /// does not have each of them looked at again and again.
    searched: usize,
    received: usize,
}

impl LineBuffer {
    /// Takes bytes as they arrived.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.start);
        self.start = 0;
        self.received = self.received.saturating_add(bytes.len());
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole line without its line ending, or `None` until more arrives.
    ///
    /// RFC 5321 §2.3.8 wants CRLF; a bare LF ends a line too, as in every mail client, and so do several CRs and LF:
    /// what writes CRLF through a layer that makes CRLF of each LF sends them, and mail programs take them all off. A
    /// CR anywhere else is text.
    pub fn next_line(&mut self) -> Result<Option<&[u8]>, Overflow> {
        if self.received > MAX_SESSION {
            return Err(Overflow::Session);
        }
        let unused = self.bytes.get(self.start..).unwrap_or_default();
        let Some(end) = unused.iter().take(MAX_LINE).skip(self.searched).position(|b| *b == b'\n') else {
            self.searched = unused.len();
            return if unused.len() >= MAX_LINE { Err(Overflow::Line) } else { Ok(None) };
        };
        let (line, rest) = unused.split_at_checked(self.searched.saturating_add(end)).unwrap_or_default();
        self.start = self.bytes.len().saturating_sub(rest.len()).saturating_add(1);
        self.searched = 0;
        Ok(Some(without_crs(line)))
    }

    /// What has arrived beyond the last line handed out.
    pub fn pending(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }

    /// Forgets what is pending.
    pub fn discard(&mut self) {
        self.bytes.clear();
        self.start = 0;
        self.searched = 0;
    }
}

fn without_crs(mut line: &[u8]) -> &[u8] {
    while let Some(shorter) = line.strip_suffix(b"\r") {
        line = shorter;
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(buffer: &mut LineBuffer) -> Vec<Vec<u8>> {
        let mut out = Vec::new();
        while let Ok(Some(line)) = buffer.next_line() {
            out.push(line.to_vec());
        }
        out
    }

    #[test]
    fn lines_come_out_whole_however_they_arrive() {
        let mut buffer = LineBuffer::default();
        let mut got = Vec::new();
        for byte in b"220-one\r\n220 two\nrest" {
            buffer.push(&[*byte]);
            got.extend(lines(&mut buffer));
        }
        assert_eq!(got, [b"220-one".to_vec(), b"220 two".to_vec()]);
        assert_eq!(buffer.pending(), b"rest");
    }

    #[test]
    fn every_cr_before_the_lf_is_of_the_ending_and_no_other() {
        let mut buffer = LineBuffer::default();
        buffer.push(b"a\r\r\n\rb\rc\r \r\n\r\r\r\n");
        assert_eq!(lines(&mut buffer), [b"a".to_vec(), b"\rb\rc\r ".to_vec(), Vec::new()]);
    }

    #[test]
    fn a_line_without_an_end_is_refused_at_the_limit() {
        let mut buffer = LineBuffer::default();
        buffer.push(&vec![b'x'; MAX_LINE - 1]);
        assert_eq!(buffer.next_line(), Ok(None));
        buffer.push(b"x");
        assert_eq!(buffer.next_line(), Err(Overflow::Line));
    }

    #[test]
    fn a_line_ending_is_found_wherever_the_search_stopped() {
        for cut in 0..8 {
            let mut buffer = LineBuffer::default();
            let (first, rest) = b"ab\r\nc\r\n".split_at(cut);
            buffer.push(first);
            let mut got = lines(&mut buffer);
            buffer.push(rest);
            got.extend(lines(&mut buffer));
            assert_eq!(got, [b"ab".to_vec(), b"c".to_vec()], "cut at {cut}");
        }
    }

    #[test]
    fn endless_short_lines_are_refused_at_the_session_limit() {
        let mut buffer = LineBuffer::default();
        let mut result = Ok(());
        for _ in 0..=MAX_SESSION / 4 {
            buffer.push(b"ab\r\n");
            result = buffer.next_line().map(|_| ());
        }
        assert_eq!(result, Err(Overflow::Session));
    }
}
