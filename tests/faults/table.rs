//! `tests/FAULTS.md`: what happens in each fault, as a table out of the rows, and that no number is missing.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use super::elsewhere::{ELSEWHERE, LISTED};
use super::kit::Row;

/// The groups: letter, title, how many numbers, and the rows played here.
type Group = (char, &'static str, usize, fn() -> Vec<Row>);

const GROUPS: &[Group] = &[
    ('A', "The connection", 20, super::tcp::rows),
    ('B', "The greeting", 20, super::greeting::rows),
    ('C', "EHLO and HELO", 20, super::ehlo::rows),
    ('D', "STARTTLS", 16, super::starttls::rows),
    ('G', "Inside TLS, and the farewell", 9, super::after_tls::rows),
    ('H', "The name", 18, super::dns::rows),
    ('I', "The machine", 14, Vec::new),
    ('J', "The scrape", 15, Vec::new),
    ('K', "The exporter as a target", 12, Vec::new),
    ('L', "Green or red for the wrong reason", 11, Vec::new),
];

const HEAD: &str = "\
# Faults

What servers and networks do, how a probe ends then, what it still knows and what it said. Written from the rows of \
`tests/faults/` by `UPDATE=1 cargo test --test faults`; each row is played by `cargo test --test faults`.

Whatever happens, every probe is held to this: one outcome, within the deadline; one connection, closed by us; at most \
1 KiB sent in clear; EHLO, HELO, STARTTLS and QUIT alone, in legal order, none of them before the whole greeting or \
into a handshake that failed; text, JSON and metrics without a character that does not print, the metrics read by a \
strict parser.

E (TLS) and F (certificates) are in [FAULTS_TLS.md](FAULTS_TLS.md). What needs a real host (`tests/real_*.rs`) is run by \
`tests/real.sh`.

";

fn text() -> String {
    let mut out = HEAD.to_owned();
    out.push_str("| group | numbers | rows played here | held by other tests | not played, with the reason |\n| --- | --- | --- | --- | --- |\n");
    for (letter, title, count, rows) in GROUPS {
        let of = |ids: Vec<&str>| ids.into_iter().filter(|id| id.starts_with(*letter)).count();
        let elsewhere = of(ELSEWHERE.iter().map(|(id, ..)| *id).collect());
        let listed = of(LISTED.iter().map(|(id, ..)| *id).collect());
        writeln!(out, "| {letter}: {title} | {count} | {} | {elsewhere} | {listed} |", rows().len()).unwrap();
    }
    for (letter, title, _, rows) in GROUPS {
        write!(out, "\n## {letter}: {title}\n").unwrap();
        played(&mut out, rows());
        elsewhere(&mut out, *letter);
        listed(&mut out, *letter);
    }
    out
}

fn played(out: &mut String, mut rows: Vec<Row>) {
    if rows.is_empty() {
        return;
    }
    rows.sort_by_key(|row| number(row.id));
    out.push_str("\n| | what happens | the probe ends | it still knows | it said |\n| --- | --- | --- | --- | --- |\n");
    for row in rows {
        let kept = if row.kept.is_empty() { String::new() } else { format!("`{}`", row.kept) };
        writeln!(out, "| {} | {} | {} | {kept} | {} |", row.id, row.what, row.ends, row.said).unwrap();
    }
}

fn elsewhere(out: &mut String, letter: char) {
    let mut rows: Vec<_> = ELSEWHERE.iter().filter(|(id, ..)| id.starts_with(letter)).collect();
    rows.sort_by_key(|(id, ..)| number(id));
    if !rows.is_empty() {
        out.push_str("\n| | what happens | held by |\n| --- | --- | --- |\n");
    }
    for (id, what, tests) in rows {
        let tests: Vec<String> = tests
            .iter()
            .map(|(file, name)| match name.contains('_') {
                true => format!("`{name}` ({file})"),
                false => file.to_string(),
            })
            .collect();
        writeln!(out, "| {id} | {what} | {} |", tests.join(", ")).unwrap();
    }
}

fn listed(out: &mut String, letter: char) {
    let mut rows = LISTED.iter().filter(|(id, ..)| id.starts_with(letter)).peekable();
    if rows.peek().is_some() {
        out.push_str("\n| | what happens | not played here, because |\n| --- | --- | --- |\n");
    }
    for (id, what, why) in rows {
        writeln!(out, "| {id} | {what} | {why} |").unwrap();
    }
}

fn number(id: &str) -> usize {
    id[1..].parse().unwrap()
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_table_is_current() {
    let path = root().join("tests/FAULTS.md");
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, text()).unwrap();
    }
    let current = fs::read_to_string(&path).unwrap_or_default() == text();
    assert!(current, "tests/FAULTS.md is not what the rows say: UPDATE=1 cargo test --test faults");
}

#[test]
fn no_number_is_missing() {
    for (letter, _, count, rows) in GROUPS {
        let rows = rows();
        let known: BTreeSet<&str> = rows
            .iter()
            .map(|row| row.id)
            .chain(ELSEWHERE.iter().map(|(id, ..)| *id))
            .chain(LISTED.iter().map(|(id, ..)| *id))
            .filter(|id| id.starts_with(*letter))
            .collect();
        let wanted: Vec<String> = (1..=*count).map(|number| format!("{letter}{number}")).collect();
        let missing: Vec<_> = wanted.iter().filter(|id| !known.contains(id.as_str())).collect();
        assert!(missing.is_empty(), "neither played nor listed: {missing:?}");
        assert_eq!(known.len(), *count, "{letter} has a number beyond {count}");
    }
}

#[test]
fn tests_that_are_named_exist() {
    for (id, _, tests) in ELSEWHERE {
        for (file, name) in *tests {
            let text = fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{id}: {file}: {error}"));
            assert!(text.contains(name), "{id}: {file} has no {name}");
        }
    }
}
