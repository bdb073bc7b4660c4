//! A probe under way: its clock, its deadlines, and what it has found.
//!
//! The clock of a phase starts when the one before it ends. Time that the probe spends on our side, waiting for its turn
//! ([`Run::leave_out`]) or between the server's last word and our next ([`Run::turn`]), is in no phase, and takes nothing
//! from the deadline. Where somebody waits for the answer, the deadline stays ([`Run::kept_waiting`]): what was then not
//! done in time is not the server's doing.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::seat::{Seat, Unfinished};
use crate::endpoint::Endpoint;
use crate::outcome::Findings;
use crate::outcome::failure::{Failure, Reason};
use crate::phase::Phase;

/// What a connection that is open when the program stops gets to say goodbye.
const GRACE: Duration = Duration::from_secs(2);

/// How long a connection in the making is waited for once the program stops: it may be there already, and only not seen
/// yet. A server that is called and left without a word takes it for rudeness.
const MOMENT: Duration = Duration::from_millis(100);

/// How late a look at a deadline may be.
const OVERSLEPT: Duration = Duration::from_secs(1);

/// Which part of its time a probe must have waited for its turn, before that is why it was late.
const PART_KEPT: u32 = 10;

/// Why a probe goes no further.
pub(super) enum Halt {
    /// It failed.
    Failed(Failure),
    /// The current phase took too long.
    TimedOut,
    /// The program is stopping.
    Stopped,
    /// The address had no room in time.
    NoTurn,
}

impl From<Failure> for Halt {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// The state of a probe.
pub(super) struct Run {
    pub endpoint: Arc<Endpoint>,
    pub findings: Findings,
    /// The number of the interface that the host's address names; 0 without.
    pub interface: u32,
    /// Its place among the probes that run at once; `None` where nobody counts them.
    pub seat: Option<Box<dyn Seat>>,
    stop: CancellationToken,
    stopping: bool,
    /// The address had no room in time.
    had_no_turn: bool,
    /// Waiting for a turn counts against the deadline: somebody waits for the answer.
    impatient: bool,
    /// How much of its time it has waited for its turn.
    kept: Duration,
    /// It ends after EHLO in clear.
    light: bool,
    /// The handshake failed as it does with a server that has only old TLS.
    too_old: bool,
    /// Set once there is a connection to take leave of.
    connected: bool,
    phase: Phase,
    clock: Clock,
}

struct Clock {
    /// When the probe began.
    began: Instant,
    /// `began`, later by what was left out.
    start: Instant,
    /// When the last phase ended.
    mark: Instant,
    /// When the probe must be over.
    deadline: Instant,
    /// When the current phase must be.
    phase_deadline: Instant,
}

impl Run {
    pub(super) fn start(endpoint: Arc<Endpoint>, stop: CancellationToken) -> Self {
        let (now, wall) = now();
        let deadline = now + endpoint.timeout();
        Self {
            endpoint,
            findings: Findings::new(wall),
            interface: 0,
            seat: None,
            stop,
            stopping: false,
            had_no_turn: false,
            impatient: false,
            kept: Duration::ZERO,
            light: false,
            too_old: false,
            connected: false,
            phase: Phase::Resolve,
            clock: Clock { began: now, start: now, mark: now, deadline, phase_deadline: deadline },
        }
    }

    /// The same probe for somebody who waits for its answer.
    pub(super) fn impatient(self) -> Self {
        Self { impatient: true, ..self }
    }

    /// The same probe, which runs only while it has a place.
    pub(super) fn seated(self, seat: Box<dyn Seat>) -> Self {
        Self { seat: Some(seat), ..self }
    }

    /// The same probe, which ends after EHLO in clear.
    pub(super) fn lightly(self) -> Self {
        Self { light: true, ..self }
    }

    /// Whether it ends after EHLO in clear.
    pub(super) fn is_light(&self) -> bool {
        self.light
    }

    /// Whether somebody waits for the answer.
    pub(super) fn is_impatient(&self) -> bool {
        self.impatient
    }

    /// Begins a phase; its limit counts from the end of the one before.
    pub(super) fn enter(&mut self, phase: Phase) {
        let module = &self.endpoint.module;
        let limit = module.phase_timeouts.get(&phase).copied().unwrap_or(module.timeout);
        self.phase = phase;
        self.limit_phase(limit);
    }

    /// Shortens the current phase.
    pub(super) fn limit_phase(&mut self, limit: Duration) {
        self.clock.phase_deadline = self.clock.deadline.min(self.clock.mark + limit);
    }

    /// Ends a phase now.
    pub(super) fn lap(&mut self, phase: Phase) {
        self.lap_at(phase, now().0);
    }

    /// Ends a phase at the moment the deciding bytes arrived.
    pub(super) fn lap_at(&mut self, phase: Phase, at: Instant) {
        self.findings.phases.push((phase, at.saturating_duration_since(self.clock.mark)));
        self.clock.mark = at.max(self.clock.mark);
    }

    /// Leaves a wait out of all clocks.
    pub(super) fn leave_out(&mut self, waited: Duration) {
        for instant in
            [&mut self.clock.start, &mut self.clock.mark, &mut self.clock.deadline, &mut self.clock.phase_deadline]
        {
            *instant += waited;
        }
    }

    /// Leaves a wait out of all clocks, but not of the time in which there must be an answer.
    pub(super) fn kept_waiting(&mut self, waited: Duration) {
        let deadline = self.clock.deadline;
        self.leave_out(waited);
        self.clock.deadline = deadline;
        self.clock.phase_deadline = self.clock.phase_deadline.min(deadline);
        self.kept = self.kept.saturating_add(waited);
    }

    /// What a deadline means that has passed: nothing about the server, if waiting for our turn has used it up.
    pub(super) fn too_late(&self, otherwise: impl FnOnce() -> Failure) -> Failure {
        if self.kept.saturating_mul(PART_KEPT) < self.endpoint.timeout() {
            return otherwise();
        }
        let (kept, left) =
            (seconds(self.kept), seconds(self.clock.deadline.saturating_duration_since(self.clock.mark)));
        let detail = format!(
            "{kept} went by until other probes let this one have a connection to the address, and the {left} left were \
             not enough: raise `max_connections_per_address`, or ask less often"
        );
        Failure::new(self.phase, Reason::LocalResource, detail)
    }

    /// We have something to say, at last. What passed since the server's last word, or the end of the last phase, is
    /// our own time.
    pub(super) fn turn(&mut self, heard: Option<Instant>, at: Instant) {
        let since = heard.map_or(self.clock.mark, |heard| heard.max(self.clock.mark));
        self.leave_out(at.saturating_duration_since(since));
    }

    /// The clock's time now.
    #[expect(clippy::unused_self, reason = "the clock belongs to the run")]
    pub(super) fn now(&self) -> Instant {
        now().0
    }

    /// What is left of the current phase.
    pub(super) fn left(&self) -> Duration {
        self.clock.phase_deadline.saturating_duration_since(now().0)
    }

    /// From now on there is a connection that must be ended politely.
    pub(super) fn connected(&mut self) {
        self.connected = true;
    }

    /// The server seems to have only TLS that this program cannot complete.
    pub(super) fn suspect_old_tls(&mut self) {
        self.too_old = true;
    }

    /// Whether a second look at the server is in order.
    pub(super) fn is_too_old(&self) -> bool {
        self.too_old && !self.stopping
    }

    /// Whether it is to be seen that the server refuses old TLS. Not of a server that has just had enough of us, nor
    /// of one that agreed on no TLS at all.
    pub(super) fn wants_old_tls(&self) -> bool {
        let expect = &self.endpoint.module.expect;
        expect.no_old_tls
            && !expect.port_closed
            && !self.stopping
            && self.findings.breakdown.is_none()
            && self.findings.tls.is_some()
    }

    /// A run of its own beside this one, within what is left of its time. What it finds is not this one's.
    pub(super) fn aside(&self) -> Self {
        let mut aside = Self::start(self.endpoint.clone(), self.stop.clone());
        aside.clock.deadline = self.clock.deadline;
        aside.clock.phase_deadline = self.clock.deadline;
        aside
    }

    /// Whether the program is stopping.
    pub(super) fn is_stopping(&self) -> bool {
        self.stopping
    }

    /// The wall clock, moved on by the monotonic one since the start.
    pub(super) fn wall_clock(&self) -> SystemTime {
        self.findings.started + now().0.duration_since(self.clock.began)
    }

    /// The time in the transcript.
    pub(super) fn elapsed(&self) -> Duration {
        self.elapsed_at(now().0)
    }

    /// The time in the transcript of what was at that moment.
    pub(super) fn elapsed_at(&self, at: Instant) -> Duration {
        at.saturating_duration_since(self.clock.start)
    }

    /// Awaits something, but not past the deadline of the phase, nor of the grace once the program stops.
    pub(super) async fn within<T>(&mut self, future: impl Future<Output = T>) -> Result<T, Halt> {
        self.go_on()?;
        let mut future = pin!(future);
        loop {
            tokio::select! {
                biased;
                // A deadline long past when we look for the first time is not the server's doing: this machine slept,
                // or had no time for us. What came of the wait then, and how long it took, says nothing of the server.
                output = &mut future => return match self.overslept() {
                    Some(failure) => Err(failure.into()),
                    None => Ok(output),
                },
                () = sleep_until(self.clock.phase_deadline) => {
                    self.go_on()?;
                    return Err(self.overslept().map_or(Halt::TimedOut, Halt::Failed));
                }
                () = self.stop.cancelled(), if !self.stopping => {
                    self.stopping = true;
                    let patience = match (self.connected, self.phase) {
                        (true, _) => GRACE,
                        (false, Phase::Connect) => MOMENT,
                        (false, _) => return Err(Halt::Stopped),
                    };
                    let now = now().0;
                    self.clock.deadline = self.clock.deadline.min(now + GRACE);
                    self.clock.phase_deadline = self.clock.phase_deadline.min(now + patience);
                }
            }
        }
    }

    /// Once the program stops, only a connection that is there has words to say.
    fn go_on(&self) -> Result<(), Halt> {
        if self.stopping && !self.connected { Err(Halt::Stopped) } else { Ok(()) }
    }

    /// A failure of ours, if the deadline has passed unseen.
    fn overslept(&self) -> Option<Failure> {
        let late = now().0.saturating_duration_since(self.clock.phase_deadline);
        let detail = || format!("this machine slept or was too busy: it looked up {} too late", seconds(late));
        (late > OVERSLEPT).then(|| Failure::new(self.phase, Reason::LocalResource, detail()))
    }

    /// Awaits a turn of ours: only the end of the program ends the wait.
    pub(super) async fn until_stopped<T>(&mut self, future: impl Future<Output = T>) -> Result<T, Halt> {
        tokio::select! {
            output = future => Ok(output),
            () = self.stop.cancelled() => Err(Halt::Stopped),
        }
    }

    /// Notes why the probe went no further; the phase it stopped in keeps the time it took.
    pub(super) fn breakdown(&mut self, halt: Halt) {
        let failure = match halt {
            Halt::Stopped => {
                self.stopping = true;
                return;
            }
            Halt::NoTurn => {
                self.had_no_turn = true;
                return;
            }
            Halt::Failed(failure) => failure,
            Halt::TimedOut => self.too_late(|| {
                let waited = seconds(self.clock.phase_deadline.saturating_duration_since(self.clock.mark));
                Failure::new(self.phase, Reason::Timeout, format!("nothing more came within {waited}"))
            }),
        };
        if !self.findings.reached(self.phase) {
            self.lap(self.phase);
        }
        self.findings.breakdown.get_or_insert(failure.into());
    }

    /// Closes the books, unless the probe says nothing about the server.
    pub(super) fn finish(mut self) -> Result<(Arc<Endpoint>, Findings), Unfinished> {
        match (self.stopping, self.had_no_turn) {
            (true, _) => return Err(Unfinished::Stopped),
            (false, true) => return Err(Unfinished::NoTurn),
            (false, false) => {}
        }
        self.findings.transcript.close();
        self.findings.phases.shrink_to_fit();
        self.findings.ended = self.wall_clock();
        self.findings.duration = self.clock.mark.saturating_duration_since(self.clock.start);
        self.findings.tls_at = self.findings.certificate.is_some().then_some(self.findings.ended);
        Ok((self.endpoint, self.findings))
    }
}

/// A time for people: `20 s`, `1.5 s`.
pub(super) fn seconds(duration: Duration) -> String {
    let text = format!("{:.1}", duration.as_secs_f64());
    format!("{} s", text.trim_end_matches(".0"))
}

/// The two clocks, read in this one place.
#[expect(clippy::disallowed_methods, reason = "the home of the probe's clocks")]
pub(super) fn now() -> (Instant, SystemTime) {
    (Instant::now(), SystemTime::now())
}
