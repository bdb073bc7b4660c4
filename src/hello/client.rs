//! The client's words: a ClientHello that old servers can answer, and a goodbye.

use super::suites::SUITES;
use super::{Version, content};

/// RFC 5746 §3.3: says that renegotiation is safe with us, without an extension that SSL 3.0 would not know.
const RENEGOTIATION_INFO_SCSV: u16 = 0x00ff;

/// The curves (RFC 8422 §5.1.1, RFC 7027, RFC 7919): whatever the server has will do.
const GROUPS: &[u16] = &[29, 23, 24, 25, 30, 26, 27, 28, 14, 13, 11, 12, 9, 10, 22, 19, 21, 256, 257, 258];

/// RFC 5246 §7.4.1.4.1, with the schemes of RFC 8446 §4.2.3: ECDSA, RSA, RSA-PSS, EdDSA and DSA, down to SHA-1.
const SIGNATURES: &[u16] = &[
    0x0403, 0x0503, 0x0603, 0x0807, 0x0808, 0x0804, 0x0805, 0x0806, 0x0809, 0x080a, 0x080b, 0x0401, 0x0501, 0x0601,
    0x0303, 0x0301, 0x0402, 0x0502, 0x0203, 0x0201, 0x0202, 0x0101,
];

mod extension {
    pub(super) const SERVER_NAME: u16 = 0;
    pub(super) const SUPPORTED_GROUPS: u16 = 10;
    pub(super) const POINT_FORMATS: u16 = 11;
    pub(super) const SIGNATURE_ALGORITHMS: u16 = 13;
    pub(super) const PADDING: u16 = 21;
}

/// A ClientHello in its record, that offers the versions up to `newest` (RFC 5246 §7.4.1.2).
pub fn client_hello(newest: Version, server_name: Option<&str>, random: &[u8; 32]) -> Vec<u8> {
    let mut body = newest.on_the_wire().to_vec();
    body.extend(random);
    body.push(0); // no session to resume: a resumed one would show no certificate
    let suites = SUITES.iter().map(|(number, _)| *number).chain([RENEGOTIATION_INFO_SCSV]);
    body.extend(with_length_16(&numbers(suites)));
    body.extend([1, 0]); // no compression
    let mut extensions = extensions(newest, server_name);
    // RFC 7685 §1: some old load balancers hang on hellos of 256 to 511 bytes.
    let length = [4, body.len(), 2, extensions.len()].into_iter().fold(0, usize::saturating_add);
    if (256..512).contains(&length) {
        let zeros = 508_usize.saturating_sub(length);
        extensions.extend(one_extension(extension::PADDING, &vec![0; zeros]));
    }
    body.extend(with_length_16(&extensions));
    let mut message = vec![1]; // client_hello
    message.extend(&(body.len() as u32).to_be_bytes()[1..]);
    message.extend(body);
    // RFC 5246 §E.1: a record of TLS 1.0 is what every server reads; one of SSL 3.0 if that is all that is offered.
    record(content::HANDSHAKE, newest.min(Version::Tls10), &message)
}

/// Leaves in the middle of a handshake: user_canceled, then close_notify (RFC 5246 §7.2).
pub fn goodbye(version: Version) -> Vec<u8> {
    const WARNING: u8 = 1;
    let alert = |description| record(content::ALERT, version, &[WARNING, description]);
    [alert(90), alert(0)].concat()
}

fn extensions(newest: Version, server_name: Option<&str>) -> Vec<u8> {
    let mut extensions = Vec::new();
    if let Some(name) = server_name {
        // RFC 6066 §3: a list of one name of the type host_name.
        let entry = [&[0][..], &with_length_16(name.as_bytes())].concat();
        extensions.extend(one_extension(extension::SERVER_NAME, &with_length_16(&entry)));
    }
    extensions.extend(one_extension(extension::SUPPORTED_GROUPS, &with_length_16(&numbers(GROUPS.iter().copied()))));
    extensions.extend(one_extension(extension::POINT_FORMATS, &[3, 0, 1, 2]));
    if newest == Version::Tls12 {
        let schemes = numbers(SIGNATURES.iter().copied());
        extensions.extend(one_extension(extension::SIGNATURE_ALGORITHMS, &with_length_16(&schemes)));
    }
    extensions
}

fn one_extension(kind: u16, content: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &with_length_16(content)].concat()
}

fn numbers(list: impl Iterator<Item = u16>) -> Vec<u8> {
    list.flat_map(u16::to_be_bytes).collect()
}

/// What is given here is never longer than 64 KiB: a host name has at most 253 bytes.
fn with_length_16(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u16).to_be_bytes()[..], bytes].concat()
}

fn record(kind: u8, version: Version, content: &[u8]) -> Vec<u8> {
    [&[kind][..], &version.on_the_wire(), &with_length_16(content)].concat()
}

#[cfg(test)]
mod tests {
    use rustls::server::Acceptor;

    use super::*;

    #[test]
    fn another_implementation_reads_the_hello() {
        for name in [None, Some("mail.example.org")] {
            let hello = client_hello(Version::Tls12, name, &[7; 32]);
            let mut acceptor = Acceptor::default();
            acceptor.read_tls(&mut &hello[..]).unwrap();
            let accepted = acceptor.accept().unwrap().unwrap();
            let read = accepted.client_hello();
            assert_eq!(read.server_name(), name);
            assert_eq!(read.cipher_suites().len(), SUITES.len() + 1);
            for (suite, (number, name)) in read.cipher_suites().iter().zip(SUITES) {
                assert_eq!(u16::from(*suite), *number);
                let known = format!("{suite:?}");
                // It has names for some of them only.
                assert!(known == *name || known.starts_with("CipherSuite("), "{known} is {name}");
            }
            assert_eq!(read.signature_schemes().len(), SIGNATURES.len());
        }
    }

    #[test]
    fn lengths_that_make_old_load_balancers_hang_are_avoided() {
        for length in 1..=253 {
            let message = client_hello(Version::Tls12, Some(&"a".repeat(length)), &[0; 32]).len() - 5;
            assert!(!(256..512).contains(&message), "{length}: {message}");
        }
    }

    #[test]
    fn an_old_offer_is_an_old_hello() {
        let hello = client_hello(Version::Tls11, None, &[0; 32]);
        assert_eq!((&hello[..3], &hello[9..11]), (&[22, 3, 1][..], &[3, 2][..]));
        assert_eq!(client_hello(Version::Ssl3, None, &[0; 32])[..3], [22, 3, 0]);
        assert_eq!(goodbye(Version::Tls10), [21, 3, 1, 0, 2, 1, 90, 21, 3, 1, 0, 2, 1, 0]);
    }
}
