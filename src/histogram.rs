//! Counts of durations by size, for one writer at a time.

use std::time::Duration;

/// The upper bounds of the buckets in seconds: from a loopback's to the longest greeting delays.
pub const BOUNDS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 20.0];

/// How many durations fell into each bucket.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Histogram {
    /// One count a bound, and the last for all above.
    counts: [u64; BOUNDS.len() + 1],
    sum: f64,
}

impl Histogram {
    /// Counts one duration.
    pub fn observe(&mut self, duration: Duration) {
        let seconds = duration.as_secs_f64();
        let bucket = BOUNDS.iter().position(|bound| seconds <= *bound).unwrap_or(BOUNDS.len());
        self.counts[bucket] += 1;
        self.sum += seconds;
    }

    /// All durations together, in seconds.
    pub fn sum(&self) -> f64 {
        self.sum
    }

    /// How many there were.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Each bucket's upper bound and its own count; the last bound is infinite.
    pub fn buckets(&self) -> impl Iterator<Item = (f64, u64)> + '_ {
        BOUNDS.into_iter().chain([f64::INFINITY]).zip(self.counts.iter().copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_belongs_to_its_bucket() {
        let mut histogram = Histogram::default();
        for millis in [1, 2, 31_000] {
            histogram.observe(Duration::from_millis(millis));
        }
        let filled: Vec<(f64, u64)> = histogram.buckets().filter(|(_, count)| *count > 0).collect();
        assert_eq!(filled, [(0.001, 1), (0.0025, 1), (f64::INFINITY, 1)]);
        assert_eq!(histogram.count(), 3);
        assert!((histogram.sum() - 31.003).abs() < 1e-9);
    }
}
