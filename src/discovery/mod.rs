//! Which endpoints DNS makes of a target: asked before the probes, and asked again when an answer has had its time.
//!
//! - [`mod@expand`]: searches and what is known, to endpoints and to what must be asked (pure).
//! - [`known`]: what is known, and when it is asked for again (pure).
//! - `reuse`: endpoints that have not changed stay the same values (pure).
//!
//! [`Discovery::next`] is the loop around them: it asks, learns, and gives the whole list of endpoints again when
//! something has changed. Nothing is probed here; the scheduler takes the list and changes what differs.

pub mod expand;
pub mod known;
mod reuse;

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use crate::dns::records::{Question, Reply};
use crate::dns::{DnsFault, Resolver};
use crate::endpoint::Endpoint;
use crate::search::Search;
use expand::{Expansion, expand};
use known::Known;
use reuse::reuse;

/// How many questions are open at once.
const MOST_QUESTIONS: usize = 32;

/// How long one question may take, whatever /etc/resolv.conf allows.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long a change waits for others, so that a thousand answers do not make a thousand lists.
const SETTLE: Duration = Duration::from_millis(100);

/// Asks DNS for the endpoints of searches.
pub struct Discovery {
    resolver: Arc<Resolver>,
    searches: Vec<Search>,
    known: Known,
    /// The endpoints that were told last.
    told: Vec<Arc<Endpoint>>,
    asking: JoinSet<(Question, Result<Reply, DnsFault>)>,
    /// When the change that nobody has been told yet must be told; `None` without one.
    tell_at: Option<Instant>,
}

impl Discovery {
    /// One that searches nothing yet.
    pub fn new(resolver: Arc<Resolver>) -> Self {
        let (searches, told, known) = (Vec::new(), Vec::new(), Known::default());
        Self { resolver, searches, known, told, asking: JoinSet::new(), tell_at: None }
    }

    /// From now on names are looked up here.
    pub fn set_resolver(&mut self, resolver: Arc<Resolver>) {
        self.resolver = resolver;
    }

    /// From now on searches these and no others; what is known of those that stay is kept. Returns what that makes.
    pub fn set(&mut self, searches: Vec<Search>) -> Expansion {
        self.searches = searches;
        self.expand()
    }

    /// Waits until DNS has made a difference. May be dropped and called again at any time.
    pub async fn next(&mut self) -> Expansion {
        loop {
            let now = now();
            if self.tell_at.is_some_and(|at| at <= now || self.asking.is_empty() && !self.known.is_due(now)) {
                return self.expand();
            }
            self.ask(now);
            let wake = [self.tell_at, self.known.next_due()].into_iter().flatten().min();
            tokio::select! {
                Some(answer) = self.asking.join_next(), if !self.asking.is_empty() => {
                    // A question that broke down or was dropped is asked again when its time has come.
                    if let Ok((question, answer)) = answer {
                        self.learn(&question, answer);
                    }
                }
                () = sleep_until(wake.unwrap_or(now)), if wake.is_some() => {}
                () = std::future::pending(), if wake.is_none() && self.asking.is_empty() => {}
            }
        }
    }

    /// Searches once, to the end.
    pub async fn once(resolver: Arc<Resolver>, searches: Vec<Search>) -> Expansion {
        let mut discovery = Self::new(resolver);
        let mut expansion = discovery.set(searches);
        while !expansion.is_complete {
            expansion = discovery.next().await;
        }
        expansion
    }

    fn expand(&mut self) -> Expansion {
        self.tell_at = None;
        let mut expansion = expand(&self.searches, &self.known);
        reuse(&self.told, &mut expansion.endpoints);
        self.told.clone_from(&expansion.endpoints);
        self.known.want(&expansion.questions, now());
        expansion
    }

    /// Asks what is due, as far as there is room.
    fn ask(&mut self, now: Instant) {
        let room = MOST_QUESTIONS.saturating_sub(self.asking.len());
        let again = now.checked_add(PATIENCE.saturating_mul(2)).unwrap_or(now);
        for question in self.known.take_due(now, again, room) {
            let resolver = self.resolver.clone();
            self.asking.spawn(async move {
                let answer = timeout(PATIENCE, resolver.ask(&question)).await;
                let late = || DnsFault::Failed(format!("no answer within {} s", PATIENCE.as_secs()));
                (question, answer.unwrap_or_else(|_| Err(late())))
            });
        }
    }

    fn learn(&mut self, question: &Question, answer: Result<Reply, DnsFault>) {
        let now = now();
        if let Err(DnsFault::Failed(why) | DnsFault::Local(why)) = &answer {
            tracing::warn!(?question, "DNS has no answer, what it said before stays: {why}");
        }
        if self.known.learn(question, answer, now) {
            self.tell_at = self.tell_at.or(now.checked_add(SETTLE));
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the home of discovery's clock")]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests;
