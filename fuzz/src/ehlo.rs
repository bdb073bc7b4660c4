//! What an EHLO reply offers, against a second reader that works on text (RFC 5321 §4.1.1.1, RFC 4954 §3).

use mail_endpoint_exporter::mail::Printable;
use mail_endpoint_exporter::mail::smtp::capabilities::Capabilities;
use mail_endpoint_exporter::mail::smtp::registry;
use mail_endpoint_exporter::mail::smtp::reply::Reply;

use super::assert_clean;

/// The bytes are the lines of the reply, without their codes.
pub fn check(bytes: &[u8]) {
    let lines: Vec<Vec<u8>> = bytes.split(|b| *b == b'\n').map(<[u8]>::to_vec).collect();
    let found = Capabilities::from_ehlo(&Reply { code: 250, lines: lines.clone() });
    for capability in &found.all {
        assert_clean(capability.keyword.as_str());
        assert_clean(capability.parameters.as_str());
        let label = registry::capability(capability.keyword.as_str());
        assert!(label == registry::OTHER || label == capability.keyword.as_str());
    }
    found.auth.iter().for_each(|name| assert_clean(name.as_str()));
    assert_eq!(found, second_opinion(&lines));
}

fn second_opinion(lines: &[Vec<u8>]) -> Capabilities {
    let mut expected = Capabilities { esmtp: true, ..Capabilities::default() };
    for line in lines.iter().skip(1) {
        // One character a byte: cutting and comparing cannot go wrong at letters of several bytes.
        let text: String = line.iter().map(|b| char::from(*b)).collect();
        let words: Vec<&str> = text.split([' ', '\t']).filter(|word| !word.is_empty()).collect();
        let Some(first) = words.first() else { continue };
        let first = first.to_ascii_uppercase();
        let old_auth = first.starts_with("AUTH=");
        let keyword = if old_auth { "AUTH" } else { &first };
        let mut mechanisms: Vec<String> = words[1..].iter().map(|word| word.to_ascii_uppercase()).collect();
        if old_auth {
            mechanisms.insert(0, first["AUTH=".len()..].to_owned());
        }
        if keyword == "AUTH" {
            for name in mechanisms.iter().filter(|name| !name.is_empty()).map(|name| printable(name)) {
                if expected.auth.len() < 32 && !expected.auth.contains(&name) {
                    expected.auth.push(name);
                }
            }
        }
        expected.starttls |= keyword == "STARTTLS";
        expected.starttls_masked |= keyword.len() == 8
            && keyword.starts_with("XXXXXXX")
            && keyword.ends_with(|last: char| last.is_ascii_uppercase());
        if keyword == "SIZE" {
            let digits = words.get(1).filter(|word| word.chars().all(|c| c.is_ascii_digit()));
            expected.size_limit = digits.and_then(|word| word.parse().ok()).filter(|size| *size > 0);
        }
        let keyword = printable(keyword);
        if !expected.all.iter().any(|one| one.keyword == keyword) {
            let parameters = printable(&words[1..].join(" "));
            expected.all.push(mail_endpoint_exporter::mail::smtp::capabilities::Capability { keyword, parameters });
        }
    }
    expected
}

/// From one character a byte back to bytes.
fn printable(text: &str) -> Printable {
    let bytes: Vec<u8> = text.chars().map(|c| c as u32 as u8).collect();
    Printable::from_bytes(&bytes)
}
