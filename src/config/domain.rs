//! `domain` in the place of `host`: which of its mail servers are meant.

use super::file::Node;
use super::reader::{At, Entries, Source};
use super::values::{text, word};
use crate::cert::name::ServerName;

/// What a target names.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Named {
    /// The server itself.
    Host,
    /// A domain, of which the mail servers are meant.
    Domain(Servers),
}

/// Which mail servers of a domain.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Servers {
    /// Those of its MX records.
    pub mx: bool,
    /// Those that its SRV records name for submission.
    pub srv: bool,
}

impl Named {
    /// Whether ports are to be probed that the target itself names.
    pub(super) fn has_ports(self) -> bool {
        self != Self::Domain(Servers { mx: false, srv: true })
    }

    /// Whether its submission servers are to be probed.
    pub(super) fn has_services(self) -> bool {
        matches!(self, Self::Domain(servers) if servers.srv)
    }
}

/// `host`, or `domain` in its place.
pub(super) fn named(source: &mut Source, entries: &mut Entries<'_>) -> (Option<ServerName>, Named) {
    let flag = word(&[("true", true), ("false", false)]);
    let (mx_at, srv_at) = (entries.get("mx"), entries.get("srv"));
    let (mx, srv) = (entries.read(source, "mx", &flag), entries.read(source, "srv", &flag));
    let Some((_, at)) = entries.get("domain") else {
        for (key, given) in [("mx", mx_at), ("srv", srv_at)] {
            if let Some((_, at)) = given {
                source.problem(&at, format!("`{key}` asks for the records of a domain: write `domain`, not `host`"));
            }
        }
        let parse = |node: &Node| ServerName::parse(&text(node)?);
        return (entries.require(source, "host", "smtp.example.org", parse), Named::Host);
    };
    if entries.get("host").is_some() {
        source.problem(&at, "`host` stands here too: write `domain` for its mail servers, or `host` for one of them");
    }
    let mut servers = Servers { mx: mx.unwrap_or(true), srv: srv.unwrap_or(false) };
    if let (Servers { mx: false, srv: false }, Some((_, at))) = (servers, &mx_at) {
        source.problem(at, "without MX and SRV nothing of the domain is left: remove `mx: false`, or add `srv: true`");
        servers.mx = true;
    }
    if !servers.mx {
        only_of_mx(source, entries);
    }
    let parse = |node: &Node| match ServerName::parse(&text(node)?)? {
        ServerName::Dns(name) => Ok(ServerName::Dns(name)),
        address => Err(format!("{address} is no domain: write `host: {address}`")),
    };
    (entries.read(source, "domain", parse), Named::Domain(servers))
}

/// SRV records name the ports, and the service says how it is probed.
fn only_of_mx(source: &mut Source, entries: &mut Entries<'_>) {
    for (key, why) in [
        ("ports", "the SRV records name the ports: remove `ports`, or `mx: false`"),
        (
            "module",
            "SRV records are probed with the modules submissions and submission: remove `module`, or `mx: false`",
        ),
    ] {
        if let Some((_, at)) = entries.get(key) {
            source.problem(&at, why);
        }
    }
}

/// Why a module must not be used for hosts that DNS names.
pub(super) fn secret(source: &mut Source, module: &crate::endpoint::Module, at: &At) {
    if let Some(secret) = module.secret() {
        let module = &module.name;
        source.problem(
            at,
            format!(
                "module {module:?} has `{secret}`, and whoever controls the domain's DNS would choose who gets to see \
                 it: name a module without one, or the mail servers by `host`"
            ),
        );
    }
}
