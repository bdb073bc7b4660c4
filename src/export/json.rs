//! The JSON outcome: one object an endpoint, as `probe --output json` and the API give it.
//!
//! The shapes are here and only here: the types of the domain cannot be serialised, so that a renamed
//! field inside never changes what scripts read. A fact that was not reached is null.

use serde::Serialize;

use super::time::{rfc3339, unix_seconds};
use crate::cert::facts::Certificate;
use crate::mail::Printable;
use crate::mail::smtp::capabilities::Capabilities;
use crate::mail::smtp::reply::Reply;
use crate::outcome::failure::Reason;
use crate::outcome::port_state::PortState;
use crate::outcome::transcript::Speaker;
use crate::outcome::{Outcome, phase_of};

/// An array of outcomes, indented.
pub fn outcomes(outcomes: &[(&Outcome, PortState)], with_transcript: bool) -> String {
    let views: Vec<View<'_>> =
        outcomes.iter().map(|(outcome, state)| View::of(outcome, *state, with_transcript)).collect();
    // The views hold strings, numbers and lists only: they always have a JSON form.
    serde_json::to_string_pretty(&views).unwrap_or_default()
}

#[derive(Serialize)]
struct View<'a> {
    target: &'a str,
    host: String,
    port: u16,
    address: Option<String>,
    module: &'a str,
    protocol: &'a str,
    security: &'a str,
    success: bool,
    started: Option<String>,
    duration_seconds: f64,
    port_state: &'a str,
    phases: Vec<Phase>,
    failure: Option<Failure<'a>>,
    expectations: Vec<Expectation<'a>>,
    smtp: Smtp,
    tls: Option<Tls<'a>>,
    certificate: Option<LeafView<'a>>,
    chain: Option<Vec<CertificateView<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    transcript: Option<Vec<Line<'a>>>,
}

#[derive(Serialize)]
struct Phase {
    phase: &'static str,
    duration_seconds: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_code: Option<u16>,
}

#[derive(Serialize)]
struct Failure<'a> {
    phase: &'static str,
    reason: &'static str,
    code: Option<u16>,
    enhanced_code: Option<&'a str>,
    detail: &'a str,
}

#[derive(Serialize)]
struct Expectation<'a> {
    expectation: &'static str,
    met: bool,
    found: &'a str,
}

#[derive(Serialize)]
struct Smtp {
    banner: Option<String>,
    starttls_offered: Option<bool>,
    auth: Stages,
    capabilities: Stages,
    size_limit_bytes: Option<u64>,
}

#[derive(Serialize)]
struct Stages {
    clear: Option<Vec<String>>,
    tls: Option<Vec<String>>,
}

#[derive(Serialize)]
struct Tls<'a> {
    version: &'static str,
    cipher: &'a str,
    group: Option<&'a str>,
}

#[derive(Serialize)]
struct LeafView<'a> {
    valid: bool,
    invalid_reasons: Vec<&'static str>,
    #[serde(flatten)]
    facts: CertificateView<'a>,
}

#[derive(Serialize)]
struct CertificateView<'a> {
    not_before: Option<String>,
    not_after: Option<String>,
    subject: Option<&'a str>,
    issuer: Option<&'a str>,
    serial: Option<&'a str>,
    sha256: &'a str,
    dns_names: &'a [String],
    key: Option<&'a str>,
    signature: Option<&'a str>,
}

#[derive(Serialize)]
struct Line<'a> {
    at_seconds: f64,
    from: &'static str,
    text: &'a str,
}

impl<'a> View<'a> {
    fn of(outcome: &'a Outcome, state: PortState, with_transcript: bool) -> Self {
        let (endpoint, findings) = (&outcome.endpoint, &outcome.findings);
        let chain = findings.certificate.as_ref().map(|certificate| certificate.chain.as_slice());
        Self {
            target: &endpoint.target,
            host: endpoint.host.to_string(),
            port: endpoint.port,
            address: findings.address.map(|address| address.to_string()),
            module: &endpoint.module.name,
            protocol: endpoint.module.protocol.as_str(),
            security: endpoint.module.security.as_str(),
            success: outcome.success(),
            started: rfc3339(unix_seconds(findings.started) as i64),
            duration_seconds: findings.duration.as_secs_f64(),
            port_state: state.as_str(),
            phases: phases(outcome),
            failure: outcome.failure.as_ref().map(|failure| Failure {
                phase: failure.phase.as_str(),
                reason: failure.reason.as_str(),
                code: failure.code,
                enhanced_code: failure.enhanced_code.as_deref(),
                detail: &failure.detail,
            }),
            expectations: outcome
                .judgements
                .iter()
                .map(|j| Expectation { expectation: j.expectation, met: j.failure.is_none(), found: &j.found })
                .collect(),
            smtp: smtp(outcome),
            tls: findings.tls.as_ref().map(|tls| Tls {
                version: tls.version.as_str(),
                cipher: &tls.cipher,
                group: tls.group.as_deref(),
            }),
            certificate: leaf(outcome),
            chain: chain.map(|chain| chain.iter().map(certificate).collect()),
            transcript: with_transcript.then(|| transcript(outcome)),
        }
    }
}

fn phases(outcome: &Outcome) -> Vec<Phase> {
    let codes = &outcome.findings.smtp.codes;
    let code = |phase| codes.iter().find(|(step, _)| phase_of(*step) == phase).map(|(_, code)| *code);
    let phases = outcome.findings.phases.iter();
    phases
        .map(|(phase, duration)| Phase {
            phase: phase.as_str(),
            duration_seconds: duration.as_secs_f64(),
            reply_code: code(*phase),
        })
        .collect()
}

fn smtp(outcome: &Outcome) -> Smtp {
    let facts = &outcome.findings.smtp;
    let stages = |names: fn(&Capabilities) -> Vec<String>| Stages {
        clear: facts.clear.as_ref().map(names),
        tls: facts.tls.as_ref().map(names),
    };
    Smtp {
        banner: facts.greeting.as_ref().map(banner),
        starttls_offered: facts.clear.as_ref().map(|offered| offered.starttls),
        auth: stages(|offered| offered.auth.iter().map(Printable::to_string).collect()),
        capabilities: stages(|offered| offered.all.iter().map(|one| one.keyword.to_string()).collect()),
        size_limit_bytes: facts.tls.as_ref().or(facts.clear.as_ref()).and_then(|offered| offered.size_limit),
    }
}

/// The greeting as one line: its code, and the text of its lines with ` / ` between them.
pub(super) fn banner(greeting: &Reply) -> String {
    let lines: Vec<String> = greeting.lines.iter().map(|line| Printable::from_bytes(line).to_string()).collect();
    let text = Printable::from_text(lines.join(" / ").trim_end());
    format!("{:03} {text}", greeting.code).trim_end().to_owned()
}

fn leaf(outcome: &Outcome) -> Option<LeafView<'_>> {
    let found = outcome.findings.certificate.as_ref()?;
    Some(LeafView {
        valid: found.invalid.is_empty(),
        invalid_reasons: found.invalid.iter().map(|finding| Reason::from(finding.reason).as_str()).collect(),
        facts: certificate(found.leaf()?),
    })
}

fn certificate(certificate: &Certificate) -> CertificateView<'_> {
    let facts = certificate.facts.as_ref();
    CertificateView {
        not_before: facts.and_then(|facts| rfc3339(facts.not_before)),
        not_after: facts.and_then(|facts| rfc3339(facts.not_after)),
        subject: facts.map(|facts| facts.subject.as_str()),
        issuer: facts.map(|facts| facts.issuer.as_str()),
        serial: facts.map(|facts| facts.serial.as_str()),
        sha256: &certificate.sha256,
        dns_names: facts.map(|facts| facts.dns_names.as_slice()).unwrap_or_default(),
        key: facts.map(|facts| facts.key.as_str()),
        signature: facts.map(|facts| facts.signature.as_str()),
    }
}

fn transcript(outcome: &Outcome) -> Vec<Line<'_>> {
    let said = |line: &&crate::outcome::transcript::Line| line.from != Speaker::Event;
    let lines = outcome.findings.transcript.lines().iter().filter(said);
    lines
        .map(|line| Line {
            at_seconds: line.at.as_secs_f64(),
            from: if line.from == Speaker::Client { "client" } else { "server" },
            text: line.text.as_str(),
        })
        .collect()
}
