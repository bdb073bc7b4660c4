//! What the documents and examples say is true of the program.

#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "a test fails by panicking")]

mod lab;
mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use mail_endpoint_exporter::config::Config;
use mail_endpoint_exporter::export::prometheus::family_names;
use mail_endpoint_exporter::outcome::failure::Reason;
use mail_endpoint_exporter::phase::Phase;
use support::config;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn readme() -> String {
    fs::read_to_string(root().join("README.md")).unwrap()
}

/// The texts between ```LANGUAGE and ```.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let fence = format!("```{language}\n");
    text.split(&fence).skip(1).map(|rest| rest.split("```").next().unwrap().to_owned()).collect()
}

#[test]
fn every_example_configuration_loads() {
    // The demo makes its CA when it starts; any will do here.
    let ca = root().join("target/demo/ca.pem");
    if !ca.exists() {
        fs::create_dir_all(ca.parent().unwrap()).unwrap();
        fs::write(&ca, lab::Authority::new("Demo CA").pem()).unwrap();
    }
    for name in ["minimal", "full", "demo", "trials"] {
        let path = root().join(format!("examples/{name}.yml"));
        let loaded = Config::load(&path)
            .map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"));
        assert!(!loaded.unwrap_or_else(|problems| panic!("{problems}")).endpoints.is_empty(), "{name}");
    }
}

#[test]
fn every_configuration_in_the_readme_loads() {
    let blocks = blocks(&readme(), "yaml");
    let own: Vec<&String> = blocks.iter().filter(|block| block.contains("targets:")).collect();
    assert!(!own.is_empty());
    for block in own {
        config(block);
    }
}

#[test]
fn the_readme_has_every_metric_and_no_other() {
    let text = readme();
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words: BTreeSet<&str> = text.split(|c| !is_name(c)).collect();
    let is_ours = |word: &&&str| word.starts_with("mail_") || word.starts_with("process_");
    let known: BTreeSet<&str> = family_names().collect();
    let missing: Vec<_> = known.iter().filter(|name| !words.contains(**name)).collect();
    assert!(missing.is_empty(), "not in the README: {missing:?}");
    let base = |word: &str| {
        let suffixes = ["_bucket", "_sum", "_count"];
        suffixes.iter().find_map(|suffix| word.strip_suffix(suffix)).unwrap_or(word).to_owned()
    };
    let unknown: Vec<_> = words
        .iter()
        .filter(is_ours)
        .filter(|word| !known.contains(base(word).as_str()))
        // The program itself, prefixes that stand for many, and phases.
        .filter(|word| **word != "mail_endpoint_exporter" && !word.ends_with('_'))
        .filter(|word| !Phase::ALL.iter().any(|phase| phase.as_str() == **word))
        .collect();
    assert!(unknown.is_empty(), "no such metric: {unknown:?}");
}

#[test]
fn the_readme_explains_every_reason_and_phase() {
    let text = readme();
    for word in Reason::ALL.iter().map(|reason| reason.as_str()).chain(Phase::ALL.iter().map(|phase| phase.as_str())) {
        assert!(text.contains(&format!("`{word}`")), "{word}");
    }
}

#[test]
fn links_between_documents_lead_somewhere() {
    let mut count = 0;
    for name in [
        "README.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
        "benches/README.md",
        "dashboards/README.md",
        "examples/prometheus/runbooks.md",
        "examples/sharding/README.md",
        "fuzz/README.md",
        "tests/FAULTS.md",
        "tests/FAULTS_TLS.md",
    ] {
        let file = root().join(name);
        let text = fs::read_to_string(&file).unwrap();
        let targets = text.split("](").skip(1).map(|rest| rest.split(')').next().unwrap());
        for target in targets.filter(|target| !target.contains("://")) {
            let (path, place) = target.split_once('#').unwrap_or((target, ""));
            let path = if path.is_empty() { file.clone() } else { file.parent().unwrap().join(path) };
            assert!(path.exists(), "{name}: {target}");
            assert!(place.is_empty() || headings(&path).contains(place), "{name}: {target}: no such heading");
            count += 1;
        }
    }
    assert!(count > 50, "{count} links");
}

/// The names that GitHub gives to the headings of a document.
fn headings(path: &Path) -> BTreeSet<String> {
    let text = fs::read_to_string(path).unwrap();
    let titles = text.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    let kept = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | ' ');
    titles
        .map(|title| title.to_lowercase().chars().filter(|c| kept(*c)).collect::<String>().replace(' ', "-"))
        .collect()
}

#[test]
fn the_commands_of_the_readme_exist() {
    let text = readme();
    for command in ["cargo run --release --example demo", "cargo test", "tests/real.sh"] {
        assert!(text.contains(command), "{command}");
    }
    let blocks = blocks(&text, "sh").join("\n");
    for word in blocks.split_whitespace().filter(|word| word.starts_with("examples/") || word.starts_with("tests/")) {
        assert!(root().join(word).exists(), "{word}");
    }
}
