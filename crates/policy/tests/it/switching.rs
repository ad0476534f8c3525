//! What becomes of lanes and gate when another endpoint takes over.

use std::time::Duration;

use wagate_policy::Moment;
use wagate_policy::delivery::{Access, Failure, Mode, Settings, TRIES, Verdict, Why};

use crate::sim::{Answer, Request, Sim};

const OK: Verdict = Verdict::Accepted;

const fn retry(failure: Failure) -> Verdict {
    Verdict::Retry { failure, retry_after: None }
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn realtime() -> Settings {
    Settings::new(Mode::Realtime)
}

/// The first endpoint answers so, the others take everything.
fn first(verdict: Verdict) -> impl FnMut(&Request<'_>) -> Answer {
    move |request| Answer::new(1, if request.switches == 0 { verdict } else { OK })
}

#[test]
fn another_endpoint_gets_everything_at_once_whatever_closed_the_gate() {
    let hours = Verdict::Retry { failure: Failure::Busy, retry_after: Some(seconds(3_600)) };
    for (verdict, why) in [
        (retry(Failure::NotSent), Why::Unreachable),
        (retry(Failure::Unknown), Why::Unreachable),
        (retry(Failure::Server), Why::Unreachable),
        (hours, Why::Throttled),
        (Verdict::Unauthorized, Why::Unauthorized),
    ] {
        for mode in [Mode::Realtime, Mode::Batch { every: seconds(900), size: 10 }] {
            let mut sim = Sim::new(Settings::new(mode), first(verdict));
            for n in 0..300 {
                sim.append(n % 100);
            }
            sim.run(seconds(100));
            let Access::Closed { why: closed, .. } = sim.lanes.access() else { panic!("{verdict:?}") };
            assert_eq!(closed, why);
            assert!(sim.accepted.is_empty());
            sim.switch();
            assert_eq!(sim.lanes.access(), Access::Open);
            sim.run(seconds(1));
            assert_eq!((sim.unsettled(), sim.repeats), (0, 0), "{verdict:?}");
        }
    }
}

#[test]
fn where_the_same_endpoint_works_again_a_trial_goes_at_once() {
    let back = Moment::after_start(seconds(200));
    for failure in [Failure::NotSent, Failure::Server] {
        let mut sim = Sim::new(realtime(), |request: &Request<'_>| {
            Answer::new(1, if request.now < back { retry(failure) } else { OK })
        });
        for lane in 0..300 {
            sim.append(lane);
        }
        sim.run(seconds(150));
        // Probes see what they want: as long as no record gets through it costs one request each time.
        let before = sim.requests.len();
        sim.lanes.works_again(sim.now);
        sim.run(Duration::from_millis(10));
        assert_eq!(sim.requests.len(), before + 1);
        assert!(matches!(sim.lanes.access(), Access::Closed { why: Why::Unreachable, .. }));
        sim.run(seconds(50));
        if sim.unsettled() > 0 {
            sim.lanes.works_again(sim.now);
            sim.run(seconds(1));
        }
        assert_eq!(sim.unsettled(), 0);
    }
    // A pause that was asked for, and a closed door, are nothing that a probe knows of.
    let hours = Verdict::Retry { failure: Failure::Busy, retry_after: Some(seconds(3_600)) };
    for verdict in [hours, Verdict::Unauthorized] {
        let mut sim = Sim::new(realtime(), first(verdict));
        sim.append(1);
        sim.run(seconds(1));
        let before = sim.requests.len();
        sim.lanes.works_again(sim.now);
        sim.run(seconds(10));
        assert_eq!(sim.requests.len(), before, "{verdict:?}");
    }
}

#[test]
fn lanes_that_sleep_before_an_open_gate_wake_too() {
    let mut sim = Sim::new(realtime(), |request: &Request<'_>| {
        let fine = request.now >= Moment::after_start(seconds(101));
        Answer::new(1, if fine { OK } else { retry(Failure::Server) })
    });
    sim.append(1);
    sim.run(seconds(101));
    assert_eq!(sim.lanes.access(), Access::Open, "one lane says nothing of the CRM");
    let asleep = sim.requests.len();
    sim.lanes.works_again(sim.now);
    sim.run(Duration::from_millis(10));
    assert_eq!((sim.requests.len(), sim.unsettled()), (asleep + 1, 0));
}

#[test]
fn what_an_endpoint_says_that_was_left_is_no_news() {
    let hour = Some(seconds(3_600));
    for late in [
        retry(Failure::NotSent),
        retry(Failure::Unknown),
        Verdict::Retry { failure: Failure::Server, retry_after: hour },
        Verdict::Unauthorized,
        Verdict::Refused,
    ] {
        let mut sim = Sim::new(realtime(), |request: &Request<'_>| {
            if request.switches == 0 { Answer::new(20_000, late) } else { Answer::new(1, OK) }
        });
        for lane in 0..8 {
            sim.append(lane);
        }
        sim.run(seconds(10));
        sim.switch();
        for lane in 0..16 {
            sim.append(lane);
        }
        sim.run(seconds(20));
        assert_eq!(sim.lanes.access(), Access::Open, "{late:?}");
        assert_eq!((sim.unsettled(), sim.dead.len(), sim.accepted.len()), (0, 0, 24), "{late:?}");
        assert_eq!(sim.requests.len(), 32, "each of the eight once more, at once");
    }
}

#[test]
fn what_an_endpoint_took_before_it_was_left_is_settled_and_opens_no_gate() {
    let mut sim = Sim::new(realtime(), |request: &Request<'_>| {
        if request.switches == 0 { Answer::new(5_000, OK) } else { Answer::new(1, retry(Failure::NotSent)) }
    });
    sim.append(1);
    sim.run(seconds(1));
    sim.switch();
    sim.append(2);
    sim.run(seconds(5));
    assert_eq!((sim.unsettled(), sim.repeats), (1, 0));
    assert!(matches!(sim.lanes.access(), Access::Closed { why: Why::Unreachable, .. }));
}

#[test]
fn a_refusal_by_an_endpoint_that_was_left_is_no_try() {
    let mut sim = Sim::new(realtime(), |request: &Request<'_>| {
        Answer::new(if request.switches == 0 { 2_000 } else { 1 }, Verdict::Refused)
    });
    sim.append(1);
    sim.run(seconds(1));
    sim.switch();
    sim.run(seconds(200));
    assert_eq!(sim.dead.len(), 1);
    assert_eq!(sim.requests.len(), 1 + usize::try_from(TRIES).unwrap());
}

#[test]
fn what_hangs_at_an_endpoint_that_was_left_can_be_given_up_and_goes_in_order() {
    for mode in [Mode::Realtime, Mode::Batch { every: seconds(1), size: 5 }] {
        let mut sim = Sim::new(Settings::new(mode), |request: &Request<'_>| {
            if request.switches > 0 {
                return Answer::new(1, OK);
            }
            // Taken at last, when nobody listens any more.
            Answer { accepted: true, ..Answer::new(30_000, retry(Failure::Unknown)) }
        });
        for n in 0..100 {
            sim.append(n % 20);
        }
        sim.run(seconds(5));
        sim.switch();
        sim.run(seconds(1));
        sim.abandon();
        sim.run(seconds(1));
        assert_eq!((sim.unsettled(), sim.accepted.len()), (0, 100));
        // Order, and that each late one is a repeat, are asserted by the simulation.
        sim.run(seconds(60));
        assert_eq!((sim.unsettled(), sim.accepted.len()), (0, 100));
        assert!(sim.repeats > 0);
    }
}

#[test]
fn an_outage_of_the_next_endpoint_is_seen_as_that_of_the_first_was() {
    let mut sim = Sim::new(realtime(), |_: &Request<'_>| Answer::new(1, retry(Failure::Server)));
    for lane in 0..3 {
        sim.append(lane);
    }
    sim.run(seconds(60));
    assert!(matches!(sim.lanes.access(), Access::Closed { .. }));
    sim.switch();
    let before = sim.requests.len();
    sim.run(Duration::from_millis(10));
    assert_eq!(sim.requests.len(), before + 3);
    assert!(matches!(sim.lanes.access(), Access::Closed { why: Why::Unreachable, failures: 1, .. }));
}

#[test]
fn the_hour_of_a_record_that_fails_alone_runs_on_but_not_without_two_words_of_the_new_endpoint() {
    let mut sim = Sim::new(realtime(), |request: &Request<'_>| {
        Answer::new(1, if request.records == [1] { retry(Failure::Server) } else { OK })
    });
    sim.append(1);
    for second in 0..3_590 {
        if second % 5 == 0 {
            sim.append(2);
        }
        sim.run(seconds(1));
    }
    sim.switch();
    let before = sim.requests.len();
    for _ in 0..120 {
        sim.append(2);
        sim.run(seconds(1));
    }
    assert_eq!(sim.dead.len(), 1, "an hour in sum");
    let alone = sim.requests[before..].iter().filter(|(_, records)| *records == [1]).count();
    assert!((2..=5).contains(&alone), "{alone}");
    // Given up by an endpoint that took it: what the one before made of it is forgotten.
    let mut sim = Sim::new(realtime(), |request: &Request<'_>| {
        let poison = request.records == [1] && request.switches == 0;
        Answer::new(1, if poison { retry(Failure::Server) } else { OK })
    });
    sim.append(1);
    for _ in 0..3_580 {
        sim.append(2);
        sim.run(seconds(1));
    }
    sim.switch();
    sim.run(seconds(1));
    assert_eq!((sim.unsettled(), sim.dead.len()), (0, 0));
}
