//! Metrics as lines: OpenMetrics 1.0, and the Prometheus text format 0.0.4.
//!
//! The two differ in little: in OpenMetrics a counter's family is named without `_total`, units are declared,
//! and the end is marked. Neither can carry a native histogram.

use super::{Head, Kind, Labels, Number, Pieces, Series, Sink};
use crate::config::Histograms;
use crate::histogram::Histogram;

/// Writes lines.
pub(in crate::export) struct Lines<'a> {
    pieces: Pieces<'a>,
    openmetrics: bool,
    name: &'static str,
}

impl<'a> Lines<'a> {
    /// OpenMetrics 1.0, or else the format 0.0.4.
    pub(in crate::export) fn new(openmetrics: bool, take: &'a mut dyn FnMut(Vec<u8>)) -> Self {
        Self { pieces: Pieces::new(take), openmetrics, name: "" }
    }

    fn text(&mut self, texts: &[&str]) {
        texts.iter().for_each(|text| self.pieces.buffer.extend_from_slice(text.as_bytes()));
    }

    /// The name and the labels, up to the value.
    fn series(&mut self, suffix: &str, bound: Option<f64>, series: Series<'_>) {
        let out = &mut self.pieces.buffer;
        out.extend_from_slice(self.name.as_bytes());
        out.extend_from_slice(suffix.as_bytes());
        out.push(b'{');
        let mut separate = false;
        if let Some(bound) = bound {
            out.extend_from_slice(b"le=\"");
            if bound.is_infinite() {
                out.extend_from_slice(b"+Inf")
            } else {
                real(out, bound)
            }
            out.push(b'"');
            separate = true;
        }
        if !series.identity.is_empty() {
            if separate {
                out.push(b',');
            }
            out.extend_from_slice(series.identity);
            separate = true;
        }
        labels(out, series.extra, separate);
        out.extend_from_slice(b"} ");
    }

    fn end(&mut self) {
        self.pieces.buffer.push(b'\n');
        self.pieces.cut();
    }
}

impl Sink for Lines<'_> {
    fn labels(&self, pairs: Labels<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        labels(&mut out, pairs, false);
        out
    }

    fn begin(&mut self, family: &Head) {
        self.name = family.name;
        let name = if self.openmetrics { family.stem() } else { family.name };
        let kind = match family.kind {
            Kind::Gauge => "gauge",
            Kind::Counter => "counter",
            Kind::Histogram => "histogram",
        };
        self.text(&["# HELP ", name, " ", family.help, "\n# TYPE ", name, " ", kind, "\n"]);
        if let Some(unit) = family.unit().filter(|_| self.openmetrics) {
            self.text(&["# UNIT ", name, " ", unit, "\n"]);
        }
    }

    fn gauge(&mut self, series: Series<'_>, value: f64) {
        self.series("", None, series);
        real(&mut self.pieces.buffer, value);
        self.end();
    }

    fn counter(&mut self, series: Series<'_>, value: Number) {
        self.series("", None, series);
        match value {
            Number::Whole(value) => whole(&mut self.pieces.buffer, value),
            Number::Real(value) => real(&mut self.pieces.buffer, value),
        }
        self.end();
    }

    fn histogram(&mut self, series: Series<'_>, histogram: &Histogram, shown: Histograms) {
        self.series("_sum", None, series);
        real(&mut self.pieces.buffer, histogram.sum());
        self.end();
        self.series("_count", None, series);
        whole(&mut self.pieces.buffer, histogram.count());
        self.end();
        if !shown.has_classic() {
            return;
        }
        let mut total = 0_u64;
        for (bound, count) in histogram.buckets() {
            total = total.saturating_add(count);
            self.series("_bucket", Some(bound), series);
            whole(&mut self.pieces.buffer, total);
            self.end();
        }
    }

    fn finish(&mut self) {
        if self.openmetrics {
            self.text(&["# EOF\n"]);
        }
        self.pieces.finish();
    }
}

fn labels(out: &mut Vec<u8>, labels: Labels<'_>, mut separate: bool) {
    for (name, value) in labels {
        if separate {
            out.push(b',');
        }
        separate = true;
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"=\"");
        escaped(out, value);
        out.push(b'"');
    }
}

fn escaped(out: &mut Vec<u8>, value: &str) {
    if !value.bytes().any(|byte| matches!(byte, b'\\' | b'"' | b'\n')) {
        return out.extend_from_slice(value.as_bytes());
    }
    for byte in value.bytes() {
        match byte {
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'"' => out.extend_from_slice(b"\\\""),
            b'\n' => out.extend_from_slice(b"\\n"),
            byte => out.push(byte),
        }
    }
}

fn whole(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// The shortest text that reads as the same number. Most are whole, and small.
fn real(out: &mut Vec<u8>, value: f64) {
    if value.fract() == 0.0 && (0.0..1e15).contains(&value) {
        whole(out, value as u64);
        out.extend_from_slice(b".0");
    } else {
        out.extend_from_slice(dtoa::Buffer::new().format(value).as_bytes());
    }
}
