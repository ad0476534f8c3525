//! When what is sent: pace, repetition and order, decided without a clock.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How fast new webhooks go out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pace {
    /// Each connection sends the next one as soon as the last is answered (closed loop).
    Saturate,
    /// So many a second over all connections, whatever the answers do (open loop); what is no
    /// rate, such as 0, sets no pace.
    PerSecond(f64),
}

/// What becomes of a webhook that wasn't answered with 200. The bytes stay the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// It is given up.
    Never,
    /// It comes again later while others go on, as Meta does it.
    Later(Backoff),
    /// Its connection sends nothing else until it is acknowledged, so that what one contact
    /// writes is acknowledged in the order of its running numbers.
    InOrder(Backoff),
}

/// How long to wait before a repetition: doubled each time, from `first` to `longest`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// Before the first repetition.
    pub first: Duration,
    /// At most.
    pub longest: Duration,
}

impl Default for Backoff {
    /// Meta's own schedule isn't documented and takes days; this one suits trials.
    fn default() -> Self {
        Self { first: Duration::from_millis(500), longest: Duration::from_secs(30) }
    }
}

impl Backoff {
    /// After so many failed attempts (1 or more).
    fn after(self, attempts: u32) -> Duration {
        let doubled = 1_u32.checked_shl(attempts.saturating_sub(1)).unwrap_or(u32::MAX);
        self.first.saturating_mul(doubled).min(self.longest)
    }
}

/// Webhooks of one connection that wait for their repetition; new ones pause while there are as
/// many.
pub const WAITING_MAX: usize = 1_024;

/// A timer may wake this late: tokio's grain of a millisecond and some scheduling. It is the
/// sender's doing and isn't counted as latency; what goes beyond it is.
const TIMER_GRAIN: Duration = Duration::from_micros(1_500);

/// One connection's plan. `T` is a webhook.
#[derive(Debug)]
pub(crate) struct Schedule<T> {
    retry: Retry,
    /// When the next new one is to go, and the time between two; `None` when there are no more.
    slot: Option<Instant>,
    interval: Option<Duration>,
    /// By due time and number, so that none displaces another.
    waiting: BTreeMap<(Instant, u64), (T, u32)>,
    numbered: u64,
    free_since: Instant,
}

/// What to do now.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step<T> {
    /// Make a new webhook and send it; latency counts from `from`.
    Fresh { from: Instant },
    /// Send this one again, after so many failed attempts.
    Again { webhook: T, attempts: u32, from: Instant },
    /// Nothing to do before then.
    Wait(Instant),
    /// Nothing to do any more.
    Done,
}

impl<T> Schedule<T> {
    /// The plan of connection `number` of `of`, from `start`.
    pub(crate) fn new(pace: Pace, retry: Retry, number: u32, of: u32, start: Instant) -> Self {
        let each = match pace {
            Pace::PerSecond(rate) => Duration::try_from_secs_f64(1.0 / rate).ok(),
            Pace::Saturate => None,
        };
        Self {
            retry,
            slot: Some(start + each.unwrap_or_default().saturating_mul(number)),
            interval: each.map(|each| each.saturating_mul(of)),
            waiting: BTreeMap::new(),
            numbered: 0,
            free_since: start,
        }
    }

    /// When the next repetition is due.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.waiting.first_key_value().map(|((due, _), _)| *due)
    }

    pub(crate) fn next(&mut self, now: Instant) -> Step<T> {
        let due = self.due();
        if due.is_some_and(|due| due <= now)
            && let Some(((due, _), (webhook, attempts))) = self.waiting.pop_first()
        {
            return Step::Again { webhook, attempts, from: self.counted_from(due, now) };
        }
        let room = match self.retry {
            Retry::InOrder(_) => self.waiting.is_empty(),
            Retry::Never | Retry::Later(_) => self.waiting.len() < WAITING_MAX,
        };
        let slot = self.slot.filter(|_| room);
        if let Some(slot) = slot.filter(|slot| *slot <= now) {
            // Without a pace a slot is wherever the connection is free.
            let from = if self.interval.is_some() { self.counted_from(slot, now) } else { now };
            self.slot = self.interval.map_or(Some(now), |interval| slot.checked_add(interval));
            return Step::Fresh { from };
        }
        slot.into_iter().chain(due).min().map_or(Step::Done, Step::Wait)
    }

    /// Where latency starts: at the scheduled time if the connection was still busy then.
    fn counted_from(&self, scheduled: Instant, now: Instant) -> Instant {
        if self.free_since <= scheduled { now.min(scheduled + TIMER_GRAIN) } else { scheduled }
    }

    /// The connection is free again.
    pub(crate) fn finished(&mut self, now: Instant) {
        self.free_since = now;
    }

    /// A webhook failed, by now so many times; gives it back if it isn't to be repeated.
    pub(crate) fn failed(&mut self, webhook: T, attempts: u32, now: Instant) -> Option<T> {
        let (Retry::Later(backoff) | Retry::InOrder(backoff)) = self.retry else { return Some(webhook) };
        self.numbered += 1;
        self.waiting.insert((now + backoff.after(attempts), self.numbered), (webhook, attempts));
        None
    }

    /// No new ones any more.
    pub(crate) fn close(&mut self) {
        self.slot = None;
    }

    /// What still waits.
    pub(crate) fn into_waiting(self) -> impl Iterator<Item = T> {
        self.waiting.into_values().map(|(webhook, _)| webhook)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const BACKOFF: Backoff = Backoff { first: Duration::from_millis(10), longest: Duration::from_millis(35) };

    #[test]
    fn an_open_loop_keeps_its_slots_whatever_the_answers_do() {
        let start = Instant::now();
        // 100 a second over two connections: the second one sends at 10, 30, 50 … ms.
        let mut plan: Schedule<u32> = Schedule::new(Pace::PerSecond(100.0), Retry::Never, 1, 2, start);
        assert_eq!(plan.next(start), Step::Wait(start + 10 * MS));
        // Idle before: the timer's own delay is forgiven, a longer one isn't.
        assert_eq!(plan.next(start + 11 * MS), Step::Fresh { from: start + 11 * MS });
        plan.finished(start + 12 * MS);
        assert_eq!(plan.next(start + 34 * MS), Step::Fresh { from: start + 30 * MS + TIMER_GRAIN });
        // Busy through two slots: both are late by what the server took.
        plan.finished(start + 75 * MS);
        assert_eq!(plan.next(start + 75 * MS), Step::Fresh { from: start + 50 * MS });
        plan.finished(start + 76 * MS);
        assert_eq!(plan.next(start + 76 * MS), Step::Fresh { from: start + 70 * MS });
        plan.finished(start + 77 * MS);
        assert_eq!(plan.next(start + 77 * MS), Step::Wait(start + 90 * MS));
        plan.close();
        assert_eq!(plan.next(start + 900 * MS), Step::Done);
    }

    #[test]
    fn a_closed_loop_sends_whenever_it_is_free() {
        let start = Instant::now();
        let mut plan: Schedule<u32> = Schedule::new(Pace::Saturate, Retry::Never, 3, 8, start);
        for ms in 0..3 {
            assert_eq!(plan.next(start + ms * MS), Step::Fresh { from: start + ms * MS });
            plan.finished(start + ms * MS);
        }
        assert_eq!(plan.failed(7, 1, start), Some(7));
    }

    #[test]
    fn what_failed_comes_again_later_and_others_go_on() {
        let start = Instant::now();
        let mut plan = Schedule::new(Pace::Saturate, Retry::Later(BACKOFF), 0, 1, start);
        assert_eq!(plan.failed('a', 1, start), None);
        assert_eq!(plan.failed('b', 2, start), None);
        assert_eq!(plan.next(start), Step::Fresh { from: start });
        plan.close();
        assert_eq!(plan.next(start), Step::Wait(start + 10 * MS));
        let again = |webhook, attempts, from| Step::Again { webhook, attempts, from };
        assert_eq!(plan.next(start + 10 * MS), again('a', 1, start + 10 * MS));
        assert_eq!(plan.next(start + 20 * MS), again('b', 2, start + 20 * MS));
        assert_eq!(plan.next(start + 20 * MS), Step::Done);
        // Doubled, and bounded.
        plan.failed('c', 3, start);
        assert_eq!(plan.next(start), Step::Wait(start + 35 * MS));
        assert_eq!(BACKOFF.after(u32::MAX), 35 * MS);
    }

    #[test]
    fn in_order_nothing_overtakes_and_too_many_waiting_hold_back_new_ones() {
        let start = Instant::now();
        let mut plan = Schedule::new(Pace::Saturate, Retry::InOrder(BACKOFF), 0, 1, start);
        plan.failed('a', 1, start);
        assert_eq!(plan.next(start), Step::Wait(start + 10 * MS));

        let mut plan = Schedule::new(Pace::Saturate, Retry::Later(BACKOFF), 0, 1, start);
        for _ in 0..WAITING_MAX {
            plan.failed('a', 1, start);
        }
        assert_eq!(plan.next(start), Step::Wait(start + 10 * MS));
        assert_eq!(plan.into_waiting().count(), WAITING_MAX);
    }
}
