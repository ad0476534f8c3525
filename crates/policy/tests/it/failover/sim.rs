//! Endpoints whose weather changes, a shell that does what the group asks for, and time by the millisecond.

use std::time::Duration;

use wagate_policy::Moment;
use wagate_policy::failover::{Action, Answer, CallId, Event, Group, Kept, Settings, State, Why};

/// A probe is given up after so long (contract, section 2), a call after so long.
const PROBE_TIMEOUT_MS: u64 = 5_000;
const CALL_TIMEOUT_MS: u64 = 30_000;
/// Calls under way at once.
const CALLS_MAX: usize = 8;

/// What an endpoint does with what is asked of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weather {
    /// Answers after so many milliseconds.
    Answers(u64),
    /// Refuses connections.
    Refuses,
    /// Swallows everything.
    Hole,
    /// Answers with 401, 429 or 400 after a moment.
    Turns,
    /// Says that nothing can be sent.
    Blocked,
    /// Answers probes as if all were well, and calls with errors.
    OnlyProbes,
    /// Loses so many of 100, of both.
    Lossy(u64),
}

impl Weather {
    pub(crate) const FINE: Self = Self::Answers(100);

    /// How long until the answer, and which.
    const fn answer(self, timeout: u64) -> (u64, Answer) {
        match self {
            Self::Answers(ms) if ms < timeout => (ms, Answer::Good),
            Self::Answers(_) | Self::Hole => (timeout, Answer::Failed),
            Self::Refuses => (1, Answer::Failed),
            Self::Turns => (50, Answer::Neutral),
            Self::Blocked => (100, Answer::Blocked),
            Self::OnlyProbes | Self::Lossy(_) => (100, Answer::Good),
        }
    }
}

/// When the weather of an endpoint changes, and to what.
pub(crate) type Forecast = Vec<(u64, Weather)>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Switch {
    pub(crate) at: u64,
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) why: Why,
}

pub(crate) struct Sim {
    pub(crate) group: Group,
    forecast: Vec<Forecast>,
    pub(crate) now: u64,
    probes: Vec<(u64, usize, Answer)>,
    calls: Vec<(u64, CallId, Answer)>,
    next_call: u64,
    chance: u64,
    pub(crate) switches: Vec<Switch>,
    pub(crate) opened: Vec<(u64, usize)>,
    /// Probes begun, by endpoint.
    pub(crate) probed: Vec<Vec<u64>>,
}

pub(crate) fn moment(ms: u64) -> Moment {
    Moment::after_start(Duration::from_millis(ms))
}

impl Sim {
    pub(crate) fn new(settings: Settings, forecast: Vec<Forecast>) -> Self {
        let group = Group::new(settings, forecast.len(), moment(0));
        Self::over(group, forecast)
    }

    pub(crate) fn restored(settings: Settings, forecast: Vec<Forecast>, kept: &Kept) -> Self {
        let group = Group::restored(settings, forecast.len(), kept, moment(0));
        Self::over(group, forecast)
    }

    fn over(group: Group, forecast: Vec<Forecast>) -> Self {
        let probed = vec![Vec::new(); forecast.len()];
        Self {
            group,
            forecast,
            now: 0,
            probes: Vec::new(),
            calls: Vec::new(),
            next_call: 0,
            chance: 1,
            switches: Vec::new(),
            opened: Vec::new(),
            probed,
        }
    }

    pub(crate) fn weather(&self, endpoint: usize) -> Weather {
        let past = self.forecast[endpoint].iter().take_while(|(at, _)| *at <= self.now);
        past.last().map_or(Weather::FINE, |(_, weather)| *weather)
    }

    /// Lets time pass until `end`, with a call every so many milliseconds where there is traffic.
    pub(crate) fn run(&mut self, end: u64, traffic: Option<u64>) {
        self.next_call = self.next_call.max(self.now);
        loop {
            let wake = self.act();
            let probes = self.probes.iter().map(|(at, ..)| *at);
            let calls = self.calls.iter().map(|(at, ..)| *at);
            let call = traffic.map(|_| self.next_call);
            let next = probes.chain(calls).chain(call).chain([wake, end]).min().unwrap();
            if next >= end {
                self.now = end;
                self.act();
                return;
            }
            self.now = self.now.max(next);
            self.settle();
            if let Some(every) = traffic.filter(|_| self.next_call <= self.now) {
                self.call();
                self.next_call = self.now + every;
            }
        }
    }

    /// What the group asks for, until it waits; says until when.
    fn act(&mut self) -> u64 {
        loop {
            let action = self.group.poll(moment(self.now));
            self.look();
            match action {
                Action::Probe(endpoint) => {
                    assert!(self.probes.iter().all(|(_, busy, _)| *busy != endpoint), "probed twice at once");
                    self.group.probe_begins(moment(self.now), endpoint);
                    let (after, mut answer) = self.weather(endpoint).answer(PROBE_TIMEOUT_MS);
                    if let Weather::Lossy(percent) = self.weather(endpoint) {
                        answer = self.lossy(percent);
                    }
                    self.probes.push((self.now + after, endpoint, answer));
                    self.probed[endpoint].push(self.now);
                }
                Action::Wait(until) => {
                    let until = u64::try_from(until.since(Moment::START).as_millis()).unwrap();
                    assert!(until > self.now, "waits for what has come: {until} at {}", self.now);
                    return until;
                }
            }
        }
    }

    fn call(&mut self) {
        if self.calls.len() >= CALLS_MAX {
            return;
        }
        let endpoint = self.group.active();
        let id = self.group.begin(moment(self.now), endpoint, false);
        let (after, answer) = self.weather(endpoint).answer(CALL_TIMEOUT_MS);
        let answer = match self.weather(endpoint) {
            Weather::Blocked => Answer::Good,
            Weather::OnlyProbes => Answer::Failed,
            Weather::Lossy(percent) => self.lossy(percent),
            Weather::Answers(_) | Weather::Refuses | Weather::Hole | Weather::Turns => answer,
        };
        self.calls.push((self.now + after, id, answer));
    }

    fn lossy(&mut self, percent: u64) -> Answer {
        // Of Numerical Recipes; the same in every run.
        self.chance =
            self.chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        if (self.chance >> 33) % 100 < percent { Answer::Failed } else { Answer::Good }
    }

    /// What has ended by now.
    fn settle(&mut self) {
        let now = self.now;
        let (ended, left) = std::mem::take(&mut self.probes).into_iter().partition(|(at, ..)| *at <= now);
        self.probes = left;
        for (_, endpoint, answer) in ended {
            self.group.probed(moment(now), endpoint, answer);
            self.look();
        }
        let (ended, left) = std::mem::take(&mut self.calls).into_iter().partition(|(at, ..)| *at <= now);
        self.calls = left;
        for (_, id, answer) in ended {
            self.group.ended(moment(now), id, answer);
            self.look();
        }
    }

    /// What must hold after whatever has happened.
    fn look(&mut self) {
        for event in self.group.events() {
            match event {
                Event::Switched { from, to, why } => {
                    assert_ne!(from, to);
                    self.switches.push(Switch { at: self.now, from, to, why });
                }
                Event::Stands { endpoint, before, now } => {
                    assert_ne!(before, now);
                    if now == State::Open && before != State::HalfOpen {
                        self.opened.push((self.now, endpoint));
                    }
                }
            }
        }
        let views: Vec<_> = self.group.views().collect();
        let active: Vec<usize> = (0..views.len()).filter(|place| views[*place].active).collect();
        assert_eq!(active, [self.group.active()], "never two active, never none");
        let in_use = |state: State| matches!(state, State::Closed | State::Suspect);
        if !in_use(views[active[0]].state) {
            let healthy = views.iter().position(|view| in_use(view.state));
            assert_eq!(healthy, None, "{} ms: one is healthy, and another is used", self.now);
        }
        let replayed = self.switches.iter().fold(None, |at, switch| {
            assert!(at.is_none_or(|at| at == switch.from), "a switch from one that wasn't active");
            Some(switch.to)
        });
        assert!(replayed.is_none_or(|at| at == self.group.active()));
    }
}
