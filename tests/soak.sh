#!/bin/bash
# The long run: the program as it is shipped among 2000 endpoints that misbehave, for so many minutes.
#   tests/soak.sh [MINUTES]
# tests/soak.rs says what it does and what else can be set.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."

cargo build --locked --release
SOAK_MINUTES=${1:-30} SOAK_EXPORTER=$PWD/target/release/mail_endpoint_exporter \
    cargo test --locked --release --test soak -- --ignored --nocapture
