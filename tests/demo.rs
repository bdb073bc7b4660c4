//! The demo, run as a newcomer runs it: every fault of its fleet shows its own reason.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::Command;

/// What the table must say of each endpoint.
const EXPECTED: &[(&str, &str)] = &[
    ("healthy            127.0.0.1:20025", "✔"),
    ("healthy            127.0.0.1:20465", "✔"),
    ("healthy            127.0.0.1:20587", "✔"),
    ("healthy            127.0.0.1:20525", "✔"),
    ("expires-soon       127.0.0.1:21587", "9 days left"),
    ("expired            127.0.0.1:21465", "certificate_expired in tls"),
    ("wrong-name         127.0.0.1:22587", "certificate_host_mismatch in tls"),
    ("no-intermediate    127.0.0.1:23587", "certificate_not_trusted in tls"),
    ("self-signed        127.0.0.1:21025", "✔"),
    ("self-signed        127.0.0.1:24587", "certificate_self_signed in tls"),
    ("no-starttls        127.0.0.1:25587", "starttls_not_supported in starttls"),
    ("starttls-broken    127.0.0.1:26587", "transient_reply in starttls"),
    ("starttls-injected  127.0.0.1:27587", "starttls_injection in starttls"),
    ("clear-on-465       127.0.0.1:22465", "plaintext_on_tls_port in tls"),
    ("old-tls            127.0.0.1:28587", "tls_too_old in tls"),
    ("auth-in-clear      127.0.0.1:29587", "auth_in_clear in ehlo"),
    ("no-auth            127.0.0.1:30587", "auth_not_offered in ehlo_tls"),
    ("slow-banner        127.0.0.1:22025", "✔"),
    ("rate-limited       127.0.0.1:23025", "rate_limited in banner"),
    ("blocklisted        127.0.0.1:24025", "permanent_reply in banner"),
    ("silent             127.0.0.1:25025", "timeout in banner"),
    ("refused            127.0.0.1:31587", "refused in connect"),
    ("renews             127.0.0.1:22525", "✔"),
    ("stripped-at-times  127.0.0.1:23525", "✔"),
    ("busy-at-times      127.0.0.1:24525", "✔"),
];

#[test]
#[ignore = "needs the demo's fixed ports (tests/real.sh)"]
fn the_first_table_shows_every_fault_by_its_own_reason() {
    // Cargo builds the examples with the tests, beside the program.
    let program = Path::new(env!("CARGO_BIN_EXE_mail_endpoint_exporter"));
    let demo = program.with_file_name("examples").join("demo");
    let output = Command::new(demo).args(["127.0.0.1:0", "--once"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    for (endpoint, result) in EXPECTED {
        let line = text.lines().find(|line| line.contains(endpoint)).unwrap_or_else(|| panic!("{endpoint}\n{text}"));
        assert!(line.contains(result), "{line}");
        assert_eq!(line.contains('✘'), result.contains(" in "), "{line}");
    }
}
