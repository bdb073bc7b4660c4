//! The pages are what the library writes, byte for byte.

use std::time::{Duration, SystemTime};

use super::super::wire::reference::Recorder;
use super::*;
use crate::cert::chain::Chain;
use crate::cert::name::ServerName;
use crate::cert::verdict::{Finding, Invalid};
use crate::config::{Config, adhoc};
use crate::endpoint::{Endpoint, TlsVersion};
use crate::mail::smtp::capabilities::Capabilities;
use crate::mail::smtp::reply::Reply;
use crate::mail::smtp::session::Step;
use crate::outcome::failure::{Failure, Reason};
use crate::outcome::{AddressCount, CertificateFacts, Findings, TlsFacts, verdict};
use crate::phase::Phase;
use crate::process::Process;
use crate::store::{Skip, Store};

/// Endpoints with every fact that there is, after many probes, good and bad.
fn rich() -> Snapshot {
    let store = Store::default();
    let modules = Config::built_in().modules;
    let endpoints: Vec<Arc<Endpoint>> = [("mx.example.org", 25), ("mx.example.org", 587), ("192.0.2.1", 465)]
        .map(|(host, port)| {
            let module = modules.get(crate::config::by_port(port).unwrap()).unwrap().clone();
            let mut endpoint = adhoc::endpoint(&ServerName::parse(host).unwrap(), port, module);
            endpoint.labels.insert("note".into(), format!("a \\ \"b\"\n{port} ä"));
            endpoint.address = (port == 465).then(|| "192.0.2.1".parse().unwrap());
            Arc::new(endpoint)
        })
        .into();
    store.retain(&endpoints);
    store.config_loaded(Some(SystemTime::UNIX_EPOCH + Duration::from_millis(1_800_000_000_123)));
    for number in 0..300_u32 {
        let endpoint = endpoints[number as usize % 2].clone();
        drop(store.probe_begins(Some(Duration::from_micros(number.pow(2).into()))));
        store.record(verdict::judge(endpoint, findings(number)));
    }
    store.skipped(Skip::Late, 7);
    let mut snapshot = store.snapshot();
    snapshot.exporter.process = Some(Process {
        cpu_seconds: 1234.56,
        open_fds: 12,
        max_fds: None,
        resident_bytes: 12_345_678,
        virtual_bytes: 0,
        start_seconds: Some(1_799_999_999.87),
        threads: 3,
    });
    snapshot
}

fn findings(number: u32) -> Findings {
    let started = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    let mut findings = Findings::new(started);
    findings.ended = started + Duration::from_micros(number.into());
    findings.duration = Duration::from_nanos(u64::from(number).pow(4));
    findings.dns = Some(AddressCount { ipv4: 2, ipv6: 0 });
    findings.address = Some("192.0.2.1".parse().unwrap());
    findings.phases = Phase::ALL.iter().map(|phase| (*phase, Duration::from_nanos(u64::from(number).pow(3)))).collect();
    let lines = ["mx", "SIZE 1000000", "AUTH PLAIN X-ODD", "STARTTLS", "X-OWN"].map(|line| line.as_bytes().to_vec());
    let reply = Reply { code: 250, lines: lines.into() };
    findings.smtp.clear = Some(Capabilities::from_ehlo(&reply).into());
    findings.smtp.tls = Some(Capabilities::from_ehlo(&reply).into());
    findings.smtp.codes = vec![(Step::Greeting, 220), (Step::Quit, 221)];
    let tls = TlsFacts { version: TlsVersion::Tls13, cipher: "TLS_AES_256_GCM_SHA384".into(), group: None };
    findings.tls = Some(tls.into());
    let der = include_bytes!("../../../tests/data/certificates/rsa-1024.der").to_vec();
    let invalid = vec![Finding { reason: Invalid::SelfSigned, detail: String::new() }];
    findings.certificate = Some(CertificateFacts { chain: Arc::new(Chain::new(&[der.into()])), invalid });
    if number.is_multiple_of(3) {
        let mut failure = Failure::new(Phase::Banner, Reason::RateLimited, "as the test wants it");
        failure.code = Some(421);
        failure.enhanced_code = Some("4.7.0".into());
        findings.breakdown = Some(failure.into());
    }
    findings
}

const ALL: [Histograms; 4] = [Histograms::Both, Histograms::Classic, Histograms::Native, Histograms::None];

fn written(snapshot: &Snapshot, histograms: Histograms, how: Exposition) -> Vec<u8> {
    let mut out = Vec::new();
    write(snapshot, histograms, how, &mut |piece| out.extend(piece));
    out
}

fn recorded(snapshot: &Snapshot, histograms: Histograms) -> Recorder {
    let mut recorder = Recorder::default();
    page(snapshot, histograms, true, &mut recorder);
    recorder
}

#[test]
fn openmetrics_is_what_the_library_writes() {
    let snapshot = rich();
    for histograms in ALL {
        let ours = String::from_utf8(written(&snapshot, histograms, Exposition::OpenMetrics)).unwrap();
        let theirs = recorded(&snapshot, in_text(histograms)).openmetrics();
        for (ours, theirs) in ours.lines().zip(theirs.lines()) {
            assert_eq!(ours, theirs);
        }
        assert_eq!(ours.len(), theirs.len());
    }
}

#[test]
fn protobuf_is_what_the_library_writes() {
    let snapshot = rich();
    for histograms in ALL {
        assert!(written(&snapshot, histograms, Exposition::Protobuf) == recorded(&snapshot, histograms).protobuf());
    }
}

#[test]
fn text_is_openmetrics_with_other_heads() {
    let snapshot = rich();
    let [openmetrics, text] = [Exposition::OpenMetrics, Exposition::Text]
        .map(|how| String::from_utf8(written(&snapshot, Histograms::Both, how)).unwrap());
    assert_eq!(text, super::super::openmetrics::to_text_0_0_4(&openmetrics));
}

#[test]
fn a_page_leaves_in_pieces_of_bounded_size() {
    let mut snapshot = rich();
    let one = snapshot.endpoints[1].clone();
    snapshot.endpoints = vec![one; 500];
    for how in [Exposition::OpenMetrics, Exposition::Protobuf] {
        let mut sizes = Vec::new();
        write(&snapshot, Histograms::Both, how, &mut |piece| sizes.push((piece.len(), piece.capacity())));
        assert!(sizes.len() > 10, "{sizes:?}");
        assert!(sizes.iter().all(|(length, capacity)| *length <= 65_536 && *capacity <= 131_072), "{sizes:?}");
    }
}
