//! The status page: a snapshot and a query in, a page out.
//!
//! | file | what it is |
//! | --- | --- |
//! | `list.rs`, `summary.rs` | all endpoints: form and table, and what stands on top |
//! | `endpoint.rs`, `facts.rs` | one endpoint: everything that is known of it, and what its last probe found |
//! | `table.rs` | tables and lists of facts |
//! | `domains.rs` | what DNS says of domains, below the list |
//! | `phases.rs` | the pictures of where the time went |
//! | `row.rs` | an endpoint as people look at it |
//! | `query.rs` | order, filter and search, from and to addresses |
//! | `markup.rs` | the only way to write markup, which escapes every text |
//! | `style.css` | how it looks: narrow and wide, light and dark |
//!
//! The pages need no script, load nothing, and forbid both ([`security_policy`]). Every link is relative,
//! so they work under any prefix and behind any proxy.

mod domains;
mod endpoint;
mod facts;
mod list;
mod markup;
mod phases;
mod query;
mod row;
mod summary;
mod table;

use std::sync::LazyLock;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use markup::Html;
use row::{State, rows};

pub use query::Query;

use crate::store::Snapshot;

/// The style of all pages, a part of each.
const STYLE: &str = include_str!("style.css");

/// The `Content-Security-Policy` of the pages: nothing but this style, and pictures that stand in the
/// address themselves (the tab's icon).
pub fn security_policy() -> &'static str {
    static POLICY: LazyLock<String> = LazyLock::new(|| {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, STYLE.as_bytes());
        format!(
            "default-src 'none'; style-src 'sha256-{}'; img-src data:; form-action 'self'; base-uri 'none'; \
             frame-ancestors 'none'",
            STANDARD.encode(digest)
        )
    });
    &POLICY
}

/// The page of all endpoints that the query asks for.
pub fn list(snapshot: &Snapshot, query: &Query, now: SystemTime) -> String {
    list::page(snapshot, query, now)
}

/// The page of the endpoint with this name; `None` if there is none. `base` is the address of the exporter
/// as the visitor knows it, for a line to copy.
pub fn endpoint(snapshot: &Snapshot, id: &str, base: &str, now: SystemTime) -> Option<String> {
    let row = rows(snapshot, now).into_iter().find(|row| row.history.endpoint.id().to_string() == id)?;
    Some(endpoint::page(&row, base, now))
}

/// The page for the address of an endpoint that is not there.
pub fn no_endpoint() -> String {
    let shell = Shell { title: "No such endpoint", state: None, root: "../", refresh: None };
    shell.page(|html| {
        html.leaf("h1", &[], "No such endpoint");
        html.leaf(
            "p",
            &[],
            "The configuration has no endpoint with this address; it may have been removed or renamed.",
        );
        html.element("p", &[], |html| html.link("../", "All endpoints"));
    })
}

/// What is around every page.
struct Shell<'a> {
    title: &'a str,
    /// Shown by the tab's icon.
    state: Option<State>,
    /// The way from this page to the list.
    root: &'static str,
    /// Seconds after which the page loads itself again.
    refresh: Option<u32>,
}

impl Shell<'_> {
    fn page(&self, content: impl FnOnce(&mut Html)) -> String {
        let mut html = Html::default();
        html.element("html", &[("lang", "en")], |html| {
            html.element("head", &[], |html| self.head(html));
            html.element("body", &[], |html| {
                html.element("header", &[], |html| self.bar(html));
                html.element("main", &[], content);
            });
        });
        html.into_page()
    }

    fn head(&self, html: &mut Html) {
        html.void("meta", &[("charset", "utf-8")]);
        html.void("meta", &[("name", "viewport"), ("content", "width=device-width, initial-scale=1")]);
        html.void("meta", &[("name", "color-scheme"), ("content", "light dark")]);
        if let Some(seconds) = self.refresh {
            html.void("meta", &[("http-equiv", "refresh"), ("content", &seconds.to_string())]);
        }
        html.leaf("title", &[], self.title);
        html.void("link", &[("rel", "icon"), ("href", icon(self.state))]);
        html.style(STYLE);
    }

    /// Name, version, and where to go on.
    fn bar(&self, html: &mut Html) {
        html.element("p", &[], |html| {
            html.link(if self.root.is_empty() { "./" } else { self.root }, "mail_endpoint_exporter");
            html.leaf("small", &[], env!("CARGO_PKG_VERSION"));
        });
        html.element("nav", &[("aria-label", "Other formats")], |html| {
            html.link(&format!("{}metrics", self.root), "Metrics");
            html.link(&format!("{}api/v1/endpoints", self.root), "JSON");
        });
    }
}

/// A dot in the colour of the state.
fn icon(state: Option<State>) -> &'static str {
    macro_rules! dot {
        ($colour:literal) => {
            concat!(
                "data:image/svg+xml,%3Csvg xmlns='http%3A//www.w3.org/2000/svg' viewBox='0 0 8 8'%3E",
                "%3Ccircle cx='4' cy='4' r='3.5' fill='%23",
                $colour,
                "'/%3E%3C/svg%3E"
            )
        };
    }
    match state {
        Some(State::Failed) => dot!("d1242f"),
        Some(State::Ok) => dot!("1a7f37"),
        Some(State::Pending) | None => dot!("6e7781"),
    }
}
