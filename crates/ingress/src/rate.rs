//! How often somebody may do something: an address fail to prove itself, by a signature at the public side, by a token at
//! the store's; a client have the box do something.

use std::collections::HashMap;
use std::hash::Hash;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use governor::clock::Clock;
use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::{Quota, RateLimiter};
use tokio::time::Instant;

use crate::network::Network;

/// The budget of every address. A request is charged to it once it has turned out to prove nothing (unsigned, wrongly
/// signed, a wrong handshake, a wrong token); one that proves itself never gets here.
pub type FailureBudget = Budget<Network>;

/// The budget of everybody, told apart by a `K`.
pub struct Budget<K: Clone + Eq + Hash> {
    limiter: RateLimiter<K, Remembered<K>, TokioClock>,
    remembered: Remembered<K>,
}

impl<K: Clone + Eq + Hash> std::fmt::Debug for Budget<K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Budget({} remembered)", self.remembered())
    }
}

impl<K: Clone + Eq + Hash> Budget<K> {
    /// `burst` requests at once for each, which come back at `per_minute`; `most` (1 or more) of them are
    /// remembered, and past that the half that is nearest to a whole budget is forgotten.
    #[must_use]
    pub fn new(per_minute: NonZeroU32, burst: NonZeroU32, most: usize) -> Self {
        let quota = Quota::per_minute(per_minute).allow_burst(burst);
        let remembered = Remembered { most: most.max(1), whole_at: Arc::default() };
        Self { limiter: RateLimiter::new(quota, remembered.clone(), TokioClock), remembered }
    }

    /// Charges one request to `whom`.
    ///
    /// # Errors
    /// When the budget is used up: the time until there is some again.
    pub fn charge(&self, whom: &K) -> Result<(), Duration> {
        self.limiter.check_key(whom).map_err(|over| over.wait_time_from(TokioClock.now()))
    }

    /// How many are remembered.
    #[must_use]
    pub fn remembered(&self) -> usize {
        self.remembered.lock().len()
    }
}

/// The monotonic clock of tokio, which tests can pause.
#[derive(Debug, Clone)]
struct TokioClock;

impl Clock for TokioClock {
    type Instant = std::time::Instant;

    fn now(&self) -> Self::Instant {
        Instant::now().into_std()
    }
}

/// For each the instant at which its budget is whole again; who isn't here has a whole one. Where there are too many,
/// the half that is nearest to it is forgotten.
#[derive(Debug, Clone)]
struct Remembered<K> {
    most: usize,
    whole_at: Arc<Mutex<HashMap<K, Nanos>>>,
}

impl<K> Remembered<K> {
    fn lock(&self) -> MutexGuard<'_, HashMap<K, Nanos>> {
        self.whole_at.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Clone + Eq + Hash> StateStore for Remembered<K> {
    type Key = K;

    fn measure_and_replace<T, F, E>(&self, key: &K, judge: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut whole_at = self.lock();
        let (verdict, at) = judge(whole_at.get(key).copied())?;
        if whole_at.len() >= self.most && !whole_at.contains_key(key) {
            forget_half(&mut whole_at);
        }
        whole_at.insert(key.clone(), at);
        Ok(verdict)
    }
}

fn forget_half<K: Clone + Eq + Hash>(whole_at: &mut HashMap<K, Nanos>) {
    let mut places: Vec<(Nanos, K)> = whole_at.iter().map(|(key, at)| (*at, key.clone())).collect();
    let middle = places.len() / 2;
    places.select_nth_unstable_by_key(middle, |(at, _)| *at);
    for (_, key) in &places[..=middle] {
        whole_at.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn budget(addresses: usize) -> FailureBudget {
        FailureBudget::new(NonZeroU32::new(6).unwrap(), NonZeroU32::new(3).unwrap(), addresses)
    }

    fn address(number: u32) -> Network {
        Network::V4(Ipv4Addr::from_bits(number))
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_is_free_and_the_rest_comes_back_with_time() {
        let budget = budget(10);
        for _ in 0..3 {
            assert_eq!(budget.charge(&address(1)), Ok(()));
        }
        let wait = budget.charge(&address(1)).unwrap_err();
        assert!(wait > Duration::from_secs(9) && wait <= Duration::from_secs(10), "{wait:?}");
        assert_eq!(budget.charge(&address(2)), Ok(()), "another address has its own");
        tokio::time::advance(wait).await;
        assert_eq!(budget.charge(&address(1)), Ok(()));
        assert!(budget.charge(&address(1)).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_remembered_is_bounded_and_the_worst_stay() {
        let budget = budget(10);
        for _ in 0..3 {
            budget.charge(&address(0)).unwrap();
        }
        for number in 1..1_000 {
            budget.charge(&address(number)).unwrap();
            assert!(budget.remembered() <= 10);
        }
        assert!(budget.charge(&address(0)).is_err(), "the one over its rate wasn't forgotten");
    }

    #[tokio::test(start_paused = true)]
    async fn room_for_a_single_address_is_enough() {
        let budget = budget(1);
        for number in 0..5 {
            budget.charge(&address(number)).unwrap();
            assert_eq!(budget.remembered(), 1);
        }
    }
}
