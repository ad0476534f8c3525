//! The decisions by themselves.

use proptest::prelude::*;
use wagate_board::about::SlotState;
use wagate_board::slots::{ATTEMPTS, Note, SlotEnv, what_grub_does};
use wagate_board::{BootState, Code, SlotName};

const A: SlotName = SlotName::A;
const B: SlotName = SlotName::B;
const ALL: [bool; 2] = [true, true];

/// A box on version 2 in slot b, on trial, with version 1 behind it.
fn updated() -> BootState {
    let mut state = BootState::flashed("0.1.0");
    assert_eq!(state.begin_update(A), Ok(B));
    assert_eq!(state.next(), Some(A), "the slot that is being written isn't started");
    assert_eq!(state.activate(A, "0.2.0"), Ok(B));
    state
}

/// Starts the machine until it has written nothing and started the same slot twice; the slots that it started.
fn starts(state: &mut BootState, loadable: [bool; 2], count: usize) -> Vec<Option<SlotName>> {
    (0..count)
        .map(|_| {
            let start = what_grub_does(state, loadable);
            *state = start.state;
            start.slot
        })
        .collect()
}

#[test]
fn an_uncommitted_version_has_three_starts() {
    let mut state = updated();
    assert_eq!(starts(&mut state, ALL, 5), [Some(B), Some(B), Some(B), Some(A), Some(A)]);
    assert_eq!(state.why_running(A).unwrap().as_str(), Note::ATTEMPTS_SPENT);
}

#[test]
fn ten_power_cuts_leave_a_committed_box_on_its_version_and_write_nothing() {
    let mut state = updated();
    state = what_grub_does(&state, ALL).state;
    state.commit(B);
    for _ in 0..10 {
        let start = what_grub_does(&state, ALL);
        assert_eq!((start.slot, start.wrote, start.last_resort), (Some(B), false, false));
        assert_eq!(start.state, state);
    }
    assert_eq!(state.why_running(B), None);
}

#[test]
fn a_committed_slot_that_cannot_be_loaded_falls_back_in_the_same_run() {
    let mut state = updated();
    state = what_grub_does(&state, ALL).state;
    state.commit(B);
    let start = what_grub_does(&state, [true, false]);
    assert_eq!((start.slot, start.wrote), (Some(A), false));
    assert_eq!(state.why_running(A).unwrap().as_str(), Note::NOT_LOADABLE);
    // Junk on trial, too; it pays for it.
    let start = what_grub_does(&updated(), [true, false]);
    assert_eq!((start.slot, start.wrote, start.state.b.left), (Some(A), true, 2));
}

#[test]
fn what_is_given_up_is_taken_before_nothing_at_all() {
    let mut state = updated();
    starts(&mut state, ALL, 3);
    let start = what_grub_does(&state, [false, true]);
    assert_eq!((start.slot, start.wrote, start.last_resort), (Some(B), false, true));
    // It runs, so it may prove itself.
    assert_eq!(state.trust(B, B), SlotState::Trial);
    assert_eq!(state.trust(B, A), SlotState::Unusable);
    state.commit(B);
    assert_eq!(what_grub_does(&state, [true, true]).slot, Some(B));
}

#[test]
fn a_version_that_fails_is_given_up_and_a_committed_one_is_not() {
    let mut state = updated();
    state.give_up_running(B, Note::ROLLED_BACK).unwrap();
    assert_eq!(state.b, SlotEnv { ok: false, left: 0, version: Some("0.2.0".to_owned()) });
    assert_eq!(starts(&mut state, ALL, 2), [Some(A), Some(A)]);
    assert_eq!(state.why_running(A).unwrap().as_str(), Note::ROLLED_BACK);
    assert_eq!(state.give_up_running(A, "").unwrap_err().code, Code::Unsupported);
}

#[test]
fn the_only_version_is_never_given_up() {
    let mut state = updated();
    state.a = SlotEnv::default();
    let before = state.clone();
    assert_eq!(state.give_up_running(B, "").unwrap_err().code, Code::NothingThere);
    assert_eq!(state.hand_back(B).unwrap_err().code, Code::NothingThere);
    assert_eq!(state.prefer_other(B).unwrap_err().code, Code::NothingThere);
    assert_eq!(state, before);
}

#[test]
fn a_person_goes_back_and_forth_between_committed_versions_only() {
    let mut state = updated();
    assert_eq!(state.prefer_other(A).unwrap_err().code, Code::NothingThere, "nobody has proved version 2");
    state = what_grub_does(&state, ALL).state;
    state.commit(B);
    state.prefer_other(B).unwrap();
    assert_eq!(starts(&mut state, ALL, 2), [Some(A), Some(A)]);
    assert!(state.a.ok && state.b.ok);
    state.prefer_other(A).unwrap();
    assert_eq!(what_grub_does(&state, ALL).slot, Some(B));
    // From a version on trial it is a giving up.
    let mut state = updated();
    state.prefer_other(B).unwrap();
    assert_eq!((state.next(), state.trust(B, A)), (Some(A), SlotState::Unusable));
}

#[test]
fn two_versions_that_cannot_read_the_data_do_not_send_the_box_to_and_fro() {
    let mut state = updated();
    state = what_grub_does(&state, ALL).state;
    state.hand_back(B).unwrap();
    assert_eq!(state.b.left, 2, "it stays what it is");
    assert_eq!(what_grub_does(&state, ALL).slot, Some(A));
    assert_eq!(state.hand_back(A).unwrap_err().code, Code::NothingThere);
    // Nor does a slot that couldn't hand over because the other one can't be loaded.
    assert_eq!(state.hand_back(B).unwrap_err().code, Code::NothingThere);
    // What reads the data, or an empty data partition, ends it.
    let mut read = state.clone();
    read.forget_hand_back();
    assert!(read.hand_back(A).is_ok());
    state.request_reset().unwrap();
    assert!(state.reset && state.hand_back(A).is_ok());
}

#[test]
fn the_data_are_not_emptied_below_a_version_that_has_to_prove_itself() {
    // It waits for its first start, then it runs.
    let mut state = updated();
    assert_eq!(state.request_reset().unwrap_err().code, Code::Uncommitted);
    starts(&mut state, ALL, 1);
    assert_eq!(state.request_reset().unwrap_err().code, Code::Uncommitted);
    assert!(!state.reset);
    state.commit(B);
    state.request_reset().unwrap();
    assert!(state.reset);
}

#[test]
fn a_note_holds_for_the_start_that_it_is_of_and_not_for_ever() {
    // A version that gave itself up, and one that spent its starts.
    for spent in [false, true] {
        let mut state = updated();
        if spent {
            starts(&mut state, ALL, 3);
        } else {
            state.give_up_running(B, Note::ROLLED_BACK).unwrap();
        }
        assert_eq!(starts(&mut state, ALL, 2), [Some(A), Some(A)]);
        assert!(state.why_running(A).is_some(), "a start that came to nothing takes nothing away");
        state.note_was_shown(A);
        assert_eq!(starts(&mut state, ALL, 1), [Some(A)]);
        assert_eq!((state.why_running(A), state.trust(B, A)), (None, SlotState::Unusable));
    }
    // A person has asked for the other one, and this one is still there.
    let mut state = updated();
    state.commit(B);
    state.prefer_other(B).unwrap();
    let asked = state.clone();
    state.note_was_shown(B);
    assert_eq!(state, asked, "what is to come isn't forgotten");
    assert!(state.why_running(A).unwrap().is_expected());
    // One that can't be loaded is said again each time, and an update that waits is none of it.
    let mut state = updated();
    state.note_was_shown(A);
    assert_eq!(state, updated());
    state.commit(B);
    state.note_was_shown(A);
    assert_eq!(state.why_running(A).unwrap().as_str(), Note::NOT_LOADABLE);
    // On trial nothing is known yet.
    let mut state = updated();
    state.note = Note::new(Note::UNMOUNTABLE);
    state.note_was_shown(B);
    assert!(state.note.is_some());
}

#[test]
fn an_update_waits_for_the_commit_and_a_waiting_update_outlives_a_second_commit() {
    let mut state = updated();
    assert_eq!(state.begin_update(B).unwrap_err().code, Code::Uncommitted);
    state.commit(A);
    assert_eq!(state.next(), Some(B));
    assert_eq!(state.activate(A, "0.3.0").unwrap_err().code, Code::Busy, "nobody has emptied the slot");
    // Another one may take its place.
    assert_eq!(state.begin_update(A), Ok(B));
    assert_eq!(state.next(), Some(A));
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Begin,
    Activate,
    Commit,
    GiveUp,
    Prefer,
    HandBack,
    Forget,
    Reset,
    /// The machine starts, with these slots loadable as far as they hold anything.
    Start([bool; 2]),
}

fn step() -> impl Strategy<Value = Step> {
    let loads = prop_oneof![6 => Just(ALL), 1 => Just([true, false]), 1 => Just([false, true])];
    prop_oneof![
        3 => Just(Step::Begin),
        3 => Just(Step::Activate),
        2 => Just(Step::Commit),
        1 => Just(Step::GiveUp),
        1 => Just(Step::Prefer),
        1 => Just(Step::HandBack),
        1 => Just(Step::Forget),
        1 => Just(Step::Reset),
        6 => loads.prop_map(Step::Start),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn any_history_keeps_what_is_promised(steps in proptest::collection::vec(step(), 1..60)) {
        let mut state = BootState::flashed("0.1.0");
        let mut runs = A;
        // What is in the slots: whole, or (from `Begin` to `Activate`) half written.
        let mut whole = [true, false];
        let mut spent = 0;
        for step in steps {
            let before = state.clone();
            let other = runs.other();
            let place = usize::from(other == B);
            let done = match step {
                Step::Begin => state.begin_update(runs).map(|_| whole[place] = false),
                // The writer activates only what it has written.
                Step::Activate if !whole[place] && !state.slot(other).startable() && state.slot(runs).ok => {
                    whole[place] = true;
                    state.activate(runs, "0.2.0").map(|_| spent = 0)
                }
                Step::Activate => Ok(()),
                Step::Commit => { state.commit(runs); Ok(()) }
                Step::GiveUp => state.give_up_running(runs, "why"),
                Step::Prefer => state.prefer_other(runs),
                Step::HandBack => state.hand_back(runs),
                Step::Forget => { state.forget_hand_back(); state.note_was_shown(runs); Ok(()) }
                Step::Reset => state.request_reset(),
                Step::Start(loads) => {
                    let loadable = [loads[0] && whole[0], loads[1] && whole[1]];
                    let start = what_grub_does(&state, loadable);
                    prop_assert_eq!(start.slot.is_some(), loadable[0] || loadable[1], "one that can be loaded is started");
                    if let Some(slot) = start.slot {
                        prop_assert!(whole[usize::from(slot == B)], "half a slot");
                        let first = state.next().unwrap();
                        // Nobody is sent below a committed version without a reason.
                        if state.slot(first).ok && loadable[usize::from(first == B)] {
                            prop_assert_eq!(slot, first);
                            prop_assert!(!start.wrote);
                            prop_assert_eq!(&start.state, &state);
                        }
                        if !state.slot(slot).ok && !start.last_resort {
                            spent += 1;
                            prop_assert!(spent <= usize::from(ATTEMPTS), "an unproved version was started {spent} times");
                        }
                        runs = slot;
                    }
                    state = start.state;
                    Ok(())
                }
            };
            if done.is_err() {
                prop_assert_eq!(&state, &before, "a refusal changes nothing");
            }
            prop_assert!(state.next().is_some(), "no slot is trusted");
            if matches!(step, Step::Begin | Step::Activate) {
                prop_assert_eq!(state.slot(runs), before.slot(runs), "an update touches the slot that runs");
            }
        }
    }
}
