//! What must hold for any bytes that come from outside, one file for each door they come in by.
//!
//! Each `check` takes the bytes a fuzzer (or a file in `regressions/`) gives, and panics if they make the
//! exporter do what it must not. The exporter's own tests include this file, so that what was once found is
//! tried with every `cargo test`; for that reason only libraries that the exporter has too are used here.

pub mod certificate;
pub mod config;
pub mod ehlo;
pub mod names;
pub mod query;
pub mod reply;
pub mod session;
pub mod web;

mod files;

/// What tries an input.
pub type Check = fn(&[u8]);

/// Every target and its check.
pub const TARGETS: [(&str, Check); 8] = [
    ("certificate", certificate::check),
    ("config", config::check),
    ("ehlo", ehlo::check),
    ("names", names::check),
    ("query", query::check),
    ("reply", reply::check),
    ("session", session::check),
    ("web", web::check),
];

/// Text of others that is shown must print, be short, and leave the direction of writing alone.
fn assert_clean(text: &str) {
    assert!(text.chars().count() <= 256, "{} characters", text.chars().count());
    let harmful = |c: char| c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}');
    assert!(!text.contains(harmful), "{text:?}");
}
