//! A box has no tunnel of its own: the tunnel ends at a small machine beside it, which knows one way only.

use super::far::{HASTY, SILENT};
use super::pass_through::haproxy;
use super::wireguard::{End, PROGRAMS};
use super::{Far, Folder, META, NAME, Net, PUBLIC, STRANGER, Shop, behind_carrier_nat, stage};
use crate::harness::eventually;

/// How the box knows that machine.
pub(super) const RELAYS: &str = "relays = [\"192.168.1.30\"]";

#[test]
fn a_tunnel_may_end_at_a_machine_beside_the_box() {
    let programs: Vec<&str> = PROGRAMS.into_iter().chain(["haproxy", "ss"]).collect();
    stage(
        &programs,
        |net| behind_carrier_nat(net, &[("helper", "192.168.1.30/24")]),
        async |net: Net| {
            let mut shop = Shop::open(NAME, "0.0.0.0:443", RELAYS).await;
            let (relay, helper) = (End::new(&net, "relay"), End::new(&net, "helper"));
            // The relay's own rules are for relays that forward; this one has HAProxy.
            relay.install(
                "wireguard-relay.conf",
                None,
                &[
                    ("PUBLIC_KEY_OF_THE_SHOP", &helper.public_key),
                    ("PreUp = nft", "# PreUp = nft"),
                    ("PostDown = nft", "# PostDown = nft"),
                ],
            );
            helper.install(
                "wireguard-helper.conf",
                Some("helper.nft"),
                &[("PUBLIC_KEY_OF_THE_RELAY", &relay.public_key)],
            );
            relay.up(&net);
            helper.up(&net);
            let folder = Folder::new();
            let _running = haproxy(&net, &folder, &[]).await;
            let far = Far::new(&net, PUBLIC);
            eventually("the tunnel is open", async || {
                (shop.webhook(&far, META).await == Ok(200)).then_some(())
            })
            .await;
            assert_eq!(shop.large_webhook(&far, META), Ok(200));
            shop.tells_senders_apart(&far, META, STRANGER).await;
            relay.looks_into_the_shop(&net, &helper);
            net.ip("box", "route add 10.8.0.0/24 via 192.168.1.30");
            shop.api_is_out_of_reach(&net, "relay", &["10.8.0.2", "192.168.1.20", "192.168.1.30"]);
            let around = Far { role: "relay", more: HASTY, ..Far::new(&net, "192.168.1.20") };
            assert_eq!(
                around.unsigned(&shop, "10.8.0.1"),
                SILENT,
                "not even its public port, but by the helper"
            );
            shop.appliance.stop().await;
        },
    );
}
