#!/bin/bash
# A real name server (Knot DNS), authoritative for what the tests write. It answers at 127.0.0.1, port 53, hence in the
# network namespace of a test, where port 53 and /etc/resolv.conf are its own.
#   dns.sh install DIR   outside, where packages can be had
#   dns.sh start DIR     serves every zone NAME of DIR/dns/NAME.zone, and fails for those of which DIR/dns/NAME.broken is all
#   dns.sh reload DIR    serves them as they are now
#   dns.sh stop DIR
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$(readlink -f "$0")")/lib.sh"

configure() {
    local file name
    cat >"$dir/dns/knot.conf" <<END
server:
    rundir: $dir/run/knot
    listen: 127.0.0.1@53
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
    # As resolvers do: another address comes first each time.
    answer-rotation: on
database:
    storage: $dir/dns/db
log:
  - target: stderr
    any: info
template:
  - id: default
    storage: $dir/dns
    file: "%s.zone"
zone:
END
    for file in "$dir"/dns/*.{zone,broken}; do
        name=${file##*/}
        [[ ! -e $file ]] || echo "  - domain: ${name%.*}" >>"$dir/dns/knot.conf"
    done
    knotc -c "$dir/dns/knot.conf" conf-check >>"$dir/logs/knot.log" 2>&1 || die "knot.conf is wrong: see $dir/logs/knot.log"
}

answers() { # its own zone has the SOA that was written last
    local file name serial
    for file in "$dir"/dns/*.zone; do
        name=${file##*/}
        serial=$(awk '$3 == "SOA" {print $6; exit}' "$file")
        [[ $(kdig +short +timeout=1 +retry=0 @127.0.0.1 "${name%.zone}" SOA 2>/dev/null) == *" $serial "* ]] || return 1
    done
}

start() {
    prepare "$1"
    mkdir -p "$dir/run/knot" "$dir/dns/db"
    configure
    trap 'stop "$dir"' EXIT
    spawn knot knotd -c "$dir/dns/knot.conf"
    wait_for "the name server" answers
    trap - EXIT
}

reload() {
    prepare "$1"
    configure
    knotc -c "$dir/dns/knot.conf" reload >>"$dir/logs/knot.log" 2>&1 || die "no reload: see $dir/logs/knot.log"
    wait_for "the changed name server" answers
}

stop() {
    dir=$1
    reap knot
}

case ${1-}:$# in
    install:2) prepare "$2" && apt_install knot knot-dnsutils prometheus-blackbox-exporter ;;
    start:2) start "$2" ;;
    reload:2) reload "$2" ;;
    stop:2) stop "$2" ;;
    *) die "usage: dns.sh install|start|reload|stop DIR" ;;
esac
