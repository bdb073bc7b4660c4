//! Modules: the built-in ones, and what a file says of them.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::bounded;
use super::certificate_file::CertificateFiles;
use super::file::{MAX_FILE, Node};
use super::proxy::proxy;
use super::reader::{At, Entries, Source, list};
use super::trials;
use super::values::{address, duration, file_name, text, word};
use crate::cert::name::ServerName;
use crate::cert::roots::Roots;
use crate::endpoint::{AuthExpectation, Expectations, Module, Presence, Protocol, Security, TlsVersion};
use crate::mail::smtp::command::EhloName;
use crate::phase::Phase;
use crate::proxy::header;

/// How long a probe may take unless a module says otherwise. RFC 5321 §4.5.3.2.1 would let a server take
/// five minutes to greet; servers that delay on purpose take up to 15 s.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(20);

/// What a timeout may be.
const TIMEOUTS: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(600);

/// The modules that need no configuration carry IANA's service names.
const BUILT_IN: [(&str, Security, &[u16]); 3] = [
    ("smtp", Security::Opportunistic, &[25]),
    ("submission", Security::StartTls, &[587, 588, 2525, 2587]),
    // RFC 8314 §3.3 and §7.3: implicit TLS on 465 is the preferred way to submit.
    ("submissions", Security::Tls, &[465, 2465]),
];

/// The name of the module that a port has by itself.
pub fn by_port(port: u16) -> Option<&'static str> {
    BUILT_IN.iter().find(|(_, _, ports)| ports.contains(&port)).map(|(name, _, _)| *name)
}

/// The port that a built-in module is first of all for.
pub fn first_port(module: &str) -> Option<u16> {
    BUILT_IN.iter().find(|(name, ..)| *name == module).and_then(|(_, _, ports)| ports.first().copied())
}

/// All modules that targets can name.
#[derive(Clone, Debug)]
pub struct Modules(BTreeMap<String, Arc<Module>>);

impl Modules {
    /// The built-in ones alone.
    pub fn built_in(roots: &Arc<Roots>, ehlo_name: Option<&EhloName>) -> Self {
        let module = |(name, security, _): (&str, Security, &[u16])| {
            let expect = built_in_expectations(security);
            (name.to_owned(), Arc::new(Module { expect, ..blank(name, security, roots, ehlo_name) }))
        };
        Self(BUILT_IN.into_iter().map(module).collect())
    }

    /// The module of a name.
    pub fn get(&self, name: &str) -> Option<&Arc<Module>> {
        self.0.get(name)
    }

    /// The names of all, for a message.
    pub fn names(&self) -> Vec<&str> {
        self.0.keys().map(String::as_str).collect()
    }

    /// Adds what a file says to the built-in modules, or new modules to them.
    pub(super) fn read(
        &mut self,
        source: &mut Source,
        node: &Node,
        at: At,
        roots: &Arc<Roots>,
        ehlo: Option<&EhloName>,
        certificates: &mut CertificateFiles,
    ) {
        for (name, node, at) in Entries::of(source, node, at).all() {
            let known = self.0.get(name).map(|module| Module::clone(module));
            let is_new = known.is_none();
            let base = known.unwrap_or_else(|| blank(name, Security::Plain, roots, ehlo));
            if let Some(module) = module(source, node, at, base, is_new, certificates) {
                self.0.insert(name.to_owned(), Arc::new(module));
            }
        }
    }
}

fn built_in_expectations(security: Security) -> Expectations {
    match security {
        // RFC 7435: on port 25 any certificate is better than none.
        Security::Plain | Security::Opportunistic => Expectations::default(),
        Security::StartTls => Expectations {
            starttls: Presence::Offered,
            auth: AuthExpectation::Offered,
            certificate_valid: true,
            ..Expectations::default()
        },
        Security::Tls => {
            Expectations { auth: AuthExpectation::Offered, certificate_valid: true, ..Expectations::default() }
        }
    }
}

fn blank(name: &str, security: Security, roots: &Arc<Roots>, ehlo_name: Option<&EhloName>) -> Module {
    Module {
        name: name.to_owned(),
        protocol: Protocol::Smtp,
        security,
        timeout: DEFAULT_TIMEOUT,
        phase_timeouts: BTreeMap::new(),
        server_name: None,
        roots: roots.clone(),
        certificate_file: None,
        client_certificate: None,
        source_address: None,
        proxy: None,
        proxy_protocol: None,
        ehlo_name: ehlo_name.cloned(),
        login: None,
        mail: None,
        expect: Expectations::default(),
    }
}

/// One entry of `modules`. `None` when it has a problem that leaves no module.
fn module(
    source: &mut Source,
    node: &Node,
    at: At,
    mut module: Module,
    is_new: bool,
    certificates: &mut CertificateFiles,
) -> Option<Module> {
    let mut entries = Entries::of(source, node, at);
    let words = Security::ALL.map(|security| (security.as_str(), security));
    let security = word(&words);
    let security = if is_new {
        entries.require(source, "security", "starttls", security)
    } else {
        entries.read(source, "security", security)
    };
    if let Some(security) = security {
        module.security = security;
        // Where TLS is required, the certificate matters unless the file says otherwise.
        if is_new {
            module.expect.certificate_valid = matches!(security, Security::StartTls | Security::Tls);
        }
    }
    if let Some(protocol) = entries.read(source, "protocol", word(&[("smtp", Protocol::Smtp)])) {
        module.protocol = protocol;
    }
    let limit = duration(TIMEOUTS);
    if let Some(timeout) = entries.read(source, "timeout", &limit) {
        module.timeout = timeout;
    }
    if let Some((node, at)) = entries.get("phase_timeouts") {
        module.phase_timeouts = phase_timeouts(source, node, at);
    }
    if let Some(name) = entries.read(source, "server_name", |node| ServerName::parse(&text(node)?)) {
        module.server_name = Some(name);
    }
    if let Some(roots) = ca_file(source, &mut entries) {
        module.roots = roots;
    }
    if let Some((node, at)) = entries.get("certificate_file") {
        module.certificate_file = certificates.read(source, node, &at);
    }
    if let Some((node, at)) = entries.get("client_certificate") {
        module.client_certificate = client_certificate(source, node, at);
    }
    if let Some(address) = entries.read(source, "source_address", address) {
        module.source_address = Some(address);
    }
    module.proxy = proxy(source, &mut entries, module.proxy);
    let versions = [("v1", header::Version::V1), ("v2", header::Version::V2)];
    if let Some(version) = entries.read(source, "proxy_protocol", word(&versions)) {
        module.proxy_protocol = Some(version);
    }
    if let Some(name) = entries.read(source, "ehlo_name", |node| EhloName::parse(&text(node)?)) {
        module.ehlo_name = Some(name);
    }
    if let Some((node, at)) = entries.get("expect") {
        expectations(source, node, at, &mut module);
    }
    trials::read(source, &mut entries, &mut module);
    entries.finish(source);
    (!is_new || security.is_some()).then_some(module)
}

fn phase_timeouts(source: &mut Source, node: &Node, at: At) -> BTreeMap<Phase, Duration> {
    let mut entries = Entries::of(source, node, at);
    let limit = duration(TIMEOUTS);
    let limits = Phase::ALL.map(|phase| (phase, entries.read(source, phase.as_str(), &limit)));
    entries.finish(source);
    limits.into_iter().filter_map(|(phase, limit)| Some((phase, limit?))).collect()
}

fn ca_file(source: &mut Source, entries: &mut Entries<'_>) -> Option<Arc<Roots>> {
    let (node, at) = entries.get("ca_file")?;
    let (path, pem) = file(source, node, &at)?;
    Roots::from_pem(&pem)
        .map(Arc::new)
        .map_err(|why| source.problem(&at, format!("{} cannot be used: {why}", path.display())))
        .ok()
}

/// The content of a file of certificates or keys.
fn file(source: &mut Source, node: &Node, at: &At) -> Option<(PathBuf, Vec<u8>)> {
    let name = file_name(node).map_err(|why| source.problem(at, why)).ok()?;
    let path = source.relative(&name);
    source.used.push(path.clone());
    let content = bounded::regular(&path, MAX_FILE)
        .map_err(|why| source.problem(at, format!("{} {why}", path.display())))
        .ok()?;
    Some((path, content))
}

fn client_certificate(source: &mut Source, node: &Node, at: At) -> Option<Arc<CertifiedKey>> {
    let mut entries = Entries::of(source, node, at.clone());
    let mut content = |source: &mut Source, name| {
        if entries.get(name).is_none() {
            entries.missing(source, name, "FILE.pem");
        }
        let (node, at) = entries.get(name)?;
        file(source, node, &at).map(|(_, content)| content)
    };
    let (certificate, key) = (content(source, "cert_file"), content(source, "key_file"));
    entries.finish(source);
    let identity = certified_key(&certificate?, &key?);
    identity.map(Arc::new).map_err(|why| source.problem(&at, why)).ok()
}

fn certified_key(certificate: &[u8], key: &[u8]) -> Result<CertifiedKey, String> {
    // What is wrong with a file is not told in detail: it could be the file with the key.
    let chain = CertificateDer::pem_slice_iter(certificate)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| "`cert_file` is no valid PEM file".to_owned())?;
    if chain.is_empty() {
        return Err("`cert_file` has no certificate (-----BEGIN CERTIFICATE-----)".into());
    }
    let key = PrivateKeyDer::from_pem_slice(key)
        .map_err(|_| "`key_file` has no readable private key (-----BEGIN PRIVATE KEY-----)".to_owned())?;
    CertifiedKey::from_der(chain, key, &rustls::crypto::aws_lc_rs::default_provider())
        .map_err(|_| "`key_file` is not the key of `cert_file`, or of a kind that TLS does not use".to_owned())
}

fn expectations(source: &mut Source, node: &Node, at: At, module: &mut Module) {
    let mut entries = Entries::of(source, node, at);
    starttls(source, &mut entries, module);
    let expect = &mut module.expect;
    if let Some(closed) = entries.read(source, "port", word(&[("any", false), ("closed", true)])) {
        expect.port_closed = closed;
    }
    if let Some(auth) = entries.get("auth").and_then(|(node, at)| auth(source, node, &at)) {
        expect.auth = auth;
    }
    if let Some(absent) = entries.read(source, "auth_in_clear", word(&[("any", false), ("absent", true)])) {
        expect.no_auth_in_clear = absent;
    }
    if let Some(valid) = entries.read(source, "certificate", word(&[("valid", true), ("any", false)])) {
        expect.certificate_valid = valid;
    }
    let versions = TlsVersion::ALL.map(|version| (version.number(), version));
    if let Some(version) = entries.read(source, "tls_min", word(&versions)) {
        expect.tls_min = Some(version);
    }
    old_tls(source, &mut entries, module);
    if let Some(pattern) = entries.read(source, "banner", pattern) {
        module.expect.banner = Some(pattern);
    }
    entries.finish(source);
}

fn old_tls(source: &mut Source, entries: &mut Entries<'_>, module: &mut Module) {
    let Some((node, at)) = entries.get("old_tls") else { return };
    match word(&[("refused", true), ("any", false)])(node) {
        Err(why) => source.problem(&at, why),
        Ok(true) if module.security == Security::Plain => source.problem(
            &at,
            "`security: plain` has no TLS whose old versions could be refused: write `security: starttls` or `tls`, or \
             remove this",
        ),
        Ok(refused) => module.expect.no_old_tls = refused,
    }
}

fn starttls(source: &mut Source, entries: &mut Entries<'_>, module: &mut Module) {
    // Required is more than offered: MAIL must be refused without it.
    let words = [
        ("offered", (Presence::Offered, false)),
        ("required", (Presence::Offered, true)),
        ("absent", (Presence::Absent, false)),
        ("any", (Presence::Any, false)),
    ];
    let Some((node, at)) = entries.get("starttls") else { return };
    match word(&words)(node) {
        Err(why) => source.problem(&at, why),
        Ok((_, true)) if module.security == Security::Tls => {
            source.problem(&at, "`security: tls` has no time before TLS in which STARTTLS could be required: write `offered`, or remove this");
        }
        Ok((starttls, required)) => {
            module.expect.starttls = starttls;
            module.expect.starttls_required = required;
        }
    }
}

fn pattern(node: &Node) -> Result<regex_lite::Regex, String> {
    let text = text(node)?;
    regex_lite::Regex::new(&text).map_err(|error| format!("{text:?} is no regular expression: {error}"))
}

fn auth(source: &mut Source, node: &Node, at: &At) -> Option<AuthExpectation> {
    if let Node::List(_) = node {
        let names = list(source, node, at).iter().map(|node| text(node).map(|name| name.to_ascii_uppercase()));
        let names = names.collect::<Result<Vec<String>, String>>();
        return names.map(AuthExpectation::Mechanisms).map_err(|why| source.problem(at, why)).ok();
    }
    let words = [("offered", Presence::Offered), ("absent", Presence::Absent), ("any", Presence::Any)];
    let wanted = word(&words)(node)
        .map_err(|why| source.problem(at, format!("{why}, or a list such as [PLAIN, LOGIN]")))
        .ok()?;
    Some(match wanted {
        Presence::Offered => AuthExpectation::Offered,
        Presence::Absent => AuthExpectation::Absent,
        Presence::Any => AuthExpectation::Any,
    })
}
