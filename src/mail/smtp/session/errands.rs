//! What a session does beyond looking, if it is asked to: it tries MAIL before TLS, logs in, and asks whether a
//! mail would be taken.
//!
//! Refusals are facts here, for they may be what is expected. A session that was told nothing more says EHLO,
//! STARTTLS and QUIT.

use std::sync::Arc;

use super::{Action, Fault, Session, Stage, State, Step};
use crate::mail::smtp::capabilities::Capabilities;
use crate::mail::smtp::command::Command;
use crate::mail::smtp::envelope::{Envelope, Sender};
use crate::mail::smtp::login::{Attempt, Login, Turn};
use crate::mail::smtp::reply::Reply;

/// What a session may be asked to do beyond looking; nothing by itself.
#[derive(Clone, Debug, Default)]
pub struct Tasks {
    /// Try MAIL before TLS.
    pub mail_in_clear: bool,
    /// Log in.
    pub login: Option<Arc<Login>>,
    /// Ask whether a mail would be taken; after a login, only if that is accepted.
    pub envelope: Option<Arc<Envelope>>,
}

impl Session {
    /// MAIL from nobody, which needs no rights and promises nothing.
    pub(super) fn try_mail_in_clear(&mut self, stage: Stage) -> Action {
        let mail = Command::Mail { from: Sender::Nobody, smtputf8: false };
        self.send(stage.step(), State::MailClear(stage), mail)
    }

    /// RFC 3207 §4: 530 is what a server says that wants TLS first. What it takes is taken back.
    pub(super) fn mail_in_clear_answered(&mut self, stage: Stage, reply: Reply) -> Action {
        let reply = reply.concealed(&self.redaction);
        match reply.code {
            400..=499 => self.fail(Step::MailClear, Fault::Transient(reply)),
            250 => {
                self.facts.mail_clear = Some(reply.into());
                self.send(Step::MailClear, State::ResetClear(stage), Command::Rset)
            }
            500..=599 => {
                self.facts.mail_clear = Some(reply.into());
                self.go_on(stage, Step::MailClear)
            }
            _ => self.fail(Step::MailClear, Fault::Unexpected(reply)),
        }
    }

    pub(super) fn log_in(&mut self, after: Step) -> Action {
        let Some(login) = self.tasks.login.clone() else { return self.ask(after) };
        let nothing = Capabilities::default();
        let offered = self.facts.tls.as_deref().or(self.facts.clear.as_deref()).unwrap_or(&nothing);
        match Attempt::start(&login, self.channel, offered) {
            Ok((attempt, command)) => self.send(after, State::Auth(Box::new(attempt)), command),
            Err(fact) => {
                self.facts.login = Some(fact.into());
                self.leave(after)
            }
        }
    }

    pub(super) fn auth_answered(&mut self, mut attempt: Box<Attempt>, reply: Reply) -> Action {
        match attempt.replied(reply) {
            // Given up or not, the exchange has to come to its end before QUIT.
            Turn::Send(command) => self.send(Step::Auth, State::Auth(attempt), command),
            Turn::Fail(fault) => self.fail(Step::Auth, fault),
            Turn::Done(fact) => {
                let accepted = fact.is_accepted();
                self.facts.login = Some(fact.concealed(&self.redaction).into());
                if accepted && !self.leaving_early { self.ask(Step::Auth) } else { self.leave(Step::Auth) }
            }
        }
    }

    /// Asks whether the mail would be taken, if there is one.
    fn ask(&mut self, after: Step) -> Action {
        let Some(envelope) = self.tasks.envelope.clone() else { return self.leave(after) };
        let offered = self.facts.tls.as_ref().or(self.facts.clear.as_ref());
        let smtputf8 = envelope.needs_smtputf8().cloned();
        match smtputf8 {
            Some(address) if !offered.is_some_and(|offered| offered.offers("SMTPUTF8")) => {
                self.fail(Step::Mail, Fault::NoSmtpUtf8(address))
            }
            smtputf8 => {
                let mail = Command::Mail { from: envelope.from.clone(), smtputf8: smtputf8.is_some() };
                self.send(after, State::Mail(envelope), mail)
            }
        }
    }

    /// What is refused, for now or for good, is a fact: it may be what was expected.
    pub(super) fn mail_answered(&mut self, envelope: &Envelope, reply: Reply) -> Action {
        let reply = reply.concealed(&self.redaction);
        match reply.code {
            250 => {
                self.in_transaction = true;
                self.facts.mail = Some(reply.into());
                if self.leaving_early {
                    return self.leave(Step::Mail);
                }
                self.send(Step::Mail, State::Rcpt, Command::Rcpt(envelope.to.clone()))
            }
            400..=599 => {
                self.facts.mail = Some(reply.into());
                self.leave(Step::Mail)
            }
            _ => self.fail(Step::Mail, Fault::Unexpected(reply)),
        }
    }

    /// RFC 5321 §4.3.2: 250, or 251 where the mail would go on to another address.
    pub(super) fn rcpt_answered(&mut self, reply: Reply) -> Action {
        let reply = reply.concealed(&self.redaction);
        match reply.code {
            250 | 251 | 400..=599 => {
                self.facts.rcpt = Some(reply.into());
                self.leave(Step::Rcpt)
            }
            _ => self.fail(Step::Rcpt, Fault::Unexpected(reply)),
        }
    }

    /// The end of a session in which nothing went wrong.
    pub(super) fn leave(&mut self, after: Step) -> Action {
        let (state, command) = self.farewell();
        self.send(after, state, command)
    }

    pub(super) fn take_leave(&mut self) -> Action {
        let (state, command) = self.farewell();
        self.state = state;
        Action::Send(command)
    }

    /// RSET if there is something to take back, then QUIT.
    fn farewell(&mut self) -> (State, Command) {
        if std::mem::take(&mut self.in_transaction) {
            (State::Reset, Command::Rset)
        } else {
            (State::Quit, Command::Quit)
        }
    }
}
