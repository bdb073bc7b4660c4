#!/bin/bash
# A small internet of network namespaces, cut off from the real one: a client, a router, and three hosts behind it.
#   net.sh start DIR   makes it and writes the names of the namespaces into DIR/env
#   net.sh stop DIR    takes it down, with all that runs in it
#
#   client ─── router ─┬─ host1      The hosts are 192.0.2.11, .27 and .43, and 2001:db8:1::25, :2: and :3:.
#                      ├─ host2      In the router, each link has the name of the other side.
#                      └─ host3      In the others, the link is eth.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$(readlink -f "$0")")/lib.sh"

PLACES=(client router host1 host2 host3)

name() { # PLACE: its namespace
    echo "mail-net-$1"
}

in_place() { # PLACE COMMAND...
    local place=$1
    shift
    ip netns exec "$(name "$place")" "$@"
}

# make PLACE: a namespace that loses no address when a link goes down, and none to the search for duplicates.
make() {
    ip netns add "$(name "$1")"
    in_place "$1" sysctl -qw net.ipv6.conf.{all,default}.accept_dad=0 net.ipv6.conf.{all,default}.keep_addr_on_down=1
    ip -n "$(name "$1")" link set lo up
}

# wire PLACE ROUTER4 PLACE4 ROUTER6 PLACE6: links it to the router.
wire() {
    local here router
    here=$(name "$1")
    router=$(name router)
    ip -n "$router" link add "$1" type veth peer name eth netns "$here"
    ip -n "$router" address add "$2" dev "$1"
    ip -n "$router" address add "$4" dev "$1"
    ip -n "$here" address add "$3" dev eth
    ip -n "$here" address add "$5" dev eth
    ip -n "$router" link set "$1" up
    ip -n "$here" link set eth up
    ip -n "$here" route add default via "${2%/*}"
    ip -n "$here" route add default via "${4%/*}"
}

start() {
    prepare "$1"
    apt_install iproute2 nftables procps
    stop "$dir"
    trap 'stop "$dir"' EXIT
    local place
    for place in "${PLACES[@]}"; do
        make "$place"
        put_env "NET_${place^^}" "$(name "$place")"
    done
    # A router says as often as it likes that there is no way: the tests are to see each kind of refusal.
    in_place router sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 \
        net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0
    wire client 198.51.100.1/24 198.51.100.2/24 2001:db8:c::1/64 2001:db8:c::2/64
    wire host1 192.0.2.1/28 192.0.2.11/28 2001:db8:1::1/64 2001:db8:1::25/64
    wire host2 192.0.2.17/28 192.0.2.27/28 2001:db8:2::1/64 2001:db8:2::25/64
    wire host3 192.0.2.33/28 192.0.2.43/28 2001:db8:3::1/64 2001:db8:3::25/64
    trap - EXIT
}

stop() {
    dir=$1
    local place pid
    for place in "${PLACES[@]}"; do
        [[ -e /run/netns/$(name "$place") ]] || continue
        for pid in $(ip netns pids "$(name "$place")"); do
            kill -KILL "$pid" 2>/dev/null || true
        done
        ip netns delete "$(name "$place")"
    done
}

case ${1-}:$# in
    start:2) start "$2" ;;
    stop:2) stop "$2" ;;
    *) die "usage: net.sh start|stop DIR" ;;
esac
