//! A turn: everything that is decided between two commits, on a view of the table.

use model::{Address, OutboxId, Priority, Sequence, Standing};

use crate::keys::{self, Key};
use crate::outbox::{Done, Memory, Outbox};
use crate::pace::Paces;
use crate::settings::{HISTORY_MAX, Number, Settings};
use crate::table::{Table, TableError, View};
use crate::values::{Counts, Kind, Message, State, Step};
use crate::way::Way;
use crate::why::Why;

/// A call of Graph that is to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The message, and what travels as `biz_opaque_callback_data`.
    pub id: OutboxId,
    /// The number that it goes out from.
    pub number: String,
    /// Whom it goes to; `None` for a mark as read, which names a message.
    pub to: Option<Address>,
    /// The Cloud API object, without what stands around it.
    pub payload: String,
    /// Who goes first.
    pub priority: Priority,
    /// What it is.
    pub kind: Kind,
    /// The first call of a message is 1.
    pub attempt: u32,
}

/// What the CRM is to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// The box has sent a message.
    Sent(Box<Sent>),
    /// A message lies unread for a day.
    Unread {
        /// The message.
        id: OutboxId,
        /// The number that it went out from.
        number: String,
        /// Whom it went to.
        to: Address,
        /// The contact that it went to.
        contact: u128,
        /// As WhatsApp calls it.
        wamid: String,
        /// When Graph took it.
        accepted_ms: i64,
        /// When it was delivered, if a status said so.
        delivered_ms: Option<i64>,
    },
}

/// See [`Note::Sent`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// The message.
    pub id: OutboxId,
    /// The number that it went out from.
    pub number: String,
    /// Whom it went to.
    pub to: Address,
    /// The contact that it went to.
    pub contact: u128,
    /// As WhatsApp calls it, where that is known.
    pub wamid: Option<String>,
    /// The recipient's number as WhatsApp writes it.
    pub wa_id: Option<String>,
    /// The recipient's business-scoped user id.
    pub user_id: Option<String>,
    /// The Cloud API object as it went.
    pub payload: String,
    /// Who went first.
    pub priority: Priority,
    /// The endpoint that took it, where that is known.
    pub endpoint: Option<String>,
    /// The template's name, if it was one.
    pub template: Option<String>,
    /// The fallback went in its place.
    pub fell_back: bool,
    /// Calls made.
    pub attempts: u32,
    /// When it was queued.
    pub queued_ms: i64,
    /// When it was taken.
    pub accepted_ms: i64,
}

/// What a note takes beside the message that it tells of, generously.
const NOTE_BYTES: usize = 2_048;

/// A turn of the outbox.
///
/// Inputs come in any number and order, then [`Turn::advance`], then [`Turn::finish`]. An error of the table ends
/// the turn without a trace.
pub struct Turn<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) paces: &'a Paces,
    pub(crate) view: View<'a>,
    pub(crate) memory: Memory,
    /// The time that the box itself saw pass: whatever lasts, waits, expires or is forgotten goes by it.
    pub(crate) now: i64,
    /// The date: local days and customers' windows go by it.
    pub(crate) date: i64,
    pub(crate) calls: Vec<Call>,
    pub(crate) notes: Vec<Note>,
    pub(crate) stood: Vec<(OutboxId, Standing)>,
    pub(crate) wake: Option<i64>,
    pub(crate) urgent: bool,
    next: u64,
    open: u64,
    /// The journal was known up to here before the turn.
    pub(crate) known: Sequence,
}

impl<'a> Turn<'a> {
    pub(crate) fn new(outbox: &'a Outbox, table: &'a dyn Table, now: i64) -> Self {
        Self {
            settings: &outbox.settings,
            paces: &outbox.paces,
            view: View::carrying(table, &outbox.carried),
            memory: outbox.memory.clone(),
            now: now.saturating_sub(outbox.memory.leapt),
            date: now,
            calls: Vec::new(),
            notes: Vec::new(),
            stood: Vec::new(),
            wake: None,
            urgent: false,
            next: outbox.memory.next,
            open: outbox.memory.open,
            known: outbox.memory.cursor,
        }
    }

    /// The turn's date, in milliseconds since 1970: the time that people and programs are shown, and mean.
    #[must_use]
    pub const fn date_ms(&self) -> i64 {
        self.date
    }

    /// What the configuration says.
    #[must_use]
    pub const fn settings(&self) -> &Settings {
        self.settings
    }

    /// What the turn comes to.
    ///
    /// # Errors
    /// When the table can't be read.
    pub fn finish(mut self) -> Result<Done, TableError> {
        if let Some((key, _)) = self.view.list(&keys::timers(), &self.timers_from(), 1)?.first()
            && let Some(at) = crate::timers::time_of(key)
        {
            self.wake_at(at);
        }
        if self.memory.next != self.next {
            self.view.put(keys::single("next"), &self.memory.next);
        }
        if self.memory.open != self.open {
            self.view.put(keys::single("open"), &self.memory.open);
        }
        if self.memory.cursor != self.known {
            self.view.put(keys::single("cursor"), &self.memory.cursor.0);
        }
        if self.view.bytes() > 0 {
            self.view.put(keys::single("now"), &self.date);
        }
        let next_ms = self.wake.map(|at| self.dated(at));
        let urgent = self.urgent || !self.calls.is_empty() || !self.notes.is_empty();
        Ok(Done {
            changes: self.view.into_changes(),
            calls: self.calls,
            notes: self.notes,
            stood: self.stood,
            next_ms,
            urgent,
            memory: self.memory,
        })
    }

    /// Bytes that the turn changes and tells so far.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let told = self.notes.iter().map(|note| match note {
            Note::Sent(sent) => sent.payload.len() + NOTE_BYTES,
            Note::Unread { .. } => NOTE_BYTES,
        });
        self.view.bytes() + told.sum::<usize>()
    }

    /// The journal is known up to here.
    #[must_use]
    pub const fn cursor(&self) -> Sequence {
        self.memory.cursor
    }

    /// Now went ahead by so much without that the box saw it pass: Meta's word put a clock right. To be said first in
    /// the first turn that goes by the new time, and again if that couldn't be made durable. Nothing expires, is
    /// freed or is forgotten by it.
    pub fn leapt(&mut self, ms: i64) {
        if ms > 0 {
            self.stir();
            self.urgent = true;
            self.memory.leapt = self.memory.leapt.saturating_add(ms);
            self.now = self.date.saturating_sub(self.memory.leapt);
            self.view.put(keys::single("leapt"), &self.memory.leapt);
        }
    }

    /// The date of a time that the box itself saw pass, or will.
    pub(crate) const fn dated(&self, at: i64) -> i64 {
        at.saturating_add(self.memory.leapt)
    }

    /// The local day of a number.
    pub(crate) fn day(&self, number: &Number) -> i32 {
        number.zone.day(self.date).0
    }

    /// When that ends, by the time that the box itself saw pass.
    pub(crate) fn day_ends(&self, number: &Number) -> i64 {
        number.zone.ends_at(self.date).saturating_sub(self.memory.leapt)
    }

    /// Something happened by which messages may go that had to wait.
    pub(crate) fn stir(&mut self) {
        self.memory.ways.values_mut().for_each(|way| way.asleep_until = None);
    }

    /// Asks for a turn at `at`.
    pub(crate) fn wake_at(&mut self, at: i64) {
        self.wake = Some(self.wake.map_or(at, |wake| wake.min(at)));
    }

    /// A message and how it stands; `None` where there is none, or it can't be read.
    pub(crate) fn load(&self, place: u64) -> Result<Option<(Message, State)>, TableError> {
        let Some(message) = self.view.get(&keys::message(place))? else { return Ok(None) };
        Ok(self.view.get(&keys::state(place))?.map(|state| (message, state)))
    }

    pub(crate) fn save(&mut self, place: u64, state: &State) {
        self.view.put(keys::state(place), state);
    }

    pub(crate) fn way(&mut self, number: &str) -> &mut Way {
        if !self.memory.ways.contains_key(number) {
            self.memory.ways.insert(number.to_owned(), Way::default());
        }
        self.memory.ways.entry(number.to_owned()).or_default()
    }

    /// Puts a message into another standing, with all that goes by it.
    pub(crate) fn stand(
        &mut self,
        place: u64,
        message: &Message,
        state: &mut State,
        standing: Standing,
        why: Option<Why>,
    ) -> Result<(), TableError> {
        // A new one has no story yet.
        if state.standing != standing || state.history.is_empty() {
            self.stood.push((message.id(place), standing));
        }
        if state.standing != standing || state.why != why {
            let step = Step { at_ms: self.date, standing, why };
            if state.history.len() < HISTORY_MAX {
                state.history.push(step);
            } else if let Some(last) = state.history.last_mut() {
                // The beginning and the end of a long story are what is asked for.
                *last = step;
            }
        }
        let mut counts: Counts = self.view.get(&keys::counts(&message.number))?.unwrap_or_default();
        if let Some(count) = counts.of(state.standing) {
            *count = count.saturating_sub(1);
        }
        if let Some(count) = counts.of(standing) {
            *count += 1;
        }
        self.view.put(keys::counts(&message.number), &counts);
        let (was, is) = (is_open(state.standing), is_open(standing));
        if was && !is {
            self.view.remove(&keys::open(place));
            self.memory.open = self.memory.open.saturating_sub(1);
        } else if is && !was {
            self.view.mark(keys::open(place));
            self.memory.open += 1;
        }
        if state.standing == Standing::Uncertain && standing != Standing::Uncertain {
            self.view.remove(&keys::uncertain(place));
        } else if standing == Standing::Uncertain {
            self.view.mark(keys::uncertain(place));
        }
        if !is && state.over_ms.is_none() {
            state.over_ms = Some(self.now);
            self.look_at(place, self.now.saturating_add(self.settings.history_ms));
        } else if is {
            state.over_ms = None;
        }
        state.standing = standing;
        state.why = why;
        Ok(())
    }
}

/// Whether something is still to come of a message.
pub(crate) const fn is_open(standing: Standing) -> bool {
    matches!(standing, Standing::Queued | Standing::Held | Standing::Sending | Standing::Uncertain)
}

impl Counts {
    pub(crate) const fn of(&mut self, standing: Standing) -> Option<&mut u64> {
        match standing {
            Standing::Queued => Some(&mut self.queued),
            Standing::Held => Some(&mut self.held),
            Standing::Sending => Some(&mut self.sending),
            Standing::Uncertain => Some(&mut self.uncertain),
            Standing::Accepted
            | Standing::Sent
            | Standing::Delivered
            | Standing::Read
            | Standing::Failed
            | Standing::Expired
            | Standing::Cancelled => None,
        }
    }
}

/// The first 16 bytes of a hash that stand for a wamid in keys.
pub(crate) fn wamid_key(view: &View<'_>, wamid: &str) -> Key {
    keys::wamid(&view.hash(wamid.as_bytes()))
}
