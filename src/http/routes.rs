//! Which request goes where: the one `match` over paths. What answers is in a file of its own.

use hyper::header::{ALLOW, HeaderMap, HeaderValue, LOCATION};
use hyper::{Method, StatusCode, Uri};

use super::respond::{Response, plain};
use super::{Site, api, health, metrics, probe, reload, status};

/// A request, as far as any answer needs it.
pub(super) struct Request<'a> {
    /// The path below the prefix.
    pub path: &'a str,
    /// What follows the question mark.
    pub query: &'a str,
    /// The headers.
    pub headers: &'a HeaderMap,
}

/// Answers a request; every request has an answer.
pub(super) async fn answer(site: &Site, method: &Method, uri: &Uri, headers: &HeaderMap) -> Response {
    let Some(path) = uri.path().strip_prefix(site.route_prefix.as_str()) else {
        return not_found();
    };
    let request = Request { path, query: uri.query().unwrap_or_default(), headers };
    let reads = method == Method::GET || method == Method::HEAD;
    let (route, id) = split_id(request.path);
    match route {
        "/" | "/metrics" | "/probe" | "/-/healthy" | "/-/ready" | PAGE | LIST | OBJECT | DOMAINS if !reads => {
            refused("GET, HEAD")
        }
        "/-/reload" if method != Method::POST => refused("POST"),
        "/" => status::list(site, &request).await,
        PAGE => status::endpoint(site, &request, id).await,
        DOMAINS => api::domains(site, &request).await,
        LIST => api::list(site, &request).await,
        OBJECT => api::endpoint(site, &request, id).await,
        "/metrics" => metrics::answer(site, &request).await,
        "/probe" => probe::answer(site, &request).await,
        "/-/reload" => reload::answer(site).await,
        "/-/healthy" => health::healthy(),
        "/-/ready" => health::ready(site),
        "" => redirect(&format!("{}/", site.route_prefix)),
        _ => not_found(),
    }
}

/// The routes that end in the id of an endpoint.
const PAGE: &str = "/endpoint/";
const OBJECT: &str = "/api/v1/endpoints/";

const LIST: &str = "/api/v1/endpoints";
const DOMAINS: &str = "/api/v1/domains";

/// A path without the id at its end, and the id.
fn split_id(path: &str) -> (&str, &str) {
    let split = |route: &'static str| path.strip_prefix(route).map(|id| (route, id));
    let found = [PAGE, OBJECT].into_iter().find_map(split);
    found.filter(|(_, id)| !id.is_empty() && !id.contains('/')).unwrap_or((path, ""))
}

fn not_found() -> Response {
    plain(StatusCode::NOT_FOUND, "404: there is nothing here; /metrics has the metrics\n")
}

fn refused(allowed: &'static str) -> Response {
    let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, &format!("405: only {allowed} are allowed here\n"));
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    response
}

fn redirect(to: &str) -> Response {
    let mut response = plain(StatusCode::MOVED_PERMANENTLY, "301\n");
    if let Ok(to) = HeaderValue::from_str(to) {
        response.headers_mut().insert(LOCATION, to);
    }
    response
}
