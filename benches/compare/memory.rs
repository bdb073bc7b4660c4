//! What an endpoint costs in memory: configured, and with all the facts of a probe.

use std::net::TcpListener;
use std::time::Duration;

use crate::Extent;
use crate::exporter::{Exporter, Setup};
use crate::stub::Stub;

pub(crate) fn run(extent: &Extent) {
    let stub = Stub::start();
    println!("| endpoints | state | memory | of it an endpoint |\n| ---: | --- | ---: | ---: |");
    let empty = {
        let exporter = Exporter::start(&stub, &Setup::new(1, Duration::from_secs(3600)));
        exporter.healthy();
        exporter.process.size("VmRSS")
    };
    println!("| 1 | configured | {:.1} MB | |", empty as f64 / 1e6);
    let show = |endpoints: usize, state: &str, exporter: &Exporter| {
        let size = exporter.process.size("VmRSS");
        let each = size.saturating_sub(empty) as f64 / endpoints as f64 / 1024.0;
        println!("| {endpoints} | {state} | {:.1} MB | {each:.2} KiB |", size as f64 / 1e6);
    };
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    for endpoints in [1_000, 10_000, 100_000] {
        let ca = stub.ca.to_str().unwrap();
        let hours = Duration::from_secs(24 * 3600);
        let exporter = Exporter::start_at(nobody, ca, &Setup::new(endpoints, hours));
        exporter.healthy();
        std::thread::sleep(Duration::from_millis(500));
        show(endpoints, "configured", &exporter);
        drop(exporter);
        if endpoints < 100_000 || extent.full {
            // A round that one core can do.
            let interval = Duration::from_secs(if endpoints > 10_000 { 600 } else { 60 });
            let exporter = Exporter::start(&stub, &Setup::new(endpoints, interval));
            exporter.ready();
            show(endpoints, "probed once, all facts", &exporter);
            drop(exporter.metrics());
            show(endpoints, "and its metrics fetched", &exporter);
        }
    }
}
