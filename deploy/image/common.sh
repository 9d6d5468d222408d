# Functions shared by the image builders: progress lines, checks, and a bootable disk made without loop devices or mounts.
# shellcheck shell=bash
#
# A builder prints `progress <0-100> <text>` lines on stdout, one `error: <sentence>` on stderr when it fails, and keeps
# what its tools say in the file "$LOG", whose name the error repeats.

export PATH="$PATH:/usr/sbin:/sbin" LC_ALL=C MTOOLS_SKIP_CHECK=1
readonly SECTOR=512 MIB=1048576

progress() { printf 'progress %d %s\n' "$1" "$2"; }

die() {
    printf 'error: %s\n' "$1" >&2
    exit 1
}

# start_work OUTPUT FREE_MIB: makes the scratch directory $WORK and the log $LOG, beside the output unless BERTH_BUILD_DIR
# says otherwise, and refuses a disk with less than FREE_MIB MiB left.
start_work() {
    local output=$1 free_mib=$2 base have
    PART="$output.part"
    base=${BERTH_BUILD_DIR:-$(dirname "$output")}
    mkdir -p "$base" "$(dirname "$output")" 2>/dev/null ||
        die "$base cannot be written; run this with more rights or choose another output directory."
    [ -w "$base" ] || die "$base cannot be written; run this with more rights or choose another output directory."
    have=$(df --output=avail -BM "$base" | tr -dc '0-9')
    [ "$have" -ge "$free_mib" ] ||
        die "building needs $free_mib MiB free in $base, only $have MiB are; free some or set BERTH_BUILD_DIR to a larger disk."
    WORK=$(mktemp -d "$base/.build-XXXXXX")
    LOG="$output.log"
    : >"$LOG"
    trap 'rm -rf --one-file-system "$WORK"; rm -f "$PART"' EXIT
    trap 'exit 130' INT TERM
    trap 'die "the image could not be built; the reason is at the end of $LOG."' ERR
}

# need_commands COMMAND:PACKAGE...: dies naming the packages of the commands that are missing.
need_commands() {
    local pair missing=()
    for pair; do command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}"); done
    [ ${#missing[@]} -eq 0 ] || die "missing packages: install them with: apt-get install ${missing[*]}"
}

# boot_disk IMAGE SIZE_MIB BOOT_MIB KERNEL INITRD APPEND: a raw disk with an MBR and a FAT16 partition at 1 MiB from
# which syslinux boots. The rest of the disk, if any, is a second Linux partition whose offset lands in $ROOT_OFFSET.
boot_disk() {
    local image=$1 size=$2 boot=$3 kernel=$4 initrd=$5 append=$6
    ROOT_OFFSET=$(((1 + boot) * MIB))
    truncate -s "${size}M" "$image"
    {
        echo "2048,$((boot * MIB / SECTOR)),e,*"
        if [ "$size" -gt $((boot + 1)) ]; then echo "$((ROOT_OFFSET / SECTOR)),,83"; fi
    } | sfdisk -q "$image" >>"$LOG" 2>&1
    mkfs.vfat -F 16 -n BOOT --offset=2048 "$image" $((boot * 1024)) >>"$LOG" 2>&1
    printf '%s\n' "DEFAULT linux" "PROMPT 0" "TIMEOUT 0" "LABEL linux" "  KERNEL /vmlinuz" \
        "  APPEND initrd=/initrd $append" >"$WORK/syslinux.cfg"
    mcopy -i "$image@@1M" "$kernel" ::/vmlinuz
    mcopy -i "$image@@1M" "$initrd" ::/initrd
    mcopy -i "$image@@1M" "$WORK/syslinux.cfg" ::/syslinux.cfg
    syslinux --install --offset $MIB "$image" >>"$LOG" 2>&1
    dd if=/usr/lib/syslinux/mbr/mbr.bin of="$image" conv=notrunc bs=440 count=1 status=none
}

# publish RAW OUTPUT: compresses the raw disk into a qcow2 that appears under its name only when it is complete.
publish() {
    qemu-img convert -f raw -O qcow2 -c -o compression_type=zstd "$1" "$PART" >>"$LOG" 2>&1
    mv "$PART" "$2"
}

# fetch_packages PACKAGE...: downloads Debian packages (not what they depend on) and unpacks them into $WORK/x.
fetch_packages() {
    mkdir -p "$WORK/debs" "$WORK/x"
    chmod 755 "$WORK"
    chmod 777 "$WORK/debs"
    (cd "$WORK/debs" && apt-get download -q "$@") >>"$LOG" 2>&1 ||
        die "Debian packages could not be fetched; check the network and run apt-get update (details: $LOG)."
    local deb
    for deb in "$WORK"/debs/*.deb; do dpkg-deb -x "$deb" "$WORK/x"; done
    rm -r "$WORK/debs"
}

# kernel_package META: the package with the newest kernel behind a meta package, e.g. linux-image-6.1.0-56-amd64.
kernel_package() {
    local name
    name=$(apt-cache depends "$1" 2>>"$LOG" | awk '/Depends: linux-image/ {print $2; exit}')
    [ -n "$name" ] || die "the package lists are empty or lack $1; run: apt-get update"
    echo "$name"
}

# module_files MODULE...: files of the modules in $WORK/x with everything they need, in loading order; modules that are
# built into the kernel have none.
module_files() {
    local version module
    version=$(ls "$WORK/x/lib/modules")
    depmod -b "$WORK/x" "$version"
    for module; do
        modprobe -d "$WORK/x" -S "$version" --show-depends "$module" 2>>"$LOG" | awk '/^insmod/ {print $2}' || true
    done | awk '!seen[$0]++'
}

# initramfs_modules ROOT FILE...: copies module files into an initramfs tree, with the order to load them in.
initramfs_modules() {
    local root=$1 file
    shift
    mkdir -p "$root/lib/modules"
    for file; do
        cp "$file" "$root/lib/modules/"
        basename "$file" >>"$root/lib/modules/order"
    done
    grep -q virtio_blk "$root/lib/modules/order" || die "the kernel package lacks virtio modules (details: $LOG)."
}

# initramfs_busybox ROOT: busybox under the name of each of its applets that ROOT does not hold as a file of its own.
initramfs_busybox() {
    local root=$1 applet
    cp "$WORK/x/bin/busybox" "$root/bin/busybox"
    for applet in $("$root/bin/busybox" --list); do
        [ -e "$root/sbin/$applet" ] || [ -e "$root/usr/sbin/$applet" ] || [ "$applet" = busybox ] ||
            ln -s /bin/busybox "$root/bin/$applet"
    done
}

# pack_initramfs ROOT FILE
pack_initramfs() { (cd "$1" && find . -print0 | cpio --null -o -H newc --quiet -R 0:0) | zstd -q -19 -T0 >"$2"; }
