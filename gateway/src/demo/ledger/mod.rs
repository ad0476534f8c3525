//! The book of a demo: each message from its sending to its record, each reply on its way back, and the
//! sums.
//!
//! Pure: events and the time since the start come in, lines to show come out. The verdict at the
//! end doesn't rest on it alone, see [`super::verdict`].

mod line;
mod replies;
#[cfg(test)]
pub(super) mod tests;

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use simulate::crm::Tick;
use simulate::event::Arrival;
use simulate::{Event, Histogram, Item, What};

pub(super) use self::line::{InCrm, Line, Mood, Note, OnDisk, Row, Sent};
use self::replies::Replies;
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
    /// Different messages that customers sent.
    pub(in crate::demo) sent: u64,
    /// Copies of them that WhatsApp sent.
    pub(in crate::demo) copies: u64,
    /// Of the messages, those acknowledged, without copies.
    pub(in crate::demo) on_disk: u64,
    /// Of the messages, those whose record arrived.
    pub(in crate::demo) in_crm: u64,
    /// Records that arrived again.
    pub(in crate::demo) again: u64,
    /// Records that a later one of the same customer has overtaken, and that are still missing.
    pub(in crate::demo) missing: u64,
    /// Records that came after a later one of the same customer.
    pub(in crate::demo) late: u64,
    /// Texts that aren't what the customer or the CRM wrote.
    pub(in crate::demo) altered: u64,
    /// Replies that the CRM posted.
    pub(in crate::demo) replies: u64,
    /// Of those, queued.
    pub(in crate::demo) queued: u64,
    /// Replies that the CRM posted once more, and got the same answer.
    pub(in crate::demo) asked_again: u64,
    /// Messages that WhatsApp took.
    pub(in crate::demo) accepted: u64,
    /// Replies that are on the customer's phone as the CRM knows.
    pub(in crate::demo) delivered: u64,
    /// Of those, seen by the customer.
    pub(in crate::demo) read: u64,
    /// Replies that won't get there.
    pub(in crate::demo) failed: u64,
    /// How often the CRM was unplugged.
    pub(in crate::demo) outages: u64,
    /// Records that were held up by that.
    pub(in crate::demo) held_up: u64,
    /// Events that were missed; the sums above lack them.
    pub(in crate::demo) unseen: u64,
}

/// A webhook without an answer, and the numbers of its lines.
type Asked = (Arc<[Item]>, Range<u64>);

/// Something whose record is still to come.
#[derive(Debug)]
struct Way {
    /// Its line, where it has one of its own.
    line: Option<u64>,
    set_out: Duration,
    /// The CRM was away, or catching up, at some time between: its latency isn't the gateway's.
    held_up: bool,
}

/// The book.
#[derive(Debug)]
pub(in crate::demo) struct Ledger {
    lines: BTreeMap<u64, Line>,
    next: u64,
    asked: Vec<Asked>,
    under_way: HashMap<Box<str>, Way>,
    replies: Replies,
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
            replies: Replies::default(),
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

    /// Messages, statuses and sendings whose record hasn't arrived.
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
            Event::Replying { reply } => {
                self.replying(reply, now);
                Vec::new()
            }
            Event::Queued { reply, outbox_id, after } => self.was_queued(reply, outbox_id, *after, now),
            Event::Unqueued { reply, why, given_up } => vec![self.was_not_queued(reply, why, *given_up, now)],
        }
    }

    /// So many events were missed: what they would have ended stays open no longer.
    pub(in crate::demo) fn missed(&mut self, events: u64) {
        self.totals.unseen += events;
        self.asked.clear();
        self.under_way.clear();
        for line in self.lines.values_mut() {
            match line {
                Line::Row(row) if !row.is_over() => {
                    row.in_crm = InCrm::Unseen;
                    row.on_disk = OnDisk::Acknowledged(Duration::ZERO);
                }
                Line::Reply(sent) => sent.unseen |= !sent.is_final(),
                Line::Row(_) | Line::Note(_) => {}
            }
        }
    }

    /// The CRM is gone from now on, for so long.
    pub(in crate::demo) fn unplugged(&mut self, lasts: Duration, now: Duration) -> Line {
        self.weather = Weather::Unplugged { at: now, lasts };
        self.totals.outages += 1;
        for way in self.under_way.values_mut() {
            self.totals.held_up += u64::from(!std::mem::replace(&mut way.held_up, true));
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
            if let What::Status(_) = item.what {
                // It shows at the reply that it is about, once the CRM knows it.
                if !item.repeat {
                    self.set_out(item.id.clone(), None, now);
                }
                continue;
            }
            let number = self.next;
            let in_crm = if item.repeat { InCrm::Known } else { InCrm::NotYet };
            if item.repeat {
                self.totals.copies += 1;
            } else {
                self.totals.sent += 1;
                self.set_out(item.id.clone(), Some(number), now);
            }
            self.push(Line::Row(Row { sent_at: now, item: item.clone(), on_disk: OnDisk::Asked, in_crm }));
        }
        self.asked.push((Arc::clone(items), first..self.next));
    }

    /// From now on a record with this id is expected.
    fn set_out(&mut self, id: Box<str>, line: Option<u64>, now: Duration) {
        let held_up = self.weather != Weather::Fine;
        self.totals.held_up += u64::from(held_up);
        self.under_way.insert(id, Way { line, set_out: now, held_up });
    }

    fn answered(&mut self, items: &Arc<[Item]>, after: Duration) -> Vec<Line> {
        let Some(place) = self.asked.iter().position(|(asked, _)| Arc::ptr_eq(asked, items)) else {
            return Vec::new();
        };
        let (items, numbers) = self.asked.swap_remove(place);
        self.acknowledged.record(after);
        let message = |item: &&Item| !item.repeat && matches!(item.what, What::Message(_));
        self.totals.on_disk += items.iter().filter(message).count() as u64;
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
        let Some(way) = self.under_way.remove(&*arrival.id) else { return Vec::new() };
        let took = after.unwrap_or_else(|| now.saturating_sub(way.set_out));
        if way.held_up {
            self.longest_held_up = self.longest_held_up.max(took);
        } else if after.is_some() {
            // Of what WhatsApp sent, so not of the record of a sending.
            self.arrived.record(took);
        }
        let mut lines: Vec<Line> =
            way.line.and_then(|number| self.known(number, arrival, took)).into_iter().collect();
        if way.line.is_none()
            && let (Some(outbox_id), Some(tick)) =
                (&arrival.outbox_id, arrival.text.as_deref().and_then(Tick::of))
            && **outbox_id != *arrival.id
        {
            lines.extend(self.ticked(outbox_id, tick, now));
        }
        lines.extend(self.caught_up(now));
        lines
    }

    /// The CRM has this customer's message; gives the line if nothing more happens to it.
    fn known(&mut self, number: u64, arrival: &Arrival, took: Duration) -> Option<Line> {
        self.totals.in_crm += 1;
        let row = self.row(number)?;
        row.in_crm = InCrm::Arrived(took);
        let (row, over) = (row.clone(), row.is_over());
        self.compare(&row.item, arrival);
        over.then_some(Line::Row(row))
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

    /// Gives the line if nothing more happens to it.
    fn update(&mut self, number: u64, on_disk: OnDisk) -> Option<Line> {
        let row = self.row(number)?;
        row.on_disk = on_disk;
        row.is_over().then(|| Line::Row(row.clone()))
    }

    fn row(&mut self, number: u64) -> Option<&mut Row> {
        match self.lines.get_mut(&number) {
            Some(Line::Row(row)) => Some(row),
            Some(Line::Reply(_) | Line::Note(_)) | None => None,
        }
    }

    fn push(&mut self, line: Line) {
        self.lines.insert(self.next, line);
        self.next += 1;
        if self.lines.len() > LINES_MAX {
            let oldest = self.lines.iter().find(|(_, line)| line.is_over()).map(|(number, _)| *number);
            if let Some(Line::Reply(sent)) = oldest.and_then(|oldest| self.lines.remove(&oldest)) {
                self.replies.forget(&sent);
            }
        }
    }
}
