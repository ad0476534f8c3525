//! Which network cards there are: `/sys/class/net`, and the leases and addresses that they have.

use std::cmp::Ordering;
use std::path::Path;

use board::about::InterfaceAbout;

/// `ARPHRD_ETHER` of `<linux/if_arp.h>`.
const ETHERNET: &str = "1";
/// Cards that are looked at; a box has four sockets.
const CARDS_MAX: usize = 16;

/// A wired card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Card {
    /// The kernel's name.
    pub(super) name: String,
    /// The kernel's number: another one for a card that was pulled and plugged in again.
    pub(super) index: u32,
    /// Whether a cable is in it and the other end answers. Unknown, and so `false`, while the card is down.
    pub(super) carrier: bool,
}

/// The wired cards, by name. What is no hardware (bridges, VLANs, loopback) and what has no wire isn't among them.
pub(super) fn cards(sys: &Path) -> Vec<Card> {
    let mut cards: Vec<Card> = names(sys)
        .filter_map(|name| {
            let folder = sys.join(&name);
            let wireless = folder.join("wireless").exists() || folder.join("phy80211").exists();
            let wired =
                read(&folder.join("type"))? == ETHERNET && folder.join("device").exists() && !wireless;
            let index = read(&folder.join("ifindex"))?.parse().ok()?;
            let carrier = read(&folder.join("carrier")).is_some_and(|carrier| carrier == "1");
            wired.then_some(Card { name, index, carrier })
        })
        .collect();
    cards.sort_by(|a, b| by_name(&a.name, &b.name));
    cards.truncate(CARDS_MAX);
    cards
}

/// `eth2` before `eth10`.
pub(super) fn by_name(a: &str, b: &str) -> Ordering {
    let split = |name: &str| {
        let letters = name.trim_end_matches(|c: char| c.is_ascii_digit()).to_owned();
        let number: u64 = name[letters.len()..].parse().unwrap_or(0);
        (letters, number)
    };
    split(a).cmp(&split(b)).then_with(|| a.cmp(b))
}

/// Whether there is an interface of this name, of whatever kind.
pub(super) fn exists(sys: &Path, name: &str) -> bool {
    sys.join(name).exists()
}

/// All interfaces beside loopback as they are shown; `v4` tells their addresses of IPv4, `if_inet6` is that file of
/// `/proc/net`.
pub(super) fn about(sys: &Path, v4: &dyn Fn(&str) -> Option<String>, if_inet6: &str) -> Vec<InterfaceAbout> {
    let mut list: Vec<InterfaceAbout> = names(sys)
        .filter(|name| read(&sys.join(name).join("type")).is_some_and(|kind| kind == ETHERNET))
        .map(|name| {
            let folder = sys.join(&name);
            let mut addresses: Vec<String> = v4(&name).into_iter().collect();
            addresses.extend(v6(if_inet6, &name));
            InterfaceAbout {
                mac: read(&folder.join("address")),
                carrier: read(&folder.join("carrier")).is_some_and(|carrier| carrier == "1"),
                addresses,
                name,
            }
        })
        .collect();
    list.sort_by(|a, b| by_name(&a.name, &b.name));
    list.truncate(CARDS_MAX);
    list
}

/// The addresses of IPv6: lines such as `fe80...7a11 02 40 20 80 eth0` (address, index, prefix, scope, flags, name).
fn v6(if_inet6: &str, name: &str) -> Vec<String> {
    let address = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [address, _, prefix, _, _, of] = fields.as_slice() else { return None };
        let address = std::net::Ipv6Addr::from(u128::from_str_radix(address, 16).ok()?);
        (*of == name).then_some(format!("{address}/{}", u8::from_str_radix(prefix, 16).ok()?))
    };
    if_inet6.lines().filter_map(address).collect()
}

fn names(sys: &Path) -> impl Iterator<Item = String> {
    let entries = std::fs::read_dir(sys).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok())
}

fn read(path: &Path) -> Option<String> {
    // Of a card that is down the kernel refuses to tell the carrier.
    std::fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A card of a made-up `/sys/class/net`.
    pub(in super::super) fn plug(sys: &Path, name: &str, index: u32, carrier: bool) {
        let folder = sys.join(name);
        std::fs::create_dir_all(folder.join("device")).unwrap();
        std::fs::write(folder.join("type"), "1\n").unwrap();
        std::fs::write(folder.join("ifindex"), format!("{index}\n")).unwrap();
        std::fs::write(folder.join("address"), format!("02:00:00:00:00:{index:02x}\n")).unwrap();
        std::fs::write(folder.join("carrier"), if carrier { "1\n" } else { "0\n" }).unwrap();
    }

    #[test]
    fn wired_hardware_counts_in_the_order_of_its_numbers() {
        let sys = tempfile::tempdir().unwrap();
        for (name, index) in [("eth10", 5), ("eth2", 3), ("enx1", 7), ("wlan0", 8), ("br0", 9), ("lo", 1)] {
            plug(sys.path(), name, index, name == "eth2");
        }
        std::fs::create_dir(sys.path().join("wlan0/phy80211")).unwrap();
        std::fs::remove_dir(sys.path().join("br0/device")).unwrap();
        std::fs::write(sys.path().join("lo/type"), "772\n").unwrap();
        let found = cards(sys.path());
        let names: Vec<&str> = found.iter().map(|card| card.name.as_str()).collect();
        assert_eq!(names, ["enx1", "eth2", "eth10"]);
        assert_eq!(found[1], Card { name: "eth2".into(), index: 3, carrier: true });
        assert!(exists(sys.path(), "br0") && !exists(sys.path(), "br1"));
        assert_eq!(cards(Path::new("/nowhere")), []);
    }

    #[test]
    fn what_is_shown_has_both_kinds_of_addresses() {
        let sys = tempfile::tempdir().unwrap();
        plug(sys.path(), "eth0", 2, true);
        let lines = "fe800000000000000000000000000001 02 40 20 80     eth0\nnonsense\n00000000000000000000000000000001 01 80 10 80       lo\n";
        let v4 = |name: &str| (name == "eth0").then(|| "10.0.2.15/24".to_owned());
        let shown = about(sys.path(), &v4, lines);
        assert_eq!(shown.len(), 1);
        assert_eq!(shown[0].addresses, ["10.0.2.15/24", "fe80::1/64"]);
        assert_eq!((shown[0].mac.as_deref(), shown[0].carrier), (Some("02:00:00:00:00:02"), true));
    }
}
