//! G: what can happen inside TLS and at the farewell.

use super::kit::{OPPORTUNISTIC, PLAIN, Row, STARTTLS, row};
use super::tcp::{GOOD_TLS, KEPT_TLS};

const ORDER: &str = "EHLO STARTTLS EHLO QUIT";
const IN_TLS: &str = "S: 220 mx ESMTP\nC: EHLO x\nS: 250-mx\nS: 250 STARTTLS\nC: STARTTLS\nS: 220 go\n=== TLS\n";
const CLEAR: &str = "S: 220 mx\nC: EHLO x\nS: 250 mx\nC: QUIT\n";

/// TLS begins well, and then this happens.
fn then(steps: &str) -> Vec<String> {
    vec![format!("{IN_TLS}{steps}")]
}

/// QUIT is answered so.
fn farewell(steps: &str) -> Vec<String> {
    vec![format!("{CLEAR}{steps}")]
}

pub fn rows() -> Vec<Row> {
    let mut rows = inside_tls();
    rows.extend(farewells());
    rows
}

fn inside_tls() -> Vec<Row> {
    let other_name = GOOD_TLS.replace("C: EHLO x\nS: 250-mx.example.org", "C: EHLO x\nS: 250-node7.internal");
    let tls = "banner:220 ehlo:250 starttls:220 ehlo_tls:250 quit:221 starttls certificate TLSv1.3";
    let refused = |code: &str| then(&format!("C: EHLO x\nS: {code} no\nC: QUIT\nS: 221 bye\n*close"));
    vec![
        row("G1", "another list: AUTH appears, STARTTLS goes, SIZE changes", GOOD_TLS, STARTTLS, "ok", KEPT_TLS, ORDER),
        row(
            "G2",
            "another name than in the greeting (a load balancer)",
            vec![other_name],
            STARTTLS,
            "ok",
            KEPT_TLS,
            ORDER,
        ),
        row(
            "G3",
            "greets once more",
            then("C: EHLO x\nS: 220 mx ESMTP\nC: QUIT\nS: 221 bye\n*close"),
            STARTTLS,
            "unsolicited_data in ehlo_tls",
            "banner:220 ehlo:250 starttls:220 ehlo_tls:220 quit:221 starttls certificate TLSv1.3",
            ORDER,
        ),
        row(
            "G4",
            "EHLO is refused: 503",
            refused("503"),
            STARTTLS,
            "permanent_reply in ehlo_tls",
            "banner:220 ehlo:250 starttls:220 ehlo_tls:503 quit:221 starttls certificate TLSv1.3",
            ORDER,
        ),
        row(
            "G4",
            "EHLO is refused: 530",
            refused("530"),
            OPPORTUNISTIC,
            "permanent_reply in ehlo_tls",
            "banner:220 ehlo:250 starttls:220 ehlo_tls:530 quit:221 starttls certificate TLSv1.3",
            ORDER,
        ),
        row(
            "G4",
            "EHLO is put off: 421",
            refused("421"),
            STARTTLS,
            "rate_limited in ehlo_tls",
            "banner:220 ehlo:250 starttls:220 ehlo_tls:421 quit:221 starttls certificate TLSv1.3",
            ORDER,
        ),
        row(
            "G5",
            "FIN without close_notify, after 221",
            then("C: EHLO x\nS: 250 mx\nC: QUIT\nS: 221 bye\n*cut"),
            STARTTLS,
            "ok",
            tls,
            ORDER,
        ),
        row(
            "G5",
            "FIN without close_notify, in answer to EHLO",
            then("C: EHLO x\n*cut"),
            STARTTLS,
            "closed in ehlo_tls",
            "banner:220 ehlo:250 starttls:220 starttls certificate TLSv1.3",
            "EHLO STARTTLS EHLO",
        ),
    ]
}

fn farewells() -> Vec<Row> {
    macro_rules! answered {
        ($code:literal) => {
            row(
                "G6",
                concat!("QUIT is answered by ", $code),
                farewell(concat!("S: ", $code, " x\n*close")),
                PLAIN,
                "ok",
                concat!("banner:220 ehlo:250 quit:", $code),
                "EHLO QUIT",
            )
        };
    }
    let none = "banner:220 ehlo:250";
    vec![
        answered!("250"),
        answered!("220"),
        answered!("421"),
        answered!("451"),
        answered!("500"),
        row(
            "G6",
            "QUIT is answered by silence: two seconds, no more",
            farewell("*idle"),
            PLAIN,
            "ok",
            none,
            "EHLO QUIT",
        ),
        row("G6", "QUIT is answered by RST", farewell("*reset"), PLAIN, "ok", none, "EHLO QUIT"),
        row(
            "G6",
            "QUIT is answered by no reply at all",
            farewell("*raw goodbye\\r\\n\n*idle"),
            PLAIN,
            "ok",
            none,
            "EHLO QUIT",
        ),
        row("G6", "QUIT is answered by a flood", farewell("*forever 221-x\\r\\n"), PLAIN, "ok", none, "EHLO QUIT"),
        row(
            "G7",
            "221, and the server keeps the connection",
            farewell("S: 221 bye\n*idle"),
            PLAIN,
            "ok",
            "banner:220 ehlo:250 quit:221",
            "EHLO QUIT",
        ),
        row(
            "G8",
            "221 takes half a second: it is read before TLS is closed",
            vec![GOOD_TLS.replace("S: 221 bye", "*sleep 0.5\nS: 221 bye")],
            STARTTLS,
            "ok",
            KEPT_TLS,
            ORDER,
        ),
        row(
            "G9",
            "no QUIT into a handshake that failed, one after every refusal (see B5, B6, D2, D3, D15)",
            vec![format!("{}*refuse-tls 80", IN_TLS.replace("=== TLS\n", ""))],
            STARTTLS,
            "tls_alert in tls",
            "banner:220 ehlo:250 starttls:220 starttls",
            "EHLO STARTTLS",
        ),
    ]
}
