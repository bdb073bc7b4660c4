//! Walks a file's tree, converts its values and collects every problem on the way.

use std::fmt;
use std::path::{Path, PathBuf};

use super::bounded;
use super::file::{self, Node, Place, Step};

/// One thing that is wrong, and what to write instead.
#[derive(Clone, Debug)]
pub struct Problem {
    /// The file.
    pub file: PathBuf,
    /// Where in it; `None` when the file as a whole is meant.
    pub place: Option<Place>,
    /// The path of the value, such as `targets[0].ports[1]`; empty for the whole file.
    pub path: String,
    /// What is wrong and what to write.
    pub message: String,
}

impl fmt::Display for Problem {
    /// `mail.yml:12:5: targets[0].ports[1]: "x" is no port: write a number from 1 to 65535`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(place) = self.place {
            write!(f, ":{}:{}", place.line, place.column)?;
        }
        if !self.path.is_empty() {
            write!(f, ": {}", self.path)?;
        }
        write!(f, ": {}", self.message)
    }
}

/// A file that is being read.
pub(super) struct Source {
    pub path: PathBuf,
    text: String,
    pub problems: Vec<Problem>,
    /// The files named in it that were read.
    pub used: Vec<PathBuf>,
}

impl Source {
    /// Reads and parses. Problems of this step leave no tree.
    pub(super) fn open(path: &Path) -> Result<(Self, Node), Problem> {
        let whole = |message| Problem { file: path.to_owned(), place: None, path: String::new(), message };
        Self::of(path, read(path).map_err(whole)?)
    }

    /// Parses a text that was read from a file.
    pub(super) fn of(path: &Path, text: String) -> Result<(Self, Node), Problem> {
        let root = file::parse(&text).map_err(|(place, message)| {
            let message = format!("this is no valid YAML: {message}");
            Problem { file: path.to_owned(), place, path: String::new(), message }
        })?;
        Ok((Self { path: path.to_owned(), text, problems: Vec::new(), used: Vec::new() }, root))
    }

    /// The file's text.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// A path in the file is relative to the file.
    pub(super) fn relative(&self, name: &str) -> PathBuf {
        self.path.parent().unwrap_or(Path::new("")).join(name)
    }

    pub(super) fn problem(&mut self, at: &At, message: impl Into<String>) {
        let place = file::locate(&self.text, &at.steps, at.key);
        self.problems.push(Problem { file: self.path.clone(), place, path: at.to_string(), message: message.into() });
    }
}

/// Reads a text; the error says why it cannot be used.
pub(super) fn read(path: &Path) -> Result<String, String> {
    let bytes = bounded::any(path, file::MAX_FILE).map_err(|why| format!("the file {why}"))?;
    String::from_utf8(bytes).map_err(|_| "the file cannot be read: it is not UTF-8".to_owned())
}

/// A path in a file.
#[derive(Clone, Debug, Default)]
pub(super) struct At {
    steps: Vec<Step>,
    /// The last key itself is meant, not its value.
    key: bool,
}

impl At {
    pub(super) fn item(&self, number: usize) -> Self {
        self.down(Step::Item(number))
    }

    fn down(&self, step: Step) -> Self {
        let mut steps = self.steps.clone();
        steps.push(step);
        Self { steps, key: false }
    }

    fn key(&self, name: &str, nth: usize) -> Self {
        Self { key: true, ..self.down(Step::Key(name.to_owned(), nth)) }
    }
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, step) in self.steps.iter().enumerate() {
            match step {
                Step::Key(name, _) if number == 0 => f.write_str(name)?,
                Step::Key(name, _) => write!(f, ".{name}")?,
                Step::Item(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

/// A mapping of which the keys are taken one by one; what is left over is an error.
pub(super) struct Entries<'n> {
    at: At,
    entries: &'n [(String, Node)],
    known: Vec<&'static str>,
}

impl<'n> Entries<'n> {
    /// The mapping at a place. Anything else there is a problem, and reads as an empty mapping.
    pub(super) fn of(source: &mut Source, node: &'n Node, at: At) -> Self {
        let entries = match node {
            Node::Map(entries) => entries.as_slice(),
            Node::Null => &[],
            other => {
                source.problem(&at, format!("{} stands here: write a mapping (`key: value` lines)", other.kind()));
                &[]
            }
        };
        let entries = Self { at, entries, known: Vec::new() };
        entries.repeated(source);
        entries
    }

    fn repeated(&self, source: &mut Source) {
        for (number, (name, _)) in self.entries.iter().enumerate() {
            let before = self.entries.iter().take(number).filter(|(other, _)| other == name).count();
            if before > 0 {
                source.problem(&self.at.key(name, before), "this key stands twice: remove one of them");
            }
        }
    }

    /// The value of a key, and where it is. `key: null` is the same as no key.
    pub(super) fn get(&mut self, name: &'static str) -> Option<(&'n Node, At)> {
        if !self.known.contains(&name) {
            self.known.push(name);
        }
        let (_, node) = self.entries.iter().find(|(key, _)| key == name)?;
        (*node != Node::Null).then(|| (node, self.at.down(Step::Key(name.to_owned(), 0))))
    }

    /// The value of a key, converted. A value that cannot be is a problem, and reads as absent.
    pub(super) fn read<T>(
        &mut self,
        source: &mut Source,
        name: &'static str,
        convert: impl FnOnce(&Node) -> Result<T, String>,
    ) -> Option<T> {
        let (node, at) = self.get(name)?;
        convert(node).map_err(|message| source.problem(&at, message)).ok()
    }

    /// Like [`Self::read`], for a key that must be there.
    pub(super) fn require<T>(
        &mut self,
        source: &mut Source,
        name: &'static str,
        example: &str,
        convert: impl FnOnce(&Node) -> Result<T, String>,
    ) -> Option<T> {
        if self.get(name).is_none() {
            self.missing(source, name, example);
        }
        self.read(source, name, convert)
    }

    /// A key that must be there is not.
    pub(super) fn missing(&self, source: &mut Source, name: &str, example: &str) {
        source.problem(&self.at, format!("`{name}` is missing: write `{name}: {example}`"));
    }

    /// Every entry, for mappings whose keys are the user's own.
    pub(super) fn all(&self) -> impl Iterator<Item = (&'n str, &'n Node, At)> + use<'n> {
        let at = self.at.clone();
        self.entries.iter().map(move |(name, node)| (name.as_str(), node, at.down(Step::Key(name.clone(), 0))))
    }

    /// Keys that nobody asked for are problems.
    pub(super) fn finish(self, source: &mut Source) {
        for (name, _) in self.entries {
            if !self.known.contains(&name.as_str()) {
                let near = nearest(name, &self.known);
                let hint = match near {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("known keys here are {}", self.known.join(", ")),
                };
                source.problem(&self.at.key(name, 0), format!("unknown key: {hint}"));
            }
        }
    }
}

/// The word that was probably meant.
pub(super) fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let distance = |other: &&&str| strsim::osa_distance(word, other);
    known.iter().min_by_key(distance).filter(|best| distance(best) <= 2.max(word.len() / 3)).copied()
}

/// A list, or a problem and an empty one.
pub(super) fn list<'n>(source: &mut Source, node: &'n Node, at: &At) -> &'n [Node] {
    match node {
        Node::List(items) => items,
        other => {
            source.problem(
                at,
                format!("{} stands here: write a list ([a, b], or lines that begin with `- `)", other.kind()),
            );
            &[]
        }
    }
}
