//! The parts of a probe that are the exporter's own, and its pages, each by itself, with criterion.
//!
//! ```text
//! cargo bench --bench parts                    # all, some three minutes
//! cargo bench --bench parts -- certificate     # those whose name holds this
//! cargo bench --bench parts -- --save-baseline before     # and later: --baseline before
//! ```
//!
//! | file | what it is |
//! | --- | --- |
//! | `mail.rs` | replies, EHLO lists and a whole session, out of a recorded dialogue of `tests/transcripts` |
//! | `certificate.rs` | a chain: read, verified for the first time, and met again |
//! | `export.rs` | the pages of 10,000 endpoints in each format |
//!
//! What a probe costs with its sockets and its handshake is in `benches/compare`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark ends where it cannot measure"
)]
#![allow(missing_docs, reason = "criterion's macros write none")]

#[path = "../../tests/lab/mod.rs"]
mod lab;

mod certificate;
mod export;
mod mail;

use criterion::{Criterion, criterion_group, criterion_main};

criterion_group! {
    name = parts;
    config = Criterion::default().without_plots();
    targets = mail::bench, certificate::bench, export::bench
}
criterion_main!(parts);
