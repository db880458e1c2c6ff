#!/usr/bin/env bash
# The body of `make run`: from a clone to a governed, recorded call.
#
# Installs what is missing, builds console and binary, starts the sample servers and Ostiary on
# loopback with SQLite, and prints how to call. Ctrl-C stops all that was started. What was stored
# is kept in `data` for the next run. OSTIARY_PORT chooses another port than 8080.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
data=$root/data
binary=${CARGO_TARGET_DIR:-target}/release/ostiary
port=${OSTIARY_PORT:-8080}
everything_port=$((port + 1))
pids=()

main() {
    trap finish EXIT
    trap 'exit 130' INT TERM
    command -v cargo >/dev/null || fail "install Rust with rustup (https://rustup.rs), then run make run again"
    scripts/tools.sh run
    echo "building ostiary (the first time takes some minutes)"
    scripts/build.sh --release --quiet
    prepare
    PORT=$everything_port .tools/bin/server-everything streamableHttp >"$data/everything.log" 2>&1 &
    pids+=($!)
    export OSTIARY_MASTER_KEY_FILE=$data/master.key OSTIARY_ALLOW_LOOPBACK_UPSTREAMS=1
    OSTIARY_LOG=${OSTIARY_LOG:-warn} "$binary" serve --data "$data/ostiary" \
        --listen "127.0.0.1:$port" --apply "$data/workspace.yaml" >"$data/ostiary.out" 2>"$data/ostiary.log" &
    pids+=($!)
    wait_until_ready
    remember_admin
    say
    wait "${pids[1]}"
}

prepare() {
    mkdir -p "$data" "$data/sample"
    chmod 700 "$data"
    [ -f "$data/sample/hello.txt" ] || echo "Hello from the sample folder." >"$data/sample/hello.txt"
    if [ ! -f "$data/master.key" ]; then
        (umask 077 && "$binary" keys generate >"$data/master.key")
    fi
    sed -e "s|@EVERYTHING_PORT@|$everything_port|" -e "s|@FILES_COMMAND@|$root/.tools/bin/server-filesystem|" \
        -e "s|@FILES_FOLDER@|$data/sample|" samples/workspace.yaml >"$data/workspace.yaml"
}

wait_until_ready() {
    local _
    for _ in $(seq 100); do
        if grep -q '^listening on' "$data/ostiary.out"; then return; fi
        kill -0 "${pids[1]}" 2>/dev/null || { cat "$data/ostiary.log" >&2; fail "ostiary did not start"; }
        sleep 0.1
    done
    fail "ostiary did not get ready; see $data/ostiary.log"
}

# The admin token is shown once, at the first start; the app's token is made here, once.
remember_admin() {
    local shown
    shown=$(sed -n 's/^admin token (shown once): //p' "$data/ostiary.out")
    if [ -n "$shown" ]; then (umask 077 && echo "$shown" >"$data/admin.token"); fi
    export OSTIARY_URL=http://127.0.0.1:$port OSTIARY_TOKEN_FILE=$data/admin.token
    if [ ! -f "$data/app.token" ]; then
        (umask 077 && "$binary" token create run --app demo >"$data/app.token")
    fi
}

say() {
    local gateway=http://127.0.0.1:$port/mcp/default/main token
    token=$(cat "$data/app.token")
    cat <<TEXT

Ostiary is running.

  console      http://127.0.0.1:$port/
  admin token  $(cat "$data/admin.token")
  gateway      $gateway
  app token    $token

Call a tool through it (Node comes with this checkout):

  .tools/bin/node scripts/client.mjs $gateway $token

Or add it to Claude Code:

  claude mcp add --transport http ostiary $gateway --header "Authorization: Bearer $token"

Stop a server at once, and start it again:

  export OSTIARY_URL=$OSTIARY_URL OSTIARY_TOKEN_FILE=$OSTIARY_TOKEN_FILE
  $binary cutoff server files --reason "a drill"
  $binary restore server files

Ctrl-C stops everything; a second run keeps the data.
TEXT
}

finish() {
    local pid
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    wait 2>/dev/null || true
}

fail() {
    echo "run: $*" >&2
    exit 1
}

main
