use proptest::prelude::*;

use super::*;

fn card(name: &str, index: u32, carrier: bool) -> Card {
    Card { name: name.to_owned(), index, carrier }
}

fn fixed() -> Network {
    let address = Address::Fixed {
        address: Ipv4Addr::new(192, 168, 1, 20),
        prefix: 24,
        gateway: Some(Ipv4Addr::new(192, 168, 1, 1)),
    };
    Network { address, ..Network::default() }
}

/// The commands that lead from one state of affairs to another, in words.
fn words(made: &Interfaces, wanted: &Interfaces) -> Vec<String> {
    // The cards are those that are wanted.
    let known = |(name, interface): (&String, &Interface)| card(name, interface.index, interface.carrier);
    let cards: Vec<Card> = wanted.iter().map(known).collect();
    let word = |step: &Step| match step {
        Step::Ask(name) => format!("ask {name}"),
        Step::AskNoMore(name) => format!("stop asking {name}"),
        Step::Up(_)
        | Step::AddVlan { .. }
        | Step::DeleteVlan(_)
        | Step::Clear(_)
        | Step::Give(..)
        | Step::Gateway(..) => ip(step).unwrap().join(" "),
    };
    steps(made, wanted, &cards).iter().flat_map(|(_, steps)| steps.iter().map(word)).collect()
}

fn from_nothing(network: &Network, cards: &[Card]) -> Vec<String> {
    words(&Interfaces::new(), &wanted(network, cards))
}

#[test]
fn every_wired_card_asks_for_an_address_by_default() {
    let cards = [card("eth0", 2, false), card("eth1", 3, true)];
    assert_eq!(
        from_nothing(&Network::default(), &cards),
        ["link set dev eth0 up", "ask eth0", "link set dev eth1 up", "ask eth1"]
    );
    let only = Network { interface: Some("eth1".into()), ..Network::default() };
    assert_eq!(from_nothing(&only, &cards), ["link set dev eth1 up", "ask eth1"]);
    assert_eq!(
        from_nothing(&Network { interface: Some("eth7".into()), ..only }, &cards),
        Vec::<String>::new()
    );
}

#[test]
fn a_fixed_address_is_given_to_the_first_one() {
    let cards = [card("eth0", 2, true), card("eth1", 3, true)];
    assert_eq!(
        from_nothing(&fixed(), &cards),
        [
            "link set dev eth0 up",
            "-4 address flush dev eth0",
            "address add 192.168.1.20/24 brd + dev eth0",
            "route replace default via 192.168.1.1 dev eth0",
            "link set dev eth1 up",
        ]
    );
}

#[test]
fn a_vlan_is_made_on_top_of_its_card_and_taken_away_again() {
    let tagged = Network { vlan: Some(20), ..Network::default() };
    let cards = [card("eth0", 2, true)];
    let made = wanted(&tagged, &cards);
    assert_eq!(
        from_nothing(&tagged, &cards),
        [
            "link set dev eth0 up",
            "link add link eth0 name eth0.20 type vlan id 20",
            "link set dev eth0.20 up",
            "ask eth0.20"
        ]
    );
    assert_eq!(
        words(&made, &wanted(&Network::default(), &cards)),
        ["stop asking eth0.20", "link delete dev eth0.20", "ask eth0"]
    );
    // Pulled out: the kernel has taken the VLAN along.
    assert_eq!(words(&made, &wanted(&tagged, &[card("eth0", 9, true)]))[..1], ["stop asking eth0.20"]);
}

#[test]
fn another_configuration_undoes_the_one_before() {
    let cards = [card("eth0", 2, true)];
    let dhcp = wanted(&Network::default(), &cards);
    let fixed = wanted(&fixed(), &cards);
    assert_eq!(
        words(&dhcp, &fixed),
        [
            "stop asking eth0",
            "-4 address flush dev eth0",
            "-4 address flush dev eth0",
            "address add 192.168.1.20/24 brd + dev eth0",
            "route replace default via 192.168.1.1 dev eth0",
        ]
    );
    assert_eq!(words(&fixed, &dhcp), ["-4 address flush dev eth0", "ask eth0"]);
}

#[test]
fn a_cable_that_comes_later_has_the_question_asked_again_at_once() {
    let without = wanted(&Network::default(), &[card("eth0", 2, false)]);
    let with = wanted(&Network::default(), &[card("eth0", 2, true)]);
    assert_eq!(words(&without, &with), ["stop asking eth0", "ask eth0"]);
    assert_eq!(words(&with, &without), Vec::<String>::new());
    // A fixed address stays through all that.
    let cards = |carrier| [card("eth0", 2, carrier)];
    assert_eq!(
        words(&wanted(&fixed(), &cards(false)), &wanted(&fixed(), &cards(true))),
        Vec::<String>::new()
    );
}

#[test]
fn a_card_that_was_pulled_and_plugged_in_again_is_made_anew() {
    let before = wanted(&Network::default(), &[card("eth0", 2, true)]);
    let after = wanted(&Network::default(), &[card("eth0", 5, false)]);
    assert_eq!(words(&before, &after), ["stop asking eth0", "link set dev eth0 up", "ask eth0"]);
}

#[test]
fn names_are_resolved_by_whom_the_configuration_names() {
    let dns = vec!["10.0.0.1".parse().unwrap(), "fd00::1".parse().unwrap()];
    let text = Some("nameserver 10.0.0.1\nnameserver fd00::1\n".to_owned());
    assert_eq!(resolvers(&Network { dns: dns.clone(), ..Network::default() }), text);
    assert_eq!(resolvers(&Network { dns, ..fixed() }), text);
    assert_eq!(resolvers(&Network::default()), None);
    assert_eq!(resolvers(&fixed()), Some(String::new()), "none that an earlier lease has named");
}

fn some_cards() -> impl Strategy<Value = Vec<Card>> {
    prop::collection::btree_map(0..4u8, (1..4u32, any::<bool>()), 0..4).prop_map(|cards| {
        let card = |(n, (index, carrier)): (u8, (u32, bool))| {
            card(&format!("eth{n}"), u32::from(n) * 10 + index, carrier)
        };
        cards.into_iter().map(card).collect()
    })
}

fn some_network() -> impl Strategy<Value = Network> {
    (any::<bool>(), prop::option::of(1..3u16), prop::option::of(0..4u8)).prop_map(
        |(dhcp, vlan, interface)| {
            let base = if dhcp { Network::default() } else { fixed() };
            Network { vlan, interface: interface.map(|n| format!("eth{n}")), ..base }
        },
    )
}

proptest! {
    #[test]
    fn whatever_changes_the_steps_lead_there(changes in prop::collection::vec((some_network(), some_cards()), 1..8)) {
        let mut made = Interfaces::new();
        // What a kernel and a keeper of clients would have come to.
        let mut asking = std::collections::BTreeSet::new();
        let mut address = std::collections::BTreeMap::new();
        let mut vlans: std::collections::BTreeSet<String> = Default::default();
        let mut there: Vec<Card> = vec![];
        for (network, cards) in changes {
            for old in &there {
                if !cards.iter().any(|card| card.name == old.name && card.index == old.index) {
                    let gone = |name: &String| name == &old.name || name.starts_with(&format!("{}.", old.name));
                    address.retain(|name, _| !gone(name));
                    vlans.retain(|name| !gone(name));
                }
            }
            let goal = wanted(&network, &cards);
            for step in steps(&made, &goal, &cards).into_iter().flat_map(|(_, steps)| steps) {
                match step {
                    Step::Up(_) | Step::Gateway(..) => {}
                    Step::AddVlan { card, id } => prop_assert!(vlans.insert(vlan_name(&card, id))),
                    Step::DeleteVlan(name) => {
                        prop_assert!(vlans.remove(&name));
                        address.remove(&name);
                    }
                    Step::Ask(name) => prop_assert!(asking.insert(name)),
                    Step::AskNoMore(name) => prop_assert!(asking.remove(&name)),
                    Step::Clear(name) => drop(address.remove(&name)),
                    Step::Give(name, given, _) => prop_assert!(address.insert(name, given).is_none()),
                }
            }
            let of = |wanted: fn(&Role) -> bool| goal.iter().filter(move |(_, i)| wanted(&i.role)).map(|(name, _)| name.clone());
            prop_assert!(asking.iter().cloned().eq(of(|role| *role == Role::Dhcp)));
            let has_fixed = address.keys().cloned().eq(of(|role| matches!(role, Role::Fixed { .. })));
            prop_assert!(has_fixed);
            prop_assert!(vlans.iter().eq(goal.iter().filter(|(_, i)| i.vlan.is_some()).map(|(name, _)| name)));
            prop_assert_eq!(steps(&goal, &goal, &cards), vec![]);
            (made, there) = (goal, cards);
        }
    }
}
