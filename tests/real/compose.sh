#!/bin/bash
# Holds examples/docker-compose.yml against the schema of Compose, and what its Prometheus and Alertmanager read
# against their own tools. It needs no engine:
#   compose.sh DIR
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$(readlink -f "$0")")/lib.sh"

root=$(cd "$(dirname "$(readlink -f "$0")")/../.." && pwd)
[[ $# == 1 ]] || die "usage: compose.sh DIR"
prepare "$1"
apt_install docker-compose prometheus prometheus-alertmanager
file=$root/examples/docker-compose.yml

config() { # FILE
    docker-compose --project-directory "$root/examples" -f "$1" config --quiet
}
config "$file" || die "docker-compose.yml is not what Compose takes"

# A check that finds nothing wrong is worth what it finds in what is wrong.
wrong() { # SED-EXPRESSION: this change must be refused
    sed "$1" "$file" >"$dir/wrong.yml"
    ! cmp -s "$file" "$dir/wrong.yml" || die "docker-compose.yml has nothing for $1"
    ! config "$dir/wrong.yml" 2>>"$dir/logs/compose.log" || die "docker-compose.yml passes with $1"
}
wrong 's/healthcheck:/health_check:/'
wrong 's/cap_drop: \[ALL\]/cap_drop: ALL/'
wrong 's/condition: service_healthy/condition: healthy/'
wrong 's/:9090:9090/:9090:http/'

# Prometheus, with its files where the containers have them.
mkdir -p "$dir/compose"
cp "$root"/examples/prometheus/{recording,alerts}.yml "$dir/compose/"
sed 's#/etc/prometheus/##' "$root/examples/compose/prometheus.yml" >"$dir/compose/prometheus.yml"
promtool check config "$dir/compose/prometheus.yml" >"$dir/logs/compose-promtool.log" 2>&1 || {
    cat "$dir/logs/compose-promtool.log" >&2
    die "Prometheus does not take examples/compose/prometheus.yml"
}
amtool check-config "$root/examples/alertmanager/alertmanager.yml" >"$dir/logs/compose-amtool.log" 2>&1 || {
    cat "$dir/logs/compose-amtool.log" >&2
    die "Alertmanager does not take examples/alertmanager/alertmanager.yml"
}
