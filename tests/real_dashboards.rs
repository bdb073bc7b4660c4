//! Every expression of every panel, variable, annotation and rule, asked of a real Prometheus that has watched the
//! demo for some minutes: none may fail, and none may find nothing, but for those listed here with the reason.
//!
//! `tests/real/demo.sh` starts both.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking"
)]
#![allow(clippy::print_stdout, reason = "the figures are shown as well as checked")]

mod lab;
mod support;

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;
use support::rig::Rig;
use support::{Answer, request};

/// How long Prometheus must have watched: every change of the demo comes round in it.
const WATCHED: Duration = Duration::from_secs(200);

/// What may find nothing: a part of the expression, and why.
const EMPTY: &[(&str, &str)] = &[
    ("mail_exporter_config_last_reload_success_timestamp_seconds{} !=", "the demo's configuration stays as it is"),
    ("process_start_time_seconds{} !=", "the demo does not restart"),
    ("mail_dns_failure_info", "the demo's name server knows every host whose addresses are all probed"),
    ("mail_tls_certificate_matches_file", "the demo's servers have no certificates in files"),
    ("mail_probe_retries_total", "the demo repeats no probe"),
    ("mail_probe_light", "the demo makes whole probes only"),
    ("{phase=\"mail_clear\"}", "the demo asks no server whether STARTTLS is required"),
    ("{phase=\"auth\"}", "the demo logs in nowhere"),
    ("{phase=\"mail\"}", "the demo asks about no mail"),
    ("{phase=\"rcpt\"}", "the demo asks about no mail"),
];

struct Asked {
    dashboard: String,
    whose: String,
    expression: String,
    instant: bool,
}

fn dashboards() -> Vec<(String, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboards");
    let mut all: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .map(|path| {
            let text = std::fs::read_to_string(&path).unwrap();
            (path.file_stem().unwrap().to_str().unwrap().to_owned(), serde_json::from_str(&text).unwrap())
        })
        .collect();
    all.sort_by(|(one, _), (other, _)| one.cmp(other));
    all
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

/// The panels, those of collapsed rows too.
fn panels(dashboard: &Value) -> Vec<&Value> {
    list(dashboard, "panels").iter().flat_map(|panel| std::iter::once(panel).chain(list(panel, "panels"))).collect()
}

fn questions(name: &str, dashboard: &Value) -> Vec<Asked> {
    let asked = |whose: &Value, query: &Value, instant: bool| {
        let expression = query.as_str().unwrap_or_else(|| panic!("{name}: {whose}: no expression")).to_owned();
        Asked { dashboard: name.to_owned(), whose: whose.as_str().unwrap_or("?").to_owned(), expression, instant }
    };
    let mut all = Vec::new();
    for panel in panels(dashboard) {
        for target in list(panel, "targets") {
            all.push(asked(&panel["title"], &target["expr"], target["instant"] == true));
        }
    }
    for annotation in list(&dashboard["annotations"], "list") {
        if annotation["builtIn"] != 1 {
            all.push(asked(&annotation["name"], &annotation["expr"], false));
        }
    }
    for variable in list(&dashboard["templating"], "list") {
        if variable["type"] == "query" {
            all.push(asked(&variable["name"], &variable["query"]["query"], true));
        }
    }
    all
}

/// What people choose: everything, and one endpoint that is well. Target and port.
const CHOICES: &[(&str, &str)] = &[(".+", ".+"), ("healthy", "20587")];

/// What Grafana puts in the place of variables.
fn interpolated(expression: &str, (target, port): (&str, &str)) -> String {
    let mut text = expression.to_owned();
    for (variable, value) in [("$__rate_interval", "30s"), ("$__interval", "10s"), ("$__range", "180s")] {
        text = text.replace(variable, value);
    }
    for (variable, value) in [("job", ".+"), ("instance", ".+"), ("target", target), ("port", port), ("phase", ".+")] {
        text = text.replace(&format!("${variable}"), value);
    }
    assert!(!text.contains('$'), "a variable that is not known: {text}");
    text
}

/// The same without its matchers of variables: what it asks, for people.
fn short(expression: &str) -> String {
    let all = ["job", "instance", "target", "port", "phase"];
    let mut text =
        all.iter().fold(expression.to_owned(), |text, name| text.replace(&format!("{name}=~\"${name}\""), ""));
    while text.contains("{,") || text.contains(",,") || text.contains(",}") {
        text = text.replace("{,", "{").replace(",,", ",").replace(",}", "}");
    }
    text
}

struct Prometheus(SocketAddr);

impl Prometheus {
    fn of_the_demo() -> Self {
        Self(Rig::new().address("DEMO_PROMETHEUS"))
    }

    async fn get(&self, path: &str, parameters: &[(&str, &str)]) -> Result<Value, String> {
        let encoded = |text: &str| -> String { text.bytes().map(|byte| format!("%{byte:02X}")).collect() };
        let query: Vec<_> =
            parameters.iter().map(|(key, value)| format!("{}={}", encoded(key), encoded(value))).collect();
        let answer = request(self.0, "GET", &format!("/api/v1/{path}?{}", query.join("&")), "").await;
        let answer: Value = serde_json::from_str(&Answer::of(&answer).body).map_err(|error| error.to_string())?;
        if answer["status"] != "success" || answer["warnings"].is_array() {
            return Err(format!("{} {}", answer["error"], answer["warnings"]));
        }
        Ok(answer["data"].clone())
    }

    /// How many series, or values of a variable, a question finds, whatever is chosen.
    async fn found(&self, asked: &Asked) -> Result<usize, String> {
        let mut all = 0;
        for choice in CHOICES {
            all += self.found_for(asked, *choice).await?;
        }
        Ok(all)
    }

    async fn found_for(&self, asked: &Asked, choice: (&str, &str)) -> Result<usize, String> {
        let expression = interpolated(&asked.expression, choice);
        if let Some(inner) = expression.strip_prefix("label_values(").and_then(|rest| rest.strip_suffix(')')) {
            let (series, label) = inner.rsplit_once(',').ok_or("label_values without a label")?;
            let values = self.get(&format!("label/{}/values", label.trim()), &[("match[]", series.trim())]).await?;
            return Ok(values.as_array().map_or(0, Vec::len));
        }
        let data = if asked.instant {
            self.get("query", &[("query", &expression)]).await?
        } else {
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
            let (start, end) = ((now - 180).to_string(), now.to_string());
            self.get("query_range", &[("query", &expression), ("start", &start), ("end", &end), ("step", "10")]).await?
        };
        Ok(data["result"].as_array().map_or(0, Vec::len))
    }

    /// All rules, once each has been evaluated: some only every 4 minutes.
    async fn evaluated_rules(&self) -> Value {
        for _ in 0..300 {
            let data = self.get("rules", &[]).await.unwrap();
            if rules_of(&data).iter().all(|rule| rule["health"] != "unknown") {
                return data;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        panic!("some rules are never evaluated");
    }

    /// Waits until it has watched the demo for long enough.
    async fn watched(&self) {
        let (begin, longest) = (Instant::now(), WATCHED + Duration::from_secs(60));
        let ask = format!("count_over_time(up[{0}s]) >= {0} / 5 - 2", WATCHED.as_secs());
        while begin.elapsed() < longest {
            let data = self.get("query", &[("query", &ask)]).await.unwrap();
            if !list(&data, "result").is_empty() {
                return;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        panic!("Prometheus has not scraped the demo for {WATCHED:?}");
    }
}

fn rules_of(data: &Value) -> Vec<&Value> {
    list(data, "groups").iter().flat_map(|group| list(group, "rules")).collect()
}

#[tokio::test]
#[ignore = "needs Prometheus and the demo (tests/real.sh)"]
async fn every_expression_of_the_dashboards_finds_something() {
    let prometheus = Prometheus::of_the_demo();
    prometheus.watched().await;
    let mut faults = Vec::new();
    let mut used = vec![false; EMPTY.len()];
    for (name, dashboard) in dashboards() {
        let questions = questions(&name, &dashboard);
        let mut empty = 0;
        for asked in &questions {
            let at = format!("{} / {}: {}", asked.dashboard, asked.whose, short(&asked.expression));
            let excuse = EMPTY.iter().position(|(part, _)| short(&asked.expression).contains(part));
            match (prometheus.found(asked).await, excuse) {
                (Err(error), _) => faults.push(format!("{at}\n    {error}")),
                (Ok(0), None) => faults.push(format!("{at}\n    finds nothing")),
                (Ok(0), Some(index)) => (used[index], empty) = (true, empty + 1),
                (Ok(_), _) => {}
            }
        }
        println!("{name}: {} expressions, {empty} of them with a reason to find nothing", questions.len());
    }
    let idle = EMPTY.iter().zip(used).filter(|(_, used)| !used);
    faults.extend(idle.map(|((part, _), _)| format!("finds something after all: {part}")));
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

#[tokio::test]
#[ignore = "needs Prometheus and the demo (tests/real.sh)"]
async fn every_rule_is_evaluated_and_the_demo_fires_what_it_must() {
    let prometheus = Prometheus::of_the_demo();
    prometheus.watched().await;
    let data = prometheus.evaluated_rules().await;
    let rules: Vec<&Value> = rules_of(&data);
    assert!(rules.len() > 20, "{} rules", rules.len());
    for rule in &rules {
        assert_eq!(rule["health"], "ok", "{rule:#}");
    }
    // Whatever waits for its time or fires: what is wrong in the demo is seen.
    let alert = |name: &str| rules.iter().any(|rule| rule["name"] == name && !list(rule, "alerts").is_empty());
    for name in FIRING {
        assert!(alert(name), "{name} does not fire");
    }
    let mut count = 0;
    for rule in rules.iter().filter(|rule| rule["type"] == "recording") {
        let name = rule["name"].as_str().unwrap();
        if name == NEEDS_DAYS {
            continue;
        }
        let found = prometheus.get("query", &[("query", name)]).await.unwrap();
        assert!(!list(&found, "result").is_empty(), "{name} records nothing");
        count += 1;
    }
    println!("{} rules, {count} of them recorded; of the alerts {} must fire", rules.len(), FIRING.len());
}

/// What records nothing in minutes.
const NEEDS_DAYS: &str = "endpoint_phase:mail_probe_last_phase_duration_seconds:median7d";

/// Alerts that the demo deserves, be it that their time has not come yet.
const FIRING: &[&str] = &[
    "MailEndpointDown",
    "MailRateLimited",
    "MailCertificateExpiring",
    "MailCertificateDiffers",
    "MailAddressesDown",
    "MailMxProblem",
];
