//! The text a server plays from: a recorded dialogue, or one invented to be hostile.
//!
//! Header lines are `# key: value`. Then one step a line, blanks before it ignored:
//!
//! | step | the server |
//! | --- | --- |
//! | `S: text` | says the line and CRLF; neighbouring lines leave in one write, as real servers do |
//! | `C: text` | waits for a command; only its verb counts (see `session.rs`) |
//! | `=== TLS` | makes the handshake; as the last step, what follows is [`Script::ehlo_again`] |
//! | `*sleep S` | waits S seconds |
//! | `*segment` | sends what it has said so far, so that the next words have their own segment |
//! | `*one-write` … `*end-one-write` | says in so many words what neighbouring lines do anyway |
//! | `*lf` … `*crlf` | ends its lines with a bare LF |
//! | `*idle` | stays silent, listening, until the client closes |
//! | `*close` | closes: close_notify inside TLS, then FIN |
//! | `?: text` | was not recorded any further: waits for a command unless just given one, closes |
//!
//! The faults no recording holds; TEXT knows `\r \n \t \0 \xNN \\` and gets no CRLF:
//!
//! | step | the server |
//! | --- | --- |
//! | `*raw TEXT` | says exactly these bytes |
//! | `*repeat N TEXT` | says them N times, in large writes |
//! | `*forever TEXT` | says them until the client closes |
//! | `*drip MS TEXT` | says them one byte every MS milliseconds |
//! | `*urgent TEXT` | sends one byte as TCP urgent data, beside the stream |
//! | `*client-hello` | reads one TLS record and does not answer it; `*raw` and the like may follow |
//! | `*refuse-tls N` | the same, then fatal alert number N (RFC 8446 §6) and close |
//! | `*cut-tls N` | makes the handshake, but sends only its first N bytes; `*close` or `*reset` |
//! | `*half-close` | sends FIN and plays on, hearing only |
//! | `*no-read` | never reads again, and holds the socket |
//! | `*cut` | FIN without a close_notify (a truncation inside TLS) |
//! | `*reset` | RST |

use std::time::Duration;

use serde_json::Value;

const TRANSCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/transcripts");

/// A parsed script.
#[derive(Clone, Debug, Default)]
pub struct Script {
    pub name: String,
    pub product: String,
    pub port: Option<u16>,
    /// `none`, `starttls`, `implicit`, `stripped` or `ambiguous`.
    pub tls: String,
    pub exactness: String,
    pub notes: String,
    /// What a right reading of the transcript finds; null when the header has none.
    pub expect: Value,
    pub steps: Vec<Step>,
}

/// One thing a server does.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    Send(Vec<u8>),
    /// The upper-case verb waited for; empty is any command.
    Expect(String),
    Tls,
    CutTls(usize),
    ClientHello,
    Sleep(Duration),
    Segment,
    Repeat(u64, Vec<u8>),
    Drip(Duration, Vec<u8>),
    Urgent(u8),
    Idle,
    NoRead,
    HalfClose,
    End(Ending),
}

/// How a server ends a connection.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Ending {
    Close,
    Cut,
    Reset,
}

/// Every recorded dialogue of `tests/transcripts`, by name.
pub fn transcripts() -> Vec<Script> {
    let mut files: Vec<_> = std::fs::read_dir(TRANSCRIPTS)
        .expect("the folder of transcripts")
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "txt"))
        .collect();
    files.sort();
    files.iter().map(|path| Script::recorded(&path.file_stem().unwrap().to_string_lossy())).collect()
}

impl Script {
    /// The recorded dialogue `tests/transcripts/NAME.txt`.
    pub fn recorded(name: &str) -> Script {
        let text = std::fs::read_to_string(format!("{TRANSCRIPTS}/{name}.txt"));
        let text = text.unwrap_or_else(|error| panic!("transcript {name}: {error}"));
        Script::parse(&text).unwrap_or_else(|error| panic!("transcript {name}: {error}"))
    }

    /// A script written in a test; one that does not parse panics.
    pub fn of(text: &str) -> Script {
        Script::parse(text).unwrap_or_else(|error| panic!("script: {error}"))
    }

    pub fn parse(text: &str) -> Result<Script, String> {
        let mut parser = Parser::default();
        for (index, line) in text.lines().enumerate() {
            let at = |error| format!("line {}: {error}: {line}", index + 1);
            parser.line(line.trim_start()).map_err(at)?;
        }
        Ok(parser.script)
    }

    /// The same dialogue on a port that begins with TLS.
    pub fn implicit_tls(mut self) -> Script {
        self.steps.insert(0, Step::Tls);
        self
    }

    /// What the server says to the first EHLO, with no more STARTTLS in it: the stage after a TLS
    /// that was not recorded (RFC 3207 §4.2: a server must not offer STARTTLS inside TLS).
    pub fn ehlo_again(&self) -> Vec<Step> {
        let is_ehlo = |step: &Step| *step == Step::Expect("EHLO".into());
        let from_ehlo = self.steps.iter().skip_while(|step| !is_ehlo(step));
        let reply = from_ehlo
            .skip(1)
            .take_while(|step| !matches!(step, Step::Expect(_) | Step::Tls | Step::CutTls(_)))
            .map(|step| match step {
                Step::Send(bytes) => Step::Send(without_starttls(bytes)),
                other => other.clone(),
            });
        std::iter::once(Step::Expect("EHLO".into())).chain(reply).collect()
    }
}

fn without_starttls(reply: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(reply);
    let is_starttls = |line: &str| line.get(4..).is_some_and(|word| word.trim().eq_ignore_ascii_case("STARTTLS"));
    let mut kept: Vec<String> = Vec::new();
    for line in text.split_inclusive('\n') {
        match kept.last_mut() {
            _ if !is_starttls(line) => kept.push(line.to_owned()),
            Some(last) if line.as_bytes()[3] == b' ' => last.replace_range(3..4, " "),
            _ => {}
        }
    }
    kept.concat().into_bytes()
}

#[derive(Default)]
struct Parser {
    script: Script,
    bare_lf: bool,
}

impl Parser {
    fn line(&mut self, line: &str) -> Result<(), String> {
        if line.is_empty() {
            return Ok(());
        }
        if let Some(header) = line.strip_prefix('#') {
            return self.header(header.trim());
        }
        if line.starts_with("=== TLS") {
            self.script.steps.push(Step::Tls);
            return Ok(());
        }
        if let Some(fault) = line.strip_prefix('*') {
            let (name, rest) = fault.split_once(' ').unwrap_or((fault, ""));
            return self.starred(name, rest);
        }
        let (who, text) = line.split_once(':').ok_or("not a step")?;
        match who {
            "S" => self.says(text.strip_prefix(' ').unwrap_or(text)),
            "C" => self.script.steps.push(Step::Expect(verb(text))),
            "?" => self.not_recorded(),
            _ => return Err("not a step".into()),
        }
        Ok(())
    }

    fn header(&mut self, header: &str) -> Result<(), String> {
        let Some((key, value)) = header.split_once(':') else {
            return Ok(()); // a comment
        };
        let value = value.trim().to_owned();
        let script = &mut self.script;
        match key {
            "name" => script.name = value,
            "product" => script.product = value,
            "exactness" => script.exactness = value,
            "notes" => script.notes = value,
            "expect" => {
                script.expect = serde_json::from_str(&value).map_err(|e| e.to_string())?;
            }
            "port" => {
                let (port, tls) = value.split_once("tls:").unwrap_or((&value, "none"));
                script.port = Some(number(port.trim())?);
                script.tls = tls.trim().to_owned();
            }
            _ => {}
        }
        Ok(())
    }

    fn says(&mut self, text: &str) {
        let end = if self.bare_lf { "\n" } else { "\r\n" };
        self.sends(format!("{text}{end}").into_bytes());
    }

    fn sends(&mut self, bytes: Vec<u8>) {
        match self.script.steps.last_mut() {
            Some(Step::Send(before)) => before.extend(bytes),
            _ => self.script.steps.push(Step::Send(bytes)),
        }
    }

    fn not_recorded(&mut self) {
        let steps = &mut self.script.steps;
        if !matches!(steps.last(), Some(Step::Expect(_))) {
            steps.push(Step::Expect(String::new()));
        }
        steps.push(Step::End(Ending::Close));
    }

    fn starred(&mut self, name: &str, rest: &str) -> Result<(), String> {
        let step = match name {
            "lf" | "crlf" => {
                self.bare_lf = name == "lf";
                return Ok(());
            }
            "one-write" | "end-one-write" => return Ok(()),
            "raw" => {
                self.sends(unescape(rest)?);
                return Ok(());
            }
            "refuse-tls" => {
                let alert = number(rest)?;
                self.script.steps.push(Step::ClientHello);
                self.sends(vec![21, 3, 3, 0, 2, 2, alert]);
                Step::End(Ending::Close)
            }
            "repeat" => {
                let (times, text) = rest.split_once(' ').ok_or("N TEXT wanted")?;
                Step::Repeat(number(times)?, unescape(text)?)
            }
            "forever" => Step::Repeat(u64::MAX, unescape(rest)?),
            "drip" => {
                let (pause, text) = rest.split_once(' ').ok_or("MS TEXT wanted")?;
                Step::Drip(Duration::from_millis(number(pause)?), unescape(text)?)
            }
            "urgent" => Step::Urgent(*unescape(rest)?.first().ok_or("a byte wanted")?),
            "sleep" => Step::Sleep(Duration::from_secs_f64(number(rest)?)),
            "cut-tls" => Step::CutTls(number(rest)?),
            "segment" => Step::Segment,
            "client-hello" => Step::ClientHello,
            "idle" => Step::Idle,
            "no-read" => Step::NoRead,
            "half-close" => Step::HalfClose,
            "close" => Step::End(Ending::Close),
            "cut" => Step::End(Ending::Cut),
            "reset" => Step::End(Ending::Reset),
            _ => return Err("no such step".into()),
        };
        self.script.steps.push(step);
        Ok(())
    }
}

/// The upper-case first word of a command line.
pub(super) fn verb(line: &str) -> String {
    let word = line.split_ascii_whitespace().next().unwrap_or_default();
    word.to_ascii_uppercase()
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{text:?} is no number"))
}

fn unescape(text: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'\\' => match rest.next() {
                Some(b'r') => b'\r',
                Some(b'n') => b'\n',
                Some(b't') => b'\t',
                Some(b'0') => 0,
                Some(b'\\') => b'\\',
                Some(b'x') => {
                    let digits: String = rest.by_ref().take(2).map(char::from).collect();
                    u8::from_str_radix(&digits, 16).map_err(|_| "\\xNN wanted")?
                }
                _ => return Err("no such escape".into()),
            },
            plain => plain,
        });
    }
    Ok(bytes)
}
