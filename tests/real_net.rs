//! The verdict on ports, in a network that is really cut: what a firewall, a router or a dead host does to a
//! connection must come out as the right state of the port, after one round of probes.
//!
//! `tests/real.sh` makes the network (`tests/real/net.sh` draws it) and runs these tests; `REAL_DIR` names the folder
//! whose `env` has the names of its namespaces. `--nocapture` shows what was cut, the states that came of it, and how
//! long they took to know.

#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "the table is shown as well as checked")]

mod lab;
mod support;

use std::collections::HashMap;
use std::io::Read as _;
use std::net::{Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use lab::{Options, Script, Server};
use serde_json::Value;
use support::rig::Rig;
use support::{Answer, file};

const PORTS: [u16; 4] = [25, 465, 587, 2525];
const IPV4: [&str; 3] = ["192.0.2.11", "192.0.2.27", "192.0.2.43"];
const IPV6: [&str; 3] = ["2001:db8:1::25", "2001:db8:2::25", "2001:db8:3::25"];

const CONFIG: &str = "ehlo_name: probe.example.org\ninterval: 3s\nmodules: {clear: {security: plain, timeout: 2s}}\n";
const PLAIN: &str = "S: 220 mx ESMTP\nC: EHLO x\nS: 250-mx\nS: 250 SIZE 1000\nC: QUIT\nS: 221 bye\n*close";

/// The ways in which a firewall may stop a connection, and whether that looks like a port without a server.
const WAYS: [(&str, bool); 5] = [
    ("drop", false),
    ("reject with icmpx admin-prohibited", false),
    ("reject with icmpx host-unreachable", false),
    ("reject with icmpx port-unreachable", true),
    ("reject with tcp reset", true),
];

/// What a firewall in the router may stop, and the states of the ports 25, 465, 587 and 2525 of each host: `+` open,
/// `F`iltered, `U`nreachable, `E`gress blocked, `R`efused, `?` unknown. `S` is what stands here for `F` or, where it
/// looks like a port without a server, for `R`; `D` the same for `U`.
const SCOPES: [(&str, &str, &str); 5] = [
    ("25 of all", "tcp dport 25", "E+++ E+++ E+++"),
    ("25 of one host", "oifname host1 tcp dport 25", "S+++ ++++ ++++"),
    ("587 of one host", "oifname host1 tcp dport 587", "++S+ ++++ ++++"),
    ("one host", "oifname host1 meta l4proto tcp", "DDDD ++++ ++++"),
    ("everything", "meta l4proto tcp", "DDDD DDDD DDDD"),
];

/// What else may happen: how to bring it about, how to undo it, and the states (in IPv6 too, if they differ).
const EVENTS: &[(&str, &str, &str, &str)] = &[
    (
        "the link of a host is down",
        "ip -n $NET_HOST1 link set eth down",
        "ip -n $NET_HOST1 link set eth up
         ip -n $NET_HOST1 route replace default via 192.0.2.1
         ip -n $NET_HOST1 route replace default via 2001:db8:1::1",
        "UUUU ++++ ++++",
    ),
    (
        "a host has lost its addresses: nobody answers ARP and ND",
        "ip -n $NET_HOST1 address flush dev eth scope global; ip -n $NET_ROUTER neighbour flush dev host1",
        "ip -n $NET_HOST1 address add 192.0.2.11/28 dev eth
         ip -n $NET_HOST1 address add 2001:db8:1::25/64 dev eth
         ip -n $NET_HOST1 route replace default via 192.0.2.1
         ip -n $NET_HOST1 route replace default via 2001:db8:1::1
         ip -n $NET_ROUTER neighbour flush dev host1",
        "UUUU ++++ ++++",
    ),
    (
        "the router has no link to a host",
        "ip -n $NET_ROUTER link set host1 down",
        "ip -n $NET_ROUTER link set host1 up",
        "UUUU ++++ ++++",
    ),
    (
        "the router must not forward to a host (route prohibit)",
        "ip -n $NET_ROUTER route add prohibit 192.0.2.11; ip -n $NET_ROUTER -6 route add prohibit 2001:db8:1::25",
        "ip -n $NET_ROUTER route del prohibit 192.0.2.11; ip -n $NET_ROUTER -6 route del prohibit 2001:db8:1::25",
        "UUUU ++++ ++++",
    ),
    (
        "our own route to a host is prohibited",
        "ip -n $NET_CLIENT route add prohibit 192.0.2.11; ip -n $NET_CLIENT -6 route add prohibit 2001:db8:1::25",
        "ip -n $NET_CLIENT route del prohibit 192.0.2.11; ip -n $NET_CLIENT -6 route del prohibit 2001:db8:1::25",
        // IPv6 does not tell it from a firewall that rejects.
        "???? ++++ ++++ / UUUU ++++ ++++",
    ),
    (
        "our own link is down",
        "ip -n $NET_CLIENT link set eth down",
        "ip -n $NET_CLIENT link set eth up
         ip -n $NET_CLIENT route replace default via 198.51.100.1
         ip -n $NET_CLIENT route replace default via 2001:db8:c::1",
        "UUUU UUUU UUUU",
    ),
];

/// The network, with servers on all ports of all hosts.
struct Net {
    env: HashMap<String, String>,
    config: PathBuf,
    hosts: Vec<Child>,
}

impl Net {
    fn start() -> Self {
        let mut net = Self { env: Rig::new().env, config: file("mail.yml", CONFIG), hosts: Vec::new() };
        let this_test = std::env::current_exe().unwrap();
        for place in ["NET_HOST1", "NET_HOST2", "NET_HOST3"] {
            let mut host = net.inside(place, &this_test);
            host.args(["--exact", "a_host_has_servers_on_all_ports", "--ignored"]).env(IS_HOST, "yes");
            net.hosts.push(host.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap());
        }
        net.no_firewalls();
        net.heal();
        net
    }

    /// A program in one of the namespaces.
    fn inside(&self, place: &str, program: &Path) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.env[place]]).arg(program).stdin(Stdio::null()).env("NO_COLOR", "1");
        command
    }

    /// What `probe` prints.
    fn probe(&self, hosts: &[&str], more: &[&str]) -> String {
        let mut probe = self.inside("NET_CLIENT", Path::new(env!("CARGO_BIN_EXE_mail_endpoint_exporter")));
        probe.args(["probe", "--module", "clear", "--config.file"]).arg(&self.config).args(more).args(hosts);
        String::from_utf8(probe.output().unwrap().stdout).unwrap()
    }

    /// The states of all ports, and how long it took to know them.
    fn states(&self, hosts: [&str; 3]) -> (String, Duration) {
        let began = Instant::now();
        let out = self.probe(&hosts, &["--output", "json"]);
        let took = began.elapsed();
        let outcomes: Vec<Value> = serde_json::from_str(&out).unwrap();
        assert_eq!(outcomes.len(), hosts.len() * PORTS.len());
        let states: Vec<&str> = outcomes.iter().map(|outcome| outcome["port_state"].as_str().unwrap()).collect();
        (in_letters(&states), took)
    }

    /// Both families, at one time.
    fn both(&self) -> [(String, Duration); 2] {
        std::thread::scope(|scope| {
            let [ipv4, ipv6] = [IPV4, IPV6].map(|hosts| scope.spawn(move || self.states(hosts)));
            [ipv4.join().unwrap(), ipv6.join().unwrap()]
        })
    }

    /// Waits until everything is open: servers start, and links and neighbours need a moment.
    fn heal(&self) {
        let began = Instant::now();
        loop {
            let states = self.both().map(|(states, _)| states);
            if states.iter().all(|states| states == "++++ ++++ ++++") {
                return;
            }
            assert!(began.elapsed() < Duration::from_secs(20), "not open: {states:?}");
        }
    }

    /// The firewall of a namespace: one chain with these rules.
    fn firewall(&self, place: &str, hook: &str, rules: &str) {
        let chain = format!("chain mail {{ type filter hook {hook} priority 0; {rules}; }}");
        self.shell(&format!("ip netns exec ${place} nft 'flush ruleset; table inet mail {{ {chain}; }}'"));
    }

    fn no_firewalls(&self) {
        self.shell("for place in $NET_ROUTER $NET_CLIENT; do ip netns exec $place nft flush ruleset; done");
    }

    fn shell(&self, script: &str) {
        let done = Command::new("sh").args(["-e", "-c", script]).envs(&self.env).status().unwrap();
        assert!(done.success(), "{script}");
    }

    /// Looks at what is cut by now, and prints the row; what is wrong with it, if anything is.
    fn trial(&self, what: &str, expected: &str) -> Option<String> {
        let found = self.both();
        let (ipv4, ipv6) = expected.split_once(" / ").unwrap_or((expected, expected));
        let row = format!(
            "{what:<62} {} {:>5.2} s   {} {:>5.2} s",
            found[0].0,
            found[0].1.as_secs_f64(),
            found[1].0,
            found[1].1.as_secs_f64()
        );
        println!("{row}");
        let is_right = found[0].0 == ipv4 && found[1].0 == ipv6;
        (!is_right).then(|| format!("{row}\n    should be {expected}"))
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        for host in &mut self.hosts {
            let _ = host.kill();
            let _ = host.wait();
        }
    }
}

/// One letter a port, the hosts apart.
fn in_letters(states: &[&str]) -> String {
    let letter = |state: &&str| match *state {
        "open" => '+',
        "refused" => 'R',
        "filtered" => 'F',
        "unreachable" => 'U',
        "egress_blocked" => 'E',
        "unknown" => '?',
        other => panic!("{other}"),
    };
    let hosts: Vec<String> = states.chunks(PORTS.len()).map(|host| host.iter().map(letter).collect()).collect();
    hosts.join(" ")
}

/// Set for the process that is a host.
const IS_HOST: &str = "REAL_NET_HOST";

/// No test: this binary, started again in the namespace of a host.
#[tokio::test]
#[ignore = "needs root, ip netns and nft (tests/real.sh)"]
async fn a_host_has_servers_on_all_ports() {
    if std::env::var_os(IS_HOST).is_none() {
        return;
    }
    let mut servers = Vec::new();
    for port in PORTS {
        let bind = Some(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)));
        servers.push(Server::start(Script::of(PLAIN), Options { bind, forget: true, ..Options::default() }).await);
    }
    // Until the one that started it has gone.
    tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await.unwrap().unwrap();
}

#[test]
#[ignore = "needs root, ip netns and nft (tests/real.sh)"]
fn each_way_to_cut_a_network_has_its_verdict_after_one_round() {
    let net = Net::start();
    println!("{:<62} {:<24}{:<22}", "cut", "IPv4", "  IPv6");
    let mut wrong = Vec::new();
    wrong.extend(net.trial("nothing", "++++ ++++ ++++"));
    for (scope, rule, expected) in SCOPES {
        for (way, refuses) in WAYS {
            net.firewall("NET_ROUTER", "forward", &format!("{rule} {way}"));
            let [single, dead] = if refuses { ["R", "R"] } else { ["F", "U"] };
            let expected = expected.replace('S', single).replace('D', dead);
            wrong.extend(net.trial(&format!("{scope}: {way}"), &expected));
        }
    }
    net.no_firewalls();
    for (way, _) in WAYS {
        net.firewall("NET_CLIENT", "output", &format!("tcp dport 25 {way}"));
        wrong.extend(net.trial(&format!("25, by our own machine: {way}"), "E+++ E+++ E+++"));
    }
    net.no_firewalls();
    for (what, cut, undo, expected) in EVENTS {
        net.shell(cut);
        wrong.extend(net.trial(what, expected));
        net.shell(undo);
        net.heal();
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
#[ignore = "needs root, ip netns and nft (tests/real.sh)"]
fn probe_says_which_port_is_blocked_and_which_to_use() {
    let net = Net::start();
    net.firewall("NET_ROUTER", "forward", "tcp dport 25 drop; oifname host1 tcp dport 587 drop");
    let out = net.probe(&IPV4[..2], &[]);
    net.no_firewalls();
    println!("{out}");
    // Long lines are broken between words.
    let flowing = out.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in [
        "what to do Port 25 is blocked by the network we probe from",
        "submission goes by 587 (RFC 6409), 465 (RFC 8314) or 2525. Use 587: it works.",
        "what to do Port 587 is filtered: the host is up, and a firewall, its own or one on the way, stops us. Use 465: it works.",
    ] {
        assert!(flowing.contains(part), "{part}\n{out}");
    }
}

/// The exporter itself, in the client's namespace.
struct Exporter<'a> {
    net: &'a Net,
    child: Child,
}

impl<'a> Exporter<'a> {
    fn start(net: &'a Net) -> Self {
        let ports = PORTS.map(|port| format!("{{port: {port}, module: clear}}")).join(", ");
        let targets = IPV4.iter().chain(&IPV6).map(|host| format!("- {{host: '{host}', ports: [{ports}]}}\n"));
        let config = file("mail.yml", &format!("{CONFIG}targets:\n{}", targets.collect::<String>()));
        let mut serve = net.inside("NET_CLIENT", Path::new(env!("CARGO_BIN_EXE_mail_endpoint_exporter")));
        serve.args(["--log.level=error", "--web.listen-address=127.0.0.1:10125", "--config.file"]).arg(config);
        Self { net, child: serve.spawn().unwrap() }
    }

    fn get(&self, path: &str) -> Option<Answer> {
        let script = format!(
            "exec 3<>/dev/tcp/127.0.0.1/10125; printf 'GET {path} HTTP/1.0\\r\\nConnection: close\\r\\n\\r\\n' >&3; cat <&3"
        );
        let out = self.net.inside("NET_CLIENT", Path::new("bash")).args(["-c", &script]).output().unwrap().stdout;
        let text = String::from_utf8(out).unwrap();
        text.contains("\r\n\r\n").then(|| Answer::of(&text))
    }

    /// Of all ports of all hosts, as the metrics have them.
    fn states(&self) -> String {
        let metrics = self.get("/metrics").unwrap();
        let state = |host: &str, port: u16| {
            let (host, port) = (format!("host=\"{host}\""), format!("port=\"{port}\""));
            let of_it = metrics.samples("mail_port_state{").into_iter().filter(|line| line.contains(&host));
            let mut set = of_it.filter(|line| line.contains(&port) && line.ends_with(" 1.0"));
            let line = set.next_back().unwrap_or_else(|| panic!("{host} {port}: {}", metrics.body));
            line.split("state=\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
        };
        let states: Vec<String> =
            IPV4.iter().chain(&IPV6).flat_map(|host| PORTS.map(|port| state(host, port))).collect();
        in_letters(&states.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// Waits until the states of both families are these, and prints how long it took.
    fn becomes(&self, what: &str, expected: &str) {
        let began = Instant::now();
        while self.states() != format!("{expected} {expected}") {
            // An interval, a probe that times out, and a moment.
            assert!(began.elapsed() < Duration::from_secs(8), "{what}: {}, not {expected}", self.states());
            sleep(Duration::from_millis(50));
        }
        println!("{what:<62} {expected} {:>5.2} s", began.elapsed().as_secs_f64());
    }
}

impl Drop for Exporter<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
#[ignore = "needs root, ip netns and nft (tests/real.sh)"]
fn the_exporter_tells_our_block_from_their_dead_host_and_sees_both_end() {
    let net = Net::start();
    net.firewall("NET_ROUTER", "forward", "tcp dport 25 drop");
    let exporter = Exporter::start(&net);
    let began = Instant::now();
    while exporter.get("/-/ready").is_none_or(|answer| answer.status != 200) {
        assert!(began.elapsed() < Duration::from_secs(15), "no first round");
        sleep(Duration::from_millis(50));
    }
    let first = exporter.states();
    println!("{:<62} {first} {:>5.2} s", "serve, first round: 25 is dropped", began.elapsed().as_secs_f64());
    assert_eq!(first, "E+++ E+++ E+++ E+++ E+++ E+++");
    net.firewall("NET_ROUTER", "forward", "tcp dport 25 drop; oifname host1 meta l4proto tcp drop");
    exporter.becomes("serve: a host is down as well", "EUUU E+++ E+++");
    net.firewall("NET_ROUTER", "forward", "oifname host1 meta l4proto tcp drop");
    exporter.becomes("serve: 25 is free again, the host is still down", "UUUU ++++ ++++");
    net.no_firewalls();
    exporter.becomes("serve: the host is back", "++++ ++++ ++++");
    let (_, cut, undo, states) = EVENTS.iter().find(|(what, ..)| *what == "our own link is down").unwrap();
    net.shell(cut);
    exporter.becomes("serve: our own link is down", states);
    net.shell(undo);
    exporter.becomes("serve: our own link is up again", "++++ ++++ ++++");
}
