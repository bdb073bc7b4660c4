#!/bin/bash
# The example rules and routes, in the hands of promtool, amtool, Prometheus and Alertmanager:
#   rules.sh DIR
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$(readlink -f "$0")")/lib.sh"

PROMETHEUS=22930
ALERTMANAGER=22931
STAGE=22932 # the test, which is scraped and notified

root=$(cd "$(dirname "$(readlink -f "$0")")/../.." && pwd)
[[ $# == 1 ]] || die "usage: rules.sh DIR"
prepare "$1"
apt_install prometheus prometheus-alertmanager
rules=$root/examples/prometheus
routes=$root/examples/alertmanager/alertmanager.yml

# They load, and do what their tests say.
promtool check config "$rules/prometheus.yml"
find "$rules/tests" -name '*.yml' -print0 | xargs -0 -P 8 -n 1 promtool test rules
amtool check-config "$routes"

# Each kind of alert comes to whom its severity says.
declare -A receivers=([critical]=pager [warning]=tickets [info]=chat)
kinds=$(awk '/- alert:/ {name = $3} /labels: \{severity:/ {sub("}", "", $3); print name, $3}' "$rules/alerts.yml")
[[ $(wc -l <<<"$kinds") -eq $(grep -c -e '- alert:' "$rules/alerts.yml") ]] || die "an alert without a severity"
while read -r name severity; do
    amtool config routes test --config.file="$routes" --verify.receivers="${receivers[$severity]}" \
        "alertname=$name" "severity=$severity" job=j instance=i target=t host=h port=25 >>"$dir/logs/routes.log" 2>&1 ||
        die "$name ($severity) does not come to ${receivers[$severity]}: $(tail -n 3 "$dir/logs/routes.log")"
done <<<"$kinds"
echo "$(wc -l <<<"$kinds") kinds of alerts come to their receivers"

# The whole way, in a hurry: the same rules and routes, with seconds for minutes.
ports_free $PROMETHEUS $ALERTMANAGER $STAGE
(cd "$root" && cargo test --locked --quiet --test real_alerts --no-run)
work=$dir/rules
rm -rf "$work"
mkdir -p "$work"
sed -E 's/(_interval:) 30s/\1 1s/; s/localhost:10125/127.0.0.1:'$STAGE'/; s/localhost:9093/127.0.0.1:'$ALERTMANAGER'/' \
    "$rules/prometheus.yml" >"$work/prometheus.yml"
sed -E 's/^( +(keep_firing_)?for: [0-9]+)m$/\1s/' "$rules/alerts.yml" >"$work/alerts.yml"
cp "$rules/recording.yml" "$work/"
sed -E 's/(group_wait:) 30s/\1 2s/; s/(group_interval:) 5m/\1 2s/; s|http://localhost:9095|http://127.0.0.1:'$STAGE'|' \
    "$routes" >"$work/alertmanager.yml"
for changed in "$rules"/{prometheus,alerts}.yml "$routes"; do
    ! cmp -s "$changed" "$work/${changed##*/}" || die "nothing to hurry in $changed"
done

stop() {
    reap rules-prometheus rules-alertmanager
}
trap stop EXIT
# No cluster of one's own, hence no waiting for it.
spawn rules-alertmanager prometheus-alertmanager --config.file="$work/alertmanager.yml" --cluster.listen-address= \
    --storage.path="$work/alertmanager" --web.listen-address=127.0.0.1:$ALERTMANAGER
spawn rules-prometheus prometheus --config.file="$work/prometheus.yml" --storage.tsdb.path="$work/data" \
    --rules.alert.resend-delay=1s --web.listen-address=127.0.0.1:$PROMETHEUS
wait_for Alertmanager http_ok $ALERTMANAGER /-/ready
wait_for Prometheus http_ok $PROMETHEUS /-/ready
(cd "$root" && ALERTMANAGER=$ALERTMANAGER STAGE=$STAGE \
    cargo test --locked --quiet --test real_alerts -- --ignored --nocapture)
