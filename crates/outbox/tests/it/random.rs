//! Thousands of random histories.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use model::Says;

use crate::graph::{Mood, fact};
use crate::history::{Op, random, shrink};
use crate::world::{Ask, Checked, DAY, NUMBERS, World};

/// So many histories, on a machine of any speed; `WAGATE_SEEDS` says how many instead.
const HISTORIES: u64 = 2_000;
const STORED_HISTORIES: u64 = 100;

pub(crate) fn history(seed: u64, ops: &[Op]) -> Checked {
    within(|| World::new(seed), ops)
}

fn within(world: impl Fn() -> World, ops: &[Op]) -> Checked {
    let run = || {
        let mut world = world();
        for op in ops {
            world.run(op)?;
        }
        quiet(&mut world)
    };
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        Err(text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default())
    })
}

/// Everything is well for long enough: all that can go goes.
fn quiet(world: &mut World) -> Checked {
    world.disk.be_safe();
    world.crash(0, 0, 0)?;
    world.mood = Mood::Well;
    world.happens(0, fact(None, None, Says::UniqueLimit(None)));
    world.happens(0, fact(None, None, Says::Account { usable: true, reason: String::new() }));
    for number in NUMBERS {
        world.happens(0, fact(Some(number), None, Says::Throughput(80)));
    }
    world.turn(&[Ask::Resume])?;
    world.audit_every = 300;
    world.pass(36 * DAY)?;
    crate::checks::end(world)
}

fn fails(seed: u64, ops: &[Op]) -> bool {
    history(seed, ops).is_err()
}

fn report(seed: u64, fault: &str) -> ! {
    let ops = shrink(random(seed), |ops| fails(seed, ops));
    println!("the shortest history that fails (WAGATE_TRACE=1 shows its calls):");
    let again = history(seed, &ops).err().unwrap_or_default();
    panic!("WAGATE_SEED={seed}: {fault}\nshorter: {again}\n{ops:#?}");
}

#[test]
fn nothing_is_exceeded_lost_or_sent_twice_in_any_history() {
    std::panic::set_hook(Box::new(|_| {}));
    let given: Option<u64> = std::env::var("WAGATE_SEED").ok().and_then(|seed| seed.parse().ok());
    let asked: Option<u64> = std::env::var("WAGATE_SEEDS").ok().and_then(|most| most.parse().ok());
    let began = Instant::now();
    let mut count = 0;
    let most = asked.unwrap_or(HISTORIES);
    for seed in given.map_or_else(|| (1..=most).collect::<Vec<u64>>(), |seed| vec![seed]) {
        if let Err(fault) = history(seed, &random(seed)) {
            _ = std::panic::take_hook();
            report(seed, &fault);
        }
        count += 1;
    }
    _ = std::panic::take_hook();
    println!("{count} histories in {:?}", began.elapsed());
}

/// The same on the real store, whose power is cut at any operation of its disk.
#[test]
fn nothing_is_exceeded_lost_or_sent_twice_when_the_power_is_cut() {
    let given: Option<u64> = std::env::var("WAGATE_SEED").ok().and_then(|seed| seed.parse().ok());
    let began = Instant::now();
    let mut count = 0;
    for seed in given.map_or_else(|| (1..=STORED_HISTORIES).collect::<Vec<u64>>(), |seed| vec![seed]) {
        if let Err(fault) = within(|| World::stored(seed), &random(seed)) {
            panic!("WAGATE_SEED={seed}: {fault}");
        }
        count += 1;
    }
    println!("{count} histories in {:?}", began.elapsed());
}
