//! The store's journal as delivery and the pulling CRM see it.

use std::sync::Arc;

use egress::{Journal, JournalError, Settlement, Tail};
use model::{Record, Sequence};
use store::{OnDurable, Refused, Store};
use tokio::sync::watch;

use crate::clock;

/// The watch on the journal's tail, and the store's hook that moves it.
pub(super) fn tail() -> (Arc<watch::Sender<Tail>>, OnDurable) {
    let sender = Arc::new(watch::Sender::new(Tail::default()));
    let hook = Arc::clone(&sender);
    (sender, Box::new(move |newest| hook.send_modify(|tail| tail.newest = newest)))
}

/// The journal of a store.
pub struct StoreJournal {
    store: Arc<Store>,
    tail: Arc<watch::Sender<Tail>>,
}

impl StoreJournal {
    pub(super) fn new(store: Arc<Store>, tail: Arc<watch::Sender<Tail>>) -> Self {
        let newest = store.newest();
        tail.send_modify(|tail| tail.newest = newest);
        Self { store, tail }
    }

    /// Has a dead letter sent again; durable when this returns. Blocks on the disk.
    ///
    /// # Errors
    /// As for an append.
    pub fn retry(&self, sequence: Sequence) -> Result<(), Refused> {
        self.store.retry_dead_letter(sequence)?;
        self.tail.send_modify(|tail| tail.replays += 1);
        Ok(())
    }
}

impl Journal for StoreJournal {
    fn undelivered(
        &self,
        after: Sequence,
        limit: usize,
        bytes: usize,
    ) -> Result<Vec<Arc<Record>>, JournalError> {
        self.store.undelivered(after, limit, bytes).map_err(|error| JournalError(Box::new(error)))
    }

    fn at_hand(&self, after: Sequence, limit: usize, bytes: usize) -> Option<Vec<Arc<Record>>> {
        self.store.at_hand(after, limit, bytes)
    }

    fn replays(&self, after: Sequence, limit: usize, bytes: usize) -> Result<Vec<Arc<Record>>, JournalError> {
        let mut replays = self.store.replays(after, limit).map_err(|error| JournalError(Box::new(error)))?;
        let mut left = bytes;
        let fitting = replays.iter().take_while(|record| {
            let fits = left > 0;
            left = left.saturating_sub(record.item.raw.len());
            fits
        });
        let fitting = fitting.count();
        replays.truncate(fitting);
        Ok(replays)
    }

    fn settle(&self, settlements: &[(Sequence, Settlement)]) {
        let mut delivered = Vec::with_capacity(settlements.len());
        for (sequence, settlement) in settlements {
            match settlement {
                Settlement::Delivered => delivered.push(*sequence),
                Settlement::DeadLetter { reason, status, attempts } => {
                    self.store.give_up(*sequence, reason, *status, *attempts, clock::now());
                }
            }
        }
        if !delivered.is_empty() {
            self.store.settle(&delivered);
        }
    }

    fn watch(&self) -> watch::Receiver<Tail> {
        self.tail.subscribe()
    }
}
