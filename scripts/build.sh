#!/usr/bin/env bash
# Builds the console, where there is one, and then the binary that embeds it.
#
#   scripts/build.sh             target/debug/ostiary
#   scripts/build.sh --release   target/release/ostiary
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"

if [ -d console ]; then
    scripts/tools.sh run
    export PATH=$root/.tools/bin:$PATH
    # The lock file is the stamp: npm writes its own copy of it into what it installs.
    if ! cmp -s console/package-lock.json .tools/console.lock || [ ! -d console/node_modules ]; then
        npm --prefix console ci --ignore-scripts --no-audit --no-fund --loglevel=error
        cp console/package-lock.json .tools/console.lock
    fi
    npm --prefix console run --silent build
fi
exec cargo build --package ostiary "$@"
