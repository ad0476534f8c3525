//! How long company is worth waiting for before a sync.

use std::time::Duration;

/// A sync that takes longer than this makes waiting for company worth it …
const SLOW_SYNC: Duration = Duration::from_millis(2);
/// … for this part of its time: on a card with 10 ms it nearly doubles what 32 connections reach,
/// and halves the median (measured).
const SLOW_PART: u32 = 10;
/// Under load for twice that, so that those whom the last group has answered are back in time: who
/// misses a group waits for two syncs.
const SLOW_BUSY_PART: u32 = 5;
/// With a fast sync it is the processor that counts: under load half the sync's time makes groups
/// twice as large, for half as many syncs, and latency gets no worse (measured).
const FAST_BUSY_PART: u32 = 2;
/// No wait is longer, however slow the disk: the queue must hold what comes meanwhile.
const WINDOW_MAX: Duration = Duration::from_millis(5);
/// So many in the last group, and more are on their way.
const BUSY_COMPANY: usize = 4;

/// How long a group waits for company, by the measured time of a sync and how many were in the group before.
/// Transactions alone don't wait: whoever hands one over has waited before it was made.
pub(super) fn of_group(flush: Option<Duration>, company: usize, transactions_alone: bool) -> Duration {
    if transactions_alone && company < BUSY_COMPANY {
        return Duration::ZERO;
    }
    let Some(flush) = flush else { return Duration::ZERO };
    let part = match (flush > SLOW_SYNC, company >= BUSY_COMPANY) {
        (true, true) => SLOW_BUSY_PART,
        (true, false) => SLOW_PART,
        (false, true) => FAST_BUSY_PART,
        (false, false) => return Duration::ZERO,
    };
    (flush / part).min(WINDOW_MAX)
}

/// How long whoever makes a transaction waits for company. Under load no longer than else: what is decided then takes time
/// in which others come, too, and 32 connections are back within it (measured). With a fast sync not at all: there it is the
/// processor that counts, and nothing else would be done meanwhile (measured).
pub(crate) fn of_transaction(flush: Option<Duration>) -> Duration {
    let slow = flush.filter(|flush| *flush > SLOW_SYNC);
    slow.map_or(Duration::ZERO, |flush| (flush / SLOW_PART).min(WINDOW_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_group_waits_on_a_slow_disk_and_under_load() {
        for (flush, company, wait) in [
            (None, 32, ms(0)),
            (Some(ms(2)), BUSY_COMPANY - 1, ms(0)),
            (Some(ms(2)), BUSY_COMPANY, ms(1)),
            (Some(ms(10)), 0, ms(1)),
            (Some(ms(10)), 32, ms(2)),
            (Some(ms(500)), 32, WINDOW_MAX),
        ] {
            assert_eq!(of_group(flush, company, false), wait, "{flush:?} {company}");
            let alone = if company < BUSY_COMPANY { ms(0) } else { wait };
            assert_eq!(of_group(flush, company, true), alone, "{flush:?} {company}");
        }
    }

    #[test]
    fn a_transaction_waits_on_a_slow_disk_only() {
        for (flush, wait) in
            [(None, ms(0)), (Some(ms(2)), ms(0)), (Some(ms(10)), ms(1)), (Some(ms(500)), WINDOW_MAX)]
        {
            assert_eq!(of_transaction(flush), wait, "{flush:?}");
        }
    }
}
