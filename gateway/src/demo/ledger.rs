//! The book of a demo: each message from its sending to its record, and the sums.
//!
//! Pure: events and the time since the start come in, lines to show come out. The verdict at the
//! end doesn't rest on it alone, see [`super::verdict`].

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use simulate::event::Arrival;
use simulate::{Event, Histogram, Item, What};

use super::text;

/// Lines that are kept to be shown; what is still under way is kept beyond it.
const LINES_MAX: usize = 300;

/// One line of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Line {
    Row(Row),
    Note(Note),
}

/// One message or status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    /// Since the start.
    pub(super) sent_at: Duration,
    pub(super) item: Item,
    pub(super) on_disk: OnDisk,
    pub(super) in_crm: InCrm,
    /// The CRM was away, or catching up, at some time between: its latency isn't the gateway's.
    held_up: bool,
}

/// What WhatsApp knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum OnDisk {
    Asked,
    Acknowledged(Duration),
    /// It comes again.
    Failed(String),
}

/// What the CRM knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum InCrm {
    NotYet,
    Arrived(Duration),
    /// A copy of what was sent before, so there is nothing to hand on.
    Known,
    /// The event was missed.
    Unseen,
}

impl Row {
    fn is_over(&self) -> bool {
        matches!(self.on_disk, OnDisk::Acknowledged(_)) && self.in_crm != InCrm::NotYet
    }
}

/// Something that the demo wants to be noticed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Note {
    pub(super) at: Duration,
    pub(super) mood: Mood,
    pub(super) text: String,
}

/// How a note is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mood {
    Good,
    Trouble,
    Bad,
}

/// How the CRM is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weather {
    Fine,
    /// Unplugged at this time, for so long.
    Unplugged {
        at: Duration,
        lasts: Duration,
    },
    /// Back since then, and not everything that was held up has arrived.
    CatchingUp {
        since: Duration,
        held_up: u64,
    },
}

/// The sums.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Totals {
    /// Different items sent.
    pub(super) sent: u64,
    /// Copies of them that WhatsApp sent.
    pub(super) copies: u64,
    /// Items acknowledged, without copies.
    pub(super) on_disk: u64,
    /// Different records that arrived.
    pub(super) in_crm: u64,
    /// Records that arrived again.
    pub(super) again: u64,
    /// Records that a later one of the same customer has overtaken, and that are still missing.
    pub(super) missing: u64,
    /// Records that came after a later one of the same customer.
    pub(super) late: u64,
    /// Texts that aren't what the customer wrote.
    pub(super) altered: u64,
    /// How often the CRM was unplugged.
    pub(super) outages: u64,
    /// Records that were held up by that.
    pub(super) held_up: u64,
    /// Events that were missed; the sums above lack them.
    pub(super) unseen: u64,
}

/// A webhook without an answer, and the numbers of its lines.
type Asked = (Arc<[Item]>, Range<u64>);

/// The book.
#[derive(Debug)]
pub(super) struct Ledger {
    lines: BTreeMap<u64, Line>,
    next: u64,
    asked: Vec<Asked>,
    under_way: HashMap<Box<str>, u64>,
    /// The running number that each customer's last record had.
    last: HashMap<u32, u32>,
    totals: Totals,
    weather: Weather,
    acknowledged: Histogram,
    arrived: Histogram,
    longest_held_up: Duration,
}

impl Ledger {
    pub(super) fn new() -> Self {
        Self {
            lines: BTreeMap::new(),
            next: 0,
            asked: Vec::new(),
            under_way: HashMap::new(),
            last: HashMap::new(),
            totals: Totals::default(),
            weather: Weather::Fine,
            acknowledged: Histogram::default(),
            arrived: Histogram::default(),
            longest_held_up: Duration::ZERO,
        }
    }

    pub(super) const fn totals(&self) -> &Totals {
        &self.totals
    }

    pub(super) const fn weather(&self) -> Weather {
        self.weather
    }

    /// Items sent whose record hasn't arrived.
    pub(super) fn waiting(&self) -> usize {
        self.under_way.len()
    }

    /// From sending to the 200.
    pub(super) const fn acknowledged(&self) -> &Histogram {
        &self.acknowledged
    }

    /// From sending to the CRM, of what no outage held up.
    pub(super) const fn arrived(&self) -> &Histogram {
        &self.arrived
    }

    /// The same of what an outage did hold up, the longest.
    pub(super) const fn longest_held_up(&self) -> Duration {
        self.longest_held_up
    }

    /// The newest lines, the newest first.
    pub(super) fn newest(&self) -> impl Iterator<Item = &Line> {
        self.lines.values().rev()
    }

    /// Takes what happened; gives the lines that nothing more happens to.
    pub(super) fn take(&mut self, event: &Event, now: Duration) -> Vec<Line> {
        match event {
            Event::Sent { items, .. } => {
                self.sent(items, now);
                Vec::new()
            }
            Event::Answered { items, status: 200, after } => self.answered(items, *after),
            Event::Answered { items, status, .. } => vec![self.failed(items, &format!("got {status}"), now)],
            Event::Unanswered { items, .. } => vec![self.failed(items, "no answer", now)],
            Event::Arrived { arrival, after } => self.arrival(arrival, *after, now),
            Event::Complained(complaint) => {
                let text = format!("The CRM complains: {}", text::harmless(&complaint.detail));
                vec![self.note(Mood::Bad, text, now)]
            }
        }
    }

    /// So many events were missed: what they would have ended stays open no longer.
    pub(super) fn missed(&mut self, events: u64) {
        self.totals.unseen += events;
        self.asked.clear();
        for number in std::mem::take(&mut self.under_way).into_values() {
            if let Some(row) = self.row(number) {
                row.in_crm = InCrm::Unseen;
                row.on_disk = OnDisk::Acknowledged(Duration::ZERO);
            }
        }
    }

    /// The CRM is gone from now on, for so long.
    pub(super) fn unplugged(&mut self, lasts: Duration, now: Duration) -> Line {
        self.weather = Weather::Unplugged { at: now, lasts };
        self.totals.outages += 1;
        let open: Vec<u64> = self.under_way.values().copied().collect();
        for number in open {
            self.hold_up(number);
        }
        let text = format!(
            "The CRM is unplugged for {}: every message still gets its 200, and waits on disk.",
            text::time(lasts)
        );
        self.note(Mood::Trouble, text, now)
    }

    /// The CRM is back.
    pub(super) fn plugged_in(&mut self, now: Duration) -> Vec<Line> {
        let held_up = self.under_way.len() as u64;
        self.weather = Weather::CatchingUp { since: now, held_up };
        let waits = if held_up == 1 { "waits" } else { "wait" };
        let text = format!("The CRM is back: {} {waits} on disk for it.", text::count(held_up, "record"));
        let mut lines = vec![self.note(Mood::Trouble, text, now)];
        lines.extend(self.caught_up(now));
        lines
    }

    pub(super) fn note(&mut self, mood: Mood, text: String, at: Duration) -> Line {
        let line = Line::Note(Note { at, mood, text });
        self.push(line.clone());
        line
    }

    fn sent(&mut self, items: &Arc<[Item]>, now: Duration) {
        if let Some((_, numbers)) = self.asked.iter().find(|(asked, _)| Arc::ptr_eq(asked, items)) {
            for number in numbers.clone() {
                self.update(number, OnDisk::Asked);
            }
            return;
        }
        let first = self.next;
        for item in items.iter() {
            let number = self.next;
            let in_crm = if item.repeat { InCrm::Known } else { InCrm::NotYet };
            let (sent_at, item, on_disk) = (now, item.clone(), OnDisk::Asked);
            if item.repeat {
                self.totals.copies += 1;
            } else {
                self.totals.sent += 1;
                self.under_way.insert(item.id.clone(), number);
            }
            self.push(Line::Row(Row { sent_at, item, on_disk, in_crm, held_up: false }));
            if self.weather != Weather::Fine && in_crm == InCrm::NotYet {
                self.hold_up(number);
            }
        }
        self.asked.push((Arc::clone(items), first..self.next));
    }

    fn answered(&mut self, items: &Arc<[Item]>, after: Duration) -> Vec<Line> {
        let Some(place) = self.asked.iter().position(|(asked, _)| Arc::ptr_eq(asked, items)) else {
            return Vec::new();
        };
        let (items, numbers) = self.asked.swap_remove(place);
        self.acknowledged.record(after);
        self.totals.on_disk += items.iter().filter(|item| !item.repeat).count() as u64;
        numbers.filter_map(|number| self.update(number, OnDisk::Acknowledged(after))).collect()
    }

    fn failed(&mut self, items: &Arc<[Item]>, why: &str, now: Duration) -> Line {
        if let Some((_, numbers)) = self.asked.iter().find(|(asked, _)| Arc::ptr_eq(asked, items)) {
            for number in numbers.clone() {
                self.update(number, OnDisk::Failed(why.to_owned()));
            }
        }
        self.note(Mood::Bad, format!("A webhook {why}: WhatsApp sends it again."), now)
    }

    fn arrival(&mut self, arrival: &Arrival, after: Option<Duration>, now: Duration) -> Vec<Line> {
        if !arrival.first {
            self.totals.again += 1;
            return Vec::new();
        }
        let Some(number) = self.under_way.remove(&*arrival.id) else { return Vec::new() };
        self.totals.in_crm += 1;
        let Some(row) = self.row(number) else { return Vec::new() };
        let after = after.unwrap_or_else(|| now.saturating_sub(row.sent_at));
        row.in_crm = InCrm::Arrived(after);
        let (over, held_up) = (row.is_over(), row.held_up);
        let line = Line::Row(row.clone());
        if let Line::Row(row) = &line {
            self.compare(&row.item, arrival);
        }
        if held_up {
            self.longest_held_up = self.longest_held_up.max(after);
        } else {
            self.arrived.record(after);
        }
        let mut lines = Vec::new();
        if over {
            lines.push(line);
        }
        lines.extend(self.caught_up(now));
        lines
    }

    /// Whether the record is the next one of its customer, and says what the customer wrote.
    fn compare(&mut self, item: &Item, arrival: &Arrival) {
        let last = self.last.entry(item.contact).or_default();
        if item.counter > *last {
            self.totals.missing += u64::from(item.counter - *last - 1);
            *last = item.counter;
        } else {
            self.totals.missing = self.totals.missing.saturating_sub(1);
            self.totals.late += 1;
        }
        let written =
            (item.what == What::Message("text")).then(|| format!("{} #{}", item.text, item.counter));
        if written.is_some() && written != arrival.text {
            self.totals.altered += 1;
        }
    }

    fn caught_up(&mut self, now: Duration) -> Option<Line> {
        let Weather::CatchingUp { since, held_up } = self.weather else { return None };
        if !self.under_way.is_empty() {
            return None;
        }
        self.weather = Weather::Fine;
        let took = text::time(now.saturating_sub(since));
        let (mood, text) = if self.totals.missing + self.totals.late > 0 {
            (Mood::Bad, format!("Caught up after {took}, and not in order."))
        } else if held_up == 0 {
            (Mood::Good, "Nothing had to wait.".to_owned())
        } else {
            let records = text::count(held_up, "record");
            (Mood::Good, format!("Caught up after {took}: {records} in order, none lost."))
        };
        Some(self.note(mood, text, now))
    }

    fn hold_up(&mut self, number: u64) {
        if let Some(row) = self.row(number)
            && !std::mem::replace(&mut row.held_up, true)
        {
            self.totals.held_up += 1;
        }
    }

    /// Gives the line if nothing more happens to it.
    fn update(&mut self, number: u64, on_disk: OnDisk) -> Option<Line> {
        let row = self.row(number)?;
        row.on_disk = on_disk;
        row.is_over().then(|| Line::Row(row.clone()))
    }

    fn row(&mut self, number: u64) -> Option<&mut Row> {
        match self.lines.get_mut(&number) {
            Some(Line::Row(row)) => Some(row),
            Some(Line::Note(_)) | None => None,
        }
    }

    fn push(&mut self, line: Line) {
        self.lines.insert(self.next, line);
        self.next += 1;
        if self.lines.len() > LINES_MAX {
            let over = |line: &Line| {
                matches!(line, Line::Row(row) if row.is_over()) || matches!(line, Line::Note(_))
            };
            let oldest = self.lines.iter().find(|(_, line)| over(line)).map(|(number, _)| *number);
            oldest.map(|oldest| self.lines.remove(&oldest));
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use simulate::crm::{Complaint, Wrong};

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    pub(in super::super) fn item(id: &str, contact: u32, counter: u32) -> Item {
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

    pub(in super::super) fn sent(ledger: &mut Ledger, items: Vec<Item>, now: Duration) -> Arc<[Item]> {
        let items: Arc<[Item]> = items.into();
        ledger.take(&Event::Sent { items: Arc::clone(&items), bytes: 1, attempt: 1 }, now);
        items
    }

    pub(in super::super) fn answered(
        ledger: &mut Ledger,
        items: &Arc<[Item]>,
        status: u16,
        after: Duration,
    ) -> Vec<Line> {
        ledger.take(&Event::Answered { items: Arc::clone(items), status, after }, after)
    }

    pub(in super::super) fn arrived(
        ledger: &mut Ledger,
        id: &str,
        text: &str,
        first: bool,
        after: Duration,
    ) -> Vec<Line> {
        let arrival = Arrival { id: id.into(), text: Some(text.into()), first, ..Arrival::default() };
        ledger.take(&Event::Arrived { arrival: Arc::new(arrival), after: Some(after) }, after)
    }

    fn faults(ledger: &Ledger) -> (u64, u64, u64) {
        (ledger.totals.missing, ledger.totals.late, ledger.totals.altered)
    }

    #[test]
    fn a_line_is_over_once_both_ends_know_it_whichever_is_first() {
        for crm_first in [false, true] {
            let mut ledger = Ledger::new();
            let items = sent(&mut ledger, vec![item("a", 1, 1)], MS);
            let steps: [&dyn Fn(&mut Ledger) -> Vec<Line>; 2] =
                [&|ledger| answered(ledger, &items, 200, 2 * MS), &|ledger| {
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
}
