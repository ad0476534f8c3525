//! Limits of the portfolio and of the day.

use model::{Outcome, Says, Standing};
use wagate_outbox::{Consent, Other, Settings, Why};

use crate::chance::Chance;
use crate::script::{
    DAY, HOUR, MINUTE, SECOND, Script, campaign, number, refusal, settings, template, unknown,
};

/// Two numbers of one portfolio.
fn two(recipients: u64) -> Settings {
    let mut settings = settings(|number| number.recipients_per_day = recipients);
    let mut second = number();
    second.recipients_per_day = recipients;
    settings.numbers.insert("2".to_owned(), second);
    settings
}

fn agree(script: &mut Script, contact: u128) {
    let consent = Consent { at_ms: script.now, proof: "form".to_owned() };
    script.turn(|turn| turn.consent(contact, Some(&consent)).unwrap());
}

#[test]
fn one_push_a_day_to_who_hasnt_agreed() {
    let mut script = Script::new(settings(|_| ()));
    let first = script.queue(template(1));
    script.accept(first);
    let second = script.queue(template(1));
    let third = script.queue(template(1));
    assert_eq!(script.shown(second).why, Some(Why::PushLimit));
    script.pass(DAY);
    assert!(script.calls.is_empty(), "a day by when WhatsApp had the first, which was later than it left");
    script.pass(MINUTE);
    assert_eq!(script.accept_all(), [second]);
    agree(&mut script, 1);
    assert_eq!(script.accept_all(), [third]);
}

#[test]
fn no_more_recipients_than_the_portfolio_may_whichever_number_sends() {
    let mut script = Script::new(two(3));
    let wishes =
        |contact| [template(contact), crate::script::Wish { number: "2", ..template(contact + 100) }];
    let ids: Vec<_> = (1..=4).flat_map(wishes).map(|wish| script.queue(wish)).collect();
    let went = script.drain();
    assert_eq!((went.len(), script.used().1), (3, 3));
    assert!(ids[3..].iter().all(|id| script.shown(*id).why == Some(Why::UniqueRecipients)));
    // Who was counted already isn't counted again.
    agree(&mut script, 1);
    let again = script.queue(template(1));
    assert_eq!(script.accept_all(), [again]);
    script.pass(DAY);
    assert_eq!(script.drain().len(), 2, "the one who got a second message counts from then on");
    script.pass(DAY);
    assert_eq!(script.drain().len(), 3);
}

#[test]
fn of_two_pushes_in_one_moment_the_refused_one_uncounts_only_itself() {
    let mut script = Script::new(two(1));
    agree(&mut script, 1);
    // Both numbers in the same turn.
    let one = script.draft(&template(1));
    let other = script.draft(&crate::script::Wish { number: "2", ..template(1) });
    let call = wagate_outbox::Enqueue { key: [1; 16], body: [1; 16], drafts: vec![one, other] };
    let parts = script.turn(|turn| turn.enqueue(call).unwrap().unwrap()).parts;
    assert_eq!(script.calls.len(), 2);
    script.refuse(parts[0], 131_026);
    script.accept(parts[1]);
    assert_eq!(script.used().1, 1);
    let next = script.queue(template(2));
    assert_eq!(script.shown(next).why, Some(Why::UniqueRecipients));
    // The push counts for who takes consent back, too.
    script.turn(|turn| turn.consent(1, None).unwrap());
    let push = script.queue(template(1));
    assert_eq!(script.shown(push).why, Some(Why::PushLimit));
}

#[test]
fn the_least_limit_of_a_portfolio_counts_and_what_meta_says_tightens_it_at_once() {
    let mut settings = two(3);
    settings.numbers.get_mut("2").unwrap().recipients_per_day = 2;
    let mut script = Script::new(settings);
    script.fact(None, None, Says::UniqueLimit(Some(1)));
    let ids: Vec<_> = (1..=5).map(|contact| script.queue(template(contact))).collect();
    assert_eq!(script.drain(), ids[..1]);
    script.fact(None, None, Says::UniqueLimit(Some(1_000)));
    assert_eq!(script.drain(), ids[1..2], "of number 2, although number 1 sends");
    script.fact(None, None, Says::UniqueLimit(None));
    assert!(script.drain().is_empty());
}

#[test]
fn what_meta_says_of_one_portfolio_changes_no_other_and_what_it_says_of_none_loosens_none() {
    let mut settings = two(3);
    settings.numbers.get_mut("2").unwrap().portfolio = "other".to_owned();
    let mut script = Script::new(settings);
    let limits = |script: &mut Script| {
        let quotas = script.turn(|turn| turn.quotas().unwrap());
        [quotas[2].limit, quotas[5].limit]
    };
    script.fact(Some("1"), None, Says::UniqueLimit(Some(1)));
    assert_eq!(limits(&mut script), [1, 3]);
    script.fact(Some("2"), None, Says::UniqueLimit(Some(1_000)));
    script.fact(None, None, Says::UniqueLimit(Some(2)));
    assert_eq!(limits(&mut script), [1, 2]);
    script.fact(None, None, Says::UniqueLimit(None));
    assert_eq!(limits(&mut script), [1, 3]);
    script.fact(Some("1"), None, Says::UniqueLimit(None));
    assert_eq!(limits(&mut script), [3, 3]);
}

/// WhatsApp counts by when it has them.
#[test]
fn what_is_on_its_way_at_midnight_counts_for_either_day() {
    for crash in [false, true] {
        let mut script = Script::new(settings(|number| number.messages_per_day = 3));
        script.now += 6 * HOUR - 2 * SECOND - 100;
        let old: Vec<_> = (1..=3).map(|contact| script.queue(template(contact))).collect();
        assert_eq!(script.calls.len(), 3);
        script.now += 200;
        let new: Vec<_> = (4..=6).map(|contact| script.queue(template(contact))).collect();
        assert_eq!((script.calls.len(), script.used().0), (3, 0), "they may be the three of today");
        if crash {
            script.crash();
        } else {
            script.refuse(old[0], 131_026);
            assert_eq!(script.calls.len(), 3, "one surely isn't");
            script.accept(old[1]);
            script.answer(old[2], unknown());
            script.accept(new[0]);
        }
        assert_eq!(script.used().0, 3);
        script.pass(DAY - HOUR);
        assert!(script.calls.is_empty());
        script.pass(HOUR);
        assert_eq!(script.drain(), new[usize::from(!crash)..]);
    }
}

#[test]
fn names_that_are_joined_share_one_call_in_flight_and_one_pair_rate() {
    let mut script = Script::new(settings(|_| ()));
    for contact in [1, 2] {
        script.wrote(contact);
    }
    let mut went = 0;
    for _ in 0..30 {
        for contact in [1, 2] {
            script.queue(crate::script::free(contact));
        }
    }
    // Before they are known to be one person.
    while went < 25 {
        let id = script.calls[0].id;
        script.accept(id);
        script.pass(20);
        went += 1;
    }
    script.accept_all();
    script.disk.join(1, 2);
    let before = script.turn(|turn| turn.ways().unwrap())[0].counts.queued;
    script.accept_all();
    for _ in 0..20 {
        assert!(script.calls.len() <= 1, "{:?}", script.calls);
        script.accept_all();
        script.pass(SECOND);
    }
    let after = script.turn(|turn| turn.ways().unwrap())[0].counts.queued;
    assert!((15..=25).contains(&(before - after)), "{before} and then {after}: 45 in all, and three");
    script.drain();
    script.pass(HOUR);
    while !script.calls.is_empty() {
        script.accept_all();
        script.pass(HOUR);
    }
    assert_eq!(script.turn(|turn| turn.ways().unwrap())[0].counts.queued, 0);
}

/// The disk took nearly a second for what allows the first ones.
#[test]
fn a_second_begins_when_the_calls_are_made_and_not_when_they_are_decided_on() {
    let mut script = Script::new(settings(|number| number.per_second = 4));
    let first: Vec<_> = (1..=4).map(|contact| script.draft(&template(contact))).collect();
    let call = wagate_outbox::Enqueue { key: [1; 16], body: [1; 16], drafts: first };
    script.turn(|turn| turn.enqueue(call).unwrap().unwrap());
    assert_eq!(script.calls.len(), 4);
    script.now += 900;
    for id in script.calls.iter().map(|call| call.id).collect::<Vec<_>>() {
        script.accept(id);
    }
    script.queue(template(5));
    script.pass(SECOND);
    assert!(script.calls.is_empty());
    script.pass(1);
    assert_eq!(script.accept_all().len(), 1);
}

#[test]
fn who_was_held_for_want_of_room_goes_before_campaigns_that_wait_for_their_batch() {
    let mut script = Script::new(settings(|number| {
        number.recipients_per_day = 4;
        number.batch_above = 0.5;
    }));
    let first: Vec<_> = (1..=4).map(|contact| script.queue(template(contact))).collect();
    assert_eq!(script.drain(), first);
    let held = script.queue(template(5));
    assert_eq!(script.shown(held).why, Some(Why::UniqueRecipients));
    for contact in 10..40 {
        script.queue(campaign(contact));
    }
    script.pass(DAY + MINUTE);
    assert_eq!(script.drain()[0], held, "service before campaign, also when room comes again");
}

#[test]
fn near_a_limit_campaigns_go_in_batches_and_replies_as_ever() {
    let mut script = Script::new(settings(|number| {
        number.messages_per_day = 100;
        number.recipients_per_day = 10_000;
    }));
    // 14 h are left of the day in Hong Kong at 18:00; it begins anew at 00:00.
    for contact in 0..300 {
        script.queue(campaign(contact));
    }
    let at_once = script.drain().len();
    assert!((80..=82).contains(&at_once), "{at_once} and then batches");
    let waiting = script.turn(|turn| turn.open_after(0, 1).unwrap()).remove(0);
    assert_eq!(waiting.why, Some(Why::Batch));
    let reply = script.queue(template(1_000));
    assert_eq!(script.accept_all(), [reply]);
    let mut most = 0;
    for _ in 0..22 {
        script.pass(14 * MINUTE);
        most = most.max(script.drain().len());
    }
    assert!((1..=2).contains(&most), "{most} in a batch");
    assert!(script.used().0 <= 100);
}

#[test]
fn a_limit_that_a_restart_lowers_holds_who_has_a_unit_too() {
    let mut script = Script::new(settings(|_| ()));
    let ids: Vec<_> = (1..=5).map(|contact| script.queue(template(contact))).collect();
    for id in &ids[..3] {
        script.accept(*id);
    }
    for id in &ids[3..] {
        script.refuse(*id, 130_429);
    }
    script.restart(settings(|number| number.messages_per_day = 4));
    script.pass(HOUR);
    assert!(script.calls.is_empty());
    assert_eq!(script.shown(ids[3]).why, Some(Why::MessagesPerDay));
    script.pass(6 * HOUR);
    assert_eq!(script.drain(), ids[3..], "the next day");
}

#[test]
fn two_thousand_messages_against_a_thousand_a_day_through_ten_crashes() {
    for seed in 0..1 {
        let mut chance = Chance::of(seed, &[9]);
        let mut script = Script::new(settings(|number| {
            number.recipients_per_day = 10_000;
            number.batch_above = 1.0;
        }));
        let ids: Vec<_> = (0..2_000).map(|contact| script.queue(template(contact))).collect();
        let mut crashes: Vec<u64> = (0..10).map(|_| chance.below(900)).collect();
        crashes.sort_unstable();
        // What Graph really has: calls that were made before the crash count, too.
        let mut received = std::collections::BTreeMap::new();
        let mut days = [0_u64; 3];
        let begin = script.now;
        let day = |now: i64| {
            usize::from(now - begin >= 6 * HOUR - 2 * SECOND) + usize::from(now - begin >= 30 * HOUR)
        };
        while script.now < begin + 2 * DAY {
            while !script.calls.is_empty() {
                if crashes.first().is_some_and(|at| days[0] >= *at) {
                    crashes.remove(0);
                    // Some of them were made, and one never was.
                    for call in script.calls.iter().skip(1) {
                        *received.entry(call.id).or_insert(0) += 1;
                        days[day(script.now)] += 1;
                    }
                    script.crash();
                    script.pass(2 * SECOND);
                    continue;
                }
                let id = script.calls[0].id;
                *received.entry(id).or_insert(0) += 1;
                days[day(script.now)] += 1;
                script.accept(id);
            }
            let next = script.next.unwrap_or(i64::MAX).min(begin + 2 * DAY);
            script.pass((next - script.now).max(1));
        }
        assert!(crashes.is_empty(), "ten crashes");
        assert!(days[0] <= 1_000 && days[0] >= 1_000 - 80, "{days:?}");
        assert_eq!(received.values().filter(|count| **count > 1).count(), 0, "none twice");
        let forgotten = |id: &&model::OutboxId| {
            !received.contains_key(*id) && script.standing(**id) != Standing::Uncertain
        };
        assert_eq!(ids.iter().filter(forgotten).count(), 0, "none forgotten");
        assert_eq!(ids.len() - received.len(), 10, "the call that was never made, each time");
    }
}

#[test]
fn a_push_that_was_refused_counts_nobody_and_an_uncertain_one_does() {
    let mut script = Script::new(settings(|number| number.recipients_per_day = 1));
    let id = script.queue(template(1));
    script.answer(id, Outcome::Refused(refusal(131_026)));
    let other = script.queue(template(2));
    script.answer(other, unknown());
    assert_eq!(script.used().1, 1);
    let third = script.queue(template(3));
    assert_eq!(script.shown(third).why, Some(Why::UniqueRecipients));
}

#[test]
fn a_push_that_was_none_lets_go_what_waited_for_its_day_by_another_number_too() {
    let mut script = Script::new(two(100));
    let id = script.queue(template(1));
    let waiting = script.queue(crate::script::Wish { number: "2", ..template(1) });
    assert_eq!(script.shown(waiting).why, Some(Why::PushLimit));
    script.refuse(id, 131_026);
    script.pass(SECOND);
    assert_eq!(script.accept_all(), [waiting]);
}

#[test]
fn no_probe_of_yesterday_gives_today_a_call() {
    let mut script = Script::new(settings(|_| ()));
    script.now += 6 * HOUR - 3 * SECOND;
    script.turn(|turn| turn.take_call("1", Other::Probe).unwrap().unwrap());
    script.now += 2 * SECOND;
    let id = script.queue(template(1));
    script.accept(id);
    script.turn(|turn| turn.end_call("1", Other::Probe, true).unwrap());
    assert_eq!(script.turn(|turn| turn.quotas().unwrap())[1].used, 1);
    script.turn(|turn| turn.take_call("1", Other::Probe).unwrap().unwrap());
    script.turn(|turn| turn.end_call("1", Other::Probe, true).unwrap());
    assert_eq!(script.turn(|turn| turn.quotas().unwrap())[1].used, 1);
}

#[test]
fn a_share_of_the_calls_is_kept_for_probes() {
    let mut script = Script::new(settings(|number| number.calls_per_day = 200));
    for contact in 0..300 {
        script.queue(template(contact));
    }
    // 198 go, and two calls are left.
    script.drain();
    assert_eq!(script.turn(|turn| turn.quotas().unwrap())[1].used, 198);
    for _ in 0..2 {
        script.turn(|turn| turn.take_call("1", Other::Probe).unwrap().unwrap());
        script.turn(|turn| turn.end_call("1", Other::Probe, false).unwrap());
    }
    assert!(script.turn(|turn| turn.take_call("1", Other::Probe).unwrap()).is_err());
    assert!(script.turn(|turn| turn.take_call("1", Other::Errand).unwrap()).is_err());
}

/// It was counted for a message that may never have arrived; the limit was lowered, and the next one did arrive.
#[test]
fn who_was_counted_for_an_uncertain_push_is_held_by_a_lowered_limit() {
    let mut script = Script::new(settings(|number| number.recipients_per_day = 2));
    agree(&mut script, 2);
    let first = script.queue(template(1));
    script.accept(first);
    let uncertain = script.queue(template(2));
    script.answer(uncertain, unknown());
    script.fact(None, None, Says::UniqueLimit(Some(1)));
    let next = script.queue(template(2));
    script.pass(HOUR);
    assert!(script.calls.is_empty());
    assert_eq!(script.shown(next).why, Some(Why::UniqueRecipients));
}

#[test]
fn a_unit_that_is_given_back_is_the_next_ones_at_once() {
    let mut script = Script::new(settings(|number| number.messages_per_day = 1));
    let first = script.queue(template(1));
    // It keeps its unit while its recipient is to be left alone.
    script.refuse(first, 131_056);
    let second = script.queue(template(2));
    assert!(script.calls.is_empty());
    script.turn(|turn| turn.cancel(first).unwrap().unwrap());
    assert_eq!(script.calls.iter().map(|call| call.id).collect::<Vec<_>>(), [second]);
}

#[test]
fn a_turn_that_comes_to_nothing_costs_a_slow_number_no_more_than_its_second() {
    let mut script = Script::new(settings(|number| number.per_second = 1));
    let first = script.queue(template(1));
    let second = script.queue(template(2));
    script.accept(first);
    let mut turn = script.outbox.turn(&script.disk, script.now + SECOND + 1);
    turn.advance().unwrap();
    assert_eq!(turn.finish().unwrap().calls.len(), 1, "and it isn't made durable");
    script.pass(3 * SECOND);
    assert_eq!(script.calls.iter().map(|call| call.id).collect::<Vec<_>>(), [second]);
}
