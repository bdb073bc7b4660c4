//! `GET /` and `GET /endpoint/{id}`: the status page, for people.

use std::time::SystemTime;

use hyper::StatusCode;
use hyper::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HOST, HeaderName, HeaderValue, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};

use super::background::{Written, answer};
use super::respond::{Response, refusal};
use super::routes::Request;
use super::{Site, query};
use crate::export::html;

/// The address in lines to copy when the client does not say which it used.
const ANY_HOST: &str = "localhost:10125";

/// All endpoints, in the order and with the filter that the query asks for.
pub(super) async fn list(site: &Site, request: &Request<'_>) -> Response {
    let store = site.store.clone();
    let query = query::pairs(request.query)
        .and_then(|pairs| html::Query::of(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()))));
    match query {
        Ok(query) => page(site, request, move || (StatusCode::OK, html::list(&store.snapshot(), &query, now()))).await,
        Err(why) => refusal(StatusCode::BAD_REQUEST, &why),
    }
}

/// One endpoint.
pub(super) async fn endpoint(site: &Site, request: &Request<'_>, id: &str) -> Response {
    let (store, id, base) = (site.store.clone(), id.to_owned(), base(site, request));
    let write = move || match html::endpoint(&store.snapshot(), &id, &base, now()) {
        Some(found) => (StatusCode::OK, found),
        None => (StatusCode::NOT_FOUND, html::no_endpoint()),
    };
    page(site, request, write).await
}

/// The address of the exporter as the visitor knows it. A client may say anything in `Host`: only what can
/// be a host and a port is taken over.
fn base(site: &Site, request: &Request<'_>) -> String {
    if let Some(url) = &site.external_url {
        return url.clone();
    }
    let plausible = |host: &&str| {
        !host.is_empty()
            && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b':' | b'[' | b']'))
    };
    let host = request.headers.get(HOST).and_then(|value| value.to_str().ok()).filter(plausible);
    let scheme = if site.tls { "https" } else { "http" };
    format!("{scheme}://{}{}", host.unwrap_or(ANY_HOST), site.route_prefix)
}

/// A page that may load and run nothing, and stand in no frame.
async fn page(
    site: &Site,
    request: &Request<'_>,
    write: impl FnOnce() -> (StatusCode, String) + Send + 'static,
) -> Response {
    let mut response = answer(site, request, move || {
        let (status, body) = write();
        Written { status, content_type: "text/html; charset=utf-8", body }
    })
    .await;
    let guards: [(HeaderName, &'static str); 5] = [
        (CONTENT_SECURITY_POLICY, html::security_policy()),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
        (CACHE_CONTROL, "no-store"),
    ];
    for (name, value) in guards {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

#[expect(clippy::disallowed_methods, reason = "ages and remaining times are as of the answer")]
fn now() -> SystemTime {
    SystemTime::now()
}
