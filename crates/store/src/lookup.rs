//! Reading the table of values, and who is who.

use std::cell::RefCell;

use model::{Alias, ContactId};
use redb::ReadOnlyTable;

use crate::Store;
use crate::contacts;
use crate::error::ReadError;
use crate::format::value;
use crate::index::schema;
use crate::values::{self, Changes, Overlay};

/// What texts in keys are hashed under; 0 is that of events, and aliases have theirs.
const VALUE_DOMAIN: u8 = 0x76;

/// A key of the table of values, and what it stands for.
pub type Row = (Vec<u8>, Vec<u8>);

/// A look at the table of values that spares opening redb for each of several questions.
///
/// What it answers is as fresh as what [`Store::value`] does. As long as it lives the pages that it reads can't be
/// used again, so it is for one piece of work, and is dropped with it.
pub struct Reader<'a> {
    store: &'a Store,
    opened: RefCell<Option<Opened>>,
}

/// The table as redb has it …
struct Opened {
    table: ReadOnlyTable<&'static [u8], &'static [u8]>,
    /// … after so many folds at least.
    folded: u64,
}

impl Reader<'_> {
    /// As [`Store::value`].
    ///
    /// # Errors
    /// As there.
    pub fn value(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ReadError> {
        // Memory before redb: a fold that comes through in between would hide the value.
        let (known, folded) = {
            let state = self.store.shared.lock();
            (state.values.get(key), state.values.folds_through())
        };
        if let Some(known) = known {
            return Ok(known.map(|value| value.to_vec()));
        }
        self.with_table(folded, |table| {
            let row = table.get(key)?;
            Ok(row.and_then(|row| self.store.open_row(key, row.value())))
        })
    }

    /// As [`Store::values`].
    ///
    /// # Errors
    /// As there.
    pub fn values(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Vec<Row>, ReadError> {
        if from >= to {
            return Ok(Vec::new());
        }
        loop {
            let (overlay, folded) = {
                let state = self.store.shared.lock();
                (state.values.overlay(from, to, limit), state.values.folds_through())
            };
            let folds = overlay.folds;
            let found = self.with_table(folded, |table| {
                // With another fold begun redb may hold what is newer than that.
                if self.store.shared.lock().values.folds() != folds {
                    return Ok(None);
                }
                merge(overlay, table, (from, to), limit, |key, row| self.store.open_row(key, row)).map(Some)
            })?;
            if let Some(found) = found {
                return Ok(found);
            }
        }
    }

    /// The table as it is after `folded` folds, or later.
    fn with_table<T>(
        &self,
        folded: u64,
        read: impl FnOnce(&ReadOnlyTable<&'static [u8], &'static [u8]>) -> Result<T, ReadError>,
    ) -> Result<T, ReadError> {
        let mut opened = self.opened.borrow_mut();
        let opened = match &mut *opened {
            Some(opened) if opened.folded >= folded => opened,
            old => {
                // The pages of the old one are free before new ones are held.
                *old = None;
                let table = self.store.shared.index.begin_read()?.open_table(schema::VALUES)?;
                old.insert(Opened { table, folded })
            }
        };
        read(&opened.table)
    }
}

impl Store {
    /// For several questions in a row.
    #[must_use]
    pub const fn reader(&self) -> Reader<'_> {
        Reader { store: self, opened: RefCell::new(None) }
    }

    /// What a key stands for. A row whose bytes can't be read is none: it is counted, set aside, and stands
    /// until something else is put under its key.
    ///
    /// # Errors
    /// What the disk says; [`ReadError::Reopening`] passes by itself.
    pub fn value(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ReadError> {
        self.reader().value(key)
    }

    /// Keys from `from` up to `to`, which is not among them, with their values, ascending; at most
    /// `limit`. All of them as they were at one instant. Without those whose bytes can't be read, as
    /// [`Store::value`] says.
    ///
    /// # Errors
    /// As for [`Store::value`].
    pub fn values(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Vec<Row>, ReadError> {
        self.reader().values(from, to, limit)
    }

    /// The value in a row of redb. One that can't be read costs itself and no other: whoever reads a
    /// range would else never get past it.
    fn open_row(&self, key: &[u8], row: &[u8]) -> Option<Vec<u8>> {
        let error = match value::from_bytes(row) {
            Ok(value) => return Some(value.into_owned()),
            Err(error) => error,
        };
        let name = self.hash(key);
        {
            let mut state = self.shared.lock();
            if !state.spoiled.note(name) {
                return None;
            }
            state.counters.damaged += 1;
        }
        let table = key.first().copied().unwrap_or_default();
        tracing::error!(
            %error,
            table,
            "a value in the index can't be read any more and is left out; see the folder `damaged`"
        );
        // The same name at each start, so that a row doesn't fill the folder.
        let name = format!("value-{:032x}", u128::from_be_bytes(name));
        if self.shared.set_aside(&name, row) {
            self.shared.lock().counters.known += 1;
        }
        None
    }

    /// 16 bytes that stand for a text in keys: of the box's own hash, so that no key tells what it was.
    #[must_use]
    pub fn hash(&self, text: &[u8]) -> [u8; 16] {
        self.key.hash(VALUE_DOMAIN, &[text])
    }

    /// The contact that `aliases` name, if it is known; writes nothing.
    ///
    /// # Errors
    /// As for [`Store::value`].
    pub fn contact(&self, aliases: &[Alias]) -> Result<Option<ContactId>, ReadError> {
        let aliases = self.hashed(aliases);
        let mut known: Vec<Option<u128>> = {
            let state = self.shared.lock();
            aliases.iter().map(|alias| state.people.find(&alias.hash())).collect()
        };
        if known.contains(&None) {
            let table = self.shared.index.begin_read()?.open_table(schema::ALIASES)?;
            for (alias, known) in aliases.iter().zip(&mut known).filter(|(_, known)| known.is_none()) {
                *known = table.get(alias.hash())?.map(|found| found.value());
            }
        }
        let state = self.shared.lock();
        for known in known.iter_mut().flatten() {
            *known = state.people.root(*known);
        }
        Ok(contacts::choose(&aliases, &known).map(ContactId::from_bits))
    }

    /// Everything that is one person: the contact that stands for it first, then those that were
    /// joined with it, the oldest first.
    #[must_use]
    pub fn family(&self, contact: &ContactId) -> Vec<ContactId> {
        match contact.to_bits() {
            Some(bits) => {
                let family = self.shared.lock().people.family(bits);
                family.into_iter().map(ContactId::from_bits).collect()
            }
            None => vec![contact.clone()],
        }
    }
}

/// Puts together what is in memory and what is in redb. Of several that know a key the newest counts.
fn merge(
    overlay: Overlay,
    table: &impl redb::ReadableTable<&'static [u8], &'static [u8]>,
    (from, to): (&[u8], &[u8]),
    limit: usize,
    open_row: impl Fn(&[u8], &[u8]) -> Option<Vec<u8>>,
) -> Result<Vec<Row>, ReadError> {
    let nothing = Changes::new();
    let folding = overlay.folding.as_deref().unwrap_or(&nothing);
    let mut current = overlay.current.into_iter().peekable();
    let mut folding = values::range(folding, from, to).peekable();
    let mut rows = table.range(from..to)?;
    let mut row = rows.next().transpose()?;
    let mut found = Vec::new();
    while found.len() < limit {
        let keys = [
            current.peek().map(|(key, _)| &**key),
            folding.peek().map(|(key, _)| &***key),
            row.as_ref().map(|(key, _)| key.value()),
        ];
        let Some(key) = keys.into_iter().flatten().min().map(<[u8]>::to_vec) else { break };
        let newest = current.next_if(|(other, _)| **other == *key).map(|(_, value)| value);
        let folding = folding.next_if(|(other, _)| ***other == *key).map(|(_, value)| value.clone());
        let stored = row.take_if(|(other, _)| other.value() == key);
        if row.is_none() {
            row = rows.next().transpose()?;
        }
        match (newest.or(folding), stored) {
            (Some(Some(value)), _) => found.push((key, value.to_vec())),
            (None, Some((_, bytes))) => {
                if let Some(value) = open_row(&key, bytes.value()) {
                    found.push((key, value));
                }
            }
            (Some(None), _) | (None, None) => {}
        }
    }
    Ok(found)
}
