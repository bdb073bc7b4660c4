//! What a client did, and what a well-behaved one never does.
//!
//! The kit judges every client that speaks to it, so each test of anything else is also a test of
//! manners: mail servers ban monitors for exactly these faults.

use std::net::SocketAddr;

/// The record of one connection, readable while it lasts.
#[derive(Clone, Debug)]
pub struct SessionLog {
    pub peer: SocketAddr,
    /// Every byte read from the client outside TLS.
    pub clear: Vec<u8>,
    /// The client's lines, clear or inside TLS, without their ends.
    pub lines: Vec<String>,
    pub violations: Vec<Violation>,
    /// The TLS handshake was completed, as seen from the server.
    pub tls: bool,
    /// Why it was not, when it was tried.
    pub tls_error: Option<String>,
    /// The name asked for in the handshake (SNI).
    pub server_name: Option<String>,
    /// The client said QUIT.
    pub quit: bool,
    /// The client ended TLS with a close_notify before its FIN.
    pub close_notify: bool,
    /// The client ended with RST.
    pub reset: bool,
    /// The client ended the connection, in whatever way, while the server still listened.
    pub left: bool,
    /// How many bytes came from the client, TLS records and all.
    pub bytes: usize,
    pub finished: bool,
}

/// A fault of the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Violation {
    /// RFC 5321 §3.1: a client waits for the whole greeting.
    SpokeBeforeGreeting,
    /// RFC 2920: without PIPELINING (never offered before EHLO) one command at a time.
    Pipelined,
    /// RFC 5321 §2.3.8: lines end with CRLF and hold neither alone.
    BareLf,
    BareCr,
    /// RFC 5321 §4.5.3.1.4: 512 bytes with the CRLF.
    LineTooLong,
    /// A password or a QUIT in the clear after TLS went wrong.
    ClearTextAfterFailedTls,
    StartTlsTwice,
    /// Anything but EHLO, HELO, STARTTLS and QUIT: a probe sends no mail and no credentials.
    ForbiddenCommand(String),
}

impl SessionLog {
    pub fn new(peer: SocketAddr) -> SessionLog {
        SessionLog {
            peer,
            clear: Vec::new(),
            lines: Vec::new(),
            violations: Vec::new(),
            tls: false,
            tls_error: None,
            server_name: None,
            quit: false,
            close_notify: false,
            reset: false,
            left: false,
            bytes: 0,
            finished: false,
        }
    }

    /// Notes a fault once.
    pub fn note(&mut self, violation: Violation) {
        if !self.violations.contains(&violation) {
            self.violations.push(violation);
        }
    }

    /// Takes a command line, ends and all; its verb is returned.
    pub fn take_line(&mut self, line: &[u8]) -> String {
        let body = match line.strip_suffix(b"\r\n") {
            Some(body) => body,
            None => {
                self.note(Violation::BareLf);
                line.strip_suffix(b"\n").unwrap_or(line)
            }
        };
        if body.contains(&b'\r') {
            self.note(Violation::BareCr);
        }
        if line.len() > 512 {
            self.note(Violation::LineTooLong);
        }
        let text = String::from_utf8_lossy(body).into_owned();
        let verb = super::script::verb(&text);
        match verb.as_str() {
            "QUIT" => self.quit = true,
            "STARTTLS" if self.has_said("STARTTLS") => self.note(Violation::StartTlsTwice),
            "EHLO" | "HELO" | "STARTTLS" => {}
            _ => self.note(Violation::ForbiddenCommand(verb.clone())),
        }
        self.lines.push(text);
        verb
    }

    fn has_said(&self, verb: &str) -> bool {
        self.lines.iter().any(|line| super::script::verb(line) == verb)
    }
}

/// Whether a client's bytes since its ClientHello hold anything but TLS records (RFC 8446 §5.1).
pub(super) fn holds_clear_text(mut bytes: &[u8]) -> bool {
    while let [kind, version, _, high, low, rest @ ..] = bytes {
        if !(20..=23).contains(kind) || *version != 3 {
            return true;
        }
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        bytes = rest.get(length..).unwrap_or_default();
    }
    bytes.first().is_some_and(|kind| !(20..=23).contains(kind))
}
