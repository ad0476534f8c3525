#!/bin/sh
# shellcheck disable=SC2154,SC2013,SC2030,SC2031  # what udhcpc gives; words of one line; a name used twice
# Called by udhcpc with what happened in $1 and the lease in its environment.
export PATH=/bin:/sbin
# What a stranger in the network says is split, never looked up as a file name.
set -f
NET=/run/wagate/net
lease=$NET/$interface.lease

# The servers of all leases, three at most: more aren't asked.
resolv() {
    find "$NET" -name '*.lease' | sort | while read -r file; do
        domain=$(sed -n 's/^DOMAIN=//p' "$file")
        [ -z "$domain" ] || echo "search $domain"
        for server in $(sed -n 's/^DNS=//p' "$file"); do echo "nameserver $server"; done
    done | awk '!seen[$0]++ && (!/^nameserver/ || ++n <= 3)' >/run/resolv.conf.new
    mv /run/resolv.conf.new /run/resolv.conf
}

case $1 in
deconfig)
    ip link set "$interface" up
    ip -4 address flush dev "$interface"
    rm -f "$lease"
    resolv
    ;;
bound | renew)
    mask=${mask:-24}
    if ! ip -4 address show dev "$interface" | grep -q "inet $ip/$mask "; then
        ip -4 address flush dev "$interface"
        ip address add "$ip/$mask" ${broadcast:+broadcast "$broadcast"} dev "$interface"
    fi
    # Of two interfaces the one that came first is used.
    metric=$(cat "/sys/class/net/$interface/ifindex")
    while ip route del default dev "$interface" 2>/dev/null; do :; done
    for gateway in $router; do
        ip route add default via "$gateway" dev "$interface" metric "$metric"
        break
    done
    # Written aside and renamed: who reads it finds all of it.
    {
        echo "ADDRESS=$ip/$mask"
        echo "ROUTER=$router"
        echo "DNS=$dns"
        echo "NTP=$ntpsrv"
        echo "DOMAIN=$(echo "$domain" | tr -cd 'A-Za-z0-9. -')"
    } >"$lease.new"
    mv "$lease.new" "$lease"
    resolv
    ;;
esac
