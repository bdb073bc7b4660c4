//! Properties of the decoder and the session that hold for any bytes a server may send.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use mail_endpoint_exporter::mail::Printable;
use mail_endpoint_exporter::mail::line::LineBuffer;
use mail_endpoint_exporter::mail::smtp::capabilities::Capabilities;
use mail_endpoint_exporter::mail::smtp::command::EhloName;
use mail_endpoint_exporter::mail::smtp::reply::{Reply, ReplyFault, ReplyReader};
use mail_endpoint_exporter::mail::smtp::session::{Action, Facts, Session, TlsUse};
use proptest::collection::vec;
use proptest::prelude::*;

/// All replies in the bytes, and the fault that ended them.
fn replies(pieces: &[&[u8]]) -> (Vec<Reply>, Option<ReplyFault>) {
    let (mut lines, mut reader, mut found) = (LineBuffer::default(), ReplyReader::default(), Vec::new());
    for piece in pieces {
        lines.push(piece);
        loop {
            match lines.next_line() {
                Ok(None) => break,
                Err(_) => return (found, Some(ReplyFault::TooLarge)),
                Ok(Some(line)) => match reader.line(line) {
                    Ok(reply) => found.extend(reply),
                    Err(fault) => return (found, Some(fault)),
                },
            }
        }
    }
    (found, None)
}

/// Cuts bytes at arbitrary places.
fn cut<'a>(bytes: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let mut places: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).chain([0, bytes.len()]).collect();
    places.sort_unstable();
    places.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect()
}

/// A conversation with a server that says these bytes, in these pieces, and closes.
fn converse(pieces: &[&[u8]], tls: TlsUse) -> (Facts, usize, usize) {
    let mut session = Session::new(tls, EhloName::parse("probe.example.org").unwrap());
    let mut pieces = pieces.iter();
    let (mut sent, mut failures) = (0, 0);
    let mut action = session.next_action();
    loop {
        action = match action {
            Action::Send(command) => {
                assert!(command.to_line().ends_with("\r\n") && command.to_line().len() <= 512);
                sent += 1;
                session.next_action()
            }
            Action::Receive => match pieces.next() {
                Some(piece) => {
                    session.feed(piece);
                    session.next_action()
                }
                None => session.end_of_stream(),
            },
            Action::StartTls => session.tls_started(),
            Action::Fail(..) => {
                failures += 1;
                session.next_action()
            }
            Action::Done => return (session.into_facts(), sent, failures),
        };
    }
}

/// Bytes that look like SMTP often enough to get somewhere.
fn smtp_like() -> impl Strategy<Value = Vec<u8>> {
    let code = prop_oneof![Just("220"), Just("250"), Just("221"), Just("421"), Just("500"), Just("554"), Just("099")];
    let word =
        prop_oneof![Just("STARTTLS"), Just("AUTH PLAIN"), Just("AUTH=x"), Just("SIZE 1"), Just("\u{202e}\0"), Just("")];
    let line = (
        code,
        prop_oneof![Just(" "), Just("-"), Just("")],
        word,
        prop_oneof![Just("\r\n"), Just("\n"), Just("\r\r\n")],
    )
        .prop_map(|(code, separator, word, end)| format!("{code}{separator}{word}{end}").into_bytes());
    let noise = vec(any::<u8>(), 0..20);
    vec(prop_oneof![4 => line, 1 => noise], 0..12).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn any_cut_gives_the_same_replies(bytes in smtp_like(), cuts in vec(any::<usize>(), 0..8)) {
        prop_assert_eq!(replies(&cut(&bytes, &cuts)), replies(&[&bytes]));
    }

    #[test]
    fn a_written_reply_is_read_back(code in 100u16..1000, lines in vec("[ -~]{0,60}", 1..8)) {
        let last = lines.len() - 1;
        let text: String = lines.iter().enumerate()
            .map(|(number, line)| format!("{code}{}{line}\r\n", if number == last { ' ' } else { '-' }))
            .collect();
        let expected = Reply { code, lines: lines.iter().map(|line| line.clone().into_bytes()).collect() };
        prop_assert_eq!(replies(&[text.as_bytes()]), (vec![expected], None));
    }

    #[test]
    fn a_session_ends_and_says_little_whatever_it_hears(bytes in smtp_like(), cuts in vec(any::<usize>(), 0..8)) {
        for tls in [TlsUse::Never, TlsUse::IfOffered, TlsUse::Required, TlsUse::FromTheStart] {
            let (_, sent, failures) = converse(&cut(&bytes, &cuts), tls);
            prop_assert!(sent <= 5, "EHLO, HELO, STARTTLS, EHLO, QUIT at most");
            prop_assert!(failures <= 1);
        }
    }

    #[test]
    fn a_session_survives_any_noise(bytes in vec(any::<u8>(), 0..600)) {
        converse(&[&bytes], TlsUse::IfOffered);
    }

    #[test]
    fn capabilities_are_bounded_and_printable(lines in vec(vec(any::<u8>(), 0..80), 0..40)) {
        let capabilities = Capabilities::from_ehlo(&Reply { code: 250, lines });
        prop_assert!(capabilities.auth.len() <= 32 && capabilities.all.len() <= 40);
        for capability in &capabilities.all {
            prop_assert!(!capability.keyword.as_str().chars().any(char::is_control));
        }
    }

    #[test]
    fn printable_text_prints_and_is_short(bytes in vec(any::<u8>(), 0..2000)) {
        let text = Printable::from_bytes(&bytes);
        prop_assert!(text.as_str().chars().count() <= 256);
        let turns = |c: char| ('\u{202a}'..='\u{202e}').contains(&c);
        let harmful = text.as_str().chars().any(|c| c.is_control() || turns(c));
        prop_assert!(!harmful);
    }
}
