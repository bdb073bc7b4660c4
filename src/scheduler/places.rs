//! How many probes run at once, over all endpoints: each has a place, and gives it back while it only waits.

use std::pin::Pin;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::Shared;
use crate::prober::seat::Seat;
use crate::store::InFlight;

/// The places. Replaced when their number changes: probes that run then give theirs back to the old ones.
pub(super) struct Places(ArcSwap<Semaphore>);

impl Places {
    pub(super) fn new(most: usize) -> Self {
        Self(ArcSwap::from_pointee(Semaphore::new(most)))
    }

    pub(super) fn set_most(&self, most: usize) {
        self.0.store(Arc::new(Semaphore::new(most)));
    }

    /// Waits for a place. `None` is of a semaphore that was closed, which nobody does.
    pub(super) async fn take(&self) -> Option<OwnedSemaphorePermit> {
        self.0.load_full().acquire_owned().await.ok()
    }
}

/// The place of one probe.
pub(super) struct Seated {
    pub shared: Arc<Shared>,
    /// `None` while the probe waits for its turn at an address: it does not run then.
    pub held: Option<(OwnedSemaphorePermit, InFlight)>,
    pub until: Instant,
}

impl Seat for Seated {
    fn leave(&mut self) {
        self.held = None;
    }

    fn take(&mut self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async {
            let place = self.shared.places.take().await;
            self.held = place.map(|place| (place, self.shared.store.probe_begins(None)));
        })
    }

    fn until(&self) -> Instant {
        self.until
    }
}
