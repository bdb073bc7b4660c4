//! The configuration, as an operator may write it.

use mail_endpoint_exporter::config::Config;

use super::files::{assert_told, file, stays_at_home};

/// The bytes are the file.
pub fn check(bytes: &[u8]) {
    if !stays_at_home(bytes) {
        return;
    }
    match Config::load(&file("mail.yml", bytes)) {
        Err(problems) => assert_told(&problems, bytes),
        Ok(config) => {
            assert!(config.max_concurrent_probes >= 1 && config.max_connections_per_address >= 1);
            for endpoint in &config.endpoints {
                assert!(endpoint.port > 0 && !endpoint.interval.is_zero() && !endpoint.timeout().is_zero());
            }
        }
    }
}
