//! The program: arguments in, exit code out.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// Gives memory back when a page has been written, whichever thread has written it (`tests/soak.rs` watches).
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    mail_endpoint_exporter::cli::run(std::env::args_os())
}
