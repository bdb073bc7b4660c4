//! Who is connected, and who must leave so that others can be served.
//!
//! The house is full: whoever has been idle longest leaves for a newcomer, so that idle clients, however many, can never
//! keep a scrape out. If nobody is idle, whoever has gone longest without taking any of the answer that lies ready. Who
//! waits for us stays: if all do, the newcomer waits too.
//!
//! Writers wait for no reader, so answers that are not read lie in memory ([`Held`]). Before another is written there
//! must be room: less than [`MUCH`], or fewer than [`FEW`] answers, which slow scrapers of huge pages may have. Until
//! there is, whoever has taken nothing for [`STALL`] leaves, the slowest first. Only where that has made no room within
//! [`PATIENCE`], because all go on taking a little, it is the slowest of those.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::held::{Answer, Held};

/// How many bytes of answers may lie in memory when another is begun.
pub(super) const MUCH: usize = 64 * 1024 * 1024;

/// Fewer answers than these may lie there, whatever their size.
pub(super) const FEW: usize = 4;

/// Who has taken nothing for so long does not read.
const STALL: Duration = Duration::from_secs(1);

/// How long an answer waits for room, before readers must leave that only are slow. Longer than all who do not read
/// need to show it.
const PATIENCE: Duration = Duration::from_secs(3);

/// How often is looked whether there is room.
const TICK: Duration = Duration::from_millis(50);

/// The connections of one exporter.
pub(super) struct Lobby {
    most: usize,
    /// In the order of arrival.
    guests: Mutex<BTreeMap<u64, Arc<Guest>>>,
    /// What they have not taken yet.
    held: Arc<Held>,
    /// Held by who waits for room: they do so one by one.
    waits: tokio::sync::Mutex<()>,
    opened: Instant,
}

/// One connection.
#[derive(Debug)]
pub(super) struct Guest {
    number: u64,
    /// Requests being answered.
    served: AtomicUsize,
    /// Pieces of answers that it could take.
    offered: AtomicUsize,
    /// When it came, was last served or last took something, in nanoseconds since the house was opened.
    last: AtomicU64,
    opened: Instant,
    /// Tells it to leave.
    pub leave: CancellationToken,
    /// It has left.
    left: CancellationToken,
}

/// A connection's place, given back when dropped.
pub(super) struct Place {
    lobby: Arc<Lobby>,
    pub guest: Arc<Guest>,
}

/// A request being answered, until the last piece of the answer has been offered.
#[derive(Debug)]
pub(super) struct Service(Arc<Guest>);

/// A piece of an answer, until it has been taken.
#[derive(Debug)]
pub(super) struct Offer(Arc<Guest>);

impl Lobby {
    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self {
            most,
            guests: Mutex::default(),
            held: Arc::default(),
            waits: Default::default(),
            opened: now(),
        })
    }

    /// Lets one more in, as soon as that is possible; until then all who come wait before the door.
    pub(super) async fn place(self: &Arc<Self>) -> Place {
        loop {
            match self.enter() {
                Some(place) => return place,
                None => sleep(TICK).await,
            }
        }
    }

    /// Lets one more in. `None` when the house is full of people who wait for us.
    pub(super) fn enter(self: &Arc<Self>) -> Option<Place> {
        let mut guests = self.guests();
        if guests.len() >= self.most {
            let longest =
                |of: fn(&Guest) -> bool| guests.values().filter(|guest| of(guest)).min_by_key(|guest| guest.last());
            let leaves = longest(Guest::is_idle).or_else(|| longest(Guest::could_take))?.number;
            if let Some(guest) = guests.remove(&leaves) {
                guest.leave.cancel();
            }
        }
        let number = guests.last_key_value().map_or(0, |(last, _)| last.saturating_add(1));
        let guest = Arc::new(Guest {
            number,
            served: AtomicUsize::new(0),
            offered: AtomicUsize::new(0),
            last: AtomicU64::new(0),
            opened: self.opened,
            leave: CancellationToken::new(),
            left: CancellationToken::new(),
        });
        guest.moves();
        guests.insert(number, guest.clone());
        Some(Place { lobby: self.clone(), guest })
    }

    /// Waits until another answer may be written. Those who do not read make room for it.
    pub(super) async fn room(&self) -> Answer {
        let _alone = self.waits.lock().await;
        let asked = now();
        while self.held.answers() >= FEW && self.held.bytes() > MUCH {
            let still = if asked.elapsed() < PATIENCE { STALL } else { Duration::ZERO };
            match self.dismiss(still) {
                // What it had is free when it has left; only then it shows whether that was enough.
                Some(guest) => guest.left.cancelled().await,
                None => sleep(TICK).await,
            }
        }
        self.held.answer()
    }

    /// Tells the slowest reader to leave, if it has taken nothing for so long.
    fn dismiss(&self, still: Duration) -> Option<Arc<Guest>> {
        let mut guests = self.guests();
        let slowest = guests.values().filter(|guest| guest.could_take()).min_by_key(|guest| guest.last())?;
        let since = Duration::from_nanos(slowest.last());
        let number = (self.opened.elapsed().saturating_sub(since) >= still).then_some(slowest.number)?;
        let guest = guests.remove(&number)?;
        guest.leave.cancel();
        Some(guest)
    }

    /// What lies in memory.
    #[cfg(test)]
    pub(super) fn held(&self) -> &Held {
        &self.held
    }

    fn guests(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Guest>>> {
        self.guests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Guest {
    /// A request is being answered until the guard is dropped.
    pub(super) fn serve(self: &Arc<Self>) -> Service {
        self.served.fetch_add(1, Ordering::Relaxed);
        Service(self.clone())
    }

    fn is_idle(&self) -> bool {
        self.served.load(Ordering::Relaxed) == 0 && !self.could_take()
    }

    fn could_take(&self) -> bool {
        self.offered.load(Ordering::Relaxed) > 0
    }

    fn last(&self) -> u64 {
        self.last.load(Ordering::Relaxed)
    }

    fn moves(&self) {
        let nanoseconds = u64::try_from(self.opened.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.last.store(nanoseconds, Ordering::Relaxed);
    }
}

impl Service {
    /// Another piece is on its way; nothing is offered to who does not take what was before it.
    pub(super) fn offer(&self) -> Offer {
        self.0.moves();
        self.0.offered.fetch_add(1, Ordering::Relaxed);
        Offer(self.0.clone())
    }
}

impl Offer {
    /// Some of it has been taken.
    pub(super) fn is_taken(&self) {
        self.0.moves();
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.0.moves();
        self.0.served.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for Offer {
    fn drop(&mut self) {
        self.0.offered.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.guest.left.cancel();
        let mut guests = self.lobby.guests();
        // Its number may be another's by now, if it was asked to leave.
        if guests.get(&self.guest.number).is_some_and(|guest| Arc::ptr_eq(guest, &self.guest)) {
            guests.remove(&self.guest.number);
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "only differences count here")]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_idle_leaves_for_a_newcomer() {
        let lobby = Lobby::new(2);
        let first = lobby.enter().unwrap();
        let second = lobby.enter().unwrap();
        let busy = first.guest.serve();
        let third = lobby.enter().unwrap();
        assert!(second.guest.leave.is_cancelled() && !first.guest.leave.is_cancelled());
        let also_busy = third.guest.serve();
        assert!(lobby.enter().is_none(), "all are being served");
        // The first one was served last: it is the third that has waited longer.
        drop(also_busy);
        drop(busy);
        drop(second);
        let fourth = lobby.enter().unwrap();
        assert!(third.guest.leave.is_cancelled() && !first.guest.leave.is_cancelled());
        drop((first, third, fourth));
        assert!(lobby.guests().is_empty());
    }

    #[test]
    fn where_nobody_is_idle_the_slowest_reader_leaves() {
        let lobby = Lobby::new(3);
        let places = [0; 3].map(|_| lobby.enter().unwrap());
        let [slow, fast, waits] = &places;
        let services = [slow, fast, waits].map(|place| place.guest.serve());
        let offers = [services[1].offer(), services[0].offer()];
        offers[0].is_taken();
        // The answer is on its way: that is not idle, though all of it has been handed over.
        drop(services);
        let working = waits.guest.serve();
        let newcomer = lobby.enter().unwrap();
        let told = |place: &Place| place.guest.leave.is_cancelled();
        assert_eq!((told(slow), told(fast), told(waits), told(&newcomer)), (true, false, false, false));
        drop(working);
    }
}
