# shellcheck shell=bash
# Helpers shared by the scripts in this folder. Source it, do not run it.
#
# Every script keeps what it makes under one folder DIR:
#   DIR/env     KEY=VALUE lines for the tests (scripts may share one DIR)
#   DIR/logs    logs; the only thing of interest after a stop
#   DIR/run     pid files

PATH=$PATH:/usr/sbin:/sbin

# What the mail servers call themselves, and what their certificates are for.
host=mail.test.example

die() {
    echo "${0##*/}: $*" >&2
    exit 1
}

# prepare DIR: checks the arguments and makes the folders. Sets $dir.
prepare() {
    dir=$1
    [[ $dir == /* ]] || die "DIR must be absolute: $dir"
    # Socket paths below DIR must stay under the limit of 108 bytes.
    [[ ${#dir} -le 64 && $dir != *[[:space:]]* ]] || die "DIR must be short and without spaces: $dir"
    [[ $EUID -eq 0 ]] || die "must run as root"
    umask 022
    mkdir -p "$dir/logs" "$dir/run"
    # The servers drop their privileges, and mktemp -d makes private folders.
    chmod 755 "$dir"
    runuser -u nobody -- test -x "$dir" || die "a parent folder of $dir is closed to other users"
}

put_env() { # KEY VALUE: sets one line of DIR/env
    touch "$dir/env"
    sed -i "/^$1=/d" "$dir/env"
    echo "$1=$2" >>"$dir/env"
}

apt_get() {
    DEBIAN_FRONTEND=noninteractive apt-get -y -o DPkg::Lock::Timeout=300 -o APT::Sandbox::User=root \
        "$@" >>"$dir/logs/apt.log" 2>&1 || {
        tail -n 20 "$dir/logs/apt.log" >&2
        die "apt-get $* failed"
    }
}

apt_updated=
apt_update() { # once, and only if something has to be installed
    [[ -n $apt_updated ]] || apt_get update
    apt_updated=yes
}

# apt_install PACKAGE...: installs those that are missing, without starting or
# replacing any service of the machine.
apt_install() {
    local package missing=() policy=/usr/sbin/policy-rc.d
    for package; do
        [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) == installed ]] || missing+=("$package")
    done
    [[ ${#missing[@]} -gt 0 ]] || return 0
    apt_update
    if [[ ! -e $policy ]]; then
        # 101: "action forbidden by policy", for systemd and init scripts alike.
        trap 'rm -f /usr/sbin/policy-rc.d' EXIT
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
    else
        policy=
    fi
    apt_get install --no-install-recommends --no-remove "${missing[@]}"
    if [[ -n $policy ]]; then
        rm -f "$policy"
        trap - EXIT
    fi
}

port_open() { # PORT
    (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

ports_free() { # PORT...
    local port
    for port; do
        ! port_open "$port" || die "port $port is in use (a forgotten start?)"
    done
}

# wait_for WHAT COMMAND...: tries the command for up to 30 s.
wait_for() {
    local what=$1 end=$((SECONDS + 30))
    shift
    until "$@"; do
        [[ $SECONDS -lt $end ]] || die "$what does not answer; see $dir/logs"
        sleep 0.1
    done
}

http_ok() { # PORT PATH
    local status
    (
        exec 3<>"/dev/tcp/127.0.0.1/$1"
        printf 'GET %s HTTP/1.0\r\n\r\n' "$2" >&3
        read -r -t 5 status <&3
        [[ $status == HTTP/1.?" 200 "* ]]
    ) 2>/dev/null
}

# spawn NAME COMMAND...: starts a program that stays in the foreground, as the
# leader of a process group of its own, with its output in DIR/logs/NAME.log.
spawn() {
    local name=$1
    shift
    setsid "$@" </dev/null >>"$dir/logs/$name.log" 2>&1 &
    echo $! >"$dir/run/$name.pid"
}

# group_alive PGID: the process group has a member that is not a zombie (the
# init of a container may be slow to collect those, or never do it).
group_alive() {
    local file line state pgrp
    for file in /proc/[0-9]*/stat; do
        { read -r line <"$file"; } 2>/dev/null || continue
        read -r state _ pgrp _ <<<"${line##*) }"
        [[ $pgrp != "$1" || $state == Z ]] || return 0
    done
    return 1
}

# reap NAME...: ends the process groups of DIR/run/NAME.pid that still exist:
# politely, then after 5 s by force.
reap() {
    local name pid i groups=()
    for name; do
        [[ -s $dir/run/$name.pid ]] || continue
        groups+=("$(<"$dir/run/$name.pid")")
        rm "$dir/run/$name.pid"
    done
    for pid in "${groups[@]}"; do
        kill -TERM -- "-$pid" 2>/dev/null || true
    done
    for pid in "${groups[@]}"; do
        for ((i = 0; i < 50; i++)); do
            group_alive "$pid" || break
            sleep 0.1
        done
        kill -KILL -- "-$pid" 2>/dev/null || true
    done
}

# make_postfix NAME: the configuration of a Postfix in DIR/NAME that logs into DIR/logs/NAME.log, to which the caller
# adds what main.cf and master.cf are to have besides: it has no port yet, and takes no mail.
make_postfix() {
    local home=$dir/$1
    mkdir -p "$home/etc" "$home/spool/private" "$home/data"
    chown postfix: "$home/spool/private" "$home/data"
    chmod 700 "$home/spool/private" "$home/data"
    # Nobody is trusted for coming from 127.0.0.1 (also for postscreen's sake).
    cat >"$home/etc/main.cf" <<END
compatibility_level = 3.6
queue_directory = $home/spool
data_directory = $home/data
maillog_file = $dir/logs/$1.log
maillog_file_prefixes = $dir/logs
myhostname = $host
mydestination =
mynetworks =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
alias_maps =
local_recipient_maps =
smtpd_tls_security_level = may
smtpd_tls_chain_files = $dir/certs/postfix.key, $dir/certs/postfix.pem
smtpd_tls_auth_only = yes
smtpd_sasl_type = dovecot
END
    cat >"$home/etc/master.cf" <<END
smtpd     pass  -       -       n       -       -       smtpd
tlsproxy  unix  -       -       n       -       0       tlsproxy
dnsblog   unix  -       -       n       -       0       dnsblog
pickup    unix  n       -       n       60      1       pickup
cleanup   unix  n       -       n       -       0       cleanup
qmgr      unix  n       -       n       300     1       qmgr
tlsmgr    unix  -       -       n       1000?   1       tlsmgr
rewrite   unix  -       -       n       -       -       trivial-rewrite
bounce    unix  -       -       n       -       0       bounce
defer     unix  -       -       n       -       0       bounce
trace     unix  -       -       n       -       0       bounce
flush     unix  n       -       n       1000?   0       flush
proxymap  unix  -       -       n       -       -       proxymap
error     unix  -       -       n       -       -       error
retry     unix  -       -       n       -       -       error
discard   unix  -       -       n       -       -       discard
anvil     unix  -       -       n       -       1       anvil
postlog   unix-dgram n  -       n       -       1       postlogd
END
}

# run_postfix NAME: starts what make_postfix has made; reap NAME ends it.
run_postfix() {
    local home=$dir/$1
    postfix -c "$home/etc" start >>"$dir/logs/$1-start.log" 2>&1 ||
        die "Postfix does not start; see $dir/logs/$1*.log"
    tr -d ' ' <"$home/spool/pid/master.pid" >"$dir/run/$1.pid"
}

# tls_ok PORT OPTION...: makes a TLS connection that the CA of the mail servers vouches for.
tls_ok() {
    local port=$1
    shift
    timeout 10 openssl s_client -connect "127.0.0.1:$port" -CAfile "$dir/certs/ca.pem" \
        -verify_return_error -verify_hostname "$host" "$@" </dev/null >/dev/null 2>&1
}
