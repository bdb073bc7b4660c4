//! `GET /api/v1/endpoints` and `GET /api/v1/endpoints/{id}`: outcomes as JSON, for scripts. `GET /api/v1/domains`: what DNS
//! says of the domains among the targets.

use hyper::StatusCode;
use hyper::header::{CACHE_CONTROL, HeaderValue, X_CONTENT_TYPE_OPTIONS};

use super::Site;
use super::background::{Written, answer};
use super::respond::Response;
use super::routes::Request;
use crate::export::{domains, json};

/// All endpoints.
pub(super) async fn list(site: &Site, request: &Request<'_>) -> Response {
    let store = site.store.clone();
    respond(site, request, move || (StatusCode::OK, json::endpoints(&store.snapshot()))).await
}

/// All domains.
pub(super) async fn domains(site: &Site, request: &Request<'_>) -> Response {
    let store = site.store.clone();
    respond(site, request, move || {
        let snapshot = store.snapshot();
        (StatusCode::OK, domains::json(&snapshot.domains.iter().map(|facts| &**facts).collect::<Vec<_>>()))
    })
    .await
}

/// One endpoint, with its transcript and its recent failures.
pub(super) async fn endpoint(site: &Site, request: &Request<'_>, id: &str) -> Response {
    let (store, id) = (site.store.clone(), id.to_owned());
    let write = move || match json::endpoint(&store.snapshot(), &id) {
        Some(found) => (StatusCode::OK, found),
        None => (StatusCode::NOT_FOUND, json::error(&format!("no endpoint has the id {id:?}"))),
    };
    respond(site, request, write).await
}

async fn respond(
    site: &Site,
    request: &Request<'_>,
    write: impl FnOnce() -> (StatusCode, String) + Send + 'static,
) -> Response {
    // A parameter that changes nothing would mislead whoever gave it.
    let misled = !request.query.is_empty();
    let mut response = answer(site, request, move || {
        let (status, json) =
            if misled { (StatusCode::BAD_REQUEST, json::error("the API has no parameters")) } else { write() };
        Written { status, content_type: "application/json", body: json + "\n" }
    })
    .await;
    response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
