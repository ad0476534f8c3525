//! A public certificate for a box that only its relay can be asked for, which never holds the key.

use super::pass_through::{RELAYS, haproxy, lay};
use super::{Far, Folder, NAME, Net, PUBLIC, stage};
use crate::harness::{Appliance, Pebble, Site, eventually};

#[test]
fn an_authority_finds_the_box_behind_a_pass_through() {
    stage(&["haproxy", "ss", "pebble", "pebble-challtestsrv"], lay, async |net: Net| {
        // The authority is called in the box's own network, and looks for the name where it leads: at the relay.
        net.ip("box", "route add default via 10.8.0.1");
        let folder = Folder::new();
        let _relay = haproxy(&net, &folder, &[]).await;
        let mut site = Site::without_crm();
        site.webhook_port = 443;
        let mut pebble = Pebble::of(&site, 80, "ACME through a relay").await.unwrap();
        pebble.let_names_lead_to(PUBLIC).await;
        pebble.start().await;
        site.tls = pebble.tls(&[NAME], "");
        site.webhook_keys = RELAYS.into();
        let text = site.text();
        assert!(text.contains("listen = \"127.0.0.1:443\""));
        site.put("wagate.toml", text.replace("\"127.0.0.1:443\"", "\"10.8.0.2:443\"").as_bytes());
        let appliance = Appliance::start_as_is(&site).await;
        eventually("there is a certificate", async || {
            (appliance.api.status().await["acme"]["state"] == "valid").then_some(())
        })
        .await;
        let seen = Far::new(&net, PUBLIC).handshake(Some(NAME), "h2");
        assert!(seen.contains("issuer=CN = Pebble Intermediate CA"), "{seen}");
        assert!(appliance.api.metric("wagate_certificate_renewals_total", "issued").await > 0.0);
        appliance.stop().await;
    });
}
