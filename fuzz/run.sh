#!/bin/bash
# fuzz/run.sh SECONDS [TARGET…]: builds the fuzz targets and runs each for so many seconds, two at a time. With 0 it
# only builds them.
#
# Prints what each has done, and fails if one has found something: the input that shows it is then in
# fuzz/artifacts/TARGET. JOBS=1 runs one at a time. What widens the coverage is kept in fuzz/corpus, so that the
# next run begins where this one ended. Needs a C++ compiler for libFuzzer, and nothing but stable Rust.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")"

if ! [[ ${1-} =~ ^[0-9]+$ ]]; then
    echo "usage: fuzz/run.sh SECONDS [TARGET…]" >&2
    exit 64
fi
seconds=$1
shift
all=$(sed -n 's/^name = "\([a-z]*\)"$/\1/p' Cargo.toml)
targets=${*:-$all}
triple=$(rustc -vV | sed -n 's/^host: //p')

# What cargo-fuzz passes, as far as stable Rust has it: libFuzzer's counters and traces of comparisons.
export RUSTFLAGS="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares"
# Not --locked: the exporter's own dependencies may have moved on. With --target, the flags are not for build scripts,
# which have no libFuzzer to report to.
"${CARGO:-cargo}" build --release --target "$triple"
[[ $seconds != 0 ]] || exit 0

# The roots of this machine are no part of the input, and reading them takes most of the time.
export SSL_CERT_FILE=/dev/null SSL_CERT_DIR=/nonexistent
# Configurations are tried as files: in memory, where there is a place for them.
TMPDIR=$(mktemp -d -p "$([[ -w /dev/shm ]] && echo /dev/shm || echo "${TMPDIR:-/tmp}")")
export TMPDIR
trap 'rm -rf "$TMPDIR"' EXIT

mkdir -p artifacts corpus
# seed TARGET NAME < BYTES: what the fuzzer begins with.
seed() {
    mkdir -p "corpus/$1"
    cat > "corpus/$1/seed-$2"
}

dialogues() {
    local file name words
    for file in ../tests/transcripts/*.txt; do
        name=$(basename "$file" .txt)
        # The server's lines; between them, where the client spoke, a new turn.
        words=$(sed -n -e 's/^ *S: \{0,1\}\(.*\)$/\1\r/p' -e 's/^ *C: .*$/\x1e/p' "$file")
        { printf '\0'; tr -d '\036' <<< "$words"; } | seed reply "$name"
        sed 's/^250[- ]//; s/\r$//' <<< "$words" | seed ehlo "$name"
        { printf '\1\3\11\41\120'; sed -e ':a;N;$!ba;s/\n\x1e\n/\n\x1e/g' <<< "$words"; } | seed session "$name"
    done
}

# plant TARGET PREFIX FILE…: files that are seeds as they are.
plant() {
    local target=$1 prefix=$2 file
    shift 2
    mkdir -p "corpus/$target"
    for file; do
        cp "$file" "corpus/$target/$prefix-${file##*/}"
    done
}

others() {
    local target folder
    plant config example ../examples/*.yml ../examples/targets/*
    for target in $all; do
        for folder in seeds regressions; do
            [[ ! -d $folder/$target ]] || plant "$target" "$folder" "$folder/$target"/*
        done
    done
}

run() {
    local target=$1 log=artifacts/$1.log status=0
    mkdir -p "corpus/$target" "artifacts/$target"
    "target/$triple/release/$target" "corpus/$target" -max_total_time="$seconds" -max_len=16384 \
        -timeout=20 -rss_limit_mb=2048 -artifact_prefix="artifacts/$target/" -print_final_stats=1 \
        > "$log" 2>&1 || status=$?
    local runs coverage
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    coverage=$(grep -o 'cov: [0-9]*' "$log" | tail -n 1 || true)
    if [[ $status == 0 ]]; then
        printf '%-12s %10s executions, %s, nothing found\n' "$target" "${runs:-?}" "${coverage:-no coverage}"
    else
        printf '%-12s %10s executions, %s, FOUND: fuzz/artifacts/%s, told in fuzz/%s:\n' \
            "$target" "${runs:-?}" "${coverage:-no coverage}" "$target" "$log"
        grep -aE 'panicked at|^==.*ERROR|SUMMARY|Test unit written' -A 2 "$log" | head -n 20 || true
        return 1
    fi
}

dialogues
others
failed=0
running=0
for target in $targets; do
    run "$target" &
    running=$((running + 1))
    if ((running >= ${JOBS:-2})); then
        wait -n || failed=1
        running=$((running - 1))
    fi
done
while ((running > 0)); do
    wait -n || failed=1
    running=$((running - 1))
done
exit "$failed"
