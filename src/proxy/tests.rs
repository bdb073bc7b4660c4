//! Negotiations as tables, and cut in every way.

use proptest::prelude::*;

use super::*;

fn proxy(text: &str, password: Option<&str>) -> Proxy {
    let proxy = Proxy::parse(text).unwrap();
    password.map_or(proxy.clone(), |password| proxy.with_password(Secret::new(password.into())).unwrap())
}

fn server() -> Destination {
    Destination::Address("192.0.2.25:587".parse().unwrap())
}

fn name() -> Destination {
    Destination::Name("mx.example".into(), 25)
}

/// All that is sent, and how it ends, with what the proxy says in pieces of this size.
fn talk(proxy: &Proxy, to: &Destination, said: &[u8], size: usize) -> (Vec<u8>, Result<usize, Fault>) {
    let mut negotiation = Negotiation::new(proxy, to);
    let (mut sent, mut used) = (Vec::new(), 0);
    loop {
        match negotiation.next_action() {
            Action::Send(bytes) => sent.extend(bytes),
            Action::Done => return (sent, Ok(used)),
            Action::Receive => {
                let rest = &said[used..];
                assert!(!rest.is_empty(), "it waits for more than {said:?}");
                match negotiation.feed(&rest[..rest.len().min(size)]) {
                    Ok(count) => used += count,
                    Err(fault) => return (sent, Err(fault)),
                }
            }
        }
    }
}

const OK: [u8; 10] = [5, 0, 0, 1, 192, 0, 2, 1, 0x0f, 0xa0];

#[test]
fn socks_5_by_the_letter() {
    let (sent, end) = talk(&proxy("socks5://p:1080", None), &server(), &[&[5, 0][..], &OK].concat(), 99);
    assert_eq!(sent, [5, 1, 0, 5, 1, 0, 1, 192, 0, 2, 25, 2, 75]);
    assert_eq!(end, Ok(12));
    let (sent, end) = talk(&proxy("socks5h://me@p:1080", Some("pw")), &name(), &[&[5, 2, 1, 0][..], &OK].concat(), 99);
    assert_eq!(
        sent,
        [&[5, 2, 0, 2, 1, 2][..], b"me", &[2], b"pw", &[5, 1, 0, 3, 10], b"mx.example", &[0, 25]].concat()
    );
    assert_eq!(end, Ok(14));
    let v6 = Destination::Address("[2001:db8::1]:25".parse().unwrap());
    let (sent, _) = talk(&proxy("socks5://p:1080", None), &v6, &[&[5, 0][..], &OK].concat(), 99);
    assert_eq!(sent[6..], [4, 0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 25]);
}

#[test]
fn replies_of_socks_5() {
    let reply = |code: u8| [&[5, 0][..], &[5, code, 0, 1, 0, 0, 0, 0, 0, 0]].concat();
    let end = |said: &[u8], password| talk(&proxy("socks5://me@p:1080", password), &server(), said, 99).1;
    for (code, trouble) in
        [(3, Trouble::Unreachable), (4, Trouble::Unreachable), (5, Trouble::Refused), (6, Trouble::TimedOut)]
    {
        assert_eq!(end(&reply(code), None), Err(Fault::Server(trouble)), "{code}");
    }
    let fault = |said: &[u8], password| match end(said, password) {
        Err(Fault::Proxy(why)) => why,
        other => panic!("{other:?}"),
    };
    for (said, password, part) in [
        (&reply(1)[..], None, "does not say why"),
        (&reply(2), None, "rules"),
        (&reply(7), None, "CONNECT"),
        (&reply(8), None, "addresses"),
        (&reply(9), None, "the code 9"),
        (&[5, 0xff], Some("pw"), "takes no name and password"),
        (&[5, 0xff], None, "authentication"),
        (&[5, 2], None, "wants a name"),
        (&[5, 2, 1, 1], Some("pw"), "refuses our name or password"),
        (b"HTTP/1.1 400", None, "does not speak SOCKS 5"),
        (b"220 mx ESMTP\r\n", None, "does not speak SOCKS 5"),
        (&[5, 0, 5, 0, 0, 9, 0, 0], None, "does not speak SOCKS 5"),
    ] {
        let why = fault(said, password);
        assert!(why.contains(part), "{said:?}: {why}");
    }
}

#[test]
fn connect_by_the_letter() {
    let head = b"HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n";
    let (sent, end) = talk(&proxy("http://p:3128", None), &name(), &[&head[..], b"220 mx\r\n"].concat(), 999);
    assert_eq!(String::from_utf8(sent).unwrap(), "CONNECT mx.example:25 HTTP/1.1\r\nHost: mx.example:25\r\n\r\n");
    assert_eq!(end, Ok(head.len()), "the greeting is the server's");
    let (sent, _) = talk(&proxy("http://me@p:3128", Some("pw")), &server(), head, 999);
    assert!(String::from_utf8(sent).unwrap().contains("\r\nProxy-Authorization: Basic bWU6cHc=\r\n"));
}

#[test]
fn answers_to_connect() {
    let end =
        |head: &str| talk(&proxy("http://p:3128", None), &name(), format!("HTTP/1.1 {head}\r\n\r\n").as_bytes(), 99).1;
    for (head, trouble) in [
        ("502 Bad Gateway", Trouble::Unreachable),
        ("504 Gateway Timeout", Trouble::TimedOut),
        ("503 x\r\nX-Squid-Error: ERR_CONNECT_FAIL 111", Trouble::Refused),
        ("503 x\r\nx-squid-error: ERR_CONNECT_FAIL 110", Trouble::TimedOut),
        ("503 x\r\nX-Squid-Error: ERR_CONNECT_FAIL 113", Trouble::Unreachable),
        ("503 x\r\nX-Squid-Error: ERR_DNS_FAIL 0", Trouble::NameNotFound),
        ("500 Unable to connect", Trouble::Unreachable),
        ("502 x\r\nProxy-Status: p; error=connection_refused", Trouble::Refused),
        ("502 x\r\nProxy-Status: p;error=dns_timeout; x=y", Trouble::NameNotFound),
    ] {
        assert_eq!(end(head), Err(Fault::Server(trouble)), "{head}");
    }
    for (head, part) in [
        ("407 Proxy Authentication Required", "a name and a password that it knows (407)"),
        ("403 Forbidden", "rules (403)"),
        ("403 x\r\nX-Squid-Error: ERR_ACCESS_DENIED 0", "rules (403)"),
        ("502 x\r\nProxy-Status: p; error=http_request_denied", "rules (502)"),
        ("500 Internal Server Error\r\nX-Squid-Error: ERR_CANNOT_FORWARD 0", "answered “HTTP/1.1 500 Internal"),
        ("abc", "does not speak HTTP"),
    ] {
        let Err(Fault::Proxy(why)) = end(head) else { panic!("{head}") };
        assert!(why.contains(part), "{head}: {why}");
    }
    let greeting = talk(&proxy("http://p:25", None), &name(), b"220 mx.example ESMTP\r\n", 99).1;
    assert_eq!(greeting, Err(Fault::Proxy("does not speak HTTP: it sent “220 mx.example ESMTP”".into())));
    let endless = vec![b'x'; 20_000];
    assert!(matches!(talk(&proxy("http://p:1", None), &name(), &endless, 999).1, Err(Fault::Proxy(_))));
}

#[test]
fn proxies_are_written_as_addresses_and_show_no_secret() {
    let proxy = proxy("socks5://we%40x@[2001:db8::1]:1080", Some("hunter2"));
    assert_eq!(proxy.to_string(), "socks5://[2001:db8::1]:1080");
    assert!(!format!("{proxy:?}").contains("hunter2"));
    assert_eq!(proxy.credentials().unwrap().0, "we@x");
    for bad in
        ["p:1080", "ftp://p:1", "socks5://p", "socks5://p:0", "http://p:x", "socks5://a b:1", "socks5://u:hunter2@p:1"]
    {
        let why = Proxy::parse(bad).unwrap_err();
        assert!(!why.contains("hunter2"), "{why}");
    }
    assert!(Proxy::parse("http://p:1").unwrap().with_password(Secret::new(b"x".to_vec())).is_err(), "whose?");
}

/// The whole answer at once or in pieces of this size comes to the same. Behind it is enough that nothing waits for more.
fn cut_makes_no_difference(said: &[u8], http: bool, size: usize) -> Result<(), TestCaseError> {
    let proxy = proxy(if http { "http://me@p:1" } else { "socks5h://me@p:1" }, Some("pw"));
    let said = [said, &b"\r\n\r\n".repeat(200)].concat();
    prop_assert_eq!(talk(&proxy, &name(), &said, size), talk(&proxy, &name(), &said, said.len()));
    Ok(())
}

#[test]
fn where_an_answer_is_cut_makes_no_difference() {
    let answers = [
        [&[5, 0][..], &OK, b"220 mx\r\n"].concat(),
        [&[5, 2, 1, 0, 5, 0, 0, 3, 3][..], b"abc", &[0, 25], b"220 mx\r\n"].concat(),
        [&[5, 0, 5, 5, 0, 4][..], &[0; 18]].concat(),
        [&[5, 2, 1, 1, 9][..]].concat(),
        b"HTTP/1.0 200 ok\r\nA: b\r\n\r\n220 mx\r\n".to_vec(),
        b"HTTP/1.1 403 no\n\nbody".to_vec(),
    ];
    for said in &answers {
        for (http, size) in [true, false].into_iter().flat_map(|http| (1..20).map(move |size| (http, size))) {
            cut_makes_no_difference(said, http, size).unwrap();
        }
    }
}

proptest! {
    #[test]
    fn where_the_bytes_are_cut_makes_no_difference(
        said in proptest::collection::vec(any::<u8>(), 600..700),
        http in any::<bool>(),
        size in 1..20usize,
    ) {
        cut_makes_no_difference(&said, http, size)?;
    }
}
