//! The book of a demo: each message from its sending to its record, and the sums.
//!
//! Pure: events and the time since the start come in, lines to show come out. The verdict at the
//! end doesn't rest on it alone, see [`super::verdict`].

mod line;
#[cfg(test)]
pub(super) mod tests;

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use simulate::event::Arrival;
use simulate::{Event, Histogram, Item, What};

pub(super) use self::line::{InCrm, Line, Mood, Note, OnDisk, Row};
use super::text;

/// Lines that are kept to be shown; what is still under way is kept beyond it.
const LINES_MAX: usize = 300;

/// How the CRM is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::demo) enum Weather {
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
pub(in crate::demo) struct Totals {
    /// Different items sent.
    pub(in crate::demo) sent: u64,
    /// Copies of them that WhatsApp sent.
    pub(in crate::demo) copies: u64,
    /// Items acknowledged, without copies.
    pub(in crate::demo) on_disk: u64,
    /// Different records that arrived.
    pub(in crate::demo) in_crm: u64,
    /// Records that arrived again.
    pub(in crate::demo) again: u64,
    /// Records that a later one of the same customer has overtaken, and that are still missing.
    pub(in crate::demo) missing: u64,
    /// Records that came after a later one of the same customer.
    pub(in crate::demo) late: u64,
    /// Texts that aren't what the customer wrote.
    pub(in crate::demo) altered: u64,
    /// How often the CRM was unplugged.
    pub(in crate::demo) outages: u64,
    /// Records that were held up by that.
    pub(in crate::demo) held_up: u64,
    /// Events that were missed; the sums above lack them.
    pub(in crate::demo) unseen: u64,
}

/// A webhook without an answer, and the numbers of its lines.
type Asked = (Arc<[Item]>, Range<u64>);

/// The book.
#[derive(Debug)]
pub(in crate::demo) struct Ledger {
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
    pub(in crate::demo) fn new() -> Self {
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

    pub(in crate::demo) const fn totals(&self) -> &Totals {
        &self.totals
    }

    pub(in crate::demo) const fn weather(&self) -> Weather {
        self.weather
    }

    /// Items sent whose record hasn't arrived.
    pub(in crate::demo) fn waiting(&self) -> usize {
        self.under_way.len()
    }

    /// From sending to the 200.
    pub(in crate::demo) const fn acknowledged(&self) -> &Histogram {
        &self.acknowledged
    }

    /// From sending to the CRM, of what no outage held up.
    pub(in crate::demo) const fn arrived(&self) -> &Histogram {
        &self.arrived
    }

    /// The same of what an outage did hold up, the longest.
    pub(in crate::demo) const fn longest_held_up(&self) -> Duration {
        self.longest_held_up
    }

    /// The newest lines, the newest first.
    pub(in crate::demo) fn newest(&self) -> impl Iterator<Item = &Line> {
        self.lines.values().rev()
    }

    /// Takes what happened; gives the lines that nothing more happens to.
    pub(in crate::demo) fn take(&mut self, event: &Event, now: Duration) -> Vec<Line> {
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
    pub(in crate::demo) fn missed(&mut self, events: u64) {
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
    pub(in crate::demo) fn unplugged(&mut self, lasts: Duration, now: Duration) -> Line {
        self.weather = Weather::Unplugged { at: now, lasts };
        self.totals.outages += 1;
        let open: Vec<u64> = self.under_way.values().copied().collect();
        for number in open {
            self.hold_up(number);
        }
        let lasts = text::time(lasts);
        let text = format!("CRM unplugged for {lasts}: messages get their 200 and wait on disk.");
        self.note(Mood::Trouble, text, now)
    }

    /// The CRM is back.
    pub(in crate::demo) fn plugged_in(&mut self, now: Duration) -> Vec<Line> {
        let held_up = self.under_way.len() as u64;
        self.weather = Weather::CatchingUp { since: now, held_up };
        let waits = if held_up == 1 { "waits" } else { "wait" };
        let text =
            format!("CRM plugged in again: {} {waits} on disk for it.", text::count(held_up, "record"));
        let mut lines = vec![self.note(Mood::Trouble, text, now)];
        lines.extend(self.caught_up(now));
        lines
    }

    pub(in crate::demo) fn note(&mut self, mood: Mood, text: String, at: Duration) -> Line {
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
