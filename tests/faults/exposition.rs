//! A reader of OpenMetrics text that lets nothing pass: the grammar of names, labels, escapes and values, each
//! family once and in one piece, no series twice, and the end mark.
//!
//! It is written from the specification (OpenMetrics 1.0, "ABNF" and "Overall Structure") and shares nothing
//! with the writer it reads.

use std::collections::{BTreeMap, BTreeSet};

/// A sample: its name, its labels in order of name, its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    pub name: String,
    pub labels: BTreeMap<String, String>,
    pub value: f64,
}

/// What is known of a family.
#[derive(Default)]
struct Family {
    kind: String,
    described: BTreeSet<String>,
}

/// All samples, or what is wrong first, and in which line.
pub fn read(text: &str) -> Result<Vec<Sample>, String> {
    let body = text.strip_suffix("# EOF\n").ok_or("no end mark")?;
    let (mut samples, mut seen) = (Vec::new(), BTreeSet::new());
    let (mut families, mut current) = (BTreeMap::<String, Family>::new(), String::new());
    for line in body.split_terminator('\n') {
        let at = |why: String| format!("{why}: {line:?}");
        if let Some(described) = line.strip_prefix("# ") {
            let (word, rest) = described.split_once(' ').ok_or_else(|| at("half a description".into()))?;
            let (name, what) = rest.split_once(' ').unwrap_or((rest, ""));
            if name != current {
                if families.contains_key(name) {
                    return Err(at("the family comes in two pieces".into()));
                }
                name.clone_into(&mut current);
            }
            describe(families.entry(name.to_owned()).or_default(), name, word, what).map_err(at)?;
            continue;
        }
        let sample = sample(line).map_err(at)?;
        let family = families.get(&current).ok_or_else(|| at("no family".into()))?;
        if !belongs(&sample.name, &current, &family.kind) {
            return Err(at(format!("no sample of {current}")));
        }
        if !seen.insert(format!("{} {:?}", sample.name, sample.labels)) {
            return Err(at("the series comes twice".into()));
        }
        samples.push(sample);
    }
    Ok(samples)
}

fn describe(family: &mut Family, name: &str, word: &str, what: &str) -> Result<(), String> {
    if !is_name(name, true) || !family.described.insert(word.to_owned()) {
        return Err("a bad name, or described twice".into());
    }
    match word {
        "TYPE" if ["gauge", "counter", "histogram", "info", "unknown"].contains(&what) => {
            what.clone_into(&mut family.kind)
        }
        "HELP" => drop(unescape(what)?),
        "UNIT" if name.ends_with(&format!("_{what}")) => {}
        _ => return Err("no such description".into()),
    }
    Ok(())
}

/// Which names the samples of a family may have.
fn belongs(sample: &str, family: &str, kind: &str) -> bool {
    let suffixes: &[&str] = match kind {
        "counter" => &["_total", "_created"],
        "histogram" => &["_bucket", "_sum", "_count", "_created"],
        "info" => &["_info"],
        _ => &[""],
    };
    sample.strip_prefix(family).is_some_and(|suffix| suffixes.contains(&suffix))
}

fn sample(line: &str) -> Result<Sample, String> {
    let end = line.find(['{', ' ']).ok_or("no value")?;
    let (name, mut rest) = line.split_at(end);
    let mut labels = BTreeMap::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        while !rest.starts_with('}') {
            let (label, after) = rest.split_once("=\"").ok_or("no label")?;
            let end = closing_quote(after).ok_or("a label without an end")?;
            if !is_name(label, false) || labels.insert(label.to_owned(), unescape(&after[..end])?).is_some() {
                return Err(format!("a bad label, or twice: {label}"));
            }
            rest = &after[end + 1..];
            rest = match rest.strip_prefix(',') {
                Some(next) if !next.starts_with('}') => next,
                None if rest.starts_with('}') => rest,
                _ => return Err("labels without a comma between them".into()),
            };
        }
        rest = &rest[1..];
    }
    let value = rest.strip_prefix(' ').ok_or("no space before the value")?;
    if !is_name(name, true) || value.is_empty() || value.contains(' ') {
        return Err("a bad name or value".into());
    }
    Ok(Sample { name: name.to_owned(), labels, value: value.parse().map_err(|_| "no number")? })
}

/// The place of the first quote that is not escaped.
fn closing_quote(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.char_indices().find_map(|(at, c)| {
        let ends = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        ends.then_some(at)
    })
}

/// `\\`, `\"` and `\n` are the only escapes, and only `\n` may stand for a newline.
fn unescape(text: &str) -> Result<String, String> {
    let (mut out, mut rest) = (String::new(), text.chars());
    while let Some(c) = rest.next() {
        out.push(match (c, c == '\\') {
            (_, false) => c,
            _ => match rest.next() {
                Some('n') => '\n',
                Some(c @ ('\\' | '"')) => c,
                other => return Err(format!("no such escape: {other:?}")),
            },
        });
    }
    Ok(out)
}

fn is_name(name: &str, colons: bool) -> bool {
    let first = name.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_' || (colons && b == b':'));
    first && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || (colons && b == b':'))
}

#[test]
fn the_reader_is_strict() {
    let good =
        "# HELP a x \\n \\\\\n# TYPE a gauge\na{b=\"\\\"}\\n\",c=\"é\"} 1.5\na 2\n# TYPE n counter\nn_total 1\n# EOF\n";
    let samples = read(good).unwrap();
    assert_eq!(samples[0].labels["b"], "\"}\n");
    assert_eq!((samples.len(), samples[1].value), (3, 2.0));
    for bad in [
        "a 1\n# EOF\n",
        "# TYPE a gauge\na 1\n",
        "# TYPE a gauge\na 1\na 1\n# EOF\n",
        "# TYPE a gauge\na{b=\"x\ny\"} 1\n# EOF\n",
        "# TYPE a gauge\na{b=\"\\t\"} 1\n# EOF\n",
        "# TYPE a gauge\na{b=\"x\"y\"} 1\n# EOF\n",
        "# TYPE a gauge\na{b=\"1\",b=\"2\"} 1\n# EOF\n",
        "# TYPE a gauge\na{b=\"1\",} 1\n# EOF\n",
        "# TYPE a gauge\na{b=\"1\"}1\n# EOF\n",
        "# TYPE a gauge\na one\n# EOF\n",
        "# TYPE a gauge\nb 1\n# EOF\n",
        "# TYPE a counter\na 1\n# EOF\n",
        "# TYPE a gauge\na 1\n# TYPE b gauge\nb 1\n# TYPE a gauge\n# EOF\n",
        "# TYPE a gauge\n# TYPE a gauge\n# EOF\n",
        "# TYPE 1a gauge\n# EOF\n",
    ] {
        assert!(read(bad).is_err(), "{bad}");
    }
}
