#!/usr/bin/env bash
# Packs the program for Debian: see --help.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=board/image/common.sh
. board/image/common.sh
# shellcheck source=scripts/lib/licences.sh
. scripts/lib/licences.sh

usage() {
    cat <<'HELP'
Usage: scripts/build-deb.sh [--arch arm64|armhf|amd64] [--program FILE] [--manual FILE] [--revision R] [--quick]
                            [--with W]

Makes dist/deb/wagate_VERSION-R_ARCH.deb and, beside it, SHA256SUMS of all that lie there.

  --arch A       arm64 (unless said), armhf or amd64
  --program FILE packs this program instead of building one with scripts/build.sh
  --manual FILE  the example `manual` as it was built, which writes the manual pages, instead of building it
  --revision R   of the package, 1 unless said: what is behind the hyphen in its version
  --quick        compresses less: for tests
  --with W       as for scripts/build.sh

Needs cargo-deb (cargo install cargo-deb --locked). The same source and program make the same bytes:
$SOURCE_DATE_EPOCH is the time of every file, without it that of the commit. $CARGO_TARGET_DIR is honoured;
$WAGATE_DIST is where results go (dist).
HELP
}

ARCH=arm64 PROGRAM='' MANUAL='' REVISION=1 OPTIONS=() WITH=()
while [ $# -gt 0 ]; do
    case $1 in
    --arch | --program | --manual | --revision | --with)
        [ $# -ge 2 ] || die "$1 needs a value"
        case $1 in
        --arch) ARCH=$2 ;;
        --program) PROGRAM=$2 ;;
        --manual) MANUAL=$2 ;;
        --revision) REVISION=$2 ;;
        --with) WITH=(--with "$2") ;;
        esac
        shift
        ;;
    --quick) OPTIONS+=(--fast) ;;
    -h | --help)
        usage
        exit
        ;;
    *) die "unknown: $1 (--help)" ;;
    esac
    shift
done
# How cargo calls the processor, how readelf does, and whose strip knows it. The triple tells cargo-deb the
# architecture, whatever the program was built for.
case $ARCH in
arm64) TARGET=aarch64 MACHINE=AArch64 TRIPLE=aarch64-unknown-linux-musl STRIP=aarch64-linux-gnu-strip ;;
armhf) TARGET=armv7 MACHINE=ARM TRIPLE=armv7-unknown-linux-gnueabihf STRIP=arm-linux-gnueabihf-strip ;;
amd64) TARGET=x86_64 MACHINE=X86-64 TRIPLE=x86_64-unknown-linux-musl STRIP=x86_64-linux-gnu-strip ;;
*) die "no architecture $ARCH: arm64, armhf or amd64" ;;
esac
need readelf binutils cargo-deb "(cargo install cargo-deb --locked)"
DIST=${WAGATE_DIST:-dist}
if [ -z "$PROGRAM" ]; then
    scripts/build.sh --target "$TARGET" ${WITH[@]+"${WITH[@]}"}
    PROGRAM=$DIST/$TARGET/wagate
fi
readelf -h "$PROGRAM" | grep -q "Machine:.*$MACHINE" || die "$PROGRAM isn't for $ARCH"
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || date -u -d 00:00 +%s)}
export SOURCE_DATE_EPOCH TZ=UTC LC_ALL=C
VERSION=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' Cargo.toml)
# A pre-release comes before its release: 1.0.0-rc.1 is 1.0.0~rc.1 to Debian.
VERSION=${VERSION/-/\~}-$REVISION

STAGE=$(mktemp -d)
trap 'rm -rf "$STAGE"' EXIT
built=$STAGE/$TRIPLE/release
manual=$built/manual
mkdir -p "$manual/examples"
cp "$PROGRAM" "$built/wagate"
if command -v "$STRIP" >/dev/null; then "$STRIP" "$built/wagate"; else warn "without $STRIP: symbols stay"; fi
if [ -z "$MANUAL" ]; then
    cargo build --quiet --locked --package wagate --example manual
    MANUAL=${CARGO_TARGET_DIR:-target}/debug/examples/manual
fi
"$MANUAL" "$manual"
gzip -9n "$manual"/man?/*
# The example, whose secrets are credentials of the unit.
sed 's/"file:\([a-z_]*\)"/"credential:wagate.\1"/g; s/\("credential:[^"]*"\)  *#/\1  #/; s|> api_token$|> /etc/credstore/wagate.api_token|' \
    docs/operating/wagate.example.toml >"$manual/examples/wagate.toml"
gzip -9n <CHANGELOG.md >"$manual/changelog.gz"
licences "$TRIPLE" >"$STAGE/licences.txt"
gzip -9n <"$STAGE/licences.txt" >"$manual/licences.txt.gz"
{
    printf 'wagate (%s) unstable; urgency=medium\n\n  * See changelog.gz.\n\n' "$VERSION"
    printf ' -- The wagate developers <wagate@users.noreply.github.com>  %s\n' "$(date -R -d "@$SOURCE_DATE_EPOCH")"
} | gzip -9n >"$manual/changelog.Debian.gz"

mkdir -p "$DIST/deb"
deb=wagate_${VERSION}_$ARCH.deb
CARGO_TARGET_DIR=$STAGE cargo deb --quiet --no-build --locked --no-strip --no-dbgsym --package wagate \
    --target "$TRIPLE" --deb-version "$VERSION" --output "$STAGE/$deb" ${OPTIONS[@]+"${OPTIONS[@]}"} >/dev/null
mv "$STAGE/$deb" "$DIST/deb/$deb"
(cd "$DIST/deb" && sha256sum wagate_*.deb >SHA256SUMS)
note "$DIST/deb/$deb: $(stat -c %s "$DIST/deb/$deb") bytes"
