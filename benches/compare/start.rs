//! How soon the first probe starts, how long `probe` takes, how soon the program has stopped; and its size.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use crate::exporter::{Exporter, Setup, program};
use crate::goal::goal;
use crate::stub::{NAME, Stub};
use crate::{Extent, quantile};

pub(crate) fn run(extent: &Extent) {
    let mut stub = Stub::start();
    println!("| what | median of {} | best |\n| --- | ---: | ---: |", extent.rounds.max(5));
    let mut goals = Vec::new();
    let mut show = |what: &'static str, most: f64, measure: &mut dyn FnMut() -> Duration| {
        let mut millis: Vec<f64> = (0..extent.rounds.max(5)).map(|_| measure().as_secs_f64() * 1e3).collect();
        let median = quantile(&mut millis, 0.5);
        println!("| {what} | {median:.1} ms | {:.1} ms |", quantile(&mut millis, 0.0));
        goals.push((what, median, most));
    };
    let ca = stub.ca.to_str().unwrap().to_owned();
    let target = format!("127.0.0.1:{}", stub.port);
    show("start to the first connection, 1,000 targets at 10 s", 50.0, &mut || {
        stub.forget();
        let setup = Setup::new(1_000, Duration::from_secs(10));
        let began = SystemTime::now();
        let exporter = Exporter::start(&stub, &setup);
        std::thread::sleep(Duration::from_millis(500));
        drop(exporter);
        stub.first().expect("a connection within half a second").duration_since(began).unwrap()
    });
    let probe = |extra: &[&str]| {
        let mut command = Command::new(program());
        command.args(["probe", &target, "--module", "submission"]).args(extra).stdout(Stdio::null());
        let began = Instant::now();
        let code = command.status().unwrap().code();
        (began.elapsed(), code)
    };
    show("`probe` with --ca-file, to its end", 30.0, &mut || {
        let (took, code) = probe(&["--ca-file", &ca, "--server-name", NAME]);
        assert_eq!(code, Some(0));
        took
    });
    show("`probe` with the system's roots, to its end", 30.0, &mut || {
        let (took, code) = probe(&["--server-name", NAME]);
        assert_eq!(code, Some(2), "the stub's root is none of the system's");
        took
    });
    show("SIGTERM to the end, 10,000 endpoints at work", 1000.0, &mut || {
        let mut exporter = Exporter::start(&stub, &Setup::new(10_000, Duration::from_secs(60)));
        exporter.healthy();
        std::thread::sleep(Duration::from_secs(2));
        let began = Instant::now();
        exporter.process.terminate();
        began.elapsed()
    });
    println!();
    for (what, median, most) in goals {
        goal(what, median, most, "ms");
    }
    goal("size of the program", std::fs::metadata(program()).unwrap().len() as f64 / 1e6, 10.0, "MB");
}
