# Sourced by build-image.sh: ESP, data partition and the whole disk, without mounting anything.
# shellcheck shell=bash disable=SC2154  # what build-image.sh makes
# Uses: IMAGE, WORK, EPOCH, VERSION, SLOT_MIB, CONSOLE, KERNEL_WORDS, ESP_MIB, ESP_FILES and what packages.sh makes.

# Fixed, so that two images are the same: "WAGATE" and a number.
uuid() { echo "57414741-0000-4000-8000-00000000000$1"; }

# GRUB's variables as flashed: the first slot is good, the second one empty. SANE comes last.
first_grubenv() {
    {
        printf '# GRUB Environment Block\n'
        printf '%s\n' 'ORDER=A B' A_OK=1 A_LEFT=3 B_OK=0 B_LEFT=0 RESET=0 NOTE=none HANDED=none \
            "VERSION_A=$VERSION" VERSION_B= SANE=1
        head -c 1024 /dev/zero | tr '\0' '#'
    } | head -c 1024
}

build_esp() {
    local out=$1 tree=$WORK/esp package path name
    rm -rf "$tree" "$out"
    mkdir -p "$tree"/{EFI/BOOT,grub}
    grub-mkimage -d "$(package_dir grub-efi-arm64-bin)/usr/lib/grub/arm64-efi" -O arm64-efi -c "$IMAGE/early.cfg" \
        -p /grub -o "$tree/EFI/BOOT/BOOTAA64.EFI" \
        part_gpt part_msdos fat squash4 loadenv linux normal configfile search search_label test regexp sleep echo reboot gzio
    sed -e "s|@CONSOLE@|$CONSOLE|; s|@KERNEL@|$KERNEL_WORDS|" "$IMAGE/grub.cfg" >"$tree/grub/grub.cfg"
    first_grubenv >"$tree/grub/grubenv"
    first_grubenv >"$tree/grub/grubenv.bak"
    while read -r package path name; do
        [ -n "$package" ] || continue
        case $package in
        linux) path=$(package_dir linux)/usr/lib/linux-image-$KERNEL/$path ;;
        board) path=$IMAGE/../boards/$path ;;
        *) path=$(package_dir "$package")/$path ;;
        esac
        mkdir -p "$(dirname "$tree/$name")"
        cp "$path" "$tree/$name"
    done <<<"${ESP_FILES:-}"
    settle "$tree"
    truncate -s "${ESP_MIB}M" "$out"
    mkfs.vfat -F 32 -n WAGATE-ESP -i 57414741 --invariant "$out" >/dev/null
    (cd "$tree" && find . -mindepth 1 -maxdepth 1 -print0 | LC_ALL=C sort -z |
        SOURCE_DATE_EPOCH=$EPOCH TZ=UTC xargs -0 -I{} mcopy -s -m -i "$out" {} ::/)
    rm -rf "$tree"
}

build_data() {
    rm -f "$1"
    truncate -s 64M "$1"
    # shellcheck disable=SC2086  # a list of options
    E2FSPROGS_FAKE_TIME=$EPOCH mke2fs -q -t ext4 $MKE2FS -U "$(uuid 5)" \
        -E "hash_seed=$(uuid 6),lazy_itable_init=0,lazy_journal_init=0,root_owner=0:0" "$1"
}

# build_disk OUT ESP SLOT DATA
build_disk() {
    local out=$1 start
    mkdir -p "$WORK/empty" "$WORK/genimage"
    cat >"$WORK/genimage.cfg" <<CFG
image $(basename "$out") {
    hdimage { align = 1M partition-table-type = "${PARTITION_TABLE:-gpt}" disk-uuid = "$(uuid 0)" }
    partition esp    { image = "$2" partition-type-uuid = "${ESP_TYPE:-U}" partition-uuid = "$(uuid 1)" ${ESP_PARTITION:-} }
    partition root-a { image = "$3" size = ${SLOT_MIB}M partition-type-uuid = "L" partition-uuid = "$(uuid 2)" }
    partition root-b { size = ${SLOT_MIB}M partition-type-uuid = "L" partition-uuid = "$(uuid 3)" }
    partition data   { image = "$4" partition-type-uuid = "L" partition-uuid = "$(uuid 4)" }
}
CFG
    genimage --config "$WORK/genimage.cfg" --rootpath "$WORK/empty" --inputpath "$WORK" --outputpath "$(dirname "$out")" \
        --tmppath "$WORK/genimage" --loglevel 0
    # Holes are what need not be written: flash.sh leaves what was on the card there. So whatever is looked at is no
    # hole, though it may be zeros: both partition tables, the ESP, what is in the slot, the start of the empty one, the
    # data. Files have blocks of zeros, too.
    fallocate --dig-holes "$out"
    no_hole() { dd if="$out" of="$out" bs=1M skip="$1" seek="$1" count="$2" conv=notrunc status=none; }
    no_hole 0 $((1 + ESP_MIB))
    no_hole $(($(stat -c %s "$out") / 1048576 - 1)) 2
    read -r start _ < <(part_of "$out" root-a)
    dd if="$3" of="$out" bs=1M seek=$((start / 2048)) conv=notrunc status=none
    read -r start _ < <(part_of "$out" data)
    dd if="$4" of="$out" bs=1M seek=$((start / 2048)) conv=notrunc status=none
    read -r start _ < <(part_of "$out" root-b)
    no_hole $((start / 2048)) 1
}

# part_of IMAGE NAME: its first sector and how many.
part_of() {
    sfdisk --dump "$1" | sed -n "s/.*start= *\([0-9]*\), *size= *\([0-9]*\),.*name=\"$2\".*/\1 \2/p"
}
