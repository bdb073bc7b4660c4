//! The files beside the main one, and whether they have changed.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// What a configuration was made of, besides its main file.
#[derive(Clone, Debug, Default)]
pub struct Watched {
    /// The patterns of `target_files`.
    pub(super) patterns: Vec<PathBuf>,
    /// Certificates and keys.
    pub(super) files: Vec<PathBuf>,
}

/// What could be seen of the files at one time, without reading them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint(Vec<(PathBuf, Option<(SystemTime, u64)>)>);

impl Fingerprint {
    /// Something that no look is equal to.
    pub fn none() -> Self {
        Self(vec![(PathBuf::new(), None)])
    }

    /// Whether a file was changed at this time or later.
    pub fn is_newer_than(&self, time: SystemTime) -> bool {
        self.0.iter().any(|(_, seen)| seen.is_some_and(|(modified, _)| modified >= time))
    }
}

impl Watched {
    /// Looks at all files. Two looks that differ mean that something has changed.
    pub fn look(&self) -> Fingerprint {
        let matched = self.patterns.iter().flat_map(|pattern| matches(pattern).unwrap_or_default());
        let look = |path: PathBuf| {
            let seen = std::fs::metadata(&path).ok().and_then(|data| Some((data.modified().ok()?, data.len())));
            (path, seen)
        };
        Fingerprint(self.files.iter().cloned().chain(matched).map(look).collect())
    }
}

/// The files of a pattern; a path without wildcards is itself, whether it exists or not.
pub(super) fn matches(pattern: &Path) -> Result<Vec<PathBuf>, String> {
    let text = pattern.to_string_lossy();
    if !text.contains(['*', '?', '[']) {
        return Ok(vec![pattern.to_owned()]);
    }
    let found = glob::glob(&text).map_err(|error| format!("{text:?} is no file pattern: {error}"))?;
    found.collect::<Result<_, _>>().map_err(|error| format!("{text:?} cannot be looked up: {error}"))
}
