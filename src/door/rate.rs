//! The bucket of requests: golang.org/x/time/rate, as the toolkit uses it.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hyper::StatusCode;
use hyper::header::{HeaderMap, RETRY_AFTER};
use tokio::time::Instant;

use super::Refusal;
use crate::config::web::RateLimit;

/// A bucket, full at first.
pub(super) struct Bucket {
    limit: RateLimit,
    /// When it is full again; `None` as long as nothing was taken.
    full: Mutex<Option<Instant>>,
}

impl Bucket {
    pub(super) fn new(limit: RateLimit) -> Self {
        Self { limit, full: Mutex::new(None) }
    }

    pub(super) fn limit(&self) -> RateLimit {
        self.limit
    }

    /// Takes one request out; the error is the time until there is one again.
    pub(super) fn take(&self, now: Instant) -> Result<(), Duration> {
        let mut full = self.full.lock().unwrap_or_else(PoisonError::into_inner);
        // What is missing is told by the time until it has come back.
        let missing = full.map_or(Duration::ZERO, |full| full.saturating_duration_since(now));
        let missing = missing.saturating_add(self.limit.interval);
        let capacity = self.limit.interval.saturating_mul(self.limit.burst);
        match missing.checked_sub(capacity) {
            Some(wait) if wait > Duration::ZERO => Err(wait),
            _ => {
                *full = now.checked_add(missing);
                Ok(())
            }
        }
    }
}

impl Refusal {
    pub(super) fn too_many(wait: Duration) -> Self {
        let seconds = wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0));
        let headers = HeaderMap::from_iter([(RETRY_AFTER, seconds.into())]);
        Self { status: StatusCode::TOO_MANY_REQUESTS, headers, text: "429: too many requests; come again later\n" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_and_then_one_request_an_interval() {
        let interval = Duration::from_millis(100);
        let bucket = Bucket::new(RateLimit { interval, burst: 3 });
        #[expect(clippy::disallowed_methods, reason = "only differences count here")]
        let start = Instant::now();
        // Milliseconds, and whether golang.org/x/time/rate allows it.
        for (at, allowed) in [
            (0, true),
            (0, true),
            (0, true),
            (0, false),
            (99, false),
            (100, true),
            (100, false),
            (199, false),
            (250, true),
            (260, false),
            (300, true),
            (900, true),
            (900, true),
            (900, true),
            (900, false),
        ] {
            assert_eq!(bucket.take(start + Duration::from_millis(at)).is_ok(), allowed, "at {at} ms");
        }
        let wait = bucket.take(start + Duration::from_millis(930)).unwrap_err();
        assert_eq!(wait, Duration::from_millis(70));
        assert_eq!(Refusal::too_many(wait).headers[RETRY_AFTER], "1");
    }
}
