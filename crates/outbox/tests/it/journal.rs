//! What the journal says, and what becomes of time.

use model::{Pricing, Says, Standing, StatusWord};
use policy::sending::{Market, Micros, RateCard};
use wagate_outbox::{Balance, Consent, Note, Outbox, Settings, Why};

use crate::script::{
    BEGIN, DAY, HOUR, MINUTE, SECOND, Script, Wish, campaign, free, settings, template, wamid,
};

fn script() -> Script {
    Script::new(settings(|_| ()))
}

fn unread(script: &Script) -> usize {
    script.notes.iter().filter(|note| matches!(note, Note::Unread { .. })).count()
}

#[test]
fn a_message_that_lies_unread_for_a_day_is_told_once() {
    let mut script = script();
    let [delivered, read, silent] = [1, 2, 3].map(|contact| {
        let id = script.queue(template(contact));
        script.accept(id);
        id
    });
    script.status(delivered, StatusWord::Delivered);
    script.status(read, StatusWord::Read);
    script.pass(DAY - SECOND);
    assert_eq!(unread(&script), 0);
    script.pass(SECOND);
    script.pass(10 * DAY);
    assert_eq!(unread(&script), 1, "not what was read, nor {silent}, which may never have arrived");
    let Some(Note::Unread { id, .. }) = script.notes.last() else { panic!("the last note") };
    assert_eq!(*id, delivered);
    let since = |script: &Script, contact| {
        script.outbox.turn(&script.disk, script.now).known_of(contact).unwrap().unread_ms
    };
    assert!(since(&script, 1).is_some());
    // Under another name of the same person.
    script.disk.join(1, 9);
    script.wrote(9);
    assert_eq!(since(&script, 1), None);
}

/// The phone was off, and no status came before it was on again.
#[test]
fn what_is_delivered_late_lies_unread_from_its_delivery() {
    let mut script = script();
    let [late, later, read, ends] = [1, 2, 3, 4].map(|contact| {
        // Its end brings a look of its own, which is none at what lies unread.
        let expires = (contact == 4).then_some(40 * HOUR);
        let id = script.queue(Wish { expires, ..template(contact) });
        script.accept(id);
        id
    });
    script.pass(DAY);
    script.status(late, StatusWord::Delivered);
    script.pass(6 * HOUR);
    script.status(later, StatusWord::Delivered);
    script.status(later, StatusWord::Sent);
    script.status(read, StatusWord::Delivered);
    script.status(ends, StatusWord::Delivered);
    script.pass(18 * HOUR - SECOND);
    assert_eq!(unread(&script), 0, "no day after any delivery");
    script.status(read, StatusWord::Read);
    script.status(later, StatusWord::Delivered);
    script.pass(SECOND);
    assert_eq!(unread(&script), 1);
    script.pass(6 * HOUR);
    assert_eq!(unread(&script), 3);
    let who = script.notes.iter().filter_map(|note| match note {
        Note::Unread { id, .. } => Some(*id),
        Note::Sent(_) => None,
    });
    assert_eq!(who.collect::<Vec<_>>(), [late, later, ends]);
    script.pass(10 * DAY);
    assert_eq!(unread(&script), 3, "once only");
}

/// One tick is enough for the first look, and there is no second one.
#[test]
fn what_was_told_as_unread_before_it_was_delivered_isnt_told_again() {
    let mut script = script();
    // Its end brings one more look.
    let id = script.queue(Wish { expires: Some(60 * HOUR), ..template(1) });
    script.accept(id);
    script.status(id, StatusWord::Sent);
    script.pass(DAY);
    assert_eq!(unread(&script), 1);
    script.pass(HOUR);
    script.status(id, StatusWord::Delivered);
    script.pass(10 * DAY);
    assert_eq!(unread(&script), 1);
}

#[test]
fn a_status_that_comes_twice_writes_nothing() {
    let mut script = script();
    let id = script.queue(template(1));
    script.accept(id);
    for word in [StatusWord::Sent, StatusWord::Delivered] {
        script.status(id, word);
    }
    script.pass(HOUR);
    let (bytes, _) = script.disk.written;
    script.status(id, StatusWord::Sent);
    let (after, _) = script.disk.written;
    assert!(after - bytes < 60, "the cursor, and now: {} bytes", after - bytes);
}

#[test]
fn a_record_that_is_read_again_changes_nothing() {
    let mut script = script();
    script.fact(None, Some(1), Says::Marketing { aliases: Vec::new(), stopped: true });
    script.fact(None, Some(1), Says::Marketing { aliases: Vec::new(), stopped: false });
    let first = model::Fact {
        sequence: model::Sequence(1),
        at: None,
        number: None,
        contact: Some(1),
        says: Says::Marketing { aliases: Vec::new(), stopped: true },
    };
    script.turn(|turn| turn.learn(first).unwrap());
    let id = script.queue(campaign(1));
    script.accept(id);
}

#[test]
fn a_failure_is_final_whatever_comes_later() {
    let mut script = script();
    let id = script.queue(template(1));
    script.accept(id);
    script.status(id, StatusWord::Failed);
    for word in [StatusWord::Sent, StatusWord::Delivered, StatusWord::Read] {
        script.status(id, word);
        assert_eq!(script.standing(id), Standing::Failed);
    }
}

#[test]
fn charges_come_from_the_statuses_once_and_lower_the_balance() {
    let market = Market {
        calling_codes: vec!["852".to_owned()],
        marketing: Micros(80_000),
        utility: Micros(10_000),
        authentication: Micros(10_000),
        authentication_international: None,
        service: Micros(0),
    };
    let rates = Some(RateCard {
        valid_from: "2026-01-01".to_owned(),
        currency: "USD".to_owned(),
        free_service_per_month: 0,
        markets: vec![market],
        other: None,
    });
    let mut script = Script::new(Settings { rates, ..settings(|_| ()) });
    script.turn(|turn| turn.set_balance(Balance { micros: 100_000, low_water_micros: 50_000 }));
    let id = script.queue(template(1));
    script.accept(id);
    let pricing = |kind: &str| Some(Pricing { category: "marketing".to_owned(), kind: kind.to_owned() });
    for word in [StatusWord::Sent, StatusWord::Sent, StatusWord::Delivered] {
        script.status_of(Some(id), wamid(id), word, None, pricing("regular"));
    }
    let free = script.queue(template(2));
    script.accept(free);
    script.status_of(Some(free), wamid(free), StatusWord::Sent, None, pricing("free_entry_point"));
    let charges = script.turn(|turn| turn.charges(i32::MIN + 1, i32::MAX - 1).unwrap());
    assert_eq!(charges.len(), 1);
    let (_, number, category, charges) = &charges[0];
    assert_eq!((number.as_str(), category.as_str()), ("1", "marketing"));
    assert_eq!((charges.messages, charges.billed), (2, 1));
    let left = script.turn(|turn| turn.balance().unwrap()).unwrap().micros;
    assert_eq!((charges.micros, left), (80_000, 20_000));
}

#[test]
fn a_leap_of_the_clock_expires_frees_and_forgets_nothing() {
    let mut script = Script::new(settings(|number| number.recipients_per_day = 1));
    let sent = script.queue(template(1));
    script.accept(sent);
    let push = script.queue(template(1));
    let crowded = script.queue(template(2));
    let held = script.queue(Wish { expires: Some(HOUR), ..free(3) });
    let years = 20 * 365 * DAY;
    script.now += years;
    script.turn(|turn| turn.leapt(years));
    script.pass(30 * MINUTE);
    assert_eq!(script.shown(push).why, Some(Why::PushLimit));
    assert_eq!(script.shown(crowded).why, Some(Why::UniqueRecipients));
    assert_eq!(script.standing(held), Standing::Held);
    assert_eq!(script.shown(held).expires_ms, Some(script.now + 30 * MINUTE));
    assert_eq!(script.standing(sent), Standing::Accepted);
    script.crash();
    script.pass(30 * MINUTE);
    assert_eq!(script.standing(held), Standing::Expired);
    assert!(script.calls.is_empty());
    script.pass(DAY);
    assert_eq!(script.calls.len(), 1, "a day that was seen to pass");
    assert!(Outbox::last_known_ms(&script.disk).unwrap() > Some(BEGIN + years));
}

#[test]
fn consent_and_opt_out_are_the_persons_under_any_name() {
    let mut script = script();
    script.disk.join(1, 2);
    let consent = Consent { at_ms: script.now, proof: "form".to_owned() };
    script.turn(|turn| turn.consent(1, Some(&consent)).unwrap());
    for _ in 0..2 {
        let id = script.queue(template(2));
        script.accept(id);
    }
    script.fact(None, Some(2), Says::Marketing { aliases: Vec::new(), stopped: true });
    let draft = script.draft(&campaign(1));
    let call = wagate_outbox::Enqueue { key: [3; 16], body: [1; 16], drafts: vec![draft] };
    let refused = script.turn(|turn| turn.enqueue(call).unwrap());
    assert_eq!(refused, Err(wagate_outbox::Unqueued::OptedOut));
}

#[test]
fn a_history_that_is_short_ends_after_the_look_at_a_late_delivery() {
    let mut settings = settings(|_| ());
    settings.history_ms = 2 * DAY;
    let mut script = Script::new(settings);
    let id = script.queue(template(1));
    script.accept(id);
    script.pass(30 * HOUR);
    script.status(id, StatusWord::Delivered);
    script.pass(10 * DAY);
    assert_eq!(script.notes.iter().filter(|note| matches!(note, Note::Unread { .. })).count(), 1);
    assert!(script.outbox.turn(&script.disk, script.now).message(id).unwrap().is_none(), "and it ends");
}
