//! The status page and the API: what they show, what they refuse, and that no text from outside, be it a
//! server's or the configuration's, becomes markup.

#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "a test fails by panicking")]

mod lab;
mod support;

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use lab::{DAY, Identity, Leaf, Options, Script, Server, refused_port};
use serde_json::Value;
use support::{Answer, Exporter, config};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::sleep;

const PLAIN: &str = "S: 220 mx ESMTP\nC: EHLO x\nS: 250-mx\nS: 250 SIZE 10240000\nC: QUIT\nS: 221 bye\n*close";
const BUSY: &str = "S: 421 4.7.0 busy\nC: QUIT\nS: 221 bye\n*close";
const STARTTLS: &str = "S: 220 mx ESMTP\nC: EHLO x\nS: 250-mx\nS: 250 STARTTLS\nC: STARTTLS\nS: 220 go\n=== TLS\n\
                        C: EHLO x\nS: 250-mx\nS: 250-AUTH PLAIN LOGIN\nS: 250 SIZE 52428800\nC: QUIT\nS: 221 bye\n*close";

/// One probe of it lasts as long as any test.
const SLOW: &str = "*sleep 8\nS: 220 mx";

fn tls(leaf: Leaf) -> Options {
    Identity::self_signed(&leaf).server_config().into()
}

fn leaf() -> Leaf {
    let now = SystemTime::now();
    Leaf { not_after: now + 90 * DAY + DAY / 2, ..Leaf::new("mail.example.org", now) }
}

fn yaml(targets: &str) -> String {
    format!(
        "interval: 300ms\nehlo_name: probe.example.org\nmodules:\n  plain: {{security: plain, timeout: 10s}}\n  \
         start: {{security: starttls, server_name: mail.example.org, timeout: 2s, expect: {{auth: offered, certificate: any}}}}\n\
         targets:\n{targets}"
    )
}

fn target(name: &str, port: u16, module: &str) -> String {
    format!(
        "- {{name: {name}, host: 127.0.0.1, ports: [{{port: {port}, module: {module}}}], labels: {{team: blue}}}}\n"
    )
}

async fn server(script: &str, options: Options) -> Server {
    Server::start(Script::of(script), options).await
}

async fn exporter(targets: &str) -> Exporter {
    let exporter = Exporter::start(&config(&yaml(targets))).await;
    exporter.first_round().await;
    exporter
}

/// Waits until all endpoints but `missing` have been probed.
async fn wait_for_all_but(exporter: &Exporter, missing: usize) {
    for _ in 0..200 {
        let endpoints = exporter.store.snapshot().endpoints;
        if endpoints.iter().filter(|history| history.latest.is_none()).count() <= missing {
            return;
        }
        sleep(Duration::from_millis(25)).await;
    }
    panic!("not probed within 5 s");
}

async fn page(exporter: &Exporter, path: &str) -> Answer {
    let answer = exporter.get(path).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    check(&answer.body);
    answer
}

async fn json(exporter: &Exporter, path: &str) -> Value {
    let answer = exporter.get(path).await;
    assert!(answer.head.contains("content-type: application/json"), "{}", answer.head);
    serde_json::from_str(&answer.body).unwrap()
}

/// The id of the first endpoint of a target.
fn id(exporter: &Exporter, target: &str) -> String {
    let endpoints = exporter.store.snapshot().endpoints;
    endpoints.iter().find(|history| history.endpoint.target == target).unwrap().endpoint.id().to_string()
}

/// A tag as it stands between `<` and `>`.
fn tags(page: &str) -> Vec<&str> {
    // The style sheet may hold a `>`.
    let (before, rest) = page.split_once("<style>").unwrap();
    let after = rest.split_once("</style>").unwrap().1;
    [before, after].iter().flat_map(|part| part.split('<').skip(1)).map(|tag| tag.split_once('>').unwrap().0).collect()
}

fn attributes(tag: &str) -> Vec<(&str, &str)> {
    let mut parts = tag.trim_end_matches('/').split_once(' ').unwrap_or_default().1.split('"');
    let mut found = Vec::new();
    while let (Some(name), Some(value)) = (parts.next(), parts.next()) {
        found.push((name.trim().strip_suffix('=').unwrap(), value));
    }
    found
}

/// Everything the pages consist of.
const ELEMENTS: &str = "a b body button caption code dd details div dl dt form h1 h2 head header html input label li link \
                        main meta nav option p pre rect section select small span strong style summary svg table tbody td \
                        th thead time title tr ul wbr";

/// A page is well-formed, made of known elements, and refers to nothing outside itself.
fn check(page: &str) {
    let body = page.strip_prefix("<!DOCTYPE html>\n").unwrap();
    let mut open = Vec::new();
    for tag in tags(body) {
        let name = tag.trim_matches('/').split(' ').next().unwrap();
        assert!(ELEMENTS.split_whitespace().any(|known| known == name), "<{tag}>");
        match (tag.starts_with('/'), tag.ends_with('/')) {
            (true, _) => assert_eq!(open.pop(), Some(name), "</{name}>"),
            (false, false) => open.push(name),
            (false, true) => {}
        }
        let mut names = BTreeSet::new();
        for (attribute, value) in attributes(tag) {
            assert!(names.insert(attribute), "{attribute} twice in <{tag}>");
            assert!(!attribute.starts_with("on") && attribute != "style", "<{tag}>");
            let is_address = ["href", "src", "action"].contains(&attribute);
            let local = !value.contains("//") && !value.contains(':');
            assert!(!is_address || local || value.starts_with("data:image/svg+xml,"), "<{tag}>");
        }
    }
    assert_eq!(open, Vec::<&str>::new());
    // An ampersand begins a reference, and nothing else.
    for rest in body.split_once("</style>").unwrap().1.split('&').skip(1) {
        let name = rest.split(';').next().unwrap();
        assert!(["amp", "lt", "gt", "quot", "#39"].contains(&name), "&{rest:.20}");
    }
    assert!(!body.chars().any(|c| c.is_control() && c != '\n'), "control characters");
}

/// The text of a page, with nothing between one tag and the next.
fn text(page: &str) -> String {
    let after = page.split_once("</style>").unwrap().1;
    let text: String = after.split('<').map(|part| part.split_once('>').map_or(part, |(_, text)| text)).collect();
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&#39;", "'").replace("&amp;", "&")
}

fn shows(page: &Answer, words: &[&str]) {
    let text = text(&page.body);
    for word in words {
        assert!(text.contains(word), "{word:?} is missing in: {text}");
    }
}

/// The targets in the order of the table.
fn order(page: &Answer) -> Vec<&str> {
    let rows = page.body.split("<th scope=\"row\"><a href=\"endpoint/").skip(1);
    rows.map(|row| row.split_once('>').unwrap().1.split('<').next().unwrap()).collect()
}

#[tokio::test]
async fn every_state_is_shown() {
    let good = server(STARTTLS, tls(leaf())).await;
    let (busy, slow) = (server(BUSY, Options::default()).await, server(SLOW, Options::default()).await);
    let shut = refused_port().await.port();
    let targets = target("good", good.address().port(), "start")
        + &target("busy", busy.address().port(), "plain")
        + &target("slow", slow.address().port(), "plain")
        + &target("shut", shut, "plain");
    let exporter = Exporter::start(&config(&yaml(&targets))).await;
    wait_for_all_but(&exporter, 1).await;
    let list = page(&exporter, "/").await;
    shows(
        &list,
        &["2 of 4 endpoints failed", "✓ ok", "✗ failed", "… pending", "not probed yet", "4 endpoints, failed first"],
    );
    shows(&list, &["rate_limited in banner: the server answered 421 4.7.0 busy", "The server turns us away for now"]);
    shows(&list, &["STARTTLS, TLS 1.3AUTH PLAIN LOGIN · 50 MiB", "90 days", "self signed", "never succeeded so far"]);
    assert!(list.body.contains("<tbody class=\"pending\">"));
    assert_eq!(order(&list), ["busy", "shut", "slow", "good"]);
    for (target, words) in [
        ("good", &["✓ ok", "AUTH PLAIN LOGIN", "52428800", "SHA-256", "CN=mail.example.org", "✓ metauthoffered"][..]),
        ("busy", &["✗ failed", "code 421, 4.7.0", "What to do: ", "S:421 4.7.0 busy", "Recent failures"]),
        ("slow", &["… pending", "none yet; the first takes place within the interval"]),
        ("shut", &["refused in connect: the connection was refused.", "Nothing was said."]),
    ] {
        let one = page(&exporter, &format!("/endpoint/{}", id(&exporter, target))).await;
        shows(&one, words);
        shows(&one, &["target ", "module ", "team blue", "Repeat it", "--config.file mail.yml --transcript"]);
        shows(&one, &[&format!("curl -s http://test/api/v1/endpoints/{}", id(&exporter, target))]);
    }
    exporter.stop().await;
}

#[tokio::test]
async fn an_offer_of_starttls_that_was_overwritten_is_told_from_none() {
    let server =
        server("S: 220 mx\nC: EHLO x\nS: 250-mx\nS: 250 XXXXXXXA\nC: QUIT\nS: 221 bye\n*close", Options::default())
            .await;
    let exporter = exporter(&target("asa", server.address().port(), "plain")).await;
    let id = id(&exporter, "asa");
    shows(
        &page(&exporter, &format!("/endpoint/{id}")).await,
        &["no STARTTLS (a firewall has overwritten it with X), no AUTH"],
    );
    let smtp = json(&exporter, &format!("/api/v1/endpoints/{id}")).await["smtp"].take();
    assert_eq!((&smtp["starttls_offered"], &smtp["starttls_masked"]), (&false.into(), &true.into()));
    exporter.stop().await;
}

#[tokio::test]
async fn no_text_becomes_markup() {
    const CANARY: &str = "\"'><script>alert(1)</script>&lt;&";
    let banner =
        format!("S: 220 {CANARY}\nC: EHLO x\nS: 250-{CANARY}\nS: 250-{CANARY} {CANARY}\nS: 250-AUTH {CANARY}\n");
    let hostile = banner.clone()
        + &format!(
            "S: 250 STARTTLS\nC: STARTTLS\nS: 220 {CANARY}\n=== TLS\nC: EHLO x\nS: 250-mx\nS: 250 AUTH {CANARY}\n"
        )
        + &format!("C: QUIT\nS: 221 {CANARY}\n*close");
    let name = format!("{CANARY}\u{202e}\u{1}");
    let leaf = Leaf { common_name: name.clone(), dns: vec!["x".into()], ..leaf() };
    let failing = banner.replace("S: 220", "S: 554");
    let (good, bad) = (server(&hostile, tls(leaf)).await, server(&failing, Options::default()).await);
    let quoted = serde_json::to_string(&name).unwrap();
    let targets: String = [(good.address().port(), "start"), (bad.address().port(), "start")]
        .iter()
        .map(|(port, module)| {
            format!(
                "- {{name: {quoted}, host: 127.0.0.1, ports: [{{port: {port}, module: {module}}}], labels: {{l: {quoted}}}}}\n"
            )
        })
        .collect();
    let exporter = exporter(&targets).await;
    let ids: Vec<String> =
        exporter.store.snapshot().endpoints.iter().map(|one| one.endpoint.id().to_string()).collect();
    let search: String = CANARY.bytes().map(|b| format!("%{b:02x}")).collect();
    for path in
        ["/".to_owned(), format!("/?q={search}"), format!("/endpoint/{}", ids[0]), format!("/endpoint/{}", ids[1])]
    {
        let answer = page(&exporter, &path).await;
        assert!(!answer.body.to_lowercase().contains("<script"), "{path}");
        shows(&answer, &[CANARY]);
    }
    assert_eq!(page(&exporter, &format!("/?q={search}")).await.body.matches("<tbody").count(), 2);
    // JSON too: what is in quotes stays there.
    let all = json(&exporter, "/api/v1/endpoints").await;
    assert_eq!(all[0]["target"], name.as_str());
    assert_eq!(all[0]["labels"]["l"], name.as_str());
    exporter.stop().await;
}

#[tokio::test]
async fn a_client_cannot_put_its_host_header_on_the_page() {
    let exporter = exporter(&target("t", refused_port().await.port(), "plain")).await;
    for (host, shown) in [
        ("mail.example.org:8080", "mail.example.org:8080"),
        ("x\"><script>", "localhost:10125"),
        ("", "localhost:10125"),
    ] {
        let mut tcp = TcpStream::connect(exporter.address).await.unwrap();
        let request = format!("GET /endpoint/{} HTTP/1.0\r\nHost: {host}\r\n\r\n", id(&exporter, "t"));
        tcp.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        tcp.read_to_string(&mut answer).await.unwrap();
        let answer = Answer::of(&answer);
        check(&answer.body);
        shows(&answer, &[&format!("curl -s http://{shown}/api/v1/endpoints/")]);
    }
    exporter.stop().await;
}

/// What `base64` means, from its end to its beginning.
fn from_base64(text: &str) -> Vec<u8> {
    let value = |b: u8| match b {
        b'A'..=b'Z' => b - b'A',
        b'a'..=b'z' => b - b'a' + 26,
        b'0'..=b'9' => b - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let bits: Vec<u8> =
        text.trim_end_matches('=').bytes().flat_map(|b| (0..6).rev().map(move |i| value(b) >> i & 1)).collect();
    bits.chunks_exact(8).map(|byte| byte.iter().fold(0, |all, bit| all << 1 | bit)).collect()
}

#[tokio::test]
async fn the_pages_allow_their_own_style_and_nothing_else() {
    let exporter = exporter(&target("t", refused_port().await.port(), "plain")).await;
    for (path, status) in [("/", 200), (&format!("/endpoint/{}", id(&exporter, "t")), 200), ("/endpoint/0", 404)] {
        // With its case: the digest has one.
        let raw = support::request(exporter.address, "GET", path, "").await;
        let (head, body) = raw.split_once("\r\n\r\n").unwrap();
        assert_eq!(Answer::of(&raw).status, status);
        check(body);
        let header = |name: &str| {
            let line = head.lines().find(|line| line.to_lowercase().starts_with(&format!("{name}: ")));
            line.unwrap_or_else(|| panic!("no {name}")).split_once(": ").unwrap().1.to_owned()
        };
        let policy = header("content-security-policy");
        let directives: Vec<&str> = policy.split("; ").collect();
        assert_eq!(directives[0], "default-src 'none'");
        let digest = directives[1].strip_prefix("style-src 'sha256-").unwrap().strip_suffix('\'').unwrap();
        let style = body.split_once("<style>").unwrap().1.split_once("</style>").unwrap().0;
        let wanted = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, style.as_bytes());
        assert_eq!(from_base64(digest), wanted.as_ref());
        assert_eq!(
            directives[2..],
            ["img-src data:", "form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'"]
        );
        assert_eq!(header("x-content-type-options"), "nosniff");
        assert_eq!(header("x-frame-options"), "DENY");
        assert_eq!(header("referrer-policy"), "no-referrer");
        assert_eq!(header("cache-control"), "no-store");
        assert_eq!(header("content-type"), "text/html; charset=utf-8");
    }
    exporter.stop().await;
}

#[tokio::test]
async fn orders_filters_and_searches() {
    let now = SystemTime::now();
    let soon = Leaf { not_before: now - 81 * DAY, not_after: now + 9 * DAY, ..leaf() };
    let (a, b) = (server(STARTTLS, tls(leaf())).await, server(STARTTLS, tls(soon)).await);
    let c = server(&format!("*sleep 0.3\n{PLAIN}"), Options::default()).await;
    let targets = target("a", a.address().port(), "start")
        + &target("b", b.address().port(), "start")
        + &target("c", c.address().port(), "plain")
        + &target("d", refused_port().await.port(), "plain");
    let exporter = exporter(&targets).await;
    for (query, expected) in [
        ("", &["d", "a", "b", "c"][..]),
        ("?sort=-state", &["a", "b", "c", "d"]),
        ("?sort=target", &["a", "b", "c", "d"]),
        ("?sort=-target", &["d", "c", "b", "a"]),
        ("?sort=cert", &["b", "a", "c", "d"]),
        ("?sort=-cert", &["a", "b", "c", "d"]),
        ("?sort=success", &["d", "a", "b", "c"]),
        ("?filter=failed", &["d"]),
        ("?filter=ok&sort=target", &["a", "b", "c"]),
        ("?filter=pending", &[]),
        ("?filter=expiring", &["b"]),
        ("?filter=refused", &["d"]),
        ("?filter=timeout", &[]),
        ("?q=REFUSED+blue", &["d"]),
        ("?q=team%3Dblue&filter=ok&sort=-target", &["c", "b", "a"]),
        ("?q=tlsv1.3", &["a", "b"]),
        ("?q=nothing+like+it", &[]),
        ("?page=2", &[]),
    ] {
        assert_eq!(order(&page(&exporter, &format!("/{query}")).await), expected, "{query}");
    }
    assert_eq!(order(&page(&exporter, "/?sort=duration").await)[0], "c");
    let list = page(&exporter, "/?sort=-cert&q=b%26c&filter=ok&refresh=30").await;
    assert!(list.body.contains(
        "<th scope=\"col\" aria-sort=\"descending\"><a href=\"?sort=cert&amp;filter=ok&amp;q=b%26c&amp;refresh=30\">"
    ));
    assert!(list.body.contains("<meta http-equiv=\"refresh\" content=\"30\"/>"));
    assert!(list.body.contains("<input type=\"search\" name=\"q\" maxlength=\"200\""));
    assert!(list.body.contains("<option value=\"-cert\" selected=\"selected\">"));
    shows(&list, &["None of 4 endpoints matches", "Show all"]);
    exporter.stop().await;
}

#[tokio::test]
async fn a_bad_request_is_told_why_in_one_line() {
    let exporter = exporter(&target("t", refused_port().await.port(), "plain")).await;
    let known = format!("/api/v1/endpoints/{}", id(&exporter, "t"));
    for (method, path, status) in [
        ("GET", "/?sort=name", 400),
        ("GET", "/?filter=bad", 400),
        ("GET", "/?page=0", 400),
        ("GET", "/?filer=failed", 400),
        ("GET", "/?q=%zz", 400),
        ("GET", "/?q=a&q=b", 400),
        ("GET", "/api/v1/endpoints?filter=failed", 400),
        ("GET", &format!("{known}?x"), 400),
        ("GET", "/endpoint/0123456789abcdef", 404),
        ("GET", "/endpoint/", 404),
        ("GET", "/endpoint/a/b", 404),
        ("GET", "/api/v1/endpoints/0123456789abcdef", 404),
        ("GET", "/api/v1/endpoints/%22%3Cscript%3E", 404),
        ("GET", "/api/v1", 404),
        ("POST", "/", 405),
        ("POST", "/endpoint/0", 405),
        ("PUT", "/api/v1/endpoints", 405),
        ("DELETE", &known, 405),
        ("HEAD", "/", 200),
        ("HEAD", &known, 200),
    ] {
        let answer = exporter.request(method, path, "").await;
        assert_eq!(answer.status, status, "{method} {path}");
        match status {
            404 if path.starts_with("/endpoint/") && !path.ends_with('b') => check(&answer.body),
            400 | 404 if path.starts_with("/api/v1/endpoints") => {
                let error: Value = serde_json::from_str(&answer.body).unwrap();
                assert!(!error["error"].as_str().unwrap().contains('\n'));
                assert!(answer.head.contains("content-type: application/json"));
            }
            405 => assert!(answer.head.contains("allow: get, head")),
            400 => assert!(
                answer.body.starts_with("400: `")
                    || answer.body.starts_with("400: \"")
                    || answer.body.starts_with("400: known"),
                "{}",
                answer.body
            ),
            _ => {}
        }
    }
    exporter.stop().await;
}

/// The contract's fields of an outcome, in its order.
const OUTCOME: [&str; 20] = [
    "target",
    "host",
    "port",
    "address",
    "module",
    "protocol",
    "security",
    "success",
    "started",
    "duration_seconds",
    "port_state",
    "light",
    "tls_seen",
    "phases",
    "failure",
    "expectations",
    "smtp",
    "tls",
    "certificate",
    "chain",
];

const OF_ENDPOINT: [&str; 9] = [
    "id",
    "interval_seconds",
    "current_interval_seconds",
    "labels",
    "attempts",
    "retries",
    "failed_attempts",
    "last_success",
    "certificate_changed",
];

fn fields(value: &Value) -> BTreeSet<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[tokio::test]
async fn the_api_has_the_shapes_of_the_contract() {
    let (good, slow) = (server(STARTTLS, tls(leaf())).await, server(SLOW, Options::default()).await);
    let targets = target("good", good.address().port(), "start") + &target("slow", slow.address().port(), "plain");
    let exporter = Exporter::start(&config(&yaml(&targets))).await;
    wait_for_all_but(&exporter, 1).await;
    let all = json(&exporter, "/api/v1/endpoints").await;
    let listed: BTreeSet<&str> = OUTCOME.into_iter().chain(OF_ENDPOINT).collect();
    assert_eq!((fields(&all[0]), fields(&all[1])), (listed.clone(), listed.clone()));
    let (good, slow) = (&all[0], &all[1]);
    assert_eq!(good["id"], id(&exporter, "good").as_str());
    assert_eq!((&good["interval_seconds"], &good["labels"]["team"]), (&0.3.into(), &"blue".into()));
    assert_eq!((&good["success"], &good["port_state"]), (&true.into(), &"open".into()));
    assert!(good["attempts"].as_u64() >= Some(1) && good["failed_attempts"] == 0);
    assert!(good["last_success"].as_str().unwrap().ends_with('Z'));
    assert_eq!(good["smtp"]["auth"]["tls"], serde_json::json!(["PLAIN", "LOGIN"]));
    assert_eq!(good["certificate"]["invalid_reasons"], serde_json::json!(["certificate_self_signed"]));
    for unknown in &OUTCOME[7..] {
        assert_eq!(slow[unknown], Value::Null, "{unknown}");
    }
    assert_eq!((&slow["target"], &slow["attempts"], &slow["last_success"]), (&"slow".into(), &0.into(), &Value::Null));

    let one = json(&exporter, &format!("/api/v1/endpoints/{}", id(&exporter, "good"))).await;
    let detail: BTreeSet<&str> = listed.iter().copied().chain(["transcript", "recent_failures"]).collect();
    assert_eq!(fields(&one), detail);
    let lines = one["transcript"].as_array().unwrap();
    assert!(lines.iter().any(|line| line["from"] == "client" && line["text"] == "EHLO probe.example.org"));
    assert_eq!(one["recent_failures"], serde_json::json!([]));
    let one = json(&exporter, &format!("/api/v1/endpoints/{}", id(&exporter, "slow"))).await;
    assert_eq!(one["recent_failures"], serde_json::json!([]));
    assert_eq!(one.get("transcript"), None);
    exporter.stop().await;
}

#[tokio::test]
async fn failures_are_remembered_after_a_recovery() {
    let server = server(BUSY, Options::default()).await;
    let exporter = exporter(&target("t", server.address().port(), "plain")).await;
    server.change(Script::of(PLAIN), None);
    sleep(Duration::from_millis(900)).await;
    let path = format!("/endpoint/{}", id(&exporter, "t"));
    let one = page(&exporter, &path).await;
    shows(
        &one,
        &[
            "✓ ok",
            "Recent failures",
            "rate_limited in banner, ",
            "421 4.7.0 busy",
            "Failures so far",
            "250 SIZE 10240000",
        ],
    );
    let list = page(&exporter, "/").await;
    shows(&list, &["The endpoint is ok"]);
    let one = json(&exporter, &format!("/api/v1{}", path.replace("endpoint", "endpoints"))).await;
    let failures = one["recent_failures"].as_array().unwrap();
    assert_eq!(failures[0]["failure"]["reason"], "rate_limited");
    assert_eq!(failures[0]["port_state"], Value::Null);
    assert!(failures[0]["transcript"].as_array().unwrap().iter().any(|line| line["text"] == "421 4.7.0 busy"));
    assert_eq!(one["success"], true);
    exporter.stop().await;
}

#[tokio::test]
async fn what_no_single_endpoint_can_tell_stands_on_top() {
    let open = server(PLAIN, Options::default()).await;
    let shut = refused_port().await.port();
    let targets = target("one", open.address().port(), "plain")
        + &target("one-shut", shut, "plain")
        + &target("two-shut", shut, "plain").replace("127.0.0.1", "127.0.0.2");
    let exporter = exporter(&targets).await;
    let list = page(&exporter, "/").await;
    shows(&list, &[&format!("Port {shut} is blocked on our side"), "egress blocked"]);
    let link = format!("?q=egress_blocked%20%3A{shut}");
    assert!(list.body.contains(&link), "{link}");
    assert_eq!(order(&page(&exporter, &format!("/{link}")).await), ["one-shut", "two-shut"]);
    assert!(!text(&list.body).contains("The configuration has errors"));
    exporter.store.config_loaded(None);
    shows(&page(&exporter, "/").await, &["The configuration has errors"]);
    exporter.stop().await;
}

#[tokio::test]
async fn a_long_list_has_pages() {
    let shut = refused_port().await.port();
    let targets: String = (0..620).map(|number| target(&format!("t{number:03}"), shut, "plain")).collect();
    let yaml = yaml(&targets).replace("interval: 300ms", "interval: 1h");
    let exporter = Exporter::start(&config(&yaml)).await;
    let first = page(&exporter, "/?sort=target").await;
    shows(&first, &["1–500 of 620 endpoints, by target"]);
    assert_eq!((order(&first).len(), order(&first)[499]), (500, "t499"));
    assert!(first.body.contains("<a href=\"?sort=target&amp;page=2\">2</a>"));
    let second = page(&exporter, "/?sort=target&page=2").await;
    shows(&second, &["501–620 of 620 endpoints"]);
    assert_eq!((order(&second).len(), order(&second)[0]), (120, "t500"));
    shows(&page(&exporter, "/?page=9").await, &["There is no page 9"]);
    exporter.stop().await;
}

#[tokio::test]
async fn links_work_under_a_prefix() {
    let config = config(&yaml(&target("t", refused_port().await.port(), "plain")));
    let app = mail_endpoint_exporter::app::App::with_resolver(&config, None, support::no_names());
    let exporter = Exporter::start_with(app.with_route_prefix("/mail")).await;
    exporter.first_round().await;
    let list = page(&exporter, "/mail/").await;
    let links = |page: &Answer| -> BTreeSet<String> {
        let all = tags(&page.body).into_iter().filter(|tag| tag.starts_with("a ")).flat_map(attributes);
        all.filter(|(name, _)| *name == "href").map(|(_, to)| to.replace("&amp;", "&")).collect()
    };
    let mut seen = 0;
    for link in links(&list) {
        assert_eq!(exporter.get(&format!("/mail/{}", link.trim_start_matches("./"))).await.status, 200, "{link}");
        seen += 1;
    }
    let path = format!("/mail/endpoint/{}", id(&exporter, "t"));
    let one = page(&exporter, &path).await;
    for link in links(&one) {
        let below = link.strip_prefix("../").unwrap();
        assert_eq!(exporter.get(&format!("/mail/{below}")).await.status, 200, "{link}");
        seen += 1;
    }
    shows(&one, &["curl -s http://test/mail/api/v1/endpoints/"]);
    assert!(seen > 10);
    exporter.stop().await;
}

#[tokio::test]
async fn nothing_configured_is_a_page_too() {
    let exporter = exporter(" []").await;
    shows(&page(&exporter, "/").await, &["No endpoints", "Nothing is probed"]);
    assert_eq!(json(&exporter, "/api/v1/endpoints").await, serde_json::json!([]));
    exporter.stop().await;
}

/// WCAG 2.1, relative luminance.
fn luminance(colour: &str) -> f64 {
    let part = |at: usize| f64::from(u8::from_str_radix(&colour[at..at + 2], 16).unwrap()) / 255.0;
    let linear = |c: f64| if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) };
    0.2126 * linear(part(1)) + 0.7152 * linear(part(3)) + 0.0722 * linear(part(5))
}

/// WCAG 2.1 §1.4.3 wants a contrast of 4.5 between text and ground.
#[test]
fn every_text_can_be_read_light_and_dark() {
    let style = include_str!("../src/export/html/style.css");
    let schemes: Vec<&str> = style.split(":root {").skip(1).map(|rest| rest.split('}').next().unwrap()).collect();
    assert_eq!(schemes.len(), 2);
    for scheme in schemes {
        let colour = |name: &str| {
            let value = scheme.split_once(&format!("--{name}: ")).unwrap_or_else(|| panic!("no {name}")).1;
            luminance(&value[..7])
        };
        for text in ["text", "muted", "link", "good", "warn", "bad"] {
            for ground in ["page", "card", "hover", "soft", "good-soft", "bad-soft"] {
                let own_badge = ground.split('-').next() == Some(text);
                if ground.ends_with("-soft") && !own_badge || ground == "soft" && text != "muted" {
                    continue;
                }
                let (a, b) = (colour(text), colour(ground));
                let contrast = (a.max(b) + 0.05) / (a.min(b) + 0.05);
                assert!(contrast >= 4.5, "{text} on {ground}: {contrast:.2}");
            }
        }
    }
}

#[tokio::test]
async fn pages_are_compressed_for_those_who_take_it() {
    let exporter = exporter(&target("t", refused_port().await.port(), "plain")).await;
    for path in ["/", "/api/v1/endpoints"] {
        let mut tcp = TcpStream::connect(exporter.address).await.unwrap();
        let request = format!("GET {path} HTTP/1.0\r\nHost: test\r\nAccept-Encoding: gzip, br\r\n\r\n");
        tcp.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        tcp.read_to_end(&mut answer).await.unwrap();
        let head_end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
        let head = String::from_utf8_lossy(&answer[..head_end]).to_lowercase();
        assert!(head.contains("content-encoding: gzip") && head.contains("nosniff"), "{head}");
        assert_eq!(answer[head_end + 4..head_end + 6], [0x1f, 0x8b], "{path}");
    }
    exporter.stop().await;
}
