#!/usr/bin/env bash
# Has a fuzzer try each target of fuzz/ for some seconds: scripts/fuzz.sh SECONDS [TARGET ...]
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=$1
shift

if ! cargo fuzz --version >/dev/null 2>&1; then
    echo 'fuzz: cargo-fuzz is not installed: cargo install cargo-fuzz (and a C++ compiler)' >&2
    exit 1
fi

# The corpus that grows here is kept between runs, and in no commit.
cargo run --manifest-path fuzz/Cargo.toml --locked --quiet --example seeds -- fuzz/corpus
targets=${*:-$(cargo fuzz list)}
# Without a sanitizer, which needs a nightly toolchain: no crate of ours has unsafe code.
cargo fuzz build -s none
log=$(mktemp)
trap 'rm -f "$log"' EXIT
failed=
for target in $targets; do
    # What a decoder holds is bounded, so a small limit finds one that holds too much.
    if cargo fuzz run -s none "$target" -- -max_total_time="$seconds" -rss_limit_mb=512 \
        -timeout=10 -print_final_stats=1 >"$log" 2>&1; then
        tries=$(awk '/stat::number_of_executed_units/ { print $2 }' "$log")
        echo "fuzz: $target: $tries inputs, $seconds s, nothing found"
    else
        tail -n 60 "$log"
        failed="$failed $target"
    fi
done
if [ -n "$failed" ]; then
    echo "fuzz: found in:$failed. The input is in fuzz/artifacts/: it becomes a vector or a test, and is mended" >&2
    exit 1
fi
