//! The dialogue of a probe, line by line, as people may see it.

use std::borrow::Cow;
use std::time::Duration;

use crate::mail::Printable;
use crate::mail::secret::{REDACTED, Redaction};

/// The most lines kept. An honest session has fewer than a hundred.
const MAX_LINES: usize = 400;

/// The most octets kept of a line; what is shown of it is shorter still.
const MAX_LINE: usize = 2048;

/// Who said a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaker {
    /// We did.
    Client,
    /// The server did.
    Server,
    /// Nobody: an event on the line, such as the TLS handshake.
    Event,
}

/// One line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// Since the start of the probe.
    pub at: Duration,
    /// Who.
    pub from: Speaker,
    /// What, cleaned.
    pub text: &'a str,
}

/// All lines in order. Many transcripts are kept, one for each endpoint: it is one text, and what the lines of a reply
/// have in common stands once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transcript {
    /// Each line with a line feed behind it, which no cleaned text has.
    text: String,
    speeches: Vec<Speech>,
    /// What is needed as long as there is more to come; `None` before the server's first word, and once it is closed.
    hearing: Option<Box<Hearing>>,
}

/// Lines that somebody said at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Speech {
    /// In microseconds; a probe lasts ten minutes at most.
    at: u32,
    from: Speaker,
    lines: u16,
}

/// How the server is listened to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Hearing {
    /// What the server has begun to say, and when; `None` between its lines.
    begun: Option<(Duration, Vec<u8>)>,
    /// What must not be shown of the server's words.
    redaction: Redaction,
    /// The server's challenges must not be shown.
    in_auth: bool,
}

impl Transcript {
    /// Adds a line of ours, or an event.
    pub fn add(&mut self, at: Duration, from: Speaker, text: &str) {
        self.end();
        self.push(at, from, text.trim_end().as_bytes());
    }

    /// From now on, this is not shown of what the server says; nor, during AUTH, are its challenges.
    pub fn conceal(&mut self, redaction: &Redaction, in_auth: bool) {
        let hearing = self.hearing.get_or_insert_default();
        if hearing.redaction != *redaction {
            hearing.redaction = redaction.clone();
        }
        hearing.in_auth = in_auth;
    }

    /// Adds bytes of the server, in whatever pieces they arrive.
    pub fn received(&mut self, at: Duration, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|b| *b == b'\n') {
            let hearing = self.hearing.get_or_insert_default();
            let (begun_at, mut line) = hearing.begun.take().unwrap_or((at, Vec::new()));
            let room = MAX_LINE.saturating_sub(line.len());
            line.extend(piece.iter().take(room));
            hearing.begun = Some((begun_at, line));
            if piece.ends_with(b"\n") {
                self.end();
            }
        }
    }

    /// Ends a line that the server left unfinished.
    pub fn end(&mut self) {
        let Some(hearing) = &mut self.hearing else { return };
        let Some((at, line)) = hearing.begun.take() else { return };
        let text = hearing.shown(line.trim_ascii_end()).into_owned();
        self.push(at, Speaker::Server, &text);
    }

    fn push(&mut self, at: Duration, from: Speaker, text: &[u8]) {
        if self.speeches.iter().map(|speech| usize::from(speech.lines)).sum::<usize>() >= MAX_LINES {
            return;
        }
        self.text.push_str(Printable::from_bytes(text).as_str());
        self.text.push('\n');
        let at = at.as_micros().try_into().unwrap_or(u32::MAX);
        match self.speeches.last_mut() {
            Some(last) if last.from == from && last.at == at => last.lines = last.lines.saturating_add(1),
            _ => self.speeches.push(Speech { at, from, lines: 1 }),
        }
    }

    /// Nothing will be added: gives back the room for more, and forgets the secrets.
    pub fn close(&mut self) {
        self.end();
        self.hearing = None;
        self.text.shrink_to_fit();
        self.speeches.shrink_to_fit();
    }

    /// The lines.
    pub fn lines(&self) -> impl Iterator<Item = Line<'_>> {
        let speeches = self.speeches.iter().flat_map(|speech| std::iter::repeat_n(speech, speech.lines.into()));
        speeches.zip(self.text.split_terminator('\n')).map(|(speech, text)| Line {
            at: Duration::from_micros(speech.at.into()),
            from: speech.from,
            text,
        })
    }
}

impl Hearing {
    /// What may be shown of a line.
    fn shown<'a>(&self, line: &'a [u8]) -> Cow<'a, [u8]> {
        match line.split_at_checked(3) {
            // RFC 4954 §4: 334 and a challenge.
            Some((b"334", rest)) if self.in_auth && !rest.trim_ascii().is_empty() => {
                format!("334 {REDACTED}").into_bytes().into()
            }
            _ => self.redaction.apply(line),
        }
    }
}
