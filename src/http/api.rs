//! `GET /api/v1/endpoints` and `GET /api/v1/endpoints/{id}`: outcomes as JSON, for scripts.

use hyper::StatusCode;
use hyper::header::{CACHE_CONTROL, HeaderValue, X_CONTENT_TYPE_OPTIONS};

use super::Site;
use super::respond::{Response, respond};
use super::routes::Request;
use crate::export::json;

/// All endpoints.
pub(super) fn list(site: &Site, request: &Request<'_>) -> Response {
    refusal(request).unwrap_or_else(|| answer(StatusCode::OK, json::endpoints(&site.store.snapshot())))
}

/// One endpoint, with its transcript and its recent failures.
pub(super) fn endpoint(site: &Site, request: &Request<'_>, id: &str) -> Response {
    let found = || match json::endpoint(&site.store.snapshot(), id) {
        Some(found) => answer(StatusCode::OK, found),
        None => answer(StatusCode::NOT_FOUND, json::error(&format!("no endpoint has the id {id:?}"))),
    };
    refusal(request).unwrap_or_else(found)
}

/// A parameter that changes nothing would mislead whoever gave it.
fn refusal(request: &Request<'_>) -> Option<Response> {
    let why = "the API has no parameters";
    (!request.query.is_empty()).then(|| answer(StatusCode::BAD_REQUEST, json::error(why)))
}

fn answer(status: StatusCode, body: String) -> Response {
    let mut response = respond(status, "application/json", body + "\n");
    response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
