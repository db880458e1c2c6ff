#!/usr/bin/env bash
# A PostgreSQL that lives for one run of the tests.
#
#   scripts/postgres.sh start DIR   creates a cluster in DIR, starts it and prints its URL
#   scripts/postgres.sh url DIR     prints the URL of the running cluster
#   scripts/postgres.sh stop DIR    stops it and removes DIR
#   scripts/postgres.sh binaries    prints the folder of PostgreSQL's programs
#
# DIR must be absent or empty. The cluster listens on a free port of loopback and on a socket in
# its folder, trusts everyone, and never syncs: it is for data that nobody wants to keep.
# As root it runs as the user `postgres`, because PostgreSQL refuses to run as root.
set -euo pipefail

main() {
    case "${1-} $#" in
        "binaries 1") binaries ;;
        "start 2") start "$2" ;;
        "url 2") find_url "$2" || fail "no PostgreSQL runs in $2" ;;
        "stop 2") stop "$2" ;;
        *) fail "use: postgres.sh start|url|stop DIR, or postgres.sh binaries" ;;
    esac
}

binaries() {
    local found
    for found in /usr/lib/postgresql/15/bin "$(dirname "$(command -v postgres || echo /)")"; do
        if [ -x "$found/initdb" ] && [ -x "$found/pg_ctl" ]; then
            echo "$found"
            return
        fi
    done
    fail "PostgreSQL 15 is missing: install it (Debian: apt-get install postgresql-15)"
}

start() {
    local dir=$1 bin port attempt said
    # Many tests run at once, each with a pool of its own.
    local settings="-c listen_addresses=127.0.0.1 -c max_connections=400 -c fsync=off"
    settings+=" -c full_page_writes=off -c synchronous_commit=off"
    bin=$(binaries)
    if find_url "$dir"; then return; fi
    mkdir -p "$dir"
    [ -z "$(ls -A "$dir")" ] || fail "$dir is not empty"
    dir=$(cd "$dir" && pwd)
    chmod 700 "$dir"
    if [ "$(id -u)" -eq 0 ]; then chown postgres "$dir"; fi
    as_owner test -w "$dir" || fail "the user postgres cannot reach $dir: use a folder under /tmp"
    # An English order of text, so that a query which forgot to ask for the order of bytes shows.
    said=$(as_owner "$bin/initdb" --pgdata "$dir/data" --username postgres --auth trust --no-sync \
        --encoding UTF8 --locale C.UTF-8 --locale-provider icu --icu-locale en-US 2>&1) ||
        fail "initdb failed: $said"
    # It also marks the folder as one that `stop` may remove.
    printf '%s\n' "$said" >"$dir/initdb.log"
    # Another process may take a port between the question and the answer: then ask again.
    for attempt in 1 2 3 4 5; do
        port=$(free_port "$attempt")
        if as_owner "$bin/pg_ctl" --pgdata "$dir/data" --log "$dir/server.log" --wait --silent \
            --options "$settings -c port=$port -c unix_socket_directories=$dir" start >/dev/null 2>&1; then
            find_url "$dir"
            return
        fi
    done
    cat "$dir/server.log" >&2
    fail "PostgreSQL did not start in $dir"
}

# Ports below the kernel's own range, so that outgoing connections do not take them.
free_port() {
    local port tries
    for tries in $(seq 200); do
        port=$((21000 + (RANDOM + $1 * tries) % 9000))
        if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
            echo "$port"
            return
        fi
    done
    fail "no free port between 21000 and 30000"
}

find_url() {
    local pid_file=$1/data/postmaster.pid
    [ -r "$pid_file" ] || return 1
    # Line 4 is the port, line 8 says whether the server is ready.
    [ "$(sed -n '8s/ *$//p' "$pid_file")" = ready ] || return 1
    echo "postgres://postgres@127.0.0.1:$(sed -n 4p "$pid_file")/postgres"
}

stop() {
    local dir=$1
    [ -e "$dir" ] || return 0
    # A cluster of ours has this file; nothing else is stopped or removed, but an empty folder.
    if [ ! -f "$dir/initdb.log" ]; then
        rmdir "$dir" 2>/dev/null || fail "$dir is not a cluster of this script"
        return
    fi
    if [ -f "$dir/data/postmaster.pid" ]; then
        as_owner "$(binaries)/pg_ctl" --pgdata "$dir/data" --mode immediate --wait --silent stop || true
    fi
    rm -rf "$dir"
}

as_owner() {
    if [ "$(id -u)" -eq 0 ]; then
        # From the root folder, since the user may not be let into the present one.
        (cd / && runuser -u postgres -- "$@")
    else
        "$@"
    fi
}

fail() {
    printf 'postgres: %s\n' "$*" >&2
    exit 1
}

main "$@"
