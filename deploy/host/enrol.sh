#!/bin/sh
# Makes this machine a host of Berth at @MANAGER@: packages, certificate, libvirt over TLS, the agent.
# Usage: sh enrol.sh INVITATION; asks for the code, or reads it from standard input. May be run again.
set -eu

manager='@MANAGER@'
digest='@DIGEST@'
invitation=${1:?"usage: sh enrol.sh INVITATION"}
folder=/usr/local/lib/berth
config=${BERTH_AGENT_CONFIG:-/etc/berth/agent.json}

say() { echo "berth: $*" >&2; }
fail() { say "$*"; exit 1; }

case $invitation in *[!0-9a-f-]*) fail "this is no invitation" ;; esac
[ "$(id -u)" = 0 ] || fail "run this as root, as with sudo"

missing=
for tool in libvirtd virt-admin qemu-system-x86_64 qemu-img swtpm dnsmasq python3 openssl; do
    command -v "$tool" >/dev/null || missing="$missing $tool"
done
if [ -n "$missing" ]; then
    command -v apt-get >/dev/null || fail "missing:$missing; install them, then run this again"
    say "installing packages"
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        libvirt-daemon-system libvirt-clients qemu-system-x86 qemu-utils ovmf swtpm swtpm-tools dnsmasq-base \
        qemu-block-extra libvirt-daemon-driver-storage-iscsi-direct nfs-common python3 openssl >&2 </dev/null || fail "the packages were not installed; see above"
fi

mkdir -p "$folder"
curl -fsS "$manager/agent/agent.pyz" -o "$folder/agent.new"
echo "$digest  $folder/agent.new" | sha256sum -c - >/dev/null || fail "the agent that came is not the one meant"
mv "$folder/agent.new" "$folder/agent.pyz"

python3 "$folder/agent.pyz" --enrol "$manager" "$invitation" "$config"

if [ -d /run/systemd/system ]; then
    cat >/etc/systemd/system/berth-agent.service <<UNIT
[Unit]
Description=Berth host agent
After=network-online.target remote-fs.target libvirtd.service
Wants=network-online.target

[Service]
ExecStart=/usr/bin/python3 $folder/agent.pyz $config
Restart=always
RestartSec=1
OOMScoreAdjust=-1000
KillMode=control-group

[Install]
WantedBy=multi-user.target
UNIT
    systemctl daemon-reload
    # libvirtd takes sockets from systemd only while it does not run; machines go on meanwhile
    systemctl stop libvirtd.service || true
    systemctl enable --quiet --now libvirtd-tls.socket
    systemctl start libvirtd.service
    systemctl enable --quiet berth-agent.service
    systemctl restart berth-agent.service
    say "done: the agent runs, libvirt listens with TLS on port 16514"
else
    say "enrolled; no systemd here: start libvirtd with --listen, and python3 $folder/agent.pyz $config"
fi
