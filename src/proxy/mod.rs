//! Proxies on the way to a server, as bytes in and actions out.
//!
//! - [`socks5`]: SOCKS 5 (RFC 1928), with user and password (RFC 1929).
//! - [`connect`]: HTTP's CONNECT (RFC 9110 §9.3.6), with Basic authentication (RFC 7617).
//! - [`header`]: the PROXY protocol, with which we tell a server behind a proxy of its own who we are.
//!
//! Who looks the server's name up? With `socks5://` we do, and the proxy gets an address; with `socks5h://` and `http://`
//! the proxy does, as curl has it. What goes wrong is told apart: the proxy's own fault, or what it says of the server.

pub mod connect;
pub mod header;
pub mod socks5;

use std::fmt;
use std::net::SocketAddr;

use crate::cert::name::ServerName;
use crate::mail::secret::Secret;

/// How a proxy is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// SOCKS 5; names are looked up by us.
    Socks5,
    /// SOCKS 5; names are looked up by the proxy.
    Socks5h,
    /// HTTP's CONNECT; names are looked up by the proxy.
    Http,
}

impl Scheme {
    const ALL: [Self; 3] = [Self::Socks5, Self::Socks5h, Self::Http];

    fn as_str(self) -> &'static str {
        match self {
            Self::Socks5 => "socks5",
            Self::Socks5h => "socks5h",
            Self::Http => "http",
        }
    }
}

/// A proxy, and who we are there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    /// How it is spoken to.
    pub scheme: Scheme,
    /// Where it is.
    pub host: ServerName,
    /// Its port.
    pub port: u16,
    user: Option<String>,
    password: Option<Secret>,
}

impl Proxy {
    /// Reads `socks5://[user@]host:port`. A password never stands there, and no message shows one that does.
    pub fn parse(text: &str) -> Result<Self, String> {
        let form = "write socks5://[user@]host:port, socks5h://[user@]host:port or http://[user@]host:port";
        let (scheme, rest) = text.split_once("://").ok_or_else(|| format!("this is no proxy: {form}"))?;
        let scheme = Scheme::ALL.into_iter().find(|known| known.as_str() == scheme);
        let scheme = scheme.ok_or_else(|| format!("a proxy of this kind is not known: {form}"))?;
        let (user, place) = rest.rsplit_once('@').map_or((None, rest), |(user, place)| (Some(user), place));
        if user.is_some_and(|user| user.contains(':')) {
            return Err("a password does not belong here: name it by proxy_password_file or proxy_password_env".into());
        }
        let (host, port) =
            place.trim_end_matches('/').rsplit_once(':').ok_or_else(|| format!("the port is missing: {form}"))?;
        let port = port.parse().ok().filter(|port| *port > 0).ok_or_else(|| format!("the port is none: {form}"))?;
        let user = user.map(decoded).filter(|user| !user.is_empty());
        Ok(Self { scheme, host: ServerName::parse(host)?, port, user, password: None })
    }

    /// The same with a password.
    pub fn with_password(self, password: Secret) -> Result<Self, String> {
        // RFC 1929 §2 has one octet for each length; RFC 7617 §2 ends the name at the first colon.
        let user = self.user.as_deref().ok_or("a password needs a name: write user@ before the proxy's host")?;
        if user.len() > 255 || password.expose().len() > 255 || password.is_empty() || user.contains(':') {
            return Err("name and password of a proxy have 1 to 255 octets each, and the name has no colon".into());
        }
        Ok(Self { password: Some(password), ..self })
    }

    /// Whether it has a name without a password, which no proxy takes.
    pub fn lacks_password(&self) -> bool {
        self.user.is_some() && self.password.is_none()
    }

    /// Whether the proxy looks names up.
    pub fn resolves(&self) -> bool {
        self.scheme != Scheme::Socks5
    }

    /// Name and password, where there are both.
    fn credentials(&self) -> Option<(&str, &Secret)> {
        self.user.as_deref().zip(self.password.as_ref())
    }
}

impl fmt::Display for Proxy {
    /// `socks5://proxy.example:1080`, without the user.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.as_str(), Destination::of(&self.host, self.port))
    }
}

/// `%40` and the like.
fn decoded(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, others)) = rest.split_first() {
        let hex = others.get(..2).filter(|_| *first == b'%').and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                rest = others.get(2..).unwrap_or_default();
            }
            None => {
                out.push(*first);
                rest = others;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Where a tunnel leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// An address that we know.
    Address(SocketAddr),
    /// A name that the proxy looks up.
    Name(String, u16),
}

impl Destination {
    /// A host that may be an address.
    pub fn of(host: &ServerName, port: u16) -> Self {
        match host {
            ServerName::Ip(address) => Self::Address(SocketAddr::new(*address, port)),
            ServerName::Dns(name) => Self::Name(name.clone(), port),
            link @ ServerName::Link(..) => Self::Name(format!("[{link}]"), port),
        }
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Name(name, port) => write!(f, "{name}:{port}"),
        }
    }
}

/// What is to be done next.
#[derive(Debug, PartialEq, Eq)]
pub enum Action {
    /// Write this.
    Send(Vec<u8>),
    /// Read, and feed what came.
    Receive,
    /// The tunnel stands: what comes next is the server's.
    Done,
}

/// Why there is no tunnel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The proxy is at fault, or does not want us; the end of a sentence about it.
    Proxy(String),
    /// The proxy did its part, and says this of the server.
    Server(Trouble),
}

/// What a proxy says of a server that it could not reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Nobody listens.
    Refused,
    /// There is no way.
    Unreachable,
    /// It gave no answer.
    TimedOut,
    /// The proxy could not find its address.
    NameNotFound,
}

/// Asks a proxy for a tunnel. Where the bytes are cut makes no difference.
#[derive(Debug)]
pub enum Negotiation {
    /// SOCKS 5.
    Socks5(socks5::Client),
    /// HTTP.
    Connect(connect::Client),
}

impl Negotiation {
    /// Begins.
    pub fn new(proxy: &Proxy, to: &Destination) -> Self {
        match proxy.scheme {
            Scheme::Socks5 | Scheme::Socks5h => Self::Socks5(socks5::Client::new(to, proxy.credentials())),
            Scheme::Http => Self::Connect(connect::Client::new(to, proxy.credentials())),
        }
    }

    /// What to do next.
    pub fn next_action(&mut self) -> Action {
        match self {
            Self::Socks5(client) => client.next_action(),
            Self::Connect(client) => client.next_action(),
        }
    }

    /// Takes bytes of the proxy; how many of them were its own. What follows them is the server's.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<usize, Fault> {
        match self {
            Self::Socks5(client) => client.feed(bytes),
            Self::Connect(client) => client.feed(bytes),
        }
    }

    /// Whether the proxy has been asked for the server: from then on it may be the server that is waited for.
    pub fn has_asked(&self) -> bool {
        match self {
            Self::Socks5(client) => client.has_asked(),
            Self::Connect(client) => client.has_asked(),
        }
    }
}

#[cfg(test)]
mod tests;
