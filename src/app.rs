//! The wiring: prober, store, scheduler and HTTP, from start to stop.
//!
//! The caller owns the listening sockets and the stop, so that a test passes port 0 and a token, and the
//! program a port and the signals.

use std::sync::Arc;
use std::time::SystemTime;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::{Config, Histograms};
use crate::dns::Resolver;
use crate::endpoint::Endpoint;
use crate::http::{self, Site};
use crate::prober::Prober;
use crate::scheduler::Scheduler;
use crate::store::Store;

/// The exporter, ready to run.
pub struct App {
    store: Arc<Store>,
    scheduler: Scheduler,
    endpoints: Vec<Arc<Endpoint>>,
    histograms: Histograms,
    route_prefix: String,
}

impl App {
    /// Wires a configuration to the system's resolver.
    pub fn new(config: &Config) -> Result<Self, String> {
        Ok(Self::with_resolver(config, Resolver::system()?))
    }

    /// Wires a configuration to a resolver.
    pub fn with_resolver(config: &Config, resolver: Resolver) -> Self {
        let store = Arc::new(Store::default());
        let prober = Arc::new(Prober::new(resolver, config.max_connections_per_address));
        store.config_loaded(Some(wall_clock()));
        // From the first moment on, nobody may think that the first round is done.
        store.retain(&config.endpoints);
        Self {
            scheduler: Scheduler::new(prober, store.clone(), config.max_concurrent_probes),
            store,
            endpoints: config.endpoints.clone(),
            histograms: config.histograms,
            route_prefix: String::new(),
        }
    }

    /// Serves under a path, such as `/mail`.
    pub fn with_route_prefix(mut self, prefix: &str) -> Self {
        prefix.trim_end_matches('/').clone_into(&mut self.route_prefix);
        self
    }

    /// What the exporter remembers.
    pub fn store(&self) -> Arc<Store> {
        self.store.clone()
    }

    /// Probes and serves until `stop`; then ends every connection within a bounded time.
    pub async fn run(mut self, listeners: Vec<TcpListener>, stop: CancellationToken) {
        self.scheduler.apply(&self.endpoints);
        let site = Arc::new(Site { store: self.store, histograms: self.histograms, route_prefix: self.route_prefix });
        let servers = TaskTracker::new();
        for listener in listeners {
            servers.spawn(http::serve(listener, site.clone(), stop.clone()));
        }
        servers.close();
        stop.cancelled().await;
        tokio::join!(self.scheduler.stop(), servers.wait());
    }
}

#[expect(clippy::disallowed_methods, reason = "stamps the load of the configuration")]
fn wall_clock() -> SystemTime {
    SystemTime::now()
}
