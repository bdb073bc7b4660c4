//! Where the time of a probe went, as pictures: one bar in the list, a water fall on the endpoint's page.
//!
//! Widths are attributes of SVG, since the page's policy allows no `style` attribute.

use std::time::Duration;

use super::markup::Html;
use crate::export::time::short;
use crate::outcome::{Outcome, phase_of};
use crate::phase::Phase;

/// How wide a picture is in its own units.
const WIDTH: f64 = 1000.0;

/// What a phase has at least, so that none is invisible.
const LEAST: f64 = 8.0;

/// The part of a picture that is one phase.
struct Segment {
    phase: Phase,
    time: Duration,
    from: f64,
    width: f64,
    failed: bool,
}

fn segments(outcome: &Outcome) -> Vec<Segment> {
    let phases = &outcome.findings.phases;
    let total: f64 = phases.iter().map(|(_, time)| time.as_secs_f64()).sum();
    let shared = WIDTH - LEAST * phases.len() as f64;
    let failed = outcome.failure.as_ref().map(|failure| failure.phase);
    let mut from = 0.0;
    let mut segments = Vec::new();
    for (phase, time) in phases {
        let share = if total > 0.0 { time.as_secs_f64() / total } else { 0.0 };
        let width = LEAST + shared * share;
        segments.push(Segment { phase: *phase, time: *time, from, width, failed: failed == Some(*phase) });
        from += width;
    }
    segments
}

/// All phases in one bar.
pub(super) fn bar(html: &mut Html, outcome: &Outcome) {
    let segments = segments(outcome);
    picture(html, &title(&segments), &segments);
}

/// One row a phase: its name, where in the whole it lies, its time, and the reply that ended it.
pub(super) fn waterfall(html: &mut Html, outcome: &Outcome) {
    let codes = &outcome.findings.smtp.codes;
    for segment in segments(outcome) {
        let code = codes.iter().find(|(step, _)| phase_of(*step) == segment.phase);
        html.element("tr", if segment.failed { &[("class", "failed")] } else { &[] }, |html| {
            html.leaf("th", &[("scope", "row"), ("class", "nowrap")], segment.phase.as_str());
            html.element("td", &[("class", "wide")], |html| picture(html, "", std::slice::from_ref(&segment)));
            html.leaf("td", &[("class", "number")], &short(segment.time));
            html.leaf("td", &[("class", "number")], &code.map(|(_, code)| format!("{code:03}")).unwrap_or_default());
        });
    }
}

/// Which colour is which phase.
pub(super) fn legend(html: &mut Html) {
    html.element("p", &[("class", "legend")], |html| {
        for phase in Phase::ALL {
            html.element("span", &[], |html| {
                let attributes = [("class", "key"), ("viewBox", "0 0 10 10"), ("aria-hidden", "true")];
                html.element("svg", &attributes, |html| rect(html, phase, false, "0", "10"));
                html.text(phase.as_str());
            });
        }
    });
}

fn title(segments: &[Segment]) -> String {
    let parts: Vec<String> = segments.iter().map(|one| format!("{} {}", one.phase, short(one.time))).collect();
    parts.join(", ")
}

/// Without a title, it is no more than an ornament beside the figures.
fn picture(html: &mut Html, title: &str, segments: &[Segment]) {
    let what = if title.is_empty() { ("aria-hidden", "true") } else { ("role", "img") };
    let attributes = [("class", "bar"), ("viewBox", "0 0 1000 10"), ("preserveAspectRatio", "none"), what];
    html.element("svg", &attributes, |html| {
        if !title.is_empty() {
            html.leaf("title", &[], title);
        }
        for one in segments {
            rect(html, one.phase, one.failed, &format!("{:.0}", one.from), &format!("{:.0}", one.width));
        }
    });
}

fn rect(html: &mut Html, phase: Phase, failed: bool, from: &str, width: &str) {
    let class = if failed { "failed" } else { phase.as_str() };
    html.void("rect", &[("class", class), ("x", from), ("width", width), ("height", "10")]);
}
