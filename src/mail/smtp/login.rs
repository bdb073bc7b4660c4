//! Logging in: AUTH from its command to the last reply (RFC 4954), as a machine of its own within the session.

use std::sync::Arc;

use super::capabilities::Capabilities;
use super::command::Command;
use super::reply::Reply;
use super::session::Fault;
use crate::mail::sasl::{self, Credentials, Exchange, Mechanism};
use crate::mail::secret::{Redaction, Secret};

/// The longest AUTH command, CRLF included: an initial response that would make it longer waits for the server's
/// empty challenge (RFC 4954 §4).
const LONGEST_COMMAND: usize = 512;

/// What the line is like on which a secret would be sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Channel {
    /// In clear, or nobody has said otherwise.
    #[default]
    Clear,
    /// TLS with somebody who has not proved to be the server.
    Unverified,
    /// TLS with a valid certificate.
    Verified,
}

/// How to log in.
#[derive(Clone, Debug)]
pub struct Login {
    /// Who, and the proof.
    pub credentials: Arc<Credentials>,
    /// The mechanism; `None`: the best of those offered.
    pub mechanism: Option<Mechanism>,
    /// Also where the line is not protected.
    pub insecure: bool,
    /// What mechanisms want that must be new each time.
    pub nonce: String,
}

/// What came of logging in, if it broke no rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoginFact {
    /// Nothing was sent: the line is not protected.
    Unsafe(Channel),
    /// Nothing was sent: no usable mechanism is offered; these are.
    NotOffered,
    /// The server accepted, or it looked at the login and refused it.
    Answered {
        /// The mechanism used.
        mechanism: Mechanism,
        /// 235, or why not.
        reply: Reply,
    },
}

impl LoginFact {
    /// Whether the server let us in.
    pub fn is_accepted(&self) -> bool {
        matches!(self, Self::Answered { reply: Reply { code: 235, .. }, .. })
    }

    pub(super) fn concealed(self, redaction: &Redaction) -> Self {
        match self {
            Self::Answered { mechanism, reply } => Self::Answered { mechanism, reply: reply.concealed(redaction) },
            other => other,
        }
    }
}

/// What is to be done after a reply.
pub(super) enum Turn {
    Send(Command),
    Done(LoginFact),
    Fail(Fault),
}

/// One login under way.
#[derive(Debug)]
pub(super) struct Attempt {
    login: Arc<Login>,
    mechanism: Mechanism,
    exchange: Exchange,
    /// The last command was AUTH with an initial response.
    initial_sent: bool,
    /// Why the exchange was given up; told when the server has answered that.
    given_up: Option<Fault>,
}

impl Attempt {
    /// The first command, or why there is none.
    pub(super) fn start(
        login: &Arc<Login>,
        channel: Channel,
        offered: &Capabilities,
    ) -> Result<(Self, Command), LoginFact> {
        if channel != Channel::Verified && !login.insecure {
            return Err(LoginFact::Unsafe(channel));
        }
        let offers = |name: &str| offered.auth.iter().any(|one| one.as_str() == name);
        let mechanism = match login.mechanism {
            Some(mechanism) => Some(mechanism).filter(|mechanism| offers(mechanism.name())),
            None => Mechanism::best(&login.credentials, &offers, channel == Channel::Verified),
        };
        let mechanism = mechanism.ok_or(LoginFact::NotOffered)?;
        let exchange = Exchange::new(mechanism, &login.credentials, &login.nonce);
        let mut attempt = Self { login: login.clone(), mechanism, exchange, initial_sent: false, given_up: None };
        let command = attempt.first_command();
        Ok((attempt, command))
    }

    fn first_command(&mut self) -> Command {
        let room = LONGEST_COMMAND.saturating_sub("AUTH  \r\n".len()).saturating_sub(self.mechanism.name().len());
        let initial = self.exchange.take_initial(room);
        self.initial_sent = initial.is_some();
        Command::Auth(self.mechanism, initial)
    }

    pub(super) fn replied(&mut self, reply: Reply) -> Turn {
        if let Some(fault) = self.given_up.take() {
            return Turn::Fail(fault);
        }
        match reply.code {
            334 => self.challenged(&reply),
            235 => match self.exchange.accepted() {
                Ok(()) => Turn::Done(LoginFact::Answered { mechanism: self.mechanism, reply }),
                Err(fault) => Turn::Fail(fault.into()),
            },
            // A server of before RFC 2554 knows no initial response: the same again, without.
            501 | 504 if self.initial_sent => {
                self.initial_sent = false;
                self.exchange = Exchange::new(self.mechanism, &self.login.credentials, &self.login.nonce);
                Turn::Send(Command::Auth(self.mechanism, None))
            }
            400..=499 => Turn::Fail(Fault::Transient(reply)),
            500..=599 if judges_the_login(&reply) => {
                Turn::Done(LoginFact::Answered { mechanism: self.mechanism, reply })
            }
            500..=599 => Turn::Fail(Fault::Permanent(reply)),
            _ => Turn::Fail(Fault::Unexpected(reply)),
        }
    }

    fn challenged(&mut self, reply: &Reply) -> Turn {
        self.initial_sent = false;
        let answer = match reply.lines.as_slice() {
            [challenge] => self.exchange.answer(challenge),
            _ => Err(sasl::Fault::Malformed("the challenge has more than one line")),
        };
        match answer {
            Ok(answer) => Turn::Send(Command::AuthAnswer(answer)),
            Err(fault) => {
                self.given_up = Some(fault.into());
                Turn::Send(Command::AuthCancel)
            }
        }
    }
}

impl From<sasl::Fault> for Fault {
    fn from(fault: sasl::Fault) -> Self {
        match fault {
            sasl::Fault::Malformed(why) => Self::BadChallenge(why),
            sasl::Fault::Unexpected(why) => Self::BadExchange(why),
        }
    }
}

/// Whether a refusal is about who logs in, rather than about the command, the server or the line.
///
/// RFC 4954 §6: 535 is a wrong name or password. 534 (too weak a mechanism) is also what Google says to an account that
/// needs another password; 525 (RFC 5248) is an account that is disabled; some say 550 or 554 with a code of
/// security policy. 530 and 538 speak of the line, 500 to 504 of the command.
fn judges_the_login(reply: &Reply) -> bool {
    match reply.code {
        525 | 534 | 535 => true,
        550 | 554 => reply.enhanced_code().is_some_and(|code| code.starts_with("5.7.")),
        _ => false,
    }
}

/// What must never be shown of a login: the secret, and each thing made of it.
pub(super) fn conceal(redaction: &mut Redaction, login: &Login) {
    let secret = login.credentials.secret();
    redaction.add(secret);
    redaction.add(&Secret::to_base64(secret));
}
