//! A certificate authority for tests: right certificates, and wrong ones of every kind.
//!
//! Faults are made by changing one field: `Leaf { not_after: now - DAY, ..Leaf::new("mx.test", now) }`.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, RsaKeySize, SanType, date_time_ymd,
};
use tokio_rustls::rustls::crypto::{CryptoProvider, aws_lc_rs};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use tokio_rustls::rustls::sign::{CertifiedKey, Signer, SigningKey};
use tokio_rustls::rustls::{
    ALL_VERSIONS, Error, RootCertStore, ServerConfig, SignatureAlgorithm, SignatureScheme, SupportedCipherSuite,
    SupportedProtocolVersion,
};

pub const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What a certificate is to say.
#[derive(Clone, Debug)]
pub struct Leaf {
    pub common_name: String,
    /// Subject alternative names; both lists empty: the certificate has only its common name.
    pub dns: Vec<String>,
    pub ips: Vec<IpAddr>,
    pub not_before: SystemTime,
    pub not_after: SystemTime,
    pub key: Key,
    /// As `openssl req -x509` makes them: an authority's certificate used as a server's.
    pub is_ca: bool,
    /// Extended key usage clientAuth and not serverAuth.
    pub client_auth_only: bool,
}

#[derive(Clone, Copy, Debug)]
pub enum Key {
    P256,
    P384,
    Ed25519,
    Rsa2048,
}

impl Leaf {
    /// A right one for `name`, valid from a day before `now` until 90 days after.
    pub fn new(name: &str, now: SystemTime) -> Leaf {
        Leaf {
            common_name: name.to_owned(),
            dns: vec![name.to_owned()],
            ips: Vec::new(),
            not_before: now - DAY,
            not_after: now + 90 * DAY,
            key: Key::P256,
            is_ca: false,
            client_auth_only: false,
        }
    }

    fn params(&self) -> CertificateParams {
        let mut params = CertificateParams::new(self.dns.clone()).unwrap();
        let ips = self.ips.iter().copied().map(SanType::IpAddress);
        params.subject_alt_names.extend(ips);
        let name = &mut params.distinguished_name;
        name.remove(DnType::CommonName);
        name.push(DnType::CommonName, self.common_name.as_str());
        // rcgen's own time type, without depending on the crate that has it.
        let since_1970 = |time: SystemTime| time.duration_since(UNIX_EPOCH).unwrap();
        params.not_before = date_time_ymd(1970, 1, 1) + since_1970(self.not_before);
        params.not_after = date_time_ymd(1970, 1, 1) + since_1970(self.not_after);
        params.extended_key_usages = vec![match self.client_auth_only {
            true => ExtendedKeyUsagePurpose::ClientAuth,
            false => ExtendedKeyUsagePurpose::ServerAuth,
        }];
        if self.is_ca {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        }
        params
    }
}

impl Key {
    fn generate(self) -> KeyPair {
        match self {
            Key::P256 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256),
            Key::P384 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384),
            Key::Ed25519 => KeyPair::generate_for(&rcgen::PKCS_ED25519),
            Key::Rsa2048 => KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, RsaKeySize::_2048),
        }
        .unwrap()
    }
}

/// An issuer of certificates: a root, or an intermediate below one.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    /// The certificates a server sends after its leaf: this intermediate and those above it.
    above: Vec<CertificateDer<'static>>,
}

impl Authority {
    /// A root, valid for as good as ever.
    pub fn new(name: &str) -> Authority {
        let key = Key::P256.generate();
        let params = authority_params(name, SystemTime::now() + 9999 * DAY);
        Authority { issuer: CertifiedIssuer::self_signed(params, key).unwrap(), above: Vec::new() }
    }

    pub fn intermediate(&self, name: &str) -> Authority {
        self.intermediate_until(name, SystemTime::now() + 9999 * DAY)
    }

    /// An intermediate with an end of its own, which may be past.
    pub fn intermediate_until(&self, name: &str, not_after: SystemTime) -> Authority {
        let params = authority_params(name, not_after);
        let issuer = CertifiedIssuer::signed_by(params, Key::P256.generate(), &self.issuer);
        let issuer = issuer.unwrap();
        let mut above = vec![issuer.der().clone()];
        above.extend(self.above.iter().cloned());
        Authority { issuer, above }
    }

    pub fn issue(&self, leaf: &Leaf) -> Identity {
        let key = leaf.key.generate();
        let certificate = leaf.params().signed_by(&key, &self.issuer).unwrap();
        let mut chain = vec![certificate.der().clone()];
        chain.extend(self.above.iter().cloned());
        let certificate_pem = certificate.pem();
        Identity::new(chain, certificate_pem, &key)
    }

    /// Its own certificate, for a `ca_file`.
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    pub fn roots(&self) -> Arc<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).unwrap();
        Arc::new(roots)
    }
}

fn authority_params(name: &str, not_after: SystemTime) -> CertificateParams {
    let long_ago = UNIX_EPOCH + 365 * 30 * DAY;
    let mut params =
        Leaf { dns: Vec::new(), not_before: long_ago, not_after, is_ca: true, ..Leaf::new(name, SystemTime::now()) }
            .params();
    params.extended_key_usages.clear();
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

/// A certificate chain, the leaf first, and the leaf's key.
pub struct Identity {
    pub chain: Vec<CertificateDer<'static>>,
    pub key: PrivateKeyDer<'static>,
    /// The leaf and its key as files hold them.
    pub certificate_pem: String,
    pub key_pem: String,
}

impl Identity {
    fn new(chain: Vec<CertificateDer<'static>>, certificate_pem: String, key: &KeyPair) -> Identity {
        Identity {
            chain,
            certificate_pem,
            key: PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            key_pem: key.serialize_pem(),
        }
    }

    pub fn self_signed(leaf: &Leaf) -> Identity {
        let key = leaf.key.generate();
        let certificate = leaf.params().self_signed(&key).unwrap();
        let chain = vec![certificate.der().clone()];
        Identity::new(chain, certificate.pem(), &key)
    }

    /// The same without the intermediates: the commonest mistake of all.
    pub fn leaf_only(mut self) -> Identity {
        self.chain.truncate(1);
        self
    }

    /// A server of TLS 1.2 and 1.3.
    pub fn server_config(&self) -> Arc<ServerConfig> {
        self.server_config_with(ALL_VERSIONS, None)
    }

    /// A server of this one cipher suite.
    pub fn server_config_of(&self, suite: SupportedCipherSuite) -> Arc<ServerConfig> {
        let only = CryptoProvider { cipher_suites: vec![suite], ..aws_lc_rs::default_provider() };
        self.serve(only.into(), ALL_VERSIONS, None)
    }

    /// A server of these versions only, that demands a certificate of `clients` if there is one.
    pub fn server_config_with(
        &self,
        versions: &[&'static SupportedProtocolVersion],
        clients: Option<&Authority>,
    ) -> Arc<ServerConfig> {
        self.serve(provider(), versions, clients)
    }

    fn serve(
        &self,
        provider: Arc<CryptoProvider>,
        versions: &[&'static SupportedProtocolVersion],
        clients: Option<&Authority>,
    ) -> Arc<ServerConfig> {
        let builder = ServerConfig::builder_with_provider(provider.clone()).with_protocol_versions(versions).unwrap();
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(authority) => builder.with_client_cert_verifier(
                WebPkiClientVerifier::builder_with_provider(authority.roots(), provider).build().unwrap(),
            ),
        };
        let config = builder.with_single_cert(self.chain.clone(), self.key.clone_key());
        Arc::new(config.unwrap())
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// A server that shows any certificate without having its key: its signatures are rubbish, so a
/// client sees the chain and the handshake fails. For certificates no library will serve.
pub fn liar_config(chain: Vec<CertificateDer<'static>>) -> Arc<ServerConfig> {
    let liar = Liar(Arc::new(CertifiedKey::new(chain, Arc::new(NoKey))));
    let builder = ServerConfig::builder_with_provider(provider());
    let builder = builder.with_protocol_versions(ALL_VERSIONS).unwrap();
    let config = builder.with_no_client_auth();
    Arc::new(config.with_cert_resolver(Arc::new(liar)))
}

#[derive(Debug)]
struct Liar(Arc<CertifiedKey>);

impl ResolvesServerCert for Liar {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }
}

#[derive(Debug)]
struct NoKey;

impl SigningKey for NoKey {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        let scheme = SignatureScheme::RSA_PSS_SHA256;
        offered.contains(&scheme).then(|| Box::new(NoKey) as _)
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::RSA
    }
}

impl Signer for NoKey {
    fn sign(&self, _: &[u8]) -> Result<Vec<u8>, Error> {
        Ok(vec![0x55; 256])
    }

    fn scheme(&self) -> SignatureScheme {
        SignatureScheme::RSA_PSS_SHA256
    }
}
