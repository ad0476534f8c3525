//! Traces that a person can follow.

use std::time::Duration;

use wagate_policy::failover::{Action, Answer, Group, HYSTERESIS_MAX, Kept, Settings, State, Strike, Why};

use super::sim::{Forecast, Sim, Weather, moment};

const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

fn settings() -> Settings {
    Settings::default()
}

fn two(primary: Forecast) -> Sim {
    Sim::new(settings(), vec![primary, Vec::new()])
}

fn to_backup(sim: &Sim) -> u64 {
    let switch = sim.switches[0];
    assert_eq!((switch.from, switch.to), (0, 1), "{:?}", sim.switches);
    switch.at
}

#[test]
fn a_refusing_endpoint_is_left_in_seconds_by_live_traffic() {
    let fault = HOUR / 2;
    for (weather, traffic, within) in [
        (Weather::Refuses, 100, 1_500),
        (Weather::Refuses, 1_000, 2_500),
        (Weather::Hole, 100, 4_000),
        // All places are taken at once, and no further call is made.
        (Weather::Hole, 5, 3_000),
        (Weather::Answers(2_000), 100, 4_000),
        (Weather::Refuses, 30_000, 60_000),
    ] {
        let mut sim = two(vec![(fault, weather)]);
        sim.run(fault + HOUR, Some(traffic));
        let took = to_backup(&sim) - fault;
        assert!(took <= within, "{weather:?}, a call every {traffic} ms: {took} ms");
        assert_eq!(sim.switches.len(), 1, "{:?}", sim.switches);
    }
}

#[test]
fn without_traffic_it_is_left_within_one_every_and_forty_seconds() {
    for weather in [Weather::Refuses, Weather::Hole, Weather::Answers(1_600), Weather::Blocked] {
        for fault in [1, 17 * MINUTE, HOUR - 1, HOUR + 1] {
            let mut sim = two(vec![(fault, weather)]);
            sim.run(fault + 3 * HOUR, None);
            let took = to_backup(&sim) - fault;
            assert!(took <= HOUR + 40_000, "{weather:?}: {took} ms");
        }
    }
}

#[test]
fn a_healthy_quiet_endpoint_is_asked_once_an_hour_and_a_sick_one_every_ten_seconds() {
    let mut sim = two(vec![(DAY, Weather::Refuses)]);
    sim.run(DAY, None);
    assert_eq!(sim.probed.iter().map(Vec::len).collect::<Vec<_>>(), [24, 24]);
    sim.run(DAY + 2 * HOUR, None);
    let late: Vec<u64> = sim.probed[0].iter().copied().filter(|at| *at > DAY + HOUR).collect();
    assert!(late.windows(2).all(|pair| (10_000..10_100).contains(&(pair[1] - pair[0]))), "{late:?}");
}

#[test]
fn it_is_gone_back_to_after_three_good_probes() {
    let (fault, mended) = (10 * MINUTE, 40 * MINUTE);
    let mut sim = two(vec![(fault, Weather::Refuses), (mended, Weather::FINE)]);
    sim.run(fault + DAY, Some(1_000));
    let back = sim.switches[1];
    assert_eq!((back.from, back.to, back.why), (1, 0, Why::Recovered));
    let good = sim.probed[0].iter().filter(|at| (mended..=back.at).contains(*at)).count();
    assert_eq!(good, 3);
    assert!(back.at - mended < 31_000, "{}", back.at - mended);
    assert_eq!(sim.switches.len(), 2);
}

#[test]
fn good_and_bad_in_turn_is_never_gone_back_to() {
    let mut weather = vec![(0, Weather::Refuses)];
    for turn in 0..DAY / 10_000 {
        let fine = turn % 2 == 1;
        weather.push((turn * 10_000 + 5_000, if fine { Weather::FINE } else { Weather::Refuses }));
    }
    let mut sim = two(weather);
    sim.run(DAY, Some(1_000));
    assert_eq!(sim.switches.len(), 1, "{:?}", sim.switches);
}

#[test]
fn one_that_comes_and_goes_is_left_alone_for_longer_and_longer() {
    // 45 s of each: long enough for three good probes, each time.
    let mut weather = Vec::new();
    for turn in 0..DAY / 45_000 {
        weather.push((turn * 45_000, if turn % 2 == 1 { Weather::FINE } else { Weather::Refuses }));
    }
    let mut sim = two(weather);
    sim.run(DAY, Some(1_000));
    // Once there, and once back; then six good probes in a row are asked for, and there are never so many.
    let why: Vec<Why> = sim.switches.iter().map(|switch| switch.why).collect();
    let failed = Why::OutOfUse(Strike::Failed);
    assert_eq!(why, [failed, Why::Recovered, failed], "{:?}", sim.switches);
}

#[test]
fn good_probes_lead_ever_more_rarely_to_endpoints_whose_calls_fail() {
    for endpoints in 1..=3 {
        let mut sim = Sim::new(settings(), vec![vec![(MINUTE, Weather::OnlyProbes)]; endpoints]);
        sim.run(DAY, Some(1_000));
        // Some 8 times each in the first hours, and then once an hour.
        assert!(sim.opened.len() <= endpoints * 32, "{endpoints}: opened {} times", sim.opened.len());
        assert!(sim.switches.len() <= endpoints * 64, "{endpoints}: {} switches", sim.switches.len());
        assert!(endpoints == 1 || sim.switches.len() > 4, "tried again now and then");
    }
}

#[test]
fn short_times_forget_no_faster() {
    let fast = Settings {
        every: Duration::from_secs(1),
        recheck: Duration::from_millis(200),
        slow: Duration::from_millis(300),
        ..settings()
    };
    // Calls fail seconds apart, as the outbox spaces them, and probes are good.
    let mut sim = Sim::new(fast, vec![vec![(0, Weather::OnlyProbes)], Vec::new()]);
    sim.run(20_000, Some(4_000));
    assert!(!sim.switches.is_empty(), "three calls that failed are three strikes");
    // Two seconds good and two bad: once there, once back, and then longer and longer.
    let weather =
        (0..600).map(|turn| (turn * 2_000, if turn % 2 == 0 { Weather::FINE } else { Weather::Refuses }));
    let mut sim = Sim::new(fast, vec![weather.collect(), Vec::new()]);
    sim.run(120_000, Some(100));
    assert!(sim.switches.len() <= 9, "{:?}", sim.switches);
}

#[test]
fn an_endpoint_that_says_it_is_away_is_left_though_nobody_asks_it() {
    let mut group = Group::new(settings(), 2, moment(0));
    for endpoint in 0..2 {
        group.poll(moment(0));
        group.probed(moment(10), endpoint, Answer::Good);
    }
    let call = group.begin(moment(1_000), 0, false);
    // A year, and an hour of it is believed.
    group.ended_away(moment(1_100), call, Duration::from_secs(365 * 24 * 3_600));
    let mut now = 1_100;
    while group.active() == 0 && now < 60_000 {
        now += 100;
        if let Action::Probe(endpoint) = group.poll(moment(now)) {
            group.probed(moment(now), endpoint, Answer::Good);
        }
    }
    assert_eq!(now, 21_100, "the answer itself, and two rechecks");
    // Good probes don't lead back before its time.
    let mut back = None;
    while now < 2 * HOUR && back.is_none() {
        now += 5_000;
        while let Action::Probe(endpoint) = group.poll(moment(now)) {
            group.probed(moment(now), endpoint, Answer::Good);
        }
        back = (group.active() == 0).then_some(now);
    }
    assert!((HOUR..HOUR + MINUTE).contains(&back.unwrap()), "{back:?}");
}

#[test]
fn an_endpoint_away_for_a_moment_is_not_left_for_it() {
    let mut group = Group::new(settings(), 2, moment(0));
    for endpoint in 0..2 {
        group.poll(moment(0));
        group.probed(moment(10), endpoint, Answer::Good);
    }
    let call = group.begin(moment(1_000), 0, false);
    group.ended_away(moment(1_100), call, Duration::from_secs(600));
    let call = group.begin(moment(2_000), 0, false);
    group.ended(moment(2_100), call, Answer::Good);
    for now in (2_100..HOUR).step_by(1_000) {
        while let Action::Probe(endpoint) = group.poll(moment(now)) {
            group.probed(moment(now), endpoint, Answer::Good);
        }
    }
    assert_eq!(group.active(), 0);
}

#[test]
fn answers_between_good_and_slow_close_a_breaker_by_calls() {
    let mut sim =
        Sim::new(settings(), vec![vec![(MINUTE, Weather::Refuses), (2 * MINUTE, Weather::Answers(1_000))]]);
    sim.run(2 * MINUTE, Some(1_000));
    assert!(sim.group.all_open());
    sim.run(3 * MINUTE, Some(2_000));
    assert!(!sim.group.all_open());
}

#[test]
fn going_back_may_cost_an_hour_and_never_more() {
    // It fails as soon as it is gone back to, and is fine as long as nobody uses it.
    let mut group = Group::new(settings(), 2, moment(0));
    let (mut now, mut returns) = (0, Vec::new());
    while now < 2 * DAY {
        now += 10_100;
        for endpoint in 0..2 {
            group.poll(moment(now));
            group.probed(moment(now + 100), endpoint, Answer::Good);
        }
        let mut tries = 0;
        while group.active() == 0 {
            let call = group.begin(moment(now), 0, false);
            now += 1_000;
            group.ended(moment(now), call, Answer::Failed);
            tries += 1;
            if group.active() == 1 {
                returns.push(now);
            }
            assert!(tries <= 3);
        }
    }
    let gaps: Vec<u64> = returns.windows(2).map(|pair| (pair[1] - pair[0]) / 1_000).collect();
    assert!(gaps.windows(2).take(6).all(|pair| pair[1] > pair[0]), "{gaps:?}");
    let most = gaps.iter().max().unwrap();
    assert!((3_840..4_200).contains(most), "{gaps:?}");
    assert!(returns.len() <= 8 + 2 * 24, "{}", returns.len());
    assert_eq!(group.kept().levels[0], HYSTERESIS_MAX);
}

#[test]
fn strikes_at_the_same_time_count_once() {
    let mut group = Group::new(settings(), 2, moment(0));
    let calls: Vec<_> = (0..8).map(|_| group.begin(moment(0), 0, false)).collect();
    for call in calls {
        group.ended(moment(300), call, Answer::Failed);
    }
    let first = group.views().next().unwrap();
    assert_eq!((first.strikes, first.state), (1, State::Suspect));
    for at in [799, 800, 1_299, 1_300] {
        let call = group.begin(moment(at), 0, false);
        group.ended(moment(at), call, Answer::Failed);
        let expected = match at {
            799 => 1,
            800 | 1_299 => 2,
            _ => 3,
        };
        assert_eq!(group.views().next().unwrap().strikes, expected, "{at}");
    }
    assert_eq!(group.active(), 1);
}

#[test]
fn calls_that_hang_together_count_one_after_another_and_no_more_once_they_are_answered() {
    let mut group = Group::new(settings(), 2, moment(0));
    for endpoint in 0..2 {
        assert_eq!(group.poll(moment(0)), Action::Probe(endpoint));
        group.probed(moment(10), endpoint, Answer::Good);
    }
    let calls: Vec<_> = (0..8).map(|_| group.begin(moment(10), 0, false)).collect();
    let strikes = |group: &mut Group, at| {
        group.poll(moment(at));
        group.views().next().unwrap().strikes
    };
    for (at, expected) in [(1_509, 0), (1_510, 1), (2_009, 1), (2_010, 2), (2_509, 2)] {
        assert_eq!(strikes(&mut group, at), expected, "{at}");
    }
    // Answered before the third could count: they are late, and nothing else is known against the endpoint.
    for call in calls {
        group.ended(moment(2_509), call, Answer::Good);
    }
    assert_eq!((strikes(&mut group, 2_511), group.active()), (2, 0));
}

#[test]
fn an_unanswered_call_is_one_strike_whatever_comes_of_it() {
    for (answer, at) in [(Answer::Good, 9_000), (Answer::Failed, 30_000), (Answer::Neutral, 2_000)] {
        let mut group = Group::new(settings(), 1, moment(0));
        group.poll(moment(0));
        group.probed(moment(10), 0, Answer::Good);
        let call = group.begin(moment(10), 0, false);
        group.poll(moment(1_509));
        assert_eq!(group.views().next().unwrap().strikes, 0);
        group.poll(moment(1_510));
        assert_eq!(group.views().next().unwrap().strikes, 1);
        group.ended(moment(at), call, answer);
        assert_eq!(group.views().next().unwrap().strikes, 1);
    }
}

#[test]
fn what_the_store_is_to_blame_for_is_never_a_strike() {
    for weather in [Weather::Turns, Weather::Answers(1_200)] {
        let mut sim = two(vec![(0, weather)]);
        sim.run(DAY, Some(1_000));
        assert_eq!((sim.switches.len(), sim.opened.len()), (0, 0), "{weather:?}");
    }
    // Nor does it lead back to an endpoint that wouldn't let us in.
    let mut sim = two(vec![(MINUTE, Weather::Refuses), (2 * MINUTE, Weather::Turns)]);
    sim.run(DAY, Some(1_000));
    assert_eq!(sim.switches.len(), 1);
    let asked = sim.probed[0].len();
    assert!(asked < 24 * 12 + 40, "{asked} probes of one that doesn't let us in");
}

#[test]
fn a_run_of_good_calls_clears_strikes_and_one_doesn_t() {
    let mut group = Group::new(settings(), 2, moment(0));
    let mut now = 0;
    let mut call = |group: &mut Group, answer| {
        now += 1_000;
        let call = group.begin(moment(now), 0, false);
        group.ended(moment(now + 100), call, answer);
        group.views().next().unwrap().strikes
    };
    assert_eq!(call(&mut group, Answer::Failed), 1);
    assert_eq!(call(&mut group, Answer::Good), 1);
    assert_eq!(call(&mut group, Answer::Failed), 2);
    assert_eq!(call(&mut group, Answer::Good), 2);
    assert_eq!(call(&mut group, Answer::Good), 2);
    assert_eq!(call(&mut group, Answer::Good), 0);
}

#[test]
fn requests_of_many_records_may_take_their_time() {
    let mut group = Group::new(settings(), 2, moment(0));
    for turn in 0..10 {
        let call = group.begin(moment(turn * 10_000), 0, true);
        group.poll(moment(turn * 10_000 + 9_000));
        group.ended(moment(turn * 10_000 + 9_500), call, Answer::Good);
    }
    assert_eq!(group.views().next().unwrap().strikes, 0);
}

#[test]
fn with_all_of_them_down_the_least_bad_is_used_and_the_first_that_is_well_again() {
    let mut sim = Sim::new(
        settings(),
        vec![
            vec![(MINUTE, Weather::Refuses)],
            vec![(MINUTE, Weather::Refuses), (HOUR, Weather::FINE)],
            vec![(MINUTE, Weather::Hole)],
        ],
    );
    sim.run(HOUR, Some(1_000));
    assert!(sim.group.all_open());
    let before = sim.switches.len();
    sim.run(HOUR + MINUTE, Some(1_000));
    assert_eq!(sim.group.active(), 1, "{:?}", sim.switches);
    assert!(sim.switches.len() <= before + 1);
}

#[test]
fn where_it_stood_outlives_a_restart() {
    let mut sim = two(vec![(0, Weather::Refuses)]);
    sim.run(MINUTE, Some(1_000));
    assert_eq!(sim.group.active(), 1);
    let kept = sim.group.kept();
    // The primary is still down: nothing goes there, not even at first.
    let mut next = Sim::restored(settings(), vec![vec![(0, Weather::Refuses)], Vec::new()], &kept);
    next.run(HOUR, Some(100));
    assert!(next.switches.is_empty());
    // It works again: three good probes, as ever.
    let mut next = Sim::restored(settings(), vec![Vec::new(), Vec::new()], &kept);
    next.run(HOUR, Some(100));
    assert_eq!(next.switches.len(), 1);
    assert!((20_000..31_000).contains(&next.switches[0].at), "{:?}", next.switches);
    // A configuration with fewer endpoints.
    let mut next = Sim::restored(settings(), vec![Vec::new()], &kept);
    next.run(HOUR, Some(100));
    assert_eq!(next.group.active(), 0);
}

#[test]
fn a_backup_is_looked_at_before_it_is_needed() {
    let fault = HOUR / 2;
    let third = vec![(0, Weather::FINE)];
    let both = vec![(fault - MINUTE, Weather::Refuses)];
    let mut sim = Sim::new(settings(), vec![both.clone(), both, third]);
    sim.run(fault - 1, None);
    sim.run(fault + MINUTE, Some(1_000));
    assert_eq!(sim.group.active(), 2);
    assert_eq!(sim.switches.len(), 1, "not by way of the one that was down, too: {:?}", sim.switches);
}

#[test]
fn an_endpoint_alone_is_used_whatever_happens() {
    let mut sim = Sim::new(settings(), vec![vec![(MINUTE, Weather::Hole), (HOUR, Weather::FINE)]]);
    sim.run(HOUR, Some(1_000));
    assert!(sim.group.all_open());
    sim.run(HOUR + MINUTE, Some(1_000));
    assert_eq!(sim.group.views().next().unwrap().state, State::Closed);
    assert!(sim.switches.is_empty());
    assert_eq!(sim.group.kept(), Kept { active: 0, levels: vec![0] });
}

#[test]
fn a_probe_that_cannot_be_made_says_nothing() {
    let mut group = Group::new(settings(), 1, moment(0));
    group.poll(moment(0));
    group.probe_skipped(moment(1), 0);
    let view = group.views().next().unwrap();
    assert_eq!((view.state, view.last_probe, view.latency), (State::Closed, None, None));
}
