//! A place among the probes that run at once, which a probe gives back while it only waits.
//!
//! Two limits hold at a time: how many probes run at once, and how many connections an address has. A probe that waits
//! for the second must not count against the first, or one busy address keeps the probes of all others from running.
//! So it gives its place back, waits for its turn at the address, and with that in hand waits for a place again. Nobody
//! can lock up: who has a place waits for no address, so places always come free.

use std::pin::Pin;

use tokio::time::Instant;

/// What a probe holds while it runs.
pub trait Seat: Send + Sync {
    /// Gives the place back.
    fn leave(&mut self);

    /// Waits for a place again.
    fn take(&mut self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;

    /// When a probe that still waits has missed its time.
    fn until(&self) -> Instant;
}

/// Why a probe has no outcome: neither says anything about the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfinished {
    /// The program stopped.
    Stopped,
    /// Other probes kept every connection that the address may have, until it was too late.
    NoTurn,
}
