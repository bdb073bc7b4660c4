//! Dialling: the one place where connections to targets are opened, straight or through a proxy.
//!
//! `connect` ends when the tunnel stands. A fault of the proxy is `proxy_failed`, so that nobody looks for it in the mail
//! server; what the proxy says of the server (refused, no way, no answer) counts as if we had seen it ourselves. Whoever
//! is being waited for when the time is over is the one at fault ([`Waiting`]).

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use super::zone::{self, socket_address};
use super::{io_error, tcp};
use crate::cert::name::ServerName;
use crate::dns::Resolver;
use crate::endpoint::Module;
use crate::outcome::failure::{Failure, Reason};
use crate::phase::Phase;
use crate::proxy::{Action, Destination, Fault, Negotiation, Proxy, Trouble, header};

/// Whether it is the proxy that is being waited for, or the server.
#[derive(Debug, Default)]
pub(super) struct Waiting(AtomicBool);

impl Waiting {
    pub(super) fn for_proxy(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    fn set(&self, for_proxy: bool) {
        self.0.store(for_proxy, Ordering::Relaxed);
    }
}

/// Connects to a destination as a module says.
pub(super) async fn dial(
    resolver: &Resolver,
    module: &Module,
    to: &Destination,
    waiting: &Waiting,
) -> Result<TcpStream, Failure> {
    let source = module.source_address;
    let mut tcp = match (&module.proxy, to) {
        (Some(proxy), _) => {
            waiting.set(true);
            let mut tcp = reach(resolver, proxy, source).await?;
            tunnel(&mut tcp, proxy, to, waiting).await?;
            tcp
        }
        (None, Destination::Address(address)) => {
            open(*address, source).await.map_err(|error| io_error::connecting(address.ip(), &error))?
        }
        (None, Destination::Name(..)) => {
            return Err(Failure::new(Phase::Connect, Reason::Internal, "a name was dialled without a proxy"));
        }
    };
    if let Some(version) = module.proxy_protocol {
        let broken = |error| io_error::failure(Phase::Connect, &error);
        let known = if let Destination::Address(address) = to { Some(*address) } else { None };
        let own = tcp.local_addr().map_err(broken)?;
        tcp.write_all(&header::header(version, own, known)).await.map_err(broken)?;
    }
    Ok(tcp)
}

/// A connection to the proxy, at the first of its addresses that has one.
async fn reach(resolver: &Resolver, proxy: &Proxy, source: Option<IpAddr>) -> Result<TcpStream, Failure> {
    let mut interface = 0;
    let addresses = match &proxy.host {
        ServerName::Ip(address) => vec![*address],
        ServerName::Link(address, zone) => {
            interface = zone::number(zone).await.map_err(|failure| Failure { phase: Phase::Connect, ..failure })?;
            vec![(*address).into()]
        }
        ServerName::Dns(name) => {
            let answer = resolver.addresses(name).await;
            answer.map_err(|fault| failed(proxy, &format!("has no address ({fault:?})")))?.addresses
        }
    };
    let mut last = failed(proxy, "has no address of the family of source_address");
    for address in addresses.into_iter().filter(|one| source.is_none_or(|own| own.is_ipv4() == one.is_ipv4())) {
        last = match open(socket_address(address, interface, proxy.port), source).await {
            Ok(tcp) => return Ok(tcp),
            Err(error) => match io_error::connecting(address, &error) {
                // Descriptors, ports, policies: neither the proxy's fault nor the server's.
                own if own.reason == Reason::LocalResource => own,
                other => failed(proxy, &format!("cannot be reached: {}", other.detail)),
            },
        };
    }
    Err(last)
}

/// Asks for the tunnel. What the server says right behind the proxy's reply stays unread.
async fn tunnel(tcp: &mut TcpStream, proxy: &Proxy, to: &Destination, waiting: &Waiting) -> Result<(), Failure> {
    let broken = |error: io::Error| failed(proxy, &format!("broke off ({error})"));
    let mut negotiation = Negotiation::new(proxy, to);
    loop {
        match negotiation.next_action() {
            Action::Done => {
                waiting.set(false);
                return Ok(());
            }
            Action::Send(bytes) => tcp.write_all(&bytes).await.map_err(broken)?,
            Action::Receive => {
                waiting.set(!negotiation.has_asked());
                let mut buffer = [0; 1024];
                let length = tcp.peek(&mut buffer).await.map_err(broken)?;
                if length == 0 {
                    return Err(failed(proxy, "closed the connection without an answer"));
                }
                let seen = buffer.get(..length).unwrap_or_default();
                let used = negotiation.feed(seen).map_err(|fault| failure(proxy, to, fault))?;
                let mut own = buffer;
                tcp.read_exact(own.get_mut(..used).unwrap_or_default()).await.map_err(broken)?;
            }
        }
    }
}

/// The proxy gave no answer in time.
pub(super) fn silent(proxy: &Proxy, waited: &str) -> Failure {
    failed(proxy, &format!("gave no answer within {waited}"))
}

fn failed(proxy: &Proxy, what: &str) -> Failure {
    Failure::new(Phase::Connect, Reason::ProxyFailed, format!("the proxy {proxy} {what}"))
}

fn failure(proxy: &Proxy, to: &Destination, fault: Fault) -> Failure {
    let (reason, what) = match fault {
        Fault::Proxy(why) => return failed(proxy, &why),
        Fault::Server(Trouble::Refused) => (Reason::Refused, "refuses the connection"),
        Fault::Server(Trouble::Unreachable) => (Reason::Unreachable, "cannot be reached"),
        Fault::Server(Trouble::TimedOut) => (Reason::Timeout, "gives no answer"),
        Fault::Server(Trouble::NameNotFound) => (Reason::DnsFailed, "has no address"),
    };
    Failure::new(Phase::Connect, reason, format!("{to} {what}, says the proxy {proxy}"))
}

/// The only socket to targets and proxies.
#[expect(clippy::disallowed_methods, reason = "the home of the sockets to targets")]
async fn open(target: SocketAddr, source: Option<IpAddr>) -> io::Result<TcpStream> {
    let socket = if target.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    tcp::stamp(&socket);
    if let Some(source) = source {
        // A link-local one is of the same link.
        let interface = if let SocketAddr::V6(target) = target { target.scope_id() } else { 0 };
        socket.bind(socket_address(source, interface, 0))?;
    }
    let tcp = socket.connect(target).await?;
    tcp.set_nodelay(true)?;
    Ok(tcp)
}
