//! The server's answer: ServerHello, Certificate, what follows in clear, ServerHelloDone (RFC 5246 §7.4).

use super::{Version, content, suites};

/// The most that one handshake message may have; the longest real one is a Certificate.
const MAX_MESSAGE: usize = 64 * 1024;

/// The most that a server may send in all during a handshake.
pub const MAX_HANDSHAKE: usize = 512 * 1024;

/// The most certificates that are read: as many of the smallest as TLS libraries accept in 64 KiB.
const MAX_CERTIFICATES: usize = 500;

/// RFC 5246 §6.2.3, and no more than that.
const MAX_RECORD: usize = (1 << 14) + 2048;

/// What a server has shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The version it chose.
    pub version: Version,
    /// IANA's name of the suite it chose.
    pub suite: &'static str,
    /// The curve of its key exchange, where it has one with a name.
    pub group: Option<&'static str>,
    /// Its certificates in DER, its own first; empty if it sent none.
    pub chain: Vec<Vec<u8>>,
}

/// Why no more can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It ended the handshake with this alert.
    Alert(u8),
    /// What came is no TLS, or breaks its rules.
    Protocol,
    /// More than any server has to say.
    TooLarge,
}

/// Reads an answer, in whatever pieces it arrives.
#[derive(Debug, Default)]
pub struct Answer {
    /// Bytes of a record that is not yet complete.
    records: Vec<u8>,
    /// Bytes of a handshake message that is not yet complete.
    messages: Vec<u8>,
    received: usize,
    seen: Option<Seen>,
}

impl Answer {
    /// Takes what came. True when the server has said all that it says in clear.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<bool, Fault> {
        self.received = self.received.saturating_add(bytes.len());
        if self.received > MAX_HANDSHAKE {
            return Err(Fault::TooLarge);
        }
        self.records.extend_from_slice(bytes);
        let mut records = std::mem::take(&mut self.records);
        let mut rest = &records[..];
        while let Some((kind, content, after)) = next_record(rest)? {
            if self.record(kind, content)? {
                return Ok(true);
            }
            rest = after;
        }
        let done = records.len().saturating_sub(rest.len());
        records.drain(..done);
        self.records = records;
        Ok(false)
    }

    /// What was seen so far; `None` before the ServerHello.
    pub fn into_seen(self) -> Option<Seen> {
        self.seen
    }

    fn record(&mut self, kind: u8, content: &[u8]) -> Result<bool, Fault> {
        match (kind, content) {
            (content::HANDSHAKE, content) => {
                self.messages.extend_from_slice(content);
                self.handshake()
            }
            // RFC 5246 §7.2: a warning other than close_notify does not end anything; old servers send
            // unrecognized_name so.
            (content::ALERT, [1, description]) if *description != 0 => Ok(false),
            (content::ALERT, [_, description]) => Err(Fault::Alert(*description)),
            _ => Err(Fault::Protocol),
        }
    }

    fn handshake(&mut self) -> Result<bool, Fault> {
        let messages = std::mem::take(&mut self.messages);
        let mut rest = &messages[..];
        while let [kind, high, middle, low, after @ ..] = rest {
            let length = number(&[*high, *middle, *low]);
            if length > MAX_MESSAGE {
                return Err(Fault::TooLarge);
            }
            let Some((body, after)) = after.split_at_checked(length) else { break };
            if self.message(*kind, body)? {
                return Ok(true);
            }
            rest = after;
        }
        self.messages = rest.to_vec();
        Ok(false)
    }

    fn message(&mut self, kind: u8, body: &[u8]) -> Result<bool, Fault> {
        match (kind, &mut self.seen) {
            (2, seen @ None) => *seen = Some(server_hello(body).ok_or(Fault::Protocol)?),
            (11, Some(seen)) if seen.chain.is_empty() => seen.chain = certificates(body).ok_or(Fault::Protocol)?,
            (12, Some(seen)) => seen.group = group(seen.suite, body),
            (14, Some(_)) => return Ok(true),
            // HelloRequest, NewSessionTicket, CertificateRequest and CertificateStatus tell nothing that is wanted.
            (0, _) | (4 | 13 | 22, Some(_)) => {}
            _ => return Err(Fault::Protocol),
        }
        Ok(false)
    }
}

type Record<'a> = (u8, &'a [u8], &'a [u8]);

fn next_record(bytes: &[u8]) -> Result<Option<Record<'_>>, Fault> {
    let [kind, major, _, high, low, rest @ ..] = bytes else {
        return match bytes.first().copied() {
            Some(content::ALERT | content::HANDSHAKE) | None => Ok(None),
            Some(_) => Err(Fault::Protocol),
        };
    };
    let length = number(&[*high, *low]);
    if !matches!(*kind, content::ALERT | content::HANDSHAKE) || *major != 3 || length > MAX_RECORD {
        return Err(Fault::Protocol);
    }
    Ok(rest.split_at_checked(length).map(|(content, rest)| (*kind, content, rest)))
}

/// RFC 5246 §7.4.1.3. A suite that was not offered, or a version that is not known, is no answer.
fn server_hello(body: &[u8]) -> Option<Seen> {
    let (version, rest) = body.split_first_chunk::<2>()?;
    let (_random, rest) = rest.split_at_checked(32)?;
    let (length, rest) = rest.split_first()?;
    let (_session, rest) = rest.split_at_checked(usize::from(*length))?;
    let (suite, _) = rest.split_first_chunk::<2>()?;
    let suite = suites::name(u16::from_be_bytes(*suite))?;
    Some(Seen { version: Version::read(*version)?, suite, group: None, chain: Vec::new() })
}

/// RFC 5246 §7.4.2.
fn certificates(body: &[u8]) -> Option<Vec<Vec<u8>>> {
    let (length, mut list) = body.split_first_chunk::<3>()?;
    let mut chain = Vec::new();
    if number(length) != list.len() {
        return None;
    }
    while !list.is_empty() {
        let (length, rest) = list.split_first_chunk::<3>()?;
        let (der, rest) = rest.split_at_checked(number(length))?;
        if chain.len() < MAX_CERTIFICATES {
            chain.push(der.to_vec());
        }
        list = rest;
    }
    Some(chain)
}

/// RFC 8422 §5.4: of ECDHE, which names its curve first.
fn group(suite: &str, body: &[u8]) -> Option<&'static str> {
    const NAMED_CURVE: u8 = 3;
    let [NAMED_CURVE, high, low, ..] = *body else { return None };
    if !suite.starts_with("TLS_ECDHE_") {
        return None;
    }
    Some(match u16::from_be_bytes([high, low]) {
        19 => "secp192r1",
        21 => "secp224r1",
        22 => "secp256k1",
        23 => "secp256r1",
        24 => "secp384r1",
        25 => "secp521r1",
        26 => "brainpoolP256r1",
        27 => "brainpoolP384r1",
        28 => "brainpoolP512r1",
        29 => "x25519",
        30 => "x448",
        _ => return None,
    })
}

fn number(bytes: &[u8]) -> usize {
    bytes.iter().fold(0, |value, byte| value << 8 | usize::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        [&[kind][..], &(body.len() as u32).to_be_bytes()[1..], body].concat()
    }

    fn in_records(content: &[u8], size: usize) -> Vec<u8> {
        let record = |piece: &[u8]| [&[22, 3, 1][..], &(piece.len() as u16).to_be_bytes(), piece].concat();
        content.chunks(size).flat_map(record).collect()
    }

    fn messages() -> Vec<u8> {
        let hello = [&[3, 2][..], &[9; 32], &[1, 5], &[0xc0, 0x13], &[0]].concat();
        let chain = [&[0, 0, 11][..], &[0, 0, 3, 1, 2, 3], &[0, 0, 2, 4, 5]].concat();
        let mut flight = message(2, &hello);
        flight.extend(message(0, &[]));
        flight.extend(message(11, &chain));
        flight.extend(message(22, &[1, 0, 0, 0]));
        flight.extend(message(12, &[3, 0, 23, 1, 4]));
        flight.extend(message(13, &[1, 1, 0, 0]));
        flight.extend(message(14, &[]));
        flight
    }

    fn seen() -> Seen {
        Seen {
            version: Version::Tls11,
            suite: "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
            group: Some("secp256r1"),
            chain: vec![vec![1, 2, 3], vec![4, 5]],
        }
    }

    #[test]
    fn any_cut_into_records_and_pieces_gives_the_same() {
        for size in [1, 2, 7, 50, 16_384] {
            let mut flight = vec![21, 3, 1, 0, 2, 1, 112];
            flight.extend(in_records(&messages(), size));
            for piece in [1, 3, flight.len()] {
                let mut answer = Answer::default();
                let fed: Vec<_> = flight.chunks(piece).map(|bytes| answer.feed(bytes)).collect();
                assert_eq!(fed.last(), Some(&Ok(true)));
                assert!(fed[..fed.len() - 1].iter().all(|one| *one == Ok(false)));
                assert_eq!(answer.into_seen(), Some(seen()));
            }
        }
    }

    #[test]
    fn what_came_before_a_cut_or_an_alert_is_kept() {
        let flight = in_records(&messages(), 16_384);
        for length in 0..flight.len() {
            let mut answer = Answer::default();
            assert_eq!(answer.feed(&flight[..length]), Ok(false));
            assert_eq!(answer.into_seen(), None, "a record is read when it is whole");
        }
        let mut answer = Answer::default();
        let cut = messages().len() - 4;
        assert_eq!(answer.feed(&in_records(&messages()[..cut], 99)), Ok(false));
        assert_eq!(answer.feed(&[21, 3, 2, 0, 2, 2, 40]), Err(Fault::Alert(40)));
        assert_eq!(answer.into_seen(), Some(seen()));
    }

    #[test]
    fn any_flipped_bit_is_survived() {
        let flight = in_records(&messages(), 60);
        for at in 0..flight.len() * 8 {
            let mut flipped = flight.clone();
            flipped[at / 8] ^= 1 << (at % 8);
            let mut answer = Answer::default();
            let _ = answer.feed(&flipped);
            assert!(answer.into_seen().is_none_or(|seen| seen.chain.len() <= 2));
        }
    }

    #[test]
    fn what_is_no_answer_is_told_at_once() {
        for (bytes, fault) in [
            (&b"220 mx ESMTP\r\n"[..], Fault::Protocol),
            (b"HTTP/1.1 400 Bad Request", Fault::Protocol),
            (&[21, 3, 1, 0, 2, 2, 70], Fault::Alert(70)),
            (&[21, 3, 1, 0, 2, 1, 0], Fault::Alert(0)),
            (&[22, 3, 1, 0xff, 0xff], Fault::Protocol),
            (&[22, 2, 0, 0, 1, 1], Fault::Protocol),
            (&[20, 3, 1, 0, 1, 1], Fault::Protocol),
            (&[22, 3, 1, 0, 4, 11, 0, 0, 0], Fault::Protocol),
            (&[22, 3, 1, 0, 4, 2, 1, 0, 1], Fault::TooLarge),
        ] {
            assert_eq!(Answer::default().feed(bytes), Err(fault), "{bytes:?}");
        }
        let mut unknown_suite = in_records(&messages(), 16_384);
        unknown_suite[45] ^= 0x30;
        assert_eq!(Answer::default().feed(&unknown_suite), Err(Fault::Protocol));
    }

    #[test]
    fn what_never_ends_is_left() {
        let mut answer = Answer::default();
        let requests = in_records(&message(0, &[]).repeat(4000), 16_000);
        let fed = std::iter::repeat_with(|| answer.feed(&requests)).take(100).find(Result::is_err);
        assert_eq!(fed, Some(Err(Fault::TooLarge)));
    }
}
