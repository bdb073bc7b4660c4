#!/bin/bash
# A real Prometheus on a loopback port that scrapes the exporter every second:
#   prometheus.sh start DIR EXPORTER_HOST:PORT...
#   prometheus.sh stop DIR
# PROMETHEUS_CONFIG names a configuration to use instead of the plain one.
# Prometheus makes its first scrape some 5 s after the start.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$(readlink -f "$0")")/lib.sh"

PROMETHEUS=22900

start() {
    prepare "$1"
    ports_free $PROMETHEUS
    apt_install prometheus
    # What an earlier one has scraped is not to be found again.
    rm -rf "$dir/prometheus"
    mkdir -p "$dir/prometheus"
    cat >"$dir/prometheus/prometheus.yml" <<END
global:
  scrape_interval: 1s
  scrape_timeout: 1s
scrape_configs:
  - job_name: mail_endpoint_exporter
    static_configs:
      - targets: [$(IFS=,; echo "${*:2}")]
END
    [[ -z ${PROMETHEUS_CONFIG-} ]] || cp "$PROMETHEUS_CONFIG" "$dir/prometheus/prometheus.yml"
    trap 'stop "$dir"' EXIT
    # Native histograms come in protobuf; who asks for text alone gets classic ones.
    spawn prometheus prometheus --enable-feature=native-histograms --config.file="$dir/prometheus/prometheus.yml" \
        --storage.tsdb.path="$dir/prometheus/data" --web.listen-address=127.0.0.1:$PROMETHEUS
    wait_for Prometheus http_ok $PROMETHEUS /-/ready
    put_env PROMETHEUS $PROMETHEUS
    trap - EXIT
}

stop() {
    dir=$1
    reap prometheus
}

case ${1-}:$# in
    start:[3-9]) start "${@:2}" ;;
    stop:2) stop "$2" ;;
    *) die "usage: prometheus.sh start DIR HOST:PORT... | stop DIR" ;;
esac
