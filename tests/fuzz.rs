//! What fuzzing has found, and what it begins with, replayed: `fuzz/README.md` tells how more is found.

#![allow(dead_code, unreachable_pub, missing_docs, reason = "the checks are a library of their own in fuzz/")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "the file that fails is named")]

#[path = "../fuzz/src/lib.rs"]
mod checks;

use std::fs;
use std::path::Path;

/// Every file of a folder with a folder for each target.
fn replay(folder: &str) -> usize {
    let mut replayed = 0;
    for target in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz").join(folder)).unwrap() {
        let target = target.unwrap();
        let (_, check) = checks::TARGETS.iter().find(|(name, _)| target.file_name() == *name).unwrap();
        for file in fs::read_dir(target.path()).unwrap() {
            let file = file.unwrap().path();
            println!("{}", file.display());
            check(&fs::read(file).unwrap());
            replayed += 1;
        }
    }
    replayed
}

#[test]
fn what_was_found_once_stays_mended() {
    assert!(replay("regressions") > 0);
}

#[test]
fn what_fuzzing_begins_with_holds() {
    assert!(replay("seeds") > 10);
}

#[test]
fn every_target_has_its_program() {
    let manifest = include_str!("../fuzz/Cargo.toml");
    let named: Vec<&str> = manifest
        .lines()
        .filter_map(|line| line.strip_prefix("path = \"fuzz_targets/")?.strip_suffix(".rs\""))
        .collect();
    let mut checked: Vec<&str> = checks::TARGETS.iter().map(|(name, _)| *name).collect();
    checked.sort_unstable();
    let mut sorted = named.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, checked);
    for name in named {
        let program =
            fs::read_to_string(format!("{}/fuzz/fuzz_targets/{name}.rs", env!("CARGO_MANIFEST_DIR"))).unwrap();
        assert!(program.contains(&format!("::{name}::check(bytes)")), "{name}: {program}");
    }
}
