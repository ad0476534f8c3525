//! What is remembered, what is forgotten, and what a message costs on the disk.

use model::{Says, StatusWord};
use wagate_outbox::{Resolution, Settings};

use crate::script::{DAY, HOUR, MINUTE, SECOND, Script, campaign, free, mark, settings, template, unknown};

#[test]
fn memory_is_the_same_with_a_hundred_thousand_waiting_as_with_a_hundred() {
    let mut script = Script::new(settings(|_| ()));
    script.fact(None, None, Says::Account { usable: false, reason: "no".to_owned() });
    let mut sizes = Vec::new();
    let mut queued = 0;
    for most in [100, 100_000] {
        while queued < most {
            let wishes: Vec<_> = (0..100).map(|contact| campaign(contact + queued)).collect();
            script.queue_all(&wishes);
            queued += 100;
        }
        script.fact(None, None, Says::Account { usable: true, reason: String::new() });
        script.pass(SECOND);
        for _ in 0..50 {
            script.accept_all();
        }
        script.fact(None, None, Says::Account { usable: false, reason: "no".to_owned() });
        sizes.push(format!("{:?}", script.outbox).len());
    }
    let [few, many] = sizes[..] else { panic!("two sizes") };
    // Numbers with more digits.
    assert!(many < few + 200, "{many} bytes shown, and {few} with a hundred");
    assert!(script.outbox.open_messages() > 99_000);
}

#[test]
fn what_is_over_is_forgotten_without_a_trace() {
    let mut script = Script::new(Settings { history_ms: 3 * DAY, ..settings(|_| ()) });
    script.wrote(1);
    let ids =
        script.queue_all(&[free(1), template(2), mark(3), campaign(4), free(5), template(6), free(1)]).parts;
    script.accept(ids[0]);
    script.status(ids[0], StatusWord::Read);
    script.answer(ids[1], unknown());
    script.pass(2 * SECOND);
    script.turn(|turn| turn.resolve(ids[1], Resolution::Failed).unwrap().unwrap());
    script.accept(ids[2]);
    script.refuse(ids[3], 131_026);
    script.turn(|turn| turn.cancel(ids[4]).unwrap().unwrap());
    script.refuse(ids[5], 131_056);
    script.pass(SECOND);
    script.refuse(ids[5], 131_049);
    script.accept(ids[6]);
    script.pass(3 * DAY - HOUR);
    assert!(script.disk.count(b'm') > 0 && script.disk.count(b'i') == 1);
    script.accept_all();
    script.pass(40 * DAY);
    for space in *b"msofweiqphxut?vb" {
        assert_eq!(script.disk.count(space), 0, "keys {:?}", char::from(space));
    }
    assert_eq!(script.outbox.open_messages(), 0);
}

#[test]
fn a_longer_history_by_the_configuration_is_kept_and_forgotten_in_the_end() {
    let short = Settings { history_ms: 3 * DAY, ..settings(|_| ()) };
    let mut script = Script::new(short.clone());
    let id = script.queue(template(1));
    script.accept(id);
    script.restart(Settings { history_ms: 5 * DAY, ..short });
    script.pass(4 * DAY);
    assert_eq!(script.shown(id).attempts, 1);
    script.pass(2 * DAY);
    assert_eq!(script.disk.count(b'm'), 0);
}

/// What one message costs: printed, and held against a bound, so that a change which doubles it is noticed.
#[test]
fn a_message_costs_so_much() {
    let mut script = Script::new(settings(|_| ()));
    script.wrote(1);
    script.pass(MINUTE);
    let mut last = script.disk.written;
    let mut costs = Vec::new();
    let mut cost = |what: &'static str, script: &Script| {
        let (bytes, keys) = script.disk.written;
        costs.push((what, bytes - last.0, keys - last.1));
        last = (bytes, keys);
    };
    let id = script.queue(free(1));
    cost("enqueue and intent", &script);
    script.accept(id);
    cost("accepted", &script);
    for (what, word) in
        [("sent", StatusWord::Sent), ("delivered", StatusWord::Delivered), ("read", StatusWord::Read)]
    {
        script.status(id, word);
        cost(what, &script);
    }
    script.pass(MINUTE);
    cost("a minute later", &script);
    script.pass(39 * DAY);
    cost("before it is forgotten", &script);
    script.pass(2 * DAY);
    cost("forgotten", &script);
    for (what, bytes, keys) in &costs {
        println!("{what:>24}: {keys:3} keys, {bytes:5} bytes");
    }
    let total: usize = costs.iter().map(|(_, bytes, _)| bytes).sum();
    let until_read: usize = costs[..5].iter().map(|(_, bytes, _)| bytes).sum();
    println!("{total} bytes, {until_read} until it is read");
    assert!(until_read < 3_000, "{until_read} bytes");
}

/// The queue isn't looked through for each message that joins it, whatever keeps it waiting.
#[test]
fn a_message_that_has_to_wait_takes_so_many_questions() {
    for (why, settings) in [
        ("the day is used up", settings(|number| number.messages_per_day = 0)),
        ("the pace", settings(|number| number.per_second = 1)),
    ] {
        let mut script = Script::new(settings);
        for contact in 1..=40 {
            script.wrote(contact);
        }
        let many: Vec<_> = (1..=40).map(free).collect();
        script.queue_all(&many[..20]);
        let few = questions(&mut script, 41);
        script.queue_all(&many[20..]);
        let more = questions(&mut script, 42);
        println!("{why}: {few} questions, {more} behind twice as many");
        assert!(few <= 32 && more <= few, "{why}: {few}, {more}");
    }
}

fn questions(script: &mut Script, contact: u128) -> usize {
    let before = script.disk.read.get();
    script.queue(template(contact));
    script.disk.read.get() - before
}
