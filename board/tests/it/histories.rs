//! Lives of a box in memory: updates that are good, bad, or cut short, power cuts, roll-backs, junk in the block.

use proptest::prelude::*;
use wagate_board::SlotName;
use wagate_board::about::SlotState;
use wagate_board::memory::Trouble;
use wagate_board::slots::{ATTEMPTS, EnvFile};

use crate::common::*;

#[derive(Debug, Clone, Copy)]
enum Event {
    /// An update; the trouble hits this write of it.
    Install {
        trouble: Option<(u64, Trouble)>,
        seed: u64,
    },
    Commit,
    GiveUp,
    RollBack,
    HandBack,
    /// So many power cuts in a row, each right after the start.
    Cuts(u8),
    Spoil(EnvFile),
}

fn event() -> impl Strategy<Value = Event> {
    let trouble = prop_oneof![Just(Trouble::Fault), Just(Trouble::Cut), Just(Trouble::Garble)];
    let install = (proptest::option::of((0_u64..16, trouble)), any::<u64>());
    prop_oneof![
        5 => install.prop_map(|(trouble, seed)| Event::Install { trouble, seed }),
        4 => Just(Event::Commit),
        1 => Just(Event::GiveUp),
        1 => Just(Event::RollBack),
        1 => Just(Event::HandBack),
        4 => (1_u8..12).prop_map(Event::Cuts),
        1 => prop_oneof![Just(EnvFile::First), Just(EnvFile::Copy)].prop_map(Event::Spoil),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn a_box_starts_a_whole_version_whatever_happens_to_it(events in proptest::collection::vec(event(), 1..16)) {
        let rig = InMemory::new();
        // Version 0.1.0 is image 0, 0.2.0 is image 1, and so on.
        let mut inside = [vec![1_u8], vec![]];
        let (mut runs, mut latest, mut spent) = (SlotName::A, 1_u8, 0);
        let version = |number: u8| format!("0.{number}.0");
        let place = |slot: SlotName| usize::from(slot == SlotName::B);
        for event in events {
            let running = inside[place(runs)][0];
            let mut slots = rig.slots(runs, &version(running));
            let committed = slots.state().unwrap().trust(runs, runs) == SlotState::Committed;
            let mut starts = 1;
            match event {
                Event::Install { trouble, seed } => {
                    latest += 1;
                    let update = bundle(&version(latest), image(latest - 1));
                    if let Some((at, trouble)) = trouble {
                        rig.trouble_at(at, trouble, seed);
                    }
                    let done = install(&mut slots, &version(running), &update);
                    prop_assert!(committed || done.is_err(), "an uncommitted version took an update");
                    if committed {
                        // Where the trouble came first of all, what was there is there still.
                        inside[place(runs.other())].push(latest);
                        spent = 0;
                    }
                }
                Event::Commit => slots.commit().unwrap(),
                Event::GiveUp => drop(slots.give_up()),
                Event::RollBack => drop(slots.roll_back()),
                Event::HandBack => drop(slots.hand_back()),
                Event::Cuts(count) => starts = count,
                Event::Spoil(file) => {
                    rig.0.spoil_env(file, &[0xFF; 1024]);
                    // The copy doesn't know what GRUB has spent.
                    spent = 0;
                }
            }
            let cuts_only = matches!(event, Event::Cuts(_));
            let before = rig.writes();
            for _ in 0..starts {
                rig.power_on();
                let start = rig.0.start().unwrap();
                let slot = start.slot.unwrap();
                inside[place(slot)].retain(|inside| rig.holds(slot, image(inside - 1)));
                prop_assert_eq!(inside[place(slot)].len(), 1, "half a slot was started");
                if cuts_only && committed {
                    prop_assert_eq!(slot, runs, "a committed box left its version");
                    prop_assert!(!start.wrote, "GRUB spent an attempt of a committed box");
                }
                if !start.state.slot(slot).ok {
                    spent += 1;
                    prop_assert!(spent <= ATTEMPTS, "an unproved version was started {spent} times");
                }
                runs = if cuts_only && committed { runs } else { slot };
            }
            prop_assert!(!cuts_only || rig.writes() == before, "a start wrote something");
        }
    }
}
