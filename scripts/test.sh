#!/usr/bin/env bash
# Everything that must hold before a change lands: the body of `make test`.
#
# A stage that fails does not stop the ones after it. Each says how long it took. The tests find what
# they need through the environment:
#
#   OSTIARY_BIN             the binary under test
#   OSTIARY_PEERS           real servers and clients, started through its folder `bin`
#   OSTIARY_TEST_POSTGRES   the URL of a PostgreSQL in which they may create databases
#
# The last line is `N passed, N failed`, over all runners; a check that has no count of its own, like
# the formatter's, counts as one. What failed is named once more before it, for who has only the end.
set -uo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root" || exit 1

scratch=$(mktemp -d "${TMPDIR:-/tmp}/ostiary-test.XXXXXX")
# Beside it and not inside: the user whom PostgreSQL runs as must be able to go there.
cluster=$(mktemp -d "${TMPDIR:-/tmp}/ostiary-postgres.XXXXXX")
passed=0
failed=0

main() {
    trap finish EXIT
    trap 'exit 130' INT TERM
    # Counts are read from the output, so it must not be coloured.
    export CARGO_TERM_COLOR=never NO_COLOR=1
    unset FORCE_COLOR

    stage check tools tools
    stage check format cargo fmt --all --check
    stage check build scripts/build.sh
    stage check lint cargo clippy --workspace --all-targets --quiet -- -D warnings
    stage check postgres postgres
    export OSTIARY_BIN=${CARGO_TARGET_DIR:-$root/target}/debug/ostiary
    export OSTIARY_PEERS=$root/.tools
    if cargo nextest --version >/dev/null 2>&1; then
        stage nextest tests cargo nextest run --workspace --config-file scripts/nextest.toml
    else
        stage cargo tests cargo test --workspace --lib --bins --tests --no-fail-fast
    fi
    stage cargo documentation cargo test --workspace --doc --no-fail-fast
    if [ -d console ]; then console; fi
    stage sum conformance scripts/conformance.sh
    stage sum matrix scripts/matrix.sh --fast

    echo
    told
    echo "in all: $SECONDS s"
    echo "$passed passed, $failed failed"
    [ "$failed" -eq 0 ]
}

tools() {
    local groups=(test)
    if [ -d console ]; then groups+=(browser); fi
    scripts/tools.sh "${groups[@]}"
}

# The stage runs in a shell of its own, so the URL is read afterwards.
postgres() { scripts/postgres.sh start "$cluster"; }

console() {
    local npm=(env "PATH=$root/.tools/bin:$PATH" npm --prefix console run --silent)
    stage check "console types" "${npm[@]}" typecheck
    stage check "console lint" "${npm[@]}" lint
    stage vitest "console tests" "${npm[@]}" test
    stage playwright "console in the browser" "${npm[@]}" e2e
}

# $1: how its output counts; $2: its name; then its command.
stage() {
    local kind=$1 name=$2 log started=$SECONDS status good bad
    shift 2
    log=$scratch/${name// /-}.log
    printf '\n== %s\n' "$name"
    "$@" </dev/null 2>&1 | tee "$log"
    status=${PIPESTATUS[0]}
    read -r good bad <<<"$(count "$kind" "$log" "$status")"
    # A runner that failed without a failed test, or found none to run, is a failure of its own.
    if [ "$bad" -eq 0 ] && [ "$status" -ne 0 ]; then bad=1; fi
    if [ "$good" -eq 0 ] && [ "$bad" -eq 0 ] && [ "$name" != documentation ]; then
        echo "$name: no test was run"
        bad=1
    fi
    passed=$((passed + good))
    failed=$((failed + bad))
    if [ "$name" = postgres ] && [ "$status" -eq 0 ]; then
        OSTIARY_TEST_POSTGRES=$(scripts/postgres.sh url "$cluster")
        export OSTIARY_TEST_POSTGRES
    fi
    if [ "$bad" -eq 0 ]; then
        echo "-- $name: $good passed in $((SECONDS - started)) s"
    else
        echo "-- $name: $good passed, $bad FAILED in $((SECONDS - started)) s"
        reasons "$kind" "$log" | head -n 12 | cut -c 1-240 | sed "s/^/$name: /" >>"$scratch/reasons"
    fi
}

# What failed, and why, in few lines. $1: the kind of runner; $2: its output.
reasons() {
    case $1 in
        nextest) awk '/^ *Summary \[/ { after = 1 }
                /^ *(FAIL|TIMEOUT|SIG[A-Z]+|ABORT) \[/ { if (after) print; next }
                /^[- ]*thread .* panicked at/ && !after { print; said = 2; next }
                said > 0 && !after { print; said-- }' "$2" | awk '!seen[$0]++' ;;
        playwright) grep -E -A 2 '^ *[0-9]+\) |^ *(Error|TimeoutError|Test timeout)[: ]' "$2" |
            grep -vE '^ *$|^--$' | awk '!seen[$0]++' ;;
        *) tail -n 6 "$2" ;;
    esac
}

told() { if [ -e "$scratch/reasons" ]; then cat "$scratch/reasons"; fi; }

# Prints how many passed and failed. $1: the kind of runner; $2: its output; $3: its exit code.
count() {
    case $1 in
        check) if [ "$3" -eq 0 ]; then echo 1 0; else echo 0 1; fi ;;
        # Summary [ 1.2s] 12 tests run: 10 passed (1 slow), 2 failed, 1 skipped
        nextest) awk '/Summary \[.*tests? run:/ {
                sub(/.*\] */, ""); split($1, run, "/"); sub(/.*run: */, "")
                good = $1; bad = run[1] - $1
            } END { print good + 0, bad + 0 }' "$2" ;;
        # test result: ok. 10 passed; 2 failed; 0 ignored; ...
        cargo) awk '/^test result: / { good += $4; bad += $6 } END { print good + 0, bad + 0 }' "$2" ;;
        # Tests  2 failed | 10 passed (12)
        vitest) tally '^ *Tests ' "$2" ;;
        # One line for each:   10 passed (3.2s)
        playwright) tally '^ *[0-9]+ (passed|failed|flaky)' "$2" ;;
        # 10 passed, 2 failed
        sum) tally '^[0-9]+ passed, [0-9]+ failed$' "$2" ;;
    esac
}

# Adds up the numbers before `passed` and `failed` in the lines that match. A test that passed only
# when it was repeated has failed.
tally() {
    grep -E "$1" "$2" | grep -oE '[0-9]+ (passed|failed|flaky)' |
        awk '$2 == "passed" { good += $1; next } { bad += $1 } END { print good + 0, bad + 0 }'
}

finish() {
    scripts/postgres.sh stop "$cluster"
    rm -rf "$scratch"
}

main "$@"
