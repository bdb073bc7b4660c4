//! Connecting: the addresses of a host in turn, as a mail server does, within a bound for each address.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{timeout, timeout_at};

use super::dial::{self, Waiting, dial};
use super::run::{Halt, Run, seconds};
use super::seat::Seat;
use super::zone::socket_address;
use crate::dns::Resolver;
use crate::endpoint::Security;
use crate::outcome::failure::{Failure, Reason};
use crate::phase::Phase;
use crate::proxy::Destination;

/// How long an attempt may hold a place before it has connected. What takes longer is most likely
/// never answered, and must not keep the other ports of the host waiting.
const DIALLING: Duration = Duration::from_millis(500);

/// Who is connected to, and counted: the server, also where a proxy is in between.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Peer {
    /// With the number of the interface, where one is named, else 0.
    Address(IpAddr, u32),
    /// A name that a proxy looks up.
    Name(String),
}

impl Peer {
    fn address(&self) -> Option<IpAddr> {
        if let Self::Address(address, _) = self { Some(*address) } else { None }
    }

    fn at(&self, port: u16) -> Destination {
        match self {
            Self::Address(address, interface) => Destination::Address(socket_address(*address, *interface, port)),
            Self::Name(name) => Destination::Name(name.clone(), port),
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address, _) => address.fmt(f),
            Self::Name(name) => name.fmt(f),
        }
    }
}

/// How many connections each address has, over all endpoints.
pub(super) struct Connections {
    most: AtomicUsize,
    places: Arc<Mutex<HashMap<Peer, Arc<Semaphore>>>>,
    /// Sockets that may still be opened.
    sockets: Arc<Semaphore>,
}

/// A place at an address; given back when dropped.
pub(super) struct Place {
    peer: Peer,
    permit: Option<OwnedSemaphorePermit>,
    /// Held for as long as the connection; `None` while there is none.
    socket: Option<OwnedSemaphorePermit>,
    places: Arc<Mutex<HashMap<Peer, Arc<Semaphore>>>>,
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

    fn semaphore(&self, peer: &Peer) -> Arc<Semaphore> {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let most = || Arc::new(Semaphore::new(self.most.load(Ordering::Relaxed)));
        places.entry(peer.clone()).or_insert_with(most).clone()
    }

    async fn place(&self, peer: &Peer) -> Option<Place> {
        let permit = self.semaphore(peer).acquire_owned().await.ok()?;
        Some(self.taken(peer, permit))
    }

    fn place_now(&self, peer: &Peer) -> Option<Place> {
        let permit = self.semaphore(peer).try_acquire_owned().ok()?;
        Some(self.taken(peer, permit))
    }

    fn taken(&self, peer: &Peer, permit: OwnedSemaphorePermit) -> Place {
        Place { peer: peer.clone(), permit: Some(permit), socket: None, places: self.places.clone() }
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
        if places.get(&self.peer).is_some_and(|semaphore| Arc::strong_count(semaphore) == 1) {
            places.remove(&self.peer);
        }
    }
}

/// Tries the addresses in order until one connects (RFC 5321 §5.1). If none does, the failure is the
/// most telling of theirs: an answer tells more than silence, and silence more than a missing route.
pub(super) async fn connect(
    run: &mut Run,
    connections: &Connections,
    resolver: &Resolver,
    peers: &[Peer],
) -> Result<(TcpStream, Place), Halt> {
    run.enter(Phase::Connect);
    let mut worst: Option<(Peer, Failure)> = None;
    for (tried, peer) in peers.iter().enumerate() {
        run.findings.address = peer.address();
        let place = wait_for_place(run, connections, peer).await?;
        // A fair share of what is left, so that dead addresses leave time for a live one.
        let untried = u32::try_from(peers.len().saturating_sub(tried)).unwrap_or(u32::MAX);
        let share = run.left().checked_div(untried).unwrap_or_default();
        let waiting = Waiting::default();
        let attempted = match attempt(run, connections, resolver, peer, place, share, &waiting).await {
            // The deadline of the phase and this address's share of it end together.
            Err(Halt::TimedOut) => Err(no_answer(run, peer, share, &waiting)),
            other => other?,
        };
        match attempted {
            Ok(connected) => {
                pass_over(run, worst.take().map(|(peer, failure)| (peer, failure.reason)));
                run.lap(Phase::Connect);
                run.connected();
                return Ok(connected);
            }
            Err(failure) if had_connected(&failure) => {
                pass_over(run, worst.take().map(|(peer, failure)| (peer, failure.reason)));
                run.lap(Phase::Connect);
                let phase = first_phase(run);
                run.enter(phase);
                return Err(Failure { phase, ..failure }.into());
            }
            Err(failure) => {
                let (kept, passed) = match worst.take() {
                    Some(old) if weight(old.1.reason) >= weight(failure.reason) => {
                        (old, Some((peer.clone(), failure.reason)))
                    }
                    old => ((peer.clone(), failure), old.map(|(peer, failure)| (peer, failure.reason))),
                };
                worst = Some(kept);
                pass_over(run, passed);
            }
        }
    }
    let (peer, failure) = worst.unzip();
    run.findings.address = peer.as_ref().and_then(Peer::address);
    Err(failure.map_or(Halt::TimedOut, Halt::Failed))
}

fn pass_over(run: &mut Run, failed: Option<(Peer, Reason)>) {
    run.findings.passed_over.extend(failed.and_then(|(peer, reason)| Some((peer.address()?, reason))));
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

fn no_answer(run: &Run, peer: &Peer, waited: Duration, waiting: &Waiting) -> Failure {
    run.too_late(|| silence(run, peer, waited, waiting))
}

fn silence(run: &Run, peer: &Peer, waited: Duration, waiting: &Waiting) -> Failure {
    let waited = seconds(waited);
    match run.endpoint.module.proxy.as_ref().filter(|_| waiting.for_proxy()) {
        Some(proxy) => dial::silent(proxy, &waited),
        None => Failure::new(Phase::Connect, Reason::Timeout, format!("{peer} gave no answer within {waited}")),
    }
}

fn weight(reason: Reason) -> u8 {
    match reason {
        Reason::Refused => 3,
        Reason::Timeout => 2,
        // A fault of our own is no news about the host, but it is more than that one family has no route.
        Reason::LocalResource | Reason::ProxyFailed => 1,
        _ => 0,
    }
}

/// One address. The outer error ends the probe; the inner one only this attempt.
async fn attempt(
    run: &mut Run,
    connections: &Connections,
    resolver: &Resolver,
    peer: &Peer,
    place: Place,
    share: Duration,
    waiting: &Waiting,
) -> Result<Result<(TcpStream, Place), Failure>, Halt> {
    let endpoint = run.endpoint.clone();
    let target = peer.at(endpoint.port);
    let socket = match connections.sockets(Phase::Connect, 1) {
        Ok(socket) => socket,
        Err(failure) => return Ok(Err(failure)),
    };
    // On the heap, for the sake of those who wait for their turn and have none to keep.
    let mut dialling = Box::pin(timeout(share, dial(resolver, &endpoint.module, &target, waiting)));
    let (dialled, place) = match run.within(timeout(DIALLING, dialling.as_mut())).await? {
        Ok(dialled) => (dialled, Some(place)),
        // It hangs: it dials on without a place, and takes one again if it connects after all.
        Err(_) => {
            drop(place);
            (run.within(dialling.as_mut()).await?, connections.place_now(peer))
        }
    };
    let tcp = match dialled {
        Err(_) => return Ok(Err(no_answer(run, peer, share, waiting))),
        Ok(Err(failure)) => return Ok(Err(failure)),
        Ok(Ok(tcp)) => tcp,
    };
    if let Some(place) = place {
        return Ok(Ok((tcp, place.with(socket))));
    }
    // The address is full by now, and this connection would be one too many: let it go, and wait for a turn.
    drop((tcp, socket, dialling));
    let place = wait_for_place(run, connections, peer).await?;
    let socket = match connections.sockets(Phase::Connect, 1) {
        Ok(socket) => socket,
        Err(failure) => return Ok(Err(failure)),
    };
    let again = run.within(Box::pin(dial(resolver, &endpoint.module, &target, waiting))).await?;
    Ok(again.map(|tcp| (tcp, place.with(socket))))
}

/// Waits for a place, and leaves the wait out of the probe's clocks.
async fn wait_for_place(run: &mut Run, connections: &Connections, peer: &Peer) -> Result<Place, Halt> {
    if let Some(place) = connections.place_now(peer) {
        return Ok(place);
    }
    let began = run.now();
    if run.is_impatient() {
        let place = run.within(connections.place(peer)).await;
        let place = place.map_err(|halt| if matches!(halt, Halt::TimedOut) { full(peer) } else { halt })?;
        run.kept_waiting(run.now() - began);
        return place.ok_or(Halt::Stopped);
    }
    let place = match run.seat.take() {
        Some(seat) => wait_without_seat(run, seat, connections, peer).await?,
        None => {
            let patience = run.endpoint.interval.max(run.endpoint.timeout());
            run.until_stopped(timeout(patience, connections.place(peer))).await?.map_err(|_| full(peer))?
        }
    };
    run.leave_out(run.now() - began);
    place.ok_or(Halt::Stopped)
}

/// Others run meanwhile. See [`super::seat`] for why nobody locks up.
async fn wait_without_seat(
    run: &mut Run,
    mut seat: Box<dyn Seat>,
    connections: &Connections,
    peer: &Peer,
) -> Result<Option<Place>, Halt> {
    seat.leave();
    let until = seat.until();
    let turn = async {
        let place = connections.place(peer).await;
        seat.take().await;
        (place, seat)
    };
    let (place, seat) = run.until_stopped(timeout_at(until, turn)).await?.map_err(|_| Halt::NoTurn)?;
    run.seat = Some(seat);
    Ok(place)
}

fn full(peer: &Peer) -> Halt {
    let detail = format!(
        "other probes kept every connection to {peer} that is allowed at once: raise `max_connections_per_address`, \
         or probe it less often"
    );
    Halt::Failed(Failure::new(Phase::Connect, Reason::LocalResource, detail))
}
