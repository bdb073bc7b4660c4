//! A password or a token, from a file or from the environment. What is wrong with one is said without a letter of it.

use std::io::Read as _;
use std::path::Path;

use zeroize::Zeroizing;

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
    let unreadable = |error| format!("cannot be read: {error}");
    // Opening a pipe would wait for somebody to write into it, and a device has no end.
    if !std::fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err("is no file: name one that holds the secret alone".into());
    }
    // At its full size from the start, so that no copy stays behind.
    let mut content = Zeroizing::new(Vec::with_capacity(MAX_SECRET.saturating_add(2)));
    let most = u64::try_from(MAX_SECRET).unwrap_or(u64::MAX).saturating_add(1);
    std::fs::File::open(path).and_then(|file| file.take(most).read_to_end(&mut content)).map_err(unreadable)?;
    if content.len() > MAX_SECRET { Err("is longer than 16 KiB: is it the right file?".into()) } else { Ok(content) }
}

/// Editors and `echo` end a file with a line end, which is no part of the secret.
fn without_line_end(content: Zeroizing<Vec<u8>>) -> Secret {
    let line = content.strip_suffix(b"\n").unwrap_or(&content);
    Secret::new(line.strip_suffix(b"\r").unwrap_or(line).to_vec())
}
