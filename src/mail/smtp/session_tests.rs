//! Dialogues as texts: what the server says, cut at every byte, and what must come of it.

use super::*;
use crate::mail::Printable;

/// Plays a server that says `greeting`, then one of `answers` after each command. `TLS` marks the
/// handshake. Returns the commands sent, and the failure if there was one.
fn talk(tls: TlsUse, script: &[&str], cut: usize) -> (Vec<String>, Option<(Step, Fault)>, Facts) {
    let mut session = Session::new(tls, EhloName::parse("probe.example.org").unwrap());
    let mut answers = script.iter();
    let mut inbox: Vec<u8> = answers.next().unwrap().as_bytes().to_vec();
    let (mut sent, mut failure) = (Vec::new(), None);
    let mut action = session.next_action();
    loop {
        action = match action {
            Action::Send(command) => {
                sent.push(command.to_line().trim_end().to_owned());
                inbox.extend(answers.next().map_or(&b""[..], |answer| answer.as_bytes()));
                session.next_action()
            }
            Action::Receive if inbox.is_empty() => session.end_of_stream(),
            Action::Receive => {
                let piece: Vec<u8> = inbox.drain(..inbox.len().min(cut)).collect();
                session.feed(&piece);
                // As the driver does.
                session.is_answered();
                session.next_action()
            }
            Action::StartTls => {
                sent.push("=== TLS".into());
                session.tls_started()
            }
            Action::Fail(step, fault) => {
                assert!(failure.is_none(), "a session fails once");
                failure = Some((step, fault));
                session.next_action()
            }
            Action::Done => return (sent, failure, session.into_facts()),
        };
    }
}

fn sent(tls: TlsUse, script: &[&str]) -> String {
    talk(tls, script, usize::MAX).0.join(" | ")
}

fn fault(tls: TlsUse, script: &[&str]) -> (Step, Fault) {
    talk(tls, script, usize::MAX).1.expect("a failure")
}

const EHLO: &str = "250-mx\r\n250-STARTTLS\r\n250 SIZE 1000\r\n";
const BYE: &str = "221 bye\r\n";

#[test]
fn the_whole_conversation() {
    let script = ["220-mx\r\n220 hi\r\n", EHLO, "220 go\r\n", "250-mx\r\n250 AUTH PLAIN\r\n", BYE];
    let expected = ["EHLO probe.example.org", "STARTTLS", "=== TLS", "EHLO probe.example.org", "QUIT"];
    for cut in 1..40 {
        let (sent, failure, facts) = talk(TlsUse::Required, &script, cut);
        assert_eq!(sent, expected);
        assert_eq!(failure, None);
        assert_eq!(facts.clear.unwrap().size_limit, Some(1000));
        assert_eq!(facts.tls.unwrap().auth, [Printable::from_text("PLAIN")]);
        let steps = [Step::Greeting, Step::Ehlo, Step::StartTls, Step::EhloTls, Step::Quit];
        assert_eq!(facts.codes, steps.into_iter().zip([220, 250, 220, 250, 221]).collect::<Vec<_>>());
    }
}

#[test]
fn tls_is_used_as_asked() {
    let plain = ["220 hi\r\n", EHLO, BYE];
    assert_eq!(sent(TlsUse::Never, &plain), "EHLO probe.example.org | QUIT");
    assert_eq!(sent(TlsUse::FromTheStart, &plain), "EHLO probe.example.org | QUIT");
    assert_eq!(sent(TlsUse::IfOffered, &["220 hi\r\n", "250 mx\r\n", BYE]), "EHLO probe.example.org | QUIT");
    let (step, fault) = fault(TlsUse::Required, &["220 hi\r\n", "250-mx\r\n250 XXXXXXXA\r\n", BYE]);
    assert_eq!((step, fault), (Step::StartTls, Fault::StartTlsNotOffered { masked: true }));
}

#[test]
fn helo_only_where_ehlo_is_refused_for_good() {
    let old = ["220 hi\r\n", "500 what?\r\n", "250-mx\r\n250-SIZE 1\r\n250 OK\r\n", BYE];
    let (sent, failure, facts) = talk(TlsUse::IfOffered, &old, 3);
    assert_eq!(sent, ["EHLO probe.example.org", "HELO probe.example.org", "QUIT"]);
    assert_eq!((failure, facts.clear), (None, Some(Capabilities::default().into())));
    assert!(matches!(fault(TlsUse::Never, &["220 hi\r\n", "450 busy\r\n", BYE]), (Step::Ehlo, Fault::Transient(_))));
    // The server hung up on HELO: what it said to EHLO is the news.
    let dropped = fault(TlsUse::Never, &["220 hi\r\n", "554 5.5.0 sync\r\n"]);
    assert!(matches!(dropped, (Step::Ehlo, Fault::Permanent(Reply { code: 554, .. }))));
    let inside = ["220 hi\r\n", EHLO, "220 go\r\n", "503 no\r\n", BYE];
    assert!(matches!(fault(TlsUse::Required, &inside), (Step::EhloTls, Fault::Permanent(_))));
}

#[test]
fn greetings_that_are_none() {
    let of = |greeting: &str| fault(TlsUse::Never, &[greeting, BYE]).1;
    for code in ["221", "354", "250", "530", "500", "099", "699"] {
        assert!(matches!(of(&format!("{code} x\r\n")), Fault::Unexpected(_)), "{code}");
    }
    for code in ["554", "521", "550", "556", "571"] {
        assert!(matches!(of(&format!("{code} x ESMTP\r\n")), Fault::Permanent(_)), "{code}");
    }
    for code in ["421", "450", "451"] {
        assert!(matches!(of(&format!("{code} x\r\n")), Fault::RateLimited(_)), "{code}");
    }
    assert!(matches!(of("hello\r\n"), Fault::Malformed(_)));
    assert_eq!(of("220-teaser\r\n220 fin"), Fault::Closed { partial: b"220 fin".to_vec() });
    assert_eq!(of(&"x".repeat(9000)), Fault::TooLarge);
}

#[test]
fn leave_is_taken_where_the_server_waits_and_nowhere_else() {
    assert_eq!(sent(TlsUse::Never, &["554 no\r\n", BYE]), "QUIT");
    assert_eq!(sent(TlsUse::Never, &["220-teaser\r\n"]), "");
    assert_eq!(sent(TlsUse::Never, &["220OK\r\n"]), "");
    assert_eq!(
        sent(TlsUse::Required, &["220 hi\r\n", EHLO, "454 no\r\n", BYE]),
        "EHLO probe.example.org | STARTTLS | QUIT"
    );
    assert_eq!(
        sent(TlsUse::Required, &["220 hi\r\n", EHLO, "220 go\r\n220 x\r\n"]),
        "EHLO probe.example.org | STARTTLS"
    );
}

#[test]
fn only_220_starts_tls() {
    for (answer, expected) in [
        ("200", "Unexpected"),
        ("250", "Unexpected"),
        ("454", "Transient"),
        ("502", "Permanent"),
        ("421", "RateLimited"),
    ] {
        let (step, fault) = fault(TlsUse::IfOffered, &["220 hi\r\n", EHLO, &format!("{answer} x\r\n"), BYE]);
        assert_eq!(step, Step::StartTls);
        assert!(format!("{fault:?}").starts_with(expected), "{fault:?}");
    }
}

#[test]
fn text_behind_the_reply_to_starttls_is_injection_whatever_the_reply() {
    for answer in ["220 go\r\n250 ok\r\n", "220 go\r\nx", "454 no\r\n235 Authenticated\r\n"] {
        let (step, fault) = fault(TlsUse::Required, &["220 hi\r\n", EHLO, answer]);
        assert_eq!(step, Step::StartTls);
        assert!(matches!(fault, Fault::StartTlsInjection(_)), "{fault:?}");
    }
}

#[test]
fn talking_out_of_turn() {
    let two = fault(TlsUse::Never, &["220 hi\n554 No SMTP service here\n", BYE]);
    assert_eq!(two, (Step::Greeting, Fault::Unsolicited(b"554 No SMTP service here\n".to_vec())));
    let gone = fault(TlsUse::Never, &["220 hi\r\n", "250 mx\r\n421 idle\r\n", BYE]);
    assert!(matches!(gone, (Step::Ehlo, Fault::RateLimited(_))));
    for (said, lines) in [
        ("421 4.3.2 idle\r\n250 x\r\n", vec!["4.3.2 idle"]),
        ("421-4.3.2 shut\r\n421 4.3.2 down\r\n", vec!["4.3.2 shut", "4.3.2 down"]),
        ("421-4.3.2 shut\r\n421-4.3", vec!["4.3.2 shut", "4.3"]),
        ("421 4.3.2", vec!["4.3.2"]),
        ("421", vec![""]),
    ] {
        let lines = lines.iter().map(|line| line.as_bytes().to_vec()).collect();
        let expected = (Step::Ehlo, Fault::RateLimited(Reply { code: 421, lines }));
        assert_eq!(fault(TlsUse::Never, &["220 hi\r\n", &format!("250 mx\r\n{said}"), BYE]), expected, "{said:?}");
    }
    for said in ["42", "4210 x\r\n", "554-421\r\n"] {
        let (_, fault) = fault(TlsUse::Never, &["220 hi\r\n", &format!("250 mx\r\n{said}"), BYE]);
        assert_eq!(fault, Fault::Unsolicited(said.as_bytes().to_vec()));
    }
    let again = fault(TlsUse::Required, &["220 hi\r\n", EHLO, "220 go\r\n", "220 hello again\r\n", BYE]);
    assert!(matches!(again, (Step::EhloTls, Fault::Unsolicited(_))));
}

#[test]
fn what_is_fed_behind_a_whole_reply_is_out_of_turn() {
    let mut session = Session::new(TlsUse::Never, EhloName::parse("probe.example.org").unwrap());
    assert_eq!(session.next_action(), Action::Receive);
    session.feed(b"220-hi\r\n");
    assert!(!session.is_answered());
    session.feed(b"220 there\r\n");
    assert!(session.is_answered());
    assert!(session.is_answered());
    session.feed(b"250 mx\r\n");
    assert_eq!(session.next_action(), Action::Fail(Step::Greeting, Fault::Unsolicited(b"250 mx\r\n".to_vec())));
    assert_eq!(session.next_action(), Action::Send(Command::Quit));
}

#[test]
fn any_answer_to_quit_will_do() {
    for answer in ["250 ok\r\n", "451 late\r\n", "421 x\r\n", "garbage\r\n", ""] {
        let (_, failure, _) = talk(TlsUse::Never, &["220 hi\r\n", "250 mx\r\n", answer], 2);
        assert_eq!(failure, None, "{answer}");
    }
}

#[test]
fn an_early_leave_is_a_polite_one() {
    let mut session = Session::new(TlsUse::Required, EhloName::parse("probe.example.org").unwrap());
    assert_eq!(session.next_action(), Action::Receive);
    session.leave_early();
    session.feed(b"220 hi\r\n");
    assert_eq!(session.next_action(), Action::Send(Command::Quit));
    session.feed(b"221 bye\r\n");
    assert_eq!(session.next_action(), Action::Done);
}
