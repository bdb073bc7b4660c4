//! Metrics as pages: every family of the [`catalogue`], filled from the [`rows`], in each format.

mod catalogue;
mod rows;

use std::fmt;
use std::sync::Arc;

use catalogue::{DOMAIN_FAMILIES, ENDPOINT_FAMILIES, GROUP_FAMILIES, OWN_FAMILIES};
use rows::{domain_identity, groups, views};

use super::wire::lines::Lines;
use super::wire::protobuf::Messages;
use super::wire::{Head, Kind, Labels, Number, Series, Sink};
use crate::config::Histograms;
use crate::histogram::Histogram;
use crate::outcome::Outcome;
use crate::store::{History, Snapshot};

/// How metrics are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exposition {
    /// OpenMetrics 1.0 text.
    OpenMetrics,
    /// The Prometheus text format 0.0.4.
    Text,
    /// Length-delimited `io.prometheus.client.MetricFamily` messages.
    Protobuf,
}

/// Writes all families of a snapshot, and gives the page away in pieces.
pub fn write(snapshot: &Snapshot, histograms: Histograms, how: Exposition, take: &mut dyn FnMut(Vec<u8>)) {
    match how {
        Exposition::OpenMetrics => page(snapshot, in_text(histograms), true, &mut Lines::new(true, take)),
        Exposition::Text => page(snapshot, in_text(histograms), true, &mut Lines::new(false, take)),
        Exposition::Protobuf => page(snapshot, histograms, true, &mut Messages::new(take)),
    }
}

/// Text cannot carry native histograms.
fn in_text(histograms: Histograms) -> Histograms {
    if histograms.has_classic() { Histograms::Classic } else { Histograms::None }
}

/// The families of single outcomes alone, without the exporter's own, as OpenMetrics 1.0 text.
pub fn outcomes_openmetrics(outcomes: Vec<Outcome>) -> String {
    let endpoints = outcomes.into_iter().map(|outcome| Arc::new(History::from(outcome))).collect();
    let snapshot = Snapshot { endpoints, ..Snapshot::default() };
    let mut out = Vec::new();
    page(&snapshot, Histograms::None, false, &mut Lines::new(true, &mut |piece| out.extend(piece)));
    // Made of text alone.
    String::from_utf8(out).unwrap_or_default()
}

/// Every family in order; `own` are those of the exporter itself.
fn page(snapshot: &Snapshot, histograms: Histograms, own: bool, sink: &mut dyn Sink) {
    let views = views(snapshot, sink);
    for family in ENDPOINT_FAMILIES.iter().filter(|family| family.is_shown(histograms)) {
        sink.begin(&family.head);
        for view in &views {
            let mut samples = Samples { sink: &mut *sink, identity: &view.labels, histograms };
            // Writing to memory cannot fail.
            let _ = (family.write)(view, &mut samples);
        }
    }
    let groups = groups(&views, sink);
    for family in GROUP_FAMILIES {
        sink.begin(&family.head);
        for group in &groups {
            let mut samples = Samples { sink: &mut *sink, identity: &group.labels, histograms };
            let _ = (family.write)(group, &mut samples);
        }
    }
    let domains: Vec<_> = snapshot.domains.iter().map(|facts| (domain_identity(facts, sink), facts)).collect();
    for family in DOMAIN_FAMILIES {
        sink.begin(&family.head);
        for (labels, facts) in &domains {
            let _ = (family.write)(facts, &mut Samples { sink: &mut *sink, identity: labels, histograms });
        }
    }
    for family in OWN_FAMILIES.iter().filter(|family| own && family.is_shown(histograms)) {
        sink.begin(&family.head);
        let _ = (family.write)(snapshot, &mut Samples { sink: &mut *sink, identity: &[], histograms });
    }
    sink.finish();
}

/// A family and how it is filled from `T`.
struct Family<T> {
    head: Head,
    write: fn(&T, &mut Samples<'_>) -> fmt::Result,
}

impl<T> Family<T> {
    fn is_shown(&self, histograms: Histograms) -> bool {
        histograms != Histograms::None || self.head.kind != Kind::Histogram
    }
}

/// Where the samples of one family and endpoint go.
struct Samples<'a> {
    sink: &'a mut dyn Sink,
    identity: &'a [u8],
    histograms: Histograms,
}

impl Samples<'_> {
    fn gauge(&mut self, extra: Labels<'_>, value: f64) -> fmt::Result {
        self.sink.gauge(Series { identity: self.identity, extra }, value);
        Ok(())
    }

    fn flag(&mut self, extra: Labels<'_>, value: bool) -> fmt::Result {
        self.gauge(extra, f64::from(u8::from(value)))
    }

    /// A gauge only if there is a value.
    fn maybe(&mut self, value: Option<f64>) -> fmt::Result {
        value.map_or(Ok(()), |value| self.gauge(&[], value))
    }

    fn counter(&mut self, extra: Labels<'_>, value: impl Into<Number>) -> fmt::Result {
        self.sink.counter(Series { identity: self.identity, extra }, value.into());
        Ok(())
    }

    fn histogram(&mut self, extra: Labels<'_>, histogram: &Histogram) -> fmt::Result {
        self.sink.histogram(Series { identity: self.identity, extra }, histogram, self.histograms);
        Ok(())
    }
}

/// The names of all families, for tests and documentation.
pub fn family_names() -> impl Iterator<Item = &'static str> {
    let groups = GROUP_FAMILIES.iter().map(|family| family.head.name);
    let own = DOMAIN_FAMILIES.iter().map(|family| family.head.name);
    let own = own.chain(OWN_FAMILIES.iter().map(|family| family.head.name));
    ENDPOINT_FAMILIES.iter().map(|family| family.head.name).chain(groups).chain(own)
}

#[cfg(test)]
mod tests;
