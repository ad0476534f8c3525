//! Places of the log that the disk refuses to read.
//!
//! A refusal says nothing of what stands there: cards and USB drives give the same bytes a moment
//! later. Who reads fails and asks again, and only a place that was refused again and again is taken
//! for damaged, so that one bad block doesn't hold everything up for ever.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::state::TailEntry;

/// A place that was refused so often in a row is given up …
const TRIES_MAX: u32 = 5;
/// … where tries count that are this far apart: a drive that is being reset refuses for seconds, and
/// who asks in a loop meanwhile has tried once.
const APART: Duration = Duration::from_secs(2);

/// The places that were refused, by all who read, and how often.
#[derive(Debug)]
pub(crate) struct Unread {
    /// By generation and offset. Bounded by the tail, since what is folded is forgotten.
    places: BTreeMap<(u64, u64), Tries>,
    apart: Duration,
}

#[derive(Debug)]
struct Tries {
    count: u32,
    last: Instant,
}

impl Default for Unread {
    fn default() -> Self {
        Self::apart(APART)
    }
}

impl Unread {
    /// With tries that count when they are `apart`.
    pub(crate) const fn apart(apart: Duration) -> Self {
        Self { places: BTreeMap::new(), apart }
    }

    /// Notes that the disk has refused the place of `at`, and says whether it is given up.
    pub(crate) fn refused(&mut self, at: &TailEntry, now: Instant) -> bool {
        let tries = self.places.entry(place(at)).or_insert(Tries { count: 0, last: now });
        if tries.count < TRIES_MAX
            && (tries.count == 0 || now.saturating_duration_since(tries.last) >= self.apart)
        {
            *tries = Tries { count: tries.count + 1, last: now };
        }
        tries.count >= TRIES_MAX
    }

    /// The place of `at` was read, or isn't needed any more.
    pub(crate) fn forget(&mut self, at: &TailEntry) {
        self.places.remove(&place(at));
    }
}

const fn place(at: &TailEntry) -> (u64, u64) {
    (at.generation, at.offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(offset: u64) -> TailEntry {
        TailEntry { sequence: offset, generation: 1, offset, length: 1, seen_ms: 0 }
    }

    #[test]
    fn a_place_is_given_up_after_tries_that_are_apart_and_for_good() {
        let mut unread = Unread::default();
        let start = Instant::now();
        for step in 1..TRIES_MAX {
            assert!(!unread.refused(&at(0), start + APART * step));
            assert!(!unread.refused(&at(0), start + APART * step + APART / 2), "too soon to count");
        }
        assert!(unread.refused(&at(0), start + APART * TRIES_MAX));
        assert!(unread.refused(&at(0), start + APART * TRIES_MAX));
        assert!(!unread.refused(&at(4096), start + APART * TRIES_MAX), "another place");
    }

    #[test]
    fn a_place_that_was_read_begins_anew() {
        let mut unread = Unread::apart(Duration::ZERO);
        let now = Instant::now();
        for _ in 1..TRIES_MAX {
            assert!(!unread.refused(&at(0), now));
        }
        unread.forget(&at(0));
        assert!(!unread.refused(&at(0), now));
        assert_eq!(unread.places.len(), 1);
        unread.forget(&at(0));
        assert!(unread.places.is_empty(), "nothing is kept of what is over");
    }
}
