#!/usr/bin/env bash
# Builds the program for the box, static and stripped, or runs the test suites for it: see --help.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=board/image/common.sh
. board/image/common.sh
# shellcheck source=scripts/lib/toolchain.sh
. scripts/lib/toolchain.sh
# shellcheck source=scripts/lib/licences.sh
. scripts/lib/licences.sh
# shellcheck source=scripts/lib/target.sh
. scripts/lib/target.sh

usage() {
    cat <<'HELP'
Usage: scripts/build.sh [--target aarch64|armv7|x86_64] [--test [--long]] [--with rustup|debian|cross]

Makes dist/TARGET/wagate, one static program without symbols, beside it wagate.cdx.json (what is in it, CycloneDX),
licences.txt (whose work that is, to be handed on with it) and SHA256SUMS. With cargo-auditable installed the list of crates is in the program, too (cargo install
cargo-auditable). The one for aarch64 has at most 12 MiB.

  --target T     aarch64 (unless said), armv7 or x86_64
  --test         runs the test suites of model, records, policy, outbox and store for that target under qemu-user
                 instead
  --long         with --test: also board, and what takes minutes in an emulator (scripts/lib/target.sh)
  --with W       the toolchain: rustup (with a C cross-compiler), debian (rustc-web) or cross (a container); without
                 it the first of these that is here, which is said

$CARGO_TARGET_DIR is honoured; $WAGATE_DIST is where results go (dist).
HELP
}

ARCH=aarch64 TEST='' LONG='' WITH=''
while [ $# -gt 0 ]; do
    case $1 in
    --target | --with)
        [ $# -ge 2 ] || die "$1 needs a value"
        if [ "$1" = --target ]; then ARCH=$2; else WITH=$2; fi
        shift
        ;;
    --test) TEST=1 ;;
    --long) LONG=1 ;;
    -h | --help)
        usage
        exit
        ;;
    *) die "unknown: $1 (--help)" ;;
    esac
    shift
done
MAX_MIB=''
case $ARCH in
aarch64) MAX_MIB=12 ;;
armv7 | x86_64) ;;
*) die "no target $ARCH: aarch64, armv7 or x86_64" ;;
esac
choose_toolchain "$ARCH" "$WITH"
note "building for $TRIPLE with $WITH"

if [ -n "$TEST" ]; then
    test_on_target
    exit 0
fi

DIST=${WAGATE_DIST:-dist}/$ARCH
AUDITABLE=()
if [ "$WITH" = rustup ] && cargo auditable --version >/dev/null 2>&1; then
    AUDITABLE=(auditable)
else
    note "without cargo-auditable: the list of crates is beside the program only"
fi
"${CARGO[@]}" ${AUDITABLE[@]+"${AUDITABLE[@]}"} build "${CARGO_OPTIONS[@]}" --release --locked --package wagate --bin wagate

built=${CARGO_TARGET_DIR:-target}/$TRIPLE/release/wagate
if readelf -l "$built" 2>/dev/null | grep -q INTERP; then die "$built isn't static: it wants an interpreter"; fi
mkdir -p "$DIST"
# rust-lld leaves symbols where GNU's strip takes them all. In cross the tool is within the container.
if command -v "$CROSS_STRIP" >/dev/null; then
    "$CROSS_STRIP" -o "$DIST/wagate.new" "$built"
else
    warn "without $CROSS_STRIP: symbols stay where the linker left them"
    cp "$built" "$DIST/wagate.new"
fi
chmod 755 "$DIST/wagate.new"
size=$(stat -c %s "$DIST/wagate.new")
[ -z "$MAX_MIB" ] || [ "$size" -le $((MAX_MIB << 20)) ] || die "$DIST/wagate.new has $size bytes, over $MAX_MIB MiB"
mv "$DIST/wagate.new" "$DIST/wagate"
sbom >"$DIST/wagate.cdx.json.new"
mv "$DIST/wagate.cdx.json.new" "$DIST/wagate.cdx.json"
licences "$TRIPLE" >"$DIST/licences.txt.new"
mv "$DIST/licences.txt.new" "$DIST/licences.txt"
(cd "$DIST" && sha256sum wagate wagate.cdx.json licences.txt >SHA256SUMS)
note "$DIST/wagate: $size bytes, $(grep -c '"purl"' "$DIST/wagate.cdx.json") components in wagate.cdx.json"
