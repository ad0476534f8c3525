//! Random histories: whatever happens, order holds, bounds hold, and everything ends settled.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use proptest::prelude::*;
use wagate_policy::delivery::{Failure, Mode, Settings, Verdict};

use crate::sim::{Answer, Request, Sim};

/// Lanes that draw errors, or refusals, whatever happens.
const POISON: u64 = 0;
const REFUSED: u64 = 1;

#[derive(Debug, Clone, Copy)]
enum Weather {
    Fine,
    /// Each answer is of any class.
    Mixed,
    All(Verdict),
}

#[derive(Debug, Clone)]
enum Step {
    Append { lane: u64, count: u64 },
    Run { ms: u64 },
    Weather(Weather),
    Restart,
    ReadsFail(bool),
    ReadTime { ms: u64 },
    RetryDead,
    Switch,
    WorksAgain,
    Abandon,
}

fn failure() -> impl Strategy<Value = Failure> {
    prop_oneof![Just(Failure::NotSent), Just(Failure::Unknown), Just(Failure::Busy), Just(Failure::Server)]
}

fn verdict() -> impl Strategy<Value = Verdict> {
    let retry_after =
        prop_oneof![3 => Just(None), 1 => (0..40_u64).prop_map(|s| Some(Duration::from_secs(s)))];
    prop_oneof![
        4 => (failure(), retry_after).prop_map(|(failure, retry_after)| Verdict::Retry { failure, retry_after }),
        1 => Just(Verdict::Unauthorized),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..12_u64, 1..40_u64).prop_map(|(lane, count)| Step::Append { lane, count }),
        6 => prop_oneof![0..50_u64, 0..5_000_u64, 0..100_000_u64].prop_map(|ms| Step::Run { ms }),
        2 => prop_oneof![
            Just(Weather::Fine), Just(Weather::Mixed), verdict().prop_map(Weather::All)
        ].prop_map(Step::Weather),
        1 => Just(Step::Restart),
        1 => any::<bool>().prop_map(Step::ReadsFail),
        1 => (0..20_u64).prop_map(|ms| Step::ReadTime { ms }),
        1 => Just(Step::RetryDead),
        2 => Just(Step::Switch),
        1 => Just(Step::WorksAgain),
        1 => Just(Step::Abandon),
    ]
}

fn settings() -> impl Strategy<Value = Settings> {
    let realtime = Just(Mode::Realtime);
    let batch = (1..20_usize, 1..100_u64)
        .prop_map(|(size, every)| Mode::Batch { every: Duration::from_secs(every), size });
    (prop_oneof![realtime, batch], 8..60_usize, 1..10_usize, 1..8_usize).prop_map(
        |(mode, window, share, in_flight)| {
            let mut settings = Settings::new(mode);
            settings.window_records = window;
            settings.lane_share = share;
            settings.in_flight = in_flight;
            settings.alone_for = Duration::from_secs(600);
            settings
        },
    )
}

fn judge(request: &Request<'_>, weather: Weather, die: u64) -> Answer {
    let verdict = match weather {
        Weather::All(verdict) => verdict,
        Weather::Mixed if die.is_multiple_of(3) => {
            let retry = |failure| Verdict::Retry { failure, retry_after: None };
            match (die / 3) % 7 {
                0 => retry(Failure::NotSent),
                1 => retry(Failure::Unknown),
                2 => retry(Failure::Busy),
                3 => retry(Failure::Server),
                4 => Verdict::Unauthorized,
                5 => Verdict::Refused,
                _ => {
                    Verdict::Retry { failure: Failure::Busy, retry_after: Some(Duration::from_secs(die % 9)) }
                }
            }
        }
        Weather::Fine | Weather::Mixed if request.holds_lane(REFUSED) => Verdict::Refused,
        Weather::Fine | Weather::Mixed if request.holds_lane(POISON) => {
            Verdict::Retry { failure: Failure::Server, retry_after: None }
        }
        Weather::Fine | Weather::Mixed => Verdict::Accepted,
    };
    let mut answer = Answer::new(1 + die % 40, verdict);
    if verdict == (Verdict::Retry { failure: Failure::Unknown, retry_after: None }) {
        answer.after = Duration::from_secs(30);
        // What is unanswered may have been taken.
        answer.accepted = die.is_multiple_of(2);
    }
    answer
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// The order of every lane, one job per lane, the bounds of the window, and nothing settled
    /// twice or sent after it was settled, are asserted inside the simulation.
    #[test]
    fn every_record_ends_settled(settings in settings(), steps in prop::collection::vec(step(), 1..60), seed: u64) {
        let weather = Rc::new(Cell::new(Weather::Fine));
        let sky = Rc::clone(&weather);
        let mut state = seed | 1;
        let mut sim = Sim::new(settings, move |request: &Request<'_>| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            judge(request, sky.get(), state >> 33)
        });
        for (n, step) in steps.into_iter().enumerate() {
            match step {
                Step::Append { lane, count } => for _ in 0..count { sim.append(lane); },
                Step::Run { ms } => sim.run(Duration::from_millis(ms)),
                Step::Weather(new) => weather.set(new),
                Step::Restart => sim.restart(n as u64),
                Step::ReadsFail(fail) => sim.reads_fail = fail,
                Step::ReadTime { ms } => sim.read_time = Duration::from_millis(ms),
                Step::RetryDead => if let Some(sequence) = sim.dead.keys().next().copied() {
                    sim.retry_dead(sequence);
                },
                Step::Switch => sim.switch(),
                Step::WorksAgain => sim.lanes.works_again(sim.now),
                Step::Abandon => sim.abandon(),
            }
        }
        weather.set(Weather::Fine);
        sim.reads_fail = false;
        // A quiet CRM gives nobody up: only while others get through, so somebody must write.
        let poisoned = sim.journal.values().filter(|lane| **lane == POISON).count();
        let hours = 1 + poisoned.min(40) / 4;
        for _ in 0..hours * 120 {
            sim.append(11);
            sim.run(Duration::from_secs(30));
        }
        sim.run(Duration::from_secs(300));
        let left: Vec<_> = sim.left();
        let stuck = left.iter().filter(|lane| **lane != POISON && **lane != REFUSED).count();
        prop_assert_eq!(stuck, 0, "left: {:?}", left);
        if poisoned <= 40 {
            prop_assert!(!left.contains(&POISON), "left: {:?}", left);
        }
    }
}
