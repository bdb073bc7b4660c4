//! The web configuration, with keys and passwords in it.

use mail_endpoint_exporter::config::web::WebConfig;

use super::files::{assert_told, file, stays_at_home};

/// The bytes are the file.
pub fn check(bytes: &[u8]) {
    if !stays_at_home(bytes) {
        return;
    }
    match WebConfig::load(&file("web.yml", bytes)).config {
        Err(problems) => assert_told(&problems, bytes),
        Ok(config) => {
            assert!(config.tls.is_none_or(|tls| !tls.versions.is_empty() && !tls.cipher_suites.is_empty()));
            assert!(config.rate_limit.is_none_or(|limit| limit.burst >= 1 && !limit.interval.is_zero()));
            for (_, value) in &config.headers {
                assert!(!value.contains(['\r', '\n']));
            }
        }
    }
}
