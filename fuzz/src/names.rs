//! Names, addresses and other single words that people and clients write.

use mail_endpoint_exporter::cert::name::{ServerName, covers};
use mail_endpoint_exporter::config::{Shard, adhoc};
use mail_endpoint_exporter::mail::Printable;
use mail_endpoint_exporter::mail::smtp::command::{Command, EhloName};
use rustls::pki_types::DnsName;

use super::assert_clean;

/// The bytes are the word; its second line is a name in a certificate.
pub fn check(bytes: &[u8]) {
    assert_clean(Printable::from_bytes(bytes).as_str());
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    assert_clean(Printable::from_text(text).as_str());
    let (word, pattern) = text.split_once('\n').unwrap_or((text, text));
    if let Ok(name) = ServerName::parse(word) {
        let shown = name.to_string();
        assert!(shown.is_ascii() && shown.len() <= 255 && !shown.contains(char::is_whitespace), "{shown:?}");
        assert_eq!(ServerName::parse(&shown), Ok(name.clone()), "what is shown means the same");
        if let ServerName::Dns(name) = &name {
            assert!(DnsName::try_from(name.as_str()).is_ok(), "{name:?} can be asked for in TLS");
        }
        covers(&[pattern.to_owned()], &[], &name);
        assert!(covers(&[shown], &[], &name) || matches!(name, ServerName::Ip(_)));
    }
    if let Ok((host, port)) = adhoc::host_and_port(word) {
        let again = match (&host, port) {
            (ServerName::Ip(address), Some(port)) => std::net::SocketAddr::new(*address, port).to_string(),
            (host, Some(port)) => format!("{host}:{port}"),
            (host, None) => host.to_string(),
        };
        assert_eq!(adhoc::host_and_port(&again), Ok((host, port)), "{again:?}");
    }
    if let Ok(name) = EhloName::parse(word) {
        let line = Command::Ehlo(name).to_line();
        assert!(line.len() <= 512 && line.bytes().all(|b| (b' '..=b'~').contains(&b) || b == b'\r' || b == b'\n'));
        assert_eq!(line.matches(['\r', '\n', ' ']).count(), 3, "{line:?}");
    }
    let _ = Shard::parse(word);
}
