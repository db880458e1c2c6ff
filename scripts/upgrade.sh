#!/usr/bin/env bash
# Calls over upgrades from an older commit to this one and back: the body of `make upgrade`.
#
#   scripts/upgrade.sh COMMIT   builds that commit apart, and lets the two follow each other and
#                               serve beside each other
#
# The sources and the build of the older one stay in `target/older` for the next time.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"

commit=$(git rev-parse --verify --end-of-options "${1:?use: upgrade.sh COMMIT}^{commit}")
older=${CARGO_TARGET_DIR:-$root/target}/older
if [ -d "$older/source" ]; then
    git -C "$older/source" checkout --quiet --detach "$commit"
else
    git worktree prune
    git worktree add --quiet --detach "$older/source" "$commit"
fi
(cd "$older/source" && CARGO_TARGET_DIR=$older/target cargo build --workspace --bin ostiary)
cargo build --workspace --bin ostiary

cluster=$(mktemp -d "${TMPDIR:-/tmp}/ostiary-postgres.XXXXXX")
trap 'scripts/postgres.sh stop "$cluster"' EXIT
scripts/postgres.sh start "$cluster"
OSTIARY_TEST_POSTGRES=$(scripts/postgres.sh url "$cluster")
export OSTIARY_TEST_POSTGRES
export OSTIARY_BIN=${CARGO_TARGET_DIR:-$root/target}/debug/ostiary
export OSTIARY_OLDER_BIN=$older/target/debug/ostiary
cargo test --workspace --test restart -- --nocapture --test-threads 1 versions::
