//! The exporter's HTTP side.
//!
//! | path | answer |
//! | --- | --- |
//! | `GET /` | the status page: `sort`, `filter`, `q`, `page` and `refresh` choose what it shows |
//! | `GET /endpoint/{id}` | everything about one endpoint |
//! | `GET /api/v1/endpoints` | all outcomes as JSON |
//! | `GET /api/v1/endpoints/{id}` | one, with its transcript and its recent failures |
//! | `GET /api/v1/domains` | what DNS says of the domains among the targets, as JSON |
//! | `GET /metrics` | Prometheus' protobuf, OpenMetrics 1.0 or text 0.0.4, as `Accept` asks; gzip |
//! | `GET /probe?target=host[:port]&module=NAME[&hostname=NAME][&debug=true]` | probes now; that endpoint's families, also by blackbox_exporter's names |
//! | `POST /-/reload` | loads the configuration again |
//! | `GET /-/healthy` | 200 while the process runs |
//! | `GET /-/ready` | 200 once every endpoint has been probed, 503 before |
//!
//! Another method than these is 405, another path 404. What a client may cost is bounded ([`server`]):
//! connections, the size of a request, the time to send it, and the memory of answers that are not read; who is idle or does
//! not read leaves for others ([`lobby`]).

mod accept;
mod api;
mod background;
mod compress;
mod health;
mod held;
mod lobby;
mod metrics;
mod probe;
mod query;
mod reload;
mod respond;
mod routes;
mod server;
mod shared;
mod status;

pub use respond::Body;
pub use server::serve;

use std::collections::HashSet;
use std::sync::Arc;

use arc_swap::ArcSwap;
use hyper::header::HeaderMap;
use hyper::{Method, Uri};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::config::{Config, Histograms, Modules, ProbeRules};
use crate::descriptors::Shares;
use crate::prober::Prober;
use crate::reload::Handle;
use crate::store::Store;
use lobby::Lobby;

/// The most probes that `/probe` runs at once.
const MAX_PROBES: usize = 256;

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
    /// Where people reach the exporter, without a slash at the end; `None`: where they came from.
    pub external_url: Option<String>,
    /// Whether people come by HTTPS.
    pub tls: bool,
    /// What is being written for scrapers.
    pages: metrics::Pages,
    /// How many probes of `/probe` may run.
    probes: Semaphore,
    /// Ends the probes of `/probe`.
    stop: CancellationToken,
    /// Who is connected, by whichever listener.
    lobby: Arc<Lobby>,
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
            external_url: None,
            tls: false,
            pages: metrics::Pages::default(),
            probes: Semaphore::new(MAX_PROBES),
            stop: CancellationToken::new(),
            lobby: Lobby::new(Shares::now().http),
        }
    }

    /// Answers a request; every request has an answer.
    pub async fn answer(&self, method: &Method, uri: &Uri, headers: &HeaderMap) -> respond::Response {
        routes::answer(self, method, uri, headers).await
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
    /// Of those, with the module that they are probed with.
    pub probed_with: HashSet<(String, u16, String)>,
}

impl Settings {
    /// Those of a configuration.
    pub fn of(config: &Config) -> Self {
        Self {
            histograms: config.histograms,
            modules: config.modules.clone(),
            probe_rules: config.probe_rules.clone(),
            hosts: config.hosts(),
            probed_with: config
                .named()
                .map(|endpoint| (endpoint.host.to_string(), endpoint.port, endpoint.module.name.clone()))
                .collect(),
        }
    }
}
