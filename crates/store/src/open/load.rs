//! What the index and the log's tail say when a store is opened.

use std::sync::Arc;

use redb::ReadableTable as _;

use crate::aside::{ASIDE_BYTES, Aside};
use crate::contacts::Contacts;
use crate::disk::Segment;
use crate::duplicates::Duplicates;
use crate::error::{OpenError, io_error, read_error};
use crate::format::entry::{EntryKind, Mark};
use crate::format::{block, record_v1, values_v1};
use crate::index::Index;
use crate::index::fold::Memory;
use crate::index::schema::{self, Checkpoint, Identity};
use crate::keyed::HashKey;
use crate::log::replay::{self, Damage, Found, Place, Replayed, Visit};
use crate::people::People;
use crate::settled::Settled;
use crate::state::{State, TailEntry};
use crate::store::event_hash;

/// What the index and the tail say when the store is opened.
pub(super) struct Loaded {
    pub(super) state: State,
    pub(super) duplicates: Duplicates,
    pub(super) contacts: Contacts,
}

impl Loaded {
    pub(super) fn read(index: &Index, checkpoint: &Checkpoint) -> Result<Self, OpenError> {
        let mut settled = Settled::new(checkpoint.floor);
        let mut duplicates = Duplicates::default();
        let mut people = People::default();
        let transaction = index.begin_read().map_err(read_error)?;
        let mut load = || -> Result<(), redb::Error> {
            for entry in transaction.open_table(schema::SETTLED)?.iter()? {
                let (chunk, bytes) = entry?;
                settled.load(chunk.value(), bytes.value());
            }
            for entry in transaction.open_table(schema::JOINED)?.iter()? {
                let (from, to) = entry?;
                people.join(from.value(), to.value());
            }
            for entry in transaction.open_table(schema::RUNS)?.iter()? {
                duplicates.load(entry?.1.value());
            }
            Ok(())
        };
        load().map_err(|error| OpenError::Index(Box::new(error)))?;
        let state = State {
            settled,
            pending: checkpoint.pending,
            newest: checkpoint.next_sequence - 1,
            certain: checkpoint.next_sequence - 1,
            seen_ms: checkpoint.seen_ms,
            people,
            ..State::default()
        };
        let mut loaded = Self { state, duplicates, contacts: Contacts::default() };
        loaded.refresh(index)?;
        Ok(loaded)
    }

    pub(super) fn refresh(&mut self, index: &Index) -> Result<(), OpenError> {
        let transaction = index.begin_read().map_err(read_error)?;
        self.duplicates
            .refresh(&transaction)
            .and_then(|()| self.contacts.refresh(&transaction))
            .map_err(|error| OpenError::Index(Box::new(error)))
    }

    pub(super) fn memory(&mut self) -> Memory<'_> {
        Memory { state: &mut self.state, duplicates: &self.duplicates, contacts: &self.contacts }
    }

    pub(super) fn replay(
        &mut self,
        segments: &[Arc<dyn Segment>],
        checkpoint: &Checkpoint,
        identity: &Identity,
        aside: Aside<'_>,
    ) -> Result<Replayed, OpenError> {
        let key = HashKey::new(&identity.hash_key);
        let mut visitor =
            Replay { loaded: self, key: &key, aside, damaged: 0, known: 0, group: 0, transactions: 0 };
        let replayed =
            replay::replay(segments, checkpoint.geometry, &identity.salt, checkpoint.position, &mut visitor)
                .map_err(io_error("the intake log can't be read"))?;
        let damaged = visitor.damaged + replayed.damaged;
        let known = visitor.known;
        if replayed.holes > 0 || damaged > 0 {
            tracing::error!(
                holes = replayed.holes,
                damaged,
                known,
                "the intake log has damage: acknowledged records may be missing; see the folder `damaged`"
            );
        }
        if replayed.lost > 0 {
            tracing::error!(
                "the drive can't read blocks of the intake log: acknowledged records may be in there, so their place \
                 and their sequences are left alone; move the store to another drive"
            );
        }
        self.state.counters.holes = replayed.holes;
        self.state.counters.damaged = damaged;
        self.state.counters.known = known;
        self.state.seen_ms = self.state.seen_ms.max(replayed.seen_ms);
        self.state.burn(replayed.lost);
        Ok(replayed)
    }
}

impl Replay<'_> {
    fn record(&mut self, found: &Found<'_>, sequence: u64, bytes: &[u8]) {
        let state = &mut self.loaded.state;
        if sequence <= state.newest {
            return;
        }
        let Ok((source, id, lesson)) = record_v1::identity(bytes) else {
            self.damaged += 1;
            return;
        };
        self.loaded.duplicates.insert(event_hash(self.key, source, id));
        self.loaded.contacts.learn(&lesson);
        state.people.learn(&lesson);
        let entry = TailEntry {
            sequence,
            generation: found.generation,
            offset: found.offset,
            length: found.length,
            seen_ms: found.seen_ms,
        };
        state.add(entry, false);
    }

    /// Takes in a transaction, whole or not at all. One that stands behind another of its group that
    /// can't be read isn't taken: in a torn group that is the end of what was promised, and each
    /// start must find the same.
    fn values(&mut self, found: &Found<'_>) {
        if self.group != found.group {
            (self.group, self.transactions) = (found.group, 0);
        }
        let known = values_v1::from_bytes(&found.entry.body);
        let Some(values) =
            known.ok().filter(|it| it.records.is_empty() || block::content(it.records).is_ok())
        else {
            self.damaged += 1;
            return;
        };
        if values.before != self.transactions {
            return;
        }
        self.transactions += 1;
        let Loaded { state, contacts, .. } = self.loaded;
        for lesson in &values.met {
            contacts.learn(lesson);
            state.people.learn(lesson);
        }
        state.values.note_met(values.met.len());
        for (key, value) in values.changes {
            state.values.put((key.into(), value.map(Arc::from)));
        }
        if !values.records.is_empty() {
            let read = block::each(values.records, |sequence, record| self.record(found, sequence, record));
            self.damaged += u64::from(read.is_err());
        }
    }
}

struct Replay<'a> {
    loaded: &'a mut Loaded,
    key: &'a HashKey,
    aside: Aside<'a>,
    /// What the log gives out, and can't be understood.
    damaged: u64,
    /// Of that, and of what the log doesn't give out, what a version that stays has met before.
    known: u64,
    /// The group of the last transaction, and how many of it were taken in.
    group: u64,
    transactions: u32,
}

impl Visit for Replay<'_> {
    fn entry(&mut self, found: &Found<'_>) {
        let before = self.damaged;
        match found.entry.kind {
            EntryKind::Mark => match Mark::from_bytes(&found.entry.body) {
                Ok(mark) => self.loaded.state.apply(&mark),
                Err(_) => self.damaged += 1,
            },
            EntryKind::Values => self.values(found),
            EntryKind::Record => self.record(found, found.entry.sequence, &found.entry.body),
            EntryKind::Block => {
                let read = block::each(&found.entry.body, |sequence, record| {
                    self.record(found, sequence, record);
                });
                self.damaged += u64::from(read.is_err());
            }
        }
        let count = self.damaged - before;
        if count > 0 {
            let (generation, offset, length) = (found.generation, found.offset, u64::from(found.length));
            let bytes = &found.entry.body[..found.entry.body.len().min(ASIDE_BYTES)];
            self.damage(&Damage { place: Place::Bytes { generation, offset, length }, count, bytes });
        }
    }

    fn damage(&mut self, damage: &Damage<'_>) {
        if self.aside.keep(&damage.name(), damage.bytes) {
            self.known += damage.count;
        }
    }
}
