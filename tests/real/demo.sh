#!/bin/bash
# The demo on a free set of ports, and a Prometheus that scrapes it and evaluates the rules of examples/prometheus:
# what dashboards and rules are held against. It needs some minutes to have seen everything.
#   demo.sh start DIR
#   demo.sh stop DIR
# The demo must have been built: cargo build --example demo
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$(readlink -f "$0")")/lib.sh"

root=$(dirname "$(readlink -f "$0")")/../..
EXPORTER=22980
PROMETHEUS=22981

start() {
    prepare "$1"
    ports_free $EXPORTER $PROMETHEUS
    apt_install prometheus
    rm -rf "$dir/demo"
    mkdir -p "$dir/demo"
    cp "$root"/examples/prometheus/{alerts,recording}.yml "$dir/demo/"
    cat >"$dir/demo/prometheus.yml" <<END
global: {scrape_interval: 5s, scrape_timeout: 4s, evaluation_interval: 5s}
rule_files: [alerts.yml, recording.yml]
scrape_configs:
  - job_name: mail_endpoint_exporter
    static_configs:
      - targets: [127.0.0.1:$EXPORTER]
END
    trap 'stop "$dir"' EXIT
    spawn demo "$root/target/debug/examples/demo" 127.0.0.1:$EXPORTER
    spawn demo-prometheus prometheus --config.file="$dir/demo/prometheus.yml" \
        --storage.tsdb.path="$dir/demo/data" --web.listen-address=127.0.0.1:$PROMETHEUS
    wait_for "the demo" http_ok $EXPORTER /-/healthy
    wait_for Prometheus http_ok $PROMETHEUS /-/ready
    put_env DEMO_EXPORTER $EXPORTER
    put_env DEMO_PROMETHEUS $PROMETHEUS
    trap - EXIT
}

stop() {
    dir=$1
    reap demo demo-prometheus
}

case ${1-}:$# in
    start:2) start "$2" ;;
    stop:2) stop "$2" ;;
    *) die "usage: demo.sh start DIR | stop DIR" ;;
esac
