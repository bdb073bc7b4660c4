//! `POST /-/reload`.

use hyper::StatusCode;

use super::Site;
use super::respond::{Response, plain};

/// Loads the configuration again, and answers when that is done.
pub(super) async fn answer(site: &Site) -> Response {
    match site.reload.reload().await {
        Ok(endpoints) => plain(StatusCode::OK, &format!("loaded: {endpoints} endpoints\n")),
        Err(why) => {
            plain(StatusCode::INTERNAL_SERVER_ERROR, &format!("not loaded, the old configuration stays:\n{why}"))
        }
    }
}
