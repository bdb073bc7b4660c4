//! YAML: the only file that knows it.
//!
//! A file is read into a tree of [`Node`]s first and converted afterwards, so that every error in it can
//! be reported at once, and so that a key that stands twice is seen (YAML libraries keep the last and say
//! nothing). Lines are looked up only when there is something to report.

use std::fmt;

use serde::Deserialize;
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

/// The longest file read.
pub(super) const MAX_FILE: usize = 16 * 1024 * 1024;

/// A value in a file.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    /// Nothing, `~` or `null`.
    Null,
    /// A scalar, as text, whatever YAML takes it for: `1.2` and `"1.2"` are the same. A number is written anew, so
    /// that `1.10` without quotes is `1.1`.
    Scalar(String),
    /// A list.
    List(Vec<Node>),
    /// A mapping in its order, with repeated keys.
    Map(Vec<(String, Node)>),
}

impl Node {
    /// What it is, for a message.
    pub(super) fn kind(&self) -> String {
        match self {
            Self::Null => "nothing".into(),
            // Possibly a key: it is not shown.
            Self::Scalar(text) if text.contains("-----BEGIN") => "a PEM text".into(),
            Self::Scalar(text) => format!("{text:?}"),
            Self::List(_) => "a list".into(),
            Self::Map(_) => "a mapping".into(),
        }
    }
}

/// Reads a file's text.
pub(super) fn parse(text: &str) -> Result<Node, (Option<Place>, String)> {
    serde_yaml::from_str(text).map_err(|error| {
        let place = error.location().map(|at| Place { line: at.line(), column: at.column() });
        let message = error.to_string();
        if place.is_none() && message.contains("more than one document") {
            return (second_document(text), "a second document begins here: put it into another file".to_owned());
        }
        // The library repeats the place at the end of its message.
        (place, message.split(" at line ").next().unwrap_or(&message).to_owned())
    })
}

/// Where the second of several documents begins, which the library does not tell: `---` behind any content.
fn second_document(text: &str) -> Option<Place> {
    let is_content =
        |line: &str| !line.trim().is_empty() && !["#", "%", "---"].iter().any(|mark| line.starts_with(mark));
    let mut lines = text.lines().zip(1..).skip_while(|(line, _)| !is_content(line));
    lines.find(|(line, _)| line.starts_with("---")).map(|(_, line)| Place { line, column: 1 })
}

/// A place in a file, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

/// One step down the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Into the value of a key: the `n`th of that name, counted from 0.
    Key(String, usize),
    /// Into an item of a list.
    Item(usize),
}

/// Where the value (or, with `key`, the last key itself) of a path stands.
pub(super) fn locate(text: &str, path: &[Step], key: bool) -> Option<Place> {
    let walk = Walk { path, key };
    let at = walk.deserialize(serde_yaml::Deserializer::from_str(text)).err()?.location()?;
    Some(Place { line: at.line(), column: at.column() })
}

struct NodeVisitor;

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    /// What an empty file is.
    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Scalar(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Scalar(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Scalar(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Scalar(format!("{value:?}")))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Scalar(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Node, A::Error> {
        let mut map = Vec::new();
        while let Some(key) = entries.next_key::<Node>()? {
            let Node::Scalar(key) = key else { return Err(de::Error::custom("a key must be a word")) };
            map.push((key, entries.next_value()?));
        }
        Ok(Node::Map(map))
    }
}

/// Walks down a path and fails at its end: the library's error then tells the place.
struct Walk<'a> {
    path: &'a [Step],
    key: bool,
}

/// Fails at a key that has been found; passes over all others.
struct KeyWalk<'a> {
    wanted: Option<&'a str>,
    /// How many of that name stand before it.
    before: &'a mut usize,
}

fn here<E: de::Error>() -> E {
    E::custom("here")
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a path")
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        Err(here())
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<(), E> {
        Err(here())
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<(), E> {
        Err(here())
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<(), E> {
        Err(here())
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<(), E> {
        Err(here())
    }

    fn visit_str<E: de::Error>(self, _: &str) -> Result<(), E> {
        Err(here())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let Some((Step::Item(wanted), rest)) = self.path.split_first() else { return Err(here()) };
        for _ in 0..*wanted {
            items.next_element::<de::IgnoredAny>()?;
        }
        items.next_element_seed(Walk { path: rest, key: self.key })?;
        Err(here())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let Some((Step::Key(wanted, nth), rest)) = self.path.split_first() else { return Err(here()) };
        let key_itself = self.key && rest.is_empty();
        let mut before = *nth;
        loop {
            let fail_at = key_itself.then_some(wanted.as_str());
            let Some(key) = entries.next_key_seed(KeyWalk { wanted: fail_at, before: &mut before })? else {
                return Err(here());
            };
            if !key_itself && key == *wanted && before == 0 {
                entries.next_value_seed(Walk { path: rest, key: self.key })?;
                return Err(here());
            }
            if !key_itself && key == *wanted {
                before = before.saturating_sub(1);
            }
            entries.next_value::<de::IgnoredAny>()?;
        }
    }
}

impl<'de> DeserializeSeed<'de> for KeyWalk<'_> {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for KeyWalk<'_> {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: de::Error>(self, key: &str) -> Result<String, E> {
        if self.wanted == Some(key) {
            *self.before = self.before.checked_sub(1).ok_or_else(here)?;
        }
        Ok(key.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "a: 1\nb:\n  - x\n  - y: 1.2\n    z: [1, 2]\na: 2\n";

    fn key(name: &str, nth: usize) -> Step {
        Step::Key(name.into(), nth)
    }

    #[test]
    fn repeated_keys_are_kept() {
        let Node::Map(entries) = parse(TEXT).unwrap() else { panic!("no map") };
        assert_eq!(entries.iter().map(|(key, _)| key.as_str()).collect::<String>(), "aba");
    }

    #[test]
    fn places_of_values_and_keys() {
        let line = |path: &[Step], key| locate(TEXT, path, key).map(|place| (place.line, place.column));
        assert_eq!(line(&[key("a", 0)], false), Some((1, 4)));
        assert_eq!(line(&[key("a", 1)], true), Some((6, 1)));
        assert_eq!(line(&[key("a", 1)], false), Some((6, 4)));
        assert_eq!(line(&[key("b", 0), Step::Item(1), key("y", 0)], false), Some((4, 8)));
        assert_eq!(line(&[key("b", 0), Step::Item(1), key("z", 0), Step::Item(1)], false), Some((5, 12)));
        assert_eq!(line(&[key("b", 0)], true), Some((2, 1)));
    }

    #[test]
    fn broken_yaml_has_a_place() {
        let (place, message) = parse("a: [1,\nb: 2\n").unwrap_err();
        assert!(place.is_some(), "{message}");
    }

    #[test]
    fn a_second_document_has_a_place() {
        let (place, message) = parse("a: 1\n---\nb: 2\n").unwrap_err();
        assert_eq!(place, Some(Place { line: 2, column: 1 }), "{message}");
        assert!(message.starts_with("a second document begins here"), "{message}");
    }

    #[test]
    fn aliases_that_multiply_are_refused() {
        let mut bomb = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
        for n in 1..12 {
            let previous = vec![format!("*a{}", n - 1); 10].join(",");
            bomb.push_str(&format!("a{n}: &a{n} [{previous}]\n"));
        }
        assert!(parse(&bomb).is_err());
    }
}
