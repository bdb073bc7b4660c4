//! The house rules, held: who may use what, and that every module says what it is.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

/// Each room, what of the crate it may use, and what of the outside it must not. Lower rooms come first.
const ROOMS: &[(&str, &[&str], &[&str])] = &[
    ("mail", &[], &["tokio", "rustls", "serde", "tracing", "std::time", "prometheus_client", "hyper"]),
    ("hello", &[], &["tokio", "rustls", "serde", "tracing", "std::time"]),
    ("cert", &["mail"], &["tokio", "serde", "tracing", "std::time::Instant", "std::time::SystemTime"]),
    ("phase", &[], &["tokio", "serde", "std::time"]),
    ("histogram", &[], &["tokio", "prometheus_client"]),
    ("process", &[], &["tokio", "prometheus_client"]),
    ("descriptors", &[], &["tokio", "prometheus_client"]),
    ("proxy", &["mail", "cert"], &["tokio", "rustls", "serde", "tracing", "std::time", "prometheus_client", "hyper"]),
    ("endpoint", &["mail", "cert", "phase", "proxy"], &["serde", "tokio"]),
    ("search", &["endpoint"], &["serde", "tokio"]),
    ("config", &["mail", "cert", "phase", "proxy", "endpoint", "search"], &["tokio", "hyper", "prometheus_client"]),
    ("outcome", &["mail", "cert", "phase", "endpoint"], &["serde", "prometheus_client", "tokio", "Instant"]),
    ("dns", &["mail", "endpoint"], &["serde", "prometheus_client"]),
    (
        "prober",
        &["mail", "hello", "cert", "phase", "proxy", "endpoint", "outcome", "dns"],
        &["prometheus_client", "hyper", "serde"],
    ),
    ("store", &["phase", "histogram", "process", "endpoint", "outcome"], &["tokio", "prometheus_client"]),
    (
        "export",
        &["mail", "cert", "phase", "histogram", "endpoint", "config", "outcome", "store"],
        &["tokio", "hyper::", "Instant::now", "SystemTime::now"],
    ),
    (
        "discovery",
        &["mail", "cert", "dns", "endpoint", "outcome", "search"],
        &["hyper", "rustls", "serde", "prometheus_client"],
    ),
    ("scheduler", &["phase", "endpoint", "outcome", "prober", "store"], &["hyper", "rustls", "serde"]),
    ("reload", &["config"], &["hyper", "clap"]),
    ("door", &["config"], &["serde", "prometheus_client", "hyper_util", "clap"]),
    (
        "http",
        &["config", "descriptors", "door", "endpoint", "export", "outcome", "prober", "process", "reload", "store"],
        &["rustls", "mail::"],
    ),
    (
        "app",
        &[
            "reload",
            "config",
            "descriptors",
            "discovery",
            "dns",
            "door",
            "endpoint",
            "http",
            "prober",
            "scheduler",
            "search",
            "store",
        ],
        &["clap"],
    ),
    (
        "cli",
        &[
            "app",
            "reload",
            "config",
            "cert",
            "descriptors",
            "discovery",
            "dns",
            "door",
            "endpoint",
            "export",
            "outcome",
            "prober",
            "search",
            "store",
        ],
        &["hyper", "rustls", "prometheus_client"],
    ),
];

/// Every source file, with its path below `src/`.
fn sources() -> Vec<(String, String)> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    walk(&root, &mut paths);
    let name = |path: &Path| path.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
    paths.iter().map(|path| (name(path), fs::read_to_string(path).unwrap())).collect()
}

/// Without comments and without the tests at the end of a file.
fn code(text: &str) -> String {
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    code.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

/// A file belongs to the room that its path begins with.
fn is_in(path: &str, room: &str) -> bool {
    path.strip_prefix(room).is_some_and(|rest| rest.starts_with('/') || rest == ".rs")
}

#[test]
fn modules_look_only_down() {
    for (room, may_use, _) in ROOMS {
        for (path, text) in sources().iter().filter(|(path, _)| is_in(path, room) && !path.ends_with("tests.rs")) {
            for used in code(text).split("crate::").skip(1) {
                let other = used.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap();
                assert!(
                    other == *room || may_use.contains(&other),
                    "src/{path} uses crate::{other}, which {room} may not"
                );
            }
        }
    }
}

#[test]
fn rooms_keep_out_what_does_not_belong() {
    for (room, _, never) in ROOMS {
        for (path, text) in sources().iter().filter(|(path, _)| is_in(path, room) && !path.ends_with("tests.rs")) {
            for word in *never {
                let found = code(text).lines().find(|line| line.contains(word)).map(str::to_owned);
                assert_eq!(found, None, "src/{path} has {word}");
            }
        }
    }
}

#[test]
fn every_file_belongs_to_a_room_and_says_what_it_is() {
    for (path, text) in sources() {
        let known = ROOMS.iter().any(|(room, ..)| is_in(&path, room)) || ["lib.rs", "main.rs"].contains(&path.as_str());
        assert!(known, "src/{path} is in no room of the table");
        assert!(text.starts_with("//! "), "src/{path} has no module documentation");
    }
}

#[test]
fn only_one_file_knows_yaml() {
    for (path, text) in sources() {
        assert!(path == "config/file.rs" || !code(&text).contains("serde_yaml"), "src/{path}");
    }
}

#[test]
fn the_entrance_is_small_and_the_map_holds_no_code() {
    let (_, main) = sources().into_iter().find(|(path, _)| path == "main.rs").unwrap();
    assert!(main.lines().count() <= 60);
    let (_, map) = sources().into_iter().find(|(path, _)| path == "lib.rs").unwrap();
    for line in map.lines().filter(|line| !line.starts_with("//!") && !line.is_empty()) {
        assert!(line.starts_with("pub mod ") || line.starts_with("#![cfg_attr(not(test), deny("), "{line}");
    }
}
