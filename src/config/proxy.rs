//! `proxy`, and the password for it, which comes from a file or the environment and from nowhere else.

use std::sync::Arc;

use super::reader::{At, Entries, Source};
use super::secret;
use super::values::text;
use crate::mail::secret::Secret;
use crate::proxy::Proxy;

/// The keys of a module that are about its proxy, over what holds where they say nothing.
pub(super) fn proxy(source: &mut Source, entries: &mut Entries<'_>, base: Option<Arc<Proxy>>) -> Option<Arc<Proxy>> {
    let named = entries.get("proxy");
    let pasted = entries.get("proxy_password");
    if let Some((_, at)) = &pasted {
        let why = "secrets do not stand in the configuration: write `proxy_password_file: FILE`, and put it there";
        source.problem(at, why);
    }
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
        (Some((node, at)), None) => with(source, proxy, &at, |source| secret::from_file(source, node))?,
        (None, Some((node, at))) => with(source, proxy, &at, |_| secret::from_environment(node))?,
        (None, None) => proxy,
    };
    if proxy.lacks_password() && pasted.is_none() {
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
