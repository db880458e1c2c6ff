#!/usr/bin/env bash
# Installs what running and testing need, by pinned package names, into .tools.
#
#   scripts/tools.sh run       Node and the MCP servers of the sample workspace
#   scripts/tools.sh test      run, and the real clients, servers and tools that the tests use
#   scripts/tools.sh browser   Chromium, for the console's tests
#
# Several groups may be named; without any it is `test`. A second run finds its stamps and does
# nothing. A stamp holds the hash of the files that pin a folder, and is written last, so an
# interrupted installation is repeated and a changed pin is noticed. No package runs a script of
# its own while it is installed. What belongs to the system comes from Debian's packages where this
# runs as root; elsewhere one sentence says what to install.
#
# What is installed is started through .tools/bin, which is all that tests need to know.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
tools=$root/.tools
peers=$root/tests/peers

main() {
    [ $# -gt 0 ] || set -- test
    mkdir -p "$tools/stamps" "$tools/bin"
    lock
    local group
    for group in "$@"; do
        case $group in
            run) samples ;;
            # Not joined by `&&`, which would let a failed step inside go on.
            test) samples; node_peers; python_peers; system_peers ;;
            browser) browser ;;
            *) fail "unknown group \`$group\`: use run, test or browser" ;;
        esac
    done
}

# Two runs at once would install over each other; the second one waits and then finds all done.
lock() {
    command -v flock >/dev/null || return 0
    exec 9>"$tools/lock"
    flock -n 9 || { say "waiting for another installation to end"; flock 9; }
}

samples() {
    command npm --version >/dev/null 2>&1 || apt_install npm nodejs npm
    npm_folder samples "Node and the sample servers"
    link_node
    shim server-everything '"$here/node" "$here/../samples/node_modules/@modelcontextprotocol/server-everything/dist/index.js"'
    shim server-filesystem '"$here/node" "$here/../samples/node_modules/@modelcontextprotocol/server-filesystem/dist/index.js"'
}

# The package brings Node for Linux; other systems must have it.
link_node() {
    local binary
    for binary in "$tools"/samples/node_modules/node-linux-*/bin/node; do
        if [ -x "$binary" ]; then
            ln -sfn "../${binary#"$tools/"}" "$tools/bin/node"
            return
        fi
    done
    binary=$(command -v node) || fail "Node 22 or newer is missing: install it"
    local major
    major=$("$binary" -p 'process.versions.node.split(".")[0]')
    [ "$major" -ge 22 ] || fail "Node $major is too old: install Node 22 or newer"
    ln -sfn "$binary" "$tools/bin/node"
}

node_peers() {
    npm_folder node "the MCP clients and the conformance suite"
    # Node looks for packages beside the file that imports them.
    ln -sfn ../../../.tools/node/node_modules "$peers/node/node_modules"
    local packages='"$here/node" "$here/../node/node_modules/@modelcontextprotocol'
    shim conformance "$packages/conformance/dist/index.js\""
    # The launcher starts further programs and finds Node by its name.
    shim inspector "env PATH=\"\$here:\$PATH\" $packages/inspector/clients/launcher/build/index.js\""
    local own='"$here/node" "$here/../../tests/peers/node'
    shim conformance-fixture "$own/fixture.mjs\""
    shim era-lock "$own/eralock.mjs\""
    shim node-client "$own/client.mjs\""
}

python_peers() {
    shim python '"$here/../python/bin/python"'
    shim python-client '"$here/../python/bin/python" "$here/../../tests/peers/python/client.py"'
    shim schemathesis '"$here/../schemathesis/bin/schemathesis"'
    python_folder python "the Python client"
    python_folder schemathesis "Schemathesis"
}

# $1: the folder under tests/peers that pins the packages, and under .tools that holds them.
# $2: what they are, for the reader.
python_folder() {
    local pins=$peers/$1/requirements.txt
    stamped "$1" "$pins" && return
    python3 -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))' 2>/dev/null ||
        apt_install "Python 3.10 or newer with venv" python3 python3-venv
    local started=$SECONDS
    say "installing $2 (about 20 s)"
    rm -rf "${tools:?}/$1"
    python3 -m venv "$tools/$1"
    "$tools/$1/bin/python" -m pip install --quiet --disable-pip-version-check \
        --only-binary :all: --require-hashes --requirement "$pins" ||
        fail "the Python packages could not be installed: run scripts/tools.sh again"
    stamp "$1" "$pins"
    say "installed $2 in $((SECONDS - started)) s"
}

system_peers() {
    "$root/scripts/postgres.sh" binaries >/dev/null 2>&1 || apt_install "PostgreSQL 15" postgresql-15
    command -v valkey-server >/dev/null || command -v redis-server >/dev/null ||
        apt_install "Redis 7 or Valkey" redis-server
    command -v strace >/dev/null || apt_install strace strace
    command -v curl >/dev/null || apt_install curl curl
}

browser() {
    command -v chromium >/dev/null || apt_install Chromium chromium
}

# $1: the folder under tests/peers that pins the packages, and under .tools that holds them.
# $2: what they are, for the reader.
npm_folder() {
    local pins=("$peers/$1/package.json" "$peers/$1/package-lock.json")
    stamped "$1" "${pins[@]}" && return
    local started=$SECONDS
    say "installing $2 (about 15 s)"
    rm -rf "${tools:?}/$1"
    mkdir -p "$tools/$1"
    cp "${pins[@]}" "$tools/$1/"
    (cd "$tools/$1" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error) >"$tools/$1.log" 2>&1 || {
        tail -n 20 "$tools/$1.log" >&2
        fail "$2 could not be installed: run scripts/tools.sh again"
    }
    stamp "$1" "${pins[@]}"
    say "installed $2 in $((SECONDS - started)) s"
}

# $1: a folder of .tools; then the files that pin it.
stamped() {
    [ -d "$tools/$1" ] && [ "$(cat "$tools/stamps/$1" 2>/dev/null)" = "$(pinned "${@:2}")" ]
}

stamp() {
    pinned "${@:2}" >"$tools/stamps/$1"
}

# The machine is part of it: the same pins give other files on another one.
pinned() {
    { uname -sm; cat "$@"; } | cksum_of_all
}

cksum_of_all() {
    if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi | cut -d ' ' -f 1
}

# $1: a name in .tools/bin; $2: the command that it stands for, where $here is .tools/bin.
# It replaces itself by the command, so that its process can be signalled and waited for.
shim() {
    local text
    text=$(printf '#!/bin/sh\nhere=$(cd "$(dirname "$0")" && pwd)\nexec %s "$@"\n' "$2"; echo .)
    text=${text%.}
    [ -x "$tools/bin/$1" ] && [ "$(cat "$tools/bin/$1"; echo .)" = "$text." ] && return
    rm -f "$tools/bin/$1"
    printf '%s' "$text" >"$tools/bin/$1"
    chmod +x "$tools/bin/$1"
}

# $1: what is missing, for the reader; then Debian's packages that bring it.
apt_install() {
    local what=$1
    shift
    if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
        fail "$what is missing: install it (Debian: apt-get install $*)"
    fi
    say "installing $what (Debian: $*)"
    {
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"
    } >"$tools/apt.log" 2>&1 </dev/null || {
        tail -n 20 "$tools/apt.log" >&2
        fail "$what could not be installed: try apt-get install $*"
    }
}

say() { printf 'tools: %s\n' "$*"; }

fail() {
    printf 'tools: %s\n' "$*" >&2
    exit 1
}

main "$@"
