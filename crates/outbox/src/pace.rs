//! Messages per second: evenly, and never more than the limit in any moving second.
//!
//! The governor spaces them, with a small burst so that a late turn is made up for; such a burst could put more
//! into one second than the limit allows, so the times of the last ones are kept, too.

use std::collections::{BTreeMap, VecDeque};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use governor::clock::{Clock, Reference as _};
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

use crate::settings::{CALLS_MAX, Settings};

/// A second, and the millisecond by which two times may be further apart than they look.
const SECOND_MS: i64 = 1_001;

/// The pace of every number.
///
/// Not in the table: a start begins as if as many as may had just gone, so a crash gives nothing away. Nor is it
/// taken back with a turn that fails.
#[derive(Debug)]
pub(crate) struct Paces {
    time: Handed,
    began_ms: i64,
    paces: BTreeMap<String, Pace>,
}

#[derive(Debug)]
struct Pace {
    even: RateLimiter<NotKeyed, InMemoryState, Handed, NoOpMiddleware<Nanos>>,
    last: Mutex<Last>,
    most: usize,
}

/// When the last ones went, the oldest first.
#[derive(Debug)]
struct Last {
    times: VecDeque<i64>,
    /// So many of the newest were handed out since their time was noted, which was when they were decided on.
    handed_out: usize,
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
            let last = Last { times: VecDeque::from(vec![now_ms; most]), handed_out: 0 };
            (name.clone(), Pace { even, last: Mutex::new(last), most })
        });
        Self { paces: paces.collect(), time, began_ms: now_ms }
    }

    /// Takes a place for one message at `now_ms`, or says when there is one. `told` is what Meta says that the
    /// number may send a second, if it has said something.
    pub(crate) fn take(&self, number: &str, told: Option<u32>, now_ms: i64) -> Result<(), i64> {
        let Some(pace) = self.paces.get(number) else { return Ok(()) };
        let mut last = pace.last.lock().unwrap_or_else(PoisonError::into_inner);
        let most = told.map_or(pace.most, |told| pace.most.min(told.max(1) as usize));
        let first = last.times.len().checked_sub(most);
        if let Some(earliest) = first.and_then(|place| last.times.get(place).copied())
            && now_ms < earliest.saturating_add(SECOND_MS)
        {
            return Err(earliest.saturating_add(SECOND_MS));
        }
        let since = u64::try_from(now_ms.saturating_sub(self.began_ms)).unwrap_or(0);
        self.time.0.fetch_max(since, Ordering::Relaxed);
        pace.even.check().map_err(|not_until| {
            let wait = not_until.earliest_possible().duration_since(self.time.now());
            let wait = Duration::from(wait).as_micros().div_ceil(1_000);
            now_ms.saturating_add(i64::try_from(wait).unwrap_or(i64::MAX).max(1))
        })?;
        last.times.push_back(now_ms);
        last.times.pop_front();
        Ok(())
    }

    /// A call of a number may be made from now on: its turn is durable, which may have taken a slow disk a while.
    pub(crate) fn handed_out(&self, number: &str) {
        if let Some(pace) = self.paces.get(number) {
            pace.last.lock().unwrap_or_else(PoisonError::into_inner).handed_out += 1;
        }
    }

    /// What was handed out has gone by `now_ms`, and later than it was decided on.
    pub(crate) fn gone_by(&self, now_ms: i64) {
        for pace in self.paces.values() {
            let mut last = pace.last.lock().unwrap_or_else(PoisonError::into_inner);
            let count = std::mem::take(&mut last.handed_out);
            for time in last.times.iter_mut().rev().take(count) {
                *time = now_ms.max(*time);
            }
        }
    }
}
