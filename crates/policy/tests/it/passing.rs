//! When a 5xx of the CRM speaks against its endpoint.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use proptest::prelude::*;
use wagate_policy::Moment;
use wagate_policy::delivery::{Failure, Mode, Passing, Settings, Verdict};
use wagate_policy::failover::{Answer as Said, Group, Settings as Health};

use crate::sim::{Answer, Request, Sim};

const OK: Verdict = Verdict::Accepted;
const ERROR: Verdict = retry(Failure::Server);
const POISON: u64 = 0;
const HOUR: u64 = 3_600;

const fn retry(failure: Failure) -> Verdict {
    Verdict::Retry { failure, retry_after: None }
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn the_first_error_after_good_traffic_is_chance_and_the_second_in_a_row_is_not() {
    let mut passing = Passing::default();
    assert!(passing.answered(&ERROR), "nothing has ever got through");
    for verdict in [OK, Verdict::Refused, Verdict::Unauthorized, retry(Failure::Busy)] {
        assert!(!passing.answered(&verdict), "{verdict:?}");
    }
    assert_eq!([ERROR; 3].map(|error| passing.answered(&error)), [false, true, true]);
    for failure in [Failure::NotSent, Failure::Unknown] {
        assert!(!passing.answered(&OK));
        assert!(passing.answered(&retry(failure)), "never chance");
        assert!(passing.answered(&ERROR), "nothing got through since the failure before");
    }
}

fn verdict() -> impl Strategy<Value = Verdict> {
    prop_oneof![
        Just(OK),
        Just(ERROR),
        Just(retry(Failure::NotSent)),
        Just(retry(Failure::Unknown)),
        Just(retry(Failure::Busy)),
        Just(Verdict::Unauthorized),
        Just(Verdict::Refused),
    ]
}

proptest! {
    /// By the whole history, instead of by what is remembered of it.
    #[test]
    fn an_error_counts_unless_a_record_was_accepted_since_the_failure_before(
        verdicts in prop::collection::vec(verdict(), 1..40)
    ) {
        let mut passing = Passing::default();
        let failed = |verdict: &Verdict| {
            [ERROR, retry(Failure::NotSent), retry(Failure::Unknown)].contains(verdict)
        };
        for (place, verdict) in verdicts.iter().enumerate() {
            let before = verdicts[..place].iter().rposition(failed).map_or(0, |failure| failure + 1);
            let accepted = verdicts[before..place].contains(&OK);
            let expected = failed(verdict) && (*verdict != ERROR || !accepted);
            prop_assert_eq!(passing.answered(verdict), expected, "{} of {:?}", place, verdicts);
        }
    }
}

/// A primary whose answers are weighed as they come, and a backup.
struct Primary {
    group: Group,
    passing: Passing,
    /// When it was left.
    left: Option<Moment>,
}

impl Primary {
    fn watched() -> Rc<RefCell<Self>> {
        let group = Group::new(Health::default(), 2, Moment::START);
        Rc::new(RefCell::new(Self { group, passing: Passing::default(), left: None }))
    }

    fn answers(&mut self, now: Moment, verdict: Verdict) -> Answer {
        let call = self.group.begin(now, 0, true);
        let said = match (verdict, self.passing.answered(&verdict)) {
            (Verdict::Accepted, _) => Said::Good,
            (_, true) => Said::Failed,
            (_, false) => Said::Neutral,
        };
        self.group.ended(now, call, said);
        if self.group.active() != 0 {
            self.left.get_or_insert(now);
        }
        Answer::new(1, verdict)
    }
}

fn modes() -> [Mode; 2] {
    [Mode::Realtime, Mode::Batch { every: seconds(1), size: 20 }]
}

#[test]
fn who_answers_errors_to_everything_is_left_in_seconds_however_few_wait() {
    for mode in modes() {
        for lanes in [1, 2, 100] {
            let primary = Primary::watched();
            let seen = Rc::clone(&primary);
            let mut sim = Sim::new(Settings::new(mode), move |request: &Request<'_>| {
                seen.borrow_mut().answers(request.now, ERROR)
            });
            for lane in 0..lanes {
                sim.append(lane);
            }
            sim.run(seconds(20));
            let left = primary.borrow().left.expect("it is never left").since(Moment::START);
            // Three strikes that are half a second apart: none sooner.
            assert!(left >= seconds(1), "{mode:?} {lanes}: {left:?}");
            assert!(left <= seconds(15), "{mode:?} {lanes}: {left:?}");
        }
    }
}

#[test]
fn who_stops_taking_records_after_good_traffic_is_left_too() {
    for mode in modes() {
        let primary = Primary::watched();
        let seen = Rc::clone(&primary);
        let mut sim = Sim::new(Settings::new(mode), move |request: &Request<'_>| {
            let well = request.now < Moment::after_start(seconds(100));
            seen.borrow_mut().answers(request.now, if well { OK } else { ERROR })
        });
        for _ in 0..100 {
            sim.append(1);
            sim.run(seconds(1));
        }
        assert!(primary.borrow().left.is_none());
        sim.append(1);
        sim.run(seconds(20));
        assert!(primary.borrow().left.is_some(), "{mode:?}");
    }
}

#[test]
fn a_record_that_draws_errors_while_others_get_through_never_moves_anybody() {
    for mode in modes() {
        let primary = Primary::watched();
        let seen = Rc::clone(&primary);
        let mut sim = Sim::new(Settings::new(mode), move |request: &Request<'_>| {
            let verdict = if request.holds_lane(POISON) { ERROR } else { OK };
            seen.borrow_mut().answers(request.now, verdict)
        });
        for second in 0..HOUR {
            if second % 600 == 60 {
                sim.append(POISON);
            }
            sim.append(1 + second % 7);
            sim.append(8 + second % 5);
            sim.run(seconds(1));
        }
        assert_eq!(primary.borrow().left, None, "{mode:?}");
        assert!(sim.unsettled() >= 6, "the poison is still there, and was tried");
    }
}

#[test]
fn a_record_that_draws_errors_and_is_all_that_waits_does() {
    let primary = Primary::watched();
    let seen = Rc::clone(&primary);
    let mut sim = Sim::new(Settings::new(Mode::Realtime), move |request: &Request<'_>| {
        seen.borrow_mut().answers(request.now, ERROR)
    });
    sim.append(POISON);
    sim.run(seconds(20));
    assert!(primary.borrow().left.is_some(), "nothing gets through");
}
