//! Values of the box's own network.

use std::net::{IpAddr, Ipv4Addr};

use toml::de::DeValue;

use super::super::keys::Key;
use super::super::types::Address;
use super::{Fault, Read, as_text, texts};

/// A resolver reads no more of them (`MAXNS` in `resolv.h`).
const DNS_MAX: usize = 3;
/// The kernel's `IFNAMSIZ` without the zero at its end.
const INTERFACE_MAX: usize = 15;
/// RFC 1035, 2.3.4.
const LABEL_MAX: usize = 63;

/// `dhcp`, or an address with its prefix; the gateway is another key.
pub(in super::super) fn address(_: &Key, value: &DeValue<'_>) -> Read<Address> {
    let shape = "\"dhcp\", or an address with its prefix, such as \"192.168.1.20/24\"";
    let text = as_text(value, shape)?;
    if text == "dhcp" {
        return Ok(Address::Dhcp);
    }
    let Some((address, prefix)) = text.split_once('/') else {
        let fault = Fault::new(format!("{text:?} is neither \"dhcp\" nor an address with its prefix"));
        return Err(match text.parse::<Ipv4Addr>() {
            Ok(_) => fault.help(format!("did you mean \"{text}/24\"?")),
            Err(_) => fault.help(shape),
        });
    };
    let address = plain_v4(address)?;
    match prefix.parse::<u8>() {
        Ok(prefix @ 1..=30) => {
            let within = u32::from(address) & (u32::MAX >> prefix);
            if within == 0 || within == u32::MAX >> prefix {
                return Err(Fault::new(format!(
                    "{address} is the name of the whole network /{prefix}, or its broadcast address"
                ))
                .help("an address of one machine in it"));
            }
            Ok(Address::Fixed { address, prefix, gateway: None })
        }
        _ => {
            Err(Fault::new(format!("{prefix:?} is not the length of a prefix")).help("1 to 30, such as /24"))
        }
    }
}

/// The address of a machine, without a prefix.
pub(in super::super) fn v4(_: &Key, value: &DeValue<'_>) -> Read<Ipv4Addr> {
    plain_v4(&as_text(value, "an IPv4 address in quotes")?)
}

fn plain_v4(text: &str) -> Read<Ipv4Addr> {
    let address: Ipv4Addr = text.parse().map_err(|_| {
        Fault::new(format!("{text:?} is not an IPv4 address")).help("four numbers, such as \"192.168.1.20\"")
    })?;
    if address.is_loopback() || address.is_multicast() || address.is_broadcast() || address.octets()[0] == 0 {
        return Err(Fault::new(format!("{address} can't be the address of a machine on a network")));
    }
    Ok(address)
}

/// Servers that resolve names.
pub(in super::super) fn resolvers(key: &Key, value: &DeValue<'_>) -> Read<Vec<IpAddr>> {
    let texts = texts(key, value)?;
    if texts.len() > DNS_MAX {
        return Err(Fault::new(format!(
            "these are {}, and no more than {DNS_MAX} are ever asked",
            texts.len()
        )));
    }
    let parse = |text: &String| {
        text.parse()
            .map_err(|_| Fault::new(format!("{text:?} is not an IP address")).help("such as \"192.168.1.1\""))
    };
    texts.iter().map(parse).collect()
}

/// A name that the kernel gives to interfaces.
pub(in super::super) fn interface(_: &Key, value: &DeValue<'_>) -> Read<String> {
    let text = as_text(value, "the name of an interface in quotes")?;
    let fits =
        text.len() <= INTERFACE_MAX && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b));
    if fits {
        return Ok(text);
    }
    let fault = Fault::new(format!("{text:?} is not the name of an interface"));
    Err(match text.split_once('.') {
        Some((parent, vlan)) if vlan.parse::<u16>().is_ok() => {
            fault.help(format!("interface = \"{parent}\" and vlan = {vlan}"))
        }
        _ => fault.help("such as \"eth0\""),
    })
}

/// One label of a name in the DNS.
pub(in super::super) fn label(_: &Key, value: &DeValue<'_>) -> Read<String> {
    let text = as_text(value, "a name in quotes")?;
    let fits = text.len() <= LABEL_MAX
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-');
    if fits {
        return Ok(text.to_ascii_lowercase());
    }
    let fault = Fault::new(format!("{text:?} is not a name of one part"));
    Err(match text.strip_suffix(".local") {
        Some(name) => fault.help(format!("did you mean \"{name}\"? `.local` is put behind it")),
        None => fault.help("letters, digits and `-` between them, such as \"wagate-shop\""),
    })
}
