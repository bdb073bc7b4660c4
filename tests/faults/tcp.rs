//! A: what can happen to the connection.

use std::collections::HashMap;
use std::net::IpAddr;

use mail_endpoint_exporter::dns::{Answer, Resolver};
use tokio::net::TcpListener;

use super::kit::{
    OPPORTUNISTIC, PLAIN, Peer, Row, SHORT, SHORT_BANNER, SHORT_EHLO, SHORT_TLS, STARTTLS, Stage, Staging, TLS, row,
};
use crate::lab::{Blackhole, Options, Script, Server, refused_port};

/// A dialogue in clear that goes well.
pub const GOOD: &str = "S: 220 mx.example.org ESMTP\nC: EHLO x\nS: 250-mx.example.org\nS: 250-SIZE 1000\nS: 250 AUTH PLAIN\n\
                        C: QUIT\nS: 221 bye\n*close";

/// One with STARTTLS that goes well.
pub const GOOD_TLS: &str = "S: 220 mx.example.org ESMTP\nC: EHLO x\nS: 250-mx.example.org\nS: 250-SIZE 1000\nS: 250 STARTTLS\n\
                            C: STARTTLS\nS: 220 go\n=== TLS\nC: EHLO x\nS: 250-mx.example.org\nS: 250-SIZE 2000\n\
                            S: 250 AUTH PLAIN\nC: QUIT\nS: 221 bye\n*close";

const KEPT: &str = "banner:220 ehlo:250 quit:221 auth=PLAIN size=1000";
pub const KEPT_TLS: &str = "banner:220 ehlo:250 starttls:220 ehlo_tls:250 quit:221 starttls size=1000 certificate TLSv1.3 \
                        tls:auth=PLAIN tls:size=2000";

const OFFER: &str = "S: 220 mx ESMTP\nC: EHLO x\nS: 250-mx\nS: 250 STARTTLS\n";

pub fn rows() -> Vec<Row> {
    let mut rows = no_connection();
    rows.extend(nothing_said());
    rows.extend(slow_and_odd());
    rows.extend(cut_after_each_phase());
    rows.extend(many_addresses());
    rows.extend(other_services());
    rows
}

fn no_connection() -> Vec<Row> {
    let mut rows = vec![row("A2", "RST to the SYN", Peer::Stage(refused), PLAIN, "refused in connect", "", "")];
    if cfg!(target_os = "linux") {
        rows.extend([
            row("A1", "the SYN is dropped", Peer::Stage(hole), SHORT, "timeout in connect", "", ""),
            row("A3", "no way to the address", Peer::Stage(nowhere), PLAIN, "unreachable in connect", "", ""),
            row(
                "A3",
                "this machine lacks the address to connect from",
                Peer::Stage(refused),
                "{security: plain, source_address: 192.0.2.7}",
                "local_resource in connect",
                "",
                "",
            ),
        ]);
    }
    rows
}

fn refused() -> Staging {
    Box::pin(async { Stage::at(refused_port().await, ()) })
}

fn hole() -> Staging {
    Box::pin(async {
        let hole = Blackhole::start().await;
        Stage::at(hole.address(), hole)
    })
}

fn nowhere() -> Staging {
    // A broadcast address is never the end of a TCP connection.
    Box::pin(async { Stage::at(([255, 255, 255, 255], 25).into(), ()) })
}

fn nothing_said() -> Vec<Row> {
    vec![
        row("A4", "RST as soon as it accepts", "*reset", PLAIN, "reset in banner", "", ""),
        row("A4", "the same where TLS begins", "*reset", TLS, "reset in tls", "", ""),
        row("A5", "FIN as soon as it accepts", "*close", PLAIN, "closed in banner", "", ""),
        row("A5", "the same where TLS begins", "*close", TLS, "closed in tls", "", ""),
        row("A6", "accepts, and says nothing for ever", "*idle", SHORT_BANNER, "timeout in banner", "", ""),
        row(
            "A7",
            "the kernel accepts, the server never does",
            Peer::Stage(unaccepted),
            SHORT_BANNER,
            "timeout in banner",
            "",
            "",
        ),
        row(
            "A8",
            "a proxy accepts, and resets on the first data",
            "S: 220 mx\nC: EHLO x\n*reset",
            PLAIN,
            "reset in ehlo",
            "banner:220",
            "EHLO",
        ),
    ]
}

fn unaccepted() -> Staging {
    Box::pin(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Stage::at(listener.local_addr().unwrap(), listener)
    })
}

fn slow_and_odd() -> Vec<Row> {
    let line_by_line = GOOD.replace("\nS: ", "\n*segment\nS: ");
    let urgent = GOOD.replacen("S: 220 mx", "*raw 220 m\n*urgent !\n*raw x", 1).replacen(
        ".example.org ESMTP",
        ".example.org ESMTP\\r\\n",
        1,
    );
    vec![
        row(
            "A9",
            "a greeting of one byte every 100 ms",
            "*drip 100 220 spamd does so to those it dislikes\\r\\n",
            SHORT,
            "timeout in banner",
            "",
            "",
        ),
        row(
            "A9",
            "the whole dialogue stutters, within the time allowed",
            "*drip 5 220 mx\\r\\n\nC: EHLO x\n*drip 5 250 mx\\r\\n\nC: QUIT\n*drip 5 221 bye\\r\\n\n*close",
            PLAIN,
            "ok",
            "banner:220 ehlo:250 quit:221",
            "EHLO QUIT",
        ),
        row(
            "A10",
            "never reads what we send",
            "S: 220 mx\n*no-read",
            SHORT_EHLO,
            "timeout in ehlo",
            "banner:220",
            "EHLO",
        )
        .deaf(),
        row(
            "A11",
            "floods with bytes and no newline",
            "*forever xxxxxxxxxxxxxxxx",
            PLAIN,
            "reply_too_large in banner",
            "",
            "",
        ),
        row("A11", "floods with NUL", "*forever \\0", PLAIN, "reply_too_large in banner", "", ""),
        row("A11", "floods with NUL where TLS begins", "*forever \\0", TLS, "tls_protocol in tls", "", ""),
        row(
            "A11",
            "floods in answer to EHLO",
            "S: 220 mx\nC: EHLO x\n*forever 250-",
            PLAIN,
            "reply_too_large in ehlo",
            "banner:220",
            "EHLO",
        ),
        row("A12", "one byte a segment", GOOD, PLAIN, "ok", KEPT, "EHLO QUIT").per_byte(),
        row(
            "A12",
            "one byte a segment, STARTTLS and records too",
            GOOD_TLS,
            STARTTLS,
            "ok",
            KEPT_TLS,
            "EHLO STARTTLS EHLO QUIT",
        )
        .per_byte(),
        row("A12", "each line in its own segment", vec![line_by_line], PLAIN, "ok", KEPT, "EHLO QUIT"),
        row(
            "A13",
            "FIN after the greeting, but it still listens",
            "S: 220 mx\n*half-close\n*idle",
            PLAIN,
            "closed in ehlo",
            "banner:220",
            "EHLO",
        ),
        row("A14", "an urgent byte within the greeting", vec![urgent], PLAIN, "ok", KEPT, "EHLO QUIT"),
    ]
}

/// A15: the end of the connection, by RST and by FIN, after each phase.
fn cut_after_each_phase() -> Vec<Row> {
    let ends = |script: &str, by: &str| vec![format!("{script}*{by}")];
    let (banner, ehlo) = ("S: 220 mx\n", "S: 220 mx\nC: EHLO x\nS: 250 mx\n");
    let (starttls, tls) =
        (format!("{OFFER}C: STARTTLS\nS: 220 go\n"), format!("{OFFER}C: STARTTLS\nS: 220 go\n=== TLS\n"));
    let ehlo_tls = format!("{tls}C: EHLO x\nS: 250 mx\n");
    let quit = format!("{ehlo}C: QUIT\n");
    let mut rows = Vec::new();
    for (by, reset, word) in [("reset", true, "RST"), ("cut", false, "FIN")] {
        let end = |reset_ends: &'static str, closed_ends: &'static str| if reset { reset_ends } else { closed_ends };
        let what = |rst: &'static str, fin: &'static str| if word == "RST" { rst } else { fin };
        rows.extend([
            row(
                "A15",
                what("RST after the greeting", "FIN after the greeting"),
                ends(banner, by),
                PLAIN,
                end("reset in ehlo", "closed in ehlo"),
                "banner:220",
                "EHLO",
            ),
            row(
                "A15",
                what("RST after EHLO", "FIN after EHLO"),
                ends(ehlo, by),
                PLAIN,
                "ok",
                "banner:220 ehlo:250",
                "EHLO QUIT",
            ),
            row(
                "A15",
                what("RST after EHLO, before STARTTLS", "FIN after EHLO, before STARTTLS"),
                ends(OFFER, by),
                STARTTLS,
                end("reset in starttls", "closed in starttls"),
                "banner:220 ehlo:250 starttls",
                "EHLO STARTTLS",
            ),
            row(
                "A15",
                what("RST after STARTTLS", "FIN after STARTTLS"),
                ends(&starttls, by),
                STARTTLS,
                end("reset in tls", "closed in tls"),
                "banner:220 ehlo:250 starttls:220 starttls",
                "EHLO STARTTLS",
            ),
            row(
                "A15",
                what("RST after the handshake", "FIN after the handshake"),
                ends(&tls, by),
                STARTTLS,
                end("reset in ehlo_tls", "closed in ehlo_tls"),
                "banner:220 ehlo:250 starttls:220 starttls certificate TLSv1.3",
                "EHLO STARTTLS EHLO",
            ),
            row(
                "A15",
                what("RST after EHLO in TLS", "FIN after EHLO in TLS"),
                ends(&ehlo_tls, by),
                STARTTLS,
                "ok",
                "banner:220 ehlo:250 starttls:220 ehlo_tls:250 starttls certificate TLSv1.3",
                "EHLO STARTTLS EHLO QUIT",
            ),
            row(
                "A15",
                what("RST in answer to QUIT", "FIN in answer to QUIT"),
                ends(&quit, by),
                PLAIN,
                "ok",
                "banner:220 ehlo:250",
                "EHLO QUIT",
            ),
            row(
                "A15",
                what("RST after the handshake (implicit TLS)", "FIN after the handshake (implicit TLS)"),
                ends("=== TLS\n", by),
                TLS,
                end("reset in banner", "closed in banner"),
                "certificate TLSv1.3",
                "",
            ),
            row(
                "A15",
                what("RST after the greeting (implicit TLS)", "FIN after the greeting (implicit TLS)"),
                ends("=== TLS\nS: 220 mx\n", by),
                TLS,
                end("reset in ehlo", "closed in ehlo"),
                "banner:220 certificate TLSv1.3",
                "EHLO",
            ),
        ]);
    }
    rows
}

fn many_addresses() -> Vec<Row> {
    let mut rows = vec![row(
        "A17",
        "IPv6 is refused, IPv4 is good",
        Peer::Stage(dead_ipv6),
        PLAIN,
        "ok",
        "v4=1 v6=1 ::1:refused banner:220 ehlo:250 quit:221 auth=PLAIN size=1000",
        "EHLO QUIT",
    )];
    if cfg!(target_os = "linux") {
        rows.push(row(
            "A16",
            "a hundred addresses, the last one lives",
            Peer::Stage(hundred),
            "{security: plain, timeout: 8s}",
            "ok",
            "v4=100 127.0.0.1:timeout 127.0.0.1:timeout … (99 addresses) banner:220 ehlo:250 quit:221 auth=PLAIN size=1000",
            "EHLO QUIT",
        ));
        rows.push(row(
            "A16",
            "a hundred addresses, all dead",
            Peer::Stage(hundred_dead),
            SHORT,
            "timeout in connect",
            "v4=100 127.0.0.1:timeout 127.0.0.1:timeout … (99 addresses)",
            "",
        ));
    }
    rows
}

/// A name with these addresses.
fn named(port: u16, addresses: Vec<IpAddr>, server: Option<Server>, keep: impl std::any::Any + Send) -> Stage {
    let answer = Answer { addresses, ..Answer::default() };
    let resolver = Resolver::Table(HashMap::from([("mx.example".to_owned(), Ok(answer))]));
    Stage { host: "mx.example".into(), port, resolver, server, keep: Box::new(keep) }
}

fn dead_ipv6() -> Staging {
    Box::pin(async {
        let server = Server::start(Script::of(GOOD), Options::default()).await;
        let addresses = ["::1", "127.0.0.1"].map(|address| address.parse().unwrap()).to_vec();
        named(server.address().port(), addresses, Some(server), ())
    })
}

fn hundred() -> Staging {
    Box::pin(async {
        let hole = Blackhole::start().await;
        let port = hole.address().port();
        let living = Options { bind: Some(([127, 0, 0, 2], port).into()), ..Options::default() };
        let server = Server::start(Script::of(GOOD), living).await;
        let mut addresses = vec![hole.address().ip(); 99];
        addresses.push(server.address().ip());
        named(port, addresses, Some(server), hole)
    })
}

fn hundred_dead() -> Staging {
    Box::pin(async {
        let hole = Blackhole::start().await;
        named(hole.address().port(), vec![hole.address().ip(); 100], None, hole)
    })
}

fn other_services() -> Vec<Row> {
    let banners = [
        "SSH-2.0-OpenSSH_9.2",
        "+OK POP3 ready",
        "* OK IMAP4rev1",
        "RFB 003.008",
        "HTTP/1.1 400 Bad Request",
        "J\\0\\0\\0\\n8.0.36\\0\\x01",
    ];
    let said_first = banners.iter().map(|banner| format!("*raw {banner}\\r\\n\n*idle")).collect::<Vec<_>>();
    let ftp = "S: 220 (vsFTPd 3.0.3)\nC: EHLO x\nS: 530 Please login with USER and PASS.\nC: HELO x\nS: 530 Please login with USER and PASS.\nC: QUIT\nS: 221 Goodbye.";
    vec![
        row(
            "A18",
            "another service greets first: SSH, POP3, IMAP, VNC, HTTP, MySQL",
            said_first,
            PLAIN,
            "malformed_reply in banner",
            "",
            "",
        ),
        row(
            "A18",
            "FTP greets with 220 as well",
            ftp,
            PLAIN,
            "permanent_reply in ehlo",
            "banner:220 ehlo:530 quit:221",
            "EHLO HELO QUIT",
        ),
        row(
            "A18",
            "a service that waits for its client (HTTP, TLS)",
            "*idle",
            SHORT_BANNER,
            "timeout in banner",
            "",
            "",
        ),
        row(
            "A18",
            "HTTP where TLS should begin",
            "*client-hello\n*raw HTTP/1.1 400 Bad Request\\r\\n\\r\\n\n*close",
            TLS,
            "plaintext_on_tls_port in tls",
            "",
            "",
        ),
        row(
            "A18",
            "a service that speaks neither TLS nor text",
            "*client-hello\n*raw \\xff\\xfd\\x18\\xff\\xfd\\x20\\xff\\xfb\\x01\n*idle",
            TLS,
            "tls_protocol in tls",
            "",
            "",
        ),
        row("A18", "TLS that never answers", "*client-hello\n*idle", SHORT_TLS, "timeout in tls", "", ""),
        row(
            "A19",
            "the header of the PROXY protocol before the greeting",
            "*raw PROXY TCP4 192.0.2.1 192.0.2.2 56324 25\\r\\n220 mx\\r\\n\n*idle",
            PLAIN,
            "malformed_reply in banner",
            "",
            "",
        ),
        row(
            "A20",
            "every port greets with nonsense (64 of them)",
            nonsense(),
            OPPORTUNISTIC,
            "malformed_reply in banner",
            "",
            "",
        ),
    ]
}

/// Greetings of arbitrary bytes that are no reply, the same in every run.
fn nonsense() -> Vec<String> {
    let mut state = 0x9e37_79b9_u32;
    let mut byte = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    let banner = |_| {
        let length = 4 + usize::from(byte()) % 60;
        // What begins with three digits may be a reply.
        let bytes = std::iter::once(b'#').chain((0..length).map(|_| byte())).filter(|b| *b != b'\n');
        let text: String = bytes.map(|b| format!("\\x{b:02x}")).collect();
        format!("*raw {text}\\r\\n\n*idle")
    };
    (0..64).map(banner).collect()
}
