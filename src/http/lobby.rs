//! Who is connected. When the house is full, whoever has waited longest without being served must leave, so
//! that idle clients, however many, can never keep a scrape out.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

/// The connections of one listener.
pub(super) struct Lobby {
    most: usize,
    /// In the order of arrival.
    guests: Mutex<BTreeMap<u64, Arc<Guest>>>,
    /// Counts arrivals and services.
    events: Arc<AtomicU64>,
}

/// One connection.
pub(super) struct Guest {
    number: u64,
    /// Requests being answered.
    served: AtomicUsize,
    /// When it came or was last served, as the number of that event.
    last: AtomicU64,
    events: Arc<AtomicU64>,
    /// Tells it to leave.
    pub leave: CancellationToken,
}

/// A connection's place, given back when dropped.
pub(super) struct Place {
    lobby: Arc<Lobby>,
    pub guest: Arc<Guest>,
}

/// A request being answered.
pub(super) struct Service(Arc<Guest>);

impl Lobby {
    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, guests: Mutex::default(), events: Arc::default() })
    }

    /// Lets one more in. `None` when the house is full of people being served.
    pub(super) fn enter(self: &Arc<Self>) -> Option<Place> {
        let mut guests = self.guests();
        if guests.len() >= self.most {
            let idle = guests.values().filter(|guest| guest.served.load(Ordering::Relaxed) == 0);
            let idle = idle.min_by_key(|guest| guest.last.load(Ordering::Relaxed))?.number;
            if let Some(guest) = guests.remove(&idle) {
                guest.leave.cancel();
            }
        }
        let number = guests.last_key_value().map_or(0, |(last, _)| last.saturating_add(1));
        let guest = Arc::new(Guest {
            number,
            served: AtomicUsize::new(0),
            last: AtomicU64::new(self.events.fetch_add(1, Ordering::Relaxed)),
            events: self.events.clone(),
            leave: CancellationToken::new(),
        });
        guests.insert(number, guest.clone());
        Some(Place { lobby: self.clone(), guest })
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
}

impl Drop for Service {
    fn drop(&mut self) {
        self.0.last.store(self.0.events.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
        self.0.served.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut guests = self.lobby.guests();
        // Its number may be another's by now, if it was asked to leave.
        if guests.get(&self.guest.number).is_some_and(|guest| Arc::ptr_eq(guest, &self.guest)) {
            guests.remove(&self.guest.number);
        }
    }
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
}
