//! What Graph says no to, by its code.

use model::{Outcome, Priority, Says, Standing, StatusWord};
use wagate_outbox::{Called, Other, Why};

use crate::script::{
    DAY, HOUR, MINUTE, SECOND, Script, Wish, accepted, campaign, free, mark, refusal, settings, template,
    unknown,
};

fn script() -> Script {
    Script::new(settings(|_| ()))
}

#[test]
fn a_token_that_is_void_stops_the_number_and_keeps_the_queue() {
    let mut script = script();
    let ids: Vec<_> = (1..=20).map(|contact| script.queue(template(contact))).collect();
    assert_eq!(script.calls.len(), 8);
    for id in &ids[..8] {
        script.refuse(*id, 190);
    }
    assert!(script.calls.is_empty(), "nothing more goes");
    let ways = script.turn(|turn| turn.ways().unwrap());
    assert_eq!(ways[0].stopped.as_ref().unwrap().code, Some(190));
    assert_eq!(script.shown(ids[0]).why, Some(Why::Stopped));
    assert_eq!((ways[0].counts.queued, script.standing(ids[19])), (20, Standing::Held));
    // One trial every five minutes, whoever is the first.
    script.pass(4 * MINUTE);
    assert!(script.calls.is_empty());
    script.pass(MINUTE);
    assert_eq!(script.calls.len(), 1);
    assert_eq!(script.calls[0].id, ids[8], "another one: it may have been the message");
    script.refuse(ids[8], 190);
    script.pass(MINUTE);
    assert!(script.calls.is_empty());
    // A person has put in another token.
    script.turn(|turn| turn.resume().unwrap());
    assert_eq!(script.calls.len(), 1);
    let went = script.drain();
    assert_eq!(went, ids, "all of them, in their order");
    assert_eq!(script.used(), (20, 20));
}

#[test]
fn a_pause_is_ended_by_a_person_only() {
    let mut script = script();
    let [one, two, three] = [1, 2, 3].map(|contact| script.queue(template(contact)));
    script.refuse(one, 131_048);
    // They were on their way before.
    script.accept(two);
    script.refuse(three, 190);
    script.pass(DAY);
    assert!(script.calls.is_empty(), "trying makes it worse");
    script.turn(|turn| turn.resume().unwrap());
    assert_eq!(script.calls[0].id, one);
    script.accept(one);
    assert_eq!(script.calls[0].id, three);
}

#[test]
fn throttling_slows_the_number_and_fails_nothing() {
    let mut script = script();
    let ids: Vec<_> = (1..=3).map(|contact| script.queue(template(contact))).collect();
    script.refuse(ids[0], 130_429);
    script.accept(ids[1]);
    script.accept(ids[2]);
    assert_eq!(script.standing(ids[0]), Standing::Held);
    assert_eq!(script.shown(ids[0]).why, Some(Why::Throttled));
    script.pass(3 * SECOND);
    assert_eq!(script.calls[0].id, ids[0]);
    script.accept(ids[0]);
    assert_eq!(script.used(), (3, 3));
}

#[test]
fn a_throttle_header_slows_for_a_day_at_most() {
    let mut script = script();
    let id = script.queue(template(1));
    script.calls.clear();
    let called = Called {
        id,
        number: "1".to_owned(),
        endpoint: "meta".to_owned(),
        left: false,
        outcome: accepted(id),
        slow_for_ms: Some(u64::MAX),
        chance: 0,
    };
    script.turn(|turn| turn.called(called).unwrap());
    let next = script.queue(template(2));
    script.pass(DAY - 1);
    assert!(script.calls.is_empty());
    script.pass(1);
    assert_eq!(script.calls[0].id, next);
}

#[test]
fn the_pair_rate_holds_one_recipient_and_no_other() {
    let mut script = script();
    script.wrote(1);
    let first = script.queue(free(1));
    let second = script.queue(free(1));
    script.refuse(first, 131_056);
    let other = script.queue(template(2));
    assert_eq!(script.calls[0].id, other);
    script.pass(SECOND);
    script.refuse(first, 131_056);
    script.pass(4 * SECOND - 1);
    assert_eq!(script.calls.len(), 1, "4 s the second time");
    script.pass(1);
    script.accept(first);
    script.accept(second);
}

#[test]
fn forty_five_at_once_and_then_one_each_six_seconds() {
    let mut script = script();
    script.wrote(1);
    let ids: Vec<_> = (0..60).map(|_| script.queue(free(1))).collect();
    let mut went = Vec::new();
    for _ in 0..50 {
        went.extend(script.accept_all());
        script.pass(20);
    }
    assert_eq!(went, ids[..45]);
    assert_eq!(script.shown(ids[45]).why, Some(Why::PairRate));
    // Forgotten by no restart.
    script.crash();
    script.pass(4 * SECOND);
    assert!(script.calls.is_empty());
    script.pass(2 * SECOND);
    assert_eq!(script.calls[0].id, ids[45]);
}

#[test]
fn what_whatsapp_withholds_waits_once_for_a_day_whatever_was_refused_before() {
    let mut script = script();
    let id = script.queue(campaign(1));
    script.refuse(id, 131_056);
    script.pass(SECOND);
    script.refuse(id, 131_049);
    assert_eq!(script.shown(id).why, Some(Why::Withheld));
    script.wrote(1);
    assert!(script.calls.is_empty(), "it is withheld in a window, too");
    script.pass(DAY);
    script.refuse(id, 131_049);
    assert_eq!(script.standing(id), Standing::Failed);
    assert_eq!(script.used().1, 0);
}

#[test]
fn what_is_refused_for_good_fails_and_gives_back_what_it_took() {
    for code in [100, 131_026, 132_001, 130_497] {
        let mut script = script();
        let id = script.queue(template(1));
        script.refuse(id, code);
        assert_eq!(script.standing(id), Standing::Failed, "{code}");
        assert_eq!(script.used(), (0, 0), "{code}");
        let next = script.queue(template(1));
        assert_eq!(script.calls[0].id, next, "{code}: it was no push");
    }
}

#[test]
fn who_wants_no_marketing_gets_none_and_everything_else() {
    let mut script = script();
    let id = script.queue(campaign(1));
    let waiting = script.queue(campaign(1));
    script.refuse(id, 131_050);
    assert_eq!(script.standing(id), Standing::Failed);
    let draft = script.draft(&campaign(1));
    let call = wagate_outbox::Enqueue { key: [7; 16], body: [1; 16], drafts: vec![draft] };
    let refused = script.turn(|turn| turn.enqueue(call).unwrap());
    assert_eq!(refused, Err(wagate_outbox::Unqueued::OptedOut));
    let order = script.queue(template(1));
    script.accept(order);
    assert_eq!(script.standing(waiting), Standing::Failed, "the push that it waited for was none");
    script.fact(None, Some(1), Says::Marketing { aliases: Vec::new(), stopped: false });
    script.pass(25 * HOUR);
    assert!(script.calls.is_empty());
    let wanted = script.queue(campaign(1));
    assert_eq!(script.accept_all(), [wanted]);
    script.fact(None, Some(1), Says::Marketing { aliases: Vec::new(), stopped: true });
    script.pass(25 * HOUR);
    assert!(script.calls.is_empty());
}

#[test]
fn a_failed_status_that_says_that_nothing_gets_through_stops_the_number() {
    let mut script = script();
    let id = script.queue(template(1));
    script.accept(id);
    script.status_of(Some(id), "w".to_owned(), StatusWord::Failed, Some(refusal(131_042)), None);
    assert_eq!(script.standing(id), Standing::Failed);
    let next = script.queue(template(2));
    assert_eq!(script.shown(next).why, Some(Why::Stopped));
    script.pass(5 * MINUTE);
    script.accept(next);
    assert!(is_stopped(&mut script), "the last one was accepted, too");
    script.status(next, StatusWord::Sent);
    assert!(!is_stopped(&mut script));
}

fn is_stopped(script: &mut Script) -> bool {
    script.turn(|turn| turn.ways().unwrap())[0].stopped.is_some()
}

/// They were let in before WhatsApp shut the door, and are answered after that.
#[test]
fn no_answer_to_a_call_that_was_under_way_undoes_a_stop() {
    for by_status in [true, false] {
        let mut script = script();
        let first = script.queue(template(1));
        let [second, third, fourth] = [2, 3, 4].map(|contact| script.queue(template(contact)));
        script.now += SECOND;
        if by_status {
            script.accept(first);
            let says = Some(refusal(131_042));
            script.status_of(Some(first), "w".to_owned(), StatusWord::Failed, says, None);
        } else {
            script.refuse(first, 190);
        }
        script.accept(second);
        script.refuse(third, 131_026);
        script.accept(fourth);
        script.status(second, StatusWord::Delivered);
        assert!(is_stopped(&mut script), "{by_status}");
        let next = script.queue(template(5));
        script.pass(SECOND);
        assert!(script.calls.is_empty());
        script.pass(MINUTE);
        // A person's word, or one that got through.
        script.turn(|turn| turn.resume().unwrap());
        let trial = script.calls[0].id;
        assert_eq!((script.calls.len(), trial), (1, if by_status { next } else { first }));
        script.accept(trial);
        assert!(!is_stopped(&mut script));
    }
}

#[test]
fn an_account_that_is_restricted_waits_until_it_is_let_in_again() {
    let mut script = script();
    script.fact(Some("1"), None, Says::Account { usable: false, reason: "DISABLED_UPDATE".to_owned() });
    let ids: Vec<_> = (1..=2).map(|contact| script.queue(template(contact))).collect();
    assert_eq!(script.shown(ids[0]).why, Some(Why::Stopped));
    script.fact(Some("1"), None, Says::Account { usable: true, reason: String::new() });
    assert_eq!(script.accept_all(), ids);
}

#[test]
fn what_never_left_goes_again_and_its_call_is_given_back_to_its_own_day() {
    let mut script = script();
    // A second before midnight in Hong Kong (16:00 UTC).
    script.now += 6 * HOUR - 3 * SECOND;
    let id = script.queue(mark(1));
    script.now += 2 * SECOND;
    let today = script.queue(template(2));
    assert_eq!(script.turn(|turn| turn.quotas().unwrap())[1].used, 1, "of today");
    script.answer(id, Outcome::NotSent { reason: "no route".to_owned() });
    assert_eq!(script.turn(|turn| turn.quotas().unwrap())[1].used, 1);
    script.accept(today);
    script.pass(10 * SECOND);
    assert_eq!(script.accept_all(), [id]);
}

#[test]
fn what_expires_while_it_is_posted_ends_when_it_is_refused() {
    let mut script = script();
    let id = script.queue(Wish { expires: Some(SECOND), ..template(1) });
    script.pass(5 * SECOND);
    script.refuse(id, 131_048);
    assert_eq!(script.standing(id), Standing::Expired, "although nothing is tried any more");
    assert_eq!(script.used(), (0, 0));
}

/// Of a code that may concern one message only.
#[test]
fn one_message_that_draws_a_stop_each_time_stops_no_number_for_ever() {
    let mut script = script();
    let bad = script.queue(template(1));
    script.refuse(bad, 10);
    let mut good = Vec::new();
    let mut went = Vec::new();
    for second in 0..3_600 {
        if second % 100 == 0 {
            good.push(script.queue(template(2 + second / 100)));
        }
        for id in script.calls.iter().map(|call| call.id).collect::<Vec<_>>() {
            if id == bad {
                script.refuse(id, 10);
            } else {
                script.accept(id);
                went.push(id);
            }
        }
        script.pass(SECOND);
    }
    assert_eq!(went, good);
    assert_eq!(script.standing(bad), Standing::Failed);
}

/// A probe decides nothing about a stop, so nothing waits for the end of one.
#[test]
fn a_stopped_number_has_its_trial_whatever_else_is_in_flight() {
    let mut script = script();
    let id = script.queue(template(1));
    script.refuse(id, 190);
    script.turn(|turn| turn.take_call("1", Other::Probe).unwrap().unwrap());
    script.pass(6 * MINUTE);
    script.accept(id);
}

#[test]
fn marks_that_nobody_answers_are_over() {
    let mut script = script();
    let id = script.queue(mark(1));
    script.answer(id, unknown());
    assert_eq!(script.standing(id), Standing::Failed);
}

#[test]
fn a_reply_overtakes_and_none_overtakes_its_like() {
    let mut script = Script::new(settings(|number| number.per_second = 1));
    script.wrote(1);
    let first = script.queue(template(1));
    let second = script.queue(template(1));
    let sale = script.queue(campaign(1));
    let reply = script.queue(free(1));
    let other = script.queue(Wish { priority: Priority::Reply, ..template(2) });
    assert_eq!(script.drain(), [first, reply, other, second, sale]);
}

#[test]
fn calls_that_are_refused_together_are_one_refusal() {
    let mut script = script();
    let ids: Vec<_> = (1..=16).map(|contact| script.queue(template(contact))).collect();
    assert_eq!(script.calls.len(), 8);
    for id in &ids[..8] {
        script.refuse(*id, 130_429);
    }
    // 1 to 2 s, as for the first; eight in a row would be minutes.
    script.pass(2 * SECOND);
    // One by one, until the first is let in.
    assert_eq!(script.calls.len(), 1);
    // The second time in a row it is twice that.
    script.refuse(ids[0], 130_429);
    script.pass(2 * SECOND - 1);
    assert!(script.calls.is_empty());
    script.pass(2 * SECOND);
    assert_eq!(script.calls.len(), 1);
    assert_eq!(script.drain(), ids);
}
