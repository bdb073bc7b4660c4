//! C: what can answer EHLO and HELO.

use super::kit::{OPPORTUNISTIC, PLAIN, Row, SHORT_EHLO, STARTTLS, filling, row};
use super::tcp::{GOOD_TLS, KEPT_TLS};

const KEPT: &str = "banner:220 ehlo:250 quit:221";

/// EHLO is answered so, as `*raw` takes it, and all goes well.
fn answered(reply: &str) -> String {
    format!("S: 220 mx ESMTP\nC: EHLO x\n*raw {reply}\nC: QUIT\nS: 221 bye\n*close")
}

/// The same for a list of keywords.
fn offered(keywords: &[&str]) -> Vec<String> {
    let (last, first) = keywords.split_last().unwrap();
    let first: String = first.iter().map(|keyword| format!("250-{keyword}\\r\\n")).collect();
    vec![answered(&format!("250-mx\\r\\n{first}250 {last}\\r\\n"))]
}

/// EHLO is answered by the first, and HELO, if it comes, by the second.
fn refused(ehlo: &str, helo: &str) -> String {
    format!("S: 220 mx\nC: EHLO x\nS: {ehlo}\nC: HELO x\nS: {helo}\nC: QUIT\nS: 221 bye\n*close")
}

pub fn rows() -> Vec<Row> {
    let mut rows = refusals();
    rows.extend(poor_answers());
    rows.extend(too_much());
    rows.extend(keywords());
    rows.extend(out_of_turn());
    rows
}

fn refusals() -> Vec<Row> {
    let helo: Vec<String> =
        ["500 what", "502 unimplemented", "504 no", "550 no"].iter().map(|no| refused(no, "250 mx")).collect();
    let no = |text: &str| vec![refused(text, text)];
    vec![
        row(
            "C1",
            "EHLO is unknown (500, 502, 504, 550), HELO is not",
            helo,
            PLAIN,
            "ok",
            "banner:220 ehlo:250 quit:221 helo",
            "EHLO HELO QUIT",
        ),
        row(
            "C1",
            "the answer to HELO has lines like keywords",
            refused("502 no", "250-mx\nS: 250-STARTTLS\nS: 250 SIZE 5").as_str(),
            OPPORTUNISTIC,
            "ok",
            "banner:220 ehlo:250 quit:221 helo",
            "EHLO HELO QUIT",
        ),
        row(
            "C2",
            "421: no HELO after it",
            no("421 bye"),
            PLAIN,
            "rate_limited in ehlo",
            "banner:220 ehlo:421 quit:221",
            "EHLO QUIT",
        ),
        row(
            "C2",
            "450: no HELO after it",
            no("450 busy"),
            PLAIN,
            "transient_reply in ehlo",
            "banner:220 ehlo:450 quit:221",
            "EHLO QUIT",
        ),
        row(
            "C3",
            "closes on EHLO: no second connection with HELO",
            "S: 220 mx\nC: EHLO x\n*cut",
            PLAIN,
            "closed in ehlo",
            "banner:220",
            "EHLO",
        ),
        row(
            "C3",
            "refuses EHLO and closes: the refusal is the reason",
            "S: 220 mx\nC: EHLO x\nS: 550 5.7.1 no\n*cut",
            PLAIN,
            "permanent_reply in ehlo",
            "banner:220 ehlo:550",
            "EHLO HELO",
        ),
        row(
            "C3",
            "the same, by RST: at once, and on HELO",
            vec![
                "S: 220 mx\nC: EHLO x\nS: 550 5.7.1 no\n*reset".to_owned(),
                "S: 220 mx\nC: EHLO x\nS: 550 5.7.1 no\nC: HELO x\n*reset".to_owned(),
            ],
            PLAIN,
            "permanent_reply in ehlo",
            "banner:220 ehlo:550",
            "EHLO HELO",
        ),
        row(
            "C4",
            "504: need a fully qualified name",
            no("504 5.5.2 <x>: Helo command rejected: need fully-qualified hostname"),
            PLAIN,
            "permanent_reply in ehlo",
            "banner:220 ehlo:504 quit:221",
            "EHLO HELO QUIT",
        ),
        row(
            "C4",
            "501: syntax",
            no("501 5.5.4 Invalid domain name"),
            PLAIN,
            "permanent_reply in ehlo",
            "banner:220 ehlo:501 quit:221",
            "EHLO HELO QUIT",
        ),
        row(
            "C4",
            "550: the name is the server's own",
            no("550 5.7.1 you are not me"),
            PLAIN,
            "permanent_reply in ehlo",
            "banner:220 ehlo:550 quit:221",
            "EHLO HELO QUIT",
        ),
    ]
}

fn poor_answers() -> Vec<Row> {
    let slow = format!("S: 220 mx\nC: EHLO x\n{}S: 250 x\n*idle", "S: 250-x\n*segment\n*sleep 0.3\n".repeat(5));
    vec![
        row(
            "C5",
            "250 with a complaint",
            vec![answered("250 mx domain name should be qualified x\\r\\n")],
            PLAIN,
            "ok",
            KEPT,
            "EHLO QUIT",
        ),
        row(
            "C6",
            "one line: no extensions, even if it is called like one",
            vec![answered("250 Ok\\r\\n"), answered("250 STARTTLS\\r\\n")],
            OPPORTUNISTIC,
            "ok",
            KEPT,
            "EHLO QUIT",
        ),
        row(
            "C7",
            "ends with a line that promises more",
            "S: 220 mx\nC: EHLO x\nS: 250-mx\nS: 250-SIZE 5\n*cut",
            PLAIN,
            "closed in ehlo",
            "banner:220",
            "EHLO",
        ),
        row(
            "C14",
            "two codes in one reply",
            "S: 220 mx\nC: EHLO x\n*raw 250-mx\\r\\n451 no\\r\\n\n*idle",
            PLAIN,
            "malformed_reply in ehlo",
            "banner:220",
            "EHLO",
        ),
        row("C18", "a line every 300 ms (tarpit)", vec![slow], SHORT_EHLO, "timeout in ehlo", "banner:220", "EHLO"),
    ]
}

fn too_much() -> Vec<Row> {
    let words = |count: usize, word: &str| (0..count).map(|n| format!(" {word}{n}")).collect::<String>();
    let many_auth: Vec<String> = (0..100).map(|n| format!("AUTH{}", words(30, &format!("M{n}-")))).collect();
    let many_auth: Vec<&str> = many_auth.iter().map(String::as_str).collect();
    let wide = format!("X{}", "Y".repeat(4000));
    vec![
        row(
            "C8",
            "a million keywords",
            "S: 220 mx\nC: EHLO x\n*repeat 1000000 250-KEYWORD\\r\\n\n*idle",
            PLAIN,
            "reply_too_large in ehlo",
            "banner:220",
            "EHLO",
        ),
        row(
            "C8",
            "a hundred thousand mechanisms in a line",
            vec![format!("S: 220 mx\nC: EHLO x\n*raw 250-AUTH{}\\r\\n\n*idle", words(100_000, "M"))],
            PLAIN,
            "reply_too_large in ehlo",
            "banner:220",
            "EHLO",
        ),
        row(
            "C8",
            "three thousand mechanisms in lines of good length",
            offered(&many_auth),
            PLAIN,
            "ok",
            "banner:220 ehlo:250 quit:221 auth=(32 mechanisms)",
            "EHLO QUIT",
        ),
        row(
            "C8",
            "a keyword of 4,000 letters",
            offered(&[&wide, "SIZE 7"]),
            PLAIN,
            "ok",
            "banner:220 ehlo:250 quit:221 size=7",
            "EHLO QUIT",
        ),
    ]
}

fn keywords() -> Vec<Row> {
    let auth = |lines: &[&str], kept: &'static str, what: &'static str| {
        row("C10", what, offered(lines), PLAIN, "ok", kept, "EHLO QUIT")
    };
    let no_size: Vec<String> =
        ["SIZE", "SIZE 0", "SIZE -1", "SIZE +1", "SIZE 18446744073709551616", "SIZE 10MB", "SIZE 1e6", "SIZE ٣", "DSN"]
            .iter()
            .flat_map(|size| offered(&[size]))
            .collect();
    let no_starttls: Vec<String> = ["XSTARTTLS", "STARTTLSX", "X-STARTTLS", "HELP STARTTLS", "START TLS", "START-TLS"]
        .iter()
        .flat_map(|word| offered(&[word]))
        .collect();
    vec![
        row(
            "C9",
            "lower and mixed case, tabs, blanks in rows and at the end",
            offered(&["auth\\tplain \\t login  ", "sIzE   5  ", "PIPELINING "]),
            PLAIN,
            "ok",
            "banner:220 ehlo:250 quit:221 auth=PLAIN,LOGIN size=5",
            "EHLO QUIT",
        ),
        row(
            "C9",
            "every line ends in CR CR LF",
            vec![
                GOOD_TLS
                    .lines()
                    .map(|line| line.strip_prefix("S: ").map_or(line.into(), |said| format!("*raw {said}\\r\\r\\n")))
                    .collect::<Vec<String>>()
                    .join("\n"),
            ],
            STARTTLS,
            "ok",
            KEPT_TLS,
            "EHLO STARTTLS EHLO QUIT",
        ),
        auth(&["AUTH=LOGIN PLAIN"], "banner:220 ehlo:250 quit:221 auth=LOGIN,PLAIN", "only the old AUTH="),
        auth(
            &["AUTH LOGIN PLAIN", "AUTH=PLAIN XOAUTH"],
            "banner:220 ehlo:250 quit:221 auth=LOGIN,PLAIN,XOAUTH",
            "AUTH and AUTH= that differ",
        ),
        auth(&["AUTH LOGIN", "AUTH CRAM-MD5"], "banner:220 ehlo:250 quit:221 auth=LOGIN,CRAM-MD5", "AUTH twice"),
        auth(&["AUTH"], KEPT, "AUTH without a mechanism"),
        auth(
            &["AUTH PLAIN,LOGIN"],
            "banner:220 ehlo:250 quit:221 auth=PLAIN,LOGIN",
            "mechanisms with a comma are one unknown",
        ),
        row(
            "C11",
            "STARTTLS in the last line, twice, or with a parameter",
            vec![
                GOOD_TLS.to_owned(),
                GOOD_TLS.replace("S: 250 STARTTLS", "S: 250-STARTTLS\nS: 250 STARTTLS"),
                GOOD_TLS.replace("S: 250 STARTTLS", "S: 250 StartTLS REQUIRED"),
            ],
            STARTTLS,
            "ok",
            KEPT_TLS,
            "EHLO STARTTLS EHLO QUIT",
        ),
        row("C11", "words that only look like STARTTLS", no_starttls, OPPORTUNISTIC, "ok", KEPT, "EHLO QUIT"),
        row(
            "C12",
            "overwritten with X (Cisco PIX and ASA)",
            offered(&["XXXXXXXA", "SIZE 5"]),
            OPPORTUNISTIC,
            "ok",
            "banner:220 ehlo:250 quit:221 starttls_masked size=5",
            "EHLO QUIT",
        ),
        row("C13", "SIZE with no number, 0, a sign, too many digits, a unit", no_size, PLAIN, "ok", KEPT, "EHLO QUIT"),
        row(
            "C13",
            "the greatest SIZE",
            offered(&["SIZE 18446744073709551615"]),
            PLAIN,
            "ok",
            "banner:220 ehlo:250 quit:221 size=18446744073709551615",
            "EHLO QUIT",
        ),
        row(
            "C15",
            "cut in two segments, at every byte of the dialogue in turn",
            GOOD_TLS,
            STARTTLS,
            "ok",
            KEPT_TLS,
            "EHLO STARTTLS EHLO QUIT",
        )
        .cut_everywhere(),
    ]
}

fn out_of_turn() -> Vec<Row> {
    let ehlo = "S: 220 mx\nC: EHLO x\n";
    let in_tls = format!("{ehlo}S: 250-mx\nS: 250 STARTTLS\nC: STARTTLS\nS: 220 go\n=== TLS\nC: EHLO x\n");
    vec![
        row(
            "C16",
            "421 in the segment of the answer",
            "S: 220 mx\nC: EHLO x\n*raw 250 mx\\r\\n421 idle too long\\r\\n\n*idle",
            PLAIN,
            "rate_limited in ehlo",
            "banner:220 ehlo:250",
            "EHLO QUIT",
        ),
        row(
            "C16",
            "another reply in the segment of the answer",
            "S: 220 mx\nC: EHLO x\n*raw 250 mx\\r\\n250 again\\r\\n\n*idle",
            PLAIN,
            "unsolicited_data in ehlo",
            "banner:220 ehlo:250",
            "EHLO QUIT",
        ),
        row(
            "C16",
            "421 in the segment of an answer that fills the buffer",
            filling(ehlo, "250", "SIZE 5", "S: 421-4.3.2 idle\nS: 421 4.3.2 too long\n*idle"),
            PLAIN,
            "rate_limited in ehlo",
            "banner:220 ehlo:250 size=5",
            "EHLO QUIT",
        ),
        row(
            "C16",
            "another reply in the segment of an answer that fills the buffer",
            filling(ehlo, "250", "SIZE 5", "S: 250 again\n*idle"),
            PLAIN,
            "unsolicited_data in ehlo",
            "banner:220 ehlo:250 size=5",
            "EHLO QUIT",
        ),
        row(
            "C16",
            "the same inside TLS",
            filling(&in_tls, "250", "SIZE 5", "S: 250 again\n*idle"),
            STARTTLS,
            "unsolicited_data in ehlo_tls",
            "banner:220 ehlo:250 starttls:220 ehlo_tls:250 starttls certificate TLSv1.3 tls:size=5",
            "EHLO STARTTLS EHLO QUIT",
        ),
        row(
            "C17",
            "gives our name back, with lines of its own in it",
            vec![answered("250-mx Hello probe.example.org\\r\\n250 [192.0.2.1] EHLO x\\\\r\\\\nQUIT\\r\\n")],
            PLAIN,
            "ok",
            KEPT,
            "EHLO QUIT",
        ),
        row(
            "C19",
            "answers EHLO before it was said",
            "*raw 220 mx\\r\\n250 mx\\r\\n\nC: QUIT\nS: 221 bye\n*close",
            PLAIN,
            "unsolicited_data in banner",
            "banner:220 quit:221",
            "QUIT",
        ),
        row(
            "C19",
            "answers STARTTLS before it was said, behind an answer that fills the buffer",
            filling(ehlo, "250", "STARTTLS", "S: 220 go\n*idle"),
            STARTTLS,
            "unsolicited_data in ehlo",
            "banner:220 ehlo:250 starttls",
            "EHLO QUIT",
        ),
        row(
            "C20",
            "EHLO is fine, MAIL would be refused (maintenance, blocklists): nothing is sent that could tell",
            "S: 220 mx\nC: EHLO x\nS: 250-mx\nS: 250 SIZE 5\nC: MAIL\nS: 451 4.3.2 System not accepting network messages\nC: QUIT\nS: 221 bye\n*close",
            PLAIN,
            "ok",
            "banner:220 ehlo:250 quit:221 size=5",
            "EHLO QUIT",
        ),
    ]
}
