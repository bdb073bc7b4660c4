//! What a module has a probe do beyond looking: log in, and ask whether a mail would be taken.

use std::sync::Arc;

use super::Module;
use crate::mail::sasl::{Credentials, Mechanism};
use crate::mail::smtp::envelope::Envelope;
use crate::mail::smtp::reply::Reply;

impl Module {
    /// Whether a probe does more than look.
    pub fn tries_something(&self) -> bool {
        self.login.is_some() || self.mail.is_some() || self.expect.starttls_required
    }
}

/// A login to try.
#[derive(Clone, Debug)]
pub struct LoginTrial {
    /// Who, and the proof.
    pub credentials: Arc<Credentials>,
    /// The mechanism; `None`: the best of those offered.
    pub mechanism: Option<Mechanism>,
    /// Also without TLS, or with a certificate that is not valid.
    pub insecure: bool,
    /// Whether it is to be accepted; else it is to be refused.
    pub accepted: bool,
}

/// A mail to ask about.
#[derive(Clone, Debug)]
pub struct MailTrial {
    /// From whom, and for whom.
    pub envelope: Arc<Envelope>,
    /// What the answer is to be.
    pub expect: MailExpectation,
}

/// What the answer to MAIL and RCPT is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MailExpectation {
    /// Both are accepted.
    Accepted,
    /// One of them is refused for good.
    Rejected,
    /// The last answer has one of these codes.
    Codes(Vec<u16>),
}

impl MailExpectation {
    /// Whether a reply is what was expected.
    ///
    /// 454 with 4.7.1 is how Postfix refuses to relay unless its administrator says otherwise
    /// (`defer_unauth_destination`): a refusal, for it is not going to change its mind.
    pub fn is_met_by(&self, reply: &Reply) -> bool {
        match (self, reply.code) {
            (Self::Accepted, code) => (200..300).contains(&code),
            (Self::Rejected, 454) => reply.enhanced_code().as_deref() == Some("4.7.1"),
            (Self::Rejected, code) => (500..600).contains(&code),
            (Self::Codes(codes), code) => codes.contains(&code),
        }
    }
}
