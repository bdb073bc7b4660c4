//! The clear part of a TLS handshake up to 1.2: what a server agrees on, and its certificate.
//!
//! rustls completes no handshake with a server that has only SSL 3.0, TLS 1.0 or 1.1, or only suites with RSA key
//! exchange, finite-field Diffie-Hellman or CBC, and then shows no certificate either. Up to TLS 1.2 the server
//! sends all that in clear (RFC 5246 §7.3), so a hello and some reading is enough to see it:
//!
//! - [`client`]: writes a ClientHello that an old server can answer.
//! - [`server`]: reads the answer up to ServerHelloDone.
//! - [`suites`]: what is offered.
//!
//! Bytes in, facts out. There is no key exchange here and there never will be: whoever has read the answer says
//! [`client::goodbye`] and closes. A server that has only TLS 1.3 encrypts its certificate (RFC 8446 §4.4): nothing is
//! seen of it here. SSL 2.0 has another hello, which is not spoken.

pub mod client;
pub mod server;
pub mod suites;

/// The versions that can be read, oldest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// RFC 6101.
    Ssl3,
    /// RFC 2246.
    Tls10,
    /// RFC 4346.
    Tls11,
    /// RFC 5246.
    Tls12,
}

impl Version {
    /// All of them, oldest first.
    pub const ALL: [Self; 4] = [Self::Ssl3, Self::Tls10, Self::Tls11, Self::Tls12];

    /// As records and hellos carry it.
    pub fn on_the_wire(self) -> [u8; 2] {
        match self {
            Self::Ssl3 => [3, 0],
            Self::Tls10 => [3, 1],
            Self::Tls11 => [3, 2],
            Self::Tls12 => [3, 3],
        }
    }

    /// Of the bytes on the wire.
    fn read(bytes: [u8; 2]) -> Option<Self> {
        Self::ALL.into_iter().find(|version| version.on_the_wire() == bytes)
    }
}

/// The content types of records (RFC 5246 §6.2.1).
mod content {
    pub(super) const ALERT: u8 = 21;
    pub(super) const HANDSHAKE: u8 = 22;
}
