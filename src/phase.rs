//! The timed steps of a probe, in their order.

use std::fmt;

/// A step of a probe. The clock of each starts when its predecessor ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Phase {
    /// The host's name to addresses.
    Resolve,
    /// TCP: SYN to the handshake's end, failed attempts at other addresses included.
    Connect,
    /// The TLS handshake alone: after `connect` with implicit TLS, else after `starttls`.
    Tls,
    /// To the last line of the greeting.
    Banner,
    /// EHLO, and HELO where EHLO is unknown.
    Ehlo,
    /// STARTTLS to its reply.
    StartTls,
    /// EHLO inside TLS after STARTTLS.
    EhloTls,
    /// QUIT to its reply; never makes a probe fail.
    Quit,
}

impl Phase {
    /// All of them.
    pub const ALL: [Self; 8] =
        [Self::Resolve, Self::Connect, Self::Tls, Self::Banner, Self::Ehlo, Self::StartTls, Self::EhloTls, Self::Quit];

    /// The name in metrics, JSON and the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Resolve => "resolve",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Banner => "banner",
            Self::Ehlo => "ehlo",
            Self::StartTls => "starttls",
            Self::EhloTls => "ehlo_tls",
            Self::Quit => "quit",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
