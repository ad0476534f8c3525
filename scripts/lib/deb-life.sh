#!/usr/bin/env bash
# Run by check-deb.sh within a Debian of its own, as root under systemd: the life of the package, from
# /deb/first.deb by way of /deb/second.deb to its purge.
set -euo pipefail

CONFIG=/etc/wagate/wagate.toml
EXAMPLE=/usr/share/doc/wagate/examples/wagate.toml
CREDSTORE=/etc/credstore
# Tenths: systemd-analyze security --threshold= takes them so.
EXPOSURE_MAX=15

say() { echo "deb-life: $*"; }
fail() {
    echo "deb-life: FAILED: $*" >&2
    exit 1
}
is() { [ "$2" = "$3" ] || fail "$1: $2 instead of $3"; }
property() { systemctl show wagate --property="$1" --value; }
records() { # all of them, page by page
    local after=0 page
    while :; do
        page=$(wagate records --after "$after" --limit 1000) || return 1
        [ -n "$page" ] || return 0
        echo "$page"
        after=$(tail -n 1 <<<"$page" | cut -d' ' -f1)
    done
}

# What the maintainer scripts say, beside what apt and dpkg say of themselves.
apt_quietly() {
    local log
    log=$(apt-get -y -qq "$@" 2>&1) || fail "apt-get $*: $log"
    grep -vE '^(Reading|Building|\(Reading database|Selecting|Preparing|Unpacking|Setting up|Removing|Purging|Created symlink|Removed|dpkg: warning: downgrading|debconf: delaying|N: Download is performed|Creating (user|group))|^$' \
        <<<"$log" || true
}

# Others may have come since: the box tells its CRM about endpoints, too.
kept() {
    records >/tmp/now
    head -n "$(wc -l <"$1")" /tmp/now | diff - "$1" >&2 || fail "records are gone or changed"
}

# What the packaged stand-in for WhatsApp sends, until all is acknowledged.
FEED=(wagate simulate whatsapp --webhook https://127.0.0.1:443/webhook --app-secret "file:$CREDSTORE/wagate.app_secret"
    --verify-token "file:$CREDSTORE/wagate.verify_token")
feed() { "${FEED[@]}" "$@" >/tmp/feed.log 2>&1 || not_fed; }
not_fed() {
    tail -n 20 /tmp/feed.log >&2
    fail "webhooks weren't acknowledged"
}

# Waits until a command is true; for so long as nothing takes that works, on a slow disk either.
eventually() {
    local what=$1
    shift
    for _ in $(seq 600); do
        ! "$@" || return 0
        sleep 0.1
    done
    fail "waited for a minute in vain: $what"
}
beaten_since() { [ "$(property WatchdogTimestampMonotonic)" != "$1" ]; }
started_again() { [ "$(property NRestarts)/$(property ActiveState)" = 1/active ]; }
more_records() { [ "$(records | wc -l)" -gt "$1" ]; }

say "installed without a configuration: nothing runs, nothing has failed"
is "what the installation says" "$(apt_quietly install /deb/first.deb)" ""
is "at the next start" "$(systemctl is-enabled wagate)" enabled
systemctl start wagate
is "state" "$(property ActiveState)" inactive
is "the condition" "$(property ConditionResult)" no
is "failed units" "$(systemctl --failed --no-legend)" ""
is "the user's shell" "$(getent passwd wagate | cut -d: -f7)" /usr/sbin/nologin
is "who sees secrets" "$(stat -c '%a %U' $CREDSTORE)" "700 root"
[ ! -e /var/lib/wagate ] || fail "there is a store before the first start"
man_page=/usr/share/man/man1/wagate.1.gz
[ -s "$man_page" ] || fail "no $man_page"

say "the example as it is shipped, with its secrets: accepted, and started on port 443"
cp "$EXAMPLE" "$CONFIG"
if wagate check >/tmp/check.log 2>&1; then fail "accepted without secrets"; fi
grep -q "LoadCredential=wagate.app_secret" /tmp/check.log || fail "what to do about a secret isn't said"
umask 077
for name in verify_token app_secret api_token graph_token bsp_token; do
    od -An -N16 -tx1 /dev/urandom | tr -d ' \n' >$CREDSTORE/wagate.$name
done
echo whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw >$CREDSTORE/wagate.crm_secret
umask 022
wagate check >/tmp/check.log 2>&1 || { cat /tmp/check.log >&2; fail "the example isn't accepted"; }
# Type=notify: it returns once READY=1 was said.
systemctl start wagate
is "state" "$(property ActiveState)/$(property SubState)" active/running
is "whether it listens to the watchdog" "$(property WatchdogUSec)" 1min
pid=$(property MainPID)
is "who runs it" "$(stat -c %U "/proc/$pid")" wagate
is "its capabilities" "$(grep CapEff "/proc/$pid/status" | cut -f2)" 0000000000000400
is "its bounds" "$(grep -E '^(NoNewPrivs|Seccomp):' "/proc/$pid/status" | tr -d '\t\n')" NoNewPrivs:1Seccomp:2
[ "$(find "/proc/$pid/task" -mindepth 1 -maxdepth 1 | wc -l)" -le 48 ] || fail "its threads come near TasksMax="
is "who sees the store" "$(stat -c '%a %U' /var/lib/wagate)" "700 wagate"
systemd-analyze security --no-pager --threshold=$EXPOSURE_MAX wagate >/tmp/exposure.log || fail "$(tail -n 1 /tmp/exposure.log)"
say "$(tail -n 1 /tmp/exposure.log)"
if wagate status --json | grep -iE 'landlock|confine'; then fail "it isn't confined as it ought to be"; fi

say "signed webhooks get their 200, and are records"
feed --count 20 --rate max
records >/tmp/before
[ "$(wc -l </tmp/before)" -ge 20 ] || fail "$(wc -l </tmp/before) records of 20 webhooks"
systemctl reload wagate
is "state after a reload" "$(property ActiveState) $(property MainPID)" "active $pid"

say "a process that stands still is ended by the watchdog, and started again"
mkdir -p /run/systemd/system/wagate.service.d
# As short as a disk allows that takes its time.
printf '[Service]\nWatchdogSec=10\n' >/run/systemd/system/wagate.service.d/short.conf
systemctl daemon-reload
systemctl restart wagate
for _ in 1 2; do eventually "it feeds the watchdog" beaten_since "$(property WatchdogTimestampMonotonic)"; done
is "starts again while it works" "$(property NRestarts) $(property ActiveState)" "0 active"
systemctl kill --kill-whom=main --signal=STOP wagate
eventually "it starts again" started_again
is "starts again" "$(property NRestarts) $(property ActiveState)" "1 active"
rm -r /run/systemd/system/wagate.service.d
systemctl daemon-reload
systemctl restart wagate
kept /tmp/before

say "upgraded while webhooks come: all are acknowledged, configuration and records stay"
echo "# the administrator's" >>"$CONFIG"
before=$(sha256sum "$CONFIG" $CREDSTORE/*)
pid=$(property MainPID)
"${FEED[@]}" --rate 30 >/tmp/feed.log 2>&1 &
feeding=$!
eventually "webhooks come before the upgrade" more_records $(($(wc -l </tmp/before) + 30))
begun=$SECONDS
is "what the upgrade says" "$(apt_quietly install /deb/second.deb)" ""
is "state" "$(property ActiveState)" active
[ "$(property MainPID)" != "$pid" ] || fail "the old program still runs"
case $(readlink "/proc/$(property MainPID)/exe") in
*deleted*) fail "what runs isn't what is installed" ;;
esac
upgraded=$(records | wc -l)
# What was refused comes again, at the latest after as long as it has been refused.
sleep $((SECONDS - begun + 1))
kill -TERM "$feeding" || fail "webhooks had ended before the upgrade"
wait "$feeding" || not_fed
is "configuration" "$(sha256sum "$CONFIG" $CREDSTORE/*)" "$before"
records >/tmp/after
kept /tmp/before
[ "$(wc -l </tmp/after)" -gt "$upgraded" ] || fail "no webhook came after the upgrade"
say "$(($(wc -l </tmp/after) - $(wc -l </tmp/before))) records came around the upgrade, $(($(wc -l </tmp/after) - upgraded)) of them after it"

say "what was stopped stays stopped through an upgrade"
systemctl stop wagate
is "how it ended" "$(property Result) $(property ExecMainStatus)" "success 0"
apt_quietly install --allow-downgrades /deb/first.deb
is "state" "$(property ActiveState)" inactive
apt_quietly install /deb/second.deb

say "removed: configuration and messages stay; installed again it goes on"
systemctl start wagate
apt_quietly remove wagate
[ ! -e /usr/bin/wagate ] || fail "the program is still there"
if grep -lx wagate /proc/[0-9]*/comm 2>/dev/null; then fail "it still runs"; fi
is "configuration" "$(sha256sum "$CONFIG" $CREDSTORE/*)" "$before"
[ -s /var/lib/wagate/accepted.json ] || fail "the store is gone"
apt_quietly install /deb/second.deb
systemctl start wagate
kept /tmp/after

say "purged: configuration and secrets go, messages stay, and that is said"
apt_quietly purge wagate | grep -q "stay in /var/lib/wagate" || fail "it isn't said that messages stay"
[ ! -e /etc/wagate ] || fail "configuration is left"
[ -z "$(ls -A $CREDSTORE)" ] || fail "secrets are left"
[ ! -e /var/lib/wagate/accepted.json ] || fail "a copy of the configuration is left"
[ -s /var/lib/wagate/index.redb ] || fail "the messages are gone"
is "whose they are" "$(stat -c '%a %U' /var/lib/wagate)" "700 wagate"
is "failed units" "$(systemctl --failed --no-legend)" ""
say "done"
