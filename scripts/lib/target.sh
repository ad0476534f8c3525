# Sourced by build.sh: the tests on the target, and the list of what is in the program.
# shellcheck shell=bash disable=SC2154  # what build.sh and toolchain.sh make

# What runs without a network and a machine of its own. The gateway's own tests run on the host, and as a whole in
# tests/machine.
TESTED=(wagate-model wagate-records wagate-policy wagate-outbox wagate-store)
TESTED_LONG=(wagate-board)
# qemu-user has neither seccomp nor Landlock to confine with, and gets sockets with abstract names wrong.
LEFT_OUT=(confine abstract_name)
# Histories of a thousand steps, a fault at each of hundreds, queues of thousands: nothing in them depends on the
# processor.
TAKE_LONG=(random:: midnight:: failover::properties:: at_every_operation hundred_thousand two_thousand_messages
    one_message_that_draws_a_stop many_stuck_contacts a_refusing_endpoint_is_left)

# Unoptimised code in an emulator is slow: it is optimised a little, without lines for a debugger, and properties
# take a tenth of their cases where they leave that open.
test_on_target() {
    local packages=() skips=() name started=$SECONDS
    need "$RUNNER_PROGRAM" qemu-user-static
    for name in "${TESTED[@]}"; do packages+=(--package "$name"); done
    if [ -n "$LONG" ]; then TESTED+=("${TESTED_LONG[@]}"); else LEFT_OUT+=("${TAKE_LONG[@]}"); fi
    export CARGO_PROFILE_DEV_OPT_LEVEL=1 CARGO_PROFILE_DEV_DEBUG=0
    for name in "${LEFT_OUT[@]}"; do skips+=(--skip "$name"); done
    export PROPTEST_CASES=${PROPTEST_CASES:-25}
    "${CARGO[@]}" test "${CARGO_OPTIONS[@]}" --locked --no-fail-fast "${packages[@]}" -- "${skips[@]}"
    note "tests for $TRIPLE: passed in $((SECONDS - started)) s; left out: ${LEFT_OUT[*]}"
}

# The crates in the program for this target, with the licences that they name and the checksums of Cargo.lock, in
# CycloneDX. No tool beside cargo is needed, and the same source makes the same list.
sbom() {
    local version
    version=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' Cargo.toml)
    # Name, version and checksum of each package of the lock, a line each.
    awk -F'"' '/^name = /{n=$2} /^version = /{v=$2} /^checksum = /{print n, v, $2}' Cargo.lock |
        LC_ALL=C sort >"$DIST/.checksums"
    printf '{\n  "bomFormat": "CycloneDX",\n  "specVersion": "1.5",\n  "version": 1,\n'
    printf '  "metadata": {"component": {"type": "application", "name": "wagate", "version": "%s", ' "$version"
    printf '"hashes": [{"alg": "SHA-256", "content": "%s"}]},\n' "$(sha256sum "$DIST/wagate" | cut -d' ' -f1)"
    printf '    "properties": [{"name": "target", "value": "%s"}]},\n  "components": [\n' "$TRIPLE"
    crates "$TRIPLE" |
        awk -F'[ |]' -v sums="$DIST/.checksums" '
            BEGIN { while ((getline line < sums) > 0) { split(line, part, " "); sum[part[1] " " part[2]] = part[3] } }
            {
                version = substr($2, 2)
                licence = substr($0, index($0, "|") + 1)
                gsub(" */ *", " OR ", licence)
                printf "%s    {\"type\": \"library\", \"name\": \"%s\", \"version\": \"%s\"", (NR > 1 ? ",\n" : ""), $1, version
                if (licence != "") printf ", \"licenses\": [{\"expression\": \"%s\"}]", licence
                if (sum[$1 " " version] != "") printf ", \"purl\": \"pkg:cargo/%s@%s\", \"hashes\": [{\"alg\": \"SHA-256\", \"content\": \"%s\"}]", $1, version, sum[$1 " " version]
                printf "}"
            }'
    printf '\n  ]\n}\n'
    rm "$DIST/.checksums"
}
