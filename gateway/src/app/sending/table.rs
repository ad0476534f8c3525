//! The store's table of values as the outbox sees it.

use model::ContactId;
use outbox::{Pair, Table, TableError};
use store::{ReadError, Reader, Store};

/// The outbox's part of the store, for one turn.
pub(super) struct StoreTable<'a> {
    store: &'a Store,
    reader: Reader<'a>,
}

impl<'a> StoreTable<'a> {
    pub(super) const fn new(store: &'a Store) -> Self {
        Self { store, reader: store.reader() }
    }
}

impl Table for StoreTable<'_> {
    fn value(&self, key: &[u8]) -> Result<Option<Vec<u8>>, TableError> {
        self.reader.value(key).map_err(unreadable)
    }

    fn values(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Vec<Pair>, TableError> {
        self.reader.values(from, to, limit).map_err(unreadable)
    }

    fn family(&self, contact: u128) -> Vec<u128> {
        let family = self.store.family(&ContactId::from_bits(contact));
        family.iter().filter_map(ContactId::to_bits).collect()
    }

    fn hash(&self, text: &[u8]) -> [u8; 16] {
        self.store.hash(text)
    }
}

fn unreadable(error: ReadError) -> TableError {
    TableError(Box::new(error))
}
