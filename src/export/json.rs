//! The JSON outcome: one object an endpoint, as `probe --output json` and the API give it.
//!
//! The shapes are here and only here: the types of the domain cannot be serialised, so that a renamed
//! field inside never changes what scripts read. A fact that was not reached is null.

use std::collections::BTreeMap;

use serde::Serialize;

use super::time::{rfc3339, unix_seconds};
use crate::cert::facts::Certificate;
use crate::endpoint::Endpoint;
use crate::mail::Printable;
use crate::mail::smtp::capabilities::Capabilities;
use crate::mail::smtp::login::LoginFact;
use crate::mail::smtp::reply::Reply;
use crate::outcome::failure::Reason;
use crate::outcome::on_disk::{self, OnDisk};
use crate::outcome::port_state::{PortState, port_states};
use crate::outcome::siblings::matches_siblings;
use crate::outcome::transcript::Speaker;
use crate::outcome::{Outcome, pace, phase_of};
use crate::store::{History, Snapshot};

/// An array of outcomes, indented.
pub fn outcomes(outcomes: &[(&Outcome, PortState)], with_transcript: bool) -> String {
    let all: Vec<&Outcome> = outcomes.iter().map(|(outcome, _)| *outcome).collect();
    let verdicts = outcomes.iter().zip(matches_siblings(&all));
    let views: Vec<View<'_>> = verdicts
        .map(|((outcome, state), matches)| View::of(outcome, Some((*state, matches)), with_transcript))
        .collect();
    write(&views)
}

/// All endpoints of a snapshot: an array of outcomes, each with what is known of its endpoint. One that has
/// not been probed yet has nulls.
pub fn endpoints(snapshot: &Snapshot) -> String {
    let views: Vec<EndpointView<'_>> =
        together(snapshot).map(|(history, verdict)| EndpointView::of(history, verdict, false)).collect();
    write(&views)
}

/// The endpoint with this name, with its transcript and its recent failures; `None` if there is none.
pub fn endpoint(snapshot: &Snapshot, id: &str) -> Option<String> {
    let (history, verdict) = together(snapshot).find(|(history, _)| history.endpoint.id().to_string() == id)?;
    let failures = history.recent_failures.iter();
    Some(write(&Detail {
        endpoint: EndpointView::of(history, verdict, true),
        // What the other endpoints were then is forgotten, and with it the state of the port.
        recent_failures: failures.map(|outcome| View::of(outcome, None, true)).collect(),
    }))
}

/// An error, as `{"error": …}` in one line.
pub fn error(why: &str) -> String {
    serde_json::json!({ "error": why }).to_string()
}

/// The views hold strings, numbers and lists only: they always have a JSON form.
fn write(value: &impl Serialize) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

/// What only all endpoints together tell: the state of the port, and whether the certificate is the one that the host
/// ought to show.
type Together = (PortState, Option<bool>);

/// Each endpoint with that, if it has been probed.
fn together(snapshot: &Snapshot) -> impl Iterator<Item = (&History, Option<Together>)> {
    let probed: Vec<&Outcome> = snapshot.endpoints.iter().filter_map(|history| history.latest.as_deref()).collect();
    let mut verdicts = port_states(&probed).into_iter().zip(matches_siblings(&probed));
    snapshot.endpoints.iter().map(move |history| {
        let verdict = history.latest.as_ref().and_then(|_| verdicts.next());
        (&**history, verdict)
    })
}

#[derive(Serialize)]
struct EndpointView<'a> {
    id: String,
    interval_seconds: f64,
    current_interval_seconds: f64,
    labels: &'a BTreeMap<String, String>,
    attempts: u64,
    retries: u64,
    failed_attempts: u64,
    last_success: Option<String>,
    certificate_changed: Option<String>,
    #[serde(flatten)]
    outcome: View<'a>,
}

#[derive(Serialize)]
struct Detail<'a> {
    #[serde(flatten)]
    endpoint: EndpointView<'a>,
    recent_failures: Vec<View<'a>>,
}

impl<'a> EndpointView<'a> {
    fn of(history: &'a History, together: Option<Together>, with_transcript: bool) -> Self {
        let endpoint = &history.endpoint;
        let outcome = match &history.latest {
            Some(outcome) => View::of(outcome, together, with_transcript),
            None => View::unknown(endpoint),
        };
        Self {
            id: endpoint.id().to_string(),
            interval_seconds: endpoint.interval.as_secs_f64(),
            current_interval_seconds: pace::interval(endpoint, history.latest.as_deref()).as_secs_f64(),
            labels: &endpoint.labels,
            attempts: history.attempts,
            retries: history.retries,
            failed_attempts: history.failures.values().sum(),
            last_success: history.last_success.and_then(|at| rfc3339(unix_seconds(at) as i64)),
            certificate_changed: history.certificate.as_ref().and_then(|seen| rfc3339(unix_seconds(seen.since) as i64)),
            outcome,
        }
    }
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
    success: Option<bool>,
    started: Option<String>,
    duration_seconds: Option<f64>,
    port_state: Option<&'a str>,
    light: Option<bool>,
    tls_seen: Option<String>,
    phases: Option<Vec<Phase>>,
    failure: Option<Failure<'a>>,
    expectations: Option<Vec<Expectation<'a>>>,
    smtp: Option<Smtp>,
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
    /// A firewall has overwritten the offer with X.
    starttls_masked: Option<bool>,
    auth: Stages,
    capabilities: Stages,
    size_limit_bytes: Option<u64>,
    /// Only where there was a login.
    #[serde(skip_serializing_if = "Option::is_none")]
    login: Option<LoginView>,
}

#[derive(Serialize)]
struct LoginView {
    mechanism: &'static str,
    accepted: bool,
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
    /// Null where no other port or address of the host shows one.
    matches_siblings: Option<bool>,
    /// Null without a `certificate_file`.
    matches_file: Option<bool>,
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
    /// Before the first probe has ended.
    fn unknown(endpoint: &'a Endpoint) -> Self {
        Self {
            target: &endpoint.target,
            host: endpoint.host.to_string(),
            port: endpoint.port,
            address: endpoint.address.map(|address| address.to_string()),
            module: &endpoint.module.name,
            protocol: endpoint.module.protocol.as_str(),
            security: endpoint.module.security.as_str(),
            success: None,
            started: None,
            duration_seconds: None,
            port_state: None,
            light: None,
            tls_seen: None,
            phases: None,
            failure: None,
            expectations: None,
            smtp: None,
            tls: None,
            certificate: None,
            chain: None,
            transcript: None,
        }
    }

    fn of(outcome: &'a Outcome, together: Option<Together>, with_transcript: bool) -> Self {
        let findings = &outcome.findings;
        let chain = findings.certificate.as_ref().map(|certificate| &**certificate.chain);
        Self {
            address: findings.address.map(|address| address.to_string()),
            success: Some(outcome.success()),
            started: rfc3339(unix_seconds(findings.started) as i64),
            duration_seconds: Some(findings.duration.as_secs_f64()),
            port_state: together.map(|(state, _)| state.as_str()),
            light: Some(findings.light),
            tls_seen: findings.tls_at.and_then(|at| rfc3339(unix_seconds(at) as i64)),
            phases: Some(phases(outcome)),
            failure: failure(outcome),
            expectations: Some(expectations(outcome)),
            smtp: Some(smtp(outcome)),
            tls: findings.tls.as_ref().map(|tls| Tls {
                version: tls.version.as_str(),
                cipher: &tls.cipher,
                group: tls.group.as_deref(),
            }),
            certificate: leaf(outcome, together.and_then(|(_, matches)| matches)),
            chain: chain.map(|chain| chain.iter().map(certificate).collect()),
            transcript: with_transcript.then(|| transcript(outcome)),
            ..Self::unknown(&outcome.endpoint)
        }
    }
}

fn failure(outcome: &Outcome) -> Option<Failure<'_>> {
    outcome.failure.as_ref().map(|failure| Failure {
        phase: failure.phase.as_str(),
        reason: failure.reason.as_str(),
        code: failure.code,
        enhanced_code: failure.enhanced_code.as_deref(),
        detail: &failure.detail,
    })
}

fn expectations(outcome: &Outcome) -> Vec<Expectation<'_>> {
    let all = outcome.judgements.iter();
    all.map(|j| Expectation { expectation: j.expectation, met: j.failure.is_none(), found: &j.found }).collect()
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
        clear: facts.clear.as_deref().map(names),
        tls: facts.tls.as_deref().map(names),
    };
    Smtp {
        banner: facts.greeting.as_ref().map(banner),
        starttls_offered: facts.clear.as_ref().map(|offered| offered.starttls),
        starttls_masked: facts.clear.as_ref().map(|offered| offered.starttls_masked),
        auth: stages(|offered| offered.auth.iter().map(Printable::to_string).collect()),
        capabilities: stages(|offered| offered.all.iter().map(|one| one.keyword.to_string()).collect()),
        size_limit_bytes: facts.tls.as_ref().or(facts.clear.as_ref()).and_then(|offered| offered.size_limit),
        login: match facts.login.as_deref() {
            Some(fact @ LoginFact::Answered { mechanism, .. }) => {
                Some(LoginView { mechanism: mechanism.name(), accepted: fact.is_accepted() })
            }
            _ => None,
        },
    }
}

/// The greeting as one line: its code, and the text of its lines with ` / ` between them.
pub(super) fn banner(greeting: &Reply) -> String {
    let lines: Vec<String> = greeting.lines.iter().map(|line| Printable::from_bytes(line).to_string()).collect();
    let text = Printable::from_text(lines.join(" / ").trim_end());
    format!("{:03} {text}", greeting.code).trim_end().to_owned()
}

fn leaf(outcome: &Outcome, matches_siblings: Option<bool>) -> Option<LeafView<'_>> {
    let found = outcome.findings.certificate.as_ref()?;
    Some(LeafView {
        valid: found.invalid.is_empty(),
        invalid_reasons: found.invalid.iter().map(|finding| Reason::from(finding.reason).as_str()).collect(),
        matches_siblings,
        matches_file: on_disk::compare(outcome).map(|compared| compared == OnDisk::Same),
        facts: certificate(found.leaf()?),
    })
}

fn certificate(certificate: &Certificate) -> CertificateView<'_> {
    let facts = certificate.facts.as_ref();
    CertificateView {
        not_before: facts.and_then(|facts| rfc3339(facts.not_before?)),
        not_after: facts.and_then(|facts| rfc3339(facts.not_after?)),
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
    let lines = outcome.findings.transcript.lines().filter(|line| line.from != Speaker::Event);
    lines
        .map(|line| Line {
            at_seconds: line.at.as_secs_f64(),
            from: if line.from == Speaker::Client { "client" } else { "server" },
            text: line.text,
        })
        .collect()
}
