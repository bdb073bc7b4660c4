//! One probe: resolve, connect, TLS, dialogue, certificate. The only sockets to targets are opened here.
//!
//! [`Prober::probe`] is the straight line; each step has a file:
//!
//! - [`run`]: the clock, the deadlines and what has been found so far.
//! - [`connect`]: addresses in turn, and how many connections an address may have.
//! - [`dial`]: one connection, straight or through a proxy.
//! - [`tls`]: a handshake that sees the certificate whatever its worth.
//! - [`legacy`]: a second look at a server that is too old for the handshake, or ought to refuse what is too old.
//! - [`seat`]: a place among the probes that run at once, and what becomes of it while a probe waits.
//! - [`zone`]: which interface a link-local address means.
//! - [`drive`]: does what the protocol's session says.
//! - [`tcp`]: a connection that knows when its bytes came.
//! - [`io_error`]: the system's errors in the words of the contract.
//!
//! A probe that fails is a result like any other; nothing here returns an error to its caller.

mod connect;
mod dial;
mod drive;
mod io_error;
mod legacy;
mod run;
pub mod seat;
mod stream;
mod tcp;
mod tls;
mod zone;

use std::net::IpAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio_util::sync::CancellationToken;

use crate::cert::name::ServerName;
use crate::dns::{DnsFault, Resolver};
use crate::endpoint::{Endpoint, Security};
use crate::outcome::failure::{Failure, Reason};
use crate::outcome::{AddressCount, Outcome, verdict};
use crate::phase::Phase;

use connect::{Connections, Peer};
use run::{Halt, Run};
use seat::{Seat, Unfinished};
use stream::Stream;
use tcp::Stamping;

/// Probes endpoints; shared by the scheduler, the command line and HTTP.
pub struct Prober {
    resolver: ArcSwap<Resolver>,
    connections: Connections,
    _stamping: Stamping,
}

impl Prober {
    /// A prober that keeps to so many connections an address.
    pub fn new(resolver: impl Into<Arc<Resolver>>, max_connections_per_address: usize) -> Self {
        tls::warm_up();
        Self {
            resolver: ArcSwap::from(resolver.into()),
            connections: Connections::new(max_connections_per_address),
            _stamping: Stamping::begin(),
        }
    }

    /// At most so many sockets are open at once, those to name servers too.
    #[must_use]
    pub fn with_sockets(mut self, most: usize) -> Self {
        self.connections.set_sockets(most);
        self
    }

    /// From now on names are looked up here.
    pub fn set_resolver(&self, resolver: impl Into<Arc<Resolver>>) {
        self.resolver.store(resolver.into());
    }

    /// From now on an address has at most so many connections.
    pub fn set_max_connections_per_address(&self, most: usize) {
        self.connections.set_most(most);
    }

    /// Probes once. `None` when `stop` came first: the connection was then ended as politely as the
    /// grace allowed, and what was found says nothing about the server.
    pub async fn probe(&self, endpoint: Arc<Endpoint>, stop: &CancellationToken) -> Option<Outcome> {
        self.run(Run::start(endpoint, stop.clone()), None, &|_| true).await.ok()
    }

    /// Probes once for a scheduler: the wait for a turn at the address is in no clock, and does not keep the seat from
    /// others. One that has no turn in time has not taken place. After an `earlier` probe it goes as far as EHLO in
    /// clear; what that one saw of TLS is taken over while it is still offered.
    pub async fn probe_seated(
        &self,
        endpoint: Arc<Endpoint>,
        earlier: Option<&Outcome>,
        stop: &CancellationToken,
        seat: Box<dyn Seat>,
    ) -> Result<Outcome, Unfinished> {
        let run = Run::start(endpoint, stop.clone()).seated(seat);
        let run = if earlier.is_some() { run.lightly() } else { run };
        self.run(run, earlier, &|_| true).await
    }

    /// Probes once for somebody who waits: also the wait for a turn at the address counts against the
    /// deadline. Only those addresses are probed that a test lets pass: what a name resolves to is tested, not
    /// the name, and the addresses tested are those connected to.
    pub async fn probe_where(
        &self,
        endpoint: Arc<Endpoint>,
        stop: &CancellationToken,
        allowed: &(dyn Fn(IpAddr) -> bool + Send + Sync),
    ) -> Option<Outcome> {
        self.run(Run::start(endpoint, stop.clone()).impatient(), None, allowed).await.ok()
    }

    async fn run(
        &self,
        mut run: Run,
        earlier: Option<&Outcome>,
        allowed: &(dyn Fn(IpAddr) -> bool + Send + Sync),
    ) -> Result<Outcome, Unfinished> {
        if let Err(halt) = self.converse(&mut run, allowed).await {
            run.breakdown(halt);
        }
        let (endpoint, mut findings) = run.finish()?;
        if let Some(earlier) = earlier {
            findings.carry_tls(&earlier.findings);
        }
        Ok(verdict::judge(endpoint, findings))
    }

    async fn converse(&self, run: &mut Run, allowed: &(dyn Fn(IpAddr) -> bool + Send + Sync)) -> Result<(), Halt> {
        let mut peers = self.resolve(run).await?;
        // A name that only a proxy can look up passes: who asks for it has been tested by its name.
        peers.retain(|peer| if let Peer::Address(address, _) = peer { allowed(*address) } else { true });
        if peers.is_empty() {
            let detail = "the host has no address that may be probed here";
            return Err(Failure::new(Phase::Resolve, Reason::DnsNoAddress, detail).into());
        }
        let resolver = self.resolver.load_full();
        let (tcp, _place) = connect::connect(run, &self.connections, &resolver, &peers).await?;
        // On the heap, as is another look: thousands may wait for their turn until here.
        match Box::pin(Self::talk(run, Stream::new(tcp))).await {
            // The connection is closed by now, and its place at the address is free for another look.
            Err(Halt::Failed(failure)) if run.is_too_old() => {
                Err(Box::pin(legacy::look(run, &resolver, failure)).await.into())
            }
            Ok(()) if run.wants_old_tls() => {
                Box::pin(legacy::tempt(run, &resolver)).await;
                Ok(())
            }
            result => result,
        }
    }

    async fn talk(run: &mut Run, mut stream: Stream) -> Result<(), Halt> {
        if run.endpoint.module.security == Security::Tls {
            stream = tls::handshake(run, stream).await?;
        }
        drive::dialogue(run, stream).await
    }

    /// The addresses to try, in order; the name where a proxy looks it up.
    async fn resolve(&self, run: &mut Run) -> Result<Vec<Peer>, Halt> {
        run.enter(Phase::Resolve);
        let peers = match name_for_proxy(&run.endpoint) {
            Some(name) => vec![Peer::Name(name)],
            None => {
                let addresses = self.look_up(run).await?;
                addresses.into_iter().map(|address| Peer::Address(address, run.interface)).collect()
            }
        };
        run.lap(Phase::Resolve);
        Ok(peers)
    }

    async fn look_up(&self, run: &mut Run) -> Result<Vec<IpAddr>, Halt> {
        let endpoint = run.endpoint.clone();
        run.findings.dns = endpoint.found.as_ref().map(|found| found.addresses);
        if let Some(address) = endpoint.address {
            return Ok(vec![address]);
        }
        if let Some(fault) = endpoint.found.as_ref().and_then(|found| found.fault.as_ref()) {
            return Err(Failure::of_name(fault).into());
        }
        let name = match &endpoint.host {
            ServerName::Ip(address) if endpoint.wants(*address) => return Ok(vec![*address]),
            ServerName::Ip(address) => return Err(dns_failure(&address.to_string(), DnsFault::NoAddress).into()),
            ServerName::Link(address, zone) => {
                run.interface = run.within(zone::number(zone)).await??;
                return Ok(vec![(*address).into()]);
            }
            ServerName::Dns(name) => name,
        };
        let resolver = self.resolver.load_full();
        let _sockets = self.connections.sockets(Phase::Resolve, LOOK_UP)?;
        let answer = run.within(Box::pin(resolver.addresses(name))).await?;
        let addresses = answer.map_err(|fault| dns_failure(name, fault))?.addresses;
        run.findings.dns = Some(AddressCount::of(&addresses));
        let wanted: Vec<IpAddr> = addresses.into_iter().filter(|address| endpoint.wants(*address)).collect();
        if wanted.is_empty() { Err(dns_failure(name, DnsFault::NoAddress).into()) } else { Ok(wanted) }
    }
}

/// The sockets of one look-up: for A and AAAA, and for each a second one while the first name server keeps silent.
const LOOK_UP: u32 = 4;

/// The name that the proxy is to look up, if it does that.
fn name_for_proxy(endpoint: &Endpoint) -> Option<String> {
    let resolves = endpoint.module.proxy.as_ref().is_some_and(|proxy| proxy.resolves());
    match &endpoint.host {
        ServerName::Dns(name) if resolves && endpoint.address.is_none() => Some(name.clone()),
        _ => None,
    }
}

fn dns_failure(name: &str, fault: DnsFault) -> Failure {
    Failure::of_name(&fault.of(name))
}
