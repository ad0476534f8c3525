# Sourced by the scripts: words for people, and what is needed.
# shellcheck shell=bash

note() { echo "$(basename "$0"): $*" >&2; }
warn() { echo "$(basename "$0"): WARNING: $*" >&2; }
die() {
    echo "$(basename "$0"): $*" >&2
    exit 1
}

# need COMMAND PACKAGE...: pairs; all that is missing is named at once.
need() {
    local missing=()
    while [ $# -gt 0 ]; do
        command -v "$1" >/dev/null || missing+=("$2")
        shift 2
    done
    [ ${#missing[@]} = 0 ] || die "missing here; on Debian: apt-get install --no-install-recommends ${missing[*]}"
}

# Whether $1 is one of the others.
among() {
    local word=$1
    shift
    [[ " $* " == *" $word "* ]]
}

# Some tools of a disk aren't in the path of everyone.
export PATH="$PATH:/usr/sbin:/sbin"
