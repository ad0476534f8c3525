//! When an attempt may begin, tried.

use proptest::prelude::*;

use super::*;

const LIMITED: Trouble = Trouble::Limited(None);

fn at(seconds: u64) -> Moment {
    Moment::after_start(Duration::from_secs(seconds))
}

fn pace() -> Pace {
    Pace::new(Kept::default(), WallTime(0), Moment::START, Chance::new(7))
}

fn begin(pace: &mut Pace, now: Moment) -> bool {
    pace.begin(Urgency::Calm, WallTime(0), now)
}

/// Seconds until the next attempt may begin.
fn left(pace: &Pace, now: Moment) -> u64 {
    pace.earliest().unwrap().since(now).as_secs()
}

#[test]
fn the_first_attempt_comes_at_once_and_one_at_a_time() {
    let mut pace = pace();
    assert_eq!(pace.earliest(), Some(Moment::START));
    assert!(begin(&mut pace, Moment::START));
    assert_eq!(pace.earliest(), None);
    let died = Pace::new(pace.kept().clone(), WallTime(0), Moment::START, Chance::new(7));
    assert!((MINUTE..=2 * MINUTE).contains(&left(&died, Moment::START)), "a process that dies of it");
    assert!(!begin(&mut pace, at(100_000)), "one is on its way");
    pace.succeeded(Duration::from_secs(90 * 24 * HOUR), WallTime(0), at(1));
    assert_eq!(left(&pace, at(1)), 48 * HOUR, "a clock that is wrong gets one certificate, not many");
}

#[test]
fn waits_grow_by_what_went_wrong_and_shrink_with_the_time_that_is_left() {
    for (trouble, urgency, first, most) in [
        (Trouble::Unreachable, Urgency::Calm, MINUTE, 4 * HOUR),
        (Trouble::Unreachable, Urgency::Near, MINUTE, 30 * MINUTE),
        (Trouble::Local, Urgency::Over, MINUTE, 10 * MINUTE),
        (Trouble::Refused, Urgency::Calm, 15 * MINUTE, 6 * HOUR),
        (LIMITED, Urgency::Near, 15 * MINUTE, HOUR),
        (Trouble::Refused, Urgency::Over, 15 * MINUTE, HOUR),
    ] {
        let mut pace = pace();
        let mut waits = Vec::new();
        for _ in 0..20 {
            let now = pace.earliest().unwrap();
            assert!(begin(&mut pace, now));
            pace.failed(trouble, urgency, WallTime(0), now);
            waits.push(left(&pace, now));
        }
        assert!((first..=2 * first).contains(&waits[0]), "{trouble:?} {urgency:?}: {waits:?}");
        let longest = waits.iter().max().unwrap();
        assert!((most / 2..=most).contains(longest), "{trouble:?} {urgency:?}: {waits:?}");
    }
}

#[test]
fn what_the_authority_asks_for_is_kept_to_and_nobody_waives_it() {
    for (asked, low, high) in [(1, 60, 66), (3_600, 3_600, 3_960), (u64::MAX, 12 * HOUR, 12 * HOUR * 11 / 10)]
    {
        let mut pace = pace();
        assert!(begin(&mut pace, Moment::START));
        let asked = Trouble::Limited(Some(Duration::from_secs(asked)));
        pace.failed(asked, Urgency::Over, WallTime(0), Moment::START);
        pace.asked(at(1));
        pace.clock_stepped(at(1));
        assert!((low..=high).contains(&left(&pace, Moment::START)), "{asked:?}");
    }
}

#[test]
fn a_person_and_a_clock_that_was_set_are_heard_within_bounds() {
    for (trouble, by_clock, by_person) in
        [(Trouble::Unreachable, true, true), (Trouble::Refused, false, true), (Trouble::Local, false, true)]
    {
        let tried = |waive: fn(&mut Pace, Moment)| {
            let mut pace = pace();
            assert!(begin(&mut pace, Moment::START));
            pace.failed(trouble, Urgency::Calm, WallTime(0), Moment::START);
            waive(&mut pace, at(10));
            begin(&mut pace, at(10))
        };
        assert_eq!(tried(Pace::clock_stepped), by_clock, "{trouble:?}");
        assert_eq!(tried(Pace::asked), by_person, "{trouble:?}");
    }
    let mut pace = pace();
    assert!(begin(&mut pace, Moment::START));
    pace.succeeded(Duration::from_secs(90 * 24 * HOUR), WallTime(0), at(1));
    pace.asked(at(100));
    pace.clock_stepped(at(100));
    assert!(!begin(&mut pace, at(100)), "nothing is renewed because somebody looks");
    pace.other_names(at(100));
    assert!(begin(&mut pace, at(100)));
}

#[test]
fn a_restart_goes_on_where_it_was() {
    let mut before = pace();
    for second in [0, 100_000] {
        assert!(begin(&mut before, at(second)));
        before.failed(Trouble::Refused, Urgency::Calm, WallTime(5_000_000), at(second));
    }
    let kept = before.kept().clone();
    let wait = kept.wait;
    let text = serde_json::to_string(&kept).unwrap();
    assert_eq!(serde_json::from_str::<Kept>(&text).unwrap(), kept);
    let again = |wall: i64| {
        let pace = Pace::new(kept.clone(), WallTime(wall), Moment::START, Chance::new(1));
        assert_eq!(pace.failures(), 2);
        pace.earliest().unwrap().since(Moment::START)
    };
    assert_eq!(again(5_060_000), wait - Duration::from_secs(60));
    assert_eq!(again(0), wait, "the clock went back");
    assert_eq!(again(i64::MAX), Duration::ZERO, "it went far ahead");
    let spoilt = Kept { failures: 1, wait: Duration::MAX, ..Kept::default() };
    let pace = Pace::new(spoilt, WallTime(0), Moment::START, Chance::new(1));
    assert!(pace.earliest().unwrap().since(Moment::START) <= RETRY_AFTER_MAX / 10 * 11);
}

#[test]
fn what_is_lost_ends_the_rest_after_a_success_and_nothing_else() {
    let again = |kept: &Kept| {
        let mut pace = Pace::new(kept.clone(), WallTime(0), Moment::START, Chance::new(1));
        let before = left(&pace, Moment::START);
        pace.lost(Moment::START);
        (before, left(&pace, Moment::START))
    };
    let mut rested = pace();
    assert!(begin(&mut rested, Moment::START));
    rested.succeeded(Duration::from_secs(90 * 24 * HOUR), WallTime(0), Moment::START);
    assert_eq!(again(rested.kept()), (48 * HOUR, 0));
    for trouble in [Trouble::Unreachable, Trouble::Refused, LIMITED] {
        let mut failed = pace();
        assert!(begin(&mut failed, Moment::START));
        failed.failed(trouble, Urgency::Over, WallTime(0), Moment::START);
        let (before, after) = again(failed.kept());
        assert!(before > 0 && before == after, "{trouble:?}: {before} {after}");
    }
}

#[derive(Debug, Clone)]
enum Event {
    Pass(u64),
    Step,
    Asked,
    Names,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (0_u64..4_000).prop_map(Event::Pass),
        1 => Just(Event::Step),
        1 => Just(Event::Asked),
        1 => Just(Event::Names),
    ]
}

fn trouble() -> impl Strategy<Value = Trouble> {
    prop_oneof![
        Just(Trouble::Unreachable),
        Just(Trouble::Refused),
        Just(LIMITED),
        any::<u64>().prop_map(|seconds| Trouble::Limited(Some(Duration::from_secs(seconds)))),
        Just(Trouble::Local),
    ]
}

fn urgency() -> impl Strategy<Value = Urgency> {
    prop_oneof![Just(Urgency::Calm), Just(Urgency::Near), Just(Urgency::Over)]
}

proptest! {
    #[test]
    fn attempts_and_refusals_are_bounded_in_every_hour(
        events in proptest::collection::vec((event(), proptest::option::of(trouble()), urgency(), any::<i64>()), 1..200),
        seed: u64,
    ) {
        let mut pace = Pace::new(Kept::default(), WallTime(0), Moment::START, Chance::new(seed));
        let (mut now, mut begun, mut refused) = (0_u64, Vec::new(), Vec::new());
        for (event, became, urgency, wall) in events {
            match event {
                Event::Pass(seconds) => now += seconds,
                Event::Step => pace.clock_stepped(at(now)),
                Event::Asked => pace.asked(at(now)),
                Event::Names => pace.other_names(at(now)),
            }
            if begin(&mut pace, at(now)) {
                begun.push(now);
                prop_assert!(!begin(&mut pace, at(now)), "two at once");
                now += 1;
                match became {
                    None => pace.succeeded(Duration::from_secs(90 * 24 * HOUR), WallTime(wall), at(now)),
                    Some(trouble) => {
                        pace.failed(trouble, urgency, WallTime(wall), at(now));
                        if trouble == Trouble::Refused {
                            refused.push(now);
                        }
                    }
                }
            }
        }
        for (moments, bound) in [(&begun, ATTEMPTS_PER_HOUR), (&refused, REFUSALS_PER_HOUR)] {
            for first in 0..moments.len() {
                let within = moments[first..].iter().filter(|one| **one < moments[first] + HOUR).count();
                prop_assert!(within <= bound, "{within} within an hour: {moments:?}");
            }
        }
    }

    #[test]
    fn no_wait_is_longer_than_half_a_day_and_a_bit(
        troubles in proptest::collection::vec((trouble(), urgency()), 1..60), seed: u64, wall: i64,
    ) {
        let mut pace = Pace::new(Kept::default(), WallTime(wall), Moment::START, Chance::new(seed));
        for (trouble, urgency) in troubles {
            let now = pace.earliest().unwrap();
            prop_assert!(begin(&mut pace, now));
            pace.failed(trouble, urgency, WallTime(wall), now);
            let wait = pace.earliest().unwrap().since(now);
            prop_assert!(wait <= RETRY_AFTER_MAX / 10 * 11, "{wait:?}");
            let again = Pace::new(pace.kept().clone(), WallTime(wall), now, Chance::new(1));
            // By a clock that stands still all refusals were just now.
            let hour = now + Duration::from_secs(HOUR);
            prop_assert!(again.earliest().unwrap() <= pace.earliest().unwrap().max(hour));
        }
    }
}
