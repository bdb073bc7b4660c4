#!/bin/bash
# Holds dashboards against Grafana's types, and draws them as Grafana does:
#   run.sh DIR PROMETHEUS_URL OUT_DIR [--theme dark|light] [--width 1600] [--small] [KEY=VALUE...] [DASHBOARD.json...]
# Grafana itself is no package of the registries, but its components are: options, overrides, mappings, units and
# transformations are worked by @grafana/data, panels drawn by @grafana/ui; time lines, heat maps and gauges by
# src/panels.tsx, for their plugins are part of Grafana's server. Each dashboard becomes OUT_DIR/NAME.png.
#
# KEY=VALUE is what stands in the address of a dashboard: var-target=healthy (several for several values; without any,
# a variable has All), from=now-10m, to=now; and scrape_interval=15s as in the settings of the data source.
# Without dashboards it takes those of this repository.
#
# --small makes the files smaller (256 colours).
#
# It fails if a panel, query, transformation, variable or link is wrong; a panel without data is only mentioned.
# src/schema.ts has the types, check.mjs compares; src/data.ts asks Prometheus, src/panels.tsx has the panels,
# src/page.tsx the page, draw.mjs the browser.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../real/lib.sh
. "$(dirname "$(readlink -f "$0")")/../real/lib.sh"

here=$(dirname "$(readlink -f "$0")")
[[ $# -ge 3 ]] || die "usage: run.sh DIR PROMETHEUS_URL OUT_DIR [--theme dark|light] [--width N] [--small] [KEY=VALUE...] [FILE.json...]"
prometheus=$2
mkdir -p "$3"
out=$(cd "$3" && pwd)
prepare "$1"
shift 3

options=() dashboards=() small=
while [[ $# -gt 0 ]]; do
    case $1 in
    --theme | --width)
        [[ $# -ge 2 ]] || die "$1 needs a value"
        options+=("${1#--}=$2")
        shift
        ;;
    --small) small=yes ;;
    *.json) dashboards+=("$(readlink -f "$1")") ;;
    var-?*=* | from=* | to=* | scrape_interval=*) options+=("$1") ;;
    *) die "what is $1?" ;;
    esac
    shift
done
[[ ${#dashboards[@]} -gt 0 ]] || dashboards=("$here"/../../dashboards/*.json)

command -v npm >/dev/null || apt_install nodejs npm
command -v chromium >/dev/null || apt_install chromium

# The packages stay in DIR from one run to the next.
mkdir -p "$dir/grafana"
cd "$dir/grafana"
rm -rf src ./*.mjs
cp -r "$here"/{package.json,package-lock.json,.npmrc,src,check.mjs,draw.mjs} .
if ! cmp -s package-lock.json node_modules/.installed; then
    npm ci >"$dir/logs/npm.log" 2>&1 || {
        tail -n 20 "$dir/logs/npm.log" >&2
        die "npm ci failed"
    }
    cp package-lock.json node_modules/.installed
fi

status=0
node check.mjs "$dir/grafana/check" "${dashboards[@]}" || status=1
query=$(node -p 'new URLSearchParams(process.argv.slice(1).map((each) => [each.replace(/=.*/s, ""), each.replace(/^.*?=/s, "")])).toString()' -- "${options[@]}")
node draw.mjs "$prometheus" "$out" "$query" "${dashboards[@]}" || status=1
if [[ -n $small ]]; then
    apt_install pngquant
    for dashboard in "${dashboards[@]}"; do
        file=$out/$(basename "$dashboard" .json).png
        [[ ! -e $file ]] || pngquant --force --output "$file" "$file"
    done
fi
exit $status
