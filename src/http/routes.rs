//! The answer to each request.

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{ACCEPT, ALLOW, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION};
use hyper::{Method, StatusCode, Uri};

use super::Site;
use super::accept::Format;
use crate::export::{openmetrics, prometheus};

/// An answer with its whole body.
pub(super) type Response = hyper::Response<Full<Bytes>>;

/// Answers a request; every request has an answer.
pub(super) fn answer(site: &Site, method: &Method, uri: &Uri, headers: &HeaderMap) -> Response {
    let Some(path) = uri.path().strip_prefix(site.route_prefix.as_str()) else {
        return plain(StatusCode::NOT_FOUND, "404: there is nothing here\n");
    };
    let route: fn(&Site, &HeaderMap) -> Response = match path {
        "/" => |site, _| index(site),
        "/metrics" => metrics,
        "/-/healthy" => |_, _| plain(StatusCode::OK, "healthy\n"),
        "/-/ready" => |site, _| ready(site),
        "" => |site, _| redirect(&format!("{}/", site.route_prefix)),
        _ => return plain(StatusCode::NOT_FOUND, "404: there is nothing here; /metrics has the metrics\n"),
    };
    if method != Method::GET && method != Method::HEAD {
        let mut refused = plain(StatusCode::METHOD_NOT_ALLOWED, "405: only GET and HEAD are allowed here\n");
        refused.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return refused;
    }
    route(site, headers)
}

fn metrics(site: &Site, headers: &HeaderMap) -> Response {
    // Several Accept headers are one list (RFC 9110 §5.3).
    let accept: Vec<&str> = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    let format = Format::of(&accept.join(","));
    let text = prometheus::openmetrics(&site.store.snapshot(), site.histograms);
    let body = match format {
        Format::OpenMetrics => text,
        Format::Text => openmetrics::to_text_0_0_4(&text),
    };
    respond(StatusCode::OK, format.content_type(), body)
}

fn ready(site: &Site) -> Response {
    if site.store.snapshot().first_round_is_done() {
        plain(StatusCode::OK, "ready\n")
    } else {
        plain(StatusCode::SERVICE_UNAVAILABLE, "not ready: the first round of probes is not done yet\n")
    }
}

fn index(site: &Site) -> Response {
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

fn redirect(to: &str) -> Response {
    let mut response = plain(StatusCode::MOVED_PERMANENTLY, "301\n");
    if let Ok(to) = HeaderValue::from_str(to) {
        response.headers_mut().insert(LOCATION, to);
    }
    response
}

fn plain(status: StatusCode, text: &str) -> Response {
    respond(status, "text/plain; charset=utf-8", text.to_owned())
}

fn respond(status: StatusCode, content_type: &'static str, body: String) -> Response {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
