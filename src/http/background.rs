//! Answers that take some work: written where they disturb no probe, a few at a time, compressed for those
//! who take that.

use hyper::StatusCode;
use tokio::sync::Semaphore;

use super::respond::{Response, plain, respond};
use super::routes::Request;
use super::{Site, compress};

/// How many are written at once; the others wait.
static PLACES: Semaphore = Semaphore::const_new(4);

/// An answer before it is sent.
pub(super) struct Written {
    /// The status.
    pub status: StatusCode,
    /// The `Content-Type`.
    pub content_type: &'static str,
    /// The whole body.
    pub body: String,
}

/// Answers with what `write` writes.
pub(super) async fn answer(
    site: &Site,
    request: &Request<'_>,
    write: impl FnOnce() -> Written + Send + 'static,
) -> Response {
    let compressed = compress::is_wanted(request);
    // Held by the work itself: a client that hangs up does not make room for another meanwhile. The semaphore is
    // never closed; were it, the answer would only be written at once.
    let place = PLACES.acquire().await.ok();
    let room = site.lobby.room().await;
    let work = move || {
        let _place = place;
        let Written { status, content_type, body } = write();
        let mut whole = Vec::new();
        let mut pieces = compress::Pieces::new(room, compressed, |piece| whole.push(piece));
        pieces.add(body.into_bytes());
        pieces.finish();
        respond(status, content_type, whole)
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(response) => compress::encoded(response, compressed),
        Err(_) => plain(StatusCode::INTERNAL_SERVER_ERROR, "500: the answer could not be written; see the log\n"),
    }
}
