//! Certificates of every kind (`tests/kinds`), shown by OpenSSL's own server, and read by OpenSSL beside us.
//!
//! `tests/real.sh` installs openssl and runs this.

#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "a test fails by panicking")]

mod kinds;
mod lab;
mod support;

use std::collections::BTreeSet;
use std::fs;
use std::net::IpAddr;
use std::path::Path;
use std::process::Stdio;

use kinds::{Lab, Row, rows};
use lab::forge::{pem, sequence, tlv};
use mail_endpoint_exporter::cert::facts::{Certificate, Facts};
use mail_endpoint_exporter::cert::links::MAX_CHAIN;
use mail_endpoint_exporter::export::time::rfc3339;
use mail_endpoint_exporter::mail::Printable;
use mail_endpoint_exporter::outcome::Outcome;
use rcgen::KeyPair;
use support::folder;
use support::s_server::{SServer, openssl};
use tokio::task::JoinSet;

/// What OpenSSL does not take for a certificate, and why. What we read of each stands in its row.
const UNREADABLE: &[(&str, &str)] = &[
    ("half a BMPString", "an odd number of octets in a text of pairs"),
    ("no UTF-8", "a UTF8String of other octets"),
    ("a text as date", "a date of neither type"),
    ("nested 4,096 deep", "a name that is none"),
    ("the first half of it", "cut off"),
    ("no certificate", "five letters"),
    ("no bytes", "nothing"),
];

/// What its server does not start with, for the key is not the certificate's. `every_kind_of_key_is_seen` of
/// `tests/real_tls.rs` has OpenSSL make RSA keys of these sizes.
const WITHOUT_KEY: &[&str] = &["intermediate before the leaf", "RSA 1024", "RSA 4096", "RSA 8192", "RSA 16384"];

/// What the server is pinned to, and how each probe of it ends; `None`: as the row says. `{}` is the kind of the key.
const WAYS: &[(&str, Option<&str>)] = &[
    ("-tls1_3 -cipher ALL:@SECLEVEL=0", None),
    ("-tls1_3 -cipher ALL:@SECLEVEL=0 -ciphersuites TLS_CHACHA20_POLY1305_SHA256 -groups P-384", None),
    ("-tls1_2 -cipher ALL:@SECLEVEL=0", None),
    ("-tls1_2 -cipher ECDHE-{}-AES256-GCM-SHA384:@SECLEVEL=0 -groups P-256", None),
    // From here on rustls gives up, and the second look sees the certificate.
    ("-tls1_2 -cipher ECDHE-{}-AES128-SHA:@SECLEVEL=0 -groups P-521", Some("tls_alert in tls")),
    ("-tls1 -cipher ALL:@SECLEVEL=0", Some("tls_version in tls")),
];

/// What OpenSSL reads although its DER is broken, it sends anew and in order.
fn as_sent(row: Row) -> Row {
    let der = &row.chain[0];
    let sent = match row.what {
        "bytes behind it" => der[..der.len() - 3].to_vec(),
        "indefinite length" => tlv(0x30, &der[2..der.len() - 2]),
        _ => return row,
    };
    Row { chain: vec![sent], invalid: "", ..row }.ends("ok")
}

/// Writes what a server needs of a row: certificate, key, and the rest of the chain.
fn write(folder: &Path, name: &str, row: &Row, lab: &Lab) {
    let file = |end: &str, text: &str| fs::write(folder.join(format!("{name}.{end}")), text).unwrap();
    file("pem", &pem(&row.chain[0]));
    file("key", &key_file(row.key.as_ref().unwrap_or(&lab.leaf)));
    if row.chain.len() > 1 {
        file("chain", &row.chain[1..].iter().map(|der| pem(der)).collect::<String>());
    }
}

/// Ed25519 as PKCS #8 has it, without the public half that RFC 5958 adds: OpenSSL 3.0 does not read that.
fn key_file(key: &KeyPair) -> String {
    if *key.algorithm() != rcgen::PKCS_ED25519 {
        return key.serialize_pem();
    }
    let algorithm = sequence(&[tlv(6, &[0x2b, 0x65, 0x70])]);
    let secret = &key.serialize_der()[16..48];
    let whole = sequence(&[tlv(2, &[0]), algorithm, tlv(4, &tlv(4, secret))]);
    pem(&whole).replace("CERTIFICATE", "PRIVATE KEY")
}

/// How the probe of a row ends in one of the ways.
fn ending(row: &Row, (args, ends): (&str, Option<&'static str>)) -> &'static str {
    match (row.what, ends) {
        // RFC 8422 §5.1: in TLS 1.2 the curve of the server's key has to be among the groups of the client.
        ("P-521", None) if args.starts_with("-tls1_2") => "tls_alert in tls",
        (_, ends) => ends.unwrap_or(row.verdict),
    }
}

/// What was found otherwise than it was sent.
fn changed(row: &Row, outcome: &Outcome) -> Option<String> {
    let sent: Vec<Certificate> = row.chain.iter().map(|der| Certificate::from_der(der)).collect();
    let seen = outcome.findings.certificate.as_ref().map(|seen| &seen.chain[..]);
    // A chain that is too long is not seen at all, and of very many certificates some are not kept.
    let same = match seen {
        None => row.says == "none",
        Some(seen) if sent.len() > MAX_CHAIN => seen.len() == MAX_CHAIN && seen.iter().all(|one| sent.contains(one)),
        Some(seen) => seen == sent,
    };
    (!same).then(|| format!("{} {}: another chain than was sent: {seen:?}", row.id, row.what))
}

/// Has a server show a row in every way. What was found otherwise than the row says; an error is why it does not start.
async fn shown(row: &Row, name: &str, folder: &Path) -> Result<Vec<String>, String> {
    let mut wrong = Vec::new();
    for (args, ends) in WAYS {
        // Before TLS 1.2 there are no such signatures.
        if row.what == "Ed25519" && args.starts_with("-tls1 ") {
            continue;
        }
        let args = args.replace("{}", if row.says.starts_with("key=RSA") { "RSA" } else { "ECDSA" });
        let mut server = SServer::start(folder, &args, name);
        let outcome = server.probe(&row.module(&folder.join("ca.pem"))).await?;
        let difference = row.difference(ending(row, (&args, *ends)), &outcome);
        wrong.extend(difference.into_iter().chain(changed(row, &outcome)).map(|what| format!("{args}: {what}")));
    }
    Ok(wrong)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs openssl"]
async fn every_kind_is_judged_the_same_with_the_server_of_openssl() {
    let (lab, folder) = (Lab::new(), folder());
    fs::write(folder.join("ca.pem"), pem(&lab.root_der)).unwrap();
    let (mut checks, mut results) = (JoinSet::new(), Vec::new());
    for (number, row) in rows(&lab).into_iter().enumerate() {
        if checks.len() >= 4 {
            results.push(checks.join_next().await.unwrap().unwrap());
        }
        let (name, folder) = (format!("row-{number}"), folder.clone());
        write(&folder, &name, &row, &lab);
        let row = as_sent(row);
        checks.spawn(async move { (row.what, shown(&row, &name, &folder).await) });
    }
    results.extend(checks.join_all().await);
    let wrong: Vec<&String> = results.iter().filter_map(|(_, result)| result.as_ref().ok()).flatten().collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    let refused = results.iter().filter_map(|(what, result)| Some((*what, result.as_ref().err()?)));
    let (without_key, unreadable): (Vec<_>, Vec<_>) = refused.partition(|(_, said)| said.contains("match"));
    assert_eq!(names(&without_key), WITHOUT_KEY.iter().copied().collect(), "{without_key:#?}");
    assert_eq!(names(&unreadable), names(UNREADABLE), "{unreadable:#?}");
    assert!(unreadable.iter().all(|(_, said)| said.contains("server certificate")), "{unreadable:#?}");
}

fn names<T>(list: &[(&'static str, T)]) -> BTreeSet<&'static str> {
    list.iter().map(|(name, _)| *name).collect()
}

/// What OpenSSL prints of a certificate; `None` if it cannot read it.
fn printed(folder: &Path, der: &[u8]) -> Option<String> {
    let path = folder.join("one.der");
    fs::write(&path, der).unwrap();
    let args = "x509 -inform DER -noout -serial -startdate -enddate -subject -issuer -text -dateopt iso_8601 \
                -nameopt utf8,esc_ctrl,sname,sep_comma_plus_space";
    let output = openssl(args).arg("-in").arg(path).stdin(Stdio::null()).output().unwrap();
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The parts of a certificate that are compared, each with what it is called.
type Parts = [(&'static str, String); 10];

fn ours(facts: &Facts) -> Parts {
    let date = |seconds: Option<i64>| seconds.and_then(rfc3339).unwrap_or_default().replace('T', " ");
    [
        ("serial", facts.serial.clone()),
        ("start", date(facts.not_before)),
        ("end", date(facts.not_after)),
        ("subject", facts.subject.to_string()),
        ("issuer", facts.issuer.to_string()),
        ("key", facts.key.clone()),
        ("signature", facts.signature.clone()),
        ("names", facts.dns_names.join(", ")),
        ("number of names", (facts.dns_names.len() + facts.addresses.len() + facts.further_names).to_string()),
        ("addresses", facts.addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")),
    ]
}

fn of_openssl(text: &str) -> Parts {
    let field = |name: &str| text.lines().find_map(|line| line.trim_start().strip_prefix(name)).unwrap_or_default();
    let date = |name: &str| field(name).replace("Bad time value", "");
    let name = |name: &str| Printable::from_text(&without_escapes(field(name))).to_string();
    let alternative = text.lines().skip_while(|line| !line.contains("X509v3 Subject Alternative Name")).nth(1);
    let alternative: Vec<&str> = alternative.unwrap_or_default().trim().split(", ").collect();
    let address = |name: &str| name.strip_prefix("IP Address:").and_then(|text| text.parse::<IpAddr>().ok());
    let names: Vec<_> = alternative.into_iter().filter(|n| n.starts_with("DNS:") || address(n).is_some()).collect();
    // As many as we keep.
    let kept = names.iter().take(2000);
    let dns_names: Vec<_> = kept.clone().filter_map(|name| name.strip_prefix("DNS:")).collect();
    [
        ("serial", field("serial=").to_ascii_lowercase()),
        ("start", date("notBefore=")),
        ("end", date("notAfter=")),
        ("subject", name("subject=")),
        ("issuer", name("issuer=")),
        ("key", key(field("Public Key Algorithm: "), field("Public-Key: ("), field("NIST CURVE: "))),
        ("signature", field("Signature Algorithm: ").into()),
        ("names", dns_names.join(", ")),
        ("number of names", names.len().to_string()),
        ("addresses", kept.filter_map(|name| address(name)).map(|ip| ip.to_string()).collect::<Vec<_>>().join(", ")),
    ]
}

/// A key as we call it.
fn key(algorithm: &str, size: &str, curve: &str) -> String {
    match algorithm {
        "rsaEncryption" => format!("RSA {}", size.trim_end_matches(" bit)")),
        "id-ecPublicKey" => format!("ECDSA {curve}"),
        "ED25519" => "Ed25519".into(),
        other => other.into(),
    }
}

/// `\\` and `\0A` as the characters that they stand for.
fn without_escapes(text: &str) -> String {
    let mut parts = text.split('\\');
    let mut whole = parts.next().unwrap_or_default().to_owned();
    while let Some(part) = parts.next() {
        match part.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => whole.extend([char::from(byte)].into_iter().chain(part[2..].chars())),
            None if part.is_empty() => whole.extend(['\\'].into_iter().chain(parts.next().unwrap_or_default().chars())),
            None => panic!("{text}"),
        }
    }
    whole
}

/// Certificates of which OpenSSL prints something else than we read: what, which part, ours, and OpenSSL's.
const OTHERWISE: &[(&str, &str, &str, &str)] = &[
    // What cannot be printed is replaced; OpenSSL shows the whole extension in hexadecimal.
    ("NUL in a name", "names", "mail.example.org?.evil.example", ""),
    ("NUL in a name", "number of names", "1", "0"),
    // The octets, and the number that they are.
    ("negative serial", "serial", "fb", "-05"),
    // Dates that break RFC 5280 but mean something (`src/cert/dates.rs`).
    ("30 February", "end", "2040-03-01 00:00:00Z", ""),
    ("second 60", "end", "2040-01-01 00:01:00Z", ""),
    ("hour 24", "end", "2040-01-02 00:00:00Z", ""),
    ("a fraction", "end", "2040-01-01 00:00:00Z", "2040-01-01 00:00:00.75Z"),
    ("no zone", "end", "2040-01-01 00:00:00Z", ""),
    ("UTCTime with a year of four digits", "end", "2040-01-01 00:00:00Z", ""),
    // Blanks before a short year.
    ("valid from the year 0", "start", "0000-01-01 00:00:00Z", "   0-01-01 00:00:00Z"),
];

#[test]
#[ignore = "needs openssl"]
fn the_facts_are_those_that_openssl_prints() {
    let (lab, folder) = (Lab::new(), folder());
    let (mut compared, mut unreadable, mut otherwise) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
    for row in rows(&lab) {
        for der in &row.chain {
            if !compared.insert(der.clone()) {
                continue;
            }
            let Some(text) = printed(&folder, der) else {
                unreadable.insert(row.what);
                continue;
            };
            let facts = Certificate::from_der(der).facts.unwrap_or_else(|| panic!("{}: no facts\n{text}", row.what));
            for ((part, ours), (_, theirs)) in ours(&facts).into_iter().zip(of_openssl(&text)) {
                if ours != theirs {
                    otherwise.push((row.what, part, ours, theirs));
                }
            }
        }
    }
    assert!(compared.len() > 100, "{}", compared.len());
    assert_eq!(unreadable, names(UNREADABLE));
    let listed: Vec<_> =
        OTHERWISE.iter().map(|(what, part, ours, theirs)| (*what, *part, (*ours).into(), (*theirs).into())).collect();
    assert_eq!(otherwise, listed);
}
