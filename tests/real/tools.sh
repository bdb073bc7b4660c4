#!/bin/bash
# Installs the programs that the tests compare with: openssl, swaks, promtool, blackbox_exporter, systemd-analyze,
# Chromium to look at the status page; and installs what brings a machine into trouble: namespaces, limits, a false clock.
#   tools.sh DIR
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$(readlink -f "$0")")/lib.sh"

prepare "$1"
# swaks has TLS only with Net::SSLeay, which it does not insist on.
apt_install openssl swaks libnet-ssleay-perl prometheus prometheus-blackbox-exporter systemd chromium \
    util-linux iproute2 procps libfaketime
