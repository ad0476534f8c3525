//! Histories, each second of them.

mod cases;
mod properties;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// How a gateway behaves from its start on; seconds since then.
#[derive(Debug, Clone, Copy)]
enum Manner {
    /// Ready after so long, and beats.
    Good(u64),
    /// Ready after so long, and never beats.
    Deaf(u64),
    /// Ready after so long, beats for so long, and never again.
    Stuck(u64, u64),
    /// Never even gets ready.
    Mute,
    /// Beats for so long without being ready; then it is, or goes on so for ever.
    Opens(u64, bool),
    /// Leaves after so long with this status; ready in between, or not.
    Leaves(u64, i32, bool),
}

/// The world around the chain: it does what it is told.
struct World {
    chain: Chain,
    now: u64,
    /// The child that runs, since when, and how it behaves.
    child: Option<(Child, u64, Manner)>,
    /// How the next one behaves.
    manner: Manner,
    /// A process that hangs in the kernel: nothing ends it.
    immortal: bool,
    /// It doesn't end when asked.
    stubborn: bool,
    /// Whether the slot can be given up.
    can_give_up: bool,
    /// Whether nobody says so or otherwise.
    give_up_hangs: bool,
    /// Whether it can't be written down.
    disk_refuses: bool,
    asked_to_give_up: Vec<u64>,
    starts: Vec<u64>,
    kills: Vec<u64>,
    given_up: Option<u64>,
    gone: Option<(Goal, u64)>,
    shown: Vec<Shown>,
    starved: Option<u64>,
    searched: bool,
    /// What has happened and isn't taken in yet.
    queue: std::collections::VecDeque<Event>,
}

impl World {
    fn new(manner: Manner, commit_within: Option<u64>) -> Self {
        Self {
            chain: Chain::new(commit_within.map(Duration::from_secs)),
            now: 0,
            child: None,
            manner,
            immortal: false,
            stubborn: false,
            can_give_up: true,
            give_up_hangs: false,
            disk_refuses: false,
            asked_to_give_up: vec![],
            starts: vec![],
            kills: vec![],
            given_up: None,
            gone: None,
            shown: vec![],
            starved: None,
            searched: false,
            queue: std::collections::VecDeque::new(),
        }
    }

    fn configured(manner: Manner, commit_within: Option<u64>) -> Self {
        let mut world = Self::new(manner, commit_within);
        world.event(Event::Found(Found::Configuration));
        world
    }

    fn event(&mut self, event: Event) {
        self.queue.push_back(event);
        while let Some(event) = self.queue.pop_front() {
            self.take(event);
        }
        if !self.chain.feeds() {
            self.starved.get_or_insert(self.now);
        }
    }

    fn take(&mut self, event: Event) {
        let actions = self.chain.on(Duration::from_secs(self.now), event);
        for action in actions {
            match action {
                Action::Start(child) => {
                    assert!(self.child.is_none(), "two children at {}", self.now);
                    assert!(self.gone.is_none());
                    self.child = Some((child, self.now, self.manner));
                    self.starts.push(self.now);
                }
                Action::Terminate => {
                    assert!(self.child.is_some());
                    if !self.stubborn && !self.immortal {
                        self.child = None;
                        self.queue.push_back(Event::Ended(Ended::Status(0)));
                    }
                }
                Action::Kill => {
                    assert!(self.child.is_some());
                    self.kills.push(self.now);
                    if !self.immortal {
                        self.child = None;
                        self.queue.push_back(Event::Ended(Ended::Signal(9)));
                    }
                }
                Action::GiveUp(_) => {
                    assert!(self.given_up.is_none(), "given up twice");
                    if self.give_up_hangs {
                        continue;
                    }
                    self.asked_to_give_up.push(self.now);
                    if self.disk_refuses {
                        self.queue.push_back(Event::CannotGiveUp);
                    } else if self.can_give_up {
                        self.given_up = Some(self.now);
                        self.queue.push_back(Event::GivenUp);
                    } else {
                        self.queue.push_back(Event::Stays);
                    }
                }
                Action::SearchNoMore => {
                    assert!(!std::mem::replace(&mut self.searched, true));
                    self.queue.push_back(Event::Found(Found::Configuration));
                }
                Action::Show(shown) => self.shown.push(shown),
                Action::Remember(_) => {}
                Action::Go(goal) => {
                    assert!(self.gone.is_none());
                    self.gone = Some((goal, self.now));
                }
            }
        }
    }

    fn second(&mut self) {
        self.now += 1;
        if let Some((Child::Gateway, since, manner)) = self.child {
            let age = self.now - since;
            let (ready, beats, leaves) = match manner {
                Manner::Good(ready) => (Some(ready), u64::MAX, None),
                Manner::Deaf(ready) => (Some(ready), 0, None),
                Manner::Stuck(ready, beats) => (Some(ready), ready + beats, None),
                Manner::Mute => (None, 0, None),
                Manner::Opens(opened, ready) => (ready.then_some(opened), u64::MAX, None),
                Manner::Leaves(after, status, ready) => {
                    (ready.then_some(after / 2), u64::MAX, Some((after, status)))
                }
            };
            if ready == Some(age) {
                self.event(Event::Said(Word::Ready));
            }
            if let Manner::Opens(opened, ready) = manner
                && (!ready || age < opened)
                && age.is_multiple_of(20)
            {
                self.event(Event::Said(Word::Beat));
            }
            if ready.is_some_and(|ready| age > ready && age <= beats && (age - ready).is_multiple_of(20)) {
                self.event(Event::Said(Word::Beat));
            }
            if let Some((after, status)) = leaves
                && age >= after
                && self.child.is_some()
            {
                self.child = None;
                self.event(Event::Ended(Ended::Status(status)));
            }
        }
        self.event(Event::Tick);
    }

    fn run(&mut self, seconds: u64) -> &mut Self {
        for _ in 0..seconds {
            self.second();
        }
        self
    }
}

#[test]
fn the_limits_fit_together() {
    assert!(STALLED > 5 * SECOND, "a tick is a second");
    assert!(STOP_WITHIN + GONE_WITHIN < DOWN_WITHIN);
    assert!(WELL_WITHIN > READY_WITHIN + BEAT_WITHIN, "a new gateway has its time to get well");
}
