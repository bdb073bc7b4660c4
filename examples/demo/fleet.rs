//! The mail servers of the demo: which there are, their names in DNS, their certificates, and their start.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use mail_endpoint_exporter::dns::Resolver;
use mail_endpoint_exporter::endpoint::Endpoint;
use rustls::ServerConfig;
use rustls::version::TLS12;

use crate::dialogues::*;
use crate::lab::{Answer, Authority, DAY, DnsServer, Identity, Leaf, Options, Script, Server};

/// Where all of them live.
const HERE: Ipv4Addr = Ipv4Addr::LOCALHOST;

/// For how many seconds an answer of DNS holds.
const TTL: u32 = 60;

/// A server: the target's name, the port and the host in `examples/demo.yml`, what it says and how it does TLS. One
/// that says nothing does not even listen. The ports of a host have one certificate, as long as they do TLS alike.
type Row = (&'static str, u16, &'static str, Option<&'static str>, Tls);

/// The whole fleet. Ports of the system's own choice begin at 32768; these stay below.
const FLEET: &[Row] = &[
    ("healthy", 20025, "mail.example.org", Some(POSTFIX_MX), Tls::Good),
    ("healthy", 20465, "mail.example.org", Some(POSTFIX_SUBMISSIONS), Tls::Good),
    ("healthy", 20587, "mail.example.org", Some(POSTFIX_SUBMISSION), Tls::Good),
    ("healthy", 20525, "mail.example.org", Some(POSTFIX_SUBMISSION), Tls::Good),
    ("expires-soon", 21587, "smtp.example.net", Some(EXIM_SUBMISSION), Tls::ExpiresSoon),
    ("expired", 21465, "submit.example.net", Some(DOVECOT_SUBMISSIONS), Tls::Expired),
    ("renewed-by-half", 23465, "mail.shop.example", Some(POSTFIX_SUBMISSIONS), Tls::ExpiresSoon),
    ("renewed-by-half", 25525, "mail.shop.example", Some(POSTFIX_SUBMISSION), Tls::Good),
    ("wrong-name", 22587, "mail.customer.example", Some(EXIM_SUBMISSION), Tls::WrongName),
    ("no-intermediate", 23587, "cloud8.hosting.example", Some(POSTFIX_SUBMISSION), Tls::LeafOnly),
    ("self-signed", 21025, "ex01.corp.example.org", Some(EXCHANGE_MX), Tls::SelfSigned),
    ("self-signed", 24587, "ex01.corp.example.org", Some(EXCHANGE_SUBMISSION), Tls::SelfSigned),
    ("no-starttls", 25587, "mail.branch.example.org", Some(WITHOUT_STARTTLS), Tls::None),
    ("starttls-broken", 26587, "relay.example.org", Some(STARTTLS_BROKEN), Tls::None),
    ("starttls-injected", 27587, "smtp.example.org", Some(STARTTLS_INJECTED), Tls::Good),
    ("clear-on-465", 22465, "old.example.org", Some(CLEAR_TEXT), Tls::None),
    ("old-tls", 28587, "mail2.example.org", Some(POSTFIX_SUBMISSION), Tls::OnlyTls12),
    ("auth-in-clear", 29587, "mail.example.net", Some(AUTH_IN_CLEAR), Tls::Good),
    ("no-auth", 30587, "smtp.cloud.example.net", Some(WITHOUT_AUTH), Tls::Good),
    ("slow-banner", 22025, "mx1.example.com", Some(POSTSCREEN), Tls::Good),
    ("rate-limited", 23025, "mx2.example.com", Some(TOO_MANY), Tls::None),
    ("blocklisted", 24025, "mx3.example.com", Some(BLOCKED), Tls::None),
    ("silent", 25025, "mx4.example.com", Some(SILENCE), Tls::None),
    ("refused", 31587, "mx5.example.com", None, Tls::None),
    ("one-of-two", 26525, "pool.example.net", Some(POSTFIX_SUBMISSION), Tls::Good),
    ("shop.example", 26025, "mx.shop.example", Some(POSTFIX_MX), Tls::Good),
    ("shop.example", 26025, "mx-old.shop.example", None, Tls::None),
    ("renews", 22525, "renews.example.net", Some(POSTFIX_SUBMISSION), Tls::Good),
    ("stripped-at-times", 23525, "smtp.branch.example.org", Some(POSTFIX_SUBMISSION), Tls::Good),
    ("busy-at-times", 24525, "busy.cloud.example.net", Some(EXIM_SUBMISSION), Tls::Good),
];

/// What DNS says, where it is not that a host of [`FLEET`] is [`HERE`].
fn names() -> [(&'static str, Answer); 3] {
    [
        ("pool.example.net", Answer::addresses(&["127.0.0.1", "127.0.0.2"])),
        ("shop.example", Answer::mx(&[(10, "mx.shop.example"), (20, "mx-old.shop.example")])),
        ("mx-old.shop.example", Answer::NxDomain),
    ]
}

/// Servers that change while the demo runs: a target of [`FLEET`], for how many seconds it stays as it is,
/// and what it is then for as long, again and again.
const CHANGES: &[(&str, u64, &str, Tls)] = &[
    ("renews", 170, POSTFIX_SUBMISSION, Tls::Good),
    ("stripped-at-times", 80, WITHOUT_STARTTLS, Tls::None),
    ("busy-at-times", 40, TOO_MANY, Tls::None),
];

/// How a server does TLS, and what its certificate is worth.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Tls {
    None,
    Good,
    /// Only TLS 1.2.
    OnlyTls12,
    /// 9 days left.
    ExpiresSoon,
    /// Three days ago.
    Expired,
    /// That of another customer of the same provider.
    WrongName,
    /// Without the intermediate certificate.
    LeafOnly,
    SelfSigned,
}

/// The servers, up until dropped.
pub(super) struct Fleet {
    servers: Vec<(&'static str, Server)>,
    dns: DnsServer,
    certificates: Certificates,
}

impl Fleet {
    /// Starts them all. The certificate of their CA goes to `ca_file`.
    pub(super) async fn start(ca_file: &Path) -> Result<Self, String> {
        // All ports first: a second demo must not change the CA of one that runs.
        FLEET.iter().try_for_each(|(target, port, ..)| is_free(target, *port))?;
        let certificates = Certificates::new();
        write(ca_file, &certificates.root.pem())?;
        let mut servers = Vec::new();
        let mut configured = HashMap::new();
        for (target, port, host, dialogue, tls) in FLEET {
            if let Some(dialogue) = dialogue {
                let tls = configured.entry((host, tls)).or_insert_with(|| certificates.of(host, *tls)).clone();
                let bind = Some(SocketAddr::from((HERE, *port)));
                let options = Options { tls, bind, forget: true, ..Options::default() };
                servers.push((*target, Server::start(script(dialogue, host), options).await));
            }
        }
        let here = || Answer::Addresses(vec![HERE.into()]);
        let mut zone: BTreeMap<_, _> = FLEET.iter().map(|(_, _, host, ..)| (*host, here())).collect();
        zone.extend(names());
        let zone: Vec<_> = zone.into_iter().map(|(name, answer)| (name, answer, TTL)).collect();
        Ok(Self { servers, dns: DnsServer::start(&zone).await, certificates })
    }

    /// Where the hosts' names are found: nothing asks the real DNS.
    pub(super) fn resolver(&self) -> Result<Resolver, String> {
        Resolver::with_server(self.dns.address())
    }

    /// Lets the servers of [`CHANGES`] change, for as long as it is polled.
    pub(super) async fn live(&self) {
        for second in 1_u64.. {
            tokio::time::sleep(Duration::from_secs(1)).await;
            for (target, every, dialogue, tls) in CHANGES {
                if second % every == 0 {
                    self.change(target, (second / every % 2 == 1).then_some((*dialogue, *tls)));
                }
            }
        }
    }

    /// From the next client on, a server is what it is now, or again what it was at first.
    fn change(&self, target: &str, now: Option<(&str, Tls)>) {
        let first = FLEET.iter().find(|(name, ..)| *name == target);
        let server = self.servers.iter().find(|(name, _)| *name == target);
        if let (Some((.., host, Some(dialogue), tls)), Some((_, server))) = (first, server) {
            let (dialogue, tls) = now.unwrap_or((dialogue, *tls));
            server.change(script(dialogue, host), self.certificates.of(host, tls));
        }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.servers.len()
    }
}

/// What a server says, with its own name in it.
fn script(dialogue: &str, host: &str) -> Script {
    Script::of(&dialogue.replace("HOST", host))
}

/// Holds what the configuration comes to against the fleet: they must have the same targets and ports.
pub(super) fn check(endpoints: &[Arc<Endpoint>]) -> Result<(), String> {
    let ours: BTreeSet<String> =
        FLEET.iter().map(|(target, port, host, ..)| format!("{target} at {host}:{port}")).collect();
    let theirs: BTreeSet<String> =
        endpoints.iter().map(|one| format!("{} at {}", one.target, one.host_and_port())).collect();
    let differences: Vec<&str> = ours.symmetric_difference(&theirs).map(String::as_str).collect();
    if differences.is_empty() {
        return Ok(());
    }
    Err(format!("only one of examples/demo.yml and examples/demo/fleet.rs has {}", differences.join(", ")))
}

/// Finds out by trying. The port of the one that is to refuse must be free too.
fn is_free(target: &str, port: u16) -> Result<(), String> {
    TcpListener::bind((HERE, port)).map(drop).map_err(|error| {
        let why = unusable(&SocketAddr::from((HERE, port)).to_string(), &error);
        format!("the server {target:?} has no place: {why}; `lsof -i :{port}` names what is there (another demo?)")
    })
}

/// Why there can be no listening at an address.
pub(super) fn unusable(address: &str, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => format!("another program listens at {address}"),
        _ => format!("{address} cannot be listened at ({error})"),
    }
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    let folder = path.parent().map_or(Ok(()), std::fs::create_dir_all);
    folder.and_then(|()| std::fs::write(path, text)).map_err(|error| format!("{}: {error}", path.display()))
}

/// A CA as most are: a root that is trusted, and an intermediate below it that issues.
struct Certificates {
    root: Authority,
    issuing: Authority,
}

impl Certificates {
    fn new() -> Self {
        let root = Authority::new("Demo Root CA");
        let issuing = root.intermediate("Demo Issuing CA");
        Self { root, issuing }
    }

    #[expect(clippy::disallowed_methods, reason = "certificates end some days from now")]
    fn of(&self, host: &str, tls: Tls) -> Option<Arc<ServerConfig>> {
        let now = SystemTime::now();
        // For the address as well: probed by hand, in another process, a server has no name.
        let good = Leaf { ips: vec![HERE.into()], ..Leaf::new(host, now) };
        let issue = |leaf: Leaf| self.issuing.issue(&leaf);
        // Some hours more than the days: the display counts whole days.
        let days = |count: u32| count * DAY + Duration::from_secs(6 * 3600);
        let identity = match tls {
            Tls::None => return None,
            Tls::OnlyTls12 => return Some(issue(good).server_config_with(&[&TLS12], None)),
            Tls::Good => issue(good),
            Tls::ExpiresSoon => issue(Leaf { not_before: now - days(81), not_after: now + days(9), ..good }),
            Tls::Expired => issue(Leaf { not_before: now - days(93), not_after: now - days(3), ..good }),
            Tls::WrongName => issue(Leaf::new("cloud7.hosting.example", now)),
            Tls::LeafOnly => issue(good).leaf_only(),
            Tls::SelfSigned => Identity::self_signed(&Leaf { not_after: now + days(1500), ..good }),
        };
        Some(identity.server_config())
    }
}
