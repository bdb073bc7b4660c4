//! An endpoint as people look at it: how it is, how old the news is, how long its certificate lasts.

use std::time::{Duration, SystemTime};

use crate::export::time::{span, unix_seconds};
use crate::mail::Printable;
use crate::outcome::failure::{Failure, Reason};
use crate::outcome::port_state::{PortState, port_states};
use crate::outcome::siblings::matches_siblings;
use crate::outcome::{CertificateFacts, Outcome, pace};
use crate::store::{History, Snapshot};

/// How an endpoint is, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Failed,
    Pending,
    Ok,
}

impl State {
    /// The word in addresses and style.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Pending => "pending",
            Self::Ok => "ok",
        }
    }

    /// What a badge says: a mark and a word, so that nothing hangs on colour.
    pub(super) fn badge(self) -> &'static str {
        match self {
            Self::Failed => "✗ failed",
            Self::Pending => "… pending",
            Self::Ok => "✓ ok",
        }
    }
}

/// How urgent something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    Good,
    Warning,
    Critical,
}

impl Level {
    /// The word in style.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Warning => "warn",
            Self::Critical => "bad",
        }
    }
}

/// How long a certificate still lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Remaining {
    /// Negative when it has ended.
    pub(super) seconds: i64,
    pub(super) level: Level,
}

/// RFC 5280 §4.1.2.5: what this date ends never ends.
const NO_EXPIRY: i64 = 253_402_300_799;

const HOUR: i64 = 3600;

impl Remaining {
    /// Of a certificate valid from and to these times. Lifetimes shrink year by year, so what counts is
    /// the share that is left: below a fifth it should have been renewed, below a tenth it is urgent.
    /// Never later than 72 and 24 hours before the end.
    pub(super) fn of(not_before: i64, not_after: i64, now: i64) -> Self {
        let (seconds, lifetime) = (not_after.saturating_sub(now), not_after.saturating_sub(not_before));
        let level = match seconds {
            left if left < (lifetime / 10).max(24 * HOUR) => Level::Critical,
            left if left < (lifetime / 5).max(72 * HOUR) => Level::Warning,
            _ => Level::Good,
        };
        Self { seconds, level }
    }

    fn of_leaf(certificate: &CertificateFacts, now: i64) -> Option<Self> {
        let facts = certificate.leaf()?.facts.as_ref()?;
        let end = facts.not_after?;
        // Where nobody knows how long it was to last, only the hours left count.
        Some(Self::of(facts.not_before.unwrap_or(end), end, now))
    }

    /// `89 days`, `expired 3 days ago`.
    pub(super) fn text(self, now: i64) -> String {
        match self.seconds {
            left if left < 0 => format!("expired {} ago", span(left)),
            left if left.saturating_add(now) >= NO_EXPIRY => "no expiry".to_owned(),
            left => span(left),
        }
    }
}

/// One endpoint.
#[derive(Clone, Debug)]
pub(super) struct Row<'a> {
    /// In the order of targets.
    pub(super) position: usize,
    pub(super) history: &'a History,
    /// The last outcome; `None` before the first probe has ended.
    pub(super) outcome: Option<&'a Outcome>,
    /// `None` before the first probe has ended.
    pub(super) port: Option<PortState>,
    /// `None` when no certificate was seen, or none that can be read.
    pub(super) certificate: Option<Remaining>,
    /// Whether it is the one that the host ought to show; `None` where nothing can be compared.
    pub(super) matches_siblings: Option<bool>,
    now: SystemTime,
}

/// All of a snapshot, in its order.
pub(super) fn rows(snapshot: &Snapshot, now: SystemTime) -> Vec<Row<'_>> {
    let probed: Vec<&Outcome> = snapshot.endpoints.iter().filter_map(|history| history.latest.as_deref()).collect();
    let mut verdicts = port_states(&probed).into_iter().zip(matches_siblings(&probed));
    let mut rows = Vec::with_capacity(snapshot.endpoints.len());
    for (position, history) in snapshot.endpoints.iter().enumerate() {
        let (port, matches) = history.latest.as_ref().and_then(|_| verdicts.next()).unzip();
        rows.push(Row::new(position, history, port, matches.flatten(), now));
    }
    rows
}

impl<'a> Row<'a> {
    fn new(
        position: usize,
        history: &'a History,
        port: Option<PortState>,
        matches_siblings: Option<bool>,
        now: SystemTime,
    ) -> Self {
        let outcome = history.latest.as_deref();
        let certificate = outcome.and_then(|outcome| outcome.findings.certificate.as_ref());
        let certificate = certificate.and_then(|seen| Remaining::of_leaf(seen, unix(now)));
        Self { position, history, outcome, port, certificate, matches_siblings, now }
    }

    pub(super) fn state(&self) -> State {
        match self.outcome {
            None => State::Pending,
            Some(outcome) if outcome.success() => State::Ok,
            Some(_) => State::Failed,
        }
    }

    pub(super) fn failure(&self) -> Option<&'a Failure> {
        self.outcome?.failure.as_deref()
    }

    /// What the user calls the target, made safe to show.
    pub(super) fn target(&self) -> Printable {
        Printable::from_text(&self.history.endpoint.target)
    }

    /// Since the end of the last probe.
    pub(super) fn age(&self) -> Option<Duration> {
        self.outcome.map(|outcome| since(outcome.findings.ended, self.now))
    }

    /// No news for so long that something holds the probes up.
    pub(super) fn is_stale(&self) -> bool {
        let endpoint = &self.history.endpoint;
        self.age().is_some_and(|age| {
            age > pace::interval(endpoint, self.outcome).saturating_mul(3).saturating_add(endpoint.timeout())
        })
    }

    /// Since the last success; `None` before the first.
    pub(super) fn since_success(&self) -> Option<Duration> {
        self.history.last_success.map(|at| since(at, self.now))
    }

    /// Probes that succeeded.
    pub(super) fn successes(&self) -> u64 {
        self.history.attempts.saturating_sub(self.history.failures.values().sum())
    }

    /// The share of probes that succeeded; `None` before the first has ended.
    pub(super) fn success_ratio(&self) -> Option<f64> {
        let attempts = self.history.attempts;
        (attempts > 0).then(|| self.successes() as f64 / attempts as f64)
    }

    /// `100 %`, `99.9 %`; `None` before the first probe has ended. Rounded down, so that 100 means all.
    pub(super) fn success_text(&self) -> Option<String> {
        self.success_ratio().map(|ratio| match (ratio * 1000.0).floor() / 10.0 {
            percent if percent == 0.0 || percent == 100.0 => format!("{percent} %"),
            percent => format!("{percent:.1} %"),
        })
    }

    /// The fingerprint of the certificate; `None` when none was seen.
    pub(super) fn certificate_sha256(&self) -> Option<&'a str> {
        let seen = self.outcome?.findings.certificate.as_ref()?;
        seen.leaf().map(|leaf| &*leaf.sha256)
    }

    /// Why the certificate is not valid, in words; empty when it is, and when there is none.
    pub(super) fn certificate_faults(&self) -> Vec<String> {
        let seen = self.outcome.and_then(|outcome| outcome.findings.certificate.as_ref());
        let words =
            seen.into_iter().flat_map(|seen| &seen.invalid).map(|finding| Reason::from(finding.reason).as_str());
        words.map(|word| word.trim_start_matches("certificate_").replace('_', " ")).collect()
    }

    /// Whether all of these words, in lower case, are somewhere in what the row shows or is named.
    pub(super) fn has_words(&self, words: &str) -> bool {
        let endpoint = &self.history.endpoint;
        let mut parts = vec![endpoint.target.clone(), endpoint.title(), endpoint.module.name.clone()];
        parts.extend(endpoint.labels.iter().map(|(name, value)| format!("{name}={value}")));
        parts.push(self.state().as_str().to_owned());
        parts.extend(self.port.map(|port| port.as_str().to_owned()));
        parts.extend(self.failure().map(Failure::to_string));
        parts.extend(self.outcome.and_then(|o| o.findings.tls.as_ref()).map(|tls| tls.version.as_str().to_owned()));
        parts.extend(self.certificate_faults());
        let text = parts.join("\n").to_lowercase();
        words.split_whitespace().all(|word| text.contains(word))
    }
}

/// Seconds since 1970.
pub(super) fn unix(time: SystemTime) -> i64 {
    unix_seconds(time) as i64
}

/// How long ago something was; a clock that was set back makes it now.
pub(super) fn since(at: SystemTime, now: SystemTime) -> Duration {
    now.duration_since(at).unwrap_or_default()
}

/// `12 s`, `5 min`, `3 h`, `9 d`.
pub(super) fn brief(duration: Duration) -> String {
    match duration.as_secs() {
        seconds @ ..120 => format!("{seconds} s"),
        seconds @ ..7200 => format!("{} min", seconds / 60),
        seconds @ ..172_800 => format!("{} h", seconds / 3600),
        seconds => format!("{} d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400;

    #[test]
    fn a_certificate_is_judged_by_the_share_of_its_life_that_is_left() {
        let level = |lifetime: i64, left: i64| Remaining::of(0, lifetime, lifetime - left).level;
        assert_eq!(level(90 * DAY, 18 * DAY), Level::Good);
        assert_eq!(level(90 * DAY, 18 * DAY - 1), Level::Warning);
        assert_eq!(level(90 * DAY, 9 * DAY), Level::Warning);
        assert_eq!(level(90 * DAY, 9 * DAY - 1), Level::Critical);
        assert_eq!(level(398 * DAY, 79 * DAY), Level::Warning);
        // Six days: a fifth would be 29 hours.
        assert_eq!(level(6 * DAY, 3 * DAY), Level::Good);
        assert_eq!(level(6 * DAY, 3 * DAY - 1), Level::Warning);
        assert_eq!(level(6 * DAY, DAY - 1), Level::Critical);
        assert_eq!(level(90 * DAY, -1), Level::Critical);
    }

    #[test]
    fn what_is_left_of_a_certificate_reads_well() {
        let text = |not_after: i64, now: i64| Remaining::of(0, not_after, now).text(now);
        assert_eq!(text(90 * DAY, DAY / 2), "89 days");
        assert_eq!(text(90 * DAY, 93 * DAY), "expired 3 days ago");
        assert_eq!(text(NO_EXPIRY, DAY), "no expiry");
    }

    #[test]
    fn ages_are_brief() {
        let texts = [0, 119, 120, 7199, 7200, 172_799, 172_800].map(|seconds| brief(Duration::from_secs(seconds)));
        assert_eq!(texts, ["0 s", "119 s", "2 min", "119 min", "2 h", "47 h", "2 d"]);
    }
}
