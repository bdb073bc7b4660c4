//! What the exporter is made of is what `deny.toml` allows: licences, bans and sources. Advisories need a database
//! that changes every day; `cargo deny check advisories` asks it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::process::Command;

use toml::Table;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn read(file: &str) -> Table {
    std::fs::read_to_string(format!("{ROOT}/{file}")).unwrap().parse().unwrap()
}

/// The texts of a list in `deny.toml`.
fn allowed(section: &str, key: &str) -> Vec<String> {
    let list = read("deny.toml")[section][key].as_array().unwrap().clone();
    list.into_iter().map(|item| item.as_str().unwrap().to_owned()).collect()
}

/// The crates of a lock file, for whatever platform.
fn locked(file: &str) -> Vec<toml::Value> {
    read(file)["package"].as_array().unwrap().clone()
}

/// Name and licence of each crate that is built here, for the exporter or its tests. (A lock file also has what
/// nobody asks for.)
fn built() -> Vec<(String, String)> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["tree", "--locked", "--offline", "--prefix=none", "--edges=normal,build,dev", "--format={p}\t{l}"]);
    let output = cargo.current_dir(ROOT).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let all: BTreeSet<(String, String)> = text
        .lines()
        .map(|line| line.trim_end_matches(" (*)").split_once('\t').unwrap())
        .map(|(package, licence)| (package.split(' ').next().unwrap().to_owned(), licence.to_owned()))
        .collect();
    assert!(all.len() > 100, "{text}");
    all.into_iter().collect()
}

/// The licences that one may choose to obey, out of an SPDX expression; `None` if none of the choices is allowed.
fn choice(expression: &str, allowed: &[String]) -> Option<BTreeSet<String>> {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let (chosen, rest) = any(&words, allowed);
    assert!(rest.is_empty(), "{expression}: {rest:?}");
    chosen
}

type Read<'a, 'w> = (Option<BTreeSet<String>>, &'a [&'w str]);

/// `a OR b`: the first that is allowed.
fn any<'a, 'w>(words: &'a [&'w str], allowed: &[String]) -> Read<'a, 'w> {
    let (mut chosen, mut rest) = all(words, allowed);
    while let ["OR", others @ ..] = rest {
        let (other, after) = all(others, allowed);
        (chosen, rest) = (chosen.or(other), after);
    }
    (chosen, rest)
}

/// `a AND b`: both must be allowed. It binds tighter than OR.
fn all<'a, 'w>(words: &'a [&'w str], allowed: &[String]) -> Read<'a, 'w> {
    let (mut chosen, mut rest) = one(words, allowed);
    while let ["AND", others @ ..] = rest {
        let (other, after) = one(others, allowed);
        chosen = chosen.zip(other).map(|(chosen, other)| chosen.into_iter().chain(other).collect());
        rest = after;
    }
    (chosen, rest)
}

fn one<'a, 'w>(words: &'a [&'w str], allowed: &[String]) -> Read<'a, 'w> {
    let (name, rest) = match words {
        ["(", inner @ ..] => {
            let (chosen, rest) = any(inner, allowed);
            return (chosen, rest.strip_prefix(&[")"]).unwrap());
        }
        [name, "WITH", exception, rest @ ..] => (format!("{name} WITH {exception}"), rest),
        [name, rest @ ..] => ((*name).to_owned(), rest),
        [] => panic!("an expression ends too early"),
    };
    (allowed.contains(&name).then(|| BTreeSet::from([name])), rest)
}

#[test]
fn every_licence_is_allowed_and_every_allowance_needed() {
    let allowed = allowed("licenses", "allow");
    let mut used = BTreeSet::new();
    for (name, licence) in built() {
        used.extend(choice(&licence, &allowed).unwrap_or_else(|| panic!("{name}: {licence} is not allowed")));
    }
    assert_eq!(used, allowed.into_iter().collect(), "used, and allowed in deny.toml");
}

#[test]
fn licences_are_read_as_spdx_has_it() {
    let allowed = ["MIT", "ISC"].map(str::to_owned);
    for (expression, expected) in [
        ("MIT", Some("MIT")),
        ("GPL-3.0", None),
        ("GPL-3.0 OR MIT", Some("MIT")),
        ("GPL-3.0/ISC", Some("ISC")),
        ("GPL-3.0 AND MIT", None),
        ("GPL-3.0 OR ISC AND MIT", Some("ISC MIT")),
        ("(GPL-3.0 OR ISC) AND MIT", Some("ISC MIT")),
        ("(MIT OR ISC) AND GPL-3.0", None),
        ("MIT WITH LLVM-exception", None),
        ("MIT WITH LLVM-exception OR ISC", Some("ISC")),
    ] {
        let chosen = choice(expression, &allowed).map(|chosen| chosen.into_iter().collect::<Vec<_>>().join(" "));
        assert_eq!(chosen.as_deref(), expected, "{expression}");
    }
}

#[test]
fn nothing_banned_is_built() {
    let deny = read("deny.toml")["bans"]["deny"].as_array().unwrap().clone();
    let banned: BTreeSet<&str> = deny.iter().map(|ban| ban["crate"].as_str().unwrap()).collect();
    assert!(["openssl-sys", "ring", "h2"].iter().all(|name| banned.contains(name)));
    for (name, _) in built() {
        assert!(!banned.contains(name.as_str()), "{name} is banned; `cargo tree --invert {name}` tells who wants it");
    }
}

#[test]
fn everything_comes_from_where_it_may() {
    let allowed = allowed("sources", "allow-registry");
    for file in ["Cargo.lock", "fuzz/Cargo.lock"] {
        for package in locked(file) {
            let name = package["name"].as_str().unwrap();
            let source = package.get("source").and_then(toml::Value::as_str);
            let own = name.starts_with("mail_endpoint_exporter");
            let registry = source.and_then(|source| source.strip_prefix("registry+"));
            let ok =
                if own { source.is_none() } else { registry.is_some_and(|from| allowed.iter().any(|a| a == from)) };
            assert!(ok, "{file}: {name} comes from {source:?}");
        }
    }
}
