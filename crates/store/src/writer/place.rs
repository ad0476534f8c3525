//! Giving events their places: what was seen before has one already.

use std::sync::Arc;

use model::{ContactId, Kind, Record, Sequence, WallTime};
use ring::rand::SecureRandom as _;

use super::transact::Written;
use super::{Prepared, Writer};
use crate::contacts::{GroupLessons, HashedAlias};
use crate::error::Refused;
use crate::format::record_v1::{self, Lesson};
use crate::keyed::{Hash, HashSet};
use crate::log::ring::Draft;
use crate::state::State;

/// How many events were taken, by kind.
type Kinds = [u64; Kind::ALL.len()];

/// What a group holds on its way to the disk.
#[derive(Default)]
pub(super) struct Group {
    pub(super) drafts: Vec<Draft>,
    pub(super) events: HashSet,
    pub(super) order: Vec<Hash>,
    pub(super) lessons: GroupLessons,
    pub(super) duplicates: u64,
    pub(super) taken: Taken,
}

/// What is to be shown once the group is durable.
#[derive(Default)]
pub(super) struct Taken {
    /// The records as they came, where they wait for delivery.
    pub(super) records: Vec<Arc<Record>>,
    pub(super) kinds: Kinds,
    pub(super) learned: Vec<Lesson>,
    pub(super) own: Written,
}

/// How far a group was filled.
pub(super) struct Filled {
    drafts: usize,
    order: usize,
    learned: usize,
    records: usize,
    kinds: Kinds,
}

impl Group {
    pub(super) const fn filled(&self) -> Filled {
        Filled {
            drafts: self.drafts.len(),
            order: self.order.len(),
            learned: self.taken.learned.len(),
            records: self.taken.records.len(),
            kinds: self.taken.kinds,
        }
    }

    /// Takes back what came since.
    pub(super) fn take_back(&mut self, before: &Filled) {
        self.drafts.truncate(before.drafts);
        for hash in self.order.drain(before.order..) {
            self.events.remove(&hash);
        }
        self.taken.learned.truncate(before.learned);
        self.taken.records.truncate(before.records);
        self.taken.kinds = before.kinds;
        // What comes later in the group must not build on what was taught about contacts.
        self.lessons = GroupLessons::default();
        for lesson in &self.taken.learned {
            self.lessons.add(lesson);
        }
    }
}

impl Writer {
    /// Whether records are taken at all.
    pub(super) fn intake(&self, state: &State) -> Result<(), Refused> {
        if state.broken {
            Err(Refused::Closed)
        } else if state.live_bytes() >= self.options.max_bytes {
            Err(Refused::Full)
        } else {
            Ok(())
        }
    }

    /// Gives the new ones among `items` their places in `group`. On a refusal the group is as it
    /// was before.
    pub(super) fn place(
        &mut self,
        items: Vec<Prepared>,
        received_at: WallTime,
        group: &mut Group,
    ) -> Result<(), Refused> {
        let before = group.filled();
        for prepared in items {
            match self.place_one(prepared, received_at, group) {
                Ok(Some((sequence, body))) => group.drafts.push(Draft::record(sequence, body)),
                Ok(None) => {}
                Err(error) => {
                    group.take_back(&before);
                    return Err(refusal(&error));
                }
            }
        }
        Ok(())
    }

    /// Gives a new event its sequence; `None` for one that was seen.
    pub(super) fn place_one(
        &mut self,
        prepared: Prepared,
        received_at: WallTime,
        group: &mut Group,
    ) -> Result<Option<(u64, Vec<u8>)>, redb::Error> {
        let Prepared { item, event, aliases } = prepared;
        if group.events.contains(&event) || self.seen(&event)? {
            group.duplicates += 1;
            return Ok(None);
        }
        let lesson = match item.contact {
            Some(_) => self.who(&aliases, received_at, group)?,
            None => Lesson::default(),
        };
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        if let Some(kind) = Kind::ALL.iter().position(|kind| *kind == item.kind) {
            group.taken.kinds[kind] += 1;
        }
        let body = record_v1::to_bytes(&item, received_at, &lesson);
        if self.options.deliver {
            group.taken.records.push(Arc::new(Record {
                sequence: Sequence(sequence),
                received_at,
                contact_id: item.contact.as_ref().map(|_| ContactId::from_bits(lesson.contact)),
                replayed: false,
                item,
            }));
        }
        group.lessons.add(&lesson);
        group.taken.learned.push(lesson);
        group.events.insert(event);
        group.order.push(event);
        Ok(Some((sequence, body)))
    }

    /// The contact that `aliases` name, a fresh one where nobody knows it, and what that teaches.
    pub(super) fn who(
        &mut self,
        aliases: &[HashedAlias],
        received_at: WallTime,
        group: &Group,
    ) -> Result<Lesson, redb::Error> {
        let random = self.random.clone();
        let fresh = || fresh_contact(&random, received_at);
        match self.contacts.resolve(aliases, &group.lessons, fresh) {
            Ok(lesson) => Ok(lesson),
            Err(_) => {
                self.refresh()?;
                self.contacts.resolve(aliases, &group.lessons, fresh)
            }
        }
    }

    /// Whether an event was seen. When redb was opened again since, the readers are renewed.
    pub(super) fn seen(&mut self, event: &Hash) -> Result<bool, redb::Error> {
        match self.duplicates.contains(event) {
            Ok(seen) => Ok(seen),
            Err(_) => {
                self.refresh()?;
                self.duplicates.contains(event)
            }
        }
    }

    pub(super) fn refresh(&mut self) -> Result<(), redb::Error> {
        let transaction = self.shared.index.begin_read().map_err(|error| {
            if let crate::ReadError::Index(error) = error { *error } else { redb::Error::DatabaseClosed }
        })?;
        self.duplicates.refresh(&transaction)?;
        self.contacts.refresh(&transaction)
    }
}

/// What an index that can't be asked means for who asked.
pub(super) fn refusal(error: &redb::Error) -> Refused {
    if matches!(error, redb::Error::DatabaseClosed) {
        tracing::debug!("the index is being reopened: who needs it has to come again");
        Refused::Busy
    } else {
        tracing::error!(%error, "the index can't be asked whether an event is new");
        Refused::Disk
    }
}

/// A ULID: when the box first saw the person, and 80 bits of chance.
fn fresh_contact(random: &ring::rand::SystemRandom, seen_at: WallTime) -> u128 {
    let mut chance = [0; 16];
    // Without randomness ids stay unique by their millisecond, which is better than no intake.
    let _ = random.fill(&mut chance[6..]);
    let ms = u128::from(seen_at.0.unsigned_abs()) & 0xFFFF_FFFF_FFFF;
    ms << 80 | u128::from_be_bytes(chance)
}
