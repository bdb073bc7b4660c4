//! Which certificates of a chain have to do with its leaf.
//!
//! A server ought to send its own certificate and those between it and a root, in order (RFC 8446 §4.4.2). Many send
//! others as well: of another host, of an authority that is no longer used. A path to a root goes from each
//! certificate to one whose subject is its issuer (RFC 5280 §6.1); what cannot be reached in this way is on no path.

use rustls::pki_types::CertificateDer;

use super::facts::subject_and_issuer;

/// The most certificates of a chain that are kept. A path is looked for among as many, so that what a server sends
/// cannot make the search long.
pub const MAX_CHAIN: usize = 16;

/// The positions of the leaf and of what a path from it may go through, up to as many as are kept.
pub(super) fn linked(chain: &[CertificateDer<'_>]) -> Vec<usize> {
    let names: Vec<_> = chain.iter().map(|der| subject_and_issuer(der)).collect();
    let mut found: Vec<usize> = (0..chain.len()).take(1).collect();
    let mut next = 0;
    while let Some(position) = found.get(next) {
        next = next.saturating_add(1);
        let Some(issuer) = names.get(*position).and_then(|names| Some(names.as_ref()?.1)) else { continue };
        for (position, _) in names.iter().enumerate().filter(|(_, names)| names.is_some_and(|(own, _)| own == issuer)) {
            if found.len() < MAX_CHAIN && !found.contains(&position) {
                found.push(position);
            }
        }
    }
    found
}

/// As much of a chain as is kept, in the order it was sent: what its leaf is linked with, and of the others the first.
pub fn shorten(mut chain: Vec<CertificateDer<'static>>) -> Vec<CertificateDer<'static>> {
    if chain.len() > MAX_CHAIN {
        let mut kept = linked(&chain);
        let room = MAX_CHAIN.saturating_sub(kept.len());
        let others: Vec<usize> = (0..chain.len()).filter(|position| !kept.contains(position)).take(room).collect();
        kept.extend(others);
        let mut position = 0..;
        chain.retain(|_| position.next().is_some_and(|position| kept.contains(&position)));
    }
    chain
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, Issuer, KeyPair};

    use super::*;

    /// `leaf<ca, ca<root` and the like: subjects and their issuers.
    fn chain(text: &str) -> Vec<CertificateDer<'static>> {
        let key = KeyPair::generate().unwrap();
        let params = |name: &str| {
            let mut params = CertificateParams::new(Vec::new()).unwrap();
            params.distinguished_name.push(DnType::CommonName, name);
            params
        };
        let certificate = |text: &str| {
            let (subject, issuer) = text.split_once('<').unwrap();
            params(subject).signed_by(&key, &Issuer::new(params(issuer), &key)).unwrap().der().clone()
        };
        text.split(", ").map(certificate).collect()
    }

    #[test]
    fn a_path_goes_from_issuer_to_issuer_in_any_order() {
        for (text, expected) in [
            ("leaf<ca, ca<root", &[0, 1][..]),
            ("leaf<ca, other<root, root<root, ca<root", &[0, 3, 2]),
            ("leaf<ca, ca<old, ca<root", &[0, 1, 2]),
            ("leaf<leaf, x<leaf", &[0]),
            ("leaf<a, a<b, b<a", &[0, 1, 2]),
        ] {
            assert_eq!(linked(&chain(text)), expected, "{text}");
        }
        assert!(linked(&[]).is_empty());
        assert_eq!(linked(&[vec![1, 2, 3].into(), Vec::new().into()]), [0], "what cannot be read leads nowhere");
    }

    #[test]
    fn of_a_long_chain_the_path_is_kept() {
        let long = |first: &str, last: &str| {
            let others: Vec<String> = (0..30).map(|n| format!("x{n}<y")).collect();
            chain(&format!("{first}, {}, {last}", others.join(", ")))
        };
        let sent = long("leaf<ca", "ca<root");
        let kept = shorten(sent.clone());
        assert_eq!(kept.len(), MAX_CHAIN);
        assert_eq!((&kept[..15], &kept[15]), (&sent[..15], &sent[31]));
        assert_eq!(shorten(sent[..16].to_vec()), sent[..16]);
        let flood = format!("leaf<ca, {}", vec!["ca<ca"; 40].join(", "));
        assert_eq!(shorten(chain(&flood)).len(), MAX_CHAIN, "however many are linked");
    }
}
