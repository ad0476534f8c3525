//! What people copy is right by the word of the programs that read it.

use std::path::Path;
use std::process::Command;

use super::files::original;
use super::{Folder, copy, helper, missing, pass_through, ssh};
use crate::harness::skip;

/// Every file there is, and who has run it; a new one must come here, and to a test.
const FILES: [&str; 13] = [
    "boxes.map",
    "haproxy.cfg",
    "helper.nft",
    "nginx.conf",
    "relay.nft",
    "router.nft",
    "shop.nft",
    "sshd-tunnel.conf",
    "tunnel_keys",
    "wagate-tunnel.service",
    "wireguard-helper.conf",
    "wireguard-relay.conf",
    "wireguard-shop.conf",
];

#[test]
fn each_file_and_each_setting_is_on_the_page() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/operating");
    let page = std::fs::read_to_string(folder.join("reachability.md")).unwrap();
    let mut found: Vec<String> = std::fs::read_dir(folder.join("reachability"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    found.sort();
    assert_eq!(found, FILES);
    for name in FILES {
        assert!(page.contains(&format!("](reachability/{name})")), "the page doesn't lead to {name}");
        assert!(original(name).starts_with('#'), "{name} doesn't say first where it belongs");
    }
    for relays in [helper::RELAYS, pass_through::RELAYS, ssh::RELAYS] {
        assert!(page.contains(relays), "the page doesn't say {relays}");
    }
}

#[test]
fn the_programs_accept_what_stands_there() {
    let test = "reach::syntax::the_programs_accept_what_stands_there";
    if let Some(why) = missing(&["nft", "wg-quick", "systemd-analyze"]) {
        return skip(test, &why);
    }
    let folder = Folder::new();
    let accept = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program} {arguments:?}: {said}");
    };
    for name in FILES {
        // HAProxy, nginx and sshd are asked where they run, since they look at the places that a file names.
        if name.ends_with(".nft") {
            accept("nft", &["--check", "--file", &copy(&folder, name, &[])]);
        } else if name.starts_with("wireguard-") {
            accept("wg-quick", &["strip", &folder.put("wg0.conf", &original(name))]);
        } else if name.ends_with(".service") {
            accept("systemd-analyze", &["verify", "--man=no", &copy(&folder, name, &[])]);
        }
    }
}
