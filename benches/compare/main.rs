//! The exporter beside blackbox_exporter and beside a bare client, all against one stub server on loopback.
//!
//! ```text
//! cargo bench --bench compare                  # everything, some twenty minutes
//! cargo bench --bench compare -- cpu           # one part: cpu, truth, scale, memory, start, scrape or growth
//! cargo bench --bench compare -- cpu --rounds 6 --seconds 15
//! ```
//!
//! Each of them runs in a process of its own, and what it used is read from `/proc` (Linux). The bare client
//! is the least that a probe can cost: the same conversation with the same libraries and nothing kept.
//!
//! | file | what it is |
//! | --- | --- |
//! | `stub.rs` | the server, with delays that are planned and kept |
//! | `bare.rs` | the bare client |
//! | `blackbox.rs` | blackbox_exporter, and what a Prometheus would ask of it |
//! | `exporter.rs` | our own program, and its `/metrics` |
//! | `process.rs` | what a process used |
//! | `goal.rs` | whether what was aimed at is met |
//! | `cpu.rs`, `truth.rs`, `scale.rs`, `memory.rs`, `start.rs`, `scrape.rs`, `growth.rs` | the parts |
//!
//! With `EXPORTER=/path/to/another/build` that one is measured, for a before and an after.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark prints, reads the clock, and ends where it cannot measure"
)]

#[path = "../../tests/lab/mod.rs"]
mod lab;

mod bare;
mod blackbox;
mod cpu;
mod exporter;
mod goal;
mod growth;
mod memory;
mod process;
mod scale;
mod scrape;
mod start;
mod stub;
mod truth;

use std::time::Duration;

/// How long and how often is measured.
struct Extent {
    /// At most so often, where a quiet window is looked for.
    rounds: usize,
    window: Duration,
    /// Also what takes many minutes.
    full: bool,
}

type Part = (&'static str, fn(&Extent));

const PARTS: [Part; 7] = [
    ("cpu", cpu::run),
    ("truth", truth::run),
    ("scale", scale::run),
    ("memory", memory::run),
    ("start", start::run),
    ("scrape", scrape::run),
    ("growth", growth::run),
];

fn main() {
    // `cargo bench` says so to every benchmark.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["role", "stub", plan] => stub::play(plan),
        ["role", "bare", ca, port, count, interval] => bare::play(ca, port, count, interval),
        ["role", "spin"] => spin(),
        [part, options @ ..] if !part.starts_with("--") => {
            let known = PARTS.iter().find(|(name, _)| name == part);
            let (name, run) = known.unwrap_or_else(|| panic!("there is no part {part:?}: {:?}", PARTS.map(|p| p.0)));
            heading(name);
            run(&extent(options));
        }
        options => {
            for (name, run) in PARTS {
                heading(name);
                run(&extent(options));
            }
        }
    }
}

fn heading(name: &str) {
    println!("\n## {name}\n");
}

fn extent(options: &[&str]) -> Extent {
    let mut extent = Extent { rounds: 3, window: Duration::from_secs(15), full: false };
    let mut words = options.iter();
    while let Some(word) = words.next() {
        let mut number =
            || words.next().and_then(|n| n.parse().ok()).unwrap_or_else(|| panic!("{word} wants a number"));
        match *word {
            "--rounds" => extent.rounds = number() as usize,
            "--seconds" => extent.window = Duration::from_secs(number()),
            "--full" => extent.full = true,
            other => panic!("unknown option {other}: --rounds N, --seconds N, --full"),
        }
    }
    extent
}

/// Keeps a core busy until it is killed.
fn spin() {
    loop {
        std::hint::spin_loop();
    }
}

/// The value below which a share of them lies.
fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    values[((values.len() - 1) as f64 * share).round() as usize]
}
