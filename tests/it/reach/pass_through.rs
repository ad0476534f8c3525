//! A relay that reads the name in the first packet of TLS and passes on what it can't read, for several boxes.

use super::far::{HASTY, NO_TLS, NOT_THE_BOX, REFUSED};
use super::{
    Far, Folder, META, META6, NAME, Net, PUBLIC, PUBLIC6, Running, SECOND_NAME, STRANGER, STRANGER6, Shop,
    copy, internet, stage,
};
use crate::harness::eventually;

/// How the boxes know the relay.
pub(super) const RELAYS: &str = "relays = [\"10.8.0.1\"]";

/// The tunnels are taken for granted here: the relay, two boxes, and somebody else share a network.
pub(super) fn lay(net: &Net) {
    internet(net, "relay");
    net.add("neighbour");
    net.ip("relay", "link add tunnels type bridge");
    net.ip("relay", "addr add 10.8.0.1/24 dev tunnels");
    net.ip("relay", "link set tunnels up");
    net.wire(("relay", "port0", &[]), ("box", "eth0", &["10.8.0.2/24", "10.8.0.3/24"]));
    net.wire(("relay", "port1", &[]), ("neighbour", "eth0", &["10.8.0.66/24"]));
    net.ip("relay", "link set port0 master tunnels");
    net.ip("relay", "link set port1 master tunnels");
}

/// Starts HAProxy; returns when it listens.
pub(super) async fn haproxy(net: &Net, folder: &Folder, replaced: &[(&str, &str)]) -> Running {
    let map = copy(folder, "boxes.map", &[]);
    let mut words = vec![("/etc/haproxy/boxes.map", map.as_str())];
    words.extend(replaced);
    let configuration = copy(folder, "haproxy.cfg", &words);
    net.run("relay", "haproxy", &["-c", "-f", &configuration]);
    let running = net.start("relay", folder.path(), "haproxy", &["-db", "-f", &configuration]);
    listens(net, "relay", 443).await;
    running
}

async fn nginx(net: &Net, folder: &Folder, replaced: &[(&str, &str)]) -> Running {
    let at = |name: &str| folder.at(name);
    let (pid, socket, log) = (at("nginx.pid"), at("nobody.sock"), at("error.log"));
    let mut words = vec![
        ("/run/nginx.pid", pid.as_str()),
        ("/run/nginx-nobody.sock", socket.as_str()),
        ("/var/log/nginx/error.log", log.as_str()),
    ];
    words.extend(replaced);
    let configuration = copy(folder, "nginx.conf", &words);
    net.run("relay", "nginx", &["-t", "-q", "-c", &configuration]);
    let running = net.start("relay", folder.path(), "nginx", &["-c", &configuration, "-g", "daemon off;"]);
    listens(net, "relay", 443).await;
    running
}

/// Waits until somebody listens at a port.
pub(super) async fn listens(net: &Net, role: &str, port: u16) {
    eventually("somebody listens", async || {
        (!net.run(role, "ss", &["-4Hltn", &format!("sport = :{port}")]).is_empty()).then_some(())
    })
    .await;
}

/// What both programs promise, in the same words.
async fn passes_on(net: &Net, [first, second]: [&mut Shop; 2], folder: &Folder) {
    let far = Far::new(net, PUBLIC);
    for shop in [&mut *first, &mut *second] {
        // Each shows a certificate that only its own authority vouches for: nobody stands in between, and none
        // was taken for the other.
        assert_eq!(shop.webhook(&far, META).await, Ok(200));
        assert_eq!(shop.large_webhook(&far, META), Ok(200));
        let key = shop.key_line();
        assert!(!folder.content().contains(&key), "the relay has the box's key");
    }
    let authority = second.authority();
    let mistaken = Far { more: &["--cacert", &authority], ..Far::new(net, PUBLIC) };
    assert_eq!(first.webhook(&mistaken, META).await, NOT_THE_BOX, "it would be noticed");
    first.tells_senders_apart(&far, META, STRANGER).await;
    let public6 = format!("[{PUBLIC6}]");
    // Over the same tunnel, which knows IPv4 only.
    let six = Far::new(net, &public6);
    first.tells_senders_apart(&six, META6, STRANGER6).await;

    let hasty = Far { more: HASTY, ..Far::new(net, PUBLIC) };
    assert!(hasty.plain(META, ":443/webhook").is_err(), "what isn't TLS gets no answer");
    for name in [None, Some("other.example.com"), Some("10.8.0.2")] {
        let seen = far.handshake(name, "http/1.1");
        assert!(seen.contains("no peer certificate available"), "{name:?}: {seen}");
        assert!(seen.contains("SSL handshake has read 0 bytes"), "{name:?}: {seen}");
    }
    // How a CA asks for TLS-ALPN-01, and HTTP/2, reach the box as they are.
    let seen = far.handshake(Some(NAME), "h2");
    assert!(seen.contains("ALPN protocol: h2"), "{seen}");
    let direct = Far { role: "neighbour", ..Far::new(net, "10.8.0.2") };
    let challenge = far.handshake(Some(NAME), "acme-tls/1");
    assert_eq!(of_tls(&challenge), of_tls(&direct.handshake(Some(NAME), "acme-tls/1")));
    assert!(!of_tls(&challenge).is_empty(), "{challenge}");
}

/// What the other end of a handshake has said: the protocol that it chose, or why it chose none.
fn of_tls(seen: &str) -> Vec<&str> {
    let said = |line: &'_ str| line.find("SSL alert number").or(line.find("ALPN protocol"));
    seen.lines().filter_map(|line| Some(&line[said(line)?..])).collect()
}

#[test]
fn a_pass_through_leads_each_name_to_its_box_and_reads_nothing() {
    stage(&["haproxy", "nginx", "ss"], lay, async |net: Net| {
        let mut first = Shop::open(NAME, "10.8.0.2:443", RELAYS).await;
        let mut second = Shop::open(SECOND_NAME, "10.8.0.3:443", RELAYS).await;
        let far = Far::new(&net, PUBLIC);

        // Who isn't the relay says nothing about addresses, and who is has to.
        let neighbour = Far { role: "neighbour", ..Far::new(&net, "10.8.0.2") };
        assert_eq!(neighbour.unsigned(&first, "10.8.0.66"), Ok(401));
        let forged = Far { more: &["--haproxy-protocol"], ..neighbour };
        assert_eq!(forged.unsigned(&first, "10.8.0.66"), NO_TLS, "a header from somebody else is no header");
        let bare = Far { role: "relay", ..Far::new(&net, "10.8.0.2") };
        assert!(bare.unsigned(&first, "10.8.0.1").is_err(), "the relay has to say who is calling");

        let folder = Folder::new();
        let relay = haproxy(&net, &folder, &[]).await;
        passes_on(&net, [&mut first, &mut second], &folder).await;
        relay.stop().await;
        assert_eq!(first.webhook(&far, META).await, REFUSED);
        let relay = haproxy(&net, &folder, &[]).await;
        assert_eq!(first.webhook(&far, META).await, Ok(200), "it is back");
        relay.stop().await;

        let folder = Folder::new();
        let relay = nginx(&net, &folder, &[]).await;
        passes_on(&net, [&mut second, &mut first], &folder).await;
        relay.stop().await;
        first.appliance.stop().await;
        second.appliance.stop().await;

        // Without the PROXY protocol it works, too, less finely.
        for with_haproxy in [true, false] {
            let mut plain = Shop::open(NAME, "10.8.0.2:443", "").await;
            let folder = Folder::new();
            let relay = if with_haproxy {
                haproxy(&net, &folder, &[(" send-proxy-v2\n", "\n")]).await
            } else {
                nginx(&net, &folder, &[("proxy_protocol on;", "")]).await
            };
            plain.takes_what_is_signed_from_all_alike(&far, META, STRANGER).await;
            relay.stop().await;
            plain.appliance.stop().await;
        }
    });
}
