//! Values that can't be read any more, and keys that a hole in the log has left behind.

use model::Standing;
use wagate_outbox::Why;

use crate::script::{DAY, HOUR, MINUTE, SECOND, Script, free, settings, template};

fn script() -> Script {
    Script::new(settings(|_| ()))
}

/// The removal of the head was lost with a piece of the log, and what came later is there.
#[test]
fn a_message_that_went_isnt_sent_again_because_it_still_stands_first() {
    for over in [false, true] {
        let mut script = script();
        let stop = script.queue(template(9));
        script.refuse(stop, 130_429);
        let id = script.queue(template(1));
        let left: Vec<_> =
            script.disk.values.clone().into_iter().filter(|(key, _)| b"hq".contains(&key[0])).collect();
        assert_eq!(left.len(), 4);
        script.pass(2 * SECOND);
        script.accept(stop);
        if over {
            script.accept(id);
        } else {
            // What said that it is being posted is lost, too.
            script.disk.values.retain(|key, _| key[0] != b'f');
        }
        script.disk.values.extend(left);
        script.crash_unchecked();
        script.pass_unchecked(2 * MINUTE);
        assert!(script.calls.is_empty(), "{:?}", script.calls);
        let standing = if over { Standing::Accepted } else { Standing::Uncertain };
        assert_eq!(script.standing(id), standing);
        let next = script.queue(template(3));
        assert_eq!(script.accept_all(), [next]);
        script.pass(MINUTE);
    }
}

#[test]
fn a_lane_that_cant_be_read_sends_nothing_twice() {
    let mut script = script();
    script.now += 6 * SECOND;
    let stop = script.queue(template(9));
    script.refuse(stop, 130_429);
    let id = script.queue(template(1));
    script.disk.damage(b'p');
    // Nobody knows by how much the pair rate was used.
    script.pass_unchecked(10 * SECOND);
    script.accept(stop);
    script.pass_unchecked(SECOND);
    script.accept(id);
    script.pass_unchecked(HOUR);
    assert!(script.calls.is_empty());
    assert_eq!((script.standing(id), script.disk.count(b'h')), (Standing::Accepted, 0));
}

#[test]
fn units_that_cant_be_read_are_used_up_for_their_day() {
    let mut script = script();
    let first = script.queue(template(1));
    script.accept(first);
    script.disk.damage(b'd');
    let next = script.queue(template(2));
    script.pass(SECOND);
    assert!(script.calls.is_empty());
    assert!([Some(Why::MessagesPerDay), Some(Why::ApiCallsPerDay)].contains(&script.shown(next).why));
    assert_eq!(script.used().0, 1_000, "as many as the limit, for people");
    script.pass(DAY);
    assert_eq!(script.accept_all(), [next], "the next day is another one");
}

#[test]
fn a_lost_count_of_recipients_is_counted_anew() {
    let mut script = Script::new(settings(|number| number.recipients_per_day = 3));
    for contact in 1..=3 {
        let id = script.queue(template(contact));
        script.accept(id);
    }
    script.disk.damage(b'n');
    let id = script.queue(template(4));
    assert_eq!((script.shown(id).why, script.used().1), (Some(Why::UniqueRecipients), 3));
    script.pass(DAY + MINUTE);
    assert_eq!(script.accept_all(), [id]);
    assert_eq!(script.used().1, 1);
}

#[test]
fn a_recipient_that_cant_be_read_counts_no_longer_than_a_day() {
    let mut script = Script::new(settings(|number| number.recipients_per_day = 3));
    let id = script.queue(template(1));
    script.accept(id);
    script.disk.damage(b'r');
    script.pass_unchecked(DAY - HOUR);
    script.wrote(9);
    script.pass_unchecked(HOUR + MINUTE);
    let id = script.queue(template(1));
    script.accept(id);
    script.pass(HOUR);
    assert_eq!(script.used().1, 1);
    script.pass(DAY);
    assert_eq!(script.used().1, 0);
}

#[test]
fn a_message_that_cant_be_read_while_it_is_posted_ends_with_its_answer() {
    for crash in [false, true] {
        let mut script = script();
        script.wrote(1);
        let id = script.queue(free(1));
        let whole = script.disk.damage(b'm');
        assert_eq!(whole.len(), 1);
        let next = script.queue(free(1));
        assert_eq!(script.calls.len(), 1);
        if crash {
            script.crash_unchecked();
            script.pass_unchecked(2 * SECOND);
        } else {
            script.accept(id);
        }
        assert_eq!(script.outbox.in_flight(), 1);
        assert_eq!(script.accept_all(), [next], "its recipient goes on");
        assert_eq!((script.outbox.in_flight(), script.outbox.open_messages()), (0, 0));
    }
}

#[test]
fn a_head_of_which_nothing_can_be_read_stands_in_nobodys_way() {
    let mut script = script();
    let stop = script.queue(template(9));
    script.refuse(stop, 130_429);
    script.queue(template(1));
    script.disk.damage(b'm');
    script.disk.damage(b'h');
    let next = script.queue(template(2));
    script.pass_unchecked(2 * SECOND);
    assert_eq!(script.accept_all(), [next]);
    script.pass_unchecked(HOUR);
    let reply = script.queue(template(1));
    script.pass_unchecked(SECOND);
    assert_eq!(script.accept_all(), [reply], "the recipient's next one heals the lane");
}
