//! The keys of `[network]`, by which only the box goes that runs from our image.

use super::Fallback::{Is, Otherwise};
use super::Key;
use super::Kind::{Integer, Shaped};
use super::list::key;

/// In the order in which the reference shows them.
pub(super) const NETWORK: &[Key] = &[
    key(
        "network.address",
        Shaped("`\"dhcp\"`, or IPv4 address and prefix, `\"192.168.1.20/24\"`"),
        Is(r#""dhcp""#),
        "the box's own address; a fixed one belongs to the first wired interface by name",
    ),
    key(
        "network.gateway",
        Shaped("IPv4 address"),
        Otherwise("none: only that network is reached"),
        "the way out, beside a fixed address; DHCP brings its own",
    ),
    key(
        "network.dns",
        Shaped("list of IP addresses, 3 at most"),
        Otherwise("those that DHCP names"),
        "who resolves names; asked in this order",
    ),
    key("network.vlan", Integer(1, 4094), Otherwise("untagged"), "the VLAN that the box belongs to"),
    key(
        "network.interface",
        Shaped("name of an interface, `\"eth0\"`"),
        Otherwise("every wired one, also those that come later"),
        "the only one to use",
    ),
    key(
        "network.hostname",
        Shaped("letters, digits and `-`, at most 63"),
        Otherwise("the box's own, `wagate-7f3a`"),
        "its name to DHCP, and with `.local` behind it on the local network",
    ),
];
