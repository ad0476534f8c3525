//! The campaign against the limits, from reset to reset.

use std::collections::VecDeque;

use super::super::batch::free_of_batches;
use super::{Campaign, Counts, DAY_MS, HORIZON_MS, Limit, Terms};

/// What goes in batches has gone so long before the end of its day. So what it takes of a moving limit is free again
/// before the end of the next day, and goes in the batches of that: each place is used once a day.
const LAST_BATCH_MS: i64 = 3_600_000;

/// What one limit has room for.
#[derive(Debug)]
struct Account {
    counts: Counts,
    limit: u64,
    used: u64,
    /// Of a moving limit: what becomes free, and when, in the order of time.
    freed: VecDeque<(i64, u64)>,
}

impl Account {
    fn left(&self) -> u64 {
        self.limit.saturating_sub(self.used)
    }

    /// So many were pushed at that time.
    fn will_free(&mut self, pushed_ms: i64, count: u64) {
        if count > 0 {
            let at = pushed_ms.saturating_add(DAY_MS);
            // What goes in a batch stands there with the last of its day, and others may go before it.
            let place = self.freed.partition_point(|(other, _)| *other <= at);
            self.freed.insert(place, (at, count));
        }
    }

    const fn is_moving(&self) -> bool {
        matches!(self.counts, Counts::Recipients)
    }
}

#[derive(Debug)]
pub(super) struct Ledger<'a> {
    terms: &'a Terms<'a>,
    accounts: Vec<Account>,
    day_ends_ms: i64,
}

impl<'a> Ledger<'a> {
    pub(super) fn new(limits: &[Limit], terms: &'a Terms<'a>) -> Self {
        let accounts = limits.iter().filter_map(|limit| {
            let mut account = Account {
                counts: limit.counts,
                limit: limit.limit?,
                used: limit.used,
                freed: VecDeque::new(),
            };
            if account.is_moving() {
                account.freed.push_back((limit.resets_at_ms, limit.used));
            }
            Some(account)
        });
        Self { terms, accounts: accounts.collect(), day_ends_ms: terms.zone.ends_at(terms.now_ms) }
    }

    /// When the last burst begins and when its last message has gone; `None` past the horizon.
    pub(super) fn play(mut self, campaign: &Campaign) -> Option<(i64, i64)> {
        let (mut now, mut pushed, mut sent) = (self.terms.now_ms, 0, 0);
        let mut gone = now;
        let horizon = now.saturating_add(HORIZON_MS);
        // Customers who may be written to without a push, and those who got theirs.
        let reached = |pushed: u64| pushed.saturating_add(campaign.customers - campaign.pushes());
        while sent < campaign.messages() {
            self.free(now);
            let event = self.next_event();
            let in_time = self.in_time(event.saturating_sub(now));
            let pushes = (campaign.pushes() - pushed).min(self.left(true)).min(in_time);
            // What follows from the pushes so far, and from the open windows.
            let open = reached(pushed + pushes)
                .saturating_mul(campaign.interactions.max(1))
                .min(campaign.messages())
                .saturating_sub(sent + pushes);
            let rest = open.min(self.left(false) - pushes).min(in_time - pushes);
            if pushes + rest == 0 {
                now = event;
                if now >= horizon {
                    return None;
                }
                continue;
            }
            (pushed, sent) = (pushed + pushes, sent + pushes + rest);
            let began = now;
            now = now.saturating_add(self.time_of(pushes + rest)).min(event);
            // An earlier one may go on in batches when the last begins.
            gone = gone.max(self.take(pushes, rest, now));
            if sent == campaign.messages() {
                return Some((began, gone));
            }
        }
        Some((now, now))
    }

    /// Frees what is free at `now`.
    fn free(&mut self, now: i64) {
        let new_day = now >= self.day_ends_ms;
        if new_day {
            self.day_ends_ms = self.terms.zone.ends_at(now);
        }
        for account in &mut self.accounts {
            if !account.is_moving() && new_day {
                account.used = 0;
            }
            while let Some((at, count)) = account.freed.front().copied()
                && at <= now
            {
                account.freed.pop_front();
                account.used = account.used.saturating_sub(count);
            }
        }
    }

    /// When something becomes free.
    fn next_event(&self) -> i64 {
        let freed = self.accounts.iter().filter_map(|account| account.freed.front()).map(|(at, _)| *at);
        freed.fold(self.day_ends_ms, i64::min)
    }

    /// How many messages all limits have room for.
    fn left(&self, push: bool) -> u64 {
        let counted = self.accounts.iter().filter(|account| push || !account.is_moving());
        counted.map(Account::left).min().unwrap_or(u64::MAX)
    }

    /// How many messages go in so many milliseconds.
    fn in_time(&self, ms: i64) -> u64 {
        let count = u128::from(ms.max(0).unsigned_abs()) * u128::from(self.terms.per_second) / 1_000;
        u64::try_from(count).unwrap_or(u64::MAX)
    }

    /// How many milliseconds so many messages take, the first of them at once.
    fn time_of(&self, messages: u64) -> i64 {
        let ms = u128::from(messages) * 1_000 / u128::from(self.terms.per_second.max(1));
        i64::try_from(ms).unwrap_or(i64::MAX)
    }

    /// Takes what goes by `now`, and says when it has gone: by the end of the day if a limit comes so near that
    /// some of it goes in batches. What goes before that goes by `now`, and is free again a day later.
    fn take(&mut self, pushes: u64, rest: u64, now: i64) -> i64 {
        let (mut near, mut before_batches) = (false, u64::MAX);
        for account in &mut self.accounts {
            let count = if account.is_moving() { pushes } else { pushes + rest };
            let free = free_of_batches(account.limit, self.terms.batch_above);
            before_batches = before_batches.min(free.saturating_sub(account.used));
            account.used = account.used.saturating_add(count);
            near |= count > 0 && account.used > free;
        }
        // Pushes go first.
        let at_once = pushes.min(before_batches);
        for account in self.accounts.iter_mut().filter(|account| account.is_moving()) {
            account.will_free(now, at_once);
            account.will_free(self.day_ends_ms.saturating_sub(LAST_BATCH_MS).max(now), pushes - at_once);
        }
        if near { self.day_ends_ms } else { now }
    }
}
