# The Debian packages Berth is made of, read by install.sh.
# shellcheck shell=bash disable=SC2034

# Python, the hypervisor and its tools.
RUN_PACKAGES="python3-venv python3-libvirt python3-ldap python3-gssapi ca-certificates
    libvirt-daemon-system libvirt-clients qemu-system-x86 qemu-utils ovmf swtpm swtpm-tools e2fsprogs util-linux dnsmasq-base iproute2 iptables
    qemu-block-extra libvirt-daemon-driver-storage-iscsi-direct nftables openssl openssh-client procps tini
    bubblewrap tigervnc-standalone-server freerdp2-x11"

# What the builders of the demo and test images use.
IMAGE_PACKAGES="mmdebstrap mtools dosfstools syslinux syslinux-common fdisk kmod e2fsprogs cpio zstd openssl"

# Servers and clients the tests run for real.
TEST_PACKAGES="chromium postgresql redis-server slapd ldap-utils socat gettext xvfb virt-viewer xdotool uidmap imagemagick
    bindfs faketime ffmpeg fence-agents openipmi ipmitool samba-ad-dc samba-ad-provision samba-dsdb-modules samba-vfs-modules winbind tgt
    freerdp2-shadow-x11 winpr-utils xterm xmlsec1 krb5-kdc krb5-admin-server krb5-user curl"
