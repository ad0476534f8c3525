//! The store's table of values as the outbox sees it.

use std::sync::Arc;

use model::ContactId;
use outbox::{Pair, Table, TableError};
use store::Store;

/// The outbox's part of the store.
pub(super) struct StoreTable(pub(super) Arc<Store>);

impl Table for StoreTable {
    fn value(&self, key: &[u8]) -> Result<Option<Vec<u8>>, TableError> {
        self.0.value(key).map_err(|error| TableError(Box::new(error)))
    }

    fn values(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Vec<Pair>, TableError> {
        self.0.values(from, to, limit).map_err(|error| TableError(Box::new(error)))
    }

    fn family(&self, contact: u128) -> Vec<u128> {
        let family = self.0.family(&ContactId::from_bits(contact));
        family.iter().filter_map(ContactId::to_bits).collect()
    }

    fn hash(&self, text: &[u8]) -> [u8; 16] {
        self.0.hash(text)
    }
}
