//! From what is wanted and what is there to what has to be done. Pure.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use super::cards::Card;
use crate::config::{Address, Network};

/// What an interface is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// It is up, and no more: a VLAN is on top of it, or another one has the fixed address.
    Bare,
    /// It asks for an address.
    Dhcp,
    /// It has this one.
    Fixed {
        /// The address.
        address: Ipv4Addr,
        /// Bits of the network's part.
        prefix: u8,
        /// The way out.
        gateway: Option<Ipv4Addr>,
    },
}

/// One interface as it is wanted, or as it was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Interface {
    /// What it's for.
    pub(super) role: Role,
    /// The VLAN that it is of the card of this name; `None`: it is the card itself.
    pub(super) vlan: Option<(String, u16)>,
    /// The number of its card.
    index: u32,
    /// Of its card.
    carrier: bool,
}

/// Interfaces by name.
pub(super) type Interfaces = BTreeMap<String, Interface>;

/// Something to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Switch it on.
    Up(String),
    /// Make a VLAN.
    AddVlan {
        /// On this card.
        card: String,
        /// Its number.
        id: u16,
    },
    /// Take a VLAN away.
    DeleteVlan(String),
    /// Ask for an address from now on.
    Ask(String),
    /// Ask no more.
    AskNoMore(String),
    /// Take all addresses of IPv4 away.
    Clear(String),
    /// Give it a fixed address.
    Give(String, Ipv4Addr, u8),
    /// Send what isn't for its own network here.
    Gateway(String, Ipv4Addr),
}

/// The name that the kernel's tools give to a VLAN.
pub(super) fn vlan_name(card: &str, id: u16) -> String {
    format!("{card}.{id}")
}

/// How the interfaces should be with these cards; the cards are in the order of their names.
pub(super) fn wanted(network: &Network, cards: &[Card]) -> Interfaces {
    let chosen = |card: &&Card| network.interface.as_ref().is_none_or(|name| *name == card.name);
    let mut interfaces = Interfaces::new();
    for (place, card) in cards.iter().filter(chosen).enumerate() {
        let role = match network.address {
            Address::Dhcp => Role::Dhcp,
            Address::Fixed { address, prefix, gateway } if place == 0 => {
                Role::Fixed { address, prefix, gateway }
            }
            Address::Fixed { .. } => Role::Bare,
        };
        let of = |role, vlan| Interface { role, vlan, index: card.index, carrier: card.carrier };
        match network.vlan {
            Some(id) if role != Role::Bare => {
                interfaces.insert(card.name.clone(), of(Role::Bare, None));
                interfaces.insert(vlan_name(&card.name, id), of(role, Some((card.name.clone(), id))));
            }
            _ => {
                interfaces.insert(card.name.clone(), of(role, None));
            }
        }
    }
    interfaces
}

/// What leads from `made` to `wanted` with these cards: what goes before what comes, cards before the VLANs on them.
pub(super) fn steps(made: &Interfaces, wanted: &Interfaces, cards: &[Card]) -> Vec<(String, Vec<Step>)> {
    let mut all = Vec::new();
    // VLANs go before their card: the names are in order, `eth0` before `eth0.20`.
    for (name, old) in made.iter().rev() {
        if wanted.get(name).is_none_or(|new| new.index != old.index || new.vlan != old.vlan) {
            // Where the card is gone the kernel has taken everything along.
            let card = old.vlan.as_ref().map_or(name, |(card, _)| card);
            let there = cards.iter().any(|known| known.name == *card && known.index == old.index);
            all.push((name.clone(), undo(name, old, there)));
        }
    }
    for (name, new) in wanted {
        let old = made.get(name).filter(|old| old.index == new.index && old.vlan == new.vlan);
        let steps = match old {
            None => create(name, new),
            Some(old) if old.role != new.role => {
                let mut steps = undo(name, &Interface { vlan: None, ..old.clone() }, true);
                steps.extend(assign(name, new.role));
                steps
            }
            // Perhaps it's another network now; and who asked in vain waits before asking again.
            Some(old) if new.role == Role::Dhcp && new.carrier && !old.carrier => {
                vec![Step::AskNoMore(name.clone()), Step::Ask(name.clone())]
            }
            Some(_) => vec![],
        };
        if !steps.is_empty() {
            all.push((name.clone(), steps));
        }
    }
    all
}

fn create(name: &str, interface: &Interface) -> Vec<Step> {
    let mut steps = Vec::new();
    if let Some((card, id)) = &interface.vlan {
        steps.push(Step::AddVlan { card: card.clone(), id: *id });
    }
    steps.push(Step::Up(name.to_owned()));
    steps.extend(assign(name, interface.role));
    steps
}

fn assign(name: &str, role: Role) -> Vec<Step> {
    let name = name.to_owned();
    match role {
        Role::Bare => vec![],
        Role::Dhcp => vec![Step::Ask(name)],
        Role::Fixed { address, prefix, gateway } => {
            let mut steps = vec![Step::Clear(name.clone()), Step::Give(name.clone(), address, prefix)];
            steps.extend(gateway.map(|gateway| Step::Gateway(name, gateway)));
            steps
        }
    }
}

fn undo(name: &str, interface: &Interface, there: bool) -> Vec<Step> {
    let name = name.to_owned();
    let mut steps = Vec::new();
    if interface.role == Role::Dhcp {
        steps.push(Step::AskNoMore(name.clone()));
    }
    if there && interface.vlan.is_some() {
        steps.push(Step::DeleteVlan(name));
    } else if there && interface.role != Role::Bare {
        steps.push(Step::Clear(name));
    }
    steps
}

/// What stands behind `ip` for a step; `None`: it isn't done by `ip`.
pub(super) fn ip(step: &Step) -> Option<Vec<String>> {
    let words = match step {
        Step::Up(name) => format!("link set dev {name} up"),
        Step::AddVlan { card, id } => {
            format!("link add link {card} name {} type vlan id {id}", vlan_name(card, *id))
        }
        Step::DeleteVlan(name) => format!("link delete dev {name}"),
        Step::Clear(name) => format!("-4 address flush dev {name}"),
        Step::Give(name, address, prefix) => format!("address add {address}/{prefix} brd + dev {name}"),
        Step::Gateway(name, gateway) => format!("route replace default via {gateway} dev {name}"),
        Step::Ask(_) | Step::AskNoMore(_) => return None,
    };
    Some(words.split(' ').map(str::to_owned).collect())
}

/// What has to stand in `resolv.conf`; `None`: what DHCP writes there.
pub(super) fn resolvers(network: &Network) -> Option<String> {
    if network.dns.is_empty() && network.address == Address::Dhcp {
        return None;
    }
    Some(network.dns.iter().map(|server| format!("nameserver {server}\n")).collect())
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
