//! CRAM-MD5 (RFC 2195): a digest of the password and of the server's challenge.
//!
//! MD5 is broken as a hash, not (RFC 6151 §2.3) as part of an HMAC; the mechanism is weak because who sees one exchange
//! can try passwords at leisure, and because the server has to keep what is as good as the password.

use std::sync::Arc;

use hmac::{Hmac, KeyInit as _, Mac as _};
use md5::Md5;

use super::{Credentials, Fault};
use crate::mail::secret::Secret;

#[derive(Debug)]
pub(super) struct Cram {
    credentials: Arc<Credentials>,
    done: bool,
}

impl Cram {
    pub(super) fn new(credentials: Arc<Credentials>) -> Self {
        Self { credentials, done: false }
    }

    /// RFC 2195 §2: the name, a space, and the keyed digest in lower-case hexadecimal.
    pub(super) fn answer(&mut self, challenge: &[u8]) -> Result<Secret, Fault> {
        if self.done {
            return Err(Fault::Unexpected("the server sends a second challenge, and CRAM-MD5 has one"));
        }
        // Its form, that of a message identifier, is not looked at: servers differ.
        if challenge.is_empty() {
            return Err(Fault::Malformed("the challenge is empty, and a digest of nothing would serve for ever"));
        }
        self.done = true;
        let digest = digest(self.credentials.secret().expose(), challenge)?;
        Ok(Secret::new([self.credentials.username().as_bytes(), b" ", digest.as_bytes()].concat()))
    }

    pub(super) fn is_done(&self) -> bool {
        self.done
    }
}

fn digest(password: &[u8], challenge: &[u8]) -> Result<String, Fault> {
    // A key of any length is a key (RFC 2104 §2); the type cannot say so.
    let mut mac = Hmac::<Md5>::new_from_slice(password).map_err(|_| Fault::Unexpected("the password is no key"))?;
    mac.update(challenge);
    Ok(mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect())
}
