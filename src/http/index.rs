//! `GET /`: what this is and where to go on.

use hyper::StatusCode;

use super::Site;
use super::respond::{Response, respond};

/// A page of links.
pub(super) fn answer(site: &Site) -> Response {
    let prefix = &site.route_prefix;
    let count = site.store.snapshot().endpoints.len();
    let page = format!(
        "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>mail_endpoint_exporter</title></head>\
         <body><h1>mail_endpoint_exporter {}</h1><p>{count} endpoints are probed.</p>\
         <ul><li><a href=\"{prefix}/metrics\">metrics</a></li><li><a href=\"{prefix}/-/healthy\">healthy</a></li>\
         <li><a href=\"{prefix}/-/ready\">ready</a></li></ul></body></html>\n",
        env!("CARGO_PKG_VERSION"),
    );
    respond(StatusCode::OK, "text/html; charset=utf-8", page)
}
