//! SCRAM-SHA-256 (RFC 5802, RFC 7677): both sides prove that they know the password, and neither says it.
//!
//! Channel binding (`-PLUS`) is not done: the certificate is what ties the line to the server here.

use std::num::NonZeroU32;
use std::sync::Arc;

use aws_lc_rs::{digest, hmac, pbkdf2};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::{Credentials, Fault};
use crate::mail::secret::Secret;

/// The header of a client that does no channel binding and acts as itself (RFC 5802 §7).
const HEADER: &str = "n,,";

/// RFC 7677 §4: a server should ask for no less. One that does makes the password easy to find for whoever has the
/// exchange.
const LEAST_ITERATIONS: u32 = 4096;

/// Twice and more what servers ask for; a server must not keep us busy for as long as it likes.
const MOST_ITERATIONS: u32 = 1_000_000;

type Hash = Zeroizing<[u8; digest::SHA256_OUTPUT_LEN]>;

#[derive(Debug)]
pub(super) struct Scram {
    credentials: Arc<Credentials>,
    nonce: String,
    /// `n=NAME,r=NONCE`.
    first_bare: String,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Waiting for the salt.
    First,
    /// Waiting for this signature of the server.
    Final { signature: Secret },
    /// The server knows the password.
    Proved,
    /// The server says that we do not.
    Refused,
}

impl Scram {
    pub(super) fn new(credentials: &Arc<Credentials>, nonce: &str) -> Self {
        // Names without a prepared form are not used with SCRAM; see `Credentials::suit_scram`.
        let name = prepared(credentials.username()).unwrap_or_default().replace('=', "=3D").replace(',', "=2C");
        let first_bare = format!("n={name},r={nonce}");
        Self { credentials: credentials.clone(), nonce: nonce.to_owned(), first_bare, state: State::First }
    }

    pub(super) fn first_message(&self) -> Secret {
        Secret::from(format!("{HEADER}{}", self.first_bare).as_str())
    }

    pub(super) fn answer(&mut self, challenge: &[u8]) -> Result<Secret, Fault> {
        let challenge = std::str::from_utf8(challenge).map_err(|_| Fault::Malformed("the challenge is no UTF-8"))?;
        match &self.state {
            State::First => {
                let (message, signature) = self.final_message(challenge)?;
                self.state = State::Final { signature };
                Ok(message)
            }
            State::Final { signature } => {
                self.state = check(challenge, signature)?;
                // RFC 4954 §4: what the server adds to its success comes as a challenge, to be answered with nothing.
                Ok(Secret::new(Vec::new()))
            }
            State::Proved | State::Refused => Err(Fault::Unexpected("the server asks for more after its last word")),
        }
    }

    /// Success counts only from a server that has proved itself (RFC 5802 §5).
    pub(super) fn accepted(&self) -> Result<(), Fault> {
        match self.state {
            State::Proved => Ok(()),
            State::Refused => Err(Fault::Unexpected("the server accepted what it had refused")),
            State::First | State::Final { .. } => {
                Err(Fault::Unexpected("the server accepted without proof that it knows the password"))
            }
        }
    }

    /// RFC 5802 §3.
    fn final_message(&self, server_first: &str) -> Result<(Secret, Secret), Fault> {
        let Challenge { nonce, salt, iterations } = Challenge::read(server_first, &self.nonce)?;
        let unprepared = Fault::Unexpected("the password has no form that SCRAM can use");
        let password = prepared_secret(&self.credentials.secret).ok_or(unprepared)?;
        let mut salted: Hash = Zeroizing::new([0; digest::SHA256_OUTPUT_LEN]);
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, iterations, &salt, password.expose(), &mut *salted);

        let without_proof = format!("c={},r={nonce}", STANDARD.encode(HEADER));
        let message = format!("{},{server_first},{without_proof}", self.first_bare);
        let client_key = Zeroizing::new(sign(&*salted, b"Client Key").as_ref().to_vec());
        let stored_key = digest::digest(&digest::SHA256, &client_key);
        let signature = sign(stored_key.as_ref(), message.as_bytes());
        let proof: Vec<u8> =
            client_key.iter().zip(signature.as_ref()).map(|(key, signature)| key ^ signature).collect();
        let server_key = sign(&*salted, b"Server Key");
        let expected = sign(server_key.as_ref(), message.as_bytes());
        let message = format!("{without_proof},p={}", STANDARD.encode(proof));
        Ok((Secret::new(message.into_bytes()), Secret::new(expected.as_ref().to_vec())))
    }
}

/// What the server's first message holds.
struct Challenge<'m> {
    nonce: &'m str,
    salt: Vec<u8>,
    iterations: NonZeroU32,
}

impl<'m> Challenge<'m> {
    /// `r=NONCE,s=SALT,i=COUNT`, and extensions, which may follow (RFC 5802 §7).
    fn read(message: &'m str, ours: &str) -> Result<Self, Fault> {
        let mut parts = message.split(',');
        let mut part = |name: &str| parts.next().and_then(|part| part.strip_prefix(name));
        // `m=` would come first; it announces what must not be ignored, and cannot be known.
        let (nonce, salt, count) = match (part("r="), part("s="), part("i=")) {
            (Some(nonce), Some(salt), Some(count)) => (nonce, salt, count),
            _ => return Err(Fault::Malformed("the challenge has no nonce, salt and iteration count in their order")),
        };
        // RFC 5802 §5.1: the server's nonce is ours and something behind it.
        if nonce.strip_prefix(ours).is_none_or(str::is_empty) {
            return Err(Fault::Malformed("the challenge's nonce is not ours with the server's behind it"));
        }
        let salt = STANDARD.decode(salt).ok().filter(|salt| !salt.is_empty());
        let salt = salt.ok_or(Fault::Malformed("the challenge's salt is no base64"))?;
        let iterations = count.parse::<u32>().ok().filter(|count| *count <= MOST_ITERATIONS);
        let iterations =
            iterations.ok_or(Fault::Malformed("the challenge's iteration count is no number up to 1000000"))?;
        let iterations = Some(iterations).filter(|count| *count >= LEAST_ITERATIONS).and_then(NonZeroU32::new);
        let iterations =
            iterations.ok_or(Fault::Unexpected("the server asks for fewer than 4096 iterations (RFC 7677 §4)"))?;
        Ok(Self { nonce, salt, iterations })
    }
}

/// The server's last message: its signature, or an error (RFC 5802 §7).
fn check(message: &str, signature: &Secret) -> Result<State, Fault> {
    let first = message.split(',').next().unwrap_or_default();
    if first.starts_with("e=") {
        return Ok(State::Refused);
    }
    let theirs = first.strip_prefix("v=").and_then(|text| STANDARD.decode(text).ok());
    let theirs = theirs.ok_or(Fault::Malformed("the server's last message has neither a signature nor an error"))?;
    if Secret::new(theirs) == *signature {
        return Ok(State::Proved);
    }
    Err(Fault::Unexpected("the server's signature is wrong: it does not know the password"))
}

fn sign(key: &[u8], message: &[u8]) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message)
}

/// RFC 5802 §5.1 with RFC 4013: spellings of the same text become one. `None` if a character is forbidden.
pub(super) fn prepared(text: &str) -> Option<String> {
    stringprep::saslprep(text).ok().map(std::borrow::Cow::into_owned).filter(|text| !text.is_empty())
}

pub(super) fn prepared_secret(secret: &Secret) -> Option<Secret> {
    prepared(std::str::from_utf8(secret.expose()).ok()?).map(|text| Secret::new(text.into_bytes()))
}
