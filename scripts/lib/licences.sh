# Sourced by build.sh and build-deb.sh: whose work is in the program, and what its authors want said with it.
# shellcheck shell=bash

# The crates in the program for a target, each with its licence: a line "NAME vVERSION|LICENCE" each.
crates() {
    cargo tree --locked --package wagate --target "$1" --edges normal,no-proc-macro --prefix none --no-dedupe \
        --format '{p}|{l}' | sed 's/ ([^|]*)|/|/; s/ (\*)$//' | LC_ALL=C sort -u | grep -v '^wagate v'
}

# Each crate that isn't ours, with its licence and the texts that it brings; each text once. The same source makes
# the same bytes.
licences() {
    local triple=$1 work name version licence folder file text marks texts=0
    work=$(mktemp -d)
    # Where the sources are: "NAME@VERSION FOLDER".
    cargo metadata --locked --format-version 1 --filter-platform "$triple" | tr ',' '\n' | awk -F'"' '
        /"id":"/ { id = $(NF - 1); sub(/.*#/, "", id) }
        /"manifest_path":"/ { path = $(NF - 1); sub(/\/Cargo.toml$/, "", path); print id, path }' >"$work/folders"
    crates "$triple" | grep -v '^wagate-' >"$work/crates"
    : >"$work/texts"
    cat <<'HEAD'
wagate itself is under MIT or Apache-2.0, at your choice. The program is linked with the standard library of Rust (MIT or
Apache-2.0), on Linux with musl's C library (MIT, https://musl.libc.org), and with the crates below. Behind each: its licence, and the
numbers of the texts that come with it.

HEAD
    while IFS='|' read -r name licence; do
        version=${name#* v} name=${name%% *} marks=''
        folder=$(awk -v id="$name@$version" '$1 == id { print $2; exit }' "$work/folders")
        [ -d "$folder" ] || die "the source of $name $version isn't where cargo says"
        while IFS= read -r file; do
            text=$work/$(tr -s '[:space:]' ' ' <"$file" | sha256sum | cut -d' ' -f1)
            if [ ! -e "$text" ]; then
                texts=$((texts + 1))
                echo "$texts" >"$text"
                { printf '\n%s\n[%s] %s of %s\n\n' "$(printf '=%.0s' {1..78})" "$texts" "${file##*/}" "$name"; cat "$file"; } >>"$work/texts"
            fi
            marks+=" [$(<"$text")]"
        done < <(find "$folder" -maxdepth 1 -type f \( -iname 'licen[cs]e*' -o -iname 'copying*' -o -iname 'copyright*' \
            -o -iname 'notice*' -o -iname 'unlicense*' \) ! -name '*.rs' | LC_ALL=C sort)
        printf '%s %s: %s%s\n' "$name" "$version" "$licence" "$marks"
    done <"$work/crates"
    cat "$work/texts"
    rm -rf "$work"
}
