//! OpenSSL's own server, pinned to one version, cipher suite and group after the other: how each probe ends, and that
//! the certificate is seen, up to TLS 1.2 always. `tests/real_certificates.rs` has it show certificates of every kind.
//!
//! `tests/real.sh` installs openssl and runs this.

#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "a test fails by panicking")]

mod support;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use mail_endpoint_exporter::cert::facts::Facts;
use mail_endpoint_exporter::outcome::Outcome;
use support::s_server::{SServer, done, openssl};
use support::{folder, verdict};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// What the server is pinned to, with which key, how the probe ends, and what is then known of its TLS.
const ROWS: &[(&str, &str, &str, &str)] = &[
    (
        "-tls1_3 -ciphersuites TLS_AES_128_GCM_SHA256 -groups X25519",
        "rsa",
        "ok",
        "TLSv1.3 TLS_AES_128_GCM_SHA256 x25519",
    ),
    (
        "-tls1_3 -ciphersuites TLS_AES_256_GCM_SHA384 -groups P-256",
        "ec",
        "ok",
        "TLSv1.3 TLS_AES_256_GCM_SHA384 secp256r1",
    ),
    (
        "-tls1_3 -ciphersuites TLS_CHACHA20_POLY1305_SHA256 -groups P-384",
        "rsa",
        "ok",
        "TLSv1.3 TLS_CHACHA20_POLY1305_SHA256 secp384r1",
    ),
    // A server of TLS 1.3 alone encrypts its certificate: without a common group nothing is seen.
    ("-tls1_3 -groups P-521", "rsa", "tls_alert in tls", ""),
    ("-tls1_3 -groups X448", "ec", "tls_alert in tls", ""),
    ("-tls1_3 -ciphersuites TLS_AES_128_CCM_SHA256", "rsa", "tls_alert in tls", ""),
    ("-tls1_2 -cipher ECDHE-RSA-AES128-GCM-SHA256", "rsa", "ok", "TLSv1.2 TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"),
    (
        "-tls1_2 -cipher ECDHE-RSA-AES256-GCM-SHA384 -groups P-256",
        "rsa",
        "ok",
        "TLSv1.2 TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 secp256r1",
    ),
    (
        "-tls1_2 -cipher ECDHE-RSA-CHACHA20-POLY1305 -groups P-384",
        "rsa",
        "ok",
        "TLSv1.2 TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256 secp384r1",
    ),
    ("-tls1_2 -cipher ECDHE-ECDSA-AES128-GCM-SHA256", "ec", "ok", "TLSv1.2 TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"),
    ("-tls1_2 -cipher ECDHE-ECDSA-AES256-GCM-SHA384", "ec", "ok", "TLSv1.2 TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"),
    (
        "-tls1_2 -cipher ECDHE-ECDSA-CHACHA20-POLY1305",
        "ec",
        "ok",
        "TLSv1.2 TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    ),
    // From here on rustls gives up, and the second look sees the rest.
    (
        "-tls1_2 -cipher ECDHE-RSA-AES128-GCM-SHA256 -groups P-521",
        "rsa",
        "tls_alert in tls",
        "TLSv1.2 TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 secp521r1",
    ),
    (
        "-tls1_2 -cipher ECDHE-RSA-AES128-GCM-SHA256 -groups X448",
        "rsa",
        "tls_alert in tls",
        "TLSv1.2 TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 x448",
    ),
    ("-tls1_2 -cipher ECDHE-RSA-AES128-SHA", "rsa", "tls_alert in tls", "TLSv1.2 TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA"),
    (
        "-tls1_2 -cipher ECDHE-RSA-AES256-SHA384",
        "rsa",
        "tls_alert in tls",
        "TLSv1.2 TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384",
    ),
    ("-tls1_2 -cipher ECDHE-ECDSA-AES128-CCM", "ec", "tls_alert in tls", "TLSv1.2 TLS_ECDHE_ECDSA_WITH_AES_128_CCM"),
    (
        "-tls1_2 -cipher ECDHE-ECDSA-AES256-SHA",
        "ec",
        "tls_alert in tls",
        "TLSv1.2 TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
    ),
    (
        "-tls1_2 -cipher DHE-RSA-AES128-GCM-SHA256",
        "rsa",
        "tls_alert in tls",
        "TLSv1.2 TLS_DHE_RSA_WITH_AES_128_GCM_SHA256",
    ),
    ("-tls1_2 -cipher DHE-RSA-AES256-SHA256", "rsa", "tls_alert in tls", "TLSv1.2 TLS_DHE_RSA_WITH_AES_256_CBC_SHA256"),
    (
        "-tls1_2 -cipher DHE-RSA-CHACHA20-POLY1305",
        "rsa",
        "tls_alert in tls",
        "TLSv1.2 TLS_DHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
    ),
    ("-tls1_2 -cipher AES128-GCM-SHA256", "rsa", "tls_alert in tls", "TLSv1.2 TLS_RSA_WITH_AES_128_GCM_SHA256"),
    ("-tls1_2 -cipher AES256-SHA256", "rsa", "tls_alert in tls", "TLSv1.2 TLS_RSA_WITH_AES_256_CBC_SHA256"),
    ("-tls1_2 -cipher AES128-CCM8", "rsa", "tls_alert in tls", "TLSv1.2 TLS_RSA_WITH_AES_128_CCM_8"),
    ("-tls1_2 -cipher CAMELLIA128-SHA", "rsa", "tls_alert in tls", "TLSv1.2 TLS_RSA_WITH_CAMELLIA_128_CBC_SHA"),
    ("-tls1_2 -cipher NULL-SHA256:@SECLEVEL=0", "rsa", "tls_alert in tls", "TLSv1.2 TLS_RSA_WITH_NULL_SHA256"),
    ("-tls1_1 -cipher ALL:@SECLEVEL=0", "rsa", "tls_version in tls", "TLSv1.1 TLS_ECDHE_RSA_WITH_AES_"),
    ("-tls1_1 -cipher AES128-SHA:@SECLEVEL=0", "rsa", "tls_version in tls", "TLSv1.1 TLS_RSA_WITH_AES_128_CBC_SHA"),
    ("-tls1_1 -cipher ALL:@SECLEVEL=0", "ec", "tls_version in tls", "TLSv1.1 TLS_ECDHE_ECDSA_WITH_AES_"),
    ("-tls1 -cipher ALL:@SECLEVEL=0", "rsa", "tls_version in tls", "TLSv1.0 TLS_ECDHE_RSA_WITH_AES_"),
    (
        "-tls1 -cipher DHE-RSA-AES256-SHA:@SECLEVEL=0",
        "rsa",
        "tls_version in tls",
        "TLSv1.0 TLS_DHE_RSA_WITH_AES_256_CBC_SHA",
    ),
    ("-tls1 -cipher AES256-SHA:@SECLEVEL=0", "rsa", "tls_version in tls", "TLSv1.0 TLS_RSA_WITH_AES_256_CBC_SHA"),
];

/// The keys of servers, as OpenSSL makes them.
const KEYS: &[(&str, &str)] = &[
    ("rsa", "RSA -pkeyopt rsa_keygen_bits:2048"),
    ("rsa-1024", "RSA -pkeyopt rsa_keygen_bits:1024"),
    ("rsa-4096", "RSA -pkeyopt rsa_keygen_bits:4096"),
    // Of more primes than two, for two of thousands of bits take minutes to find.
    ("rsa-8192", "RSA -pkeyopt rsa_keygen_bits:8192 -pkeyopt rsa_keygen_primes:5"),
    ("rsa-16384", "RSA -pkeyopt rsa_keygen_bits:16384 -pkeyopt rsa_keygen_primes:5"),
    ("rsa-pss", "RSA-PSS -pkeyopt rsa_keygen_bits:2048"),
    ("ec", "EC -pkeyopt ec_paramgen_curve:P-256"),
    ("ec-384", "EC -pkeyopt ec_paramgen_curve:P-384"),
    ("ec-521", "EC -pkeyopt ec_paramgen_curve:P-521"),
    ("ec-k1", "EC -pkeyopt ec_paramgen_curve:secp256k1"),
    ("ec-brainpool", "EC -pkeyopt ec_paramgen_curve:brainpoolP256r1"),
    ("ed25519", "ED25519"),
    ("ed448", "ED448"),
];

/// A key of this kind and a certificate for it.
fn make_key(folder: &Path, kind: &str) {
    let key = folder.join(format!("{kind}.key"));
    if kind == "dsa" {
        let parameters = folder.join("dsa.parameters");
        done(openssl("genpkey -genparam -algorithm DSA -pkeyopt dsa_paramgen_bits:2048 -out").arg(&parameters));
        done(openssl("genpkey -paramfile").arg(parameters).arg("-out").arg(&key));
    } else {
        let (_, algorithm) = KEYS.iter().find(|(name, _)| *name == kind).unwrap();
        done(openssl(&format!("genpkey -algorithm {algorithm} -out")).arg(&key));
    }
    let certificate = folder.join(format!("{kind}.pem"));
    let mut command = openssl("req -x509 -days 90 -subj /CN=mail.example.org -key");
    done(command.arg(key).arg("-out").arg(certificate));
}

/// A mail server in clear in front of it, for STARTTLS.
async fn in_front_of(server: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut client = tokio::io::BufReader::new(tcp);
                client.write_all(b"220 mx ESMTP\r\n").await?;
                for answer in ["250-mx\r\n250 STARTTLS\r\n", "220 go\r\n"] {
                    client.read_line(&mut String::new()).await?;
                    client.write_all(answer.as_bytes()).await?;
                }
                let mut inside = TcpStream::connect(server).await?;
                copy_bidirectional(&mut client, &mut inside).await
            });
        }
    });
    address
}

/// What is known of TLS: version, suite and group.
fn tls_of(outcome: &Outcome) -> Option<String> {
    let tls = outcome.findings.tls.as_ref()?;
    Some(format!("{} {} {}", tls.version.as_str(), tls.cipher, tls.group.as_deref().unwrap_or_default()))
}

/// What the server's own certificate says.
fn leaf_of(outcome: &Outcome) -> Option<&Facts> {
    outcome.findings.certificate.as_ref()?.leaf()?.facts.as_ref()
}

#[tokio::test]
#[ignore = "needs openssl"]
async fn every_version_suite_and_group_is_observed() {
    let folder = folder();
    make_key(&folder, "rsa");
    make_key(&folder, "ec");
    for (args, kind, expected, agreed) in ROWS {
        for security in ["tls", "starttls"] {
            let mut server = SServer::start(&folder, args, kind);
            // The greeting of OpenSSL's server is the one inside TLS: after STARTTLS it would be one too many.
            let modern = *expected == "ok";
            if modern && security == "starttls" {
                continue;
            }
            let address = if security == "tls" { server.address } else { in_front_of(server.address).await };
            let module = format!("{{security: {security}, timeout: 10s, expect: {{certificate: any}}}}");
            let outcome = server.probe_at(address, &module).await.unwrap();
            let what = format!("{args}, {kind}, {security}: {:?}", outcome.failure);
            assert_eq!(verdict(&outcome), *expected, "{what}");
            let text = tls_of(&outcome);
            assert_eq!(text.is_some(), !agreed.is_empty(), "{what}");
            assert!(text.as_deref().unwrap_or_default().starts_with(agreed), "{what}: {text:?}");
            let facts = leaf_of(&outcome);
            assert_eq!(facts.is_some(), !agreed.is_empty(), "{what}");
            if let Some(facts) = facts {
                let key = if *kind == "ec" { "ECDSA P-256" } else { "RSA 2048" };
                assert_eq!((facts.subject.as_str(), facts.key.as_str()), ("CN=mail.example.org", key), "{what}");
            }
        }
    }
}

/// The groups of OpenSSL, as it calls them and as they are registered with IANA.
const GROUPS: &[(&str, &str)] = &[
    ("X25519", "x25519"),
    ("P-256", "secp256r1"),
    ("P-384", "secp384r1"),
    ("P-521", "secp521r1"),
    ("X448", "x448"),
    ("secp256k1", "secp256k1"),
    ("brainpoolP256r1", "brainpoolP256r1"),
    ("brainpoolP384r1", "brainpoolP384r1"),
    ("brainpoolP512r1", "brainpoolP512r1"),
];

/// What rustls has of it, by the names of IANA.
const MODERN_SUITES: &[&str] = &[
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
];
const MODERN_GROUPS: &[&str] = &["x25519", "secp256r1", "secp384r1"];

/// One server: what OpenSSL is told, which key it has, and what is to be seen.
struct Pinned {
    args: String,
    key: &'static str,
    version: &'static str,
    suite: String,
    /// Empty where the suite has none.
    group: &'static str,
}

/// Every version with each of its suites and, where the suite has one, each group.
fn every_pin() -> Vec<Pinned> {
    let mut pins = Vec::new();
    let versions = [("tls1_3", "TLSv1.3"), ("tls1_2", "TLSv1.2"), ("tls1_1", "TLSv1.1"), ("tls1", "TLSv1.0")];
    for (option, version) in versions {
        let listed =
            openssl(&format!("ciphers -s -{option} -stdname ALL:COMPLEMENTOFALL:@SECLEVEL=0")).output().unwrap();
        for line in String::from_utf8(listed.stdout).unwrap().lines() {
            // TLS_RSA_WITH_NULL_SHA - NULL-SHA SSLv3 Kx=RSA Au=RSA Enc=None Mac=SHA1
            let [suite, _, name, _, exchange, authentication, ..] = line.split_whitespace().collect::<Vec<_>>()[..]
            else {
                panic!("{line}")
            };
            let key = match authentication {
                // A pre-shared key is no certificate, and no mail server has one.
                "Au=PSK" => continue,
                _ if exchange.contains("PSK") => continue,
                "Au=ECDSA" => "ec",
                "Au=DSS" => "dsa",
                _ => "rsa",
            };
            let cipher = if option == "tls1_3" {
                format!("-ciphersuites {name}")
            } else {
                format!("-cipher {name}:@SECLEVEL=0")
            };
            let none = [("", "")];
            let groups = if ["Kx=ECDH", "Kx=any"].contains(&exchange) { GROUPS } else { &none };
            for (group, registered) in groups {
                let group = if group.is_empty() { String::new() } else { format!(" -groups {group}") };
                let args = format!("-{option} {cipher}{group}");
                pins.push(Pinned { args, key, version, suite: suite.to_owned(), group: registered });
            }
        }
    }
    pins
}

impl Pinned {
    /// How the probe ends, and which TLS is then known.
    fn expected(&self) -> (&'static str, String) {
        // Without a certificate there is nothing to see, and nothing is offered.
        let anonymous = self.suite.contains("_anon_");
        let agreed = if anonymous { String::new() } else { format!("{} {} {}", self.version, self.suite, self.group) };
        let modern = MODERN_SUITES.contains(&self.suite.as_str()) && MODERN_GROUPS.contains(&self.group);
        match self.version {
            "TLSv1.3" | "TLSv1.2" if modern => ("ok", agreed),
            "TLSv1.3" => ("tls_alert in tls", String::new()),
            "TLSv1.2" => ("tls_alert in tls", agreed),
            _ => ("tls_version in tls", agreed),
        }
    }

    async fn check(self, folder: PathBuf) {
        let mut server = SServer::start(&folder, &self.args, self.key);
        let module = "{security: tls, timeout: 20s, expect: {certificate: any}}";
        let outcome = server.probe(module).await.unwrap();
        let what = format!("{} with {}: {:?}", self.args, self.key, outcome.failure);
        let (ends, agreed) = self.expected();
        assert_eq!(verdict(&outcome), ends, "{what}");
        assert_eq!(tls_of(&outcome).unwrap_or_default(), agreed, "{what}");
        let subject = leaf_of(&outcome).map(|facts| facts.subject.as_str());
        assert_eq!(subject, (!agreed.is_empty()).then_some("CN=mail.example.org"), "{what}");
    }
}

#[tokio::test]
#[ignore = "needs openssl"]
async fn no_suite_and_no_group_of_openssl_hides_a_certificate() {
    let folder = folder();
    for kind in ["rsa", "ec", "dsa"] {
        make_key(&folder, kind);
    }
    let pins = every_pin();
    assert!(pins.len() > 300, "{}", pins.len());
    let mut checks = JoinSet::new();
    for pinned in pins {
        if checks.len() >= 4 {
            checks.join_next().await.unwrap().unwrap();
        }
        checks.spawn(pinned.check(folder.clone()));
    }
    while let Some(check) = checks.join_next().await {
        check.unwrap();
    }
}

/// How a probe of a server with such a key ends, by TLS 1.2 and by 1.3, and what the key is called. With TLS 1.3 nothing
/// is seen of a key that rustls does not ask for: the certificate is encrypted.
const BY_KEY: &[(&str, &str, &str, &str)] = &[
    ("rsa-1024", "certificate_weak in tls", "certificate_weak in tls", "RSA 1024"),
    ("rsa-4096", "ok", "ok", "RSA 4096"),
    ("rsa-8192", "ok", "ok", "RSA 8192"),
    ("rsa-16384", "tls_protocol in tls", "tls_protocol in tls", "RSA 16384"),
    ("rsa-pss", "tls_alert in tls", "tls_alert in tls", "RSA-PSS 2048"),
    ("ec-384", "ok", "ok", "ECDSA P-384"),
    ("ec-521", "tls_alert in tls", "ok", "ECDSA P-521"),
    ("ec-k1", "tls_alert in tls", "tls_version in tls", "ECDSA secp256k1"),
    ("ec-brainpool", "tls_alert in tls", "tls_version in tls", "ECDSA brainpoolP256r1"),
    ("ed25519", "ok", "ok", "Ed25519"),
    ("ed448", "tls_alert in tls", "tls_alert in tls", "Ed448"),
];

#[tokio::test]
#[ignore = "needs openssl"]
async fn every_kind_of_key_is_seen() {
    let folder = folder();
    for (kind, by_12, by_13, name) in BY_KEY {
        make_key(&folder, kind);
        for (version, ends) in [("-tls1_2", by_12), ("-tls1_3", by_13)] {
            let mut server = SServer::start(&folder, &format!("{version} -cipher ALL:@SECLEVEL=0"), kind);
            let module = "{security: tls, timeout: 20s, expect: {certificate: any}}";
            let outcome = server.probe(module).await.unwrap();
            let what = format!("{kind} {version}: {:?}", outcome.failure);
            assert_eq!(verdict(&outcome), *ends, "{what}");
            let seen = leaf_of(&outcome).map(|facts| facts.key.as_str());
            let hidden =
                version == "-tls1_3" && !["ok", "certificate_weak in tls", "tls_protocol in tls"].contains(ends);
            assert_eq!(seen, (!hidden).then_some(*name), "{what}");
            if *kind == "rsa-16384" {
                assert!(outcome.failure.unwrap().detail.as_str().contains("16384 bits"), "{what}");
            }
        }
    }
}

/// What `expect.old_tls: refused` finds of a server that has TLS 1.2 and 1.3 in any case.
const OLD_TLS: &[(&str, &str, &str)] = &[
    ("-min_protocol TLSv1 -cipher ALL:@SECLEVEL=0", "old_tls_accepted in tls", "TLSv1.1 TLS_"),
    ("-min_protocol TLSv1 -no_tls1_1 -cipher ALL:@SECLEVEL=0", "old_tls_accepted in tls", "TLSv1.0 TLS_"),
    ("-min_protocol TLSv1.2 -cipher ALL:@SECLEVEL=0", "ok", "refused by alert 70"),
    // Old versions are allowed, and the signatures that they need are not.
    ("-min_protocol TLSv1 -cipher ALL:@SECLEVEL=2", "ok", "refused by alert "),
];

#[tokio::test]
#[ignore = "needs openssl"]
async fn a_server_that_would_still_speak_old_tls_is_found() {
    let folder = folder();
    make_key(&folder, "rsa");
    for (args, expected, found) in OLD_TLS {
        let mut server = SServer::start(&folder, args, "rsa");
        let module = "{security: tls, timeout: 10s, expect: {certificate: any, old_tls: refused}}";
        let outcome = server.probe(module).await.unwrap();
        assert_eq!(verdict(&outcome), *expected, "{args}: {:?}", outcome.failure);
        let judged = outcome.judgements.iter().find(|one| one.expectation == "old_tls");
        let judged = judged.unwrap_or_else(|| panic!("{args}: not judged"));
        assert!(judged.found.starts_with(found), "{args}: {}", judged.found);
        assert_eq!(outcome.findings.tls.unwrap().version.as_str(), "TLSv1.3", "{args}");
    }
}
