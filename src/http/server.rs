//! The accept loop, and one connection from its arrival to its end.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::lobby::{Guest, Place};
use super::{Site, respond};
use crate::door::{Door, Refusal};

/// How long a client may take to send a request's head, also between two requests.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// The longest head of a request.
const MAX_HEAD: usize = 32 * 1024;

/// How long a connection may stay open in all: a client that never reads ends here.
const MAX_LIFETIME: Duration = Duration::from_secs(300);

/// How long requests under way get when the exporter stops.
const GRACE: Duration = Duration::from_secs(1);

/// How long to wait after an accept that failed for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves those whom the door lets in on a listener, until `stop`.
pub async fn serve(listener: TcpListener, site: Arc<Site>, door: Arc<Door>, stop: CancellationToken) {
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        match accepted {
            Ok((tcp, _)) => {
                // Full of clients being served: this one must come again.
                let Some(place) = site.lobby.enter() else { continue };
                let connection = connection(tcp, site.clone(), door.clone(), place, stop.clone(), graceful.watcher());
                // A client that breaks off, is too slow or sends nonsense is its own affair.
                tokio::spawn(timeout(MAX_LIFETIME, connection));
            }
            Err(error) => {
                // EMFILE and the like pass: the loop must outlive them.
                tracing::warn!("a connection could not be accepted: {error}");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    site.stop.cancel();
    let _ = timeout(GRACE, graceful.shutdown()).await;
}

/// One connection from its handshake to its end.
async fn connection(
    tcp: TcpStream,
    site: Arc<Site>,
    door: Arc<Door>,
    place: Place,
    stop: CancellationToken,
    graceful: Watcher,
) {
    let leave = place.guest.leave.clone();
    let admitted = tokio::select! {
        admitted = door.admit(tcp) => admitted,
        () = stop.cancelled() => return,
        () = leave.cancelled() => return,
    };
    match admitted {
        Ok(stream) => {
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_TIMEOUT)
                .max_buf_size(MAX_HEAD)
                .serve_connection(TokioIo::new(stream), service(site, door, place.guest.clone()));
            tokio::select! {
                _ = graceful.watch(connection) => {}
                () = leave.cancelled() => {}
            }
        }
        Err(error) => tracing::debug!("a connection was not let in: {error}"),
    }
}

fn service(
    site: Arc<Site>,
    door: Arc<Door>,
    guest: Arc<Guest>,
) -> impl hyper::service::Service<
    hyper::Request<hyper::body::Incoming>,
    Response = respond::Response,
    Error = Infallible,
    Future = impl Future<Output = Result<respond::Response, Infallible>> + Send,
> {
    service_fn(move |request| {
        let (site, door, guest) = (site.clone(), door.clone(), guest.clone());
        async move {
            let mut response = match door.check(request.headers()).await {
                Ok(()) => {
                    // Whoever has not shown a right password is not being served.
                    let _served = guest.serve();
                    site.answer(request.method(), request.uri(), request.headers()).await
                }
                Err(refusal) => refuse(refusal),
            };
            door.decorate(response.headers_mut());
            Ok(response)
        }
    })
}

fn refuse(refusal: Refusal) -> respond::Response {
    let mut response = respond::plain(refusal.status, refusal.text);
    response.headers_mut().extend(refusal.headers);
    response
}
