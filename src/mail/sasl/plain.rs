//! PLAIN (RFC 4616) and LOGIN: the password itself, for lines on which nobody listens.

use std::sync::Arc;

use super::{Credentials, Fault};
use crate::mail::secret::Secret;

/// RFC 4616 §2: the identity to act as (none: our own), the identity, the password.
pub(super) fn message(credentials: &Credentials) -> Secret {
    let parts = [b"", credentials.username().as_bytes(), credentials.secret().expose()];
    Secret::new(parts.join(&0))
}

/// LOGIN: the server asks for the name, then for the password. Its prompts are not read: they come in many
/// words and languages, and always in this order.
#[derive(Debug)]
pub(super) struct Login {
    credentials: Arc<Credentials>,
    asked: u8,
}

impl Login {
    pub(super) fn new(credentials: Arc<Credentials>) -> Self {
        Self { credentials, asked: 0 }
    }

    pub(super) fn answer(&mut self) -> Result<Secret, Fault> {
        self.asked = self.asked.saturating_add(1);
        match self.asked {
            1 => Ok(Secret::from(self.credentials.username())),
            2 => Ok(self.credentials.secret().clone()),
            _ => Err(Fault::Unexpected("the server asks a third time, and LOGIN has two answers")),
        }
    }

    pub(super) fn is_done(&self) -> bool {
        self.asked == 2
    }
}
