# Sourced by build.sh: which toolchain builds for the box.
# shellcheck shell=bash
# Makes: TRIPLE, WITH, CARGO (command), CARGO_OPTIONS, CROSS_STRIP, RUNNER_PROGRAM, and what cargo reads from the environment.

rustup_has() { command -v rustup >/dev/null && rustup target list --installed 2>/dev/null | grep -qx "$1"; }

# The rustup target, added if it can be.
rustup_ready() {
    command -v rustup >/dev/null || return 1
    rustup_has "$1" || rustup target add "$1" >&2
}

# choose_toolchain ARCH [WITH]
choose_toolchain() {
    local arch=$1 musl=aarch64-unknown-linux-musl
    WITH=${2:-}
    # For rustup and the linker below; flags for the host's own programs aren't those for the box.
    unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS
    case $arch in
    aarch64) CROSS_CC=aarch64-linux-gnu-gcc CROSS_STRIP=aarch64-linux-gnu-strip CC_PACKAGE=gcc-aarch64-linux-gnu RUNNER_PROGRAM=qemu-aarch64-static ;;
    armv7) CROSS_CC=arm-linux-gnueabihf-gcc CROSS_STRIP=arm-linux-gnueabihf-strip CC_PACKAGE=gcc-arm-linux-gnueabihf RUNNER_PROGRAM=qemu-arm-static ;;
    # Not only on others: on such a machine the same names are its own.
    x86_64) CROSS_CC=x86_64-linux-gnu-gcc CROSS_STRIP=x86_64-linux-gnu-strip CC_PACKAGE=gcc-x86-64-linux-gnu RUNNER_PROGRAM=qemu-x86_64-static musl=x86_64-unknown-linux-musl ;;
    esac
    # musl needs nothing of the system that it is built on; for armv7 there is no ready standard library for it.
    TRIPLE=$musl
    [ "$arch" != armv7 ] || TRIPLE=armv7-unknown-linux-gnueabihf
    if [ -z "$WITH" ]; then
        if rustup_ready "$TRIPLE"; then
            WITH=rustup
        elif [ -d /usr/lib/rustlib ] || [ -x /usr/bin/rustc ]; then
            WITH=debian
        elif command -v cross >/dev/null; then
            WITH=cross
        else
            die "no toolchain for $arch: rustup (rustup target add $TRIPLE), Debian's (apt-get install rustc-web cargo-web), or cross with a container engine"
        fi
    fi
    CARGO=(cargo)
    case $WITH in
    rustup)
        rustup_ready "$TRIPLE" || die "rustup can't add the target $TRIPLE"
        ;;
    debian)
        # Its standard library is glibc's.
        [ "$arch" = armv7 ] || TRIPLE=${musl%musl}gnu
        debian_ready "$arch"
        ;;
    cross)
        command -v cross >/dev/null || die "cross isn't here: cargo install cross, and docker or podman"
        export CROSS_CONFIG=$PWD/cross.toml
        CARGO=(cross)
        ;;
    *) die "no toolchain $WITH: rustup, debian or cross" ;;
    esac
    CARGO_OPTIONS=(--target "$TRIPLE")
    [ "$WITH" != debian ] || CARGO_OPTIONS+=("${BUILD_STD[@]}")
    target_environment
}

# How cargo links for $TRIPLE, and compiles the C in ring.
target_environment() {
    local upper=${TRIPLE^^}
    upper=${upper//-/_}
    [ "$WITH" = cross ] || need "$CROSS_CC" "$CC_PACKAGE libc6-dev-${CC_PACKAGE##*-linux-}-cross"
    case $TRIPLE in
    *-musl) [ "$WITH" = cross ] || export "CARGO_TARGET_${upper}_LINKER=rust-lld" ;;
    *) [ "$WITH" = cross ] || export "CARGO_TARGET_${upper}_LINKER=$CROSS_CC" ;;
    esac
    [ "$WITH" = cross ] || export "CC_${TRIPLE//-/_}=$CROSS_CC"
    # Nothing of a C library's that is loaded at run time: the box has another one, or none.
    # A program that aborts when it panics unwinds nothing: nearly two megabytes less. Tests do.
    local tables=
    case $TRIPLE${TEST:-} in *-musl) tables="-C force-unwind-tables=no" ;; esac
    if [ -n "$tables" ] && [ "$WITH" != cross ]; then
        tables+=" -C link-arg=--no-eh-frame-hdr -C link-arg=-T$PWD/scripts/lib/no-unwinding.ld"
    fi
    export "CARGO_TARGET_${upper}_RUSTFLAGS=${SYSROOT_FLAG:-} -C target-feature=+crt-static $tables"
    [ "$WITH" = cross ] || export "CARGO_TARGET_${upper}_RUNNER=${RUNNER_PROGRAM}"
}

# Debian's rustc-web and, for aarch64, the standard library out of its arm64 package, beside the host's by links.
debian_ready() {
    local version sysroot folder
    need /usr/bin/rustc rustc-web /usr/bin/dpkg-deb dpkg
    export RUSTC=/usr/bin/rustc
    version=$($RUSTC -V | cut -d' ' -f2)
    BUILD_STD=()
    if [ "$1" = x86_64 ]; then
        [ "$(uname -m)" = x86_64 ] || die "Debian's toolchain builds for x86_64 on x86_64 only: take rustup"
        return
    fi
    if [ "$1" = armv7 ]; then
        # None is packaged: it is built from its source.
        [ -d "/usr/src/rustc-$version/library" ] || [ -d /usr/lib/rustlib/src ] ||
            die "no source of the standard library; on Debian: apt-get install rust-web-src"
        export RUSTC_BOOTSTRAP=1
        BUILD_STD=(-Zbuild-std=std,panic_abort)
        return
    fi
    sysroot=$(realpath -m "${CARGO_TARGET_DIR:-target}/debian-sysroot-$version")
    if [ ! -d "$sysroot/lib/rustlib/aarch64-unknown-linux-gnu" ]; then
        dpkg --print-foreign-architectures | grep -qx arm64 ||
            die "apt doesn't know arm64: dpkg --add-architecture arm64 && apt-get update"
        folder=$(mktemp -d)
        (cd "$folder" && apt-get -qq download libstd-rust-web-dev:arm64) || die "libstd-rust-web-dev:arm64 can't be fetched"
        dpkg-deb -x "$folder"/libstd-rust-web-dev_*_arm64.deb "$folder/x"
        mkdir -p "$sysroot/lib/rustlib"
        ln -sfn /usr/lib/rustlib/* "$sysroot/lib/rustlib/"
        rm -f "$sysroot/lib/rustlib/aarch64-unknown-linux-gnu"
        cp -r "$folder/x/usr/lib/rustlib/aarch64-unknown-linux-gnu" "$sysroot/lib/rustlib/"
        rm -rf "$folder"
    fi
    SYSROOT_FLAG="--sysroot $sysroot"
}
