//! The dialogue of a probe, line by line, as people may see it.

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

/// All lines in order, in one text: many are kept, one for each endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transcript {
    text: String,
    lines: Vec<Mark>,
    /// What the server has begun to say, and when; `None` between its lines.
    begun: Option<(Duration, Vec<u8>)>,
    /// What must not be shown of the server's words, as long as there is more to come.
    redaction: Redaction,
    /// The server's challenges must not be shown.
    in_auth: bool,
}

/// A line in the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mark {
    /// In microseconds; a probe lasts ten minutes at most.
    at: u32,
    /// In octets. A line has 256 characters at most.
    length: u16,
    from: Speaker,
}

impl Transcript {
    /// Adds a line of ours, or an event.
    pub fn add(&mut self, at: Duration, from: Speaker, text: &str) {
        self.end();
        self.push(at, from, text.trim_end().as_bytes());
    }

    /// From now on, this is not shown of what the server says; nor, during AUTH, are its challenges.
    pub fn conceal(&mut self, redaction: &Redaction, in_auth: bool) {
        if self.redaction != *redaction {
            self.redaction = redaction.clone();
        }
        self.in_auth = in_auth;
    }

    /// Adds bytes of the server, in whatever pieces they arrive.
    pub fn received(&mut self, at: Duration, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|b| *b == b'\n') {
            let (begun_at, mut line) = self.begun.take().unwrap_or((at, Vec::new()));
            let room = MAX_LINE.saturating_sub(line.len());
            line.extend(piece.iter().take(room));
            if piece.ends_with(b"\n") {
                self.heard(begun_at, &line);
            } else {
                self.begun = Some((begun_at, line));
            }
        }
    }

    /// Ends a line that the server left unfinished.
    pub fn end(&mut self) {
        if let Some((at, line)) = self.begun.take() {
            self.heard(at, &line);
        }
    }

    fn heard(&mut self, at: Duration, line: &[u8]) {
        let line = line.trim_ascii_end();
        match line.split_at_checked(3) {
            // RFC 4954 §4: 334 and a challenge.
            Some((b"334", rest)) if self.in_auth && !rest.trim_ascii().is_empty() => {
                self.push(at, Speaker::Server, format!("334 {REDACTED}").as_bytes());
            }
            _ => {
                let text = self.redaction.apply(line).into_owned();
                self.push(at, Speaker::Server, &text);
            }
        }
    }

    fn push(&mut self, at: Duration, from: Speaker, text: &[u8]) {
        if self.lines.len() < MAX_LINES {
            let text = Printable::from_bytes(text);
            self.text.push_str(text.as_str());
            let length = text.as_str().len().try_into().unwrap_or(u16::MAX);
            self.lines.push(Mark { at: at.as_micros().try_into().unwrap_or(u32::MAX), length, from });
        }
    }

    /// Nothing will be added: gives back the room for more, and forgets the secrets.
    pub fn close(&mut self) {
        self.end();
        self.redaction = Redaction::default();
        self.text.shrink_to_fit();
        self.lines.shrink_to_fit();
    }

    /// The lines.
    pub fn lines(&self) -> impl ExactSizeIterator<Item = Line<'_>> {
        let mut start = 0;
        self.lines.iter().map(move |mark| {
            let end = usize::from(mark.length).saturating_add(start);
            let text = self.text.get(start..end).unwrap_or_default();
            start = end;
            Line { at: Duration::from_micros(mark.at.into()), from: mark.from, text }
        })
    }
}
