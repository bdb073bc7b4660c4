//! What grows with the number of endpoints: one table, in Markdown, with the machine and the day.

use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

use crate::Extent;
use crate::exporter::{Exporter, Setup};
use crate::process::cores;
use crate::stub::Stub;

const INTERVAL: Duration = Duration::from_secs(300);

/// How long its CPU time is watched.
const WINDOW: Duration = Duration::from_secs(30);

pub(crate) fn run(extent: &Extent) {
    println!("{}.\n", machine());
    println!("One core; each endpoint every {} s, all facts, both kinds of histograms.\n", INTERVAL.as_secs());
    println!("| endpoints | start to first probe | core used | memory | series | OpenMetrics | scrape, CPU | stop |");
    println!("| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
    let counts: &[usize] = if extent.full { &[100, 1_000, 10_000, 100_000] } else { &[100, 1_000, 10_000] };
    counts.iter().for_each(|endpoints| row(*endpoints));
}

fn row(endpoints: usize) {
    let mut stub = Stub::start();
    let began = SystemTime::now();
    let mut exporter = Exporter::start(&stub, &Setup { one_core: true, ..Setup::new(endpoints, INTERVAL) });
    exporter.ready();
    let first = stub.first().unwrap().duration_since(began).unwrap();
    let cpu = exporter.process.cpu();
    std::thread::sleep(WINDOW);
    let used = (exporter.process.cpu() - cpu).as_secs_f64() / WINDOW.as_secs_f64();
    let memory = exporter.process.size("VmRSS");
    let cpu = exporter.process.cpu();
    let page = exporter.metrics().0;
    let scrape = exporter.process.cpu() - cpu;
    let series = page.lines().filter(|line| !line.starts_with('#')).count();
    let began = Instant::now();
    exporter.process.terminate();
    println!(
        "| {endpoints} | {} ms | {:.2} % | {:.1} MB | {series} | {:.1} MB | {} ms | {} ms |",
        first.as_millis(),
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
