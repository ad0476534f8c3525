//! What was seen in a row, of one kind of observation.

use super::seen::Seen;

/// Strikes, and what speaks against them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Row {
    /// Counted strikes that nothing has taken back yet.
    pub(super) strikes: u32,
    /// Answers in time since the last strike.
    pub(super) calm: u32,
    /// Good answers since anything that wasn't one.
    pub(super) good: u32,
}

impl Row {
    /// Takes in one more; `counts` says whether a strike is one of its own.
    pub(super) const fn take(&mut self, seen: Seen, counts: bool) {
        match seen {
            Seen::Good => {
                self.calm = self.calm.saturating_add(1);
                self.good = self.good.saturating_add(1);
            }
            Seen::Between => {
                self.calm = self.calm.saturating_add(1);
                self.good = 0;
            }
            Seen::Neutral => self.good = 0,
            Seen::Strike(_) => {
                self.calm = 0;
                self.good = 0;
                if counts {
                    self.strikes = self.strikes.saturating_add(1);
                }
            }
        }
    }
}
