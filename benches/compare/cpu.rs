//! What a probe costs: CPU time of the whole process by the number of conversations it finished.

use std::time::Duration;

use crate::blackbox::Blackbox;
use crate::exporter::{Exporter, Setup};
use crate::process::Process;
use crate::stub::Stub;
use crate::{Extent, bare, quantile};

const INTERVAL: Duration = Duration::from_secs(5);

pub(crate) fn run(extent: &Extent) {
    println!("| probes/s | bare client | exporter | blackbox_exporter | exporter ÷ bare | blackbox ÷ exporter |");
    println!("| ---: | ---: | ---: | ---: | ---: | ---: |");
    for rate in [200, 400] {
        let endpoints = rate * INTERVAL.as_secs() as usize;
        let (mut bare, mut own, mut other) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..extent.rounds {
            let mut stub = Stub::start();
            let client = bare::start(&stub, endpoints, INTERVAL);
            bare.push(cost(&mut stub, &client.process, extent.window, || ()));
            drop(client);
            let exporter = Exporter::start(&stub, &Setup::new(endpoints, INTERVAL));
            // A Prometheus fetches the page once in a while.
            own.push(cost(&mut stub, &exporter.process, extent.window, || drop(exporter.metrics())));
            let metrics = exporter.metrics();
            assert_eq!(metrics.sum("mail_probe_success{", ""), endpoints as f64, "every probe succeeds");
            drop(exporter);
            if let Some(blackbox) = Blackbox::start(&stub, endpoints, INTERVAL) {
                other.push(cost(&mut stub, &blackbox.process, extent.window, || ()));
                assert!(blackbox.totals().iter().all(Option::is_some), "every probe of blackbox_exporter succeeds");
            }
        }
        let [bare, own] = [&mut bare, &mut own].map(|costs| quantile(costs, 0.5));
        let other = (!other.is_empty()).then(|| quantile(&mut other, 0.5));
        let (cost, ratio) = other.map_or(("not installed".into(), "–".into()), |other| {
            (format!("{:.0} µs", other * 1e6), format!("{:.2}", other / own))
        });
        println!("| {rate} | {:.0} µs | {:.0} µs | {cost} | {:.2} | {ratio} |", bare * 1e6, own * 1e6, own / bare);
    }
}

/// CPU seconds a conversation, once all targets have had their turn.
fn cost(stub: &mut Stub, process: &Process, window: Duration, scrape: impl Fn()) -> f64 {
    std::thread::sleep(INTERVAL + INTERVAL / 2);
    let (sessions, cpu) = (stub.sessions(), process.cpu());
    std::thread::sleep(window);
    scrape();
    let (sessions, cpu) = (stub.sessions() - sessions, process.cpu() - cpu);
    cpu.as_secs_f64() / sessions as f64
}
