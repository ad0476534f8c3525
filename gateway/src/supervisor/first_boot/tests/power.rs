//! The power is cut at every operation; the next start ends with the configuration in force and nothing left behind.

use super::recorder::{Chance, Op, Recorder, replay};
use super::*;

/// What a machine is like before the start that is cut.
fn prepared(old: Option<&str>) -> Stage {
    let stage = Stage::new();
    if let Some(old) = old {
        put(&stage.card(), &good(old));
        stage.start();
    }
    put(&stage.card(), &good("new"));
    stage
}

/// The operations of a start, in the folders of `stage`.
fn recorded(stage: &Stage) -> Vec<Op> {
    let recorder = Recorder::default();
    stage.boot_with(recorder.clone()).configuration();
    recorder.0.lock().unwrap().clone()
}

fn at_home(stage: &Stage) -> &Path {
    stage.folder.path()
}

/// What holds at any moment: a configuration is in force whole or not at all.
fn nothing_by_halves(stage: &Stage, old: Option<&str>, when: &str) {
    match stage.in_force() {
        None => assert_eq!(old, None, "the old one is lost: {when}"),
        Some(files) => {
            let whole = files == good("new") || old.is_some_and(|old| files == good(old));
            assert!(whole, "half a configuration: {when}: {:?}", files.keys());
        }
    }
}

/// What holds after the next start.
fn all_is_well(stage: &Stage, when: &str) {
    assert_eq!(stage.start(), None, "{when}");
    assert_eq!(stage.in_force(), Some(good("new")), "{when}");
    assert!(
        !holds_secrets(&stage.card()),
        "secrets are left on the card: {when}: {:?}",
        names(&stage.card())
    );
    assert!(stage.kept().iter().all(|name| !name.ends_with(".tmp")), "{when}: {:?}", stage.kept());
    // Whatever was left is gone for good.
    let kept = stage.kept();
    assert_eq!(stage.start(), None, "{when}");
    assert_eq!(stage.kept(), kept, "taken twice: {when}");
}

#[test]
fn a_power_cut_at_any_operation_costs_nothing() {
    for old in [None, Some("old")] {
        let original = prepared(old);
        let ops = recorded(&original);
        assert!(ops.len() > 20, "a start does a lot: {ops:?}");
        all_is_well(&original, "uncut");
        let mut chance = Chance(7);
        for cut in 0..=ops.len() {
            for trial in 0..6 {
                let stage = prepared(old);
                let moved: Vec<Op> =
                    ops.iter().map(|op| op.moved(at_home(&original), at_home(&stage))).collect();
                replay(&moved, cut, trial == 0, &mut chance);
                let when = format!("old: {old:?}, cut at {cut} ({:?}), trial {trial}", ops.get(cut));
                nothing_by_halves(&stage, old, &when);
                all_is_well(&stage, &when);
            }
        }
    }
}

#[test]
fn a_second_power_cut_in_the_start_after_the_first_costs_nothing_either() {
    let original = prepared(Some("old"));
    let ops = recorded(&original);
    let mut chance = Chance(11);
    for trial in 0..100 {
        // The same first cut twice: once to see what the next start does, once to cut that, too.
        let (cut, seed) = (chance.below(ops.len() + 1), 1 + chance.below(1_000_000) as u64);
        let after_the_first = || {
            let stage = prepared(Some("old"));
            let moved: Vec<Op> = ops.iter().map(|op| op.moved(at_home(&original), at_home(&stage))).collect();
            replay(&moved, cut, false, &mut Chance(seed));
            stage
        };
        let seen = after_the_first();
        let second = recorded(&seen);
        let stage = after_the_first();
        let moved: Vec<Op> = second.iter().map(|op| op.moved(at_home(&seen), at_home(&stage))).collect();
        let again = chance.below(second.len() + 1);
        replay(&moved, again, false, &mut chance);
        let when = format!(
            "trial {trial}: cut at {cut} ({:?}), then at {again} ({:?})",
            ops.get(cut),
            second.get(again)
        );
        nothing_by_halves(&stage, Some("old"), &when);
        all_is_well(&stage, &when);
    }
}
