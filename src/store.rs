//! What is remembered: of each endpoint the last outcome, the totals and the recent failures; of the
//! exporter its own figures.
//!
//! A reader takes a [`Snapshot`] of shared values and holds no lock while it works with them; a probe that
//! ends meanwhile replaces the value and waits for nobody.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;

use crate::endpoint::{Endpoint, EndpointId};
use crate::histogram::Histogram;
use crate::outcome::alike::Alike;
use crate::outcome::domain::DomainFacts;
use crate::outcome::failure::Reason;
use crate::outcome::{CertificateFacts, Outcome};
use crate::phase::Phase;
use crate::process::Process;

/// How many failures of an endpoint are kept with their transcripts.
const RECENT_FAILURES: usize = 5;

/// What is known of one endpoint.
#[derive(Clone, Debug)]
pub struct History {
    /// What is probed.
    pub endpoint: Arc<Endpoint>,
    /// The last outcome; `None` before the first probe has ended.
    pub latest: Option<Arc<Outcome>>,
    /// Probes that ended.
    pub attempts: u64,
    /// Probes that were repeated, since they had failed; their failures are counted nowhere.
    pub retries: u64,
    /// Those that failed, by where and why.
    pub failures: BTreeMap<(Phase, Reason), u64>,
    /// The times of each phase that was ever reached, in the order of phases.
    pub phases: Box<[(Phase, Histogram)]>,
    /// When the last success ended; `None` before the first.
    pub last_success: Option<SystemTime>,
    /// The last failures, the newest first.
    pub recent_failures: Vec<Arc<Outcome>>,
    /// The certificate seen last, over probes that saw none; `None` before the first.
    pub certificate: Option<SeenCertificate>,
}

/// Which certificate an endpoint shows, and since when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenCertificate {
    /// Of the server's own.
    pub sha256: Arc<str>,
    /// When it was first seen: when we began to look, or when another was seen before.
    pub since: SystemTime,
}

impl History {
    fn new(endpoint: Arc<Endpoint>) -> Self {
        Self {
            endpoint,
            latest: None,
            attempts: 0,
            retries: 0,
            failures: BTreeMap::new(),
            phases: Box::default(),
            last_success: None,
            recent_failures: Vec::new(),
            certificate: None,
        }
    }

    /// The times of a phase; `None` where it was never reached.
    fn times(&mut self, phase: Phase) -> Option<&mut Histogram> {
        let at = self.phases.binary_search_by_key(&phase, |(phase, _)| *phase).ok()?;
        self.phases.get_mut(at).map(|(_, times)| times)
    }

    fn add(&mut self, outcome: Arc<Outcome>) {
        self.attempts = self.attempts.saturating_add(1);
        let reached = outcome.findings.phases.iter().map(|(phase, _)| *phase);
        // Few endpoints ever reach another phase than in their first probe.
        let new: Vec<Phase> = reached.filter(|phase| self.times(*phase).is_none()).collect();
        if !new.is_empty() {
            let new = new.into_iter().map(|phase| (phase, Histogram::default()));
            let mut phases: Vec<_> = std::mem::take(&mut self.phases).into_iter().chain(new).collect();
            phases.sort_by_key(|(phase, _)| *phase);
            phases.dedup_by_key(|(phase, _)| *phase);
            self.phases = phases.into();
        }
        for (phase, duration) in &outcome.findings.phases {
            if let Some(times) = self.times(*phase) {
                times.observe(*duration);
            }
        }
        match &outcome.failure {
            None => self.last_success = Some(outcome.findings.ended),
            Some(failure) => {
                let count = self.failures.entry((failure.phase, failure.reason)).or_default();
                *count = count.saturating_add(1);
                self.recent_failures.insert(0, outcome.clone());
                self.recent_failures.truncate(RECENT_FAILURES);
            }
        }
        if let Some(leaf) = outcome.findings.certificate.as_ref().and_then(CertificateFacts::leaf)
            && self.certificate.as_ref().is_none_or(|seen| seen.sha256 != leaf.sha256)
        {
            self.certificate = Some(SeenCertificate { sha256: leaf.sha256.clone(), since: outcome.findings.ended });
        }
        self.latest = Some(outcome);
    }
}

/// The history of one outcome alone, for a probe that nobody remembers.
impl From<Outcome> for History {
    fn from(outcome: Outcome) -> Self {
        let mut history = Self::new(outcome.endpoint.clone());
        history.add(Arc::new(outcome));
        // Nobody looked before: that it was new to us says nothing.
        history.certificate = None;
        history
    }
}

/// Why a probe that was due did not take place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Skip {
    /// The one before was still running.
    Running,
    /// Its time had passed when its turn came: the machine slept or was overloaded.
    Late,
    /// As many probes as allowed were running.
    Capacity,
}

impl Skip {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Running, Self::Late, Self::Capacity];

    /// The word in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Late => "late",
            Self::Capacity => "capacity",
        }
    }
}

/// The exporter's own figures.
#[derive(Clone, Debug, Default)]
pub struct Exporter {
    /// Endpoints scheduled.
    pub endpoints: usize,
    /// Probes running now.
    pub in_flight: usize,
    /// How late probes started.
    pub lateness: Histogram,
    /// Probes that did not take place.
    pub skipped: BTreeMap<Skip, u64>,
    /// When the configuration was last loaded without an error; `None` before.
    pub loaded: Option<SystemTime>,
    /// Whether the last attempt to load it succeeded.
    pub load_successful: bool,
    /// The process; `None` where nobody has asked the system, or it does not tell.
    pub process: Option<Process>,
}

/// Everything at one moment, in the order of target, host, port.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Each endpoint.
    pub endpoints: Vec<Arc<History>>,
    /// The exporter.
    pub exporter: Exporter,
    /// Not all endpoints are known yet: DNS has not answered every question.
    pub searching: bool,
    /// What DNS says of the domains among the targets.
    pub domains: Arc<Vec<Arc<DomainFacts>>>,
}

impl Snapshot {
    /// Whether all endpoints are known and each has been probed at least once.
    pub fn first_round_is_done(&self) -> bool {
        !self.searching && self.endpoints.iter().all(|history| history.latest.is_some())
    }
}

/// A slot stays the same as long as its endpoint does: who writes into it never writes into the void.
type Slot = Arc<ArcSwap<History>>;

#[derive(Default)]
struct Slots {
    by_id: HashMap<EndpointId, Slot>,
    /// In the order of target, host, port and address.
    ordered: Vec<Slot>,
}

/// The memory. Shared by the scheduler, which writes, and every reader.
#[derive(Default)]
pub struct Store {
    slots: ArcSwap<Slots>,
    searching: AtomicBool,
    domains: ArcSwap<Vec<Arc<DomainFacts>>>,
    ready: AtomicBool,
    in_flight: Arc<AtomicUsize>,
    own: Mutex<Exporter>,
    alike: Alike,
}

impl Store {
    /// From now on these endpoints are remembered, and no others. What is known of those that stay is kept.
    pub fn retain(&self, endpoints: &[Arc<Endpoint>]) {
        let old = self.slots.load();
        let slot = |endpoint: &Arc<Endpoint>| match old.by_id.get(&endpoint.id()) {
            Some(slot) => {
                // Most stay the same.
                if !Arc::ptr_eq(&slot.load().endpoint, endpoint) {
                    slot.rcu(|history| History { endpoint: endpoint.clone(), ..History::clone(history) });
                }
                slot.clone()
            }
            None => Arc::new(ArcSwap::from_pointee(History::new(endpoint.clone()))),
        };
        let mut in_order: Vec<&Arc<Endpoint>> = endpoints.iter().collect();
        in_order.sort_by_cached_key(|one| (one.target.clone(), one.host.clone(), one.port, one.address));
        let slots: Vec<(EndpointId, Slot)> = in_order.iter().map(|endpoint| (endpoint.id(), slot(endpoint))).collect();
        let ordered = slots.iter().map(|(_, slot)| slot.clone()).collect();
        self.slots.store(Arc::new(Slots { by_id: slots.into_iter().collect(), ordered }));
    }

    /// What DNS says of the domains among the targets.
    pub fn set_domains(&self, domains: Vec<Arc<DomainFacts>>) {
        self.domains.store(Arc::new(domains));
    }

    /// Whether further endpoints may yet be found.
    pub fn set_searching(&self, searching: bool) {
        self.searching.store(searching, Ordering::Release);
    }

    /// Whether the first round was seen to be done. It stays done when further endpoints come: nobody should turn away
    /// from an exporter that has one thing more to do.
    pub fn is_ready(&self) -> bool {
        if !self.ready.load(Ordering::Relaxed) && self.snapshot().first_round_is_done() {
            self.ready.store(true, Ordering::Relaxed);
        }
        self.ready.load(Ordering::Relaxed)
    }

    /// Remembers an outcome, and gives it back to be shown; one of an endpoint that is no longer wanted is not kept.
    pub fn record(&self, mut outcome: Outcome) -> Arc<Outcome> {
        self.alike.share(&mut outcome);
        let outcome = Arc::new(outcome);
        if let Some(slot) = self.slots.load().by_id.get(&outcome.endpoint.id()) {
            slot.rcu(|history| {
                let mut history = History::clone(history);
                history.add(outcome.clone());
                history
            });
        }
        outcome
    }

    /// The last outcome of an endpoint; `None` before the first, and of one that is not wanted.
    pub fn latest(&self, id: EndpointId) -> Option<Arc<Outcome>> {
        self.slots.load().by_id.get(&id)?.load().latest.clone()
    }

    /// A failure is not counted yet: the probe is repeated.
    pub fn retried(&self, id: EndpointId) {
        if let Some(slot) = self.slots.load().by_id.get(&id) {
            slot.rcu(|history| History { retries: history.retries.saturating_add(1), ..History::clone(history) });
        }
    }

    /// A probe begins, so long after its time if it has one; it has ended when the guard is dropped.
    pub fn probe_begins(&self, lateness: Option<Duration>) -> InFlight {
        if let Some(lateness) = lateness {
            self.own().lateness.observe(lateness);
        }
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight(self.in_flight.clone())
    }

    /// Probes that were due did not take place.
    pub fn skipped(&self, reason: Skip, count: u64) {
        let mut own = self.own();
        let skipped = own.skipped.entry(reason).or_default();
        *skipped = skipped.saturating_add(count);
    }

    /// The configuration was loaded at a time, or could not be (`None`).
    pub fn config_loaded(&self, at: Option<SystemTime>) {
        let mut own = self.own();
        own.load_successful = at.is_some();
        own.loaded = at.or(own.loaded);
    }

    /// Everything now.
    pub fn snapshot(&self) -> Snapshot {
        // Read first: whoever sees the end of a search sees what was found.
        let searching = self.searching.load(Ordering::Acquire);
        let endpoints: Vec<Arc<History>> = self.slots.load().ordered.iter().map(|slot| slot.load_full()).collect();
        let mut exporter = self.own().clone();
        exporter.endpoints = endpoints.len();
        exporter.in_flight = self.in_flight.load(Ordering::Relaxed);
        Snapshot { endpoints, exporter, searching, domains: self.domains.load_full() }
    }

    /// Held for a few instructions only.
    fn own(&self) -> MutexGuard<'_, Exporter> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A probe that is running.
pub struct InFlight(Arc<AtomicUsize>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
