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

impl Network {
    /// Whom it stands beside: the /24 of an IPv4 address, the /48 of an IPv6 one. Who sends from many addresses, as
    /// Meta does, has them in such rows.
    #[must_use]
    pub(crate) const fn neighbourhood(self) -> Self {
        match self {
            Self::V4(address) => Self::V4(Ipv4Addr::from_bits(address.to_bits() & !0xff)),
            Self::V6(upper) => Self::V6(upper & !0xffff),
        }
    }
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

    #[test]
    fn neighbours_are_a_24_and_a_48() {
        let [one, other, stranger] =
            ["203.0.113.9", "203.0.113.200", "203.0.114.9"].map(|text| network(text).neighbourhood());
        assert!(one == other && one != stranger);
        let [one, other, stranger] = ["2001:db8:1:2::1", "2001:db8:1:ffff::9", "2001:db8:2:2::1"]
            .map(|text| network(text).neighbourhood());
        assert!(one == other && one != stranger);
    }
}
