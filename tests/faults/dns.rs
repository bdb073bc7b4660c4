//! H: what can come of the host's name.

use std::net::SocketAddr;

use mail_endpoint_exporter::dns::Resolver;
use tokio::net::UdpSocket;

use super::kit::{PLAIN, Peer, Row, Stage, row};
use super::tcp::GOOD;
use crate::lab::{Answer, DnsServer, Options, Script, Server};

const KEPT: &str = "v4=1 banner:220 ehlo:250 quit:221 auth=PLAIN size=1000";

/// The name has little time; everything else has more than it needs.
const SHORT: &str = "{security: plain, timeout: 30s, phase_timeouts: {resolve: 1500ms}}";

type Table = Vec<(&'static str, Answer, u32)>;

/// A play in which `host` is looked up in a table. `live` says that a mail server stands at 127.0.0.1.
async fn named(host: &str, table: Table, live: bool) -> Stage {
    let dns = DnsServer::start(&table).await;
    let servers = [dns.address()];
    resolved(host, Resolver::with_servers(&servers, &["corp.example"]).unwrap(), live, dns).await
}

async fn resolved(host: &str, resolver: Resolver, live: bool, keep: impl std::any::Any + Send) -> Stage {
    let server = Server::start(Script::of(GOOD), Options::default()).await;
    let port = server.address().port();
    let (server, unasked) = if live { (Some(server), None) } else { (None, Some(server)) };
    Stage { host: host.to_owned(), port, resolver, server, keep: Box::new((keep, unasked)) }
}

/// One name and its answer.
macro_rules! name {
    ($host:expr, $($table:expr),+; $live:expr) => {
        Peer::Stage(|| Box::pin(async { named($host, vec![$($table),+], $live).await }))
    };
}

fn local() -> Answer {
    Answer::addresses(&["127.0.0.1"])
}

pub fn rows() -> Vec<Row> {
    let mut rows = no_answer();
    rows.extend(bad_answers());
    rows.extend(addresses());
    rows.extend(names());
    rows
}

fn fails(id: &'static str, what: &'static str, peer: Peer, ends: &'static str) -> Row {
    let module = if ends.starts_with("timeout") { SHORT } else { PLAIN };
    row(id, what, peer, module, ends, "", "")
}

fn works(id: &'static str, what: &'static str, peer: Peer, kept: &'static str) -> Row {
    row(id, what, peer, PLAIN, "ok", kept, "EHLO QUIT")
}

fn no_answer() -> Vec<Row> {
    vec![
        fails(
            "H1",
            "NXDOMAIN",
            name!("gone.example", ("gone.example", Answer::NxDomain, 60); false),
            "dns_not_found in resolve",
        ),
        fails(
            "H2",
            "the name exists and has no address",
            name!("empty.example", ("empty.example", Answer::NoData, 60); false),
            "dns_no_address in resolve",
        ),
        fails(
            "H3",
            "SERVFAIL",
            name!("broken.example", ("broken.example", Answer::ServFail, 60); false),
            "dns_failed in resolve",
        ),
        fails(
            "H3",
            "REFUSED",
            name!("shut.example", ("shut.example", Answer::Refused, 60); false),
            "dns_failed in resolve",
        ),
        fails(
            "H4",
            "every name server is silent",
            name!("mx.example", ("mx.example", Answer::Silent, 60); false),
            "timeout in resolve",
        ),
        works("H4", "one name server of three is dead, one silent", Peer::Stage(|| Box::pin(one_of_three())), KEPT),
        fails(
            "H18",
            "DNSSEC finds it bogus: the resolver says SERVFAIL",
            name!("bogus.example", ("bogus.example", Answer::ServFail, 60); false),
            "dns_failed in resolve",
        ),
    ]
}

async fn one_of_three() -> Stage {
    let dead: SocketAddr = crate::lab::refused_port().await;
    let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let good = DnsServer::start(&[("mx.example", local(), 60)]).await;
    let servers = [dead, silent.local_addr().unwrap(), good.address()];
    resolved("mx.example", Resolver::with_servers(&servers, &[]).unwrap(), true, (silent, good)).await
}

fn bad_answers() -> Vec<Row> {
    vec![
        works(
            "H5",
            "cut off over UDP, whole over TCP",
            name!("mx.example", ("mx.example", Answer::Truncated(vec!["127.0.0.1".parse().unwrap()]), 60); true),
            KEPT,
        ),
        fails(
            "H5",
            "cut off over UDP, and TCP closes",
            name!("mx.example", ("mx.example", Answer::Truncated(Vec::new()), 60); false),
            "dns_failed in resolve",
        ),
        works(
            "H6",
            "a name for a name",
            name!("alias.example", ("alias.example", Answer::Cname("mx.example".into()), 60), ("mx.example", local(), 60); true),
            KEPT,
        ),
        fails(
            "H6",
            "names for each other, in a circle",
            name!("a.example", ("a.example", Answer::Cname("b.example".into()), 60), ("b.example", Answer::Cname("a.example".into()), 60); false),
            "dns_no_address in resolve",
        ),
        fails(
            "H15",
            "replies with an id that is not ours",
            name!("mx.example", ("mx.example", Answer::WrongId(vec!["127.0.0.1".parse().unwrap()]), 60); false),
            "timeout in resolve",
        ),
        fails(
            "H17",
            "replies from a port that was not asked",
            name!("mx.example", ("mx.example", Answer::WrongPort(vec!["127.0.0.1".parse().unwrap()]), 60); false),
            "timeout in resolve",
        ),
        fails(
            "H3",
            "replies that are no DNS",
            name!("mx.example", ("mx.example", Answer::Garbage, 60); false),
            "dns_failed in resolve",
        ),
    ]
}

fn addresses() -> Vec<Row> {
    let hundred = name!("mx.example", ("mx.example", Answer::Truncated((1..=100).map(|n| std::net::IpAddr::from([127, 0, 0, n])).collect()), 60); true);
    vec![
        works("H7", "a hundred addresses", hundred, "v4=100 banner:220 ehlo:250 quit:221 auth=PLAIN size=1000"),
        fails(
            "H8",
            "0.0.0.0 and ::, as filters answer: no host, and never this machine",
            name!("hidden.example", ("hidden.example", Answer::addresses(&["0.0.0.0", "::"]), 60); false),
            "dns_no_address in resolve",
        ),
        row(
            "H8",
            "a multicast address",
            name!("many.example", ("many.example", Answer::addresses(&["224.0.0.1"]), 60); false),
            PLAIN,
            "unreachable in connect",
            "v4=1",
            "",
        ),
        works("H13", "a TTL of 0", name!("mx.example", ("mx.example", local(), 0); true), KEPT),
        works("H13", "a TTL of 2^31", name!("mx.example", ("mx.example", local(), 1 << 31); true), KEPT),
    ]
}

fn names() -> Vec<Row> {
    vec![
        works("H9", "other case, and a final dot", name!("MX.Example.", ("mx.example", local(), 60); true), KEPT),
        works(
            "H9",
            "a search domain has the name too: the name as it is written wins",
            name!("mx.example", ("mx.example", local(), 60), ("mx.example.corp.example", Answer::addresses(&["127.0.0.9"]), 60); true),
            KEPT,
        ),
        works(
            "H9",
            "a short name is found in the search domain",
            name!("mx", ("mx.corp.example", local(), 60); true),
            KEPT,
        ),
        works(
            "H10",
            "an internationalised name",
            name!("bücher.example", ("xn--bcher-kva.example", local(), 60); true),
            KEPT,
        ),
        works(
            "H10",
            "an underscore, which no host name may have",
            name!("mx_1.example", ("mx_1.example", local(), 60); true),
            KEPT,
        ),
        fails(
            "H10",
            "a link-local address on an interface that this machine does not have",
            name!("fe80::1%nosuchif0", ("mx.example", local(), 60); false),
            "local_resource in resolve",
        ),
    ]
}
