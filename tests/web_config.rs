//! `--web.config.file`, from outside: who comes in to a running exporter, and who does not.

#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "a test fails by panicking")]

mod lab;
mod support;

use std::fs;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lab::{Authority, DAY, Identity, Leaf};
use mail_endpoint_exporter::app::App;
use mail_endpoint_exporter::config::web::PasswordHash;
use mail_endpoint_exporter::door::Door;
use support::{Answer, Exporter, config, folder, no_names};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{ClientConfig, SupportedProtocolVersion};

const BOTH: &[&SupportedProtocolVersion] = &[&TLS13, &TLS12];

/// A folder with what web configurations name.
struct Rig {
    folder: PathBuf,
    ca: Authority,
    clients: Authority,
}

/// A connection, in clear or inside TLS.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

impl Rig {
    fn new() -> Self {
        let rig = Self { folder: folder(), ca: Authority::new("CA"), clients: Authority::new("Clients") };
        rig.certify("exporter.test");
        rig.write("clients.crt", &rig.clients.pem());
        rig
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.join(name), text).unwrap();
    }

    /// Gives the exporter a new certificate.
    fn certify(&self, name: &str) {
        let identity = self.ca.issue(&leaf(name));
        self.write("server.crt", &identity.certificate_pem);
        self.write("server.key", &identity.key_pem);
    }

    fn path(&self) -> PathBuf {
        self.folder.join("web.yml")
    }

    fn door(&self, web: &str) -> Door {
        self.write("web.yml", web);
        Door::load(&self.path()).unwrap_or_else(|problems| panic!("{problems:#?}"))
    }

    /// An exporter with nothing to probe behind this door.
    async fn start(&self, web: &str) -> Exporter {
        let app = App::with_resolver(&config("targets: []"), None, no_names());
        Exporter::start_with(app.with_door(self.door(web))).await
    }

    fn client(&self, versions: &[&'static SupportedProtocolVersion], identity: Option<&Identity>) -> ClientConfig {
        let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()));
        let builder = builder.with_protocol_versions(versions).unwrap().with_root_certificates(self.ca.roots());
        match identity {
            None => builder.with_no_client_auth(),
            Some(identity) => builder.with_client_auth_cert(identity.chain.clone(), identity.key.clone_key()).unwrap(),
        }
    }

    async fn connect(&self, address: SocketAddr, client: ClientConfig) -> io::Result<TlsStream<TcpStream>> {
        let tcp = TcpStream::connect(address).await.unwrap();
        TlsConnector::from(Arc::new(client)).connect(ServerName::try_from("exporter.test").unwrap(), tcp).await
    }

    async fn get(&self, address: SocketAddr, identity: Option<&Identity>, headers: &str) -> io::Result<Answer> {
        let mut tls = self.connect(address, self.client(BOTH, identity)).await?;
        ask(&mut tls, "GET", "/-/healthy", headers).await
    }
}

const TLS: &str = "cert_file: server.crt, key_file: server.key";

fn leaf(name: &str) -> Leaf {
    Leaf::new(name, SystemTime::now())
}

/// One request, and its answer as far as its length says.
async fn ask(stream: &mut dyn Stream, method: &str, path: &str, headers: &str) -> io::Result<Answer> {
    stream.write_all(format!("{method} {path} HTTP/1.1\r\nHost: x\r\n{headers}\r\n").as_bytes()).await?;
    let mut text = Vec::new();
    loop {
        let mut piece = [0; 4096];
        let read = stream.read(&mut piece).await?;
        text.extend_from_slice(&piece[..read]);
        let answer = String::from_utf8_lossy(&text).into_owned();
        if let Some((head, body)) = answer.to_ascii_lowercase().split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            let length: Option<usize> = length.map(|length| length.parse().unwrap());
            if read == 0 || length.is_some_and(|length| body.len() >= length) {
                return Ok(Answer::of(&answer));
            }
        } else if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

fn basic(user: &str, password: &str) -> String {
    format!("Authorization: Basic {}\r\n", STANDARD.encode(format!("{user}:{password}")))
}

/// Longer than the pause between two looks at the files.
async fn until_looked_again() {
    sleep(Duration::from_millis(1100)).await;
}

/// Hash and password.
fn hashes() -> impl Iterator<Item = (&'static str, &'static str)> {
    let lines = include_str!("data/bcrypt.txt").lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.split_once('\t').unwrap())
}

/// The cheapest hash of a password.
fn hash(password: &str) -> &'static str {
    hashes().find(|(_, known)| *known == password).unwrap().0
}

#[test]
fn hashes_that_go_htpasswd_and_python_made_are_verified() {
    for (text, password) in hashes() {
        let hash = PasswordHash::parse(text).unwrap_or_else(|why| panic!("{text}: {why}"));
        assert!(hash.verify(password.as_bytes()), "{text}");
        // Only 72 bytes count, here as there.
        assert_eq!(hash.verify(format!("{password}x").as_bytes()), password.len() == 72, "{text}");
        assert!(!hash.verify(b"wrong"), "{text}");
    }
    let good = hash("secret");
    for bad in ["", "secret", "$2y$10$", &good[..59], &good.replace("$04$", "$03$"), &good.replace("$04$", "$32$")] {
        assert!(PasswordHash::parse(bad).is_err(), "{bad}");
    }
    for bad in ["$apr1$x$y", "{SHA}x", &good.replace("$2a", "$2c"), &good.replace('L', "é"), &good.replace('L', "*")] {
        assert!(PasswordHash::parse(bad).is_err(), "{bad}");
    }
}

#[tokio::test]
async fn certificates_of_clients() {
    let rig = Rig::new();
    let now = SystemTime::now();
    let client = || Leaf { client_auth_only: true, ..leaf("client.test") };
    let named = Identity::self_signed(&Leaf { is_ca: true, ..client() });
    rig.write("clients.crt", &(rig.clients.pem() + &named.certificate_pem));
    let below = rig.clients.intermediate("Below");
    let identities = [
        None,
        Some(rig.clients.issue(&client())),
        Some(below.issue(&client())),
        Some(below.issue(&client()).leaf_only()),
        Some(Authority::new("Strangers").issue(&client())),
        Some(rig.clients.issue(&Leaf { not_after: now - DAY, ..client() })),
        // Made for servers.
        Some(rig.clients.issue(&leaf("client.test"))),
        Some(named),
        Some(Identity::self_signed(&Leaf { not_after: now - DAY, is_ca: true, ..client() })),
    ];
    let ca = "client_ca_file: clients.crt";
    for (rules, expected) in [
        //                             none ours below alone strange expired server named expired
        (String::new(), "yes yes yes yes yes yes yes yes yes"),
        ("client_auth_type: NoClientCert".into(), "yes yes yes yes yes yes yes yes yes"),
        ("client_auth_type: RequestClientCert".into(), "yes yes yes yes yes yes yes yes yes"),
        ("client_auth_type: RequireAnyClientCert".into(), "no yes yes yes yes yes yes yes yes"),
        (format!("client_auth_type: VerifyClientCertIfGiven, {ca}"), "yes yes yes no no no no yes no"),
        (format!("client_auth_type: RequireAndVerifyClientCert, {ca}"), "no yes yes no no no no yes no"),
        (
            format!("client_auth_type: RequireAndVerifyClientCert, {ca}, client_allowed_sans: [a, Client.test]"),
            "no yes yes no no no no yes no",
        ),
        (
            format!("client_auth_type: RequireAndVerifyClientCert, {ca}, client_allowed_sans: [test, '*.test']"),
            "no no no no no no no no no",
        ),
    ] {
        for versions in ["min_version: TLS13", "max_version: TLS12"] {
            let exporter = rig.start(&format!("tls_server_config: {{{TLS}, {versions}, {rules}}}")).await;
            let mut found = Vec::new();
            for identity in &identities {
                let answer = rig.get(exporter.address, identity.as_ref(), "").await;
                found.push(if answer.is_ok_and(|answer| answer.status == 200) { "yes" } else { "no" });
            }
            assert_eq!(found.join(" "), expected, "{versions} {rules}");
            exporter.stop().await;
        }
    }
}

#[tokio::test]
async fn every_kind_of_alternative_name_lets_in_and_no_other() {
    use rcgen::{CertificateParams, KeyPair, SanType};
    let rig = Rig::new();
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(["dns.test".to_owned()]).unwrap();
    params.subject_alt_names.extend([
        SanType::Rfc822Name("a@mail.test".try_into().unwrap()),
        SanType::URI("spiffe://test/a".try_into().unwrap()),
        SanType::IpAddress("192.0.2.7".parse().unwrap()),
        SanType::IpAddress("2001:db8::7".parse().unwrap()),
    ]);
    params.distinguished_name.push(rcgen::DnType::CommonName, "common.test");
    let certificate = params.self_signed(&key).unwrap();
    let chain = vec![certificate.der().clone()];
    let (certificate_pem, key_pem) = (certificate.pem(), key.serialize_pem());
    let identity = Identity { chain, key: key.serialize_der().try_into().unwrap(), certificate_pem, key_pem };
    for (name, expected) in [
        ("dns.test", true),
        ("DNS.TEST", true),
        ("a@mail.test", true),
        ("spiffe://test/a", true),
        ("192.0.2.7", true),
        ("2001:DB8:0::7", true),
        ("common.test", false),
        ("mail.test", false),
        ("test", false),
        ("spiffe://test/", false),
        ("192.0.2.8", false),
        ("dns.test.", false),
    ] {
        let rules = format!("client_auth_type: RequireAnyClientCert, client_allowed_sans: [x, '{name}']");
        let exporter = rig.start(&format!("tls_server_config: {{{TLS}, {rules}}}")).await;
        assert_eq!(rig.get(exporter.address, Some(&identity), "").await.is_ok(), expected, "{name}");
        exporter.stop().await;
    }
}

#[tokio::test]
async fn versions_suites_and_groups_are_those_of_the_file() {
    let rig = Rig::new();
    let found = async |rules: &str, versions: &[&'static SupportedProtocolVersion]| {
        let exporter = rig.start(&format!("tls_server_config: {{{TLS}, {rules}}}")).await;
        let mut client = rig.client(versions, None);
        client.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let Ok(mut tls) = rig.connect(exporter.address, client).await else { return "nothing".to_owned() };
        assert_eq!(ask(&mut tls, "GET", "/-/healthy", "").await.unwrap().status, 200);
        let connection = tls.get_ref().1;
        assert_eq!(connection.alpn_protocol(), Some(&b"http/1.1"[..]));
        let suite = connection.negotiated_cipher_suite().unwrap().suite();
        let group = connection.negotiated_key_exchange_group().unwrap().name();
        format!("{suite:?} {group:?}")
    };
    let v12: &[&SupportedProtocolVersion] = &[&TLS12];
    assert_eq!(found("", BOTH).await, "TLS13_AES_256_GCM_SHA384 X25519MLKEM768");
    assert_eq!(found("", v12).await, "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 X25519");
    assert_eq!(found("min_version: TLS13", v12).await, "nothing");
    assert_eq!(found("max_version: TLS12", &[&TLS13]).await, "nothing");
    assert_eq!(found("curve_preferences: [CurveP384]", BOTH).await, "TLS13_AES_256_GCM_SHA384 secp384r1");
    let some =
        "cipher_suites: [TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256]";
    assert_eq!(found(some, v12).await, "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256 X25519");
    let theirs = format!("{some}, prefer_server_cipher_suites: false");
    assert_eq!(found(&theirs, v12).await, "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 X25519");
    assert_eq!(found(some, BOTH).await, "TLS13_AES_256_GCM_SHA384 X25519MLKEM768");
    assert_eq!(found("cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]", v12).await, "nothing");
}

#[tokio::test]
async fn plain_http_on_the_port_of_https_is_told_so_and_the_port_goes_on() {
    let rig = Rig::new();
    let exporter = rig.start(&format!("tls_server_config: {{{TLS}}}")).await;
    let answer = exporter.get("/metrics").await;
    assert_eq!((answer.status, answer.body.contains("https://")), (400, true), "{answer:?}");
    let mut nonsense = TcpStream::connect(exporter.address).await.unwrap();
    nonsense.write_all(&[0; 100]).await.unwrap();
    assert_eq!(rig.get(exporter.address, None, "").await.unwrap().status, 200);
    exporter.stop().await;
}

#[tokio::test]
async fn passwords() {
    let rig = Rig::new();
    let mut users = String::new();
    for (number, (hash, _)) in hashes().enumerate() {
        users += &format!("  u{number}: {hash}\n");
    }
    users += &format!("  Üser: {}\n  '': {}\n", hash("secret"), hash("a:b:c"));
    let exporter = rig.start(&format!("basic_auth_users:\n{users}")).await;
    let status = async |headers: &str| exporter.request("GET", "/metrics", headers).await.status;
    for (number, (_, password)) in hashes().enumerate() {
        let user = format!("u{number}");
        assert_eq!(status(&basic(&user, "wrong")).await, 401, "{user}");
        for _ in 0..2 {
            assert_eq!(status(&basic(&user, password)).await, 200, "{user}");
            assert_eq!(status(&basic(&user, "wrong")).await, 401, "{user} is known, and this is not the password");
        }
        assert_eq!(status(&basic(&format!("{user}x"), password)).await, 401, "{user}x");
    }
    let encoded = STANDARD.encode("u0:secret");
    for (headers, expected) in [
        (String::new(), 401),
        (basic("Üser", "secret"), 200),
        (basic("üser", "secret"), 401),
        (basic("", "a:b:c"), 200),
        (basic("u0", ""), 401),
        (basic("u0", "SECRET"), 401),
        (basic("u0", "secret "), 401),
        (basic("u0", "secret\0"), 401),
        (basic("nobody", "secret"), 401),
        (basic("u1", "100% & more"), 401),
        (format!("Authorization: basic {encoded}\r\n"), 200),
        (format!("AUTHORIZATION: BASIC   {encoded}\r\n"), 200),
        (format!("Authorization: Basic {encoded}=\r\n"), 401),
        (format!("Authorization: Bearer {encoded}\r\n"), 401),
        (format!("Authorization: {encoded}\r\n"), 401),
        ("Authorization: Basic\r\n".into(), 401),
        ("Authorization: Basic \r\n".into(), 401),
        ("Authorization: Basic ****\r\n".into(), 401),
        (format!("Authorization: Basic {}\r\n", STANDARD.encode("u0 secret")), 401),
        (format!("Authorization: Basic {}\r\n", STANDARD.encode(b"\xff:secret")), 401),
        (format!("{}{}", basic("u0", "secret"), basic("u0", "secret")), 401),
    ] {
        assert_eq!(status(&headers).await, expected, "{headers}");
    }
    for path in ["/", "/-/healthy", "/nothing"] {
        let answer = exporter.get(path).await;
        assert_eq!(answer.status, 401, "{path}");
        assert!(
            answer.head.contains("\r\nwww-authenticate: basic realm=\"mail_endpoint_exporter\", charset=\"utf-8\"")
        );
    }
    assert_eq!(exporter.request("POST", "/-/reload", "").await.status, 401);
    exporter.stop().await;
}

#[tokio::test]
async fn a_flood_of_guesses_does_not_stop_those_who_are_known() {
    let rig = Rig::new();
    let costly = hashes().find(|(hash, _)| hash.starts_with("$2a$10$")).unwrap().0;
    let exporter = Arc::new(rig.start(&format!("basic_auth_users: {{u: {costly}}}")).await);
    assert_eq!(exporter.request("GET", "/", &basic("u", "secret")).await.status, 200);
    let guess = |number: usize| {
        let exporter = exporter.clone();
        let user = if number.is_multiple_of(2) { "u" } else { "unknown" };
        tokio::spawn(async move { exporter.request("GET", "/", &basic(user, &number.to_string())).await.status })
    };
    let flood: Vec<_> = (0..40).map(guess).collect();
    sleep(Duration::from_millis(100)).await;
    for _ in 0..5 {
        assert_eq!(exporter.request("GET", "/", &basic("u", "secret")).await.status, 200);
    }
    let done = flood.iter().filter(|guess| guess.is_finished()).count();
    assert!(done < 35, "{done} guesses were done before people who are known came in five times");
    for guess in flood {
        let status = guess.await.unwrap();
        assert!(status == 401 || status == 503, "{status}");
    }
}

#[tokio::test]
async fn an_unknown_name_costs_what_a_known_one_does() {
    let rig = Rig::new();
    let costly = hashes().find(|(hash, _)| hash.starts_with("$2a$10$")).unwrap().0;
    let exporter = rig.start(&format!("basic_auth_users: {{u: {costly}}}")).await;
    let time = async |user: &str| {
        let mut least = Duration::MAX;
        for _ in 0..5 {
            let began = Instant::now();
            assert_eq!(exporter.request("GET", "/", &basic(user, "wrong")).await.status, 401);
            least = least.min(began.elapsed());
        }
        least
    };
    let (known, unknown) = (time("u").await, time("v").await);
    let ratio = known.as_secs_f64() / unknown.as_secs_f64();
    assert!((0.5..2.0).contains(&ratio), "{known:?} {unknown:?}");
    exporter.stop().await;
}

#[tokio::test]
async fn too_many_requests_wait_outside() {
    let rig = Rig::new();
    let web = format!("rate_limit: {{interval: 1h, burst: 3}}\nbasic_auth_users: {{u: {}}}", hash("secret"));
    let exporter = rig.start(&web).await;
    let get = async || exporter.request("GET", "/-/healthy", &basic("u", "secret")).await;
    assert_eq!(get().await.status, 200);
    assert_eq!(exporter.get("/-/healthy").await.status, 401, "guesses count too");
    assert_eq!(get().await.status, 200);
    let refused = get().await;
    assert_eq!(refused.status, 429);
    let seconds = refused.head.split("retry-after: ").nth(1).unwrap().lines().next().unwrap();
    assert!((3590..=3600).contains(&seconds.parse::<u32>().unwrap()), "{seconds}");
    // Other rules change, the limit does not: the bucket stays as empty as it was.
    rig.write("web.yml", &format!("{web}\nhttp_server_config: {{headers: {{X-Frame-Options: deny}}}}"));
    until_looked_again().await;
    let refused = get().await;
    assert!(refused.status == 429 && refused.head.contains("x-frame-options: deny"), "{refused:?}");
    rig.write("web.yml", &web.replace("1h", "50ms"));
    until_looked_again().await;
    assert_eq!(get().await.status, 200);
    sleep(Duration::from_millis(200)).await;
    assert_eq!(get().await.status, 200, "it fills up again");
    exporter.stop().await;
}

#[tokio::test]
async fn every_answer_carries_the_headers() {
    let rig = Rig::new();
    let headers = "{Content-Security-Policy: default-src 'none', X-Frame-Options: sameorigin, \
                   X-Content-Type-Options: nosniff, X-XSS-Protection: 1; mode=block, Strict-Transport-Security: max-age=60}";
    let web = format!(
        "http_server_config: {{http2: false, headers: {headers}}}\nbasic_auth_users: {{u: {}}}",
        hash("secret")
    );
    let exporter = rig.start(&web).await;
    let known = basic("u", "secret");
    for (method, path, headers, status) in [
        ("GET", "/metrics", known.as_str(), 200),
        ("HEAD", "/", &known, 200),
        ("GET", "/", "", 401),
        ("GET", "/nothing", &known, 404),
        ("POST", "/metrics", &known, 405),
    ] {
        let answer = exporter.request(method, path, headers).await;
        assert_eq!(answer.status, status, "{method} {path}");
        for header in [
            "content-security-policy: default-src 'none'",
            "x-frame-options: sameorigin",
            "x-content-type-options: nosniff",
            "x-xss-protection: 1; mode=block",
            "strict-transport-security: max-age=60",
        ] {
            assert_eq!(answer.head.matches(&format!("\r\n{header}")).count(), 1, "{method} {path} {}", answer.head);
        }
    }
    exporter.stop().await;
}

/// What is logged, as text.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// All events of this thread from now on, which is where a test's exporter runs.
    fn keep(&self) -> tracing::subscriber::DefaultGuard {
        let log = self.clone();
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || log.clone()).finish();
        tracing::subscriber::set_default(subscriber)
    }

    fn lines(&self, part: &str) -> usize {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        text.lines().filter(|line| line.contains(part)).count()
    }
}

#[tokio::test]
async fn a_changed_certificate_is_shown_and_a_broken_one_is_not() {
    let rig = Rig::new();
    let log = Log::default();
    let _guard = log.keep();
    let exporter = rig.start(&format!("tls_server_config: {{{TLS}}}")).await;
    let shown = async || {
        let tls = rig.connect(exporter.address, rig.client(BOTH, None)).await.unwrap();
        tls.get_ref().1.peer_certificates().unwrap()[0].clone()
    };
    let on_disk = || {
        use tokio_rustls::rustls::pki_types::{CertificateDer, pem::PemObject as _};
        CertificateDer::from_pem_file(rig.folder.join("server.crt")).unwrap()
    };
    let first = shown().await;
    assert_eq!(first, on_disk());
    let mut staying = rig.connect(exporter.address, rig.client(BOTH, None)).await.unwrap();

    // Half of a renewal: the certificate without its key.
    let renewed = rig.ca.issue(&leaf("exporter.test"));
    rig.write("server.crt", &renewed.certificate_pem);
    until_looked_again().await;
    for _ in 0..3 {
        assert_eq!(shown().await, first);
        until_looked_again().await;
    }
    assert_eq!(log.lines("not loaded"), 1, "told once");
    assert_eq!(log.lines("server.key is not the key of"), 1);
    rig.write("server.key", &renewed.key_pem);
    until_looked_again().await;
    assert_eq!(shown().await, renewed.chain[0]);
    assert_eq!(log.lines("yml loaded"), 1);

    fs::remove_file(rig.folder.join("server.key")).unwrap();
    until_looked_again().await;
    assert_eq!(shown().await, renewed.chain[0]);
    assert_eq!(log.lines("server.key cannot be read"), 1);
    assert_eq!(ask(&mut staying, "GET", "/-/healthy", "").await.unwrap().status, 200, "who is in stays in");
    exporter.stop().await;
}

#[tokio::test]
async fn changed_users_count_at_once_and_a_broken_file_changes_nothing() {
    let rig = Rig::new();
    let log = Log::default();
    let _guard = log.keep();
    let exporter = rig.start(&format!("basic_auth_users: {{a: {}}}", hash("secret"))).await;
    let (a, b) = (basic("a", "secret"), basic("b", "a:b:c"));
    let mut kept = TcpStream::connect(exporter.address).await.unwrap();
    assert_eq!(ask(&mut kept, "GET", "/", &a).await.unwrap().status, 200);
    let status = async |headers: &str| exporter.request("GET", "/", headers).await.status;

    rig.write("web.yml", &format!("basic_auth_users: {{b: {}}}", hash("a:b:c")));
    until_looked_again().await;
    assert_eq!(ask(&mut kept, "GET", "/", &a).await.unwrap().status, 401, "also on a connection that was there");
    assert_eq!((status(&a).await, status(&b).await), (401, 200));

    let broken = format!("basic_auth_users: {{a: {}x}}\n", hash("secret"));
    for web in [broken.as_str(), "nonsense: [", "basic_auth_users: {a: secret}"] {
        rig.write("web.yml", web);
        until_looked_again().await;
        assert_eq!((status(&a).await, status(&b).await, status("").await), (401, 200, 401), "{web}");
    }
    fs::remove_file(rig.path()).unwrap();
    until_looked_again().await;
    assert_eq!((status("").await, status(&b).await), (401, 200));
    assert_eq!((log.lines("not loaded"), log.lines("yml loaded")), (4, 1));
    for secret in [&hash("secret")[7..], &hash("a:b:c")[7..], "secret"] {
        assert_eq!(log.lines(secret), 0, "{secret}");
    }

    // TLS where there was none, and none where there was.
    rig.write("web.yml", &format!("tls_server_config: {{{TLS}}}"));
    until_looked_again().await;
    assert_eq!(rig.get(exporter.address, None, "").await.unwrap().status, 200);
    assert_eq!(status("").await, 400);
    rig.write("web.yml", "");
    until_looked_again().await;
    assert_eq!(status("").await, 200);
    exporter.stop().await;
}

#[tokio::test]
async fn a_file_that_is_just_being_written_lets_nobody_in() {
    let rig = Rig::new();
    let whole = format!("basic_auth_users: {{a: {}}}", hash("secret"));
    let exporter = rig.start(&whole).await;
    for half in ["", "basic_auth_users:", "rate_limit: {interval: 1s, burst: 9}\n"] {
        until_looked_again().await;
        rig.write("web.yml", half);
        let (answer, ()) = tokio::join!(exporter.get("/"), async {
            sleep(Duration::from_millis(40)).await;
            rig.write("web.yml", &whole);
        });
        assert_eq!(answer.status, 401, "{half:?}");
    }
    exporter.stop().await;
}

#[tokio::test(start_paused = true)]
async fn clients_that_dawdle_are_sent_away() {
    let rig = Rig::new();
    let began = Instant::now();
    let ends = async |exporter: &Exporter, first: &[u8]| {
        let mut tcp = TcpStream::connect(exporter.address).await.unwrap();
        tcp.write_all(first).await.unwrap();
        let began = Instant::now();
        let _ = tcp.read_to_end(&mut Vec::new()).await;
        began.elapsed().as_secs()
    };
    let tls = rig.start(&format!("tls_server_config: {{{TLS}}}")).await;
    for first in [&b""[..], b"\x16\x03", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"] {
        assert_eq!(ends(&tls, first).await, 10, "the handshake");
    }
    let plain = Rig::new().start("").await;
    for first in [&b""[..], b"GET /metr", b"GET / HTTP/1.1\r\nHost: x\r\n"] {
        assert_eq!(ends(&plain, first).await, 75, "the head of a request");
    }
    // The head inside TLS.
    let mut inside = rig.connect(tls.address, rig.client(BOTH, None)).await.unwrap();
    inside.write_all(b"GET / HT").await.unwrap();
    let connected = Instant::now();
    let _ = inside.read_to_end(&mut Vec::new()).await;
    assert_eq!(connected.elapsed().as_secs(), 75);
    assert!(began.elapsed() < Duration::from_secs(400));
}

#[tokio::test]
async fn a_stop_waits_for_no_handshake() {
    let rig = Rig::new();
    let exporter = rig.start(&format!("tls_server_config: {{{TLS}}}")).await;
    let mut silent = TcpStream::connect(exporter.address).await.unwrap();
    sleep(Duration::from_millis(100)).await;
    let began = Instant::now();
    exporter.stop().await;
    assert!(began.elapsed() < Duration::from_secs(2));
    assert_eq!(silent.read_to_end(&mut Vec::new()).await.unwrap_or_default(), 0);
}

fn program(arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mail_endpoint_exporter"));
    let output = command.args(arguments).stdin(Stdio::null()).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn check_and_serve_load_the_web_configuration_too() {
    let rig = Rig::new();
    rig.write("mail.yml", "targets: [{host: 127.0.0.1, ports: [25]}]");
    let (mail, web) = (rig.folder.join("mail.yml"), rig.path());
    rig.write("web.yml", &format!("tls_server_config: {{{TLS}}}\nbasic_auth_users: {{u: {}}}", hash("secret")));
    let check = || program(&["check", "--config.file", text(&mail), "--web.config.file", text(&web)]);
    let (code, _, err) = check();
    assert_eq!((code, err.as_str()), (0, ""));
    rig.write("web.yml", &format!("basic_auth_users: {{u: {}}}", hash("secret")));
    let (code, _, err) = check();
    assert!(code == 0 && err.contains("warning: ") && err.contains("in clear"), "{err}");
    // Every problem of both files at once.
    rig.write("web.yml", "tls_server_config: {cert_file: server.crt}\nbasic_auth_users: {u: secret}");
    rig.write("mail.yml", "targets: 1");
    for command in [vec!["check"], vec!["serve"], vec![]] {
        let files = ["--config.file", text(&mail), "--web.config.file", text(&web)];
        let (code, _, err) = program(&[&command[..], &files].concat());
        assert_eq!((code, err.lines().count()), (1, 3), "{err}");
        assert!(err.contains("web.yml:1:20: tls_server_config: `key_file` is missing"), "{err}");
        assert!(err.contains("web.yml:2:23: basic_auth_users.u: this is no bcrypt hash"), "{err}");
    }
    rig.write("mail.yml", "targets: [{host: 127.0.0.1, ports: [25]}]");
    let (code, ..) = program(&["check", "--config.file", text(&mail), "--web.config.file", ""]);
    assert_eq!(code, 0, "an empty name, as scripts write it, is no file");
}
