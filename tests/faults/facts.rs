//! What a probe kept, and what it said, each in a line for the table.

use mail_endpoint_exporter::mail::Printable;
use mail_endpoint_exporter::mail::smtp::capabilities::Capabilities;
use mail_endpoint_exporter::outcome::transcript::Speaker;
use mail_endpoint_exporter::outcome::{Outcome, phase_of};

/// The facts that survive: how many addresses the name has, reply codes by phase, what EHLO offered, TLS, a certificate, the addresses
/// passed over. Nothing that differs from run to run.
pub fn kept(outcome: &Outcome) -> String {
    let findings = &outcome.findings;
    let found = findings.dns.map_or((0, 0), |count| (count.ipv4, count.ipv6));
    let counts = [("v4", found.0), ("v6", found.1)];
    let mut words: Vec<String> =
        counts.iter().filter(|(_, count)| *count > 0).map(|(family, count)| format!("{family}={count}")).collect();
    words.extend(findings.passed_over.iter().take(2).map(|(address, reason)| format!("{address}:{reason}")));
    if findings.passed_over.len() > 2 {
        words.push(format!("… ({} addresses)", findings.passed_over.len()));
    }
    words.extend(findings.smtp.codes.iter().map(|(step, code)| format!("{}:{code:03}", phase_of(*step))));
    if let Some(clear) = &findings.smtp.clear {
        words.extend(offers(clear, ""));
    }
    words.extend(findings.certificate.iter().map(|_| "certificate".to_owned()));
    words.extend(findings.tls.iter().map(|tls| tls.version.as_str().to_owned()));
    if let Some(tls) = &findings.smtp.tls {
        words.extend(offers(tls, "tls:"));
    }
    words.join(" ")
}

fn offers(capabilities: &Capabilities, stage: &str) -> Vec<String> {
    let auth = capabilities.auth.iter().map(Printable::as_str).collect::<Vec<_>>();
    let auth = match auth.len() {
        0 => None,
        1..=4 => Some(format!("auth={}", auth.join(","))),
        many => Some(format!("auth=({many} mechanisms)")),
    };
    let words = [
        (!capabilities.esmtp).then(|| "helo".to_owned()),
        capabilities.starttls.then(|| "starttls".to_owned()),
        capabilities.starttls_masked.then(|| "starttls_masked".to_owned()),
        auth,
        capabilities.size_limit.map(|size| format!("size={size}")),
    ];
    words.into_iter().flatten().map(|word| format!("{stage}{word}")).collect()
}

/// The commands that the probe sent, by their verbs.
pub fn said(outcome: &Outcome) -> String {
    let ours = outcome.findings.transcript.lines().filter(|line| line.from == Speaker::Client);
    ours.map(|line| verb(line.text)).collect::<Vec<_>>().join(" ")
}

/// The first word of a command.
pub fn verb(line: &str) -> &str {
    line.split(' ').next().unwrap_or_default()
}
