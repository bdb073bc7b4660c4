//! What can go wrong in a dialogue.

use crate::mail::secret::Redaction;
use crate::mail::smtp::envelope::Address;
use crate::mail::smtp::reply::{Reply, ReplyReader};

/// What went wrong in the dialogue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// 421, or a greeting of 4xx: the server turns us away for now.
    RateLimited(Reply),
    /// 4xx: not now.
    Transient(Reply),
    /// 5xx: no.
    Permanent(Reply),
    /// A code that cannot answer this command.
    Unexpected(Reply),
    /// A line that is no reply line.
    Malformed(Vec<u8>),
    /// A line, reply or session beyond its limit.
    TooLarge,
    /// Bytes that answer nothing we asked.
    Unsolicited(Vec<u8>),
    /// STARTTLS is required and was not offered.
    StartTlsNotOffered {
        /// A firewall had overwritten the keyword with `X`s.
        masked: bool,
    },
    /// Bytes came in clear behind the reply to STARTTLS.
    StartTlsInjection(Vec<u8>),
    /// The stream ended where more was due.
    Closed {
        /// What had arrived of the next line.
        partial: Vec<u8>,
    },
    /// A challenge that breaks the rules of its mechanism.
    BadChallenge(&'static str),
    /// A server that says in an exchange what has no place there, or does not prove what it must.
    BadExchange(&'static str),
    /// An address is not ASCII, and the server does not offer SMTPUTF8.
    NoSmtpUtf8(Address),
}

impl Fault {
    /// The fault as it may be shown: a server may have repeated what it was sent.
    pub(super) fn concealed(self, redaction: &Redaction) -> Self {
        let bytes = |bytes: Vec<u8>| redaction.apply(&bytes).into_owned();
        match self {
            Self::RateLimited(reply) => Self::RateLimited(reply.concealed(redaction)),
            Self::Transient(reply) => Self::Transient(reply.concealed(redaction)),
            Self::Permanent(reply) => Self::Permanent(reply.concealed(redaction)),
            Self::Unexpected(reply) => Self::Unexpected(reply.concealed(redaction)),
            Self::Malformed(line) => Self::Malformed(bytes(line)),
            Self::Unsolicited(text) => Self::Unsolicited(bytes(text)),
            Self::StartTlsInjection(text) => Self::StartTlsInjection(bytes(text)),
            Self::Closed { partial } => Self::Closed { partial: bytes(partial) },
            other => other,
        }
    }
}

/// A reply that is not the one hoped for.
pub(super) fn refusal(reply: Reply) -> Fault {
    match reply.code {
        421 => Fault::RateLimited(reply),
        400..=499 => Fault::Transient(reply),
        500..=599 => Fault::Permanent(reply),
        _ => Fault::Unexpected(reply),
    }
}

/// What a server that should be waiting has said. 421 tells why, even if its end is yet to come (RFC 5321 §3.8).
pub(super) fn out_of_turn(said: &[u8]) -> Fault {
    let mut reader = ReplyReader::default();
    let lines = said.split(|b| *b == b'\n').map(<[u8]>::trim_ascii_end);
    let whole = lines.map_while(|line| reader.line(line).ok()).flatten().next();
    match whole.or_else(|| reader.cut_short()) {
        Some(reply) if reply.code == 421 => Fault::RateLimited(reply),
        _ => Fault::Unsolicited(said.to_vec()),
    }
}
