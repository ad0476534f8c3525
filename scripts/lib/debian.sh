# Sourced by check-deb.sh: a Debian 12 of its own, with its systemd as process 1 of new namespaces.
# shellcheck shell=bash disable=SC2154  # WORK, of check-deb.sh
# Makes: KEPT, TREE, and after boot_debian: INIT (the process that is 1 in there).
# No container manager is needed, and no machine that systemd itself has started.

# How old a tree may be, in days: what is tried should have today's security updates.
TREE_DAYS=7
# How long its systemd may take to start, in seconds.
BOOT_SECONDS=60

# Makes the tree as a file, where there is none or an old one.
keep_debian() {
    local cache
    cache=$(realpath -m "${WAGATE_TREE_CACHE:-${WAGATE_DIST:-dist}/cache}")
    KEPT=$cache/bookworm-$(dpkg --print-architecture).tar
    mkdir -p "$cache"
    if [ -z "$(find "$KEPT" -mtime "-$TREE_DAYS" 2>/dev/null)" ]; then
        TMPDIR=$WORK mmdebstrap --quiet --format=tar --variant=apt --include=systemd \
            --dpkgopt=force-unsafe-io --dpkgopt='path-exclude=/usr/share/locale/*' \
            --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-include=/usr/share/man/man?/wagate*' \
            bookworm "$KEPT.new" ${WAGATE_MIRROR:+"$WAGATE_MIRROR"} >&2
        mv "$KEPT.new" "$KEPT"
    fi
}

make_debian() {
    TREE=$WORK/tree
    mkdir "$TREE"
    tar -xf "$KEPT" -C "$TREE"
    # What a start writes for people at a terminal isn't looked at.
    ln -sf /dev/null "$TREE/etc/systemd/system/getty.target"
}

# The groups of processes of systemd: a hierarchy of version 2, whatever else the machine has.
boot_debian() {
    CGROUP=wagate-deb-$$
    unshare --mount sh -c '
        set -e
        mkdir -p "$1/cgroup"
        mount -t cgroup2 cgroup2 "$1/cgroup"
        mkdir "$1/cgroup/$2"
        echo $$ >"$1/cgroup/$2/cgroup.procs"
        shift 2
        exec unshare --mount --pid --cgroup --uts --ipc --net --fork --kill-child=KILL sh -ec "$@"
    ' sh "$WORK" "$CGROUP" '
        mount --make-rprivate /
        mount --bind "$0" "$0"
        cd "$0"
        mount -t proc proc proc
        mount -t sysfs -o ro sysfs sys
        mount -t cgroup2 cgroup2 sys/fs/cgroup
        for folder in run tmp dev; do mount -t tmpfs -o mode=755 tmpfs "$folder"; done
        for node in null zero full random urandom tty; do : >"dev/$node"; mount --bind "/dev/$node" "dev/$node"; done
        mkdir dev/shm dev/pts
        mount -t devpts -o newinstance,ptmxmode=666 devpts dev/pts
        ln -s pts/ptmx dev/ptmx
        ln -s /proc/self/fd dev/fd
        ip link set lo up
        pivot_root . mnt
        umount -l /mnt
        # As a container manager ought to: else the credentials of services never reach them.
        mount --make-rshared /
        exec env -i container=wagate PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --show-status=0
    ' "$TREE" </dev/null >"$WORK/console" 2>&1 &
    OUTER=$!
    local until=$((SECONDS + BOOT_SECONDS)) child
    while [ "$SECONDS" -lt "$until" ]; do
        child=$(pgrep -P "$OUTER" || true)
        if [ -n "$child" ] && [ "$(cat "/proc/$child/comm" 2>/dev/null)" = systemd ]; then
            INIT=$child
            if in_debian systemctl is-system-running --wait >/dev/null 2>&1; then return; fi
        fi
        kill -0 "$OUTER" 2>/dev/null || break
        sleep 0.2
    done
    cat "$WORK/console" >&2
    [ -z "${INIT:-}" ] || in_debian systemctl --failed --no-pager >&2 || true
    die "systemd didn't come up in its namespaces within $BOOT_SECONDS s"
}

# Runs a command in there.
in_debian() {
    nsenter --target "$INIT" --mount --pid --cgroup --uts --ipc --net --root \
        env -i --chdir=/ PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 HOME=/root "$@"
}

leave_debian() {
    [ -n "${OUTER:-}" ] || return 0
    # With the first process of its namespace all others end.
    if [ -n "${INIT:-}" ]; then kill -KILL "$INIT" 2>/dev/null || true; else kill "$OUTER" 2>/dev/null || true; fi
    wait "$OUTER" 2>/dev/null || true
    unshare --mount sh -c '
        mount -t cgroup2 cgroup2 "$1/cgroup" && find "$1/cgroup/$2" -depth -type d -exec rmdir {} +
    ' sh "$WORK" "$CGROUP" 2>/dev/null || true
}
