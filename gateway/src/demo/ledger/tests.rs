use std::time::Instant;

use simulate::crm::{Complaint, Reply, Wrong};
use simulate::graph::{Outcome, Posting};

use super::*;

const MS: Duration = Duration::from_millis(1);

pub(in crate::demo) fn item(id: &str, contact: u32, counter: u32) -> Item {
    Item {
        id: id.into(),
        what: What::Message("text"),
        contact,
        counter,
        name: "Ada".into(),
        text: "How much?",
        repeat: false,
    }
}

pub(in crate::demo) fn sent(ledger: &mut Ledger, items: Vec<Item>, now: Duration) -> Arc<[Item]> {
    let items: Arc<[Item]> = items.into();
    ledger.take(&Event::Sent { items: Arc::clone(&items), bytes: 1, attempt: 1 }, now);
    items
}

pub(in crate::demo) fn answered(
    ledger: &mut Ledger,
    items: &Arc<[Item]>,
    status: u16,
    after: Duration,
) -> Vec<Line> {
    ledger.take(&Event::Answered { items: Arc::clone(items), status, after }, after)
}

pub(in crate::demo) fn arrived(
    ledger: &mut Ledger,
    id: &str,
    text: &str,
    first: bool,
    after: Duration,
) -> Vec<Line> {
    let arrival = Arrival { id: id.into(), text: Some(text.into()), first, ..Arrival::default() };
    ledger.take(&Event::Arrived { arrival: Arc::new(arrival), after: Some(after) }, after)
}

pub(in crate::demo) fn reply(number: usize) -> Arc<Reply> {
    Arc::new(Reply {
        number,
        key: format!("reply-{number}"),
        to: "+12125550100".into(),
        name: Some("Ada".into()),
        text: "At 9.",
        asked_at: Instant::now(),
    })
}

pub(in crate::demo) fn queued(
    ledger: &mut Ledger,
    reply: &Arc<Reply>,
    outbox_id: &str,
    after: Duration,
) -> Vec<Line> {
    let (reply, outbox_id) = (Arc::clone(reply), outbox_id.into());
    ledger.take(&Event::Queued { reply, outbox_id, after }, after)
}

pub(in crate::demo) fn posting(outbox_id: &str, outcome: Outcome) -> Posting {
    Posting {
        number: "1".into(),
        to: "+12125550100".into(),
        kind: "text".into(),
        template: None,
        words: Some("At 9.".into()),
        outbox_id: Some(outbox_id.into()),
        outcome,
    }
}

/// A status goes from WhatsApp to the CRM.
pub(in crate::demo) fn told(
    ledger: &mut Ledger,
    outbox_id: &str,
    word: &'static str,
    now: Duration,
) -> Vec<Line> {
    let id = format!("wamid.{outbox_id}:{word}");
    let status = Item { what: What::Status(word), text: "", ..item(&id, 1, 1) };
    let items = sent(ledger, vec![status], now);
    answered(ledger, &items, 200, MS);
    let arrival = Arrival {
        id,
        kind: "wagate.message.status.v1".into(),
        text: Some(word.into()),
        outbox_id: Some(outbox_id.into()),
        first: true,
        ..Arrival::default()
    };
    ledger.take(&Event::Arrived { arrival: Arc::new(arrival), after: Some(MS) }, now)
}

/// The record of a sending comes to the CRM.
fn recorded(ledger: &mut Ledger, outbox_id: &str) -> Vec<Line> {
    let arrival = Arrival {
        id: outbox_id.into(),
        kind: "wagate.message.sent.v1".into(),
        text: Some("At 9.".into()),
        outbox_id: Some(outbox_id.into()),
        first: true,
        ..Arrival::default()
    };
    ledger.take(&Event::Arrived { arrival: Arc::new(arrival), after: None }, MS)
}

fn faults(ledger: &Ledger) -> (u64, u64, u64) {
    (ledger.totals.missing, ledger.totals.late, ledger.totals.altered)
}

type Step<'a> = &'a dyn Fn(&mut Ledger) -> Vec<Line>;

#[test]
fn a_line_is_over_once_both_ends_know_it_whichever_is_first() {
    for crm_first in [false, true] {
        let mut ledger = Ledger::new();
        let items = sent(&mut ledger, vec![item("a", 1, 1)], MS);
        let steps: [Step<'_>; 2] = [&|ledger| answered(ledger, &items, 200, 2 * MS), &|ledger| {
            arrived(ledger, "a", "How much? #1", true, 3 * MS)
        }];
        let (first, last) = if crm_first { (steps[1], steps[0]) } else { (steps[0], steps[1]) };
        assert_eq!(first(&mut ledger), []);
        let over = last(&mut ledger);
        let [Line::Row(row)] = over.as_slice() else { panic!("{over:?}") };
        assert_eq!(row.on_disk, OnDisk::Acknowledged(2 * MS));
        assert_eq!(row.in_crm, InCrm::Arrived(3 * MS));
        assert_eq!((ledger.waiting(), faults(&ledger)), (0, (0, 0, 0)));
        assert_eq!((ledger.acknowledged.count(), ledger.arrived.count()), (1, 1));
    }
}

#[test]
fn a_webhook_that_failed_stays_one_line_and_is_told() {
    let mut ledger = Ledger::new();
    let items = sent(&mut ledger, vec![item("a", 1, 1), item("b", 2, 1)], MS);
    let told = answered(&mut ledger, &items, 503, MS);
    assert!(matches!(told.as_slice(), [Line::Note(Note { mood: Mood::Bad, .. })]), "{told:?}");
    ledger.take(&Event::Sent { items: Arc::clone(&items), bytes: 1, attempt: 2 }, 2 * MS);
    answered(&mut ledger, &items, 200, MS);
    assert_eq!((ledger.totals.sent, ledger.totals.on_disk, ledger.lines.len()), (2, 2, 3));
}

#[test]
fn copies_are_acknowledged_and_nothing_is_expected_of_them() {
    let mut ledger = Ledger::new();
    let first = sent(&mut ledger, vec![item("a", 1, 1)], MS);
    answered(&mut ledger, &first, 200, MS);
    arrived(&mut ledger, "a", "How much? #1", true, MS);
    let copy = sent(&mut ledger, vec![Item { repeat: true, ..item("a", 1, 1) }], MS);
    assert_eq!(answered(&mut ledger, &copy, 200, MS).len(), 1);
    assert_eq!((ledger.totals.sent, ledger.totals.copies, ledger.waiting()), (1, 1, 0));
    arrived(&mut ledger, "a", "How much? #1", false, MS);
    assert_eq!(ledger.totals.again, 1);
}

#[test]
fn loss_disorder_and_other_words_are_noticed() {
    let mut ledger = Ledger::new();
    for counter in 1..=4 {
        sent(&mut ledger, vec![item(&counter.to_string(), 1, counter)], MS);
    }
    sent(&mut ledger, vec![item("other", 2, 1)], MS);
    arrived(&mut ledger, "1", "How much? #1", true, MS);
    arrived(&mut ledger, "4", "How much? #4", true, MS);
    assert_eq!(faults(&ledger), (2, 0, 0));
    arrived(&mut ledger, "2", "How much? #2", true, MS);
    assert_eq!(faults(&ledger), (1, 1, 0));
    arrived(&mut ledger, "other", "how much?", true, MS);
    assert_eq!(faults(&ledger), (1, 1, 1));
}

#[test]
fn an_outage_is_no_latency_and_its_end_is_told_once() {
    let mut ledger = Ledger::new();
    sent(&mut ledger, vec![item("a", 1, 1)], MS);
    ledger.unplugged(5 * MS, 2 * MS);
    sent(&mut ledger, vec![item("b", 2, 1)], 3 * MS);
    assert_eq!(ledger.plugged_in(7 * MS).len(), 1);
    sent(&mut ledger, vec![item("c", 2, 2)], 8 * MS);
    for id in ["a", "b"] {
        arrived(&mut ledger, id, "How much? #1", true, 9 * MS);
        assert_ne!(ledger.weather(), Weather::Fine);
    }
    let told = arrived(&mut ledger, "c", "How much? #2", true, 10 * MS);
    let [Line::Note(note)] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!(
        (note.mood, note.text.as_str()),
        (Mood::Good, "Caught up after 3.0 ms: 2 records in order, none lost.")
    );
    assert_eq!(ledger.weather(), Weather::Fine);
    assert_eq!((ledger.arrived.count(), ledger.totals.held_up), (0, 3));
    assert_eq!(ledger.longest_held_up(), 10 * MS);
}

#[test]
fn an_outage_that_nobody_felt_ends_at_once() {
    let mut ledger = Ledger::new();
    ledger.unplugged(MS, MS);
    assert_eq!(ledger.plugged_in(2 * MS).len(), 2);
    assert_eq!(ledger.weather(), Weather::Fine);
}

#[test]
fn lines_are_bounded_but_what_is_under_way_is_kept() {
    let mut ledger = Ledger::new();
    let waiting = sent(&mut ledger, vec![item("waiting", 1, 1)], MS);
    answered(&mut ledger, &waiting, 200, MS);
    for number in 1..1_000 {
        let items = sent(&mut ledger, vec![item(&number.to_string(), 2, number)], MS);
        answered(&mut ledger, &items, 200, MS);
        arrived(&mut ledger, &number.to_string(), &format!("How much? #{number}"), true, MS);
    }
    assert_eq!(ledger.lines.len(), LINES_MAX);
    assert_eq!(arrived(&mut ledger, "waiting", "How much? #1", true, MS).len(), 1);
}

#[test]
fn missed_events_leave_nothing_open() {
    let mut ledger = Ledger::new();
    sent(&mut ledger, vec![item("a", 1, 1)], MS);
    ledger.missed(3);
    assert_eq!((ledger.waiting(), ledger.totals.unseen), (0, 3));
    assert!(ledger.newest().all(|line| matches!(line, Line::Row(row) if row.is_over())));
}

#[test]
fn what_the_crm_complains_of_is_told_harmlessly() {
    let mut ledger = Ledger::new();
    let complaint = Complaint { wrong: Wrong::Order, detail: "\x1b[2Jbad".into() };
    let told = ledger.take(&Event::Complained(complaint), MS);
    assert!(matches!(told.as_slice(), [Line::Note(note)] if !note.text.contains('\x1b')), "{told:?}");
}

#[test]
fn a_reply_goes_all_the_way_in_one_line() {
    let mut ledger = Ledger::new();
    let reply = reply(0);
    ledger.take(&Event::Replying { reply: Arc::clone(&reply) }, 10 * MS);
    assert_eq!(queued(&mut ledger, &reply, "o-1", 2 * MS), []);
    assert_eq!(ledger.posting(&posting("o-1", Outcome::Accepted), 15 * MS), []);
    assert_eq!(ledger.waiting(), 1, "the record of the sending");
    assert_eq!(recorded(&mut ledger, "o-1"), []);
    assert_eq!(told(&mut ledger, "o-1", "sent", 20 * MS), []);
    assert_eq!(told(&mut ledger, "o-1", "delivered", 30 * MS), []);
    let over = told(&mut ledger, "o-1", "read", 40 * MS);
    let [Line::Reply(sent)] = over.as_slice() else { panic!("{over:?}") };
    assert_eq!((sent.accepted, sent.latest, sent.tick), (Some(5 * MS), Some(30 * MS), Some(Tick::Read)));
    assert_eq!(sent.on_disk, OnDisk::Acknowledged(2 * MS));
    let totals = ledger.totals;
    assert_eq!(
        (totals.replies, totals.queued, totals.accepted, totals.delivered, totals.read, totals.failed),
        (1, 1, 1, 1, 1, 0)
    );
    // Statuses are no messages, and count into the latencies of what WhatsApp sent.
    assert_eq!((totals.sent, totals.on_disk, totals.in_crm, ledger.arrived.count()), (0, 0, 0, 3));
    assert_eq!((ledger.waiting(), ledger.unfinished(), ledger.lines.len()), (0, Vec::new(), 1));
}

#[test]
fn what_whatsapp_says_before_the_202_was_read_counts_when_it_was() {
    let mut ledger = Ledger::new();
    let reply = reply(0);
    ledger.take(&Event::Replying { reply: Arc::clone(&reply) }, MS);
    ledger.posting(&posting("o-1", Outcome::Accepted), MS);
    for word in ["read", "delivered", "sent"] {
        assert_eq!(told(&mut ledger, "o-1", word, 2 * MS), []);
    }
    let over = queued(&mut ledger, &reply, "o-1", 3 * MS);
    assert!(matches!(over.as_slice(), [Line::Reply(sent)] if sent.tick == Some(Tick::Read)), "{over:?}");
    assert_eq!((ledger.totals.delivered, ledger.totals.read), (1, 1));
    // What comes again changes nothing.
    assert_eq!(told(&mut ledger, "o-1", "delivered", 9 * MS), []);
    assert_eq!((ledger.totals.delivered, ledger.totals.read), (1, 1));
}

#[test]
fn a_reply_that_is_posted_again_is_one_line() {
    let mut ledger = Ledger::new();
    let reply = reply(0);
    for _ in 0..2 {
        ledger.take(&Event::Replying { reply: Arc::clone(&reply) }, MS);
        queued(&mut ledger, &reply, "o-1", MS);
    }
    assert_eq!((ledger.totals.replies, ledger.totals.queued, ledger.totals.asked_again), (1, 1, 1));
    assert_eq!((ledger.lines.len(), ledger.unfinished().len()), (1, 1));
}

#[test]
fn a_reply_that_is_refused_failed_or_altered_is_told() {
    let mut ledger = Ledger::new();
    let (one, two) = (reply(0), reply(1));
    for reply in [&one, &two] {
        ledger.take(&Event::Replying { reply: Arc::clone(reply) }, MS);
    }
    let unqueued = |ledger: &mut Ledger, given_up| {
        ledger.take(&Event::Unqueued { reply: Arc::clone(&one), why: "got 503\x1b".into(), given_up }, MS)
    };
    let noted = unqueued(&mut ledger, false);
    assert!(
        matches!(noted.as_slice(), [Line::Note(note)] if note.text == "A reply got 503: the CRM posts it again."),
        "{noted:?}"
    );
    assert_eq!(ledger.unfinished().len(), 2);
    unqueued(&mut ledger, true);
    assert_eq!(ledger.unfinished().len(), 1);
    queued(&mut ledger, &two, "o-2", MS);
    let refused = ledger.posting(&posting("o-2", Outcome::Refused(131_056)), MS);
    assert!(matches!(refused.as_slice(), [Line::Note(Note { mood: Mood::Bad, .. })]), "{refused:?}");
    ledger.posting(&Posting { words: Some("At 8.".into()), ..posting("o-2", Outcome::Accepted) }, MS);
    assert_eq!(told(&mut ledger, "o-2", "failed", MS).len(), 1);
    assert_eq!((ledger.totals.altered, ledger.totals.failed, ledger.totals.accepted), (1, 1, 1));
}

#[test]
fn an_outage_holds_up_statuses_and_sendings_too() {
    let mut ledger = Ledger::new();
    let reply = reply(0);
    ledger.take(&Event::Replying { reply: Arc::clone(&reply) }, MS);
    queued(&mut ledger, &reply, "o-1", MS);
    ledger.unplugged(5 * MS, 2 * MS);
    ledger.posting(&posting("o-1", Outcome::Accepted), 3 * MS);
    let noted = ledger.plugged_in(7 * MS);
    assert!(
        matches!(noted.as_slice(), [Line::Note(note)] if note.text.contains("1 record waits on disk")),
        "{noted:?}"
    );
    let told = recorded(&mut ledger, "o-1");
    assert!(matches!(told.as_slice(), [Line::Note(Note { mood: Mood::Good, .. })]), "{told:?}");
    assert_eq!((ledger.weather(), ledger.totals.held_up), (Weather::Fine, 1));
}

#[test]
fn replies_are_bounded_too() {
    let mut ledger = Ledger::new();
    for number in 0..1_000 {
        let (reply, outbox_id) = (reply(number), format!("o-{number}"));
        ledger.take(&Event::Replying { reply: Arc::clone(&reply) }, MS);
        queued(&mut ledger, &reply, &outbox_id, MS);
        ledger.posting(&posting(&outbox_id, Outcome::Accepted), MS);
        recorded(&mut ledger, &outbox_id);
        told(&mut ledger, &outbox_id, "delivered", MS);
    }
    assert_eq!((ledger.lines.len(), ledger.unfinished().len()), (LINES_MAX, LINES_MAX));
    assert_eq!(ledger.totals.delivered, 1_000);
    // A status whose line is gone is nobody's.
    assert_eq!(told(&mut ledger, "o-1", "read", MS), []);
    assert_eq!(ledger.totals.read, 0);
}
