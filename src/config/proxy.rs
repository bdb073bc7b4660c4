//! `proxy`, and the password for it, which comes from a file or the environment and from nowhere else.

use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use super::file::Node;
use super::reader::{At, Entries, Source};
use super::values::text;
use crate::mail::secret::Secret;
use crate::proxy::Proxy;

/// The longest password file.
const MAX_FILE: u64 = 4096;

/// The keys of a module that are about its proxy, over what holds where they say nothing.
pub(super) fn proxy(source: &mut Source, entries: &mut Entries<'_>, base: Option<Arc<Proxy>>) -> Option<Arc<Proxy>> {
    let named = entries.get("proxy");
    let (file, variable) = (entries.get("proxy_password_file"), entries.get("proxy_password_env"));
    let Some((node, at)) = named else {
        if let Some((_, at)) = file.or(variable) {
            source.problem(&at, "this is the password of no proxy: write `proxy: socks5://user@host:port` too");
        }
        return base;
    };
    let parsed = text(node).and_then(|text| Proxy::parse(&text));
    let proxy = parsed.map_err(|why| source.problem(&at, why)).ok()?;
    let proxy = match (file, variable) {
        (Some(_), Some((_, at))) => {
            source.problem(&at, "the password is named twice: keep proxy_password_file or proxy_password_env");
            return None;
        }
        (Some((node, at)), None) => with(source, proxy, &at, |source| from_file(source, node))?,
        (None, Some((node, at))) => with(source, proxy, &at, |_| from_environment(node))?,
        (None, None) => proxy,
    };
    if proxy.lacks_password() {
        source.problem(&at, "the name has no password: name it by proxy_password_file or proxy_password_env");
    }
    Some(Arc::new(proxy))
}

fn with(
    source: &mut Source,
    proxy: Proxy,
    at: &At,
    secret: impl FnOnce(&mut Source) -> Result<Secret, String>,
) -> Option<Proxy> {
    secret(source).and_then(|secret| proxy.with_password(secret)).map_err(|why| source.problem(at, why)).ok()
}

fn from_file(source: &mut Source, node: &Node) -> Result<Secret, String> {
    let path = source.relative(&text(node)?);
    source.used.push(path.clone());
    load(&path).map_err(|why| format!("{} {why}", path.display()))
}

fn load(path: &Path) -> Result<Secret, String> {
    let unreadable = |error| format!("cannot be read: {error}");
    // Opening a pipe would wait for somebody to write into it.
    if !std::fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err("is no file: name one that holds the password alone".into());
    }
    let mut bytes = Vec::with_capacity(4097);
    let file = std::fs::File::open(path).map_err(unreadable)?;
    file.take(MAX_FILE.saturating_add(1)).read_to_end(&mut bytes).map_err(unreadable)?;
    // The line's end is the editor's.
    let end = bytes.iter().rposition(|byte| !b"\r\n".contains(byte)).map_or(0, |last| last.saturating_add(1));
    bytes.truncate(end);
    Ok(Secret::new(bytes))
}

fn from_environment(node: &Node) -> Result<Secret, String> {
    let name = text(node)?;
    let value = std::env::var_os(&name).ok_or_else(|| format!("there is no environment variable {name:?}"))?;
    Ok(Secret::new(value.into_encoded_bytes()))
}
