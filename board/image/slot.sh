# Sourced by build-image.sh: the initramfs and the slot.
# shellcheck shell=bash
# Uses: IMAGE, WORK, CACHE, BOARD, VERSION, EPOCH, BINARY, KEYS, OVERLAY, FAST and what packages.sh makes.

# Options of ext4 for the data partition: the same in the image and after a reset. Few inodes, for few and large files.
MKE2FS="-L wagate-data -b 4096 -I 256 -i 65536 -m 1 -J size=8 -O has_journal,ext_attr,resize_inode,dir_index,filetype,extent,64bit,flex_bg,sparse_super,large_file,huge_file,dir_nlink,extra_isize,metadata_csum"
MOUNT="noatime,nosuid,nodev,noexec,errors=remount-ro"

# The names in a list with comments; `always` those that the initramfs loads in any case.
names() { sed 's/#.*//; s/^+//' "$1" | tr -s ' \n' ' '; }
always() { sed -n 's/^+//p' "$IMAGE/modules.initramfs" | tr -s ' \n' ' '; }

# The files of modules with all they need. One that the kernel has built in needs none.
with_needs() {
    local name said
    for name in "$@"; do
        said=$(modprobe -d "$KERNEL_DIR/usr" -S "$KERNEL" --show-depends "$name" 2>/dev/null) ||
            die "kernel $KERNEL has no module $name: board/image/modules.*"
        sed -n 's/^insmod \([^ ]*\).*/\1/p' <<<"$said"
    done | LC_ALL=C sort -u
}

# put_modules TREE: the modules on the input, plain, and their index.
put_modules() {
    local tree=$1 file target
    while read -r file; do
        target=$tree/lib/modules/$KERNEL/${file#*"/lib/modules/$KERNEL/"}
        mkdir -p "$(dirname "$target")"
        case $file in
        *.xz) xz -dc "$file" >"${target%.xz}" ;;
        *) cp "$file" "$target" ;;
        esac
    done
    cp "$KERNEL_DIR/usr/lib/modules/$KERNEL"/modules.{order,builtin,builtin.modinfo} "$tree/lib/modules/$KERNEL/"
    # It has words for what is loaded already and isn't here again.
    depmod -b "$tree" "$KERNEL" 2>/dev/null
    rm -f "$tree/lib/modules/$KERNEL"/modules.{order,builtin.modinfo} "$tree/lib/modules/$KERNEL"/*.bin
}

put_busybox() {
    local tree=$1 name
    mkdir -p "$tree"/{bin,sbin}
    install -m 755 "$(package_dir busybox-static)/usr/bin/busybox" "$tree/bin/busybox"
    for name in $(names "$IMAGE/applets"); do ln -s busybox "$tree/bin/$name"; done
    # The kernel calls it by this path.
    ln -s ../bin/busybox "$tree/sbin/modprobe"
}

# One time and fixed rights for everything, so that the same input makes the same bytes.
settle() { find "$1" -print0 | xargs -0 touch -h -d "@$EPOCH"; }

# Left as it is: the slot around it is compressed, and better.
build_initramfs() {
    local out=$1 tree=$WORK/initramfs
    rm -rf "$tree"
    mkdir -p "$tree"/{proc,sys,dev,run}
    put_busybox "$tree"
    # GRUB adds it from the slot: once is enough.
    rm "$tree/bin/busybox"
    # shellcheck disable=SC2046  # a list
    with_needs $(names "$IMAGE/modules.initramfs") | put_modules "$tree"
    sed -e "s|@BOARD@|$BOARD|; s|@VERSION@|$VERSION|; s|@MKE2FS@|$MKE2FS|; s|@MOUNT@|$MOUNT|; s|@ALWAYS@|$(always)|" \
        "$IMAGE/initramfs/init" >"$tree/init"
    chmod 755 "$tree/init"
    settle "$tree"
    (cd "$tree" && find . -print0 | LC_ALL=C sort -z |
        cpio -0 -o -H newc --reproducible --quiet --owner 0:0) >"$out"
    rm -rf "$tree"
}

# The parts of e2fsprogs that the box uses, with their libraries.
put_e2fsprogs() {
    local tree=$1 lib=$1/lib/aarch64-linux-gnu name from
    mkdir -p "$lib"
    for name in mke2fs e2fsck resize2fs; do install -m 755 "$(package_dir e2fsprogs)/usr/sbin/$name" "$tree/sbin/"; done
    for name in libc6:libc.so.6 libblkid1:libblkid.so.1 libcom-err2:libcom_err.so.2 libext2fs2t64:libext2fs.so.2 \
        libext2fs2t64:libe2p.so.2 libuuid1:libuuid.so.1; do
        from=$(package_dir "${name%:*}")/usr/lib/aarch64-linux-gnu/${name#*:}
        install -m 755 "$from" "$lib/${name#*:}"
    done
    install -m 755 "$(package_dir libc6)/usr/lib/aarch64-linux-gnu/ld-linux-aarch64.so.1" "$tree/lib/"
}

build_slot() {
    local out=$1 tree=$WORK/slot squash=(-comp xz -b 1M)
    [ -z "$FAST" ] || squash=(-comp gzip -Xcompression-level 1 -b 128K)
    rm -rf "$tree"
    mkdir -p "$tree"/{boot,proc,sys,dev,run,tmp,data,efi,usb,var/lib,etc/wagate/update-keys}
    put_busybox "$tree"
    ln -s ../bin/busybox "$tree/sbin/init"
    ln -s ../bin/busybox "$tree/sbin/mdev"
    # shellcheck disable=SC2046  # lists
    LC_ALL=C comm -23 <(with_needs $(names "$IMAGE/modules.slot")) <(with_needs $(always)) | put_modules "$tree"
    put_e2fsprogs "$tree"
    cp -r "$IMAGE/slot/." "$tree/"
    install -m 755 "$BINARY" "$tree/bin/wagate"
    printf 'VERSION=%s\nBOARD=%s\nBUILT=%s\n' "$VERSION" "$BOARD" "$EPOCH" >"$tree/etc/wagate/release"
    install -m 644 "$KEYS"/*.pub "$tree/etc/wagate/update-keys/"
    ln -s /data/store "$tree/var/lib/wagate"
    ln -s /run/resolv.conf "$tree/etc/resolv.conf"
    install -m 644 "$KERNEL_DIR/boot/vmlinuz-$KERNEL" "$tree/boot/vmlinuz"
    build_initramfs "$tree/boot/initrd"
    [ -z "$OVERLAY" ] || cp -r --remove-destination "$OVERLAY/." "$tree/"
    find "$tree" -type d -exec chmod 755 {} +
    chmod 1777 "$tree/tmp"
    settle "$tree"
    rm -f "$out"
    mksquashfs "$tree" "$out" "${squash[@]}" -all-root -noappend -quiet -no-progress -no-xattrs \
        -mkfs-time "$EPOCH" -all-time "$EPOCH"
    rm -rf "$tree"
    [ "$(stat -c %s "$out")" -le $((SLOT_MIB << 20)) ] || die "the slot doesn't fit into $SLOT_MIB MiB"
}
