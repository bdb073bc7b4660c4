//! `auth` and `mail` of a module: what a probe is to try.
//!
//! Passwords and tokens come from files or from the environment ([`secret`]), never from the configuration itself.

use std::sync::Arc;

use super::file::Node;
use super::reader::{At, Entries, Source, list};
use super::secret;
use super::values::{number, text, word};
use crate::endpoint::{LoginTrial, MailExpectation, MailTrial, Module, Security};
use crate::mail::sasl::{Credentials, Kind, Mechanism};
use crate::mail::secret::Secret;
use crate::mail::smtp::envelope::{Address, Envelope, Sender};

/// Where a secret can come from.
const SOURCES: [(&str, Kind, bool); 4] = [
    ("password_file", Kind::Password, true),
    ("password_env", Kind::Password, false),
    ("token_file", Kind::Token, true),
    ("token_env", Kind::Token, false),
];

/// Reads both keys, and sees that they fit the rest of the module.
pub(super) fn read(source: &mut Source, entries: &mut Entries<'_>, module: &mut Module) {
    if let Some((node, at)) = entries.get("auth") {
        module.login = login(source, node, &at);
        fits(source, &at, module);
    }
    if let Some((node, at)) = entries.get("mail") {
        module.mail = mail(source, node, &at);
        if module.login.as_ref().is_some_and(|login| !login.accepted) {
            source.problem(
                &at,
                "a mail is asked about after the login, and `auth.expect: rejected` wants none: make two modules",
            );
        }
        if module.expect.port_closed {
            source.problem(&at, "`expect.port: closed` leaves nobody to ask: remove one of them");
        }
    }
}

fn fits(source: &mut Source, at: &At, module: &Module) {
    let Some(login) = &module.login else { return };
    if module.security == Security::Plain && !login.insecure {
        source.problem(
            at,
            "a login is sent only inside TLS, and this module has `security: plain`: write `security: starttls` or `tls`, \
             or here `insecure: true`, where nobody can listen",
        );
    }
    if module.expect.port_closed {
        source.problem(at, "`expect.port: closed` leaves nobody to log in to: remove one of them");
    }
}

fn login(source: &mut Source, node: &Node, at: &At) -> Option<LoginTrial> {
    if !matches!(node, Node::Map(_)) {
        // Not shown: it may be the password.
        source.problem(at, "write a mapping here, with `username: NAME` and `password_file: FILE`");
        return None;
    }
    let mut entries = Entries::of(source, node, at.clone());
    for (key, other) in [("password", "password_file: FILE"), ("token", "token_file: FILE")] {
        if let Some((_, at)) = entries.get(key) {
            source
                .problem(&at, format!("secrets do not stand in the configuration: write `{other}`, and put it there"));
        }
    }
    let username = entries.require(source, "username", "probe@example.org", text);
    let secret = named_secret(source, &mut entries, at);
    let mechanism = entries.read(source, "mechanism", mechanism).flatten();
    let accepted = entries.read(source, "expect", word(&[("accepted", true), ("rejected", false)])).unwrap_or(true);
    let insecure = entries.read(source, "insecure", word(&[("true", true), ("false", false)])).unwrap_or(false);
    entries.finish(source);
    let (secret, kind, secret_at) = secret?;
    let credentials = Credentials::new(&username?, secret, kind)
        .map_err(|why| source.problem(&secret_at, format!("this secret cannot be used: {why}")))
        .ok()?;
    if let Some(why) = mechanism.and_then(|mechanism| misfit(mechanism, &credentials)) {
        source.problem(at, why);
        return None;
    }
    Some(LoginTrial { credentials: Arc::new(credentials), mechanism, insecure, accepted })
}

fn mechanism(node: &Node) -> Result<Option<Mechanism>, String> {
    let words = Mechanism::ALL.map(|mechanism| (key(mechanism), Some(mechanism)));
    let all: Vec<(&'static str, Option<Mechanism>)> = std::iter::once(("auto", None)).chain(words).collect();
    word(&all)(node)
}

/// Its name in the configuration.
fn key(mechanism: Mechanism) -> &'static str {
    match mechanism {
        Mechanism::ScramSha256 => "scram-sha-256",
        Mechanism::Plain => "plain",
        Mechanism::Login => "login",
        Mechanism::CramMd5 => "cram-md5",
        Mechanism::XOAuth2 => "xoauth2",
    }
}

fn misfit(mechanism: Mechanism, credentials: &Credentials) -> Option<&'static str> {
    match (mechanism.kind(), credentials.kind()) {
        (Kind::Token, Kind::Password) => Some("xoauth2 sends a token: write `token_file` or `token_env`"),
        (Kind::Password, Kind::Token) => {
            Some("this mechanism sends no token: write `mechanism: xoauth2`, or a password")
        }
        _ if mechanism == Mechanism::ScramSha256 && !credentials.suit_scram() => {
            Some("the name or the password has characters that SCRAM cannot carry (RFC 4013): write `mechanism: plain`")
        }
        _ => None,
    }
}

/// The one secret, what it is, and where it is named.
fn named_secret(source: &mut Source, entries: &mut Entries<'_>, at: &At) -> Option<(Secret, Kind, At)> {
    let named: Vec<_> =
        SOURCES.iter().filter_map(|(key, kind, file)| Some((entries.get(key)?, *kind, *file))).collect();
    let [((node, secret_at), kind, is_file)] = named.as_slice() else {
        let keys = SOURCES.map(|(key, ..)| key).join(", ");
        source.problem(at, format!("write exactly one of {keys}"));
        return None;
    };
    let read = if *is_file { secret::from_file(source, node) } else { secret::from_environment(node) };
    match read {
        Ok(secret) => Some((secret, *kind, secret_at.clone())),
        Err(why) => {
            source.problem(secret_at, why);
            None
        }
    }
}

fn mail(source: &mut Source, node: &Node, at: &At) -> Option<MailTrial> {
    let mut entries = Entries::of(source, node, at.clone());
    let from = entries.require(source, "from", "probe@example.org", |node| Sender::parse(&text(node)?));
    let to = entries.require(source, "to", "postmaster@example.org", |node| Address::parse(&text(node)?));
    let expect = match entries.get("expect") {
        None => Some(MailExpectation::Accepted),
        Some((node, at)) => expectation(source, node, at),
    };
    entries.finish(source);
    Some(MailTrial { envelope: Arc::new(Envelope { from: from?, to: to? }), expect: expect? })
}

fn expectation(source: &mut Source, node: &Node, at: At) -> Option<MailExpectation> {
    if !matches!(node, Node::Map(_)) {
        let words = [("accepted", MailExpectation::Accepted), ("rejected", MailExpectation::Rejected)];
        let names = words.each_ref().map(|(name, _)| (*name, *name));
        let named =
            word(&names)(node).map_err(|why| source.problem(&at, format!("{why}, or {{code: [550, 554]}}"))).ok()?;
        return words.into_iter().find(|(name, _)| *name == named).map(|(_, value)| value);
    }
    let mut entries = Entries::of(source, node, at.clone());
    let found = entries.get("code");
    if found.is_none() {
        entries.missing(source, "code", "[550, 554]");
    }
    entries.finish(source);
    let (node, at) = found?;
    let nodes = if matches!(node, Node::List(_)) { list(source, node, &at) } else { std::slice::from_ref(node) };
    let codes: Result<Vec<u16>, String> = nodes.iter().map(code).collect();
    match codes {
        Ok(codes) if !codes.is_empty() => Some(MailExpectation::Codes(codes)),
        Ok(_) => {
            source.problem(&at, "no code stands here: write some, such as [550, 554]");
            None
        }
        Err(why) => {
            source.problem(&at, why);
            None
        }
    }
}

fn code(node: &Node) -> Result<u16, String> {
    let code = number(200..=599)(node)?;
    u16::try_from(code).map_err(|_| format!("{code} is no reply code"))
}
