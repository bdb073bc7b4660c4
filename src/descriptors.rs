//! File descriptors: how many this process may have, and who gets how many of them.
//!
//! A probe and a client of ours need one each. Whichever of the two takes them all, the exporter is lost: blind
//! when probes have none, mute when scrapes have none. So both have a share, and what is left is for files.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The share of each, at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shares {
    /// Connections of our own clients.
    pub http: usize,
    /// Sockets of probes, those to name servers too.
    pub probes: usize,
}

/// The most connections of clients, however many descriptors there are.
const MOST_HTTP: usize = 512;

/// For the listeners, the log, the runtime, and files that are being read.
const FILES: usize = 32;

/// What the runtime of a thread that probes has open, of which there may be one for each core.
const FILES_OF_A_WORKER: usize = 4;

impl Shares {
    /// The shares of the limit as it is now.
    pub fn now() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self::of(getrlimit(Resource::Nofile).current, cores)
    }

    /// The shares of a limit; `None` is no limit.
    fn of(limit: Option<u64>, cores: usize) -> Self {
        let limit = limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
        let files = cores.saturating_mul(FILES_OF_A_WORKER).saturating_add(FILES).min(limit / 2);
        let http = MOST_HTTP.min(limit / 4).max(1);
        Self { http, probes: limit.saturating_sub(files).saturating_sub(http).max(1) }
    }
}

/// Raises the limit as far as we may. The low one that shells give is for programs that use select(2), which cannot
/// have more; the higher one, up to which anybody may go, is what the administrator allows.
pub fn raise_limit() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    // Where that is not allowed, the lower limit serves too.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_probes_nor_clients_ever_have_all() {
        for (limit, cores, http, probes) in [
            (Some(32), 2, 8, 8),
            (Some(64), 2, 16, 16),
            (Some(256), 2, 64, 152),
            (Some(1024), 2, 256, 728),
            (Some(1024), 32, 256, 608),
            (Some(8192), 2, 512, 7640),
        ] {
            assert_eq!(Shares::of(limit, cores), Shares { http, probes }, "{limit:?}");
        }
        assert_eq!(Shares::of(None, 2).http, 512);
        assert!(Shares::of(Some(0), 2).probes > 0);
    }

    #[test]
    fn the_limit_is_raised_to_what_is_allowed() {
        raise_limit();
        let limit = getrlimit(Resource::Nofile);
        assert_eq!(limit.current, limit.maximum);
    }
}
