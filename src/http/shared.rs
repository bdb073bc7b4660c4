//! One writing of the metrics for all who wait for one, so that many scrapes at once cost little more than one.
//!
//! Whoever comes while a page is being written cannot have that one, which may be older than the request; all of
//! them get the next. Whoever is alone has it as it is written: no page is whole in memory for somebody who reads it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OwnedMutexGuard;

/// The pages of one format.
pub(super) struct Shared<T> {
    turn: Arc<tokio::sync::Mutex<()>>,
    state: Mutex<State<T>>,
}

struct State<T> {
    /// How many pages have been begun.
    begun: u64,
    waiting: u64,
    /// The last page and its number, kept while somebody waits for it.
    last: Option<(u64, T)>,
}

/// A page, or leave to write one.
pub(super) enum Page<T> {
    /// Written for all who waited.
    Whole(T),
    /// Nobody else waits for one.
    Own(Turn),
}

/// The others wait until this is dropped.
pub(super) struct Turn(#[expect(dead_code, reason = "it is held")] OwnedMutexGuard<()>);

impl<T> Default for Shared<T> {
    fn default() -> Self {
        Self { turn: Arc::default(), state: Mutex::new(State { begun: 0, waiting: 0, last: None }) }
    }
}

impl<T: Clone> Shared<T> {
    /// A page that is begun after this call: one that another has written, or what `write` writes for all who wait, or
    /// leave to write it for oneself.
    pub(super) async fn page<F: Future<Output = Option<T>>>(&self, write: impl FnOnce() -> F) -> Option<Page<T>> {
        let waiting = Waiting::new(self);
        let arrived = self.state().begun;
        let turn = self.turn.clone().lock_owned().await;
        let ready = self.state().last.as_ref().filter(|(number, _)| *number > arrived).cloned();
        drop(waiting);
        if let Some((_, page)) = ready {
            return Some(Page::Whole(page));
        }
        let (number, alone) = self.begin();
        if alone {
            return Some(Page::Own(Turn(turn)));
        }
        let page = write().await?;
        let mut state = self.state();
        if state.waiting > 0 {
            state.last = Some((number, page.clone()));
        }
        Some(Page::Whole(page))
    }

    /// The number of a new page, and whether nobody waits for it.
    fn begin(&self) -> (u64, bool) {
        let mut state = self.state();
        state.begun = state.begun.saturating_add(1);
        state.last = None;
        (state.begun, state.waiting == 0)
    }
}

impl<T> Shared<T> {
    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One who waits, also if it goes away meanwhile. The last of them leaves no page behind.
struct Waiting<'a, T>(&'a Shared<T>);

impl<'a, T> Waiting<'a, T> {
    fn new(shared: &'a Shared<T>) -> Self {
        let mut state = shared.state();
        state.waiting = state.waiting.saturating_add(1);
        drop(state);
        Self(shared)
    }
}

impl<T> Drop for Waiting<'_, T> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.waiting = state.waiting.saturating_sub(1);
        if state.waiting == 0 {
            state.last = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn those_who_wait_share_the_next_page() {
        let (shared, written) = (Arc::new(Shared::<u64>::default()), Arc::new(AtomicU64::new(0)));
        let scrape = |delay: u64| {
            let (shared, written) = (shared.clone(), written.clone());
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(delay)).await;
                let write = || async {
                    let number = written.fetch_add(1, Ordering::SeqCst) + 1;
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    Some(number)
                };
                match shared.page(write).await.unwrap() {
                    Page::Whole(number) => (number, "whole"),
                    Page::Own(turn) => {
                        let number = write().await.unwrap();
                        drop(turn);
                        (number, "own")
                    }
                }
            })
        };
        let first = scrape(0);
        let waiting: Vec<_> = (0..20).map(|_| scrape(50)).collect();
        assert_eq!(first.await.unwrap(), (1, "own"));
        for scrape in waiting {
            assert_eq!(scrape.await.unwrap(), (2, "whole"), "not the page begun before they came");
        }
        assert!(shared.state().last.is_none(), "nothing is kept for nobody");
        assert_eq!(scrape(0).await.unwrap(), (3, "own"));
    }

    #[tokio::test]
    async fn whoever_goes_away_leaves_no_page_behind() {
        let shared = Shared::<u64>::default();
        let waiting = Waiting::new(&shared);
        assert!(matches!(shared.page(|| async { Some(7) }).await, Some(Page::Whole(7))));
        assert!(shared.state().last.is_some());
        drop(waiting);
        assert!(shared.state().last.is_none());
    }
}
