//! The decisions themselves.

use std::time::Duration;

use super::{
    AGAIN_AFTER, Action, BEAT_WITHIN, COMMIT_WITHIN, Child, DOWN_WITHIN, Ended, Event, FOUND_WITHIN, Found,
    GIVEN_UP_WITHIN, GONE_WITHIN, Goal, MEND_AFTER, OPEN_WITHIN, READY_WITHIN, REFUSED, STALLED, STOP_WITHIN,
    Shown, UNREADY_ON_TRIAL, WELL_AFTER, WELL_WITHIN, Word,
};

/// What the one child is doing. Moments are on [`Chain::own`] time; `ready`: it was, once; `asked`: by this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    /// There is none.
    Off,
    /// There is none until then.
    Waits(Duration),
    /// It was started then, or has beaten since (`opens`).
    Starts { sign: Duration, opens: bool },
    /// It is ready.
    Runs { ready: Duration, beat: Duration },
    /// It finishes, since then.
    Stops { since: Duration, ready: bool, asked: bool },
    /// It was killed then.
    Killed { since: Duration, ready: bool, asked: bool },
}

/// See the module.
#[derive(Debug)]
pub(in super::super) struct Chain {
    /// The last moment, since this process was started.
    now: Duration,
    /// Time that passed while this process was stopped itself; nobody is blamed for it.
    stalled: Duration,
    found: Option<Found>,
    searching: bool,
    child: Child,
    life: Life,
    /// The version that runs has to commit until then.
    commit_by: Option<Duration>,
    /// However long it opens its store.
    commit_at_last: Option<Duration>,
    /// Since when the version is being given up.
    giving_up: Option<Duration>,
    /// Gateways that ended before they were ready.
    unready: u32,
    /// Children that failed in a row.
    failures: u32,
    refused: bool,
    /// The last beat before a hang that isn't mended yet.
    ill_since: Option<Duration>,
    /// Time in which gateways that didn't get ready have beaten.
    opened: Duration,
    /// Where to, and since when.
    goal: Option<(Goal, Duration)>,
    gone: bool,
    shown: Option<Shown>,
}

impl Chain {
    /// At the start of this process; `commit_by`: the version is on trial, and has to commit until then.
    pub(in super::super) const fn new(commit_by: Option<Duration>) -> Self {
        let commit_at_last = match commit_by {
            Some(commit_by) => Some(commit_by.saturating_add(OPEN_WITHIN)),
            None => None,
        };
        Self {
            now: Duration::ZERO,
            stalled: Duration::ZERO,
            found: None,
            searching: true,
            child: Child::Gateway,
            life: Life::Off,
            commit_by,
            commit_at_last,
            giving_up: None,
            unready: 0,
            failures: 0,
            refused: false,
            ill_since: None,
            opened: Duration::ZERO,
            goal: None,
            gone: false,
            shown: None,
        }
    }

    /// Whether the watchdog is to be fed now.
    pub(in super::super) fn feeds(&self) -> bool {
        self.goal.is_none_or(|(_, since)| self.now - since < DOWN_WITHIN)
    }

    /// Takes in what has happened at `now` (since the start; a step back counts as none), and says what is to be
    /// done, in this order.
    pub(in super::super) fn on(&mut self, now: Duration, event: Event) -> Vec<Action> {
        let passed = now.saturating_sub(self.now);
        self.now = self.now.max(now);
        if passed >= STALLED {
            self.stalled += passed;
        }
        let mut actions = Vec::new();
        self.take(event, &mut actions);
        if self.goal.is_none() {
            self.judge(&mut actions);
        }
        if self.goal.is_none() {
            self.move_on(&mut actions);
        } else {
            self.go_down(&mut actions);
        }
        let shown = self.show();
        if self.shown != Some(shown) {
            self.shown = Some(shown);
            actions.push(Action::Show(shown));
        }
        actions
    }

    /// Time without that in which this process was stopped.
    fn own(&self) -> Duration {
        self.now - self.stalled
    }

    fn take(&mut self, event: Event, actions: &mut Vec<Action>) {
        match event {
            Event::Tick => {}
            Event::Found(found) => {
                self.searching = false;
                self.refused = false;
                self.failures = 0;
                self.found = Some(found);
                // Whoever runs goes by what was there before.
                self.terminate(actions);
            }
            Event::Ended(ended) => self.ended(ended, actions),
            Event::NotStarted => self.failed(false, actions),
            Event::Said(word) if self.child == Child::Gateway => self.heard(word),
            Event::Said(_) => {}
            Event::Committed | Event::Stays => {
                self.commit_by = None;
                self.giving_up = None;
            }
            Event::CannotGiveUp => self.cannot_give_up(),
            Event::GivenUp => self.stop(Goal::Reboot, actions),
            Event::DataLost => self.mend(actions),
            Event::Stop(goal) => self.stop(goal, actions),
        }
    }

    /// A version that works isn't taken down because a mark can't be written, so its trial begins once more. One that
    /// doesn't goes down as if there had been no answer: the boot loader counts its starts.
    fn cannot_give_up(&mut self) {
        if matches!(self.life, Life::Runs { .. }) {
            self.giving_up = None;
            self.unready = 0;
            self.commit_by = self.commit_by.map(|_| self.now + COMMIT_WITHIN);
            self.commit_at_last = self.commit_by.map(|by| by + OPEN_WITHIN);
        }
    }

    fn heard(&mut self, word: Word) {
        let own = self.own();
        if word == Word::Beat && matches!(self.life, Life::Runs { .. }) {
            self.ill_since = None;
            self.opened = Duration::ZERO;
        }
        self.life = match (word, self.life) {
            (Word::Ready, Life::Starts { .. }) => {
                self.refused = false;
                Life::Runs { ready: own, beat: own }
            }
            (Word::Beat, Life::Starts { sign, .. }) if self.may_open(own - sign) => {
                Life::Starts { sign: own, opens: true }
            }
            (Word::Beat, Life::Runs { ready, .. }) => {
                if own - ready >= WELL_AFTER {
                    self.failures = 0;
                }
                Life::Runs { ready, beat: own }
            }
            (Word::Stopping, Life::Starts { .. }) => Life::Stops { since: own, ready: false, asked: false },
            (Word::Stopping, Life::Runs { .. }) => Life::Stops { since: own, ready: true, asked: false },
            (_, life) => life,
        };
    }

    /// Whether a start may take `more` time, which the version on trial is given back then.
    fn may_open(&mut self, more: Duration) -> bool {
        if self.opened + more > OPEN_WITHIN {
            return false;
        }
        self.opened += more;
        self.commit_by = self.commit_by.map(|by| (by + more).min(self.commit_at_last.unwrap_or(by)));
        true
    }

    fn ended(&mut self, ended: Ended, actions: &mut Vec<Action>) {
        let (hung, ready, asked) = match self.life {
            Life::Off | Life::Waits(_) => return,
            Life::Starts { .. } => (false, false, false),
            Life::Runs { .. } => (false, true, false),
            Life::Stops { ready, asked, .. } => (false, ready, asked),
            Life::Killed { ready, asked, .. } => (true, ready, asked),
        };
        if !hung {
            // It has said why, or was asked to: whatever it was, it didn't hang.
            self.ill_since = None;
            self.opened = Duration::ZERO;
        }
        if asked {
            self.life = Life::Off;
            return;
        }
        self.refused = self.child == Child::Gateway && ended == REFUSED;
        self.failed(ready, actions);
    }

    fn failed(&mut self, ready: bool, actions: &mut Vec<Action>) {
        if self.child == Child::Gateway && !ready {
            self.unready = self.unready.saturating_add(1);
        }
        let (first, last) = AGAIN_AFTER;
        let doubled = first.saturating_mul(1 << self.failures.min(16)).min(last);
        self.failures = self.failures.saturating_add(1);
        self.life = Life::Waits(self.own() + if self.refused { last } else { doubled });
        actions.push(Action::Remember("a process ended that nobody had asked to"));
    }

    /// Whether the version, or the machine, has to be given up.
    fn judge(&mut self, actions: &mut Vec<Action>) {
        if let Some(commit_by) = self.commit_by
            && self.giving_up.is_none()
        {
            let why = if self.now >= commit_by {
                Some("the version on trial didn't commit in time")
            } else if self.unready >= UNREADY_ON_TRIAL {
                Some("the gateway of the version on trial doesn't start")
            } else {
                None
            };
            if let Some(why) = why {
                self.giving_up = Some(self.now);
                actions.push(Action::GiveUp(why));
            }
        }
        if self.giving_up.is_some_and(|since| self.now - since >= GIVEN_UP_WITHIN) {
            actions.push(Action::Remember(
                "the version can't be given up, the disk hangs: the machine starts anew",
            ));
            self.stop(Goal::Reboot, actions);
        }
        let own = self.own();
        let runs = match self.life {
            Life::Runs { beat, .. } => own - beat < BEAT_WITHIN,
            Life::Starts { sign, opens } => opens && own - sign < READY_WITHIN,
            Life::Off | Life::Waits(_) | Life::Stops { .. } | Life::Killed { .. } => false,
        };
        let ill = !runs && self.ill_since.is_some_and(|since| own - since >= WELL_WITHIN);
        // Of a gateway that had said that it ends, or was asked to: nothing was wrong with it until it didn't go.
        let stays = matches!(self.life, Life::Killed { since, .. } if own - since >= WELL_WITHIN);
        if self.giving_up.is_none() && (ill || stays) {
            actions.push(Action::Remember(if ill {
                "the gateway hangs, and a new one did, too: the machine starts anew"
            } else {
                "a process doesn't go, though it was killed: the machine starts anew"
            }));
            self.stop(Goal::Reboot, actions);
        }
    }

    fn move_on(&mut self, actions: &mut Vec<Action>) {
        if self.searching && self.now >= FOUND_WITHIN {
            self.searching = false;
            actions.push(Action::SearchNoMore);
        }
        let own = self.own();
        let gateway = self.child == Child::Gateway;
        match self.life {
            Life::Off => self.start(actions),
            Life::Waits(until) if own >= until => self.start(actions),
            Life::Starts { sign, .. } if gateway && own - sign >= READY_WITHIN => {
                self.hangs(sign, false, actions);
            }
            Life::Runs { beat, .. } if own - beat >= BEAT_WITHIN => self.hangs(beat, true, actions),
            Life::Stops { since, ready, asked } if own - since >= STOP_WITHIN => {
                self.kill(ready, asked, actions);
            }
            Life::Waits(_)
            | Life::Starts { .. }
            | Life::Runs { .. }
            | Life::Stops { .. }
            | Life::Killed { .. } => {}
        }
    }

    fn go_down(&mut self, actions: &mut Vec<Action>) {
        let own = self.own();
        match self.life {
            Life::Stops { since, ready, asked } if own - since >= STOP_WITHIN => {
                self.kill(ready, asked, actions);
            }
            Life::Killed { since, .. } if own - since < GONE_WITHIN => {}
            Life::Starts { .. } | Life::Runs { .. } | Life::Stops { .. } => {}
            Life::Off | Life::Waits(_) | Life::Killed { .. } => {
                if let (false, Some((goal, _))) = (self.gone, self.goal) {
                    self.gone = true;
                    actions.push(Action::Go(goal));
                }
            }
        }
    }

    fn start(&mut self, actions: &mut Vec<Action>) {
        let wanted = match self.found {
            Some(Found::Configuration) => Child::Gateway,
            Some(Found::Nothing) => Child::Setup,
            Some(Found::NoData) | None => {
                self.life = Life::Off;
                return;
            }
        };
        self.child = wanted;
        self.life = Life::Starts { sign: self.own(), opens: false };
        actions.push(Action::Start(wanted));
    }

    fn hangs(&mut self, since: Duration, ready: bool, actions: &mut Vec<Action>) {
        self.ill_since.get_or_insert(since);
        self.kill(ready, false, actions);
    }

    fn kill(&mut self, ready: bool, asked: bool, actions: &mut Vec<Action>) {
        self.life = Life::Killed { since: self.own(), ready, asked };
        actions.push(Action::Kill);
    }

    /// Asks the child to go, if there is one. A gateway that is asked twice leaves without finishing.
    fn terminate(&mut self, actions: &mut Vec<Action>) {
        let since = self.own();
        self.life = match self.life {
            Life::Off | Life::Waits(_) => Life::Off,
            Life::Starts { .. } => {
                actions.push(Action::Terminate);
                Life::Stops { since, ready: false, asked: true }
            }
            Life::Runs { .. } => {
                actions.push(Action::Terminate);
                Life::Stops { since, ready: true, asked: true }
            }
            Life::Stops { since, ready, .. } => Life::Stops { since, ready, asked: true },
            Life::Killed { since, ready, .. } => Life::Killed { since, ready, asked: true },
        };
    }

    fn stop(&mut self, goal: Goal, actions: &mut Vec<Action>) {
        if self.goal.is_none() {
            self.goal = Some((goal, self.now));
            self.terminate(actions);
        }
    }

    /// Has the data's file system checked, which is done at the start of the machine.
    fn mend(&mut self, actions: &mut Vec<Action>) {
        if self.now >= MEND_AFTER && self.goal.is_none() {
            actions
                .push(Action::Remember("nothing can be kept: the machine starts anew, and checks the data"));
            self.stop(Goal::Reboot, actions);
        }
    }

    fn show(&self) -> Shown {
        if self.goal.is_some() {
            return Shown::Stopping;
        }
        if self.giving_up.is_some() {
            return Shown::GivingUp;
        }
        match self.found {
            None => Shown::Starting,
            Some(Found::NoData) => Shown::NoData,
            Some(Found::Nothing) => Shown::Setup,
            Some(Found::Configuration) if self.refused => Shown::Refused,
            Some(Found::Configuration) => match self.life {
                Life::Runs { .. } if self.child == Child::Gateway => Shown::Running,
                _ if self.failures > 0 || self.ill_since.is_some() => Shown::Failing,
                Life::Off
                | Life::Waits(_)
                | Life::Starts { .. }
                | Life::Runs { .. }
                | Life::Stops { .. }
                | Life::Killed { .. } => Shown::Starting,
            },
        }
    }
}
