//! The pages of 10,000 endpoints that have all facts.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use criterion::{Criterion, Throughput};
use mail_endpoint_exporter::cert::chain::Chain;
use mail_endpoint_exporter::cert::name::ServerName;
use mail_endpoint_exporter::config::{Config, Histograms, adhoc};
use mail_endpoint_exporter::endpoint::{Endpoint, TlsVersion};
use mail_endpoint_exporter::export::prometheus::{Exposition, write};
use mail_endpoint_exporter::outcome::{CertificateFacts, Findings, TlsFacts, verdict};
use mail_endpoint_exporter::phase::Phase;
use mail_endpoint_exporter::store::{Snapshot, Store};

use crate::lab::{Authority, Leaf};
use crate::mail::{converse, turns};

const ENDPOINTS: u32 = 10_000;

const PHASES: [Phase; 8] = [
    Phase::Resolve,
    Phase::Connect,
    Phase::Banner,
    Phase::Ehlo,
    Phase::StartTls,
    Phase::Tls,
    Phase::EhloTls,
    Phase::Quit,
];

/// Each of them probed three times.
fn snapshot() -> Snapshot {
    let store = Store::default();
    let module = Config::built_in().modules.get("submission").unwrap().clone();
    let endpoint = |number: u32| {
        let host = ServerName::parse(&format!("mx{number}.example.org")).unwrap();
        Arc::new(adhoc::endpoint(&host, 587, module.clone()))
    };
    let endpoints: Vec<Arc<Endpoint>> = (0..ENDPOINTS).map(endpoint).collect();
    store.retain(&endpoints);
    let template = template();
    for (number, endpoint) in (0..).zip(endpoints.iter().cycle().take(3 * endpoints.len())) {
        let mut findings = template.clone();
        findings.address = Some(IpAddr::V4(Ipv4Addr::from_bits(0x7f00_0000 + number)));
        let phases = PHASES.iter().zip(1..);
        // No two alike: a page is full of numbers with many digits.
        findings.phases =
            phases.map(|(phase, at)| (*phase, Duration::from_nanos(u64::from(number) * 7919 * at + 12_345))).collect();
        findings.duration = findings.phases.iter().map(|(_, time)| *time).sum();
        store.record(verdict::judge(endpoint.clone(), findings));
    }
    store.snapshot()
}

fn template() -> Findings {
    let now = SystemTime::now();
    let mut findings = Findings::new(now);
    findings.smtp = converse(&turns());
    let cipher = "TLS_AES_256_GCM_SHA384".to_owned();
    let group = Some("X25519MLKEM768".to_owned());
    findings.tls = Some(Arc::new(TlsFacts { version: TlsVersion::Tls13, cipher, group }));
    let der = Authority::new("Bench Root").intermediate("Bench CA").issue(&Leaf::new("mx.example.org", now)).chain;
    findings.certificate = Some(CertificateFacts { chain: Arc::new(Chain::new(&der)), invalid: Vec::new() });
    findings.tls_at = Some(now);
    findings
}

fn size(snapshot: &Snapshot, histograms: Histograms, how: Exposition) -> usize {
    let mut size = 0;
    write(snapshot, histograms, how, &mut |piece| size += piece.len());
    size
}

pub(crate) fn bench(c: &mut Criterion) {
    let snapshot = snapshot();
    let mut group = c.benchmark_group("page of 10,000 endpoints");
    group.sample_size(10).warm_up_time(Duration::from_secs(1));
    for how in [Exposition::OpenMetrics, Exposition::Text, Exposition::Protobuf] {
        for histograms in [Histograms::None, Histograms::Native, Histograms::Both] {
            group.throughput(Throughput::Bytes(size(&snapshot, histograms, how) as u64));
            let name = format!("{how:?}, histograms {histograms:?}").to_lowercase();
            group.bench_function(name, |b| b.iter(|| size(&snapshot, histograms, how)));
        }
    }
    group.finish();
}
