#!/bin/bash
# The real blackbox exporter on a loopback port, with the smtp_starttls module
# of its own example.yml, to compare with:
#   blackbox.sh start DIR   (trusts DIR/certs/ca.pem, if servers.sh made one)
#   blackbox.sh stop DIR
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$(readlink -f "$0")")/lib.sh"

BLACKBOX=22915

start() {
    prepare "$1"
    ports_free $BLACKBOX
    apt_install prometheus-blackbox-exporter
    mkdir -p "$dir/blackbox"
    # As shipped, but for the shorter timeout (and tls_config, below).
    cat >"$dir/blackbox/blackbox.yml" <<'END'
modules:
  smtp_starttls:
    prober: tcp
    timeout: 4s
    tcp:
      query_response:
        - expect: "^220 ([^ ]+) ESMTP (.+)$"
        - send: "EHLO prober\r"
        - expect: "^250-STARTTLS"
        - send: "STARTTLS\r"
        - expect: "^220"
        - starttls: true
        - send: "EHLO prober\r"
        - expect: "^250-AUTH"
        - send: "QUIT\r"
END
    if [[ -e $dir/certs/ca.pem ]]; then
        cat >>"$dir/blackbox/blackbox.yml" <<END
      tls_config:
        ca_file: $dir/certs/ca.pem
END
    fi
    trap 'stop "$dir"' EXIT
    spawn blackbox prometheus-blackbox-exporter --config.file="$dir/blackbox/blackbox.yml" \
        --web.listen-address=127.0.0.1:$BLACKBOX
    wait_for "the blackbox exporter" http_ok $BLACKBOX /-/healthy
    put_env BLACKBOX $BLACKBOX
    trap - EXIT
}

stop() {
    dir=$1
    reap blackbox
}

case ${1-}:$# in
    start:2) start "$2" ;;
    stop:2) stop "$2" ;;
    *) die "usage: blackbox.sh start|stop DIR" ;;
esac
