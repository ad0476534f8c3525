//! One endpoint: its breaker, and when it is probed.

use std::time::Duration;

use super::row::Row;
use super::seen::{Seen, Strike};
use super::settings::{CONFIRM_AFTER, HYSTERESIS_MAX, STRIKES_APART, Settings};
use crate::Moment;

/// How an endpoint stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Healthy.
    Closed,
    /// In use, with strikes against it.
    Suspect,
    /// Out of use.
    Open,
    /// Out of use, and its last trials were good.
    HalfOpen,
}

impl State {
    /// The word of the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Suspect => "suspect",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }
}

/// Who has seen it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    Live,
    Probe,
}

/// A probe under way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Probing {
    /// When it was sent; nothing while it waits for its turn.
    pub(super) began: Option<Moment>,
    /// It has been counted as a strike already.
    pub(super) struck: bool,
}

/// What is known of one endpoint.
#[derive(Debug, Clone)]
pub(super) struct Health {
    open: bool,
    live: Row,
    probe: Row,
    last_strike: Option<(Moment, Strike)>,
    /// When a call last ended, or was struck.
    last_call: Option<Moment>,
    /// When the breaker last closed again; `None` where it never opened.
    closed_at: Option<Moment>,
    /// The endpoint itself has said that it is away until then.
    away_until: Option<Moment>,
    /// Strikes were seen, and not yet `recover` probes in time since.
    unsettled: bool,
    /// The last probe was answered with a word about us.
    neutral: bool,
    pub(super) latency: Option<Duration>,
    pub(super) last_probe: Option<Moment>,
    pub(super) probing: Option<Probing>,
    pub(super) next_probe: Moment,
    /// How often the breaker opened soon after it had closed: closing it takes twice as many good probes each time.
    pub(super) level: u32,
}

impl Health {
    pub(super) fn new(now: Moment) -> Self {
        Self {
            open: false,
            live: Row::default(),
            probe: Row::default(),
            last_strike: None,
            last_call: None,
            closed_at: None,
            away_until: None,
            unsettled: false,
            neutral: false,
            latency: None,
            last_probe: None,
            probing: None,
            next_probe: now,
            level: 0,
        }
    }

    /// One that was left in an earlier life: it has to show that it works.
    pub(super) const fn left(&mut self, strikes: u32) {
        self.open = true;
        self.unsettled = true;
        self.probe.strikes = strikes;
    }

    pub(super) const fn is_open(&self) -> bool {
        self.open
    }

    pub(super) const fn strikes(&self) -> u32 {
        self.live.strikes.saturating_add(self.probe.strikes)
    }

    /// Good probes in a row.
    pub(super) const fn good_probes(&self) -> u32 {
        self.probe.good
    }

    pub(super) const fn state(&self) -> State {
        match (self.open, self.strikes()) {
            (true, _) if self.probe.good > 0 || self.live.good > 0 => State::HalfOpen,
            (true, _) => State::Open,
            (false, 0) => State::Closed,
            (false, _) => State::Suspect,
        }
    }

    /// What opened the breaker, or was held against it last.
    pub(super) fn last_strike(&self) -> Strike {
        self.last_strike.map_or(Strike::Failed, |(_, strike)| strike)
    }

    /// Takes in what was seen; true if it was a strike, counted or not.
    pub(super) fn take(&mut self, now: Moment, source: Source, seen: Seen, settings: &Settings) -> bool {
        let strike = if let Seen::Strike(strike) = seen { Some(strike) } else { None };
        // What is out of use has no more to lose.
        let counts = strike.is_some_and(|strike| self.counts(now, strike)) && !self.open;
        match source {
            Source::Live => {
                self.last_call = Some(now);
                self.live.take(seen, counts);
                if self.live.calm > 0 {
                    self.away_until = None;
                }
                if self.live.calm >= settings.recover {
                    // Calls get through: what probes saw was no outage either.
                    (self.live.strikes, self.probe.strikes) = (0, 0);
                }
            }
            Source::Probe => {
                self.probe.take(seen, counts);
                self.neutral = seen == Seen::Neutral;
                if self.probe.calm > 0 {
                    self.probe.strikes = 0;
                }
                if self.probe.calm >= settings.recover {
                    self.unsettled = false;
                    self.forget_old(now, settings);
                }
            }
        }
        self.unsettled |= strike.is_some();
        if !self.open && self.strikes() >= settings.strikes {
            self.opens(now, settings);
        }
        if self.open && self.is_well(now, settings) {
            self.open = false;
            self.closed_at = Some(now);
            (self.live.strikes, self.probe.strikes) = (0, 0);
        }
        strike.is_some()
    }

    /// The breaker opens. Soon after it had closed that costs patience; for each long time in between, some is given
    /// back. It is the opening that counts, whatever was seen: an endpoint whose probes are good while its calls
    /// fail is closed by probes and opened by calls, and would otherwise go on so for ever.
    fn opens(&mut self, now: Moment, settings: &Settings) {
        self.open = true;
        if let Some(closed_at) = self.closed_at {
            let forgiven = settings.forgiven(self.level, now.since(closed_at));
            self.level = match forgiven {
                0 => (self.level + 1).min(HYSTERESIS_MAX),
                forgiven => self.level.saturating_sub(forgiven),
            };
        }
        // What was good before speaks for it no more.
        (self.live.good, self.live.calm) = (0, 0);
        (self.probe.good, self.probe.calm) = (0, 0);
    }

    /// Calls that are answered in time are proof, whatever their number was before; probes are as much of one as the
    /// endpoint deserves, unless it has said itself that it is away.
    fn is_well(&self, now: Moment, settings: &Settings) -> bool {
        self.live.calm >= settings.recover
            || (self.probe.good >= settings.patience(self.level) && !self.is_away(now))
    }

    /// The endpoint says that it is away for so long.
    pub(super) fn away(&mut self, until: Moment) {
        self.away_until = Some(until);
    }

    fn is_away(&self, now: Moment) -> bool {
        self.away_until.is_some_and(|until| now < until)
    }

    /// When the next strike is due of an endpoint in use that is away by its own word: nobody asks it meanwhile, so
    /// nobody else would find out how long that lasts.
    pub(super) fn away_strike(&self, now: Moment, settings: &Settings) -> Option<Moment> {
        let (last, _) = self.last_strike.filter(|_| !self.open && self.is_away(now))?;
        Some(last + settings.recheck.max(STRIKES_APART))
    }

    /// From when on a further strike counts; at once where there was none.
    pub(super) fn counts_from(&self) -> Option<Moment> {
        self.last_strike.map(|(at, _)| at + STRIKES_APART)
    }

    fn counts(&mut self, now: Moment, strike: Strike) -> bool {
        if self.counts_from().is_some_and(|from| now < from) {
            return false;
        }
        self.last_strike = Some((now, strike));
        true
    }

    /// Strikes of calls are taken back by calls. Where there are none for long, time does it.
    fn forget_old(&mut self, now: Moment, settings: &Settings) {
        if self.last_call.is_some_and(|at| now.since(at) >= settings.long()) {
            self.live.strikes = 0;
        }
    }

    /// A probe has ended, or couldn't be made: says when the next one is due.
    pub(super) fn schedule(&mut self, now: Moment, awaited: bool, settings: &Settings) {
        let wait = match self.open || awaited || self.unsettled {
            true if self.neutral => settings.neutral(),
            true => settings.recheck,
            false => settings.every,
        };
        self.next_probe = now + wait;
    }

    /// A probe is due soon, or sooner than it is.
    pub(super) fn probe_by(&mut self, at: Moment) {
        self.next_probe = self.next_probe.min(at);
    }

    /// A call has seen trouble: whether it is the endpoint is to be known soon.
    pub(super) fn confirm(&mut self, now: Moment, settings: &Settings) {
        // Of one that is out of use it is known.
        if !self.open {
            self.probe_by(now + CONFIRM_AFTER.min(settings.recheck));
        }
    }
}
