//! The lab: mail servers that do what a script says, on loopback, for tests and the demo.
//!
//! | file | what it is |
//! | --- | --- |
//! | `script.rs` | the text format: what a server says, waits for and breaks |
//! | `server.rs` | [`Server`]: listens, plays a [`Script`] to each client, keeps a log of each |
//! | `session.rs` | one conversation: the steps, and the rule for words the script does not hold |
//! | `wire.rs` | the socket below it: clear or TLS, cut in pieces, cut off |
//! | `log.rs` | what a client did, and what it must never do ([`Violation`]) |
//! | `pki.rs` | [`Authority`], [`Leaf`], [`Identity`]: certificates of every kind, good and bad |
//! | `forge.rs` | certificates made byte for byte, for what no library makes |
//! | `dns.rs` | [`DnsServer`]: answers from a table |
//! | `listen.rs` | addresses that refuse or swallow a connection |
//!
//! Nothing here uses a fixed port, the network or root. What cannot be set up panics: a lab that
//! is not as the test wants it has no result to give. Every session ends within a minute.

#![allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "each test uses a part of the lab, opens its own sockets and fails by panicking"
)]

mod dns;
pub mod forge;
mod listen;
mod log;
mod pki;
mod script;
mod server;
mod session;
mod wire;

pub use dns::{Answer, DnsServer};
pub use listen::{Blackhole, refused_port};
pub use log::{SessionLog, Violation};
pub use pki::{Authority, DAY, Identity, Key, Leaf, liar_config};
pub use script::{Ending, Script, Step, transcripts};
pub use server::{Options, Server};
pub use wire::Chunking;
