//! Web configurations as texts, and what comes of them.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use rcgen::{CertifiedKey, generate_simple_self_signed};

use super::*;

/// A folder with a certificate (`a.crt`, `a.key`), the key of another (`b.key`), and what is no PEM at all.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("mail-web-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        for name in ["a", "b"] {
            let CertifiedKey { cert, signing_key } = generate_simple_self_signed([name.to_owned()]).unwrap();
            fs::write(path.join(format!("{name}.crt")), cert.pem()).unwrap();
            fs::write(path.join(format!("{name}.key")), signing_key.serialize_pem()).unwrap();
        }
        fs::write(path.join("text"), "SECRET").unwrap();
        Self(path)
    }

    fn load(&self, text: &str) -> Loaded {
        let path = self.0.join("web.yml");
        fs::write(&path, text).unwrap();
        WebConfig::load(&path)
    }

    fn good(&self, text: &str) -> WebConfig {
        self.load(text).config.unwrap_or_else(|problems| panic!("{problems:#?}"))
    }

    fn problems(&self, text: &str) -> Vec<String> {
        let strip = |problem: &Problem| problem.to_string().replace(&format!("{}/", self.0.display()), "");
        self.load(text).config.expect_err(text).iter().map(strip).collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const HASH: &str = "$2y$05$ZGHL7.QxewqKv0u8yCPqWOTeo29WL.4tJx52JLFcrYjwmp.vyOkHy";

#[test]
fn an_empty_file_leaves_the_door_open() {
    let folder = Folder::new();
    for text in ["", "{}", "tls_server_config:\nbasic_auth_users:\n", "tls_server_config: {}\nbasic_auth_users: {}\n"] {
        let config = folder.good(text);
        assert!(config.tls.is_none() && config.users.is_empty() && config.rate_limit.is_none());
        assert_eq!((config.headers, config.warnings), (vec![], Vec::<String>::new()));
    }
}

#[test]
fn every_key_of_the_toolkit_is_understood() {
    let folder = Folder::new();
    let config = folder.good(&format!(
        "tls_server_config:
  cert_file: a.crt
  key_file: a.key
  client_auth_type: RequireAndVerifyClientCert
  client_ca_file: b.crt
  client_allowed_sans: [prometheus.example.org, 192.0.2.7]
  min_version: TLS12
  max_version: TLS13
  cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, TLS_AES_128_GCM_SHA256, TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256]
  prefer_server_cipher_suites: false
  curve_preferences: [CurveP256, X25519]
http_server_config:
  http2: true
  headers:
    Content-Security-Policy: default-src 'self'
    X-Frame-Options: deny
    X-Content-Type-Options: nosniff
    X-XSS-Protection: 0
    Strict-Transport-Security: ''
rate_limit: {{interval: 100ms, burst: 20}}
basic_auth_users:
  alice: {HASH}
"
    ));
    assert_eq!(config.warnings, Vec::<String>::new());
    let tls = config.tls.unwrap();
    assert_eq!(tls.versions.len(), 2);
    let suites: Vec<String> = tls.cipher_suites.iter().map(|suite| format!("{:?}", suite.suite())).collect();
    assert_eq!(
        suites[3..],
        ["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"],
        "those of TLS 1.3 are always there"
    );
    assert_eq!(tls.groups.iter().map(|group| format!("{:?}", group.name())).collect::<String>(), "secp256r1X25519");
    assert!(!tls.our_order);
    let clients = tls.clients.unwrap();
    assert!(clients.required && clients.roots.is_some());
    assert_eq!(clients.allowed_names, ["prometheus.example.org", "192.0.2.7"]);
    let headers: Vec<String> =
        config.headers.iter().map(|(name, value)| format!("{}: {value}", name.as_str())).collect();
    assert_eq!(
        headers,
        [
            "Content-Security-Policy: default-src 'self'",
            "X-Frame-Options: deny",
            "X-Content-Type-Options: nosniff",
            "X-XSS-Protection: 0"
        ]
    );
    assert_eq!(config.rate_limit, Some(RateLimit { interval: Duration::from_millis(100), burst: 20 }));
    assert!(config.users["alice"].verify(b"secret") && !config.users["alice"].verify(b"Secret"));
}

#[test]
fn certificates_may_stand_in_the_file_itself() {
    let folder = Folder::new();
    let inline = |name: &str| fs::read_to_string(folder.0.join(name)).unwrap().replace('\n', "\n    ");
    let text = format!(
        "tls_server_config:\n  cert: |\n    {}\n  key: |\n    {}\n  client_ca: |\n    {}\n  \
         client_auth_type: VerifyClientCertIfGiven\n  cert_file: ''\n",
        inline("a.crt"),
        inline("a.key"),
        inline("b.crt")
    );
    let config = folder.good(&text);
    assert!(!config.tls.unwrap().clients.unwrap().required);
}

#[test]
fn every_problem_is_reported_with_its_place_and_its_cure() {
    let folder = Folder::new();
    let text = "tls_server_config:
  cert_file: a.crt
  key_file: b.key
  min_version: TLS10
  max_version: TLS14
  client_auth_type: RequireAndVerifyClientcert
  cipher_suites:
    - TLS_RSA_WITH_AES_128_CBC_SHA
    - TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA265
  curve_preferences: [P256, CurveP521]
  prefer_server_cipher_suites: maybe
http_server_config:
  http2: 1
  headers:
    X-Frame-Options: allow
    x-content-type-options: nosniff
    X-XSS-Protection: \"1\\r\\nSet-Cookie: a\"
    Server: none
rate_limit: {interval: 1s}
basic_auth_users:
  alice: secret
  'a:b': $2y$05$ZGHL7.QxewqKv0u8yCPqWOTeo29WL.4tJx52JLFcrYjwmp.vyOkHy
  alice: [a]
basic_auth_user: {}
";
    let expected = [
        "web.yml:3:13: tls_server_config.key_file: b.key is not the key of a.crt",
        "web.yml:4:16: tls_server_config.min_version: TLS10 is not spoken here: write TLS12 or TLS13",
        "web.yml:5:16: tls_server_config.max_version: \"TLS14\" is not known here: write TLS12, TLS13 (did you mean TLS12?)",
        "web.yml:8:7: tls_server_config.cipher_suites[0]: TLS_RSA_WITH_AES_128_CBC_SHA is not spoken here: remove it; there is TLS_AES_256_GCM_SHA384, TLS_AES_128_GCM_SHA256, TLS_CHACHA20_POLY1305_SHA256, TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
        "web.yml:9:7: tls_server_config.cipher_suites[1]: \"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA265\" is not known here: did you mean TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256?",
        "web.yml:11:32: tls_server_config.prefer_server_cipher_suites: \"maybe\" is not known here: write true, false",
        "web.yml:10:23: tls_server_config.curve_preferences[0]: \"P256\" is not known here: write X25519MLKEM768, SecP256r1MLKEM768, X25519, CurveP256, CurveP384",
        "web.yml:10:29: tls_server_config.curve_preferences[1]: CurveP521 is not spoken here: remove it; there is X25519MLKEM768, SecP256r1MLKEM768, X25519, CurveP256, CurveP384",
        "web.yml:6:21: tls_server_config.client_auth_type: \"RequireAndVerifyClientcert\" is not known here: write NoClientCert, RequestClientCert, RequireAnyClientCert, VerifyClientCertIfGiven, RequireAndVerifyClientCert (did you mean RequireAndVerifyClientCert?)",
        "web.yml:13:10: http_server_config.http2: \"1\" is not known here: write true, false",
        "web.yml:15:22: http_server_config.headers.X-Frame-Options: \"allow\" is no value of this header: write deny or sameorigin",
        "web.yml:17:23: http_server_config.headers.X-XSS-Protection: a header is written in one line of ASCII: remove line ends, tabs and other letters",
        "web.yml:16:5: http_server_config.headers.x-content-type-options: unknown key: did you mean `X-Content-Type-Options`?",
        "web.yml:18:5: http_server_config.headers.Server: unknown key: known keys here are Content-Security-Policy, X-Frame-Options, X-Content-Type-Options, X-XSS-Protection, Strict-Transport-Security",
        "web.yml:19:13: rate_limit: `burst` is missing: write `burst: 20`",
        "web.yml:23:3: basic_auth_users.alice: this key stands twice: remove one of them",
        "web.yml:21:10: basic_auth_users.alice: this is no bcrypt hash: write one such as `htpasswd -nBC 10 \"\"` makes ($2y$10$…)",
        "web.yml:22:10: basic_auth_users.a:b: a user's name cannot have a colon or a control character: write another name",
        "web.yml:21:10: basic_auth_users.alice: a list stands here: write a bcrypt hash ($2y$10$…)",
        "web.yml:24:1: basic_auth_user: unknown key: did you mean `basic_auth_users`?",
    ];
    assert_eq!(folder.problems(text), expected);
}

#[test]
fn tls_that_cannot_work_is_no_tls() {
    let folder = Folder::new();
    let authority = "write `client_auth_type: RequireAndVerifyClientCert`, or remove this";
    for (keys, problem) in [
        ("cert_file: a.crt", "`key_file` is missing: write `key_file: server.key`"),
        ("key_file: a.key", "`cert_file` is missing: write `cert_file: server.crt`"),
        ("min_version: TLS13, cert_file: a.crt", "`key_file` is missing: write `key_file: server.key`"),
        ("cert_file: a.crt, cert: x, key_file: a.key", "`cert` and `cert_file` mean the same: remove one of them"),
        ("cert_file: none.crt, key_file: a.key", "none.crt cannot be read: No such file or directory (os error 2)"),
        ("cert_file: ., key_file: a.key", "cannot be read: it is no regular file"),
        ("cert_file: a.key, key_file: a.key", "a.key has no certificate (-----BEGIN CERTIFICATE-----)"),
        (
            "cert_file: a.crt, key_file: text",
            "text has no private key that can be read (-----BEGIN PRIVATE KEY-----, without a password)",
        ),
        (
            "cert_file: a.crt, key_file: a.crt",
            "a.crt has no private key that can be read (-----BEGIN PRIVATE KEY-----, without a password)",
        ),
        (
            "cert_file: a.crt, key_file: a.key, min_version: TLS13, max_version: TLS12",
            "this is below `min_version`: write TLS13, or remove it",
        ),
        ("cert_file: a.crt, key_file: a.key, max_version: TLS11", "TLS11 is not spoken here: write TLS12 or TLS13"),
        (
            "cert_file: a.crt, key_file: a.key, max_version: TLS12, cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]",
            "no cipher suite is left that fits the versions and the certificate's kind of key",
        ),
        (
            "cert_file: a.crt, key_file: a.key, client_ca_file: b.crt",
            &format!("clients are not asked for certificates: {authority}"),
        ),
        (
            "cert_file: a.crt, key_file: a.key, client_allowed_sans: [a]",
            &format!("a client may come without a certificate: {authority}"),
        ),
        (
            "cert_file: a.crt, key_file: a.key, client_auth_type: VerifyClientCertIfGiven, client_ca_file: b.crt, client_allowed_sans: [a]",
            &format!("a client may come without a certificate: {authority}"),
        ),
        (
            "cert_file: a.crt, key_file: a.key, client_auth_type: RequireAndVerifyClientCert, client_ca_file: b.crt, client_allowed_sans: []",
            "no name is allowed to come in: write at least one, or remove this",
        ),
        (
            "cert_file: a.crt, key_file: a.key, client_auth_type: RequireAndVerifyClientCert",
            "nobody is named to verify certificates by: write `client_ca_file: ca.crt` too",
        ),
        (
            "cert_file: a.crt, key_file: a.key, client_auth_type: RequireAndVerifyClientCert, client_ca_file: text",
            "text has no certificate (-----BEGIN CERTIFICATE-----)",
        ),
    ] {
        let problems = folder.problems(&format!("tls_server_config: {{{keys}}}"));
        assert!(problems.len() == 1 && problems[0].ends_with(problem), "{keys}\n{problems:#?}");
    }
}

#[test]
fn what_works_and_is_perhaps_not_meant_is_said() {
    let folder = Folder::new();
    let tls = "cert_file: a.crt, key_file: a.key";
    for (text, warning) in [
        (format!("basic_auth_users: {{a: {HASH}}}"), "in clear"),
        (
            format!("tls_server_config: {{{tls}, client_auth_type: RequestClientCert, client_ca_file: b.crt}}"),
            "is not used",
        ),
        (
            format!("tls_server_config: {{{tls}, client_auth_type: RequireClientCert, client_allowed_sans: [a]}}"),
            "proves nothing",
        ),
        (
            format!("tls_server_config: {{{tls}}}\nbasic_auth_users: {{a: {}}}", HASH.replace("$05$", "$18$")),
            "a password of cost 18",
        ),
    ] {
        let warnings = folder.good(&text).warnings;
        assert!(warnings.len() == 1 && warnings[0].contains(warning), "{text}\n{warnings:#?}");
    }
}

#[test]
fn no_limit_and_no_limit_by_mistake() {
    let folder = Folder::new();
    let limit = |text: &str| folder.good(text).rate_limit;
    assert_eq!(limit("rate_limit: {interval: 0}"), None);
    assert_eq!(limit("rate_limit: {interval: 0s, burst: 0}"), None);
    let hour = Some(RateLimit { interval: Duration::from_secs(5400), burst: 1 });
    assert_eq!(limit("rate_limit: {interval: 1h30m, burst: 1}"), hour);
    for (text, problem) in [
        ("rate_limit: {burst: 1}", "`interval` is missing: write `interval: 1s`"),
        ("rate_limit: {interval: 1s, burst: 0}", "\"0\": write a whole number from 1 to 1000000"),
        ("rate_limit: {interval: 1, burst: 1}", "such as 1s, 500ms or 5m"),
        ("rate_limit: {interval: -1s, burst: 1}", "such as 30s, 500ms or 5m"),
    ] {
        let problems = folder.problems(text);
        assert!(problems.len() == 1 && problems[0].ends_with(problem), "{text}\n{problems:#?}");
    }
}

/// Whatever a file is by mistake, its secrets are not told.
#[test]
fn no_problem_shows_a_secret() {
    let folder = Folder::new();
    let key = fs::read_to_string(folder.0.join("a.key")).unwrap();
    let line = key.lines().nth(1).unwrap();
    let indented = key.replace('\n', "\n    ");
    for text in [
        key.clone(),
        format!("alice:{HASH}\nbob:{HASH}\n"),
        HASH.to_owned(),
        format!("basic_auth_users: {HASH}"),
        format!("basic_auth_users: {{{HASH}: alice}}"),
        format!("basic_auth_users: {{'{HASH}': {HASH}}}"),
        format!("basic_auth_users: [{HASH}]"),
        format!("basic_auth_users: {{alice: {HASH}x, bob: x{HASH}, eve: [{HASH}], carol: {{a: {HASH}}}}}"),
        format!("basic_auth_users: {{alice: {}}}", HASH.replace("$05$", "$99$")),
        format!("basic_auth_users: {{alice: {}}}", HASH.replace("$2y$", "$3y$")),
        format!("basic_auth_users: {{alice: {HASH}, alice: {HASH}}}"),
        format!("basic_auth_users:\n  alice: {HASH}\n bob: {HASH}\n"),
        format!("basic_auth_users: {{alice: '{HASH}\n"),
        format!("basic_auth_users: {{alice: *{HASH}}}\n"),
        format!("basic_auth_users: {{alice: !{HASH} x}}\nother: 1\n"),
        format!("basic_auth_users: {{? [{HASH}] : x}}\n"),
        format!("basic_auth_users: {HASH}: {HASH}\n"),
        format!("tls_server_config: |\n    {indented}"),
        format!("tls_server_config:\n  cert: |\n    {indented}\n  key: |\n    {indented}"),
        format!("tls_server_config:\n  cert_file: a.crt\n  key: |\n    {}", indented.replacen("PRIVATE", "PRIVAT", 1)),
        format!("tls_server_config:\n  cert_file: b.crt\n  key: |\n    {indented}"),
        format!("tls_server_config:\n  cert_file: a.crt\n  key: [\"{line}\"]"),
        "tls_server_config: {cert_file: text, key_file: text, client_ca_file: text}".to_owned(),
    ] {
        let Err(problems) = folder.load(&text).config else {
            panic!("this was to be wrong:\n{text}");
        };
        let shown = format!("{problems:?}\n{}", problems.iter().map(|p| format!("{p}\n")).collect::<String>());
        for secret in [&HASH[7..29], &HASH[30..], line, "SECRET"] {
            assert!(!shown.contains(secret), "{text}\n{shown}");
        }
    }
    let good = folder.good(&format!(
        "tls_server_config: {{cert_file: a.crt, key_file: a.key}}\nbasic_auth_users: {{alice: {HASH}}}"
    ));
    let shown = format!("{good:?} {good:#?}");
    assert!(!shown.contains(&HASH[7..]) && !shown.contains(line), "{shown}");
    let der = rustls::pki_types::pem::PemObject::from_pem_slice(key.as_bytes());
    let der: rustls::pki_types::PrivateKeyDer<'static> = der.unwrap();
    let number = format!("{:?}", &der.secret_der()[36..44]);
    assert!(!shown.contains(number.trim_matches(['[', ']'])), "{shown}");
}

#[test]
fn a_change_of_any_file_is_seen_and_nothing_else() {
    let folder = Folder::new();
    let Loaded { config, origin } = folder.load("tls_server_config: {cert_file: a.crt, key_file: a.key}");
    assert!(config.is_ok() && !origin.has_changed());
    // The same length at the same time: the content counts.
    let key = fs::read_to_string(folder.0.join("a.key")).unwrap();
    fs::write(folder.0.join("a.key"), key.to_lowercase()).unwrap();
    assert!(origin.has_changed());
    fs::write(folder.0.join("a.key"), &key).unwrap();
    assert!(!origin.has_changed());
    fs::rename(folder.0.join("a.crt"), folder.0.join("c.crt")).unwrap();
    assert!(origin.has_changed());
    // What could not be read is waited for.
    let Loaded { config, origin } = folder.load("tls_server_config: {cert_file: a.crt, key_file: a.key}");
    assert!(config.is_err() && !origin.has_changed());
    fs::rename(folder.0.join("c.crt"), folder.0.join("a.crt")).unwrap();
    assert!(origin.has_changed());
}
