//! Moving windows: what happened within the last so many milliseconds, and the most that ever did.

use std::collections::{HashMap, VecDeque};

/// A business may write to one user every 6 seconds (code 131056) ...
pub const PAIR_EVERY_MS: i64 = 6_000;
/// ... and borrow so many messages from the future.
pub const PAIR_BURST: i64 = 45;
/// The customer service window, and the span of Meta's limit of unique recipients.
pub const DAY_MS: i64 = 24 * 60 * 60 * 1_000;
/// Events of one window that are remembered; past it its counts are no longer exact.
pub const REMEMBERED_MAX: usize = 1 << 20;

/// How many events fall into a moving window. Two that are exactly its length apart don't share one.
#[derive(Debug)]
pub(crate) struct Moving {
    length_ms: i64,
    times: VecDeque<i64>,
    most: u64,
}

impl Moving {
    pub(crate) const fn new(length_ms: i64) -> Self {
        Self { length_ms, times: VecDeque::new(), most: 0 }
    }

    /// Events in the window that ends now. Times never go back.
    pub(crate) fn now(&mut self, now_ms: i64) -> u64 {
        while self.times.front().is_some_and(|time| *time <= now_ms - self.length_ms) {
            self.times.pop_front();
        }
        self.times.len() as u64
    }

    /// One event; false when it was too much to remember.
    pub(crate) fn add(&mut self, now_ms: i64) -> bool {
        let exact = self.now(now_ms) < REMEMBERED_MAX as u64;
        if exact {
            self.times.push_back(now_ms);
            self.most = self.most.max(self.times.len() as u64);
        }
        exact
    }

    /// The most in any window so far.
    pub(crate) const fn most(&self) -> u64 {
        self.most
    }
}

/// How many different people were written to within a moving day.
#[derive(Debug, Default)]
pub(crate) struct Recipients {
    events: VecDeque<(i64, usize)>,
    times: HashMap<usize, u32>,
    most: u64,
}

impl Recipients {
    /// Different people in the 24 h that end now.
    pub(crate) fn now(&mut self, now_ms: i64) -> u64 {
        while let Some((_, person)) = self.events.front().filter(|(time, _)| *time <= now_ms - DAY_MS) {
            if let Some(times) = self.times.get_mut(person) {
                *times -= 1;
                if *times == 0 {
                    self.times.remove(person);
                }
            }
            self.events.pop_front();
        }
        self.times.len() as u64
    }

    /// One message to this person; false when it was too much to remember.
    pub(crate) fn add(&mut self, now_ms: i64, person: usize) -> bool {
        self.now(now_ms);
        let exact = self.events.len() < REMEMBERED_MAX;
        if exact {
            self.events.push_back((now_ms, person));
            *self.times.entry(person).or_default() += 1;
            self.most = self.most.max(self.times.len() as u64);
        }
        exact
    }

    /// The most in any 24 h so far.
    pub(crate) const fn most(&self) -> u64 {
        self.most
    }
}

/// The pair rate of one number and one user: how much of the future is already borrowed.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Pair {
    /// When the last message would have gone had nothing been borrowed, and 6 s more.
    paid_ms: i64,
}

impl Pair {
    /// How much of the burst is in use with one more message: 1 where nothing is borrowed.
    pub(crate) const fn burst(self, now_ms: i64) -> i64 {
        let debt = self.paid_ms - now_ms;
        1 + if debt > 0 { (debt + PAIR_EVERY_MS - 1) / PAIR_EVERY_MS } else { 0 }
    }

    /// Whether one more may go.
    pub(crate) const fn has_room(self, now_ms: i64) -> bool {
        self.burst(now_ms) <= PAIR_BURST
    }

    /// Of two that turn out to be one, whoever has borrowed more.
    pub(crate) const fn later(self, other: Self) -> Self {
        if self.paid_ms > other.paid_ms { self } else { other }
    }

    /// One more went.
    pub(crate) const fn take(&mut self, now_ms: i64) {
        self.paid_ms = (if self.paid_ms > now_ms { self.paid_ms } else { now_ms }) + PAIR_EVERY_MS;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Gaps that often hit the edge of a window exactly.
    fn gaps() -> impl Strategy<Value = Vec<(i64, usize)>> {
        let gap = prop_oneof![Just(0), Just(1), Just(999), Just(1_000), 0..1_500_i64];
        prop::collection::vec((gap, 0..5_usize), 1..120)
    }

    proptest! {
        #[test]
        fn a_moving_window_counts_as_a_plain_search_does(gaps in gaps()) {
            let (mut window, mut times, mut now) = (Moving::new(1_000), Vec::new(), 0);
            for (gap, _) in gaps {
                now += gap;
                times.push(now);
                prop_assert!(window.add(now));
            }
            let within = |from: i64| times.iter().filter(|time| (from..from + 1_000).contains(*time)).count();
            let most = times.iter().map(|from| within(*from)).max().unwrap();
            prop_assert_eq!(window.most(), most as u64);
        }

        #[test]
        fn recipients_count_once_in_any_24_hours(gaps in gaps()) {
            let (mut window, mut events, mut now) = (Recipients::default(), Vec::new(), 0);
            for (gap, person) in gaps {
                now += gap * DAY_MS / 1_000;
                events.push((now, person));
                prop_assert!(window.add(now, person));
            }
            let within = |from: i64| {
                let held = events.iter().filter(|(time, _)| (from..from + DAY_MS).contains(time));
                held.map(|(_, person)| person).collect::<std::collections::HashSet<_>>().len()
            };
            let most = events.iter().map(|(from, _)| within(*from)).max().unwrap();
            prop_assert_eq!(window.most(), most as u64);
        }

        #[test]
        fn no_window_of_any_length_holds_more_than_the_burst_and_the_rate(
            waits in prop::collection::vec(0..9_000_i64, 1..200)
        ) {
            let (mut pair, mut taken, mut now) = (Pair::default(), Vec::new(), 0);
            for wait in waits {
                // Several at once, so that the burst is used up.
                now += wait / 3;
                if pair.has_room(now) {
                    pair.take(now);
                    taken.push(now);
                }
            }
            for (first, from) in taken.iter().enumerate() {
                for (number, to) in (1_i64..).zip(&taken[first..]) {
                    prop_assert!(number <= PAIR_BURST + (to - from) / PAIR_EVERY_MS);
                }
            }
        }
    }

    #[test]
    fn the_burst_is_45_and_then_one_every_six_seconds() {
        let mut pair = Pair::default();
        for number in 1..=PAIR_BURST {
            assert_eq!((pair.burst(1_000), pair.has_room(1_000)), (number, true));
            pair.take(1_000);
        }
        assert!(!pair.has_room(1_000) && !pair.has_room(1_000 + PAIR_EVERY_MS - 1));
        assert!(pair.has_room(1_000 + PAIR_EVERY_MS));
    }
}
