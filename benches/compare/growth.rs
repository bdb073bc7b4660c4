//! What grows with the number of endpoints: one table, in Markdown, with the machine and the day.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::Extent;
use crate::exporter::{Exporter, Setup};
use crate::process::cores;
use crate::stub::Stub;

/// How often each is probed; more than ten thousand would be too much for a core at that pace.
fn interval(endpoints: usize) -> Duration {
    Duration::from_secs(if endpoints > 10_000 { 300 } else { 30 })
}

pub(crate) fn run(extent: &Extent) {
    println!("{}.\n", machine());
    println!("One core; all facts, both kinds of histograms.\n");
    println!("| endpoints | interval | core used | memory | series | OpenMetrics | scrape, CPU | stop |");
    println!("| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
    let counts: &[usize] = if extent.full { &[100, 1_000, 10_000, 100_000] } else { &[100, 1_000, 10_000] };
    counts.iter().for_each(|endpoints| row(*endpoints));
}

fn row(endpoints: usize) {
    const SCRAPES: u32 = 5;
    let (stub, interval) = (Stub::start(), interval(endpoints));
    let mut exporter = Exporter::start(&stub, &Setup { one_core: true, ..Setup::new(endpoints, interval) });
    exporter.ready();
    let cpu = exporter.process.cpu();
    // Each has its turn once.
    std::thread::sleep(interval);
    let used = (exporter.process.cpu() - cpu).as_secs_f64() / interval.as_secs_f64();
    let memory = exporter.process.size("VmRSS");
    let cpu = exporter.process.cpu();
    let pages: Vec<String> = (0..SCRAPES).map(|_| exporter.metrics().0).collect();
    let scrape = (exporter.process.cpu() - cpu) / SCRAPES;
    let page = &pages[0];
    let series = page.lines().filter(|line| !line.starts_with('#')).count();
    let began = Instant::now();
    exporter.process.terminate();
    println!(
        "| {endpoints} | {} s | {:.1} % | {:.1} MB | {series} | {:.1} MB | {} ms | {} ms |",
        interval.as_secs(),
        used * 100.0,
        memory as f64 / 1e6,
        page.len() as f64 / 1e6,
        scrape.as_millis(),
        began.elapsed().as_millis(),
    );
}

/// The machine, and the day.
fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let after = |text: &str, key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default();
        line.trim_matches([':', ' ', '\t']).to_owned()
    };
    let model = after(&read("/proc/cpuinfo"), "model name");
    let memory = after(&read("/proc/meminfo"), "MemTotal");
    let memory = memory.trim_end_matches(" kB").parse::<f64>().unwrap_or_default() * 1024.0 / 1e9;
    let kernel = read("/proc/sys/kernel/osrelease");
    let day = Command::new("date").args(["-u", "+%Y-%m-%d"]).output().unwrap().stdout;
    let (cores, kernel, day) = (cores(), kernel.trim(), String::from_utf8_lossy(&day).trim().to_owned());
    format!("{model}, {cores} cores, {memory:.0} GB, Linux {kernel}, version {}, {day}", env!("CARGO_PKG_VERSION"))
}
