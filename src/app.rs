//! The wiring: prober, store, scheduler and HTTP, from start to stop.
//!
//! The caller owns the listening sockets and the stop, so that a test passes port 0 and a token, and the
//! program a port and the signals.

use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::SystemTime;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::Config;
use crate::descriptors::Shares;
use crate::discovery::Discovery;
use crate::discovery::expand::Expansion;
use crate::dns::Resolver;
use crate::door::Door;
use crate::endpoint::Endpoint;
use crate::http::{self, Settings, Site};
use crate::prober::Prober;
use crate::reload::{Handle, Reload, Reloader};
use crate::scheduler::Scheduler;
use crate::scheduler::workers::Workers;
use crate::search::Search;
use crate::store::Store;

/// The exporter, ready to run.
pub struct App {
    store: Arc<Store>,
    prober: Arc<Prober>,
    probing: Probing,
    reloader: Reloader,
    site: Site,
    door: Door,
}

/// What is probed: what is configured, and what DNS makes of it.
struct Probing {
    scheduler: Scheduler,
    discovery: Discovery,
    store: Arc<Store>,
    /// The endpoints for which no DNS is needed.
    configured: Vec<Arc<Endpoint>>,
    searches: Vec<Search>,
}

impl App {
    /// Wires a configuration to the system's resolver. With the path it came from, it can be loaded again.
    /// Needs a runtime around it.
    pub fn new(config: &Config, path: Option<&Path>) -> Self {
        Self::with_resolver(config, path, Resolver::system())
    }

    /// Wires a configuration to a resolver.
    pub fn with_resolver(config: &Config, path: Option<&Path>, resolver: Resolver) -> Self {
        let (store, resolver) = (Arc::new(Store::default()), Arc::new(resolver));
        let prober = Prober::new(resolver.clone(), config.max_connections_per_address);
        let prober = Arc::new(prober.with_sockets(Shares::now().probes));
        store.config_loaded(Some(wall_clock()));
        // From the first moment on, nobody may think that the first round is done.
        store.retain(&config.endpoints);
        store.set_searching(!config.searches.is_empty());
        let (reloader, handle) = Reloader::new(path.map(Path::to_owned), config.clone());
        let site = Site::new(store.clone(), prober.clone(), handle, Settings::of(config));
        let probing = Probing {
            scheduler: Scheduler::new(prober.clone(), store.clone(), workers(), config.max_concurrent_probes),
            discovery: Discovery::new(resolver),
            store: store.clone(),
            configured: config.endpoints.clone(),
            searches: config.searches.clone(),
        };
        Self { store, prober, probing, reloader, site, door: Door::open() }
    }

    /// Serves under a path, such as `/mail`.
    pub fn with_route_prefix(mut self, prefix: &str) -> Self {
        prefix.trim_end_matches('/').clone_into(&mut self.site.route_prefix);
        self
    }

    /// Gives this address to people, such as `https://mon.example.org/mail`: where a proxy lets them in.
    pub fn with_external_url(mut self, url: Option<&str>) -> Self {
        self.site.external_url = url.map(|url| url.trim_end_matches('/').to_owned());
        self
    }

    /// Serves those whom a door lets in; without one, anybody.
    pub fn with_door(mut self, door: Door) -> Self {
        self.site.tls = door.speaks_tls();
        self.door = door;
        self
    }

    /// What the exporter remembers.
    pub fn store(&self) -> Arc<Store> {
        self.store.clone()
    }

    /// Asks for the configuration to be loaded again.
    pub fn reload_handle(&self) -> Handle {
        self.site.reload.clone()
    }

    /// Probes and serves until `stop`; then ends every connection within a bounded time.
    pub async fn run(mut self, listeners: Vec<TcpListener>, stop: CancellationToken) {
        self.probing.search();
        let (site, door) = (Arc::new(self.site), Arc::new(self.door));
        let servers = TaskTracker::new();
        for listener in listeners {
            servers.spawn(http::serve(listener, site.clone(), door.clone(), stop.clone()));
        }
        servers.close();
        while let Some(reload) = self.probing.until_reload(&mut self.reloader, &stop).await {
            let answer = match &reload.config {
                Ok(config) => {
                    self.probing.scheduler.set_max_concurrent_probes(config.max_concurrent_probes);
                    // The name servers may have changed since the start.
                    let resolver = Arc::new(Resolver::system());
                    self.prober.set_resolver(resolver.clone());
                    self.probing.discovery.set_resolver(resolver);
                    self.probing.configured.clone_from(&config.endpoints);
                    self.probing.searches.clone_from(&config.searches);
                    let count = self.probing.search();
                    self.prober.set_max_connections_per_address(config.max_connections_per_address);
                    site.settings.store(Arc::new(Settings::of(config)));
                    self.reloader.accept(config.clone());
                    Ok(count)
                }
                Err(why) => Err(why.clone()),
            };
            report(&self.store, &reload, answer.as_ref().copied().unwrap_or_default());
            reload.done(answer);
        }
        tokio::join!(self.probing.scheduler.stop(), servers.wait());
    }
}

impl Probing {
    /// Follows DNS until there is something to load. `None` when it is time to stop.
    async fn until_reload(&mut self, reloader: &mut Reloader, stop: &CancellationToken) -> Option<Reload> {
        // Kept while DNS changes: dropped halfway, it would lose what it was loading.
        let mut reload = pin!(reloader.next());
        loop {
            tokio::select! {
                reload = &mut reload => return Some(reload),
                found = self.discovery.next() => drop(self.apply(found)),
                () = stop.cancelled() => return None,
            }
        }
    }

    /// Puts the configured endpoints in force, and those that the searches have found so far.
    fn search(&mut self) -> usize {
        let found = self.discovery.set(self.searches.clone());
        self.apply(found)
    }

    /// Probes what is configured and what was found; returns how many that are.
    fn apply(&mut self, found: Expansion) -> usize {
        let endpoints: Vec<Arc<Endpoint>> = self.configured.iter().cloned().chain(found.endpoints).collect();
        self.scheduler.apply(&endpoints);
        self.store.set_domains(found.domains);
        self.store.set_searching(!found.is_complete);
        endpoints.len()
    }
}

/// Tells metrics and log what came of a reload.
fn report(store: &Store, reload: &Reload, endpoints: usize) {
    match &reload.config {
        Ok(config) => {
            if reload.is_whole {
                store.config_loaded(Some(wall_clock()));
            }
            tracing::info!(endpoints, "configuration loaded");
            config.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
        }
        Err(why) => {
            store.config_loaded(None);
            why.lines().for_each(|problem| tracing::error!(problem, "configuration not loaded; the old one stays"));
        }
    }
}

/// Threads for the probes; where none can be had, they share those of everything else.
fn workers() -> Workers {
    Workers::start().unwrap_or_else(|error| {
        tracing::warn!("no thread can be had for probes alone: {error}");
        Workers::here()
    })
}

#[expect(clippy::disallowed_methods, reason = "stamps the load of the configuration")]
fn wall_clock() -> SystemTime {
    SystemTime::now()
}
