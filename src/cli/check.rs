//! `check`: is the configuration good?

use std::collections::BTreeSet;
use std::process::ExitCode;

use clap::Args;

use super::{Files, complain, say};

/// What `check` is asked.
#[derive(Args)]
pub(super) struct Options {
    #[command(flatten)]
    files: Files,
}

/// Exit 0 if `serve` would start with it, else 1.
pub(super) fn run(options: &Options) -> ExitCode {
    let Some((config, door)) = options.files.load() else { return ExitCode::FAILURE };
    for warning in config.warnings.iter().chain(door.warnings()) {
        complain(&format!("warning: {warning}"));
    }
    let all = config.hosts();
    let hosts: BTreeSet<&String> = all.iter().map(|(host, _)| host).collect();
    let (count, hosts) = (config.endpoints.len(), hosts.len());
    let many = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    let path = options.files.config.display();
    let searches = match config.searches.len() {
        0 => String::new(),
        some => format!(
            ", and all that DNS names for {}",
            if some == 1 { "one target port".to_owned() } else { format!("{some} target ports") }
        ),
    };
    say(&format!("{path}: ok, {} of {}{searches}\n", many(count, "endpoint"), many(hosts, "host")));
    ExitCode::SUCCESS
}
