//! The verdict on what was tried: a login, a mail, and mail before TLS.

use super::{Verdict, judgement, names};
use crate::endpoint::{LoginTrial, MailTrial, Module};
use crate::mail::Printable;
use crate::mail::smtp::login::{Channel, LoginFact};
use crate::mail::smtp::reply::Reply;
use crate::outcome::Findings;
use crate::outcome::failure::{Failure, Reason};
use crate::phase::Phase;

/// `auth.expect`.
pub(super) fn login(module: &Module, findings: &Findings) -> Verdict {
    let (trial, fact) = (module.login.as_ref()?, findings.smtp.login.as_deref()?);
    let expectation = if trial.accepted { "auth_accepted" } else { "auth_rejected" };
    match fact {
        LoginFact::Unsafe(channel) => {
            let why = match channel {
                Channel::Clear => "the line is not protected by TLS",
                Channel::Unverified => "the server's certificate is not valid",
                Channel::Verified => "the line is not protected",
            };
            let detail = format!("the login was not sent, for {why}");
            judgement(expectation, "not sent".into(), Some(Failure::new(Phase::Auth, Reason::AuthUnsafe, detail)))
        }
        LoginFact::NotOffered => {
            let failure = Failure::new(Phase::Auth, Reason::AuthNotOffered, not_offered(trial, findings));
            judgement(expectation, "not sent".into(), Some(failure))
        }
        LoginFact::Answered { mechanism, reply } => {
            let found = if fact.is_accepted() { "accepted" } else { "rejected" };
            let failure = match (trial.accepted, fact.is_accepted()) {
                (true, false) => Some(Failure::reply(Phase::Auth, Reason::AuthRejected, reply)),
                (false, true) => Some(Failure::reply(Phase::Auth, Reason::AuthAccepted, reply)),
                (true, true) | (false, false) => None,
            };
            judgement(expectation, format!("{found} with {:03}, by {}", reply.code, mechanism.name()), failure)
        }
    }
}

fn not_offered(trial: &LoginTrial, findings: &Findings) -> String {
    let offered = findings.smtp.tls.as_ref().or(findings.smtp.clear.as_ref()).map(|offered| offered.auth.as_slice());
    let offered = match offered.unwrap_or_default() {
        [] => "the server offers no AUTH".to_owned(),
        names_of => format!("the server offers {}", names(names_of)),
    };
    match trial.mechanism {
        Some(mechanism) => format!("the login was not sent, for it is to go by {}; {offered}", mechanism.name()),
        None => format!("the login was not sent, for there is no mechanism for it; {offered}"),
    }
}

/// `mail.expect`.
pub(super) fn mail(module: &Module, findings: &Findings) -> Verdict {
    let MailTrial { envelope, expect } = module.mail.as_ref()?;
    let (phase, reply) = match (&findings.smtp.mail, &findings.smtp.rcpt) {
        (_, Some(rcpt)) => (Phase::Rcpt, rcpt),
        (Some(mail), None) if mail.code >= 300 => (Phase::Mail, mail),
        _ => return None,
    };
    let failure = (!expect.is_met_by(reply)).then(|| match reply.code {
        200..=299 => {
            let text = Printable::from_bytes(&reply.text());
            let detail =
                format!("the server would take mail from {} for {}: {} {text}", envelope.from, envelope.to, reply.code);
            Failure { code: Some(reply.code), ..Failure::new(phase, Reason::RelayAccepted, detail) }
        }
        _ if is_greylisting(reply) => Failure::reply(phase, Reason::Greylisted, reply),
        400..=499 => Failure::reply(phase, Reason::TransientReply, reply),
        500..=599 => Failure::reply(phase, Reason::PermanentReply, reply),
        _ => Failure::reply(phase, Reason::UnexpectedReply, reply),
    });
    judgement("mail", format!("{:03} to {}", reply.code, if phase == Phase::Rcpt { "RCPT" } else { "MAIL" }), failure)
}

/// RFC 6647 §5: a temporary refusal, by custom 450 or 451, with the enhanced code of a policy (4.7.1; RFC 3463 §3.8) or of
/// a mailbox that is not ready (4.2.0). Their texts are in all languages, and say nothing that the code does not.
fn is_greylisting(reply: &Reply) -> bool {
    matches!(reply.code, 450 | 451) && matches!(reply.enhanced_code().as_deref(), Some("4.7.1" | "4.2.0"))
}

/// `expect.starttls: required`: MAIL before TLS is refused, because there is no TLS (RFC 3207 §4: 530).
pub(super) fn starttls_required(module: &Module, findings: &Findings) -> Verdict {
    let reply = findings.smtp.mail_clear.as_ref().filter(|_| module.expect.starttls_required)?;
    let found = format!("{:03} to MAIL before TLS", reply.code);
    // RFC 5248: 523 and 538 with 5.7.10 and 5.7.11 are of the same kind.
    let by_policy = reply.enhanced_code().is_some_and(|code| code.starts_with("5.7."));
    let failure = match reply.code {
        250 => Some(Failure::reply(Phase::MailClear, Reason::StartTlsNotRequired, reply)),
        523 | 530 | 538 => None,
        _ if by_policy => None,
        _ => Some(Failure::reply(Phase::MailClear, Reason::PermanentReply, reply)),
    };
    judgement("starttls_required", found, failure)
}
