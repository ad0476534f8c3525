//! A box that can't be reached from the internet is reached all the same: each way of `docs/operating/reachability.md`,
//! with the files that stand there and the programs of Debian, in network namespaces that play the internet, a relay,
//! the carrier's NAT and the shop.
//!
//! A test lays out its network, then runs once more inside of it, in the namespace of the box: so the program, its API
//! and the rest of the harness are where they always are. Whoever else takes part is called by `ip netns exec`.

mod certificate;
mod far;
mod files;
mod helper;
mod net;
mod pass_through;
mod port_forward;
mod shop;
mod ssh;
mod syntax;
mod wireguard;

use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use self::far::Far;
use self::files::{Folder, copy};
use self::net::{Net, Running};
use self::shop::Shop;
use crate::harness::{program, run_within, skip};

/// Where Meta calls from, and where somebody else does.
const META: &str = "198.51.100.9";
const STRANGER: &str = "198.51.100.66";
/// The same in IPv6; a network of it is one sender.
const META6: &str = "2001:db8:f::9";
const STRANGER6: &str = "2001:db8:e::66";
/// The public address of the relay, or of the shop's router.
const PUBLIC: &str = "203.0.113.10";
const PUBLIC6: &str = "2001:db8:2::10";
/// The name that the certificate of the first box is for, and that of a second one.
const NAME: &str = "box.example.com";
const SECOND_NAME: &str = "box2.example.com";
/// Prefix of the namespaces, for the part of a test that runs inside of them.
const INSIDE: &str = "WAGATE_TEST_NETWORK";
/// For all that one of these tests does, on two busy cores.
const PATIENCE: Duration = Duration::from_secs(120);

/// Runs `play` in the namespace `box` of a network that `lay` has laid out, where `programs` are installed.
fn stage<P: AsyncFnOnce(Net)>(programs: &[&str], lay: impl FnOnce(&Net), play: P) {
    // As the test harness calls the function that `play` stands in.
    let name = std::any::type_name::<P>();
    let name = name.split_once("::").unwrap().1.trim_end_matches("::{{closure}}");
    if let Ok(prefix) = std::env::var(INSIDE) {
        return run_within(PATIENCE, play(Net::of(prefix)));
    }
    if let Some(why) = missing(programs) {
        return skip(name, &why);
    }
    // Building it may take longer than a test has.
    let program = program();
    run_within(PATIENCE + Duration::from_secs(10), async {
        let net = Net::new();
        for role in ["far", "box"] {
            net.add(role);
        }
        lay(&net);
        let mut again = net.command("box", std::env::current_exe().unwrap().to_str().unwrap());
        again.args(["--exact", name, "--nocapture", "--test-threads=1"]);
        again.env(INSIDE, net.prefix()).env("WAGATE_BIN", program);
        let played = tokio::task::spawn_blocking(move || again.output().unwrap()).await.unwrap();
        let said = String::from_utf8_lossy(&played.stdout);
        print!("{said}{}", String::from_utf8_lossy(&played.stderr));
        assert!(played.status.success() && said.contains("test result: ok. 1 passed"), "{name}, see above");
    });
}

/// What keeps these tests from running here.
fn missing(programs: &[&str]) -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("only root may make network namespaces".into());
    }
    let is_there = |program: &str| {
        ["/usr/sbin", "/usr/bin", "/sbin", "/bin"].iter().any(|place| Path::new(place).join(program).exists())
    };
    let needed = ["ip", "nft", "curl", "openssl"].iter().chain(programs);
    if let Some(program) = needed.copied().find(|program| !is_there(program)) {
        return Some(format!("`{program}` is not installed"));
    }
    if programs.contains(&"wireguard-go") && !Path::new("/dev/net/tun").exists() {
        return Some("there is no /dev/net/tun".into());
    }
    static REFUSED: OnceLock<Option<String>> = OnceLock::new();
    REFUSED
        .get_or_init(|| {
            let probe = format!("wagate-{}-probe", std::process::id());
            let added = Command::new("ip").args(["netns", "add", &probe]).output().unwrap();
            let _ = Command::new("ip").args(["netns", "del", &probe]).output();
            (!added.status.success()).then(|| String::from_utf8_lossy(&added.stderr).into_owned())
        })
        .clone()
}

/// The internet with Meta, a stranger and the relay in it; and the shop, 192.168.1.0/24, behind a NAT that lets
/// nothing in. `machines` are those of the shop beside the box.
fn behind_carrier_nat(net: &Net, machines: &[(&str, &str)]) {
    internet(net, "relay");
    net.add("carrier");
    net.wire(("far", "eth1", &["192.0.2.1/24"]), ("carrier", "eth0", &["192.0.2.10/24"]));
    net.ip("carrier", "route add default via 192.0.2.1");
    net.ip("carrier", "link add shop type bridge");
    net.ip("carrier", "addr add 192.168.1.1/24 dev shop");
    net.ip("carrier", "link set shop up");
    for (place, (role, address)) in [("box", "192.168.1.20/24")].iter().chain(machines).enumerate() {
        if *role != "box" {
            net.add(role);
        }
        let port = format!("port{place}");
        net.wire(("carrier", &port, &[]), (role, "eth0", &[address]));
        net.ip("carrier", &format!("link set {port} master shop"));
        net.ip(role, "route add default via 192.168.1.1");
    }
    net.nft(
        "carrier",
        "table ip carrier {
            chain out { type nat hook postrouting priority srcnat; oifname eth0 masquerade; }
            chain through {
                type filter hook forward priority filter; policy drop;
                ct state established,related accept
                iifname shop accept
            }
        }",
    );
}

/// The internet, with Meta and a stranger in it, and somebody at its public address.
fn internet(net: &Net, role: &str) {
    net.add(role);
    for address in [META, STRANGER, META6, STRANGER6] {
        net.ip("far", &format!("addr add {address} dev lo"));
    }
    let (public, public6) = (format!("{PUBLIC}/24"), format!("{PUBLIC6}/64"));
    net.wire(("far", "eth0", &["203.0.113.1/24", "2001:db8:2::1/64"]), (role, "eth0", &[&public, &public6]));
    net.ip(role, "route add default via 203.0.113.1");
    net.ip(role, "route add default via 2001:db8:2::1");
    // As so often, nobody is told that a packet was too large.
    let filter =
        "chain in { type filter hook input priority filter; icmp type destination-unreachable drop; };";
    net.nft("far", &format!("table ip far {{ {filter} }}"));
}
