//! Whether compacting the index is worth its time.

use std::time::{Duration, Instant};

/// A compaction goes through the whole file, minutes at gigabytes on a card. After one that was in
/// vain the next comes so much later, unless something was let go meanwhile.
const PAUSE: Duration = Duration::from_secs(600);

/// What is known of the last compaction, as far as it speaks against another.
#[derive(Debug, Default)]
pub(crate) struct Compaction {
    last: Option<Last>,
}

#[derive(Debug, Clone, Copy)]
struct Last {
    ended: Instant,
    /// The disk got something back, and no fold has tried yet whether that's enough.
    gave: bool,
}

impl Compaction {
    /// Whether to compact now.
    pub(crate) fn is_worth_it(&self, now: Instant) -> bool {
        self.last.is_none_or(|last| now.saturating_duration_since(last.ended) >= PAUSE)
    }

    /// A compaction ended; `gave` if the disk got something back.
    pub(crate) const fn ended(&mut self, gave: bool, now: Instant) {
        self.last = Some(Last { ended: now, gave });
    }

    /// A fold has come through: what the last compaction gave was enough.
    pub(crate) fn folded(&mut self) {
        self.last = self.last.filter(|last| !last.gave);
    }

    /// A fold has failed: what the last compaction gave wasn't enough.
    pub(crate) const fn failed(&mut self) {
        if let Some(last) = &mut self.last {
            last.gave = false;
        }
    }

    /// Something was let go: there is more to be given back now.
    pub(crate) const fn dropped(&mut self) {
        self.last = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compaction_that_gave_nothing_is_not_repeated_until_something_went_or_time_has_passed() {
        let now = Instant::now();
        let mut compaction = Compaction::default();
        assert!(compaction.is_worth_it(now));
        compaction.ended(false, now);
        compaction.folded();
        assert!(!compaction.is_worth_it(now + PAUSE / 2));
        assert!(compaction.is_worth_it(now + PAUSE));
        compaction.dropped();
        assert!(compaction.is_worth_it(now));
    }

    #[test]
    fn a_compaction_that_was_not_enough_is_none_that_helped() {
        let now = Instant::now();
        let mut compaction = Compaction::default();
        compaction.ended(true, now);
        assert!(!compaction.is_worth_it(now), "not before a fold has tried");
        compaction.failed();
        compaction.folded();
        assert!(!compaction.is_worth_it(now + PAUSE / 2), "room came from elsewhere");
        assert!(compaction.is_worth_it(now + PAUSE));
    }

    #[test]
    fn a_compaction_that_helped_may_help_again() {
        let now = Instant::now();
        let mut compaction = Compaction::default();
        compaction.ended(true, now);
        compaction.folded();
        assert!(compaction.is_worth_it(now));
    }
}
