//! What stands on top of the list: how all endpoints are, why those fail that do, and which certificates
//! end first.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use super::list::address;
use super::markup::Html;
use super::query::{Filter, Query};
use super::row::{Remaining, Row, State, unix};
use super::table::readable;
use crate::export::time::rfc3339;
use crate::outcome::failure::Reason;
use crate::outcome::port_state::PortState;
use crate::store::Snapshot;

/// The most certificates shown, and the most reasons.
const TOP: usize = 6;

/// The whole summary.
pub(super) fn summary(html: &mut Html, snapshot: &Snapshot, rows: &[Row<'_>], query: &Query, now: SystemTime) {
    let counts = Counts::of(rows);
    html.element("section", &[("class", "summary"), ("aria-label", "Summary")], |html| {
        html.element("div", &[("class", "card verdict")], |html| {
            verdict(html, &counts, query);
            warnings(html, snapshot, rows, query);
            html.element("p", &[("class", "muted")], |html| moment(html, now, query));
        });
        reasons(html, rows, query);
        certificates(html, rows, now);
    });
}

/// How many endpoints are how.
pub(super) struct Counts {
    all: usize,
    ok: usize,
    failed: usize,
    pending: usize,
}

impl Counts {
    pub(super) fn of(rows: &[Row<'_>]) -> Self {
        let count = |state| rows.iter().filter(|row| row.state() == state).count();
        Self { all: rows.len(), ok: count(State::Ok), failed: count(State::Failed), pending: count(State::Pending) }
    }

    /// All in one line.
    pub(super) fn headline(&self) -> String {
        let Self { all, ok, failed, pending } = self;
        match (all, failed, pending) {
            (0, ..) => "No endpoints".to_owned(),
            (1, 0, 0) => "The endpoint is ok".to_owned(),
            (_, 0, 0) => format!("All {all} endpoints are ok"),
            (_, 0, pending) if pending == all => format!("{} not probed yet", endpoints(*all)),
            (_, 0, _) => format!("{ok} of {} ok so far", endpoints(*all)),
            (1, ..) => "The endpoint failed".to_owned(),
            (_, failed, _) if failed == all => format!("All {all} endpoints failed"),
            (_, failed, _) => format!("{failed} of {} failed", endpoints(*all)),
        }
    }

    /// The state of the worst.
    pub(super) fn worst(&self) -> State {
        match (self.failed, self.pending) {
            (0, 0) => State::Ok,
            (0, _) => State::Pending,
            _ => State::Failed,
        }
    }
}

/// `1 endpoint`, `7 endpoints`.
pub(super) fn endpoints(count: usize) -> String {
    format!("{count} endpoint{}", if count == 1 { "" } else { "s" })
}

fn verdict(html: &mut Html, counts: &Counts, query: &Query) {
    html.leaf("h1", &[("class", counts.worst().as_str())], &counts.headline());
    proportions(html, counts);
    html.element("ul", &[("class", "counts")], |html| {
        let all = [(State::Failed, counts.failed), (State::Pending, counts.pending), (State::Ok, counts.ok)];
        for (state, count) in all.into_iter().filter(|(_, count)| *count > 0) {
            html.element("li", &[("class", state.as_str())], |html| {
                html.leaf("b", &[], &count.to_string());
                let filter = Filter::State(state);
                html.link(&query.filtered(filter).address(), filter.title());
            });
        }
    });
}

/// What no single endpoint can tell.
fn warnings(html: &mut Html, snapshot: &Snapshot, rows: &[Row<'_>], query: &Query) {
    let blocked: BTreeSet<u16> = rows
        .iter()
        .filter(|row| row.port == Some(PortState::EgressBlocked))
        .map(|row| row.history.endpoint.port)
        .collect();
    for port in blocked {
        html.element("p", &[], |html| {
            html.leaf("strong", &[("class", "bad")], &format!("Port {port} is blocked on our side"));
            html.text(": no host answers on it, while others of their ports are open. ");
            html.link(&query.searching(&format!("egress_blocked :{port}")).address(), "Which");
        });
    }
    if snapshot.exporter.loaded.is_some() && !snapshot.exporter.load_successful {
        let text = "The configuration has errors and was not loaded again; the one before it is in force.";
        html.leaf("p", &[("class", "warn")], text);
    }
}

/// When the page was made, and how to have it made again and again.
fn moment(html: &mut Html, now: SystemTime, query: &Query) {
    let at = rfc3339(unix(now)).unwrap_or_default();
    html.text("as of ");
    html.leaf("time", &[("datetime", &at)], &readable(&at));
    html.text(" · ");
    let (refresh, text) = match query.refresh {
        None => (Some(30), "reload every 30 s".to_owned()),
        Some(seconds) => (None, format!("reloads every {seconds} s, stop")),
    };
    html.link(&Query { refresh, ..query.clone() }.address(), &text);
}

fn proportions(html: &mut Html, counts: &Counts) {
    let share = |count: usize| 1000.0 * count as f64 / counts.all.max(1) as f64;
    let attributes = [("class", "bar"), ("viewBox", "0 0 1000 10"), ("preserveAspectRatio", "none")];
    html.element("svg", &[&attributes[..], &[("aria-hidden", "true")]].concat(), |html| {
        let mut from = 0.0;
        for (state, count) in [("failed", counts.failed), ("pending", counts.pending), ("ok", counts.ok)] {
            let (x, width) = (format!("{from:.0}"), format!("{:.0}", share(count)));
            html.void("rect", &[("class", state), ("x", &x), ("width", &width), ("height", "10")]);
            from += share(count);
        }
    });
}

/// The reasons of the failures, the most frequent first.
pub(super) fn count_reasons(rows: &[Row<'_>]) -> Vec<(Reason, usize)> {
    let mut counts: BTreeMap<Reason, usize> = BTreeMap::new();
    for failure in rows.iter().filter_map(Row::failure) {
        let count = counts.entry(failure.reason).or_default();
        *count = count.saturating_add(1);
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| Reverse(*count));
    counts
}

fn reasons(html: &mut Html, rows: &[Row<'_>], query: &Query) {
    let counts = count_reasons(rows);
    if counts.is_empty() {
        return;
    }
    html.element("div", &[("class", "card")], |html| {
        html.leaf("h2", &[], "Failures by reason");
        html.element("ul", &[("class", "figures")], |html| {
            for (reason, count) in counts.iter().take(TOP) {
                html.element("li", &[], |html| {
                    html.leaf("span", &[("class", "number")], &count.to_string());
                    html.link(&query.filtered(Filter::Reason(*reason)).address(), reason.as_str());
                });
            }
            if let Some(rest @ 1..) = counts.len().checked_sub(TOP) {
                let more = format!("and {rest} more reason{}", if rest == 1 { "" } else { "s" });
                html.element("li", &[("class", "muted")], |html| {
                    html.element("span", &[], |_| {});
                    html.leaf("span", &[], &more);
                });
            }
        });
    });
}

/// The certificates that end first, each once however many endpoints show it.
fn certificates(html: &mut Html, rows: &[Row<'_>], now: SystemTime) {
    let mut seen: BTreeMap<&str, (Remaining, &Row<'_>, Vec<&Row<'_>>)> = BTreeMap::new();
    for row in rows {
        if let (Some(left), Some(sha256)) = (row.certificate, row.certificate_sha256()) {
            seen.entry(sha256).and_modify(|(_, _, others)| others.push(row)).or_insert((left, row, Vec::new()));
        }
    }
    let mut seen: Vec<_> = seen.into_values().collect();
    seen.sort_by_key(|(left, row, _)| (left.seconds, row.position));
    if seen.is_empty() {
        return;
    }
    html.element("div", &[("class", "card certificates")], |html| {
        html.leaf("h2", &[], "Certificates ending first");
        html.element("ul", &[("class", "figures")], |html| {
            for (left, row, others) in seen.iter().take(TOP) {
                html.element("li", &[], |html| {
                    let class = format!("number {}", left.level.as_str());
                    html.leaf("span", &[("class", &class)], &left.text(unix(now)));
                    html.element("span", &[], |html| {
                        html.link(&address(row), row.target().as_str());
                        shown_at(html, row, others.len());
                    });
                });
            }
        });
    });
}

/// The port at which a certificate was seen, and at how many endpoints more.
fn shown_at(html: &mut Html, row: &Row<'_>, others: usize) {
    let port = row.history.endpoint.port;
    if others == 0 {
        html.leaf("small", &[("class", "muted")], &format!(":{port}"));
    } else {
        let title = format!("and {others} more with the same certificate");
        html.leaf("small", &[("class", "muted"), ("title", &title)], &format!(":{port} +{others}"));
    }
}
