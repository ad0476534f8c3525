//! The outbox between two transactions: what it remembers beside the table, which is little.

use std::collections::BTreeMap;

use model::{OutboxId, Sequence, Standing};

use crate::careful;
use crate::keys;
use crate::pace::Paces;
use crate::settings::{ARRIVES_WITHIN_MS, Settings};
use crate::table::{Change, Table, TableError};
use crate::turn::{Call, Note, Turn};
use crate::values::Busy;
use crate::way::Way;

/// The outbox. Whatever it decides, it decides in a [`Turn`], and nothing of a turn holds before its
/// changes are durable.
#[derive(Debug)]
pub struct Outbox {
    pub(crate) settings: Settings,
    pub(crate) memory: Memory,
    pub(crate) paces: Paces,
    /// Changes of turns that weren't worth a transaction of their own.
    pub(crate) carried: Vec<Change>,
}

/// What a turn starts from, and leaves for the next one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Memory {
    /// The next message's place.
    pub(crate) next: u64,
    /// Messages that aren't over.
    pub(crate) open: u64,
    /// The journal is known up to here.
    pub(crate) cursor: Sequence,
    /// The place in the journal was lost: what it says of times before this date is read again.
    pub(crate) again_before: Option<i64>,
    /// By how much the date is ahead of the time that the box itself saw pass.
    pub(crate) leapt: i64,
    /// Before this time there are no timers: so that those which have gone aren't looked through.
    pub(crate) timers_from: Option<i64>,
    pub(crate) ways: BTreeMap<String, Way>,
}

/// What came of a turn: to be made durable, and only then to be acted upon.
#[derive(Debug)]
pub struct Done {
    /// For the table.
    pub changes: Vec<Change>,
    /// To be made once the changes are durable; each is answered by [`Turn::called`].
    pub calls: Vec<Call>,
    /// For the journal, in the same transaction as the changes.
    pub notes: Vec<Note>,
    /// How new messages stand, and those that stand otherwise than before, in the order in which they came to.
    pub stood: Vec<(OutboxId, Standing)>,
    /// When the next turn is due, in milliseconds since 1970; `None` when something has to happen first.
    pub next_ms: Option<i64>,
    /// It has to be made durable. Otherwise all of it is what the journal says, which is read again after a crash:
    /// [`Outbox::carry`] will do.
    pub urgent: bool,
    pub(crate) memory: Memory,
}

impl Outbox {
    /// Opens what a table holds. Calls that were in flight at the end of the last run are uncertain now; the
    /// turn that says so has to be made durable, or carried, before the first other one.
    ///
    /// # Errors
    /// When the table can't be read.
    pub fn open(table: &dyn Table, settings: Settings, now_ms: i64) -> Result<(Self, Done), TableError> {
        let view = crate::table::View::new(table);
        let next = careful::next_place(&view)?;
        let (cursor, again_before) = careful::cursor(&view, now_ms)?;
        let memory = Memory {
            next,
            open: careful::open_messages(&view)?,
            cursor,
            again_before,
            leapt: careful::leapt(&view, &settings, next, now_ms)?,
            timers_from: None,
            ways: BTreeMap::new(),
        };
        let paces = Paces::new(&settings, now_ms.saturating_sub(memory.leapt));
        let mut outbox = Self { paces, settings, memory, carried: Vec::new() };
        let mut turn = Turn::new(&outbox, table, now_ms);
        let posting = turn.view.list(&keys::Key::new(b'f'), &keys::Key::new(b'f'), usize::MAX)?;
        for place in posting.iter().filter_map(|(key, _)| keys::place_of(key)) {
            turn.interrupted(place)?;
            turn.urgent = true;
        }
        turn.look_at_uncertain()?;
        turn.mend()?;
        turn.memory.ways = turn.ways_of_the_last_run()?;
        let memory = turn.memory.clone();
        let done = turn.finish()?;
        outbox.memory = memory;
        Ok((outbox, done))
    }

    /// The last `now` that a table's transactions knew; `None` for a new one.
    ///
    /// # Errors
    /// When the table can't be read.
    pub fn last_known_ms(table: &dyn Table) -> Result<Option<i64>, TableError> {
        crate::table::View::new(table).get(&keys::single("now"))
    }

    /// Begins a turn.
    pub fn turn<'a>(&'a self, table: &'a dyn Table, now_ms: i64) -> Turn<'a> {
        self.paces.forget_unsure();
        Turn::new(self, table, now_ms)
    }

    /// Takes in a turn whose changes are durable. One that couldn't be made durable is dropped instead, with all
    /// that it said.
    pub fn commit(&mut self, done: &Done) {
        for call in &done.calls {
            self.paces.is_sure(&call.number, call.id.place);
        }
        self.memory = done.memory.clone();
        self.carried.clear();
    }

    /// Takes in a turn that isn't urgent without making it durable: its changes are part of the next turn's. A
    /// crash costs nothing but reading the journal again from where the table knows it.
    pub fn carry(&mut self, done: Done) {
        self.memory = done.memory;
        self.carried = done.changes;
    }

    /// Changes that wait for a transaction.
    #[must_use]
    pub const fn carried(&self) -> usize {
        self.carried.len()
    }

    /// The journal is known up to here.
    #[must_use]
    pub const fn cursor(&self) -> Sequence {
        self.memory.cursor
    }

    /// Messages that aren't over.
    #[must_use]
    pub const fn open_messages(&self) -> u64 {
        self.memory.open
    }

    /// Calls in flight of all numbers.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.memory.ways.values().map(|way| way.in_flight).sum()
    }

    /// What the configuration says.
    #[must_use]
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }
}

impl Turn<'_> {
    /// What is known of the numbers at a start. Why one waits isn't stored: WhatsApp may have asked for it, so no other
    /// endpoint ends it.
    fn ways_of_the_last_run(&self) -> Result<BTreeMap<String, Way>, TableError> {
        let mut ways = BTreeMap::new();
        for name in self.settings.numbers.keys() {
            let throttled_until = self.channel(name)?.slow_until_ms;
            ways.insert(name.clone(), Way::of_the_last_run(throttled_until));
        }
        Ok(ways)
    }

    /// A call that the last run made and never saw answered.
    fn interrupted(&mut self, place: u64) -> Result<(), TableError> {
        let Some((message, mut state)) = self.load(place)? else {
            return self.answer_unreadable(place);
        };
        if let (Some(number), Some(posted)) = (self.settings.numbers.get(&message.number), state.posted_ms) {
            let day = number.zone.day(posted.saturating_add(ARRIVES_WITHIN_MS)).0;
            self.arrived(&message, &state, day, true)?;
        }
        if state.standing == Standing::Sending {
            self.becomes_uncertain(place, &message, &mut state)?;
        } else {
            self.posted(place, &message, Busy::No)?;
        }
        self.save(place, &state);
        Ok(())
    }
}
