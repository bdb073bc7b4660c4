//! The scheduler with a prober that meets nobody.

use std::collections::HashMap;

use super::*;
use crate::config::Config;
use crate::dns::Resolver;

fn shared() -> Arc<Shared> {
    let prober = Arc::new(Prober::new(Resolver::Table(HashMap::new()), 2));
    Arc::new(Shared { prober, store: Arc::new(Store::default()), workers: Workers::here(), places: Places::new(1) })
}

fn endpoint(port: u16) -> Arc<Endpoint> {
    let module = Config::built_in().modules.get("smtp").unwrap().clone();
    Arc::new(Endpoint {
        target: "t".into(),
        host: crate::cert::name::ServerName::parse("nowhere.example").unwrap(),
        port,
        address: None,
        labels: std::collections::BTreeMap::new(),
        interval: Duration::from_millis(100),
        pace: crate::endpoint::Pace::default(),
        family: crate::endpoint::Family::Any,
        found: None,
        module,
        certificate_file: None,
    })
}

#[tokio::test]
async fn a_probe_that_breaks_down_is_internal_and_the_next_one_runs() {
    let (shared, endpoint) = (shared(), endpoint(25));
    shared.store.retain(std::slice::from_ref(&endpoint));
    let broken = tokio::spawn(async { panic!("a fault of ours") });
    let outcome = finish(&endpoint, broken).await.expect("the endpoint goes on");
    let failure = outcome.failure.unwrap();
    assert_eq!((failure.reason, failure.reason.as_str()), (Reason::Internal, "internal"));
}

#[tokio::test]
async fn an_endpoint_that_waits_costs_little_more_than_its_timer() {
    let running = Running::new(endpoint(25), CancellationToken::new());
    let size = size_of_val(&run(shared(), Arc::new(running)));
    // The runtime adds some hundred, and rounds up to a multiple of 128.
    assert!(size <= 272, "{size} octets, which every endpoint holds all the time");
}

#[tokio::test]
async fn a_probe_that_waits_for_its_turn_costs_little() {
    let (shared, endpoint) = (shared(), endpoint(25));
    let held = (shared.places.take().await.unwrap(), shared.store.probe_begins(None));
    let seat = Seated { shared: shared.clone(), held: Some(held), until: now() };
    let size = size_of_val(&probe(shared, Attempt { endpoint, seat, earlier: None }, CancellationToken::new()));
    // What a conversation needs is there only while there is one.
    assert!(size <= 4096, "{size} octets, which each of thousands may hold");
}

#[tokio::test]
async fn a_tick_that_waits_too_long_for_a_place_is_skipped() {
    let (shared, endpoint) = (shared(), endpoint(25));
    let _taken = shared.places.take().await.unwrap();
    let plan = Plan::new(endpoint.interval, 0.0);
    let turn = turn(&shared, &endpoint, &plan, now(), None, &CancellationToken::new()).await;
    assert!(matches!(turn, Turn::Skipped(Skip::Capacity)));
}

#[tokio::test]
async fn a_tick_after_a_sleep_of_the_machine_is_skipped() {
    let (shared, endpoint) = (shared(), endpoint(25));
    let plan = Plan::new(endpoint.interval, 0.0);
    let long_ago = now() - Duration::from_secs(3);
    let turn = turn(&shared, &endpoint, &plan, long_ago, None, &CancellationToken::new()).await;
    assert!(matches!(turn, Turn::Skipped(Skip::Late)));
}

#[tokio::test]
async fn apply_changes_only_what_differs() {
    let shared = shared();
    let mut scheduler = Scheduler::new(shared.prober.clone(), shared.store.clone(), Workers::here(), 1);
    let (stays, goes, comes) = (endpoint(25), endpoint(587), endpoint(465));
    scheduler.apply(&[stays.clone(), goes.clone()]);
    let before = scheduler.running[&stays.id()].stop.clone();
    let gone = scheduler.running[&goes.id()].stop.clone();
    let remembered = || shared.store.snapshot().endpoints[0].clone();
    let unchanged = remembered();
    scheduler.apply(&[stays.clone(), goes.clone()]);
    assert!(Arc::ptr_eq(&unchanged, &remembered()), "nothing has to be replaced");
    // The same endpoint, loaded again: its task goes on with the new value.
    let again = Arc::new(Endpoint::clone(&stays));
    scheduler.apply(&[again.clone(), comes.clone()]);
    assert!(gone.is_cancelled() && !before.is_cancelled());
    assert!(Arc::ptr_eq(&scheduler.running[&stays.id()].current.load_full(), &again));
    let ports: Vec<u16> = shared.store.snapshot().endpoints.iter().map(|history| history.endpoint.port).collect();
    assert_eq!(ports, [25, 465]);
    let hasty = Arc::new(Endpoint { interval: Duration::from_millis(200), ..Endpoint::clone(&stays) });
    scheduler.apply(&[hasty]);
    assert!(!before.is_cancelled(), "another interval is for the same task");
    scheduler.stop().await;
}

#[tokio::test(start_paused = true)]
async fn another_interval_ends_the_wait_for_the_old_one() {
    let shared = shared();
    let mut scheduler = Scheduler::new(shared.prober.clone(), shared.store.clone(), Workers::here(), 1);
    let every =
        |seconds| Arc::new(Endpoint { interval: Duration::from_secs(seconds), ..Endpoint::clone(&endpoint(25)) });
    let attempts = || shared.store.snapshot().endpoints[0].attempts;
    scheduler.apply(&[every(24 * 3600)]);
    tokio::time::sleep(Duration::from_secs(100)).await;
    assert_eq!(attempts(), 1, "the first round");
    scheduler.apply(&[every(10)]);
    tokio::time::sleep(Duration::from_secs(100)).await;
    assert!((9..=11).contains(&attempts()), "{}", attempts());
    assert_eq!(shared.store.snapshot().exporter.skipped, std::collections::BTreeMap::new());
    let after = attempts();
    scheduler.apply(&[every(24 * 3600)]);
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert!(attempts() <= after + 1, "the short one is over: {} after {after}", attempts());
    scheduler.stop().await;
}
