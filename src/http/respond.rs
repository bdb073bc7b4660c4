//! Building answers.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::vec;

use hyper::StatusCode;
use hyper::body::{Buf, Bytes, Frame, SizeHint};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::lobby::{Offer, Service};

/// An answer with its whole body.
pub(super) type Response = hyper::Response<Body>;

/// A body in pieces, each of which is gone when it has been sent.
#[derive(Debug)]
pub struct Body {
    pieces: Pieces,
    /// Who gets it, if that is counted.
    service: Option<Service>,
}

/// A piece on its way to the client.
#[derive(Debug)]
pub struct Piece {
    bytes: Bytes,
    offer: Option<Offer>,
}

#[derive(Debug)]
enum Pieces {
    /// All of them, and how many bytes are left of them.
    Whole(vec::IntoIter<Bytes>, u64),
    /// As they are written.
    Stream(UnboundedReceiver<Bytes>, Arc<AtomicBool>),
}

/// The writing end of a body that is sent while it is written.
pub(super) struct Writer {
    pieces: UnboundedSender<Bytes>,
    is_whole: Arc<AtomicBool>,
}

/// A body that was not written to its end: the connection is closed, so that nobody takes it for whole.
#[derive(Debug)]
pub struct BrokenOff;

impl fmt::Display for BrokenOff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the answer could not be written to its end")
    }
}

impl std::error::Error for BrokenOff {}

impl Body {
    /// A body that is sent while it is written. Its length is not known.
    pub(super) fn stream() -> (Writer, Self) {
        let (sender, receiver) = unbounded_channel();
        let is_whole = Arc::<AtomicBool>::default();
        let writer = Writer { pieces: sender, is_whole: is_whole.clone() };
        (writer, Self { pieces: Pieces::Stream(receiver, is_whole), service: None })
    }

    /// Who gets it is being served until it has all of it.
    pub(super) fn serves(&mut self, service: Service) {
        self.service = Some(service);
    }
}

impl Writer {
    /// Sends a piece. Never waits for the client: the writer would hold up others.
    pub(super) fn piece(&self, piece: Bytes) {
        // A client that has hung up gets no more.
        let _ = self.pieces.send(piece);
    }

    /// All is written.
    pub(super) fn finish(self) {
        self.is_whole.store(true, Ordering::Release);
    }
}

impl From<Vec<Bytes>> for Body {
    fn from(pieces: Vec<Bytes>) -> Self {
        let left = pieces.iter().map(|piece| piece.len() as u64).sum();
        Self { pieces: Pieces::Whole(pieces.into_iter(), left), service: None }
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        vec![Bytes::from(text)].into()
    }
}

impl hyper::body::Body for Body {
    type Data = Piece;
    type Error = BrokenOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Piece>, BrokenOff>>> {
        let next = match &mut self.pieces {
            Pieces::Whole(pieces, left) => {
                let piece = pieces.next();
                *left = left.saturating_sub(piece.as_ref().map_or(0, |piece| piece.len() as u64));
                piece
            }
            Pieces::Stream(pieces, is_whole) => match ready!(pieces.poll_recv(context)) {
                None if !is_whole.load(Ordering::Acquire) => return Poll::Ready(Some(Err(BrokenOff))),
                piece => piece,
            },
        };
        let offer = || self.service.as_ref().map(Service::offer);
        Poll::Ready(next.map(|bytes| Ok(Frame::data(Piece { bytes, offer: offer() }))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.pieces, Pieces::Whole(_, 0))
    }

    fn size_hint(&self) -> SizeHint {
        match self.pieces {
            Pieces::Whole(_, left) => SizeHint::with_exact(left),
            Pieces::Stream(..) => SizeHint::default(),
        }
    }
}

impl Buf for Piece {
    fn remaining(&self) -> usize {
        self.bytes.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.bytes.chunk()
    }

    /// Called with what the socket has taken: this is where it shows whether the client reads.
    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
        if let Some(offer) = &self.offer {
            offer.is_taken();
        }
    }
}

/// A text.
pub(super) fn plain(status: StatusCode, text: &str) -> Response {
    respond(status, "text/plain; charset=utf-8", text.to_owned())
}

/// One line that says what is wrong with a request. It may quote the request: what does not print stays out.
pub(super) fn refusal(status: StatusCode, why: &str) -> Response {
    let why: String = why.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
    plain(status, &format!("{}: {why}\n", status.as_u16()))
}

/// Any body.
pub(super) fn respond(status: StatusCode, content_type: &'static str, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test]
    async fn a_refusal_is_one_line_whatever_it_quotes() {
        let answer = refusal(StatusCode::BAD_REQUEST, "no \u{b}x\ny\u{85}");
        assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "400: no ?x?y?\n");
    }

    #[tokio::test]
    async fn a_stream_that_is_not_written_to_its_end_breaks_off() {
        let (writer, body) = Body::stream();
        writer.piece(Bytes::from("a"));
        writer.piece(Bytes::from("b"));
        writer.finish();
        assert_eq!(body.collect().await.unwrap().to_bytes(), "ab");
        let (writer, body) = Body::stream();
        writer.piece(Bytes::from("a"));
        drop(writer);
        assert!(body.collect().await.is_err());
    }
}
