//! Walks through DER (X.690 §8.1), forgivingly: enough to find the parts of a certificate.
//!
//! A strict parser gives up a whole certificate for one wrong byte. Here an element is found by its tag and its
//! length alone, so that one bad part costs no other. Lengths that are too long are cut at the end of what is
//! there, and the indefinite lengths of BER are understood. Values are not checked: that is left to their readers.

/// How deep indefinite lengths may be nested; a certificate has about ten levels.
const MAX_DEPTH: usize = 32;

/// SEQUENCE.
pub(super) const SEQUENCE: u8 = 0x30;
/// INTEGER.
pub(super) const INTEGER: u8 = 0x02;
/// OBJECT IDENTIFIER.
pub(super) const OID: u8 = 0x06;
/// OCTET STRING.
pub(super) const OCTET_STRING: u8 = 0x04;

/// One tag, its length and its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Element<'a> {
    /// The identifier octet. Tag numbers from 31 on, which certificates do not use, end the walk.
    pub(super) tag: u8,
    /// What it holds: as much of it as is there.
    pub(super) content: &'a [u8],
    /// With tag and length.
    pub(super) whole: &'a [u8],
    /// Its end is there too.
    pub(super) complete: bool,
}

/// Elements one after the other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Elements<'a>(&'a [u8]);

impl<'a> Elements<'a> {
    pub(super) fn of(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The next element if it has this tag; else it stays for the next question.
    pub(super) fn next_of(&mut self, tag: u8) -> Option<Element<'a>> {
        let mut ahead = *self;
        let element = ahead.next().filter(|element| element.tag == tag)?;
        *self = ahead;
        Some(element)
    }

    /// The same, of those that are there to their end.
    pub(super) fn next_whole(&mut self, tag: u8) -> Option<Element<'a>> {
        self.next_of(tag).filter(|element| element.complete)
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Element<'a>;

    fn next(&mut self) -> Option<Element<'a>> {
        let (element, rest) = read(self.0, MAX_DEPTH)?;
        self.0 = rest;
        Some(element)
    }
}

impl<'a> Element<'a> {
    /// What is inside a constructed element.
    pub(super) fn children(&self) -> Elements<'a> {
        Elements::of(self.content)
    }
}

fn read(bytes: &[u8], depth: usize) -> Option<(Element<'_>, &[u8])> {
    let [tag, length, body @ ..] = bytes else { return None };
    if tag & 0x1f == 0x1f {
        return None;
    }
    let (declared, body) = match *length {
        0x80 => return read_indefinite(bytes, body, *tag, depth),
        short @ 0..0x80 => (usize::from(short), body),
        long => {
            let (digits, body) = body.split_at_checked(usize::from(long & 0x7f))?;
            let add = |value: usize, digit: &u8| value.checked_mul(256)?.checked_add((*digit).into());
            (digits.iter().try_fold(0, add).unwrap_or(usize::MAX), body)
        }
    };
    let (content, rest) = body.split_at_checked(declared).unwrap_or((body, &[]));
    let complete = declared <= body.len();
    Some((Element { tag: *tag, content, whole: before(bytes, rest), complete }, rest))
}

/// X.690 §8.1.3.6: constructed elements up to two zero octets.
fn read_indefinite<'a>(bytes: &'a [u8], body: &'a [u8], tag: u8, depth: usize) -> Option<(Element<'a>, &'a [u8])> {
    let depth = depth.checked_sub(1).filter(|_| tag & 0x20 != 0)?;
    let mut rest = body;
    loop {
        if let Some(after) = rest.strip_prefix(&[0, 0]) {
            let (content, whole) = (before(body, rest), before(bytes, after));
            return Some((Element { tag, content, whole, complete: true }, after));
        }
        match read(rest, depth) {
            Some((child, after)) if child.complete => rest = after,
            _ => return Some((Element { tag, content: body, whole: bytes, complete: false }, &[])),
        }
    }
}

/// What stands before the rest of some bytes.
fn before<'a>(bytes: &'a [u8], rest: &[u8]) -> &'a [u8] {
    bytes.len().checked_sub(rest.len()).and_then(|length| bytes.get(..length)).unwrap_or(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(bytes: &[u8]) -> Option<(u8, Vec<u8>, bool)> {
        Elements::of(bytes).next().map(|element| (element.tag, element.content.to_vec(), element.complete))
    }

    #[test]
    fn lengths_are_short_long_cut_and_indefinite() {
        assert_eq!(first(&[2, 1, 5, 9]), Some((2, vec![5], true)));
        assert_eq!(first(&[4, 0x81, 2, 7, 8]), Some((4, vec![7, 8], true)));
        assert_eq!(first(&[4, 0x84, 0, 0, 0, 1, 7]), Some((4, vec![7], true)), "longer than it need be");
        assert_eq!(first(&[4, 9, 7]), Some((4, vec![7], false)));
        assert_eq!(first(&[4, 0x89, 1, 1, 1, 1, 1, 1, 1, 1, 1, 7]), Some((4, vec![7], false)), "beyond any memory");
        assert_eq!(first(&[0x30, 0x80, 2, 1, 5, 0, 0, 9]), Some((0x30, vec![2, 1, 5], true)));
        assert_eq!(first(&[0x30, 0x80, 2, 1, 5]), Some((0x30, vec![2, 1, 5], false)));
        for nothing in [&[][..], &[2], &[4, 0x82, 1], &[0x1f, 1, 1], &[4, 0x80, 0, 0]] {
            assert_eq!(first(nothing), None, "{nothing:?}");
        }
    }

    #[test]
    fn what_follows_an_indefinite_length_is_found() {
        let mut elements = Elements::of(&[0x30, 0x80, 0x30, 0x80, 0, 0, 0, 0, 2, 1, 5]);
        assert_eq!(elements.next().map(|element| element.content), Some(&[0x30, 0x80, 0, 0][..]));
        assert_eq!(elements.next_of(INTEGER).map(|element| element.content), Some(&[5][..]));
    }

    #[test]
    fn nesting_without_end_comes_to_an_end() {
        let deep = [0x30, 0x80].repeat(20_000);
        assert_eq!(Elements::of(&deep).next().map(|element| element.complete), Some(false));
    }
}
