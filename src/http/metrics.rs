//! `GET /metrics`.

use hyper::StatusCode;
use hyper::body::Bytes;
use hyper::header::ACCEPT;
use tokio::sync::Semaphore;

use super::Site;
use super::accept::Format;
use super::compress;
use super::respond::{Response, plain, respond};
use super::routes::Request;
use super::shared::Shared;
use crate::export::prometheus::{self, Exposition};
use crate::process::Process;

/// All families in the format that the scraper wants.
pub(super) async fn answer(site: &Site, request: &Request<'_>) -> Response {
    let format = format(request, &[Format::Protobuf, Format::OpenMetrics, Format::Text]);
    let compressed = compress::is_wanted(request);
    let page = site.pages.of(format, compressed).page(|| write(site, format, compressed));
    match page.await {
        Some(body) => compress::encoded(respond(StatusCode::OK, format.content_type(), body), compressed),
        None => plain(StatusCode::INTERNAL_SERVER_ERROR, "500: the metrics could not be written; see the log\n"),
    }
}

/// Writes them where that disturbs no probe. `None` if that broke down.
async fn write(site: &Site, format: Format, compressed: bool) -> Option<Vec<Bytes>> {
    let (store, histograms) = (site.store.clone(), site.settings.load().histograms);
    // Held by the work itself: a client that hangs up does not make room for another page meanwhile.
    let place = WRITERS.acquire().await.ok()?;
    let write = move || {
        let _place = place;
        let mut snapshot = store.snapshot();
        snapshot.exporter.process = Process::read();
        let how = match format {
            Format::Protobuf => Exposition::Protobuf,
            Format::OpenMetrics => Exposition::OpenMetrics,
            Format::Text => Exposition::Text,
        };
        let mut pieces = compress::Pieces::new(compressed);
        prometheus::write(&snapshot, histograms, how, &mut |piece| pieces.add(piece));
        pieces.finish()
    };
    tokio::task::spawn_blocking(write).await.ok()
}

/// How many pages are written at once.
static WRITERS: Semaphore = Semaphore::const_new(2);

/// The pages of each format, plain and compressed.
#[derive(Default)]
pub(super) struct Pages([[Shared<Vec<Bytes>>; 2]; 3]);

impl Pages {
    fn of(&self, format: Format, compressed: bool) -> &Shared<Vec<Bytes>> {
        let [protobuf, openmetrics, text] = &self.0;
        let [plain, gzip] = match format {
            Format::Protobuf => protobuf,
            Format::OpenMetrics => openmetrics,
            Format::Text => text,
        };
        if compressed { gzip } else { plain }
    }
}

/// What the client wants of these formats. Several Accept headers are one list (RFC 9110 §5.3).
pub(super) fn format(request: &Request<'_>, offered: &[Format]) -> Format {
    let accept: Vec<&str> = request.headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    Format::best(offered, &accept.join(","))
}
