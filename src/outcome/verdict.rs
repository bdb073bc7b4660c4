//! Facts × expectations → success, or the first thing that is wrong.

mod trials;

use std::sync::Arc;

use super::failure::{Failure, Reason};
use super::{Findings, OldTls, Outcome};
use crate::endpoint::{AuthExpectation, Endpoint, Expectations, Presence};
use crate::mail::Printable;
use crate::mail::smtp::capabilities::Capabilities;
use crate::phase::Phase;

/// An expectation that could be judged.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Judgement {
    /// Its name in the configuration.
    pub expectation: &'static str,
    /// What was found, for people.
    pub found: String,
    /// Where and why it is not met; `None` when it is.
    pub failure: Option<Failure>,
}

/// Judges what a probe found. A conversation that broke is a failure; one that ran to its end is
/// judged by what was expected, in the order in which a probe meets it.
pub fn judge(endpoint: Arc<Endpoint>, findings: Findings) -> Outcome {
    let (module, expect) = (&endpoint.module, &endpoint.module.expect);
    if expect.port_closed {
        let judgement = port_closed(&findings);
        let failure =
            judgement.as_ref().map_or(findings.breakdown.clone(), |judgement| judgement.failure.clone().map(Box::new));
        return Outcome { endpoint, findings, failure, judgements: judgement.into_iter().collect(), turned_away: 0 };
    }
    let seen = [banner, auth_in_clear, starttls].iter().map(|judge| judge(expect, &findings));
    let clear = [trials::starttls_required(module, &findings)];
    let inside = [tls_min, old_tls, certificate, auth].iter().map(|judge| judge(expect, &findings));
    let tried = [trials::login(module, &findings), trials::mail(module, &findings)];
    let judgements: Arc<[Judgement]> = seen.chain(clear).chain(inside).chain(tried).flatten().collect();
    let unmet = || judgements.iter().find_map(|judgement| judgement.failure.clone().map(Box::new));
    let failure = findings.breakdown.clone().or_else(unmet);
    Outcome { endpoint, findings, failure, judgements, turned_away: 0 }
}

/// Nobody may listen: what breaks at the connection is then as it should be, and all that comes after is not
/// looked at. `None` when it could not be tried.
fn port_closed(findings: &Findings) -> Verdict {
    let at_connection = findings.breakdown.as_ref().filter(|failure| failure.phase <= Phase::Connect);
    match at_connection.map(|failure| (failure.phase, failure.reason)) {
        Some((Phase::Connect, reason @ (Reason::Refused | Reason::Timeout | Reason::Unreachable))) => {
            judgement("port", reason.to_string(), None)
        }
        Some(_) => None,
        None => {
            let detail = "the port accepts connections, and `expect.port: closed` forbids it";
            judgement("port", "open".into(), Some(Failure::new(Phase::Connect, Reason::PortOpen, detail)))
        }
    }
}

type Verdict = Option<Judgement>;

fn judgement(expectation: &'static str, found: String, failure: Option<Failure>) -> Verdict {
    Some(Judgement { expectation, found, failure })
}

fn banner(expect: &Expectations, findings: &Findings) -> Verdict {
    let pattern = expect.banner.as_ref()?;
    let text = banner_text(findings)?;
    let found = Printable::from_text(&text).to_string();
    let failure = (!pattern.is_match(&text)).then(|| {
        let detail = format!("the greeting “{found}” does not match {:?}", pattern.as_str());
        Failure::new(Phase::Banner, Reason::BannerMismatch, detail)
    });
    judgement("banner", found, failure)
}

/// The greeting with its code, one line of the server a line. Not cleaned: for matching only.
fn banner_text(findings: &Findings) -> Option<String> {
    let greeting = findings.smtp.greeting.as_ref()?;
    let lines = greeting.lines.iter().map(|line| format!("{:03} {}", greeting.code, String::from_utf8_lossy(line)));
    Some(lines.collect::<Vec<_>>().join("\n"))
}

fn auth_in_clear(expect: &Expectations, findings: &Findings) -> Verdict {
    if !expect.no_auth_in_clear {
        return None;
    }
    let clear = findings.smtp.clear.as_ref()?;
    let failure = (!clear.auth.is_empty()).then(|| {
        Failure::new(Phase::Ehlo, Reason::AuthInClear, format!("AUTH {} is offered before TLS", names(&clear.auth)))
    });
    judgement("auth_in_clear", offered(&clear.auth), failure)
}

fn starttls(expect: &Expectations, findings: &Findings) -> Verdict {
    let clear = findings.smtp.clear.as_ref()?;
    let found = if clear.starttls { "offered" } else { "absent" }.to_owned();
    let failure = match expect.starttls {
        Presence::Any => return None,
        Presence::Offered if !clear.starttls => {
            Some(Failure::new(Phase::StartTls, Reason::StartTlsNotSupported, "the server does not offer STARTTLS"))
        }
        Presence::Absent if clear.starttls => Some(Failure::new(
            Phase::Ehlo,
            Reason::UnexpectedReply,
            "the server offers STARTTLS, which `expect.starttls: absent` forbids",
        )),
        Presence::Offered | Presence::Absent => None,
    };
    judgement("starttls", found, failure)
}

fn tls_min(expect: &Expectations, findings: &Findings) -> Verdict {
    let (wanted, tls) = (expect.tls_min?, findings.tls.as_ref()?);
    let failure = (tls.version < wanted).then(|| {
        let detail = format!("the server chose {}, and {} is wanted", tls.version.as_str(), wanted.as_str());
        Failure::new(Phase::Tls, Reason::TlsTooOld, detail)
    });
    judgement("tls_min", tls.version.as_str().to_owned(), failure)
}

/// RFC 8996 §4 and §5: TLS 1.0 and 1.1 must not be negotiated. `None` where it could not be asked.
fn old_tls(expect: &Expectations, findings: &Findings) -> Verdict {
    if !expect.no_old_tls {
        return None;
    }
    match findings.old_tls.as_ref()? {
        OldTls::Accepted(tls) => {
            let agreed = format!("{} {}", tls.version.as_str(), tls.cipher);
            let detail = format!("a client that is old enough gets {agreed}, and `expect.old_tls: refused` forbids it");
            judgement("old_tls", agreed, Some(Failure::new(Phase::Tls, Reason::OldTlsAccepted, detail)))
        }
        OldTls::Refused(Some(alert)) => judgement("old_tls", format!("refused by alert {alert}"), None),
        OldTls::Refused(None) => judgement("old_tls", "refused without a word".into(), None),
    }
}

fn certificate(expect: &Expectations, findings: &Findings) -> Verdict {
    if !expect.certificate_valid {
        return None;
    }
    let certificate = findings.certificate.as_ref()?;
    let reasons: Vec<&str> = certificate.invalid.iter().map(|f| Reason::from(f.reason).as_str()).collect();
    let found = if reasons.is_empty() { "valid".to_owned() } else { reasons.join(", ") };
    judgement("certificate", found, Failure::certificate(&certificate.invalid))
}

fn auth(expect: &Expectations, findings: &Findings) -> Verdict {
    let (phase, last) = last_ehlo(findings)?;
    let missing = |names: &[String]| -> Vec<String> {
        names.iter().filter(|name| !last.auth.iter().any(|offered| offered.as_str() == *name)).cloned().collect()
    };
    let failure = match &expect.auth {
        AuthExpectation::Any => return None,
        AuthExpectation::Offered if last.auth.is_empty() => {
            Some(Failure::new(phase, Reason::AuthNotOffered, "the server does not offer AUTH"))
        }
        AuthExpectation::Absent if !last.auth.is_empty() => Some(Failure::new(
            phase,
            Reason::UnexpectedReply,
            format!("the server offers AUTH {}, which `expect.auth: absent` forbids", names(&last.auth)),
        )),
        AuthExpectation::Mechanisms(wanted) if !missing(wanted).is_empty() => {
            let detail = format!("AUTH lacks {}; {}", missing(wanted).join(" "), offered(&last.auth));
            Some(Failure::new(phase, Reason::AuthNotOffered, detail))
        }
        _ => None,
    };
    judgement("auth", offered(&last.auth), failure)
}

/// RFC 3207 §4.2: after TLS only what is offered there counts. `None` while TLS was still to come.
fn last_ehlo(findings: &Findings) -> Option<(Phase, &Capabilities)> {
    let after_starttls = findings.reached(Phase::StartTls);
    match (&findings.smtp.tls, &findings.smtp.clear) {
        (Some(tls), _) => Some((if after_starttls { Phase::EhloTls } else { Phase::Ehlo }, tls)),
        (None, Some(clear)) if findings.breakdown.is_none() => Some((Phase::Ehlo, clear)),
        _ => None,
    }
}

fn offered(mechanisms: &[Printable]) -> String {
    if mechanisms.is_empty() { "absent".into() } else { format!("offered: {}", names(mechanisms)) }
}

fn names(mechanisms: &[Printable]) -> String {
    mechanisms.iter().map(Printable::as_str).collect::<Vec<_>>().join(" ")
}
