//! A public address at the shop's own router, which forwards a port.

use std::net::TcpListener;

use super::far::{HASTY, SILENT, answer_once};
use super::{Far, Folder, META, META6, NAME, Net, PUBLIC, STRANGER, STRANGER6, Shop, copy, internet, stage};

/// The box in IPv6, and another machine of the shop.
const BOX6: &str = "[2001:db8:1::20]";
const NEIGHBOUR6: &str = "[2001:db8:1::40]";

fn lay(net: &Net) {
    internet(net, "router");
    net.wire(
        ("router", "eth1", &["192.168.1.1/24", "2001:db8:1::1/64"]),
        ("box", "eth0", &["192.168.1.20/24", "2001:db8:1::20/64"]),
    );
    // Another machine's, for what comes through the router.
    net.ip("box", "addr add 2001:db8:1::40/64 dev eth0");
    net.ip("box", "route add default via 192.168.1.1");
    net.ip("box", "-6 route add default via 2001:db8:1::1");
    net.ip("far", "-6 route add 2001:db8:1::/64 via 2001:db8:2::10");
}

#[test]
fn a_port_forward_lets_meta_in_and_nothing_else() {
    stage(&[], lay, async |net: Net| {
        let router = Folder::new();
        let mut shop = Shop::open(NAME, "[::]:443", "").await;
        let far = Far::new(&net, PUBLIC);
        let hasty = Far { more: HASTY, ..Far::new(&net, PUBLIC) };
        assert_ne!(shop.webhook(&hasty, META).await, Ok(200), "without the router's rules there is no way");
        let rules = copy(&router, "router.nft", &[]);
        net.run("router", "nft", &["-f", &rules]);
        assert_eq!(shop.webhook(&far, META).await, Ok(200));
        shop.tells_senders_apart(&far, META, STRANGER).await;
        let six = Far::new(&net, BOX6);
        assert_eq!(shop.webhook(&six, META6).await, Ok(200));
        // A network of IPv6 is one sender.
        let flood = six.flood(&shop, STRANGER6);
        assert_eq!(flood.last(), Some(&429));
        assert_eq!(shop.webhook(&six, STRANGER6).await, Ok(200));
        shop.api_is_out_of_reach(&net, "far", &[BOX6]);
        let neighbour = Far { more: HASTY, ..Far::new(&net, NEIGHBOUR6) };
        assert_eq!(neighbour.unsigned(&shop, META6), SILENT, "no other machine of the shop");

        // HTTP-01: its port comes by the same line, and from where it is asked. Loaded again, the rules aren't there twice.
        let own = TcpListener::bind("192.168.1.20:80").unwrap();
        let asked = || far.plain(META, "/.well-known/acme-challenge/x");
        assert_eq!(asked(), Err(7), "not while the port isn't in the list");
        let both = copy(&router, "router.nft", &[("define ports = { 443 }", "define ports = { 80, 443 }")]);
        net.run("router", "nft", &["-f", &both]);
        let answer = answer_once(&own);
        assert_eq!(asked(), Ok(204));
        assert_eq!(answer.join().unwrap(), META);
        let rules = net.run("router", "nft", &["list", "table", "inet", "wagate_router"]);
        assert_eq!(rules.matches("dnat ip to 192.168.1.20").count(), 1, "{rules}");
        assert_eq!(far.plain(META, ":22/"), Err(7), "no other port");
        shop.appliance.stop().await;
    });
}
