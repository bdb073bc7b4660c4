//! B: what can stand where the greeting should be.

use super::kit::{OPPORTUNISTIC, PLAIN, Row, SHORT_BANNER, TLS, filling, row};

/// A dialogue that goes well behind this greeting, which is given as `*raw` takes it.
fn greeted(greeting: &str) -> String {
    format!("*raw {greeting}\n{REST}")
}

const REST: &str = "C: EHLO x\nS: 250 mx\nC: QUIT\nS: 221 bye\n*close";

const KEPT: &str = "banner:220 ehlo:250 quit:221";

/// A script for each code: it greets so and then hears our QUIT.
fn codes(codes: &[&str]) -> Vec<String> {
    codes.iter().map(|greeting| format!("S: {greeting}\nC: QUIT\nS: 221 bye\n*close")).collect()
}

fn scripts(greetings: &[&str]) -> Vec<String> {
    greetings.iter().map(|greeting| greeted(greeting)).collect()
}

pub fn rows() -> Vec<Row> {
    let mut rows = in_its_own_time();
    rows.extend(turned_away());
    rows.extend(malformed());
    rows.extend(odd_but_good());
    rows.extend(wrong_mode());
    rows
}

fn in_its_own_time() -> Vec<Row> {
    vec![
        row(
            "B1",
            "a first line, a wait, the last line (postscreen)",
            vec![format!("S: 220-mx teaser\n*segment\n*sleep 0.3\nS: 220 mx ESMTP\n{REST}")],
            PLAIN,
            "ok",
            KEPT,
            "EHLO QUIT",
        ),
        row(
            "B2",
            "a first line, and no last one",
            "S: 220-mx teaser\n*idle",
            SHORT_BANNER,
            "timeout in banner",
            "",
            "",
        ),
        row(
            "B3",
            "a first line, and those who speak now are banned",
            "S: 220-mx teaser\n*segment\n*sleep 0.4\nS: 220 mx\nC: EHLO x\n*sleep 0.2\nS: 250 mx\nC: QUIT\nS: 221 bye\n*close",
            PLAIN,
            "ok",
            KEPT,
            "EHLO QUIT",
        ),
        row(
            "B4",
            "a pause before the greeting, within the time allowed",
            vec![format!("*sleep 0.5\nS: 220 mx\n{REST}")],
            PLAIN,
            "ok",
            KEPT,
            "EHLO QUIT",
        ),
        row(
            "B4",
            "a pause before the greeting, beyond it",
            "*sleep 30\nS: 220 mx\n*idle",
            SHORT_BANNER,
            "timeout in banner",
            "",
            "",
        )
        .deaf(),
    ]
}

fn turned_away() -> Vec<Row> {
    vec![
        row(
            "B5",
            "421: too many connections",
            codes(&["421 4.7.0 Too many connections"]).remove(0).as_str(),
            PLAIN,
            "rate_limited in banner",
            "banner:421 quit:221",
            "QUIT",
        ),
        row(
            "B5",
            "450",
            codes(&["450 4.3.2 try later"]),
            PLAIN,
            "rate_limited in banner",
            "banner:450 quit:221",
            "QUIT",
        ),
        row("B5", "451", codes(&["451 local error"]), PLAIN, "rate_limited in banner", "banner:451 quit:221", "QUIT"),
        row("B5", "452", codes(&["452 no room"]), PLAIN, "rate_limited in banner", "banner:452 quit:221", "QUIT"),
        row(
            "B5",
            "421, and the connection ends at once",
            "S: 421 busy\n*cut",
            PLAIN,
            "rate_limited in banner",
            "banner:421",
            "QUIT",
        ),
        row(
            "B6",
            "554: no mail here",
            codes(&["554 no SMTP service here"]),
            PLAIN,
            "permanent_reply in banner",
            "banner:554 quit:221",
            "QUIT",
        ),
        row(
            "B6",
            "521 (RFC 7504)",
            codes(&["521 host takes no mail"]),
            PLAIN,
            "permanent_reply in banner",
            "banner:521 quit:221",
            "QUIT",
        ),
        row("B6", "550", codes(&["550 go away"]), PLAIN, "permanent_reply in banner", "banner:550 quit:221", "QUIT"),
        row(
            "B7",
            "554 with the word ESMTP in it",
            codes(&["554 mx.example ESMTP Blocked - see https://example.org"]),
            PLAIN,
            "permanent_reply in banner",
            "banner:554 quit:221",
            "QUIT",
        ),
        row("B8", "221", codes(&["221 bye"]), PLAIN, "unexpected_reply in banner", "banner:221 quit:221", "QUIT"),
        row("B8", "354", codes(&["354 go on"]), PLAIN, "unexpected_reply in banner", "banner:354 quit:221", "QUIT"),
        row("B8", "250", codes(&["250 ok"]), PLAIN, "unexpected_reply in banner", "banner:250 quit:221", "QUIT"),
        row(
            "B8",
            "530",
            codes(&["530 authenticate first"]),
            PLAIN,
            "unexpected_reply in banner",
            "banner:530 quit:221",
            "QUIT",
        ),
        row("B8", "500", codes(&["500 what?"]), PLAIN, "unexpected_reply in banner", "banner:500 quit:221", "QUIT"),
        row(
            "B8",
            "299, which no RFC has",
            codes(&["299 x"]),
            PLAIN,
            "unexpected_reply in banner",
            "banner:299 quit:221",
            "QUIT",
        ),
    ]
}

fn malformed() -> Vec<Row> {
    let fits_not = [
        "\\r\\n220 mx\\r\\n",
        " 220 mx\\r\\n",
        "\\xef\\xbb\\xbf220 mx\\r\\n",
        "220\\tmx\\r\\n",
        "220OK\\r\\n",
        "2200 mx\\r\\n",
        "22X mx\\r\\n",
        "22\\r\\n",
    ];
    vec![
        row("B9", "a greeting without an end, and FIN", "*raw 220 mx.example\n*cut", PLAIN, "closed in banner", "", ""),
        row("B10", "a line without an end", "*forever 220 mx and so on", PLAIN, "reply_too_large in banner", "", ""),
        row(
            "B10",
            "a million lines",
            "*repeat 1000000 220-more\\r\\n\n*idle",
            PLAIN,
            "reply_too_large in banner",
            "",
            "",
        ),
        row(
            "B10",
            "ever more lines, slowly",
            vec![format!("*drip 20 {}", "220-a\\r\\n".repeat(100))],
            SHORT_BANNER,
            "timeout in banner",
            "",
            "",
        ),
        row(
            "B11",
            "an empty line, a blank, a BOM or a tab in front; no blank behind the code; too many or too few digits",
            scripts(&fits_not),
            PLAIN,
            "malformed_reply in banner",
            "",
            "",
        ),
        row(
            "B16",
            "two greetings in one segment, with bare LF",
            "*raw 220 mx\\n554 blocked\\n\nC: QUIT\nS: 221 bye\n*close",
            PLAIN,
            "unsolicited_data in banner",
            "banner:220 quit:221",
            "QUIT",
        ),
        row(
            "B16",
            "two greetings in one segment, the first of which fills the buffer",
            filling("", "220", "mx", "S: 554 blocked\nC: QUIT\nS: 221 bye\n*close"),
            PLAIN,
            "unsolicited_data in banner",
            "banner:220 quit:221",
            "QUIT",
        ),
        row(
            "B17",
            "two codes in one greeting",
            "*raw 220-mx\\r\\n554 no\\r\\n\n*idle",
            PLAIN,
            "malformed_reply in banner",
            "",
            "",
        ),
    ]
}

fn odd_but_good() -> Vec<Row> {
    let hostile = [
        "220 caf\\xe9 Latin-1\\r\\n",
        "220 mx \\xe2\\x80\\xaekcab\\xe2\\x80\\xac ESMTP\\r\\n",
        "220 \\x1b]0;owned\\x07\\x1b[2J\\x1b[31m\\r\\n",
        "220 nul \\0 del \\x7f bell \\x07 c1 \\xc2\\x9b31m\\r\\n",
        "220 bare \\r CR and \\x0b \\x0c\\r\\n",
        "220 \\\"} 1\\\\nmail_probe_success 1 <script>alert(1)</script>\\r\\n",
        "220 level=error msg=forged \\xff\\xfe\\xc0\\xaf\\xed\\xa0\\x80\\r\\n",
        "220 \\xf3\\xa0\\x80\\xa1\\xef\\xbb\\xbf\\xe2\\x80\\x8b\\xe2\\x80\\xa8\\r\\n",
    ];
    let hostile: Vec<String> = hostile.iter().map(|greeting| greeting.replace("\\\"", "\"")).collect();
    vec![
        row(
            "B12",
            "no text, and not even a blank",
            scripts(&["220\\r\\n", "220 \\r\\n"]),
            PLAIN,
            "ok",
            KEPT,
            "EHLO QUIT",
        ),
        row(
            "B13",
            "Latin-1, bidirectional overrides, ESC, NUL, DEL, quotes, markup, forged log fields, invisible characters",
            hostile.iter().map(|greeting| greeted(greeting)).collect::<Vec<_>>(),
            PLAIN,
            "ok",
            KEPT,
            "EHLO QUIT",
        ),
        row(
            "B14",
            "overwritten with asterisks (Cisco PIX and ASA)",
            scripts(&["220 ****************************0*2******\\r\\n"]),
            PLAIN,
            "ok",
            KEPT,
            "EHLO QUIT",
        ),
        row(
            "B15",
            "no name, a variable never filled in, a wildcard, an enhanced code",
            scripts(&[
                "220 ESMTP\\r\\n",
                "220 %WPI_HOSTNAME% ready\\r\\n",
                "220 *.foo.bar ESMTP\\r\\n",
                "220 2.0.0 mx ESMTP\\r\\n",
            ]),
            PLAIN,
            "ok",
            KEPT,
            "EHLO QUIT",
        ),
        row(
            "B20",
            "claims to be another product",
            scripts(&[
                "220 mx Microsoft ESMTP MAIL Service, Version: 6.0.3790.4675 ready\\r\\n",
                "220 mx.google.com ESMTP gsmtp\\r\\n",
            ]),
            OPPORTUNISTIC,
            "ok",
            KEPT,
            "EHLO QUIT",
        ),
    ]
}

fn wrong_mode() -> Vec<Row> {
    let clear = |code: &str| {
        vec![
            format!("*client-hello\n*raw {code} mx\\r\\n\n*close"),
            format!("*client-hello\n*raw {code} mx\\r\\n\n*idle"),
        ]
    };
    vec![
        row(
            "B18",
            "implicit TLS, probed for STARTTLS: both wait",
            "*client-hello\n*idle",
            "{security: starttls, timeout: 30s, phase_timeouts: {banner: 800ms}}",
            "timeout in banner",
            "",
            "",
        ),
        row(
            "B19",
            "clear text, probed for implicit TLS: 220",
            clear("220"),
            TLS,
            "plaintext_on_tls_port in tls",
            "",
            "",
        ),
        row("B19", "the same: 421", clear("421"), TLS, "plaintext_on_tls_port in tls", "", ""),
        row("B19", "the same: 554", clear("554"), TLS, "plaintext_on_tls_port in tls", "", ""),
        row(
            "B19",
            "the same, in two lines, before we say a word",
            "S: 220-mx\nS: 220 mx ESMTP\n*client-hello\n*idle",
            TLS,
            "plaintext_on_tls_port in tls",
            "",
            "",
        ),
        row(
            "B19",
            "the same, with an empty line, a blank or a BOM in front",
            [clear("\\r\\n220"), clear(" 220"), clear("\\xef\\xbb\\xbf220")].concat(),
            TLS,
            "plaintext_on_tls_port in tls",
            "",
            "",
        ),
    ]
}
