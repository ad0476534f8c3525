//! When the next webhook goes out, and when a run is over.

use std::time::Duration;

use crate::work::{LANES, Work};

/// More than any run takes whose end is something else.
const LONG: Duration = Duration::from_secs(3_600);

/// How webhooks follow one another.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Pace {
    /// A closed loop: so many (a divisor of [`LANES`]) are under way, and each answer lets the next
    /// one go.
    Closed(usize),
    /// An open loop: so many a second, whatever the answers do.
    PerSecond(f64),
}

/// When a run is over, and whether a broken connection spoils it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Until {
    pub(crate) time: Duration,
    pub(crate) webhooks: usize,
    /// No lane sends more than so many in all; the run ends when each has. Only for closed loops.
    pub(crate) each: usize,
    /// Connections may break, since the server is killed; the run ends when all have.
    pub(crate) breaks: bool,
}

impl Until {
    pub(crate) const fn time(time: Duration) -> Self {
        Self { time, webhooks: usize::MAX, each: usize::MAX, breaks: false }
    }

    pub(crate) const fn webhooks(webhooks: usize) -> Self {
        Self { webhooks, ..Self::time(LONG) }
    }

    /// All that there is on every lane, but for the last `left`.
    pub(crate) fn all_but(work: &Work, left: usize) -> Self {
        let shortest = work.lanes.iter().map(|lane| lane.webhooks.len()).min().unwrap_or_default();
        Self { each: shortest.saturating_sub(left), ..Self::time(LONG) }
    }
}

/// Which webhook is due when.
#[derive(Debug)]
pub(super) struct Schedule {
    pub(super) pace: Pace,
    pub(super) start: u64,
    /// How many have been due.
    pub(super) due: usize,
    pub(super) most: usize,
    pub(super) each: usize,
    pub(super) end: u64,
}

impl Schedule {
    /// The next one of an open loop, if its time has come.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "below 2^53")]
    pub(super) fn next_due(&mut self, time: u64) -> Option<(usize, u64)> {
        let Pace::PerSecond(rate) = self.pace else { return None };
        let due = self.start + ((self.due + 1) as f64 / rate * 1e9) as u64;
        if due > time || due > self.end || self.due >= self.most {
            return None;
        }
        let lane = self.due % LANES;
        self.due += 1;
        Some((lane, due))
    }

    /// Whether a closed loop may go on.
    pub(super) fn take(&mut self, time: u64) -> bool {
        let more = time < self.end && self.due < self.most;
        self.due += usize::from(more);
        more
    }

    pub(super) fn is_over(&self, time: u64) -> bool {
        time >= self.end || self.due >= self.most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_loop_is_on_time_whatever_the_answers_do() {
        let pace = Pace::PerSecond(1_000.0);
        let mut schedule = Schedule { pace, start: 5_000_000, due: 0, most: 3, each: 9, end: 100_000_000 };
        assert_eq!(schedule.next_due(5_999_999), None);
        // Late by four: all that are due come at once, each with its own time.
        let due: Vec<_> = std::iter::from_fn(|| schedule.next_due(9_000_000)).collect();
        assert_eq!(due, [(0, 6_000_000), (1, 7_000_000), (2, 8_000_000)]);
        assert!(schedule.is_over(9_000_000));
    }

    #[test]
    fn a_closed_loop_ends_at_its_number_or_its_time() {
        let pace = Pace::Closed(1);
        let mut schedule = Schedule { pace, start: 0, due: 0, most: 2, each: 9, end: 10 };
        assert!(schedule.take(0) && !schedule.is_over(1) && schedule.take(1));
        assert!(!schedule.take(2) && schedule.is_over(2));
        let mut schedule = Schedule { pace, start: 0, due: 0, most: 9, each: 9, end: 10 };
        assert!(!schedule.take(10) && schedule.is_over(10));
        assert_eq!(schedule.next_due(9), None);
    }
}
