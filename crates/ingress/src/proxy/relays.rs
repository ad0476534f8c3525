//! Whose PROXY header is believed.

use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

/// Relays that one listener knows: a shop has one or two, each with an address of both kinds.
pub const RELAYS_MAX: usize = 16;
/// The shortest prefixes: 10.0.0.0/8 and fc00::/7 are the largest private networks there are. Past them whoever can
/// reach the box could claim any address.
const SHORTEST: (u8, u8) = (8, 7);

/// One relay, or a network in which every address is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Relay {
    address: IpAddr,
    prefix: u8,
}

/// Why a text names no relay. [`RelayError::Host`] holds what was probably meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RelayError {
    /// It has another shape.
    #[error("not an IP address or a network in CIDR form")]
    Shape,
    /// The address has bits behind the prefix.
    #[error("an address of one machine with the prefix of its network")]
    Host(Relay),
    /// A network that is too large to trust.
    #[error("a network that holds everybody, and everybody could then claim any address")]
    Everybody,
}

impl Relay {
    /// Whether `address` is one of it. IPv4 in IPv6 clothing counts as IPv4.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(_), IpAddr::V4(_)) | (IpAddr::V6(_), IpAddr::V6(_)) => {
                network(address.to_canonical(), self.prefix) == self.address
            }
            _ => false,
        }
    }

    /// Whether it holds so many addresses of the internet that hardly all of them are relays: more than a /24, or a
    /// /48 of IPv6.
    #[must_use]
    pub const fn is_wide(&self) -> bool {
        match self.address {
            IpAddr::V4(v4) => {
                let [a, b, ..] = v4.octets();
                // RFC 6598: behind carrier NAT.
                let shared = a == 100 && b & 0xC0 == 64;
                let ours = v4.is_private() || v4.is_loopback() || v4.is_link_local() || shared;
                !ours && self.prefix < 24
            }
            IpAddr::V6(v6) => {
                let ours = v6.is_unique_local() || v6.is_unicast_link_local() || v6.is_loopback();
                !ours && self.prefix < 48
            }
        }
    }
}

/// `address` without the bits behind `prefix`.
fn network(address: IpAddr, prefix: u8) -> IpAddr {
    let behind = |width: u8| u32::from(width.saturating_sub(prefix));
    match address {
        IpAddr::V4(v4) => IpAddr::V4((v4.to_bits() & u32::MAX.checked_shl(behind(32)).unwrap_or(0)).into()),
        IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() & u128::MAX.checked_shl(behind(128)).unwrap_or(0)).into()),
    }
}

impl FromStr for Relay {
    type Err = RelayError;

    /// Reads `10.8.0.1`, `fd00::/64`.
    fn from_str(text: &str) -> Result<Self, RelayError> {
        let (address, prefix) =
            text.split_once('/').map_or((text, None), |(all, prefix)| (all, Some(prefix)));
        let address: IpAddr = address.parse().map_err(|_| RelayError::Shape)?;
        let (most, least) = if address.is_ipv4() { (32, SHORTEST.0) } else { (128, SHORTEST.1) };
        let prefix = match prefix {
            None => most,
            Some(digits) if digits.bytes().all(|digit| digit.is_ascii_digit()) => {
                digits.parse().ok().filter(|prefix| *prefix <= most).ok_or(RelayError::Shape)?
            }
            Some(_) => return Err(RelayError::Shape),
        };
        let relay = Self { address: network(address, prefix), prefix };
        // A mapped address is never a peer's: those count as IPv4.
        if address.to_canonical() != address {
            return Err(RelayError::Shape);
        }
        if prefix < least || address.is_unspecified() {
            return Err(RelayError::Everybody);
        }
        if relay.address == address { Ok(relay) } else { Err(RelayError::Host(relay)) }
    }
}

impl std::fmt::Display for Relay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let whole = if self.address.is_ipv4() { 32 } else { 128 };
        if self.prefix == whole { self.address.fmt(f) } else { write!(f, "{}/{}", self.address, self.prefix) }
    }
}

/// The relays of a listener; none unless it is told of some.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Relays(Arc<[Relay]>);

impl Relays {
    /// Whether a connection from `address` has to begin with a PROXY header.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|relay| relay.contains(address))
    }
}

impl FromIterator<Relay> for Relays {
    /// Takes [`RELAYS_MAX`] at most; the configuration says when there are more.
    fn from_iter<T: IntoIterator<Item = Relay>>(relays: T) -> Self {
        Self(relays.into_iter().take(RELAYS_MAX).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn relay(text: &str) -> Relay {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn an_address_or_a_network_is_read_and_holds_its_own() {
        for (text, inside, outside) in [
            ("10.8.0.1", "10.8.0.1", "10.8.0.2"),
            ("10.8.0.1", "::ffff:10.8.0.1", "::10.8.0.1"),
            ("10.8.0.0/24", "10.8.0.255", "10.8.1.0"),
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.0"),
            ("fd00::/64", "fd00::1", "fd00:0:0:1::1"),
            ("2001:db8::7", "2001:db8::7", "2001:db8::8"),
        ] {
            let read = relay(text);
            assert_eq!(read.to_string(), text);
            assert!(read.contains(inside.parse().unwrap()), "{text} {inside}");
            assert!(!read.contains(outside.parse().unwrap()), "{text} {outside}");
        }
        let relays: Relays = [relay("10.8.0.1"), relay("fd00::/64")].into_iter().collect();
        assert!(relays.contains("fd00::9".parse().unwrap()) && !relays.contains("10.8.0.9".parse().unwrap()));
        assert!(!Relays::default().contains("127.0.0.1".parse().unwrap()));
    }

    #[test]
    fn what_holds_everybody_or_nobody_is_none() {
        for text in ["0.0.0.0/0", "0.0.0.0", "::/0", "::", "128.0.0.0/1", "8.0.0.0/7", "2000::/3"] {
            assert_eq!(text.parse::<Relay>(), Err(RelayError::Everybody), "{text}");
        }
        for text in [
            "",
            "relay.example.com",
            "10.8.0.1/33",
            "10.8.0.0/",
            "10.8.0.0/+8",
            "fd00::/129",
            "::ffff:10.8.0.1",
        ] {
            assert_eq!(text.parse::<Relay>(), Err(RelayError::Shape), "{text}");
        }
        assert_eq!("10.8.0.1/24".parse::<Relay>(), Err(RelayError::Host(relay("10.8.0.0/24"))));
    }

    #[test]
    fn a_wide_public_network_is_told_from_a_private_one() {
        for text in ["203.0.0.0/16", "2001:db8::/32"] {
            assert!(relay(text).is_wide(), "{text}");
        }
        for text in
            ["203.0.113.9", "203.0.113.0/24", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "fd00::/8"]
        {
            assert!(!relay(text).is_wide(), "{text}");
        }
    }
}
