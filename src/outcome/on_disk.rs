//! The certificate that a server shows against the one in its file: renewed and not reloaded, or not.
//!
//! ACME clients renew the file; the server goes on with what it read when it started until somebody reloads it. That is
//! the commonest cause of expired mail certificates, and where exporter and server share a machine (or a file) it is seen
//! on the day of the renewal, weeks before it hurts.

use super::Outcome;
use crate::cert::facts::Facts;

/// How what a server shows compares with its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnDisk {
    /// It is the one in the file.
    Same,
    /// The one in the file was issued later: the server has not been reloaded.
    FileIsNewer,
    /// Another, and the file's is not the newer: the server uses another file.
    Other,
}

impl OnDisk {
    /// What it means for people, and what to do.
    pub fn advice(self) -> &'static str {
        match self {
            Self::Same => "it is the one in the file",
            Self::FileIsNewer => "the file has a newer one: reload the server",
            Self::Other => "the file has another one, which is not newer: does the server use this file?",
        }
    }
}

/// `None` where no file is named, and where the probe saw no certificate.
pub fn compare(outcome: &Outcome) -> Option<OnDisk> {
    let file = outcome.endpoint.certificate_file()?;
    let shown = outcome.findings.certificate.as_ref()?.leaf()?;
    if shown.sha256 == file.leaf.sha256 {
        return Some(OnDisk::Same);
    }
    let issued = |facts: Option<&Facts>| facts.and_then(|facts| facts.not_before).unwrap_or(i64::MIN);
    let newer = issued(file.facts()) > issued(shown.facts.as_ref());
    Some(if newer { OnDisk::FileIsNewer } else { OnDisk::Other })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::port_state::tests::outcomes;
    use super::super::siblings::tests::shown;
    use super::*;
    use crate::cert::on_file::CertificateFile;
    use crate::endpoint::{Endpoint, Module};

    fn file(name: &str) -> Option<Arc<CertificateFile>> {
        let leaf = shown(name).chain[0].clone();
        Some(Arc::new(CertificateFile { path: "mail.pem".into(), leaf }))
    }

    fn outcome(served: Option<&str>, target: Option<&str>, module: Option<&str>) -> Outcome {
        let mut outcome = outcomes("a:587+").remove(0);
        let endpoint = Endpoint::clone(&outcome.endpoint);
        let module = Module { certificate_file: module.and_then(file), ..Module::clone(&endpoint.module) };
        let certificate_file = target.and_then(file);
        outcome.endpoint = Arc::new(Endpoint { certificate_file, module: Arc::new(module), ..endpoint });
        outcome.findings.certificate = served.map(shown);
        outcome
    }

    #[test]
    fn the_file_against_what_is_shown() {
        for (served, target, module, expected) in [
            (Some("x1"), Some("x1"), None, Some(OnDisk::Same)),
            (Some("x1"), Some("y2"), None, Some(OnDisk::FileIsNewer)),
            (Some("y2"), Some("x1"), None, Some(OnDisk::Other)),
            (Some("x1"), Some("y1"), None, Some(OnDisk::Other)),
            (Some("x1"), None, Some("y2"), Some(OnDisk::FileIsNewer)),
            // The target's own counts.
            (Some("x1"), Some("x1"), Some("y2"), Some(OnDisk::Same)),
            (Some("x1"), None, None, None),
            (None, Some("x1"), None, None),
        ] {
            assert_eq!(compare(&outcome(served, target, module)), expected, "{served:?} {target:?} {module:?}");
        }
    }
}
