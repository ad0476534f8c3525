//! `[network]`

use std::net::{IpAddr, Ipv4Addr};

/// The box's own network; nothing but the supervisor goes by it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Network {
    /// Where the address comes from.
    pub address: Address,
    /// Who resolves names; empty: those that DHCP names. Three at most.
    pub dns: Vec<IpAddr>,
    /// The VLAN to be in, 1 to 4094; `None`: untagged.
    pub vlan: Option<u16>,
    /// The only interface to use; `None`: every wired one.
    pub interface: Option<String>,
    /// The box's name, one label in lower case; `None`: its own.
    pub hostname: Option<String>,
}

/// `network.address`
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Address {
    /// From whoever gives out addresses there.
    #[default]
    Dhcp,
    /// A fixed one.
    Fixed {
        /// Of the box.
        address: Ipv4Addr,
        /// Bits of the network's part, 1 to 30.
        prefix: u8,
        /// The way out, within that network; `None`: there is none.
        gateway: Option<Ipv4Addr>,
    },
}
