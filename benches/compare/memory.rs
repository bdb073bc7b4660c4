//! What an endpoint costs in memory: configured, and with all the facts of a probe.

use std::time::Duration;

use crate::Extent;
use crate::exporter::{Exporter, Setup};
use crate::goal::goal;
use crate::process::free_port;
use crate::stub::Stub;

/// The allocator gives back what has been free for a second.
const SETTLED: Duration = Duration::from_secs(3);

const CONFIGURED: &str = "configured";
const PROBED: &str = "probed, all facts";
const FETCHED: &str = "and its metrics fetched";

pub(crate) fn run(extent: &Extent) {
    let stub = Stub::start();
    println!("| endpoints | state | memory | of it an endpoint |\n| ---: | --- | ---: | ---: |");
    // What one endpoint takes is the program's own.
    let empty = sizes(&stub, 1, true);
    for (state, size) in &empty {
        println!("| 1 | {state} | {:.1} MB | |", *size as f64 / 1e6);
    }
    let mut probed = Vec::new();
    let mut largest = 0;
    for endpoints in [1_000, 10_000, 100_000] {
        for (state, size) in sizes(&stub, endpoints, endpoints < 100_000 || extent.full) {
            let (_, empty) = empty.iter().find(|(same, _)| *same == state).unwrap();
            let one = size.saturating_sub(*empty) as f64 / (endpoints - 1) as f64 / 1024.0;
            println!("| {endpoints} | {state} | {:.1} MB | {one:.2} KiB |", size as f64 / 1e6);
            if state == PROBED {
                probed.push((endpoints, size));
            }
            if state == CONFIGURED {
                largest = size;
            }
        }
    }
    println!();
    // The first thousand also fill the allocator's pages, of which it has some for each size and thread.
    for ((fewer, small), (more, large)) in probed.iter().zip(probed.iter().skip(1)) {
        let one = large.saturating_sub(*small) as f64 / (more - fewer) as f64 / 1024.0;
        goal(&format!("each endpoint with all facts, from {fewer} to {more}"), one, 5.0, "KiB");
    }
    goal("100000 endpoints configured", largest as f64 / 1e6, 600.0, "MB");
}

fn sizes(stub: &Stub, endpoints: usize, probed: bool) -> Vec<(&'static str, u64)> {
    let settled = |exporter: &Exporter| {
        std::thread::sleep(SETTLED);
        exporter.process.size("VmRSS")
    };
    let nobody = free_port();
    let hours = Duration::from_secs(24 * 3600);
    let exporter = Exporter::start_at(nobody, stub.ca.to_str().unwrap(), &Setup::new(endpoints, hours));
    exporter.healthy();
    let mut sizes = vec![(CONFIGURED, settled(&exporter))];
    drop(exporter);
    if probed {
        // A round that one core can do.
        let interval = Duration::from_secs(if endpoints > 10_000 { 300 } else { 60 });
        let exporter = Exporter::start(stub, &Setup::new(endpoints, interval));
        exporter.ready();
        sizes.push((PROBED, settled(&exporter)));
        let succeeded = exporter.metrics().sum("mail_probe_success{", "");
        sizes.push((FETCHED, settled(&exporter)));
        // A failure has fewer facts: with many of them, the figures would say nothing.
        assert!(succeeded >= 0.99 * endpoints as f64, "only {succeeded} of {endpoints} probes succeeded");
    }
    sizes
}
