//! The formats of metrics on the wire, written as they go.
//!
//! - [`lines`]: OpenMetrics 1.0 and the Prometheus text format 0.0.4.
//! - [`protobuf`]: Prometheus' `io.prometheus.client`, which alone carries native histograms.
//!
//! A page of ten thousand endpoints has a million lines. So nothing is built before it is written: the labels
//! of an endpoint are encoded once for all its series, and what is written leaves in pieces of bounded size.
//! A test holds every byte to what the library `prometheus-client` writes.

pub(super) mod lines;
pub(super) mod protobuf;
#[cfg(test)]
pub(super) mod reference;

use crate::config::Histograms;
use crate::histogram::Histogram;

/// What a family is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Gauge,
    Counter,
    Histogram,
}

/// What stands above the samples of a family.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    /// With its unit, and with `_total` for a counter.
    pub name: &'static str,
    pub kind: Kind,
    pub help: &'static str,
}

impl Head {
    /// The unit that the name ends in.
    fn unit(&self) -> Option<&'static str> {
        ["seconds", "bytes"].into_iter().find(|unit| self.stem().strip_suffix(unit).is_some_and(|n| n.ends_with('_')))
    }

    /// The name without a counter's `_total`.
    fn stem(&self) -> &'static str {
        self.name.strip_suffix("_total").filter(|_| self.kind == Kind::Counter).unwrap_or(self.name)
    }
}

/// Names and values of labels.
pub(super) type Labels<'a> = &'a [(&'a str, &'a str)];

/// The labels of a sample.
#[derive(Clone, Copy)]
pub(super) struct Series<'a> {
    /// As [`Sink::labels`] has encoded them.
    pub identity: &'a [u8],
    pub extra: Labels<'a>,
}

/// The value of a counter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Number {
    Whole(u64),
    Real(f64),
}

impl From<u64> for Number {
    fn from(value: u64) -> Self {
        Self::Whole(value)
    }
}

impl From<f64> for Number {
    fn from(value: f64) -> Self {
        Self::Real(value)
    }
}

/// Where families and their samples go, in order.
pub(super) trait Sink {
    /// Encodes labels that many samples will have.
    fn labels(&self, labels: Labels<'_>) -> Vec<u8>;

    /// A family begins, and the one before has ended.
    fn begin(&mut self, family: &Head);

    fn gauge(&mut self, series: Series<'_>, value: f64);

    fn counter(&mut self, series: Series<'_>, value: Number);

    fn histogram(&mut self, series: Series<'_>, histogram: &Histogram, shown: Histograms);

    /// All is written.
    fn finish(&mut self);
}

/// The size of a piece. Allocators have a class of this size, so that none of it is wasted.
const PIECE: usize = 64 * 1024;

/// Room for a sample that begins in one piece and ends in the next.
const SAMPLE: usize = 8 * 1024;

/// Takes what is written, and gives it on in pieces.
pub(super) struct Pieces<'a> {
    buffer: Vec<u8>,
    take: &'a mut dyn FnMut(Vec<u8>),
}

impl<'a> Pieces<'a> {
    fn new(take: &'a mut dyn FnMut(Vec<u8>)) -> Self {
        Self { buffer: Vec::with_capacity(PIECE.saturating_add(SAMPLE)), take }
    }

    /// Gives whole pieces on.
    fn cut(&mut self) {
        cut(&mut self.buffer, &mut self.take);
    }

    /// Gives on what there is.
    fn finish(&mut self) {
        (self.take)(self.buffer.clone());
        self.buffer.clear();
    }
}

/// Cuts whole pieces off the front of a buffer, which is small and stays where it is.
fn cut(buffer: &mut Vec<u8>, mut take: impl FnMut(Vec<u8>)) {
    while let Some((piece, _)) = buffer.split_at_checked(PIECE) {
        take(piece.to_vec());
        buffer.drain(..PIECE);
    }
}
