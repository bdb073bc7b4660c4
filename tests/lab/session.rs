//! One conversation: a script played to a client who has not read it.
//!
//! A probe does not say what the recorded client said. So a command is answered by the next
//! `C:` step of the same stage (up to `=== TLS`) that has its verb, what lies between is skipped,
//! and a command the rest of the stage does not hold is answered off the script:
//!
//! * QUIT: 221, and the end;
//! * STARTTLS outside TLS: 220, the handshake, and the EHLO of the script again without STARTTLS;
//! * anything else: 500, and the script stays where it was.
//!
//! A script that is over goes on by the same rule until the client has said QUIT or closes.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::log::holds_clear_text;
use super::wire::{Tap, Wire, write_cut};
use super::{Ending, Options, Script, SessionLog, Step, Violation};

/// No session is longer.
const LONGEST: Duration = Duration::from_secs(60);
/// How long a server that has closed listens for what the client still says.
const LINGER: Duration = Duration::from_secs(2);
/// A `*repeat` is written in pieces of about this size.
const LARGE: usize = 64 * 1024;

pub(super) struct Session {
    wire: Wire,
    script: Arc<Script>,
    options: Options,
    log: Arc<Mutex<SessionLog>>,
    /// The steps left to play are `steps[at..]`.
    steps: Vec<Step>,
    at: usize,
    /// What the client said and no step has taken yet.
    heard: Vec<u8>,
    /// How many bytes the server has said.
    said: usize,
    /// The server owes a reply (at first its greeting): the client has to wait.
    owes: bool,
    /// As much of that reply as was said.
    reply: Vec<u8>,
    greeted: bool,
    /// A handshake was refused or failed: what the client sends now is TLS, or a fault.
    tls_failed: bool,
}

/// Why a session is over.
enum Over {
    /// The script says so.
    Ended,
    /// The client closed, or the socket broke.
    Lost(io::Error),
}

impl From<io::Error> for Over {
    fn from(error: io::Error) -> Over {
        Over::Lost(error)
    }
}

impl Session {
    pub(super) fn new(tcp: TcpStream, script: Arc<Script>, options: Options, log: Arc<Mutex<SessionLog>>) -> Session {
        let _ = tcp.set_nodelay(true);
        Session {
            wire: Wire::Clear(Tap::new(tcp, options.chunking)),
            steps: script.steps.clone(),
            script,
            options,
            log,
            at: 0,
            heard: Vec::new(),
            said: 0,
            owes: true,
            reply: Vec::new(),
            greeted: false,
            tls_failed: false,
        }
    }

    pub(super) async fn run(mut self) {
        let played = timeout(LONGEST, self.play()).await;
        if let Ok(Err(Over::Lost(error))) = played {
            use io::ErrorKind::{BrokenPipe, ConnectionReset, NotConnected, UnexpectedEof};
            let mut log = self.log();
            log.reset |= error.kind() == ConnectionReset;
            log.left = matches!(error.kind(), BrokenPipe | ConnectionReset | NotConnected | UnexpectedEof);
        }
        if matches!(self.wire, Wire::Away) {
            return; // its time was over in the middle of a handshake
        }
        let bytes = self.wire.tap().received;
        self.log().bytes = bytes;
        if self.tls_failed && holds_clear_text(&self.wire.tap().seen) {
            self.log().note(Violation::ClearTextAfterFailedTls);
        }
    }

    fn log(&self) -> std::sync::MutexGuard<'_, SessionLog> {
        self.log.lock().unwrap()
    }

    async fn play(&mut self) -> Result<(), Over> {
        loop {
            match self.steps.get(self.at).cloned() {
                None if self.tls_failed || self.log().quit => self.end(Ending::Close).await?,
                None | Some(Step::Expect(_)) => self.answer().await?,
                Some(step) => {
                    self.at += 1;
                    self.perform(step).await?;
                }
            }
        }
    }

    async fn perform(&mut self, step: Step) -> Result<(), Over> {
        match step {
            Step::Send(bytes) => self.say(&bytes).await?,
            Step::Expect(_) => {} // played by `answer`, which moves on by itself
            Step::Tls => self.start_tls(usize::MAX).await?,
            Step::CutTls(budget) => self.start_tls(budget).await?,
            Step::ClientHello => self.read_client_hello().await?,
            Step::Sleep(time) => sleep(time).await,
            // With TCP_NODELAY what was said is on its way; a reader gets time to take it.
            Step::Segment => sleep(Duration::from_millis(5)).await,
            Step::Repeat(times, bytes) => self.repeat(times, &bytes).await?,
            Step::Drip(pause, bytes) => {
                for byte in bytes.chunks(1) {
                    self.say(byte).await?;
                    sleep(pause).await;
                }
            }
            Step::Idle => self.listen_on().await?,
            Step::NoRead => std::future::pending().await,
            Step::Urgent(byte) => self.wire.tap().urgent(byte)?,
            Step::HalfClose => self.wire.end(Ending::Cut).await?,
            Step::End(ending) => self.end(ending).await?,
        }
        Ok(())
    }

    // What the server says.

    async fn say(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.catch_early_words().await;
        write_cut(&mut self.wire, bytes, self.said, self.options.chunking).await?;
        self.said += bytes.len();
        self.reply.extend_from_slice(bytes);
        if is_whole_reply(&self.reply) {
            self.reply.clear();
            self.owes = false;
            self.greeted = true;
        }
        Ok(())
    }

    async fn repeat(&mut self, times: u64, bytes: &[u8]) -> io::Result<()> {
        let per_write = (LARGE / bytes.len().max(1)).max(1) as u64;
        let block = bytes.repeat(per_write.min(times) as usize);
        let mut left = times;
        while left > 0 {
            let now = left.min(per_write);
            self.wire.write(&block[..now as usize * bytes.len()]).await?;
            left -= now;
        }
        Ok(())
    }

    async fn end(&mut self, ending: Ending) -> Result<(), Over> {
        self.wire.end(ending).await?;
        // A socket closed with unread bytes sends RST: read them, so that FIN is what arrives.
        if ending != Ending::Reset
            && let Ok(Err(error)) = timeout(LINGER, self.listen_on()).await
        {
            return Err(Over::Lost(error));
        }
        Err(Over::Ended)
    }

    // What the client says.

    /// Reads a command and goes where the script answers it; see the rule above.
    async fn answer(&mut self) -> Result<(), Over> {
        let verb = self.command().await?;
        let mut stage = self.steps[self.at..].iter().take_while(|step| !matches!(step, Step::Tls | Step::CutTls(_)));
        let is_it = |step: &Step| matches!(step, Step::Expect(v) if *v == verb || v.is_empty());
        if let Some(skipped) = stage.position(is_it) {
            self.at += skipped + 1;
        } else if verb == "QUIT" {
            self.say(b"221 2.0.0 Bye\r\n").await?;
            self.end(Ending::Close).await?;
        } else if verb == "STARTTLS" && !self.wire.is_tls() {
            self.say(b"220 2.0.0 Ready to start TLS\r\n").await?;
            self.at = self.steps.len();
            self.start_tls(usize::MAX).await?;
        } else {
            self.say(b"500 5.5.1 Command not in this transcript\r\n").await?;
        }
        Ok(())
    }

    /// The next command line's verb.
    async fn command(&mut self) -> io::Result<String> {
        let end = loop {
            let end = self.heard.iter().position(|byte| *byte == b'\n');
            if let Some(end) = end.filter(|_| !self.hears_tls()) {
                break end;
            }
            if self.hears_tls() {
                // A handshake that the script does not hold is no command.
                self.tls_failed = true;
                self.wire.tap().seen = std::mem::take(&mut self.heard);
                return Err(io::ErrorKind::InvalidData.into());
            }
            if self.heard.len() > LARGE {
                self.log().note(Violation::LineTooLong);
                return Err(io::ErrorKind::InvalidData.into());
            }
            self.hear().await?;
        };
        let line: Vec<u8> = self.heard.drain(..=end).collect();
        if !self.greeted || !self.heard.is_empty() {
            self.note_early_words();
        }
        self.owes = true;
        Ok(self.log().take_line(&line))
    }

    async fn hear(&mut self) -> io::Result<()> {
        let mut bytes = [0; 4096];
        let count = self.wire.read(&mut bytes).await?;
        if count == 0 {
            self.log().close_notify |= self.wire.is_tls();
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if !self.wire.is_tls() {
            self.log().clear.extend_from_slice(&bytes[..count]);
        }
        self.heard.extend_from_slice(&bytes[..count]);
        Ok(())
    }

    /// Looks, without waiting, whether the client speaks while it is the server's turn.
    async fn catch_early_words(&mut self) {
        if self.tls_failed || !self.owes {
            return;
        }
        tokio::task::yield_now().await; // lets the runtime see what has arrived
        let _ = timeout(Duration::ZERO, self.hear()).await;
        if !self.heard.is_empty() {
            self.note_early_words();
        }
    }

    /// Whether it is a TLS record of a handshake that has come, where clear text was due (RFC 8446 §5.1).
    fn hears_tls(&self) -> bool {
        !self.wire.is_tls() && self.heard.starts_with(&[22, 3])
    }

    fn note_early_words(&self) {
        if self.hears_tls() {
            return;
        }
        let fault = if self.greeted { Violation::Pipelined } else { Violation::SpokeBeforeGreeting };
        self.log().note(fault);
    }

    /// Listens, answering nothing, until the client closes.
    async fn listen_on(&mut self) -> io::Result<()> {
        loop {
            if self.tls_failed {
                self.read_raw().await?;
            } else if let Err(error) = self.command().await
                && !self.tls_failed
            {
                return Err(error);
            }
        }
    }

    /// Reads bytes that are TLS or ought to be; the tap remembers them.
    async fn read_raw(&mut self) -> io::Result<()> {
        match self.wire.read(&mut [0; 4096]).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    // TLS.

    async fn start_tls(&mut self, budget: usize) -> Result<(), Over> {
        self.heard.clear(); // RFC 3207 §4.2: what came before TLS is forgotten.
        let Some(config) = self.options.tls.clone() else {
            return self.end(Ending::Close).await;
        };
        match self.wire.handshake(config, budget).await {
            Ok(()) => self.go_on_in_tls(),
            Err(error) => {
                self.tls_failed = true;
                self.log().tls_error = Some(error.to_string());
                if budget == usize::MAX {
                    self.end(Ending::Close).await?;
                }
            }
        }
        Ok(())
    }

    fn go_on_in_tls(&mut self) {
        if let Wire::Tls(tls) = &self.wire {
            let name = tls.get_ref().1.server_name().map(str::to_owned);
            let mut log = self.log.lock().unwrap();
            log.tls = true;
            log.server_name = name;
        }
        if self.at == self.steps.len() {
            self.steps = self.script.ehlo_again();
            self.at = 0;
        }
    }

    async fn read_client_hello(&mut self) -> io::Result<()> {
        self.tls_failed = true;
        self.wire.tap().seen.clear();
        loop {
            let seen = &self.wire.tap().seen;
            if let [_, _, _, high, low, body @ ..] = &seen[..]
                && body.len() >= usize::from(u16::from_be_bytes([*high, *low]))
            {
                return Ok(());
            }
            self.read_raw().await?;
        }
    }
}

/// Whether the server's words end with the last line of a reply (RFC 5321 §4.2: no hyphen).
fn is_whole_reply(words: &[u8]) -> bool {
    let Some(lines) = words.strip_suffix(b"\n") else {
        return false;
    };
    let last = lines.rsplit(|byte| *byte == b'\n').next();
    last.is_some_and(|line| line.get(3) != Some(&b'-'))
}
