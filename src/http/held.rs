//! How much memory the answers take that are written and not taken yet. A page that several have is in memory once, and
//! is counted once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hyper::body::Bytes;

/// The answers in memory.
#[derive(Debug, Default)]
pub(super) struct Held {
    answers: AtomicUsize,
    bytes: AtomicUsize,
}

/// An answer: in memory as long as it is written or a piece of it is left.
#[derive(Clone)]
pub(super) struct Answer(Arc<Counted>);

struct Counted(Arc<Held>);

struct Piece {
    bytes: Vec<u8>,
    answer: Answer,
}

impl Held {
    /// One more.
    pub(super) fn answer(self: &Arc<Self>) -> Answer {
        self.answers.fetch_add(1, Ordering::Relaxed);
        Answer(Arc::new(Counted(self.clone())))
    }

    pub(super) fn answers(&self) -> usize {
        self.answers.load(Ordering::Relaxed)
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }
}

impl Answer {
    /// A piece of it, which counts until the last who has it lets go.
    pub(super) fn piece(&self, bytes: Vec<u8>) -> Bytes {
        self.0.0.bytes.fetch_add(bytes.capacity(), Ordering::Relaxed);
        Bytes::from_owner(Piece { bytes, answer: self.clone() })
    }
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        self.answer.0.0.bytes.fetch_sub(self.bytes.capacity(), Ordering::Relaxed);
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.answers.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_several_have_counts_once_and_until_the_last_lets_go() {
        let held = Arc::<Held>::default();
        let answer = held.answer();
        let page = vec![answer.piece(vec![0; 10]), answer.piece(vec![0; 20])];
        drop(answer);
        let others = vec![page.clone(); 20];
        assert_eq!((held.answers(), held.bytes()), (1, 30));
        drop(page);
        assert_eq!((held.answers(), held.bytes()), (1, 30));
        drop(others);
        assert_eq!((held.answers(), held.bytes()), (0, 0));
    }
}
