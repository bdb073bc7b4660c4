//! SASL (RFC 4422): how a client proves who it is, one mechanism a file.
//!
//! An [`Exchange`] is one such proof as a machine without I/O: it may begin with an initial response, answers
//! each challenge, and says at the end whether the server has proved itself too. It knows nothing of the
//! protocol around it: that carries its words, in base64.
//!
//! - [`plain`]: PLAIN (RFC 4616), and LOGIN, which is older and says the same in two steps.
//! - [`scram`]: SCRAM-SHA-256 (RFC 7677): the password stays here, and the server must know it too.
//! - [`cram`]: CRAM-MD5 (RFC 2195).
//! - [`xoauth2`]: Google's and Microsoft's way to send an OAuth 2.0 token.

mod cram;
mod plain;
mod scram;
mod xoauth2;

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::mail::secret::Secret;

/// The mechanisms this client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    /// RFC 7677.
    ScramSha256,
    /// RFC 4616.
    Plain,
    /// draft-murchison-sasl-login.
    Login,
    /// RFC 2195.
    CramMd5,
    /// Google's “SASL XOAUTH2 Mechanism”.
    XOAuth2,
}

impl Mechanism {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::ScramSha256, Self::Plain, Self::Login, Self::CramMd5, Self::XOAuth2];

    /// Its registered name.
    pub fn name(self) -> &'static str {
        match self {
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::Plain => "PLAIN",
            Self::Login => "LOGIN",
            Self::CramMd5 => "CRAM-MD5",
            Self::XOAuth2 => "XOAUTH2",
        }
    }

    /// What it proves.
    pub fn kind(self) -> Kind {
        if self == Self::XOAuth2 { Kind::Token } else { Kind::Password }
    }

    /// The best of those offered. On every line SCRAM comes first: the password is not sent, and the server proves
    /// that it knows it.
    ///
    /// Inside verified TLS, PLAIN is next. It is what RFC 4954 §9 has every server implement; CRAM-MD5 would
    /// protect nothing that TLS does not, and makes the server keep the password itself (it was moved to historic
    /// for that: draft-ietf-sasl-crammd5-to-historic). Where others may listen it is the other way round: a
    /// digest is better than the password.
    pub fn best(credentials: &Credentials, offered: &dyn Fn(&str) -> bool, protected: bool) -> Option<Self> {
        let order = match (credentials.kind, protected) {
            (Kind::Token, _) => &[Self::XOAuth2][..],
            (Kind::Password, true) => &[Self::ScramSha256, Self::Plain, Self::Login, Self::CramMd5],
            (Kind::Password, false) => &[Self::ScramSha256, Self::CramMd5, Self::Plain, Self::Login],
        };
        let usable = |one: &Self| offered(one.name()) && (*one != Self::ScramSha256 || credentials.suit_scram());
        order.iter().copied().find(usable)
    }
}

/// What a secret is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A password.
    Password,
    /// An OAuth 2.0 access token.
    Token,
}

/// Who we say we are, and how we prove it.
#[derive(Clone, Debug)]
pub struct Credentials {
    username: String,
    secret: Secret,
    kind: Kind,
}

impl Credentials {
    /// Checks what no mechanism could send. The error does not show the secret.
    pub fn new(username: &str, secret: Secret, kind: Kind) -> Result<Self, &'static str> {
        let text = std::str::from_utf8(secret.expose()).map_err(|_| "it is no text in UTF-8")?;
        if text.is_empty() {
            return Err("it is empty");
        }
        // RFC 4616 §2 forbids NUL; several lines are most likely another file.
        if text.chars().any(char::is_control) {
            return Err("it has more than one line, or control characters");
        }
        if username.is_empty() || username.chars().any(char::is_control) {
            return Err("the username is empty or has control characters");
        }
        Ok(Self { username: username.to_owned(), secret, kind })
    }

    /// Who.
    pub fn username(&self) -> &str {
        &self.username
    }

    /// The password or token.
    pub fn secret(&self) -> &Secret {
        &self.secret
    }

    /// Which of the two it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether name and password have a prepared form (RFC 4013), which SCRAM is computed from.
    pub fn suit_scram(&self) -> bool {
        scram::prepared(&self.username).is_some() && scram::prepared_secret(&self.secret).is_some()
    }
}

/// Why an exchange cannot go on. What the server sent is not in it: challenges are not shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The challenge breaks the mechanism's rules.
    Malformed(&'static str),
    /// The server says what has no place here, or has not proved what it must.
    Unexpected(&'static str),
}

/// One proof under way.
#[derive(Debug)]
pub struct Exchange {
    /// What may be said before the server has said anything; taken when it is.
    initial: Option<Secret>,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Nothing more to say.
    Said,
    Login(plain::Login),
    Scram(scram::Scram),
    Cram(cram::Cram),
    XOAuth2(xoauth2::XOAuth2),
}

impl Exchange {
    /// Begins. The nonce is for mechanisms that want one: it must be new, unpredictable, and printable without a comma.
    pub fn new(mechanism: Mechanism, credentials: &Arc<Credentials>, nonce: &str) -> Self {
        let (initial, state) = match mechanism {
            Mechanism::Plain => (Some(plain::message(credentials)), State::Said),
            Mechanism::Login => (None, State::Login(plain::Login::new(credentials.clone()))),
            Mechanism::CramMd5 => (None, State::Cram(cram::Cram::new(credentials.clone()))),
            Mechanism::ScramSha256 => {
                let scram = scram::Scram::new(credentials, nonce);
                (Some(scram.first_message()), State::Scram(scram))
            }
            Mechanism::XOAuth2 => (Some(xoauth2::message(credentials)), State::XOAuth2(xoauth2::XOAuth2::default())),
        };
        Self { initial, state }
    }

    /// The initial response, in base64, if the mechanism has one, it has not been said, and it is no longer than this.
    pub fn take_initial(&mut self, most: usize) -> Option<Secret> {
        let encoded = self.initial.as_ref()?.to_base64();
        if encoded.expose().len() > most {
            return None;
        }
        self.initial = None;
        Some(encoded)
    }

    /// The answer, in base64, to a challenge as it came.
    pub fn answer(&mut self, challenge: &[u8]) -> Result<Secret, Fault> {
        // A server asked to go first says nothing that matters (RFC 4954 §4: an empty challenge; some say more).
        if let Some(initial) = self.take_initial(usize::MAX) {
            return Ok(initial);
        }
        let answer = match &mut self.state {
            State::Said => Err(Fault::Unexpected("the server asks for more, though all was said")),
            State::Login(login) => login.answer(),
            State::Cram(cram) => cram.answer(&decoded(challenge)?),
            State::Scram(scram) => scram.answer(&decoded(challenge)?),
            State::XOAuth2(xoauth2) => xoauth2.answer(),
        };
        answer.map(|message| message.to_base64())
    }

    /// The server says that the proof holds: whether it may say so now.
    pub fn accepted(&self) -> Result<(), Fault> {
        let early = Fault::Unexpected("the server accepted before it was told everything");
        if self.initial.is_some() {
            return Err(early);
        }
        match &self.state {
            State::Said => Ok(()),
            State::Login(login) => login.is_done().then_some(()).ok_or(early),
            State::Cram(cram) => cram.is_done().then_some(()).ok_or(early),
            State::Scram(scram) => scram.accepted(),
            State::XOAuth2(xoauth2) => xoauth2.accepted(),
        }
    }
}

fn decoded(challenge: &[u8]) -> Result<Vec<u8>, Fault> {
    STANDARD.decode(challenge.trim_ascii()).map_err(|_| Fault::Malformed("the challenge is no base64"))
}

#[cfg(test)]
mod tests;
