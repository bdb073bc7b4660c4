//! The exporter's HTTP side.
//!
//! | path | answer |
//! | --- | --- |
//! | `GET /` | the status page: `sort`, `filter`, `q`, `page` and `refresh` choose what it shows |
//! | `GET /endpoint/{id}` | everything about one endpoint |
//! | `GET /api/v1/endpoints` | all outcomes as JSON |
//! | `GET /api/v1/endpoints/{id}` | one, with its transcript and its recent failures |
//! | `GET /metrics` | Prometheus' protobuf, OpenMetrics 1.0 or text 0.0.4, as `Accept` asks; gzip |
//! | `GET /probe?target=host[:port]&module=NAME[&debug=true]` | probes now; that endpoint's families, also by blackbox_exporter's names |
//! | `POST /-/reload` | loads the configuration again |
//! | `GET /-/healthy` | 200 while the process runs |
//! | `GET /-/ready` | 200 once every endpoint has been probed, 503 before |
//!
//! Another method than these is 405, another path 404. What a client may cost is bounded: connections,
//! the size of a request and the time to send it.

mod accept;
mod api;
mod compress;
mod health;
mod metrics;
mod probe;
mod query;
mod reload;
mod respond;
mod routes;
mod status;

use std::collections::HashSet;
use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::config::{Config, Histograms, Modules, ProbeRules};
use crate::door::{Door, Refusal};
use crate::prober::Prober;
use crate::reload::Handle;
use crate::store::Store;

/// The most connections at once; those beyond wait in the system's queue.
const MAX_CONNECTIONS: usize = 512;

/// The most probes that `/probe` runs at once.
const MAX_PROBES: usize = 256;

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
    /// What `/probe` probes with.
    pub prober: Arc<Prober>,
    /// Asks for a reload.
    pub reload: Handle,
    /// What a reload replaces.
    pub settings: ArcSwap<Settings>,
    /// What comes before every path; empty, or `/prefix` without a slash at the end.
    pub route_prefix: String,
    /// How many probes of `/probe` may run.
    probes: Semaphore,
    /// Ends the probes of `/probe`.
    stop: CancellationToken,
}

impl Site {
    /// A site at the root.
    pub fn new(store: Arc<Store>, prober: Arc<Prober>, reload: Handle, settings: Settings) -> Self {
        Self {
            store,
            prober,
            reload,
            settings: ArcSwap::from_pointee(settings),
            route_prefix: String::new(),
            probes: Semaphore::new(MAX_PROBES),
            stop: CancellationToken::new(),
        }
    }
}

/// The part of the configuration that answers depend on.
pub struct Settings {
    /// Which histograms are shown.
    pub histograms: Histograms,
    /// What `/probe` can name.
    pub modules: Modules,
    /// What `/probe` may be asked for.
    pub probe_rules: ProbeRules,
    /// What the configuration names, which may always be probed.
    pub hosts: HashSet<(String, u16)>,
}

impl Settings {
    /// Those of a configuration.
    pub fn of(config: &Config) -> Self {
        Self {
            histograms: config.histograms,
            modules: config.modules.clone(),
            probe_rules: config.probe_rules.clone(),
            hosts: config.endpoints.iter().map(|endpoint| (endpoint.host.to_string(), endpoint.port)).collect(),
        }
    }
}

/// Serves those whom the door lets in on a listener, until `stop`.
pub async fn serve(listener: TcpListener, site: Arc<Site>, door: Arc<Door>, stop: CancellationToken) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &places) => accepted,
            () = stop.cancelled() => break,
        };
        match accepted {
            Ok((tcp, place)) => {
                let connection = connection(tcp, site.clone(), door.clone(), stop.clone(), graceful.watcher());
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
    site.stop.cancel();
    let _ = timeout(GRACE, graceful.shutdown()).await;
}

async fn accept(listener: &TcpListener, places: &Arc<Semaphore>) -> io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let place = places.clone().acquire_owned().await.map_err(io::Error::other)?;
    let (tcp, _) = listener.accept().await?;
    Ok((tcp, place))
}

/// One connection from its handshake to its end.
async fn connection(tcp: TcpStream, site: Arc<Site>, door: Arc<Door>, stop: CancellationToken, graceful: Watcher) {
    let admitted = tokio::select! {
        admitted = door.admit(tcp) => admitted,
        () = stop.cancelled() => return,
    };
    match admitted {
        Ok(stream) => {
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_TIMEOUT)
                .max_buf_size(MAX_HEAD)
                .serve_connection(TokioIo::new(stream), service(site, door));
            let _ = graceful.watch(connection).await;
        }
        Err(error) => tracing::debug!("a connection was not let in: {error}"),
    }
}

fn service(
    site: Arc<Site>,
    door: Arc<Door>,
) -> impl hyper::service::Service<
    hyper::Request<hyper::body::Incoming>,
    Response = respond::Response,
    Error = Infallible,
    Future = impl Future<Output = Result<respond::Response, Infallible>> + Send,
> {
    service_fn(move |request| {
        let (site, door) = (site.clone(), door.clone());
        async move {
            let mut response = match door.check(request.headers()).await {
                Ok(()) => routes::answer(&site, request.method(), request.uri(), request.headers()).await,
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
