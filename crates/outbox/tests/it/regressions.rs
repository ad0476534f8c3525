//! Histories that the random ones have found, cut down to what mattered.

use crate::history::{Fate, Op, What};
use crate::random::history;

const YEARS: i64 = 20 * 365 * 24 * 3_600_000;

fn queue(kind: What) -> Op {
    Op::Enqueue { number: 0, contact: 1, priority: 0, kind, expires: None, parts: 1 }
}

fn holds(ops: &[Op]) {
    for seed in 1..=5 {
        assert_eq!(history(seed, ops), Ok(()), "seed {seed}");
    }
}

/// The start that ended the mark forgot to count it down.
#[test]
fn a_mark_that_a_crash_cut_off_isnt_open_any_more() {
    holds(&[Op::Pass { ms: 3_000 }, Op::Fate(Fate::Calls(0)), queue(What::Mark)]);
}

/// The first signed time put the clock right by twenty years, and the message was given up.
#[test]
fn a_box_that_starts_in_the_past_gives_up_nothing_when_it_hears_the_time() {
    holds(&[Op::Crash { off: 10, jump: -YEARS, settings: 0 }, queue(What::Template)]);
}

/// The answer to its key was forgotten, too.
#[test]
fn and_forgets_nothing() {
    holds(&[
        Op::Crash { off: 10, jump: -YEARS, settings: 0 },
        queue(What::Template),
        Op::Pass { ms: 60_000 },
        Op::Wrote { number: 0, contact: 2, ago: 0 },
        Op::Repeat { pick: 0, other_body: false },
        Op::Repeat { pick: 0, other_body: true },
    ]);
}

/// Its timer was due while it was being posted, and it never ended.
#[test]
fn what_expires_under_way_ends() {
    let expires = Some(1);
    let mark = Op::Enqueue { number: 0, contact: 1, priority: 0, kind: What::Mark, expires, parts: 1 };
    for mood in crate::graph::MOODS {
        holds(&[Op::Pass { ms: 3_000 }, Op::Mood(mood), mark.clone(), Op::Pass { ms: 70_000 }]);
    }
}

/// Both names had messages waiting when they turned out to be one person's.
#[test]
fn two_names_of_one_person_are_posted_to_one_after_another() {
    let other =
        Op::Enqueue { number: 0, contact: 2, priority: 0, kind: What::Template, expires: None, parts: 1 };
    let join = Op::Join { one: 1, other: 2 };
    for mark in [What::Mark, What::Template] {
        let pass = Op::Pass { ms: 100_000 };
        holds(&[queue(mark), other.clone(), join.clone(), Op::Pass { ms: 3_000 }, queue(mark), pass]);
    }
}

/// What was carried and not yet written down came again in another order.
#[test]
fn a_crash_after_statuses_that_were_carried_changes_nothing() {
    let crash = Op::Crash { off: 10, jump: 0, settings: 0 };
    let pass = |ms| Op::Pass { ms };
    holds(&[pass(3_000), queue(What::Template), pass(10_000), crash.clone(), pass(40_000), crash, pass(1)]);
}
