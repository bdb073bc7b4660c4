//! `GET /probe?target=host[:port]&module=NAME[&hostname=NAME][&debug=true]`: probes now, for those who schedule elsewhere.
//!
//! It answers as blackbox_exporter does, so that a scrape job for that needs another address only. What may
//! be probed is limited ([`crate::config::ProbeRules`]): hosts that the configuration names as targets always,
//! others within `probe_endpoint`, and by their addresses after resolution, not by their names.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hyper::StatusCode;

use super::accept::Format;
use super::metrics::format;
use super::respond::{Response, plain, refusal, respond};
use super::routes::Request;
use super::{Settings, Site, query};
use crate::config::{adhoc, by_port};
use crate::endpoint::Endpoint;
use crate::export::text::Style;
use crate::export::{blackbox, openmetrics, prometheus, text};
use crate::outcome::Outcome;
use crate::outcome::failure::Reason;
use crate::outcome::port_state::port_states;

/// What is kept of Prometheus' time limit for the way back, as blackbox_exporter keeps it.
const TIMEOUT_OFFSET: Duration = Duration::from_millis(500);

/// The least that a probe gets, whatever the limit.
const LEAST: Duration = Duration::from_millis(100);

/// What a query may have. `hostname` is the name to ask for and to verify, if it is not the target's.
const PARAMETERS: [&str; 4] = ["target", "module", "hostname", "debug"];

/// Probes what the query asks for.
pub(super) async fn answer(site: &Site, request: &Request<'_>) -> Response {
    let settings = site.settings.load_full();
    let asked = match Asked::read(request, &settings) {
        Ok(asked) => asked,
        Err(refusal) => return refusal.answer(),
    };
    let Ok(_place) = site.probes.try_acquire() else {
        let text = "503: as many probes as allowed are running; try again\n";
        return plain(StatusCode::SERVICE_UNAVAILABLE, text);
    };
    let refused = AtomicBool::new(false);
    let allowed = |address: IpAddr| {
        let ok = asked.named || settings.probe_rules.address(&asked.endpoint.host, address);
        refused.fetch_or(!ok, Ordering::Relaxed);
        ok
    };
    // Dropped with the connection when the client goes away: a scrape that has timed out needs no result.
    let Some(outcome) = site.prober.probe_where(asked.endpoint.clone(), &site.stop, &allowed).await else {
        return plain(StatusCode::SERVICE_UNAVAILABLE, "503: the exporter is stopping\n");
    };
    let none_left = outcome.failure.as_ref().is_some_and(|failure| failure.reason == Reason::DnsNoAddress);
    if none_left && refused.load(Ordering::Relaxed) {
        return forbidden(&asked.endpoint).answer();
    }
    if asked.debug { debug(&outcome) } else { metrics(outcome, request) }
}

fn metrics(outcome: Outcome, request: &Request<'_>) -> Response {
    let format = format(request, &[Format::OpenMetrics, Format::Text]);
    let text = blackbox::openmetrics(&outcome) + &prometheus::outcomes_openmetrics(vec![outcome]);
    let body = if format == Format::OpenMetrics { text } else { openmetrics::to_text_0_0_4(&text) };
    respond(StatusCode::OK, format.content_type(), body)
}

fn debug(outcome: &Outcome) -> Response {
    let states = port_states(&[outcome]);
    let with_states: Vec<_> = std::iter::once(outcome).zip(states).collect();
    plain(StatusCode::OK, &text::report(&with_states, Style { colour: false, transcript: true }))
}

/// A query that makes sense and is allowed.
struct Asked {
    endpoint: Arc<Endpoint>,
    debug: bool,
    /// The configuration has this host among its targets.
    named: bool,
}

struct Refusal(StatusCode, String);

impl Refusal {
    fn answer(self) -> Response {
        refusal(self.0, &self.1)
    }
}

fn bad(why: impl Into<String>) -> Refusal {
    Refusal(StatusCode::BAD_REQUEST, why.into())
}

fn forbidden(endpoint: &Endpoint) -> Refusal {
    let host = &endpoint.host;
    Refusal(
        StatusCode::FORBIDDEN,
        format!("{host} may not be probed here: add it, or its network, to probe_endpoint.allow"),
    )
}

impl Asked {
    fn read(request: &Request<'_>, settings: &Settings) -> Result<Self, Refusal> {
        let pairs = query::pairs(request.query).map_err(bad)?;
        if let Some((key, _)) = pairs.iter().find(|(key, _)| !PARAMETERS.contains(&key.as_str())) {
            return Err(bad(format!("unknown parameter {key:?}: known are {}", PARAMETERS.join(", "))));
        }
        let one = |name: &str| {
            let mut values = pairs.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str());
            match (values.next(), values.next()) {
                (value, None) => Ok(value.filter(|value| !value.is_empty())),
                _ => Err(bad(format!("{name} is given more than once"))),
            }
        };
        let target = one("target")?.ok_or_else(|| bad("target is missing: ?target=smtp.example.org:587"))?;
        let debug = match one("debug")? {
            None | Some("false" | "0") => false,
            Some("true" | "1") => true,
            Some(other) => return Err(bad(format!("debug is {other:?}: write true or false"))),
        };
        let (host, port) = adhoc::host_and_port(target).map_err(bad)?;
        let wanted = one("module")?;
        let port = port
            .or_else(|| wanted.and_then(adhoc::first_port))
            .ok_or_else(|| bad(format!("{target:?} has no port: write {target}:587, or name a module that has one")))?;
        let module = wanted.or_else(|| by_port(port)).ok_or_else(|| {
            bad(format!(
                "port {port} has no module of its own: add &module= with one of {}",
                settings.modules.names().join(", ")
            ))
        })?;
        let module = settings.modules.get(module).ok_or_else(|| {
            bad(format!("there is no module {module:?}: name one of {}", settings.modules.names().join(", ")))
        })?;
        let name = host.to_string();
        let named = settings.hosts.contains(&(name.clone(), port));
        if !named {
            settings.probe_rules.port(port).map_err(|why| Refusal(StatusCode::FORBIDDEN, why))?;
        }
        if (module.client_certificate.is_some() || module.proxy.is_some())
            && !settings.hosts.iter().any(|(other, _)| *other == name)
        {
            let why = format!(
                "module {:?} has credentials or a proxy, which are used only for hosts that the configuration names",
                module.name
            );
            return Err(Refusal(StatusCode::FORBIDDEN, why));
        }
        let hostname = one("hostname")?;
        if module.login.is_some() || module.mail.is_some() {
            // A stranger must not choose who gets the password, nor whom we name a recipient to.
            let own = settings.probed_with.contains(&(name, port, module.name.clone()));
            if !own || hostname.is_some() {
                let why = format!(
                    "module {:?} logs in or names a recipient: it is used only for the endpoints that the configuration \
                     probes with it, and without hostname",
                    module.name
                );
                return Err(Refusal(StatusCode::FORBIDDEN, why));
            }
        }
        let mut module = crate::endpoint::Module::clone(module);
        module.timeout = limit(request, module.timeout);
        if let Some(name) = hostname {
            module.server_name = Some(adhoc::server_name(name).map_err(bad)?);
        }
        let endpoint = Arc::new(adhoc::endpoint(&host, port, Arc::new(module)));
        Ok(Self { endpoint, debug, named })
    }
}

/// Prometheus says how long it waits; the answer must be there before.
fn limit(request: &Request<'_>, timeout: Duration) -> Duration {
    let header = request.headers.get("X-Prometheus-Scrape-Timeout-Seconds").and_then(|value| value.to_str().ok());
    let seconds = header.and_then(|text| text.parse::<f64>().ok()).filter(|seconds| (0.0..1e6).contains(seconds));
    let patience = seconds.map(Duration::from_secs_f64);
    patience.map_or(timeout, |patience| timeout.min(patience.saturating_sub(TIMEOUT_OFFSET)).max(LEAST))
}
