#!/usr/bin/env bash
# Makes the signed bundle that boxes install: see --help. What is in it, byte by byte: docs/formats/update.md.
set -euo pipefail
HERE=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=board/image/common.sh
. "$HERE/board/image/common.sh"

usage() {
    cat <<'HELP'
Usage: scripts/sign-update.sh --slot FILE --key KEY.pem [--key NEXT.pem] --out FILE.update [options]
       scripts/sign-update.sh --public KEY.pem COMMENT > NAME.pub

Signs a slot (dist/BOARD/slot.squashfs) for boxes that trust one of the keys. A second key is for the time of a
rotation: boxes that know only one of the two take the bundle, too.

  --board B             without it what the slot says of itself
  --version V           the same
  --minimum-version V   the oldest version that may be updated to this one (0.1.0)
  --data-format N       the layout of the data that this version reads; without it that of this source tree
  --public KEY COMMENT  prints the public half, as scripts/build-image.sh --keys wants it

A new key: openssl genpkey -algorithm ed25519 -out KEY.pem
Its place is on a machine that isn't on the internet; a second one's is in a safe.
HELP
}

need openssl openssl sha256sum coreutils base64 coreutils

# The 32 bytes of the public key of $1; they are the end of its DER form.
public_of() {
    openssl pkey -in "$1" -noout -text 2>/dev/null | grep -q '^ED25519' ||
        die "$1 isn't a private ed25519 key: openssl genpkey -algorithm ed25519 -out KEY.pem"
    openssl pkey -in "$1" -pubout -outform DER | tail -c 32
}

if [ "${1:-}" = --public ]; then
    [ $# = 3 ] || die "--public KEY.pem COMMENT"
    echo "ed25519 $(public_of "$2" | base64) $3"
    exit
fi

SLOT='' BOARD='' VERSION='' MINIMUM=0.1.0 FORMAT='' OUT='' KEYS=()
while [ $# -gt 0 ]; do
    case $1 in
    -h | --help)
        usage
        exit
        ;;
    --slot | --board | --version | --minimum-version | --data-format | --key | --out)
        [ $# -ge 2 ] || die "$1 needs a value"
        case $1 in
        --slot) SLOT=$2 ;;
        --board) BOARD=$2 ;;
        --version) VERSION=$2 ;;
        --minimum-version) MINIMUM=$2 ;;
        --data-format) FORMAT=$2 ;;
        --key) KEYS+=("$2") ;;
        --out) OUT=$2 ;;
        esac
        shift 2
        ;;
    *) die "unknown: $1 (--help)" ;;
    esac
done
[ -f "$SLOT" ] || die "which slot? --slot dist/BOARD/slot.squashfs"
[ ${#KEYS[@]} -gt 0 ] || die "signed by whom? --key KEY.pem"
[ -n "$OUT" ] || die "where to? --out FILE.update"

# What the slot says of itself.
said() { unsquashfs -cat "$SLOT" etc/wagate/release 2>/dev/null | sed -n "s/^$1=//p"; }
if [ -z "$BOARD" ] || [ -z "$VERSION" ]; then
    need unsquashfs squashfs-tools
    BOARD=${BOARD:-$(said BOARD)} VERSION=${VERSION:-$(said VERSION)}
    [ -n "$BOARD$VERSION" ] || die "$SLOT isn't a slot of ours: it has no etc/wagate/release"
elif command -v unsquashfs >/dev/null; then
    [ "$(said BOARD) $(said VERSION)" = "$BOARD $VERSION" ] ||
        warn "the slot says of itself that it is '$(said VERSION)' for '$(said BOARD)', the bundle will say '$VERSION' for '$BOARD'"
fi
if [ -z "$FORMAT" ]; then
    FORMAT=$(sed -n 's/^pub const DATA_FORMAT: u[0-9]* = \([0-9]*\);.*/\1/p' "$HERE/crates/store/src/index/schema.rs" 2>/dev/null || true)
    [ -n "$FORMAT" ] || die "--data-format N: this source tree doesn't say it"
fi
semver='^[0-9]+\.[0-9]+\.[0-9]+([-+][0-9A-Za-z.+-]+)?$'
for version in "$VERSION" "$MINIMUM"; do [[ $version =~ $semver ]] || die "'$version' isn't a version like 1.2.3"; done
[[ $BOARD =~ ^[a-z0-9-]+$ ]] || die "'$BOARD' isn't the name of a board"
[[ $FORMAT =~ ^[0-9]+$ ]] || die "--data-format is a number"

# The time that squashfs bears in its head: the same slot makes the same manifest.
built=$(od -An -tu4 -j8 -N4 "$SLOT" | tr -d ' ')
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
printf '{"layout":1,"version":"%s","board":"%s","slot_bytes":%s,"slot_sha256":"%s","minimum_version":"%s","data_format":%s,"built_at":"%s"}' \
    "$VERSION" "$BOARD" "$(stat -c %s "$SLOT")" "$(sha256sum "$SLOT" | cut -d' ' -f1)" "$MINIMUM" "$FORMAT" \
    "$(date -u -d "@$built" +%Y-%m-%dT%H:%M:%SZ)" >"$work/manifest"
{
    printf 'wagate update bundle 1\n'
    cat "$work/manifest"
} >"$work/message"

signatures=
for key in "${KEYS[@]}"; do
    public_of "$key" >"$work/public"
    id=$(sha256sum "$work/public" | head -c 16)
    openssl pkeyutl -sign -inkey "$key" -rawin -in "$work/message" -out "$work/signature"
    openssl pkey -in "$key" -pubout -out "$work/public.pem"
    openssl pkeyutl -verify -pubin -inkey "$work/public.pem" -rawin -in "$work/message" -sigfile "$work/signature" >/dev/null ||
        die "the signature of $key doesn't hold"
    signatures+=${signatures:+,}$(printf '{"key":"%s","signature":"%s"}' "$id" "$(base64 -w0 "$work/signature")")
done
printf '[%s]' "$signatures" >"$work/signatures"

# A number in four bytes, the least significant first.
number() { printf '%b' "$(printf '\\x%02x' $(($1 & 255)) $(($1 >> 8 & 255)) $(($1 >> 16 & 255)) $(($1 >> 24 & 255)))"; }
{
    printf WAGATEUP
    number 1
    number "$(stat -c %s "$work/manifest")"
    number "$(stat -c %s "$work/signatures")"
    cat "$work/manifest" "$work/signatures" "$SLOT"
} >"$OUT.new"
mv "$OUT.new" "$OUT"
note "$OUT: $VERSION for $BOARD, signed with ${#KEYS[@]} key(s), $(stat -c %s "$OUT") bytes"
