#!/usr/bin/env bash
# Builds the flashable image of a board from Debian's packages and our program: see --help.
set -euo pipefail
cd "$(dirname "$0")/.."
IMAGE=$PWD/board/image
# shellcheck source=board/image/common.sh
. "$IMAGE/common.sh"

usage() {
    cat <<HELP
Usage: scripts/build-image.sh --board NAME [options]

Makes dist/NAME/wagate-NAME.img, reproducibly and without root: beside it .img.zst, .img.bmap, packages.tsv,
slot.squashfs and SHA256SUMS. Boards: $(cd board/boards && echo *.conf | sed 's/\.conf//g').

  --binary PATH        the program; without it dist/aarch64/wagate (scripts/build.sh)
  --version V          what it says it is; without it the version in Cargo.toml
  --keys DIR           *.pub files of those who may sign updates; without it a development key is made in dist/keys
  --overlay DIR        files that are copied over the slot's
  --out DIR            instead of dist/NAME
  --slot-only FILE     make just a slot (squashfs), for an update
  --fast               for tests: compressed less
  --force-board NAME   for tests: a slot that says that it is for another board
  --check              look through an image that was built: partitions, files on the ESP, sizes
  --refresh-pins       take the newest packages and write them to board/image/pins

Results go to \$WAGATE_DIST (dist). Packages are kept in \$WAGATE_IMAGE_CACHE (dist/cache): a second build needs no
network. \$WAGATE_MIRROR is Debian's mirror. \$SOURCE_DATE_EPOCH is the time of everything in the image; without it
that of the last commit.
A pin that is gone from the mirror ends the build; with CI=true the newest is taken, and said.
HELP
}

BOARD='' BINARY='' VERSION='' KEYS='' OVERLAY='' OUT='' SLOT_ONLY='' FAST='' SAYS_BOARD='' DO=build
while [ $# -gt 0 ]; do
    case $1 in
    --board | --binary | --version | --keys | --overlay | --out | --slot-only | --force-board)
        [ $# -ge 2 ] || die "$1 needs a value"
        case $1 in
        --board) BOARD=$2 ;;
        --binary) BINARY=$2 ;;
        --version) VERSION=$2 ;;
        --keys) KEYS=$2 ;;
        --overlay) OVERLAY=$2 ;;
        --out) OUT=$2 ;;
        --slot-only) SLOT_ONLY=$2 ;;
        --force-board) SAYS_BOARD=$2 ;;
        esac
        shift
        ;;
    --fast) FAST=1 ;;
    --check) DO=check ;;
    --refresh-pins) DO=refresh ;;
    -h | --help)
        usage
        exit
        ;;
    *) die "unknown: $1 (--help)" ;;
    esac
    shift
done

DIST=${WAGATE_DIST:-dist}
CACHE=$(realpath -m "${WAGATE_IMAGE_CACHE:-$DIST/cache}")
SLOT_MIB=128
EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || date -u -d 00:00 +%s)}
mkdir -p "$CACHE"
umask 022
# shellcheck source=board/image/packages.sh
. "$IMAGE/packages.sh"
# shellcheck source=board/image/slot.sh
. "$IMAGE/slot.sh"
# shellcheck source=board/image/disk.sh
. "$IMAGE/disk.sh"
# shellcheck source=board/image/check.sh
. "$IMAGE/check.sh"

if [ "$DO" = refresh ]; then
    refresh_pins
    exit
fi
[ -n "$BOARD" ] || die "for which board? --board NAME (--help)"
CONF=board/boards/$BOARD.conf
[ -f "$CONF" ] || die "no board $BOARD: board/boards/ has $(cd board/boards && echo *.conf)"
# shellcheck source=board/boards/generic-arm64.conf
. "$CONF"
BOARD=${SAYS_BOARD:-$BOARD}
OUT=$(realpath -m "${OUT:-$DIST/$BOARD}")
NAME=wagate-$BOARD.img
need mcopy mtools mkfs.vfat dosfstools mke2fs e2fsprogs mksquashfs squashfs-tools genimage genimage \
    grub-mkimage grub-common depmod kmod cpio cpio zstd zstd xz xz-utils sfdisk fdisk sgdisk gdisk bmaptool bmap-tools openssl openssl
if [ "$DO" = check ]; then
    check_image "$OUT/$NAME"
    exit 0
fi

BINARY=${BINARY:-$DIST/aarch64/wagate}
[ -f "$BINARY" ] || die "no program at $BINARY: scripts/build.sh --target aarch64"
[ -n "$VERSION" ] || VERSION=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' Cargo.toml)
if [ -z "$KEYS" ]; then
    KEYS=$DIST/keys
    key=$KEYS/development
    if [ ! -f "$key.pem" ]; then
        mkdir -p "$KEYS"
        (umask 077 && openssl genpkey -algorithm ed25519 -out "$key.pem")
        scripts/sign-update.sh --public "$key.pem" development >"$key.pub"
    fi
    warn "updates are trusted to the development key in $KEYS: not for a box that faces the internet (--keys)"
elif [ "$(cat "$KEYS"/*.pub 2>/dev/null | wc -l)" = 1 ]; then
    warn "one key for updates: when it is lost no box can be updated (docs/operating/update.md, Keys)"
fi
compgen -G "$KEYS/*.pub" >/dev/null || die "no *.pub in $KEYS: no update could ever be installed"

mkdir -p "$OUT"
WORK=$(mktemp -d "$OUT/work.XXXXXX")
trap 'rm -rf "$WORK"' EXIT
packages_ready "$WORK/packages.tsv"
if [ -n "$SLOT_ONLY" ]; then
    build_slot "$WORK/slot.squashfs"
    mkdir -p "$(dirname "$SLOT_ONLY")"
    mv "$WORK/slot.squashfs" "$SLOT_ONLY"
    note "$SLOT_ONLY: $(stat -c %s "$SLOT_ONLY") bytes, $BOARD $VERSION"
    exit
fi

build_slot "$WORK/slot.squashfs"
build_esp "$WORK/esp.vfat"
build_data "$WORK/data.ext4"
build_disk "$WORK/$NAME" "$WORK/esp.vfat" "$WORK/slot.squashfs" "$WORK/data.ext4"
bmaptool create -o "$WORK/$NAME.bmap" "$WORK/$NAME"
if [ -z "$FAST" ]; then zstd -19 -q -T2 "$WORK/$NAME"; else zstd -1 -q "$WORK/$NAME"; fi
(cd "$WORK" && sha256sum "$NAME" "$NAME.zst" "$NAME.bmap" slot.squashfs packages.tsv >SHA256SUMS)
# Only a whole set takes the place of an earlier one.
mv -f "$WORK"/{packages.tsv,slot.squashfs,"$NAME","$NAME.zst","$NAME.bmap",SHA256SUMS} "$OUT/"
size=$(stat -c %s "$OUT/$NAME.zst")
note "$OUT/$NAME: $((size / 1000)) kB compressed, slot $(($(stat -c %s "$OUT/slot.squashfs") / 1000)) kB, $VERSION"
[ -n "$FAST" ] || [ "$size" -le $((IMAGE_MAX_MB * 1000000)) ] || die "over $IMAGE_MAX_MB MB compressed"
