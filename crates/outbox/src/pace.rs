//! Messages per second: evenly, and never more than the limit in any moving second.
//!
//! The governor spaces them, with a small burst so that a late turn is made up for; such a burst could put more
//! into one second than the limit allows, so what counts for the second is kept, too. When a message arrives at
//! Meta's nobody here sees: after its intent and before its answer. So it counts from the one until a second after
//! the other, and a message that was long on its way doesn't meet one too many that was quick.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use governor::clock::{Clock, Reference as _};
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

use crate::settings::{CALL_MS, CALLS_MAX, Settings};

/// A second, and the millisecond by which two times may be further apart than they look.
const SECOND_MS: i64 = 1_001;

/// The pace of every number.
///
/// Not in the table: a start begins as if as many as may had just gone, so a crash gives nothing away.
#[derive(Debug)]
pub(crate) struct Paces {
    time: Handed,
    began_ms: i64,
    paces: BTreeMap<String, Pace>,
}

#[derive(Debug)]
struct Pace {
    even: RateLimiter<NotKeyed, InMemoryState, Handed, NoOpMiddleware<Nanos>>,
    /// As many as the limit allows.
    counting: Mutex<Box<[Counting]>>,
    most: usize,
    /// The governor has none before then.
    not_before_ms: AtomicI64,
    /// Some were taken by the turn that is under way.
    unsure: AtomicBool,
}

/// A message that counts for the second.
#[derive(Debug, Clone, Copy)]
struct Counting {
    place: u64,
    /// Its call isn't over.
    goes: bool,
    /// Its turn is durable.
    sure: bool,
    until_ms: i64,
}

/// A clock that shows what it is handed.
#[derive(Debug, Clone, Default)]
struct Handed(Arc<AtomicU64>);

impl Clock for Handed {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Nanos::from(Duration::from_millis(self.0.load(Ordering::Relaxed)))
    }
}

impl Paces {
    pub(crate) fn new(settings: &Settings, now_ms: i64) -> Self {
        let time = Handed::default();
        let paces = settings.numbers.iter().map(|(name, number)| {
            let rate = NonZeroU32::new(number.per_second).unwrap_or(NonZeroU32::MIN);
            let burst = NonZeroU32::new(CALLS_MAX.min(rate.get())).unwrap_or(NonZeroU32::MIN);
            let even =
                RateLimiter::direct_with_clock(Quota::per_second(rate).allow_burst(burst), time.clone());
            let most = rate.get() as usize;
            let until_ms = now_ms.saturating_add(SECOND_MS);
            let gone = Counting { place: 0, goes: false, sure: true, until_ms };
            let not_before_ms = AtomicI64::new(i64::MIN);
            let counting = Mutex::new(vec![gone; most].into());
            (name.clone(), Pace { even, counting, most, not_before_ms, unsure: AtomicBool::new(false) })
        });
        Self { paces: paces.collect(), time, began_ms: now_ms }
    }

    /// Says when there may be a turn, if there is none now; takes none.
    pub(crate) fn look(&self, number: &str, told: Option<u32>, now_ms: i64) -> Result<(), i64> {
        let Some(pace) = self.paces.get(number) else { return Ok(()) };
        let not_before = pace.not_before_ms.load(Ordering::Relaxed);
        if not_before > now_ms {
            return Err(not_before);
        }
        pace.second(&pace.counting.lock().unwrap_or_else(PoisonError::into_inner), told, now_ms)
    }

    /// Takes a turn for the message of `place` at `now_ms`, or says when there may be one. `told` is what Meta says
    /// that the number may send a second, if it has said something.
    pub(crate) fn take(&self, number: &str, told: Option<u32>, place: u64, now_ms: i64) -> Result<(), i64> {
        let Some(pace) = self.paces.get(number) else { return Ok(()) };
        let mut counting = pace.counting.lock().unwrap_or_else(PoisonError::into_inner);
        pace.second(&counting, told, now_ms)?;
        let since = u64::try_from(now_ms.saturating_sub(self.began_ms)).unwrap_or(0);
        self.time.0.fetch_max(since, Ordering::Relaxed);
        pace.even.check().map_err(|not_until| {
            let wait = not_until.earliest_possible().duration_since(self.time.now());
            let wait = Duration::from(wait).as_micros().div_ceil(1_000);
            let at = now_ms.saturating_add(i64::try_from(wait).unwrap_or(i64::MAX).max(1));
            pace.not_before_ms.store(at, Ordering::Relaxed);
            at
        })?;
        // There are as many as the limit allows, so one of them is over.
        if let Some(over) = counting.iter_mut().min_by_key(|one| one.until_ms) {
            let until_ms = now_ms.saturating_add(CALL_MS + SECOND_MS);
            *over = Counting { place, goes: true, sure: false, until_ms };
            pace.unsure.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    /// The turn that the message of `place` took is durable: its call is made.
    pub(crate) fn is_sure(&self, number: &str, place: u64) {
        let Some(pace) = self.paces.get(number) else { return };
        let mut counting = pace.counting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(one) = counting.iter_mut().find(|one| one.goes && one.place == place) {
            one.sure = true;
        }
    }

    /// Whatever was taken by a turn that isn't durable by now was taken for nothing, and nobody was called.
    pub(crate) fn forget_unsure(&self) {
        for pace in self.paces.values().filter(|pace| pace.unsure.swap(false, Ordering::Relaxed)) {
            let mut counting = pace.counting.lock().unwrap_or_else(PoisonError::into_inner);
            for one in counting.iter_mut().filter(|one| one.goes && !one.sure) {
                *one = Counting { place: 0, goes: false, sure: true, until_ms: i64::MIN };
            }
        }
    }

    /// The call of a message is over: it arrived by now, or never will.
    pub(crate) fn ended(&self, number: &str, place: u64, now_ms: i64) {
        let Some(pace) = self.paces.get(number) else { return };
        let mut counting = pace.counting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(one) = counting.iter_mut().find(|one| one.goes && one.place == place) {
            *one = Counting { goes: false, until_ms: now_ms.saturating_add(SECOND_MS), ..*one };
        }
    }
}

impl Pace {
    /// Whether another one fits into the second, or else when.
    fn second(&self, counting: &[Counting], told: Option<u32>, now_ms: i64) -> Result<(), i64> {
        let most = told.map_or(self.most, |told| self.most.min(told.max(1) as usize));
        let mut ends: Vec<i64> =
            counting.iter().map(|one| one.until_ms).filter(|until| *until > now_ms).collect();
        match ends.len().checked_sub(most) {
            Some(over) => Err(*ends.select_nth_unstable(over).1),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Number;

    fn paces(per_second: u32) -> Paces {
        let number = Number {
            zone: policy::sending::Zone::new("UTC").unwrap(),
            portfolio: String::new(),
            messages_per_day: 1_000,
            calls_per_day: 1_000,
            recipients_per_day: 0,
            per_second,
            batch_above: 1.0,
            batch_every_ms: 0,
            endpoints: 1,
        };
        let numbers = BTreeMap::from([("1".to_owned(), number)]);
        let settings = Settings { numbers, send_again_after_ms: [None; 3], history_ms: 0, rates: None };
        Paces::new(&settings, 0)
    }

    #[test]
    fn no_second_sees_more_than_the_limit_whenever_each_message_arrives() {
        let paces = paces(80);
        let (mut now, mut place, mut flying, mut arrivals) = (0, 0, Vec::new(), Vec::new());
        while place < 2_000 {
            now += 1;
            flying.retain(|(place, arrives, answered): &(u64, i64, i64)| {
                if *answered > now {
                    return true;
                }
                arrivals.push(*arrives);
                paces.ended("1", *place, now);
                false
            });
            while flying.len() < CALLS_MAX as usize && paces.take("1", None, place + 1, now).is_ok() {
                place += 1;
                // On its way for 1 to 40 ms, and the answer as long or not at all.
                let there = now + 1 + (place * 7919 % 40).cast_signed();
                flying.push((place, there, there + (place % 3).cast_signed() * 8));
            }
        }
        arrivals.sort_unstable();
        let most = arrivals.windows(81).map(|window| window[80] - window[0]).min().unwrap();
        assert!(most >= 1_000, "81 messages arrived within {most} ms");
        // And it is kept: a call of 30 ms takes three hundredths of the pace.
        assert!(now < 2_000 * 1_000 / 74, "{now} ms");
    }

    #[test]
    fn a_turn_that_came_to_nothing_costs_no_place() {
        let paces = paces(1);
        assert_eq!(paces.take("1", None, 1, 0), Err(SECOND_MS));
        for now in [SECOND_MS, SECOND_MS + 1_000, SECOND_MS + 2_000] {
            paces.forget_unsure();
            assert_eq!(paces.look("1", None, now), Ok(()), "{now}");
            assert_eq!(paces.take("1", None, 1, now), Ok(()), "{now}");
        }
        paces.is_sure("1", 1);
        paces.forget_unsure();
        assert_eq!(paces.look("1", None, 5_000), Err(SECOND_MS + 2_000 + CALL_MS + SECOND_MS));
        assert_eq!(paces.take("1", None, 2, 5_000), Err(SECOND_MS + 2_000 + CALL_MS + SECOND_MS));
        paces.ended("1", 1, 5_000);
        assert_eq!(paces.take("1", None, 2, 5_000), Err(5_000 + SECOND_MS));
        assert_eq!(paces.take("1", None, 2, 5_000 + SECOND_MS), Ok(()));
    }
}
