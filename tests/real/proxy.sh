#!/bin/bash
# What stands between a client and a mail server, on loopback (Debian, root):
#   proxy.sh start DIR   starts proxies (Dante, microsocks, tinyproxy, Squid), and behind HAProxy a Postfix that expects
#                        the PROXY protocol; writes DIR/env
#   proxy.sh stop DIR    stops them; the logs stay in DIR/logs
# Each connects from an address of its own, so that the servers' logs show who it was. The name of the servers is in
# no DNS: the proxies alone know it.
# Needs what servers.sh has made: the servers to lead to, and the certificates.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$(readlink -f "$0")")/lib.sh"

PROXY_DANTE=19410         # SOCKS 5 for everybody, but not to 127.0.0.9
PROXY_MICROSOCKS=19411    # SOCKS 5 with a password
PROXY_TINYPROXY=19412     # CONNECT for everybody, to few ports
PROXY_SQUID=19413         # the same
PROXY_SQUID_LOGIN=19414   # the same with a password
PROXIED_SMTP=19421        # Postfix that expects the PROXY protocol, STARTTLS
PROXIED_SUBMISSIONS=19422 # the same with TLS from the start
PROXIED_POSTSCREEN=19423  # the same with postscreen before it
PROXY_HAPROXY=19431       # HAProxy that expects it, and hands it on as version 1, STARTTLS
PROXY_HAPROXY_V2=19432    # the same as version 2, TLS from the start

user=probe
password=open-sesame

# Runs a command that finds the servers by their name, and only this one.
knowing_names() { # NAME COMMAND...
    local name=$1
    shift
    # shellcheck disable=SC2016 # for the other shell
    spawn "$name" unshare --mount sh -c 'mount --bind "$0" /etc/hosts && exec "$@"' "$dir/proxy/hosts" "$@"
}

start_socks() {
    cat >"$dir/proxy/danted.conf" <<END
logoutput: stderr
internal: 127.0.0.1 port = $PROXY_DANTE
external: 127.0.0.3
clientmethod: none
socksmethod: none
user.privileged: root
user.unprivileged: nobody
client pass { from: 127.0.0.0/8 to: 0.0.0.0/0 }
socks block { from: 127.0.0.0/8 to: 127.0.0.9/32 }
socks pass { from: 127.0.0.0/8 to: 0.0.0.0/0 protocol: tcp }
END
    knowing_names proxy-dante danted -f "$dir/proxy/danted.conf"
    knowing_names proxy-microsocks microsocks -i 127.0.0.1 -p $PROXY_MICROSOCKS -b 127.0.0.4 -u "$user" -P "$password"
}

start_connect() { # PORT...: the ports that may be connected to
    {
        printf '%s\n' "Listen 127.0.0.1" "Port $PROXY_TINYPROXY" "Bind 127.0.0.5" "User nobody" "LogLevel Connect"
        printf 'ConnectPort %s\n' "$@"
    } >"$dir/proxy/tinyproxy.conf"
    knowing_names proxy-tinyproxy tinyproxy -d -c "$dir/proxy/tinyproxy.conf"
    echo "$user:$(openssl passwd -6 "$password")" >"$dir/proxy/users"
    cat >"$dir/proxy/squid.conf" <<END
http_port 127.0.0.1:$PROXY_SQUID
http_port 127.0.0.1:$PROXY_SQUID_LOGIN name=login
tcp_outgoing_address 127.0.0.6
pid_filename $dir/proxy/squid.pid
coredump_dir $dir/proxy
cache_log stdio:$dir/logs/proxy-squid-cache.log
access_log none
cache deny all
cache_mem 8 MB
netdb_filename none
pinger_enable off
shutdown_lifetime 0 seconds
visible_hostname proxy.test.example
dns_nameservers 127.0.0.1
auth_param basic program /usr/lib/squid/basic_ncsa_auth $dir/proxy/users
auth_param basic children 1
acl login myportname login
acl known proxy_auth REQUIRED
acl allowed port $*
http_access deny !allowed
http_access deny login !known
http_access allow all
END
    knowing_names proxy-squid squid -N -f "$dir/proxy/squid.conf"
}

start_proxied() {
    make_postfix proxied-postfix
    cat >>"$dir/proxied-postfix/etc/main.cf" <<END
smtpd_peername_lookup = no
smtpd_upstream_proxy_timeout = 2s
postscreen_upstream_proxy_timeout = 2s
postscreen_access_list =
postscreen_cache_map =
postscreen_greet_wait = 1s
END
    cat >>"$dir/proxied-postfix/etc/master.cf" <<END
127.0.0.1:$PROXIED_SMTP inet n - n - - smtpd
  -o smtpd_upstream_proxy_protocol=haproxy
127.0.0.1:$PROXIED_SUBMISSIONS inet n - n - - smtpd
  -o smtpd_upstream_proxy_protocol=haproxy
  -o smtpd_tls_wrappermode=yes
127.0.0.1:$PROXIED_POSTSCREEN inet n - n - 1 postscreen
  -o postscreen_upstream_proxy_protocol=haproxy
END
    run_postfix proxied-postfix
    cat >"$dir/proxy/haproxy.cfg" <<END
defaults
    mode tcp
    timeout connect 5s
    timeout client 30s
    timeout server 30s
listen v1
    bind 127.0.0.1:$PROXY_HAPROXY accept-proxy
    server postfix 127.0.0.1:$PROXIED_SMTP source 127.0.0.7 send-proxy
listen v2
    bind 127.0.0.1:$PROXY_HAPROXY_V2 accept-proxy
    server postfix 127.0.0.1:$PROXIED_SUBMISSIONS source 127.0.0.7 send-proxy-v2
END
    spawn proxy-haproxy haproxy -db -f "$dir/proxy/haproxy.cfg"
}

start() {
    prepare "$1"
    local name
    ports_free $PROXY_DANTE $PROXY_MICROSOCKS $PROXY_TINYPROXY $PROXY_SQUID $PROXY_SQUID_LOGIN \
        $PROXIED_SMTP $PROXIED_SUBMISSIONS $PROXIED_POSTSCREEN $PROXY_HAPROXY $PROXY_HAPROXY_V2
    apt_install postfix haproxy dante-server microsocks tinyproxy-bin squid util-linux
    # shellcheck source=/dev/null # KEY=VALUE lines
    . "$dir/env"
    mkdir -p "$dir/proxy"
    printf '127.0.0.1 localhost\n127.0.0.1 %s\n' "$host" >"$dir/proxy/hosts"
    touch "$dir/logs/proxy-squid-cache.log"
    chown proxy: "$dir/logs/proxy-squid-cache.log"
    trap 'stop "$dir"' EXIT
    start_socks
    # A port that nobody listens on is allowed too: 9.
    start_connect "${POSTFIX_SUBMISSION:?servers.sh comes first}" "${POSTFIX_SUBMISSIONS:?}" 9
    start_proxied
    for name in ${!PROXY_*} ${!PROXIED_*}; do
        wait_for "$name" port_open "${!name}"
        put_env "$name" "${!name}"
    done
    put_env PROXY_USER $user
    put_env PROXY_PASSWORD $password
    trap - EXIT
}

stop() {
    dir=$1
    reap proxy-dante proxy-microsocks proxy-tinyproxy proxy-squid proxied-postfix proxy-haproxy
}

case ${1-}:$# in
    start:2) start "$2" ;;
    stop:2) stop "$2" ;;
    *) die "usage: proxy.sh start|stop DIR" ;;
esac
