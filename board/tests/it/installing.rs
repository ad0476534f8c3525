//! An update from the first byte to the commit, on both disks, with a fault or a power cut at every write of it.

use proptest::prelude::*;
use wagate_board::about::SlotState;
use wagate_board::memory::Trouble;
use wagate_board::slots::GrubSlots;
use wagate_board::{Code, SlotName};

use crate::common::*;

/// Runs the same tests over both disks.
macro_rules! on_both {
    ($($name:ident),* $(,)?) => {
        mod in_memory { $(#[test] fn $name() { super::$name::<crate::common::InMemory>(); })* }
        mod on_files { $(#[test] fn $name() { super::$name::<crate::common::OnFiles>(); })* }
    };
}

on_both!(
    a_good_update_is_tried_and_committed,
    what_goes_wrong_while_installing_costs_the_update_and_nothing_else,
    a_commit_that_is_cut_short_leaves_the_new_version_running,
    leaving_a_slot_can_be_cut_short_anywhere,
    a_refused_bundle_changes_nothing,
    a_bundle_that_is_too_short_or_too_long_is_never_started,
    an_uncommitted_version_takes_no_update,
);

fn trust<F: wagate_board::slots::Flash>(slots: &GrubSlots<F>, slot: SlotName) -> SlotState {
    slots.state().unwrap().trust(slot, slots.running())
}

fn a_good_update_is_tried_and_committed<R: Rig>() {
    let rig = R::new();
    let new = image(9);
    let mut slots = rig.slots(SlotName::A, "0.1.0");
    install(&mut slots, "0.1.0", &bundle("0.2.0", new)).unwrap();
    assert!(rig.holds(SlotName::B, new) && rig.holds(SlotName::A, image(0)));
    assert_eq!(rig.start(), Some(SlotName::B));
    let mut slots = rig.slots(SlotName::B, "0.2.0");
    let about = slots.about().unwrap();
    assert_eq!((about[1].state, about[1].attempts_left), (SlotState::Trial, 2));
    assert_eq!(about[1].version.as_deref(), Some("0.2.0"));
    assert_eq!(about[0].version.as_deref(), Some("0.1.0"));
    slots.commit().unwrap();
    let written = rig.writes();
    slots.commit().unwrap();
    assert_eq!(rig.writes(), written, "a commit of what is committed writes nothing");
    for _ in 0..10 {
        assert_eq!(rig.start(), Some(SlotName::B));
    }
    // And the same way back into slot a.
    let newer = image(77);
    install(&mut slots, "0.2.0", &bundle("0.3.0", newer)).unwrap();
    assert_eq!(rig.start(), Some(SlotName::A));
    assert!(rig.holds(SlotName::A, newer));
}

fn what_goes_wrong_while_installing_costs_the_update_and_nothing_else<R: Rig>() {
    let (old, new) = (image(0), image(9));
    let update = bundle("0.2.0", new);
    let rig = R::new();
    rig.furnish();
    let before = rig.writes();
    install(&mut rig.slots(SlotName::A, "0.1.0"), "0.1.0", &update).unwrap();
    let writes = rig.writes() - before;
    assert_eq!(
        writes, 12,
        "the block twice, zeros, three parts, the first sector, the block twice; and three syncs"
    );
    for at in 0..writes {
        for trouble in [Trouble::Fault, Trouble::Cut, Trouble::Garble] {
            for seed in 0..R::SEEDS {
                let rig = R::new();
                rig.furnish();
                let mut slots = rig.slots(SlotName::A, "0.1.0");
                rig.trouble_at(at, trouble, seed);
                let done = install(&mut slots, "0.1.0", &update);
                let told = format!("{trouble:?} at write {at} of {writes}, seed {seed}: {done:?}");
                if trouble != Trouble::Cut {
                    // The machine goes on: nothing has changed, or all of it.
                    let next = slots.state().unwrap().next();
                    assert_eq!(next, Some(if done.is_ok() { SlotName::B } else { SlotName::A }), "{told}");
                }
                drop(slots);
                rig.power_on();
                let runs = rig.start().unwrap_or_else(|| panic!("nothing starts: {told}"));
                assert!(rig.holds(runs, if runs == SlotName::A { old } else { new }), "{told}");
                let whole = rig.holds(SlotName::B, new) || rig.holds(SlotName::B, image(200));
                assert!(whole || !rig.loadable(SlotName::B), "half a slot: {told}");
                assert!(done.is_err() || runs == SlotName::B, "{told}");
                // The next try goes through, from whichever side.
                let version = if runs == SlotName::A { "0.1.0" } else { "0.2.0" };
                let mut slots = rig.slots(runs, version);
                slots.commit().unwrap();
                let newer = image(77);
                install(&mut slots, version, &bundle("0.3.0", newer)).unwrap();
                assert_eq!(rig.start(), Some(runs.other()), "{told}");
                assert!(rig.holds(runs.other(), newer), "{told}");
            }
        }
    }
}

/// A box that runs a version on trial in slot b, with the committed one in slot a.
fn on_trial<R: Rig>() -> R {
    let rig = R::new();
    install(&mut rig.slots(SlotName::A, "0.1.0"), "0.1.0", &bundle("0.2.0", image(9))).unwrap();
    assert_eq!(rig.start(), Some(SlotName::B));
    rig
}

fn a_commit_that_is_cut_short_leaves_the_new_version_running<R: Rig>() {
    for at in 0..2 {
        for trouble in [Trouble::Fault, Trouble::Cut, Trouble::Garble] {
            for seed in 0..R::SEEDS {
                let rig: R = on_trial();
                let mut slots = rig.slots(SlotName::B, "0.2.0");
                rig.trouble_at(at, trouble, seed);
                let committed = slots.commit();
                assert!(committed.is_err(), "a write went wrong: {trouble:?} at {at}");
                if trouble != Trouble::Cut {
                    assert_eq!(
                        trust(&slots, SlotName::B),
                        SlotState::Trial,
                        "and it is as if it was never asked for"
                    );
                    slots.commit().unwrap();
                }
                drop(slots);
                rig.power_on();
                assert_eq!(rig.start(), Some(SlotName::B), "{trouble:?} at {at}, seed {seed}");
            }
        }
    }
}

fn leaving_a_slot_can_be_cut_short_anywhere<R: Rig>() {
    type Leave<F> = fn(&mut GrubSlots<F>) -> Result<(), wagate_board::BoardError>;
    let ways: [(&str, Leave<R::Flash>); 3] = [
        ("give up", GrubSlots::give_up),
        ("roll back", GrubSlots::roll_back),
        ("hand back", GrubSlots::hand_back),
    ];
    for (name, leave) in ways {
        for at in 0..2 {
            for seed in 0..R::SEEDS {
                let rig: R = on_trial();
                let mut slots = rig.slots(SlotName::B, "0.2.0");
                rig.trouble_at(at, Trouble::Cut, seed);
                assert!(leave(&mut slots).is_err());
                drop(slots);
                rig.power_on();
                assert!(rig.start().is_some(), "{name} at {at}, seed {seed}");
            }
        }
        let rig: R = on_trial();
        leave(&mut rig.slots(SlotName::B, "0.2.0")).unwrap();
        assert_eq!(rig.start(), Some(SlotName::A), "{name}");
        assert!(rig.slots(SlotName::A, "0.1.0").why().is_some(), "{name}");
    }
}

fn a_refused_bundle_changes_nothing<R: Rig>() {
    let rig = R::new();
    let mut slots = rig.slots(SlotName::A, "0.1.0");
    let (new, before) = (image(9), rig.writes());
    let mut manifest = manifest("0.2.0", new);
    manifest.slot_bytes = ROOM as u64 + 1;
    let cases: [(Vec<u8>, Code); 4] = [
        (bundle("0.1.0", new), Code::Downgrade),
        (bundle_of(&manifest, new), Code::TooLarge),
        (b"WAGATEU".to_vec(), Code::NotABundle),
        (bundle("0.2.0", new)[..40].to_vec(), Code::NotABundle),
    ];
    for (bundle, code) in cases {
        assert_eq!(install(&mut slots, "0.1.0", &bundle).unwrap_err().code, code);
    }
    assert_eq!(rig.writes(), before, "not a byte is written for what is refused");
}

fn a_bundle_that_is_too_short_or_too_long_is_never_started<R: Rig>() {
    let new = image(9);
    let good = bundle("0.2.0", new);
    let mut flipped = good.clone();
    *flipped.last_mut().unwrap() ^= 1;
    let longer = [&good[..], b"x"].concat();
    for bad in [&good[..good.len() - 1], &good[..good.len() - IMAGE], &longer, &flipped] {
        let rig = R::new();
        let mut slots = rig.slots(SlotName::A, "0.1.0");
        assert_eq!(install(&mut slots, "0.1.0", bad).unwrap_err().code, Code::Damaged);
        assert!(!rig.loadable(SlotName::B));
        assert_eq!(trust(&slots, SlotName::B), SlotState::Unusable);
        assert_eq!(rig.start(), Some(SlotName::A));
    }
}

fn an_uncommitted_version_takes_no_update<R: Rig>() {
    let rig: R = on_trial();
    let mut slots = rig.slots(SlotName::B, "0.2.0");
    let before = rig.writes();
    let refused = install(&mut slots, "0.2.0", &bundle("0.3.0", image(77))).unwrap_err();
    assert_eq!((refused.code, rig.writes()), (Code::Uncommitted, before));
    assert!(rig.holds(SlotName::A, image(0)), "the version to fall back to is still there");
}

#[test]
fn the_running_slot_is_never_written_whatever_the_command_line_says() {
    let rig = OnFiles::new();
    // Somebody's `cmdline.txt` names the wrong slot: the kernel knows what `/` is on.
    let mut slots = rig.slots(SlotName::B, "0.1.0");
    slots.commit().unwrap();
    let refused = install(&mut slots, "0.1.0", &bundle("0.2.0", image(9))).unwrap_err();
    assert_eq!(refused.code, Code::Io);
    assert!(rig.holds(SlotName::A, image(0)));
}

#[test]
fn one_damaged_file_of_the_block_is_mended_from_the_other() {
    use wagate_board::slots::{EnvBlock, EnvFile, Flash as _};
    let junk: [Vec<u8>; 4] =
        [vec![0xFF; 1024], Vec::new(), b"# GRUB Environment Block\nORDER=B A\n".to_vec(), vec![0; 512]];
    for file in [EnvFile::First, EnvFile::Copy] {
        for bytes in &junk {
            let rig: InMemory = on_trial();
            rig.slots(SlotName::B, "0.2.0").commit().unwrap();
            let good = rig.flash().read_env(EnvFile::First).unwrap();
            rig.0.spoil_env(file, bytes);
            let mut slots = GrubSlots::new(rig.flash(), SlotName::B);
            assert_eq!(slots.mend("0.2.0"), Ok(true));
            assert_eq!(trust(&slots, SlotName::B), SlotState::Committed);
            for file in [EnvFile::First, EnvFile::Copy] {
                let now = rig.flash().read_env(file).unwrap();
                assert!(EnvBlock::is_whole(&now));
                assert_eq!(now, good);
            }
            let before = rig.writes();
            assert_eq!(slots.mend("0.2.0"), Ok(false));
            assert_eq!(rig.writes(), before, "a start in order writes nothing");
        }
    }
}

#[test]
fn a_copy_that_says_something_else_is_made_the_same() {
    use wagate_board::slots::{EnvBlock, EnvFile, Flash as _};
    let rig = InMemory::new();
    let mut slots = rig.slots(SlotName::A, "0.1.0");
    let good = rig.flash().read_env(EnvFile::First).unwrap();
    // The power went before the first file said it, too: it would come to pass with the first damage to that one.
    let mut state = slots.state().unwrap();
    state.request_reset().unwrap();
    rig.0.spoil_env(EnvFile::Copy, &EnvBlock::default().with(&state).encode());
    assert_eq!(slots.mend("0.1.0"), Ok(false));
    assert_eq!(rig.flash().read_env(EnvFile::Copy).unwrap(), good);
    let before = rig.writes();
    assert_eq!(slots.mend("0.1.0"), Ok(false));
    assert_eq!(rig.writes(), before);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Two things in a row go wrong, anywhere: a fault while installing, then the power.
    #[test]
    fn two_troubles_in_a_row_leave_a_slot_that_is_whole(
        at in 0_u64..18, then in 0_u64..12, seed: u64, garble: bool,
    ) {
        let rig = InMemory::new();
        let (old, new) = (image(0), image(9));
        let mut slots = rig.slots(SlotName::A, "0.1.0");
        rig.trouble_at(at, if garble { Trouble::Garble } else { Trouble::Fault }, seed);
        let _ = install(&mut slots, "0.1.0", &bundle("0.2.0", new));
        rig.trouble_at(then, Trouble::Cut, seed.rotate_left(17));
        let _ = install(&mut slots, "0.1.0", &bundle("0.2.0", new));
        rig.power_on();
        let runs = rig.start().unwrap();
        let whole = rig.holds(runs, if runs == SlotName::A { old } else { new });
        prop_assert!(whole, "half a slot");
    }
}
