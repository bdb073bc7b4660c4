//! HTTP's CONNECT (RFC 9110 §9.3.6), as a client.
//!
//! A refusal of the proxy's own (403, 407) and its report on the server (502, 504) come by the same way. The status alone
//! does not always tell why it could not connect; the field `Proxy-Status` (RFC 9209) does, and Squid's own
//! `X-Squid-Error`, which ends with the number of the system's error.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{Action, Destination, Fault, Trouble};
use crate::mail::Printable;
use crate::mail::secret::Secret;

/// The longest head of an answer.
const MAX_HEAD: usize = 16 * 1024;

/// A client, from the request to the end of the answer's head.
#[derive(Debug)]
pub struct Client {
    outbox: Option<Vec<u8>>,
    head: Vec<u8>,
    done: bool,
}

impl Client {
    pub(super) fn new(to: &Destination, credentials: Option<(&str, &Secret)>) -> Self {
        let mut request = format!("CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n").into_bytes();
        if let Some((user, password)) = credentials {
            let pair = Secret::new([user.as_bytes(), b":", password.expose()].concat());
            let pair = Secret::new(STANDARD.encode(pair.expose()).into_bytes());
            request.extend_from_slice(b"Proxy-Authorization: Basic ");
            request.extend_from_slice(pair.expose());
            request.extend_from_slice(b"\r\n");
        }
        request.extend_from_slice(b"\r\n");
        Self { outbox: Some(request), head: Vec::new(), done: false }
    }

    pub(super) fn next_action(&mut self) -> Action {
        match self.outbox.take() {
            Some(bytes) => Action::Send(bytes),
            None if self.done => Action::Done,
            None => Action::Receive,
        }
    }

    pub(super) fn has_asked(&self) -> bool {
        self.outbox.is_none()
    }

    pub(super) fn feed(&mut self, bytes: &[u8]) -> Result<usize, Fault> {
        let mut used: usize = 0;
        for byte in bytes {
            if self.done {
                break;
            }
            self.head.push(*byte);
            used = used.saturating_add(1);
            if self.head.ends_with(b"\r\n\r\n") || self.head.ends_with(b"\n\n") {
                self.done = true;
                answer(&String::from_utf8_lossy(&self.head))?;
            } else if *byte == b'\n' && !self.head.starts_with(b"HTTP/1.") {
                // A mail server greets with one line: there will be no empty one.
                return Err(no_http(String::from_utf8_lossy(&self.head).trim_end()));
            } else if self.head.len() >= MAX_HEAD {
                return Err(Fault::Proxy("sent more than the head of an answer may have".into()));
            }
        }
        Ok(used)
    }
}

fn no_http(line: &str) -> Fault {
    Fault::Proxy(format!("does not speak HTTP: it sent “{}”", Printable::from_text(line)))
}

fn answer(head: &str) -> Result<(), Fault> {
    let mut lines = head.lines();
    let line = lines.next().unwrap_or_default();
    let status = line.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5)).and_then(|code| code.parse::<u16>().ok());
    let Some(status) = status else {
        return Err(no_http(line));
    };
    if (200..300).contains(&status) {
        return Ok(());
    }
    let fields: Vec<(String, &str)> =
        lines.filter_map(|line| line.split_once(':')).map(|(name, value)| (name.to_ascii_lowercase(), value)).collect();
    let field = |wanted: &str| fields.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.trim());
    let told = field("proxy-status").and_then(|value| proxy_status(value, status));
    let told = told.or_else(|| field("x-squid-error").and_then(squid_error));
    Err(told.unwrap_or_else(|| by_status(status, line)))
}

fn forbidden(status: u16) -> Fault {
    Fault::Proxy(format!("does not allow this connection by its rules ({status})"))
}

fn by_status(status: u16, line: &str) -> Fault {
    match status {
        407 => Fault::Proxy("wants a name and a password that it knows (407)".into()),
        403 => forbidden(status),
        // RFC 9110 §15.6.3, §15.6.5: the server behind gave no answer, or none that is good for anything.
        502 | 503 => Fault::Server(Trouble::Unreachable),
        504 => Fault::Server(Trouble::TimedOut),
        // What Tinyproxy says in the place of 502, whatever the matter with the server is.
        500 if line.ends_with(" 500 Unable to connect") => Fault::Server(Trouble::Unreachable),
        _ => Fault::Proxy(format!("answered “{}”", Printable::from_text(line))),
    }
}

/// RFC 9209 §2.3: `ExampleProxy; error=connection_refused`.
fn proxy_status(value: &str, status: u16) -> Option<Fault> {
    let error = value.split(';').find_map(|part| part.trim().strip_prefix("error="))?;
    Some(match error {
        "connection_refused" => Fault::Server(Trouble::Refused),
        "connection_timeout" => Fault::Server(Trouble::TimedOut),
        "destination_ip_unroutable" | "destination_unavailable" | "destination_not_found" => {
            Fault::Server(Trouble::Unreachable)
        }
        "dns_error" | "dns_timeout" => Fault::Server(Trouble::NameNotFound),
        "destination_ip_prohibited" | "http_request_denied" => forbidden(status),
        _ => return None,
    })
}

/// `ERR_CONNECT_FAIL 111`, with the number that Linux has for it.
fn squid_error(value: &str) -> Option<Fault> {
    match value.split_once(' ')? {
        ("ERR_DNS_FAIL", _) => Some(Fault::Server(Trouble::NameNotFound)),
        ("ERR_CONNECT_FAIL", "111") => Some(Fault::Server(Trouble::Refused)),
        ("ERR_CONNECT_FAIL", "110") => Some(Fault::Server(Trouble::TimedOut)),
        ("ERR_CONNECT_FAIL", "101" | "113") => Some(Fault::Server(Trouble::Unreachable)),
        _ => None,
    }
}
