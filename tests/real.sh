#!/bin/bash
# Tests against the real parts: Postfix, Exim, OpenSMTPD, Dovecot's SASL, Prometheus, blackbox_exporter, Chromium,
# systemd's tools, and the schemas of Kubernetes.
# Installs what it needs (Debian, root), starts it on loopback, runs the ignored tests, stops it again.
# Arguments go to the tests: tests/real.sh prometheus
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."

dir=$(mktemp -d /tmp/mail-real.XXXXXX)
stop() {
    for part in servers prometheus blackbox; do tests/real/$part.sh stop "$dir" || true; done
}
trap 'status=$?; stop; if ((status)); then tail -n 40 "$dir"/logs/*.log >&2 || true; fi; rm -rf "$dir"' EXIT

tests/real/tools.sh "$dir"
tests/real/kubernetes.sh "$dir"
tests/real/servers.sh start "$dir"
cargo build --locked --example demo
REAL_DIR=$dir cargo test --locked --test real --test real_web --test real_page --test demo --test real_shard --test systemd -- --ignored --test-threads=1 "$@"
