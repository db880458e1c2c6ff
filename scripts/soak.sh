#!/usr/bin/env bash
# Long load, through the release binary: the body of `make soak`.
#
#   OSTIARY_INTERLEAVED_CALLS   how many calls on each database; a million where it is not set
#   OSTIARY_INTERLEAVED_SEED    what they follow from; another one each time where it is not set
#
# Prints calls per second, how many were cancelled and asked something, and the gateway's peak of
# memory.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"

cluster=$(mktemp -d "${TMPDIR:-/tmp}/ostiary-postgres.XXXXXX")
trap 'scripts/postgres.sh stop "$cluster"' EXIT

cargo build --release -p ostiary
scripts/postgres.sh start "$cluster"
OSTIARY_TEST_POSTGRES=$(scripts/postgres.sh url "$cluster")
export OSTIARY_TEST_POSTGRES
export OSTIARY_BIN=${CARGO_TARGET_DIR:-$root/target}/release/ostiary
export OSTIARY_INTERLEAVED_CALLS=${OSTIARY_INTERLEAVED_CALLS:-1000000}
export OSTIARY_INTERLEAVED_SEED=${OSTIARY_INTERLEAVED_SEED:-$(date +%s)}
cargo test -p tests --test interleaved -- --nocapture --test-threads 1
