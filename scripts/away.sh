#!/usr/bin/env bash
# A database that is away for as long as a gateway may do without it, through the release binary: the
# body of `make away`.
#
#   OSTIARY_AWAY_SECONDS   how long that is, up to 60, which it is where it is not set
#
# Prints how many calls were served within that time, how many were refused where it is not allowed, and
# how soon all were back.
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
export OSTIARY_AWAY_SECONDS=${OSTIARY_AWAY_SECONDS:-60}
cargo test -p tests --test cutoff -- --nocapture --test-threads 1 r7b_a_gateway
