//! SOCKS 5 (RFC 1928), as a client that wants a TCP connection.

use std::net::IpAddr;

use super::{Action, Destination, Fault, Trouble};
use crate::mail::secret::Secret;

/// The version in each message but those of RFC 1929.
const VERSION: u8 = 5;

/// Methods of RFC 1928 §3.
const NO_AUTHENTICATION: u8 = 0;
const USER_AND_PASSWORD: u8 = 2;

/// A client, from the greeting to the reply to CONNECT.
#[derive(Debug)]
pub struct Client {
    /// To be sent before anything is awaited.
    outbox: Option<Vec<u8>>,
    /// RFC 1929 §2, if we have a name.
    login: Option<Secret>,
    request: Vec<u8>,
    state: State,
    /// What has come of the message that is awaited.
    received: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Method,
    Login,
    Reply,
    Done,
}

impl Client {
    pub(super) fn new(to: &Destination, credentials: Option<(&str, &Secret)>) -> Self {
        // §3: the methods that we can do.
        let greeting = match credentials {
            None => vec![VERSION, 1, NO_AUTHENTICATION],
            Some(_) => vec![VERSION, 2, NO_AUTHENTICATION, USER_AND_PASSWORD],
        };
        Self {
            outbox: Some(greeting),
            login: credentials.map(|(user, password)| login(user, password)),
            request: request(to),
            state: State::Method,
            received: Vec::new(),
        }
    }

    pub(super) fn next_action(&mut self) -> Action {
        match self.outbox.take() {
            Some(bytes) => Action::Send(bytes),
            None if self.state == State::Done => Action::Done,
            None => Action::Receive,
        }
    }

    pub(super) fn has_asked(&self) -> bool {
        matches!(self.state, State::Reply | State::Done)
    }

    pub(super) fn feed(&mut self, bytes: &[u8]) -> Result<usize, Fault> {
        let mut used: usize = 0;
        // What we have to send comes first, whatever has been said already.
        while self.state != State::Done && self.outbox.is_none() {
            let missing = self.length().saturating_sub(self.received.len());
            let new = bytes.get(used..).unwrap_or_default();
            let new = new.get(..missing).unwrap_or(new);
            self.received.extend_from_slice(new);
            used = used.saturating_add(new.len());
            if self.received.len() < self.length() {
                break;
            }
            self.answered()?;
        }
        Ok(used)
    }

    /// How long the awaited message is, as far as is known by now.
    fn length(&self) -> usize {
        match (self.state, self.received.as_slice()) {
            // §6: the address that the proxy connects from, by its type, and a port. A refusal ends where it is one.
            (State::Reply, [VERSION, 0, _, 1, ..]) => 10,
            (State::Reply, [VERSION, 0, _, 4, ..]) => 22,
            (State::Reply, [VERSION, 0, _, 3, length, ..]) => usize::from(*length).saturating_add(7),
            (State::Reply, [VERSION, 0, _, 3]) => 5,
            (State::Reply, [VERSION, 0, ..]) => 4,
            _ => 2,
        }
    }

    fn answered(&mut self) -> Result<(), Fault> {
        let message = std::mem::take(&mut self.received);
        match (self.state, message.as_slice()) {
            (State::Method, [VERSION, NO_AUTHENTICATION]) => self.ask(),
            (State::Method, [VERSION, USER_AND_PASSWORD]) => match self.login.take() {
                Some(login) => {
                    self.outbox = Some(login.expose().to_vec());
                    self.state = State::Login;
                }
                None => return Err(proxy("wants a name and a password")),
            },
            (State::Method, [VERSION, 0xff]) if self.login.is_some() => {
                return Err(proxy("takes no name and password, and does not let us in without"));
            }
            (State::Method, [VERSION, _]) => return Err(proxy("wants an authentication that we do not have")),
            // RFC 1929 §2: anything but 0 is a refusal.
            (State::Login, [_, 0]) => self.ask(),
            (State::Login, _) => return Err(proxy("refuses our name or password")),
            (State::Reply, [VERSION, 0, _, 1 | 3 | 4, ..]) => self.state = State::Done,
            (State::Reply, [VERSION, code, ..]) if *code != 0 => return Err(refusal(*code)),
            _ => return Err(proxy("does not speak SOCKS 5")),
        }
        Ok(())
    }

    fn ask(&mut self) {
        self.outbox = Some(std::mem::take(&mut self.request));
        self.state = State::Reply;
    }
}

fn proxy(what: &str) -> Fault {
    Fault::Proxy(what.to_owned())
}

/// RFC 1928 §6.
fn refusal(code: u8) -> Fault {
    match code {
        1 => proxy("failed, and does not say why (general SOCKS server failure)"),
        2 => proxy("does not allow this connection by its rules"),
        3 | 4 => Fault::Server(Trouble::Unreachable),
        5 => Fault::Server(Trouble::Refused),
        // "TTL expired": what proxies say when their own connection timed out.
        6 => Fault::Server(Trouble::TimedOut),
        7 => proxy("does not know CONNECT"),
        8 => proxy("cannot connect to addresses of this kind"),
        code => Fault::Proxy(format!("refuses with the code {code}")),
    }
}

/// RFC 1929 §2: version 1, both with their lengths.
fn login(user: &str, password: &Secret) -> Secret {
    let length = |bytes: &[u8]| u8::try_from(bytes.len()).unwrap_or(u8::MAX);
    let (user, password) = (user.as_bytes(), password.expose());
    // At its full size from the start, so that no copy stays behind.
    let mut bytes = Vec::with_capacity(user.len().saturating_add(password.len()).saturating_add(3));
    bytes.extend([1, length(user)]);
    bytes.extend_from_slice(user);
    bytes.push(length(password));
    bytes.extend_from_slice(password);
    Secret::new(bytes)
}

/// RFC 1928 §4: CONNECT.
fn request(to: &Destination) -> Vec<u8> {
    let mut bytes = vec![VERSION, 1, 0];
    let port = match to {
        Destination::Address(address) => {
            match address.ip().to_canonical() {
                IpAddr::V4(v4) => {
                    bytes.push(1);
                    bytes.extend(v4.octets());
                }
                IpAddr::V6(v6) => {
                    bytes.push(4);
                    bytes.extend(v6.octets());
                }
            }
            address.port()
        }
        Destination::Name(name, port) => {
            // A host name has 253 characters at most.
            bytes.extend([3, u8::try_from(name.len()).unwrap_or(u8::MAX)]);
            bytes.extend_from_slice(name.as_bytes());
            *port
        }
    };
    bytes.extend(port.to_be_bytes());
    bytes
}
