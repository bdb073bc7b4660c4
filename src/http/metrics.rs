//! `GET /metrics`.

use hyper::StatusCode;
use hyper::header::ACCEPT;

use super::Site;
use super::accept::Format;
use super::respond::{Response, respond};
use super::routes::Request;
use crate::export::{openmetrics, prometheus};

/// All families in the format that the scraper wants.
pub(super) fn answer(site: &Site, request: &Request<'_>) -> Response {
    let format = format(request);
    let text = prometheus::openmetrics(&site.store.snapshot(), site.settings.load().histograms);
    let body = openmetrics::in_format(text, format.is_openmetrics());
    respond(StatusCode::OK, format.content_type(), body)
}

/// What the client wants. Several Accept headers are one list (RFC 9110 §5.3).
pub(super) fn format(request: &Request<'_>) -> Format {
    let accept: Vec<&str> = request.headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    Format::of(&accept.join(","))
}
