//! How much of the processor strangers' handshakes may take.

use std::future::Future;
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep};

/// Of the time of the thread that serves a listener, strangers' handshakes get one part in this many. A signature takes
/// 0.1 ms on one machine and 15 on another, so they are counted by time and not by number.
const SHARE: u32 = 4;
/// Time that nobody used and that is there for those who come together: a few dozen handshakes.
const SAVED: Duration = Duration::from_millis(100);
/// So much of one go counts at most. The dearest signature (RSA, 4,096 bits) takes half of it on a small processor; what
/// takes longer was held up by something else, and isn't the strangers' to pay for.
const WORK_MAX: Duration = Duration::from_millis(500);

/// The turns of a listener's strangers.
#[derive(Debug)]
pub(crate) struct Turns {
    next: Mutex<Next>,
    /// One waits for its turn, the others for that one, in the order in which they came.
    first: Semaphore,
    waiting: Gauge,
}

impl Turns {
    /// `waiting` shows how many wait for a turn.
    pub(crate) fn new(waiting: Gauge) -> Self {
        Self { next: Mutex::new(Next(Instant::now())), first: Semaphore::new(1), waiting }
    }

    /// Waits for a turn.
    pub(crate) async fn wait(&self) {
        let _waiting = Waiting::new(&self.waiting);
        // Fails only on a closed semaphore, and this one is never closed.
        let _first = self.first.acquire().await;
        loop {
            let left = self.next().wait(Instant::now());
            if left.is_zero() {
                return;
            }
            sleep(left).await;
        }
    }

    /// Carries `work` to its end, and counts the time that it takes (not that for which it waits).
    pub(crate) async fn timed<F: Future>(&self, work: F) -> F::Output {
        let mut work = pin!(work);
        std::future::poll_fn(|context| {
            let begun = Instant::now();
            let polled: Poll<F::Output> = work.as_mut().poll(context);
            let now = Instant::now();
            self.next().took(now.saturating_duration_since(begun).min(WORK_MAX), now);
            polled
        })
        .await
    }

    fn next(&self) -> MutexGuard<'_, Next> {
        self.next.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// When the time that was taken is paid for: that of the next turn.
#[derive(Debug, Clone, Copy)]
struct Next(Instant);

impl Next {
    fn wait(self, now: Instant) -> Duration {
        self.0.saturating_duration_since(now)
    }

    fn took(&mut self, time: Duration, now: Instant) {
        let earliest = now.checked_sub(SAVED).unwrap_or(now);
        self.0 = self.0.max(earliest) + time * SHARE;
    }
}

struct Waiting<'a>(&'a Gauge);

impl<'a> Waiting<'a> {
    fn new(gauge: &'a Gauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_quarter_of_the_time_is_theirs_and_some_of_it_is_saved() {
        let start = Instant::now();
        let mut next = Next(start);
        let later = start + Duration::from_secs(10);
        // A burst of as much as was saved, a quarter of which is work.
        for done in 1..=25 {
            assert_eq!(next.wait(later), Duration::ZERO, "{done}");
            next.took(MS, later);
        }
        next.took(MS, later);
        assert_eq!(next.wait(later), 4 * MS);
        assert_eq!(next.wait(later + 3 * MS), MS);
        assert_eq!(next.wait(later + 4 * MS), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn one_after_the_other_in_the_order_in_which_they_came() {
        let gauge = Gauge::default();
        let turns = std::sync::Arc::new(Turns::new(gauge.clone()));
        // As if one handshake had taken a second.
        let now = Instant::now();
        turns.next().took(Duration::from_secs(1), now);
        let order = std::sync::Arc::new(Mutex::new(Vec::new()));
        let mut waiting = tokio::task::JoinSet::new();
        for number in 0..3 {
            let (turns, order) = (turns.clone(), order.clone());
            waiting.spawn(async move {
                turns.wait().await;
                order.lock().unwrap().push((number, Instant::now().saturating_duration_since(now)));
                turns.next().took(Duration::from_millis(50), Instant::now());
            });
            tokio::task::yield_now().await;
        }
        assert_eq!(gauge.get(), 3);
        waiting.join_all().await;
        assert_eq!(gauge.get(), 0);
        let order = order.lock().unwrap().clone();
        assert_eq!(order.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [0, 1, 2]);
        assert!(
            order[0].1 >= Duration::from_millis(3_900) && order[2].1 >= Duration::from_millis(4_300),
            "{order:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn who_gives_up_leaves_its_place_to_the_next() {
        let turns = Turns::new(Gauge::default());
        turns.next().took(Duration::from_secs(1), Instant::now());
        let given_up = tokio::time::timeout(MS, turns.wait()).await;
        assert!(given_up.is_err() && turns.waiting.get() == 0);
        assert!(tokio::time::timeout(Duration::from_secs(5), turns.wait()).await.is_ok());
    }
}
