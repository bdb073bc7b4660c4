//! Does what a session says: the one exchange loop, for every protocol and every kind of stream.
//!
//! Here alone are the deadline of a read, the clock of a phase and the transcript.

use crate::endpoint::{Module, Security};
use crate::mail::smtp::command::{Command, EhloName};
use crate::mail::smtp::login::{Channel, Login};
use crate::mail::smtp::session::{Action, Fault, Session, Step, Tasks, TlsUse};
use crate::outcome::failure::{Failure, Reason};
use crate::outcome::phase_of;
use crate::outcome::transcript::Speaker;
use crate::phase::Phase;

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use tokio::time::{Instant, timeout};

use super::run::{Halt, Run};
use super::stream::Stream;
use super::{io_error, tls};

/// How long the reply to QUIT may take; its absence is never a failure.
const QUIT_WAIT: Duration = Duration::from_secs(2);

/// How long the server may take to close after its reply to QUIT, before we do.
const CLOSE_WAIT: Duration = Duration::from_millis(100);

/// Talks with the server from its greeting to QUIT.
pub(super) async fn dialogue(run: &mut Run, stream: Stream) -> Result<(), Halt> {
    let tasks = tasks(&run.endpoint.module)?;
    let mut dialogue = begin(run, stream, true, tasks);
    let result = dialogue.talk().await;
    dialogue.close().await;
    dialogue.run.findings.smtp = dialogue.session.into_facts();
    result
}

/// Talks as far as the server's consent to STARTTLS. `None` where it does not come to that; leave is then taken.
pub(super) async fn up_to_tls(run: &mut Run, stream: Stream) -> Option<Stream> {
    let mut dialogue = begin(run, stream, false, Tasks::default());
    let result = dialogue.talk().await;
    if result.is_ok() && dialogue.session.step() == Step::StartTls {
        return dialogue.stream.take();
    }
    dialogue.close().await;
    None
}

fn begin(run: &mut Run, stream: Stream, handshakes: bool, tasks: Tasks) -> Dialogue<'_> {
    let name = match &run.endpoint.module.ehlo_name {
        Some(name) => name.clone(),
        None => own_address(&stream),
    };
    let session = Session::new(tls_use(run.endpoint.module.security), name).with_tasks(tasks);
    let mut session = if run.is_light() { session.lightly() } else { session };
    session.set_channel(channel(run, &stream));
    Dialogue {
        run,
        stream: Some(stream),
        session,
        step: Step::Greeting,
        read_at: None,
        left: false,
        cut: None,
        handshakes,
    }
}

fn tls_use(security: Security) -> TlsUse {
    match security {
        Security::Plain => TlsUse::Never,
        Security::Opportunistic => TlsUse::IfOffered,
        Security::StartTls => TlsUse::Required,
        Security::Tls => TlsUse::FromTheStart,
    }
}

/// What the module wants done beyond looking.
fn tasks(module: &Module) -> Result<Tasks, Failure> {
    let login = match &module.login {
        None => None,
        Some(trial) => Some(Arc::new(Login {
            credentials: trial.credentials.clone(),
            mechanism: trial.mechanism,
            insecure: trial.insecure,
            nonce: nonce()?,
        })),
    };
    let envelope = module.mail.as_ref().map(|trial| trial.envelope.clone());
    Ok(Tasks { mail_in_clear: module.expect.starttls_required, login, envelope })
}

/// RFC 5802 §5.1: printable, without a comma, and 144 bits that nobody can guess.
fn nonce() -> Result<String, Failure> {
    let mut bytes = [0; 18];
    aws_lc_rs::rand::fill(&mut bytes)
        .map_err(|_| Failure::new(Phase::Auth, Reason::LocalResource, "this machine gives no random numbers"))?;
    Ok(STANDARD.encode(bytes))
}

/// What the line is worth to a secret.
fn channel(run: &Run, stream: &Stream) -> Channel {
    match (stream, &run.findings.certificate) {
        (Stream::Clear(_), _) => Channel::Clear,
        (Stream::Tls(_), Some(certificate)) if certificate.invalid.is_empty() => Channel::Verified,
        (Stream::Tls(_), _) => Channel::Unverified,
    }
}

fn own_address(stream: &Stream) -> EhloName {
    let address = stream.local_address().map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |local| local.ip());
    EhloName::literal(address.to_canonical())
}

struct Dialogue<'a> {
    run: &'a mut Run,
    /// `None` once a handshake has consumed it and failed.
    stream: Option<Stream>,
    session: Session,
    /// The step whose time is running.
    step: Step,
    /// When what was read last came; `None` before the first.
    read_at: Option<Instant>,
    /// QUIT has been sent.
    left: bool,
    /// Why a command cannot be written; what the server said before is still read.
    cut: Option<io::Error>,
    /// Whether the handshake is done here, or left to the caller.
    handshakes: bool,
}

impl Dialogue<'_> {
    async fn talk(&mut self) -> Result<(), Halt> {
        self.run.enter(Phase::Banner);
        let mut action = self.session.next_action();
        loop {
            self.keep_time();
            action = match action {
                Action::Send(command) => self.send(&command).await?,
                Action::Receive => self.receive().await?,
                Action::StartTls if !self.handshakes => return Ok(()),
                Action::StartTls => self.start_tls().await?,
                Action::Fail(step, fault) => {
                    let failure = Failure::of_fault(phase_of(step), &fault);
                    self.run.findings.breakdown.get_or_insert(failure.into());
                    self.session.next_action()
                }
                Action::Done => return Ok(()),
            };
        }
    }

    /// A step that the session has left is over, since the bytes that ended it arrived.
    fn keep_time(&mut self) {
        let now = self.session.step();
        if now != self.step {
            match self.read_at {
                Some(at) => self.run.lap_at(phase_of(self.step), at),
                None => self.run.lap(phase_of(self.step)),
            }
            self.begin(now);
        }
    }

    fn begin(&mut self, step: Step) {
        self.step = step;
        self.run.enter(phase_of(step));
        if step == Step::Quit {
            self.run.limit_phase(QUIT_WAIT);
        }
    }

    async fn send(&mut self, command: &Command) -> Result<Action, Halt> {
        let line = command.to_line();
        self.run.turn(self.read_at, self.run.now());
        self.run.findings.transcript.add(self.run.elapsed(), Speaker::Client, &command.shown());
        self.left |= *command == Command::Quit;
        let Some(stream) = &mut self.stream else { return Ok(Action::Done) };
        let written = self.run.within(stream.write_all(line.as_bytes())).await;
        match written {
            Ok(Ok(())) => Ok(self.session.next_action()),
            // What the server said before it closed is still to be read, and may say why.
            Ok(Err(error)) if io_error::is_end(&error) => {
                self.cut.get_or_insert(error);
                Ok(Action::Receive)
            }
            Ok(Err(error)) => self.broken(&error),
            Err(halt) => self.interrupted(halt),
        }
    }

    async fn receive(&mut self) -> Result<Action, Halt> {
        let mut buffer = [0; 4096];
        let Some(stream) = &mut self.stream else { return Ok(Action::Done) };
        let read = self.run.within(stream.read(&mut buffer)).await;
        if self.run.is_stopping() {
            self.session.leave_early();
        }
        let at = stream.received().filter(|_| matches!(read, Ok(Ok(length)) if length > 0));
        let at = at.unwrap_or_else(|| self.run.now());
        self.read_at = Some(at);
        match read {
            Ok(Ok(0)) => self.ended(),
            // TLS ended without close_notify: the same as an end of the stream where more was due.
            Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => self.ended(),
            Ok(Ok(length)) => {
                self.hear(at, buffer.get(..length).unwrap_or_default());
                if self.session.is_answered() {
                    self.hear_on(&mut buffer);
                }
                Ok(self.session.next_action())
            }
            Ok(Err(error)) => self.broken(&error),
            Err(halt) => self.interrupted(halt),
        }
    }

    /// What the server has said behind a whole reply, and had no room beside it. The reply came before, and its time
    /// stands. Once is enough: a single byte is too many.
    fn hear_on(&mut self, buffer: &mut [u8]) {
        match self.stream.as_mut().and_then(|stream| stream.read_on(buffer)) {
            Some(Ok(length)) if length > 0 => {
                let at = self.stream.as_ref().and_then(Stream::received).unwrap_or_else(|| self.run.now());
                self.hear(at, buffer.get(..length).unwrap_or_default());
            }
            // The system tells of it once.
            Some(Err(error)) if io_error::reason(&error) == Reason::Reset => self.cut = Some(error),
            _ => {}
        }
    }

    fn hear(&mut self, at: Instant, bytes: &[u8]) {
        self.run.findings.transcript.conceal(self.session.redaction(), self.session.step() == Step::Auth);
        self.run.findings.transcript.received(self.run.elapsed_at(at), bytes);
        self.session.feed(bytes);
    }

    async fn start_tls(&mut self) -> Result<Action, Halt> {
        let at = self.read_at.unwrap_or_else(|| self.run.now());
        self.run.lap_at(Phase::StartTls, at);
        let Some(stream) = self.stream.take() else { return Ok(Action::Done) };
        let stream = tls::handshake(self.run, stream).await?;
        self.session.set_channel(channel(self.run, &stream));
        self.stream = Some(stream);
        let action = self.session.tls_started();
        self.begin(self.session.step());
        Ok(action)
    }

    /// The stream is at its end. If it was a command that met the end, its error says how it came: the system
    /// tells of a RST once, and of a plain end from then on.
    fn ended(&mut self) -> Result<Action, Halt> {
        match (self.session.end_of_stream(), self.cut.take()) {
            (Action::Fail(_, Fault::Closed { .. }), Some(error)) => self.broken(&error),
            (action, _) => Ok(action),
        }
    }

    /// An error of the connection: a failure, unless all that was missing is the reply to QUIT. What the server had
    /// against us before it hung up, by RST as well as by FIN, is the better reason.
    fn broken(&mut self, error: &io::Error) -> Result<Action, Halt> {
        if self.step == Step::Quit {
            return Ok(Action::Done);
        }
        if io_error::is_end(error) {
            match self.session.end_of_stream() {
                Action::Fail(_, Fault::Closed { .. }) | Action::Done => {}
                refusal => return Ok(refusal),
            }
        }
        let phase = phase_of(self.step);
        Err(tls::alert(phase, error).unwrap_or_else(|| io_error::failure(phase, error)).into())
    }

    fn interrupted(&self, halt: Halt) -> Result<Action, Halt> {
        if self.step == Step::Quit { Ok(Action::Done) } else { Err(halt) }
    }

    /// Ends the connection: close_notify and FIN, then a moment for the server to close its side, so that
    /// nothing it still says is answered with RST.
    async fn close(&mut self) {
        if self.left && self.step == Step::Quit {
            self.run.lap_at(Phase::Quit, self.read_at.unwrap_or_else(|| self.run.now()));
        }
        let Some(stream) = &mut self.stream else { return };
        let left = self.left;
        let farewell = async {
            stream.shutdown().await?;
            let mut rest = [0; 512];
            while left && stream.read(&mut rest).await? > 0 {}
            io::Result::Ok(())
        };
        // Whatever comes of it, the probe is over.
        let _ = timeout(CLOSE_WAIT, farewell).await;
    }
}
