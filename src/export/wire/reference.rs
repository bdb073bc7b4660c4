//! The same families through the library `prometheus-client`: what the formats here are held to.

use std::fmt;
use std::sync::Mutex;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeMetric as _, MetricEncoder, NativeHistogram, NativeHistogramBuckets, NoLabelSet,
    prometheus_protobuf, text,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};

use super::protobuf::ZERO_THRESHOLD;
use super::{Head, Kind, Labels, Number, Series, Sink};
use crate::config::Histograms;
use crate::histogram::{Histogram, SCHEMA};

/// Keeps what it is told, for the library to write.
#[derive(Debug, Default)]
pub(in crate::export) struct Recorder(Vec<(Head, Mutex<Vec<Sample>>)>);

type Sample = (Vec<(String, String)>, Value);

#[derive(Debug)]
enum Value {
    Gauge(f64),
    Counter(Number),
    Histogram(Histogram, Histograms),
}

impl Recorder {
    pub(in crate::export) fn openmetrics(self) -> String {
        let mut out = String::new();
        text::encode(&mut out, &self.registry()).unwrap();
        out
    }

    pub(in crate::export) fn protobuf(self) -> Vec<u8> {
        prometheus_protobuf::encode_to_vec(&self.registry()).unwrap()
    }

    fn registry(self) -> Registry {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(self));
        registry
    }

    fn add(&mut self, series: Series<'_>, value: Value) {
        let identity = String::from_utf8(series.identity.to_vec()).unwrap();
        let parts: Vec<&str> = identity.split_terminator('\0').collect();
        let extra = series.extra.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let labels = parts.chunks(2).map(|pair| (pair[0].to_owned(), pair[1].to_owned())).chain(extra).collect();
        self.0.last().unwrap().1.lock().unwrap().push((labels, value));
    }
}

impl Sink for Recorder {
    fn labels(&self, labels: Labels<'_>) -> Vec<u8> {
        labels.iter().map(|(name, value)| format!("{name}\0{value}\0")).collect::<String>().into_bytes()
    }

    fn begin(&mut self, family: &Head) {
        self.0.push((*family, Mutex::default()));
    }

    fn gauge(&mut self, series: Series<'_>, value: f64) {
        self.add(series, Value::Gauge(value));
    }

    fn counter(&mut self, series: Series<'_>, value: Number) {
        self.add(series, Value::Counter(value));
    }

    fn histogram(&mut self, series: Series<'_>, histogram: &Histogram, shown: Histograms) {
        self.add(series, Value::Histogram(histogram.clone(), shown));
    }

    fn finish(&mut self) {}
}

impl Collector for Recorder {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for (head, samples) in &self.0 {
            let kind = match head.kind {
                Kind::Gauge => MetricType::Gauge,
                Kind::Counter => MetricType::Counter,
                Kind::Histogram => MetricType::Histogram,
            };
            // The encoder adds the unit and `_total` itself.
            let name = head.stem();
            let (name, unit) = match (name.strip_suffix("_seconds"), name.strip_suffix("_bytes")) {
                (Some(name), _) => (name, Some(&Unit::Seconds)),
                (_, Some(name)) => (name, Some(&Unit::Bytes)),
                _ => (name, None),
            };
            let mut family = encoder.encode_descriptor(name, head.help, unit, kind)?;
            for (labels, value) in samples.lock().unwrap().iter() {
                encode(family.encode_family(labels)?, value)?;
            }
        }
        Ok(())
    }
}

fn encode(mut encoder: MetricEncoder<'_>, value: &Value) -> fmt::Result {
    match value {
        Value::Gauge(value) => ConstGauge::new(*value).encode(encoder),
        Value::Counter(Number::Whole(value)) => ConstCounter::new(*value).encode(encoder),
        Value::Counter(Number::Real(value)) => ConstCounter::new(*value).encode(encoder),
        Value::Histogram(histogram, shown) => {
            let (sum, count) = (histogram.sum(), histogram.count());
            let classic: Vec<(f64, u64)> = histogram.buckets().filter(|_| shown.has_classic()).collect();
            if !shown.has_native() {
                return encoder.encode_histogram::<NoLabelSet>(sum, count, &classic, None);
            }
            let (spans, deltas) = histogram.native();
            let native = NativeHistogram {
                schema: SCHEMA.into(),
                zero_threshold: ZERO_THRESHOLD,
                zero_count: histogram.zeros(),
                negative: NativeHistogramBuckets { spans: &[], deltas: &[] },
                positive: NativeHistogramBuckets { spans: &spans, deltas: &deltas },
                created: None,
            };
            encoder.encode_histogram_with_native::<NoLabelSet>(sum, count, &classic, None, native)
        }
    }
}
