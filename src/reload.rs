//! The configuration at run time: loading it again when somebody says so, and its other files when they change.
//!
//! An invalid configuration changes nothing: the old one stays whole, and the log and the metrics say so.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::config::{Config, Fingerprint, Problem};

/// How often the other files are looked at.
const LOOK: Duration = Duration::from_secs(2);

/// How far a file's time may lie behind the clock: file systems count in ticks of their own.
const CLOCKS: Duration = Duration::from_millis(50);

/// What a reload came to: how many endpoints there are now, or what is wrong, a line each.
pub type Answer = Result<usize, String>;

/// Asks for a reload.
#[derive(Clone, Debug)]
pub struct Handle(mpsc::Sender<oneshot::Sender<Answer>>);

impl Handle {
    /// Loads the configuration again; returns when it is in force or refused.
    pub async fn reload(&self) -> Answer {
        let (answer, answered) = oneshot::channel();
        let stopping = || "the exporter is stopping".to_owned();
        self.0.send(answer).await.map_err(|_| stopping())?;
        answered.await.map_err(|_| stopping())?
    }
}

/// Watches for reasons to load again.
pub struct Reloader {
    /// The main file; `None` when the configuration came from nowhere.
    path: Option<PathBuf>,
    requests: mpsc::Receiver<oneshot::Sender<Answer>>,
    looks: Interval,
    seen: Fingerprint,
    /// The main file was wrong when it was last read.
    main_is_wrong: bool,
    /// The files of what was loaded last and is not yet in force.
    loaded: Fingerprint,
    current: Config,
}

/// A configuration to put in force, and who waits for it.
pub struct Reload {
    /// What was loaded, or what is wrong.
    pub config: Result<Config, String>,
    /// All that is configured is in it. Not so when the main file was wrong and only other files were read again.
    pub is_whole: bool,
    waiting: Option<oneshot::Sender<Answer>>,
}

impl Reload {
    /// Tells whoever asked.
    pub fn done(self, answer: Answer) {
        if let Some(waiting) = self.waiting {
            // Nobody may be waiting any more.
            let _ = waiting.send(answer);
        }
    }
}

impl Reloader {
    /// A reloader for a configuration that is in force, and the handle to ask it.
    pub fn new(path: Option<PathBuf>, current: Config) -> (Self, Handle) {
        let (sender, requests) = mpsc::channel(16);
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let seen = current.watched.look();
        (
            Self { path, requests, looks, seen, loaded: Fingerprint::none(), main_is_wrong: false, current },
            Handle(sender),
        )
    }

    /// Waits for the next reason, and loads. Dropped before it is done, it forgets what it was loading, and for whom.
    pub async fn next(&mut self) -> Reload {
        loop {
            tokio::select! {
                Some(waiting) = self.requests.recv() => {
                    let config = self.load(|current, path| current.load_again(&path)).await;
                    self.main_is_wrong = config.is_err();
                    return Reload { config, is_whole: true, waiting: Some(waiting) };
                }
                _ = self.looks.tick() => {
                    let watched = self.current.watched.clone();
                    let look = tokio::task::spawn_blocking(move || watched.look());
                    let Ok(seen) = look.await else { continue };
                    if seen != self.seen {
                        self.seen = seen;
                        let config = self.load(|current, path| current.load_other_files(&path)).await;
                        return Reload { config, is_whole: !self.main_is_wrong, waiting: None };
                    }
                }
            }
        }
    }

    /// The configuration is in force.
    pub fn accept(&mut self, config: Config) {
        self.seen = std::mem::replace(&mut self.loaded, Fingerprint::none());
        self.current = config;
    }

    /// Files are read where waiting for a disk disturbs no probe. One that was changed while it was being read may
    /// have been read by half: it is looked at again.
    async fn load(
        &mut self,
        load: impl FnOnce(&Config, PathBuf) -> Result<Config, Vec<Problem>> + Send + 'static,
    ) -> Result<Config, String> {
        let Some(path) = self.path.clone() else {
            return Err("there is no configuration file to load again".into());
        };
        let (current, began) = (self.current.clone(), wall_clock() - CLOCKS);
        let lines = |problems: Vec<Problem>| problems.iter().map(|p| format!("{p}\n")).collect::<String>();
        let work = move || {
            let config = load(&current, path)?;
            let seen = config.watched.look();
            Ok((if seen.is_newer_than(began) { Fingerprint::none() } else { seen }, config))
        };
        let (seen, config) = match tokio::task::spawn_blocking(work).await {
            Ok(loaded) => loaded.map_err(lines)?,
            Err(_) => return Err("loading broke down; the log has the place\n".into()),
        };
        self.loaded = seen;
        Ok(config)
    }
}

#[expect(clippy::disallowed_methods, reason = "compared with the times of files")]
fn wall_clock() -> SystemTime {
    SystemTime::now()
}
