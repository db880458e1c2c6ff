#!/usr/bin/env bash
# Real clients in each of their modes, through the gateway, in front of servers of every kind, in a
# table: see tests/peers/node/matrix.mjs.
#
#   scripts/matrix.sh [--fast]
#
# The gateway is $OSTIARY_BIN; without it the debug build, made here. The last line counts cells.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=${CARGO_TARGET_DIR:-$root/target}/debug

"$root/scripts/tools.sh" test
cd "$root"
if [ -z "${OSTIARY_BIN-}" ]; then
    cargo build --quiet --package ostiary
    OSTIARY_BIN=$build/ostiary
fi
# Clients are built like tests, of which they share what they are made of.
cargo build --quiet --package tests --example rmcp_client
export OSTIARY_BIN OSTIARY_RMCP=$build/examples/rmcp_client
exec "$root/.tools/bin/node" tests/peers/node/matrix.mjs "$@"
