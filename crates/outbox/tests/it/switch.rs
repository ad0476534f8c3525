//! Another endpoint is used: what waited for the old one goes at once, and what it still says is no news.

use model::Outcome;
use wagate_outbox::{CALLS_MAX, Clear, Other, Why};

use crate::script::{HOUR, MINUTE, Script, refusal, settings, template, unknown};

fn script() -> Script {
    Script::new(settings(|number| number.endpoints = 2))
}

fn not_sent() -> Outcome {
    Outcome::NotSent { reason: "no connection in time".to_owned() }
}

#[test]
fn what_waited_for_an_endpoint_goes_at_once_over_another() {
    for trouble in [not_sent(), unknown(), Outcome::Refused(refusal(131_000))] {
        let mut script = script();
        let first = script.queue(template(1));
        for contact in 2..5 {
            script.queue(template(contact));
        }
        // Long ago enough that the wait is one of minutes.
        script.answer(first, trouble.clone());
        for _ in 0..12 {
            let Some(call) = script.calls.first().map(|call| call.id) else {
                script.pass(5 * MINUTE);
                continue;
            };
            script.answer(call, not_sent());
        }
        script.calls.clear();
        let last = script.queue(template(9));
        assert!(script.calls.is_empty(), "the number waits");
        script.turn(|turn| turn.way_is_clear("1", Clear::Another).unwrap());
        script.pass(10);
        assert_eq!(script.calls.len(), 1, "{trouble:?}: a trial, at once");
        let trial = script.calls[0].id;
        script.accept(trial);
        script.pass(1_000);
        assert!(trial == last || script.calls.iter().any(|call| call.id == last), "{:?}", script.calls);
        assert!(script.calls.len() > 1, "and all the others behind it");
    }
}

#[test]
fn an_endpoint_that_answers_again_gets_one_message_and_then_the_others() {
    let mut script = script();
    let first = script.queue(template(1));
    for contact in 2..6 {
        script.queue(template(contact));
    }
    while let Some(call) = script.calls.first().map(|call| call.id) {
        script.answer(call, not_sent());
    }
    script.turn(|turn| turn.way_is_clear("1", Clear::Again).unwrap());
    script.pass(10);
    assert_eq!(script.calls.len(), 1, "one alone");
    let trial = script.calls[0].id;
    script.accept(trial);
    script.pass(1_000);
    assert_eq!(script.calls.len(), 4, "and all the others behind it");
    assert!(trial == first || script.calls.iter().any(|call| call.id == first));
}

#[test]
fn what_whatsapp_itself_asked_for_outlives_a_switch() {
    let mut script = script();
    let first = script.queue(template(1));
    script
        .answer(first, Outcome::Refused(model::Refusal { retry_after_ms: Some(60_000), ..refusal(130_429) }));
    script.turn(|turn| turn.way_is_clear("1", Clear::Another).unwrap());
    script.pass(50_000);
    assert!(script.calls.is_empty());
    script.pass(30_000);
    assert_eq!(script.calls.len(), 1);
}

#[test]
fn and_it_outlives_a_crash_before_the_switch() {
    let mut script = script();
    let first = script.queue(template(1));
    let asked = u64::try_from(3 * HOUR).unwrap();
    script
        .answer(first, Outcome::Refused(model::Refusal { retry_after_ms: Some(asked), ..refusal(130_429) }));
    script.crash();
    script.turn(|turn| turn.way_is_clear("1", Clear::Another).unwrap());
    script.pass(2 * HOUR);
    assert!(script.calls.is_empty());
    script.pass(2 * HOUR);
    assert_eq!(script.calls.len(), 1);
}

#[test]
fn trouble_of_an_endpoint_has_its_own_word() {
    let waits_for = |script: &mut Script| {
        let behind = script.queue(template(9));
        let (shown, ways) = (script.shown(behind).why, script.turn(|turn| turn.ways().unwrap()));
        assert_eq!(shown, ways[0].blocked.map(|(why, _)| why));
        shown
    };
    for trouble in [not_sent(), unknown(), Outcome::Refused(refusal(131_000))] {
        let mut script = script();
        let first = script.queue(template(1));
        script.answer(first, trouble);
        assert_eq!(waits_for(&mut script), Some(Why::EndpointDown));
    }
    let mut script = script();
    let first = script.queue(template(1));
    script.refuse(first, 130_429);
    assert_eq!(waits_for(&mut script), Some(Why::Throttled));
    // The wait is over, and the trial goes nowhere.
    script.pass(MINUTE);
    let trial = script.calls[0].id;
    script.answer(trial, not_sent());
    assert_eq!(waits_for(&mut script), Some(Why::EndpointDown));
}

#[test]
fn a_stop_has_its_trial_at_once_over_another_endpoint_and_not_when_the_same_works_again() {
    let mut script = script();
    let first = script.queue(template(1));
    script.refuse(first, 190);
    let second = script.queue(template(2));
    script.turn(|turn| turn.way_is_clear("1", Clear::Again).unwrap());
    script.pass(1_000);
    assert!(script.calls.is_empty());
    script.turn(|turn| turn.way_is_clear("1", Clear::Another).unwrap());
    script.pass(1_000);
    let trial = |script: &Script| script.calls.iter().map(|call| call.id).collect::<Vec<_>>();
    assert_eq!(trial(&script), [first], "one alone, and none has been refused there");
    script.accept(first);
    script.pass(1_000);
    assert_eq!(trial(&script), [second]);
}

#[test]
fn what_an_endpoint_that_was_left_still_says_slows_nothing_and_stops_nothing() {
    for outcome in [not_sent(), unknown(), Outcome::Refused(refusal(190)), Outcome::Refused(refusal(130_429))]
    {
        let mut script = script();
        let first = script.queue(template(1));
        let sure = !matches!(outcome, Outcome::Unknown { .. });
        script.answer_from(first, outcome.clone(), true);
        let second = script.queue(template(2));
        assert!(script.calls.iter().any(|call| call.id == second), "{outcome:?}");
        // What surely didn't go does so now; what may have gone doesn't go a second time.
        assert_eq!(script.calls.iter().any(|call| call.id == first), sure, "{outcome:?}");
        let shown = script.shown(first);
        if !sure {
            assert_eq!(shown.why, Some(Why::NoAnswer));
            script.pass(HOUR);
            assert!(script.calls.iter().all(|call| call.id != first), "never by itself");
        }
    }
}

/// Messages in flight to one of several endpoints.
const POSTS_MAX: usize = 5;

#[test]
fn calls_that_hang_at_one_endpoint_leave_places_for_another() {
    let mut script = script();
    for contact in 0..20 {
        script.queue(template(contact));
    }
    let hang: Vec<_> = script.calls.iter().map(|call| call.id).collect();
    assert_eq!(hang.len(), POSTS_MAX);
    // One more is kept for a probe, and nothing else.
    script.turn(|turn| turn.take_call("1", Other::Errand).unwrap().unwrap());
    script.turn(|turn| turn.take_call("1", Other::Errand).unwrap().unwrap());
    assert!(script.turn(|turn| turn.take_call("1", Other::Errand).unwrap()).is_err());
    script.turn(|turn| turn.take_call("1", Other::Probe).unwrap().unwrap());
    assert!(script.turn(|turn| turn.take_call("1", Other::Probe).unwrap()).is_err(), "eight at most");
    script.turn(|turn| turn.end_call("1", Other::Probe, false).unwrap());
    for _ in 0..2 {
        script.turn(|turn| turn.end_call("1", Other::Errand, false).unwrap());
    }
    script.pass(1_000);
    assert_eq!(script.calls.len(), POSTS_MAX);
    // The other endpoint has what is left, and each place that comes free.
    script.turn(|turn| turn.way_is_clear("1", Clear::Another).unwrap());
    script.pass(1_000);
    assert_eq!(script.calls.len(), CALLS_MAX as usize - 1);
    for gone in 1..=4 {
        script.answer_from(hang[gone], unknown(), true);
        script.pass(1_000);
        let there = script.calls.iter().filter(|call| !hang.contains(&call.id)).count();
        assert_eq!(there, (2 + gone).min(POSTS_MAX), "{gone}");
    }
    // Back at the first one it is the same again.
    script.turn(|turn| turn.way_is_clear("1", Clear::Another).unwrap());
    script.pass(1_000);
    assert_eq!(script.calls.len(), CALLS_MAX as usize - 1);
    // Without another all places are for messages.
    let mut script = Script::new(settings(|_| ()));
    for contact in 0..20 {
        script.queue(template(contact));
    }
    assert_eq!(script.calls.len(), CALLS_MAX as usize);
}

#[test]
fn probes_take_no_call_that_a_message_of_the_day_may_need() {
    let probes = |messages, calls| {
        let mut script = Script::new(settings(|number| {
            number.messages_per_day = messages;
            number.calls_per_day = calls;
        }));
        let mut made = 0;
        while script.turn(|turn| turn.take_call("1", Other::Probe).unwrap()).is_ok() {
            script.turn(|turn| turn.end_call("1", Other::Probe, false).unwrap());
            made += 1;
        }
        made
    };
    assert_eq!(probes(1_000, 10_000), 8_900, "a day of probes every ten seconds");
    assert_eq!(probes(1_000, 1_000), 10, "one in a hundred");
    assert_eq!(probes(1_000, 50), 0);
}

/// Looks at Meta until there are none left.
fn look(script: &mut Script) -> u64 {
    let mut made = 0;
    while script.turn(|turn| turn.take_call("1", Other::Look).unwrap()).is_ok() {
        script.turn(|turn| turn.end_call("1", Other::Look, false).unwrap());
        made += 1;
    }
    made
}

#[test]
fn whoever_may_read_leaves_half_of_the_calls_for_messages() {
    let mut script = Script::new(settings(|number| number.calls_per_day = 200));
    assert_eq!(look(&mut script), 99, "half of 198");
    let why = script.turn(|turn| turn.take_call("1", Other::Look).unwrap()).unwrap_err();
    assert!(matches!(why, (Why::ApiCallsPerDay, Some(_))), "{why:?}");
    // Of the other half a file that goes up takes one, and so does each message.
    script.turn(|turn| turn.take_call("1", Other::Errand).unwrap().unwrap());
    script.turn(|turn| turn.end_call("1", Other::Errand, false).unwrap());
    for contact in 0..110 {
        script.queue(template(contact));
    }
    assert_eq!(script.drain().len(), 98);
    assert_eq!(script.turn(|turn| turn.quotas().unwrap())[1].used, 198);
    // What messages have used isn't there any more, whatever the share.
    script.pass(24 * HOUR);
    assert_eq!(script.drain().len(), 12);
    for contact in 200..350 {
        script.queue(template(contact));
    }
    assert_eq!(script.drain().len(), 150);
    assert_eq!(look(&mut script), 198 - 162);
}

#[test]
fn a_restart_gives_looks_nothing_anew() {
    let mut script = Script::new(settings(|number| number.calls_per_day = 200));
    for contact in 0..10 {
        script.queue(template(contact));
    }
    assert_eq!(script.drain().len(), 10);
    for _ in 0..60 {
        script.turn(|turn| turn.take_call("1", Other::Look).unwrap().unwrap());
        script.turn(|turn| turn.end_call("1", Other::Look, false).unwrap());
    }
    script.restart(settings(|number| number.calls_per_day = 200));
    assert_eq!(look(&mut script), 39);
}
