//! `tls_server_config`: our certificate, the versions and ciphers, and who must show a certificate.

use std::sync::Arc;

use rustls::crypto::SupportedKxGroup;
use rustls::crypto::aws_lc_rs::{self, kx_group};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{Error, InconsistentKeys, ProtocolVersion, RootCertStore, SupportedCipherSuite, SupportedProtocolVersion};

use super::super::file::Node;
use super::super::reader::{At, Entries, Source, list, nearest};
use super::super::values::{file_name, text, word};
use super::{BOOLEANS, Origin, mapping};

/// How TLS is spoken.
#[derive(Clone, Debug)]
pub struct Tls {
    /// What we show, and its key.
    pub certificate: Arc<CertifiedKey>,
    /// The versions; at least one.
    pub versions: Vec<&'static SupportedProtocolVersion>,
    /// The cipher suites of all versions, the best first.
    pub cipher_suites: Vec<SupportedCipherSuite>,
    /// How keys are exchanged.
    pub groups: Vec<&'static dyn SupportedKxGroup>,
    /// Our order of suites decides, not the client's.
    pub our_order: bool,
    /// Which certificates clients show; `None`: they are not asked.
    pub clients: Option<ClientCertificates>,
}

/// What is wanted of a client's certificate.
#[derive(Clone, Debug)]
pub struct ClientCertificates {
    /// Without one, nobody comes in.
    pub required: bool,
    /// Who must have signed it; `None`: whoever.
    pub roots: Option<Arc<ClientRoots>>,
    /// It must have one of these alternative names; empty: any.
    pub allowed_names: Vec<String>,
}

/// The authorities of clients.
#[derive(Debug)]
pub struct ClientRoots {
    /// What chains must lead to.
    pub store: Arc<RootCertStore>,
    /// The same byte for byte: a certificate that is named itself needs no chain.
    pub named: Vec<CertificateDer<'static>>,
}

/// Reads the mapping; `None` if it is empty, or has problems that leave no way to speak TLS.
pub(super) fn read(
    source: &mut Source,
    node: &Node,
    at: At,
    origin: &mut Origin,
    warnings: &mut Vec<String>,
) -> Option<Tls> {
    if matches!(node, Node::Map(entries) if entries.is_empty()) {
        return None;
    }
    let mut entries = mapping(source, node, at.clone());
    let certificate = certificate(source, &mut entries, &at, origin);
    let versions = versions(source, &mut entries);
    let cipher_suites = cipher_suites(source, &mut entries);
    let our_order = entries.read(source, "prefer_server_cipher_suites", word(&BOOLEANS)).unwrap_or(true);
    let groups = groups(source, &mut entries);
    let clients = clients(source, &mut entries, origin, warnings);
    entries.finish(source);
    let (certificate, versions) = (certificate?, versions?);
    let algorithm = certificate.key.algorithm();
    let usable = |suite: &SupportedCipherSuite| {
        suite.usable_for_signature_algorithm(algorithm) && versions.contains(&suite.version())
    };
    if !cipher_suites.iter().any(usable) {
        source.problem(&at, "no cipher suite is left that fits the versions and the certificate's kind of key");
        return None;
    }
    Some(Tls { certificate: Arc::new(certificate), versions, cipher_suites, groups, our_order, clients })
}

/// The value of a key; an empty text, as templates write it, is no value.
fn filled<'n>(entries: &mut Entries<'n>, name: &'static str) -> Option<(&'n Node, At)> {
    entries.get(name).filter(|(node, _)| !matches!(node, Node::Scalar(text) if text.is_empty()))
}

/// A PEM text: in the file itself, or in another that it names.
struct Pem {
    /// What to call it in a message.
    name: String,
    at: At,
    bytes: Vec<u8>,
}

/// What stands for a PEM text.
enum Given {
    Nothing,
    /// Something that cannot be used; the problem has been told.
    Wrong,
    Pem(Pem),
}

impl Given {
    fn pem(self) -> Option<Pem> {
        match self {
            Self::Pem(pem) => Some(pem),
            Self::Nothing | Self::Wrong => None,
        }
    }
}

fn pem(
    source: &mut Source,
    entries: &mut Entries<'_>,
    origin: &mut Origin,
    inline: &'static str,
    file: &'static str,
) -> Given {
    let ((node, at), is_file) = match (filled(entries, inline), filled(entries, file)) {
        (None, None) => return Given::Nothing,
        (Some((_, at)), Some(_)) => {
            source.problem(&at, format!("`{inline}` and `{file}` mean the same: remove one of them"));
            return Given::Wrong;
        }
        (Some(found), None) => (found, false),
        (None, Some(found)) => (found, true),
    };
    let read = if is_file { file_name(node) } else { text(node) };
    let read = read.and_then(|text| {
        if !is_file {
            return Ok((format!("`{inline}`"), text.into_bytes()));
        }
        let path = source.relative(&text);
        let name = path.display().to_string();
        match origin.read(&path) {
            Ok(bytes) => Ok((name, bytes)),
            Err(error) => Err(format!("{name} cannot be read: {error}")),
        }
    });
    match read {
        Ok((name, bytes)) => Given::Pem(Pem { name, at, bytes }),
        Err(why) => {
            source.problem(&at, why);
            Given::Wrong
        }
    }
}

impl Pem {
    /// What is wrong with a file is not told in detail: it could be the file with the key.
    fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, String> {
        let name = &self.name;
        let chain = CertificateDer::pem_slice_iter(&self.bytes)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| format!("{name} is no valid PEM text"))?;
        let none = || format!("{name} has no certificate (-----BEGIN CERTIFICATE-----)");
        (!chain.is_empty()).then_some(chain).ok_or_else(none)
    }

    fn key(&self) -> Result<PrivateKeyDer<'static>, String> {
        let name = &self.name;
        PrivateKeyDer::from_pem_slice(&self.bytes).map_err(|_| {
            format!("{name} has no private key that can be read (-----BEGIN PRIVATE KEY-----, without a password)")
        })
    }
}

fn certificate(source: &mut Source, entries: &mut Entries<'_>, at: &At, origin: &mut Origin) -> Option<CertifiedKey> {
    let certificate = pem(source, entries, origin, "cert", "cert_file");
    let key = pem(source, entries, origin, "key", "key_file");
    for (given, name, example) in [(&certificate, "cert_file", "server.crt"), (&key, "key_file", "server.key")] {
        if let Given::Nothing = given {
            source.problem(at, format!("`{name}` is missing: write `{name}: {example}`"));
        }
    }
    let (certificate, key) = (certificate.pem(), key.pem());
    let chain = certificate.as_ref().and_then(|pem| told(source, &pem.at, pem.certificates()));
    let parsed = key.as_ref().and_then(|pem| told(source, &pem.at, pem.key()));
    let (certificate, key) = (certificate?, key?);
    let certified = CertifiedKey::from_der(chain?, parsed?, &aws_lc_rs::default_provider());
    let (certificate_at, key_at) = (&certificate.at, &key.at);
    match certified {
        Ok(certified) => Some(certified),
        Err(Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => {
            source.problem(key_at, format!("{} is not the key of {}", key.name, certificate.name));
            None
        }
        Err(Error::InvalidCertificate(error)) => {
            source.problem(certificate_at, format!("the certificate of {} cannot be used: {error}", certificate.name));
            None
        }
        Err(_) => {
            source.problem(key_at, format!("the key of {} is of a kind or size that TLS does not use", key.name));
            None
        }
    }
}

fn told<T>(source: &mut Source, at: &At, result: Result<T, String>) -> Option<T> {
    result.map_err(|why| source.problem(at, why)).ok()
}

fn version(node: &Node) -> Result<ProtocolVersion, String> {
    match text(node)?.as_str() {
        // RFC 8996: the older ones must not be used.
        old @ ("TLS10" | "TLS11") => Err(format!("{old} is not spoken here: write TLS12 or TLS13")),
        _ => word(&[("TLS12", ProtocolVersion::TLSv1_2), ("TLS13", ProtocolVersion::TLSv1_3)])(node),
    }
}

fn versions(source: &mut Source, entries: &mut Entries<'_>) -> Option<Vec<&'static SupportedProtocolVersion>> {
    let least = entries.read(source, "min_version", version).unwrap_or(ProtocolVersion::TLSv1_2);
    let (most, at) = match entries.get("max_version") {
        Some((node, at)) => (told(source, &at, version(node))?, at),
        None => (ProtocolVersion::TLSv1_3, At::default()),
    };
    let range = u16::from(least)..=u16::from(most);
    let all = [&TLS13, &TLS12];
    let versions: Vec<_> = all.into_iter().filter(|known| range.contains(&u16::from(known.version))).collect();
    if versions.is_empty() {
        source.problem(&at, "this is below `min_version`: write TLS13, or remove it");
        return None;
    }
    Some(versions)
}

/// As Go names it, and IANA.
fn name_of(suite: &SupportedCipherSuite) -> String {
    format!("{:?}", suite.suite()).replace("TLS13_", "TLS_")
}

/// The list is for TLS 1.2; the suites of TLS 1.3 are all good, and cannot be chosen with Go either.
fn cipher_suites(source: &mut Source, entries: &mut Entries<'_>) -> Vec<SupportedCipherSuite> {
    let known = aws_lc_rs::DEFAULT_CIPHER_SUITES;
    let is_13 = |suite: &SupportedCipherSuite| suite.version().version == ProtocolVersion::TLSv1_3;
    let chosen = items(source, entries, "cipher_suites", |name| {
        known.iter().find(|suite| name_of(suite) == name).copied().ok_or_else(|| {
            let names: Vec<String> = known.iter().map(name_of).collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let elsewhere = ["_CBC_", "_RC4_", "TLS_RSA_", "TLS_DHE_"].iter().any(|part| name.contains(part));
            unknown(name, &names, elsewhere)
        })
    });
    match chosen {
        Some((_, chosen)) if !chosen.is_empty() => {
            let all_13 = known.iter().copied().filter(is_13);
            all_13.chain(chosen.into_iter().filter(|suite| !is_13(suite))).collect()
        }
        _ => known.to_vec(),
    }
}

/// Clients choose among these; their order says nothing, with Go neither.
fn groups(source: &mut Source, entries: &mut Entries<'_>) -> Vec<&'static dyn SupportedKxGroup> {
    let known: [(&str, &'static dyn SupportedKxGroup); 5] = [
        ("X25519MLKEM768", kx_group::X25519MLKEM768),
        ("SecP256r1MLKEM768", kx_group::SECP256R1MLKEM768),
        ("X25519", kx_group::X25519),
        ("CurveP256", kx_group::SECP256R1),
        ("CurveP384", kx_group::SECP384R1),
    ];
    let chosen = items(source, entries, "curve_preferences", |name| {
        let found = known.iter().find(|(other, _)| *other == name);
        found.map(|(_, group)| *group).ok_or_else(|| unknown(name, &known.map(|(name, _)| name), name == "CurveP521"))
    });
    match chosen {
        Some((_, chosen)) if !chosen.is_empty() => chosen,
        _ => aws_lc_rs::DEFAULT_KX_GROUPS.to_vec(),
    }
}

/// A name that is not in a list: only other libraries know it, or nobody does.
fn unknown(name: &str, known: &[&str], elsewhere: bool) -> String {
    match nearest(name, known) {
        _ if elsewhere => format!("{name} is not spoken here: remove it; there is {}", known.join(", ")),
        Some(near) => format!("{name:?} is not known here: did you mean {near}?"),
        None => format!("{name:?} is not known here: write {}", known.join(", ")),
    }
}

/// A list of names, each converted, and where it is.
fn items<T>(
    source: &mut Source,
    entries: &mut Entries<'_>,
    key: &'static str,
    convert: impl Fn(&str) -> Result<T, String>,
) -> Option<(At, Vec<T>)> {
    let (node, at) = entries.get(key)?;
    let nodes = list(source, node, &at).iter().enumerate();
    let values = nodes.filter_map(|(number, node)| {
        let value = text(node).and_then(|name| convert(&name));
        told(source, &at.item(number), value)
    });
    let values = values.collect();
    Some((at, values))
}

/// Go's `ClientAuthType`: whether a certificate is asked for, needed, and verified.
#[derive(Clone, Copy)]
struct Policy {
    asked: bool,
    required: bool,
    verified: bool,
}

const fn policy(asked: bool, required: bool, verified: bool) -> Policy {
    Policy { asked, required, verified }
}

const POLICIES: [(&str, Policy); 5] = [
    ("NoClientCert", policy(false, false, false)),
    ("RequestClientCert", policy(true, false, false)),
    ("RequireAnyClientCert", policy(true, true, false)),
    ("VerifyClientCertIfGiven", policy(true, false, true)),
    ("RequireAndVerifyClientCert", policy(true, true, true)),
];

fn client_auth_type(node: &Node) -> Result<Policy, String> {
    match text(node)?.as_str() {
        // The toolkit's older name.
        "RequireClientCert" => Ok(policy(true, true, false)),
        _ => word(&POLICIES)(node),
    }
}

fn clients(
    source: &mut Source,
    entries: &mut Entries<'_>,
    origin: &mut Origin,
    warnings: &mut Vec<String>,
) -> Option<ClientCertificates> {
    let wanted = filled(entries, "client_auth_type");
    let asked_at = wanted.as_ref().map(|(_, at)| at.clone());
    let policy = match wanted {
        None => Some(policy(false, false, false)),
        Some((node, at)) => told(source, &at, client_auth_type(node)),
    };
    let authority = pem(source, entries, origin, "client_ca", "client_ca_file");
    let names = items(source, entries, "client_allowed_sans", |name| {
        (!name.is_empty()).then(|| name.to_owned()).ok_or_else(|| "this is empty: write a name".to_owned())
    });
    let policy = policy?;
    let without = "write `client_auth_type: RequireAndVerifyClientCert`, or remove this";
    if let (false, Given::Pem(pem)) = (policy.asked, &authority) {
        source.problem(&pem.at, format!("clients are not asked for certificates: {without}"));
    }
    if let Some((at, names)) = &names {
        if !policy.required {
            source.problem(at, format!("a client may come without a certificate: {without}"));
        } else if names.is_empty() {
            source.problem(at, "no name is allowed to come in: write at least one, or remove this");
        } else if !policy.verified {
            warnings.push("client_allowed_sans proves nothing with RequireAnyClientCert: anyone can make such a certificate; RequireAndVerifyClientCert is meant".into());
        }
    }
    let roots = match (&authority, &asked_at) {
        (Given::Nothing, Some(at)) if policy.verified => {
            // Go would take every authority of the system, and with it everyone who has a certificate.
            source.problem(at, "nobody is named to verify certificates by: write `client_ca_file: ca.crt` too");
            None
        }
        (Given::Pem(pem), _) => told(source, &pem.at, pem.certificates().and_then(|named| roots(named, &pem.name))),
        _ => None,
    };
    if policy.asked && !policy.verified && roots.is_some() {
        warnings.push("the authority of clients is not used: RequestClientCert and RequireAnyClientCert verify nothing; RequireAndVerifyClientCert is meant".into());
    }
    let roots = roots.filter(|_| policy.verified).map(Arc::new);
    let allowed_names = names.map(|(_, names)| names).unwrap_or_default();
    policy.asked.then_some(ClientCertificates { required: policy.required, roots, allowed_names })
}

fn roots(named: Vec<CertificateDer<'static>>, name: &str) -> Result<ClientRoots, String> {
    let mut store = RootCertStore::empty();
    let (added, _) = store.add_parsable_certificates(named.iter().cloned());
    if added == 0 {
        return Err(format!("{name} has no certificate that can be read"));
    }
    Ok(ClientRoots { store: Arc::new(store), named })
}
