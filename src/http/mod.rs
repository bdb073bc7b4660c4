//! The exporter's HTTP side.
//!
//! | path | answer |
//! | --- | --- |
//! | `GET /` | what this is and where to go on |
//! | `GET /metrics` | OpenMetrics 1.0, or text 0.0.4, as `Accept` asks |
//! | `GET /-/healthy` | 200 while the process runs |
//! | `GET /-/ready` | 200 once every endpoint has been probed, 503 before |
//!
//! Another method than these is 405, another path 404. What a client may cost is bounded: connections,
//! the size of a request and the time to send it.

mod accept;
mod health;
mod index;
mod metrics;
mod respond;
mod routes;

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::config::Histograms;
use crate::store::Store;

/// The most connections at once; those beyond wait in the system's queue.
const MAX_CONNECTIONS: usize = 512;

/// How long a client may take to send a request's head, also between two requests.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// The longest head of a request.
const MAX_HEAD: usize = 32 * 1024;

/// How long a connection may stay open in all: a client that never reads ends here.
const MAX_LIFETIME: Duration = Duration::from_secs(600);

/// How long requests under way get when the exporter stops.
const GRACE: Duration = Duration::from_secs(1);

/// How long to wait after an accept that failed for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What the routes answer from.
pub struct Site {
    /// The memory.
    pub store: Arc<Store>,
    /// Which histograms are shown.
    pub histograms: Histograms,
    /// What comes before every path; empty, or `/prefix` without a slash at the end.
    pub route_prefix: String,
}

/// Serves on a listener until `stop`.
pub async fn serve(listener: TcpListener, site: Arc<Site>, stop: CancellationToken) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &places) => accepted,
            () = stop.cancelled() => break,
        };
        match accepted {
            Ok((tcp, place)) => {
                let connection = http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(HEAD_TIMEOUT)
                    .max_buf_size(MAX_HEAD)
                    .serve_connection(TokioIo::new(tcp), service(site.clone()));
                let connection = graceful.watch(connection);
                tokio::spawn(async move {
                    // A client that breaks off, is too slow or sends nonsense is its own affair.
                    let _ = timeout(MAX_LIFETIME, connection).await;
                    drop(place);
                });
            }
            Err(error) => {
                // EMFILE and the like pass: the loop must outlive them.
                tracing::warn!("a connection could not be accepted: {error}");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    let _ = timeout(GRACE, graceful.shutdown()).await;
}

async fn accept(listener: &TcpListener, places: &Arc<Semaphore>) -> io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let place = places.clone().acquire_owned().await.map_err(io::Error::other)?;
    let (tcp, _) = listener.accept().await?;
    Ok((tcp, place))
}

fn service(
    site: Arc<Site>,
) -> impl hyper::service::Service<
    hyper::Request<hyper::body::Incoming>,
    Response = respond::Response,
    Error = Infallible,
    Future = impl Future<Output = Result<respond::Response, Infallible>> + Send,
> {
    service_fn(move |request| {
        let site = site.clone();
        async move { Ok(routes::answer(&site, request.method(), request.uri(), request.headers()).await) }
    })
}
