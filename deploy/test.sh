#!/bin/bash
# The whole test suite, stage by stage; every stage runs even if an earlier one failed.
#
# usage: deploy/test.sh [pytest arguments]
# Stages are processes of their own because the browser's driver keeps an event loop in its process, and PostgreSQL is
# chosen before Django starts. Everything after the fast lane runs as root in the cage (tests/lab/cage.py), from which
# nothing that a test started escapes; the guest image is built before, for there is no network inside.
set -uo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
python=.venv/bin/python
pytest=("$python" -m pytest)
root=()
[ "$(id -u)" = 0 ] || root=(sudo --preserve-env=CI,BERTH_CACHE_DIR)
cage=("${root[@]}" "$python" -m tests.lab.cage --)
failed=()

stage() {
    local name=$1 began=$SECONDS
    shift
    echo "== $name"
    "$@" || failed+=("$name")
    echo "== $name took $((SECONDS - began)) s"
}

stage "fast lane" "${pytest[@]}" -m "not lab and not browser and not postgres and not slow" -n 2 "$@"
stage "guest image" "${root[@]}" deploy/image/ensure tiny
stage "real hypervisors" "${cage[@]}" "${pytest[@]}" -m "(lab or slow) and not browser and not postgres" "$@"
stage "pages in the browser" "${cage[@]}" "${pytest[@]}" -m "browser and not lab" "$@"
stage "PostgreSQL and Redis" "${cage[@]}" "$python" -m tests.servers.postgres -- "${pytest[@]}" \
    -m "not lab and not browser and not slow" tests/pools tests/jobs tests/events tests/access tests/connections \
    tests/virt/actions tests/portal/api tests/directories/test_throttle.py tests/directories/test_ldap_sign_in.py \
    tests/directories/test_ldap_sync.py tests/directories/test_directory_actions.py "$@"
stage "the main job, end to end" "${cage[@]}" "${pytest[@]}" -m "lab and browser" "$@"

if [ ${#failed[@]} -gt 0 ]; then
    printf 'Failed: %s\n' "${failed[@]}" >&2
    exit 1
fi
echo "All stages passed."
