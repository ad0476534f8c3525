//! Quick replies: named messages with merge fields, kept as the API took them.

use crate::keys;
use crate::table::TableError;
use crate::turn::Turn;

/// Quick replies that are kept.
pub const QUICK_REPLIES_MAX: usize = 1_000;
/// Bytes of one.
pub const QUICK_REPLY_BYTES_MAX: usize = 64 * 1024;

impl Turn<'_> {
    /// The JSON of a quick reply.
    ///
    /// # Errors
    /// When the table can't be read.
    pub fn quick_reply(&self, name: &str) -> Result<Option<String>, TableError> {
        self.view.get(&keys::quick_reply(name))
    }

    /// All of them, by name.
    ///
    /// # Errors
    /// When the table can't be read.
    pub fn quick_replies(&self) -> Result<Vec<(String, String)>, TableError> {
        let all = keys::quick_replies();
        let found = self.view.list(&all, &all, QUICK_REPLIES_MAX)?;
        let read = |(key, value): &(Vec<u8>, Vec<u8>)| {
            let name = key.get(1..)?.strip_suffix(&[0])?;
            Some((String::from_utf8(name.to_vec()).ok()?, crate::table::decode(value)?))
        };
        Ok(found.iter().filter_map(read).collect())
    }

    /// Keeps a quick reply under its name; false where there are too many already.
    ///
    /// # Errors
    /// When the table can't be read.
    pub fn put_quick_reply(&mut self, name: &str, json: &str) -> Result<bool, TableError> {
        let key = keys::quick_reply(name);
        if !self.view.has(&key)?
            && self.view.list(&keys::quick_replies(), &keys::quick_replies(), QUICK_REPLIES_MAX)?.len()
                >= QUICK_REPLIES_MAX
        {
            return Ok(false);
        }
        self.urgent = true;
        self.view.put(key, &json);
        Ok(true)
    }

    /// Forgets a quick reply; false where there was none.
    ///
    /// # Errors
    /// When the table can't be read.
    pub fn drop_quick_reply(&mut self, name: &str) -> Result<bool, TableError> {
        let key = keys::quick_reply(name);
        let there = self.view.has(&key)?;
        if there {
            self.urgent = true;
            self.view.remove(&key);
        }
        Ok(there)
    }
}
