//! What is secret is shown nowhere: not in errors, logs, metrics, pages, the API or transcripts, however things go
//! wrong. A new kind of secret is a line in [`WORDS`]; a new place for one is a line in [`BROKEN`] or [`REQUESTS`].

#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "a test fails by panicking")]

mod lab;
mod support;

use std::cell::RefCell;
use std::net::SocketAddr;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Once};
use std::time::{Duration, Instant, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lab::{Authority, Leaf, Options, Script, Server, refused_port};
use mail_endpoint_exporter::config::Config;
use mail_endpoint_exporter::config::web::WebConfig;
use support::{folder, no_names, request, request_over, run};
use tokio::net::TcpStream;
use tokio::task::spawn_blocking;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::ServerName;

/// Each stands wherever a secret can stand, whether it is of that kind or not.
const WORDS: [(&str, &str); 5] = [
    ("a password", "canaryPassw0rdXq7"),
    ("a token", "canaryT0kenBearerZ9"),
    ("what an environment variable holds", "canaryEnvir0nmentK3"),
    ("a password in a URL", "canaryUserinf0W5"),
    ("the content of a key", "MIICanaryKeyC0ntentAAECAwQFBgcICQoL"),
];

/// What people write by mistake, with `SECRET` for each of the words. Every one is an error.
const BROKEN: [(&str, &str); 33] = [
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
    ("mail.yml", "modules: {m: {security: tls, proxy: 'socks5://me:SECRET@proxy.example.org:1080'}}"),
    ("mail.yml", "modules: {m: {security: tls, proxy: 'me:SECRET@proxy.example.org:1080'}}"),
    ("mail.yml", "modules: {m: {security: tls, proxy: 'ftp://me:SECRET@proxy.example.org:1080'}}"),
    ("mail.yml", "modules: {m: {security: tls, proxy: 'http://me@proxy.example.org:1080', proxy_password: 'SECRET'}}"),
    (
        "mail.yml",
        "modules: {m: {security: tls, proxy: 'http://me@proxy.example.org:1080', proxy_password_env: 'SECRET'}}",
    ),
    ("mail.yml", "modules: {m: {security: tls, proxy: 'http://me@proxy.example.org:1080', proxy_password_file: PEM}}"),
    ("mail.yml", "modules: {m: {security: tls, auth: {username: me, password: 'SECRET'}}}"),
    ("mail.yml", "modules: {m: {security: tls, auth: {username: me, password_env: 'SECRET'}}}"),
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
const REQUESTS: [(&str, &str); 12] = [
    ("GET", "/"),
    ("GET", "/metrics"),
    ("GET", "/endpoint/ID"),
    ("GET", "/api/v1/endpoints"),
    ("GET", "/api/v1/domains"),
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

/// One of [`BROKEN`] with one of the words in it.
fn broken(template: &str, word: &str) -> String {
    let pem = format!("\"-----BEGIN PRIVATE KEY-----\\n{word}\\n-----END PRIVATE KEY-----\\n\"");
    template.replace("PEM", &pem).replace("SECRET", word)
}

/// A folder with good configurations and a good key, and the key.
fn rig() -> (PathBuf, String) {
    rig_of(&Authority::new("CA"))
}

fn rig_of(ca: &Authority) -> (PathBuf, String) {
    let folder = folder();
    let identity = ca.issue(&Leaf::new("exporter.test", SystemTime::now()));
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
            std::fs::write(folder.join(file), broken(template, word)).unwrap();
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

thread_local! {
    /// What the last panic of this thread said.
    static PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

/// What is printed when this panics, which it must.
fn panic_of(panics: impl FnOnce()) -> String {
    static LISTEN: Once = Once::new();
    LISTEN.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            PANIC.set(panic.to_string());
            before(panic);
        }));
    });
    assert!(panic::catch_unwind(AssertUnwindSafe(panics)).is_err(), "no panic");
    PANIC.take()
}

/// A panic prints what is at hand: the `Debug` of an error, or of the value where an error was expected.
#[test]
fn a_panic_hides_the_secrets_of_what_it_prints() {
    for (file, template) in BROKEN {
        for (kind, word) in WORDS {
            let (folder, key) = rig();
            let path = folder.join(file);
            std::fs::write(&path, broken(template, word)).unwrap();
            let said = if file == "web.yml" {
                panic_of(|| drop(WebConfig::load(&path).config.unwrap()))
            } else {
                panic_of(|| drop(Config::load(&path).unwrap()))
            };
            assert!(said.contains(file), "{said}");
            assert_hidden(&lines(&key), &said, &format!("a panic over {template} with {kind}"));
        }
    }
}

#[tokio::test]
async fn a_panic_hides_the_password_of_a_login() {
    let options: Options =
        Authority::new("Lab").issue(&Leaf::new("mail.example.org", SystemTime::now())).server_config().into();
    let dialogue = "=== TLS\nS: 220 mx ESMTP\nC: EHLO x\nS: 250-mx\nS: 250 AUTH PLAIN\nC: AUTH x\nS: 535 5.7.8 no\n\
                    C: QUIT\nS: 221 bye\n*close";
    let server = Server::start(Script::of(dialogue), options).await;
    let (folder, _) = rig();
    std::fs::write(folder.join("password"), WORDS[0].1).unwrap();
    let mail = format!(
        "modules: {{m: {{security: tls, expect: {{certificate: any}}, \
         auth: {{username: me, password_file: password, mechanism: plain, insecure: true}}}}}}\n\
         targets: [{{host: 127.0.0.1, ports: [{{port: {}, module: m}}]}}]",
        server.address().port()
    );
    std::fs::write(folder.join("mail.yml"), mail).unwrap();
    let config = Config::load(&folder.join("mail.yml")).unwrap();
    let outcome = run(&config, no_names()).await;
    let sent = STANDARD.encode(format!("\0me\0{}", WORDS[0].1));
    let said = panic_of(|| panic!("{:?}", (outcome, config)));
    assert!(said.contains("AuthRejected") && said.contains("535 5.7.8 no"), "{said}");
    assert_hidden(&[sent], &said, "a panic with an outcome and a configuration");
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
    let ca = Authority::new("CA");
    let (folder, key) = rig_of(&ca);
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
    let users = format!("basic_auth_users: {{me: '{hash}'}}");
    let tls = "tls_server_config: {cert_file: good.crt, key_file: good.key}";
    for web in [String::new(), users.clone(), tls.to_owned(), format!("{tls}\n{users}")] {
        std::fs::write(folder.join("web.yml"), &web).unwrap();
        let (mut child, address, log) = serve(&folder).await;
        let id = id_of(&folder);
        for (method, path) in REQUESTS {
            for header in HEADERS {
                for (kind, word) in WORDS {
                    let path = path.replace("ID", &id).replace("SECRET", word);
                    let header =
                        header.replace("BASIC", &STANDARD.encode(format!("me:{word}"))).replace("SECRET", word);
                    let answer = if web.starts_with(tls) {
                        request_in_tls(&ca, address, method, &path, &header).await
                    } else {
                        request(address, method, &path, &header).await
                    };
                    answers += usize::from(answer.starts_with("HTTP/1.0 200") || answer.starts_with("HTTP/1.1 200"));
                    assert_hidden(&secrets, &answer, &format!("{method} {path} with {kind}"));
                }
            }
        }
        if web.starts_with(tls) {
            // Who speaks HTTP there, and who speaks nothing, is logged too.
            let clear = request(address, "GET", "/", &format!("Authorization: Bearer {}\r\n", WORDS[1].1)).await;
            assert_hidden(&secrets, &clear, "HTTP on the port of HTTPS");
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let log = std::fs::read_to_string(log).unwrap();
        assert!(log.contains("probe succeeded"), "{log}");
        assert_hidden(&secrets, &log, "the log");
    }
    assert!(answers > 100, "{answers} of the requests were answered with a page");
}

/// One request inside TLS, to a server whose certificate is of this CA.
async fn request_in_tls(ca: &Authority, address: SocketAddr, method: &str, path: &str, headers: &str) -> String {
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()));
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    let client = builder.with_root_certificates(ca.roots()).with_no_client_auth();
    let tcp = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("exporter.test").unwrap();
    let tls = TlsConnector::from(Arc::new(client)).connect(name, tcp).await.unwrap();
    String::from_utf8(request_over(tls, method, path, headers).await).unwrap()
}

/// Starts an exporter that logs everything, and waits until it has probed.
async fn serve(folder: &Path) -> (Child, SocketAddr, PathBuf) {
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
