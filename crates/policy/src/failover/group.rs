//! The endpoints of one direction, one of them active.

use std::time::Duration;

use super::health::{Health, Probing, Source, State};
use super::seen::{Answer, Seen, Strike};
use super::settings::{HYSTERESIS_MAX, Settings};
use super::told::{Action, Event, Kept, View, Why};
use crate::Moment;

/// Events that wait for whoever asks for them.
const EVENTS_MAX: usize = 64;

/// The name of a live call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(u64);

#[derive(Debug, Clone, Copy)]
struct Live {
    id: CallId,
    endpoint: usize,
    began: Moment,
    struck: bool,
    /// Its latency says nothing: many records in one request may take their time.
    patient: bool,
}

/// The endpoints of one direction; see the [module](super). Never empty.
#[derive(Debug)]
pub struct Group {
    settings: Settings,
    health: Vec<Health>,
    active: usize,
    since: Moment,
    calls: Vec<Live>,
    called: u64,
    events: Vec<Event>,
}

impl Group {
    /// A group of so many endpoints (at least 1 is assumed), the most preferred of which is active. All are
    /// probed at once.
    #[must_use]
    pub fn new(settings: Settings, endpoints: usize, now: Moment) -> Self {
        Self {
            settings,
            health: (0..endpoints.max(1)).map(|_| Health::new(now)).collect(),
            active: 0,
            since: now,
            calls: Vec::new(),
            called: 0,
            events: Vec::new(),
        }
    }

    /// Goes on where an earlier life ended: a preferred endpoint that was left has to show first that it works.
    #[must_use]
    pub fn restored(settings: Settings, endpoints: usize, kept: &Kept, now: Moment) -> Self {
        let mut group = Self::new(settings, endpoints, now);
        if kept.active < group.health.len() {
            group.active = kept.active;
        }
        for (place, health) in group.health.iter_mut().enumerate() {
            health.level = kept.levels.get(place).copied().unwrap_or(0).min(HYSTERESIS_MAX);
            if place < group.active {
                health.left(settings.strikes);
            }
        }
        group
    }

    /// What is to be kept for the next life.
    #[must_use]
    pub fn kept(&self) -> Kept {
        Kept { active: self.active, levels: self.health.iter().map(|health| health.level).collect() }
    }

    /// The endpoint in use.
    #[must_use]
    pub const fn active(&self) -> usize {
        self.active
    }

    /// Whether the endpoint in use is out of use, as all others are: what goes now is a trial.
    #[must_use]
    pub fn all_open(&self) -> bool {
        self.health.iter().all(Health::is_open)
    }

    /// How each endpoint stands, in order of preference.
    pub fn views(&self) -> impl Iterator<Item = View> + '_ {
        self.health.iter().enumerate().map(|(place, health)| View {
            state: health.state(),
            active: place == self.active,
            strikes: health.strikes(),
            latency: health.latency,
            last_probe: health.last_probe,
        })
    }

    /// Whether something has changed since [`Group::events`] was last asked.
    #[must_use]
    pub const fn has_events(&self) -> bool {
        !self.events.is_empty()
    }

    /// What has changed since it was last asked; of very much the newest.
    pub fn events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// A live call begins; `patient` says that how long it takes says nothing of the endpoint. To be ended by
    /// [`Group::ended`] or [`Group::forgotten`].
    pub fn begin(&mut self, now: Moment, endpoint: usize, patient: bool) -> CallId {
        let id = CallId(self.called);
        self.called += 1;
        self.calls.push(Live { id, endpoint, began: now, struck: false, patient });
        id
    }

    /// A live call has ended. One that was a strike while it was unanswered adds nothing more.
    pub fn ended(&mut self, now: Moment, id: CallId, answer: Answer) {
        let Some(call) = self.call_over(id) else { return };
        let latency = now.since(call.began);
        let weighed = if call.patient { Duration::ZERO } else { latency };
        let seen = Seen::weigh(answer, weighed, &self.settings);
        if matches!(seen, Seen::Good | Seen::Between | Seen::Strike(Strike::Slow))
            && !call.patient
            && let Some(health) = self.health.get_mut(call.endpoint)
        {
            health.latency = Some(latency);
        }
        if !call.struck {
            self.take(now, call.endpoint, Source::Live, seen);
        }
    }

    /// A live call has ended with the endpoint's own word that it is away for so long: a strike like any other
    /// failure, and one more every `recheck` until then, or until a call is answered in time. Its word holds for a
    /// long time at most ([`super::LONG_RECHECKS`]): whoever asks for a year isn't waited for that long.
    pub fn ended_away(&mut self, now: Moment, id: CallId, asked: Duration) {
        let asked = asked.min(self.settings.long());
        let endpoint = self.calls.iter().find(|call| call.id == id).map(|call| call.endpoint);
        if let Some(health) = endpoint.and_then(|endpoint| self.health.get_mut(endpoint)) {
            health.away(now + asked);
        }
        self.ended(now, id, Answer::Failed);
    }

    /// A live call has ended, and says nothing of the endpoint.
    pub fn forgotten(&mut self, id: CallId) {
        self.call_over(id);
    }

    fn call_over(&mut self, id: CallId) -> Option<Live> {
        let place = self.calls.iter().position(|call| call.id == id)?;
        Some(self.calls.swap_remove(place))
    }

    /// A probe that was asked for is sent now. Its time counts from here: what it had to wait for before that is
    /// no fault of the endpoint.
    pub fn probe_begins(&mut self, now: Moment, endpoint: usize) {
        if let Some(probing) = self.health.get_mut(endpoint).and_then(|health| health.probing.as_mut()) {
            probing.began = Some(now);
        }
    }

    /// A probe has ended.
    pub fn probed(&mut self, now: Moment, endpoint: usize, answer: Answer) {
        let settings = self.settings;
        let Some(health) = self.health.get_mut(endpoint) else { return };
        let Some(probing) = health.probing.take() else { return };
        let latency = probing.began.map_or(Duration::ZERO, |began| now.since(began));
        health.last_probe = Some(now);
        if matches!(answer, Answer::Good | Answer::Neutral | Answer::Blocked) {
            health.latency = Some(latency);
        }
        if !probing.struck {
            self.take(now, endpoint, Source::Probe, Seen::weigh(answer, latency, &settings));
        }
        self.schedule(now, endpoint);
    }

    /// A probe couldn't be made, for no fault of the endpoint.
    pub fn probe_skipped(&mut self, now: Moment, endpoint: usize) {
        if let Some(health) = self.health.get_mut(endpoint) {
            health.probing = None;
            self.schedule(now, endpoint);
        }
    }

    /// The next thing to do. To be called after whatever the group was told, until it says to wait.
    pub fn poll(&mut self, now: Moment) -> Action {
        self.notice_unanswered(now);
        for (place, health) in self.health.iter_mut().enumerate() {
            if health.probing.is_none() && health.next_probe <= now {
                health.probing = Some(Probing { began: None, struck: false });
                return Action::Probe(place);
            }
        }
        Action::Wait(self.next(now))
    }

    fn next(&self, now: Moment) -> Moment {
        let slow = self.settings.slow;
        let calls = self.calls.iter().filter(|call| !call.struck && !call.patient);
        let calls = calls.map(|call| {
            let counts = self.health.get(call.endpoint).and_then(Health::counts_from);
            (call.began + slow).max(counts.unwrap_or(Moment::START))
        });
        let health = self.health.iter().filter_map(|health| match health.probing {
            Some(Probing { began: Some(began), struck: false }) => {
                Some((began + slow).max(health.counts_from().unwrap_or(Moment::START)))
            }
            Some(_) => None,
            None => Some(health.next_probe),
        });
        let away = self.health.iter().filter_map(|health| health.away_strike(now, &self.settings));
        calls.chain(health).chain(away).min().unwrap_or(now + self.settings.every)
    }

    /// What is unanswered for longer than `slow` is a strike now, whatever comes of it. Of several together one counts
    /// at a time: who is still unanswered when the next strike may count is the next one. Else the calls of a busy
    /// second, after which no place for a further one is free, would be one strike in all.
    fn notice_unanswered(&mut self, now: Moment) {
        let slow = self.settings.slow;
        let seen = Seen::Strike(Strike::Slow);
        let may_count = |health: &Health| health.counts_from().is_none_or(|from| from <= now);
        for place in 0..self.health.len() {
            let health = self.health.get_mut(place).filter(|health| may_count(health));
            let probing = health.and_then(|health| health.probing.as_mut());
            let late = |probing: &&mut Probing| {
                !probing.struck && probing.began.is_some_and(|began| now.since(began) >= slow)
            };
            if let Some(probing) = probing.filter(late) {
                probing.struck = true;
                self.take(now, place, Source::Probe, seen);
            }
        }
        for place in 0..self.health.len() {
            let due = self.health.get(place).and_then(|health| health.away_strike(now, &self.settings));
            if due.is_some_and(|due| due <= now) {
                self.take(now, place, Source::Live, Seen::Strike(Strike::Failed));
            }
        }
        for place in 0..self.calls.len() {
            let call = self.calls.get_mut(place).filter(|call| !call.struck && !call.patient);
            let counts = |endpoint| self.health.get(endpoint).is_some_and(may_count);
            if let Some(call) = call.filter(|call| now.since(call.began) >= slow && counts(call.endpoint)) {
                call.struck = true;
                let endpoint = call.endpoint;
                self.take(now, endpoint, Source::Live, seen);
            }
        }
    }

    fn schedule(&mut self, now: Moment, endpoint: usize) {
        let (settings, awaited) = (self.settings, endpoint < self.active);
        if let Some(health) = self.health.get_mut(endpoint) {
            health.schedule(now, awaited, &settings);
        }
    }

    fn take(&mut self, now: Moment, endpoint: usize, source: Source, seen: Seen) {
        let settings = self.settings;
        let Some(health) = self.health.get_mut(endpoint) else { return };
        let before = health.state();
        let strike = health.take(now, source, seen, &settings);
        if strike && source == Source::Live {
            health.confirm(now, &settings);
        }
        let state = health.state();
        if before != state {
            self.note(Event::Stands { endpoint, before, now: state });
        }
        if strike && endpoint == self.active {
            self.prepare(now);
        }
        self.choose(now);
    }

    fn note(&mut self, event: Event) {
        if self.events.len() >= EVENTS_MAX {
            self.events.remove(0);
        }
        self.events.push(event);
    }

    /// The active endpoint is in trouble: how the others are is to be known before one of them is needed.
    fn prepare(&mut self, now: Moment) {
        let (active, recheck) = (self.active, self.settings.recheck);
        for (_, health) in self.health.iter_mut().enumerate().filter(|(place, _)| *place != active) {
            if health.last_probe.is_none_or(|last| now.since(last) >= recheck) {
                health.probe_by(now);
            }
        }
    }

    fn choose(&mut self, now: Moment) {
        let Some(active) = self.health.get(self.active) else { return };
        let usable = |health: &&Health| !health.is_open();
        if !active.is_open() {
            let better = self.health.iter().take(self.active).position(|health| {
                usable(&health) && health.good_probes() >= self.settings.patience(health.level)
            });
            if let Some(better) = better {
                self.switch(now, better, Why::Recovered);
            }
            return;
        }
        let in_use = self.health.iter().enumerate().filter(|(_, health)| usable(health));
        // Who has strikes already is the worse choice.
        let next =
            in_use.min_by_key(|(place, health)| (health.strikes() > 0, *place)).map(|(place, _)| place);
        if let Some(next) = next {
            let why = Why::OutOfUse(active.last_strike());
            self.switch(now, next, why);
            return;
        }
        // All are out of use. One whose trials are good is worth more than one whose aren't; but they may
        // take turns at that, so not at once again.
        let dwell =
            |health: &Health| self.settings.recheck.saturating_mul(self.settings.patience(health.level));
        let better = self.health.iter().enumerate().find(|(_, health)| {
            health.state() == State::HalfOpen
                && active.state() == State::Open
                && now.since(self.since) >= dwell(health)
        });
        if let Some((better, _)) = better {
            self.switch(now, better, Why::LeastBad);
        }
    }

    fn switch(&mut self, now: Moment, to: usize, why: Why) {
        let from = std::mem::replace(&mut self.active, to);
        self.since = now;
        self.note(Event::Switched { from, to, why });
    }
}
