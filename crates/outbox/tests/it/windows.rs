//! The service window: judged when a message goes, and what becomes of one that has none.

use model::Standing;
use wagate_outbox::{Consent, Kind, Why};

use crate::script::{BEGIN, DAY, HOUR, MINUTE, SECOND, Script, Wish, free, mark, settings, template};

fn script() -> Script {
    Script::new(settings(|_| ()))
}

#[test]
fn a_free_form_message_waits_for_the_customer_and_goes_when_they_write() {
    let mut script = script();
    let id = script.queue(free(1));
    let shown = script.shown(id);
    assert_eq!((shown.standing, shown.why), (Standing::Held, Some(Why::WindowClosed)));
    assert_eq!(shown.expires_ms, Some(script.now + DAY));
    assert!(script.calls.is_empty());
    script.pass(23 * HOUR);
    script.wrote(1);
    assert_eq!(script.calls[0].id, id);
    script.accept(id);
    assert_eq!(script.standing(id), Standing::Accepted);
    assert_eq!(script.used(), (1, 0), "a reply counts no recipient");
}

#[test]
fn without_the_customer_it_is_given_up_after_a_day_or_when_its_caller_says() {
    let mut script = script();
    let day = script.queue(free(1));
    let hour = script.queue(Wish { expires: Some(HOUR), ..free(1) });
    let week = script.queue(Wish { expires: Some(7 * DAY), ..free(1) });
    script.pass(HOUR - SECOND);
    assert_eq!(script.standing(hour), Standing::Held);
    script.pass(SECOND);
    assert_eq!(script.standing(hour), Standing::Expired);
    script.pass(23 * HOUR);
    assert_eq!((script.standing(day), script.standing(week)), (Standing::Expired, Standing::Held));
    script.pass(6 * DAY);
    assert_eq!(script.standing(week), Standing::Expired);
}

#[test]
fn consent_doesnt_prolong_what_waits_for_the_customer() {
    let mut script = script();
    let id = script.queue(free(1));
    let ends = script.shown(id).expires_ms;
    script.pass(10 * HOUR);
    let consent = Consent { at_ms: script.now, proof: "form".to_owned() };
    script.turn(|turn| turn.consent(1, Some(&consent)).unwrap());
    assert_eq!(script.shown(id).expires_ms, ends);
    script.pass(14 * HOUR);
    assert_eq!(script.standing(id), Standing::Expired);
}

#[test]
fn a_message_that_was_let_go_doesnt_end_as_if_it_still_waited() {
    let mut script = script();
    let id = script.queue(free(1));
    script.pass(23 * HOUR);
    let account = |usable| model::Says::Account { usable, reason: "restricted".to_owned() };
    script.fact(Some("1"), None, account(false));
    script.wrote(1);
    assert_eq!(script.shown(id).why, Some(Why::Stopped));
    script.pass(2 * MINUTE);
    script.now += 2 * HOUR;
    script.fact(Some("1"), None, account(true));
    assert_eq!(script.calls[0].id, id);
}

#[test]
fn the_window_is_judged_at_the_moment_of_sending() {
    let mut script = script();
    script.wrote(1);
    let written = script.now;
    script.now = written + DAY - 31 * SECOND;
    let in_time = script.queue(free(1));
    assert_eq!(script.calls[0].id, in_time);
    script.accept(in_time);
    script.now = written + DAY - 30 * SECOND;
    let late = script.queue(free(1));
    assert_eq!(script.shown(late).why, Some(Why::WindowClosed));
    assert!(script.calls.is_empty());
}

#[test]
fn the_fallback_goes_where_the_window_has_closed_while_it_waited() {
    let mut script = script();
    script.wrote(1);
    let before = script.queue(free(1));
    let id = script.queue(Wish { fallback: true, ..free(1) });
    // Nobody answers the call before it for longer than the window is open.
    script.now += 25 * HOUR;
    script.accept(before);
    assert_eq!((script.calls[0].id, script.calls[0].kind), (id, Kind::Template));
    assert_eq!(script.calls[0].payload, "fallback");
    script.accept(id);
    assert!(script.shown(id).fell_back);
    assert_eq!(script.used().1, 1, "a push");
}

#[test]
fn a_fallback_that_waits_gives_way_when_the_customer_writes() {
    let mut script = script();
    let push = script.queue(template(1));
    script.accept(push);
    let id = script.queue(Wish { fallback: true, ..free(1) });
    assert_eq!(script.shown(id).why, Some(Why::PushLimit));
    script.wrote(1);
    assert_eq!((script.calls[0].id, script.calls[0].kind), (id, Kind::FreeForm));
    assert_eq!(script.calls[0].payload, "FreeForm");
}

#[test]
fn whatsapp_is_asked_once_more_where_the_box_thinks_the_window_open() {
    let mut script = script();
    script.wrote(1);
    let plain = script.queue(free(1));
    let other = script.queue(Wish { fallback: true, ..free(1) });
    script.refuse(plain, 131_047);
    assert_eq!(script.shown(plain).why, Some(Why::Retry));
    assert!(script.calls.is_empty(), "the whole recipient waits");
    script.pass(5 * SECOND);
    script.refuse(plain, 131_047);
    assert_eq!(script.shown(plain).why, Some(Why::WindowClosed));
    // The next is told by the first: it falls back without being refused itself.
    assert_eq!((script.calls[0].id, script.calls[0].kind), (other, Kind::Template));
    script.accept(other);
    script.pass(MINUTE);
    script.wrote(1);
    assert_eq!(script.calls[0].id, plain);
    script.accept(plain);
    assert_eq!(script.used().0, 2, "one unit each, however often they were tried");
}

#[test]
fn any_name_of_a_person_opens_the_window() {
    let mut script = script();
    let id = script.queue(free(1));
    script.disk.join(1, 2);
    script.wrote(2);
    assert_eq!(script.calls[0].id, id);
}

#[test]
fn a_message_out_of_the_past_or_the_future_opens_no_longer_window() {
    let mut script = script();
    script.now = BEGIN + 10 * DAY;
    let id = script.queue(free(1));
    let says = || model::Says::Inbound { wamid: "in".to_owned() };
    let at = |at, sequence| model::Fact {
        sequence: model::Sequence(sequence),
        at: Some(model::WallTime(at)),
        number: Some("1".to_owned()),
        contact: Some(1),
        says: says(),
    };
    script.turn(|turn| turn.learn(at(BEGIN, 100)).unwrap());
    assert_eq!(script.standing(id), Standing::Held);
    let now = script.now;
    script.turn(|turn| turn.learn(at(now + 300 * DAY, 101)).unwrap());
    script.accept(id);
    script.pass(DAY);
    let late = script.queue(free(1));
    assert_eq!(script.shown(late).why, Some(Why::WindowClosed));
}

#[test]
fn marks_as_read_need_no_window_and_take_no_message_unit() {
    let mut script = Script::new(settings(|number| number.messages_per_day = 0));
    let id = script.queue(mark(1));
    assert_eq!(script.calls[0].id, id);
    script.accept(id);
    let quotas = script.turn(|turn| turn.quotas().unwrap());
    assert_eq!((quotas[0].used, quotas[1].used), (0, 1));
    assert_eq!(script.standing(id), Standing::Accepted);
    assert!(script.notes.is_empty(), "nothing was said to the customer");
}

#[test]
fn a_mark_as_read_goes_while_messages_wait_for_the_next_day() {
    let mut script = Script::new(settings(|number| number.messages_per_day = 0));
    script.wrote(2);
    script.queue(free(2));
    assert!(script.calls.is_empty());
    let id = script.queue(mark(1));
    assert_eq!(script.calls.iter().map(|call| call.id).collect::<Vec<_>>(), [id]);
}
