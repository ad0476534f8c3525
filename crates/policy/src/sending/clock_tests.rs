//! What the clock believes, and how far.

use proptest::prelude::*;

use super::*;

/// 2026-11-20T00:00:00Z.
const T: i64 = 1_795_132_800_000;
const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

fn at(wall_ms: i64, mono_ms: i64) -> Reading {
    Reading { wall_ms, mono_ms: u64::try_from(mono_ms).unwrap() }
}

fn started(last_known: Option<i64>, wall: i64) -> Clock {
    Clock::start(last_known, at(wall, 0), BELIEVED_AHEAD_MS)
}

#[test]
fn a_start_believes_a_wall_clock_that_can_be_right() {
    for (last_known, wall, now, trusted) in [
        (None, T, T, true),
        (None, 5_000, 5_000, false),
        (None, i64::MAX, LATEST_MS, false),
        (Some(T), T + 7 * DAY, T + 7 * DAY, true),
        (Some(T), T + 7 * DAY + 1, T, false),
        (Some(T), T - 30_000, T, true),
        (Some(T), T - HOUR, T, false),
        (Some(T), 0, T, false),
    ] {
        let mut clock = started(last_known, wall);
        assert_eq!(clock.now_ms(at(wall, 0)), now, "{last_known:?} {wall}");
        assert_eq!(clock.is_trusted(), trusted, "{last_known:?} {wall}");
    }
}

#[test]
fn a_jump_ahead_waits_for_a_signed_time() {
    let mut clock = started(None, T);
    assert_eq!(clock.now_ms(at(T + 30 * DAY, 1_000)), T + 1_000);
    assert!(!clock.is_trusted());
    // An event of the old days doesn't speak for the new ones.
    clock.heard(T + 1_500, at(T + 30 * DAY + 1_000, 2_000));
    assert_eq!(clock.now_ms(at(T + 30 * DAY + 1_000, 2_000)), T + 2_000);
    clock.heard(T + 30 * DAY - 60_000, at(T + 30 * DAY + 2_000, 3_000));
    assert_eq!(clock.now_ms(at(T + 30 * DAY + 2_000, 3_000)), T + 30 * DAY + 2_000);
    assert!(clock.is_trusted());
}

#[test]
fn a_jump_back_goes_on_by_the_monotonic_clock_until_the_wall_clock_is_back() {
    let mut clock = started(None, T);
    assert_eq!(clock.now_ms(at(T - DAY, HOUR)), T + HOUR);
    assert!(!clock.is_trusted());
    assert_eq!(clock.now_ms(at(T - DAY + HOUR, 2 * HOUR)), T + 2 * HOUR);
    assert_eq!(clock.now_ms(at(T + 3 * HOUR, 3 * HOUR)), T + 3 * HOUR);
    assert!(clock.is_trusted());
}

#[test]
fn a_wall_clock_a_little_behind_is_waited_for_at_half_speed() {
    let mut clock = started(None, T);
    // Read a thousand times a second: no half is lost.
    for ms in 1..=50_000 {
        clock.now_ms(at(T - 20_000 + ms, ms));
        assert!(clock.is_trusted());
        if ms == 20_000 {
            assert_eq!(clock.now_ms(at(T, ms)), T + 10_000);
        }
    }
    assert_eq!(clock.now_ms(at(T + 30_000, 50_000)), T + 30_000);
}

#[test]
fn a_now_that_ran_ahead_comes_back_together_with_a_confirmed_wall_clock() {
    let mut clock = started(None, T);
    // The wall clock is 5 minutes late, as Meta's webhook shows.
    clock.heard(T + 300_000, at(T, 0));
    assert!(clock.is_trusted());
    for minute in 1..=20 {
        clock.now_ms(at(T + minute * 60_000, minute * 60_000));
        assert!(clock.is_trusted(), "{minute}");
    }
    assert_eq!(clock.now_ms(at(T + 20 * 60_000, 20 * 60_000)), T + 20 * 60_000);
}

#[test]
fn a_box_without_an_idea_of_the_time_takes_it_from_meta() {
    let mut clock = started(None, 0);
    clock.heard(T, at(1_000, 1_000));
    assert_eq!(clock.now_ms(at(2_000, 2_000)), T + 1_000);
    assert!(!clock.is_trusted(), "its own clock is still in 1970");
    clock.heard(T + 4_000, at(T + 5_000, 5_000));
    assert!(clock.is_trusted());
}

#[test]
fn time_servers_give_a_new_box_its_time_and_an_old_one_a_week_once() {
    let told = |last_known: Option<i64>, wall: i64, ahead: &[i64]| {
        let mut clock = started(last_known, wall);
        let mut wall = wall;
        for ahead in ahead {
            wall += ahead;
            clock.agreed(wall, at(wall, 0));
        }
        (clock.now_ms(at(wall, 0)) - last_known.unwrap_or(T), clock.is_trusted())
    };
    // Flashed a year after it was built, and never set: whatever they say, but only once.
    assert_eq!(told(None, T, &[365 * DAY]), (365 * DAY, true));
    assert_eq!(told(None, T, &[365 * DAY, DAY]), (365 * DAY, false));
    assert_eq!(told(None, 0, &[T]), (0, true));
    // Off for so long, without a battery: the wall clock is the last known time.
    assert_eq!(told(Some(T), T, &[7 * DAY]), (7 * DAY, true));
    assert_eq!(told(Some(T), T, &[7 * DAY + 1]), (0, false));
    assert_eq!(told(Some(T), T, &[4 * DAY, 4 * DAY]), (4 * DAY, false));
    // What the start has believed already isn't believed once more.
    assert_eq!(told(Some(T), T + 5 * DAY, &[2 * DAY]), (7 * DAY, true));
    assert_eq!(told(Some(T), T + 5 * DAY, &[3 * DAY]), (5 * DAY, false));
    // Back by less than a day it is waited for.
    assert_eq!(told(Some(T), T, &[-23 * HOUR]), (0, true));
    assert_eq!(told(Some(T), T, &[-25 * HOUR]), (0, false));
}

#[test]
fn time_servers_do_not_stand_against_what_is_proved() {
    let mut clock = started(Some(T), T);
    clock.heard(T + HOUR, at(T, 0));
    assert_eq!(clock.proved_ms(at(T, 60_000)), Some(T + HOUR + 60_000));
    clock.agreed(T, at(T, 0));
    assert!(!clock.is_trusted(), "they are an hour late");
    clock.agreed(T + HOUR, at(T + HOUR, 0));
    assert!(clock.is_trusted());
    assert_eq!(clock.now_ms(at(T + HOUR, 0)), T + HOUR);
    // A word about another time than the wall clock's is none about the wall clock.
    let mut clock = started(Some(T), T + 30 * DAY);
    clock.agreed(T, at(T + 30 * DAY, 0));
    assert!(!clock.is_trusted());
}

#[test]
fn an_absurd_signed_time_moves_nothing() {
    for signed in [i64::MAX, LATEST_MS + 1, T + FLOOR_MS + 1, i64::MIN, 0] {
        let mut clock = started(None, T);
        clock.heard(signed, at(T, 0));
        assert_eq!(clock.now_ms(at(T, 0)), T, "{signed}");
        let mut unset = started(None, 0);
        unset.heard(signed, at(0, 0));
        assert!(unset.now_ms(at(0, 0)) <= LATEST_MS, "{signed}");
    }
}

#[test]
fn many_small_steps_gain_no_more_than_one_large_one() {
    let mut clock = started(None, T);
    let mut wall = T;
    for second in 1..=3_600 {
        wall += 1_000 + 500;
        clock.now_ms(at(wall, second * 1_000));
    }
    let gained = clock.now_ms(at(wall, HOUR)) - (T + HOUR);
    assert!(gained <= STEP_MS + HOUR / 100, "{gained}");
}

#[test]
fn a_wall_clock_that_stands_still_is_soon_left_behind() {
    let mut clock = started(None, T);
    let mut waited = 0;
    for second in 1..=3_600 {
        clock.now_ms(at(T, second * 1_000));
        waited += i64::from(clock.is_trusted());
    }
    // Half a second is lost in each second of trust, up to the step that is believed.
    assert!((60..=121).contains(&waited), "{waited}");
    assert!(clock.now_ms(at(T, HOUR)) >= T + HOUR - STEP_MS - 1_000);
}

#[test]
fn what_was_written_down_wrongly_is_not_taken_on() {
    for known in [i64::MIN, i64::MAX] {
        let mut clock = Clock::start(Some(known), at(T, 0), BELIEVED_AHEAD_MS);
        let first = clock.now_ms(at(T, 0));
        assert!((0..=LATEST_MS).contains(&first), "{known}");
        for wall in [i64::MIN, 0, i64::MAX] {
            assert!(clock.now_ms(Reading { wall_ms: wall, mono_ms: u64::MAX }) >= first);
        }
    }
}

#[derive(Debug, Clone)]
enum Step {
    Pass { ms: i64 },
    Jump { ms: i64 },
    Set { wall: i64 },
    Heard { off: i64 },
    Agreed { off: i64 },
    MonoBack,
}

fn step() -> impl Strategy<Value = Step> {
    let span = prop_oneof![-100..100_i64, -100_000..100_000_i64, -1_000 * DAY..1_000 * DAY];
    prop_oneof![
        6 => prop_oneof![0..5_i64, 0..100_000_i64, 0..DAY].prop_map(|ms| Step::Pass { ms }),
        3 => span.clone().prop_map(|ms| Step::Jump { ms }),
        1 => prop_oneof![any::<i64>(), Just(0)].prop_map(|wall| Step::Set { wall }),
        2 => span.clone().prop_map(|off| Step::Heard { off }),
        2 => span.prop_map(|off| Step::Agreed { off }),
        1 => Just(Step::MonoBack),
    ]
}

proptest! {
    #[test]
    fn now_never_goes_back_and_no_wall_clock_hurries_it(
        known in prop::option::of(0..LATEST_MS),
        wall in prop_oneof![any::<i64>(), T - DAY..T + DAY],
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let (mut wall, mut mono) = (wall, 1_000_000_i64);
        let mut clock = Clock::start(known, at(wall, mono), BELIEVED_AHEAD_MS);
        let mut last = clock.now_ms(at(wall, mono));
        let mut gained = 0;
        // Where nobody's word has moved it since.
        let (mut from, mut from_mono) = (last, mono);
        for step in steps {
            let mut word = false;
            match step {
                Step::Pass { ms } => {
                    mono += ms;
                    wall = wall.saturating_add(ms);
                }
                Step::Jump { ms } => wall = wall.saturating_add(ms),
                Step::Set { wall: set } => wall = set,
                Step::Heard { off } => {
                    let before = clock.now_ms(at(wall, mono));
                    let signed = wall.saturating_add(off);
                    clock.heard(signed, at(wall, mono));
                    let after = clock.now_ms(at(wall, mono));
                    prop_assert!(after <= before.max(signed.saturating_add(CONFIRMS_MS)));
                    prop_assert!(after <= LATEST_MS.max(before));
                    prop_assert!(before < BEGINNING_MS || after - before <= FLOOR_MS + CONFIRMS_MS);
                    word = true;
                }
                Step::Agreed { off } => {
                    let before = clock.now_ms(at(wall, mono));
                    clock.agreed(wall.saturating_add(off), at(wall, mono));
                    let after = clock.now_ms(at(wall, mono));
                    prop_assert!(after <= before.max(wall.min(LATEST_MS)));
                    gained += if known.is_some() && before >= BEGINNING_MS { after - before } else { 0 };
                    prop_assert!(gained <= BELIEVED_AHEAD_MS, "{}", gained);
                    word = true;
                }
                Step::MonoBack => {
                    let earlier = clock.now_ms(at(wall, mono - 500_000));
                    prop_assert!(earlier >= last);
                }
            }
            let now = clock.now_ms(at(wall, mono));
            prop_assert!(now >= last, "{} after {}", now, last);
            last = now;
            if word {
                (from, from_mono) = (now, mono);
            }
            let passed = mono - from_mono;
            prop_assert!(now - from <= passed + passed / 100 + STEP_MS + 1);
            if !clock.is_trusted() {
                continue;
            }
            prop_assert!(now - wall <= LEAD_MS + STEP_MS && now >= wall);
        }
    }

    #[test]
    fn an_honest_clock_is_followed(
        steps in prop::collection::vec((0..3_000_000_i64, -200..200_i64), 1..200),
    ) {
        let mut clock = started(Some(T - 3 * DAY), T);
        let mut mono = 0;
        for (ms, jitter) in steps {
            mono += ms;
            let wall = T + mono + jitter;
            let now = clock.now_ms(at(wall, mono));
            prop_assert!(clock.is_trusted());
            prop_assert!((0..=500).contains(&(now - wall)), "{}", now - wall);
        }
    }
}
