//! The program: arguments in, exit code out.

use std::process::ExitCode;

fn main() -> ExitCode {
    mail_endpoint_exporter::cli::run(std::env::args_os())
}
