#!/usr/bin/env bash
# Tries a Debian package: what is in it, and its life in a Debian of its own. See --help.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=board/image/common.sh
. board/image/common.sh
# shellcheck source=scripts/lib/debian.sh
. scripts/lib/debian.sh

usage() {
    cat <<'HELP'
Usage: scripts/check-deb.sh --contents FILE.deb
       scripts/check-deb.sh --tree
       scripts/check-deb.sh FIRST.deb SECOND.deb

With --contents: what has to be in a package is in it, and lintian, where it is installed, finds no error. With --tree: makes
the tree that the last form needs, unless there is one.

Otherwise: the first is installed in a Debian 12 made by mmdebstrap, under a systemd of its own (process 1 of new namespaces),
configured, started, fed with webhooks, upgraded to the second while they come, watched, removed and purged. Both are for
this machine; needs root, mmdebstrap and a network the first time: the tree is kept in $WAGATE_TREE_CACHE
(dist/cache) for a week. $WAGATE_MIRROR is Debian's mirror.
HELP
}

# What has to be there, and what a purge or an upgrade must never find: files of the administrator.
contents() {
    local deb=$1 list name notices
    list=$(dpkg-deb --contents "$deb" | awk '{print $1, $2, $6}')
    for name in usr/bin/wagate usr/lib/systemd/system/wagate.service usr/lib/sysusers.d/wagate.conf \
        usr/lib/tmpfiles.d/wagate.conf usr/share/man/man1/wagate.1.gz usr/share/man/man1/wagate-run.1.gz \
        usr/share/man/man5/wagate.toml.5.gz usr/share/bash-completion/completions/wagate \
        usr/share/zsh/vendor-completions/_wagate usr/share/fish/vendor_completions.d/wagate.fish \
        usr/share/doc/wagate/copyright usr/share/doc/wagate/licences.txt.gz usr/share/doc/wagate/changelog.Debian.gz usr/share/doc/wagate/README.Debian \
        usr/share/doc/wagate/examples/wagate.toml usr/share/doc/wagate/examples/rate-card.toml; do
        grep -q " \./$name\$" <<<"$list" || die "$deb has no $name"
    done
    # What the TLS is made of wants its notices handed on.
    notices=$(dpkg-deb --fsys-tarfile "$deb" | tar -xO ./usr/share/doc/wagate/licences.txt.gz | gzip -d)
    for name in ring rustls; do
        grep -qE "^$name [0-9.]+: .*\[[0-9]+\]$" <<<"$notices" || die "$deb has no notice of $name"
    done
    ! grep -q 'man1/wagate-machine' <<<"$list" || die "$deb tells people of commands that are hidden from them"
    ! grep -qE ' \./(etc|var)/.' <<<"$list" || die "$deb brings files into /etc or /var"
    ! grep -v ' 0/0 ' <<<"$list" || die "$deb has files that aren't root's"
    ! grep -E '^.(........w|...s|......s)' <<<"$list" || die "$deb has files that all may write, or setuid"
    # A program that wants libraries, as the tests pack it, has no dependency on them: it is for this machine alone.
    if command -v lintian >/dev/null; then
        lintian --fail-on error --allow-root --suppress-tags missing-dependency-on-libc "$deb" >&2
    else
        note "without lintian: passed over"
    fi
    note "$deb: its contents are right"
}

case ${1:-} in
-h | --help | "")
    usage
    exit
    ;;
--contents)
    [ $# = 2 ] || die "--contents needs one package"
    contents "$2"
    exit
    ;;
esac
[ "$*" = --tree ] || [ $# = 2 ] || die "two packages are needed (--help)"
[ "$(id -u)" = 0 ] || die "only root can make a Debian of its own"
need mmdebstrap mmdebstrap unshare util-linux ip iproute2 systemd-analyze systemd dpkg-deb dpkg

WORK=$(mktemp -d)
trap 'leave_debian; rm -rf --one-file-system "$WORK"' EXIT
made=$SECONDS
keep_debian
[ $# = 2 ] || exit 0
make_debian
mkdir "$TREE/deb"
cp "$1" "$TREE/deb/first.deb"
cp "$2" "$TREE/deb/second.deb"
cp scripts/lib/deb-life.sh "$TREE/deb/life.sh"
booted=$SECONDS
boot_debian
lived=$SECONDS
in_debian bash /deb/life.sh || {
    in_debian journalctl --no-pager -n 60 >&2 || true
    die "the package failed in its Debian: its journal stands above"
}
note "passed: the tree took $((booted - made)) s, systemd $((lived - booted)) s, the package's life $((SECONDS - lived)) s"
