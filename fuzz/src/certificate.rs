//! Certificates: facts, verdict, and every face that shows them.

use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use mail_endpoint_exporter::cert::chain::Chain;
use mail_endpoint_exporter::cert::facts::Certificate;
use mail_endpoint_exporter::cert::name::ServerName;
use mail_endpoint_exporter::cert::roots::Roots;
use mail_endpoint_exporter::cert::verdict::{Invalid, judge};
use mail_endpoint_exporter::config::{Config, Histograms, adhoc};
use mail_endpoint_exporter::export::text::Style;
use mail_endpoint_exporter::export::{blackbox, html, json, openmetrics, prometheus, text};
use mail_endpoint_exporter::outcome::port_state::port_states;
use mail_endpoint_exporter::outcome::{CertificateFacts, Findings, Outcome, verdict};
use mail_endpoint_exporter::store::{History, Snapshot};
use rustls::pki_types::CertificateDer;

use super::assert_clean;

static CONFIG: LazyLock<Config> = LazyLock::new(Config::built_in);

/// The first byte says where the chain is cut in two, the next four the time; then comes DER.
pub fn check(bytes: &[u8]) {
    let Some(([cut, time @ ..], der)) = bytes.split_first_chunk::<5>() else { return };
    let (first, second) = der.split_at(der.len() * usize::from(*cut) / 255);
    let parts: Vec<&[u8]> = [first, second].into_iter().filter(|part| !part.is_empty()).collect();
    if parts.is_empty() {
        return;
    }
    let now = u32::from_be_bytes(*time);
    let host = ServerName::parse("mail.example.org").expect("a good name");
    let chain: Vec<CertificateDer<'_>> = parts.iter().map(|part| CertificateDer::from(*part)).collect();
    let certificates = Chain::new(&chain);
    certificates.iter().for_each(assert_facts);

    let module = CONFIG.modules.get("submission").expect("a built-in module");
    let invalid = judge(&certificates, &chain, &host, now.into(), &module.roots);
    let again = judge(&certificates, &chain, &host, now.into(), &module.roots);
    assert_eq!(again, invalid, "what is remembered of a chain is what was found");
    assert!(!invalid.is_empty(), "no authority of this machine signs a fuzzer's certificate");
    assert!(invalid.windows(2).all(|pair| pair[0].reason < pair[1].reason), "each reason once, in order");
    if let Some(facts) = &certificates[0].facts {
        let expired = invalid.iter().any(|finding| finding.reason == Invalid::Expired);
        assert!(expired || facts.not_after.is_none_or(|end| end >= now.into()));
    }
    if let Ok(named) = Roots::from_pem(pem(parts[0]).as_bytes()) {
        judge(&certificates, &chain, &host, now.into(), &named);
    }

    let ended = SystemTime::UNIX_EPOCH + Duration::from_secs(now.into());
    let mut findings = Findings::new(ended);
    findings.certificate = Some(CertificateFacts { chain: certificates.into(), invalid });
    show(verdict::judge(adhoc::endpoint(&host, 587, module.clone()).into(), findings), ended);
}

fn assert_facts(certificate: &Certificate) {
    assert_eq!(certificate.sha256.len(), 64);
    let Some(facts) = &certificate.facts else { return };
    let words = [facts.subject.as_str(), facts.issuer.as_str(), &facts.key, &facts.signature];
    words.into_iter().chain(facts.dns_names.iter().map(String::as_str)).for_each(assert_clean);
    assert!(facts.serial.bytes().all(|b| b.is_ascii_hexdigit()));
}

/// Every face shows it, and what machines read can be read.
fn show(outcome: Outcome, now: SystemTime) {
    let states = port_states(&[&outcome]);
    let shown = [(&outcome, states[0])];
    let report = text::report(&shown, Style { colour: false, transcript: true });
    assert!(report.chars().all(|c| c == '\n' || !c.is_control()));
    let parsed: serde_json::Value = serde_json::from_str(&json::outcomes(&shown, true)).expect("JSON");
    assert_eq!(parsed.as_array().map(Vec::len), Some(1));
    let id = outcome.endpoint.id().to_string();
    let families = blackbox::openmetrics(&outcome) + &prometheus::outcomes_openmetrics(vec![outcome.clone()]);
    assert!(openmetrics::to_text_0_0_4(&families).lines().all(|line| line.starts_with("# ") || line.contains(' ')));
    let snapshot = Snapshot { endpoints: vec![History::from(outcome).into()], ..Snapshot::default() };
    prometheus::write(&snapshot, Histograms::Both, prometheus::Exposition::Protobuf, &mut drop);
    html::list(&snapshot, &html::Query::default(), now);
    assert!(html::endpoint(&snapshot, &id, "http://localhost", now).is_some());
}

fn pem(der: &[u8]) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).expect("ASCII")).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}
