//! Whether the times shown are those of the server: each answer comes with a planned delay, while other
//! processes keep every core busy.

use std::time::Duration;

use crate::blackbox::Blackbox;
use crate::exporter::{Exporter, Setup};
use crate::goal::goal;
use crate::process::{Role, cores};
use crate::stub::{PHASES, Stub};
use crate::{Extent, quantile};

/// Milliseconds before each answer.
const PLAN: [u64; 6] = [50, 20, 30, 40, 25, 10];

const RATE: usize = 500;
const INTERVAL: Duration = Duration::from_secs(10);

pub(crate) fn run(_: &Extent) {
    let mut stub = Stub::with_delays(PLAN);
    let endpoints = RATE * INTERVAL.as_secs() as usize;
    let exporter = Exporter::start(&stub, &Setup::new(endpoints, INTERVAL));
    exporter.ready();
    // The work of the probes themselves, and this.
    let spinners: Vec<Role> = (0..cores()).map(|_| Role::start(&["spin"])).collect();
    std::thread::sleep(INTERVAL / 2);
    stub.forget();
    std::thread::sleep(INTERVAL * 2);
    let metrics = exporter.metrics();
    let late = stub.lateness();
    let busy = spinners.len();
    println!("{RATE} probes/s of {endpoints} endpoints, {busy} processes that keep a core busy each.\n");
    println!("| phase | planned | shown − planned: median | 99 % | the server's own lateness: median | 99 % |");
    println!("| --- | ---: | ---: | ---: | ---: | ---: |");
    let mut worst = [0.0_f64; 2];
    for (number, phase) in PHASES.iter().enumerate() {
        let label = format!("phase=\"{phase}\"");
        let mut shown = metrics.values("mail_probe_last_phase_duration_seconds{", &label);
        let planned = PLAN[number] as f64 / 1e3;
        let [median, high] = [0.5, 0.99].map(|share| (quantile(&mut shown, share) - planned) * 1e3);
        worst = [worst[0].max(median), worst[1].max(high)];
        let (own, own_high) = (late[number].0 * 1e3, late[number].1 * 1e3);
        println!("| {phase} | {} ms | {median:.2} ms | {high:.2} ms | {own:.2} ms | {own_high:.2} ms |", PLAN[number]);
    }
    let planned = PLAN.iter().sum::<u64>() as f64 / 1e3;
    println!("\n| total | probes | median − planned | 99 % − planned |\n| --- | ---: | ---: | ---: |");
    let total = |name: &str, mut shown: Vec<f64>| {
        let [median, high] = [0.5, 0.99].map(|share| (quantile(&mut shown, share) - planned) * 1e3);
        println!("| {name} | {} | {median:.2} ms | {high:.2} ms |", shown.len());
    };
    total("exporter", metrics.values("mail_probe_duration_seconds{", ""));
    drop(exporter);
    let goals = || {
        println!();
        goal("a phase's median beyond its plan", worst[0], 1.0, "ms");
        goal("a phase's 99 % beyond its plan", worst[1], 5.0, "ms");
    };
    if let Some(blackbox) = Blackbox::start(&stub, endpoints, INTERVAL) {
        std::thread::sleep(INTERVAL + INTERVAL / 2);
        drop(blackbox.totals());
        std::thread::sleep(INTERVAL);
        total("blackbox_exporter", blackbox.totals().into_iter().flatten().collect());
    }
    goals();
}
