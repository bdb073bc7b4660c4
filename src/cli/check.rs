//! `check`: is the configuration good?

use std::process::ExitCode;

use clap::Args;

use super::{ConfigFile, complain, load, say};

/// What `check` is asked.
#[derive(Args)]
pub(super) struct Options {
    #[command(flatten)]
    config: ConfigFile,
}

/// Exit 0 if `serve` would start with it, else 1.
pub(super) fn run(options: &Options) -> ExitCode {
    let Some(config) = load(&options.config.path) else { return ExitCode::FAILURE };
    for warning in &config.warnings {
        complain(&format!("warning: {warning}"));
    }
    let hosts: std::collections::BTreeSet<_> = config.endpoints.iter().map(|endpoint| &endpoint.host).collect();
    let (count, hosts) = (config.endpoints.len(), hosts.len());
    let many = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    let path = options.config.path.display();
    say(&format!("{path}: ok, {} of {}\n", many(count, "endpoint"), many(hosts, "host")));
    ExitCode::SUCCESS
}
