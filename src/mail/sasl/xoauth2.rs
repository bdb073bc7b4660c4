//! XOAUTH2: an OAuth 2.0 access token, as Google's and Microsoft's servers take it.
//!
//! RFC 7628 (OAUTHBEARER) came of it; servers of both still offer this one first of all.

use super::{Credentials, Fault};
use crate::mail::secret::Secret;

/// `user=NAME^Aauth=Bearer TOKEN^A^A`.
pub(super) fn message(credentials: &Credentials) -> Secret {
    let name = credentials.username().as_bytes();
    Secret::new([b"user=", name, b"\x01auth=Bearer ", credentials.secret().expose(), b"\x01\x01"].concat())
}

#[derive(Debug, Default)]
pub(super) struct XOAuth2 {
    refused: bool,
}

impl XOAuth2 {
    /// A challenge is the refusal in JSON. It is to be answered with nothing; then the server says 535.
    pub(super) fn answer(&mut self) -> Result<Secret, Fault> {
        if self.refused {
            return Err(Fault::Unexpected("the server asks for more after it has refused the token"));
        }
        self.refused = true;
        Ok(Secret::new(Vec::new()))
    }

    pub(super) fn accepted(&self) -> Result<(), Fault> {
        if self.refused { Err(Fault::Unexpected("the server accepted what it had refused")) } else { Ok(()) }
    }
}
