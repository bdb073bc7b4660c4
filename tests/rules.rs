//! The alerts, their tests, runbooks and documents belong together. What the rules do is tested by promtool
//! (`tests/real/rules.sh`).

#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use serde_yaml::Value;

fn text(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn yaml(name: &str) -> Value {
    serde_yaml::from_str(&text(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn list<'a>(value: &'a Value, key: &str) -> Vec<&'a Value> {
    value.get(key).and_then(Value::as_sequence).map(|list| list.iter().collect()).unwrap_or_default()
}

fn word<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// All rules of a file of rules.
fn rules(name: &str) -> Vec<Value> {
    let file = yaml(name);
    list(&file, "groups").into_iter().flat_map(|group| list(group, "rules")).cloned().collect()
}

fn alerts() -> Vec<Value> {
    rules("examples/prometheus/alerts.yml")
}

/// Name and severity: the same name may stand for a warning and for what is critical.
fn kind(alert: &Value) -> (String, String) {
    (word(alert, "alert").to_owned(), word(&alert["labels"], "severity").to_owned())
}

fn test_files() -> Vec<String> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("examples/prometheus/tests");
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.map(|name| format!("examples/prometheus/tests/{name}")).collect()
}

/// The headings of the third level: the alerts.
fn sections() -> BTreeSet<String> {
    text("examples/prometheus/runbooks.md")
        .lines()
        .filter_map(|line| line.strip_prefix("### "))
        .map(str::to_owned)
        .collect()
}

/// Names that look like metrics.
fn metrics(text: &str) -> BTreeSet<&str> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    text.split(|c| !is_name(c))
        .filter(|name| name.contains(':') || name.starts_with("mail_") || name.starts_with("process_"))
        .collect()
}

#[test]
fn every_alert_is_complete() {
    for alert in alerts() {
        let (name, severity) = kind(&alert);
        assert!(name.starts_with("Mail"), "{name}");
        assert!(["critical", "warning", "info"].contains(&severity.as_str()), "{name}: {severity}");
        assert!(!word(&alert, "for").is_empty(), "{name}: no `for`");
        for key in ["summary", "description", "runbook_url"] {
            assert!(!word(&alert["annotations"], key).is_empty(), "{name}: no {key}");
        }
        // What changes while something is broken must not become a label.
        let labels: Vec<_> = alert["labels"].as_mapping().unwrap().keys().filter_map(Value::as_str).collect();
        assert_eq!(labels, ["severity"], "{name}");
    }
}

#[test]
fn every_alert_has_its_runbook_and_every_runbook_its_alert() {
    let names: BTreeSet<String> = alerts().iter().map(|alert| kind(alert).0).collect();
    assert_eq!(names, sections());
    for alert in alerts() {
        let (_, anchor) = word(&alert["annotations"], "runbook_url").split_once('#').unwrap();
        // As the places that show Markdown make anchors of headings.
        assert_eq!(anchor, kind(&alert).0.to_lowercase());
    }
    let runbooks = text("examples/prometheus/runbooks.md");
    for section in runbooks.split("\n### ").skip(1) {
        for part in ["**Means:**", "**By hand:**", "**Do:**", "**False alarm:**"] {
            assert!(section.contains(part), "{part} {}", section.lines().next().unwrap_or_default());
        }
    }
}

#[test]
fn every_alert_has_a_test_in_which_it_fires_and_one_in_which_it_does_not() {
    let mut fires = BTreeSet::new();
    let mut quiet = BTreeSet::new();
    let mut ends: BTreeMap<String, bool> = BTreeMap::new();
    for name in test_files() {
        let file = yaml(&name);
        for test in list(&file, "tests") {
            let mut fired = BTreeSet::new();
            for case in list(test, "alert_rule_test") {
                let alert = word(case, "alertname").to_owned();
                let expected = list(case, "exp_alerts");
                if expected.is_empty() {
                    quiet.insert(alert.clone());
                    // Quiet after it had fired, in one test: it ends.
                    *ends.entry(alert.clone()).or_default() |= fired.contains(&alert);
                } else {
                    fired.insert(alert.clone());
                }
                for one in expected {
                    fires.insert((alert.clone(), word(&one["exp_labels"], "severity").to_owned()));
                }
            }
        }
    }
    let kinds: BTreeSet<_> = alerts().iter().map(kind).collect();
    let names: BTreeSet<_> = kinds.iter().map(|(name, _)| name.clone()).collect();
    assert_eq!(kinds, fires, "alerts, and those that fire in a test");
    assert_eq!(names, quiet, "alerts, and those that do not fire in a test");
    let endless: Vec<_> = names.iter().filter(|name| !ends.get(*name).copied().unwrap_or_default()).collect();
    assert!(endless.is_empty(), "no test sees them end: {endless:?}");
}

#[test]
fn every_metric_in_the_rules_and_runbooks_exists() {
    let readme = text("README.md");
    let known = metrics(&readme);
    let recorded: BTreeSet<String> =
        rules("examples/prometheus/recording.yml").iter().map(|rule| word(rule, "record").to_owned()).collect();
    let mut used = BTreeSet::new();
    let mut names = vec!["alerts.yml".to_owned(), "recording.yml".to_owned(), "runbooks.md".to_owned()];
    names.extend(["prometheus.yml".to_owned()]);
    let texts = names.iter().map(|name| (name.clone(), text(&format!("examples/prometheus/{name}"))));
    for (name, content) in texts.chain(test_files().into_iter().map(|name| (name.clone(), text(&name)))) {
        // In the comments, in annotations and in PromQL alike; a colon may be punctuation, too.
        for metric in metrics(&content) {
            if recorded.contains(metric) {
                used.insert(metric.to_owned());
                continue;
            }
            for part in metric.split(':').filter(|part| part.starts_with("mail_") || part.starts_with("process_")) {
                let base = part.strip_suffix("_bucket").unwrap_or(part);
                let is_program = base == "mail_endpoint_exporter" || base.ends_with('_');
                assert!(known.contains(base) || is_program, "{name}: {metric}");
            }
        }
    }
    let record = |rule: &&Value| !used.contains(word(rule, "record"));
    let idle: Vec<_> = rules("examples/prometheus/recording.yml")
        .iter()
        .filter(record)
        .map(|rule| word(rule, "record").to_owned())
        .collect();
    assert!(idle.is_empty(), "recorded for nobody: {idle:?}");
}

#[test]
fn the_readme_has_every_alert_with_its_severity() {
    let readme = text("README.md");
    let (_, section) = readme.split_once("\n## Alerts\n").unwrap();
    let section = section.split("\n## ").next().unwrap();
    let rows: BTreeSet<(String, String)> = section
        .lines()
        .filter_map(|line| line.strip_prefix("| `"))
        .flat_map(|line| {
            let mut cells = line.split('|').map(|cell| cell.trim().trim_matches('`').to_owned());
            let (name, severities) = (cells.next().unwrap(), cells.next().unwrap());
            severities.split(", ").map(|severity| (name.clone(), severity.to_owned())).collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(rows, alerts().iter().map(kind).collect());
}

#[test]
fn alertmanager_speaks_of_alerts_that_exist() {
    let alertmanager = text("examples/alertmanager/alertmanager.yml");
    let known = sections();
    let is_alert = |name: &&str| name.len() > 4 && name.starts_with("Mail");
    let named: BTreeSet<&str> = alertmanager.split(|c: char| !c.is_ascii_alphanumeric()).filter(is_alert).collect();
    assert!(named.len() > 10, "{named:?}");
    for name in named {
        assert!(known.contains(name), "{name}");
    }
    // A warning must not hide what wakes people.
    let severities: BTreeMap<String, BTreeSet<String>> =
        alerts().iter().map(kind).fold(BTreeMap::new(), |mut map, (name, severity)| {
            map.entry(name).or_insert_with(BTreeSet::new).insert(severity);
            map
        });
    let file = yaml("examples/alertmanager/alertmanager.yml");
    for rule in list(&file, "inhibit_rules") {
        let words = |key: &str| list(rule, key).iter().filter_map(|m| m.as_str()).collect::<Vec<_>>().join(" ");
        let of = |matchers: &str| -> BTreeSet<String> {
            let names = matchers.split(|c: char| !c.is_ascii_alphanumeric()).filter(is_alert);
            names.flat_map(|name| severities[name].clone()).collect()
        };
        let (source, target) = (words("source_matchers"), words("target_matchers"));
        let weak = of(&source).iter().any(|severity| severity != "critical");
        let strong = of(&target).contains("critical") && !target.contains("severity=\"warning\"");
        assert!(!(weak && strong), "{source} hides {target}");
    }
}
