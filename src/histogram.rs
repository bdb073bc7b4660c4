//! Counts of durations by size, for one writer at a time: in classic buckets with fixed bounds, and in the
//! sparse exponential ones of Prometheus' native histograms.

use std::time::Duration;

/// The upper bounds of the classic buckets in seconds: from a loopback's to the longest greeting delays.
pub const BOUNDS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 20.0];

/// The schema of the native buckets: each power of two is divided into 2^3 of them, so that a bucket's bounds
/// are 9 % apart.
pub const SCHEMA: i8 = 3;

/// How many durations fell into each bucket. There is one for each phase of each endpoint, so it is small, and so
/// are counts; when one is full, all begin anew, as counters do when a program starts again.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Histogram {
    /// What is not empty, in order. They are few, and kept for long: there is no room for more.
    cells: Box<[Cell]>,
    sum: f64,
}

/// What one native and one classic bucket have in common. Classic bounds are far apart, so that hardly any native
/// bucket is divided, and one list of cells is no longer than one of native buckets would be.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Cell {
    /// Index of the native bucket, or [`ZERO`].
    native: i16,
    /// Index of the classic bucket: that of its bound, and one more for all above.
    classic: u8,
    count: u32,
}

/// The place of durations of nothing, which have no logarithm.
const ZERO: i16 = i16::MIN;

impl Histogram {
    /// Counts one duration.
    pub fn observe(&mut self, duration: Duration) {
        let seconds = duration.as_secs_f64();
        // Bucket i holds (2^((i-1)/8), 2^(i/8)].
        let index = || (seconds.log2() * f64::from(1 << SCHEMA)).ceil() as i16;
        let native = if duration.is_zero() { ZERO } else { index() };
        let classic = BOUNDS.iter().position(|bound| seconds <= *bound).unwrap_or(BOUNDS.len()) as u8;
        let place = self.cells.binary_search_by_key(&(native, classic), |cell| (cell.native, cell.classic));
        match place.map(|at| self.cells.get_mut(at)) {
            Ok(Some(Cell { count: u32::MAX, .. })) => {
                *self = Self { cells: [Cell { native, classic, count: 1 }].into(), sum: 0.0 };
            }
            Ok(cell) => cell.into_iter().for_each(|cell| cell.count = cell.count.saturating_add(1)),
            Err(at) => {
                let mut cells = std::mem::take(&mut self.cells).into_vec();
                cells.reserve_exact(1);
                cells.insert(at, Cell { native, classic, count: 1 });
                self.cells = cells.into();
            }
        }
        self.sum += seconds;
    }

    /// All durations together, in seconds.
    pub fn sum(&self) -> f64 {
        self.sum
    }

    /// How many there were.
    pub fn count(&self) -> u64 {
        total(self.cells.iter())
    }

    /// Each classic bucket's upper bound and its own count; the last bound is infinite.
    pub fn buckets(&self) -> impl Iterator<Item = (f64, u64)> + use<> {
        let mut counts = [0_u64; BOUNDS.len() + 1];
        for cell in &self.cells {
            if let Some(count) = counts.get_mut(usize::from(cell.classic)) {
                *count = count.saturating_add(cell.count.into());
            }
        }
        BOUNDS.into_iter().chain([f64::INFINITY]).zip(counts)
    }

    /// How many durations were nothing.
    pub fn zeros(&self) -> u64 {
        total(self.cells.iter().filter(|cell| cell.native == ZERO))
    }

    /// The native buckets as the exposition has them: spans of neighbours (the gap before each, its length), and
    /// each count as the difference to the one before.
    pub fn native(&self) -> (Vec<(i32, u32)>, Vec<i64>) {
        let (mut spans, mut deltas) = (Vec::<(i32, u32)>::new(), Vec::new());
        let (mut next, mut before) = (0, 0);
        let buckets = self.cells.chunk_by(|one, other| one.native == other.native);
        for (index, count) in buckets.filter_map(|cells| Some((cells.first()?.native, total(cells.iter())))) {
            if index == ZERO {
                continue;
            }
            let (index, count) = (i32::from(index), count.cast_signed());
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

fn total<'a>(cells: impl Iterator<Item = &'a Cell>) -> u64 {
    cells.map(|cell| u64::from(cell.count)).fold(0, u64::saturating_add)
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
        histogram.observe(Duration::from_millis(2));
        histogram.cells[0].count = u32::MAX;
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

    #[test]
    fn a_native_bucket_that_a_classic_bound_divides_is_one() {
        let mut histogram = Histogram::default();
        // Bucket -34 is (48.2 ms, 52.6 ms]; the bound of 50 ms lies in it.
        for millis in [49, 51, 51] {
            histogram.observe(Duration::from_millis(millis));
        }
        assert_eq!(histogram.native(), (vec![(-34, 1)], vec![3]));
        let filled: Vec<(f64, u64)> = histogram.buckets().filter(|(_, count)| *count > 0).collect();
        assert_eq!(filled, [(0.05, 1), (0.1, 2)]);
    }
}
