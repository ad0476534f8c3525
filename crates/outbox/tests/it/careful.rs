//! Values that can't be read any more and count as the strictest that they can have been.

use model::{Says, Standing, StatusWord};
use wagate_outbox::{Consent, Enqueue, Unqueued, Why};

use crate::script::{
    DAY, HOUR, MINUTE, SECOND, Script, campaign, free, mark, refusal, settings, template, unknown, wamid,
};

fn script() -> Script {
    Script::new(settings(|_| ()))
}

fn marketing(script: &mut Script, contact: u128, stopped: bool) {
    script.fact(None, Some(contact), Says::Marketing { aliases: Vec::new(), stopped });
}

fn agree(script: &mut Script, contact: u128) {
    let consent = Consent { at_ms: script.now, proof: "form".to_owned() };
    script.turn(|turn| turn.consent(contact, Some(&consent)).unwrap());
}

/// What the outbox says to a campaign message.
fn asked(script: &mut Script, contact: u128) -> Option<Unqueued> {
    let draft = script.draft(&campaign(contact));
    let key = [u8::try_from(draft.chance).unwrap(); 16];
    let call = Enqueue { key, body: [1; 16], drafts: vec![draft] };
    script.turn(|turn| turn.enqueue(call).unwrap()).err()
}

#[test]
fn who_cant_be_read_gets_no_marketing_until_they_or_the_store_say_so() {
    for stopped in [true, false] {
        for consent in [true, false] {
            let mut script = script();
            let stop = script.queue(template(9));
            script.refuse(stop, 130_429);
            agree(&mut script, 1);
            let waiting = script.queue(campaign(1));
            marketing(&mut script, 1, stopped);
            script.disk.damage(b'k');
            assert_eq!(asked(&mut script, 1), Some(Unqueued::OptedOut));
            script.drain();
            assert_eq!(
                (script.standing(waiting), script.shown(waiting).why),
                (Standing::Failed, Some(Why::OptedOut))
            );
            // Whatever else is written about them changes nothing of it.
            let known = |script: &Script| script.outbox.turn(&script.disk, script.now).known_of(1).unwrap();
            script.wrote(1);
            let reply = script.queue(free(1));
            assert_eq!(script.accept_all(), [reply]);
            script.status(reply, StatusWord::Delivered);
            script.pass(2 * DAY);
            assert!(known(&script).stopped_ms.is_some() && known(&script).unread_ms.is_some());
            assert_eq!(
                asked(&mut script, 1),
                Some(Unqueued::OptedOut),
                "not forgotten by being written anew"
            );
            if consent {
                agree(&mut script, 1);
            } else {
                marketing(&mut script, 1, false);
            }
            assert_eq!((known(&script).stopped_ms, known(&script).opted_in.is_some()), (None, consent));
            assert_eq!(asked(&mut script, 1), None);
        }
    }
}

#[test]
fn who_cant_be_read_has_agreed_to_nothing_and_was_pushed_to_just_now() {
    for repaired in [false, true] {
        let mut script = script();
        agree(&mut script, 1);
        let first = script.queue(template(1));
        script.accept(first);
        script.disk.damage(b'k');
        let next = script.queue(template(1));
        assert_eq!(script.shown(next).why, Some(Why::PushLimit));
        script.pass(DAY);
        assert!(script.calls.is_empty());
        if repaired {
            agree(&mut script, 1);
        } else {
            script.pass(MINUTE);
        }
        assert_eq!(script.accept_all(), [next], "and no longer than that");
    }
}

#[test]
fn a_key_whose_answer_cant_be_read_sends_nothing_a_second_time() {
    let mut script = script();
    let draft = script.draft(&template(1));
    let call = Enqueue { key: [5; 16], body: [1; 16], drafts: vec![draft] };
    let id = script.turn(|turn| turn.enqueue(call.clone()).unwrap().unwrap()).id;
    assert_eq!(script.accept_all(), [id]);
    script.disk.damage(b'i');
    agree(&mut script, 1);
    assert_eq!(script.turn(|turn| turn.enqueue(call).unwrap()), Err(Unqueued::Unreadable));
    assert!(script.calls.is_empty());
}

#[test]
fn a_limit_of_meta_that_cant_be_read_is_the_lowest_until_meta_says_it_again() {
    let mut script = Script::new(settings(|number| number.recipients_per_day = 100_000));
    let limit = |script: &Script| script.outbox.turn(&script.disk, script.now).quotas().unwrap()[2].limit;
    for number in [None, Some("1")] {
        script.fact(number, None, Says::UniqueLimit(Some(2_000)));
        assert_eq!(limit(&script), 2_000);
        script.disk.damage(b'y');
        assert_eq!(limit(&script), 250);
        script.fact(number, None, Says::UniqueLimit(Some(10_000)));
        assert_eq!(limit(&script), 10_000);
        script.fact(number, None, Says::UniqueLimit(None));
    }
}

#[test]
fn a_number_that_cant_be_read_tries_one_message_and_goes_on_when_that_got_through() {
    for again in [true, false] {
        let mut script = script();
        let ids: Vec<_> = (1..=4).map(|contact| script.queue(template(contact))).collect();
        script.refuse(ids[0], 131_048);
        for id in &ids[1..] {
            script.accept(*id);
        }
        let more: Vec<_> = (5..=8).map(|contact| script.queue(template(contact))).collect();
        script.pass(HOUR);
        assert!(script.calls.is_empty(), "a pause");
        script.disk.damage(b'a');
        script.crash_unchecked();
        script.pass_unchecked(MINUTE);
        assert_eq!(script.calls.len(), 1);
        let tried = script.calls[0].id;
        if again {
            script.refuse(tried, 131_048);
            script.pass(DAY);
            assert!(script.calls.is_empty(), "it is paused as it was");
            continue;
        }
        script.accept(tried);
        script.pass(MINUTE);
        assert!(script.calls.is_empty(), "that WhatsApp takes it proves nothing");
        script.status(tried, StatusWord::Sent);
        assert_eq!(script.drain().len(), 1 + more.len() - 1);
    }
}

/// A burst of 45 is what a lane remembers.
#[test]
fn a_lane_that_cant_be_read_has_used_up_its_pair_rate() {
    for joined in [false, true] {
        let mut script = script();
        for contact in [1, 2] {
            script.wrote(contact);
        }
        for _ in 0..40 {
            script.queue(free(1));
        }
        let mut went = 0;
        while went < 40 {
            script.pass(20);
            went += script.accept_all().len();
        }
        script.disk.damage(b'p');
        if joined {
            script.disk.join(1, 2);
        }
        for _ in 0..30 {
            script.queue(free(if joined { 2 } else { 1 }));
        }
        let begin = script.now;
        let mut after = 0;
        while script.now < begin + MINUTE {
            script.pass_unchecked(20);
            after += script.accept_all().len();
        }
        assert!((8..=10).contains(&after), "{after} in a minute, {joined}");
        script.pass(HOUR);
    }
}

#[test]
fn a_lane_that_cant_be_read_waits_for_who_is_being_posted_in_it() {
    for joined in [false, true] {
        let mut script = script();
        for contact in [1, 2] {
            script.wrote(contact);
        }
        let first = script.queue(template(1));
        assert_eq!(script.calls.len(), 1);
        script.disk.damage(b'p');
        if joined {
            script.disk.join(1, 2);
        }
        let next = script.queue(free(if joined { 2 } else { 1 }));
        script.pass_unchecked(MINUTE);
        assert_eq!(script.calls.len(), 1, "one call for one recipient, {joined}");
        script.accept(first);
        script.pass(10 * SECOND);
        assert_eq!(script.accept_all(), [next]);
        script.pass(HOUR);
    }
}

#[test]
fn marks_as_read_take_no_trial_from_a_message() {
    for damaged in [true, false] {
        let mut script = script();
        script.wrote(1);
        if damaged {
            script.fact(Some("1"), None, Says::Throughput(80));
            script.disk.damage(b'a');
            script.crash_unchecked();
        } else {
            let id = script.queue(template(7));
            script.accept(id);
            script.status_of(Some(id), wamid(id), StatusWord::Failed, Some(refusal(131_042)), None);
        }
        let reply = script.queue(free(1));
        for customer in 100..190 {
            // Somebody writes once a minute, and is marked as read.
            script.queue(mark(customer));
            script.pass_unchecked(MINUTE);
            while !script.calls.is_empty() {
                if script.accept_all().contains(&reply) {
                    script.status(reply, StatusWord::Sent);
                }
            }
        }
        assert_eq!(script.standing(reply), Standing::Sent, "damaged: {damaged}");
    }
}

#[test]
fn what_is_uncertain_holds_a_lane_that_cant_be_read_as_long_as_any() {
    for crash in [false, true] {
        let mut script = script();
        script.wrote(1);
        let (id, next) = (script.queue(free(1)), script.queue(free(1)));
        script.disk.damage(b'p');
        if crash {
            script.crash_unchecked();
        } else {
            script.answer(id, unknown());
        }
        script.pass_unchecked(59 * SECOND);
        assert_eq!(script.calls.len(), 0, "crash: {crash}");
        script.pass_unchecked(10 * SECOND);
        assert_eq!(script.calls.iter().map(|call| call.id).collect::<Vec<_>>(), [next], "crash: {crash}");
    }
}

#[test]
fn of_one_recipient_one_message_is_posted_though_neither_lane_nor_call_can_be_read() {
    let mut script = script();
    script.wrote(1);
    script.queue(template(1));
    script.disk.damage(b'p');
    script.disk.damage(b'f');
    script.queue(free(1));
    script.pass_unchecked(MINUTE);
    assert_eq!(script.calls.len(), 1);
}
