//! A start where what the outbox knows beside its messages can't be read any more.

use model::{Fact, Says, Sequence, Standing, WallTime};
use wagate_outbox::Why;

use crate::script::{DAY, HOUR, MINUTE, SECOND, Script, Wish, campaign, free, settings, template};

fn script() -> Script {
    Script::new(settings(|_| ()))
}

#[test]
fn no_new_message_takes_the_place_of_another_when_the_next_place_is_lost() {
    for lost in [true, false] {
        let mut script = script();
        let old: Vec<_> =
            (1..=300).map(|contact| script.queue(Wish { number: "1", ..free(contact) })).collect();
        if lost {
            script.disk.values.retain(|key, _| key[0] != b'y');
        } else {
            script.disk.damage(b'y');
        }
        script.crash_unchecked();
        assert_eq!(script.outbox.open_messages(), 300);
        let new = script.queue(free(1));
        assert_eq!(new.place, old[299].place + 1);
        assert!(old.iter().all(|id| script.standing(*id) == Standing::Held));
        script.pass(HOUR);
    }
}

/// Meta's word had put the clock right by years.
#[test]
fn a_lead_of_the_clock_that_cant_be_read_frees_nothing() {
    let mut script = Script::new(settings(|number| number.recipients_per_day = 1));
    let years = 20 * 365 * DAY;
    script.now += years;
    script.turn(|turn| turn.leapt(years));
    let first = script.queue(template(1));
    script.accept(first);
    script.pass(HOUR);
    let crowded = script.queue(template(2));
    let held = script.queue(Wish { expires: Some(3 * HOUR), ..free(3) });
    script.disk.damage(b'y');
    script.crash_unchecked();
    script.pass(HOUR);
    // It is written down: no other start goes back.
    script.crash();
    script.pass(HOUR);
    assert_eq!(
        (script.standing(held), script.shown(crowded).why),
        (Standing::Held, Some(Why::UniqueRecipients))
    );
    script.pass(20 * HOUR);
    assert!(script.calls.is_empty());
    assert_eq!(script.standing(held), Standing::Expired);
    script.pass(2 * HOUR + MINUTE);
    assert_eq!(script.accept_all(), [crowded], "a day after the push, by what was seen to pass");
    // Without a push it is the next timer that time is known by.
    let mut script = Script::new(settings(|_| ()));
    script.now += years;
    script.turn(|turn| turn.leapt(years));
    let held = script.queue(Wish { expires: Some(3 * HOUR), ..free(3) });
    let later = script.queue(free(3));
    script.disk.damage(b'y');
    script.crash_unchecked();
    script.pass(MINUTE);
    assert_eq!((script.standing(held), script.standing(later)), (Standing::Expired, Standing::Held));
}

#[test]
fn a_lead_of_the_clock_that_cant_be_read_is_known_by_what_was_over() {
    let mut script = script();
    for (lead, contact) in [(HOUR, 8), (SECOND, 9)] {
        script.now += lead;
        script.turn(|turn| turn.leapt(lead));
        let push = script.queue(template(contact));
        script.accept(push);
        script.pass(20 * HOUR);
    }
    script.wrote(1);
    let one = script.queue(free(1));
    script.refuse(one, 130_429);
    let ends = script.queue(Wish { expires: Some(HOUR), ..free(2) });
    script.disk.damage_at(b"yleapt");
    script.crash_unchecked();
    script.pass_unchecked(5 * MINUTE);
    assert_eq!(script.calls.iter().map(|call| call.id).collect::<Vec<_>>(), [one]);
    script.pass_unchecked(HOUR);
    assert_eq!(script.standing(ends), Standing::Expired);
}

/// A customer wants marketing again, and the account of a number can be used again.
fn lifted(at_ms: i64, first: u64) -> [Fact; 2] {
    let (sequence, at) = (Sequence(first), Some(WallTime(at_ms)));
    let wanted = Says::Marketing { aliases: Vec::new(), stopped: false };
    let usable = Says::Account { usable: true, reason: String::new() };
    [
        Fact { sequence, at, number: None, contact: Some(1), says: wanted },
        Fact { sequence: Sequence(first + 1), at, number: Some("1".to_owned()), contact: None, says: usable },
    ]
}

fn learn(script: &mut Script, facts: [Fact; 2]) {
    for fact in facts {
        script.turn(|turn| turn.learn(fact).unwrap());
    }
}

/// The customer and the number are stopped by answers.
fn stop(script: &mut Script) {
    let id = script.queue(campaign(1));
    script.refuse(id, 131_050);
    let id = script.queue(template(9));
    script.refuse(id, 190);
    assert_eq!(stopped(script), (true, true));
}

fn stopped(script: &Script) -> (bool, bool) {
    let turn = script.outbox.turn(&script.disk, script.now);
    (turn.known_of(1).unwrap().stopped_ms.is_some(), turn.ways().unwrap()[0].stopped.is_some())
}

#[test]
fn what_the_journal_says_once_more_takes_back_nothing_that_came_later() {
    let mut script = script();
    let old = lifted(script.now, 1);
    learn(&mut script, old.clone());
    script.pass(HOUR);
    stop(&mut script);
    script.disk.damage_at(b"ycursor");
    script.crash_unchecked();
    assert_eq!(script.outbox.cursor(), Sequence::START);
    learn(&mut script, old);
    assert_eq!(stopped(&script), (true, true));
    // Later words count.
    script.pass_unchecked(MINUTE);
    let new = lifted(script.now, 3);
    learn(&mut script, new);
    assert_eq!(stopped(&script), (false, false));
}

#[test]
fn a_start_writes_down_how_everything_counts_that_is_read_again_and_again() {
    let mut script = script();
    script.turn(|turn| turn.leapt(HOUR));
    script.fact(Some("1"), None, Says::Throughput(80));
    script.fact(Some("1"), None, Says::UniqueLimit(Some(1_000)));
    script.fact(None, None, Says::UniqueLimit(Some(2_000)));
    let whole = script.disk.values.clone();
    for prefix in [&b"a"[..], b"yrecipients", b"yleapt"] {
        script.disk.damage_at(prefix);
    }
    script.crash();
    let damaged = |key: &&Vec<u8>| script.disk.values[*key] == [0xff; 3];
    assert_eq!(whole.keys().filter(damaged).count(), 0);
}

#[test]
fn what_is_new_counts_though_the_clock_is_ahead_of_it() {
    let mut script = script();
    stop(&mut script);
    let new = lifted(script.now - 5 * HOUR, 1);
    learn(&mut script, new);
    assert_eq!(stopped(&script), (false, false));
}
