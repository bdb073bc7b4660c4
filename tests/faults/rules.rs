//! What holds in every row, whatever happens in it.

use std::collections::BTreeSet;
use std::time::Duration;

use mail_endpoint_exporter::export::text::Style;
use mail_endpoint_exporter::export::{blackbox, json, prometheus, text};
use mail_endpoint_exporter::outcome::Outcome;
use mail_endpoint_exporter::outcome::port_state::PortState;
use mail_endpoint_exporter::phase::Phase;
use serde_json::Value;

use super::exposition;
use super::facts::{said, verb};
use super::kit::{Played, Row};
use crate::lab::SessionLog;

/// What a busy machine may add to any time.
const BUSY: Duration = Duration::from_secs(4);

/// A probe that waits for nothing is over long before its deadline.
const PROMPT: Duration = Duration::from_secs(10);

/// The most a probe sends in clear. A ClientHello has 1.2 KB of post-quantum key share alone.
const MOST_IN_CLEAR: usize = 1024;
const MOST_WITH_TLS: usize = 4096;

/// The most lines of a dialogue that are kept.
const MOST_LINES: usize = 400;

/// Every rule that the play breaks.
pub async fn broken(row: &Row, played: &Played) -> Vec<String> {
    let mut wrong = in_time(row, played);
    wrong.extend(faces(&played.outcome));
    wrong.extend(order(&said(&played.outcome)).map(|fault| format!("as the transcript has it: {fault}")));
    if let Some(server) = &played.server {
        let sessions = server.sessions();
        if sessions.len() != 1 {
            wrong.push(format!("{} connections", sessions.len()));
        }
        let told = if row.deaf { sessions } else { server.finished(sessions.len()).await };
        wrong.extend(told.iter().flat_map(|log| manners(row, log, played)));
    }
    wrong
}

/// The deadline is met, and a timeout was no impatience.
fn in_time(row: &Row, played: &Played) -> Vec<String> {
    let mut wrong = Vec::new();
    let timed_out = row.ends.starts_with("timeout");
    let limit = if timed_out { played.limit } else { played.limit.min(PROMPT) };
    if played.took > limit + BUSY || played.outcome.findings.duration > played.limit + BUSY {
        wrong.push(format!("it took {:?}", played.took));
    }
    if timed_out && played.took < played.limit.mul_f64(0.9) {
        wrong.push(format!("given up after {:?}", played.took));
    }
    wrong
}

/// What the server saw of us.
fn manners(row: &Row, log: &SessionLog, played: &Played) -> Vec<String> {
    let outcome = &played.outcome;
    let mut wrong: Vec<String> = Vec::new();
    wrong.extend(log.violations.iter().map(|violation| format!("{violation:?}")));
    let heard = log.lines.iter().map(|line| verb(line)).collect::<Vec<_>>().join(" ");
    wrong.extend(order(&heard));
    if !said(outcome).starts_with(&heard) {
        wrong.push(format!("the server heard {heard:?}"));
    }
    let most = if outcome.findings.reached(Phase::Tls) { MOST_WITH_TLS } else { MOST_IN_CLEAR };
    if log.bytes > most {
        wrong.push(format!("{} bytes sent", log.bytes));
    }
    if !(row.deaf || log.left || played.resets) {
        wrong.push("the server saw no end".into());
    }
    wrong
}

/// EHLO, HELO where EHLO was refused, one STARTTLS with one EHLO behind it, QUIT; each may be the last.
fn order(said: &str) -> Option<String> {
    let mut rest: &str = said;
    for word in ["EHLO", "HELO", "STARTTLS", "EHLO", "QUIT"] {
        let after = rest.strip_prefix(word).filter(|after| after.is_empty() || after.starts_with(' '));
        rest = after.map_or(rest, str::trim_start);
    }
    let alone = said.starts_with("HELO") || said.starts_with("STARTTLS");
    (!rest.is_empty() || alone).then(|| format!("no legal order of commands: {said}"))
}

/// Text, JSON and metrics hold no character that does not print, and can be read by the strictest.
fn faces(outcome: &Outcome) -> Vec<String> {
    let mut wrong = Vec::new();
    let shown = [(outcome, PortState::Unknown)];
    let report = text::report(&shown, Style { transcript: true, colour: false });
    let json = json::outcomes(&shown, true);
    let metrics = prometheus::outcomes_openmetrics(vec![outcome.clone()]);
    let metrics = format!("{}{}", metrics.trim_end_matches("# EOF\n"), blackbox::openmetrics(outcome));
    for (face, text) in [("text", &report), ("JSON", &json), ("metrics", &metrics)] {
        let bad = text.chars().find(|c| *c != '\n' && !prints(*c));
        wrong.extend(bad.map(|c| format!("{face} holds {c:?}")));
    }
    wrong.extend(unclean(&serde_json::from_str(&json).unwrap()).map(|text| format!("JSON holds {text:?}")));
    wrong.extend(exposition::read(&format!("{metrics}# EOF\n")).err());
    let lines = outcome.findings.transcript.lines().count();
    if lines > MOST_LINES || report.len() > 512 * 1024 {
        wrong.push(format!("{lines} lines of dialogue"));
    }
    wrong
}

/// A string in a JSON value that would not print.
fn unclean(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => text.chars().any(|c| !prints(c)).then(|| text.clone()),
        Value::Array(list) => list.iter().find_map(unclean),
        Value::Object(map) => map.values().find_map(unclean),
        _ => None,
    }
}

/// No controls, no change of direction, no separators of lines.
fn prints(c: char) -> bool {
    !c.is_control()
        && !matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// The kernel soon knows of no open socket that leads to one of these ports: their servers are gone, and so must
/// our ends be. Elsewhere than on Linux the servers' logs have to do.
pub async fn all_closed(ports: &BTreeSet<u16>) {
    for _ in 0..100 {
        if !open_at_our_end(ports) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("connections were left open");
}

/// Whether a socket of this process that leads to one of the ports is established (01), dialling (02), or closed by
/// the peer alone (08).
fn open_at_our_end(ports: &BTreeSet<u16>) -> bool {
    let tables = ["/proc/self/net/tcp", "/proc/self/net/tcp6"];
    let text: String = tables.iter().filter_map(|path| std::fs::read_to_string(path).ok()).collect();
    let ours: BTreeSet<String> = std::fs::read_dir("/proc/self/fd")
        .into_iter()
        .flatten()
        .filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok())
        .filter_map(|target| Some(target.to_str()?.strip_prefix("socket:[")?.trim_end_matches(']').to_owned()))
        .collect();
    text.lines().any(|line| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let [_, _, remote, state, _, _, _, _, _, inode, ..] = fields[..] else { return false };
        let port = remote.rsplit(':').next().and_then(|port| u16::from_str_radix(port, 16).ok());
        let is_open = ["01", "02", "08"].contains(&state);
        is_open && port.is_some_and(|port| ports.contains(&port)) && ours.contains(inode)
    })
}
