//! What the outcomes of many endpoints have in common, kept once.
//!
//! Ten thousand servers answer EHLO in a few dozen ways, agree on one of a handful of ciphers, and meet the same
//! expectations. What is equal is therefore one value in memory, however many outcomes show it, as long as one of
//! them is kept. (Certificates are remembered by their bytes, in [`crate::cert::chain`].)

use std::collections::HashSet;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use super::verdict::Judgement;
use super::{OldTls, Outcome, TlsFacts};
use crate::mail::smtp::capabilities::Capabilities;

/// The values that outcomes share.
#[derive(Default)]
pub struct Alike {
    capabilities: Pool<Capabilities>,
    tls: Pool<TlsFacts>,
    judgements: Pool<[Judgement]>,
}

impl Alike {
    /// Lets an outcome share what is equal in others. It says the same as before.
    pub fn share(&self, outcome: &mut Outcome) {
        let findings = &mut outcome.findings;
        for offered in [&mut findings.smtp.clear, &mut findings.smtp.tls].into_iter().flatten() {
            self.capabilities.share(offered);
        }
        findings.tls.iter_mut().for_each(|tls| self.tls.share(tls));
        if let Some(OldTls::Accepted(tls)) = &mut findings.old_tls {
            self.tls.share(tls);
        }
        self.judgements.share(&mut outcome.judgements);
    }
}

/// How many values there may be before those that nobody else holds are thrown away.
const SOME: usize = 64;

/// Values of which no two are equal.
struct Pool<T: ?Sized>(Mutex<(HashSet<Arc<T>>, usize)>);

impl<T: ?Sized> Default for Pool<T> {
    fn default() -> Self {
        Self(Mutex::new((HashSet::new(), SOME)))
    }
}

impl<T: ?Sized + Eq + Hash> Pool<T> {
    /// Replaces a value by the equal one that is known, or makes it known.
    fn share(&self, value: &mut Arc<T>) {
        let mut pool = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (known, limit) = &mut *pool;
        if let Some(same) = known.get(value) {
            value.clone_from(same);
            return;
        }
        if known.len() >= *limit {
            known.retain(|value| Arc::strong_count(value) > 1);
            *limit = known.len().saturating_mul(2).max(SOME);
        }
        known.insert(value.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_are_one_and_those_that_nobody_holds_go_away() {
        let pool = Pool::default();
        let mut first: Arc<String> = Arc::new("PIPELINING".into());
        pool.share(&mut first);
        let held: Vec<Arc<String>> = (0..1000)
            .map(|number| {
                let mut other = Arc::new(number.to_string());
                pool.share(&mut other);
                let mut same: Arc<String> = Arc::new("PIPELINING".into());
                pool.share(&mut same);
                assert!(Arc::ptr_eq(&first, &same));
                if number % 10 == 0 { other } else { same }
            })
            .collect();
        // 101 are held.
        assert!((101..=2 * 101).contains(&pool.0.lock().unwrap().0.len()));
        drop(held);
    }
}
