//! The Grafana dashboards keep the rules of their trade, and ask for nothing that the exporter does not have.
//!
//! The rules are those of Grafana's dashboard-linter, and more. Each can fail: [`BREAKS`] has a way to break it.

#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use mail_endpoint_exporter::endpoint::RESERVED_LABELS;
use mail_endpoint_exporter::export::prometheus::family_names;
use mail_endpoint_exporter::outcome::port_state::PortState;
use mail_endpoint_exporter::phase::Phase;
use serde_json::{Value, json};

const DASHBOARDS: &[(&str, &str)] =
    &[("overview", "mail-overview"), ("endpoint", "mail-endpoint"), ("exporter", "mail-exporter")];

/// Panels that every Grafana has.
const CORE: &[&str] = &[
    "row",
    "stat",
    "table",
    "timeseries",
    "state-timeline",
    "bargauge",
    "gauge",
    "heatmap",
    "barchart",
    "piechart",
    "text",
];

const UNITS: &[&str] = &[
    "s",
    "short",
    "none",
    "string",
    "bytes",
    "percentunit",
    "reqps",
    "dateTimeFromNow",
    "dateTimeAsIso",
    "suffix:d",
    "suffix:/min",
];

/// What Prometheus itself adds to a scrape.
const SCRAPE: &[&str] = &["up", "scrape_duration_seconds", "scrape_samples_scraped"];

const HISTOGRAMS: &[&str] = &["mail_probe_phase_duration_seconds", "mail_exporter_schedule_lateness_seconds"];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn dashboard(name: &str) -> Value {
    let path = root().join(format!("dashboards/{name}.json"));
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// All panels but the headings.
fn panels(dashboard: &Value) -> impl Iterator<Item = &Value> {
    list(dashboard, "/panels").iter().filter(|panel| text(panel, "/type") != "row")
}

fn variables(dashboard: &Value) -> &[Value] {
    list(dashboard, "/templating/list")
}

fn annotations(dashboard: &Value) -> &[Value] {
    list(dashboard, "/annotations/list")
}

/// Every text anywhere in a value.
fn texts<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::String(text) => found.push(text),
        Value::Array(values) => values.iter().for_each(|value| texts(value, found)),
        Value::Object(map) => map.values().for_each(|value| texts(value, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

// PromQL, as far as the rules ask.

#[derive(Debug, PartialEq, Clone)]
enum Token {
    Word(String),
    Number(String),
    Text(String),
    Sign(char),
}

fn tokens(expression: &str) -> Vec<Token> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':' | '$');
    let mut rest = expression;
    let mut found = Vec::new();
    while let Some(first) = rest.chars().next() {
        let length = if first == '"' {
            let length = rest[1..].find('"').map_or(rest.len(), |at| at + 2);
            found.push(Token::Text(rest[1..length - 1].to_owned()));
            length
        } else if is_word(first) {
            let number = first.is_ascii_digit();
            let length = rest.find(|c| !(is_word(c) || number && c == '.')).unwrap_or(rest.len());
            let word = rest[..length].to_owned();
            found.push(if number { Token::Number(word) } else { Token::Word(word) });
            length
        } else {
            if !first.is_whitespace() {
                found.push(Token::Sign(first));
            }
            first.len_utf8()
        };
        rest = &rest[length..];
    }
    found
}

/// One metric in an expression.
#[derive(Debug, Default)]
struct Selector {
    metric: String,
    /// `job=~"$job"`
    matchers: Vec<String>,
    /// What stands in brackets behind it.
    range: Option<String>,
    /// The function whose argument it is.
    function: String,
}

#[derive(Debug, Default)]
struct Query {
    selectors: Vec<Selector>,
    labels: Vec<String>,
}

/// What an expression asks for.
fn parse(expression: &str) -> Query {
    let tokens = tokens(expression);
    let mut query = Query::default();
    let mut functions = vec![String::new()];
    let mut at = 0;
    let is = |at: usize, sign: char| tokens.get(at) == Some(&Token::Sign(sign));
    while at < tokens.len() {
        let Token::Word(word) = &tokens[at] else {
            match tokens[at] {
                Token::Sign('(') => functions.push(functions.last().cloned().unwrap_or_default()),
                Token::Sign(')') => drop(functions.pop()),
                _ => {}
            }
            at += 1;
            continue;
        };
        at += 1;
        match word.as_str() {
            "by" | "without" | "on" | "ignoring" | "group_left" | "group_right" => {
                while is(at, '(') || is(at, ',') || matches!(tokens.get(at), Some(Token::Word(_))) {
                    if let Token::Word(label) = &tokens[at] {
                        query.labels.push(label.clone());
                    }
                    at += 1;
                }
                at += 1;
            }
            "and" | "or" | "unless" | "bool" | "offset" => {}
            name if name.starts_with('$') => {}
            "sum" | "min" | "max" | "avg" | "count" | "topk" | "bottomk" => {}
            name if is(at, '(') => {
                functions.push(name.to_owned());
                at += 1;
            }
            name => {
                let function = functions.last().cloned().unwrap_or_default();
                let mut selector = Selector { metric: name.to_owned(), function, ..Selector::default() };
                if is(at, '{') {
                    let end = (at..tokens.len()).find(|end| is(*end, '}')).unwrap_or(tokens.len());
                    for matcher in tokens[at + 1..end].split(|token| *token == Token::Sign(',')) {
                        let written = matcher.iter().map(|token| match token {
                            Token::Word(word) | Token::Number(word) => word.clone(),
                            Token::Text(text) => format!("{text:?}"),
                            Token::Sign(sign) => sign.to_string(),
                        });
                        selector.matchers.push(written.collect());
                        if let Some(Token::Word(label)) = matcher.first() {
                            query.labels.push(label.clone());
                        }
                    }
                    at = end + 1;
                }
                if is(at, '[') {
                    if let Some(Token::Word(range) | Token::Number(range)) = tokens.get(at + 1) {
                        selector.range = Some(range.clone());
                    }
                    at += 3;
                }
                query.selectors.push(selector);
            }
        }
    }
    query
}

/// Every expression of a dashboard: where it stands, the text, and whether it is asked for one moment.
fn expressions(dashboard: &Value) -> Vec<(String, String, bool)> {
    let mut found = Vec::new();
    for panel in panels(dashboard) {
        for target in list(panel, "/targets") {
            let place = format!("{}, {}", text(panel, "/title"), text(target, "/refId"));
            found.push((place, text(target, "/expr").to_owned(), target["instant"] == true));
        }
    }
    for annotation in annotations(dashboard) {
        for pointer in ["/expr", "/target/expr"] {
            found.push((text(annotation, "/name").to_owned(), text(annotation, pointer).to_owned(), false));
        }
    }
    for variable in variables(dashboard).iter().filter(|variable| variable["type"] == "query") {
        for pointer in ["/definition", "/query/query"] {
            let asked = text(variable, pointer);
            // label_values(SELECTOR, LABEL)
            let selector = asked.strip_prefix("label_values(").and_then(|rest| rest.rsplit_once(','));
            let selector = selector.map_or(asked, |(selector, _)| selector);
            found.push((format!("variable {}", text(variable, "/name")), selector.to_owned(), true));
        }
    }
    found
}

/// The families of histograms have series of other names.
fn family(metric: &str) -> &str {
    let base = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| metric.strip_suffix(suffix));
    base.filter(|base| HISTOGRAMS.contains(base)).unwrap_or(metric)
}

fn is_counter(metric: &str) -> bool {
    // A number of addresses, of which so many are up.
    if metric == "mail_target_addresses_total" {
        return false;
    }
    ["_total", "_bucket", "_sum", "_count"].iter().any(|suffix| metric.ends_with(suffix))
        || HISTOGRAMS.contains(&metric)
}

// The rules. Each returns what is wrong.

type Rule = fn(&Value) -> Vec<String>;
type Break = fn(&mut Value);

fn the_dashboard_is_as_provisioned(dashboard: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    let wanted = [
        ("schemaVersion", json!(42)),
        ("tags", json!(["mail"])),
        ("editable", json!(true)),
        ("graphTooltip", json!(1)),
        ("refresh", json!("1m")),
    ];
    for (key, value) in wanted {
        if dashboard[key] != value {
            wrong.push(format!("{key} is not {value}"));
        }
    }
    if !DASHBOARDS.iter().any(|(_, uid)| dashboard["uid"] == *uid) {
        wrong.push("the uid is not one of those that links lead to".to_owned());
    }
    for key in ["id", "__inputs", "__requires"] {
        if dashboard.get(key).is_some() {
            wrong.push(format!("{key} belongs to one Grafana"));
        }
    }
    wrong
}

fn the_data_source_can_be_chosen(dashboard: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    let chosen = |variable: &&Value| {
        variable["type"] == "datasource"
            && variable["name"] == "datasource"
            && variable["label"] == "Data source"
            && variable["query"] == "prometheus"
    };
    if variables(dashboard).iter().filter(chosen).count() != 1 {
        wrong.push("no variable for the data source".to_owned());
    }
    let source = json!({"type": "prometheus", "uid": "${datasource}"});
    let mut check = |what: &Value, name: &str| {
        if what["datasource"] != source {
            wrong.push(format!("{name}: another data source"));
        }
    };
    for panel in panels(dashboard) {
        check(panel, text(panel, "/title"));
        list(panel, "/targets").iter().for_each(|target| check(target, text(panel, "/title")));
    }
    for annotation in annotations(dashboard) {
        check(annotation, text(annotation, "/name"));
        check(&annotation["target"], text(annotation, "/name"));
    }
    for variable in variables(dashboard).iter().filter(|variable| variable["type"] != "datasource") {
        check(variable, text(variable, "/name"));
    }
    wrong
}

fn jobs_and_instances_can_be_chosen(dashboard: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    for (name, label) in [("job", "Job"), ("instance", "Instance")] {
        let good = |variable: &&Value| {
            variable["name"] == name
                && variable["label"] == label
                && variable["type"] == "query"
                && variable["multi"] == true
                && variable["includeAll"] == true
                && variable["allValue"] == ".+"
        };
        if variables(dashboard).iter().filter(good).count() != 1 {
            wrong.push(format!("no good variable {name}"));
        }
    }
    for variable in variables(dashboard).iter().filter(|variable| variable["type"] == "query") {
        if variable["refresh"] != 2 {
            wrong.push(format!("{} does not follow the time", variable["name"]));
        }
        if variable["includeAll"] == true && variable["allValue"] != ".+" {
            wrong.push(format!("{}: all of them would be a long list", variable["name"]));
        }
    }
    wrong
}

fn all_is_described(dashboard: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    for what in std::iter::once(dashboard).chain(panels(dashboard)) {
        if text(what, "/title").is_empty() || text(what, "/description").is_empty() {
            wrong.push(format!("{}: no title or description", text(what, "/title")));
        }
    }
    let titles: Vec<&str> = panels(dashboard).map(|panel| text(panel, "/title")).collect();
    let row_without_title = |panel: &&Value| text(panel, "/title").is_empty();
    wrong.extend(
        list(dashboard, "/panels").iter().filter(row_without_title).map(|_| "a panel without title".to_owned()),
    );
    for panel in panels(dashboard).filter(|panel| text(panel, "/fieldConfig/defaults/noValue").is_empty()) {
        wrong.push(format!("{}: says nothing when there is nothing", text(panel, "/title")));
    }
    if titles.is_empty() {
        wrong.push("no panels".to_owned());
    }
    wrong
}

fn values_have_units(dashboard: &Value) -> Vec<String> {
    let bad = |panel: &&Value| !UNITS.contains(&text(panel, "/fieldConfig/defaults/unit"));
    panels(dashboard).filter(bad).map(|panel| format!("{}: no unit", text(panel, "/title"))).collect()
}

fn panels_ask_for_something(dashboard: &Value) -> Vec<String> {
    let empty = |panel: &&Value| {
        let targets = list(panel, "/targets");
        targets.is_empty() || targets.iter().any(|target| text(target, "/expr").trim().is_empty())
    };
    panels(dashboard).filter(empty).map(|panel| format!("{}: asks nothing", text(panel, "/title"))).collect()
}

fn only_core_panels(dashboard: &Value) -> Vec<String> {
    let strange = |panel: &&Value| !CORE.contains(&text(panel, "/type"));
    list(dashboard, "/panels")
        .iter()
        .filter(strange)
        .map(|panel| format!("a panel of type {}", panel["type"]))
        .collect()
}

fn ids_are_unique(dashboard: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    for panel in list(dashboard, "/panels") {
        if !panel["id"].as_u64().is_some_and(|id| id > 0 && seen.insert(id)) {
            wrong.push(format!("{}: no id of its own", text(panel, "/title")));
        }
        let targets = list(panel, "/targets");
        let refs: BTreeSet<&str> = targets.iter().map(|target| text(target, "/refId")).collect();
        if refs.len() != targets.len() || refs.contains("") {
            wrong.push(format!("{}: queries with the same name", text(panel, "/title")));
        }
    }
    wrong
}

fn the_grid_is_full(dashboard: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut cells = BTreeSet::new();
    let mut height = 0;
    for panel in list(dashboard, "/panels") {
        let get = |key: &str| panel["gridPos"][key].as_u64().unwrap_or(999);
        let (x, y, w, h) = (get("x"), get("y"), get("w"), get("h"));
        if w == 0 || h == 0 || h > 50 || y > 999 || x + w > 24 {
            wrong.push(format!("{}: does not fit", text(panel, "/title")));
            continue;
        }
        height = height.max(y + h);
        for cell in (y..y + h).flat_map(|row| (x..x + w).map(move |column| (row, column))) {
            if !cells.insert(cell) {
                wrong.push(format!("{}: lies over another panel", text(panel, "/title")));
                break;
            }
        }
    }
    if cells.len() as u64 != height * 24 {
        wrong.push("there are gaps".to_owned());
    }
    wrong
}

fn links_lead_somewhere(dashboard: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut found = Vec::new();
    texts(dashboard, &mut found);
    for link in found.iter().filter(|text| text.starts_with("/d/")) {
        let (path, query) = link.split_once('?').unwrap_or((link, ""));
        let uid = path.trim_start_matches("/d/");
        if !DASHBOARDS.iter().any(|(_, known)| *known == uid) {
            wrong.push(format!("no dashboard {uid}"));
        }
        for part in ["${__url_time_range}", "${datasource:queryparam}", "var-target=", "var-port="] {
            if !query.contains(part) {
                wrong.push(format!("{link}: without {part}"));
            }
        }
    }
    let to_all = |link: &&Value| {
        link["type"] == "dashboards"
            && link["tags"] == dashboard["tags"]
            && link["includeVars"] == true
            && link["keepTime"] == true
    };
    if !list(dashboard, "/links").iter().any(|link| to_all(&link)) {
        wrong.push("no links to the other dashboards".to_owned());
    }
    wrong
}

fn rates_are_of_counters(dashboard: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    for (place, expression, _) in expressions(dashboard) {
        for selector in parse(&expression).selectors {
            let rate = ["rate", "irate", "increase"].contains(&selector.function.as_str());
            if rate != is_counter(&selector.metric) {
                wrong.push(format!("{place}: {} in {:?}", selector.metric, selector.function));
            }
        }
    }
    wrong
}

fn rates_have_the_right_range(dashboard: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    for (place, expression, instant) in expressions(dashboard) {
        for selector in parse(&expression).selectors {
            let good = match (selector.function.as_str(), selector.range.as_deref()) {
                ("rate" | "increase", Some("$__rate_interval")) => true,
                ("rate" | "increase", Some("$__range")) => instant,
                ("rate" | "increase" | "irate", _) => false,
                _ => true,
            };
            if !good {
                wrong.push(format!("{place}: {} over {:?}", selector.metric, selector.range));
            }
        }
    }
    wrong
}

fn metrics_exist(dashboard: &Value) -> Vec<String> {
    let known: BTreeSet<&str> = family_names().chain(SCRAPE.iter().copied()).collect();
    let mut wrong = Vec::new();
    for (place, expression, _) in expressions(dashboard) {
        let selectors = parse(&expression).selectors;
        if selectors.is_empty() {
            wrong.push(format!("{place}: no metric"));
        }
        let strange = selectors.iter().filter(|selector| !known.contains(family(&selector.metric)));
        wrong.extend(strange.map(|selector| format!("{place}: no metric {}", selector.metric)));
    }
    wrong
}

fn labels_exist(dashboard: &Value) -> Vec<String> {
    let known = |label: &str| RESERVED_LABELS.contains(&label) || ["job", "instance", "le", "version"].contains(&label);
    let mut used: Vec<String> = Vec::new();
    for (_, expression, _) in expressions(dashboard) {
        used.extend(parse(&expression).labels);
    }
    let mut found = Vec::new();
    texts(dashboard, &mut found);
    for (text, (open, close)) in found.iter().flat_map(|text| {
        [("{{", "}}"), ("__data.fields.", "}"), ("__field.labels.", "}")].into_iter().map(move |fence| (text, fence))
    }) {
        for rest in text.split(open).skip(1) {
            used.push(rest.split(close).next().unwrap().split(':').next().unwrap().trim().to_owned());
        }
    }
    for variable in variables(dashboard).iter().filter(|variable| variable["type"] == "query") {
        let label = text(variable, "/definition").rsplit_once(',').map_or("", |(_, label)| label);
        used.push(label.trim_end_matches(')').trim().to_owned());
    }
    used.iter().filter(|label| !known(label)).map(|label| format!("no label {label:?}")).collect()
}

fn every_query_is_filtered(dashboard: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    for (place, expression, _) in expressions(dashboard) {
        // The list of a variable is filtered by the variables before it.
        if place.starts_with("variable") {
            continue;
        }
        for selector in parse(&expression).selectors {
            let wanted = match selector.metric.as_str() {
                // What is said of a domain is said of no port.
                name if name.starts_with("mail_mx_") || name.starts_with("mail_srv_") => {
                    &["job", "instance", "target"][..]
                }
                name if name.starts_with("mail_") && !name.starts_with("mail_exporter_") => {
                    &["job", "instance", "target", "port"]
                }
                _ => &["job", "instance"],
            };
            for name in wanted {
                if !selector.matchers.contains(&format!("{name}=~\"${name}\"")) {
                    wrong.push(format!("{place}: {} is not filtered by {name}", selector.metric));
                }
            }
        }
    }
    wrong
}

fn variables_are_used(dashboard: &Value) -> Vec<String> {
    let names: BTreeSet<&str> = variables(dashboard).iter().map(|variable| text(variable, "/name")).collect();
    let mut used = BTreeSet::new();
    for (_, expression, _) in expressions(dashboard) {
        let words = tokens(&expression).into_iter().flat_map(|token| match token {
            Token::Word(text) | Token::Text(text) => text.split('$').skip(1).map(str::to_owned).collect(),
            Token::Number(_) | Token::Sign(_) => Vec::new(),
        });
        used.extend(words.filter(|name| !name.starts_with("__")));
    }
    used.insert("datasource".to_owned());
    let mut wrong: Vec<String> =
        used.iter().filter(|name| !names.contains(name.as_str())).map(|name| format!("no variable {name}")).collect();
    for variable in variables(dashboard).iter().filter(|variable| variable["type"] != "adhoc") {
        if !used.contains(text(variable, "/name")) {
            wrong.push(format!("variable {} is not used", variable["name"]));
        }
    }
    wrong
}

fn states_and_phases_are_complete(dashboard: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    for panel in panels(dashboard) {
        let asked: String = list(panel, "/targets").iter().map(|target| text(target, "/expr")).collect();
        if asked.contains("state=\"refused\"") {
            let shown = panel["fieldConfig"]["defaults"]["mappings"].to_string();
            // Where the state is not asked for, an open port shows whether the probe is good.
            let missing = PortState::ALL.iter().filter(|state| {
                let there = asked.contains(&format!("state=\"{}\"", state.as_str()));
                if there { !shown.contains(state.as_str()) } else { state.as_str() != "open" }
            });
            wrong.extend(missing.map(|state| format!("{}: no {}", text(panel, "/title"), state.as_str())));
        }
        if asked.contains("mail_probe_last_phase_duration_seconds") {
            let missing = Phase::ALL.iter().filter(|phase| !asked.contains(&format!("phase=\"{}\"", phase.as_str())));
            wrong.extend(missing.map(|phase| format!("{}: no {}", text(panel, "/title"), phase.as_str())));
        }
    }
    wrong
}

/// Sets what a pointer leads to.
fn set(dashboard: &mut Value, pointer: &str, value: Value) {
    *dashboard.pointer_mut(pointer).unwrap_or_else(|| panic!("nothing at {pointer}")) = value;
}

/// The place of the first panel for which this holds.
fn place(dashboard: &Value, holds: impl Fn(&Value) -> bool) -> String {
    let at = list(dashboard, "/panels").iter().position(|panel| text(panel, "/type") != "row" && holds(panel));
    format!("/panels/{}", at.unwrap())
}

fn first(dashboard: &Value) -> String {
    place(dashboard, |_| true)
}

/// Gives the first panel another query.
fn ask(dashboard: &mut Value, expression: &str) {
    let pointer = first(dashboard) + "/targets/0/expr";
    set(dashboard, &pointer, json!(expression));
}

const ALL: &str = r#"job=~"$job",instance=~"$instance",target=~"$target",port=~"$port""#;

/// A rule, and ways to break it: applied to the dashboard of an endpoint, each must make it complain.
const BREAKS: &[(Rule, &[Break])] = &[
    (
        the_dashboard_is_as_provisioned,
        &[
            |d| d["uid"] = json!("x"),
            |d| d["id"] = json!(7),
            |d| d["__inputs"] = json!([]),
            |d| d["schemaVersion"] = json!(16),
            |d| d["tags"] = json!([]),
        ],
    ),
    (
        the_data_source_can_be_chosen,
        &[
            |d| set(d, "/templating/list/0/query", json!("loki")),
            |d| set(d, "/templating/list/1/datasource/uid", json!("prometheus")),
            |d| set(d, "/annotations/list/0/datasource", json!(null)),
            |d| {
                let pointer = first(d) + "/datasource/uid";
                set(d, &pointer, json!("abc"));
            },
            |d| {
                let pointer = first(d) + "/targets/0/datasource/uid";
                set(d, &pointer, json!("-- Mixed --"));
            },
        ],
    ),
    (
        jobs_and_instances_can_be_chosen,
        &[
            |d| set(d, "/templating/list/1/multi", json!(false)),
            |d| set(d, "/templating/list/2/allValue", json!(".*")),
            |d| set(d, "/templating/list/3/refresh", json!(1)),
        ],
    ),
    (
        all_is_described,
        &[
            |d| d["description"] = json!(""),
            |d| {
                let pointer = first(d) + "/title";
                set(d, &pointer, json!(""));
            },
            |d| {
                let pointer = first(d) + "/description";
                set(d, &pointer, json!(""));
            },
            |d| {
                let pointer = first(d) + "/fieldConfig/defaults/noValue";
                set(d, &pointer, json!(""));
            },
        ],
    ),
    (
        values_have_units,
        &[
            |d| {
                let pointer = first(d) + "/fieldConfig/defaults/unit";
                set(d, &pointer, json!(""));
            },
            |d| {
                let pointer = first(d) + "/fieldConfig/defaults/unit";
                set(d, &pointer, json!("seconds"));
            },
        ],
    ),
    (
        panels_ask_for_something,
        &[
            |d| {
                let pointer = first(d) + "/targets";
                set(d, &pointer, json!([]));
            },
            |d| ask(d, " "),
        ],
    ),
    (
        only_core_panels,
        &[|d| {
            let pointer = first(d) + "/type";
            set(d, &pointer, json!("grafana-polystat-panel"));
        }],
    ),
    (
        ids_are_unique,
        &[
            |d| set(d, "/panels/1/id", json!(1)),
            |d| {
                let pointer = place(d, |panel| list(panel, "/targets").len() > 1) + "/targets/1/refId";
                set(d, &pointer, json!("A"));
            },
        ],
    ),
    (
        the_grid_is_full,
        &[
            |d| set(d, "/panels/1/gridPos/w", json!(2)),
            |d| set(d, "/panels/2/gridPos/x", json!(0)),
            |d| set(d, "/panels/1/gridPos/x", json!(23)),
        ],
    ),
    (
        links_lead_somewhere,
        &[
            |d| set(d, "/links/0/keepTime", json!(false)),
            |d| set(d, "/links", json!([])),
            |d| {
                d["url"] = json!("/d/mail-nowhere?${__url_time_range}&${datasource:queryparam}&var-target=a&var-port=1")
            },
            |d| d["url"] = json!("/d/mail-endpoint?var-target=a&var-port=1"),
        ],
    ),
    (
        rates_are_of_counters,
        &[
            |d| ask(d, &format!("rate(mail_probe_success{{{ALL}}}[$__rate_interval])")),
            |d| ask(d, &format!("sum(mail_probe_attempts_total{{{ALL}}})")),
        ],
    ),
    (
        rates_have_the_right_range,
        &[
            |d| ask(d, &format!("rate(mail_probe_attempts_total{{{ALL}}}[5m])")),
            |d| ask(d, &format!("increase(mail_probe_attempts_total{{{ALL}}}[$__interval])")),
            |d| {
                let pointer = place(d, |panel| text(panel, "/type") == "timeseries") + "/targets/0/expr";
                set(d, &pointer, json!(format!("increase(mail_probe_attempts_total{{{ALL}}}[$__range])")));
            },
        ],
    ),
    (
        metrics_exist,
        &[
            |d| ask(d, "mail_probe_succeeded"),
            |d| ask(d, "1 + 1"),
            |d| ask(d, "sum by (le) (mail_probe_success_bucket)"),
            |d| set(d, "/annotations/list/0/target/expr", json!("mail_nothing")),
            |d| set(d, "/templating/list/1/definition", json!("label_values(mail_nothing, job)")),
        ],
    ),
    (
        labels_exist,
        &[
            |d| ask(d, "sum by (tagret) (mail_probe_success)"),
            |d| ask(d, "mail_probe_success{provider=\"x\"}"),
            |d| ask(d, "mail_probe_success * on (hots) mail_probe_success"),
            |d| {
                let pointer = first(d) + "/targets/0/legendFormat";
                set(d, &pointer, json!("{{phaze}}"));
            },
            |d| d["url"] = json!("/d/mail-endpoint?var-target=${__data.fields.tagret:percentencode}"),
            |d| set(d, "/templating/list/1/definition", json!("label_values(mail_probe_success, jobs)")),
        ],
    ),
    (
        every_query_is_filtered,
        &[
            |d| ask(d, "mail_probe_success"),
            |d| ask(d, r#"mail_probe_success{job=~"$job",instance=~"$instance",target=~"$target"}"#),
            |d| ask(d, r#"mail_probe_success{job=~"$job",instance=~"$instance",target=~"$target",port="$port"}"#),
            |d| ask(d, "mail_exporter_endpoints{job=~\"$job\"}"),
            |d| ask(d, "mail_mx_hosts{job=~\"$job\",instance=~\"$instance\"}"),
        ],
    ),
    (
        variables_are_used,
        &[|d| ask(d, "mail_probe_success{target=~\"$tagret\"}"), |d| set(d, "/templating/list/3/name", json!("other"))],
    ),
    (
        states_and_phases_are_complete,
        &[
            |d| ask(d, "mail_probe_last_phase_duration_seconds"),
            |d| {
                let with_state = |panel: &Value| text(panel, "/targets/0/expr").contains("state=\"refused\"");
                let pointer = place(d, with_state) + "/fieldConfig/defaults/mappings";
                set(d, &pointer, json!([]));
            },
            |d| {
                let with_state = |panel: &Value| text(panel, "/targets/0/expr").contains("state=\"refused\"");
                let pointer = place(d, with_state) + "/targets/0/expr";
                set(d, &pointer, json!("mail_port_state{state=\"refused\"}"));
            },
        ],
    ),
];

#[test]
fn the_dashboards_keep_the_rules() {
    let mut wrong = Vec::new();
    for (name, uid) in DASHBOARDS {
        let dashboard = dashboard(name);
        assert_eq!(dashboard["uid"], *uid);
        for (rule, _) in BREAKS {
            wrong.extend(rule(&dashboard).iter().map(|problem| format!("{name}.json: {problem}")));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    let files = fs::read_dir(root().join("dashboards")).unwrap();
    let json = files.filter(|file| file.as_ref().unwrap().path().extension().is_some_and(|ending| ending == "json"));
    assert_eq!(json.count(), DASHBOARDS.len(), "a dashboard that no rule sees");
}

#[test]
fn every_rule_can_be_broken() {
    let good = dashboard("endpoint");
    for (number, (rule, breaks)) in BREAKS.iter().enumerate() {
        assert_eq!(rule(&good), Vec::<String>::new());
        assert!(!breaks.is_empty());
        for (way, break_it) in breaks.iter().enumerate() {
            let mut broken = good.clone();
            break_it(&mut broken);
            assert!(!rule(&broken).is_empty(), "rule {number} lets pass what break {way} did");
        }
    }
}

#[test]
fn expressions_are_understood() {
    let query = parse(
        "sum by (target, le) (rate(a_bucket{job=~\"$job\",x!=\"} (\"}[$__rate_interval])) / 1e3\n\
         or b offset 5m and on (job) group_left () (c > bool 0.5)",
    );
    let metrics: Vec<&str> = query.selectors.iter().map(|selector| selector.metric.as_str()).collect();
    assert_eq!(metrics, ["a_bucket", "b", "c"]);
    assert_eq!(query.labels, ["target", "le", "job", "x", "job"]);
    assert_eq!(query.selectors[0].function, "rate");
    assert_eq!(query.selectors[0].matchers[0], "job=~\"$job\"");
    assert_eq!(query.selectors[0].range.as_deref(), Some("$__rate_interval"));
    assert_eq!(query.selectors[1].function, "");
}

/// The places in `examples/docker-compose.yml` and what Grafana is told agree.
#[test]
fn the_compose_example_holds_together() {
    let read = |name: &str| -> serde_yaml::Value {
        serde_yaml::from_str(&fs::read_to_string(root().join("examples").join(name)).unwrap()).unwrap()
    };
    let compose = read("docker-compose.yml");
    let services = compose["services"].as_mapping().unwrap();
    let mut mounted = Vec::new();
    for (name, service) in services {
        let name = name.as_str().unwrap();
        assert!(service["user"].as_str().is_some_and(|user| !user.starts_with('0')), "{name} runs as root");
        assert!(service["healthcheck"]["test"].is_sequence(), "{name} has no health check");
        for port in service["ports"].as_sequence().unwrap() {
            assert!(port.as_str().unwrap().starts_with("127.0.0.1:"), "{name}: {port:?}");
        }
        let image = service["image"].as_str().unwrap();
        assert!(name == "exporter" || image.split_once(':').is_some_and(|(_, tag)| tag != "latest"), "{image}");
        for volume in service["volumes"].as_sequence().unwrap() {
            let volume = volume.as_str().unwrap();
            let volume =
                volume.strip_prefix("${MAIL_CONFIG:-").map_or(volume.to_owned(), |rest| rest.replacen('}', "", 1));
            let (source, target) = volume.split_once(':').unwrap();
            mounted.push(format!("{name}:{target}"));
            let there = Path::new(&root()).join("examples").join(source).exists();
            let kept = compose["volumes"].as_mapping().unwrap().contains_key(source);
            assert!(there || kept, "{name}: nothing at {source}");
        }
    }
    let provider = read("grafana/provisioning/dashboards/mail.yml");
    let path = provider["providers"][0]["options"]["path"].as_str().unwrap();
    assert!(mounted.contains(&format!("grafana:{path}:ro")), "{path} is not mounted");
    let source = read("grafana/provisioning/datasources/prometheus.yml");
    assert_eq!(source["datasources"][0]["uid"], "prometheus");
    // Who asks whom, by the names of the network.
    let prometheus = read("compose/prometheus.yml");
    let mut asked = vec![
        source["datasources"][0]["url"].as_str().unwrap().trim_start_matches("http://").to_owned(),
        prometheus["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"][0].as_str().unwrap().to_owned(),
    ];
    for job in prometheus["scrape_configs"].as_sequence().unwrap() {
        asked.push(job["static_configs"][0]["targets"][0].as_str().unwrap().to_owned());
    }
    for address in asked {
        let (host, port) = address.split_once(':').unwrap();
        let host = if host == "localhost" { "prometheus" } else { host };
        let ports = services[host]["ports"].as_sequence().unwrap();
        assert!(ports.iter().any(|published| published.as_str().unwrap().ends_with(&format!(":{port}"))), "{address}");
    }
    for rules in prometheus["rule_files"].as_sequence().unwrap() {
        assert!(mounted.contains(&format!("prometheus:{}:ro", rules.as_str().unwrap())), "{rules:?}");
    }
}

#[test]
fn the_readme_of_the_dashboards_names_them_all() {
    let text = fs::read_to_string(root().join("dashboards/README.md")).unwrap();
    for (name, uid) in DASHBOARDS {
        assert!(text.contains(&format!("({name}.json)")) && text.contains(uid), "{name}");
        for variable in variables(&dashboard(name)) {
            assert!(text.contains(&format!("`{}`", variable["name"].as_str().unwrap())), "{}", variable["name"]);
        }
    }
}
