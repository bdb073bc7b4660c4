//! Certificates of every kind: what is wrong with each, and what is read of it all the same.
//!
//! A row (`tests/kinds`) is a chain that a server really shows. The probe goes on with any certificate
//! (`certificate: any`), so the row tells apart how the probe ended, why the certificate is not valid, and the facts.
//! `tests/FAULTS_TLS.md` has the rows as a table; `UPDATE=1` writes it. `tests/real_certificates.rs` has OpenSSL's server
//! show them.
//!
//! Not played: F37, revocation, which is not checked; F39, a system without roots, which would need another system.

#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "a test fails by panicking")]

mod kinds;
mod lab;
mod support;

use std::time::SystemTime;

use kinds::{HOST, Lab, Row, rows};
use lab::forge::{GENERALIZED, UTC, generalized, pem, showing};
use lab::{Script, Server, liar_config};
use mail_endpoint_exporter::cert::chain::Chain;
use mail_endpoint_exporter::cert::facts::Certificate;
use mail_endpoint_exporter::cert::name::ServerName;
use mail_endpoint_exporter::cert::roots::Roots;
use mail_endpoint_exporter::cert::verdict::{Invalid, judge};
use support::{file, probe, table_is_current, verdict};
use tokio_rustls::rustls::ALL_VERSIONS;
use tokio_rustls::rustls::pki_types::CertificateDer;

const SCRIPT: &str = "=== TLS\nS: 220 mx ESMTP\nC: EHLO x\nS: 250 mx\nC: QUIT\nS: 221 bye\n*close";

#[tokio::test]
async fn every_kind_is_judged_and_its_facts_are_kept() {
    let lab = Lab::new();
    let ca_file = file("ca.pem", &pem(&lab.root_der));
    let mut wrong = Vec::new();
    for row in rows(&lab) {
        let tls = match &row.key {
            Some(key) => showing(row.chain.clone(), key, ALL_VERSIONS),
            None => liar_config(row.chain.iter().cloned().map(CertificateDer::from).collect()),
        };
        let server = Server::start(Script::of(SCRIPT), tls.into()).await;
        let outcome = probe(server.address(), &row.module(&ca_file)).await;
        wrong.extend(row.difference(row.verdict, &outcome));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_table_is_current() {
    let lab = Lab::new();
    let line = |row: &Row| {
        let invalid = if row.invalid.is_empty() { "valid" } else { row.invalid };
        format!(
            "| {} | {} | {} | {} |\n",
            row.id,
            row.what.replace('*', "\\*"),
            row.verdict,
            invalid.replace(' ', ", ")
        )
    };
    let lines: String = rows(&lab).iter().map(line).collect();
    let head =
        "| id | certificate | the probe, with `certificate: any` | the certificate |\n| --- | --- | --- | --- |\n";
    table_is_current("tests/FAULTS_TLS.md", "Certificates", &format!("{head}{lines}"));
}

fn certificate(der: &[u8]) -> Certificate {
    Certificate::from_der(der)
}

fn judged(lab: &Lab, der: Vec<u8>, now: i64) -> Vec<Invalid> {
    let roots = Roots::from_pem(pem(&lab.root_der).as_bytes()).unwrap();
    let host = ServerName::parse(HOST).unwrap();
    let der = [CertificateDer::from(der)];
    judge(&Chain::new(&der), &der, &host, now, &roots).iter().map(|found| found.reason).collect()
}

/// F2, and F40: the clock of this machine decides.
#[test]
fn a_certificate_is_valid_to_its_last_second() {
    let lab = Lab::new();
    let end = 1_893_456_000; // 2030-01-01
    let der = lab.until(GENERALIZED, "20300101000000Z");
    assert_eq!(judged(&lab, der.clone(), end), []);
    assert_eq!(judged(&lab, der.clone(), end + 1), [Invalid::Expired]);
    assert_eq!(judged(&lab, der.clone(), 0), []);
    assert_eq!(judged(&lab, der.clone(), 4_294_967_296), [Invalid::Expired]);
    let since_2000 = lab.from(UTC, "000101000000Z");
    assert_eq!(judged(&lab, since_2000.clone(), 946_684_799), [Invalid::NotYetValid]);
    assert_eq!(judged(&lab, since_2000, 946_684_800), []);
}

/// F2 on the wire: whichever side of the second it is, it is one of the two.
#[tokio::test]
async fn a_certificate_that_expires_now_is_valid_or_expired() {
    let lab = Lab::new();
    let (tag, text) = generalized(SystemTime::now());
    let server =
        Server::start(Script::of(SCRIPT), showing(vec![lab.until(tag, &text)], &lab.leaf, ALL_VERSIONS).into()).await;
    let ca_file = file("ca.pem", &pem(&lab.root_der));
    let module = format!("{{security: tls, server_name: {HOST}, ca_file: '{}'}}", ca_file.display());
    let verdict = verdict(&probe(server.address(), &module).await);
    assert!(["ok", "certificate_expired in tls"].contains(&verdict.as_str()), "{verdict}");
}

/// F38.
#[tokio::test]
async fn a_renewed_certificate_is_seen_by_the_next_probe() {
    let lab = Lab::new();
    let show = |text: &str| showing(vec![lab.until(GENERALIZED, text)], &lab.leaf, ALL_VERSIONS);
    let server = Server::start(Script::of(SCRIPT), show("20400101000000Z").into()).await;
    let mut ends = Vec::new();
    for renewed in ["20410101000000Z", "20420101000000Z"] {
        let seen = probe(server.address(), "{security: tls, expect: {certificate: any}}").await.findings.certificate;
        ends.push(seen.unwrap().chain_not_after().unwrap());
        server.change(Script::of(SCRIPT), Some(show(renewed)));
    }
    assert_eq!(ends, [2_208_988_800, 2_240_611_200]);
}

/// F34: what is cut off costs what follows, and nothing is read that is not there.
#[test]
fn a_certificate_cut_at_any_byte_has_right_facts_or_none() {
    let lab = Lab::new();
    let der = lab.leaf(|_| {});
    let whole = certificate(&der).facts.unwrap();
    assert_eq!(whole.malformed, None);
    for length in 0..der.len() {
        let Some(facts) = certificate(&der[..length]).facts else { continue };
        assert!(facts.malformed.is_some(), "{length}");
        assert_eq!(facts.window(), whole.window(), "{length}");
        let or_nothing = |part: &str, whole: &str| part == whole || part.is_empty();
        assert!(or_nothing(facts.subject.as_str(), whole.subject.as_str()), "{length}: {}", facts.subject);
        assert!(or_nothing(facts.issuer.as_str(), whole.issuer.as_str()), "{length}: {}", facts.issuer);
        assert!(or_nothing(&facts.key, &whole.key), "{length}: {}", facts.key);
        assert!(facts.dns_names.is_empty() || facts.dns_names == whole.dns_names, "{length}: {:?}", facts.dns_names);
    }
}

/// F34: a changed bit may change what it is part of; it moves no date anywhere else.
#[test]
fn a_certificate_with_any_bit_flipped_has_its_dates_or_none() {
    let lab = Lab::new();
    let der = lab.leaf(|_| {});
    let whole = certificate(&der).facts.unwrap();
    let start = der.windows(2).position(|pair| pair == [UTC, 13]).unwrap();
    let dates = start..start + 15 + 17;
    let mut kept = 0;
    for at in (0..der.len()).filter(|at| !dates.contains(at)) {
        for bit in 0..8 {
            let mut flipped = der.clone();
            flipped[at] ^= 1 << bit;
            let Some(facts) = certificate(&flipped).facts else { continue };
            for (found, right) in [(facts.not_before, whole.not_before), (facts.not_after, whole.not_after)] {
                assert!(found.is_none() || found == right, "byte {at}, bit {bit}: {found:?}");
                kept += usize::from(found.is_some());
            }
        }
    }
    assert!(kept > der.len() * 8, "most flips cost no date: {kept}");
    // The digits and the zone; the tags and lengths before them are another matter.
    let header = |at: usize| [0, 1, 15, 16].contains(&(at - start));
    for at in dates.filter(|at| !header(*at)) {
        for bit in 0..8 {
            let mut flipped = der.clone();
            flipped[at] ^= 1 << bit;
            // What a strict reader takes for a date, this one takes for the same.
            if let Ok((_, strict)) = x509_parser::parse_x509_certificate(&flipped) {
                let (start, end) = (strict.validity().not_before.timestamp(), strict.validity().not_after.timestamp());
                assert_eq!(certificate(&flipped).facts.unwrap().window(), Some((start, end)), "byte {at}, bit {bit}");
            }
        }
    }
}
