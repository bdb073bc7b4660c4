//! `GET /metrics`.

use hyper::StatusCode;
use hyper::body::Bytes;
use hyper::header::ACCEPT;
use tokio::sync::Semaphore;

use super::Site;
use super::accept::Format;
use super::compress;
use super::respond::{Body, Response, plain, respond};
use super::routes::Request;
use super::shared::{Page, Shared, Turn};
use crate::export::prometheus::{self, Exposition};
use crate::process::Process;

/// All families in the format that the scraper wants.
pub(super) async fn answer(site: &Site, request: &Request<'_>) -> Response {
    let format = format(request, &[Format::Protobuf, Format::OpenMetrics, Format::Text]);
    let compressed = compress::is_wanted(request);
    let body: Option<Body> = match site.pages.of(format, compressed).page(|| whole(site, format, compressed)).await {
        Some(Page::Whole(pieces)) => Some(pieces.into()),
        Some(Page::Own(turn)) => stream(site, format, compressed, turn).await,
        None => None,
    };
    match body {
        Some(body) => compress::encoded(respond(StatusCode::OK, format.content_type(), body), compressed),
        None => plain(StatusCode::INTERNAL_SERVER_ERROR, "500: the metrics could not be written; see the log\n"),
    }
}

/// A page for several. `None` if that broke down.
async fn whole(site: &Site, format: Format, compressed: bool) -> Option<Vec<Bytes>> {
    let write = writer(site, format, compressed).await?;
    let collect = || {
        let mut whole = Vec::new();
        write(&mut |piece| whole.push(piece));
        whole
    };
    tokio::task::spawn_blocking(collect).await.ok()
}

/// A page for one, sent while it is written. The others' turn comes when it is written, whether it is read or not: what is
/// not read lies in memory, which [`super::lobby`] bounds.
async fn stream(site: &Site, format: Format, compressed: bool, turn: Turn) -> Option<Body> {
    let write = writer(site, format, compressed).await?;
    let (writer, body) = Body::stream();
    tokio::task::spawn_blocking(move || {
        let _turn = turn;
        write(&mut |piece| writer.piece(piece));
        writer.finish();
    });
    Some(body)
}

/// What writes the metrics, to be called where that disturbs no probe.
async fn writer(
    site: &Site,
    format: Format,
    compressed: bool,
) -> Option<impl FnOnce(&mut dyn FnMut(Bytes)) + Send + use<>> {
    let (store, histograms) = (site.store.clone(), site.settings.load().histograms);
    // Held by the work itself: a client that hangs up does not make room for another page meanwhile.
    let place = WRITERS.acquire().await.ok()?;
    let room = site.lobby.room().await;
    Some(move |take: &mut dyn FnMut(Bytes)| {
        let _place = place;
        let mut snapshot = store.snapshot();
        snapshot.exporter.process = Process::read();
        let how = match format {
            Format::Protobuf => Exposition::Protobuf,
            Format::OpenMetrics => Exposition::OpenMetrics,
            Format::Text => Exposition::Text,
        };
        let mut pieces = compress::Pieces::new(room, compressed, take);
        prometheus::write(&snapshot, histograms, how, &mut |piece| pieces.add(piece));
        pieces.finish();
    })
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
