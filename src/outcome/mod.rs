//! What a probe found, and what that means.
//!
//! An [`Outcome`] goes from the prober through the store to every face of the exporter: metrics, JSON,
//! text. A failed probe is an outcome too, with all the facts found before the failure.
//!
//! Facts come first, as [`Findings`]; [`verdict`] alone turns them into success or failure. There is no
//! I/O, no clock and no format here.

pub mod alike;
pub mod domain;
pub mod failure;
pub mod on_disk;
pub mod pace;
pub mod port_advice;
pub mod port_state;
pub mod siblings;
pub mod transcript;
pub mod verdict;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::cert::chain::Chain;
use crate::cert::facts::Certificate;
use crate::cert::verdict::Finding;
pub use crate::endpoint::AddressCount;
use crate::endpoint::{Endpoint, TlsVersion};
use crate::mail::smtp::session::{Facts as SmtpFacts, Step};
use crate::phase::Phase;

use failure::{Failure, Reason};
use transcript::Transcript;
use verdict::Judgement;

/// The result of one probe.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What was probed.
    pub endpoint: Arc<Endpoint>,
    /// What was found.
    pub findings: Findings,
    /// Why it is no success; `None` means that it is one.
    pub failure: Option<Box<Failure>>,
    /// What was expected, as far as it could be judged.
    pub judgements: Arc<[Judgement]>,
    /// How many probes in a row the server has turned away by now, this one included; the scheduler counts them.
    pub turned_away: u32,
}

impl Outcome {
    /// Whether every expectation was met.
    pub fn success(&self) -> bool {
        self.failure.is_none()
    }

    /// Whether the server had enough of us.
    pub fn is_turned_away(&self) -> bool {
        self.failure.as_ref().is_some_and(|failure| failure.reason == Reason::RateLimited)
    }
}

/// All that one probe saw.
#[derive(Clone, Debug)]
pub struct Findings {
    /// When it started.
    pub started: SystemTime,
    /// When it ended.
    pub ended: SystemTime,
    /// How long it took, up to the reply to QUIT, without the time it waited for its turn.
    pub duration: Duration,
    /// How many addresses the name had; `None` when it was not resolved or is an address itself.
    pub dns: Option<AddressCount>,
    /// The address used: the one that connected, else the one whose failure is reported. `None` when
    /// the name has none.
    pub address: Option<IpAddr>,
    /// The addresses tried before it, and why they would not do.
    pub passed_over: Vec<(IpAddr, Reason)>,
    /// Each phase that was reached, the failed one too.
    pub phases: Vec<(Phase, Duration)>,
    /// What the dialogue showed.
    pub smtp: SmtpFacts,
    /// What the handshake agreed on, or what an old server would agree on with an old client; `None` when
    /// neither is known.
    pub tls: Option<Arc<TlsFacts>>,
    /// The certificate; `None` when none was seen.
    pub certificate: Option<CertificateFacts>,
    /// What became of an old hello; `None` when none was sent, or the answer tells nothing.
    pub old_tls: Option<OldTls>,
    /// When what is known of TLS was seen: earlier than the rest of a light probe. `None` when nothing is.
    pub tls_at: Option<SystemTime>,
    /// It took leave after EHLO in clear; what it has of TLS is the last full probe's.
    pub light: bool,
    /// What broke the conversation; `None` when it ran to its end.
    pub breakdown: Option<Box<Failure>>,
    /// The dialogue.
    pub transcript: Transcript,
}

impl Findings {
    /// Nothing found yet.
    pub fn new(started: SystemTime) -> Self {
        Self {
            started,
            ended: started,
            duration: Duration::ZERO,
            dns: None,
            address: None,
            passed_over: Vec::new(),
            phases: Vec::new(),
            smtp: SmtpFacts::default(),
            tls: None,
            certificate: None,
            old_tls: None,
            tls_at: None,
            light: false,
            breakdown: None,
            transcript: Transcript::default(),
        }
    }

    /// Takes over what an earlier probe saw of TLS, as long as the server still offers it.
    pub fn carry_tls(&mut self, earlier: &Self) {
        self.light = true;
        if self.breakdown.is_some() || !self.smtp.clear.as_ref().is_some_and(|clear| clear.starttls) {
            return;
        }
        self.tls = earlier.tls.clone();
        self.certificate = earlier.certificate.clone();
        self.old_tls = earlier.old_tls.clone();
        self.smtp.tls = earlier.smtp.tls.clone();
        self.tls_at = earlier.tls_at;
    }

    /// Whether a phase was begun.
    pub fn reached(&self, phase: Phase) -> bool {
        self.phases.iter().any(|(reached, _)| *reached == phase)
    }
}

/// What a handshake agreed on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TlsFacts {
    /// The version.
    pub version: TlsVersion,
    /// IANA's name of the cipher suite.
    pub cipher: String,
    /// IANA's name of the key exchange group; `None` for one that has none.
    pub group: Option<String>,
}

/// What a server answers to a hello that offers nothing newer than TLS 1.1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OldTls {
    /// It would agree on this.
    Accepted(Arc<TlsFacts>),
    /// It ends the handshake: by this alert, or without a word.
    Refused(Option<u8>),
}

/// The certificate shown, also where the handshake failed after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFacts {
    /// As sent, the server's own first; never empty.
    pub chain: Arc<Chain>,
    /// Every reason why it is not valid for the host; empty when it is.
    pub invalid: Vec<Finding>,
}

impl CertificateFacts {
    /// The server's own certificate.
    pub fn leaf(&self) -> Option<&Certificate> {
        self.chain.first()
    }

    /// The earliest end of validity among the certificates sent.
    pub fn chain_not_after(&self) -> Option<i64> {
        self.chain.iter().filter_map(|c| c.facts.as_ref()).filter_map(|facts| facts.not_after).min()
    }
}

/// The phase that a step of the dialogue is timed as.
pub fn phase_of(step: Step) -> Phase {
    match step {
        Step::Greeting => Phase::Banner,
        Step::Ehlo => Phase::Ehlo,
        Step::MailClear => Phase::MailClear,
        Step::StartTls => Phase::StartTls,
        Step::EhloTls => Phase::EhloTls,
        Step::Auth => Phase::Auth,
        Step::Mail => Phase::Mail,
        Step::Rcpt => Phase::Rcpt,
        Step::Quit => Phase::Quit,
    }
}
