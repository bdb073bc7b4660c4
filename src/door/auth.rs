//! Basic authentication (RFC 7617), so that guessing is slow and being known is fast.
//!
//! A password costs a bcrypt hash to check, so only one is checked at a time, on a thread where it delays
//! no probe, and a user's right password is remembered (as a keyed digest) until the users change. An
//! unknown name costs what a known one does. A flood of guesses can only delay people who come for the first
//! time.

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac::{Context, HMAC_SHA256, Key, Tag};
use aws_lc_rs::rand::SystemRandom;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::StatusCode;
use hyper::header::{AUTHORIZATION, HeaderMap, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::Refusal;
use crate::config::web::PasswordHash;

/// How many may wait for their turn; beyond, a guess is refused at once.
const QUEUE: usize = 32;

/// How long a request may wait for its password's turn; Prometheus gives up after 10 s.
const PATIENCE: Duration = Duration::from_secs(8);

/// Those who may come in.
pub(super) struct Guests {
    users: BTreeMap<String, PasswordHash>,
    known: Known,
    /// One hash at a time.
    turn: Arc<Semaphore>,
    /// Those who wait for their turn.
    queue: Semaphore,
    /// Chooses whose hash an unknown name costs.
    decoys: RandomState,
}

/// Digests of right passwords, one a user.
struct Known {
    key: Key,
    digests: Mutex<BTreeMap<String, Tag>>,
}

/// What a request says of itself.
struct Credentials {
    user: String,
    password: Vec<u8>,
}

impl Guests {
    /// `users` must not be empty.
    pub(super) fn new(users: BTreeMap<String, PasswordHash>) -> Result<Self, String> {
        let known = Known::new().ok_or("this system has no random numbers to give")?;
        Ok(Self {
            users,
            known,
            turn: Arc::new(Semaphore::new(1)),
            queue: Semaphore::new(QUEUE),
            decoys: RandomState::new(),
        })
    }

    pub(super) fn users(&self) -> &BTreeMap<String, PasswordHash> {
        &self.users
    }

    pub(super) async fn check(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let given = Credentials::of(headers).ok_or_else(Refusal::unauthorized)?;
        let digest = self.known.digest(&given);
        if self.known.has(&given.user, &digest) {
            return Ok(());
        }
        let Ok(_waiting) = self.queue.try_acquire() else { return Err(Refusal::busy()) };
        let turn = timeout(PATIENCE, self.turn.clone().acquire_owned()).await;
        let Ok(Ok(turn)) = turn else { return Err(Refusal::busy()) };
        // Somebody with the same password may have been before us.
        if self.known.has(&given.user, &digest) {
            return Ok(());
        }
        let user = self.users.get(&given.user);
        let Some(hash) = user.or_else(|| self.decoy(&given.user)).cloned() else { return Err(Refusal::unauthorized()) };
        let password = given.password;
        let right = spawn_blocking(move || {
            // The turn ends with the work, even if nobody waits for it any more.
            let _turn = turn;
            hash.verify(&password)
        });
        if right.await.unwrap_or(false) && user.is_some() {
            self.known.remember(given.user, digest);
            return Ok(());
        }
        Err(Refusal::unauthorized())
    }

    /// The hash that an unknown name is compared with, so that it takes as long as a known one. The same
    /// name has always the same, as if it were a user's own.
    fn decoy(&self, name: &str) -> Option<&PasswordHash> {
        let count = u64::try_from(self.users.len()).ok()?;
        let chosen = self.decoys.hash_one(name).checked_rem(count)?;
        self.users.values().nth(usize::try_from(chosen).ok()?)
    }
}

impl Known {
    fn new() -> Option<Self> {
        let key = Key::generate(HMAC_SHA256, &SystemRandom::new()).ok()?;
        Some(Self { key, digests: Mutex::default() })
    }

    fn digest(&self, given: &Credentials) -> Tag {
        let mut context = Context::with_key(&self.key);
        context.update(given.user.as_bytes());
        // No name has a colon, so that two pairs never look alike.
        context.update(b":");
        context.update(&given.password);
        context.sign()
    }

    fn has(&self, user: &str, digest: &Tag) -> bool {
        let digests = self.digests.lock().unwrap_or_else(PoisonError::into_inner);
        let known = digests.get(user);
        known.is_some_and(|known| verify_slices_are_equal(known.as_ref(), digest.as_ref()).is_ok())
    }

    fn remember(&self, user: String, digest: Tag) {
        self.digests.lock().unwrap_or_else(PoisonError::into_inner).insert(user, digest);
    }
}

impl Credentials {
    /// What the `Authorization` header says; `None` if it is absent, stands twice or means something else.
    fn of(headers: &HeaderMap) -> Option<Self> {
        let mut all = headers.get_all(AUTHORIZATION).iter();
        let (Some(header), None) = (all.next(), all.next()) else { return None };
        // RFC 9110 §11.1: the scheme has no case.
        let (scheme, encoded) = header.to_str().ok()?.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let text = STANDARD.decode(encoded.trim_matches(' ')).ok()?;
        // RFC 7617 §2: the first colon ends the name; a password may have more.
        let mut parts = text.splitn(2, |b| *b == b':');
        let (user, password) = (parts.next()?, parts.next()?);
        Some(Self { user: std::str::from_utf8(user).ok()?.to_owned(), password: password.to_vec() })
    }
}

impl Refusal {
    fn unauthorized() -> Self {
        // RFC 7617 §2 and §2.1: a realm is required; names and passwords are sent in UTF-8.
        let challenge = HeaderValue::from_static("Basic realm=\"mail_endpoint_exporter\", charset=\"UTF-8\"");
        let headers = HeaderMap::from_iter([(WWW_AUTHENTICATE, challenge)]);
        Self { status: StatusCode::UNAUTHORIZED, headers, text: "401: a user and a password are needed\n" }
    }

    fn busy() -> Self {
        let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static("10"))]);
        let text = "503: too many passwords are waiting to be checked; come again in a moment\n";
        Self { status: StatusCode::SERVICE_UNAVAILABLE, headers, text }
    }
}
