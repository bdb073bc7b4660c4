//! D: what can come of STARTTLS.

use super::kit::{OPPORTUNISTIC, Row, STARTTLS, filling, row};
use super::tcp::{GOOD_TLS, KEPT_TLS};

const OFFER: &str = "S: 220 mx ESMTP\nC: EHLO x\nS: 250-mx\nS: 250 STARTTLS\nC: STARTTLS\n";
const GO: &str = "banner:220 ehlo:250 starttls:220 starttls";
const QUIT: &str = "C: QUIT\nS: 221 bye\n*close";

/// STARTTLS is offered, and then this happens.
fn then(steps: &str) -> Vec<String> {
    vec![format!("{OFFER}{steps}")]
}

/// STARTTLS is answered by this, and then QUIT.
fn answered(reply: &str) -> Vec<String> {
    then(&format!("S: {reply}\n{QUIT}"))
}

/// The whole dialogue goes well, but for this answer to STARTTLS.
fn good_with(reply: &str) -> String {
    GOOD_TLS.replace("S: 220 go\n", &format!("{reply}\n"))
}

pub fn rows() -> Vec<Row> {
    let mut rows = not_offered();
    rows.extend(refusals());
    rows.extend(handshakes());
    rows.extend(injections());
    rows.extend(odd_but_good());
    rows
}

fn not_offered() -> Vec<Row> {
    let without = |keyword: &str| vec![format!("S: 220 mx\nC: EHLO x\nS: 250-mx\nS: 250 {keyword}\n{QUIT}")];
    vec![
        row(
            "D1",
            "not offered, and required",
            without("SIZE 5"),
            STARTTLS,
            "starttls_not_supported in starttls",
            "banner:220 ehlo:250 quit:221 size=5",
            "EHLO QUIT",
        ),
        row(
            "D1",
            "EHLO is unknown, so it cannot be offered",
            vec![format!("S: 220 mx\nC: EHLO x\nS: 502 no\nC: HELO x\nS: 250 mx\n{QUIT}")],
            STARTTLS,
            "starttls_not_supported in starttls",
            "banner:220 ehlo:250 quit:221 helo",
            "EHLO HELO QUIT",
        ),
        row(
            "D13",
            "overwritten with X, and required",
            without("XXXXXXXA"),
            STARTTLS,
            "starttls_not_supported in starttls",
            "banner:220 ehlo:250 quit:221 starttls_masked",
            "EHLO QUIT",
        ),
        row(
            "D13",
            "the offer is there, the command is eaten: 502",
            answered("502 5.5.2 Error: command not recognized"),
            OPPORTUNISTIC,
            "permanent_reply in starttls",
            "banner:220 ehlo:250 starttls:502 quit:221 starttls",
            "EHLO STARTTLS QUIT",
        ),
        row(
            "D13",
            "the offer is there, the command is eaten: 200",
            answered("200 STRIPTLS"),
            OPPORTUNISTIC,
            "unexpected_reply in starttls",
            "banner:220 ehlo:250 starttls:200 quit:221 starttls",
            "EHLO STARTTLS QUIT",
        ),
    ]
}

fn refusals() -> Vec<Row> {
    macro_rules! refused {
        ($id:literal, $what:literal, $code:literal, $ends:literal) => {
            row(
                $id,
                $what,
                answered(concat!($code, " no")),
                STARTTLS,
                concat!($ends, " in starttls"),
                concat!("banner:220 ehlo:250 starttls:", $code, " quit:221 starttls"),
                "EHLO STARTTLS QUIT",
            )
        };
    }
    vec![
        refused!("D2", "454 (often a certificate that cannot be loaded)", "454", "transient_reply"),
        refused!("D2", "450", "450", "transient_reply"),
        refused!("D2", "421", "421", "rate_limited"),
        refused!("D3", "500", "500", "permanent_reply"),
        refused!("D3", "501", "501", "permanent_reply"),
        refused!("D3", "502", "502", "permanent_reply"),
        refused!("D3", "503", "503", "permanent_reply"),
        refused!("D3", "530", "530", "permanent_reply"),
        refused!("D3", "550", "550", "permanent_reply"),
        refused!("D4", "200", "200", "unexpected_reply"),
        refused!("D4", "250", "250", "unexpected_reply"),
        refused!("D4", "221", "221", "unexpected_reply"),
        refused!("D4", "354", "354", "unexpected_reply"),
    ]
}

fn handshakes() -> Vec<Row> {
    vec![
        row(
            "D5",
            "220 and then silence",
            then("S: 220 go\n*client-hello\n*idle"),
            "{security: starttls, timeout: 30s, phase_timeouts: {tls: 800ms}}",
            "timeout in tls",
            GO,
            "EHLO STARTTLS",
        ),
        row(
            "D6",
            "220 and then FIN",
            then("S: 220 go\n*client-hello\n*close"),
            STARTTLS,
            "closed in tls",
            GO,
            "EHLO STARTTLS",
        ),
        row(
            "D6",
            "220 and then RST",
            then("S: 220 go\n*client-hello\n*reset"),
            STARTTLS,
            "reset in tls",
            GO,
            "EHLO STARTTLS",
        ),
        row(
            "D15",
            "the handshake fails: not a word in clear after it, not even QUIT",
            then("S: 220 go\n*refuse-tls 80"),
            STARTTLS,
            "tls_alert in tls",
            GO,
            "EHLO STARTTLS",
        ),
        row(
            "D15",
            "the handshake fails where TLS was not even required",
            then("S: 220 go\n*refuse-tls 80"),
            OPPORTUNISTIC,
            "tls_alert in tls",
            GO,
            "EHLO STARTTLS",
        ),
        row(
            "D15",
            "the handshake is cut in the middle",
            then("S: 220 go\n*cut-tls 200\n*cut"),
            OPPORTUNISTIC,
            "closed in tls",
            GO,
            "EHLO STARTTLS",
        ),
    ]
}

fn injections() -> Vec<Row> {
    let go = |bytes: &str| then(&format!("*raw {bytes}\n*idle"));
    vec![
        row(
            "D7",
            "replies behind the 220, in its segment",
            go("220 go\\r\\n250-mx\\r\\n250 AUTH PLAIN\\r\\n"),
            STARTTLS,
            "starttls_injection in starttls",
            GO,
            "EHLO STARTTLS",
        ),
        row(
            "D7",
            "a reply behind a 220 that fills the buffer, in its segment",
            filling(OFFER, "220", "go", "S: 250 injected\n*idle"),
            STARTTLS,
            "starttls_injection in starttls",
            GO,
            "EHLO STARTTLS",
        ),
        row(
            "D8",
            "half a line behind the 220, in its segment",
            go("220 go\\r\\n250 x"),
            STARTTLS,
            "starttls_injection in starttls",
            GO,
            "EHLO STARTTLS",
        ),
        row(
            "D9",
            "text behind the 220, in a later segment",
            then("S: 220 go\n*client-hello\n*raw 250 injected\\r\\n\n*idle"),
            STARTTLS,
            "tls_protocol in tls",
            GO,
            "EHLO STARTTLS",
        ),
        row(
            "D10",
            "454 and an invented dialogue behind it",
            go("454 no\\r\\n250 mx\\r\\n235 welcome\\r\\n"),
            STARTTLS,
            "starttls_injection in starttls",
            "banner:220 ehlo:250 starttls:454 starttls",
            "EHLO STARTTLS",
        ),
        row(
            "D10",
            "the same behind a 454 that fills the buffer",
            filling(OFFER, "454", "no", "S: 250 mx\nS: 235 welcome\n*idle"),
            STARTTLS,
            "starttls_injection in starttls",
            "banner:220 ehlo:250 starttls:454 starttls",
            "EHLO STARTTLS",
        ),
    ]
}

fn odd_but_good() -> Vec<Row> {
    let again = GOOD_TLS.replace("S: 250 AUTH PLAIN", "S: 250-STARTTLS\nS: 250 AUTH PLAIN");
    let impatient = GOOD_TLS.replace(
        "C: EHLO x\nS: 250-mx.example.org\nS: 250-SIZE 1000",
        "C: STARTTLS\nS: 503 5.5.1 EHLO first\nC: EHLO x\nS: 250-mx.example.org\nS: 250-SIZE 1000",
    );
    vec![
        row(
            "D11",
            "220 in two lines",
            vec![good_with("S: 220-ready\nS: 220 go")],
            STARTTLS,
            "ok",
            KEPT_TLS,
            "EHLO STARTTLS EHLO QUIT",
        ),
        row(
            "D12",
            "220 without text, or with an enhanced code that does not fit",
            vec![good_with("S: 220"), good_with("S: 220 5.7.0 go")],
            STARTTLS,
            "ok",
            KEPT_TLS,
            "EHLO STARTTLS EHLO QUIT",
        ),
        row(
            "D14",
            "offered again inside TLS: noted, and never used",
            vec![again],
            STARTTLS,
            "ok",
            "banner:220 ehlo:250 starttls:220 ehlo_tls:250 quit:221 starttls size=1000 certificate TLSv1.3 tls:starttls tls:auth=PLAIN tls:size=2000",
            "EHLO STARTTLS EHLO QUIT",
        ),
        row(
            "D16",
            "503 to those who send STARTTLS before EHLO: we do not",
            vec![impatient],
            STARTTLS,
            "ok",
            KEPT_TLS,
            "EHLO STARTTLS EHLO QUIT",
        ),
    ]
}
