//! What the mail standards say: bytes in, actions out.
//!
//! Nothing here opens a socket, reads a clock or logs. A protocol is a session that is fed the bytes
//! a server sent and answers with what to do next; the one driver in [`crate::prober`] does it. That
//! is why every dialogue can be tested as text, cut at every byte.
//!
//! This module knows no other module of the crate. `smtp/` is the first protocol; others get a folder
//! beside it. [`sasl`] is what they share: how a client proves who it is, with what a [`secret`] may show of itself.
//! [`mx`] and [`srv`] judge what DNS says of a domain's mail servers.

mod host;
pub mod line;
pub mod mx;
mod printable;
mod problems;
pub mod sasl;
pub mod secret;
pub mod smtp;
pub mod srv;

pub use printable::Printable;
