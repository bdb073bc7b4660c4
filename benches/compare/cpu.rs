//! What a probe costs: CPU time of the whole process by the number of conversations it finished.
//!
//! Where the machine shares its processor with others, what they take from it (steal) also makes each call of the
//! system and each wake-up dearer, twice and more for the same work. So each participant is measured again until a window
//! was quiet, a few times at most, and its quietest window counts.

use std::time::Duration;

use crate::blackbox::Blackbox;
use crate::exporter::{Exporter, Setup};
use crate::goal::{goal, goal_at_least};
use crate::process::{Machine, Process};
use crate::stub::Stub;
use crate::{Extent, bare};

const INTERVAL: Duration = Duration::from_secs(5);

/// The share of the processor that others may take in a quiet window.
const QUIET: f64 = 0.01;

pub(crate) fn run(extent: &Extent) {
    println!("| probes/s | bare client | exporter | blackbox_exporter | exporter ÷ bare | blackbox ÷ exporter |");
    println!("| ---: | ---: | ---: | ---: | ---: | ---: |");
    let ratios: Vec<(f64, Option<f64>)> = [200, 400].into_iter().map(|rate| compare(rate, extent)).collect();
    println!("\nMicroseconds a probe; in brackets what others took from the processor meanwhile.\n");
    let beyond_bare = ratios.iter().map(|(bare, _)| *bare).fold(0.0, f64::max);
    goal("exporter ÷ bare client", beyond_bare, 1.25, "times");
    if let Some(cheaper) = ratios.iter().filter_map(|(_, other)| *other).reduce(f64::min) {
        goal_at_least("blackbox_exporter ÷ exporter", cheaper, 3.5, "times");
    }
}

/// The exporter's cost by that of the bare client, and blackbox_exporter's by that of the exporter.
fn compare(rate: usize, extent: &Extent) -> (f64, Option<f64>) {
    let endpoints = rate * INTERVAL.as_secs() as usize;
    let bare = quietest(extent, |stub| {
        let client = bare::start(stub, endpoints, INTERVAL);
        Some(measure(stub, &client.process, extent.window, || ()))
    });
    let own = quietest(extent, |stub| {
        let exporter = Exporter::start(stub, &Setup::new(endpoints, INTERVAL));
        // A Prometheus fetches the page once in a while.
        let window = measure(stub, &exporter.process, extent.window, || drop(exporter.metrics()));
        let metrics = exporter.metrics();
        assert_eq!(metrics.sum("mail_probe_success{", ""), endpoints as f64, "every probe succeeds");
        Some(window)
    });
    let other = quietest(extent, |stub| {
        let blackbox = Blackbox::start(stub, endpoints, INTERVAL)?;
        let window = measure(stub, &blackbox.process, extent.window, || ());
        assert!(blackbox.totals().iter().all(Option::is_some), "every probe of blackbox_exporter succeeds");
        Some(window)
    });
    let (bare, own) = bare.zip(own).expect("at least one round");
    let (cost, cheaper) = other.as_ref().map_or(("not installed".into(), "–".into()), |other| {
        (other.to_string(), format!("{:.2}", other.cost / own.cost))
    });
    println!("| {rate} | {bare} | {own} | {cost} | {:.2} | {cheaper} |", own.cost / bare.cost);
    (own.cost / bare.cost, other.map(|other| other.cost / own.cost))
}

/// What was measured at a time.
struct Window {
    /// CPU seconds a conversation.
    cost: f64,
    /// The share of the processor that others took.
    stolen: f64,
}

impl std::fmt::Display for Window {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{:.0} µs ({:.1} %)", self.cost * 1e6, self.stolen * 100.0)
    }
}

/// The first quiet window, or the quietest of all rounds; `None` if there is nothing to measure.
fn quietest(extent: &Extent, measure: impl Fn(&mut Stub) -> Option<Window>) -> Option<Window> {
    let mut best: Option<Window> = None;
    for _ in 0..extent.rounds {
        let window = measure(&mut Stub::start())?;
        if best.as_ref().is_none_or(|best| window.stolen < best.stolen) {
            best = Some(window);
        }
        if best.as_ref().is_some_and(|best| best.stolen < QUIET) {
            break;
        }
    }
    best
}

/// Measures once all targets have had their turn.
fn measure(stub: &mut Stub, process: &Process, window: Duration, scrape: impl Fn()) -> Window {
    std::thread::sleep(INTERVAL + INTERVAL / 2);
    let (sessions, cpu, machine) = (stub.sessions(), process.cpu(), Machine::now());
    std::thread::sleep(window);
    scrape();
    let (sessions, cpu) = (stub.sessions() - sessions, process.cpu() - cpu);
    Window { cost: cpu.as_secs_f64() / sessions as f64, stolen: Machine::now().stolen_since(&machine) }
}
