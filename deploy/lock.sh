#!/bin/bash
# Writes requirements.lock and requirements-dev.lock anew from the .in files: newest allowed versions, with hashes.
#
# usage: deploy/lock.sh [CONSTRAINTS]     CONSTRAINTS: a file of `name==version` lines to stay at
# Resolved with Debian's own interpreter, because what a package needs may depend on the patch level of Python.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")"
constraints=${1:+$(readlink -f "$1")}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
/usr/bin/python3 -m venv "$work/venv"
"$work/venv/bin/pip" --quiet install pip-tools

# lock INPUT OUTPUT CONSTRAINTS
lock() {
    "$work/venv/bin/pip-compile" --quiet --generate-hashes --strip-extras --no-header --no-annotate \
        --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --no-emit-options \
        ${3:+--constraint "$3"} --output-file "$work/lock" "$1"
    {
        echo "# Written by deploy/lock.sh from $1; install with pip --no-deps --require-hashes."
        # python-ldap and what it needs come from Debian; the warning at the end speaks of them.
        awk '/^[a-zA-Z0-9]/ { keep = $0 !~ /^(python-ldap|pyasn1|pyasn1-modules)==/ }
             /^# WARNING/ { exit }
             keep && !/^#/ && NF' "$work/lock"
    } >"$2"
    sed -n 's/^\([^ #]*==[^ ]*\).*/\1/p' "$2" >"$work/pins"
}

lock requirements.in requirements.lock "$constraints"
cat "$work/pins" >"$work/both"
if [ -n "$constraints" ]; then cat "$constraints" >>"$work/both"; fi
lock requirements-dev.in requirements-dev.lock "$work/both"
echo "deploy/requirements.lock and deploy/requirements-dev.lock are written."
