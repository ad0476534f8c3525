//! Random histories, and how they are cut down to what matters.

use wagate_outbox::Clear;

use crate::chance::Chance;
use crate::graph::{MOODS, Mood};

/// One thing that happens.
#[derive(Debug, Clone)]
pub(crate) enum Op {
    Enqueue {
        number: usize,
        contact: u128,
        priority: usize,
        kind: What,
        expires: Option<i64>,
        parts: usize,
    },
    /// A message to each of many people.
    Rush {
        number: usize,
        people: u128,
        priority: usize,
    },
    /// A call of before with the same key.
    Repeat {
        pick: usize,
        other_body: bool,
    },
    Cancel {
        pick: usize,
    },
    Resolve {
        pick: usize,
        word: usize,
    },
    Wrote {
        number: usize,
        contact: u128,
        ago: i64,
    },
    Consent {
        contact: u128,
        agreed: bool,
    },
    Marketing {
        contact: u128,
        stopped: bool,
    },
    UniqueLimit(Option<u64>),
    Throughput {
        number: usize,
        per_second: u32,
    },
    Account {
        usable: bool,
    },
    Resume,
    WayIsClear {
        number: usize,
        clear: Clear,
    },
    Pass {
        ms: i64,
    },
    /// The wall clock jumps.
    Jump {
        ms: i64,
    },
    Crash {
        off: i64,
        jump: i64,
        settings: usize,
    },
    /// What happens to the next transaction.
    Fate(Fate),
    Join {
        one: u128,
        other: u128,
    },
    Probe {
        number: usize,
        unsent: bool,
    },
    Mood(Mood),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    Free,
    Template,
    /// Free-form with a template to fall back on.
    Either,
    Mark,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It can't be made durable, and the program goes on.
    Refused,
    /// A crash before it is durable.
    Lost,
    /// A crash after it is durable, before anything is done about it.
    Kept,
    /// A crash after so many of its calls.
    Calls(usize),
}

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

pub(crate) fn random(seed: u64) -> Vec<Op> {
    let mut chance = Chance::of(seed, &[1]);
    let length = chance.span(10, 60);
    // Few people and numbers meet more often.
    let people = chance.span(1, 5);
    let numbers = chance.span(1, 3);
    (0..length).map(|_| op(&mut chance, numbers, people)).collect()
}

fn op(chance: &mut Chance, numbers: i64, people: i64) -> Op {
    let number = usize::try_from(chance.span(0, numbers - 1)).unwrap();
    let contact = u128::try_from(chance.span(1, people)).unwrap();
    let pick = usize::try_from(chance.below(1_000)).unwrap();
    match chance.below(100) {
        0..2 => Op::Rush {
            number,
            people: u128::from(chance.below(25)),
            priority: usize::try_from(chance.below(3)).unwrap(),
        },
        2..30 => Op::Enqueue {
            number,
            contact,
            priority: usize::try_from(chance.below(3)).unwrap(),
            kind: chance.pick(&[
                What::Free,
                What::Template,
                What::Template,
                What::Template,
                What::Either,
                What::Mark,
            ]),
            expires: chance.once_in(6).then(|| chance.pick(&[1, 5_000, 10 * MINUTE, 3 * HOUR, 3 * DAY])),
            parts: if chance.once_in(6) { usize::try_from(chance.span(2, 6)).unwrap() } else { 1 },
        },
        30..32 => Op::Repeat { pick, other_body: chance.once_in(3) },
        32..36 => Op::Cancel { pick },
        36..41 => Op::Resolve { pick, word: usize::try_from(chance.below(3)).unwrap() },
        41..48 => Op::Wrote {
            number,
            contact,
            ago: chance.pick(&[0, 0, 0, 5_000, 23 * HOUR + 59 * MINUTE, 2 * DAY]),
        },
        48..51 => Op::Consent { contact, agreed: !chance.once_in(3) },
        51..53 => Op::Marketing { contact, stopped: chance.once_in(2) },
        53..55 => Op::UniqueLimit(chance.pick(&[None, Some(1), Some(2), Some(3)])),
        55..56 => Op::Throughput { number, per_second: chance.pick(&[1, 3, 80]) },
        56..57 => Op::Account { usable: chance.once_in(2) },
        57..58 if chance.once_in(2) => {
            Op::WayIsClear { number, clear: chance.pick(&[Clear::Another, Clear::Again]) }
        }
        57..58 => Op::Resume,
        58..80 => Op::Pass {
            ms: match chance.below(12) {
                0..3 => chance.span(0, 100),
                3..5 => chance.span(100, 7_000),
                5..7 => chance.span(7_000, 70_000),
                7..9 => chance.span(MINUTE, HOUR),
                9 => chance.span(HOUR, DAY),
                10 => DAY + chance.span(-MINUTE, MINUTE),
                _ => chance.span(DAY, 2 * DAY),
            },
        },
        80..82 => Op::Jump { ms: jump(chance) },
        82..85 => Op::Crash {
            off: chance.pick(&[0, 10, 1_000, HOUR]),
            jump: if chance.once_in(4) { jump(chance) } else { 0 },
            settings: usize::try_from(chance.below(3)).unwrap(),
        },
        85..91 => Op::Fate(match chance.below(5) {
            0 => Fate::Refused,
            1 => Fate::Lost,
            2 => Fate::Kept,
            calls => Fate::Calls(usize::try_from(calls - 3).unwrap()),
        }),
        91..93 => {
            let other = u128::try_from(chance.span(1, people)).unwrap();
            Op::Join { one: contact, other }
        }
        93..95 => Op::Probe { number, unsent: chance.once_in(2) },
        _ => Op::Mood(chance.pick(&MOODS)),
    }
}

/// Never a jump that a start would believe: those are no jumps, as far as anybody can know.
fn jump(chance: &mut Chance) -> i64 {
    chance.pick(&[10 * 365 * DAY, 400 * DAY, 8 * DAY, -HOUR, -30 * DAY, -20 * 365 * DAY, 10 * 365 * DAY])
}

/// Leaves out whatever can be left out while `fails` still says that it fails.
pub(crate) fn shrink(mut ops: Vec<Op>, fails: impl Fn(&[Op]) -> bool) -> Vec<Op> {
    let mut chunk = ops.len().div_ceil(2);
    while chunk > 0 {
        let mut from = 0;
        let mut shorter = false;
        while from < ops.len() {
            let mut less = ops.clone();
            less.drain(from..(from + chunk).min(ops.len()));
            if fails(&less) {
                ops = less;
                shorter = true;
            } else {
                from += chunk;
            }
        }
        chunk = if chunk == 1 && shorter { 1 } else { chunk / 2 };
    }
    ops
}
