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
    let [tag, length, ..] = *bytes else { return None };
    if tag & 0x1f == 0x1f {
        return None;
    }
    let body = &bytes[2..];
    let (header, declared) = match length {
        0x80 => return read_indefinite(bytes, tag, depth),
        0..0x80 => (2, usize::from(length)),
        _ => {
            let digits = body.get(..usize::from(length & 0x7f))?;
            let value = digits
                .iter()
                .try_fold(0_usize, |value, digit| value.checked_mul(256).map(|value| value + usize::from(*digit)));
            (2 + digits.len(), value.unwrap_or(usize::MAX))
        }
    };
    let available = bytes.len() - header;
    let (content, rest) = bytes[header..].split_at(declared.min(available));
    let whole = &bytes[..header + content.len()];
    Some((Element { tag, content, whole, complete: declared <= available }, rest))
}

/// X.690 §8.1.3.6: constructed elements up to two zero octets.
fn read_indefinite(bytes: &[u8], tag: u8, depth: usize) -> Option<(Element<'_>, &[u8])> {
    if tag & 0x20 == 0 || depth == 0 {
        return None;
    }
    let content = &bytes[2..];
    let mut rest = content;
    let mut complete = true;
    while !rest.starts_with(&[0, 0]) {
        match read(rest, depth - 1) {
            Some((child, after)) if child.complete => rest = after,
            _ => {
                complete = false;
                rest = &[];
                break;
            }
        }
    }
    let length = if complete { content.len() - rest.len() } else { content.len() };
    let after = &content[if complete { length + 2 } else { length }..];
    let whole = &bytes[..bytes.len() - after.len()];
    Some((Element { tag, content: &content[..length], whole, complete }, after))
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
