//! Configurations as texts, and what comes of them.

use super::*;
use crate::endpoint::{AuthExpectation, Security};

fn load(text: &str) -> Result<Config, Vec<String>> {
    let dir =
        std::env::temp_dir().join(format!("mail-config-{}-{:?}", std::process::id(), std::thread::current().id()));
    std::fs::create_dir_all(dir.join("targets")).unwrap();
    std::fs::write(dir.join("targets/one.yml"), "- host: file.example\n  ports: [25]\n").unwrap();
    std::fs::write(
        dir.join("targets/sd.json"),
        r#"[{"targets": ["sd.example:587", "[::1]:25"], "labels": {"site": "x", "__meta": "y"}}]"#,
    )
    .unwrap();
    let path = dir.join("mail.yml");
    std::fs::write(&path, text).unwrap();
    let strip = |problem: &Problem| problem.to_string().replace(&format!("{}/", dir.display()), "");
    let result = Config::load(&path).map_err(|problems| problems.iter().map(strip).collect());
    std::fs::remove_dir_all(&dir).unwrap();
    result
}

fn endpoints(text: &str) -> Vec<String> {
    let config = load(text).unwrap_or_else(|problems| panic!("{problems:#?}"));
    config.endpoints.iter().map(|e| format!("{} {} {}", e.target, e.host_and_port(), e.module.name)).collect()
}

fn problems(text: &str) -> Vec<String> {
    load(text).expect_err("problems")
}

#[test]
fn ports_choose_their_modules() {
    let text = "targets: [{name: a, host: MX.example., ports: [25, 465, 587, 588, 2525, 2587, 2465]}]";
    let modules: Vec<String> = endpoints(text).iter().map(|e| e.split(' ').next_back().unwrap().to_owned()).collect();
    assert_eq!(modules.join(" "), "smtp submissions submission submission submission submission submissions");
    assert_eq!(
        endpoints("targets: [{host: '::1', ports: [{port: 10587, module: submission}]}]"),
        ["::1 [::1]:10587 submission"]
    );
}

#[test]
fn files_add_targets() {
    let mut found = endpoints("target_files: [targets/*]");
    found.sort();
    assert_eq!(
        found,
        ["::1 [::1]:25 smtp", "file.example file.example:25 smtp", "sd.example sd.example:587 submission"]
    );
}

#[test]
fn a_module_overrides_only_what_it_names() {
    let config = load(
        "modules:\n  submission: {timeout: 5s, expect: {auth: [plain, LOGIN], tls_min: 1.3}}\n  odd: {security: tls}\n",
    )
    .unwrap();
    let submission = config.modules.get("submission").unwrap();
    assert_eq!(submission.timeout, Duration::from_secs(5));
    assert_eq!(submission.security, Security::StartTls);
    assert_eq!(submission.expect.auth, AuthExpectation::Mechanisms(vec!["PLAIN".into(), "LOGIN".into()]));
    assert!(submission.expect.certificate_valid);
    assert!(config.modules.get("odd").unwrap().expect.certificate_valid);
}

#[test]
fn every_problem_is_reported_with_its_place_and_its_cure() {
    let text = "interval: 60
interval: 5M
ehlo_name: localhost
modules:
  submission:
    timout: 5s
    expect: {certificate: vaild}
  odd: {ca_file: none.pem}
targets:
  - host: mx example
    ports: [25, 99999, 10587, {port: 26, module: nope}]
    labels: {port: x, good: y}
  - host: mx.example
    ports: [25, 25]
  - name: x
targt: 1
";
    let expected = [
        "mail.yml:2:1: interval: this key stands twice: remove one of them",
        "mail.yml:1:11: interval: \"60\" is no duration: write a number with a unit, such as 60s, 500ms or 5m",
        "mail.yml:3:12: ehlo_name: \"localhost\" is no fully qualified host name: write one with a dot, such as probe.example.org, or an address literal such as [192.0.2.1]",
        "mail.yml:7:27: modules.submission.expect.certificate: \"vaild\" is not known here: write valid, any (did you mean valid?)",
        "mail.yml:6:5: modules.submission.timout: unknown key: did you mean `timeout`?",
        "mail.yml:8:8: modules.odd: `security` is missing: write `security: starttls`",
    ];
    let found = problems(text);
    assert_eq!(found[..6], expected, "{found:#?}");
    let rest = found[6..].join("\n");
    for part in [
        "modules.odd.ca_file: none.pem cannot be read",
        "mail.yml:10:11: targets[0].host: \"mx example\" is no host name or address",
        "mail.yml:12:20: targets[0].labels.port: the label \"port\" has a meaning of its own",
        "mail.yml:14:17: targets[1].ports[1]: mx.example:25 of target \"mx.example\" stands twice",
        "targets[2]: `host` is missing: write `host: smtp.example.org`",
        "targets[2]: `ports` is missing",
        "mail.yml:16:1: targt: unknown key: did you mean `targets`?",
    ] {
        assert!(rest.contains(part), "{part}\n{rest}");
    }
}

#[test]
fn a_name_that_tls_cannot_ask_for_is_a_problem_at_its_place() {
    let text = "\
modules:
  m: {security: tls, server_name: foo.123}
targets:
  - {host: foo.0x1, ports: [25]}
  - {domain: example.0}
";
    let found = problems(text);
    let places = [
        "mail.yml:2:35: modules.m.server_name: \"foo.123\"",
        "mail.yml:4:12: targets[0].host: \"foo.0x1\"",
        "mail.yml:5:14: targets[1].domain: \"example.0\"",
    ];
    assert_eq!(found.len(), places.len(), "{found:#?}");
    for (problem, place) in found.iter().zip(places) {
        assert!(problem.starts_with(place) && problem.contains("it ends in a number"), "{problem}");
    }
}

#[test]
fn old_tls_can_be_refused_only_where_there_is_tls() {
    let module = |rest: &str| format!("modules:\n  m: {{{rest}}}\n");
    let config = load(&module("security: opportunistic, expect: {old_tls: refused}")).unwrap();
    assert!(config.modules.get("m").unwrap().expect.no_old_tls);
    for name in ["smtp", "submission", "submissions"] {
        assert!(!config.modules.get(name).unwrap().expect.no_old_tls, "one more connection is asked for, not given");
    }
    for (rest, expected) in [
        ("security: plain, expect: {old_tls: refused}", "modules.m.expect.old_tls: `security: plain` has no TLS"),
        (
            "security: tls, expect: {old_tls: absent}",
            "modules.m.expect.old_tls: \"absent\" is not known here: write refused, any",
        ),
    ] {
        let found = problems(&module(rest));
        assert!(found.len() == 1 && found[0].contains(expected), "{found:?}");
    }
    assert!(load(&module("security: plain, expect: {old_tls: any}")).is_ok());
}

#[test]
fn what_could_never_be_probed_or_shown_is_a_problem() {
    let of = |keys: &str| {
        let found = load(&format!(
            "modules: {{six: {{security: plain, source_address: '2001:db8::1'}}}}\ntargets: [{{{keys}, ports: [25]}}]"
        ));
        found.map_or_else(|problems| problems.join("\n"), |_| String::new())
    };
    for (keys, expected) in [
        ("host: 192.0.2.1, family: ipv6", "`family` leaves nothing of 192.0.2.1"),
        ("host: '2001:db8::2', family: ipv4, addresses: all", "`family` leaves nothing of 2001:db8::2"),
        ("host: 192.0.2.1, family: ipv4", ""),
        ("host: 192.0.2.1, module: six", "192.0.2.1 cannot be reached from the `source_address` 2001:db8::1"),
        ("host: 'fe80::1%lo', module: six", ""),
        ("host: mx.example, name: ''", "name: the name is empty"),
        (
            "host: mx.example, labels: {__name__: x}",
            "labels.__name__: the label \"__name__\" begins with two underscores",
        ),
    ] {
        let found = of(keys);
        assert!(found.contains(expected) && found.is_empty() == expected.is_empty(), "{keys}: {found}");
    }
    let group = "targets: [{targets: ['mx.example:25'], labels: {__meta_x: y, site: z}}]";
    assert_eq!(
        load(group).unwrap().endpoints[0].labels.keys().collect::<Vec<_>>(),
        ["site"],
        "as Prometheus drops them"
    );
}

#[test]
fn ports_are_checked_one_by_one() {
    let found =
        problems("targets:\n  - host: mx.example\n    ports: [0, 10587, {port: 26, module: nope}]\n").join("\n");
    for part in ["\"0\" is no port", "port 10587 has no module of its own", "there is no module \"nope\""] {
        assert!(found.contains(part), "{found}");
    }
}

#[test]
fn months_are_out_of_bounds() {
    assert!(problems("interval: 5M\n")[0].contains("write a duration from 100ms to 1day"));
}

#[test]
fn an_empty_file_is_a_configuration_without_targets() {
    assert_eq!(load("").unwrap().warnings.last().unwrap(), "no target is configured: nothing is probed");
}

#[test]
fn a_certificate_file_is_read_when_it_is_named_and_nothing_of_it_is_told() {
    let secret = "c2VjcmV0IHNlY3JldCBzZWNyZXQ=";
    let dir = std::env::temp_dir().join(format!("mail-certificate-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let named = |name: &str| dir.join(name).display().to_string();
    std::fs::write(named("key.pem"), format!("-----BEGIN PRIVATE KEY-----\n{secret}\n-----END PRIVATE KEY-----\n"))
        .unwrap();
    std::fs::write(named("large.pem"), vec![b'#'; 1024 * 1024 + 1]).unwrap();
    let text = |name: &str| {
        format!("targets:\n  - {{host: a.example, ports: [25, 465], certificate_file: '{}'}}\n", named(name))
    };
    for (name, expected) in [
        ("none.pem", "none.pem cannot be read: No such file or directory"),
        ("", "is no regular file: name the PEM file that the mail server loads"),
        ("large.pem", "large.pem is larger than 1 MiB"),
        ("key.pem", "key.pem cannot be used: it has no readable certificate (-----BEGIN CERTIFICATE-----)"),
    ] {
        let found = problems(&text(name));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("mail.yml:2:") && found[0].contains("targets[0].certificate_file: "), "{found:?}");
        assert!(found[0].contains(expected) && !found[0].contains("c2Vj"), "{found:?}");
    }
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn a_domain_is_searched_for_and_probed_on_25() {
    let config =
        load("targets: [{domain: Example.org}, {domain: b.example, ports: [25, 587], addresses: all}]").unwrap();
    let found: Vec<String> = config.searches.iter().map(|search| search.blueprint().host_and_port()).collect();
    assert_eq!(found, ["example.org:25", "b.example:25", "b.example:587"]);
    assert!(config.endpoints.is_empty() && config.warnings.iter().all(|warning| !warning.contains("no target")));
    for (text, expected) in [
        ("targets: [{domain: 192.0.2.1}]", "192.0.2.1 is no domain: write `host: 192.0.2.1`"),
        ("targets: [{domain: a.example, host: mx.a.example}]", "`host` stands here too"),
        ("targets: [{domain: a.example}, {domain: a.example}]", "stands twice"),
        ("targets: [{domain: a.example, ports: [26]}]", "port 26 has no module of its own"),
    ] {
        let problems = problems(text);
        assert!(problems.len() == 1 && problems[0].contains(expected), "{text}: {problems:?}");
    }
}

#[test]
fn a_domain_is_searched_for_submission_servers_where_srv_says_so() {
    let text = "targets: [{domain: a.example, srv: true, addresses: all}, {domain: b.example, mx: false, srv: true}]";
    let found: Vec<String> = load(text)
        .unwrap()
        .searches
        .iter()
        .map(|search| match search {
            Search::Services(services) => {
                let [tls, starttls] = [&services.submissions, &services.submission];
                let modules = format!("{} {}", tls.module.name, starttls.module.name);
                assert_eq!((tls.port, starttls.port, modules.as_str()), (465, 587, "submissions submission"));
                format!("srv {} {}", tls.host, services.every_address)
            }
            other => format!("mx {}", other.blueprint().host_and_port()),
        })
        .collect();
    assert_eq!(found, ["srv a.example true", "mx a.example:25", "srv b.example false"]);
    let secret = "modules: {submission: {mail: {from: <>, to: a@b.example}}}\n";
    assert!(load(&format!("{secret}targets: [{{domain: a.example, srv: true}}]")).is_ok(), "no secret is in a mail");
    for (text, expected) in [
        ("targets: [{host: a.example, ports: [25], srv: true}]", "`srv` asks for the records of a domain"),
        ("targets: [{host: a.example, ports: [25], mx: true}]", "`mx` asks for the records of a domain"),
        ("targets: [{domain: a.example, srv: yes}]", "\"yes\" is not known here: write true, false"),
        ("targets: [{domain: a.example, mx: false}]", "without MX and SRV nothing of the domain is left"),
        ("targets: [{domain: a.example, mx: false, srv: true, ports: [25]}]", "the SRV records name the ports"),
        ("targets: [{domain: a.example, mx: false, srv: true, module: smtp}]", "with the modules submissions and"),
        (
            "targets: [{domain: a.example, mx: false, srv: true}, {domain: a.example, mx: false, srv: true}]",
            "`srv` of a.example of target \"a.example\" stands twice",
        ),
        ("targets: [{name: n, domain: a.example}, {name: n, domain: b.example}]", "are both named \"n\""),
    ] {
        let problems = problems(text);
        assert!(problems.len() == 1 && problems[0].contains(expected), "{text}: {problems:?}");
    }
    let told_apart = "targets: [{name: n, domain: a.example, labels: {d: a}}, {name: n, domain: b.example}]";
    assert!(load(told_apart).is_ok());
}

#[test]
fn a_link_local_address_says_on_which_link() {
    let text = "targets: [{host: 'fe80::1%eth0', ports: [25], addresses: all}, {targets: ['[fe80::2%3]:25']}]";
    let config = load(text).unwrap();
    let found = config.endpoints.iter().map(|endpoint| endpoint.host_and_port());
    let searched = config.searches.iter().map(|search| search.blueprint().host_and_port());
    assert_eq!(searched.chain(found).collect::<Vec<_>>(), ["[fe80::1%eth0]:25", "[fe80::2%3]:25"]);
    for (text, expected) in [
        ("targets: [{host: 'fe80::1', ports: [25]}]", "write which is meant, as in fe80::1%eth0"),
        ("targets: [{targets: ['[fe80::1]:25']}]", "write which is meant, as in fe80::1%eth0"),
        ("targets: [{host: '2001:db8::1%eth0', ports: [25]}]", "write 2001:db8::1 without %eth0"),
        ("targets: [{domain: 'fe80::1%eth0'}]", "fe80::1%eth0 is no domain: write `host: fe80::1%eth0`"),
        (
            "modules: {smtp: {proxy: 'socks5://proxy.example:1080'}}\ntargets: [{host: 'fe80::1%eth0', ports: [25]}]",
            "no proxy reaches it: name a module without `proxy`",
        ),
    ] {
        let problems = problems(text);
        assert!(problems.len() == 1 && problems[0].contains(expected), "{text}: {problems:?}");
    }
}
