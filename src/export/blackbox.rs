//! The names of blackbox_exporter, for `/probe`: dashboards and alerts made for it keep working.
//!
//! Each has the meaning it has there. Where that exporter shows nothing (a certificate that is not valid),
//! the date is shown all the same; a chain's expiry only where the chain was verified.

use prometheus_client::encoding::text;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use crate::endpoint::TlsVersion;
use crate::outcome::Outcome;
use crate::phase::Phase;

/// The families of one outcome, as OpenMetrics text without the end mark.
pub fn openmetrics(outcome: &Outcome) -> String {
    let mut page = String::new();
    // Writing to a String cannot fail.
    let _ = text::encode_registry(&mut page, &registry(outcome));
    page
}

fn registry(outcome: &Outcome) -> Registry {
    let findings = &outcome.findings;
    let mut registry = Registry::default();
    // The registry ends the help with a full stop.
    let mut gauge = |name, help, value: f64| registry.register(name, help, ConstGauge::new(value));
    gauge("probe_success", "Whether the probe met every expectation", f64::from(u8::from(outcome.success())));
    gauge("probe_duration_seconds", "How long the probe took", findings.duration.as_secs_f64());
    let resolve = findings.phases.iter().find(|(phase, _)| *phase == Phase::Resolve);
    let resolve = resolve.map_or(0.0, |(_, time)| time.as_secs_f64());
    gauge("probe_dns_lookup_time_seconds", "How long the name took", resolve);
    let family = findings.address.map_or(0.0, |address| if address.is_ipv4() { 4.0 } else { 6.0 });
    gauge("probe_ip_protocol", "The IP version used; 0 for none", family);
    let Some(certificate) = &findings.certificate else { return registry };
    if let Some(earliest) = certificate.chain_not_after() {
        let help = "When the first certificate of the chain expires";
        gauge("probe_ssl_earliest_cert_expiry", help, earliest as f64);
        if certificate.invalid.is_empty() {
            let help = "When the verified chain expires";
            gauge("probe_ssl_last_chain_expiry_timestamp_seconds", help, earliest as f64);
        }
    }
    if let Some((leaf, facts)) = certificate.leaf().and_then(|leaf| Some((leaf, leaf.facts.as_ref()?))) {
        let names = facts.dns_names.join(",");
        let labels = [
            ("fingerprint_sha256", &*leaf.sha256),
            ("subject", facts.subject.as_str()),
            ("issuer", facts.issuer.as_str()),
            ("subjectalternative", &names),
            ("serialnumber", &facts.serial),
        ];
        info(&mut registry, "probe_ssl_last_chain_info", "The server's certificate", &labels);
    }
    if let Some(tls) = &findings.tls {
        let labels = [("version", version(tls.version))];
        info(&mut registry, "probe_tls_version_info", "The TLS version", &labels);
    }
    registry
}

/// A gauge of 1 with these labels: the format 0.0.4 has no type `info`.
fn info(registry: &mut Registry, name: &str, help: &str, labels: &[(&'static str, &str)]) {
    let labels = labels.iter().map(|(key, value)| ((*key).into(), (*value).to_owned().into()));
    registry.sub_registry_with_labels(labels).register(name, help, ConstGauge::new(1.0));
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::{Duration, SystemTime};

    use rcgen::{CertificateParams, DnType, KeyPair, date_time_ymd};

    use super::*;
    use crate::cert::chain::Chain;
    use crate::cert::name::ServerName;
    use crate::config::{Config, adhoc};
    use crate::outcome::{CertificateFacts, Findings, TlsFacts, verdict};

    #[test]
    fn the_page_is_text_whatever_the_certificate_says() {
        let mut params = CertificateParams::new(["a.example.org".to_owned(), "b.example.org".to_owned()]).unwrap();
        params.distinguished_name.remove(DnType::CommonName);
        params.distinguished_name.push(DnType::CommonName, "x\"} 1\nprobe_success 9 \\");
        params.not_after = date_time_ymd(2030, 1, 1);
        params.serial_number = Some(vec![1, 2].into());
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        let chain = Arc::new(Chain::new(&[certificate.der().clone()]));

        let mut findings = Findings::new(SystemTime::UNIX_EPOCH);
        findings.duration = Duration::from_millis(1250);
        findings.phases = vec![(Phase::Resolve, Duration::from_micros(1500))];
        findings.address = Some("2001:db8::1".parse().unwrap());
        findings.tls = Some(TlsFacts { version: TlsVersion::Tls12, cipher: "X".into(), group: None }.into());
        findings.certificate = Some(CertificateFacts { chain: chain.clone(), invalid: Vec::new() });
        let module = Config::built_in().modules.get("submission").unwrap().clone();
        let endpoint = adhoc::endpoint(&ServerName::parse("mx.example.org").unwrap(), 587, module);
        let outcome = verdict::judge(Arc::new(endpoint), findings);

        let sha256 = &chain.first().unwrap().sha256;
        // A line break is no part of a name, and is cleaned away where certificates are read.
        let name = r#"CN=x\"} 1?probe_success 9 \\"#;
        let expected = format!(
            "# HELP probe_success Whether the probe met every expectation.\n\
             # TYPE probe_success gauge\n\
             probe_success 1.0\n\
             # HELP probe_duration_seconds How long the probe took.\n\
             # TYPE probe_duration_seconds gauge\n\
             probe_duration_seconds 1.25\n\
             # HELP probe_dns_lookup_time_seconds How long the name took.\n\
             # TYPE probe_dns_lookup_time_seconds gauge\n\
             probe_dns_lookup_time_seconds 0.0015\n\
             # HELP probe_ip_protocol The IP version used; 0 for none.\n\
             # TYPE probe_ip_protocol gauge\n\
             probe_ip_protocol 6.0\n\
             # HELP probe_ssl_earliest_cert_expiry When the first certificate of the chain expires.\n\
             # TYPE probe_ssl_earliest_cert_expiry gauge\n\
             probe_ssl_earliest_cert_expiry 1893456000.0\n\
             # HELP probe_ssl_last_chain_expiry_timestamp_seconds When the verified chain expires.\n\
             # TYPE probe_ssl_last_chain_expiry_timestamp_seconds gauge\n\
             probe_ssl_last_chain_expiry_timestamp_seconds 1893456000.0\n\
             # HELP probe_ssl_last_chain_info The server's certificate.\n\
             # TYPE probe_ssl_last_chain_info gauge\n\
             probe_ssl_last_chain_info{{fingerprint_sha256=\"{sha256}\",subject=\"{name}\",issuer=\"{name}\",\
             subjectalternative=\"a.example.org,b.example.org\",serialnumber=\"0102\"}} 1.0\n\
             # HELP probe_tls_version_info The TLS version.\n\
             # TYPE probe_tls_version_info gauge\n\
             probe_tls_version_info{{version=\"TLS 1.2\"}} 1.0\n"
        );
        assert_eq!(openmetrics(&outcome), expected);
    }
}
