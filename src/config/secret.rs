//! A password or a token, from a file or from the environment. What is wrong with one is said without a letter of it.

use std::path::Path;

use zeroize::Zeroizing;

use super::bounded;
use super::file::Node;
use super::reader::Source;
use super::values::{file_name, text};
use crate::mail::secret::Secret;

/// The longest that one may be: longer than any token.
const MAX_SECRET: usize = 16 * 1024;

/// The content of the file that a key names.
pub(super) fn from_file(source: &mut Source, node: &Node) -> Result<Secret, String> {
    let path = source.relative(&file_name(node)?);
    source.used.push(path.clone());
    let content = content(&path).map_err(|why| format!("{} {why}", path.display()))?;
    Ok(without_line_end(content))
}

/// What the variable holds that a key names.
pub(super) fn from_environment(node: &Node) -> Result<Secret, String> {
    let name = text(node)?;
    let is_name = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_';
    if name.is_empty() || !name.bytes().all(is_name) {
        // Not shown: it may be the password.
        return Err("this is no name of a variable: write one in capitals, such as SMTP_PASSWORD".into());
    }
    let value = std::env::var_os(&name).ok_or_else(|| format!("the environment has no variable {name}"))?;
    Ok(without_line_end(Zeroizing::new(value.into_encoded_bytes())))
}

fn content(path: &Path) -> Result<Zeroizing<Vec<u8>>, String> {
    let content = bounded::regular(path, MAX_SECRET);
    content.map(Zeroizing::new).map_err(|why| format!("{why}: name a file that holds the secret alone"))
}

/// Editors and `echo` end a file with a line end, which is no part of the secret.
fn without_line_end(content: Zeroizing<Vec<u8>>) -> Secret {
    let line = content.strip_suffix(b"\n").unwrap_or(&content);
    Secret::new(line.strip_suffix(b"\r").unwrap_or(line).to_vec())
}
