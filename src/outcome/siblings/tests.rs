//! The rule as a table.

use std::sync::Arc;

use proptest::prelude::*;

use super::super::port_state::tests::outcomes;
use super::*;
use crate::cert::facts::{Certificate, Facts};
use crate::cert::verdict::{Finding, Invalid};
use crate::endpoint::{Endpoint, Module};
use crate::mail::Printable;
use crate::outcome::CertificateFacts;

/// What the endpoints of a row show, and for each whether it matches: `=`, `!`, or `.` for no answer.
///
/// An endpoint is a host, a port and a certificate, or `-` for none. A certificate is a letter and the day on which it
/// was issued; a capital letter stands for one that is not valid. `@` and a name behind it: it is asked for that name.
const TABLE: &[(&str, &str, &str)] = &[
    ("nothing", "", ""),
    ("alone", "a:25=x1", "."),
    ("alone, the other shows none", "a:25=x1 a:587-", ".."),
    ("two that agree", "a:25=x1 a:587=x1", "=="),
    ("renewed, and one is not reloaded", "a:25=x1 a:465=y2 a:587=y2", "!=="),
    ("renewed, and only one is reloaded", "a:25=x1 a:465=y2 a:587=x1", "!=!"),
    ("a stop-gap is younger and not valid", "a:25=X9 a:465=y2 a:587=y2", "!=="),
    ("none is valid: the youngest", "a:25=X1 a:465=Y2", "!="),
    ("issued together: what more of them show", "a:25=x1 a:465=y1 a:587=y1", "!=="),
    ("issued together, one each: always the same answer", "a:25=y1 a:465=x1", "!="),
    ("two hosts have nothing to do with each other", "a:25=x1 b:25=y2", ".."),
    ("another name is another certificate", "a:25=x1 a:465=y2@other a:587=x1", "=.="),
    ("one port in two targets is one place", "a:25=x1 a:25=x1", ".."),
    ("… and has one vote", "a:25=x1 a:25=x1 a:465=y1 a:587=y1", "!!=="),
    ("… but does count beside another", "a:25=x1 a:25=y2 a:587=y2", "!=="),
];

fn seen(word: &str) -> Outcome {
    let (place, certificate) = word.split_once(['=', '-']).unwrap();
    let mut outcome = outcomes(&format!("{place}+")).remove(0);
    let (certificate, name) = certificate.split_once('@').map_or((certificate, None), |(c, n)| (c, Some(n)));
    if let Some(name) = name {
        let endpoint = Endpoint::clone(&outcome.endpoint);
        let server_name = Some(ServerName::Dns(name.to_owned()));
        let module = Arc::new(Module { server_name, ..Module::clone(&endpoint.module) });
        outcome.endpoint = Arc::new(Endpoint { module, ..endpoint });
    }
    outcome.findings.certificate = (!certificate.is_empty()).then(|| shown(certificate));
    outcome
}

/// A certificate `x1`.
pub(in crate::outcome) fn shown(name: &str) -> CertificateFacts {
    let (letter, day) = name.split_at(1);
    let finding = Finding { reason: Invalid::SelfSigned, detail: "as the test wants it".into() };
    let invalid = if letter.chars().all(char::is_uppercase) { vec![finding] } else { Vec::new() };
    let chain = vec![certificate(letter, day.parse::<i64>().unwrap() * 86_400)];
    CertificateFacts { chain: Arc::new(chain.into()), invalid }
}

fn certificate(sha256: &str, not_before: i64) -> Certificate {
    let facts = Facts {
        not_before: Some(not_before),
        not_after: Some(not_before + 90 * 86_400),
        malformed: None,
        subject: Printable::from_text("CN=a.example"),
        issuer: Printable::from_text("CN=ca"),
        serial: "1".into(),
        dns_names: Vec::new(),
        addresses: Vec::new(),
        further_names: 0,
        key: "RSA 2048".into(),
        rsa_bits: Some(2048),
        signature: "sha256WithRSAEncryption".into(),
        self_issued: false,
        weak: None,
        version_3: true,
    };
    Certificate { sha256: sha256.into(), facts: Some(facts) }
}

fn signs(words: &[&str]) -> String {
    let outcomes: Vec<Outcome> = words.iter().map(|word| seen(word)).collect();
    let all: Vec<&Outcome> = outcomes.iter().collect();
    let sign = |one: Option<bool>| match one {
        None => '.',
        Some(true) => '=',
        Some(false) => '!',
    };
    matches_siblings(&all).into_iter().map(sign).collect()
}

#[test]
fn siblings_agree_as_the_table_says() {
    for (name, row, expected) in TABLE {
        let words: Vec<&str> = row.split_whitespace().collect();
        assert_eq!(signs(&words), *expected, "{name}: {row}");
    }
}

#[test]
fn one_that_cannot_be_read_is_never_the_right_one() {
    let (mut one, other) = (seen("a:25=x9"), seen("a:465=y1"));
    let seen = one.findings.certificate.as_mut().unwrap();
    let unreadable = Certificate { facts: None, ..seen.chain[0].clone() };
    seen.chain = Arc::new(vec![unreadable].into());
    seen.invalid = vec![Finding { reason: Invalid::Malformed, detail: String::new() }];
    assert_eq!(matches_siblings(&[&one, &other]), [Some(false), Some(true)]);
}

proptest! {
    #[test]
    fn the_order_does_not_matter_and_somebody_is_right(
        (words, shuffled) in proptest::collection::vec(
            ("[ab]", prop_oneof![Just(25), Just(465), Just(587)], "[xyXY]", 1..4u8)
                .prop_map(|(host, port, letter, day)| format!("{host}:{port}={letter}{day}")), 0..9)
            .prop_map(|words| words.into_iter().enumerate().collect::<Vec<_>>())
            .prop_flat_map(|words| (Just(words.clone()), Just(words).prop_shuffle()))
    ) {
        // A letter stands for one certificate: let its day depend on it alone.
        let fixed = |words: &[(usize, String)]| -> Vec<String> {
            let day = |word: &str| match &word[word.len() - 2..word.len() - 1] { "x" => 1, "y" => 2, "X" => 3, _ => 1 };
            words.iter().map(|(_, word)| format!("{}{}", &word[..word.len() - 1], day(word))).collect()
        };
        let of = |words: &[(usize, String)]| {
            let words = fixed(words);
            signs(&words.iter().map(String::as_str).collect::<Vec<_>>()).chars().collect::<Vec<_>>()
        };
        let (before, after) = (of(&words), of(&shuffled));
        for ((number, word), sign) in shuffled.iter().zip(&after) {
            prop_assert_eq!(*sign, before[*number], "{}", word);
        }
        for host in ["a", "b"] {
            let own: Vec<char> = words.iter().zip(&before).filter(|((_, w), _)| w.starts_with(host)).map(|(_, s)| *s).collect();
            // Whoever is odd is odd beside somebody.
            prop_assert!(!own.contains(&'!') || own.contains(&'='));
        }
    }
}
