//! One lane: the records that wait, and the trouble that the first of them has.

use std::collections::VecDeque;
use std::hash::{BuildHasherDefault, DefaultHasher, Hash, Hasher};

use model::Sequence;

use super::index::Listed;
use crate::Moment;

/// So often a record must fail, with another getting through in between each time, before its
/// failures are held to be its own.
const BLAMES_OF_A_SUSPECT: u32 = 2;

/// A lane's name, shortened to 64 bits. Two lanes that share a key would run as one: in order, only
/// less in parallel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LaneKey(u64);

impl LaneKey {
    pub(super) const MIN: Self = Self(u64::MIN);
    pub(super) const MAX: Self = Self(u64::MAX);

    /// The key of the lane called `name` (see `model::Record::lane`).
    #[must_use]
    pub fn of(name: &str) -> Self {
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        Self(hasher.finish())
    }
}

/// Finds lanes by their keys, which are hashes already.
pub(super) type KeyedBy = BuildHasherDefault<AsItIs>;

/// Takes a [`LaneKey`] for its own hash.
#[derive(Debug, Default)]
pub(super) struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        debug_assert!(false, "a lane's key is one number");
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}

/// A record as the lanes see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry<T> {
    /// Its place.
    pub sequence: Sequence,
    /// Its lane.
    pub lane: LaneKey,
    /// What it takes of the window and of a batch.
    pub bytes: usize,
    /// What the shell needs to send it; handed back with [`super::Action::Send`].
    pub body: T,
}

/// A record in its lane.
#[derive(Debug)]
pub(super) struct Waiting<T> {
    pub(super) sequence: Sequence,
    pub(super) bytes: usize,
    pub(super) body: T,
    /// A dead letter that is sent again; its sequence is older than its place in the lane.
    pub(super) replay: bool,
    pub(super) attempts: u32,
    /// How often it was refused alone.
    pub(super) refusals: u32,
    /// How often a batch of it failed since that batch got its size.
    pub(super) batch_failures: u32,
    /// The largest batch that it may be part of: halved whenever a batch of it is split.
    pub(super) together: usize,
}

impl<T> Waiting<T> {
    pub(super) fn new(entry: Entry<T>, replay: bool) -> Self {
        Self {
            sequence: entry.sequence,
            bytes: entry.bytes,
            body: entry.body,
            replay,
            attempts: 0,
            refusals: 0,
            batch_failures: 0,
            together: usize::MAX,
        }
    }
}

/// Where a lane with records stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Its first record may go.
    Ready,
    /// So many from the front are in flight.
    Busy(usize),
    /// Its first record waits for its next try.
    Asleep(Moment),
}

#[derive(Debug)]
pub(super) struct Lane<T> {
    pub(super) queue: VecDeque<Waiting<T>>,
    pub(super) state: State,
    /// Records from here on were passed over and are to be read again.
    pub(super) resume: Option<Sequence>,
    pub(super) trouble: Trouble,
    /// Where the indexes have it.
    pub(super) listed: Listed,
}

/// What the first record of a lane has been through.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    /// Failures in a row, for the backoff; begins anew when the gate closes.
    pub(super) failures: u32,
    /// Failures in a row with nobody getting through in between.
    pub(super) streak: u32,
    /// Others got through between its last two failures.
    pub(super) others_pass: bool,
    /// Failures after another record had got through.
    blames: u32,
    /// The count of accepted jobs at the last failure.
    passes: u64,
    /// The count of closures of the gate at the last failure.
    closures: u64,
    /// Since when it has drawn nothing but failures that may be its own.
    pub(super) failing_since: Option<Moment>,
    pub(super) last_tried: Option<Moment>,
    /// Whether the first success of another lane ends its sleep.
    pub(super) wakes: bool,
}

impl Trouble {
    const fn is_suspect(&self) -> bool {
        self.blames >= BLAMES_OF_A_SUSPECT
    }

    /// Takes a failure down, seen after `passes` accepted jobs and `closures` of the gate.
    pub(super) const fn failed(&mut self, passes: u64, closures: u64, alone: bool) {
        if self.closures != closures {
            self.closures = closures;
            self.failing_since = None;
            // A suspect keeps its long waits: many of them that began anew would close the gate
            // again, and again.
            if !self.is_suspect() {
                self.failures = 0;
            }
        }
        self.others_pass = self.streak > 0 && self.passes != passes;
        self.streak = if self.passes == passes { self.streak.saturating_add(1) } else { 1 };
        if self.others_pass && alone {
            self.blames = self.blames.saturating_add(1);
        }
        self.passes = passes;
        self.failures = self.failures.saturating_add(1);
    }

    /// Another endpoint gets the next try: it has to see for itself that others get through.
    pub(super) const fn moved(&mut self) {
        self.streak = 0;
        self.others_pass = false;
        // A switch ends the patience of an outage alone. What is a suspect fails wherever it goes: the hour
        // after which a person is told of it runs on, though the new endpoint must have failed it twice.
        if !self.is_suspect() {
            self.failures = 0;
            self.failing_since = None;
        }
    }
}

impl<T> Lane<T> {
    pub(super) fn new() -> Self {
        Self {
            queue: VecDeque::new(),
            state: State::Ready,
            resume: None,
            trouble: Trouble::default(),
            listed: Listed::default(),
        }
    }

    /// Its first record fails while others get through.
    pub(super) const fn is_suspect(&self) -> bool {
        self.trouble.is_suspect()
    }

    /// Its first record failed, by whose fault ever: the lane then takes nothing more in, so that
    /// what can't go anyway leaves the window to others.
    pub(super) fn is_troubled(&self) -> bool {
        self.trouble.streak > 0 || self.queue.front().is_some_and(|first| first.refusals > 0)
    }

    pub(super) fn has_room(&self, share: usize) -> bool {
        self.queue.len() < if self.is_troubled() { 1 } else { share }
    }

    /// Whether records that were passed over should be read again now.
    pub(super) fn is_hungry(&self, share: usize) -> bool {
        self.resume.is_some()
            && if self.is_troubled() { self.queue.is_empty() } else { self.queue.len() <= share / 4 }
    }

    pub(super) const fn in_flight(&self) -> usize {
        match self.state {
            State::Busy(count) => count,
            State::Ready | State::Asleep(_) => 0,
        }
    }

    /// Puts the next record in flight and returns it.
    pub(super) fn launch(&mut self, now: Moment) -> Option<&Waiting<T>> {
        let place = self.in_flight();
        let waiting = self.queue.get_mut(place)?;
        waiting.attempts = waiting.attempts.saturating_add(1);
        self.state = State::Busy(place + 1);
        self.trouble.last_tried = Some(now);
        Some(waiting)
    }

    /// The records in flight.
    pub(super) fn launched(&mut self) -> impl Iterator<Item = &mut Waiting<T>> {
        let count = self.in_flight();
        self.queue.iter_mut().take(count)
    }

    /// Takes the records in flight out; the next one starts with a clean sheet.
    pub(super) fn land(&mut self) -> impl Iterator<Item = Waiting<T>> {
        let count = self.in_flight().min(self.queue.len());
        self.state = State::Ready;
        self.trouble = Trouble::default();
        self.queue.drain(..count)
    }

    /// Another endpoint is another chance: the lane sleeps no more.
    pub(super) const fn moved(&mut self) {
        if matches!(self.state, State::Asleep(_)) {
            self.state = State::Ready;
        }
        self.trouble.moved();
    }

    /// Lets go of all but the first record and remembers where to go on. Returns what was let go.
    pub(super) fn shed(&mut self) -> Vec<Waiting<T>> {
        let shed: Vec<_> = self.queue.drain(1.min(self.queue.len())..).collect();
        let first = shed.iter().find(|waiting| !waiting.replay).map(|waiting| waiting.sequence);
        self.resume = first.or(self.resume);
        shed
    }
}
