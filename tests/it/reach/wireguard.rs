//! WireGuard from behind a carrier's NAT to a small relay, which passes a port on with the kernel's means.

use std::net::TcpListener;

use super::far::{HASTY, REFUSED, SILENT, answer_once};
use super::{Far, Folder, META, NAME, Net, PUBLIC, STRANGER, Shop, behind_carrier_nat, copy, stage};
use crate::harness::eventually;

/// What one end of a tunnel needs.
pub(super) struct End {
    folder: Folder,
    role: &'static str,
    interface: String,
    private_key: String,
    pub(super) public_key: String,
}

impl End {
    pub(super) fn new(net: &Net, role: &'static str) -> Self {
        let folder = Folder::new();
        let private_key = net.run(role, "wg", &["genkey"]).trim().to_owned();
        let to_public = format!("echo {private_key} | wg pubkey");
        let public_key = net.run(role, "sh", &["-c", &to_public]).trim().to_owned();
        Self { folder, role, interface: net.interface(role), private_key, public_key }
    }

    /// Puts the files in place: the configuration, and the rules that it loads.
    pub(super) fn install(&self, configuration: &str, rules: Option<&str>, replaced: &[(&str, &str)]) {
        self.install_for(configuration, rules, PORTS, replaced);
    }

    /// The same with a list of ports.
    fn install_for(&self, configuration: &str, rules: Option<&str>, ports: &str, replaced: &[(&str, &str)]) {
        let whose = if self.role == "relay" { "PRIVATE_KEY_OF_THE_RELAY" } else { "PRIVATE_KEY_OF_THE_SHOP" };
        let mut words = vec![(whose, self.private_key.as_str())];
        let loaded = rules.map(|rules| {
            let interface = format!("\"{}\"", self.interface);
            let path = copy(&self.folder, rules, &[("\"wg0\"", &interface), (PORTS, ports)]);
            (format!("/etc/wireguard/{rules}"), path)
        });
        words.extend(loaded.iter().map(|(one, other)| (one.as_str(), other.as_str())));
        words.extend(replaced);
        // The interface is called as its file.
        super::files::copy_as(&self.folder, configuration, &format!("{}.conf", self.interface), &words);
    }

    pub(super) fn up(&self, net: &Net) {
        net.run(self.role, "wg-quick", &["up", &self.folder.at(&format!("{}.conf", self.interface))]);
    }

    pub(super) fn down(&self, net: &Net) {
        net.run(self.role, "wg-quick", &["down", &self.folder.at(&format!("{}.conf", self.interface))]);
    }

    /// What somebody tries who has this relay: its end of the tunnel takes the shop's network for the other end.
    pub(super) fn looks_into_the_shop(&self, net: &Net, shop: &Self) {
        let all = "10.8.0.2/32,192.168.1.0/24";
        net.run(self.role, "wg", &["set", &self.interface, "peer", &shop.public_key, "allowed-ips", all]);
        net.ip(self.role, &format!("route add 192.168.1.0/24 dev {}", self.interface));
    }

    /// All that this end has in files.
    pub(super) fn content(&self) -> String {
        self.folder.content()
    }
}

/// The line of the rules that says what is passed on.
const PORTS: &str = "define ports = { 443 }";
/// The same with the port of HTTP-01.
const BOTH_PORTS: &str = "define ports = { 80, 443 }";
pub(super) const PROGRAMS: [&str; 3] = ["wireguard-go", "wg", "wg-quick"];

#[test]
fn a_wireguard_relay_leads_through_the_carriers_nat_to_the_box_alone() {
    stage(
        &PROGRAMS,
        |net| behind_carrier_nat(net, &[("neighbour", "192.168.1.40/24")]),
        async |net: Net| {
            let mut shop = Shop::open(NAME, "0.0.0.0:443", "").await;
            let (relay, own) = (End::new(&net, "relay"), End::new(&net, "box"));
            let install = |ports| {
                let (of_relay, of_shop) = (relay.public_key.as_str(), own.public_key.as_str());
                let shop_is = [("PUBLIC_KEY_OF_THE_SHOP", of_shop)];
                relay.install_for("wireguard-relay.conf", Some("relay.nft"), ports, &shop_is);
                let relay_is = [("PUBLIC_KEY_OF_THE_RELAY", of_relay)];
                own.install_for("wireguard-shop.conf", Some("shop.nft"), ports, &relay_is);
            };
            install(PORTS);
            let far = Far::new(&net, PUBLIC);
            relay.up(&net);
            let hasty = Far { more: HASTY, ..Far::new(&net, PUBLIC) };
            assert_eq!(hasty.unsigned(&shop, META), SILENT, "nobody stands behind the NAT yet");
            // The relay learns where the shop is because that keeps the way open by itself.
            own.up(&net);
            eventually("the tunnel is open", async || {
                (shop.webhook(&far, META).await == Ok(200)).then_some(())
            })
            .await;
            assert_eq!(shop.large_webhook(&far, META), Ok(200), "no packet is too large for the tunnel");
            shop.tells_senders_apart(&far, META, STRANGER).await;

            // Whoever has the relay reaches the one port, and nothing else of the shop.
            relay.looks_into_the_shop(&net, &own);
            net.ip("neighbour", "route add 10.8.0.0/24 via 192.168.1.20");
            shop.api_is_out_of_reach(&net, "relay", &["10.8.0.2", "192.168.1.20", "192.168.1.40"]);
            let open = Far { role: "relay", ..Far::new(&net, "10.8.0.2") };
            assert_eq!(open.unsigned(&shop, "10.8.0.1"), Ok(401));
            // The box's own way to the internet isn't the tunnel.
            let way = net.run("box", "ip", &["route", "get", META]);
            assert!(way.contains("via 192.168.1.1 dev eth0"), "{way}");
            assert!(!relay.content().contains(&shop.key_line()), "the relay has the box's key");

            net.ip("far", "link set eth0 down");
            assert!(shop.webhook(&far, META).await.is_err(), "without the relay there is no way");
            net.ip("far", "link set eth0 up");
            eventually("it is back", async || (shop.webhook(&far, META).await == Ok(200)).then_some(()))
                .await;
            // A relay that begins anew has forgotten where the shop is. The shop's end would notice when its keys are two
            // minutes old; started anew it does at once.
            relay.down(&net);
            assert_eq!(far.unsigned(&shop, META), REFUSED, "a relay that doesn't forward");
            own.down(&net);
            install(BOTH_PORTS);
            relay.up(&net);
            own.up(&net);
            eventually("it is found again", async || {
                (shop.webhook(&far, META).await == Ok(200)).then_some(())
            })
            .await;
            let challenged = answer_once(&TcpListener::bind("10.8.0.2:80").unwrap());
            assert_eq!(far.plain(META, "/.well-known/acme-challenge/x"), Ok(204), "HTTP-01");
            assert_eq!(challenged.join().unwrap(), META);

            own.down(&net);
            let left = net.run("box", "sh", &["-c", "ip rule; nft list tables"]);
            assert!(!left.contains("8443") && !left.contains("wagate"), "{left}");
            shop.appliance.stop().await;
        },
    );
}
