//! `GET /metrics`.

use hyper::StatusCode;
use hyper::header::ACCEPT;

use super::Site;
use super::accept::Format;
use super::compress;
use super::respond::{Response, plain, respond};
use super::routes::Request;
use crate::export::{openmetrics, prometheus};

/// All families in the format that the scraper wants. They are written where that disturbs no probe.
pub(super) async fn answer(site: &Site, request: &Request<'_>) -> Response {
    let format = format(request, &[Format::Protobuf, Format::OpenMetrics, Format::Text]);
    let compressed = compress::is_wanted(request);
    let (store, histograms) = (site.store.clone(), site.settings.load().histograms);
    let write = move || {
        let snapshot = store.snapshot();
        let body = match format {
            Format::Protobuf => prometheus::protobuf(&snapshot, histograms),
            Format::OpenMetrics => prometheus::openmetrics(&snapshot, histograms).into_bytes(),
            Format::Text => openmetrics::to_text_0_0_4(&prometheus::openmetrics(&snapshot, histograms)).into_bytes(),
        };
        if compressed { compress::gzip(&body) } else { body }
    };
    match tokio::task::spawn_blocking(write).await {
        Ok(body) => compress::encoded(respond(StatusCode::OK, format.content_type(), body), compressed),
        Err(_) => {
            plain(StatusCode::INTERNAL_SERVER_ERROR, "500: the metrics could not be written; the log has the place\n")
        }
    }
}

/// What the client wants of these formats. Several Accept headers are one list (RFC 9110 §5.3).
pub(super) fn format(request: &Request<'_>, offered: &[Format]) -> Format {
    let accept: Vec<&str> = request.headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    Format::best(offered, &accept.join(","))
}
