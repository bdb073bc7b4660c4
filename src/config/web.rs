//! The web configuration: who may come in to our HTTP server, and how (`--web.config.file`).
//!
//! The format is that of Prometheus' exporter-toolkit (its docs/web-configuration.md), so that one file can
//! serve every exporter of a machine. All its keys are known here. Where the toolkit is silent about what
//! can only be a mistake, this says so: a mistake here is a door that stands open.
//!
//! - [`tls`]: `tls_server_config`, certificates and who must show one.
//! - [`users`]: `basic_auth_users`, names and bcrypt hashes.
//! - `http_server_config`: headers for every answer. `http2` is read and changes nothing: HTTP/1.1 is all
//!   that is spoken here, which every client can do.
//! - `rate_limit`: a bucket of requests.
//!
//! No message shows a key, a hash or what stands in their place. `client_auth_type` and the like come with
//! warnings where the toolkit's own documentation calls a choice insecure.

mod origin;
mod tls;
mod users;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

pub use origin::Origin;
pub use tls::{ClientCertificates, ClientRoots, Tls};
pub use users::PasswordHash;

use super::Problem;
use super::file::Node;
use super::reader::{At, Entries, Source};
use super::values::{duration, number, text, word};

/// Everything that the file says.
#[derive(Clone, Debug)]
pub struct WebConfig {
    /// How TLS is spoken; `None`: not at all.
    pub tls: Option<Tls>,
    /// What every answer carries.
    pub headers: Vec<(SecurityHeader, String)>,
    /// How many requests are answered; `None`: all.
    pub rate_limit: Option<RateLimit>,
    /// Who may come in; empty: anyone.
    pub users: BTreeMap<String, PasswordHash>,
    /// What works and is perhaps not meant.
    pub warnings: Vec<String>,
}

/// What came of loading.
pub struct Loaded {
    /// The configuration, or all that is wrong with it.
    pub config: Result<WebConfig, Vec<Problem>>,
    /// The files that this depends on, be it good or bad.
    pub origin: Origin,
}

/// A header that may be added to every answer: the toolkit's list, and no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecurityHeader {
    /// `Content-Security-Policy`
    ContentSecurityPolicy,
    /// `X-Frame-Options`
    FrameOptions,
    /// `X-Content-Type-Options`
    ContentTypeOptions,
    /// `X-XSS-Protection`
    XssProtection,
    /// `Strict-Transport-Security`
    StrictTransportSecurity,
}

/// A bucket that holds `burst` requests and gets one back every `interval` (as golang.org/x/time/rate).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// The time after which another request is allowed.
    pub interval: Duration,
    /// How many requests may come at once; at least 1.
    pub burst: u32,
}

impl WebConfig {
    /// Loads a file and all that it names.
    pub fn load(path: &Path) -> Loaded {
        let mut origin = Origin::default();
        let config = load(path, &mut origin);
        Loaded { config, origin }
    }
}

impl SecurityHeader {
    /// All, in the order of the toolkit's documentation.
    pub const ALL: [Self; 5] = [
        Self::ContentSecurityPolicy,
        Self::FrameOptions,
        Self::ContentTypeOptions,
        Self::XssProtection,
        Self::StrictTransportSecurity,
    ];

    /// Its name, as the file must write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ContentSecurityPolicy => "Content-Security-Policy",
            Self::FrameOptions => "X-Frame-Options",
            Self::ContentTypeOptions => "X-Content-Type-Options",
            Self::XssProtection => "X-XSS-Protection",
            Self::StrictTransportSecurity => "Strict-Transport-Security",
        }
    }

    /// The values it can have; empty: any.
    fn words(self) -> &'static [&'static str] {
        match self {
            Self::FrameOptions => &["deny", "sameorigin"],
            Self::ContentTypeOptions => &["nosniff"],
            _ => &[],
        }
    }

    fn value(self, node: &Node) -> Result<String, String> {
        let text = text(node)?;
        let words = self.words();
        if !text.is_empty() && !words.is_empty() && !words.iter().any(|word| word.eq_ignore_ascii_case(&text)) {
            return Err(format!("{text:?} is no value of this header: write {}", words.join(" or ")));
        }
        // RFC 9110 §5.5: a control character could end the header and begin another.
        if !text.bytes().all(|b| b.is_ascii_graphic() || b == b' ') {
            return Err("a header is written in one line of ASCII: remove line ends, tabs and other letters".into());
        }
        Ok(text)
    }
}

fn load(path: &Path, origin: &mut Origin) -> Result<WebConfig, Vec<Problem>> {
    let whole = |message| vec![Problem { file: path.to_owned(), place: None, path: String::new(), message }];
    let bytes = origin.read(path).map_err(|why| whole(format!("the file cannot be read: {why}")))?;
    let text = String::from_utf8(bytes).map_err(|_| whole("the file is no text in UTF-8".into()))?;
    let (mut source, root) = Source::of(path, text).map_err(|problem| vec![problem])?;
    let config = read(&mut source, &root, origin);
    if source.problems.is_empty() { Ok(config) } else { Err(source.problems) }
}

fn read(source: &mut Source, root: &Node, origin: &mut Origin) -> WebConfig {
    let mut entries = mapping(source, root, At::default());
    let mut warnings = Vec::new();
    let tls = entries.get("tls_server_config");
    let tls = tls.and_then(|(node, at)| tls::read(source, node, at, origin, &mut warnings));
    let headers = entries.get("http_server_config").map(|(node, at)| http(source, node, at));
    let rate_limit = entries.get("rate_limit").and_then(|(node, at)| rate_limit(source, node, at));
    let users = entries.get("basic_auth_users").map(|(node, at)| users::read(source, node, &at));
    entries.finish(source);
    let (headers, users) = (headers.unwrap_or_default(), users.unwrap_or_default());
    if tls.is_none() && !users.is_empty() {
        warnings.push("passwords cross the network in clear: add tls_server_config, or let a proxy speak TLS".into());
    }
    let costly = users.values().map(PasswordHash::cost).max().filter(|cost| *cost > users::COSTLY);
    warnings.extend(costly.map(|cost| {
        format!(
            "a password of cost {cost} takes seconds or more to check, and one is checked at a time: 10 to 12 is usual"
        )
    }));
    WebConfig { tls, headers, rate_limit, users, warnings }
}

/// The mapping at a place. What stands there in its stead is not shown: it could be a key, when somebody
/// has taken the wrong file.
fn mapping<'n>(source: &mut Source, node: &'n Node, at: At) -> Entries<'n> {
    let Node::Scalar(_) = node else { return Entries::of(source, node, at) };
    source.problem(&at, "a text stands here: write a mapping (`key: value` lines)");
    Entries::of(source, &Node::Null, at)
}

const BOOLEANS: [(&str, bool); 2] = [("true", true), ("false", false)];

fn http(source: &mut Source, node: &Node, at: At) -> Vec<(SecurityHeader, String)> {
    let mut entries = mapping(source, node, at);
    entries.read(source, "http2", word(&BOOLEANS));
    let headers = entries.get("headers").map(|(node, at)| {
        let mut entries = mapping(source, node, at);
        let value = |header: SecurityHeader| {
            let value = entries.read(source, header.as_str(), |node| header.value(node));
            // An empty value is a header not wanted.
            value.filter(|value| !value.is_empty()).map(|value| (header, value))
        };
        let headers = SecurityHeader::ALL.into_iter().filter_map(value).collect();
        entries.finish(source);
        headers
    });
    entries.finish(source);
    headers.unwrap_or_default()
}

fn rate_limit(source: &mut Source, node: &Node, at: At) -> Option<RateLimit> {
    let mut entries = mapping(source, node, at);
    let interval = entries.require(source, "interval", "1s", interval);
    // Without a burst the toolkit would answer no request at all.
    let burst = match interval {
        Some(interval) if interval > Duration::ZERO => entries.require(source, "burst", "20", number(1..=1_000_000)),
        _ => entries.read(source, "burst", number(0..=1_000_000)),
    };
    entries.finish(source);
    let (interval, burst) = (interval?, u32::try_from(burst?).ok()?);
    (interval > Duration::ZERO).then_some(RateLimit { interval, burst })
}

/// 0 switches the limit off.
fn interval(node: &Node) -> Result<Duration, String> {
    match node {
        Node::Scalar(text) if text == "0" || text == "0s" => Ok(Duration::ZERO),
        node => duration(Duration::from_micros(1)..=Duration::from_secs(24 * 60 * 60))(node),
    }
}

#[cfg(test)]
mod tests;
