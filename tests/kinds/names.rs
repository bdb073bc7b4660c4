//! Certificates that differ in whom they are for (RFC 9525) and what they are called.

use super::super::lab::forge::{BMP, T61, UTF8, dns, ip, sequence, tlv};
use super::{HOST, Lab, Row};

pub fn rows(lab: &Lab) -> Vec<Row> {
    let many = |count: usize| -> Vec<Vec<u8>> {
        (0..count).map(|n| dns(&format!("host-{n}.example.org"))).chain([dns(HOST)]).collect()
    };
    let addresses: Vec<Vec<u8>> = (0..2500_u16)
        .map(|n| [10, 1, (n / 250) as u8, (n % 250) as u8])
        .chain([[192, 0, 2, 1]])
        .map(|octets| ip(&octets))
        .collect();
    let smtp_utf8 =
        tlv(0xa0, &[tlv(6, &[0x2b, 6, 1, 5, 5, 7, 8, 9]), tlv(0xa0, &tlv(UTF8, "x@é.example".as_bytes()))].concat());
    let uri = tlv(0x86, b"https://mail.example.org/");
    let mixed =
        [ip(&[192, 0, 2, 1]), uri, smtp_utf8, dns(HOST), ip(&[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1])];
    let wild = |pattern: &str| lab.named(&[dns(pattern)]);
    vec![
        lab.one("F12", "for another host", "host_mismatch", wild("other.example")),
        lab.one("F13", "wildcard for one label", "", wild("*.example.org")),
        lab.one("F13", "wildcard for two labels", "host_mismatch", wild("*.example.org")).host("a.b.example.org"),
        lab.one("F13", "wildcard for its own parent", "host_mismatch", wild("*.example.org")).host("example.org"),
        lab.one("F14", "wildcard *.org", "host_mismatch", wild("*.org")).host("example.org"),
        lab.one("F14", "wildcard m*.example.org", "host_mismatch", wild("m*.example.org")),
        lab.one("F14", "wildcard *.*.example.org", "host_mismatch", wild("*.*.example.org")).host("a.b.example.org"),
        lab.one("F14", "wildcard *", "host_mismatch", wild("*")),
        lab.one("F15", "common name only", "host_mismatch", lab.leaf(|leaf| leaf.extensions.clear())).says("names=0"),
        lab.one("F16", "names of all kinds", "", lab.named(&mixed)).says("names=1"),
        lab.one("F16", "an address as target", "", lab.named(&mixed)).host("192.0.2.1"),
        lab.one("F16", "an IPv6 address as target", "", lab.named(&mixed)).host("2001:db8::1"),
        lab.one("F16", "another address as target", "host_mismatch", lab.named(&mixed)).host("192.0.2.2"),
        lab.one("F16", "an address written as a name", "host_mismatch", wild("192.0.2.1")).host("192.0.2.1"),
        lab.one("F16", "an address of five octets", "host_mismatch", lab.named(&[ip(&[192, 0, 2, 1, 9])]))
            .host("192.0.2.1"),
        lab.one("F17", "IDN as A-label, target as U-label", "", wild("xn--bcher-kva.example")).host("bücher.example"),
        lab.one("F17", "IDN as U-label", "host_mismatch", wild("bücher.example")).host("bücher.example"),
        lab.one("F18", "final dot of the target", "", wild(HOST)).host("mail.example.org."),
        lab.one("F18", "final dot of the certificate", "", wild("mail.example.org.")),
        lab.one("F32", "quotes, backslash, newline", "", lab.subject(UTF8, b"a\"b\\c\nd"))
            .says("subject=CN=a\"b\\c?d "),
        lab.one("F32", "NUL", "", lab.subject(UTF8, b"a\0b")).says("subject=CN=a?b "),
        lab.one("F32", "right-to-left override", "", lab.subject(UTF8, "a\u{202e}b".as_bytes()))
            .says("subject=CN=a?b "),
        lab.one("F32", "Chinese", "", lab.subject(UTF8, "邮件".as_bytes())).says("subject=CN=邮件 "),
        lab.one("F32", "BMPString", "", lab.subject(BMP, &[0, b'a', 0x90, 0xae])).says("subject=CN=a邮 "),
        lab.one("F32", "half a BMPString", "", lab.subject(BMP, &[0, b'a', 0x90])).says("subject=CN=a "),
        lab.one("F32", "T61String", "", lab.subject(T61, b"M\xfcller")).says("subject=CN=Müller "),
        lab.one("F32", "no UTF-8", "", lab.subject(UTF8, b"a\xffb")).says("subject=CN=a"),
        lab.one("F32", "NUL in a name", "host_mismatch", wild("mail.example.org\0.evil.example")),
        lab.one("F32", "no subject", "", lab.leaf(|leaf| leaf.subject = sequence(&[]))).says("subject= issuer"),
        lab.one("F33", "101 names", "", lab.named(&many(100))).says("names=101"),
        lab.one("F33", "1,501 names", "", lab.named(&many(1500))).says("names=1501"),
        lab.one("F33", "2,501 names", "", lab.named(&many(2500))).says("names=2000"),
        lab.one("F33", "2,501 names of others", "host_mismatch", lab.named(&many(2500))).host("host-2500.example.org"),
        lab.one("F33", "2,501 addresses", "", lab.named(&addresses)).host("192.0.2.1"),
    ]
}
