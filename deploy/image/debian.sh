# Functions shared by the builders of Debian images: packages from this machine's own mirrors, a kernel of a few modules,
# and a disk that starts fast where the processor is emulated.
# shellcheck shell=bash
#
# Sourced after common.sh, with $HERE set. The system lies in "$WORK/root" until `debian_disk` writes it.

# mitigations=off: guests without secrets, and without them emulated code runs faster.
readonly DEBIAN_APPEND="net.ifnames=0 console=ttyS0,115200 console=tty0 quiet nokaslr mitigations=off random.trust_cpu=on"
readonly DEBIAN_BOOT_MIB=40

# need_debian WHAT: who may build it and with which tools.
need_debian() {
    [ "$(id -u)" = 0 ] || die "the $1 image can only be built by root; run it with sudo."
    need_commands mmdebstrap:mmdebstrap apt-get:apt dpkg-deb:dpkg cpio:cpio zstd:zstd depmod:kmod sfdisk:fdisk \
        mkfs.vfat:dosfstools mke2fs:e2fsprogs mcopy:mtools syslinux:syslinux qemu-img:qemu-utils
}

# This machine's own Debian mirrors, whatever form its source lists have.
sources() {
    # shellcheck disable=SC2016  # apt's own variables
    apt-get indextargets --format 'deb $(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' 'Origin: Debian' |
        sort -u
}

# Turns what apt and dpkg say into progress from 5 to 65.
follow_install() {
    awk '{ print >> log_file; fflush(log_file) }
        / newly installed/ { for (i = 1; i < NF; i++) if ($(i + 1) == "newly") total = $i }
        /^(Unpacking|Setting up)/ {
            done++
            share = 5 + (total ? int(60 * done / (2 * total + 60)) : 5)
            if (share > last && share <= 65) { last = share; printf "progress %d Installing packages\n", share; fflush() }
        }' log_file="$LOG"
}

# install_packages WHAT PACKAGE...: Debian of this machine's release with these packages, without documentation.
install_packages() {
    local what=$1 codename packages
    shift
    codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
    packages=$*
    progress 2 "Reading package lists"
    sources >"$WORK/sources.list"
    [ -s "$WORK/sources.list" ] || die "apt knows no Debian mirror; run: apt-get update"
    mmdebstrap --verbose --mode=root --variant=minbase --format=directory \
        --dpkgopt='force-unsafe-io' \
        --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
        --dpkgopt='path-include=/usr/share/doc/*/copyright' \
        --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/help/*' \
        --dpkgopt='path-exclude=/usr/lib/x86_64-linux-gnu/dri/*' \
        --dpkgopt='path-exclude=/usr/lib/x86_64-linux-gnu/libLLVM*' \
        --aptopt='APT::Install-Recommends "false"' --aptopt='Acquire::Languages "none"' \
        --include="${packages// /,}" \
        "$codename" "$WORK/root" "$WORK/sources.list" 2>&1 | follow_install ||
        die "the packages of the $what could not be installed; the reason is at the end of $LOG."
}

# install_kernel META BOOT_MODULES MODULES: brings in the kernel without its package, whose installation would build an
# initramfs and keep 400 MB of modules. Those of BOOT_MODULES are loaded by an initramfs that mounts the disk and
# nothing else.
install_kernel() {
    local meta=$1 boot=$2 modules=$3 version file
    progress 66 "Adding the kernel"
    fetch_packages busybox-static "$(kernel_package "$meta")"
    version=$(ls "$WORK/x/lib/modules")
    # shellcheck disable=SC2086  # lists of words
    for file in $(module_files $boot $modules); do
        install -D -m 644 "$file" "$WORK/root/lib/modules/$version/${file#"$WORK/x/lib/modules/$version/"}"
    done
    cp "$WORK/x/lib/modules/$version"/modules.{builtin,builtin.modinfo,order} "$WORK/root/lib/modules/$version/"
    depmod -b "$WORK/root" "$version"

    mkdir -p "$WORK/initramfs"/{bin,sbin,usr/sbin,proc,sys,dev,root}
    install -m 755 "$HERE/debian/init" "$WORK/initramfs/init"
    initramfs_busybox "$WORK/initramfs"
    # shellcheck disable=SC2046,SC2086
    initramfs_modules "$WORK/initramfs" $(module_files $boot)
    pack_initramfs "$WORK/initramfs" "$WORK/initrd"
}

# quiet_debian UNIT...: what no start of a virtual machine waits for is off, and so are UNITs.
quiet_debian() {
    local root=$WORK/root unit
    cp -r "$HERE/debian/root/." "$root/"
    chroot "$root" passwd --quiet --lock root
    # An empty id makes each machine draw its own, without the preset run of a first boot.
    : >"$root/etc/machine-id"
    rm -f "$root/var/lib/dbus/machine-id"
    for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service \
        fstrim.timer man-db.timer systemd-pstore.service getty@tty1.service systemd-journal-flush.service \
        systemd-update-utmp-runlevel.service proc-sys-fs-binfmt_misc.automount systemd-binfmt.service "$@"; do
        ln -sf /dev/null "$root/etc/systemd/system/$unit"
    done
    rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/var/log/*.log
}

# debian_disk SIZE_MIB OUTPUT: writes the system and its kernel into a compressed disk.
debian_disk() {
    local size=$1 output=$2
    # Newer than /usr: systemd rebuilds no caches at boot.
    touch "$WORK/root/etc/.updated" "$WORK/root/var/.updated"
    progress 80 "Writing the disk"
    boot_disk "$WORK/disk.raw" "$size" "$DEBIAN_BOOT_MIB" "$WORK"/x/boot/vmlinuz-* "$WORK/initrd" "$DEBIAN_APPEND"
    mke2fs -q -F -t ext4 -L root -d "$WORK/root" -m 1 -E "offset=$ROOT_OFFSET,lazy_itable_init=1" \
        "$WORK/disk.raw" "$(((size - DEBIAN_BOOT_MIB - 1) * 1024))k" >>"$LOG" 2>&1
    rm -rf --one-file-system "$WORK/root" "$WORK/x"
    progress 88 "Compressing"
    publish "$WORK/disk.raw" "$output"
    rm -f "$LOG"
    progress 100 "Done"
}
