//! Posted, and nobody knows what came of it.

use model::{Outcome, Standing, StatusWord};
use wagate_outbox::{Note, Resolution, Settings, Unchanged, Why};

use crate::script::{DAY, HOUR, MINUTE, SECOND, Script, free, settings, template, unknown, wamid};

fn script() -> Script {
    let mut script = Script::new(settings(|_| ()));
    script.wrote(1);
    script
}

#[test]
fn an_uncertain_message_holds_its_recipient_for_a_minute_and_no_other() {
    let mut script = script();
    let id = script.queue(free(1));
    let next = script.queue(free(1));
    script.answer(id, unknown());
    assert_eq!(script.standing(id), Standing::Uncertain);
    let other = script.queue(template(2));
    script.pass(2 * SECOND);
    assert_eq!(script.accept_all(), [other]);
    script.pass(MINUTE - 2 * SECOND - 1);
    assert!(script.calls.is_empty());
    script.pass(1);
    assert_eq!(script.accept_all(), [next]);
    script.pass(20 * DAY);
    assert_eq!(script.standing(id), Standing::Uncertain, "a person decides");
    assert!(script.calls.is_empty());
}

#[test]
fn a_status_settles_it_and_lets_the_recipient_go_on() {
    let mut script = script();
    let id = script.queue(free(1));
    let next = script.queue(free(1));
    script.answer(id, unknown());
    script.pass(10 * SECOND);
    script.status(id, StatusWord::Delivered);
    assert_eq!(script.standing(id), Standing::Delivered);
    assert_eq!(script.accept_all(), [next]);
    let sent: Vec<_> = script.notes.iter().filter(|note| matches!(note, Note::Sent(_))).collect();
    assert_eq!(sent.len(), 2, "each once");
    assert_eq!(script.shown(id).wamid, Some(wamid(id)));
}

#[test]
fn a_status_of_one_message_ends_no_wait_of_another() {
    let mut script = script();
    let [old, new, third] = [1, 2, 3].map(|_| script.queue(free(1)));
    script.answer(old, unknown());
    script.pass(MINUTE);
    script.answer(new, unknown());
    script.pass(SECOND);
    script.status(old, StatusWord::Sent);
    assert!(script.calls.is_empty(), "the new one holds its recipient still");
    script.pass(MINUTE);
    assert_eq!(script.accept_all(), [third]);
}

#[test]
fn a_person_says_what_it_is() {
    for (word, standing) in [(Resolution::Sent, Standing::Accepted), (Resolution::Failed, Standing::Failed)] {
        let mut script = script();
        let id = script.queue(free(1));
        let next = script.queue(free(1));
        script.answer(id, unknown());
        script.turn(|turn| turn.resolve(id, word).unwrap().unwrap());
        assert_eq!(script.standing(id), standing);
        script.pass(2 * SECOND);
        assert_eq!(script.accept_all(), [next], "nothing is left to wait for");
        assert_eq!(script.used().0, 2, "a person may be wrong: the unit stays taken");
        let again = script.turn(|turn| turn.resolve(id, word).unwrap());
        assert_eq!(again, Err(Unchanged::Certain(standing)));
        // Truth wins, but over a failure.
        script.status(id, StatusWord::Read);
        let read = if standing == Standing::Failed { Standing::Failed } else { Standing::Read };
        assert_eq!(script.standing(id), read);
    }
}

#[test]
fn sent_once_more_it_takes_a_second_unit_and_goes_before_what_came_later() {
    let mut script = script();
    let id = script.queue(free(1));
    let next = script.queue(free(1));
    script.answer(id, unknown());
    script.turn(|turn| turn.resolve(id, Resolution::Resend).unwrap().unwrap());
    script.pass(2 * SECOND);
    assert_eq!(script.calls.len(), 1);
    assert_eq!((script.calls[0].id, script.calls[0].attempt), (id, 2));
    script.accept(id);
    script.accept(next);
    assert_eq!(script.used().0, 3);
}

#[test]
fn a_status_of_the_first_time_takes_back_the_second() {
    let mut script = script();
    let id = script.queue(free(1));
    script.answer(id, unknown());
    script.fact(Some("1"), None, model::Says::Account { usable: false, reason: "restricted".to_owned() });
    script.turn(|turn| turn.resolve(id, Resolution::Resend).unwrap().unwrap());
    script.status(id, StatusWord::Delivered);
    script.fact(Some("1"), None, model::Says::Account { usable: true, reason: String::new() });
    script.pass(HOUR);
    assert!(script.calls.is_empty());
    assert_eq!((script.standing(id), script.used().0), (Standing::Delivered, 1));
}

#[test]
fn a_second_time_that_surely_never_went_costs_nothing() {
    for outcome in [
        Outcome::NotSent { reason: "no route".to_owned() },
        Outcome::Refused(crate::script::refusal(130_429)),
    ] {
        let mut script = script();
        let id = script.queue(free(1));
        script.answer(id, unknown());
        script.turn(|turn| turn.resolve(id, Resolution::Resend).unwrap().unwrap());
        script.pass(2 * SECOND);
        // The first time turns out to have been enough while the second is on its way.
        script.status(id, StatusWord::Delivered);
        assert_eq!(script.used().0, 2);
        script.answer(id, outcome);
        assert_eq!((script.standing(id), script.used().0), (Standing::Delivered, 1));
        script.pass(HOUR);
        assert!(script.calls.is_empty());
    }
}

#[test]
fn the_configuration_may_send_it_again_after_a_long_wait() {
    let six_hours = Settings { send_again_after_ms: [Some(6 * HOUR), None, None], ..settings(|_| ()) };
    let mut script = Script::new(six_hours.clone());
    script.wrote(1);
    let id = script.queue(free(1));
    let service = script.queue(template(2));
    script.answer(id, unknown());
    script.answer(service, unknown());
    script.pass(6 * HOUR - SECOND);
    assert!(script.calls.is_empty());
    // A restart with a longer wait is gone by.
    script.restart(Settings { send_again_after_ms: [Some(8 * HOUR), None, None], ..six_hours });
    script.pass(2 * HOUR);
    assert!(script.calls.is_empty());
    script.pass(SECOND);
    assert_eq!(script.calls.len(), 1);
    assert_eq!(script.calls[0].id, id);
    assert!(script.shown(id).history.iter().any(|step| step.why == Some(Why::SentAgain)));
    script.accept(id);
    script.pass(9 * HOUR);
    assert_eq!((script.calls.len(), script.standing(service)), (0, Standing::Uncertain));
}

#[test]
fn a_crash_leaves_what_was_on_its_way_uncertain_and_the_rest_as_it_was() {
    let mut script = script();
    let ids: Vec<_> = (1..=12).map(|contact| script.queue(template(contact))).collect();
    assert_eq!(script.calls.len(), 8);
    script.crash();
    assert_eq!(script.outbox.in_flight(), 0);
    script.pass(2 * SECOND);
    for id in &ids[..8] {
        assert_eq!(script.standing(*id), Standing::Uncertain);
    }
    assert_eq!(script.accept_all(), ids[8..]);
    let uncertain = script.turn(|turn| turn.uncertain_after(0, 100).unwrap());
    assert_eq!(uncertain.len(), 8);
    assert_eq!(script.used().0, 12, "a crash costs eight units at most");
}

#[test]
fn a_status_that_comes_before_its_answer_is_the_answer() {
    for outcome in [unknown(), Outcome::Refused(crate::script::refusal(131_000))] {
        let mut script = script();
        let id = script.queue(free(1));
        script.status(id, StatusWord::Sent);
        assert_eq!(script.standing(id), Standing::Sent);
        script.answer(id, outcome);
        assert_eq!(script.standing(id), Standing::Sent);
        let next = script.queue(free(1));
        assert_eq!(script.accept_all(), [next]);
    }
    let mut script = script();
    let id = script.queue(free(1));
    script.status(id, StatusWord::Read);
    script.crash();
    assert_eq!(script.standing(id), Standing::Read, "also where the answer is lost");
    script.pass(2 * SECOND);
    assert!(script.calls.is_empty());
}

#[test]
fn a_status_without_the_outbox_id_waits_for_the_answer_that_names_it() {
    let mut script = script();
    let id = script.queue(free(1));
    for word in [StatusWord::Delivered, StatusWord::Sent, StatusWord::Delivered] {
        script.status_of(None, wamid(id), word, None, None);
    }
    assert_eq!((script.standing(id), script.disk.count(b'e')), (Standing::Sending, 1));
    script.accept(id);
    assert_eq!((script.standing(id), script.disk.count(b'e')), (Standing::Delivered, 0));
    // What nobody claims is forgotten.
    let other = script.queue(free(1));
    script.status_of(None, "wamid.of.another.program".to_owned(), StatusWord::Sent, None, None);
    script.accept(other);
    script.pass(HOUR);
    assert_eq!(script.disk.count(b'e'), 0);
}

#[test]
fn a_status_of_the_first_time_gives_back_the_unit_that_the_second_waits_with() {
    let mut script = script();
    let id = script.queue(free(1));
    script.answer(id, unknown());
    script.turn(|turn| turn.resolve(id, Resolution::Resend).unwrap().unwrap());
    script.pass(2 * SECOND);
    script.refuse(id, 130_429);
    assert_eq!(script.used().0, 2);
    script.status(id, StatusWord::Delivered);
    assert_eq!((script.standing(id), script.used().0), (Standing::Delivered, 1));
    script.pass(HOUR);
    assert!(script.calls.is_empty());
}

#[test]
fn a_wait_that_is_configured_later_reaches_what_is_uncertain_already() {
    let mut script = script();
    let id = script.queue(free(1));
    script.answer(id, unknown());
    script.pass(HOUR);
    script.restart(Settings { send_again_after_ms: [Some(6 * HOUR), None, None], ..settings(|_| ()) });
    script.pass(5 * HOUR - SECOND);
    assert!(script.calls.is_empty());
    script.pass(SECOND);
    assert_eq!(script.accept_all(), [id]);
}

/// A turn that isn't urgent may be carried, and the calls of the next one would hide which were the last run's.
#[test]
fn a_start_that_finds_calls_under_way_is_to_be_made_durable() {
    let mut script = script();
    let quiet = wagate_outbox::Outbox::open(&script.disk, settings(|_| ()), script.now).unwrap().1;
    assert!(!quiet.urgent);
    script.queue(free(1));
    let after = wagate_outbox::Outbox::open(&script.disk, settings(|_| ()), script.now).unwrap().1;
    assert!(after.urgent);
}

/// Each of them costs a unit and a person's look.
#[test]
fn an_outage_makes_few_messages_uncertain_and_not_the_queue() {
    for outcome in [unknown(), Outcome::Refused(crate::script::refusal(131_000))] {
        let mut script = Script::new(settings(|number| number.recipients_per_day = 1_000));
        for contact in 1..=200 {
            script.queue(template(contact));
        }
        let mut lost = 0;
        for _ in 0..600 {
            for id in script.calls.iter().map(|call| call.id).collect::<Vec<_>>() {
                script.answer(id, outcome.clone());
                lost += 1;
            }
            script.pass(SECOND);
        }
        assert!((9..=20).contains(&lost), "{lost} in ten minutes");
        // Over, and the first that is let in says so.
        script.pass(5 * MINUTE);
        assert_eq!(script.drain().len(), 200 - lost);
    }
}

#[test]
fn one_uncertain_message_among_good_ones_slows_the_number_for_two_seconds_at_most() {
    let mut script = script();
    let [one, two, three] = [1, 2, 3].map(|contact| script.queue(template(contact)));
    script.answer(one, unknown());
    script.accept(two);
    script.accept(three);
    let next = script.queue(template(4));
    assert!(script.calls.is_empty());
    script.pass(2 * SECOND);
    assert_eq!(script.accept_all(), [next]);
}
