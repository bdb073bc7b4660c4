//! The demo, run as a newcomer runs it: every fault of its fleet shows its own reason.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::Command;

/// What the table must say of each endpoint.
const EXPECTED: &[(&str, &str)] = &[
    ("healthy mail.example.org:20025", "✔"),
    ("healthy mail.example.org:20465", "✔"),
    ("healthy mail.example.org:20587", "✔"),
    ("healthy mail.example.org:20525", "✔"),
    ("expires-soon smtp.example.net:21587", "9 days left"),
    ("expired submit.example.net:21465", "certificate_expired in tls"),
    ("renewed-by-half mail.shop.example:23465", "9 days left"),
    ("renewed-by-half mail.shop.example:25525", "✔"),
    ("wrong-name mail.customer.example:22587", "certificate_host_mismatch in tls"),
    ("no-intermediate cloud8.hosting.example:23587", "certificate_not_trusted in tls"),
    ("self-signed ex01.corp.example.org:21025", "✔"),
    ("self-signed ex01.corp.example.org:24587", "certificate_self_signed in tls"),
    ("no-starttls mail.branch.example.org:25587", "starttls_not_supported in starttls"),
    ("starttls-broken relay.example.org:26587", "transient_reply in starttls"),
    ("starttls-injected smtp.example.org:27587", "starttls_injection in starttls"),
    ("clear-on-465 old.example.org:22465", "plaintext_on_tls_port in tls"),
    ("old-tls mail2.example.org:28587", "tls_too_old in tls"),
    ("auth-in-clear mail.example.net:29587", "auth_in_clear in ehlo"),
    ("no-auth smtp.cloud.example.net:30587", "auth_not_offered in ehlo_tls"),
    ("slow-banner mx1.example.com:22025", "✔"),
    ("rate-limited mx2.example.com:23025", "rate_limited in banner"),
    ("blocklisted mx3.example.com:24025", "permanent_reply in banner"),
    ("silent mx4.example.com:25025", "timeout in banner"),
    ("refused mx5.example.com:31587", "refused in connect"),
    ("one-of-two pool.example.net:26525 at 127.0.0.1", "✔"),
    ("one-of-two pool.example.net:26525 at 127.0.0.2", "refused in connect"),
    ("shop.example mx.shop.example:26025", "✔"),
    ("shop.example mx-old.shop.example:26025", "dns_not_found in resolve"),
    ("renews renews.example.net:22525", "✔"),
    ("stripped-at-times smtp.branch.example.org:23525", "✔"),
    ("busy-at-times busy.cloud.example.net:24525", "✔"),
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
        // Behind the mark.
        let words: Vec<&str> = endpoint.split(' ').collect();
        let begins = |line: &&str| line.split_whitespace().skip(1).take(words.len()).eq(words.iter().copied());
        let line = text.lines().find(begins).unwrap_or_else(|| panic!("{endpoint}\n{text}"));
        assert!(line.contains(result), "{line}");
        assert_eq!(line.contains('✘'), result.contains(" in "), "{line}");
    }
    assert!(text.contains("problem     mx_not_found mx-old.shop.example\n"), "{text}");
}
