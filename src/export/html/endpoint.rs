//! The page of one endpoint: everything that is known of it.

use std::time::{Duration, SystemTime};

use super::Shell;
use super::facts::{certificate, dialogue, offers};
use super::list::{advice, badge, port};
use super::markup::Html;
use super::phases;
use super::row::{Row, brief, since, unix};
use super::table::{fact, facts, readable, table, text_fact};
use crate::endpoint::Endpoint;
use crate::export::time::{rfc3339, short};
use crate::mail::Printable;
use crate::outcome::{Outcome, pace};

/// The whole page. `base` is the address of the exporter as the visitor knows it.
pub(super) fn page(row: &Row<'_>, base: &str, now: SystemTime) -> String {
    let endpoint = &row.history.endpoint;
    let title = format!("{} {} · mail endpoints", row.state().badge(), endpoint.title());
    let shell = Shell { title: &title, state: Some(row.state()), root: "../", refresh: None };
    shell.page(|html| {
        html.element("p", &[("class", "back")], |html| html.link("../", "← all endpoints"));
        head(html, row);
        why(html, row);
        html.element("div", &[("class", "columns")], |html| {
            html.element("div", &[], |html| {
                section(html, "Now", |html| now_facts(html, row, now));
                if let Some(outcome) = row.outcome {
                    section(html, "Phases of the last probe", |html| timing(html, outcome));
                    section(html, "Expectations", |html| expectations(html, outcome));
                }
                failures(html, row);
            });
            html.element("div", &[], |html| {
                if let Some(outcome) = row.outcome {
                    section(html, "What the server offers", |html| offers(html, outcome));
                    if let Some(seen) = &outcome.findings.certificate {
                        section(html, "Certificate", |html| certificate(html, row, seen, now));
                    }
                }
                section(html, "Repeat it", |html| repeat(html, endpoint, base));
            });
        });
        if let Some(outcome) = row.outcome {
            section(html, "Dialogue of the last probe", |html| dialogue(html, outcome));
        }
        recent(html, row, now);
    })
}

fn section(html: &mut Html, title: &str, content: impl FnOnce(&mut Html)) {
    html.element("section", &[("class", "card")], |html| {
        html.leaf("h2", &[], title);
        content(html);
    });
}

fn head(html: &mut Html, row: &Row<'_>) {
    let endpoint = &row.history.endpoint;
    html.element("div", &[("class", "title")], |html| {
        html.leaf("h1", &[], &endpoint.title());
        badge(html, row.state());
    });
    html.element("ul", &[("class", "chips")], |html| {
        let module = &endpoint.module;
        chip(html, "target", &endpoint.target);
        chip(html, "module", &module.name);
        chip(html, "protocol", module.protocol.as_str());
        chip(html, "security", module.security.as_str());
        endpoint.labels.iter().for_each(|(name, value)| chip(html, name, value));
    });
}

fn chip(html: &mut Html, name: &str, value: &str) {
    html.element("li", &[], |html| {
        html.leaf("span", &[("class", "muted")], Printable::from_text(name).as_str());
        html.text(&format!(" {}", Printable::from_text(value)));
    });
}

fn why(html: &mut Html, row: &Row<'_>) {
    let Some(failure) = row.failure() else { return };
    html.element("section", &[("class", "card alert"), ("aria-label", "Why it failed")], |html| {
        html.element("p", &[], |html| {
            html.leaf("strong", &[], failure.reason.as_str());
            html.text(&format!(" in {}: {}.", failure.phase, failure.detail));
        });
        let replied = [failure.code.map(|code| format!("code {code:03}")), failure.enhanced_code.clone()];
        let replied: Vec<String> = replied.into_iter().flatten().collect();
        if !replied.is_empty() {
            html.leaf("p", &[("class", "muted")], &format!("Reply: {}.", replied.join(", ")));
        }
        html.element("p", &[], |html| {
            html.leaf("span", &[("class", "muted")], "What to do: ");
            advice(html, failure.reason);
        });
    });
}

pub(super) fn time(html: &mut Html, at: SystemTime, now: SystemTime) {
    let date = rfc3339(unix(at)).unwrap_or_default();
    html.text(&format!("{} ago ", brief(since(at, now))));
    html.leaf("time", &[("class", "muted"), ("datetime", &date)], &readable(&date));
}

fn now_facts(html: &mut Html, row: &Row<'_>, now: SystemTime) {
    let (history, endpoint) = (row.history, &row.history.endpoint);
    facts(html, |html| {
        match row.outcome {
            None => text_fact(html, "Last probe", "none yet; the first takes place within the interval"),
            Some(outcome) => {
                fact(html, "Last probe", |html| time(html, outcome.findings.ended, now));
                if row.is_stale() {
                    let text = "no probe has ended for three intervals: look at mail_exporter_probes_skipped_total";
                    fact(html, "", |html| html.leaf("span", &[("class", "warn")], text));
                }
            }
        }
        match history.last_success {
            Some(at) => fact(html, "Last success", |html| time(html, at, now)),
            None => text_fact(html, "Last success", "none so far"),
        }
        text_fact(html, "Interval", &intervals(endpoint, row.outcome));
        if history.retries > 0 {
            text_fact(html, "Repeated", &format!("{} probes, before their failure counted", history.retries));
        }
        if let Some(at) = row.outcome.filter(|outcome| outcome.findings.light).and_then(|light| light.findings.tls_at) {
            fact(html, "TLS seen", |html| time(html, at, now));
        }
        if let Some(ratio) = row.success_text() {
            text_fact(html, "Success", &format!("{ratio}, {} of {} probes", row.successes(), history.attempts));
        }
        if let Some(outcome) = row.outcome {
            text_fact(html, "Duration", &short(outcome.findings.duration));
            fact(html, "Port", |html| port(html, row.port));
            addresses(html, outcome);
        }
    });
}

/// `60 s`, `60 s; 10 s while it fails`.
fn intervals(endpoint: &Endpoint, last: Option<&Outcome>) -> String {
    let (usual, now) = (interval(endpoint.interval), pace::interval(endpoint, last));
    if now == endpoint.interval { usual } else { format!("{usual}; {} while it fails", interval(now)) }
}

/// `60 s`, `300 ms`.
fn interval(interval: Duration) -> String {
    if interval < Duration::from_secs(1) { format!("{} ms", interval.as_millis()) } else { brief(interval) }
}

fn addresses(html: &mut Html, outcome: &Outcome) {
    let findings = &outcome.findings;
    let address = findings.address.map_or("none".to_owned(), |address| address.to_string());
    let dns = findings.dns.map(|dns| format!(" (the name has {} IPv4, {} IPv6)", dns.ipv4, dns.ipv6));
    text_fact(html, "Address", &format!("{address}{}", dns.unwrap_or_default()));
    for (address, reason) in &findings.passed_over {
        fact(html, "Tried first", |html| {
            html.text(&format!("{address}: "));
            html.leaf("span", &[("class", "warn")], reason.as_str());
        });
    }
}

fn timing(html: &mut Html, outcome: &Outcome) {
    table(html, "Phases", &["Phase", "", "Time", "Reply"], |html| phases::waterfall(html, outcome));
}

fn expectations(html: &mut Html, outcome: &Outcome) {
    if outcome.judgements.is_empty() {
        html.leaf("p", &[("class", "muted")], "None could be judged.");
        return;
    }
    table(html, "Expectations", &["", "Expectation", "Found"], |html| {
        for judgement in outcome.judgements.iter() {
            html.element("tr", &[], |html| {
                let (class, mark) =
                    if judgement.failure.is_none() { ("mark good", "✓ met") } else { ("mark bad", "✗ unmet") };
                html.leaf("td", &[("class", class)], mark);
                html.leaf("th", &[("scope", "row")], judgement.expectation);
                html.leaf("td", &[], &judgement.found);
            });
        }
    });
}

fn failures(html: &mut Html, row: &Row<'_>) {
    if row.history.failures.is_empty() {
        return;
    }
    section(html, "Failures so far", |html| {
        table(html, "Failures so far", &["Reason", "Phase", "Probes"], |html| {
            for ((phase, reason), count) in &row.history.failures {
                html.element("tr", &[], |html| {
                    html.leaf("th", &[("scope", "row")], reason.as_str());
                    html.leaf("td", &[], phase.as_str());
                    html.leaf("td", &[("class", "number")], &count.to_string());
                });
            }
        });
    });
}

/// Lines to copy.
fn repeat(html: &mut Html, endpoint: &Endpoint, base: &str) {
    let (host, module) = (endpoint.host_and_port(), shell_word(&endpoint.module.name));
    let probe = format!(
        "mail_endpoint_exporter probe {} --module {module} --config.file mail.yml --transcript",
        shell_word(&host)
    );
    let curl = format!("curl -s {}", shell_word(&format!("{base}/api/v1/endpoints/{}", endpoint.id())));
    html.leaf("p", &[], "Probe it now, with the configuration that this exporter runs with:");
    command(html, &probe);
    html.element("p", &[], |html| {
        html.text("All of this page ");
        html.link(&format!("../api/v1/endpoints/{}", endpoint.id()), "as JSON");
        html.text(":");
    });
    command(html, &curl);
}

/// Wherever the line is broken to fit, its options stay whole.
fn command(html: &mut Html, line: &str) {
    html.element("pre", &[], |html| {
        html.element("code", &[], |html| {
            for (number, word) in line.split(' ').enumerate() {
                html.text(if number > 0 { " " } else { "" });
                if word.starts_with("--") { html.leaf("span", &[("class", "nowrap")], word) } else { html.text(word) }
            }
        });
    });
}

/// A word that a POSIX shell takes as it is.
fn shell_word(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_./:@%+=,".contains(&b);
    if !text.is_empty() && text.bytes().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// The failures that are remembered, the last first. The last probe's own dialogue stands above.
fn recent(html: &mut Html, row: &Row<'_>, now: SystemTime) {
    if row.history.recent_failures.is_empty() {
        return;
    }
    section(html, "Recent failures", |html| {
        for outcome in &row.history.recent_failures {
            let Some(failure) = &outcome.failure else { continue };
            html.element("details", &[], |html| {
                html.element("summary", &[], |html| {
                    html.leaf("strong", &[], failure.reason.as_str());
                    html.text(&format!(" in {}, ", failure.phase));
                    time(html, outcome.findings.ended, now);
                });
                html.leaf("p", &[], &format!("{}.", failure.detail));
                dialogue(html, outcome);
            });
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_for_the_shell_are_one_word() {
        for (text, word) in [
            ("mx.example.org:25", "mx.example.org:25"),
            ("[2001:db8::1]:25", "'[2001:db8::1]:25'"),
            ("", "''"),
            ("a'; rm -rf ~ #", r"'a'\''; rm -rf ~ #'"),
        ] {
            assert_eq!(shell_word(text), word);
        }
    }
}
