//! Connecting: the addresses of a host in turn, as a mail server does, within a bound for each address.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

use super::io_error;
use super::run::{Halt, Run, seconds};
use crate::endpoint::Security;
use crate::outcome::failure::{Failure, Reason};
use crate::phase::Phase;

/// How long an attempt may hold a place before it has connected. What takes longer is most likely
/// never answered, and must not keep the other ports of the host waiting.
const DIALLING: Duration = Duration::from_millis(500);

/// How many connections each address has, over all endpoints.
pub(super) struct Connections {
    most: AtomicUsize,
    places: Arc<Mutex<HashMap<IpAddr, Arc<Semaphore>>>>,
    /// Sockets that may still be opened.
    sockets: Arc<Semaphore>,
}

/// A place at an address; given back when dropped.
pub(super) struct Place {
    address: IpAddr,
    permit: Option<OwnedSemaphorePermit>,
    /// Held for as long as the connection; `None` while there is none.
    socket: Option<OwnedSemaphorePermit>,
    places: Arc<Mutex<HashMap<IpAddr, Arc<Semaphore>>>>,
}

impl Connections {
    pub(super) fn new(most: usize) -> Self {
        Self { most: most.into(), places: Arc::default(), sockets: Arc::new(Semaphore::new(Semaphore::MAX_PERMITS)) }
    }

    /// Another number from now on; addresses in use change when they have become idle.
    pub(super) fn set_most(&self, most: usize) {
        self.most.store(most, Ordering::Relaxed);
    }

    pub(super) fn set_sockets(&mut self, most: usize) {
        self.sockets = Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS)));
    }

    /// The right to open so many sockets, until it is dropped. Nobody waits for it: that all are in use is news of
    /// this machine, and the next probe is soon.
    pub(super) fn sockets(&self, phase: Phase, count: u32) -> Result<OwnedSemaphorePermit, Failure> {
        self.sockets.clone().try_acquire_many_owned(count).map_err(|_| {
            let detail = "all file descriptors that probes may have are in use: raise the limit of open files";
            Failure::new(phase, Reason::LocalResource, detail)
        })
    }

    fn semaphore(&self, address: IpAddr) -> Arc<Semaphore> {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        places.entry(address).or_insert_with(|| Arc::new(Semaphore::new(self.most.load(Ordering::Relaxed)))).clone()
    }

    async fn place(&self, address: IpAddr) -> Option<Place> {
        let permit = self.semaphore(address).acquire_owned().await.ok()?;
        Some(self.taken(address, permit))
    }

    fn place_now(&self, address: IpAddr) -> Option<Place> {
        let permit = self.semaphore(address).try_acquire_owned().ok()?;
        Some(self.taken(address, permit))
    }

    fn taken(&self, address: IpAddr, permit: OwnedSemaphorePermit) -> Place {
        Place { address, permit: Some(permit), socket: None, places: self.places.clone() }
    }
}

impl Place {
    fn with(self, socket: OwnedSemaphorePermit) -> Self {
        let mut place = self;
        place.socket = Some(socket);
        place
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        drop((self.permit.take(), self.socket.take()));
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        // Nobody else holds or awaits a place: the map forgets the address.
        if places.get(&self.address).is_some_and(|semaphore| Arc::strong_count(semaphore) == 1) {
            places.remove(&self.address);
        }
    }
}

/// Tries the addresses in order until one connects (RFC 5321 §5.1). If none does, the failure is the
/// most telling of theirs: an answer tells more than silence, and silence more than a missing route.
pub(super) async fn connect(
    run: &mut Run,
    connections: &Connections,
    addresses: &[IpAddr],
) -> Result<(TcpStream, Place), Halt> {
    run.enter(Phase::Connect);
    let mut worst: Option<(IpAddr, Failure)> = None;
    for (tried, address) in addresses.iter().enumerate() {
        // A fair share of what is left, so that dead addresses leave time for a live one.
        run.findings.address = Some(*address);
        let untried = u32::try_from(addresses.len().saturating_sub(tried)).unwrap_or(u32::MAX);
        let share = run.left().checked_div(untried).unwrap_or_default();
        let attempted = match attempt(run, connections, *address, share).await {
            // The deadline of the phase and this address's share of it end together.
            Err(Halt::TimedOut) => Err(no_answer(*address, share)),
            other => other?,
        };
        match attempted {
            Ok(connected) => {
                pass_over(run, worst.take());
                run.lap(Phase::Connect);
                run.connected();
                return Ok(connected);
            }
            Err(failure) if had_connected(&failure) => {
                pass_over(run, worst.take());
                run.lap(Phase::Connect);
                let phase = first_phase(run);
                run.enter(phase);
                return Err(Failure { phase, ..failure }.into());
            }
            Err(failure) => {
                let (kept, passed) = match worst.take() {
                    Some(old) if weight(old.1.reason) >= weight(failure.reason) => {
                        (old, Some((*address, failure.reason)))
                    }
                    old => ((*address, failure), old.map(|(address, failure)| (address, failure.reason))),
                };
                worst = Some(kept);
                run.findings.passed_over.extend(passed);
            }
        }
    }
    let (address, failure) = worst.unzip();
    run.findings.address = address;
    Err(failure.map_or(Halt::TimedOut, Halt::Failed))
}

fn pass_over(run: &mut Run, failed: Option<(IpAddr, Failure)>) {
    run.findings.passed_over.extend(failed.map(|(address, failure)| (address, failure.reason)));
}

/// RST to a SYN is a refusal (RFC 9293 §3.10.7.3). An end of any other kind is that of a connection which was
/// made and cut before we looked: the verdict must not depend on who was quicker.
fn had_connected(failure: &Failure) -> bool {
    matches!(failure.reason, Reason::Reset | Reason::Closed)
}

/// Where the server has the first word.
fn first_phase(run: &Run) -> Phase {
    if run.endpoint.module.security == Security::Tls { Phase::Tls } else { Phase::Banner }
}

fn no_answer(address: IpAddr, waited: Duration) -> Failure {
    Failure::new(Phase::Connect, Reason::Timeout, format!("{address} gave no answer within {}", seconds(waited)))
}

fn weight(reason: Reason) -> u8 {
    match reason {
        Reason::Refused => 3,
        Reason::Timeout => 2,
        // A fault of our own is no news about the host, but it is more than that one family has no route.
        Reason::LocalResource => 1,
        _ => 0,
    }
}

/// One address. The outer error ends the probe; the inner one only this attempt.
async fn attempt(
    run: &mut Run,
    connections: &Connections,
    address: IpAddr,
    share: Duration,
) -> Result<Result<(TcpStream, Place), Failure>, Halt> {
    let target = SocketAddr::new(address, run.endpoint.port);
    let source = run.endpoint.module.source_address;
    let refused = |error| io_error::connecting(address, &error);

    let place = wait_for_place(run, connections, address).await?;
    let socket = match connections.sockets(Phase::Connect, 1) {
        Ok(socket) => socket,
        Err(failure) => return Ok(Err(failure)),
    };
    let mut dial = pin!(timeout(share, open(target, source)));
    let (dialled, place) = match run.within(timeout(DIALLING, dial.as_mut())).await? {
        Ok(dialled) => (dialled, Some(place)),
        // It hangs: it dials on without a place, and takes one again if it connects after all.
        Err(_) => {
            drop(place);
            (run.within(dial).await?, connections.place_now(address))
        }
    };
    let tcp = match dialled {
        Err(_) => {
            return Ok(Err(no_answer(address, share)));
        }
        Ok(Err(error)) => return Ok(Err(refused(error))),
        Ok(Ok(tcp)) => tcp,
    };
    if let Some(place) = place {
        return Ok(Ok((tcp, place.with(socket))));
    }
    // The address is full by now, and this connection would be one too many: let it go, and wait for a turn.
    drop(tcp);
    let place = wait_for_place(run, connections, address).await?;
    let again = run.within(open(target, source)).await?;
    Ok(again.map(|tcp| (tcp, place.with(socket))).map_err(refused))
}

/// Waits for a place, and leaves the wait out of the probe's clocks.
async fn wait_for_place(run: &mut Run, connections: &Connections, address: IpAddr) -> Result<Place, Halt> {
    if let Some(place) = connections.place_now(address) {
        return Ok(place);
    }
    let full = || {
        let detail = format!("other probes kept every connection to {address} that is allowed at once");
        Halt::Failed(Failure::new(Phase::Connect, Reason::LocalResource, detail))
    };
    if run.is_impatient() {
        let place = run.within(connections.place(address)).await;
        return place.map_err(|halt| if matches!(halt, Halt::TimedOut) { full() } else { halt })?.ok_or(Halt::Stopped);
    }
    let began = instant();
    let patience = run.endpoint.interval.max(run.endpoint.timeout());
    let place = run.until_stopped(timeout(patience, connections.place(address))).await?;
    run.leave_out(instant() - began);
    place.map_err(|_| full())?.ok_or(Halt::Stopped)
}

/// Only for the length of a wait; the probe's own clock is in [`super::run`].
#[expect(clippy::disallowed_methods, reason = "measures the wait that is left out of the probe's clock")]
fn instant() -> Instant {
    Instant::now()
}

/// The one place where a connection to a target is opened.
#[expect(clippy::disallowed_methods, reason = "the home of the sockets to targets")]
pub(super) async fn open(target: SocketAddr, source: Option<IpAddr>) -> io::Result<TcpStream> {
    let socket = if target.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    if let Some(source) = source {
        socket.bind(SocketAddr::new(source, 0))?;
    }
    let tcp = socket.connect(target).await?;
    tcp.set_nodelay(true)?;
    Ok(tcp)
}
