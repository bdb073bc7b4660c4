//! Who is probed when: one task an endpoint, which probes, waits for its next tick and probes again.
//!
//! An endpoint is never probed twice at once, since its task does one thing after the other, whatever is changed
//! meanwhile. Ticks that pass unused are skipped and counted. [`Scheduler::apply`] takes the whole list of endpoints and
//! changes only what differs. When each is due is worked out in [`plan`], how many probes run at once is kept in
//! `places`, and on which thread each runs in [`workers`].

mod places;
pub mod plan;
pub mod workers;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::endpoint::{Endpoint, EndpointId};
use crate::outcome::failure::{Failure, Reason};
use crate::outcome::{Findings, Outcome, pace, verdict};
use crate::phase::Phase;
use crate::prober::Prober;
use crate::prober::seat::Unfinished;
use crate::store::{Skip, Store};
use places::{Places, Seated};
use plan::Plan;
use workers::Workers;

/// How long the stop of all probes may take; it is longer than the grace of a single one.
const STOP: Duration = Duration::from_secs(5);

/// Runs the tasks of all endpoints.
pub struct Scheduler {
    shared: Arc<Shared>,
    running: HashMap<EndpointId, Arc<Running>>,
    max_concurrent_probes: usize,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// What every task needs.
struct Shared {
    prober: Arc<Prober>,
    store: Arc<Store>,
    workers: Workers,
    places: Places,
}

/// What a task is told.
struct Running {
    /// What it probes next; another value takes effect with its next probe.
    current: ArcSwap<Endpoint>,
    stop: CancellationToken,
    /// Ends the wait for the next tick: another is due, or none any more.
    news: Notify,
}

impl Running {
    fn new(endpoint: Arc<Endpoint>, stop: CancellationToken) -> Self {
        Self { current: ArcSwap::new(endpoint), stop, news: Notify::new() }
    }

    fn change(&self, endpoint: &Arc<Endpoint>) {
        let before = self.current.swap(endpoint.clone());
        let intervals = |endpoint: &Endpoint| (endpoint.interval, endpoint.pace.when_failing);
        if intervals(&before) != intervals(endpoint) {
            self.news.notify_one();
        }
    }

    fn end(&self) {
        self.stop.cancel();
        self.news.notify_one();
    }
}

impl Scheduler {
    /// A scheduler with nothing to do yet. At most so many probes run at once.
    pub fn new(prober: Arc<Prober>, store: Arc<Store>, workers: Workers, max_concurrent_probes: usize) -> Self {
        let places = Places::new(max_concurrent_probes);
        Self {
            shared: Arc::new(Shared { prober, store, workers, places }),
            running: HashMap::new(),
            max_concurrent_probes,
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        }
    }

    /// From now on at most so many probes run at once.
    pub fn set_max_concurrent_probes(&mut self, most: usize) {
        if most != self.max_concurrent_probes {
            self.max_concurrent_probes = most;
            self.shared.places.set_most(most);
        }
    }

    /// From now on probes these endpoints and no others. One that stays keeps its task. Another module is for the
    /// next probe to see; another interval holds at once, also for an endpoint that waits: its next tick is its own place
    /// in that interval, so that many do not come together.
    pub fn apply(&mut self, endpoints: &[Arc<Endpoint>]) {
        self.shared.store.retain(endpoints);
        let wanted: HashMap<EndpointId, &Arc<Endpoint>> = endpoints.iter().map(|one| (one.id(), one)).collect();
        self.running.retain(|id, running| {
            let stays = wanted.contains_key(id);
            if !stays {
                running.end();
            }
            stays
        });
        for (id, endpoint) in wanted {
            if let Some(running) = self.running.get(&id) {
                running.change(endpoint);
                continue;
            }
            let running = Arc::new(Running::new(endpoint.clone(), self.stop.child_token()));
            self.tasks.spawn_on(run(self.shared.clone(), running.clone()), self.shared.workers.home());
            self.running.insert(id, running);
        }
    }

    /// Stops all probes: those that are connected take leave first, within a bounded time.
    pub async fn stop(self) {
        self.end();
        self.tasks.close();
        if timeout(STOP, self.tasks.wait()).await.is_err() {
            tracing::warn!("some probes did not end in time and are cut off");
        }
    }

    fn end(&self) {
        self.stop.cancel();
        self.running.values().for_each(|running| running.end());
    }
}

impl Drop for Scheduler {
    /// The tasks run on threads of their own, which would go on without it.
    fn drop(&mut self) {
        self.end();
    }
}

/// The life of one endpoint. Most of it is waiting, and there are very many: it holds nothing that can be had again.
#[expect(clippy::manual_async_fn, reason = "an async fn has room for its arguments twice")]
fn run(shared: Arc<Shared>, running: Arc<Running>) -> impl Future<Output = ()> + Send {
    async move {
        let start = now();
        let mut tick = Plan::of(&running.current.load()).first();
        let mut before: Option<Duration> = None;
        loop {
            tokio::select! {
                biased;
                () = running.news.notified() => {
                    if running.stop.is_cancelled() {
                        return;
                    }
                    let endpoint = running.current.load();
                    let last = shared.store.latest(endpoint.id());
                    let every = pace::when_failing(&endpoint, last.as_deref());
                    tick = Plan::of(&endpoint).resume(before, now() - start, every);
                    continue;
                }
                () = sleep_until(start + tick) => {}
            }
            let endpoint = running.current.load_full();
            let plan = Plan::of(&endpoint);
            let last = shared.store.latest(endpoint.id());
            // On the heap and gone afterwards: a waiting endpoint costs no more than its timer.
            let turn = Box::pin(turn(&shared, &endpoint, &plan, start + tick, last.as_ref(), &running.stop));
            let (last, missed) = match turn.await {
                Turn::Probed(outcome) => (Some(outcome), Skip::Running),
                Turn::Skipped(skip) => {
                    shared.store.skipped(skip, 1);
                    (last, skip)
                }
                Turn::Stopped => return,
            };
            let (next, count) = plan.next(tick, now() - start, pace::when_failing(&endpoint, last.as_deref()));
            if count > 0 {
                shared.store.skipped(missed, count);
            }
            before = Some(tick);
            tick = next;
        }
    }
}

enum Turn {
    Probed(Arc<Outcome>),
    Skipped(Skip),
    Stopped,
}

/// One tick: a probe, unless its time has passed, and its repetitions until a failure is confirmed.
async fn turn(
    shared: &Arc<Shared>,
    endpoint: &Arc<Endpoint>,
    plan: &Plan,
    due: Instant,
    last: Option<&Arc<Outcome>>,
    stop: &CancellationToken,
) -> Turn {
    if plan.is_stale(now() - due) {
        return Turn::Skipped(Skip::Late);
    }
    let mut unconfirmed: Option<Outcome> = None;
    for tries in 0.. {
        // The place is waited for until shortly before the next tick, which then has its own turn.
        let patience = endpoint.interval.mul_f64(0.9);
        let place = tokio::select! {
            place = timeout_at(due + patience, shared.places.take()) => match place {
                Ok(Some(place)) => place,
                Ok(None) => return Turn::Stopped,
                Err(_) => break,
            },
            () = stop.cancelled() => return Turn::Stopped,
        };
        // A repetition has no time of its own to be late for.
        let in_flight = shared.store.probe_begins((tries == 0).then(|| now() - due));
        // So is the turn at the address, though at a short interval at least as long as a probe may take.
        let until = due + patience.max(endpoint.timeout());
        let attempt = Attempt {
            endpoint: endpoint.clone(),
            seat: Seated { shared: shared.clone(), held: Some((place, in_flight)), until },
            // The endpoint as it was then: a change of the configuration is for a full probe to see.
            earlier: last
                .filter(|last| tries == 0 && Arc::ptr_eq(&last.endpoint, endpoint))
                .filter(|last| pace::is_light(endpoint, last, wall_clock()))
                .cloned(),
        };
        // A task of its own: a fault of ours in it ends the probe, and not the endpoint.
        let probe = shared.workers.spawn(now(), probe(shared.clone(), attempt, stop.clone()));
        let outcome = match finish(endpoint, probe).await {
            Ok(outcome) => outcome,
            Err(Unfinished::Stopped) => return Turn::Stopped,
            Err(Unfinished::NoTurn) => {
                tracing::debug!(endpoint = endpoint.title(), "no turn in time: max_connections_per_address");
                break;
            }
        };
        let left = endpoint.interval.saturating_sub(now() - due);
        let Some(delay) = pace::retry(&outcome, tries, left) else {
            unconfirmed = Some(outcome);
            break;
        };
        log(&outcome, "probe failed, and is tried again");
        shared.store.retried(endpoint.id());
        unconfirmed = Some(outcome);
        if timeout(delay, stop.cancelled()).await.is_ok() {
            return Turn::Stopped;
        }
    }
    let Some(mut outcome) = unconfirmed else { return Turn::Skipped(Skip::Capacity) };
    if outcome.is_turned_away() {
        outcome.turned_away = last.map_or(0, |last| last.turned_away).saturating_add(1);
    }
    let outcome = shared.store.record(outcome);
    log(&outcome, "probe failed");
    Turn::Probed(outcome)
}

/// What came of a probe.
async fn finish(
    endpoint: &Arc<Endpoint>,
    probe: JoinHandle<Result<Outcome, Unfinished>>,
) -> Result<Outcome, Unfinished> {
    match probe.await {
        Ok(outcome) => outcome,
        Err(error) => {
            // A fault of ours in one probe must neither stop its endpoint nor be blamed on the server.
            tracing::error!(endpoint = endpoint.title(), "the probe broke down: {error}");
            let mut findings = Findings::new(wall_clock());
            let detail = "the probe broke down; the log has the place";
            findings.breakdown = Some(Failure::new(Phase::Resolve, Reason::Internal, detail).into());
            Ok(verdict::judge(endpoint.clone(), findings))
        }
    }
}

/// One probe of a turn.
struct Attempt {
    endpoint: Arc<Endpoint>,
    seat: Seated,
    /// The probe whose TLS is still good; `None`: TLS is done.
    earlier: Option<Arc<Outcome>>,
}

async fn probe(shared: Arc<Shared>, attempt: Attempt, stop: CancellationToken) -> Result<Outcome, Unfinished> {
    let Attempt { endpoint, seat, earlier } = attempt;
    shared.prober.probe_seated(endpoint, earlier.as_deref(), &stop, Box::new(seat)).await
}

fn log(outcome: &Outcome, failed: &str) {
    let (target, endpoint) = (&outcome.endpoint.target, outcome.endpoint.title());
    match &outcome.failure {
        None => tracing::debug!(%target, %endpoint, duration = ?outcome.findings.duration, "probe succeeded"),
        Some(failure) => tracing::info!(
            %target, %endpoint,
            phase = failure.phase.as_str(), reason = failure.reason.as_str(), detail = %failure.detail,
            "{failed}"
        ),
    }
}

#[expect(clippy::disallowed_methods, reason = "the home of the schedule's clock")]
fn now() -> Instant {
    Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "stamps an outcome that no prober could stamp")]
fn wall_clock() -> SystemTime {
    SystemTime::now()
}

#[cfg(test)]
mod tests;
