//! Looking at the files again, when somebody comes.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::task::spawn_blocking;
use tokio::time::Instant;

use crate::config::Problem;
use crate::config::web::{Loaded, Origin, WebConfig};

/// Between two looks.
const PAUSE: Duration = Duration::from_secs(1);

/// How long files must stay the same to be taken for whole: a file that is just being written may be empty,
/// and an empty one lets everybody in.
const SETTLE: Duration = Duration::from_millis(100);

/// Watches a web configuration and the files that it names.
pub(super) struct Watch {
    path: PathBuf,
    seen: Mutex<Seen>,
}

struct Seen {
    origin: Origin,
    /// When to look again; `None`: at once.
    next: Option<Instant>,
}

impl Watch {
    /// Watches from what was just read.
    pub(super) fn new(path: &Path, origin: Origin) -> Self {
        Self { path: path.to_owned(), seen: Mutex::new(Seen { origin, next: None }) }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What the files say, if they have changed since the last look. While one looks, others go on with
    /// what they have. What is wrong is told once, and again when it is wrong in another way.
    pub(super) async fn look(&self, now: Instant) -> Option<Result<WebConfig, Vec<Problem>>> {
        let mut seen = self.seen.try_lock().ok()?;
        if seen.next.is_some_and(|next| now < next) {
            return None;
        }
        seen.next = Some(now + PAUSE);
        let (path, origin) = (self.path.clone(), seen.origin.clone());
        // Files are read where waiting for a disk disturbs no probe.
        let look = spawn_blocking(move || if origin.has_changed() { settled(&path) } else { None });
        let Loaded { config, origin } = look.await.ok()??;
        seen.origin = origin;
        Some(config)
    }
}

/// Loads the files; `None` if they change meanwhile, and the next look will tell.
fn settled(path: &Path) -> Option<Loaded> {
    let loaded = WebConfig::load(path);
    std::thread::sleep(SETTLE);
    (!loaded.origin.has_changed()).then_some(loaded)
}
