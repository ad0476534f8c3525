//! SSH from behind a carrier's NAT, to a relay whose HAProxy hands on to the tunnel.

use super::far::REFUSED;
use super::files::original;
use super::pass_through::{haproxy, listens};
use super::{Far, Folder, META, NAME, Net, PUBLIC, Running, STRANGER, Shop, behind_carrier_nat, copy, stage};
use crate::harness::eventually;

/// How the box knows where ssh connects from.
pub(super) const RELAYS: &str = "relays = [\"192.168.1.20\"]";

/// The command that systemd would start and start again, with a few words replaced.
fn command(replaced: &[(&str, &str)]) -> Vec<String> {
    let unit = original("wagate-tunnel.service").replace("\\\n", " ");
    let mut line = unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap().to_owned();
    for (word, by) in replaced {
        assert!(line.contains(word), "ExecStart has no {word:?}");
        line = line.replace(word, by);
    }
    assert!(unit.lines().any(|line| line == "Restart=always"));
    line.split_whitespace().map(str::to_owned).collect()
}

/// Keys and configuration of both ends.
struct Tunnel<'a> {
    net: &'a Net,
    relay: Folder,
    own: Folder,
}

impl<'a> Tunnel<'a> {
    fn new(net: &'a Net) -> Self {
        let (relay, own) = (Folder::new(), Folder::new());
        let make = |path: &str| net.run("box", "ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", path]);
        make(&relay.at("host_key"));
        make(&own.at("key"));
        let public = |folder: &Folder, name: &str| {
            std::fs::read_to_string(folder.path().join(name)).unwrap().trim().to_owned()
        };
        own.put("known_hosts", &format!("{PUBLIC} {}\n", public(&relay, "host_key.pub")));
        let keys = copy(&relay, "tunnel_keys", &[("PUBLIC_KEY_OF_THE_SHOP", &public(&own, "key.pub"))]);
        // It is read with the rights of the user, who is one that each machine has.
        net.run("relay", "chmod", &["644", &keys]);
        let more = copy(
            &relay,
            "sshd-tunnel.conf",
            &[
                ("Match User tunnel", "Match User nobody"),
                ("/etc/ssh/tunnel_keys", &keys),
                ("ClientAliveInterval 15", "ClientAliveInterval 1"),
            ],
        );
        let host_key = relay.at("host_key");
        let whole = format!("HostKey {host_key}\nPidFile none\nPasswordAuthentication no\nInclude {more}\n");
        relay.put("sshd_config", &whole);
        // Where its unprivileged part lives; Debian's unit makes it.
        std::fs::create_dir_all("/run/sshd").unwrap();
        Self { net, relay, own }
    }

    async fn serve(&self) -> Running {
        let configuration = self.relay.at("sshd_config");
        self.net.run("relay", "/usr/sbin/sshd", &["-t", "-f", &configuration]);
        let sshd =
            self.net.start("relay", self.relay.path(), "/usr/sbin/sshd", &["-D", "-e", "-f", &configuration]);
        listens(self.net, "relay", 22).await;
        sshd
    }

    /// What the unit runs, with `more` words replaced.
    fn connect(&self, more: &[(&str, &str)]) -> Running {
        let (key, known) = (self.own.at("key"), self.own.at("known_hosts"));
        let mut words = vec![
            ("/etc/wagate-tunnel/key", key.as_str()),
            ("/etc/wagate-tunnel/known_hosts", known.as_str()),
            ("tunnel@", "nobody@"),
            ("ServerAliveInterval=15", "ServerAliveInterval=1"),
        ];
        words.extend(more);
        let command = command(&words);
        let arguments: Vec<&str> = command[1..].iter().map(String::as_str).collect();
        self.net.start("box", self.own.path(), &command[0], &arguments)
    }

    /// The same again and again, as the unit says, until webhooks come through.
    async fn reconnect(&self, ssh: &mut Running, shop: &mut Shop, far: &Far<'_>) {
        eventually("the tunnel is open again", async || {
            if ssh.has_ended() {
                *ssh = self.connect(&[]);
            }
            (shop.webhook(far, META).await == Ok(200)).then_some(())
        })
        .await;
    }
}

#[test]
fn an_ssh_tunnel_leads_to_the_box_and_comes_back_by_itself() {
    let programs = ["ssh", "sshd", "ssh-keygen", "haproxy", "ss"];
    stage(
        &programs,
        |net| behind_carrier_nat(net, &[]),
        async |net: Net| {
            let mut shop = Shop::open(NAME, "0.0.0.0:443", RELAYS).await;
            let tunnel = Tunnel::new(&net);
            let _sshd = tunnel.serve().await;
            let folder = Folder::new();
            let end = [
                ("10.8.0.2:443", "127.0.0.1:8443"),
                ("10.8.0.3:443", "127.0.0.1:8444"),
                // It would try for three seconds, which is right for a box that starts anew and long for a test.
                ("timeout connect 5s", "timeout connect 5s\n    retries 0"),
            ];
            let _front = haproxy(&net, &folder, &end).await;
            let far = Far::new(&net, PUBLIC);
            assert!(shop.webhook(&far, META).await.is_err(), "nobody has come out from behind the NAT yet");
            let mut ssh = tunnel.connect(&[]);
            tunnel.reconnect(&mut ssh, &mut shop, &far).await;
            assert_eq!(shop.large_webhook(&far, META), Ok(200));
            shop.tells_senders_apart(&far, META, STRANGER).await;
            let relay = tunnel.relay.content() + &folder.content();
            assert!(!relay.contains(&shop.key_line()), "the relay has the box's key");

            // The key opens one port, and nothing else: no other port, no shell, no way out.
            let other = [("127.0.0.1:8443:192.168.1.20:443", "127.0.0.1:8445:192.168.1.20:443")];
            let public = [("127.0.0.1:8443:192.168.1.20:443", "0.0.0.0:8443:192.168.1.20:443")];
            let of_another_shop = [("127.0.0.1:8443:192.168.1.20:443", "127.0.0.1:8444:192.168.1.20:443")];
            for (what, words) in
                [("a port", other), ("the internet", public), ("another shop's", of_another_shop)]
            {
                let mut refused = tunnel.connect(&words);
                eventually("it is refused", async || refused.has_ended().then_some(())).await;
                assert!(
                    refused.said().contains("remote port forwarding failed"),
                    "{what}: {}",
                    refused.said()
                );
            }
            let mut shell = tunnel.connect(&[("-N -T", "-T"), ("-R 127.0.0.1:8443:192.168.1.20:443", "")]);
            eventually("there is no shell", async || shell.has_ended().then_some(())).await;
            assert!(shell.said().contains("open failed"), "{}", shell.said());

            let way_out = [("-N -T", "-W 127.0.0.1:22"), ("-R 127.0.0.1:8443:192.168.1.20:443", "")];
            let mut way_out = tunnel.connect(&way_out);
            eventually("there is no way out", async || way_out.has_ended().then_some(())).await;
            assert!(way_out.said().contains("administratively prohibited"), "{}", way_out.said());

            // The relay is started anew: refused, then there again.
            net.kill_all("relay");
            assert_eq!(shop.webhook(&far, META).await, REFUSED);
            let _front = haproxy(&net, &folder, &end).await;
            let _sshd = tunnel.serve().await;
            tunnel.reconnect(&mut ssh, &mut shop, &far).await;

            // The carrier's NAT forgets the connection: both ends notice by themselves, and the port is free again.
            let connection = net.run("box", "ss", &["-Htn", "dst", &format!("{PUBLIC}:22")]);
            let port = connection.split_whitespace().nth(3).and_then(|own| own.rsplit(':').next()).unwrap();
            let rules = format!(
                "table ip forgetful {{
                chain through {{
                    type filter hook forward priority -20
                    tcp sport {port} tcp dport 22 drop
                    tcp sport 22 tcp dport {port} drop
                }}
            }}"
            );
            net.nft("carrier", &rules);
            eventually("the shop's end notices", async || ssh.has_ended().then_some(())).await;
            tunnel.reconnect(&mut ssh, &mut shop, &far).await;
            shop.appliance.stop().await;
        },
    );
}
