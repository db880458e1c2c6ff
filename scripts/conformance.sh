#!/usr/bin/env bash
# The MCP conformance suite, in a table.
#
#   scripts/conformance.sh URL [--all]   against a server that runs
#   scripts/conformance.sh               against our own: the fixture itself, which must pass all that
#                                        the suite has; the gateway in front of it; and the gateway
#                                        in front of it as a server of one era, for clients of the
#                                        other; the gateway as a client of the suite's servers; and
#                                        its own administration
#
# The gateway is $OSTIARY_BIN; without it the debug build, made here. What is expected to fail stands
# in tests/peers/node/expected.mjs, each with its reason. The legs run side by side, each with a
# fixture of its own, since what one client changes the others are told. The last line counts
# scenarios over all runs.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
bin=$root/.tools/bin
build=${CARGO_TARGET_DIR:-$root/target}/debug
suite=("$bin/node" "$root/tests/peers/node/suite.mjs")
logs=
pids=()
legs=()
# What runs, one process for each leg, and the command for the leg that is begun.
waits=()
command=()
passed=0
failed=0

main() {
    "$root/scripts/tools.sh" test
    if [ $# -gt 0 ]; then exec "${suite[@]}" "$@"; fi
    trap finish EXIT
    logs=$(mktemp -d "${TMPDIR:-/tmp}/ostiary-conformance.XXXXXX")
    gateway

    export PORT=0
    leg "the fixture" fixture --all
    leg "the gateway, upstream of both eras" through both --all
    leg "the gateway, modern client, legacy upstream" \
        through legacy --leg modern-to-legacy 2026-07-28
    leg "the gateway, legacy client, modern upstream" \
        through modern --leg legacy-to-modern 0.1.16 2025-06-18 2025-11-25
    leg "the gateway, tasks of another server" tasks
    leg "the gateway as a client" clients
    leg "the gateway's own administration" administration
    results
    echo "$passed passed, $failed failed"
    [ "$failed" -eq 0 ]
}

# Starts what is to be tested and lets the suite loose on it, without waiting for it.
# $1: what is tested, for the reader; $2: what starts it and sets the command; then what that needs.
leg() {
    local log=$logs/leg-${#legs[@]}.log
    legs+=("$1")
    if "$2" "${@:3}"; then
        "${command[@]}" >"$log" 2>&1 </dev/null &
        waits+=($!)
    else
        echo "it did not start" >"$log"
        waits+=("")
    fi
}

# The suite's arguments.
fixture() {
    start "fixture-${#legs[@]}" "$bin/conformance-fixture" || return
    command=("${suite[@]}" "$url" "$@")
}

# $1: the eras of the upstream; then the suite's arguments.
through() {
    fixture || return
    if [ "$1" != both ]; then start "lock-$1" "$bin/era-lock" "$url" "$1" || return; fi
    # What a legacy server is not told of by default, it is told of here.
    local words=()
    if [ "$1" = legacy ]; then words=(--roots); fi
    gateway_to "$url" "$1" "${words[@]}" || return
    command=("${suite[@]}" "$url" "${@:2}")
}

# $1: the server's URL; $2: a name for this gateway; then more words for its command.
gateway_to() {
    OSTIARY_ALLOW_LOOPBACK_UPSTREAMS=1 start "gateway-$2" \
        "$OSTIARY_BIN" dev --upstream "$1" --listen 127.0.0.1:0 "${@:3}"
}

# A second server of tasks, since our own reading of them is in the first one.
tasks() {
    start rmcp-server "$build/examples/rmcp_server" || return
    gateway_to "$url" tasks || return
    command=("$bin/node" "$root/tests/peers/node/tasks.mjs" "$url")
}

# The suite's own servers are started by itself, and a gateway for each.
clients() {
    command=(env "OSTIARY_BIN=$OSTIARY_BIN" "$bin/node" "$root/tests/peers/node/clients.mjs")
}

administration() {
    command=(env "OSTIARY_BIN=$OSTIARY_BIN" "$bin/node" "$root/tests/peers/node/admin.mjs")
}

# Waits for all legs and prints what they have found, in the order in which they were begun.
results() {
    local at log last
    for at in "${!legs[@]}"; do
        log=$logs/leg-$at.log
        if [ -n "${waits[at]}" ]; then wait "${waits[at]}" || true; fi
        printf '\n%s\n' "${legs[at]}"
        # The last line is for the sum, not for the reader.
        last=$(tail -n 1 "$log")
        if [[ $last =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed$ ]]; then
            sed '$d' "$log"
            passed=$((passed + BASH_REMATCH[1]))
            failed=$((failed + BASH_REMATCH[2]))
        else
            cat "$log"
            failed=$((failed + 1))
        fi
    done
}

# Says which binary stands for the gateway; builds it where none is given, and the server of tasks.
gateway() {
    (cd "$root" && cargo build --quiet --package tests --example rmcp_server)
    if [ -z "${OSTIARY_BIN-}" ]; then
        (cd "$root" && cargo build --quiet --package ostiary)
        OSTIARY_BIN=$build/ostiary
    fi
    [ -x "$OSTIARY_BIN" ] || { echo "conformance: $OSTIARY_BIN is missing: run make build" >&2; exit 1; }
}

# Starts a server and waits until the first line of its output names its URL, which is left in $url.
# $1: its name; then its command.
start() {
    local log=$logs/$1.log tries
    url=
    : >"$log"
    "${@:2}" >"$log" 2>"$log.errors" </dev/null &
    pids+=($!)
    for ((tries = 0; tries < 150; tries++)); do
        # A line is whole only once its end is there.
        if read -r url <"$log" && [[ $url =~ (https?://[^ ]+) ]]; then
            url=${BASH_REMATCH[1]}
            return
        fi
        kill -0 "${pids[-1]}" 2>/dev/null || break
        sleep 0.1
    done
    echo "conformance: $1 did not say its URL" >&2
    tail -n 20 "$log" "$log.errors" >&2
    return 1
}

finish() {
    local pid
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    wait 2>/dev/null || true
    rm -rf "$logs"
}

main "$@"
