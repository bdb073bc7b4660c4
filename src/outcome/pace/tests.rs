//! The decisions as tables.

use std::sync::Arc;

use super::super::port_state::tests::outcomes;
use super::super::siblings::tests::shown;
use super::*;
use crate::endpoint::{Module, Pace};
use crate::outcome::failure::Failure;
use crate::phase::Phase;

const SECOND: Duration = Duration::from_secs(1);

/// Probed each minute, at a pace, with a failure or none.
fn outcome(pace: Pace, failure: Option<Reason>) -> Outcome {
    let mut outcome = outcomes("a:587+").remove(0);
    outcome.endpoint = Arc::new(Endpoint { pace, interval: 60 * SECOND, ..Endpoint::clone(&outcome.endpoint) });
    outcome.failure = failure.map(|reason| Failure::new(Phase::Connect, reason, "as the test wants it").into());
    outcome
}

#[test]
fn the_interval_follows_the_last_outcome() {
    let hasty = Pace { when_failing: Some(10 * SECOND), ..Pace::default() };
    let slow = Pace { when_failing: Some(300 * SECOND), ..Pace::default() };
    for (pace, failure, expected) in [
        (Pace::default(), None, 60),
        (Pace::default(), Some(Reason::Timeout), 60),
        (hasty, None, 60),
        (hasty, Some(Reason::Timeout), 10),
        (hasty, Some(Reason::RateLimited), 60),
        (slow, Some(Reason::Timeout), 300),
        (slow, Some(Reason::RateLimited), 300),
    ] {
        let outcome = outcome(pace, failure);
        assert_eq!(interval(&outcome.endpoint, Some(&outcome)), expected * SECOND, "{pace:?} {failure:?}");
    }
    let endpoint = outcome(hasty, None).endpoint;
    assert_eq!(interval(&endpoint, None), 60 * SECOND, "before the first");
}

#[test]
fn a_server_that_turns_us_away_is_asked_ever_more_rarely_within_bounds() {
    let rests = |interval: Duration, pace: Pace| {
        let mut one = outcome(pace, Some(Reason::RateLimited));
        one.endpoint = Arc::new(Endpoint { interval, ..Endpoint::clone(&one.endpoint) });
        let rest = |refusals| {
            one.turned_away = refusals;
            super::interval(&one.endpoint, Some(&one)).as_secs()
        };
        [1, 2, 3, 4, 5, 6, 40].map(rest)
    };
    assert_eq!(rests(30 * SECOND, Pace::default()), [30, 60, 120, 240, 240, 240, 240], "8 intervals at most");
    assert_eq!(rests(60 * SECOND, Pace::default()), [60, 120, 240, 300, 300, 300, 300], "5 minutes at most");
    assert_eq!(rests(600 * SECOND, Pace::default()), [600; 7], "never more often than usual");
    let hasty = Pace { when_failing: Some(SECOND), ..Pace::default() };
    assert_eq!(rests(60 * SECOND, hasty), [60, 120, 240, 300, 300, 300, 300], "however it is with other failures");
    let slow = Pace { when_failing: Some(100 * SECOND), ..Pace::default() };
    assert_eq!(rests(60 * SECOND, slow), [100, 200, 300, 300, 300, 300, 300]);
}

#[test]
fn a_failure_is_tried_again_unless_that_would_do_harm() {
    let twice = Pace { retries: 2, retry_delay: 3 * SECOND, ..Pace::default() };
    for (failure, tries, left, expected) in [
        (None, 0, 50, None),
        (Some(Reason::Timeout), 0, 50, Some(3 * SECOND)),
        (Some(Reason::Timeout), 1, 50, Some(3 * SECOND)),
        (Some(Reason::Timeout), 2, 50, None),
        (Some(Reason::Timeout), 0, 3, None),
        (Some(Reason::RateLimited), 0, 50, None),
        (Some(Reason::CertificateExpired), 0, 50, Some(3 * SECOND)),
    ] {
        assert_eq!(retry(&outcome(twice, failure), tries, left * SECOND), expected, "{failure:?} {tries} {left}");
    }
    assert_eq!(retry(&outcome(Pace::default(), Some(Reason::Timeout)), 0, 50 * SECOND), None);
}

#[test]
fn tls_is_left_out_only_while_nothing_can_have_changed_but_the_server() {
    let hourly = Pace { certificate_interval: Some(3600 * SECOND), ..Pace::default() };
    // Issued on day 1 of 1970 for 90 days, seen in the middle of them.
    let (seen, end) = (SystemTime::UNIX_EPOCH + 50 * 86_400 * SECOND, SystemTime::UNIX_EPOCH + 91 * 86_400 * SECOND);
    let base = |pace, failure, at| {
        let mut one = outcome(pace, failure);
        one.findings.certificate = Some(shown("x1"));
        one.findings.tls_at = Some(at);
        one
    };
    let light = |one: &Outcome, now| is_light(&one.endpoint, one, now);
    let good = base(hourly, None, seen);
    assert!(light(&good, seen + 60 * SECOND));
    assert!(light(&good, seen + 3500 * SECOND));
    assert!(!light(&good, seen + 3580 * SECOND), "the nearest tick");
    assert!(!light(&good, seen - SECOND), "a clock that was set back");
    assert!(!light(&base(Pace::default(), None, seen), seen + 60 * SECOND));
    assert!(!light(&base(hourly, Some(Reason::Timeout), seen), seen + 60 * SECOND));
    let late = base(hourly, None, end - 30 * SECOND);
    assert!(light(&late, end - SECOND) && !light(&late, end + SECOND), "it has expired meanwhile");
    let mut blind = good.clone();
    blind.findings.certificate = None;
    assert!(!light(&blind, seen + 60 * SECOND));
    for (security, expected) in
        [(Security::Opportunistic, true), (Security::StartTls, true), (Security::Tls, false), (Security::Plain, false)]
    {
        let mut one = good.clone();
        let module = Arc::new(Module { security, ..Module::clone(&one.endpoint.module) });
        one.endpoint = Arc::new(Endpoint { module, ..Endpoint::clone(&one.endpoint) });
        assert_eq!(light(&one, seen + 60 * SECOND), expected, "{security:?}");
    }
}

#[test]
fn what_is_known_of_tls_goes_when_the_offer_goes() {
    let mut full = outcome(Pace::default(), None).findings;
    full.certificate = Some(shown("x1"));
    full.tls_at = Some(SystemTime::UNIX_EPOCH);
    for (starttls, carried) in [(true, true), (false, false)] {
        let mut light = outcome(Pace::default(), None).findings;
        light.smtp.clear =
            Some(crate::mail::smtp::capabilities::Capabilities { starttls, ..Default::default() }.into());
        light.carry_tls(&full);
        assert!(light.light);
        assert_eq!((light.certificate.is_some(), light.tls_at.is_some()), (carried, carried));
    }
}
