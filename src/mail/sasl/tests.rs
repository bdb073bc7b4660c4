//! The examples of the standards, and challenges that break their rules.

use super::*;

fn credentials(name: &str, password: &str) -> Arc<Credentials> {
    Arc::new(Credentials::new(name, Secret::from(password), Kind::Password).unwrap())
}

fn text(base64: &Secret) -> String {
    String::from_utf8(STANDARD.decode(base64.expose()).unwrap()).unwrap()
}

fn challenge(exchange: &mut Exchange, words: &str) -> Result<String, Fault> {
    exchange.answer(STANDARD.encode(words).as_bytes()).map(|answer| text(&answer))
}

#[test]
fn plain_is_that_of_rfc_4616() {
    let mut exchange = Exchange::new(Mechanism::Plain, &credentials("tim", "tanstaaftanstaaf"), "");
    assert_eq!(text(&exchange.take_initial(usize::MAX).unwrap()), "\0tim\0tanstaaftanstaaf");
    assert_eq!(exchange.accepted(), Ok(()));
    assert!(matches!(exchange.answer(b""), Err(Fault::Unexpected(_))));
}

#[test]
fn plain_waits_for_an_empty_challenge_where_it_may_not_go_first() {
    let mut exchange = Exchange::new(Mechanism::Plain, &credentials("u", "p"), "");
    assert!(exchange.accepted().is_err(), "nothing has been said");
    assert_eq!(text(&exchange.answer(b"go ahead").unwrap()), "\0u\0p");
    assert_eq!(exchange.accepted(), Ok(()));
}

#[test]
fn login_answers_two_prompts_whatever_they_say() {
    let mut exchange = Exchange::new(Mechanism::Login, &credentials("u", "p"), "");
    assert_eq!(exchange.take_initial(usize::MAX), None);
    assert_eq!(text(&exchange.answer(b"VXNlcm5hbWU6").unwrap()), "u");
    assert!(exchange.accepted().is_err());
    assert_eq!(text(&exchange.answer(b"not base64!").unwrap()), "p");
    assert_eq!(exchange.accepted(), Ok(()));
    assert!(matches!(exchange.answer(b""), Err(Fault::Unexpected(_))));
}

#[test]
fn cram_md5_is_that_of_rfc_2195() {
    let mut exchange = Exchange::new(Mechanism::CramMd5, &credentials("tim", "tanstaaftanstaaf"), "");
    let answer = challenge(&mut exchange, "<1896.697170952@postoffice.reston.mci.net>").unwrap();
    assert_eq!(answer, "tim b913a602c7eda7a495b4e6e7334d3890");
    assert_eq!(exchange.accepted(), Ok(()));
    assert!(matches!(challenge(&mut exchange, "<2@x>"), Err(Fault::Unexpected(_))));
}

#[test]
fn cram_md5_takes_keys_longer_than_a_block() {
    let mut exchange = Exchange::new(Mechanism::CramMd5, &credentials("u", &"a".repeat(80)), "");
    // As `openssl dgst -md5 -hmac` has it.
    assert_eq!(challenge(&mut exchange, "<1@x>").unwrap(), "u 1fbcd1109780dcdc56fb4a0b59b6c5fe");
}

#[test]
fn cram_md5_refuses_what_is_no_challenge() {
    let mut exchange = Exchange::new(Mechanism::CramMd5, &credentials("u", "p"), "");
    assert!(matches!(exchange.answer(b"<1@x>"), Err(Fault::Malformed(_))));
    assert!(matches!(exchange.answer(b""), Err(Fault::Malformed(_))));
    assert!(exchange.accepted().is_err(), "nothing has been proved");
}

const NONCE: &str = "rOprNGfwEbeRWgbNEkqO";
const FIRST: &str = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
const LAST: &str = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";

fn scram() -> Exchange {
    let mut exchange = Exchange::new(Mechanism::ScramSha256, &credentials("user", "pencil"), NONCE);
    assert_eq!(text(&exchange.take_initial(usize::MAX).unwrap()), "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
    exchange
}

#[test]
fn scram_sha_256_is_that_of_rfc_7677() {
    let mut exchange = scram();
    assert_eq!(
        challenge(&mut exchange, FIRST).unwrap(),
        "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    );
    assert!(matches!(exchange.accepted(), Err(Fault::Unexpected(_))), "the server has proved nothing");
    assert_eq!(challenge(&mut exchange, LAST).unwrap(), "");
    assert_eq!(exchange.accepted(), Ok(()));
    assert!(matches!(challenge(&mut exchange, LAST), Err(Fault::Unexpected(_))));
}

#[test]
fn scram_believes_no_server_that_does_not_know_the_password() {
    let mut exchange = scram();
    challenge(&mut exchange, FIRST).unwrap();
    let wrong = "v=7rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";
    assert!(matches!(challenge(&mut exchange, wrong), Err(Fault::Unexpected(_))));
    assert!(exchange.accepted().is_err());
    for malformed in ["", "x=1", "v=***", "v"] {
        assert!(matches!(challenge(&mut exchange, malformed), Err(Fault::Malformed(_))), "{malformed}");
    }
}

#[test]
fn scram_takes_a_refusal_for_one() {
    let mut exchange = scram();
    challenge(&mut exchange, FIRST).unwrap();
    assert_eq!(challenge(&mut exchange, "e=invalid-proof").unwrap(), "");
    assert!(exchange.accepted().is_err(), "what was refused cannot be accepted");
}

#[test]
fn scram_challenges_that_break_the_rules() {
    let malformed = [
        "",
        "r=x",
        "r=other%hv,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
        "r=rOprNGfwEbeRWgbNEkqO,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
        "r=rOprNGfwEbeRWgbNEkqOx,s=*,i=4096",
        "r=rOprNGfwEbeRWgbNEkqOx,s=,i=4096",
        "r=rOprNGfwEbeRWgbNEkqOx,s=QQ==,i=x",
        "r=rOprNGfwEbeRWgbNEkqOx,s=QQ==,i=-1",
        "r=rOprNGfwEbeRWgbNEkqOx,s=QQ==,i=4294967295",
        "m=ext,r=rOprNGfwEbeRWgbNEkqOx,s=QQ==,i=4096",
    ];
    for words in malformed {
        assert!(matches!(challenge(&mut scram(), words), Err(Fault::Malformed(_))), "{words}");
    }
    for weak in ["r=rOprNGfwEbeRWgbNEkqOx,s=QQ==,i=0", "r=rOprNGfwEbeRWgbNEkqOx,s=QQ==,i=4095"] {
        assert!(matches!(challenge(&mut scram(), weak), Err(Fault::Unexpected(_))), "{weak}");
    }
    assert!(matches!(scram().answer(b"\xff\xfe"), Err(Fault::Malformed(_))));
    assert!(matches!(scram().answer(STANDARD.encode(b"\xff").as_bytes()), Err(Fault::Malformed(_))));
    assert!(challenge(&mut scram(), "r=rOprNGfwEbeRWgbNEkqOx,s=QQ==,i=4096,x=later").is_ok(), "extensions may follow");
}

#[test]
fn scram_names_are_escaped_and_prepared() {
    let first = |name: &str| {
        text(&Exchange::new(Mechanism::ScramSha256, &credentials(name, "p"), "n").take_initial(usize::MAX).unwrap())
    };
    assert_eq!(first("a,b=c"), "n,,n=a=2Cb=3Dc,r=n");
    // RFC 4013 §3: the soft hyphen goes, the roman numeral is spelt out.
    assert_eq!(first("I\u{ad}X"), "n,,n=IX,r=n");
    assert_eq!(first("\u{2168}"), "n,,n=IX,r=n");
    assert!(!credentials("u", "\u{627}\u{31}").suit_scram(), "RFC 4013 §3: it mixes directions");
}

#[test]
fn xoauth2_answers_a_refusal_with_nothing() {
    let credentials = Arc::new(Credentials::new("u@x", Secret::from("ya29.t"), Kind::Token).unwrap());
    let mut exchange = Exchange::new(Mechanism::XOAuth2, &credentials, "");
    assert_eq!(text(&exchange.take_initial(usize::MAX).unwrap()), "user=u@x\x01auth=Bearer ya29.t\x01\x01");
    assert_eq!(exchange.accepted(), Ok(()));
    assert_eq!(challenge(&mut exchange, "{\"status\":\"401\"}").unwrap(), "");
    assert!(exchange.accepted().is_err());
    assert!(exchange.answer(b"").is_err());
}

#[test]
fn the_best_mechanism_depends_on_who_may_listen() {
    let best = |credentials: &Credentials, offered: &str, protected| {
        let offered = |name: &str| offered.split(' ').any(|one| one == name);
        Mechanism::best(credentials, &offered, protected).map(Mechanism::name)
    };
    let password = credentials("u", "p");
    let all = "XOAUTH2 LOGIN CRAM-MD5 PLAIN SCRAM-SHA-256 SCRAM-SHA-256-PLUS";
    assert_eq!(best(&password, all, true), Some("SCRAM-SHA-256"));
    assert_eq!(best(&password, all, false), Some("SCRAM-SHA-256"));
    assert_eq!(best(&password, "CRAM-MD5 PLAIN LOGIN", true), Some("PLAIN"));
    assert_eq!(best(&password, "CRAM-MD5 PLAIN LOGIN", false), Some("CRAM-MD5"));
    assert_eq!(best(&password, "CRAM-MD5 LOGIN", true), Some("LOGIN"));
    assert_eq!(best(&password, "SCRAM-SHA-1 GSSAPI XOAUTH2", true), None);
    let odd = credentials("u", "\u{627}\u{31}");
    assert_eq!(best(&odd, all, true), Some("PLAIN"), "SCRAM has no form of this password");
    let token = Credentials::new("u", Secret::from("t"), Kind::Token).unwrap();
    assert_eq!(best(&token, all, true), Some("XOAUTH2"));
    assert_eq!(best(&token, "PLAIN", true), None, "a token is no password");
}

#[test]
fn what_cannot_be_sent_is_no_credential() {
    let new = |name: &str, secret: &[u8]| Credentials::new(name, Secret::new(secret.to_vec()), Kind::Password);
    assert!(new("u", "Pä ss".as_bytes()).is_ok());
    for (name, secret) in [("", &b"p"[..]), ("u\0", b"p"), ("u", b""), ("u", b"a\0b"), ("u", b"a\nb"), ("u", b"\xff")] {
        let why = new(name, secret).unwrap_err();
        assert!(why.starts_with("it ") || why.starts_with("the username "), "{why}");
    }
}

#[test]
fn an_exchange_does_not_show_its_secret() {
    let mut exchange = scram();
    challenge(&mut exchange, FIRST).unwrap();
    let shown = format!("{exchange:?}");
    assert!(!shown.contains("pencil") && shown.contains("<redacted>"), "{shown}");
}
