//! Giving events their places: what was seen before has one already.

use std::sync::Arc;

use model::{ContactId, Kind, Record, Sequence, WallTime};
use ring::rand::SecureRandom as _;

use super::{Prepared, Writer};
use crate::contacts::GroupLessons;
use crate::error::Refused;
use crate::format::entry::EntryKind;
use crate::format::record_v1::{self, Lesson};
use crate::keyed::{Hash, HashSet};
use crate::log::ring::Draft;
use crate::state::State;

/// Records of a group on their way to the disk.
#[derive(Default)]
pub(super) struct Group {
    pub(super) drafts: Vec<Draft>,
    /// The same records as they came, where they wait for delivery.
    pub(super) records: Vec<Arc<Record>>,
    pub(super) events: HashSet,
    pub(super) order: Vec<Hash>,
    pub(super) kinds: [u64; Kind::ALL.len()],
    pub(super) lessons: GroupLessons,
    pub(super) learned: Vec<Lesson>,
    pub(super) duplicates: u64,
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
        let before = (group.drafts.len(), group.order.len(), group.learned.len(), group.records.len());
        let kinds = group.kinds;
        for prepared in items {
            if let Err(error) = self.place_one(prepared, received_at, group) {
                let refused = if matches!(error, redb::Error::DatabaseClosed) {
                    tracing::debug!("the index is being reopened: who needs it has to come again");
                    Refused::Busy
                } else {
                    tracing::error!(%error, "the index can't be asked whether an event is new");
                    Refused::Disk
                };
                group.drafts.truncate(before.0);
                for hash in group.order.drain(before.1..) {
                    group.events.remove(&hash);
                }
                group.learned.truncate(before.2);
                group.records.truncate(before.3);
                group.kinds = kinds;
                // Later webhooks of the group must not build on what this one taught about contacts.
                group.lessons = GroupLessons::default();
                for lesson in &group.learned {
                    group.lessons.add(lesson);
                }
                return Err(refused);
            }
        }
        Ok(())
    }

    pub(super) fn place_one(
        &mut self,
        prepared: Prepared,
        received_at: WallTime,
        group: &mut Group,
    ) -> Result<(), redb::Error> {
        let Prepared { item, event, aliases } = prepared;
        if group.events.contains(&event) || self.seen(&event)? {
            group.duplicates += 1;
            return Ok(());
        }
        let lesson = if item.contact.is_some() {
            let random = self.random.clone();
            let fresh = || fresh_contact(&random, received_at);
            match self.contacts.resolve(&aliases, &group.lessons, fresh) {
                Ok(lesson) => lesson,
                Err(_) => {
                    self.refresh()?;
                    self.contacts.resolve(&aliases, &group.lessons, fresh)?
                }
            }
        } else {
            Lesson::default()
        };
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        if let Some(kind) = Kind::ALL.iter().position(|kind| *kind == item.kind) {
            group.kinds[kind] += 1;
        }
        let body = record_v1::to_bytes(&item, received_at, &lesson);
        group.drafts.push(Draft { kind: EntryKind::Record, sequence, body });
        if self.options.deliver {
            group.records.push(Arc::new(Record {
                sequence: Sequence(sequence),
                received_at,
                contact_id: item.contact.as_ref().map(|_| ContactId::from_bits(lesson.contact)),
                replayed: false,
                item,
            }));
        }
        group.lessons.add(&lesson);
        group.learned.push(lesson);
        group.events.insert(event);
        group.order.push(event);
        Ok(())
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

/// A ULID: when the box first saw the person, and 80 bits of chance.
fn fresh_contact(random: &ring::rand::SystemRandom, seen_at: WallTime) -> u128 {
    let mut chance = [0; 16];
    // Without randomness ids stay unique by their millisecond, which is better than no intake.
    let _ = random.fill(&mut chance[6..]);
    let ms = u128::from(seen_at.0.unsigned_abs()) & 0xFFFF_FFFF_FFFF;
    ms << 80 | u128::from_be_bytes(chance)
}
