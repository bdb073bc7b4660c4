//! The threads that probe: one, and more of them only while it has little time left.
//!
//! A probe is some twenty short steps with a wait between them. Threads that share such steps out wake each other
//! for every one, and the cores pass a conversation to and fro. So each worker is a thread with a runtime of its
//! own, and a probe stays on one. Nothing else runs there: a scrape and a probe do not wait for each other.

use std::io;
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use tokio::runtime::{Builder, Handle};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

/// How often it is asked whether the workers are too many or too few.
const LOOK: Duration = Duration::from_secs(1);

/// How much of its time a worker is to be busy before another one helps, in percent. What the system does for it,
/// when it waits for sockets, comes on top.
const FULL: u128 = 60;

/// Where probes run.
#[derive(Debug)]
pub struct Workers {
    home: Handle,
    most: usize,
    crew: Mutex<Crew>,
}

#[derive(Debug)]
struct Crew {
    /// All that were ever needed. Those beyond `active` are at rest.
    workers: Vec<Worker>,
    active: usize,
    next: usize,
    /// When it was last looked, and how long all of them together had been busy by then.
    looked: Option<Instant>,
    busy: Duration,
    /// Another was needed and could not be had, which has been said.
    is_short: bool,
}

impl Workers {
    /// A thread of their own for probes, and in need as many as the machine has cores.
    pub fn start() -> io::Result<Self> {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        Ok(Self::with(Worker::start()?, cores))
    }

    /// No thread of their own: probes run where this is called, within a runtime.
    pub fn here() -> Self {
        Self::with(Worker { runtime: Handle::current(), _end: None }, 1)
    }

    fn with(first: Worker, most: usize) -> Self {
        let home = first.runtime.clone();
        let crew =
            Crew { workers: vec![first], active: 1, next: 0, looked: None, busy: Duration::ZERO, is_short: false };
        Self { home, most, crew: Mutex::new(crew) }
    }

    /// The worker that is always there: for what waits most of the time.
    pub(super) fn home(&self) -> &Handle {
        &self.home
    }

    /// Runs a probe on the worker whose turn it is.
    pub(super) fn spawn<F>(&self, now: Instant, probe: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        if self.most == 1 {
            return self.home.spawn(probe);
        }
        let mut crew = self.crew.lock().unwrap_or_else(PoisonError::into_inner);
        crew.look(now, self.most);
        let worker = crew.turn().unwrap_or_else(|| self.home.clone());
        drop(crew);
        worker.spawn(probe)
    }
}

impl Crew {
    /// Once in a while: as many workers as there is work for.
    fn look(&mut self, now: Instant, most: usize) {
        let past = self.looked.map_or(LOOK, |looked| now.saturating_duration_since(looked));
        if past < LOOK {
            return;
        }
        let busy = self.busy_so_far();
        if self.looked.replace(now).is_some() {
            self.active = enough(busy.saturating_sub(self.busy), past).min(most);
        }
        self.busy = busy;
        while self.workers.len() < self.active {
            match Worker::start() {
                Ok(worker) => {
                    self.workers.push(worker);
                    self.is_short = false;
                }
                Err(error) => {
                    if !std::mem::replace(&mut self.is_short, true) {
                        tracing::warn!("probes have little time, and no thread can be had for them: {error}");
                    }
                    self.active = self.workers.len();
                }
            }
        }
    }

    fn busy_so_far(&self) -> Duration {
        self.workers.iter().map(Worker::busy).sum()
    }

    fn turn(&mut self) -> Option<Handle> {
        self.next = self.next.wrapping_add(1);
        let number = self.next.checked_rem(self.active)?;
        self.workers.get(number).map(|worker| worker.runtime.clone())
    }
}

/// How many workers there have to be, after they have been busy so long together within some time.
fn enough(busy: Duration, past: Duration) -> usize {
    let full = past.as_micros().saturating_mul(FULL);
    let work = busy.as_micros().saturating_mul(100);
    let filled = work.checked_div(full).and_then(|filled| usize::try_from(filled).ok());
    filled.unwrap_or_default().saturating_add(1)
}

/// A thread with a runtime of its own, which ends with this value.
#[derive(Debug)]
struct Worker {
    runtime: Handle,
    _end: Option<DropGuard>,
}

impl Worker {
    fn start() -> io::Result<Self> {
        Self::start_on(thread::Builder::new().name("probe".into()))
    }

    fn start_on(thread: thread::Builder) -> io::Result<Self> {
        let (tell, told) = mpsc::sync_channel(1);
        let end = CancellationToken::new();
        let ended = end.clone();
        // Built where it lives: one that finds no thread would be dropped here, among tasks, which tokio forbids.
        thread.spawn(move || match Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => {
                let _ = tell.send(Ok(runtime.handle().clone()));
                runtime.block_on(ended.cancelled());
            }
            Err(error) => drop(tell.send(Err(error))),
        })?;
        let runtime = told.recv().map_err(io::Error::other)??;
        Ok(Self { runtime, _end: Some(end.drop_guard()) })
    }

    fn busy(&self) -> Duration {
        self.runtime.metrics().worker_total_busy_duration(0)
    }
}

#[cfg(test)]
mod tests;
