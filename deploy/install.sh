#!/bin/bash
# Installs what Berth needs on Debian 12: packages by apt, and a virtual environment in .venv from the locked list.
#
# usage: deploy/install.sh run|test|dev     run: the product; test, dev: the product and what its tests and checks need
# May be called before every start: when nothing changed it ends at once. Asks nothing. What apt and pip say is kept in
# a log file that every error message names.
set -Eeuo pipefail
ROOT=$(dirname "$(dirname "$(readlink -f "$0")")")
MODE=${1:-run}
VENV="$ROOT/.venv"
LOG="${TMPDIR:-/tmp}/berth-install-$(id -u).log"
# shellcheck source=deploy/packages.sh
. "$ROOT/deploy/packages.sh"

case $MODE in
run) PACKAGES="$RUN_PACKAGES $IMAGE_PACKAGES" LOCK="$ROOT/deploy/requirements.lock" NEED_MIB=2500 ;;
test | dev) PACKAGES="$RUN_PACKAGES $IMAGE_PACKAGES $TEST_PACKAGES" LOCK="$ROOT/deploy/requirements-dev.lock" NEED_MIB=4000 ;;
*)
    echo "usage: deploy/install.sh run|test|dev" >&2
    exit 2
    ;;
esac

# One stamp a mode, in the environment it speaks of: a removed .venv takes it along. The larger list covers the smaller.
STAMP_VALUE=$(cat "$LOCK" "$ROOT/deploy/packages.sh" "$0" | sha256sum | cut -c1-64)
STAMP="$VENV/.installed-${MODE/dev/test}"
if [ "$(cat "$STAMP" 2>/dev/null)" = "$STAMP_VALUE" ] && [ -x "$VENV/bin/python" ]; then exit 0; fi

STEPS=5 step=0
say() {
    step=$((step + 1))
    printf '[%d/%d] %s\n' "$step" "$STEPS" "$1"
}
fail() {
    printf 'Berth cannot be installed: %s\n' "$1" >&2
    exit 1
}
logged() { "$@" >>"$LOG" 2>&1; }
# as_root COMMAND...: directly for root, else through sudo.
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

say "Checking this machine"
rm -f "$LOG"
(umask 077 && : >"$LOG") || fail "$LOG cannot be written; set TMPDIR to a directory of your own."
# shellcheck source=/dev/null
. /etc/os-release
[ "${ID:-}${VERSION_ID:-}" = debian12 ] ||
    fail "this is ${PRETTY_NAME:-an unknown system}, but Berth is made for Debian 12; use a Debian 12 machine or container."
[ "$(dpkg --print-architecture)" = amd64 ] || fail "this processor is not supported; Berth needs a 64-bit PC (amd64)."
[ -w "$ROOT" ] || fail "$ROOT cannot be written by $(id -un); run make as its owner or as root."
missing=$(
    for package in $PACKAGES; do
        case $(dpkg-query -W -f '${Status}' "$package" 2>/dev/null) in *" ok installed") ;; *) echo "$package" ;; esac
    done
)
if [ -n "$missing" ] && [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null ||
        fail "packages are missing and only root may install them; run make as root, or install sudo."
    sudo -v || fail "packages are missing and sudo was refused; run make as root."
fi
# need_space PLACE: refuses when what is still to be installed does not fit there.
need_space() {
    local have
    have=$(df --output=avail -BM "$1" | tr -dc 0-9)
    [ "$have" -ge "$NEED_MIB" ] || fail "$1 has $have MiB free and $NEED_MIB MiB are needed; free some space there."
}
if [ -n "$missing" ]; then need_space /var; fi
if [ ! -x "$VENV/bin/python" ]; then need_space "$ROOT"; fi

apt_get() {
    logged as_root env DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=l apt-get -q \
        -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 "$@"
}
say "Reading package lists"
if [ -n "$missing" ]; then
    apt_get update || fail "the package lists could not be fetched; check the network and the sources in /etc/apt (log: $LOG)."
fi

say "Installing $(wc -w <<<"$missing") Debian packages"
if [ -n "$missing" ]; then
    # shellcheck disable=SC2086  # a list of words
    apt_get install --yes --no-install-recommends $missing || {
        if grep -q "No space left\|not enough space\|enough free space" "$LOG"; then
            fail "there is not enough space for the packages; free some in /var and start again (log: $LOG)."
        elif grep -q "Unable to fetch\|Failed to fetch\|Temporary failure" "$LOG"; then
            fail "packages could not be downloaded; check the network and start again (log: $LOG)."
        fi
        fail "apt-get could not install the packages; run 'apt-get -f install', then start again (log: $LOG)."
    }
fi

say "Installing $(grep -c '==' "$LOCK") Python packages"
# Debian's interpreter: another python3 that comes first on PATH does not see Debian's libvirt and ldap modules.
"$VENV/bin/python" -c 'import libvirt, ldap' 2>/dev/null ||
    logged /usr/bin/python3 -m venv --clear --system-site-packages "$VENV" ||
    fail "the virtual environment $VENV could not be made; remove it and start again (log: $LOG)."
logged "$VENV/bin/python" -m pip --disable-pip-version-check --no-input install --retries 5 --only-binary :all: \
    --no-deps --require-hashes --requirement "$LOCK" || {
    if grep -q "No space left" "$LOG"; then
        fail "there is not enough space for the Python packages; free some in $ROOT and start again (log: $LOG)."
    elif grep -q "DO NOT MATCH THE HASHES" "$LOG"; then
        fail "a downloaded package is not the one that was locked; check your package mirror (log: $LOG)."
    fi
    if grep -q "CERTIFICATE_VERIFY_FAILED" "$LOG"; then
        fail "the package server's certificate is not trusted here; point PIP_CERT to your site's CA file (log: $LOG)."
    fi
    fail "the Python packages could not be installed; check the network and the pip settings, then start again (log: $LOG)."
}

say "Checking the result"
logged "$VENV/bin/python" -c 'import libvirt, ldap, gssapi, django, celery, channels, psycopg, picows, django_auth_ldap.backend' ||
    fail "what was installed does not work together; remove $VENV and start again (log: $LOG)."
echo "$STAMP_VALUE" >"$STAMP"
if [ "$MODE" != run ]; then
    cat "$ROOT/deploy/requirements.lock" "$ROOT/deploy/packages.sh" "$0" | sha256sum | cut -c1-64 >"$VENV/.installed-run"
fi
