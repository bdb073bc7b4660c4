//! One writing of the metrics for all who wait for one, so that many scrapes at once cost little more than one.
//!
//! Whoever comes while a page is being written cannot have that one, which may be older than the request; all of
//! them get the next.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Mutex;

/// The pages of one format.
pub(super) struct Shared<T> {
    /// How many pages have been begun.
    begun: AtomicU64,
    waiting: AtomicU64,
    /// The last page and its number, kept while somebody waits for it.
    last: Mutex<Option<(u64, T)>>,
}

impl<T> Default for Shared<T> {
    fn default() -> Self {
        Self { begun: AtomicU64::new(0), waiting: AtomicU64::new(0), last: Mutex::default() }
    }
}

impl<T: Clone> Shared<T> {
    /// A page that was begun after this call: one that another has written, or a new one.
    pub(super) async fn page<F: Future<Output = Option<T>>>(&self, write: impl FnOnce() -> F) -> Option<T> {
        let arrived = self.begun.load(Ordering::SeqCst);
        let waiting = Waiting::new(&self.waiting);
        let mut last = self.last.lock().await;
        drop(waiting);
        let others = self.waiting.load(Ordering::SeqCst) > 0;
        let page = match last.take() {
            Some((number, page)) if number > arrived => {
                *last = others.then(|| (number, page.clone()));
                return Some(page);
            }
            _ => {
                let number = self.begun.fetch_add(1, Ordering::SeqCst).saturating_add(1);
                let page = write().await?;
                (number, page)
            }
        };
        *last = (self.waiting.load(Ordering::SeqCst) > 0).then(|| page.clone());
        Some(page.1)
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
    use std::sync::Arc;
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
                shared.page(write).await.unwrap()
            })
        };
        let first = scrape(0);
        let waiting: Vec<_> = (0..20).map(|_| scrape(50)).collect();
        assert_eq!(first.await.unwrap(), 1);
        for scrape in waiting {
            assert_eq!(scrape.await.unwrap(), 2, "not the page begun before they came");
        }
        assert!(shared.last.lock().await.is_none(), "nothing is kept for nobody");
        assert_eq!(scrape(0).await.unwrap(), 3);
    }
}
