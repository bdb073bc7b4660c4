//! Searches against tables of answers, and the loop against a clock that the test turns.

use std::collections::HashMap;
use std::net::IpAddr;

use super::*;
use crate::cert::name::ServerName;
use crate::config::{Config, adhoc};
use crate::dns::Answer;
use crate::dns::records::Records;
use crate::endpoint::{Endpoint, Family};

fn host(name: &str, port: u16, family: Family) -> Search {
    let module = Config::built_in().modules.get("smtp").unwrap().clone();
    let endpoint = adhoc::endpoint(&ServerName::parse(name).unwrap(), port, module);
    Search::Host(Arc::new(Endpoint { family, ..endpoint }))
}

/// `4 192.0.2.1 192.0.2.2` and the like for an answer, `4 nx`, `4 none` or `4 fail` for none.
fn answer(text: &str) -> (char, Result<Reply, DnsFault>) {
    let (family, what) = text.split_once(' ').unwrap();
    let answer = match what {
        "nx" => Err(DnsFault::NotFound),
        "none" => Err(DnsFault::NoAddress),
        "fail" => Err(DnsFault::Failed("silence".into())),
        addresses => {
            let addresses = addresses.split(' ').map(|ip| ip.parse::<IpAddr>().unwrap()).collect();
            Ok(Reply {
                records: Records::Addresses(addresses),
                alias: false,
                authentic: false,
                ttl: Duration::from_secs(60),
            })
        }
    };
    (family.chars().next().unwrap(), answer)
}

/// What the answers, one after the other, make of a host: its endpoints, then the fault, then `…` for incomplete.
fn found(family: Family, answers: &[&str]) -> String {
    let searches = [host("mx.example", 25, family)];
    let mut known = Known::default();
    known.want(&expand(&searches, &known).questions, now());
    for text in answers {
        let (family, answer) = answer(text);
        let question = if family == '4' { Question::Ipv4 } else { Question::Ipv6 }("mx.example".into());
        known.learn(&question, answer, now());
    }
    let expansion = expand(&searches, &known);
    let mut words: Vec<String> = Vec::new();
    for endpoint in &expansion.endpoints {
        words.push(endpoint.address.map_or("-".into(), |address| address.to_string()));
    }
    let fault = expansion.endpoints.first().and_then(|one| one.found.clone()).and_then(|found| found.fault.clone());
    words.extend(fault.map(|fault| format!("{:?}", fault.kind)));
    words.extend((!expansion.is_complete).then(|| "…".into()));
    words.join(" ")
}

#[test]
fn every_address_is_an_endpoint() {
    use Family::{Any, Ipv4, Ipv6};
    for (family, answers, expected) in [
        (Any, &[][..], "…"),
        (Any, &["4 192.0.2.1"], "192.0.2.1 …"),
        (Any, &["4 192.0.2.1 192.0.2.2", "6 2001:db8::1"], "192.0.2.1 192.0.2.2 2001:db8::1"),
        (Any, &["4 192.0.2.1", "6 none"], "192.0.2.1"),
        (Any, &["4 192.0.2.1", "6 nx"], "192.0.2.1"),
        (Ipv4, &["4 192.0.2.1", "6 2001:db8::1"], "192.0.2.1"),
        (Ipv6, &["4 192.0.2.1", "6 2001:db8::1"], "2001:db8::1"),
        // What DNS cannot say is told, never passed over.
        (Any, &["4 192.0.2.1", "6 fail"], "192.0.2.1 Failed"),
        (Ipv4, &["4 192.0.2.1", "6 fail"], "192.0.2.1"),
        (Any, &["4 nx", "6 nx"], "- NotFound"),
        (Any, &["4 none", "6 none"], "- NoAddress"),
        (Any, &["4 none", "6 nx"], "- NotFound"),
        (Any, &["4 nx", "6 fail"], "- NotFound"),
        (Any, &["4 none", "6 fail"], "- Failed"),
        (Ipv6, &["4 192.0.2.1", "6 none"], "- NoAddress"),
        (Any, &["4 nx"], "…"),
        // One answer after the other.
        (Any, &["4 192.0.2.1", "6 none", "4 192.0.2.2"], "192.0.2.2"),
        (Any, &["4 192.0.2.1", "6 none", "4 fail"], "192.0.2.1 Failed"),
        (Any, &["4 192.0.2.1", "6 none", "4 fail", "4 192.0.2.3"], "192.0.2.3"),
        (Any, &["4 192.0.2.1", "6 none", "4 nx"], "- NotFound"),
        (Any, &["4 192.0.2.1", "6 2001:db8::1", "6 none"], "192.0.2.1"),
    ] {
        assert_eq!(found(family, answers), expected, "{answers:?}");
    }
}

#[test]
fn an_address_needs_no_dns() {
    let expansion = expand(&[host("192.0.2.9", 25, Family::Any)], &Known::default());
    assert!(expansion.is_complete && expansion.questions.is_empty());
    assert_eq!(expansion.endpoints[0].address, Some("192.0.2.9".parse().unwrap()));
}

#[test]
fn a_source_address_leaves_its_own_family() {
    let Search::Host(mut endpoint) = host("mx.example", 25, Family::Any) else { panic!("a host") };
    Arc::make_mut(&mut Arc::make_mut(&mut endpoint).module).source_address = Some("192.0.2.200".parse().unwrap());
    assert!(endpoint.wants("192.0.2.1".parse().unwrap()));
    assert!(!endpoint.wants("2001:db8::1".parse().unwrap()));
}

#[test]
fn of_very_many_addresses_a_bounded_number_is_probed_and_all_are_counted() {
    let all: Vec<String> = (0..200).map(|last| format!("192.0.2.{last}")).collect();
    let (searches, mut known) = ([host("mx.example", 25, Family::Any)], Known::default());
    known.want(&expand(&searches, &known).questions, now());
    known.learn(&Question::Ipv4("mx.example".into()), answer(&format!("4 {}", all.join(" "))).1, now());
    let expansion = expand(&searches, &known);
    assert_eq!(expansion.endpoints.len(), expand::MOST_ADDRESSES);
    assert_eq!(expansion.endpoints[0].found.as_ref().unwrap().addresses.ipv4, 200);
}

#[test]
fn ports_of_a_host_share_its_questions() {
    let searches = [host("mx.example", 25, Family::Any), host("mx.example", 587, Family::Any)];
    assert_eq!(expand(&searches, &Known::default()).questions.len(), 2);
    // The same twice is one endpoint.
    let twice = [host("192.0.2.1", 25, Family::Any), host("192.0.2.1", 25, Family::Any)];
    assert_eq!(expand(&twice, &Known::default()).endpoints.len(), 1);
}

fn table(addresses: &[&str], seconds: u64) -> Arc<Resolver> {
    let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
    let answer = Answer { addresses, ttl: Duration::from_secs(seconds), authentic: false };
    Arc::new(Resolver::Table(HashMap::from([("mx.example".to_owned(), Ok(answer))])))
}

fn addresses(expansion: &Expansion) -> Vec<String> {
    expansion.endpoints.iter().filter_map(|one| one.address).map(|address| address.to_string()).collect()
}

#[tokio::test(start_paused = true)]
async fn the_set_follows_dns_by_its_ttl() {
    let mut discovery = Discovery::new(table(&["192.0.2.1", "192.0.2.2"], 300));
    let first = discovery.set(vec![host("mx.example", 25, Family::Any)]);
    assert!(first.endpoints.is_empty() && !first.is_complete);
    let began = now();
    let found = discovery.next().await;
    assert!(found.is_complete);
    assert_eq!(addresses(&found), ["192.0.2.1", "192.0.2.2"]);
    assert!(now() - began < Duration::from_secs(1));
    discovery.set_resolver(table(&["192.0.2.2", "192.0.2.3"], 300));
    assert_eq!(addresses(&discovery.next().await), ["192.0.2.2", "192.0.2.3"]);
    let waited = now() - began;
    assert!((300..302).contains(&waited.as_secs()), "{waited:?}");
    // No name server any more: what was found stays, and the fault of each family is told, once.
    discovery.set_resolver(Arc::new(Resolver::Missing("no servers".into())));
    for _family in 0..2 {
        let stale = discovery.next().await;
        assert_eq!(addresses(&stale), ["192.0.2.2", "192.0.2.3"]);
        assert!(stale.endpoints[0].found.as_ref().unwrap().fault.is_some());
    }
    assert!(timeout(Duration::from_secs(3600), discovery.next()).await.is_err(), "nothing new, nothing told");
    discovery.set_resolver(table(&["192.0.2.3"], 300));
    let mut found = discovery.next().await;
    while found.endpoints[0].found.as_ref().unwrap().fault.is_some() {
        found = discovery.next().await;
    }
    assert_eq!(addresses(&found), ["192.0.2.3"]);
    assert_eq!(found.endpoints[0].found.as_ref().unwrap().fault, None);
}

#[tokio::test(start_paused = true)]
async fn other_searches_keep_what_is_known() {
    let mut discovery = Discovery::new(table(&["192.0.2.1"], 300));
    discovery.set(vec![host("mx.example", 25, Family::Any)]);
    discovery.next().await;
    discovery.set_resolver(Arc::new(Resolver::Missing("no servers".into())));
    let more = discovery.set(vec![host("mx.example", 587, Family::Any), host("mx.example", 25, Family::Any)]);
    assert_eq!((more.endpoints.len(), more.is_complete), (2, true));
    assert!(discovery.set(Vec::new()).endpoints.is_empty());
    assert!(timeout(Duration::from_secs(9999), discovery.next()).await.is_err());
}

/// One address each, `mx.example` and `other.example`.
fn two(mx: &str, other: &str) -> Arc<Resolver> {
    let answer = |address: &str| {
        let addresses = address.split(' ').map(|ip| ip.parse().unwrap()).collect();
        Ok(Answer { addresses, ttl: Duration::from_secs(60), authentic: false })
    };
    let names = [("mx.example", mx), ("other.example", other)];
    Arc::new(Resolver::Table(names.map(|(name, address)| (name.to_owned(), answer(address))).into()))
}

#[tokio::test(start_paused = true)]
async fn what_has_not_changed_stays_the_same_endpoint() {
    let searches = || vec![host("mx.example", 25, Family::Any), host("other.example", 25, Family::Any)];
    let mut discovery = Discovery::new(two("192.0.2.1", "192.0.2.2"));
    let configured = searches();
    discovery.set(configured.clone());
    let before = discovery.next().await.endpoints;
    discovery.set_resolver(two("192.0.2.1", "192.0.2.3"));
    let after = discovery.next().await.endpoints;
    assert!(Arc::ptr_eq(&before[0], &after[0]));
    assert_eq!(after[1].address, Some("192.0.2.3".parse().unwrap()));
    // An address more: what is told of the name differs.
    discovery.set_resolver(two("192.0.2.1 192.0.2.9", "192.0.2.3"));
    let more = discovery.next().await.endpoints;
    assert_eq!((more.len(), more[0].address), (3, before[0].address));
    assert!(!Arc::ptr_eq(&before[0], &more[0]) && Arc::ptr_eq(&after[1], &more[2]));
    // The same configuration stays, one that was loaded again is another.
    assert!(Arc::ptr_eq(&more[0], &discovery.set(configured).endpoints[0]));
    assert!(!Arc::ptr_eq(&more[0], &discovery.set(searches()).endpoints[0]));
}

#[tokio::test]
async fn once_is_to_the_end() {
    let missing = Arc::new(Resolver::Missing("no servers".into()));
    let found = Discovery::once(missing, vec![host("mx.example", 25, Family::Any)]).await;
    assert_eq!(found.endpoints[0].address, None);
    assert!(found.endpoints[0].found.as_ref().unwrap().fault.is_some());
}
