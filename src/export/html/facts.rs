//! What a probe found, on the page of an endpoint: capabilities, certificate, dialogue.

use std::time::SystemTime;

use super::endpoint::time;
use super::list::size;
use super::markup::Html;
use super::row::{Row, unix};
use super::table::{fact, facts, readable, table, text_fact};
use crate::cert::facts::{Certificate, Facts};
use crate::export::json::banner;
use crate::export::time::{rfc3339, short};
use crate::mail::Printable;
use crate::mail::smtp::capabilities::Capabilities;
use crate::outcome::on_disk::{self, OnDisk};
use crate::outcome::transcript::Speaker;
use crate::outcome::{CertificateFacts, Outcome};

/// Banner, capabilities and TLS.
pub(super) fn offers(html: &mut Html, outcome: &Outcome) {
    let (smtp, tls) = (&outcome.findings.smtp, &outcome.findings.tls);
    if smtp.greeting.is_none() && tls.is_none() {
        html.leaf("p", &[("class", "muted")], "The probe did not get so far.");
        return;
    }
    facts(html, |html| {
        if let Some(greeting) = &smtp.greeting {
            fact(html, "Banner", |html| html.leaf("code", &[], &banner(greeting)));
        }
        if let Some(clear) = &smtp.clear {
            fact(html, "In clear", |html| stage(html, clear, true));
        }
        if let Some(inside) = &smtp.tls {
            fact(html, "Inside TLS", |html| stage(html, inside, false));
        }
        if let Some(limit) = smtp.tls.as_ref().or(smtp.clear.as_ref()).and_then(|last| last.size_limit) {
            text_fact(html, "Size limit", &format!("{} ({limit} octets)", size(limit)));
        }
        if let Some(tls) = tls {
            let group = tls.group.as_deref().unwrap_or("no group");
            text_fact(html, "TLS", &format!("{}, {}, {group}", tls.version.as_str(), tls.cipher));
        }
    });
}

/// What one EHLO reply offers; the words that matter most come first and stand out.
fn stage(html: &mut Html, offered: &Capabilities, clear: bool) {
    if !offered.esmtp {
        html.text("HELO only, no extensions");
        return;
    }
    let mechanisms: Vec<&str> = offered.auth.iter().map(Printable::as_str).collect();
    let auth = if mechanisms.is_empty() { "no AUTH".to_owned() } else { format!("AUTH {}", mechanisms.join(" ")) };
    // RFC 3207 §4.2: inside TLS it must not be offered, and its absence says nothing.
    match offered {
        _ if !clear => html.text(&auth),
        Capabilities { starttls: true, .. } => html.text(&format!("STARTTLS, {auth}")),
        Capabilities { starttls_masked: true, .. } => {
            html.text(&format!("no STARTTLS (a firewall has overwritten it with X), {auth}"));
        }
        _ => html.text(&format!("no STARTTLS, {auth}")),
    }
    html.element("ul", &[("class", "chips code")], |html| {
        for one in &offered.all {
            let text = format!("{} {}", one.keyword, one.parameters);
            html.leaf("li", &[], text.trim_end());
        }
    });
}

/// What the certificate is worth, what it says, and the chain behind it.
pub(super) fn certificate(html: &mut Html, row: &Row<'_>, seen: &CertificateFacts, now: SystemTime) {
    facts(html, |html| {
        fact(html, "Verdict", |html| match seen.invalid.as_slice() {
            [] => html.leaf("span", &[("class", "good")], "✓ valid"),
            findings => {
                html.leaf(
                    "span",
                    &[("class", "bad")],
                    &format!("✗ not valid: {}", row.certificate_faults().join(", ")),
                );
                findings.iter().for_each(|finding| html.leaf("small", &[("class", "muted")], &finding.detail));
            }
        });
        if let Some(left) = row.certificate {
            fact(html, "Left", |html| html.leaf("span", &[("class", left.level.as_str())], &left.text(unix(now))));
        }
        elsewhere(html, row);
        if let Some(known) = &row.history.certificate {
            fact(html, "Seen since", |html| time(html, known.since, now));
        }
        if let Some(leaf) = seen.leaf() {
            leaf.facts.iter().for_each(|facts| leaf_facts(html, facts));
            fact(html, "SHA-256", |html| html.leaf("code", &[], &leaf.sha256));
        }
    });
    match seen.chain.len() {
        0 | 1 => html.leaf("p", &[("class", "muted")], "It was sent alone, without a chain."),
        _ => table(html, "The chain as sent", &["Chain as sent", "Until", "Key"], |html| {
            seen.chain.iter().for_each(|one| link_of_chain(html, one));
        }),
    }
}

/// What the host's other ports and the file on disk say to it.
fn elsewhere(html: &mut Html, row: &Row<'_>) {
    let mut compared = |name, good, text: &str| {
        fact(html, name, |html| html.leaf("span", &[("class", if good { "good" } else { "warn" })], text));
    };
    match row.matches_siblings {
        Some(true) => compared("Other ports", true, "show no newer one"),
        Some(false) => compared("Other ports", false, "show a newer or better one: was this service reloaded?"),
        None => {}
    }
    if let Some(on_disk) = row.outcome.and_then(on_disk::compare) {
        compared("On disk", on_disk == OnDisk::Same, on_disk.advice());
    }
}

fn leaf_facts(html: &mut Html, facts: &Facts) {
    let known = |seconds| rfc3339(seconds).map_or(format!("{seconds} s from 1970"), |date| readable(&date));
    let date = |seconds: Option<i64>| seconds.map_or("unreadable".to_owned(), known);
    text_fact(html, "Valid", &format!("{} to {}", date(facts.not_before), date(facts.not_after)));
    let addresses = facts.addresses.iter().map(ToString::to_string);
    let names: Vec<String> = facts.dns_names.iter().cloned().chain(addresses).collect();
    match names.as_slice() {
        [] => text_fact(html, "For", "no name (no subject alternative name)"),
        names if facts.further_names > 0 => {
            text_fact(html, "For", &format!("{} and {} more", names.join(", "), facts.further_names));
        }
        names => text_fact(html, "For", &names.join(", ")),
    }
    text_fact(html, "Subject", facts.subject.as_str());
    text_fact(html, "Issuer", facts.issuer.as_str());
    text_fact(html, "Key", &format!("{}, signed with {}", facts.key, facts.signature));
    fact(html, "Serial", |html| html.leaf("code", &[], &facts.serial));
}

fn link_of_chain(html: &mut Html, certificate: &Certificate) {
    html.element("tr", &[], |html| match &certificate.facts {
        None => html.leaf("td", &[("colspan", "3")], &format!("unreadable, SHA-256 {}", certificate.sha256)),
        Some(facts) => {
            html.leaf("th", &[("scope", "row")], facts.subject.as_str());
            let date = facts.not_after.and_then(rfc3339).unwrap_or_default();
            html.leaf("td", &[("class", "nowrap")], date.split('T').next().unwrap_or_default());
            html.leaf("td", &[("class", "nowrap")], &facts.key);
        }
    });
}

/// The dialogue, line by line.
pub(super) fn dialogue(html: &mut Html, outcome: &Outcome) {
    let mut lines = outcome.findings.transcript.lines().peekable();
    if lines.peek().is_none() {
        html.leaf("p", &[("class", "muted")], "Nothing was said.");
        return;
    }
    html.element("table", &[("class", "dialogue")], |html| {
        html.leaf("caption", &[("class", "hidden")], "Dialogue: C is the exporter, S the server");
        html.element("thead", &[("class", "hidden")], |html| {
            html.element("tr", &[], |html| {
                ["Time", "Who", "What"].iter().for_each(|heading| html.leaf("th", &[("scope", "col")], heading));
            });
        });
        html.element("tbody", &[], |html| {
            for line in lines {
                let (class, who) = match line.from {
                    Speaker::Client => ("client", "C:"),
                    Speaker::Server => ("server", "S:"),
                    Speaker::Event => ("event", "═"),
                };
                html.element("tr", &[("class", class)], |html| {
                    html.leaf("td", &[("class", "number muted")], &short(line.at));
                    html.leaf("td", &[], who);
                    html.leaf("td", &[], line.text);
                });
            }
        });
    });
}
