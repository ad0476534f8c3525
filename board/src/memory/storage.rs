//! Values in memory.

use std::collections::BTreeMap;

use embedded_svc::storage::{RawStorage, StorageBase};

use crate::BoardError;
use crate::storage::{checked, into_buffer, small_enough};

use super::MemoryBoard;

/// The twin of [`crate::FileStorage`], with the same rules for names and lengths.
#[derive(Debug, Clone, Default)]
pub struct MemoryStorage(BTreeMap<String, Vec<u8>>);

impl StorageBase for MemoryStorage {
    type Error = BoardError;

    fn contains(&self, name: &str) -> Result<bool, BoardError> {
        Ok(self.0.contains_key(checked(name)?))
    }

    fn remove(&mut self, name: &str) -> Result<bool, BoardError> {
        Ok(self.0.remove(checked(name)?).is_some())
    }
}

impl RawStorage for MemoryStorage {
    fn len(&self, name: &str) -> Result<Option<usize>, BoardError> {
        Ok(self.0.get(checked(name)?).map(Vec::len))
    }

    fn get_raw<'a>(&self, name: &str, buffer: &'a mut [u8]) -> Result<Option<&'a [u8]>, BoardError> {
        self.0.get(checked(name)?).map(|value| into_buffer(value, buffer)).transpose()
    }

    fn set_raw(&mut self, name: &str, value: &[u8]) -> Result<bool, BoardError> {
        small_enough(name, value)?;
        Ok(self.0.insert(checked(name)?.to_owned(), value.to_vec()).is_some())
    }
}

impl StorageBase for MemoryBoard {
    type Error = BoardError;

    fn contains(&self, name: &str) -> Result<bool, BoardError> {
        self.storage.contains(name)
    }

    fn remove(&mut self, name: &str) -> Result<bool, BoardError> {
        self.storage.remove(name)
    }
}

impl RawStorage for MemoryBoard {
    fn len(&self, name: &str) -> Result<Option<usize>, BoardError> {
        self.storage.len(name)
    }

    fn get_raw<'a>(&self, name: &str, buffer: &'a mut [u8]) -> Result<Option<&'a [u8]>, BoardError> {
        self.storage.get_raw(name, buffer)
    }

    fn set_raw(&mut self, name: &str, value: &[u8]) -> Result<bool, BoardError> {
        self.storage.set_raw(name, value)
    }
}
