#!/bin/bash
# Installs the programs that the tests compare with: openssl, swaks, promtool, blackbox_exporter, systemd-analyze,
# and Chromium to look at the status page.
#   tools.sh DIR
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$(readlink -f "$0")")/lib.sh"

prepare "$1"
apt_install openssl swaks prometheus prometheus-blackbox-exporter systemd chromium
