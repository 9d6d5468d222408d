#!/bin/bash
# The whole test suite, stage by stage; every stage runs even if an earlier one failed.
#
# usage: [TEST_LANES=2] deploy/test.sh [pytest arguments]
# Stages are processes of their own because the browser's driver keeps an event loop in its process, and PostgreSQL is
# chosen before Django starts. Everything after the fast lane runs as root in the cage (tests/lab/cage.py), from which
# nothing that a test started escapes; the guest images are built before, for there is no network inside.
# The fast lane waits for a good third of its time, so four processes keep two processors busy, each with tests that lie
# beside each other and share their servers. So do two with the browser and three with PostgreSQL: each has a Chromium,
# or a database and numbers on Redis, of its own (tests/environment.py). The tests on real hypervisors have the machine
# for themselves: of emulated guests that boot beside too much else, one in some hundred never gets up. With TEST_LANES=2
# what computes for long runs beside those that wait, and the stages with a browser beside those without one. What runs
# in the background is shown when what it runs beside has ended, and what failed is shown once more at the end.
set -uo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
python=.venv/bin/python
pytest=("$python" -m pytest)
# Hundreds of processes begin here. Where no bytecode is kept, each compiles Berth anew and pytest each of its tests.
unset PYTHONDONTWRITEBYTECODE
root=()
[ "$(id -u)" = 0 ] || root=(sudo --preserve-env=CI,BERTH_CACHE_DIR)
cage=("${root[@]}" "$python" -m tests.lab.cage --)
logs=$(mktemp -d)
declare -A beside=()

stage() {
    local name=$1 began=$SECONDS
    shift
    echo "== $name"
    "$@" 2>&1 | tee "$logs/$name" || echo "$name" >>"$logs/failed"
    echo "== $name took $((SECONDS - began)) s"
}

# begin FUNCTION [ARGUMENTS]: run it in the background, in a process group of its own.
begin() {
    set -m
    "$@" </dev/null >"$logs/.$1" 2>&1 &
    beside[$1]=$!
    set +m
}

# finish FUNCTION: wait until it has ended, and show what it said.
finish() {
    wait "${beside[$1]}"
    unset "beside[$1]"
    cat "$logs/.$1"
}

# Whatever ends this script ends what runs in the background.
leave() {
    for group in "${beside[@]}"; do
        "${root[@]}" kill -TERM -- "-$group"
    done
    rm -rf "$logs"
}
trap leave EXIT
trap 'exit 130' INT TERM

stage "fast lane" "${pytest[@]}" -m "not lab and not browser and not postgres and not slow" -n 4 --dist worksteal "$@"
stage "guest image" "${root[@]}" deploy/image/ensure tiny
stage "server image" "${root[@]}" deploy/image/ensure server

machines="(lab or slow) and not metal and not browser and not postgres"
computing=(tests/virt/plans tests/portal tests/architecture)
computed() {
    stage "plans and what computes" "${cage[@]}" "${pytest[@]}" -m "$machines" "${computing[@]}" "$@"
}
browsing() {
    stage "pages in the browser" "${cage[@]}" "${pytest[@]}" -m "browser and not lab" -n 2 --dist worksteal "$@"
    stage "PostgreSQL and Redis" "${cage[@]}" "$python" -m tests.servers.postgres -- "${pytest[@]}" \
        -m "not lab and not browser and not slow" -n 3 --dist worksteal tests/pools tests/jobs tests/events \
        tests/access tests/connections tests/virt/actions tests/portal/api tests/directories/test_throttle.py \
        tests/directories/test_ldap_sign_in.py tests/directories/test_ldap_sync.py \
        tests/directories/test_directory_actions.py tests/notifications tests/virt/test_loads.py \
        tests/virt/test_macs.py tests/virt/test_mac_races.py tests/virt/test_autostart.py tests/core/test_sql.py \
        tests/portal/keeping/test_postgres.py "$@"
    stage "the main job, end to end" "${cage[@]}" "${pytest[@]}" -m "lab and browser" "$@"
}

[ "${TEST_LANES:-1}" = 1 ] || begin browsing "$@"
stage "crash matrix" "${cage[@]}" "${pytest[@]}" -m lab tests/crash "$@"
if [ "${TEST_LANES:-1}" = 1 ]; then
    computed "$@"
else
    begin computed "$@"
fi
stage "real hypervisors" "${cage[@]}" "${pytest[@]}" -m "$machines" --ignore=tests/crash \
    "${computing[@]/#/--ignore=}" "$@"
if [ "${TEST_LANES:-1}" = 1 ]; then
    browsing "$@"
else
    finish computed
    finish browsing
fi

if [ -e "$logs/failed" ]; then
    while read -r name; do
        echo "== $name failed; it ended with:"
        tail -n 40 "$logs/$name" | cut -c 1-400
    done <"$logs/failed"
    while read -r name; do
        echo "Failed: $name"
        grep -E '^(FAILED|ERROR) ' "$logs/$name" | cut -c 1-400 | head -n 50
    done <"$logs/failed" >&2
    exit 1
fi
echo "Not among them: the host with a kernel of its own, one test of some minutes (make test-metal)."
echo "All stages passed."
