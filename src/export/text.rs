//! The report of a probe for people: one look must tell how long each phase took, what the server
//! offers, what its certificate is worth and, if it failed, why and what to do.

use std::fmt::Write as _;
use std::time::Duration;

use super::json::banner;
use super::time::{rfc3339, short, span, unix_seconds};
use crate::cert::facts::Facts;
use crate::cert::verdict::Invalid;
use crate::mail::Printable;
use crate::mail::smtp::capabilities::Capabilities;
use crate::outcome::failure::{Failure, Reason};
use crate::outcome::on_disk::{self, OnDisk};
use crate::outcome::port_advice;
use crate::outcome::port_state::PortState;
use crate::outcome::siblings::matches_siblings;
use crate::outcome::transcript::Speaker;
use crate::outcome::{CertificateFacts, Outcome, phase_of};

/// How wide the time line is, in characters.
const TIME_LINE: usize = 40;

/// Where an outcome line breaks.
const WIDTH: usize = 100;

/// A space at which no line is broken.
const NO_BREAK: &str = "\u{a0}";

/// How to write.
#[derive(Clone, Copy, Debug, Default)]
pub struct Style {
    /// With ANSI colours.
    pub colour: bool,
    /// With the dialogue.
    pub transcript: bool,
}

#[derive(Clone, Copy)]
enum Ink {
    Good,
    Bad,
    Warn,
    Bold,
    Dim,
}

impl Style {
    fn ink(self, ink: Ink, text: &str) -> String {
        let code = match ink {
            Ink::Good => "32",
            Ink::Bad => "31;1",
            Ink::Warn => "33",
            Ink::Bold => "1",
            Ink::Dim => "2",
        };
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// The whole report: a table if there are several outcomes, then each in full.
pub fn report(outcomes: &[(&Outcome, PortState)], style: Style) -> String {
    let mut out = String::new();
    if outcomes.len() > 1 {
        out.push_str(&table(outcomes, style));
        out.push('\n');
    }
    let all: Vec<&Outcome> = outcomes.iter().map(|(outcome, _)| *outcome).collect();
    let matches = matches_siblings(&all).into_iter();
    let parts: Vec<String> =
        outcomes.iter().zip(matches).map(|(one, matches)| report_one(one, matches, outcomes, style)).collect();
    out.push_str(&parts.join("\n"));
    out
}

/// One line an outcome.
pub fn table(outcomes: &[(&Outcome, PortState)], style: Style) -> String {
    let rows: Vec<[String; 6]> = outcomes.iter().map(|(outcome, state)| row(outcome, *state)).collect();
    let header = ["target", "host:port", "port", "TLS", "certificate", "result"].map(str::to_owned);
    let mut widths = [0; 5];
    for row in rows.iter().chain([&header]) {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let line = |row: &[String; 6]| {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        cells.join("  ")
    };
    let mut out = format!("    {}  {}\n", style.ink(Ink::Dim, &line(&header)), style.ink(Ink::Dim, &header[5]));
    for (row, (outcome, _)) in rows.iter().zip(outcomes) {
        let mark = mark(outcome, style);
        let result = if outcome.success() { row[5].clone() } else { style.ink(Ink::Bad, &row[5]) };
        let _ = writeln!(out, "  {mark} {}  {result}", line(row));
    }
    out
}

fn row(outcome: &Outcome, state: PortState) -> [String; 6] {
    let (endpoint, findings) = (&outcome.endpoint, &outcome.findings);
    let certificate = findings.certificate.as_ref();
    let result = match &outcome.failure {
        None => short(findings.duration),
        Some(failure) => format!("{} in {}", failure.reason, failure.phase),
    };
    [
        endpoint.target.clone(),
        endpoint.title(),
        state.as_str().to_owned(),
        findings.tls.as_ref().map_or("-", |tls| tls.version.as_str()).to_owned(),
        certificate.map_or("-".to_owned(), |certificate| days(certificate, now(outcome))),
        result,
    ]
}

fn mark(outcome: &Outcome, style: Style) -> String {
    if outcome.success() { style.ink(Ink::Good, "✔") } else { style.ink(Ink::Bad, "✘") }
}

/// The time at which the probe ended.
fn now(outcome: &Outcome) -> i64 {
    unix_seconds(outcome.findings.ended) as i64
}

fn days(certificate: &CertificateFacts, now: i64) -> String {
    let left = certificate.leaf().and_then(|leaf| leaf.facts.as_ref()?.not_after).map(|end| end.saturating_sub(now));
    let left = left.map_or("unreadable".to_owned(), |left| {
        if left < 0 { format!("expired {} ago", span(left)) } else { format!("{} left", span(left)) }
    });
    match certificate.invalid.iter().find(|finding| !left.starts_with("expired") || finding.reason != Invalid::Expired)
    {
        None => left,
        Some(finding) => {
            format!("{left}, {}", Reason::from(finding.reason).as_str().trim_start_matches("certificate_"))
        }
    }
}

fn report_one(
    (outcome, state): &(&Outcome, PortState),
    matches_siblings: Option<bool>,
    all: &[(&Outcome, PortState)],
    style: Style,
) -> String {
    let state = *state;
    let mut page = Page { out: String::new(), style };
    page.head(outcome);
    if let Some(failure) = &outcome.failure {
        page.why(failure, port_advice::advice(outcome, state, all).as_deref());
    }
    page.address(outcome, state);
    page.time_line(outcome);
    page.offers(outcome);
    page.tls(outcome);
    if let Some(certificate) = &outcome.findings.certificate {
        page.certificate(certificate, now(outcome));
        page.elsewhere(outcome, matches_siblings);
    }
    page.expectations(outcome);
    if style.transcript {
        page.transcript(outcome);
    }
    page.out
}

struct Page {
    out: String,
    style: Style,
}

impl Page {
    /// A line with a name in front; without a name, it goes on with the one before.
    fn line(&mut self, name: &str, text: &str) {
        let name = self.style.ink(Ink::Dim, &format!("{name:<12}"));
        let _ = writeln!(self.out, "  {name}{text}");
    }

    /// A text that may be longer than a line.
    fn wrapped(&mut self, name: &str, text: &str, ink: Option<Ink>) {
        for (number, piece) in wrap(text, WIDTH - 14).iter().enumerate() {
            let piece = piece.replace(NO_BREAK, " ");
            let piece = ink.map_or(piece.clone(), |ink| self.style.ink(ink, &piece));
            self.line(if number == 0 { name } else { "" }, &piece);
        }
    }

    fn head(&mut self, outcome: &Outcome) {
        let (endpoint, style) = (&outcome.endpoint, self.style);
        let verdict = if outcome.success() { style.ink(Ink::Good, "ok") } else { style.ink(Ink::Bad, "FAILED") };
        let title = style.ink(Ink::Bold, &endpoint.title());
        let how = format!("module {}, security {}", endpoint.module.name, endpoint.module.security.as_str());
        let took = short(outcome.findings.duration);
        let _ = writeln!(
            self.out,
            "{} {title}  {verdict} in {took}  {}",
            mark(outcome, style),
            style.ink(Ink::Dim, &format!("({how})"))
        );
    }

    /// What all ports together tell is better advice than what the reason alone does.
    fn why(&mut self, failure: &Failure, port: Option<&str>) {
        self.wrapped("why", &failure.to_string(), Some(Ink::Bad));
        self.wrapped("what to do", port.unwrap_or(failure.reason.advice()), None);
    }

    fn address(&mut self, outcome: &Outcome, state: PortState) {
        let findings = &outcome.findings;
        let mut text = findings.address.map_or("none".to_owned(), |address| address.to_string());
        if let Some(dns) = findings.dns {
            let _ = write!(text, " (the name has {} IPv4, {} IPv6)", dns.ipv4, dns.ipv6);
        }
        let _ = write!(text, ", port {}", state.as_str());
        self.line("address", &text);
        for (address, reason) in &findings.passed_over {
            let text = format!("tried {address} as well: {reason}");
            let text = self.style.ink(Ink::Warn, &text);
            self.line("", &text);
        }
    }

    fn time_line(&mut self, outcome: &Outcome) {
        let phases = &outcome.findings.phases;
        let total = phases.iter().map(|(_, time)| *time).sum::<Duration>().max(Duration::from_nanos(1));
        let codes = &outcome.findings.smtp.codes;
        let failed = outcome.failure.as_ref().map(|failure| failure.phase);
        let mut before = Duration::ZERO;
        for (number, (phase, time)) in phases.iter().enumerate() {
            let code = codes.iter().find(|(step, _)| phase_of(*step) == *phase);
            let code = code.map_or("   ".to_owned(), |(_, code)| format!("{code:03}"));
            let bar = bar(before, *time, total);
            let bar = if failed == Some(*phase) { self.style.ink(Ink::Bad, &bar) } else { bar };
            let text = format!("{:<9}{:>9}  {code}  {bar}", phase.as_str(), short(*time));
            self.line(if number == 0 { "phases" } else { "" }, text.trim_end());
            before = before.saturating_add(*time);
        }
    }

    fn offers(&mut self, outcome: &Outcome) {
        let smtp = &outcome.findings.smtp;
        if let Some(greeting) = &smtp.greeting {
            self.wrapped("banner", &banner(greeting), None);
        }
        let stages = [("in clear", &smtp.clear, true), ("inside TLS", &smtp.tls, false)];
        for (name, offered, clear) in stages {
            if let Some(offered) = offered {
                self.wrapped(name, &offers(offered, clear), None);
            }
        }
    }

    fn tls(&mut self, outcome: &Outcome) {
        if let Some(tls) = &outcome.findings.tls {
            let group = tls.group.as_deref().unwrap_or("no group");
            self.line("TLS", &format!("{}, {}, {group}", tls.version.as_str(), tls.cipher));
        }
    }

    fn certificate(&mut self, certificate: &CertificateFacts, now: i64) {
        let verdict = match certificate.invalid.as_slice() {
            [] => self.style.ink(Ink::Good, "valid"),
            findings => {
                let words: Vec<&str> = findings.iter().map(|finding| Reason::from(finding.reason).as_str()).collect();
                self.style.ink(Ink::Warn, &format!("not valid: {}", words.join(", ")))
            }
        };
        let Some(leaf) = certificate.leaf() else { return };
        let Some(facts) = &leaf.facts else {
            self.line("certificate", &format!("{verdict} (sha256 {})", leaf.sha256));
            return;
        };
        self.line("certificate", &format!("{verdict}; {}", validity(facts, now)));
        self.wrapped("", &format!("for {}", names(facts)), None);
        self.wrapped("", &format!("subject {}; issuer {}", facts.subject, facts.issuer), None);
        let chain = match certificate.chain.len() {
            1 => "sent alone".to_owned(),
            more => format!("chain of {more}"),
        };
        self.line("", &format!("{}, {}, {chain}, serial {}", facts.key, facts.signature, facts.serial));
        self.line("", &format!("sha256 {}", leaf.sha256));
    }

    /// What the host's other ports and the file on disk say to the certificate, where they say something else.
    fn elsewhere(&mut self, outcome: &Outcome, matches_siblings: Option<bool>) {
        if matches_siblings == Some(false) {
            let text = "another port of the host shows a newer or better one: was this service reloaded?";
            self.wrapped("", text, Some(Ink::Warn));
        }
        let Some(on_disk) = on_disk::compare(outcome) else { return };
        let path = outcome.endpoint.certificate_file().map(|file| file.path.display().to_string()).unwrap_or_default();
        let ink = (on_disk != OnDisk::Same).then_some(Ink::Warn);
        self.wrapped("", &format!("{}: {}", Printable::from_text(&path), on_disk.advice()), ink);
    }

    fn expectations(&mut self, outcome: &Outcome) {
        let texts: Vec<String> = outcome
            .judgements
            .iter()
            .map(|j| format!("{} {} ({})", if j.failure.is_none() { "✔" } else { "✘" }, j.expectation, j.found))
            .collect();
        if !texts.is_empty() {
            // A line breaks between two expectations only.
            let texts: Vec<String> = texts.iter().map(|text| text.replace(' ', NO_BREAK)).collect();
            self.wrapped("expected", &texts.join(", "), None);
        }
    }

    fn transcript(&mut self, outcome: &Outcome) {
        for (number, line) in outcome.findings.transcript.lines().enumerate() {
            let arrow = match line.from {
                Speaker::Client => "→",
                Speaker::Server => "←",
                Speaker::Event => "═",
            };
            let text = format!("{:>9}  {arrow} {}", short(line.at), line.text);
            self.line(if number == 0 { "dialogue" } else { "" }, text.trim_end());
        }
    }
}

/// Where in the whole a phase lies. A phase that took time is never invisible.
fn bar(before: Duration, time: Duration, total: Duration) -> String {
    let cell = |at: Duration| (at.as_secs_f64() / total.as_secs_f64() * TIME_LINE as f64).round() as usize;
    let start = cell(before).min(TIME_LINE - 1);
    let length = cell(before.saturating_add(time)).saturating_sub(start);
    format!("{}{}", " ".repeat(start), if length > 0 { "█".repeat(length) } else { "▏".to_owned() })
}

fn offers(offered: &Capabilities, clear: bool) -> String {
    let mut parts = Vec::new();
    if !offered.esmtp {
        parts.push("HELO only, no extensions".to_owned());
    }
    if clear {
        parts.push(match offered {
            Capabilities { starttls: true, .. } => "STARTTLS yes".into(),
            Capabilities { starttls_masked: true, .. } => "STARTTLS no (a firewall has overwritten it with X)".into(),
            _ => "STARTTLS no".into(),
        });
    }
    let mechanisms: Vec<&str> = offered.auth.iter().map(Printable::as_str).collect();
    parts.push(format!("AUTH {}", if mechanisms.is_empty() { "no".into() } else { mechanisms.join(" ") }));
    parts.extend(offered.size_limit.map(|limit| format!("SIZE {limit}")));
    let shown = ["STARTTLS", "AUTH", "SIZE"];
    let rest: Vec<&str> =
        offered.all.iter().map(|one| one.keyword.as_str()).filter(|keyword| !shown.contains(keyword)).collect();
    if !rest.is_empty() {
        parts.push(rest.join(" "));
    }
    parts.join(", ")
}

fn validity(facts: &Facts, now: i64) -> String {
    let date = |seconds| rfc3339(seconds).unwrap_or_else(|| format!("{seconds} s from 1970"));
    let Some(end) = facts.not_after else { return "its end of validity cannot be read".to_owned() };
    let to = date(end);
    match facts.not_before.filter(|start| *start > now) {
        _ if end < now => format!("expired {} ago, on {to}", span(end.saturating_sub(now))),
        Some(start) => format!("valid only in {}, from {} to {to}", span(start.saturating_sub(now)), date(start)),
        None => format!("{} left, until {to}", span(end.saturating_sub(now))),
    }
}

fn names(facts: &Facts) -> String {
    let addresses = facts.addresses.iter().map(ToString::to_string);
    let all: Vec<String> = facts.dns_names.iter().cloned().chain(addresses).collect();
    match all.split_at_checked(6) {
        Some((first, more)) if more.len() > 2 => {
            let more = more.len().saturating_add(facts.further_names);
            format!("{} and {more} more", first.join(", "))
        }
        _ if all.is_empty() => "no name (no subject alternative name)".into(),
        _ => all.join(", "),
    }
}

/// Breaks a text between words.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().map(|line| line.chars().count()).unwrap_or_default();
        if line > 0 && line.saturating_add(word.chars().count()) >= width {
            lines.push(word.to_owned());
        } else if let Some(last) = lines.last_mut() {
            if line > 0 {
                last.push(' ');
            }
            last.push_str(word);
        }
    }
    lines
}
