#!/usr/bin/env bash
# Lets libFuzzer look for inputs that a target finds something wrong with: the body of `make fuzz`.
#
#   scripts/fuzz.sh [SECONDS [TARGET…]]   each target for that long, one after the other; by default
#                                         all of them for a minute each
#
# New inputs that reach more of the code stay in target/fuzz/corpus, those that a target fails on in
# target/fuzz/found. Such an input belongs into fuzz/corpus with the change that mends it, and is from
# then on part of `make test`.
#
# The compiler of every toolchain can count what a program reaches; what it takes are the flags below.
# Lints are for people, and libFuzzer's entry is not written by any.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"

seconds=${1:-60}
shift || true
targets=("$@")
if [ ${#targets[@]} -eq 0 ]; then
    for folder in fuzz/corpus/*/; do targets+=("$(basename "$folder")"); done
fi

host=$(rustc -vV | sed -n 's/^host: //p')
flags="-Cpasses=sancov-module --cap-lints=allow"
for arg in level=4 inline-8bit-counters pc-table trace-compares; do
    flags+=" -Cllvm-args=-sanitizer-coverage-$arg"
done
export CARGO_PROFILE_DEV_OPT_LEVEL=2
RUSTFLAGS=$flags cargo build -p fuzz --features guided --bin guided \
    --target "$host" --target-dir target/fuzz

found=target/fuzz/found
failed=()
mkdir -p "$found"
for target in "${targets[@]}"; do
    corpus=target/fuzz/corpus/$target
    mkdir -p "$corpus"
    echo "== $target"
    OSTIARY_FUZZ_TARGET=$target "target/fuzz/$host/debug/guided" "$corpus" "fuzz/corpus/$target" \
        -max_total_time="$seconds" -max_len=4096 -timeout=10 -rss_limit_mb=2048 \
        -artifact_prefix="$found/$target-" -print_final_stats=1 -verbosity=0 || failed+=("$target")
done

if [ ${#failed[@]} -gt 0 ]; then
    echo "found something: ${failed[*]}; the inputs are in $found"
    exit 1
fi
echo "nothing found in ${#targets[@]} targets"
