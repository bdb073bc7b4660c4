//! gzip for those who ask for it (RFC 9110 §12.5.3): metrics shrink to a tenth.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::body::Bytes;
use hyper::header::{ACCEPT_ENCODING, CONTENT_ENCODING, HeaderValue, VARY};

use super::held::Answer;
use super::respond::Response;
use super::routes::Request;

/// Whether the client takes gzip.
pub(super) fn is_wanted(request: &Request<'_>) -> bool {
    let values = || request.headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let codings = || values().flat_map(|value| value.split(','));
    let wanted = |wanted: &str| {
        codings().find_map(|coding| {
            let mut parts = coding.split(';').map(str::trim);
            let is_it = parts.next().unwrap_or_default().eq_ignore_ascii_case(wanted);
            let refused = parts.filter_map(|part| part.strip_prefix("q=")).any(|q| q.parse() == Ok(0.0));
            is_it.then_some(!refused)
        })
    };
    // What is said of gzip itself counts before what is said of any coding.
    wanted("gzip").or_else(|| wanted("*")).unwrap_or(false)
}

/// A body as it is being written; compressed if that is wanted, fast rather than well. What has been compressed is
/// not kept.
pub(super) struct Pieces<F: FnMut(Bytes)> {
    answer: Answer,
    take: F,
    encoder: Option<GzEncoder<Vec<u8>>>,
}

/// The size from which a compressed piece is whole.
const PIECE: usize = 32 * 1024;

impl<F: FnMut(Bytes)> Pieces<F> {
    pub(super) fn new(answer: Answer, compressed: bool, take: F) -> Self {
        Self { answer, take, encoder: compressed.then(|| GzEncoder::new(Vec::new(), Compression::fast())) }
    }

    pub(super) fn add(&mut self, piece: Vec<u8>) {
        let Some(encoder) = &mut self.encoder else { return self.give(piece) };
        // Writing to memory cannot fail.
        let _ = encoder.write_all(&piece);
        if encoder.get_ref().len() > PIECE {
            let whole = std::mem::take(encoder.get_mut());
            self.give(whole);
        }
    }

    pub(super) fn finish(mut self) {
        if let Some(last) = self.encoder.take().and_then(|encoder| encoder.finish().ok()) {
            self.give(last);
        }
    }

    fn give(&mut self, piece: Vec<u8>) {
        if !piece.is_empty() {
            (self.take)(self.answer.piece(piece));
        }
    }
}

/// Says how the body is encoded, and that it depends on what was asked.
pub(super) fn encoded(mut response: Response, compressed: bool) -> Response {
    let headers = response.headers_mut();
    headers.insert(VARY, HeaderValue::from_static("Accept, Accept-Encoding"));
    if compressed {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}
