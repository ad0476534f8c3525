//! Values that are durable and not in redb yet.
//!
//! Two maps: what came since the last fold began, and what that fold has taken and may still be
//! writing. Who reads looks here first, the newer one first, and then into redb.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

/// With so many bytes of values in memory a fold is due: twice as many would spare a tenth of the time of queueing
/// without a pause, for a fold of more touches hardly more pages, but a start would find them all in memory …
pub(crate) const FOLD_BYTES: u64 = 1 << 20;
/// … and past so many, those that a fold is writing included, a transaction has to wait for it.
pub(crate) const BYTES_MAX: u64 = 8 << 20;
/// What a value takes in memory beside key and content, roughly.
const OVERHEAD_BYTES: u64 = 64;
/// What a person takes who was met, with two aliases.
const MET_BYTES: u64 = 128;

/// Keys with what they stand for; `None` where that is nothing any more.
pub(crate) type Changes = BTreeMap<Box<[u8]>, Option<Arc<[u8]>>>;

/// One of them.
pub(crate) type Entry = (Box<[u8]>, Option<Arc<[u8]>>);

/// The values that aren't in redb.
#[derive(Debug, Default)]
pub(crate) struct Values {
    current: Changes,
    current_bytes: u64,
    folding: Option<Arc<Changes>>,
    folding_bytes: u64,
    folds: u64,
    folds_through: u64,
}

/// A stretch of what is in memory, as it was at one instant.
pub(crate) struct Overlay {
    /// What came since the last fold began.
    pub(crate) current: Vec<Entry>,
    /// What a fold has taken, the whole of it.
    pub(crate) folding: Option<Arc<Changes>>,
    /// Folds begun by then: redb is newer than this where there are more.
    pub(crate) folds: u64,
}

impl Values {
    /// Takes in a durable change.
    pub(crate) fn put(&mut self, (key, value): Entry) {
        let key_bytes = key.len();
        self.current_bytes += bytes_of(key_bytes, value.as_deref());
        if let Some(old) = self.current.insert(key, value) {
            self.current_bytes -= bytes_of(key_bytes, old.as_deref());
        }
    }

    /// Notes that so many people were met: what that taught waits for a fold like a value.
    pub(crate) fn note_met(&mut self, people: usize) {
        self.current_bytes += people as u64 * MET_BYTES;
    }

    /// What a key stands for, if memory knows; `Some(None)` where it is nothing.
    pub(crate) fn get(&self, key: &[u8]) -> Option<Option<Arc<[u8]>>> {
        let in_folding = || self.folding.as_ref().and_then(|folding| folding.get(key));
        self.current.get(key).or_else(in_folding).cloned()
    }

    /// What there is from `from` up to `to`, as far as somebody needs it who wants `limit` values.
    pub(crate) fn overlay(&self, from: &[u8], to: &[u8], limit: usize) -> Overlay {
        let mut current = Vec::new();
        let mut left = limit;
        for (key, value) in range(&self.current, from, to) {
            if left == 0 {
                break;
            }
            left -= usize::from(value.is_some());
            current.push((key.clone(), value.clone()));
        }
        Overlay { current, folding: self.folding.clone(), folds: self.folds }
    }

    /// Folds begun so far.
    pub(crate) const fn folds(&self) -> u64 {
        self.folds
    }

    /// Folds of which all is in redb.
    pub(crate) const fn folds_through(&self) -> u64 {
        self.folds_through
    }

    /// Hands over what is to be folded. It can still be read here until [`Values::folded`].
    pub(crate) fn take(&mut self) -> Arc<Changes> {
        let mut taken = std::mem::take(&mut self.current);
        if let Some(before) = self.folding.take() {
            // That fold was never begun: the folder was gone.
            let mut whole = Arc::unwrap_or_clone(before);
            whole.append(&mut taken);
            taken = whole;
        }
        let taken = Arc::new(taken);
        self.folding = Some(Arc::clone(&taken));
        self.folding_bytes += std::mem::take(&mut self.current_bytes);
        self.folds += 1;
        taken
    }

    /// What was taken is in redb.
    pub(crate) fn folded(&mut self) {
        self.folding = None;
        self.folding_bytes = 0;
        self.folds_through += 1;
    }

    /// Bytes in memory, about.
    pub(crate) const fn bytes(&self) -> u64 {
        self.current_bytes + self.folding_bytes
    }

    /// Whether everything is in redb.
    pub(crate) const fn is_empty(&self) -> bool {
        self.bytes() == 0
    }

    /// Whether something has come that no fold has taken yet.
    pub(crate) const fn has_more(&self) -> bool {
        self.current_bytes > 0
    }

    /// Whether a fold is due.
    pub(crate) const fn is_due(&self) -> bool {
        self.current_bytes >= FOLD_BYTES
    }

    /// Whether no more may come before a fold is through.
    pub(crate) const fn is_full(&self) -> bool {
        self.bytes() > BYTES_MAX
    }
}

/// The part of `changes` from `from` up to `to`, which lies behind.
pub(crate) fn range<'a>(
    changes: &'a Changes,
    from: &[u8],
    to: &[u8],
) -> std::collections::btree_map::Range<'a, Box<[u8]>, Option<Arc<[u8]>>> {
    changes.range::<[u8], _>((Bound::Included(from), Bound::Excluded(to)))
}

fn bytes_of(key_bytes: usize, value: Option<&[u8]>) -> u64 {
    OVERHEAD_BYTES + (key_bytes + value.map_or(0, <[u8]>::len)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Option<Arc<[u8]>> {
        Some(text.as_bytes().into())
    }

    fn entry(key: &[u8], value: Option<Arc<[u8]>>) -> Entry {
        (key.into(), value)
    }

    #[test]
    fn what_a_fold_writes_is_read_until_it_is_through_and_below_what_came_since() {
        let mut values = Values::default();
        values.put(entry(b"a", value("1")));
        values.put(entry(b"b", value("1")));
        let taken = values.take();
        assert_eq!(taken.len(), 2);
        values.put(entry(b"b", None));
        values.put(entry(b"c", value("2")));
        assert_eq!(
            [b"a", b"b", b"c"].map(|key| values.get(key)),
            [Some(value("1")), Some(None), Some(value("2"))]
        );
        values.folded();
        assert_eq!([b"a", b"b", b"c"].map(|key| values.get(key)), [None, Some(None), Some(value("2"))]);
    }

    #[test]
    fn a_fold_that_was_never_begun_is_part_of_the_next() {
        let mut values = Values::default();
        values.put(entry(b"a", value("1")));
        values.put(entry(b"b", value("1")));
        drop(values.take());
        values.put(entry(b"b", value("2")));
        let taken = values.take();
        assert_eq!(
            (taken.get(b"a".as_slice()), taken.get(b"b".as_slice())),
            (Some(&value("1")), Some(&value("2")))
        );
        values.folded();
        assert!(values.is_empty());
    }

    #[test]
    fn the_account_of_bytes_follows_what_is_replaced() {
        let mut values = Values::default();
        for round in 0..1000_usize {
            values.put(entry(b"key", value(&"x".repeat(round % 7))));
        }
        assert_eq!(values.bytes(), OVERHEAD_BYTES + 3 + 999 % 7);
        values.note_met(2);
        drop(values.take());
        values.put(entry(b"key", None));
        values.folded();
        assert_eq!(values.bytes(), OVERHEAD_BYTES + 3);
    }
}
