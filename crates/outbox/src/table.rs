//! The table that everything is kept in, and a transaction's view of it.

use std::collections::BTreeMap;
use std::ops::Bound;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::keys::Key;

/// Ordered bytes to bytes, changed by whole transactions only.
pub trait Table {
    /// The value of a key.
    ///
    /// # Errors
    /// When the disk doesn't give it out now.
    fn value(&self, key: &[u8]) -> Result<Option<Vec<u8>>, TableError>;

    /// Ascending, keys in `from..to`, at most `limit`.
    ///
    /// # Errors
    /// As for [`Table::value`].
    fn values(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Vec<Pair>, TableError>;

    /// All contacts that are one person with `contact`, itself among them.
    fn family(&self, contact: u128) -> Vec<u128>;

    /// A keyed hash: what comes from phones or messages is in no key as it is.
    fn hash(&self, text: &[u8]) -> [u8; 16];
}

/// A key and its value.
pub type Pair = (Vec<u8>, Vec<u8>);

/// The table can't be read.
#[derive(Debug, thiserror::Error)]
#[error("the outbox can't be read: {0}")]
pub struct TableError(pub Box<dyn std::error::Error + Send + Sync>);

/// A value is there, and can't be read as what it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unreadable;

/// One change of a transaction; `None` removes.
pub type Change = (Vec<u8>, Option<Vec<u8>>);

/// The version that every value begins with. Another layout is another type under another version.
const VERSION: u8 = 1;

/// A table with the changes of one transaction before they are made.
pub(crate) struct View<'a> {
    table: &'a dyn Table,
    changes: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    /// What the changes are long.
    bytes: usize,
}

impl<'a> View<'a> {
    pub(crate) const fn new(table: &'a dyn Table) -> Self {
        Self { table, changes: BTreeMap::new(), bytes: 0 }
    }

    /// A view that begins with changes which an earlier one left to be made.
    pub(crate) fn carrying(table: &'a dyn Table, carried: &[Change]) -> Self {
        let mut view = Self::new(table);
        for (key, value) in carried {
            view.change(key.clone(), value.clone());
        }
        view
    }

    /// What the transaction changes.
    pub(crate) fn into_changes(self) -> Vec<Change> {
        self.changes.into_iter().collect()
    }

    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    fn change(&mut self, key: Vec<u8>, value: Option<Vec<u8>>) {
        let length = |value: &Option<Vec<u8>>| value.as_ref().map_or(0, Vec::len);
        let key_bytes = key.len();
        self.bytes += key_bytes + length(&value);
        if let Some(before) = self.changes.insert(key, value) {
            self.bytes -= key_bytes + length(&before);
        }
    }

    pub(crate) fn family(&self, contact: u128) -> Vec<u128> {
        self.table.family(contact)
    }

    pub(crate) fn hash(&self, text: &[u8]) -> [u8; 16] {
        self.table.hash(text)
    }

    fn raw(&self, key: &[u8]) -> Result<Option<Vec<u8>>, TableError> {
        match self.changes.get(key) {
            Some(value) => Ok(value.clone()),
            None => self.table.value(key),
        }
    }

    /// The value of `key`; one that can't be read as what it should be counts as none, and is said.
    pub(crate) fn get<T: DeserializeOwned>(&self, key: &Key) -> Result<Option<T>, TableError> {
        Ok(self.look(key)?.and_then(Result::ok))
    }

    /// The value of `key`, or `unreadable` where it can't be read as what it should be: for what must not look unused.
    pub(crate) fn get_or<T: DeserializeOwned>(
        &self,
        key: &Key,
        unreadable: T,
    ) -> Result<Option<T>, TableError> {
        Ok(self.look(key)?.map(|value| value.unwrap_or(unreadable)))
    }

    /// The value of `key`, for whom it is one thing that there is none and another that it can't be read.
    pub(crate) fn look<T: DeserializeOwned>(
        &self,
        key: &Key,
    ) -> Result<Option<Result<T, Unreadable>>, TableError> {
        Ok(self.raw(key.as_bytes())?.map(|bytes| decode(&bytes).ok_or(Unreadable)))
    }

    pub(crate) fn has(&self, key: &Key) -> Result<bool, TableError> {
        Ok(self.raw(key.as_bytes())?.is_some())
    }

    pub(crate) fn put<T: Serialize>(&mut self, key: Key, value: &T) {
        self.change(key.into_bytes(), Some(encode(value)));
    }

    /// Puts a key that says all by being there.
    pub(crate) fn mark(&mut self, key: Key) {
        self.change(key.into_bytes(), Some(Vec::new()));
    }

    pub(crate) fn remove(&mut self, key: &Key) {
        self.change(key.as_bytes().to_vec(), None);
    }

    /// Ascending, keys that begin with `prefix` and are not below `from`.
    pub(crate) fn list(&self, prefix: &Key, from: &Key, limit: usize) -> Result<Vec<Pair>, TableError> {
        self.range(from.as_bytes(), &prefix.after(), limit)
    }

    /// Ascending, keys in `from..to`.
    pub(crate) fn range(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Vec<Pair>, TableError> {
        if from >= to {
            return Ok(Vec::new());
        }
        let bounds = (Bound::Included(from), Bound::Excluded(to));
        let changed: Vec<_> = self.changes.range::<[u8], _>(bounds).collect();
        let hidden = changed.len();
        let stored = self.table.values(from, to, limit.saturating_add(hidden))?;
        let mut merged: BTreeMap<Vec<u8>, Vec<u8>> = stored.into_iter().collect();
        // Past what the table gave there may be more of it, so nothing there may be taken for the next.
        let end = (merged.len() == limit.saturating_add(hidden))
            .then(|| merged.keys().next_back().cloned())
            .flatten();
        for (key, value) in changed {
            match value {
                _ if end.as_ref().is_some_and(|end| key > end) => {}
                Some(value) => _ = merged.insert(key.clone(), value.clone()),
                None => _ = merged.remove(key),
            }
        }
        Ok(merged.into_iter().take(limit).collect())
    }
}

/// Reads a stored value; `None`, and a line in the log, if it isn't one.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    let value = match bytes.split_first() {
        Some((&VERSION, body)) => match postcard::take_from_bytes(body) {
            Ok((value, [])) => Some(value),
            _ => None,
        },
        _ => None,
    };
    if value.is_none() {
        tracing::error!(
            kind = std::any::type_name::<T>(),
            "a value of the outbox can't be read and counts as none"
        );
    }
    value
}

pub(crate) fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    // Writing plain data to memory can't fail; were it to, the value would be one that can't be read.
    postcard::to_extend(value, vec![VERSION]).unwrap_or_default()
}
