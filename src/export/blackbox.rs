//! The names of blackbox_exporter, for `/probe`: dashboards and alerts made for it keep working.
//!
//! Each has the meaning it has there. Where that exporter shows nothing (a certificate that is not valid),
//! the date is shown all the same; a chain's expiry only where the chain was verified.

use std::fmt::Write as _;

use crate::endpoint::TlsVersion;
use crate::outcome::Outcome;
use crate::phase::Phase;

/// The families of one outcome, as OpenMetrics text without the end mark.
pub fn openmetrics(outcome: &Outcome) -> String {
    let findings = &outcome.findings;
    let mut page = Page(String::new());
    page.gauge("probe_success", "Whether the probe met every expectation.", f64::from(u8::from(outcome.success())));
    page.gauge("probe_duration_seconds", "How long the probe took.", findings.duration.as_secs_f64());
    let resolve = findings.phases.iter().find(|(phase, _)| *phase == Phase::Resolve);
    let resolve = resolve.map_or(0.0, |(_, time)| time.as_secs_f64());
    page.gauge("probe_dns_lookup_time_seconds", "How long the name took.", resolve);
    let family = findings.address.map_or(0.0, |address| if address.is_ipv4() { 4.0 } else { 6.0 });
    page.gauge("probe_ip_protocol", "The IP version used; 0 for none.", family);
    let Some(certificate) = &findings.certificate else { return page.0 };
    if let Some(earliest) = certificate.chain_not_after() {
        page.gauge(
            "probe_ssl_earliest_cert_expiry",
            "When the first certificate of the chain expires.",
            earliest as f64,
        );
        if certificate.invalid.is_empty() {
            let help = "When the verified chain expires.";
            page.gauge("probe_ssl_last_chain_expiry_timestamp_seconds", help, earliest as f64);
        }
    }
    if let Some((leaf, facts)) = certificate.leaf().and_then(|leaf| Some((leaf, leaf.facts.as_ref()?))) {
        let names = facts.dns_names.join(",");
        let labels = [
            ("fingerprint_sha256", leaf.sha256.as_str()),
            ("subject", facts.subject.as_str()),
            ("issuer", facts.issuer.as_str()),
            ("subjectalternative", &names),
            ("serialnumber", &facts.serial),
        ];
        page.info("probe_ssl_last_chain_info", "The server's certificate.", &labels);
    }
    if let Some(tls) = &findings.tls {
        page.info("probe_tls_version_info", "The TLS version.", &[("version", version(tls.version))]);
    }
    page.0
}

/// As Go's `crypto/tls` names them.
fn version(version: TlsVersion) -> &'static str {
    match version {
        TlsVersion::Ssl3 => "SSL 3.0",
        TlsVersion::Tls10 => "TLS 1.0",
        TlsVersion::Tls11 => "TLS 1.1",
        TlsVersion::Tls12 => "TLS 1.2",
        TlsVersion::Tls13 => "TLS 1.3",
    }
}

struct Page(String);

impl Page {
    fn gauge(&mut self, name: &str, help: &str, value: f64) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value:?}");
    }

    fn info(&mut self, name: &str, help: &str, labels: &[(&str, &str)]) {
        let labels: Vec<String> = labels.iter().map(|(key, value)| format!("{key}=\"{}\"", escape(value))).collect();
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} gauge\n{name}{{{}}} 1.0", labels.join(","));
    }
}

/// The three characters that a label value cannot hold as they are.
fn escape(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
