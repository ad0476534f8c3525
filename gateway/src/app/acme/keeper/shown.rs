//! How the certificate stands, told to those who watch.

use std::time::Duration;

use model::WallTime;

use super::super::status::{State, Status};
use super::Keeper;
use crate::clock;

impl Keeper {
    /// Tells it; `on_its_way`: an attempt is.
    pub(super) fn publish(&self, on_its_way: bool) {
        let (wall, now) = (clock::now(), self.now());
        // What failed when something was due, as by a clock that was wrong then, is nobody's trouble while nothing is.
        let rests = !on_its_way && self.due().is_some_and(|left| !left.is_zero());
        if rests {
            self.metrics.failing.set(0);
        }
        let failures = if rests { 0 } else { self.pace.failures() };
        let state = match (&self.held, on_its_way, failures) {
            (None, false, 1..) => State::Missing,
            (None, ..) => State::Getting,
            (Some(_), true, _) => State::Renewing,
            (Some(_), false, 0) => State::Valid,
            (Some(_), false, _) => State::Failing,
        };
        let at = |wait: Duration| WallTime(wall.0.saturating_add(ms(wait))).rfc3339_seconds();
        let next_attempt = self.pace.earliest().filter(|_| self.due().is_none_or(|left| left.is_zero()));
        let [words, next] = match self.renewal.last_error.as_ref().filter(|_| !rests) {
            Some([words, next]) => [Some(words.clone()), Some(next.clone())],
            None => [None, None],
        };
        self.status.send_replace(Status {
            names: self.tools.wanted.names.clone(),
            directory: self.tools.wanted.directory.clone(),
            account: self.account.clone(),
            state,
            renews_at: self.due().map(at),
            by_advice: self.renewal.choice.is_some(),
            next_attempt_at: next_attempt.map(|earliest| at(earliest.since(now))),
            failures,
            last_error: words,
            next,
            wanting: failures > 0
                && self.held.as_ref().is_none_or(|held| held.certificate.wanted != self.tools.wanted),
            ends: self.held.as_ref().map(|held| held.life.ends),
            urgency: self.held.as_ref().map(|held| held.life.urgency(self.age(held))),
        });
    }
}

fn ms(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}
