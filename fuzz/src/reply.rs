//! The reply decoder against a second one that sees all bytes at once (RFC 5321 §4.2).

use mail_endpoint_exporter::mail::line::{LineBuffer, MAX_LINE, MAX_SESSION};
use mail_endpoint_exporter::mail::smtp::reply::{Reply, ReplyFault, ReplyReader};

#[derive(Debug, PartialEq)]
enum End {
    Open,
    Malformed,
    TooLarge,
}

/// The bytes are replies, and how many of them come at once.
pub fn check(bytes: &[u8]) {
    let Some((size, bytes)) = bytes.split_first() else { return };
    let expected = second_opinion(bytes);
    assert_eq!(decode(bytes, usize::MAX), expected);
    assert_eq!(decode(bytes, usize::from(*size).max(1)), expected);
    for reply in &expected.0 {
        let enhanced = reply.enhanced_code();
        assert!(enhanced.is_none_or(|code| code.len() <= 9 && code.matches('.').count() == 2));
    }
}

fn decode(bytes: &[u8], size: usize) -> (Vec<Reply>, End) {
    let (mut lines, mut reader, mut replies) = (LineBuffer::default(), ReplyReader::default(), Vec::new());
    for piece in bytes.chunks(size.min(bytes.len().max(1))) {
        lines.push(piece);
        loop {
            match lines.next_line() {
                Ok(None) => break,
                Err(_) => return (replies, End::TooLarge),
                Ok(Some(line)) => match reader.line(line) {
                    Ok(reply) => replies.extend(reply),
                    Err(ReplyFault::Malformed(shown)) => {
                        assert_eq!(shown, line);
                        return (replies, End::Malformed);
                    }
                    Err(ReplyFault::TooLarge) => return (replies, End::TooLarge),
                },
            }
        }
    }
    assert!(lines.pending().len() < MAX_LINE && !lines.pending().contains(&b'\n'));
    (replies, End::Open)
}

/// Reads as simply as can be. Inputs beyond a session's limit are not compared: where it ends depends on the pieces.
fn second_opinion(bytes: &[u8]) -> (Vec<Reply>, End) {
    assert!(bytes.len() <= MAX_SESSION, "the fuzzer is run with shorter inputs");
    let (mut replies, mut lines, mut first, mut size) = (Vec::new(), Vec::new(), None, 0);
    let mut rest = bytes;
    while let Some(end) = rest.iter().position(|b| *b == b'\n') {
        if end >= MAX_LINE {
            return (replies, End::TooLarge);
        }
        let crs = rest[..end].iter().rev().take_while(|b| **b == b'\r').count();
        let line = &rest[..end - crs];
        rest = &rest[end + 1..];
        let digits = line.len() >= 3 && line[..3].iter().all(u8::is_ascii_digit);
        let separator = line.get(3).copied();
        if !digits || !matches!(separator, None | Some(b' ' | b'-')) || first.is_some_and(|first| first != &line[..3]) {
            return (replies, End::Malformed);
        }
        first = Some(&line[..3]);
        size += line.len();
        if size > 64 * 1024 || lines.len() == 256 {
            return (replies, End::TooLarge);
        }
        lines.push(line.get(4..).unwrap_or_default().to_vec());
        if separator != Some(b'-') {
            let code = String::from_utf8_lossy(&line[..3]).parse().expect("three digits");
            replies.push(Reply { code, lines: std::mem::take(&mut lines) });
            (first, size) = (None, 0);
        }
    }
    let end = if rest.len() >= MAX_LINE { End::TooLarge } else { End::Open };
    (replies, end)
}
