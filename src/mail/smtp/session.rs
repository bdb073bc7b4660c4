//! One SMTP conversation as a machine without I/O: feed it what the server sent, do what it says.
//!
//! It greets, starts TLS if asked to, greets again and leaves. If asked to, it logs in ([`super::login`]) and
//! asks whether a mail would be taken, which it never sends: after MAIL and RCPT comes RSET. It sends one command
//! at a time, and only after the whole reply to the one before: nothing is ever pipelined (RFC 2920 §3.1
//! would allow it only where the server offers it, and servers punish clients that try).
//!
//! What goes wrong is told once, as [`Action::Fail`]; the machine then takes leave as politely as the
//! state of the line allows. Deadlines, sockets and the TLS handshake are the driver's business.

mod errands;
mod fault;
mod inbox;

use std::sync::Arc;

use super::capabilities::Capabilities;
use super::command::{Command, EhloName};
use super::envelope::Envelope;
use super::login::{self, Attempt, Channel, LoginFact};
use super::reply::Reply;
use crate::mail::secret::Redaction;

pub use errands::Tasks;
pub use fault::Fault;
use fault::{out_of_turn, refusal};
use inbox::Inbox;

/// When the session starts TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsUse {
    /// Never: the session stays in clear.
    Never,
    /// If the server offers STARTTLS.
    IfOffered,
    /// With STARTTLS, or the session has failed.
    Required,
    /// It runs inside TLS from the first byte (implicit TLS, RFC 8314 §3).
    FromTheStart,
}

/// The exchanges of a session, which are also its timed steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// From the connection to the last line of the greeting.
    Greeting,
    /// EHLO, and HELO if the server knew no EHLO.
    Ehlo,
    /// MAIL before TLS, which the server ought to refuse.
    MailClear,
    /// STARTTLS to its reply.
    StartTls,
    /// EHLO inside TLS after STARTTLS.
    EhloTls,
    /// AUTH to its last reply.
    Auth,
    /// MAIL to its reply.
    Mail,
    /// RCPT to its reply.
    Rcpt,
    /// QUIT to its reply, and RSET before it where there is something to take back.
    Quit,
}

/// What the driver is to do next.
#[derive(Debug, PartialEq, Eq)]
pub enum Action {
    /// Write this command.
    Send(Command),
    /// Read, and [`Session::feed`] what came; at the end of the stream call [`Session::end_of_stream`].
    Receive,
    /// Do the TLS handshake, then call [`Session::tls_started`].
    StartTls,
    /// Note this failure, then ask for the next action again.
    Fail(Step, Fault),
    /// Close the connection.
    Done,
}

/// What the dialogue has shown so far. Many are kept: what few of them have is on the heap.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The greeting; `None` until it was complete.
    pub greeting: Option<Reply>,
    /// What was offered in clear; `None` until EHLO was answered, and where TLS came first.
    pub clear: Option<Arc<Capabilities>>,
    /// What was offered inside TLS; `None` until EHLO was answered there.
    pub tls: Option<Arc<Capabilities>>,
    /// The last reply's code of each step that had one.
    pub codes: Vec<(Step, u16)>,
    /// What came of logging in; `None` when it was not asked for, not reached, or broke off.
    pub login: Option<Box<LoginFact>>,
    /// The answer to MAIL before TLS.
    pub mail_clear: Option<Box<Reply>>,
    /// The answer to MAIL.
    pub mail: Option<Box<Reply>>,
    /// The answer to RCPT; there is none where MAIL was refused.
    pub rcpt: Option<Box<Reply>>,
}

#[derive(Debug)]
enum State {
    /// Waiting for the greeting.
    Greeting,
    /// Waiting for the reply to EHLO.
    Ehlo(Stage),
    /// Waiting for the reply to HELO, which EHLO's refusal made necessary.
    Helo(Stage, Reply),
    /// Waiting for the reply to MAIL before TLS; then the session goes on as this EHLO would have it.
    MailClear(Stage),
    /// The same for RSET, which takes back what should not have been accepted.
    ResetClear(Stage),
    /// Waiting for the reply to STARTTLS.
    StartTls,
    /// The driver is doing the handshake.
    Handshake,
    /// Waiting for the next reply to AUTH or to an answer.
    Auth(Box<Attempt>),
    /// Waiting for the reply to MAIL.
    Mail(Arc<Envelope>),
    /// Waiting for the reply to RCPT.
    Rcpt,
    /// Waiting for the reply to RSET.
    Reset,
    /// Something is wrong; the line is in step, so QUIT can follow.
    Leaving,
    /// Waiting for the reply to QUIT.
    Quit,
    Done,
}

/// Which EHLO this is. RFC 3207 §4.2: what was learned before TLS is forgotten for judging.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Clear,
    AfterStartTls,
    /// Inside TLS that was there before the greeting.
    ImplicitTls,
}

impl Stage {
    fn step(self) -> Step {
        match self {
            Self::Clear | Self::ImplicitTls => Step::Ehlo,
            Self::AfterStartTls => Step::EhloTls,
        }
    }
}

/// The machine.
#[derive(Debug)]
pub struct Session {
    tls: TlsUse,
    name: EhloName,
    state: State,
    inbox: Inbox,
    facts: Facts,
    /// Set by [`Self::lightly`]: STARTTLS is looked for and not used.
    light: bool,
    /// Set by [`Self::leave_early`]: take leave at the next reply.
    leaving_early: bool,
    /// What to do beyond looking.
    tasks: Tasks,
    channel: Channel,
    redaction: Redaction,
    /// MAIL was accepted, and not taken back yet.
    in_transaction: bool,
}

impl Session {
    /// A session on a fresh connection (after the handshake, for [`TlsUse::FromTheStart`]).
    pub fn new(tls: TlsUse, name: EhloName) -> Self {
        Self {
            tls,
            name,
            state: State::Greeting,
            inbox: Inbox::default(),
            facts: Facts::default(),
            light: false,
            leaving_early: false,
            tasks: Tasks::default(),
            channel: Channel::Clear,
            redaction: Redaction::default(),
            in_transaction: false,
        }
    }

    /// The same session, which takes leave after EHLO in clear. STARTTLS must still be offered where it is required.
    pub fn lightly(self) -> Self {
        Self { light: true, ..self }
    }

    /// The same session with more to do.
    pub fn with_tasks(mut self, tasks: Tasks) -> Self {
        if let Some(login) = &tasks.login {
            login::conceal(&mut self.redaction, login);
        }
        Self { tasks, ..self }
    }

    /// What the line is like from now on. Until it is said to be otherwise, no secret goes over it.
    pub fn set_channel(&mut self, channel: Channel) {
        self.channel = channel;
    }

    /// What must not be shown of the dialogue.
    pub fn redaction(&self) -> &Redaction {
        &self.redaction
    }

    /// Takes bytes the server sent.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.inbox.feed(bytes);
    }

    /// Whether a reply is whole, so that the session is about to act on it. What else has arrived by now is out of turn,
    /// and is to be fed first: a server that talks on must not be answered, nor be taken to have answered.
    pub fn is_answered(&mut self) -> bool {
        self.inbox.is_answered()
    }

    /// The handshake after STARTTLS is done.
    pub fn tls_started(&mut self) -> Action {
        // RFC 3207 §4.2: the session starts afresh, and the client sends EHLO first.
        self.send_ehlo(Step::EhloTls, Stage::AfterStartTls)
    }

    /// The server ended the stream.
    pub fn end_of_stream(&mut self) -> Action {
        let step = self.step();
        match std::mem::replace(&mut self.state, State::Done) {
            // RFC 5321 §3.8: the server may close after 221, and some close instead of it.
            State::Quit | State::Done | State::Leaving | State::Reset => Action::Done,
            // It was the refusal of EHLO that it hung up on.
            State::Helo(_, refusal) => Action::Fail(step, Fault::Permanent(refusal)),
            _ => self.blame(step, Fault::Closed { partial: self.inbox.pending().to_vec() }),
        }
    }

    /// Take leave at the next point where a command may be sent.
    pub fn leave_early(&mut self) {
        self.leaving_early = true;
    }

    /// What has been learned.
    pub fn into_facts(self) -> Facts {
        self.facts
    }

    /// The step the session is in; [`Step::Quit`] once it takes leave.
    pub fn step(&self) -> Step {
        match &self.state {
            State::Greeting => Step::Greeting,
            State::Ehlo(stage) | State::Helo(stage, _) => stage.step(),
            State::MailClear(_) | State::ResetClear(_) => Step::MailClear,
            State::StartTls | State::Handshake => Step::StartTls,
            State::Auth(_) => Step::Auth,
            State::Mail(_) => Step::Mail,
            State::Rcpt => Step::Rcpt,
            State::Reset | State::Leaving | State::Quit | State::Done => Step::Quit,
        }
    }

    /// What to do next.
    pub fn next_action(&mut self) -> Action {
        match self.state {
            State::Done => return Action::Done,
            State::Handshake => return Action::StartTls,
            State::Leaving => return self.take_leave(),
            _ => {}
        }
        match self.inbox.reply() {
            None => Action::Receive,
            Some(Ok(reply)) => self.reply(reply),
            Some(Err(fault)) => self.give_up(fault),
        }
    }

    fn reply(&mut self, reply: Reply) -> Action {
        let step = self.step();
        if !matches!(self.state, State::ResetClear(_)) {
            self.facts.codes.retain(|(seen, _)| *seen != step);
            self.facts.codes.push((step, reply.code));
        }
        let state = std::mem::replace(&mut self.state, State::Done);
        if matches!(state, State::Greeting) {
            self.facts.greeting = Some(reply.clone());
        }
        // RFC 5321 §3.8: 421 may answer any command, when the server must shut down.
        if reply.code == 421 && !matches!(state, State::Quit | State::Reset | State::StartTls) {
            return self.fail(step, Fault::RateLimited(reply));
        }
        match state {
            State::Greeting => self.greeted(reply),
            State::Ehlo(stage) => self.ehlo_answered(stage, reply),
            State::Helo(stage, _) => self.helo_answered(stage, reply),
            State::MailClear(stage) => self.mail_in_clear_answered(stage, reply),
            State::ResetClear(stage) => self.go_on(stage, Step::MailClear),
            State::StartTls => self.starttls_answered(reply),
            State::Auth(attempt) => self.auth_answered(attempt, reply),
            State::Mail(envelope) => self.mail_answered(&envelope, reply),
            State::Rcpt => self.rcpt_answered(reply),
            State::Reset => self.send(Step::Quit, State::Quit, Command::Quit),
            // Whatever answers QUIT, the probe is over: 221, 250, 421, 451 are all seen.
            State::Quit | State::Leaving | State::Done | State::Handshake => Action::Done,
        }
    }

    /// RFC 5321 §3.1, §4.2: 220, or 554 if the host takes no mail; RFC 7504 adds 521.
    fn greeted(&mut self, reply: Reply) -> Action {
        let fault = match reply.code {
            220 => None,
            400..=499 => Some(Fault::RateLimited(reply.clone())),
            code => Some(match (code / 100, code / 10 % 10) {
                // §4.2.1: x0z answers bad syntax, x1z is information, x3z is about AUTH: none can greet.
                (5, 0 | 1 | 3) => Fault::Unexpected(reply.clone()),
                (5, _) => Fault::Permanent(reply.clone()),
                _ => Fault::Unexpected(reply.clone()),
            }),
        };
        match fault {
            Some(fault) => self.fail(Step::Greeting, fault),
            None if self.tls == TlsUse::FromTheStart => self.send_ehlo(Step::Greeting, Stage::ImplicitTls),
            None => self.send_ehlo(Step::Greeting, Stage::Clear),
        }
    }

    fn ehlo_answered(&mut self, stage: Stage, reply: Reply) -> Action {
        match reply.code {
            250 => self.learned(stage, Capabilities::from_ehlo(&reply)),
            // A server that offered STARTTLS knows EHLO; before TLS, HELO is for those that do not (RFC 5321 §3.2).
            500..=599 if stage != Stage::AfterStartTls => {
                self.send(stage.step(), State::Helo(stage, reply), Command::Helo(self.name.clone()))
            }
            // A second greeting, where only an answer is due.
            220 => self.fail(stage.step(), Fault::Unsolicited(reply.text())),
            _ => self.fail(stage.step(), refusal(reply)),
        }
    }

    fn helo_answered(&mut self, stage: Stage, reply: Reply) -> Action {
        match reply.code {
            // Some servers answer HELO in several lines; there are no extensions in them (RFC 5321 §4.1.1.1).
            250 => self.learned(stage, Capabilities::default()),
            _ => self.fail(stage.step(), refusal(reply)),
        }
    }

    /// Keeps what was offered and decides how to go on.
    fn learned(&mut self, stage: Stage, capabilities: Capabilities) -> Action {
        let (starttls, masked) = (capabilities.starttls, capabilities.starttls_masked);
        match stage {
            Stage::Clear => self.facts.clear = Some(capabilities.into()),
            Stage::AfterStartTls | Stage::ImplicitTls => self.facts.tls = Some(capabilities.into()),
        }
        // RFC 3207 §4.2 forbids STARTTLS inside TLS: offered there, it is noted and never used.
        if stage == Stage::Clear && !self.leaving_early {
            if self.tls == TlsUse::Required && !starttls {
                return self.fail(Step::StartTls, Fault::StartTlsNotOffered { masked });
            }
            if self.tasks.mail_in_clear {
                return self.try_mail_in_clear(stage);
            }
        }
        self.go_on(stage, stage.step())
    }

    /// After the step `after`: STARTTLS if it is due, else what there is to do on this line.
    fn go_on(&mut self, stage: Stage, after: Step) -> Action {
        let offered = stage == Stage::Clear && self.facts.clear.as_ref().is_some_and(|offered| offered.starttls);
        match self.tls {
            _ if self.leaving_early || self.light => self.leave(after),
            TlsUse::Required | TlsUse::IfOffered if offered => self.send(after, State::StartTls, Command::StartTls),
            _ => self.log_in(after),
        }
    }

    fn starttls_answered(&mut self, reply: Reply) -> Action {
        // RFC 3207 §4.2: nothing said in clear may count inside TLS; a client that keeps what follows the reply
        // takes an intruder's words for the server's own.
        if !self.inbox.pending().is_empty() {
            return self.give_up_at(Step::StartTls, Fault::StartTlsInjection(self.inbox.pending().to_vec()));
        }
        match reply.code {
            // RFC 3207 §4: only 220 starts TLS.
            220 => {
                self.state = State::Handshake;
                Action::StartTls
            }
            421 => self.fail(Step::StartTls, Fault::RateLimited(reply)),
            _ => self.fail(Step::StartTls, refusal(reply)),
        }
    }

    fn send_ehlo(&mut self, after: Step, stage: Stage) -> Action {
        if self.leaving_early {
            return self.leave(after);
        }
        self.send(after, State::Ehlo(stage), Command::Ehlo(self.name.clone()))
    }

    /// Sends a command after the reply that ended the step `after`, unless the server is talking on
    /// when it should be waiting.
    fn send(&mut self, after: Step, state: State, command: Command) -> Action {
        let pending = self.inbox.pending();
        if pending.is_empty() {
            self.state = state;
            command.secret().into_iter().for_each(|secret| self.redaction.add(secret));
            return Action::Send(command);
        }
        let fault = out_of_turn(pending);
        self.fail(after, fault)
    }

    /// A failure after which QUIT is in order: the server has answered and is waiting.
    fn fail(&mut self, step: Step, fault: Fault) -> Action {
        self.inbox.discard();
        self.state = State::Leaving;
        self.blame(step, fault)
    }

    /// A failure after which nobody knows whose turn it is: no further word.
    fn give_up(&mut self, fault: Fault) -> Action {
        let step = self.step();
        if step == Step::Quit {
            self.state = State::Done;
            return Action::Done;
        }
        self.give_up_at(step, fault)
    }

    fn give_up_at(&mut self, step: Step, fault: Fault) -> Action {
        self.state = State::Done;
        self.blame(step, fault)
    }

    fn blame(&self, step: Step, fault: Fault) -> Action {
        Action::Fail(step, fault.concealed(&self.redaction))
    }
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
