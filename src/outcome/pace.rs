//! What the last outcome means for the next probe: how soon it is due, whether a failure is tried again before it counts,
//! and whether it may leave out TLS. Pure decisions; [`crate::endpoint::Pace`] has what is configured.

use std::time::{Duration, SystemTime};

use super::failure::Reason;
use super::{CertificateFacts, Outcome};
use crate::endpoint::{Endpoint, Security};

/// How long after its last probe an endpoint is probed again.
pub fn interval(endpoint: &Endpoint, last: Option<&Outcome>) -> Duration {
    when_failing(endpoint, last).unwrap_or(endpoint.interval)
}

/// The interval that a failure puts in force instead of the regular one.
pub fn when_failing(endpoint: &Endpoint, last: Option<&Outcome>) -> Option<Duration> {
    let last = last?;
    let failure = last.failure.as_ref()?;
    if bears_no_repetition(failure.reason) { back_off(endpoint, last.turned_away) } else { endpoint.pace.when_failing }
}

/// The longest that a server which turns us away is left alone, unless it is probed more rarely anyway.
const LONGEST_REST: Duration = Duration::from_secs(5 * 60);

/// Nor is it for longer than so many intervals.
const MOST_INTERVALS: u32 = 8;

/// Respect for a server that has enough of us: RFC 5321 §4.5.4.1 has clients wait before they try again, and a server
/// that counts connections lets nobody in who keeps knocking.
///
/// It is never asked more often than usual, nor is one whose answer to a login may lock the account. One refusal changes
/// nothing more; from the second in a row on the interval doubles, within the two bounds, until a probe ends in any other
/// way.
fn back_off(endpoint: &Endpoint, refusals: u32) -> Option<Duration> {
    let usual = endpoint.pace.when_failing.unwrap_or_default().max(endpoint.interval);
    let times = 1_u32.checked_shl(refusals.saturating_sub(1)).unwrap_or(MOST_INTERVALS).clamp(1, MOST_INTERVALS);
    let rest = usual.saturating_mul(times).min(LONGEST_REST).max(usual);
    (rest > endpoint.interval).then_some(rest)
}

/// How long to wait before a probe that has failed is repeated; `None` when its failure counts.
///
/// `rate_limited` always counts: to repeat would be what the server complains of. So does `auth_rejected`, which locks
/// accounts when it comes often, and a failure whose repetition could not begin within `left`, the time until the next
/// probe is due, which then confirms it.
pub fn retry(outcome: &Outcome, tries: u32, left: Duration) -> Option<Duration> {
    let (pace, failure) = (&outcome.endpoint.pace, outcome.failure.as_ref()?);
    let may = tries < pace.retries && !bears_no_repetition(failure.reason) && pace.retry_delay < left;
    may.then_some(pace.retry_delay)
}

fn bears_no_repetition(reason: Reason) -> bool {
    matches!(reason, Reason::RateLimited | Reason::AuthRejected)
}

/// Whether the next probe may end after EHLO in clear, with what the last one knows of TLS.
///
/// It may not where the module tries something, where the last one failed or was made by another configuration, where TLS
/// comes first (nothing can be said before it), and not when a certificate of the chain has begun or ceased to be valid
/// meanwhile: that is for a full probe to judge.
pub fn is_light(endpoint: &Endpoint, last: &Outcome, now: SystemTime) -> bool {
    let (Some(every), Some(at)) = (endpoint.pace.certificate_interval, last.findings.tls_at) else { return false };
    let (Ok(age), Some(certificate)) = (now.duration_since(at), &last.findings.certificate) else { return false };
    let asks_for_tls = matches!(endpoint.module.security, Security::StartTls | Security::Opportunistic);
    // The tick that is nearest to the interval's end is the full one.
    let fresh = age.saturating_add(endpoint.interval.checked_div(2).unwrap_or_default()) < every;
    asks_for_tls && !endpoint.module.tries_something() && fresh && last.success() && is_unchanged(certificate, at, now)
}

/// Whether each certificate of the chain was at both times as valid by date as at the other.
fn is_unchanged(certificate: &CertificateFacts, then: SystemTime, now: SystemTime) -> bool {
    let seconds = |time: SystemTime| {
        let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    };
    let windows = certificate.chain.iter().filter_map(|one| one.facts.as_ref()).filter_map(|facts| facts.window());
    let state = |(from, to): (i64, i64), time| (time < from, time > to);
    let (then, now) = (seconds(then), seconds(now));
    windows.map(|window| (state(window, then), state(window, now))).all(|(then, now)| then == now)
}

#[cfg(test)]
mod tests;
