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
    // Several Accept headers are one list (RFC 9110 §5.3).
    let accept: Vec<&str> = request.headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    let format = Format::of(&accept.join(","));
    let text = prometheus::openmetrics(&site.store.snapshot(), site.histograms);
    let body = match format {
        Format::OpenMetrics => text,
        Format::Text => openmetrics::to_text_0_0_4(&text),
    };
    respond(StatusCode::OK, format.content_type(), body)
}
