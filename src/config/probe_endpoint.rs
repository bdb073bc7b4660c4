//! What `/probe` may be asked for: it must serve Prometheus without serving as a port scanner.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use super::file::Node;
use super::reader::{At, Entries, Source, list};
use super::values::{port, text};
use crate::cert::name::ServerName;

/// The ports of mail submission and relay.
const MAIL_PORTS: [u16; 7] = [25, 465, 587, 588, 2465, 2525, 2587];

/// The rules of `probe_endpoint`.
#[derive(Clone, Debug)]
pub struct ProbeRules {
    /// `None`: any host with a public or private address.
    allow: Option<Vec<Allowed>>,
    ports: Vec<u16>,
}

#[derive(Clone, Debug)]
enum Allowed {
    Hosts(glob::Pattern),
    Network(IpNet),
}

impl Default for ProbeRules {
    fn default() -> Self {
        Self { allow: None, ports: MAIL_PORTS.to_vec() }
    }
}

impl ProbeRules {
    /// Whether a port may be probed; the error says what to change.
    pub fn port(&self, port: u16) -> Result<(), String> {
        let ok = self.ports.contains(&port);
        ok.then_some(()).ok_or_else(|| format!("port {port} is not allowed here: add it to probe_endpoint.ports"))
    }

    /// Whether an address may be probed that a host has.
    ///
    /// A network that is named covers its addresses, whatever they are. A host pattern covers names with
    /// any address but those that lead into this machine or its cloud's metadata service.
    pub fn address(&self, host: &ServerName, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let Some(allow) = &self.allow else { return !is_own(address) };
        let name = host.to_string();
        allow.iter().any(|allowed| match allowed {
            Allowed::Network(network) => network.contains(&address),
            Allowed::Hosts(pattern) => pattern.matches(&name) && !is_own(address),
        })
    }

    pub(super) fn read(source: &mut Source, node: &Node, at: At) -> Self {
        let mut entries = Entries::of(source, node, at);
        let allow = entries.get("allow").map(|(node, at)| all(source, node, &at, |node| allowed(&text(node)?)));
        let ports = entries.get("ports").map(|(node, at)| all(source, node, &at, port));
        entries.finish(source);
        Self { allow, ports: ports.unwrap_or_else(|| MAIL_PORTS.to_vec()) }
    }
}

/// Every item of a list, converted; each that cannot be is a problem.
fn all<T>(source: &mut Source, node: &Node, at: &At, convert: impl Fn(&Node) -> Result<T, String>) -> Vec<T> {
    let items = list(source, node, at).iter().enumerate();
    items.filter_map(|(number, node)| convert(node).map_err(|why| source.problem(&at.item(number), why)).ok()).collect()
}

fn allowed(text: &str) -> Result<Allowed, String> {
    let network = text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
    if let Some(network) = network {
        return Ok(Allowed::Network(network));
    }
    let pattern = glob::Pattern::new(&text.to_ascii_lowercase()).ok().filter(|_| !text.contains('/'));
    pattern
        .map(Allowed::Hosts)
        .ok_or_else(|| format!("{text:?} is neither a host pattern nor a network: write *.example.org or 192.0.2.0/24"))
}

/// Addresses that mean this machine, its link or its cloud's metadata service, or nobody (RFC 6890).
fn is_own(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            v4.is_loopback() || v4.is_link_local() || v4.is_unspecified() || v4.is_broadcast() || v4.is_multicast()
                || v4.octets()[0] == 0
                // Metadata services outside 169.254.0.0/16: Alibaba's, Oracle's and Azure's.
                || [[100, 100, 100, 200], [192, 0, 0, 192], [168, 63, 129, 16]].contains(&v4.octets())
        }
        IpAddr::V6(v6) => {
            embedded(v6).is_some_and(|v4| is_own(v4.into()))
                || v6.is_loopback() || v6.is_unicast_link_local() || v6.is_unspecified() || v6.is_multicast()
                // The metadata services of Amazon and Google.
                || [[0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254], [0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254]].contains(&v6.segments())
        }
    }
}

/// The IPv4 address that an IPv6 address leads to on a network with a translator.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let words = address.segments();
    let v4 = |high: u16, low: u16| Ipv4Addr::from(u32::from(high) << 16 | u32::from(low));
    match words {
        // NAT64 (RFC 6052, RFC 8215), and the form that RFC 4291 §2.5.5.1 gave up.
        [0x64, 0xff9b, _, _, _, _, high, low] | [0, 0, 0, 0, 0, 0, high, low] => Some(v4(high, low)),
        // 6to4 (RFC 3056).
        [0x2002, high, low, ..] => Some(v4(high, low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(text: &str) -> ServerName {
        ServerName::parse(text).unwrap()
    }

    fn rules(allow: &[&str]) -> ProbeRules {
        let allow = allow.iter().map(|text| allowed(text).unwrap()).collect();
        ProbeRules { allow: Some(allow), ..ProbeRules::default() }
    }

    #[test]
    fn by_default_nothing_leads_into_this_machine() {
        let rules = ProbeRules::default();
        for own in [
            "127.0.0.1",
            "127.9.9.9",
            "::1",
            "::ffff:127.0.0.1",
            "169.254.169.254",
            "fe80::1",
            "0.0.0.0",
            "::",
            "224.0.0.1",
            "255.255.255.255",
            "100.100.100.200",
            "fd00:ec2::254",
            "64:ff9b::a9fe:a9fe",
            "2002:7f00:1::",
            "::127.0.0.1",
            "168.63.129.16",
        ] {
            assert!(!rules.address(&host("mx.example"), own.parse().unwrap()), "{own}");
        }
        for other in ["192.0.2.1", "10.0.0.1", "2001:db8::1"] {
            assert!(rules.address(&host("mx.example"), other.parse().unwrap()), "{other}");
        }
        assert!(rules.port(587).is_ok() && rules.port(22).is_err() && rules.port(80).is_err());
    }

    #[test]
    fn patterns_are_for_names_and_networks_for_addresses() {
        let rules = rules(&["*.example.org", "127.0.0.0/8", "2001:db8::1"]);
        let ok = |name: &str, address: &str| rules.address(&host(name), address.parse().unwrap());
        assert!(ok("mx.example.org", "192.0.2.1"));
        assert!(!ok("mx.example.org", "169.254.169.254"), "a name cannot lead to the metadata service");
        assert!(ok("anything.example", "127.0.0.1"), "a network is named on purpose");
        assert!(ok("x.example", "2001:db8::1"));
        assert!(!ok("mx.example.net", "192.0.2.1"));
    }

    #[test]
    fn what_is_neither() {
        for bad in ["192.0.2.0/33", "a/b", "[z"] {
            assert!(allowed(bad).is_err(), "{bad}");
        }
    }
}
