//! One promise each.

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

fn batch(size: usize) -> Settings {
    Settings::new(Mode::Batch { every: seconds(900), size })
}

#[test]
fn a_record_goes_at_once_when_nothing_is_wrong() {
    let mut sim = Sim::new(realtime(), |_: &Request<'_>| Answer::new(1, OK));
    sim.append(1);
    sim.run(Duration::ZERO);
    assert_eq!(sim.requests.len(), 1);
    sim.run(Duration::from_millis(1));
    assert_eq!(sim.unsettled(), 0);
    assert_eq!(sim.reads, 2, "one for the record, one look for retried dead letters");
    sim.append(2);
    sim.run(Duration::from_millis(1));
    assert_eq!((sim.unsettled(), sim.reads), (0, 3), "one read is enough for one record");
    assert_eq!((sim.lanes.held(), sim.lanes.lanes()), ((0, 0), 0), "nothing is remembered of what is done");
}

#[test]
fn a_long_backlog_goes_through_a_small_window_once_and_in_order() {
    let mut sim = Sim::new(realtime(), |_: &Request<'_>| Answer::new(1, OK));
    for n in 0..20_000 {
        // A third of all is one contact's, the rest spread over many.
        sim.append(if n % 3 == 0 { 0 } else { n % 500 });
    }
    sim.run(seconds(60));
    assert_eq!(sim.unsettled(), 0);
    assert_eq!((sim.requests.len(), sim.repeats), (20_000, 0));
    assert!(sim.reads < 20_000 / 32, "{} reads", sim.reads);
}

#[test]
fn a_stuck_contact_with_thousands_of_records_stops_nobody() {
    for failure in [Failure::Server, Failure::Unknown, Failure::Busy] {
        let stuck_until = Moment::after_start(seconds(600));
        let mut sim = Sim::new(realtime(), |request: &Request<'_>| {
            let stuck = request.holds_lane(7) && request.now < stuck_until;
            if stuck { Answer::new(10, retry(failure)) } else { Answer::new(10, OK) }
        });
        for _ in 0..5_000 {
            sim.append(7);
        }
        for lane in 0..20 {
            sim.append(100 + lane);
        }
        sim.run(seconds(10));
        assert_eq!(sim.unsettled(), 5_000, "the others are through, and behind them in the log");
        for round in 0..50 {
            sim.append(7);
            sim.append(200 + round % 5);
            sim.run(seconds(10));
            assert_eq!(sim.unsettled(), 5_001 + usize::try_from(round).unwrap());
        }
        assert_eq!(sim.lanes.held().0, 1, "of a stuck lane only the first record is held");
        assert!(sim.requests.len() < 200, "{failure:?}: {} requests", sim.requests.len());
        sim.run(seconds(300));
        assert_eq!(sim.unsettled(), 0);
        assert_eq!(sim.repeats, 0);
        let of_lane: Vec<_> = sim.accepted.iter().filter(|record| sim.journal[record] == 7).collect();
        assert!(of_lane.is_sorted());
    }
}

#[test]
fn many_stuck_contacts_with_deep_queues_stop_nobody() {
    let mut sim = Sim::new(realtime(), |request: &Request<'_>| {
        let stuck = (0..100).any(|lane| request.holds_lane(lane));
        if stuck { Answer::new(10, Verdict::Refused) } else { Answer::new(10, OK) }
    });
    for n in 0..5_000 {
        sim.append(n % 100);
    }
    let late = sim.append(1_000);
    sim.run(seconds(3));
    assert!(sim.accepted.contains(&late));
    sim.run(seconds(4_000));
    assert_eq!(sim.unsettled(), 0);
    assert_eq!(sim.dead.len(), 5_000);
}

#[test]
fn contacts_that_hang_or_fail_for_long_leave_room_for_the_others() {
    for (stuck, took_ms, failure) in [(40, 30_000, Failure::Unknown), (30, 10, Failure::Server)] {
        let mut sim = Sim::new(realtime(), |request: &Request<'_>| {
            let stuck = (0..stuck).any(|lane| request.holds_lane(lane));
            if stuck { Answer::new(took_ms, retry(failure)) } else { Answer::new(10, OK) }
        });
        for lane in 0..stuck {
            sim.append(lane);
        }
        for second in 0..3_000 {
            if second == 2_000 {
                for n in 0..64 * stuck {
                    sim.append(n % stuck);
                }
            }
            let record = sim.append(1_000 + second % 7);
            sim.run(seconds(1));
            if second > 600 {
                assert!(sim.accepted.contains(&record), "{failure:?}: second {second}");
            }
        }
    }
}

#[test]
fn a_dead_crm_is_asked_seldom_and_the_first_success_wakes_every_lane() {
    for failure in [Failure::NotSent, Failure::Unknown, Failure::Busy, Failure::Server] {
        let back = Moment::after_start(seconds(1_000));
        let mut sim = Sim::new(realtime(), |request: &Request<'_>| {
            if request.now < back { Answer::new(10, retry(failure)) } else { Answer::new(1, OK) }
        });
        for lane in 0..2_000 {
            sim.append(lane);
        }
        sim.run(seconds(60));
        let first_minute = sim.requests.len();
        assert!(first_minute <= 16, "{failure:?}: {first_minute} requests in the first minute");
        sim.run(seconds(900));
        let then = sim.requests.len() - first_minute;
        assert!((30..=60).contains(&then), "{failure:?}: {then} requests in fifteen minutes");
        assert!(matches!(sim.lanes.access(), Access::Closed { why: Why::Unreachable, .. }));
        sim.run(seconds(40) + seconds(30));
        assert_eq!(sim.unsettled(), 0, "{failure:?}");
        let after: Vec<_> = sim.requests.iter().map(|(at, _)| *at).filter(|at| *at >= back).collect();
        assert!(after[0].since(back) <= seconds(31));
        assert!(after[after.len() - 1].since(after[0]) < seconds(1), "all at once after the first success");
    }
}

#[test]
fn two_lanes_of_a_dead_crm_wake_together() {
    let back = Moment::after_start(seconds(300));
    let mut sim = Sim::new(realtime(), |request: &Request<'_>| {
        if request.now < back { Answer::new(10, retry(Failure::Server)) } else { Answer::new(1, OK) }
    });
    sim.append(1);
    sim.append(2);
    sim.run(seconds(400));
    let after: Vec<_> = sim.requests.iter().map(|(at, _)| *at).filter(|at| *at >= back).collect();
    assert_eq!(after.len(), 2);
    assert!(after[1].since(after[0]) < Duration::from_millis(5));
}

#[test]
fn retry_after_is_honoured_for_the_whole_crm() {
    let mut count = 0;
    let mut sim = Sim::new(realtime(), |_: &Request<'_>| {
        count += 1;
        let retry_after = Some(seconds(120));
        if count == 1 {
            Answer::new(1, Verdict::Retry { failure: Failure::Busy, retry_after })
        } else {
            Answer::new(1, OK)
        }
    });
    sim.append(1);
    sim.run(seconds(1));
    sim.append(2);
    sim.run(seconds(118));
    assert_eq!(sim.requests.len(), 1);
    assert!(matches!(sim.lanes.access(), Access::Closed { why: Why::Throttled, .. }));
    sim.run(seconds(15));
    assert_eq!(sim.unsettled(), 0);
}

#[test]
fn a_crm_that_shuts_us_out_gets_one_trial_a_minute() {
    let back = Moment::after_start(seconds(3_600));
    for settings in [realtime(), batch(10)] {
        let mut sim = Sim::new(settings, |request: &Request<'_>| {
            Answer::new(1, if request.now < back { Verdict::Unauthorized } else { OK })
        });
        for lane in 0..50 {
            sim.append(lane);
        }
        sim.run(seconds(3_599));
        assert!(matches!(sim.lanes.access(), Access::Closed { why: Why::Unauthorized, .. }));
        let count = sim.requests.len();
        assert!((59..=68).contains(&count), "{count} requests in an hour");
        sim.run(seconds(62));
        assert_eq!(sim.unsettled(), 0);
        assert!(sim.dead.is_empty());
    }
}

#[test]
fn a_record_that_is_refused_five_times_becomes_a_dead_letter_and_its_lane_goes_on() {
    let mut sim = Sim::new(realtime(), |request: &Request<'_>| {
        Answer::new(1, if request.records == [1] { Verdict::Refused } else { OK })
    });
    for lane in [1, 1, 2] {
        sim.append(lane);
    }
    sim.run(seconds(1));
    assert_eq!(sim.unsettled(), 2, "the other lane is through");
    sim.run(seconds(60));
    assert_eq!(sim.unsettled(), 0);
    assert_eq!(sim.dead.into_iter().collect::<Vec<_>>(), [(1, TRIES)]);
    let tries: Vec<_> =
        sim.requests.iter().filter(|(_, records)| *records == [1]).map(|(at, _)| *at).collect();
    assert_eq!(tries.len(), 5);
    assert!(tries.windows(2).all(|pair| pair[1].since(pair[0]) >= seconds(1)), "with backoff in between");
}

#[test]
fn a_record_that_alone_draws_errors_for_an_hour_is_given_up_only_while_others_get_through() {
    for others in [true, false] {
        let mut sim = Sim::new(realtime(), |request: &Request<'_>| {
            Answer::new(1, if request.records == [1] { retry(Failure::Server) } else { OK })
        });
        sim.append(1);
        for minute in 0..180 {
            if others {
                sim.append(2);
            }
            sim.run(seconds(60));
            let expected = usize::from(others && minute >= 60);
            if minute != 59 && minute != 60 {
                assert_eq!(sim.dead.len(), expected, "minute {minute}");
            }
        }
        assert_eq!(sim.unsettled(), usize::from(!others));
    }
}

#[test]
fn a_firewall_that_forbids_one_record_stops_only_its_lane() {
    for settings in [realtime(), Settings::new(Mode::Batch { every: seconds(1), size: 10 })] {
        let mut sim = Sim::new(settings, |request: &Request<'_>| {
            Answer::new(1, if request.records.contains(&1) { Verdict::Unauthorized } else { OK })
        });
        for lane in 1..6 {
            sim.append(lane);
        }
        for second in 0..2 * 3_600_u64 {
            let record = sim.append(2 + second % 7);
            sim.run(seconds(3));
            if second > 300 {
                assert!(sim.accepted.contains(&record), "second {second}");
            }
        }
        assert_eq!(sim.dead.keys().copied().collect::<Vec<_>>(), [1], "visible in the end");
    }
}

#[test]
fn a_batch_leaves_when_it_is_full_or_when_its_time_has_come() {
    let mut sim = Sim::new(batch(10), |_: &Request<'_>| Answer::new(1, OK));
    sim.run(seconds(1));
    for lane in 0..9 {
        sim.append(lane % 4);
    }
    sim.run(seconds(600));
    assert_eq!(sim.requests.len(), 0);
    sim.append(1);
    sim.run(seconds(1));
    assert_eq!(sim.requests.len(), 1);
    assert_eq!(sim.requests[0].1.len(), 10);
    sim.append(1);
    sim.run(seconds(901));
    assert_eq!((sim.requests.len(), sim.unsettled()), (2, 0));
}

#[test]
fn a_backlog_drains_in_full_batches_without_waiting() {
    let mut sim = Sim::new(batch(100), |_: &Request<'_>| Answer::new(10, OK));
    for n in 0..10_000 {
        sim.append(n % 1_500);
    }
    sim.run(seconds(10));
    assert_eq!((sim.unsettled(), sim.repeats), (0, 0));
    assert!(sim.requests.len() <= 160, "{} requests", sim.requests.len());
}

#[test]
fn a_refused_batch_is_split_until_the_culprit_stands_alone() {
    for verdict in [Verdict::Refused, retry(Failure::Server)] {
        let mut sim = Sim::new(batch(64), |request: &Request<'_>| {
            Answer::new(1, if request.holds_lane(40) { verdict } else { OK })
        });
        for lane in 0..64 {
            sim.append(lane);
        }
        sim.run(seconds(30 * 60));
        assert_eq!(sim.unsettled(), usize::from(verdict != Verdict::Refused), "{verdict:?}");
        assert_eq!(sim.dead.len(), usize::from(verdict == Verdict::Refused));
        assert!(sim.accepted.len() == 63 && sim.repeats == 0);
        let split = sim.requests.iter().take_while(|(_, records)| records.len() > 1).count();
        assert!(split <= 20, "{split} requests to find it");
        if verdict == Verdict::Refused {
            let alone = sim.requests.iter().filter(|(_, records)| records.len() == 1 && records[0] == 54);
            assert!(alone.count() <= 5);
        }
    }
}

#[test]
fn a_dead_letter_that_is_retried_comes_late_with_its_old_place() {
    let refuse_until = Moment::after_start(seconds(100));
    let mut sim = Sim::new(realtime(), |request: &Request<'_>| {
        let refused = request.records == [1] && request.now < refuse_until;
        Answer::new(1, if refused { Verdict::Refused } else { OK })
    });
    sim.append(1);
    sim.append(1);
    sim.run(seconds(100));
    assert_eq!(sim.dead.len(), 1);
    sim.retry_dead(1);
    sim.run(seconds(1));
    assert_eq!(sim.unsettled(), 0);
    assert_eq!(*sim.accepted.last().unwrap(), 1);
}

#[test]
fn a_page_from_before_a_dead_letter_was_settled_does_not_send_it_again() {
    let refuse_until = Moment::after_start(seconds(100));
    let mut sim = Sim::new(realtime(), |request: &Request<'_>| {
        Answer::new(15, if request.now < refuse_until { Verdict::Refused } else { OK })
    });
    let (first, second) = (sim.append(1), sim.append(2));
    sim.run(seconds(101));
    assert_eq!(sim.dead.len(), 2);
    sim.read_time = Duration::from_millis(10);
    sim.retry_dead(first);
    sim.run(Duration::from_millis(12));
    assert_eq!(sim.unsettled(), 1, "the first is in flight");
    sim.retry_dead(second);
    // That it isn't sent twice is asserted by the simulation.
    sim.run(seconds(1));
    assert_eq!((sim.unsettled(), sim.accepted.len(), sim.repeats), (0, 2, 0));
}

#[test]
fn hundreds_of_retried_dead_letters_get_through_past_a_stuck_lane() {
    let ready = Moment::after_start(seconds(300));
    let mut sim = Sim::new(realtime(), |request: &Request<'_>| {
        let refused = request.now < ready;
        let verdict = match (refused, request.holds_lane(0)) {
            (true, _) => Verdict::Refused,
            (false, true) => retry(Failure::Server),
            (false, false) => OK,
        };
        Answer::new(1, verdict)
    });
    for n in 0..300 {
        sim.append(if n % 2 == 0 { 0 } else { n });
    }
    sim.run(seconds(299));
    let dead: Vec<_> = sim.dead.keys().copied().collect();
    assert!(dead.len() >= 150);
    for sequence in dead {
        sim.retry_dead(sequence);
    }
    sim.run(seconds(60));
    let through = sim.accepted.iter().filter(|record| sim.journal[record] != 0).count();
    assert_eq!(through, 150);
}

#[test]
fn a_journal_that_cannot_be_read_is_asked_again() {
    let mut sim = Sim::new(realtime(), |_: &Request<'_>| Answer::new(1, OK));
    sim.append(1);
    sim.reads_fail = true;
    sim.run(seconds(60));
    assert!(sim.reads <= 10, "{} reads", sim.reads);
    sim.reads_fail = false;
    sim.run(seconds(31));
    assert_eq!(sim.unsettled(), 0);
}
