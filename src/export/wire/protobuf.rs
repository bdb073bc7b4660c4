//! Metrics as Protocol Buffers: messages `io.prometheus.client.MetricFamily`, each with its length before it.
//!
//! Only what `metrics.proto` calls for is written here: fields in the order of their numbers, none that has
//! its default (proto3). A family's length stands before it, so a family is held until it is whole.

use super::{Head, Kind, Labels, Number, Pieces, Series, Sink};
use crate::config::Histograms;
use crate::histogram::{Histogram, SCHEMA};

/// What Prometheus' libraries take for the breadth of the bucket of zeros.
pub(super) const ZERO_THRESHOLD: f64 = 2.938_735_877_055_719e-39;

/// Writes messages.
pub(in crate::export) struct Messages<'a> {
    pieces: Pieces<'a>,
    /// `None` before the first.
    family: Option<Head>,
    /// The metrics of the family so far, in whole pieces.
    metrics: Vec<Vec<u8>>,
    /// What follows them, less than a piece.
    growing: Vec<u8>,
    /// Where a metric is put together.
    metric: Vec<u8>,
    value: Vec<u8>,
}

impl<'a> Messages<'a> {
    pub(in crate::export) fn new(take: &'a mut dyn FnMut(Vec<u8>)) -> Self {
        Self {
            pieces: Pieces::new(take),
            family: None,
            metrics: Vec::new(),
            growing: Vec::new(),
            metric: Vec::new(),
            value: Vec::new(),
        }
    }

    /// Adds a metric, whose value is in `self.value` and has the field `field`.
    fn metric(&mut self, series: Series<'_>, field: u8) {
        self.metric.clear();
        self.metric.extend_from_slice(series.identity);
        labels(&mut self.metric, series.extra);
        bytes(&mut self.metric, field, &self.value);
        // MetricFamily.metric
        bytes(&mut self.growing, 4, &self.metric);
        super::cut(&mut self.growing, |piece| self.metrics.push(piece));
    }

    /// Writes the family that was begun, now that its length is known.
    fn end(&mut self) {
        let Some(family) = self.family.take() else { return };
        let (mut head, mut tail) = (Vec::new(), Vec::new());
        text(&mut head, 1, family.name);
        text(&mut head, 2, family.help);
        let kind = match family.kind {
            Kind::Counter => 0,
            Kind::Gauge => 1,
            Kind::Histogram => 4,
        };
        number(&mut head, 3, kind);
        text(&mut tail, 5, family.unit().unwrap_or_default());
        let parts = || std::iter::once(&head).chain(&self.metrics).chain([&self.growing, &tail]);
        let length = parts().map(Vec::len).fold(0, usize::saturating_add);
        varint(&mut self.pieces.buffer, length as u64);
        self.pieces.buffer.extend_from_slice(&head);
        if !self.metrics.is_empty() {
            // Whole pieces are given on as they are.
            self.pieces.finish();
            self.metrics.drain(..).for_each(|piece| (self.pieces.take)(piece));
        }
        self.pieces.buffer.append(&mut self.growing);
        self.pieces.buffer.extend_from_slice(&tail);
        self.pieces.cut();
    }
}

impl Sink for Messages<'_> {
    fn labels(&self, pairs: Labels<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        labels(&mut out, pairs);
        out
    }

    fn begin(&mut self, family: &Head) {
        self.end();
        self.family = Some(*family);
    }

    fn gauge(&mut self, series: Series<'_>, value: f64) {
        self.value.clear();
        double(&mut self.value, 1, value);
        self.metric(series, 2);
    }

    fn counter(&mut self, series: Series<'_>, value: Number) {
        self.value.clear();
        let value = match value {
            Number::Whole(value) => value as f64,
            Number::Real(value) => value,
        };
        double(&mut self.value, 1, value);
        self.metric(series, 3);
    }

    fn histogram(&mut self, series: Series<'_>, histogram: &Histogram, shown: Histograms) {
        self.value.clear();
        number(&mut self.value, 1, histogram.count());
        double(&mut self.value, 2, histogram.sum());
        if shown.has_classic() {
            classic(&mut self.value, histogram);
        }
        if shown.has_native() {
            native(&mut self.value, histogram);
        }
        self.metric(series, 7);
    }

    fn finish(&mut self) {
        self.end();
        self.pieces.finish();
    }
}

fn classic(out: &mut Vec<u8>, histogram: &Histogram) {
    let (mut bucket, mut total) = (Vec::new(), 0_u64);
    for (bound, count) in histogram.buckets() {
        total = total.saturating_add(count);
        bucket.clear();
        number(&mut bucket, 1, total);
        double(&mut bucket, 2, bound);
        bytes(out, 3, &bucket);
    }
}

fn native(out: &mut Vec<u8>, histogram: &Histogram) {
    let (spans, deltas) = histogram.native();
    number(out, 5, zigzag(SCHEMA.into()));
    double(out, 6, ZERO_THRESHOLD);
    number(out, 7, histogram.zeros());
    let mut scratch = Vec::new();
    for (offset, length) in &spans {
        scratch.clear();
        number(&mut scratch, 1, zigzag((*offset).into()));
        number(&mut scratch, 2, (*length).into());
        bytes(out, 12, &scratch);
    }
    scratch.clear();
    deltas.iter().for_each(|delta| varint(&mut scratch, zigzag(*delta)));
    if !scratch.is_empty() {
        bytes(out, 13, &scratch);
    }
}

/// Metric.label of each.
fn labels(out: &mut Vec<u8>, labels: Labels<'_>) {
    let mut pair = Vec::new();
    for (name, value) in labels {
        pair.clear();
        text(&mut pair, 1, name);
        text(&mut pair, 2, value);
        bytes(out, 1, &pair);
    }
}

/// The wire types of the encoding.
const VARINT: u8 = 0;
const FIXED_64: u8 = 1;
const LENGTH_DELIMITED: u8 = 2;

/// No field of ours has a number above 15, so that its tag is one byte.
fn tag(out: &mut Vec<u8>, field: u8, wire: u8) {
    out.push((field << 3) | wire);
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value > 0x7f {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

fn number(out: &mut Vec<u8>, field: u8, value: u64) {
    if value != 0 {
        tag(out, field, VARINT);
        varint(out, value);
    }
}

fn double(out: &mut Vec<u8>, field: u8, value: f64) {
    if value != 0.0 {
        tag(out, field, FIXED_64);
        out.extend_from_slice(&value.to_le_bytes());
    }
}

fn text(out: &mut Vec<u8>, field: u8, value: &str) {
    if !value.is_empty() {
        bytes(out, field, value.as_bytes());
    }
}

fn bytes(out: &mut Vec<u8>, field: u8, value: &[u8]) {
    tag(out, field, LENGTH_DELIMITED);
    varint(out, value.len() as u64);
    out.extend_from_slice(value);
}
