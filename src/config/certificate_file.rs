//! `certificate_file`: the certificate that a server ought to show, read when the configuration is loaded and when the
//! file changes, never while probing.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::bounded;
use super::file::Node;
use super::reader::{At, Source};
use super::values::text;
use crate::cert::on_file::CertificateFile;

/// The longest file read: some hundred certificates.
const MAX_FILE: usize = 1024 * 1024;

/// The files read so far: many targets may name the same one.
#[derive(Default)]
pub(super) struct CertificateFiles(HashMap<PathBuf, Option<Arc<CertificateFile>>>);

impl CertificateFiles {
    /// The file that a value names; what cannot be used is a problem at that place.
    pub(super) fn read(&mut self, source: &mut Source, node: &Node, at: &At) -> Option<Arc<CertificateFile>> {
        let name = text(node).map_err(|why| source.problem(at, why)).ok()?;
        let path = source.relative(&name);
        if let Some(known) = self.0.get(&path) {
            return known.clone();
        }
        source.used.push(path.clone());
        let loaded = load(&path).map_err(|why| source.problem(at, format!("{} {why}", path.display())));
        let loaded = loaded.ok().map(Arc::new);
        self.0.insert(path, loaded.clone());
        loaded
    }
}

fn load(path: &Path) -> Result<CertificateFile, String> {
    let pem = bounded::regular(path, MAX_FILE)
        .map_err(|why| format!("{why}: name the PEM file that the mail server loads"))?;
    CertificateFile::from_pem(path, &pem).map_err(|why| format!("cannot be used: {why}"))
}
