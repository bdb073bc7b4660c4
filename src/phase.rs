//! The timed steps of a probe, in their order.

use std::fmt;

/// A step of a probe. The clock of each starts when its predecessor ends; our own time between the server's last word
/// and our next is in none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Phase {
    /// The host's name to addresses.
    Resolve,
    /// TCP: SYN to the handshake's end, failed attempts at other addresses included.
    Connect,
    /// The TLS handshake alone, our hello to the server's last word: after `connect` with implicit TLS, else after
    /// `starttls`.
    Tls,
    /// To the last line of the greeting.
    Banner,
    /// EHLO, and HELO where EHLO is unknown.
    Ehlo,
    /// MAIL before TLS, to see that it is refused.
    MailClear,
    /// STARTTLS to its reply.
    StartTls,
    /// EHLO inside TLS after STARTTLS.
    EhloTls,
    /// AUTH to its last reply.
    Auth,
    /// MAIL to its reply.
    Mail,
    /// RCPT to its reply.
    Rcpt,
    /// QUIT to its reply, with RSET before it after MAIL; never makes a probe fail.
    Quit,
}

impl Phase {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Resolve,
        Self::Connect,
        Self::Tls,
        Self::Banner,
        Self::Ehlo,
        Self::MailClear,
        Self::StartTls,
        Self::EhloTls,
        Self::Auth,
        Self::Mail,
        Self::Rcpt,
        Self::Quit,
    ];

    /// The name in metrics, JSON and the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Resolve => "resolve",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Banner => "banner",
            Self::Ehlo => "ehlo",
            Self::MailClear => "mail_clear",
            Self::StartTls => "starttls",
            Self::EhloTls => "ehlo_tls",
            Self::Auth => "auth",
            Self::Mail => "mail",
            Self::Rcpt => "rcpt",
            Self::Quit => "quit",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
