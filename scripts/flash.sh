#!/usr/bin/env bash
# Writes an image to a card, a stick or a disk, and reads it back: see --help.
set -euo pipefail
HERE=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=board/image/common.sh
. "$HERE/board/image/common.sh"

usage() {
    cat <<'HELP'
Usage: scripts/flash.sh IMAGE DEVICE [--config FOLDER] [--yes] [--force]

Writes IMAGE (.img or .img.zst) to DEVICE, a whole disk such as /dev/sdb or /dev/mmcblk0, reads it back and compares.
With IMAGE.bmap beside it only what counts is written. DEVICE may be a file that is large enough.

  --config FOLDER  puts wagate.toml and the files that it names onto the card's FAT partition; the box takes them at
                   its first start
  --yes            doesn't ask before everything on DEVICE is gone
  --force          takes a disk that isn't removable; never one that is in use or that this machine runs from

lsblk shows which disks there are.
HELP
}

IMG='' DEVICE='' CONFIG='' YES='' FORCE=''
while [ $# -gt 0 ]; do
    case $1 in
    -h | --help)
        usage
        exit
        ;;
    --config)
        [ $# -ge 2 ] || die "--config needs a folder"
        CONFIG=$2
        shift
        ;;
    --yes) YES=1 ;;
    --force) FORCE=1 ;;
    -*) die "unknown: $1 (--help)" ;;
    *)
        if [ -z "$IMG" ]; then IMG=$1; elif [ -z "$DEVICE" ]; then DEVICE=$1; else die "what is $1? (--help)"; fi
        ;;
    esac
    shift
done
[ -n "$DEVICE" ] || die "which image, onto which device? (--help)"
[ -f "$IMG" ] || die "there is no $IMG"
need lsblk util-linux sha256sum coreutils
[ -z "$CONFIG" ] || need mcopy mtools
if [ -n "$CONFIG" ]; then
    [ -f "$CONFIG/wagate.toml" ] || die "there is no wagate.toml in $CONFIG"
    [ -z "$(find "$CONFIG" -mindepth 1 ! -type f | head -1)" ] ||
        die "$CONFIG has more than plain files: the box takes files beside wagate.toml only"
    # What the box starts from has such names, on the same partition: gateway/src/supervisor/first_boot/names.rs.
    for file in "$CONFIG"/*; do
        case $(basename "$file" | tr '[:upper:]' '[:lower:]') in
        cmdline.txt | config.txt | taken.json | *.efi | *.cfg | *.bin | *.dtb | *.dtbo | *.elf | *.dat)
            die "$file: the box itself has files of such names; another name, please" ;;
        esac
    done
fi

WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
BMAP=${IMG%.zst}.bmap
if [[ $IMG == *.zst ]]; then
    need zstd zstd
    note "unpacking $IMG"
    zstd -dq --sparse "$IMG" -o "$WORK/image"
    IMG=$WORK/image
fi
SIZE=$(stat -c %s "$IMG")
[ "$((SIZE % 4096)) $(dd if="$IMG" bs=8 skip=64 count=1 status=none)" = "0 EFI PART" ] ||
    die "$IMG isn't an image of a disk"

# The target: a whole disk, not in use, large enough.
field() { lsblk -bdno "$1" "$DEVICE" | tr -s ' ' | sed 's/^ //; s/ $//'; }
if [ -b "$DEVICE" ]; then
    [ "$(field TYPE)" != part ] || die "$DEVICE is a partition; the disk is /dev/$(field PKNAME)"
    used=$(lsblk -nro NAME,MOUNTPOINTS "$DEVICE" | awk 'NF > 1')
    [ -z "$used" ] || die "$DEVICE is in use, unmount it first: $used"
    # Partitions that something is built on, such as an encrypted or a mirrored disk.
    [ -z "$(lsblk -nro TYPE "$DEVICE" | grep -vE '^(disk|part|loop|rom)$' || true)" ] || die "$DEVICE is in use: $(lsblk -nro NAME,TYPE "$DEVICE")"
    root=$(findmnt -no SOURCE / || true)
    case "$(lsblk -sno NAME "$root" 2>/dev/null || true)" in
    *"$(basename "$(realpath "$DEVICE")")"*) die "this machine runs from $DEVICE" ;;
    esac
    [ -n "$FORCE" ] || [ "$(field RM)" = 1 ] || [ "$(field HOTPLUG)" = 1 ] || [[ $DEVICE == /dev/mmcblk* ]] ||
        die "$DEVICE isn't removable ($(field MODEL)); --force if that is the one"
    room=$(field SIZE)
    what="$DEVICE ($(field MODEL) $(numfmt --to=iec "$room"))"
    [ -w "$DEVICE" ] || die "$DEVICE can't be written by $(id -un): with sudo"
elif [ -f "$DEVICE" ]; then
    room=$(stat -c %s "$DEVICE")
    what="the file $DEVICE"
else
    die "$DEVICE is neither a disk nor a file"
fi
[ "$room" -ge "$SIZE" ] || die "$what is too small: $room bytes, the image has $SIZE"
if [ -z "$YES" ]; then
    [ -t 0 ] || die "nobody to ask whether everything on $what may go: --yes"
    read -rp "Everything on $what will be gone. Go on? [y/N] " answer
    [[ $answer == [yY]* ]] || die "nothing was written"
fi

# What counts: "first last" in blocks of 4096 bytes, cut so that progress is seen.
PIECE=4096
pieces() {
    if [ -f "$BMAP" ]; then
        grep -q "<BlockSize> 4096 " "$BMAP" || die "$BMAP isn't in blocks of 4096 bytes"
        [ "$(sed -n 's/.*<ImageSize> \([0-9]*\) .*/\1/p' "$BMAP")" = "$SIZE" ] || die "$BMAP is of another image"
        sed -n 's/.*<Range[^>]*> *\([0-9]*\)\(-\([0-9]*\)\)\{0,1\} *<.*/\1 \3/p' "$BMAP"
    else
        echo "0 $((SIZE / 4096 - 1))"
    fi | while read -r first last; do
        last=${last:-$first}
        while [ "$first" -le "$last" ]; do
            end=$((first + PIECE - 1 < last ? first + PIECE - 1 : last))
            echo "$first $((end - first + 1))"
            first=$((end + 1))
        done
    done
}
pieces >"$WORK/pieces"
total=$(awk '{n += $2} END {print n}' "$WORK/pieces")
[ "${total:-0}" -gt 0 ] || die "$BMAP can't be read"

progress() { [ ! -t 2 ] || printf '\r%s %3d %%' "$1" $(($2 * 100 / total)) >&2; }
hash_of() { dd if="$1" bs=4096 skip="$2" count="$3" status=none "${@:4}" | sha256sum; }

note "writing $((total / 256)) of $((SIZE >> 20)) MiB to $what"
done_blocks=0
while read -r first count; do
    dd if="$IMG" of="$DEVICE" bs=4096 skip="$first" seek="$first" count="$count" conv=notrunc status=none ||
        die "writing to $DEVICE failed; what is on it is of no use"
    done_blocks=$((done_blocks + count))
    progress writing $done_blocks
done <"$WORK/pieces"
sync "$DEVICE"

# Read past what the kernel still holds, where the device lets us.
past=()
dd if="$DEVICE" of=/dev/null bs=4096 count=1 iflag=direct status=none 2>/dev/null && past=(iflag=direct)
done_blocks=0
while read -r first count; do
    [ "$(hash_of "$IMG" "$first" "$count")" = "$(hash_of "$DEVICE" "$first" "$count" ${past[@]+"${past[@]}"})" ] ||
        die "$DEVICE doesn't hold what was written to it (at $((first * 4096))): take another card"
    done_blocks=$((done_blocks + count))
    progress "reading" $done_blocks
done <"$WORK/pieces"
[ ! -t 2 ] || echo >&2
note "read back and right"

if [ -n "$CONFIG" ]; then
    export MTOOLS_SKIP_CHECK=1
    # Some editors write two bytes a letter.
    tr -d '\000' <"$CONFIG/wagate.toml" >"$WORK/wagate.toml"
    # The first partition begins at 1 MiB: board/image/disk.sh.
    for file in "$CONFIG"/*; do
        name=$(basename "$file")
        # The box takes what is named (Meta's root needs no naming), and only that is erased on the card.
        case $name in
        wagate.toml | meta-outbound-ca.pem) ;;
        *)
            if ! grep -qiF -- "${name%.[tT][xX][tT]}" "$WORK/wagate.toml"; then
                warn "$name isn't named in wagate.toml, and stays here"
                continue
            fi
            ;;
        esac
        mcopy -o -i "$DEVICE@@1M" "$file" "::/$name" || die "$name can't be put onto the FAT partition"
        mtype -i "$DEVICE@@1M" "::/$name" | cmp -s - "$file" || die "$name isn't on the FAT partition as it should be"
        note "$name is on the FAT partition"
    done
    sync "$DEVICE"
fi
[ ! -b "$DEVICE" ] || blockdev --rereadpt "$DEVICE" 2>/dev/null || true
note "done: take it out and put it into the box"
