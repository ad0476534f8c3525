//! Whom an address stands for.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The holder of an address, as far as budgets go: one IPv4 address, or one IPv6 /64, which is
/// what a provider gives to the smallest of customers. IPv4 in IPv6 clothing counts as IPv4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Network {
    /// The address itself.
    V4(Ipv4Addr),
    /// The upper 64 bits.
    V6(u64),
}

impl From<IpAddr> for Network {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address),
            IpAddr::V6(address) => Self::V6(upper(address)),
        }
    }
}

fn upper(address: Ipv6Addr) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = address.octets();
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Network {
        text.parse::<IpAddr>().unwrap().into()
    }

    #[test]
    fn ipv6_goes_by_its_64_and_mapped_ipv4_by_itself() {
        assert_eq!(network("2001:db8:1:2::1"), network("2001:db8:1:2:ffff::9"));
        assert_ne!(network("2001:db8:1:2::1"), network("2001:db8:1:3::1"));
        assert_eq!(network("::ffff:203.0.113.9"), network("203.0.113.9"));
        assert_ne!(network("203.0.113.9"), network("203.0.113.10"));
    }
}
