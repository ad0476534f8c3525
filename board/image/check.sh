# Sourced by build-image.sh: looks through an image without starting it.
# shellcheck shell=bash disable=SC2154  # what build-image.sh makes

# Says what is right, and ends at what isn't.
check_image() {
    local image=$1 esp slot data start size name type file found
    export MTOOLS_SKIP_CHECK=1
    [ -f "$image" ] || die "there is no $image: build it first"
    WORK=$(mktemp -d)
    trap 'rm -rf "$WORK"' EXIT
    sgdisk --verify "$image" | grep -q 'No problems found' || die "the partition table isn't right: sgdisk --verify $image"
    [ "$(sfdisk --dump "$image" | sed -n 's/.*name="\(.*\)".*/\1/p' | tr '\n' ' ')" = "esp root-a root-b data " ] ||
        die "the partitions aren't esp, root-a, root-b and data: sfdisk --dump $image"
    read -r start size < <(part_of "$image" esp)
    [ "$start $size" = "2048 $((ESP_MIB * 2048))" ] || die "the ESP isn't $ESP_MIB MiB at 1 MiB"
    for name in root-a root-b; do
        read -r _ size < <(part_of "$image" $name)
        [ "$size" = $((SLOT_MIB * 2048)) ] || die "$name isn't $SLOT_MIB MiB"
    done
    if [ "${PARTITION_TABLE:-gpt}" = hybrid ]; then
        # The second type in the MBR's table of four; the firmware looks for a FAT partition there.
        found=$(dd if="$image" bs=1 skip=446 count=64 status=none | od -An -v -tx1 -w16 | awk '{print $5}' | tr '\n' ' ')
        [[ " $found" == *" 0c "* ]] || die "the MBR names no FAT partition: types $found"
    fi
    note "partitions: right"

    esp=$image@@1M
    while read -r type file; do
        [ -n "$file" ] || continue
        mtype -i "$esp" "::/$file" >"$WORK/file" 2>/dev/null || die "$file isn't on the ESP"
        size=$(stat -c %s "$WORK/file")
        case $type in
        env) [ "$size" = 1024 ] && head -c 512 "$WORK/file" | grep -aq '^SANE=1$' || die "$file isn't an environment block" ;;
        arm64) [ "$(dd if="$WORK/file" bs=1 count=2 status=none)" = MZ ] || die "$file isn't an EFI program" ;;
        dtb) [ "$(od -An -tx1 -N4 "$WORK/file" | tr -d ' ')" = d00dfeed ] || die "$file isn't a device tree" ;;
        *) [ "$size" -gt 0 ] || die "$file is empty" ;;
        esac
    done <<LIST
arm64 EFI/BOOT/BOOTAA64.EFI
text grub/grub.cfg
env grub/grubenv
env grub/grubenv.bak
$(awk 'NF == 3 {print ($3 ~ /dtb$/ ? "dtb" : "file"), $3}' <<<"${ESP_FILES:-}")
LIST
    mtype -i "$esp" ::/grub/grub.cfg >"$WORK/grub.cfg"
    ! grep -q '@[A-Z]*@' "$WORK/grub.cfg" || die "names are left in grub.cfg"
    if command -v grub-script-check >/dev/null; then grub-script-check "$WORK/grub.cfg" || die "grub.cfg isn't right"; fi
    note "ESP: right, $(mdir -i "$esp" -/ -b :: | wc -l) files"

    read -r start size < <(part_of "$image" root-a)
    slot=$WORK/root-a
    dd if="$image" of="$slot" bs=1M skip=$((start / 2048)) count=$((size / 2048)) status=none
    unsquashfs -lc "$slot" >"$WORK/list" 2>/dev/null || die "root-a is no squashfs"
    for name in boot/vmlinuz boot/initrd bin/busybox bin/wagate sbin/init sbin/e2fsck etc/inittab etc/wagate/release etc/wagate/udhcpc.sh; do
        grep -qx "squashfs-root/$name" "$WORK/list" || die "$name isn't in the slot"
    done
    grep -q '^squashfs-root/etc/wagate/update-keys/.*\.pub$' "$WORK/list" || die "no key for updates is in the slot"
    [ "$(unsquashfs -cat "$slot" etc/wagate/release | sed -n 's/^BOARD=//p')" = "$BOARD" ] || die "the slot is for another board"
    read -r start size < <(part_of "$image" root-b)
    dd if="$image" bs=512 skip="$start" count=2048 status=none | cmp -s -n $((1 << 20)) - /dev/zero || die "root-b isn't empty"
    note "slots: right"

    read -r start size < <(part_of "$image" data)
    data=$WORK/data
    dd if="$image" of="$data" bs=1M skip=$((start / 2048)) count=$((size / 2048)) conv=sparse status=none
    e2fsck -fn "$data" >"$WORK/fsck" 2>&1 || die "the data partition's file system isn't right: $(cat "$WORK/fsck")"
    note "data: right"
    size=$(stat -c %s "$image.zst")
    [ "$size" -le $((IMAGE_MAX_MB * 1000000)) ] || die "$image.zst has $((size / 1000)) kB, over $IMAGE_MAX_MB MB"
    (cd "$(dirname "$image")" && sha256sum --quiet -c SHA256SUMS) || die "SHA256SUMS isn't right"
    note "sizes and checksums: right, $((size / 1000)) kB compressed"
}
