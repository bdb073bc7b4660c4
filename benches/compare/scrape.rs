//! What a page of metrics costs, beside a plain formatted write of the same lines.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use crate::exporter::{Exporter, Setup};
use crate::goal::goal;
use crate::stub::Stub;
use crate::{Extent, quantile};

const ENDPOINTS: usize = 10_000;

pub(crate) fn run(extent: &Extent) {
    println!("{ENDPOINTS} endpoints with all facts, the exporter on one core and between its probes.\n");
    println!("| histograms | format | body | series | time | CPU | a plain write | CPU ÷ plain | memory above |");
    println!("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
    let mut goals = Vec::new();
    for histograms in ["both", "native", "none"] {
        let stub = Stub::start();
        // Long enough for the pages to be fetched before the second round begins.
        let setup = Setup { one_core: true, histograms, ..Setup::new(ENDPOINTS, Duration::from_secs(1800)) };
        let exporter = Exporter::start(&stub, &setup);
        exporter.ready();
        let openmetrics = "Accept: application/openmetrics-text\r\n";
        let formats = [
            ("OpenMetrics", openmetrics.to_owned()),
            ("OpenMetrics, gzip", format!("{openmetrics}Accept-Encoding: gzip\r\n")),
            ("text 0.0.4", String::new()),
            ("protobuf", "Accept: application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited\r\n".into()),
        ];
        let page = exporter.metrics().0;
        let series = page.lines().filter(|line| !line.starts_with('#')).count();
        let plain = plain(&page, extent.rounds);
        for (name, headers) in &formats {
            let found = row(&exporter, (histograms, name, headers), series, plain, extent.rounds);
            goals.push((histograms, *name, found));
        }
    }
    println!();
    for (histograms, name, found) in goals {
        let what = |what: &str| format!("{what}, {name}, histograms {histograms}");
        if name == "OpenMetrics" {
            goal(&what("CPU a million series"), found.a_million, 667.0, "ms");
            goal(&what("CPU beside a plain write"), found.ratio, 1.5, "x");
        }
        // A compressed body is smaller than what it is made of.
        if !name.ends_with("gzip") {
            goal(&what("memory above, of the body"), found.above, 1.0, "x");
        }
    }
}

/// How a page did.
struct Found {
    /// CPU time a million series, in milliseconds.
    a_million: f64,
    /// CPU time beside that of a plain write.
    ratio: f64,
    /// Memory above, as a share of the body.
    above: f64,
}

fn row(
    exporter: &Exporter,
    (histograms, name, headers): (&str, &str, &str),
    series: usize,
    plain: f64,
    rounds: usize,
) -> Found {
    let (mut times, mut costs, mut above, mut size) = (Vec::new(), Vec::new(), 0, 0);
    let turns = rounds.max(3) * 2;
    for _ in 0..rounds.max(3) {
        exporter.process.forget_peak();
        let resident = exporter.process.size("VmRSS");
        let (began, cpu) = (Instant::now(), exporter.process.cpu());
        for _ in 0..turns {
            size = exporter.get("/metrics", headers).unwrap().len();
        }
        times.push(began.elapsed().as_secs_f64() / turns as f64);
        costs.push((exporter.process.cpu() - cpu).as_secs_f64() / turns as f64);
        above = above.max(exporter.process.size("VmHWM").saturating_sub(resident));
    }
    let (time, cost) = (quantile(&mut times, 0.5), quantile(&mut costs, 0.5));
    println!(
        "| {histograms} | {name} | {:.1} MB | {series} | {:.0} ms | {:.0} ms | {:.0} ms | {:.2} | {:.1} MB |",
        size as f64 / 1e6,
        time * 1e3,
        cost * 1e3,
        plain * 1e3,
        cost / plain,
        above as f64 / 1e6,
    );
    Found { a_million: cost * 1e3 / (series as f64 / 1e6), ratio: cost / plain, above: above as f64 / size as f64 }
}

/// The same lines once more, out of their parts: name, labels one by one, value.
fn plain(page: &str, rounds: usize) -> f64 {
    let lines: Vec<Line<'_>> = page.lines().map(Line::of).collect();
    let mut times: Vec<f64> = (0..rounds.max(3) * 2)
        .map(|_| {
            let began = Instant::now();
            let mut out = String::new();
            lines.iter().for_each(|line| line.write(&mut out));
            let time = began.elapsed().as_secs_f64();
            assert!(out.len() > page.len() / 2, "{}", out.len());
            time
        })
        .collect();
    quantile(&mut times, 0.5)
}

enum Line<'a> {
    Comment(&'a str),
    Sample { name: &'a str, labels: Vec<(&'a str, &'a str)>, value: f64 },
}

impl<'a> Line<'a> {
    fn of(line: &'a str) -> Self {
        if line.starts_with('#') {
            return Self::Comment(line);
        }
        let (series, value) = line.rsplit_once(' ').unwrap();
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        let labels = labels.trim_end_matches('}').split("\",").filter_map(|label| label.split_once("=\""));
        let labels = labels.map(|(name, value)| (name, value.trim_end_matches('"'))).collect();
        Self::Sample { name, labels, value: value.parse().unwrap() }
    }

    fn write(&self, out: &mut String) {
        match self {
            Self::Comment(text) => writeln!(out, "{text}").unwrap(),
            Self::Sample { name, labels, value } => {
                write!(out, "{name}{{").unwrap();
                for (number, (name, value)) in labels.iter().enumerate() {
                    let comma = if number == 0 { "" } else { "," };
                    write!(out, "{comma}{name}=\"{value}\"").unwrap();
                }
                writeln!(out, "}} {value}").unwrap();
            }
        }
    }
}
