//! Who may come in to our HTTP server: TLS, client certificates, passwords, and how many requests.
//!
//! - [`Door`] is what `http` asks: [`Door::admit`] for each connection, [`Door::check`] for each request.
//! - [`tls`]: our side of the handshake. [`clients`]: the certificates of clients.
//! - [`auth`]: basic authentication. [`rate`]: the bucket of requests.
//! - [`reload`]: the files are looked at again, at most once a second and only when somebody comes.
//! - [`admitted`]: a connection, in clear or inside TLS.
//!
//! What the file says is read in [`crate::config::web`]; here it is done. A connection that has come in
//! stays when the rules of TLS change, for as long as `http` lets connections live; passwords are asked with
//! every request.

mod admitted;
mod auth;
mod clients;
mod rate;
mod reload;
mod tls;

use std::io;
use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use hyper::StatusCode;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use rustls::ServerConfig;
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::config::Problem;
use crate::config::web::{SecurityHeader, WebConfig};

pub use admitted::Admitted;
use auth::Guests;
use rate::Bucket;
use reload::Watch;

/// The way in.
pub struct Door {
    rules: ArcSwap<Rules>,
    /// The files that the rules came from; `None` if they came from nowhere.
    watch: Option<Watch>,
    warnings: Vec<String>,
}

/// What is in force at a time.
#[derive(Default)]
struct Rules {
    tls: Option<Arc<ServerConfig>>,
    headers: HeaderMap,
    bucket: Option<Arc<Bucket>>,
    guests: Option<Arc<Guests>>,
}

/// Why a request is not answered.
#[derive(Debug)]
pub struct Refusal {
    /// 401, 429 or 503.
    pub status: StatusCode,
    /// What the client should do, for machines.
    pub headers: HeaderMap,
    /// The same for people.
    pub text: &'static str,
}

impl Door {
    /// Plain HTTP, and nobody is asked.
    pub fn open() -> Self {
        Self { rules: ArcSwap::default(), watch: None, warnings: Vec::new() }
    }

    /// As a file says.
    pub fn load(path: &Path) -> Result<Self, Vec<Problem>> {
        let loaded = WebConfig::load(path);
        let config = loaded.config?;
        let rules = Rules::of(&config, path, &Rules::default())?;
        let watch = Some(Watch::new(path, loaded.origin));
        Ok(Self { rules: ArcSwap::from_pointee(rules), watch, warnings: config.warnings })
    }

    /// What works and is perhaps not meant, as of the start.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Whether connections are inside TLS now.
    pub fn speaks_tls(&self) -> bool {
        self.rules.load().tls.is_some()
    }

    /// Lets a connection in: shakes hands, if that is the rule. Takes a bounded time.
    pub async fn admit(&self, tcp: TcpStream) -> io::Result<Admitted> {
        self.follow_the_files().await;
        let tls = self.rules.load().tls.clone();
        match tls {
            None => Ok(Admitted::Plain(tcp)),
            Some(config) => tls::accept(tcp, config).await.map(|stream| Admitted::Tls(Box::new(stream))),
        }
    }

    /// Lets a request in: first its turn, then its password.
    pub async fn check(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        self.follow_the_files().await;
        let rules = self.rules.load_full();
        if let Some(bucket) = &rules.bucket {
            bucket.take(now()).map_err(Refusal::too_many)?;
        }
        match &rules.guests {
            None => Ok(()),
            Some(guests) => guests.check(headers).await,
        }
    }

    /// Adds the headers that every answer carries.
    pub fn decorate(&self, headers: &mut HeaderMap) {
        for (name, value) in &self.rules.load().headers {
            headers.insert(name, value.clone());
        }
    }

    async fn follow_the_files(&self) {
        let Some(watch) = &self.watch else { return };
        let Some(config) = watch.look(now()).await else { return };
        let path = watch.path().display();
        let rules = config.and_then(|config| {
            let rules = Rules::of(&config, watch.path(), &self.rules.load())?;
            Ok((rules, config.warnings))
        });
        match rules {
            Ok((rules, warnings)) => {
                self.rules.store(Arc::new(rules));
                tracing::info!("web configuration {path} loaded");
                warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
            }
            Err(problems) => {
                let problems: Vec<String> = problems.iter().map(Problem::to_string).collect();
                tracing::error!(problems = problems.join("; "), "web configuration not loaded; the old one stays");
            }
        }
    }
}

impl Rules {
    /// What is the same as before keeps its memory: how full the bucket is, and who has shown a password.
    fn of(config: &WebConfig, path: &Path, before: &Self) -> Result<Self, Vec<Problem>> {
        let problem = |place: &str, message| {
            vec![Problem { file: path.to_owned(), place: None, path: place.to_owned(), message }]
        };
        let tls = config.tls.as_ref().map(tls::server_config).transpose();
        let tls = tls.map_err(|why| problem("tls_server_config", why))?;
        let bucket = config.rate_limit.map(|limit| match &before.bucket {
            Some(bucket) if bucket.limit() == limit => bucket.clone(),
            _ => Arc::new(Bucket::new(limit)),
        });
        let guests = match &before.guests {
            _ if config.users.is_empty() => None,
            Some(guests) if *guests.users() == config.users => Some(guests.clone()),
            _ => {
                let guests = Guests::new(config.users.clone());
                Some(Arc::new(guests.map_err(|why| problem("basic_auth_users", why))?))
            }
        };
        let headers = config.headers.iter().filter_map(|(header, value)| {
            // The configuration has only values that can be sent.
            Some((name(*header), HeaderValue::from_str(value).ok()?))
        });
        Ok(Self { tls: tls.map(Arc::new), headers: headers.collect(), bucket, guests })
    }
}

fn name(header: SecurityHeader) -> HeaderName {
    match header {
        SecurityHeader::ContentSecurityPolicy => header::CONTENT_SECURITY_POLICY,
        SecurityHeader::FrameOptions => header::X_FRAME_OPTIONS,
        SecurityHeader::ContentTypeOptions => header::X_CONTENT_TYPE_OPTIONS,
        SecurityHeader::XssProtection => header::X_XSS_PROTECTION,
        SecurityHeader::StrictTransportSecurity => header::STRICT_TRANSPORT_SECURITY,
    }
}

#[expect(clippy::disallowed_methods, reason = "the clock of the rate limit and of looking at the files")]
fn now() -> Instant {
    Instant::now()
}
