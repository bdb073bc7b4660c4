//! Counts of durations by size, for one writer at a time: in classic buckets with fixed bounds, and in the
//! sparse exponential ones of Prometheus' native histograms.

use std::time::Duration;

/// The upper bounds of the classic buckets in seconds: from a loopback's to the longest greeting delays.
pub const BOUNDS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 20.0];

/// The schema of the native buckets: each power of two is divided into 2^3 of them, so that a bucket's bounds
/// are 9 % apart.
pub const SCHEMA: i8 = 3;

/// How many durations fell into each bucket. There is one for each phase of each endpoint, so counts are small;
/// when one is full, all begin anew, as counters do when a program starts again.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Histogram {
    /// One count a bound, and the last for all above.
    counts: [u32; BOUNDS.len() + 1],
    /// Index and count of each native bucket that is not empty, in order.
    native: Vec<(i16, u32)>,
    /// Durations of nothing, which have no logarithm.
    zeros: u32,
    sum: f64,
}

impl Histogram {
    /// Counts one duration.
    pub fn observe(&mut self, duration: Duration) {
        let fullest = self.counts.iter().chain([&self.zeros]).max();
        if fullest == Some(&u32::MAX) {
            *self = Self::default();
        }
        let seconds = duration.as_secs_f64();
        let bucket = BOUNDS.iter().position(|bound| seconds <= *bound).unwrap_or(BOUNDS.len());
        one_more(self.counts.get_mut(bucket));
        self.sum += seconds;
        if duration.is_zero() {
            one_more(Some(&mut self.zeros));
            return;
        }
        // Bucket i holds (2^((i-1)/8), 2^(i/8)].
        let index = (seconds.log2() * f64::from(1 << SCHEMA)).ceil() as i16;
        match self.native.binary_search_by_key(&index, |(index, _)| *index) {
            Ok(at) => one_more(self.native.get_mut(at).map(|(_, count)| count)),
            Err(at) => {
                // They are few, and kept for long.
                self.native.reserve_exact(1);
                self.native.insert(at, (index, 1));
            }
        }
    }

    /// All durations together, in seconds.
    pub fn sum(&self) -> f64 {
        self.sum
    }

    /// How many there were.
    pub fn count(&self) -> u64 {
        self.counts.iter().copied().map(u64::from).fold(0, u64::saturating_add)
    }

    /// Each classic bucket's upper bound and its own count; the last bound is infinite.
    pub fn buckets(&self) -> impl Iterator<Item = (f64, u64)> + '_ {
        BOUNDS.into_iter().chain([f64::INFINITY]).zip(self.counts.iter().copied().map(u64::from))
    }

    /// How many durations were nothing.
    pub fn zeros(&self) -> u64 {
        self.zeros.into()
    }

    /// The native buckets as the exposition has them: spans of neighbours (the gap before each, its length), and
    /// each count as the difference to the one before.
    pub fn native(&self) -> (Vec<(i32, u32)>, Vec<i64>) {
        let (mut spans, mut deltas) = (Vec::<(i32, u32)>::new(), Vec::new());
        let (mut next, mut before) = (0, 0);
        for (index, count) in self.native.iter().map(|(index, count)| (i32::from(*index), i64::from(*count))) {
            match spans.last_mut() {
                Some((_, length)) if index == next => *length = length.saturating_add(1),
                _ => spans.push((index.saturating_sub(next), 1)),
            }
            next = index.saturating_add(1);
            deltas.push(count.saturating_sub(before));
            before = count;
        }
        (spans, deltas)
    }
}

fn one_more(count: Option<&mut u32>) {
    if let Some(count) = count {
        *count = count.saturating_add(1);
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

    #[test]
    fn a_full_count_begins_anew() {
        let mut histogram = Histogram::default();
        histogram.observe(Duration::from_millis(1));
        histogram.counts[3] = u32::MAX;
        histogram.observe(Duration::from_millis(1));
        assert_eq!((histogram.count(), histogram.sum()), (1, 0.001));
    }

    #[test]
    fn native_buckets_are_spans_of_differences() {
        let mut histogram = Histogram::default();
        for millis in [1000, 1000, 1050, 500, 0] {
            histogram.observe(Duration::from_millis(millis));
        }
        // 1 s is the end of bucket 0, 1.05 s in bucket 1, 0.5 s the end of bucket -8.
        assert_eq!(histogram.native(), (vec![(-8, 1), (7, 2)], vec![1, 1, -1]));
        assert_eq!((histogram.zeros(), histogram.count()), (1, 5));
    }
}
