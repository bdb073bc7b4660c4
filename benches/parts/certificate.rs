//! A chain of two certificates with ECDSA P-256, as most mail servers have.

use std::hint::black_box;
use std::time::{SystemTime, UNIX_EPOCH};

use criterion::{BatchSize, Criterion};
use mail_endpoint_exporter::cert::chain::{Chain, Chains};
use mail_endpoint_exporter::cert::facts::Certificate;
use mail_endpoint_exporter::cert::name::ServerName;
use mail_endpoint_exporter::cert::roots::Roots;
use mail_endpoint_exporter::cert::verdict;

use crate::lab::{Authority, Leaf};

pub(crate) fn bench(c: &mut Criterion) {
    let now = SystemTime::now();
    let root = Authority::new("Bench Root");
    let der = root.intermediate("Bench CA").issue(&Leaf::new("mail.example.org", now)).chain;
    let roots = Roots::from_pem(root.pem().as_bytes()).unwrap();
    let at = now.duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
    let host = ServerName::parse("mail.example.org").unwrap();
    let judge = |chain: &Chain| verdict::judge(chain, &der, &host, at, &roots);
    let chains = Chains::default();
    let known = chains.get(&der);
    assert!(judge(&known).is_empty(), "{:?}", judge(&known));
    let mut group = c.benchmark_group("certificate");
    group.bench_function("facts of one", |b| b.iter(|| Certificate::from_der(black_box(&der[0]))));
    group.bench_function("chain of two, read", |b| b.iter(|| Chain::new(black_box(&der))));
    group.bench_function("chain of two, found among those known", |b| b.iter(|| chains.get(black_box(&der))));
    group.bench_function("verdict, for the first time", |b| {
        b.iter_batched_ref(|| Chain::new(&der), |chain| judge(chain), BatchSize::SmallInput);
    });
    group.bench_function("verdict, remembered", |b| b.iter(|| judge(black_box(&known))));
    group.finish();
}
