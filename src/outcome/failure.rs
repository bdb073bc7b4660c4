//! Why a probe failed: a closed set of reasons, and what each means for people.
//!
//! The words are a contract with dashboards and alerts. RFC 8460 §4.3 gives the word where it has one.
//! A reason is chosen by type where the error happens, never by the text of a message.

use std::fmt;

use crate::cert::verdict::{Finding, Invalid};
use crate::endpoint::{NameFault, NameFaultKind};
use crate::mail::Printable;
use crate::mail::smtp::reply::Reply;
use crate::mail::smtp::session::Fault;
use crate::phase::Phase;

/// Declares the reasons with their words and their advice.
macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $word:literal: $advice:literal,)*) => {
        /// Why a probe failed.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Reason { $($(#[$doc])* $name,)* }

        impl Reason {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The word in metrics and JSON.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }

            /// What a person should do.
            pub fn advice(self) -> &'static str {
                match self { $(Self::$name => $advice,)* }
            }
        }
    };
}

reasons! {
    /// Nothing came within the time allowed.
    Timeout = "timeout":
        "If it is the connection that times out, a firewall on the way drops packets; many hosting providers block port 25 outwards. Otherwise the server is overloaded, or waits before it greets: allow it more `timeout`.",
    /// RST to the SYN: nobody listens.
    Refused = "refused":
        "Nothing listens on this port: start the service, or correct the port.",
    /// The connection was cut.
    Reset = "reset":
        "The server, or a device in front of it, cut the connection: look for its reason in the server's log.",
    /// The server ended the connection where it should have spoken.
    Closed = "closed":
        "The server hung up: look for its reason in its log; a load balancer with no server behind it does this too.",
    /// ICMP said that there is no way.
    Unreachable = "unreachable":
        "There is no route, or a firewall rejects: check the address and the way to it.",
    /// NXDOMAIN.
    DnsNotFound = "dns_not_found":
        "The name does not exist in DNS: correct the name, or publish it.",
    /// The name exists and has no address of the families wanted.
    DnsNoAddress = "dns_no_address":
        "The name has no A or AAAA record of the family probed: publish one, or set `family: any`.",
    /// The resolver gave no answer.
    DnsFailed = "dns_failed":
        "The resolver could not answer: check /etc/resolv.conf, the resolver, and the domain's name servers.",
    /// RFC 7505.
    NullMx = "null_mx":
        "The domain says that it takes no mail (RFC 7505): take it out of the targets, or publish its mail servers.",
    /// 421, or a greeting of 4xx.
    RateLimited = "rate_limited":
        "The server turns us away for now: probe it less often, or have it exempt this machine from its limits.",
    /// 4xx.
    TransientReply = "transient_reply":
        "The server cannot now: look for the cause in its log. 454 to STARTTLS usually means that its certificate or key cannot be loaded.",
    /// 5xx.
    PermanentReply = "permanent_reply":
        "The server refuses this client: check `ehlo_name` (a full name that resolves), blocklists, and the server's access rules.",
    /// A code that does not answer the command.
    UnexpectedReply = "unexpected_reply":
        "The answer does not fit the question: a proxy may be in between, or the service is another one.",
    /// No SMTP reply.
    MalformedReply = "malformed_reply":
        "This is no SMTP reply: check that the port is a mail port.",
    /// Beyond the limits.
    ReplyTooLarge = "reply_too_large":
        "No mail server sends this much: check that the port is a mail port.",
    /// Bytes that answer nothing.
    UnsolicitedData = "unsolicited_data":
        "The server spoke out of turn: a proxy in front of it, or a fault in it.",
    /// STARTTLS is required and not offered.
    StartTlsNotSupported = "starttls_not_supported":
        "Switch TLS on in the server (a certificate and a key). If it is on, something on the way removes the offer: probe from another network.",
    /// Clear text behind the reply to STARTTLS.
    StartTlsInjection = "starttls_injection":
        "Somebody on the way, or a broken proxy, slips text in before TLS begins: probe from another network, and look for a device that rewrites SMTP.",
    /// Clear text where TLS should begin.
    PlaintextOnTlsPort = "plaintext_on_tls_port":
        "The server speaks clear text here: use a module with `security: starttls`, or switch implicit TLS on in the server.",
    /// The peer ended the handshake with an alert.
    TlsAlert = "tls_alert":
        "The server ended the handshake: it may want a client certificate, another name (SNI), or have only ciphers that are no longer safe (RFC 9325 §4.2); `mail_tls_info` then names the one it would use.",
    /// No common TLS version.
    TlsVersion = "tls_version":
        "The server has no TLS 1.2 or newer (RFC 8997 requires it): update it, or switch TLS 1.2 and 1.3 on in it. The certificate is reported all the same.",
    /// The handshake broke a rule of TLS.
    TlsProtocol = "tls_protocol":
        "What came is no valid TLS: look at what stands in front of the server.",
    /// Expired.
    CertificateExpired = "certificate_expired":
        "Renew the certificate; if that is done, reload the mail server so that it uses the new one.",
    /// Not valid yet.
    CertificateNotYetValid = "certificate_not_yet_valid":
        "Check the clocks of this machine and of the one that issued it.",
    /// For other names.
    CertificateHostMismatch = "certificate_host_mismatch":
        "Issue a certificate that has this name among its alternative names, or set `server_name` to the name it has.",
    /// Its own issuer.
    CertificateSelfSigned = "certificate_self_signed":
        "Use a certificate from a CA, or trust this one by `ca_file`.",
    /// No way to a root.
    CertificateNotTrusted = "certificate_not_trusted":
        "Let the server send its intermediate certificates (fullchain.pem), or name a private CA by `ca_file`.",
    /// Weak key or signature.
    CertificateWeak = "certificate_weak":
        "Issue a new certificate with RSA 2048 or ECDSA P-256 or better, signed with SHA-256.",
    /// Cannot be read.
    CertificateMalformed = "certificate_malformed":
        "Issue a new certificate: X.509 version 3, encoded by the rules.",
    /// AUTH is missing.
    AuthNotOffered = "auth_not_offered":
        "Switch SMTP AUTH on for this port; some servers offer it only inside TLS, or only to some networks.",
    /// The login was not sent, for the line is not protected.
    AuthUnsafe = "auth_unsafe":
        "A login is sent only inside TLS and to a server with a valid certificate: see to that, or say `insecure: true` in the module's `auth`, where nobody can listen.",
    /// The login is refused.
    AuthRejected = "auth_rejected":
        "The server refuses this login: check the name and the password, whether the account is locked or may use SMTP, and the server's log. Repeated failures may lock it or ban this machine: correct it soon, or remove `auth`.",
    /// A login that should be refused is accepted.
    AuthAccepted = "auth_accepted":
        "The server lets in somebody whom it should not: look at once at how it checks passwords.",
    /// AUTH before TLS.
    AuthInClear = "auth_in_clear":
        "Passwords could be sent in clear: let the server offer AUTH only inside TLS (RFC 4954 §4).",
    /// Mail that should be refused is accepted.
    RelayAccepted = "relay_accepted":
        "The server would take this mail and should not. If the recipient is a stranger's, it is an open relay: restrict relaying at once (Postfix `smtpd_relay_restrictions`, Exim `acl_smtp_rcpt`).",
    /// A first contact is put off.
    Greylisted = "greylisted":
        "The server puts strangers off (greylisting): have it exempt this machine, or expect it with `expect: {code: [450, 451]}`. A probe never comes back to try again.",
    /// Mail goes on without TLS.
    StartTlsNotRequired = "starttls_not_required":
        "The server takes mail in clear: let it insist on TLS on this port (Postfix `smtpd_tls_security_level = encrypt`). Not on port 25 of a public server, which must not (RFC 3207 §4).",
    /// A port that should be closed accepts.
    PortOpen = "port_open":
        "Something listens on a port that should be closed: stop the service, or have a firewall close the port.",
    /// The greeting does not match.
    BannerMismatch = "banner_mismatch":
        "Another server answers than expected, or `expect.banner` is out of date.",
    /// The TLS version is older than wanted.
    TlsTooOld = "tls_too_old":
        "Switch a newer TLS version on in the server.",
    /// TLS 1.0 or 1.1 is spoken where it should be refused.
    OldTlsAccepted = "old_tls_accepted":
        "The server still speaks TLS 1.0 or 1.1, which nobody may use any more (RFC 8996; for mail RFC 8997): switch them off (Postfix `smtpd_tls_protocols` and `smtpd_tls_mandatory_protocols = >=TLSv1.2`, Dovecot `ssl_min_protocol = TLSv1.2`, Exim `openssl_options = +no_tlsv1 +no_tlsv1_1`).",
    /// The proxy on the way is at fault.
    ProxyFailed = "proxy_failed":
        "The trouble is the proxy, not the server: check that it runs, `proxy`, its password, and its rules.",
    /// Our own machine could not.
    LocalResource = "local_resource":
        "The trouble is on this machine, not on the server: check file descriptors, ports, memory, routes and security policies, and whether it slept or was too busy.",
    /// A fault in this program.
    Internal = "internal":
        "This is a fault in the exporter: please report it, with the log.",
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl From<Invalid> for Reason {
    fn from(invalid: Invalid) -> Self {
        match invalid {
            Invalid::Expired => Self::CertificateExpired,
            Invalid::NotYetValid => Self::CertificateNotYetValid,
            Invalid::HostMismatch => Self::CertificateHostMismatch,
            Invalid::SelfSigned => Self::CertificateSelfSigned,
            Invalid::NotTrusted => Self::CertificateNotTrusted,
            Invalid::Weak => Self::CertificateWeak,
            Invalid::Malformed => Self::CertificateMalformed,
        }
    }
}

impl From<NameFaultKind> for Reason {
    fn from(kind: NameFaultKind) -> Self {
        match kind {
            NameFaultKind::NotFound => Self::DnsNotFound,
            NameFaultKind::NoAddress => Self::DnsNoAddress,
            NameFaultKind::NullMx => Self::NullMx,
            NameFaultKind::Failed => Self::DnsFailed,
            NameFaultKind::Local => Self::LocalResource,
        }
    }
}

/// Where and why a probe failed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Failure {
    /// The phase it failed in.
    pub phase: Phase,
    /// The reason.
    pub reason: Reason,
    /// The reply's code, if a reply it was.
    pub code: Option<u16>,
    /// The reply's enhanced code, if it had one.
    pub enhanced_code: Option<String>,
    /// What happened, as a sentence without its full stop. A server's words in it are cleaned.
    pub detail: String,
}

impl Failure {
    /// A failure that is no reply.
    pub fn new(phase: Phase, reason: Reason, detail: impl Into<String>) -> Self {
        Self { phase, reason, code: None, enhanced_code: None, detail: detail.into() }
    }

    /// A reply that is the failure.
    pub(super) fn reply(phase: Phase, reason: Reason, reply: &Reply) -> Self {
        let text = Printable::from_bytes(&reply.text());
        Self {
            phase,
            reason,
            code: Some(reply.code),
            enhanced_code: reply.enhanced_code(),
            detail: format!("the server answered {:03} {text}", reply.code).trim_end().to_owned(),
        }
    }

    /// A name that leads to no address.
    pub fn of_name(fault: &NameFault) -> Self {
        Self::new(Phase::Resolve, fault.kind.into(), fault.detail.clone())
    }

    /// A certificate that is not valid, with every reason.
    pub fn certificate(findings: &[Finding]) -> Option<Self> {
        let first = findings.first()?;
        let details: Vec<&str> = findings.iter().map(|finding| finding.detail.as_str()).collect();
        Some(Self::new(Phase::Tls, first.reason.into(), details.join("; ")))
    }

    /// What a session reports.
    pub fn of_fault(phase: Phase, fault: &Fault) -> Self {
        // Several lines in one, as the rest of the sentence is.
        let quote = |bytes: &[u8]| {
            let lines = bytes.trim_ascii_end().split(|b| *b == b'\n').map(<[u8]>::trim_ascii_end);
            Printable::from_bytes(&lines.collect::<Vec<_>>().join(&b" / "[..]))
        };
        match fault {
            Fault::RateLimited(reply) => Self::reply(phase, Reason::RateLimited, reply),
            Fault::Transient(reply) => Self::reply(phase, Reason::TransientReply, reply),
            Fault::Permanent(reply) => Self::reply(phase, Reason::PermanentReply, reply),
            Fault::Unexpected(reply) => Self::reply(phase, Reason::UnexpectedReply, reply),
            Fault::Malformed(line) => {
                Self::new(phase, Reason::MalformedReply, format!("the server sent “{}”", quote(line)))
            }
            Fault::TooLarge => Self::new(
                phase,
                Reason::ReplyTooLarge,
                "the server sent more than a reply may have (4 KiB a line, 256 lines, 64 KiB)",
            ),
            Fault::Unsolicited(bytes) => {
                Self::new(phase, Reason::UnsolicitedData, format!("the server sent “{}” unasked", quote(bytes)))
            }
            Fault::StartTlsNotOffered { masked: false } => {
                Self::new(phase, Reason::StartTlsNotSupported, "the server does not offer STARTTLS")
            }
            Fault::StartTlsNotOffered { masked: true } => Self::new(
                phase,
                Reason::StartTlsNotSupported,
                "a firewall has overwritten the offer of STARTTLS with X (Cisco PIX and ASA “inspect esmtp”)",
            ),
            Fault::StartTlsInjection(bytes) => Self::new(
                phase,
                Reason::StartTlsInjection,
                format!("“{}” came in clear behind the reply to STARTTLS", quote(bytes)),
            ),
            Fault::BadChallenge(why) => Self::new(phase, Reason::MalformedReply, *why),
            Fault::BadExchange(why) => Self::new(phase, Reason::UnexpectedReply, *why),
            Fault::NoSmtpUtf8(address) => {
                let detail = format!("the server does not offer SMTPUTF8, which {address} needs");
                Self::new(phase, Reason::UnexpectedReply, detail)
            }
            Fault::Closed { partial } if partial.is_empty() => {
                Self::new(phase, Reason::Closed, "the server closed the connection")
            }
            Fault::Closed { partial } => {
                Self::new(phase, Reason::Closed, format!("the server closed the connection after “{}”", quote(partial)))
            }
        }
    }
}

impl fmt::Display for Failure {
    /// `certificate_expired in tls: the certificate has expired`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {}: {}", self.reason, self.phase, self.detail)
    }
}
