//! Marketing that WhatsApp withholds from a customer, as it says by an answer or by a failed status.

use model::{Fact, Says, Sequence, Standing, StatusWord, WallTime};
use wagate_outbox::Why;

use crate::script::{
    DAY, HOUR, MINUTE, SECOND, Script, Wish, campaign, free, refusal, settings, template, wamid,
};

fn script() -> Script {
    Script::new(settings(|_| ()))
}

/// A campaign message that was taken, and then failed with this code.
fn fails_later(script: &mut Script, contact: u128, code: i64) -> model::OutboxId {
    let id = script.queue(campaign(contact));
    script.accept(id);
    script.status_of(Some(id), wamid(id), StatusWord::Failed, Some(refusal(code)), None);
    id
}

#[test]
fn a_failed_status_that_withholds_marketing_rests_the_customer_for_a_day() {
    for code in [131_049, 130_472] {
        let mut script = script();
        let waiting = script.queue(campaign(1));
        script.refuse(waiting, 130_429);
        let failed = script.queue(campaign(1));
        script.pass(2 * SECOND);
        script.accept(waiting);
        script.wrote(1);
        script.accept(failed);
        script.status_of(Some(failed), wamid(failed), StatusWord::Failed, Some(refusal(code)), None);
        assert_eq!(script.standing(failed), Standing::Failed, "{code}");
        let next = script.queue(campaign(1));
        let shown = script.shown(next);
        assert_eq!((shown.standing, shown.why), (Standing::Held, Some(Why::Withheld)), "{code}");
        assert_eq!(shown.not_before_ms, Some(script.now + DAY));
        // It is about marketing, and about this customer.
        let order = script.queue(template(1));
        let reply = script.queue(free(1));
        let other = script.queue(campaign(2));
        let mut went = script.drain();
        went.sort_unstable();
        assert_eq!(went, [order, reply, other]);
        script.crash();
        script.wrote(1);
        script.pass(DAY - MINUTE - SECOND);
        assert!(script.calls.is_empty(), "{code}: withheld in a window, too");
        script.pass(SECOND);
        assert_eq!(script.accept_all(), [next], "{code}");
        assert_eq!(script.standing(failed), Standing::Failed, "it is final");
        assert_eq!(script.disk.count(b'b'), 0, "and forgotten");
    }
}

#[test]
fn the_answer_of_a_call_rests_the_customer_as_a_status_does() {
    for (code, again) in [(131_049, Standing::Held), (130_472, Standing::Failed)] {
        let mut script = script();
        let id = script.queue(campaign(1));
        script.refuse(id, code);
        assert_eq!(script.standing(id), again);
        let next = script.queue(campaign(1));
        assert_eq!(script.shown(next).why, Some(Why::Withheld), "{code}");
        script.pass(DAY - SECOND);
        assert!(script.calls.is_empty());
        script.pass(SECOND);
        let first = if again == Standing::Held { id } else { next };
        assert_eq!(script.calls[0].id, first, "{code}: in their order");
    }
}

#[test]
fn a_later_refusal_prolongs_the_rest_and_an_old_status_that_comes_again_doesnt() {
    let mut script = script();
    let one = script.queue(campaign(1));
    script.accept(one);
    script.wrote(1);
    let two = script.queue(campaign(1));
    script.accept(two);
    let withheld = |script: &mut Script, id| {
        script.status_of(Some(id), wamid(id), StatusWord::Failed, Some(refusal(131_049)), None);
    };
    withheld(&mut script, one);
    script.pass(10 * HOUR);
    withheld(&mut script, two);
    script.pass(HOUR);
    withheld(&mut script, one);
    withheld(&mut script, two);
    let next = script.queue(campaign(1));
    assert_eq!(script.shown(next).not_before_ms, Some(script.now + 23 * HOUR));
    script.pass(23 * HOUR - SECOND);
    assert!(script.calls.is_empty());
    script.pass(HOUR);
    assert_eq!(script.calls[0].id, next);
}

#[test]
fn a_rest_is_the_persons_under_any_name_and_no_other_code_brings_one() {
    let mut script = script();
    fails_later(&mut script, 1, 131_049);
    script.disk.join(1, 2);
    let other = script.queue(campaign(2));
    assert_eq!(script.shown(other).why, Some(Why::Withheld));
    fails_later(&mut script, 3, 131_026);
    script.wrote(3);
    let next = script.queue(Wish { expires: Some(HOUR), ..campaign(3) });
    assert_eq!(script.accept_all(), [next]);
}

#[test]
fn a_rest_begins_when_whatsapp_said_so_and_not_when_it_is_read() {
    for (late, rests) in [(2 * HOUR, true), (2 * DAY, false)] {
        let mut script = script();
        let id = script.queue(campaign(1));
        script.accept(id);
        let at = Some(WallTime(script.now));
        script.pass(late);
        let says = Says::Status {
            wamid: Some(wamid(id)),
            outbox_id: Some(id),
            word: StatusWord::Failed,
            refusal: Some(refusal(131_049)),
            pricing: None,
            of_participant: false,
        };
        let number = Some("1".to_owned());
        let fact = Fact { sequence: Sequence(99), at, number, contact: None, says };
        script.turn(|turn| turn.learn(fact).unwrap());
        // Only a push would wait for its own reasons.
        script.wrote(1);
        let next = script.queue(campaign(1));
        let shown = script.shown(next);
        let ends = rests.then(|| script.now - late + DAY);
        assert_eq!((shown.why, shown.not_before_ms), (rests.then_some(Why::Withheld), ends));
    }
}
