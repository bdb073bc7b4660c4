//! When an endpoint is probed: pure arithmetic, without a clock.
//!
//! Each endpoint has an offset within its interval that depends on its name alone. Probes of many
//! endpoints are thereby spread evenly, and fall at the same distance from each other after a restart.
//! The first round is squeezed into 30 s, so that an exporter with long intervals soon knows everything.

use std::time::Duration;

use crate::endpoint::Endpoint;

/// The longest time over which the first probes are spread.
const FIRST_ROUND: Duration = Duration::from_secs(30);

/// How late a tick may be before it is skipped: a machine that slept wakes to many ticks at once, and
/// probing them all together would be a burst.
const TOLERANCE: Duration = Duration::from_secs(5);

/// The ticks of one endpoint, as times since its schedule began.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    interval: Duration,
    /// The tick of the first round.
    first: Duration,
    /// The first tick after it; from there they follow at the interval.
    regular: Duration,
}

impl Plan {
    /// The plan of an endpoint, which is the same each time.
    pub fn of(endpoint: &Endpoint) -> Self {
        Self::new(endpoint.interval, endpoint.id().fraction())
    }

    /// A plan for an interval; `fraction` (0 ≤ f < 1) is the endpoint's own place in it.
    pub fn new(interval: Duration, fraction: f64) -> Self {
        let offset = interval.mul_f64(fraction);
        let first = interval.min(FIRST_ROUND).mul_f64(fraction);
        // Out of the squeezed round into the regular ones, with no two ticks closer than half an interval.
        let far_enough = offset.saturating_sub(first).saturating_mul(2) >= interval;
        let regular = if far_enough { offset } else { offset.saturating_add(interval) };
        Self { interval, first, regular }
    }

    /// The first tick.
    pub fn first(&self) -> Duration {
        self.first
    }

    /// The tick to wait for after that of `last`, and how many have passed by now unused. With an interval of its own
    /// (`every`, while the endpoint fails) they follow each other at that, and then come back to the regular ones.
    pub fn next(&self, last: Duration, now: Duration, every: Option<Duration>) -> (Duration, u64) {
        let (due, step) = match every {
            Some(every) => (last.saturating_add(every), every),
            None => (self.regular_after(last), self.interval),
        };
        let Some(late) = now.checked_sub(due) else { return (due, 0) };
        let whole = late.as_nanos().checked_div(step.as_nanos()).unwrap_or_default();
        let missed = u32::try_from(whole).unwrap_or(u32::MAX).saturating_add(1);
        (due.saturating_add(step.saturating_mul(missed)), missed.into())
    }

    /// The tick to wait for once this plan is in force instead of another, which had its last tick at `before` (`None`: it
    /// had none yet). Those that this plan would have had meanwhile were never due.
    pub fn resume(&self, before: Option<Duration>, now: Duration, every: Option<Duration>) -> Duration {
        match before {
            None if self.first >= now => self.first,
            None => self.next(self.first, now, None).0,
            Some(before) => self.next(before, now, every).0,
        }
    }

    /// The first regular tick that is at least half an interval later.
    fn regular_after(&self, last: Duration) -> Duration {
        let earliest = last.saturating_add(self.interval.checked_div(2).unwrap_or_default());
        let Some(since) = earliest.checked_sub(self.regular) else { return self.regular };
        let steps = since.as_nanos().div_ceil(self.interval.as_nanos().max(1));
        self.regular.saturating_add(self.interval.saturating_mul(u32::try_from(steps).unwrap_or(u32::MAX)))
    }

    /// Whether a tick has come too late to be used.
    pub fn is_stale(&self, lateness: Duration) -> bool {
        lateness > TOLERANCE.min(self.interval)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secs(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    #[test]
    fn the_first_round_is_over_within_the_interval_or_30_s() {
        for (interval, limit) in [(5.0, 5.0), (60.0, 30.0), (3600.0, 30.0)] {
            let first = Plan::new(secs(interval), 0.999).first();
            assert!(first < secs(limit), "{interval}: {first:?}");
            assert!(first > secs(limit * 0.9));
        }
    }

    #[test]
    fn ticks_follow_at_the_interval() {
        let plan = Plan::new(secs(10.0), 0.5);
        assert_eq!(plan.first(), secs(5.0));
        assert_eq!(plan.next(secs(5.0), secs(5.2), None), (secs(15.0), 0));
        assert_eq!(plan.next(secs(15.0), secs(15.0), None), (secs(25.0), 0));
    }

    #[test]
    fn ticks_passed_meanwhile_are_counted_and_not_made_up_for() {
        let plan = Plan::new(secs(10.0), 0.5);
        assert_eq!(plan.next(secs(15.0), secs(26.0), None), (secs(35.0), 1));
        assert_eq!(plan.next(secs(15.0), secs(115.0), None), (secs(125.0), 10));
    }

    #[test]
    fn from_the_first_round_into_the_regular_one() {
        // Interval 10 min, place 0.9: first at 27 s, then regularly at 540 s.
        let plan = Plan::new(secs(600.0), 0.9);
        assert_eq!(plan.next(plan.first(), secs(28.0), None), (secs(540.0), 0));
        // Place 0.1: first at 3 s, the regular tick at 60 s would come too soon.
        let plan = Plan::new(secs(600.0), 0.1);
        assert_eq!(plan.next(plan.first(), secs(4.0), None), (secs(660.0), 0));
        assert_eq!(plan.next(secs(660.0), secs(661.0), None), (secs(1260.0), 0));
    }

    #[test]
    fn a_tick_after_a_sleep_is_stale() {
        let plan = Plan::new(secs(60.0), 0.5);
        assert!(!plan.is_stale(secs(0.5)));
        assert!(plan.is_stale(secs(6.0)));
        assert!(Plan::new(secs(1.0), 0.5).is_stale(secs(1.5)));
    }

    #[test]
    fn while_it_fails_ticks_follow_at_an_interval_of_their_own_and_come_back_to_the_regular_ones() {
        let plan = Plan::new(secs(60.0), 0.5);
        let hasty = Some(secs(10.0));
        // Regular ticks at 30 s, 90 s, 150 s.
        assert_eq!(plan.next(secs(30.0), secs(31.0), hasty), (secs(40.0), 0));
        assert_eq!(plan.next(secs(40.0), secs(75.0), hasty), (secs(80.0), 3));
        assert_eq!(plan.next(secs(50.0), secs(51.0), None), (secs(90.0), 0));
        assert_eq!(plan.next(secs(70.0), secs(71.0), None), (secs(150.0), 0), "20 s would be too soon");
        assert_eq!(plan.next(secs(90.0), secs(91.0), Some(secs(300.0))), (secs(390.0), 0));
    }

    #[test]
    fn another_interval_holds_at_once_and_has_the_same_place_for_the_endpoint() {
        let hourly = Plan::new(secs(3600.0), 0.5);
        let before = Some(hourly.next(hourly.first(), secs(16.0), None).0);
        assert_eq!(before, Some(secs(5400.0)));
        let hasty = Plan::new(secs(10.0), 0.5);
        assert_eq!(hasty.resume(before, secs(6000.0), None), secs(6005.0), "the 60 of the past were never due");
        assert_eq!(hasty.resume(before, secs(5401.0), None), secs(5405.0));
        assert_eq!(hasty.resume(before, secs(5400.2), Some(secs(40.0))), secs(5440.0), "it fails, and is left alone");
        assert_eq!(hourly.resume(Some(secs(6005.0)), secs(6006.0), None), secs(9000.0));
        // Before its first probe: the first round of the new plan, or if that is over, its next.
        assert_eq!(hourly.resume(None, secs(3.0), None), secs(15.0));
        assert_eq!(hasty.resume(None, secs(7.0), None), secs(15.0));
    }

    #[test]
    fn many_that_change_their_interval_at_once_do_not_come_together() {
        for (old, new) in [(3600.0, 10.0), (10.0, 60.0), (60.0, 61.0)] {
            let now = 100_000.3;
            let mut due = [0_u32; 16];
            for number in 0..10_000 {
                let fraction = f64::from(number) / 10_000.0;
                let last = Plan::new(secs(old), fraction).resume(Some(secs(now - 1.5 * old)), secs(now - old), None);
                let tick = Plan::new(secs(new), fraction).resume(Some(last), secs(now), None);
                assert!(tick >= secs(now) && tick <= secs(now + 1.5 * new), "{old} {new} {fraction}: {tick:?}");
                due[((tick.as_secs_f64() - now) / new * 10.0) as usize] += 1;
            }
            assert!(due.iter().all(|due| *due < 1100), "{old} to {new}: {due:?}");
        }
    }

    #[test]
    fn regular_ticks_are_the_same_whatever_came_between() {
        let plan = Plan::new(secs(7.0), 0.3);
        let mut regular = plan.next(plan.first(), secs(0.0), None).0;
        for _ in 0..50 {
            let between = plan.next(regular, regular, Some(secs(1.0))).0;
            let back = plan.next(between, between, None).0;
            regular = plan.next(regular, regular, None).0;
            assert_eq!(back, regular);
        }
    }
}
