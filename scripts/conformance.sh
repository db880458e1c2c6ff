#!/usr/bin/env bash
# The MCP conformance suite, in a table.
#
#   scripts/conformance.sh URL [--all]   against a server that runs
#   scripts/conformance.sh               against our own: first the fixture itself, which must pass
#                                        all that the suite has; then the gateway in front of it
#
# The gateway is $OSTIARY_BIN; without it the debug build, made here. Nothing is expected to fail.
# The last line counts scenarios over all runs.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
bin=$root/.tools/bin
suite=("$bin/node" "$root/tests/peers/node/suite.mjs")
logs=
pids=()
passed=0
failed=0

main() {
    "$root/scripts/tools.sh" test
    if [ $# -gt 0 ]; then exec "${suite[@]}" "$@"; fi
    trap finish EXIT
    logs=$(mktemp -d "${TMPDIR:-/tmp}/ostiary-conformance.XXXXXX")

    local fixture
    export PORT=0
    start fixture "$bin/conformance-fixture"
    fixture=$url
    run "the fixture" "$fixture" --all
    gateway
    through both "$fixture"
    echo "$passed passed, $failed failed"
    [ "$failed" -eq 0 ]
}

# Says which binary stands for the gateway; builds it where none is given.
gateway() {
    if [ -z "${OSTIARY_BIN-}" ]; then
        (cd "$root" && cargo build --quiet --package ostiary)
        OSTIARY_BIN=${CARGO_TARGET_DIR:-$root/target}/debug/ostiary
    fi
    [ -x "$OSTIARY_BIN" ] || { echo "conformance: $OSTIARY_BIN is missing: run make build" >&2; exit 1; }
}

# $1: the eras of the upstream; $2: its URL.
through() {
    if OSTIARY_ALLOW_LOOPBACK_UPSTREAMS=1 start "gateway-$1" \
        "$OSTIARY_BIN" dev --upstream "$2" --listen 127.0.0.1:0; then
        run "the gateway, upstream era: $1" "$url"
    else
        failed=$((failed + 1))
    fi
}

# $1: what is tested, for the reader; then the suite's arguments.
run() {
    local log=$logs/suite.log last
    printf '\n%s\n' "$1"
    # The last line is for the sum, not for the reader.
    "${suite[@]}" "${@:2}" >"$log" 2>&1 || true
    last=$(tail -n 1 "$log")
    if [[ $last =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed$ ]]; then
        sed '$d' "$log"
        passed=$((passed + BASH_REMATCH[1]))
        failed=$((failed + BASH_REMATCH[2]))
    else
        cat "$log"
        failed=$((failed + 1))
    fi
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
