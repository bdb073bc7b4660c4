//! What is secret is shown nowhere: not in errors, logs, metrics, pages, the API or transcripts, however things go
//! wrong. A new kind of secret is a line in [`WORDS`]; a new place for one is a line in [`BROKEN`] or [`REQUESTS`].

#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "a test fails by panicking")]

mod lab;
mod support;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lab::{Authority, Leaf, Options, Script, Server, refused_port};
use mail_endpoint_exporter::config::Config;
use mail_endpoint_exporter::config::web::WebConfig;
use support::{folder, request};
use tokio::task::spawn_blocking;

/// Each stands wherever a secret can stand, whether it is of that kind or not.
const WORDS: [(&str, &str); 5] = [
    ("a password", "canaryPassw0rdXq7"),
    ("a token", "canaryT0kenBearerZ9"),
    ("what an environment variable holds", "canaryEnvir0nmentK3"),
    ("a password in a URL", "canaryUserinf0W5"),
    ("the content of a key", "MIICanaryKeyC0ntentAAECAwQFBgcICQoL"),
];

/// What people write by mistake, with `SECRET` for each of the words. Every one is an error.
const BROKEN: [(&str, &str); 25] = [
    ("web.yml", "basic_auth_users: {me: 'SECRET'}"),
    ("web.yml", "basic_auth_users: {me: ['SECRET']}"),
    ("web.yml", "basic_auth_users: {me: {hash: 'SECRET'}}"),
    ("web.yml", "basic_auth_users: 'SECRET'"),
    ("web.yml", "basic_auth_users: ['me:SECRET']"),
    ("web.yml", "basic_auth_users: {'$2y$10$SECRET': me}"),
    ("web.yml", "basic_auth_users: {me: '$2y$10$SECRET'}"),
    ("web.yml", "basic_auth_user: {me: 'SECRET'}"),
    ("web.yml", "basic_auth_users: {me: 'SECRET"),
    ("web.yml", "basic_auth_users: {me: \"SECRET\\q\"}"),
    ("web.yml", "basic_auth_users:\n  me: *SECRET"),
    ("web.yml", "basic_auth_users:\n  me: SECRET\n  me: SECRET"),
    ("web.yml", "tls_server_config: {cert_file: good.crt, key: 'SECRET'}"),
    ("web.yml", "tls_server_config: {cert: 'SECRET', key_file: good.key}"),
    ("web.yml", "tls_server_config:\n  cert_file: good.crt\n  key: PEM"),
    ("web.yml", "tls_server_config:\n  cert_file: good.crt\n  key_file: PEM"),
    ("web.yml", "tls_server_config:\n  cert_file: PEM\n  key_file: good.key"),
    ("web.yml", "tls_server_config: PEM"),
    (
        "web.yml",
        "tls_server_config: {cert_file: good.crt, key_file: good.key, client_auth_type: RequireAndVerifyClientCert, client_ca: 'SECRET'}",
    ),
    ("mail.yml", "modules: {m: {security: tls, client_certificate: {cert_file: good.crt, key_file: PEM}}}"),
    ("mail.yml", "modules: {m: {security: tls, client_certificate: {cert_file: PEM, key_file: good.key}}}"),
    ("mail.yml", "modules: {m: {security: tls, client_certificate: PEM}}"),
    ("mail.yml", "modules: {m: {security: tls, ca_file: PEM}}"),
    ("mail.yml", "targets: [{host: 'smtp://me:SECRET@mail.example.org', ports: [25]}]"),
    ("mail.yml", "targets: [{targets: ['me:SECRET@mail.example.org:25']}]"),
];

/// Configurations that name `bad.key`, a file with each of [`KEYS`].
const WITH_A_FILE: [(&str, &str); 6] = [
    ("web.yml", "tls_server_config: {cert_file: good.crt, key_file: bad.key}"),
    ("web.yml", "tls_server_config: {cert_file: bad.key, key_file: good.key}"),
    (
        "web.yml",
        "tls_server_config: {cert_file: good.crt, key_file: good.key, client_auth_type: RequireAndVerifyClientCert, client_ca_file: bad.key}",
    ),
    ("mail.yml", "modules: {m: {security: tls, client_certificate: {cert_file: good.crt, key_file: bad.key}}}"),
    ("mail.yml", "modules: {m: {security: tls, client_certificate: {cert_file: bad.key, key_file: good.key}}}"),
    ("mail.yml", "modules: {m: {security: tls, ca_file: bad.key}}"),
];

/// Keys that are none.
const KEYS: [&str; 8] = [
    "SECRET",
    "-----BEGIN PRIVATE KEY-----\nSECRET\n-----END PRIVATE KEY-----\n",
    "-----BEGIN PRIVATE KEY-----\nSECRET",
    "-----BEGIN PRIVATE KEY-----\nSECRET!\n-----END PRIVATE KEY-----\n",
    "-----BEGIN SECRET\nSECRET\n-----END PRIVATE KEY-----\n",
    "-----BEGIN SECRET-----\nSECRET\n-----END SECRET-----\n",
    "-----BEGIN CERTIFICATE-----\nSECRET\n-----END CERTIFICATE-----\n",
    "-----BEGIN CERTIFICATE-----\nSECRET!",
];

/// Requests to a running exporter; `ID` is its endpoint.
const REQUESTS: [(&str, &str); 11] = [
    ("GET", "/"),
    ("GET", "/metrics"),
    ("GET", "/endpoint/ID"),
    ("GET", "/api/v1/endpoints"),
    ("GET", "/api/v1/endpoints/ID"),
    ("GET", "/probe?target=me:SECRET@127.0.0.1:25"),
    ("GET", "/probe?target=smtp://me:SECRET@127.0.0.1:25/"),
    ("GET", "/probe?target=127.0.0.1:25&module=submission&hostname=me:SECRET@mail.example.org"),
    ("GET", "/-/ready"),
    ("POST", "/-/reload"),
    ("POST", "/metrics"),
];

/// What a client may show us, right or wrong.
const HEADERS: [&str; 4] =
    ["", "Authorization: Bearer SECRET\r\n", "Authorization: Basic BASIC\r\n", "Cookie: s=SECRET\r\n"];

/// The secrets of a running exporter beside the words, line by line.
fn lines(pem: &str) -> Vec<String> {
    pem.lines().filter(|line| !line.starts_with("-----")).map(str::to_owned).collect()
}

fn assert_hidden(secrets: &[String], shown: &str, what: &str) {
    for secret in WORDS.iter().map(|(_, word)| *word).chain(secrets.iter().map(String::as_str)) {
        assert!(!shown.contains(secret), "{secret} is shown by {what}\n{shown}");
        let encoded = STANDARD.encode(secret);
        assert!(!shown.contains(encoded.trim_end_matches('=')), "{secret} is shown encoded by {what}\n{shown}");
    }
}

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mail_endpoint_exporter"));
    command.env("NO_COLOR", "1").env("RUST_BACKTRACE", "1").stdin(Stdio::null());
    for (number, (_, word)) in WORDS.iter().enumerate() {
        command.env(format!("MAIL_SECRET_{number}"), word);
    }
    command
}

/// What `check` says of the files of a folder; it must be an error, told in words.
fn complaint(folder: &Path) -> String {
    let path = |name: &str| folder.join(name).display().to_string();
    let mut command = program();
    command.args(["check", "--config.file", &path("mail.yml"), "--web.config.file", &path("web.yml")]);
    let output = command.output().unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    said
}

/// A folder with good configurations and a good key.
fn rig() -> (std::path::PathBuf, String) {
    let folder = folder();
    let identity = Authority::new("CA").issue(&Leaf::new("exporter.test", SystemTime::now()));
    for (name, text) in [
        ("good.crt", identity.certificate_pem.as_str()),
        ("good.key", &identity.key_pem),
        ("mail.yml", "targets: []"),
        ("web.yml", ""),
    ] {
        std::fs::write(folder.join(name), text).unwrap();
    }
    (folder, identity.key_pem)
}

#[tokio::test]
async fn errors_of_a_configuration_quote_no_secret() {
    for (file, template) in BROKEN {
        for (kind, word) in WORDS {
            let (folder, key) = rig();
            let pem = format!("\"-----BEGIN PRIVATE KEY-----\\n{word}\\n-----END PRIVATE KEY-----\\n\"");
            std::fs::write(folder.join(file), template.replace("PEM", &pem).replace("SECRET", word)).unwrap();
            let said = spawn_blocking(move || complaint(&folder)).await.unwrap();
            assert!(said.contains(file), "{said}");
            assert_hidden(&lines(&key), &said, &format!("`check` of {template} with {kind}"));
        }
    }
}

#[tokio::test]
async fn errors_of_key_files_quote_nothing_of_them() {
    for (file, text) in WITH_A_FILE {
        for content in KEYS {
            let (folder, key) = rig();
            let word = WORDS[4].1;
            std::fs::write(folder.join("bad.key"), content.replace("SECRET", word)).unwrap();
            std::fs::write(folder.join(file), text).unwrap();
            let said = spawn_blocking(move || complaint(&folder)).await.unwrap();
            assert_hidden(&lines(&key), &said, &format!("`check` of {text} with {content:?}"));
        }
    }
}

#[test]
fn values_hide_their_secrets_in_debug_output() {
    let (folder, key) = rig();
    let hash = bcrypt::hash(WORDS[0].1, 4).unwrap();
    let web =
        format!("tls_server_config: {{cert_file: good.crt, key_file: good.key}}\nbasic_auth_users: {{me: '{hash}'}}");
    let mail = "modules: {m: {security: tls, client_certificate: {cert_file: good.crt, key_file: good.key}}}\n\
                targets: [{host: 127.0.0.1, ports: [{port: 465, module: m}]}]";
    std::fs::write(folder.join("web.yml"), web).unwrap();
    std::fs::write(folder.join("mail.yml"), mail).unwrap();
    let web = WebConfig::load(&folder.join("web.yml")).config.unwrap();
    let mail = Config::load(&folder.join("mail.yml")).unwrap();
    let der = STANDARD.decode(lines(&key).concat()).unwrap();
    // As Rust shows bytes: some of the key's own, which stand at its end.
    let bytes = format!("{:?}", &der[der.len() - 8..]);
    let secrets = [lines(&key), vec![hash, bytes.trim_matches(['[', ']']).to_owned()]].concat();
    for shown in [format!("{web:?}"), format!("{mail:?}"), format!("{:?}", mail.endpoints)] {
        assert_hidden(&secrets, &shown, "Debug");
    }
}

#[tokio::test]
async fn a_running_exporter_shows_no_secret_whoever_asks() {
    let (folder, key) = rig();
    let identity = Authority::new("Lab").issue(&Leaf::new("mail.example.org", SystemTime::now()));
    let options: Options = identity.server_config().into();
    let dialogue = "=== TLS\nS: 220 mx ESMTP\nC: EHLO x\nS: 250-mx\nS: 250 AUTH PLAIN\nC: AUTH x\nS: 235 2.7.0 welcome\n\
                    C: QUIT\nS: 221 bye\n*close";
    let server = Server::start(Script::of(dialogue), options).await;
    let port = server.address().port();
    let hash = bcrypt::hash(WORDS[0].1, 4).unwrap();
    let mail = format!(
        "ehlo_name: probe.example.org\nmodules: {{m: {{security: tls, client_certificate: {{cert_file: good.crt, \
         key_file: good.key}}, expect: {{certificate: any}}, \
         auth: {{username: me, password_file: password, mechanism: plain, insecure: true}}}}}}\n\
         targets: [{{host: 127.0.0.1, ports: [{{port: {port}, module: m}}], interval: 200ms}}]\n"
    );
    std::fs::write(folder.join("mail.yml"), &mail).unwrap();
    std::fs::write(folder.join("password"), WORDS[0].1).unwrap();
    let sent = STANDARD.encode(format!("\0me\0{}", WORDS[0].1));
    let secrets = [lines(&key), vec![hash.clone(), sent]].concat();
    let mut answers = 0;
    for web in [String::new(), format!("basic_auth_users: {{me: '{hash}'}}")] {
        std::fs::write(folder.join("web.yml"), &web).unwrap();
        let (mut child, address, log) = serve(&folder).await;
        let id = id_of(&folder);
        for (method, path) in REQUESTS {
            for header in HEADERS {
                for (kind, word) in WORDS {
                    let path = path.replace("ID", &id).replace("SECRET", word);
                    let header =
                        header.replace("BASIC", &STANDARD.encode(format!("me:{word}"))).replace("SECRET", word);
                    let answer = request(address, method, &path, &header).await;
                    answers += usize::from(answer.starts_with("HTTP/1.0 200") || answer.starts_with("HTTP/1.1 200"));
                    assert_hidden(&secrets, &answer, &format!("{method} {path} with {kind}"));
                }
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let log = std::fs::read_to_string(log).unwrap();
        assert!(log.contains("probe succeeded"), "{log}");
        assert_hidden(&secrets, &log, "the log");
    }
    assert!(answers > 100, "{answers} of the requests were answered with a page");
}

/// Starts an exporter that logs everything, and waits until it has probed.
async fn serve(folder: &Path) -> (std::process::Child, std::net::SocketAddr, std::path::PathBuf) {
    let (address, log) = (refused_port().await, folder.join("log"));
    let path = |name: &str| folder.join(name).display().to_string();
    let child = program()
        .args(["--config.file", &path("mail.yml"), "--web.config.file", &path("web.yml")])
        .args(["--web.listen-address", &address.to_string(), "--log.level", "trace"])
        .stderr(std::fs::File::create(&log).unwrap())
        .spawn()
        .unwrap();
    let began = Instant::now();
    while !std::fs::read_to_string(&log).unwrap().contains("probe succeeded") {
        assert!(began.elapsed() < Duration::from_secs(60), "{}", std::fs::read_to_string(&log).unwrap());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    (child, address, log)
}

fn id_of(folder: &Path) -> String {
    Config::load(&folder.join("mail.yml")).unwrap().endpoints[0].id().to_string()
}
