//! Whether one core is enough for many endpoints: how late probes start, and whether any is skipped.

use std::time::Duration;

use crate::Extent;
use crate::exporter::{Exporter, Setup};
use crate::goal::goal;
use crate::stub::Stub;

const INTERVAL: Duration = Duration::from_secs(30);

pub(crate) fn run(extent: &Extent) {
    println!("Each endpoint every 30 s, the exporter on one core.\n");
    println!("| endpoints | probes/s | core used | late: median | 99 % | skipped | memory |");
    println!("| ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
    let mut found = Vec::new();
    let counts: &[usize] = if extent.full { &[100, 1_000, 10_000] } else { &[10_000] };
    for endpoints in counts {
        let mut stub = Stub::start();
        let exporter = Exporter::start(&stub, &Setup { one_core: true, ..Setup::new(*endpoints, INTERVAL) });
        exporter.ready();
        let (sessions, cpu) = (stub.sessions(), exporter.process.cpu());
        std::thread::sleep(INTERVAL);
        let used = (exporter.process.cpu() - cpu).as_secs_f64() / INTERVAL.as_secs_f64();
        let rate = (stub.sessions() - sessions) as f64 / INTERVAL.as_secs_f64();
        let metrics = exporter.metrics();
        let late = |share| metrics.quantile("mail_exporter_schedule_lateness_seconds", share) * 1e3;
        println!(
            "| {endpoints} | {rate:.0} | {:.0} % | {:.1} ms | {:.1} ms | {} | {:.1} MB |",
            used * 100.0,
            late(0.5),
            late(0.99),
            metrics.sum("mail_exporter_probes_skipped_total", ""),
            exporter.process.size("VmRSS") as f64 / 1e6,
        );
        found.push((endpoints, late(0.99)));
    }
    println!();
    for (endpoints, late) in found {
        goal(&format!("lateness of {endpoints} endpoints, 99 %"), late, 20.0, "ms");
    }
}
