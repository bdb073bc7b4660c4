//! When an endpoint is probed: pure arithmetic, without a clock.
//!
//! Each endpoint has an offset within its interval that depends on its name alone. Probes of many
//! endpoints are thereby spread evenly, and fall at the same distance from each other after a restart.
//! The first round is squeezed into 30 s, so that an exporter with long intervals soon knows everything.

use std::time::Duration;

/// The longest time over which the first probes are spread.
const FIRST_ROUND: Duration = Duration::from_secs(30);

/// How late a tick may be before it is skipped: a machine that slept wakes to many ticks at once, and
/// probing them all together would be a burst.
const TOLERANCE: Duration = Duration::from_secs(5);

/// The ticks of one endpoint, as times since its schedule began.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    interval: Duration,
    offset: Duration,
    first: Duration,
}

impl Plan {
    /// A plan for an interval; `fraction` (0 ≤ f < 1) is the endpoint's own place in it.
    pub fn new(interval: Duration, fraction: f64) -> Self {
        let first_round = interval.min(FIRST_ROUND);
        Self { interval, offset: interval.mul_f64(fraction), first: first_round.mul_f64(fraction) }
    }

    /// The first tick.
    pub fn first(&self) -> Duration {
        self.first
    }

    /// The first regular tick after a time, and how many regular ticks lie between that time's
    /// predecessor `last` and it, unused.
    pub fn next(&self, last: Duration, now: Duration) -> (Duration, u64) {
        let next = self.after(now.max(last));
        // After the squeezed first round, the first regular tick may come soon: then it is left to the next.
        let next = if last == self.first && next - last < self.interval / 2 { next + self.interval } else { next };
        let due = self.after(last);
        let missed = (next.saturating_sub(due).as_nanos() / self.interval.as_nanos().max(1)) as u64;
        let squeezed = last == self.first && due - last < self.interval / 2;
        (next, missed.saturating_sub(u64::from(squeezed)))
    }

    fn after(&self, time: Duration) -> Duration {
        let passed = time.saturating_sub(self.offset);
        let rounds =
            if time < self.offset { 0 } else { (passed.as_nanos() / self.interval.as_nanos().max(1)) as u32 + 1 };
        self.offset + self.interval * rounds
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
        assert_eq!(plan.next(secs(5.0), secs(5.2)), (secs(15.0), 0));
        assert_eq!(plan.next(secs(15.0), secs(15.0)), (secs(25.0), 0));
    }

    #[test]
    fn ticks_passed_meanwhile_are_counted_and_not_made_up_for() {
        let plan = Plan::new(secs(10.0), 0.5);
        assert_eq!(plan.next(secs(15.0), secs(26.0)), (secs(35.0), 1));
        assert_eq!(plan.next(secs(15.0), secs(115.0)), (secs(125.0), 10));
    }

    #[test]
    fn from_the_first_round_into_the_regular_one() {
        // Interval 10 min, place 0.9: first at 27 s, then regularly at 540 s.
        let plan = Plan::new(secs(600.0), 0.9);
        assert_eq!(plan.next(plan.first(), secs(28.0)), (secs(540.0), 0));
        // Place 0.1: first at 3 s, the regular tick at 60 s would come too soon.
        let plan = Plan::new(secs(600.0), 0.1);
        assert_eq!(plan.next(plan.first(), secs(4.0)), (secs(660.0), 0));
        assert_eq!(plan.next(secs(660.0), secs(661.0)), (secs(1260.0), 0));
    }

    #[test]
    fn a_tick_after_a_sleep_is_stale() {
        let plan = Plan::new(secs(60.0), 0.5);
        assert!(!plan.is_stale(secs(0.5)));
        assert!(plan.is_stale(secs(6.0)));
        assert!(Plan::new(secs(1.0), 0.5).is_stale(secs(1.5)));
    }
}
