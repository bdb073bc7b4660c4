//! Requests to our own server: the address, its query, the headers.

use std::collections::HashMap;
use std::io::Read as _;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, SystemTime};

use flate2::read::GzDecoder;
use http_body_util::BodyExt as _;
use hyper::header::{CONTENT_ENCODING, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, StatusCode, Uri};
use mail_endpoint_exporter::config::Config;
use mail_endpoint_exporter::dns::Resolver;
use mail_endpoint_exporter::http::{Settings, Site};
use mail_endpoint_exporter::outcome::{Findings, verdict};
use mail_endpoint_exporter::prober::Prober;
use mail_endpoint_exporter::reload::Reloader;
use mail_endpoint_exporter::store::Store;
use tokio::runtime::{Builder, Runtime};

use super::files::file;

struct House {
    site: Site,
    runtime: Runtime,
}

/// One endpoint, which was probed once; `/probe` may go nowhere.
static HOUSE: LazyLock<House> = LazyLock::new(|| {
    let path = file("site.yml", b"targets: [{host: mail.example.org, ports: [587]}]\nprobe_endpoint: {allow: []}\n");
    let config = Config::load(&path).expect("a good configuration");
    let (store, prober) = (Arc::new(Store::default()), Arc::new(Prober::new(Resolver::Table(HashMap::new()), 1)));
    store.retain(&config.endpoints);
    let findings = Findings::new(SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000));
    store.record(verdict::judge(config.endpoints[0].clone(), findings));
    let settings = Settings::of(&config);
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let guard = runtime.enter();
    // Nobody reloads.
    let (_, reload) = Reloader::new(None, config);
    drop(guard);
    House { site: Site::new(store, prober, reload, settings), runtime }
});

/// The first line is `METHOD address`, each further one a header.
pub fn check(bytes: &[u8]) {
    let mut lines = bytes.split(|b| *b == b'\n');
    let request = lines.next().unwrap_or_default();
    let (method, address) =
        request.iter().position(|b| *b == b' ').map_or((request, request), |at| (&request[..at], &request[at + 1..]));
    let (Ok(method), Ok(uri)) = (Method::from_bytes(method), Uri::try_from(address)) else { return };
    let mut headers = HeaderMap::new();
    for line in lines.take(20) {
        let colon = line.iter().position(|b| *b == b':').unwrap_or(line.len());
        let name = HeaderName::from_bytes(&line[..colon]);
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(line.get(colon + 1..).unwrap_or_default())) {
            headers.append(name, value);
        }
    }
    let House { site, runtime } = &*HOUSE;
    let response = runtime.block_on(site.answer(&method, &uri, &headers));
    let status = response.status();
    let encoding = response.headers().get(CONTENT_ENCODING).cloned();
    let sent = runtime.block_on(response.into_body().collect()).expect("a whole body").to_bytes();
    let body = match encoding {
        None => sent.to_vec(),
        Some(encoding) => {
            assert_eq!(encoding, "gzip");
            let mut body = Vec::new();
            GzDecoder::new(&sent[..]).read_to_end(&mut body).expect("gzip");
            body
        }
    };
    assert!(
        uri.path() == "/-/reload" || !status.is_server_error() || status == StatusCode::SERVICE_UNAVAILABLE,
        "{status}"
    );
    if status.is_client_error() && uri.path() != "/endpoint/" && !uri.path().starts_with("/endpoint/") {
        let text = std::str::from_utf8(&body).expect("text");
        assert!(text.chars().filter(|c| c.is_control()).eq(['\n']), "{text:?}");
    }
}
