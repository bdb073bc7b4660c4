//! `GET /-/healthy` and `GET /-/ready`.

use hyper::StatusCode;

use super::Site;
use super::respond::{Response, plain};

/// The process runs and answers.
pub(super) fn healthy() -> Response {
    plain(StatusCode::OK, "healthy\n")
}

/// Every endpoint has been probed at least once.
pub(super) fn ready(site: &Site) -> Response {
    if site.store.snapshot().first_round_is_done() {
        plain(StatusCode::OK, "ready\n")
    } else {
        plain(StatusCode::SERVICE_UNAVAILABLE, "not ready: the first round of probes is not done yet\n")
    }
}
