# Sourced by build-image.sh: Debian's arm64 packages, unpacked, without any change to this machine and without root.
# shellcheck shell=bash
# Uses: IMAGE (this folder), CACHE, PACKAGES (the board's own). Makes: package_dir, KERNEL, KERNEL_DIR.

PINS=$IMAGE/pins
SUITE=trixie
MIRROR=${WAGATE_MIRROR:-http://deb.debian.org/debian}
KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg
EVERY_BOARD="busybox-static grub-efi-arm64-bin e2fsprogs libc6 libblkid1 libcom-err2 libext2fs2t64 libuuid1"
EVERY_PIN="raspi-firmware u-boot-rpi"

# A root for apt of its own. Its signature check is the one that counts: pins come out of it.
apt_ready() {
    [ -z "${APT_READY:-}" ] || return 0
    need apt-get apt
    [ -r "$KEYRING" ] || die "no $KEYRING; on Debian: apt-get install debian-archive-keyring"
    APT=$CACHE/apt
    mkdir -p "$APT"/etc/apt/{apt.conf.d,preferences.d,trusted.gpg.d,sources.list.d} \
        "$APT"/var/lib/apt/lists/partial "$APT"/var/cache/apt/archives/partial "$APT"/var/lib/dpkg
    : >"$APT/var/lib/dpkg/status"
    cat >"$APT/etc/apt/sources.list" <<LIST
deb [signed-by=$KEYRING] $MIRROR $SUITE main non-free-firmware
deb [signed-by=$KEYRING] $MIRROR-security $SUITE-security main non-free-firmware
LIST
    APT_OPTIONS=(-o "Dir=$APT" -o "Dir::State::status=$APT/var/lib/dpkg/status" -o APT::Architecture=arm64
        -o APT::Architectures=arm64 -o Acquire::Languages=none -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false
        -o Acquire::Retries=3 -o Debug::NoLocking=1 -o APT::Sandbox::User=)
    apt-get "${APT_OPTIONS[@]}" -qq update || die "the index of $MIRROR can't be fetched or its signature isn't right"
    APT_READY=1
}

# The newest of package $1 on the mirror: "name version sha256". `linux` is whatever the meta package asks for.
newest() {
    local name=$1 version
    if [ "$name" = linux ]; then
        name=$(apt-cache "${APT_OPTIONS[@]}" show --no-all-versions linux-image-arm64 |
            sed -n 's/^Depends: \(linux-image-[^ ]*\) .*/\1/p')
    fi
    version=$(apt-cache "${APT_OPTIONS[@]}" policy "$name" | sed -n 's/^  Candidate: //p')
    [ -n "$version" ] || die "$MIRROR has no package $name"
    apt-cache "${APT_OPTIONS[@]}" show "$name=$version" | sed -n "s/^SHA256: /$name $version /p" | head -1
}

refresh_pins() {
    apt_ready
    {
        echo "# Debian $SUITE arm64: package, version, SHA-256. Made by scripts/build-image.sh --refresh-pins."
        for name in linux $EVERY_BOARD $EVERY_PIN; do newest "$name"; done
    } >"$PINS.new"
    mv "$PINS.new" "$PINS"
    note "pins are refreshed: $PINS"
}

# The pin of package $1.
pin() {
    case $1 in
    linux) grep -E '^linux-image-[0-9]' "$PINS" ;;
    *) grep -F "$1 " "$PINS" | grep "^$1 " ;;
    esac || die "$1 isn't in $PINS; add it to packages.sh and run with --refresh-pins"
}

sha_of() { sha256sum "$1" | cut -d' ' -f1; }

# Fetches a pin into $CACHE/<sha256>.deb unless it is there; tells the pin that was taken.
fetch() {
    local wanted name version sha deb folder
    wanted=$(pin "$1")
    read -r name version sha <<<"$wanted"
    if [ ! -f "$CACHE/$sha.deb" ]; then
        local replaced=$CACHE/replaced.$sha
        # The pin was gone when this was last built here: what was taken then is taken again.
        if [ "${CI:-}" = true ] && [ -f "$replaced" ]; then
            warn "$name $version is gone from the mirror; taken instead: $(cat "$replaced")"
            cat "$replaced"
            return
        fi
        apt_ready
        folder=$(mktemp -d "$CACHE/fetch.XXXXXX")
        if ! (cd "$folder" && apt-get "${APT_OPTIONS[@]}" -qq download "$name=$version" 2>"$CACHE/apt.log"); then
            [ "${CI:-}" = true ] || {
                cat "$CACHE/apt.log" >&2
                die "$name $version can't be had from $MIRROR any more: scripts/build-image.sh --refresh-pins"
            }
            wanted=$(newest "$1")
            warn "$name $version is gone from the mirror; taken instead: $wanted"
            echo "$wanted" >"$replaced"
            read -r name version sha <<<"$wanted"
            (cd "$folder" && apt-get "${APT_OPTIONS[@]}" -qq download "$name=$version") || die "$name can't be fetched"
        fi
        deb=$(echo "$folder"/*.deb)
        [ "$(sha_of "$deb")" = "$sha" ] || die "$name $version isn't what the pin says it is: $deb"
        mv "$deb" "$CACHE/$sha.deb"
        rmdir "$folder"
    fi
    echo "$wanted"
}

# Where package $1 is unpacked.
package_dir() { echo "$CACHE/unpacked/${SHA_OF[$1]}"; }

# Fetches and unpacks everything for the board, and writes the list of it to $1.
packages_ready() {
    declare -gA SHA_OF=()
    local wanted package version sha folder
    mkdir -p "$CACHE/unpacked"
    : >"$1.new"
    for wanted in linux $EVERY_BOARD $PACKAGES; do
        # fetch runs in a subshell, which an index fetched here outlives.
        [ -f "$CACHE/$(pin "$wanted" | cut -d' ' -f3).deb" ] || [ "${CI:-}" = true ] || apt_ready
        read -r package version sha <<<"$(fetch "$wanted")"
        [ -n "$sha" ] || exit 1
        SHA_OF[$wanted]=$sha
        printf '%s\t%s\t%s\n' "$package" "$version" "$sha" >>"$1.new"
        folder=$CACHE/unpacked/$sha
        if [ ! -d "$folder" ]; then
            [ "$(sha_of "$CACHE/$sha.deb")" = "$sha" ] || die "$CACHE/$sha.deb is damaged: delete it"
            rm -rf "$folder.new"
            dpkg-deb -x "$CACHE/$sha.deb" "$folder.new"
            if [ "$wanted" = linux ]; then
                depmod -b "$folder.new/usr" "$(ls "$folder.new/usr/lib/modules")"
            fi
            mv "$folder.new" "$folder"
        fi
    done
    LC_ALL=C sort "$1.new" >"$1"
    rm "$1.new"
    KERNEL_DIR=$(package_dir linux)
    # shellcheck disable=SC2034  # for the others
    KERNEL=$(ls "$KERNEL_DIR/usr/lib/modules")
}
