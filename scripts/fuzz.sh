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
for target in $targets; do
    echo "fuzz: $target, $seconds s"
    # What a decoder holds is bounded, so a small limit finds one that holds too much.
    cargo fuzz run -s none "$target" -- -max_total_time="$seconds" -rss_limit_mb=512 \
        -timeout=10 -print_final_stats=1 2>&1 | grep -E '^(==|Test unit|stat::|artifact|thread|panicked)|panicked|DONE|ERROR' ||
        true
done
