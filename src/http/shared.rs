//! One writing of the metrics for all who wait for one, so that many scrapes at once cost little more than one.
//!
//! Whoever comes while a page is being written cannot have that one, which may be older than the request; all of
//! them get the next. Whoever is alone has it as it is written, and no page is ever whole in memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{Mutex, OwnedMutexGuard};

/// The pages of one format.
pub(super) struct Shared<T> {
    /// How many pages have been begun.
    begun: AtomicU64,
    waiting: AtomicU64,
    /// The last page and its number, kept while somebody waits for it.
    last: Arc<Mutex<Option<(u64, T)>>>,
}

/// A page, or leave to write one.
pub(super) enum Page<T> {
    /// Written for all who waited.
    Whole(T),
    /// Nobody else waits for one.
    Own(Turn<T>),
}

/// The others wait until this is dropped.
pub(super) struct Turn<T>(#[expect(dead_code, reason = "it is held")] OwnedMutexGuard<Option<(u64, T)>>);

impl<T> Default for Shared<T> {
    fn default() -> Self {
        Self { begun: AtomicU64::new(0), waiting: AtomicU64::new(0), last: Arc::default() }
    }
}

impl<T: Clone> Shared<T> {
    /// A page that is begun after this call: one that another has written, or what `write` writes for all who wait, or
    /// leave to write it for oneself.
    pub(super) async fn page<F: Future<Output = Option<T>>>(&self, write: impl FnOnce() -> F) -> Option<Page<T>> {
        let arrived = self.begun.load(Ordering::SeqCst);
        let waiting = Waiting::new(&self.waiting);
        let mut last = self.last.clone().lock_owned().await;
        drop(waiting);
        let others = || self.waiting.load(Ordering::SeqCst) > 0;
        if let Some((number, page)) = last.take().filter(|(number, _)| *number > arrived) {
            *last = others().then(|| (number, page.clone()));
            return Some(Page::Whole(page));
        }
        let number = self.begun.fetch_add(1, Ordering::SeqCst).saturating_add(1);
        if !others() {
            return Some(Page::Own(Turn(last)));
        }
        let page = write().await?;
        *last = others().then(|| (number, page.clone()));
        Some(Page::Whole(page))
    }
}

/// One who waits, also if it goes away meanwhile.
struct Waiting<'a>(&'a AtomicU64);

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicU64) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
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
        assert!(shared.last.lock().await.is_none(), "nothing is kept for nobody");
        assert_eq!(scrape(0).await.unwrap(), (3, "own"));
    }
}
