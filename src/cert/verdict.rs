//! Every reason why a chain is not valid for a host, at a time.
//!
//! A TLS library stops at the first fault it meets, and which one comes first is chance. An operator
//! needs them all: a certificate may be expired, misnamed and self-signed at once, and renewing it
//! would cure only one of the three.

use rustls::pki_types::CertificateDer;

use super::chain::Chain;
use super::facts::{Certificate, Facts, Weakness};
use super::links::linked;
use super::name::ServerName;
use super::roots::{ChainFault, Roots};

/// A reason, in the order of what to mend first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Invalid {
    /// It, or a certificate of its chain, has expired.
    Expired,
    /// It, or a certificate of its chain, is not valid yet.
    NotYetValid,
    /// It names other hosts.
    HostMismatch,
    /// It is its own issuer.
    SelfSigned,
    /// It leads to no trusted root.
    NotTrusted,
    /// Its key is short or its signature old, or that of a certificate that it depends on.
    Weak,
    /// It cannot be read, or is not X.509 v3.
    Malformed,
}

/// One reason, with what exactly was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The reason.
    pub reason: Invalid,
    /// What was found, as the end of a sentence.
    pub detail: String,
}

/// Judges a chain as sent, the leaf first; `der` are its bytes. No finding means that it is valid.
pub fn judge(chain: &Chain, der: &[CertificateDer<'_>], host: &ServerName, now: i64, roots: &Roots) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut add = |reason, detail: String| {
        if !findings.iter().any(|found: &Finding| found.reason == reason) {
            findings.push(Finding { reason, detail });
        }
    };
    let Some(leaf) = chain.first().and_then(|leaf| leaf.facts.as_ref()) else {
        add(Invalid::Malformed, "the certificate cannot be read".into());
        return findings;
    };
    if let Some(fault) = &leaf.malformed {
        add(Invalid::Malformed, format!("the certificate is malformed: {fault}"));
    }
    if leaf.not_after.is_some_and(|end| now > end) {
        add(Invalid::Expired, "the certificate has expired".into());
    }
    if leaf.not_before.is_some_and(|start| now < start) {
        add(Invalid::NotYetValid, "the certificate is not valid yet".into());
    }
    if !leaf.version_3 {
        add(Invalid::Malformed, "the certificate is not X.509 version 3".into());
    }
    if !der.first().is_some_and(|der| leaf.covers(der, host)) {
        add(Invalid::HostMismatch, mismatch(leaf, host));
    }
    let trust = chain.verify(der, roots, moment_of_validity(chain, now));
    // Weak keys and old signatures are refused on the way to a root. So where there is one, what is weak beside the
    // leaf is not on it; where there is none, it may be what a path would have to go through.
    let suspects = if trust.is_ok() { vec![0] } else { linked(der) };
    for position in suspects {
        let Some(facts) = chain.get(position).and_then(|c| c.facts.as_ref()) else { continue };
        // A root that is sent along is trusted for what it is, not for its key.
        let is_root = position > 0 && facts.self_issued;
        if let Some(weakness) = facts.weak.filter(|_| !is_root) {
            add(Invalid::Weak, weak(position, facts, weakness));
        }
    }
    if let Err(fault) = trust {
        let (reason, detail) = untrusted(&fault, leaf, chain.len());
        add(reason, detail);
    } else if let Err(fault @ (ChainFault::Expired | ChainFault::NotYetValid)) = chain.verify(der, roots, now) {
        let (reason, detail) = untrusted(&fault, leaf, chain.len());
        add(reason, detail);
    }
    findings.sort_by_key(|finding| finding.reason);
    findings
}

/// The time nearest to now at which every certificate sent is valid: trust is judged there, so that
/// an expired certificate is not called untrusted as well.
fn moment_of_validity(certificates: &[Certificate], now: i64) -> i64 {
    let windows = || certificates.iter().filter_map(|c| c.facts.as_ref()?.window());
    let overlap = windows().reduce(|a, b| (a.0.max(b.0), a.1.min(b.1)));
    let window = overlap.filter(|(from, to)| from <= to).or_else(|| windows().next());
    window.map_or(now, |(from, to)| now.clamp(from, to.max(from)))
}

fn mismatch(leaf: &Facts, host: &ServerName) -> String {
    let addresses = leaf.addresses.iter().map(ToString::to_string);
    let names: Vec<String> = leaf.dns_names.iter().cloned().chain(addresses).collect();
    let count = names.len().saturating_add(leaf.further_names);
    match &names[..] {
        // RFC 9525 §6.5: the common name does not count.
        [] => format!("the certificate has no subject alternative name, so it is good for no host, nor for {host}"),
        [a, b, c, ..] if count > 4 => {
            format!("the certificate is for {a}, {b}, {c} and {} more, not for {host}", count.saturating_sub(3))
        }
        few => format!("the certificate is for {}, not for {host}", few.join(", ")),
    }
}

fn weak(position: usize, facts: &Facts, weakness: Weakness) -> String {
    let whose = if position == 0 { "the certificate" } else { "a certificate of the chain" };
    match weakness {
        Weakness::Key => format!("{whose} has a weak key ({})", facts.key),
        Weakness::Signature => format!("{whose} has a weak signature ({})", facts.signature),
    }
}

fn untrusted(fault: &ChainFault, leaf: &Facts, length: usize) -> (Invalid, String) {
    match fault {
        ChainFault::Expired => (Invalid::Expired, "a certificate of the chain has expired".into()),
        ChainFault::NotYetValid => (Invalid::NotYetValid, "a certificate of the chain is not valid yet".into()),
        ChainFault::Malformed => (Invalid::Malformed, "the certificate is no X.509 v3 that TLS can use".into()),
        // `openssl req -x509` makes these with CA:TRUE, which is reported as another fault.
        _ if leaf.self_issued => (Invalid::SelfSigned, "the certificate is self-signed".into()),
        ChainFault::UnknownIssuer if length == 1 => (
            Invalid::NotTrusted,
            format!("the server sent its own certificate alone, and {} is no trusted root", leaf.issuer),
        ),
        ChainFault::UnknownIssuer => (Invalid::NotTrusted, "the chain leads to no trusted root".into()),
        ChainFault::Other(why) => (Invalid::NotTrusted, format!("the chain cannot be verified: {why}")),
    }
}
