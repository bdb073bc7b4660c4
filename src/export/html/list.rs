//! The page of all endpoints: below the summary the form and the table.

use std::time::SystemTime;

use super::Shell;
use super::domains;
use super::markup::Html;
use super::phases;
use super::query::{Filter, Query, Sort, sort_rows};
use super::row::{Row, State, brief, rows, unix};
use super::summary::{Counts, count_reasons, endpoints, summary};
use crate::export::time::{rfc3339, short};
use crate::mail::Printable;
use crate::outcome::Outcome;
use crate::outcome::failure::Reason;
use crate::outcome::port_state::PortState;
use crate::store::Snapshot;

/// The most rows on a page.
const ROWS: usize = 500;

/// The columns: the heading, and the order that a click on it asks for.
const COLUMNS: [(&str, Option<Sort>); 8] = [
    ("State", Some(Sort::State)),
    ("Endpoint", Some(Sort::Target)),
    ("Last probe", Some(Sort::Duration)),
    ("Port", None),
    ("Offers", None),
    ("Certificate", Some(Sort::Certificate)),
    ("Probed", Some(Sort::Probed)),
    ("Success", Some(Sort::Success)),
];

/// The whole page.
pub(super) fn page(snapshot: &Snapshot, query: &Query, now: SystemTime) -> String {
    let rows = rows(snapshot, now);
    let counts = Counts::of(&rows);
    let title = format!("{} · mail endpoints", counts.headline());
    let shell = Shell { title: &title, state: Some(counts.worst()), root: "", refresh: query.refresh };
    shell.page(|html| {
        summary(html, snapshot, &rows, query, now);
        if rows.is_empty() {
            let text = if snapshot.searching {
                "DNS is being asked what to probe."
            } else {
                "Nothing is probed: name targets in the configuration."
            };
            html.leaf("p", &[], text);
            return;
        }
        form(html, &rows, query);
        let mut shown: Vec<Row<'_>> = rows.iter().filter(|row| query.admits(row)).cloned().collect();
        sort_rows(&mut shown, query);
        table(html, &shown, rows.len(), query, now);
        pages(html, shown.len(), query);
        phases::legend(html);
        domains::section(html, snapshot);
    })
}

fn form(html: &mut Html, rows: &[Row<'_>], query: &Query) {
    html.element("form", &[("method", "get"), ("action", "./"), ("role", "search")], |html| {
        field(html, "Search", |html| {
            let hint = "target, host, label, reason …";
            let attributes = [("type", "search"), ("name", "q"), ("maxlength", "200"), ("placeholder", hint)];
            html.void("input", &[&attributes[..], &[("value", query.words.as_str())]].concat());
        });
        field(html, "Show", |html| {
            html.element("select", &[("name", "filter")], |html| {
                for filter in [Filter::All].into_iter().chain(Filter::WORDS) {
                    option(html, filter.as_str(), filter.title(), query.filter == filter);
                }
                let mut reasons: Vec<Reason> = count_reasons(rows).into_iter().map(|(reason, _)| reason).collect();
                if let Filter::Reason(asked) = query.filter
                    && !reasons.contains(&asked)
                {
                    reasons.push(asked);
                }
                for reason in reasons {
                    option(html, reason.as_str(), reason.as_str(), query.filter == Filter::Reason(reason));
                }
            });
        });
        field(html, "Order", |html| {
            html.element("select", &[("name", "sort")], |html| {
                for sort in Sort::ALL {
                    option(html, sort.as_str(), sort.title(), query.sort == sort && !query.reverse);
                }
                if query.reverse {
                    option(html, &query.sort_value(), &format!("{}, reversed", query.sort.title()), true);
                }
            });
        });
        if let Some(seconds) = query.refresh {
            html.void("input", &[("type", "hidden"), ("name", "refresh"), ("value", &seconds.to_string())]);
        }
        html.leaf("button", &[], "Apply");
        if query.filter != Filter::All || !query.words.is_empty() {
            html.link(&query.filtered(Filter::All).address(), "Show all");
        }
    });
}

fn field(html: &mut Html, name: &str, content: impl FnOnce(&mut Html)) {
    html.element("label", &[], |html| {
        html.leaf("span", &[], name);
        content(html);
    });
}

fn option(html: &mut Html, value: &str, text: &str, selected: bool) {
    let selected: &[(&str, &str)] = if selected { &[("selected", "selected")] } else { &[] };
    html.leaf("option", &[&[("value", value)], selected].concat(), text);
}

fn table(html: &mut Html, shown: &[Row<'_>], all: usize, query: &Query, now: SystemTime) {
    let first = query.page.saturating_sub(1).saturating_mul(ROWS);
    let part = shown.get(first..).unwrap_or_default();
    let part = part.get(..ROWS).unwrap_or(part);
    html.element("table", &[("class", "endpoints")], |html| {
        html.leaf("caption", &[], &caption(part.len(), first, shown.len(), all, query));
        html.element("thead", &[], |html| html.element("tr", &[], |html| headings(html, query)));
        for row in part {
            html.element("tbody", &[("class", row.state().as_str())], |html| {
                html.element("tr", &[], |html| cells(html, row, now));
                failure(html, row);
            });
        }
    });
}

fn caption(part: usize, first: usize, shown: usize, all: usize, query: &Query) -> String {
    let order = format!("{}{}", query.sort.title(), if query.reverse { ", reversed" } else { "" });
    let which = match (part, shown) {
        (0, 0) => return format!("None of {} matches", endpoints(all)),
        (0, _) => return format!("There is no page {}", query.page),
        (part, shown) if part < shown => {
            format!("{}–{} of {}", first.saturating_add(1), first.saturating_add(part), endpoints(shown))
        }
        (_, shown) if shown < all => format!("{shown} of {}", endpoints(all)),
        (_, shown) => endpoints(shown),
    };
    format!("{which}, {order}")
}

fn headings(html: &mut Html, query: &Query) {
    for (title, sort) in COLUMNS {
        let active = sort == Some(query.sort);
        let order = if query.sort.descends() != query.reverse { "descending" } else { "ascending" };
        let mark: &[(&str, &str)] = if active { &[("aria-sort", order)] } else { &[] };
        html.element("th", &[&[("scope", "col")], mark].concat(), |html| match sort {
            // A click on the order in force turns it round.
            Some(sort) => html.link(&query.sorted(sort, active && !query.reverse).address(), title),
            None => html.text(title),
        });
    }
}

/// The address of an endpoint's page, seen from the list.
pub(super) fn address(row: &Row<'_>) -> String {
    format!("endpoint/{}", row.history.endpoint.id())
}

/// A cell; on a narrow screen its heading stands in front of it.
fn cell(html: &mut Html, column: usize, class: &str, content: impl FnOnce(&mut Html)) {
    let heading = COLUMNS.get(column).map_or("", |(title, _)| title);
    html.element("td", &[("class", class), ("data-column", heading)], content);
}

/// A cell's second line.
fn below(html: &mut Html, class: &str, text: &str) {
    html.leaf("small", &[("class", class)], text);
}

fn cells(html: &mut Html, row: &Row<'_>, now: SystemTime) {
    cell(html, 0, "state", |html| badge(html, row.state()));
    html.element("th", &[("scope", "row")], |html| {
        html.element("a", &[("href", &address(row))], |html| html.host(row.target().as_str()));
        html.element("small", &[("class", "host")], |html| html.host(&row.history.endpoint.title()));
    });
    let Some(outcome) = row.outcome else {
        html.leaf("td", &[("colspan", "6"), ("class", "muted")], "not probed yet");
        return;
    };
    cell(html, 2, "time", |html| {
        phases::bar(html, outcome);
        html.leaf("span", &[("class", "number")], &short(outcome.findings.duration));
    });
    cell(html, 3, "port", |html| port(html, row.port));
    cell(html, 4, "offers", |html| offers(html, outcome));
    cell(html, 5, "certificate", |html| certificate(html, row, unix(now)));
    cell(html, 6, if row.is_stale() { "number warn" } else { "number" }, |html| {
        let at = rfc3339(unix(outcome.findings.ended)).unwrap_or_default();
        let age = row.age().map(brief).unwrap_or_default();
        html.leaf("time", &[("datetime", &at)], &format!("{age} ago"));
    });
    cell(html, 7, "number", |html| {
        html.text(&row.success_text().unwrap_or_default());
        below(html, "muted", &format!("of {}", row.history.attempts));
    });
}

/// How an endpoint is, in a word.
pub(super) fn badge(html: &mut Html, state: State) {
    html.leaf("span", &[("class", &format!("badge {}", state.as_str()))], state.badge());
}

/// The verdict on the port; all but `open` stand out.
pub(super) fn port(html: &mut Html, port: Option<PortState>) {
    let class = match port {
        Some(PortState::Open) => "open",
        Some(PortState::Unknown) | None => "warn",
        Some(_) => "bad",
    };
    html.leaf("span", &[("class", class)], &port.map_or("", PortState::as_str).replace('_', " "));
}

/// STARTTLS, the version of TLS, AUTH and SIZE in two short lines.
fn offers(html: &mut Html, outcome: &Outcome) {
    let smtp = &outcome.findings.smtp;
    let version = outcome.findings.tls.as_ref().map(|tls| tls.version.as_str().replace("TLSv", "TLS "));
    let starttls = smtp.clear.as_ref().map(|clear| if clear.starttls { "STARTTLS" } else { "no STARTTLS" });
    html.text(&match (starttls, version) {
        (Some(starttls), Some(version)) => format!("{starttls}, {version}"),
        (Some(starttls), None) => starttls.to_owned(),
        (None, Some(version)) => format!("implicit {version}"),
        (None, None) => String::new(),
    });
    let Some(last) = smtp.tls.as_ref().or(smtp.clear.as_ref()) else { return };
    let mut names: Vec<&str> = last.auth.iter().map(Printable::as_str).take(3).collect();
    if last.auth.len() > names.len() {
        names.push("…");
    }
    let auth = if names.is_empty() { "no AUTH".to_owned() } else { format!("AUTH {}", names.join(" ")) };
    let size = last.size_limit.map(|limit| format!(" · {}", size(limit))).unwrap_or_default();
    below(html, "muted", &format!("{auth}{size}"));
}

/// `50 MiB`, `9.8 MiB`.
pub(super) fn size(octets: u64) -> String {
    let units = [(1u64 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    let (unit, name) = units.into_iter().find(|(unit, _)| octets >= *unit).unwrap_or((1, "B"));
    let text = format!("{:.1}", octets as f64 / unit as f64);
    format!("{} {name}", text.trim_end_matches(".0"))
}

fn certificate(html: &mut Html, row: &Row<'_>, now: i64) {
    if let Some(left) = row.certificate {
        html.leaf("span", &[("class", left.level.as_str())], &left.text(now));
    }
    // "expired 3 days ago" says it already.
    let faults = row.certificate_faults();
    let faults: Vec<&str> = faults.iter().map(String::as_str).filter(|fault| *fault != "expired").collect();
    if !faults.is_empty() {
        below(html, "warn", &faults.join(", "));
    }
}

/// Why it failed and what to do, below the row.
fn failure(html: &mut Html, row: &Row<'_>) {
    let Some(failure) = row.failure() else { return };
    html.element("tr", &[("class", "why")], |html| {
        html.element("td", &[], |_| {});
        html.element("td", &[("colspan", "7")], |html| {
            html.element("p", &[], |html| {
                html.leaf("strong", &[], failure.reason.as_str());
                html.text(&format!(" in {}: {}", failure.phase, failure.detail));
                let last = row.since_success().map(brief);
                let last = last.map_or("never succeeded so far".to_owned(), |ago| format!("last success {ago} ago"));
                html.leaf("span", &[("class", "muted nowrap")], &format!(" · {last}"));
            });
            html.element("p", &[("class", "muted")], |html| advice(html, failure.reason));
        });
    });
}

/// What to do; what stands between backticks is to be typed.
pub(super) fn advice(html: &mut Html, reason: Reason) {
    for (number, part) in reason.advice().split('`').enumerate() {
        if number % 2 == 1 { html.leaf("code", &[], part) } else { html.text(part) }
    }
}

/// Links to the other pages of a long list.
fn pages(html: &mut Html, shown: usize, query: &Query) {
    let last = shown.div_ceil(ROWS);
    if last <= 1 {
        return;
    }
    html.element("nav", &[("class", "pages"), ("aria-label", "Pages")], |html| {
        for page in 1..=last {
            if page == query.page {
                html.leaf("strong", &[("aria-current", "page")], &page.to_string());
            } else {
                html.link(&query.at_page(page).address(), &page.to_string());
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_short() {
        let texts = [1000, 10_240_000, 52_428_800, 35_882_577, 5_368_709_120].map(size);
        assert_eq!(texts, ["1000 B", "9.8 MiB", "50 MiB", "34.2 MiB", "5 GiB"]);
    }
}
