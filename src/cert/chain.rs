//! Chains that have been seen before: the same bytes are read once, and their signatures checked once.
//!
//! A server shows the same chain at every probe, for months. What it says depends on its bytes alone and is
//! kept as long as any outcome shows it. Whether it leads to a root depends on the time as well: a verdict
//! is kept together with the span in which no certificate of the chain begins or ends to be valid, and holds
//! for no other time. So nothing here goes stale, and the clock is asked at each probe.

use std::collections::HashMap;
use std::fmt;
use std::ops::{Deref, RangeInclusive};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use aws_lc_rs::digest;
use rustls::pki_types::{CertificateDer, UnixTime};

use super::facts::Certificate;
use super::roots::{ChainFault, Roots};

/// How many verdicts of a chain are kept: one for each set of roots that judges it, and for each time that it
/// is judged at.
const MAX_VERDICTS: usize = 8;

/// A chain as a server sent it, its own certificate first. It reads as the list of its certificates.
pub struct Chain {
    certificates: Vec<Certificate>,
    verdicts: Mutex<Vec<Verdict>>,
}

/// SHA-256 over all certificates, each with its length before it.
type Key = [u8; digest::SHA256_OUTPUT_LEN];

fn key(der: &[CertificateDer<'_>]) -> Key {
    let mut context = digest::Context::new(&digest::SHA256);
    for certificate in der {
        context.update(&certificate.len().to_be_bytes());
        context.update(certificate);
    }
    let mut key = Key::default();
    key.copy_from_slice(context.finish().as_ref());
    key
}

/// Whether the chain leads to some roots, during a span of time.
struct Verdict {
    roots: u64,
    /// In seconds since 1970.
    during: RangeInclusive<i64>,
    result: Result<(), ChainFault>,
}

impl Chain {
    /// Reads a chain.
    pub fn new(der: &[CertificateDer<'_>]) -> Self {
        der.iter().map(|der| Certificate::from_der(der)).collect::<Vec<_>>().into()
    }

    /// Whether it leads to a root at a time, given in seconds since 1970. Its bytes are not kept and must be given
    /// once more.
    pub fn verify(&self, der: &[CertificateDer<'_>], roots: &Roots, at: i64) -> Result<(), ChainFault> {
        let known = |verdict: &&Verdict| verdict.roots == roots.id() && verdict.during.contains(&at);
        if let Some(verdict) = self.verdicts().iter().find(known) {
            return verdict.result.clone();
        }
        let time = UnixTime::since_unix_epoch(Duration::from_secs(at.try_into().unwrap_or(0)));
        let result = roots.verify(der, time);
        if let Some(during) = self.steady_around(at) {
            let mut verdicts = self.verdicts();
            verdicts.truncate(MAX_VERDICTS - 1);
            verdicts.insert(0, Verdict { roots: roots.id(), during, result: result.clone() });
        }
        result
    }

    /// The span around a time in which no certificate begins or ends to be valid. `None` where that cannot be
    /// said, because one is malformed: others may read its dates otherwise.
    fn steady_around(&self, at: i64) -> Option<RangeInclusive<i64>> {
        let (mut from, mut to) = (i64::MIN, i64::MAX);
        for certificate in &self.certificates {
            let facts = certificate.facts.as_ref().filter(|facts| facts.malformed.is_none())?;
            let (not_before, not_after) = facts.window()?;
            // RFC 5280 §4.1.2.5: from the one through the other, inclusive.
            for change in [not_before, not_after.saturating_add(1)] {
                if change <= at {
                    from = from.max(change);
                } else {
                    to = to.min(change.saturating_sub(1));
                }
            }
        }
        Some(from..=to)
    }

    /// Held for a few instructions only.
    fn verdicts(&self) -> MutexGuard<'_, Vec<Verdict>> {
        self.verdicts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A chain of certificates that have been read.
impl From<Vec<Certificate>> for Chain {
    fn from(certificates: Vec<Certificate>) -> Self {
        Self { certificates, verdicts: Mutex::default() }
    }
}

impl Deref for Chain {
    type Target = [Certificate];

    fn deref(&self) -> &[Certificate] {
        &self.certificates
    }
}

impl PartialEq for Chain {
    fn eq(&self, other: &Self) -> bool {
        self.certificates == other.certificates
    }
}

impl Eq for Chain {}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.certificates).finish()
    }
}

/// The chains that somebody holds.
#[derive(Default)]
pub struct Chains {
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    chains: HashMap<Key, Weak<Chain>>,
    /// How many entries there may be before those that nobody holds any more are thrown away.
    limit: usize,
}

impl Chains {
    /// The chain of these bytes: the one that is known, or it is read now.
    pub fn get(&self, der: &[CertificateDer<'_>]) -> Arc<Chain> {
        let key = key(der);
        if let Some(chain) = self.known().chains.get(&key).and_then(Weak::upgrade) {
            return chain;
        }
        // Read without the lock; if another reads the same meanwhile, one of the two goes away again.
        let chain = Arc::new(Chain::new(der));
        let mut known = self.known();
        if known.chains.len() >= known.limit {
            known.chains.retain(|_, chain| chain.strong_count() > 0);
            known.limit = known.chains.len().saturating_mul(2).max(64);
        }
        known.chains.insert(key, Arc::downgrade(&chain));
        chain
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};

    use super::*;

    /// A chain of two, valid in 2020–2029 and 2015–2024, and the PEM of its root.
    fn chain(name: &str) -> (Vec<CertificateDer<'static>>, String) {
        let authority = |name: &str, until: i32| {
            let mut params = CertificateParams::new(Vec::new()).unwrap();
            params.distinguished_name.push(rcgen::DnType::CommonName, name);
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            (params.not_before, params.not_after) = (date_time_ymd(2015, 1, 1), date_time_ymd(until, 1, 1));
            params
        };
        let key = || KeyPair::generate().unwrap();
        let root = CertifiedIssuer::self_signed(authority(&format!("root of {name}"), 2099), key()).unwrap();
        let middle = CertifiedIssuer::signed_by(authority("middle", 2025), key(), &root).unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2030, 1, 1));
        let leaf = params.signed_by(&key(), &middle).unwrap();
        (vec![leaf.der().clone(), middle.der().clone()], root.pem())
    }

    #[test]
    fn a_verdict_that_is_kept_is_the_one_that_would_be_found_now() {
        let (der, pem) = chain("mx.example.org");
        let roots = [pem, chain("other").1].map(|pem| Roots::from_pem(pem.as_bytes()).unwrap());
        let seen = Chain::new(&der);
        let windows = seen.iter().filter_map(|c| c.facts.as_ref()?.window());
        let changes = windows.flat_map(|(from, to)| [from, to]);
        let times: Vec<i64> = changes.flat_map(|at| [at - 1, at, at + 1]).collect();
        let mut found = Vec::new();
        for roots in &roots {
            // There and back again, so that every time is asked for with others remembered.
            for at in times.iter().chain(times.iter().rev()) {
                let now = roots.verify(&der, UnixTime::since_unix_epoch(Duration::from_secs(*at as u64)));
                assert_eq!(seen.verify(&der, roots, *at), now, "{at}");
                found.push(now);
            }
        }
        for expected in [Ok(()), Err(ChainFault::Expired), Err(ChainFault::NotYetValid), Err(ChainFault::UnknownIssuer)]
        {
            assert!(found.contains(&expected), "{expected:?} is among the cases");
        }
    }

    #[test]
    fn a_verdict_is_found_once_and_for_its_own_span() {
        let (der, pem) = chain("mx.example.org");
        let roots = Roots::from_pem(pem.as_bytes()).unwrap();
        let seen = Chain::new(&der);
        let (valid, expired) = (1_600_000_000, 1_800_000_000);
        for at in [valid, valid + 86_400, expired, valid] {
            assert_eq!(seen.verify(&der, &roots, at).is_ok(), at < expired);
        }
        assert_eq!(seen.verdicts().len(), 2);
        // Without its bytes no signature can be checked: what answers is the memory.
        assert_eq!(seen.verify(&[], &roots, valid), Ok(()));
    }

    #[test]
    fn the_same_bytes_are_one_chain_as_long_as_somebody_holds_it() {
        let chains = Chains::default();
        let (der, _) = chain("mx.example.org");
        let first = chains.get(&der);
        assert!(Arc::ptr_eq(&first, &chains.get(&der)));
        assert_ne!(first, chains.get(&der[..1]), "another chain");
        for number in 0..500_u32 {
            drop(chains.get(&[number.to_be_bytes().to_vec().into()]));
        }
        assert!(chains.known().chains.len() < 100, "chains that nobody shows any more go away");
        assert!(Arc::ptr_eq(&first, &chains.get(&der)));
    }
}
