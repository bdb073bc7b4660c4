#!/bin/bash
# Tests against the real parts: Postfix, Exim, OpenSMTPD, Dovecot, Knot DNS, HAProxy, Dante, microsocks, tinyproxy, Squid,
# fail2ban, OpenSSL, Prometheus, Alertmanager, blackbox_exporter, Chromium, systemd's tools, and the schemas of
# Kubernetes.
# Installs what it needs (Debian, root), starts it on loopback and in network namespaces, runs the ignored tests, and
# stops it again.
# Arguments go to the tests: tests/real.sh prometheus
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."

dir=$(mktemp -d /tmp/mail-real.XXXXXX)
stop() {
    for part in citizen proxy servers prometheus blackbox net demo; do tests/real/$part.sh stop "$dir" || true; done
}
die_of() {
    cat "$1" >&2
    exit 1
}
trap 'status=$?; kill "${host-}" 2>/dev/null || true; stop; if ((status)); then tail -n 40 "$dir"/logs/*.log >&2 || true; fi; rm -rf "$dir"' EXIT

tests/real/tools.sh "$dir"
tests/real/kubernetes.sh "$dir"
tests/real/rules.sh "$dir"
tests/real/compose.sh "$dir"
tests/real/servers.sh start "$dir"
tests/real/citizen.sh start "$dir"
tests/real/proxy.sh start "$dir"
tests/real/net.sh start "$dir"
tests/real/dns.sh install "$dir"
cargo build --locked --example demo
# By itself first, for its ports are fixed; then it goes on beside the others, and the dashboards come last.
REAL_DIR=$dir cargo test --locked --test demo -- --ignored "$@"
tests/real/demo.sh start "$dir"
# In namespaces of its own, and most of its time asleep: beside those that do not mind.
REAL_DIR=$dir cargo test --locked --test real_host -- --ignored --test-threads=1 "$@" >"$dir/logs/real_host.log" 2>&1 &
host=$!
REAL_DIR=$dir cargo test --locked --test real_page --test real_net --test real_tls --test real_certificates --test real_dns -- --ignored --test-threads=1 "$@"
wait "$host" || die_of "$dir/logs/real_host.log"
REAL_DIR=$dir cargo test --locked --test real --test real_web --test real_shard --test real_citizen --test real_auth --test real_changes --test real_proxy --test systemd -- --ignored --test-threads=1 "$@"
REAL_DIR=$dir cargo test --locked --test real_dashboards -- --ignored --nocapture "$@"
tests/grafana/run.sh "$dir" "http://127.0.0.1:$(sed -n 's/^DEMO_PROMETHEUS=//p' "$dir/env")" "${PICTURES:-$dir/pictures}" from=now-5m scrape_interval=5s
