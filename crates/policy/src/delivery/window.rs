//! What is read ahead, and where to go on reading.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use model::Sequence;

use super::index::Index;
use super::lane::{Entry, Lane, LaneKey, Waiting};
use super::lanes::Lanes;
use super::settings::{PAGE_BYTES, PAGE_RECORDS, Settings};
use crate::Moment;

/// Retried dead letters held at once.
const REPLAYS_HELD: usize = 64;
/// Retried dead letters held of one lane.
const REPLAYS_PER_LANE: usize = 8;
/// Retried dead letters that found no room are looked for again after this at the latest.
const REPLAYS_AGAIN: Duration = Duration::from_secs(10);
/// While more lanes than this wait to be read again, reading on has to wait for them: it bounds
/// the lanes that must be remembered.
const HUNGRY_LANES: usize = 64;

/// The end of the journal, as the store last told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tail {
    /// The newest durable record.
    pub newest: Sequence,
    /// Changes whenever a dead letter is to be sent again.
    pub replays: u64,
}

/// Where a page comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The unsettled records, read onwards.
    Onwards,
    /// The unsettled records, read again for lanes that were passed over.
    Again,
    /// The dead letters that are to be sent again.
    Replays,
}

/// A page to read: unsettled records above `after` in order of sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Read {
    /// Which records.
    pub source: Source,
    /// The page begins behind this one.
    pub after: Sequence,
    /// At most so many records.
    pub limit: usize,
    /// About so many bytes; a first record that is larger comes all the same.
    pub bytes: usize,
    newest: Sequence,
}

/// The reading side: cursor, bounds, and what was left behind.
#[derive(Debug, Default)]
pub(super) struct Window {
    pub(super) records: usize,
    pub(super) bytes: usize,
    /// Everything up to here was taken in, or left to a lane's `resume`.
    pub(super) cursor: Sequence,
    tail: Tail,
    reading: Option<Read>,
    was_again: bool,
    failures: u32,
    retry_at: Option<Moment>,
    replays: Replays,
}

#[derive(Debug, Default)]
struct Replays {
    held: BTreeSet<Sequence>,
    /// Where the scan goes on; `None` when it is through.
    after: Option<Sequence>,
    rescan: bool,
    /// Some were passed over for want of room: when to look for them again at the latest.
    left: Option<Moment>,
    /// One was settled since, which may have made room.
    progress: bool,
    /// Settled while a page was being read, which may still hold them.
    settled: Vec<Sequence>,
}

impl Window {
    /// Begins at the beginning, dead letters that wait to be sent again included.
    pub(super) fn new() -> Self {
        Self { replays: Replays { rescan: true, ..Replays::default() }, ..Self::default() }
    }

    pub(super) const fn admit(&mut self, bytes: usize) {
        self.records += 1;
        self.bytes += bytes;
    }

    /// Gives the room of a record back. `settled`: it's done with; else it will be read again.
    pub(super) fn release<T>(&mut self, waiting: &Waiting<T>, settled: bool) {
        self.records -= 1;
        self.bytes -= waiting.bytes;
        if waiting.replay && self.replays.held.remove(&waiting.sequence) {
            self.replays.progress |= settled;
            if !settled {
                self.replays.left.get_or_insert_default();
            } else if self.reading.is_some_and(|read| read.source == Source::Replays) {
                self.replays.settled.push(waiting.sequence);
            }
        }
    }

    pub(super) fn tail(&mut self, tail: Tail) {
        self.replays.rescan |= tail.replays != self.tail.replays;
        self.tail = tail;
    }

    /// When to read again although nothing has happened.
    pub(super) fn wake_at(&self) -> Option<Moment> {
        self.retry_at.into_iter().chain(self.replays.left).min()
    }

    fn next(&mut self, now: Moment, settings: &Settings, index: &Index) -> Option<Read> {
        if self.reading.is_some() || self.retry_at.is_some_and(|at| at > now) {
            return None;
        }
        let limit = PAGE_RECORDS.min(settings.window_records.saturating_sub(self.records));
        let bytes = PAGE_BYTES.min(settings.window_bytes.saturating_sub(self.bytes));
        // Small pages cost as much as large ones, so some room must have come together.
        if limit < (PAGE_RECORDS / 2).min(settings.window_records / 4).max(1)
            || bytes < PAGE_BYTES.min(settings.window_bytes / 4)
        {
            return None;
        }
        let page = |source, after, limit| Read { source, after, limit, bytes, newest: self.tail.newest };
        let replays = &mut self.replays;
        let room = replays.progress && replays.held.len() <= REPLAYS_HELD / 2;
        let left = replays.left.is_some_and(|at| room || at <= now) && replays.after.is_none();
        if replays.rescan || left {
            replays.rescan = false;
            replays.progress = false;
            replays.left = None;
            replays.after = Some(Sequence::START);
        }
        if let Some(after) = replays.after.filter(|_| replays.held.len() < REPLAYS_HELD) {
            return Some(page(Source::Replays, after, limit.min(REPLAYS_HELD)));
        }
        let hungry = index.hungry.first();
        let onwards = self.cursor < self.tail.newest && index.hungry.len() <= HUNGRY_LANES;
        match hungry {
            Some((resume, _)) if !(onwards && self.was_again) => {
                Some(page(Source::Again, Sequence(resume.0.saturating_sub(1)), limit))
            }
            _ if onwards => Some(page(Source::Onwards, self.cursor, limit)),
            _ => None,
        }
    }
}

impl<T: Clone> Lanes<T> {
    pub(super) fn next_read(&mut self, now: Moment) -> Option<Read> {
        let read = self.window.next(now, &self.settings, &self.index)?;
        self.window.reading = Some(read);
        self.window.retry_at = None;
        if read.source != Source::Replays {
            self.window.was_again = read.source == Source::Again;
        }
        Some(read)
    }

    /// Takes the page that [`super::Action::Read`] asked for. An empty page says that there's
    /// nothing more.
    pub fn page(&mut self, now: Moment, entries: Vec<Entry<T>>) {
        let Some(read) = self.window.reading.take() else { return };
        self.window.failures = 0;
        match read.source {
            Source::Onwards => self.read_on(now, &read, entries),
            Source::Again => self.read_again(now, &read, entries),
            Source::Replays => self.take_replays(now, &read, entries),
        }
    }

    /// The page couldn't be read: the same again after a while.
    pub fn read_failed(&mut self, now: Moment) {
        self.window.reading = None;
        self.window.replays.settled.clear();
        self.window.failures = self.window.failures.saturating_add(1);
        self.window.retry_at =
            Some(now + self.settings.backoff.delay(self.window.failures, &mut self.chance));
    }

    fn read_on(&mut self, now: Moment, read: &Read, entries: Vec<Entry<T>>) {
        if entries.is_empty() {
            self.window.cursor = self.window.cursor.max(read.newest);
        }
        for entry in entries {
            if entry.sequence <= self.window.cursor {
                continue;
            }
            self.window.cursor = entry.sequence;
            let share = self.settings.lane_share;
            let lane = self.lanes.entry(entry.lane).or_insert_with(Lane::new);
            if lane.resume.is_some() {
                continue;
            }
            if lane.has_room(share) {
                self.admit(now, entry, false);
            } else {
                lane.resume = Some(entry.sequence);
                self.relist(entry.lane);
            }
        }
    }

    /// Feeds the hungry lanes whose place lies in this page. A lane whose place lies before it was
    /// passed over by this page and must wait for one of its own: else its order would break.
    fn read_again(&mut self, now: Moment, read: &Read, entries: Vec<Entry<T>>) {
        let cursor = self.window.cursor;
        let last = entries.last().map_or(cursor, |entry| entry.sequence).min(cursor);
        let from = (read.after.next(), LaneKey::MIN);
        let to = (last, LaneKey::MAX);
        if from > to {
            debug_assert!(false, "a lane goes on behind what was read");
            return;
        }
        let mut full: BTreeMap<LaneKey, bool> =
            self.index.hungry.range(from..=to).map(|(_, key)| (*key, false)).collect();
        for entry in entries {
            let Some(full) = full.get_mut(&entry.lane) else { continue };
            let Some(lane) = self.lanes.get_mut(&entry.lane) else { continue };
            if *full || entry.sequence > cursor || lane.resume.is_none_or(|resume| entry.sequence < resume) {
                continue;
            }
            if lane.has_room(self.settings.lane_share) {
                self.admit(now, entry, false);
            } else {
                *full = true;
                lane.resume = Some(entry.sequence);
            }
        }
        for (key, full) in full {
            if let Some(lane) = self.lanes.get_mut(&key) {
                if !full {
                    lane.resume = if last >= cursor { None } else { Some(last.next()) };
                }
                self.relist(key);
            }
        }
    }

    fn take_replays(&mut self, now: Moment, read: &Read, entries: Vec<Entry<T>>) {
        let settled = std::mem::take(&mut self.window.replays.settled);
        let mut after = entries.last().map(|entry| entry.sequence);
        for entry in entries {
            let sequence = entry.sequence;
            if self.window.replays.held.contains(&sequence) || settled.contains(&sequence) {
                continue;
            }
            if self.window.replays.held.len() >= REPLAYS_HELD {
                after = Some(Sequence(sequence.0.saturating_sub(1)));
                break;
            }
            let lane = self.lanes.get(&entry.lane);
            let of_lane = lane.map_or(0, |lane| lane.queue.iter().filter(|waiting| waiting.replay).count());
            if of_lane >= REPLAYS_PER_LANE
                || lane.is_some_and(|lane| !lane.queue.is_empty() && lane.is_troubled())
            {
                self.window.replays.left.get_or_insert(now + REPLAYS_AGAIN);
                continue;
            }
            self.window.replays.held.insert(sequence);
            self.admit(now, entry, true);
        }
        self.window.replays.after = after.map(|after| after.max(read.after));
    }
}
