//! Transactions: their place in a group, and what becomes of them with it.

use std::sync::Arc;

use model::ContactId;

use super::place::{Group, refusal};
use super::{Answer, Own, Transact, Writer};
use crate::error::Refused;
use crate::format::block::BlockBuilder;
use crate::format::entry::EntryKind;
use crate::format::values_v1;
use crate::log::ring::Draft;
use crate::state::State;
use crate::transact::Change;
use crate::values::Entry;

/// What the transactions of a group bring beside their records.
#[derive(Default)]
pub(super) struct Written {
    /// Transactions that have something to write.
    pub(super) transactions: u32,
    changes: Vec<Entry>,
    met: usize,
}

impl Written {
    /// Shows what is durable now, in the order in which it was handed over.
    pub(super) fn publish(self, state: &mut State) {
        for entry in self.changes {
            state.values.put(entry);
        }
        state.values.note_met(self.met);
    }
}

impl Writer {
    /// Gives a transaction its place in `group`, and back who is to be answered with it; `None` where
    /// it was refused. `room` is what became of a wait for room in memory.
    pub(super) fn take_transaction(
        &mut self,
        transact: Transact,
        intake: &mut Result<(), Refused>,
        room: Result<(), Refused>,
        group: &mut Group,
    ) -> Option<Answer> {
        let Transact { own, essential, answer, .. } = transact;
        let allowed = if essential && *intake == Err(Refused::Full) { Ok(()) } else { *intake };
        let taken = match allowed.and(room) {
            Ok(()) => self.place_transaction(own, group).inspect_err(|refused| {
                if *refused == Refused::Disk {
                    *intake = Err(Refused::Disk);
                }
            }),
            Err(refused) => Err(refused),
        };
        match taken {
            Ok(contacts) => Some(Box::new(move |result| answer(result.map(|()| contacts)))),
            Err(refused) => {
                answer(Err(refused));
                None
            }
        }
    }

    /// Gives a transaction its place in `group`, and says which contacts the people in it are. On a
    /// refusal the group is as it was before.
    fn place_transaction(&mut self, own: Own, group: &mut Group) -> Result<Vec<ContactId>, Refused> {
        let before = group.filled();
        self.place_whole(own, group).map_err(|error| {
            group.take_back(&before);
            refusal(&error)
        })
    }

    fn place_whole(&mut self, own: Own, group: &mut Group) -> Result<Vec<ContactId>, redb::Error> {
        let Own { changes, items, meets, received_at } = own;
        let mut contacts = Vec::with_capacity(meets.len());
        let mut met = Vec::new();
        for aliases in meets {
            let lesson = self.who(&aliases, received_at, group)?;
            contacts.push(ContactId::from_bits(lesson.contact));
            if !(lesson.learned.is_empty() && lesson.joined.is_empty()) {
                group.lessons.add(&lesson);
                group.taken.learned.push(lesson.clone());
                met.push(lesson);
            }
        }
        let seen_ms = self.seen_ms();
        let mut block = BlockBuilder::default();
        let mut records = 0;
        for prepared in items {
            if let Some((sequence, body)) = self.place_one(prepared, received_at, group)? {
                block.push(sequence, seen_ms, &body);
                records += 1;
            }
        }
        if changes.is_empty() && met.is_empty() && records == 0 {
            return Ok(contacts);
        }
        let (sequence, block) = block.finish().unwrap_or_default();
        let body = values_v1::to_bytes(group.taken.own.transactions, &met, &changes, &block);
        group.drafts.push(Draft { kind: EntryKind::Values, sequence, records, body });
        let own = &mut group.taken.own;
        own.transactions += 1;
        own.met += met.len();
        // Copied here, and not under the lock that readers wait for.
        own.changes
            .extend(changes.into_iter().map(|Change { key, value }| (key.into(), value.map(Arc::from))));
        Ok(contacts)
    }

    /// Says in the log that the group which was just refused isn't one. Without, it stands there until
    /// the next group does, and a start in between may find it whole. That is allowed for webhooks,
    /// which come again and are known then; whoever was refused a transaction goes by the old values.
    pub(super) fn disown(&mut self) {
        let seen_ms = self.seen_ms();
        if self.wait_for_room(0).is_err() || self.ring.write(Vec::new(), seen_ms, true).is_err() {
            tracing::error!("the log can't say that a group was refused: a restart now may bring it back");
        }
    }
}
