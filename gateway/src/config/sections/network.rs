//! `[network]`: the box's own address.

use super::super::reader::Section;
use super::super::types::{Address, Network};
use super::super::values::{self, Fault};

pub(super) fn network(section: &Section<'_>) -> Option<Network> {
    let address = section.read("address", values::network::address);
    let gateway = section.read("gateway", values::network::v4);
    let dns = section.read("dns", values::network::resolvers).unwrap_or_default();
    let vlan = section.read("vlan", values::integer).and_then(|id| u16::try_from(id).ok());
    let interface = section.read("interface", values::network::interface);
    let hostname = section.read("hostname", values::network::label);
    let address = match address? {
        Address::Dhcp => {
            if section.has("gateway") {
                section.mistake(
                    "gateway",
                    Fault::new("DHCP brings the gateway, so this one would never be used")
                        .help("leave it out, or give the box a fixed `address`"),
                );
            }
            Address::Dhcp
        }
        Address::Fixed { address, prefix, .. } => {
            if let Some(gateway) = gateway {
                let network = |of: std::net::Ipv4Addr| u32::from(of) & !(u32::MAX >> prefix);
                if gateway == address {
                    section.mistake("gateway", Fault::new("this is the address of the box itself"));
                } else if network(gateway) != network(address) {
                    section.mistake(
                        "gateway",
                        Fault::new(format!(
                            "{gateway} isn't within {address}/{prefix}, so the box can't reach it"
                        )),
                    );
                }
            }
            if !section.has("dns") {
                section.warn(
                    "address",
                    Fault::new("without DHCP nobody tells the box who resolves names, and `dns` is missing")
                        .help("dns = [\"192.168.1.1\"]"),
                );
            }
            Address::Fixed { address, prefix, gateway }
        }
    };
    Some(Network { address, dns, vlan, interface, hostname })
}
