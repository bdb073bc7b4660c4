//! `GET /-/healthy` and `GET /-/ready`.

use hyper::StatusCode;

use super::Site;
use super::respond::{Response, plain};

/// The process runs and answers.
pub(super) fn healthy() -> Response {
    plain(StatusCode::OK, "healthy\n")
}

/// Every endpoint that there was at first has been probed.
pub(super) fn ready(site: &Site) -> Response {
    if site.store.is_ready() {
        plain(StatusCode::OK, "ready\n")
    } else {
        plain(StatusCode::SERVICE_UNAVAILABLE, "not ready: the first round of probes is not done yet\n")
    }
}
