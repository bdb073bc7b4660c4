//! The files that a web configuration was made of, and whether they have changed since.
//!
//! They are compared by content, not by date: secrets that an orchestrator mounts change in ways that dates
//! do not show, and what was read is what counts, not what lay there a moment later.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA256, digest};

use crate::config::bounded;

/// The longest file read.
const MAX_FILE: usize = 4 * 1024 * 1024;

/// Every file that was asked for, with a digest of what was found.
#[derive(Clone, Debug, Default)]
pub struct Origin(Vec<(PathBuf, Option<[u8; 32]>)>);

impl Origin {
    /// Whether a file is not what it was when it was read. Reads all of them.
    pub fn has_changed(&self) -> bool {
        self.0.iter().any(|(path, found)| look(path).ok().map(|content| sha256(&content)) != *found)
    }

    /// Reads a file and remembers what it was; that it could not be read is remembered too.
    pub(super) fn read(&mut self, path: &Path) -> io::Result<Vec<u8>> {
        let content = look(path);
        self.0.push((path.to_owned(), content.as_deref().ok().map(sha256)));
        content
    }
}

fn look(path: &Path) -> io::Result<Vec<u8>> {
    // A pipe would make us wait for ever, and has its content only once.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    let too_large = || io::Error::other(format!("it is larger than {}", bounded::size(MAX_FILE)));
    bounded::up_to(path, MAX_FILE)?.ok_or_else(too_large)
}

fn sha256(content: &[u8]) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest(&SHA256, content).as_ref());
    bytes
}
