//! The state machine: what may go goes, what comes back is judged.

use std::collections::BTreeMap;
use std::collections::hash_map::{Entry as Place, HashMap};

use model::Sequence;

use super::batch;
use super::gate::{Access, Admission, Gate};
use super::index::Index;
use super::lane::{Entry, KeyedBy, Lane, LaneKey, State, Waiting};
use super::settings::{BATCH_BYTES_MAX, Mode, Settings};
use super::window::{Read, Tail, Window};
use crate::{Chance, Moment};

/// The name of a job in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(u64);

/// What the shell should do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action<T> {
    /// Read a page, and hand it to [`Lanes::page`], or call [`Lanes::read_failed`]. No other read
    /// is asked for until then.
    Read(Read),
    /// Send these in one request, in this order, and hand the verdict to [`Lanes::answered`].
    Send {
        /// To name in the answer.
        job: JobId,
        /// One record, or several in batch mode.
        records: Vec<T>,
    },
    /// Nothing, until something happens or the time has come.
    Wait(Option<Moment>),
}

/// What became of the records of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome<T> {
    /// The CRM has them: settle them.
    Delivered(Vec<T>),
    /// Given up: settle it as a dead letter, for the reason that this answer gave.
    DeadLetter {
        /// The record.
        record: T,
        /// How often it was tried.
        attempts: u32,
    },
    /// They will be tried again.
    Kept,
}

#[derive(Debug)]
pub(super) struct Job {
    pub(super) lanes: Members,
    pub(super) records: usize,
    /// [`Lanes::switches`] when it went.
    pub(super) switches: u64,
    retry: bool,
}

/// The lanes of a job; one of its own needs no list.
#[derive(Debug)]
pub(super) enum Members {
    One([LaneKey; 1]),
    Many(Vec<LaneKey>),
}

impl std::ops::Deref for Members {
    type Target = [LaneKey];

    fn deref(&self) -> &[LaneKey] {
        match self {
            Self::One(key) => key,
            Self::Many(keys) => keys,
        }
    }
}

/// The lanes of one CRM; see the [module](super).
///
/// After each call that tells it something, [`Lanes::poll`] is to be called until it answers
/// [`Action::Wait`].
#[derive(Debug)]
pub struct Lanes<T> {
    pub(super) settings: Settings,
    pub(super) chance: Chance,
    pub(super) lanes: HashMap<LaneKey, Lane<T>, KeyedBy>,
    pub(super) index: Index,
    pub(super) window: Window,
    pub(super) gate: Gate,
    /// Accepted jobs.
    pub(super) passes: u64,
    /// Something failed twice with nothing accepted in between: the next success wakes it.
    pub(super) outage: bool,
    /// Changes of the endpoint.
    pub(super) switches: u64,
    pub(super) jobs: BTreeMap<JobId, Job>,
    jobs_before: u64,
    retries_in_flight: usize,
    /// Batch mode: up to here records needn't wait for company, …
    due: Option<Sequence>,
    /// … and at this time all the others needn't either.
    due_at: Option<Moment>,
}

impl<T: Clone> Lanes<T> {
    /// Begins at the start of the journal; `seed` feeds the jitter.
    #[must_use]
    pub fn new(settings: Settings, seed: u64) -> Self {
        Self {
            settings,
            chance: Chance::new(seed),
            lanes: HashMap::default(),
            index: Index::default(),
            window: Window::new(),
            gate: Gate::new(),
            passes: 0,
            outage: false,
            switches: 0,
            jobs: BTreeMap::new(),
            jobs_before: 0,
            retries_in_flight: 0,
            due: None,
            due_at: None,
        }
    }

    /// The journal has grown, or a dead letter is to be sent again. What is there at the first call
    /// has waited long enough: a batch doesn't wait for company with it.
    pub fn tail(&mut self, tail: Tail) {
        self.due.get_or_insert(tail.newest);
        self.window.tail(tail);
    }

    /// The next thing to do.
    pub fn poll(&mut self, now: Moment) -> Action<T> {
        self.rouse(now);
        if let Some(read) = self.next_read(now) {
            return Action::Read(read);
        }
        if let Some((job, records)) = self.next_job(now) {
            return Action::Send { job, records };
        }
        Action::Wait(self.wake_at(now))
    }

    /// Whether the CRM lets us in.
    #[must_use]
    pub const fn access(&self) -> Access {
        self.gate.access()
    }

    /// Jobs in flight.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.jobs.len()
    }

    /// Records held in memory, and their bytes.
    #[must_use]
    pub const fn held(&self) -> (usize, usize) {
        (self.window.records, self.window.bytes)
    }

    /// Lanes that are remembered.
    #[must_use]
    pub fn lanes(&self) -> usize {
        self.lanes.len()
    }

    /// Takes a job out of flight; `None` for one that isn't.
    pub(super) fn job_ended(&mut self, id: JobId) -> Option<Job> {
        let job = self.jobs.remove(&id)?;
        if job.retry {
            self.retries_in_flight -= 1;
        }
        Some(job)
    }

    pub(super) fn relist(&mut self, key: LaneKey) {
        let Place::Occupied(mut place) = self.lanes.entry(key) else { return };
        let lane = place.get_mut();
        self.index.relist(key, lane, self.settings.lane_share);
        if lane.queue.is_empty() && lane.resume.is_none() {
            place.remove();
        }
    }

    pub(super) fn admit(&mut self, now: Moment, entry: Entry<T>, replay: bool) {
        let Entry { lane: key, bytes, sequence, .. } = entry;
        self.window.admit(bytes);
        let lane = self.lanes.entry(key).or_insert_with(Lane::new);
        lane.queue.push_back(Waiting::new(entry, replay));
        self.index.relist(key, lane, self.settings.lane_share);
        if let Mode::Batch { every, .. } = self.settings.mode
            && self.due.is_none_or(|due| sequence > due)
        {
            self.due_at.get_or_insert(now + every);
        }
    }

    /// Ends the sleep of lanes whose time has come, and of a batch's wait for company.
    fn rouse(&mut self, now: Moment) {
        while let Some((until, key)) = self.index.asleep.first().copied()
            && until <= now
        {
            if let Some(lane) = self.lanes.get_mut(&key) {
                lane.state = State::Ready;
            }
            self.relist(key);
        }
        if self.due_at.is_some_and(|at| at <= now) {
            self.due_at = None;
            self.due = Some(self.window.cursor);
        }
    }

    fn next_job(&mut self, now: Moment) -> Option<(JobId, Vec<T>)> {
        if self.jobs.len() >= self.settings.in_flight {
            return None;
        }
        let trial = match self.gate.admits(now) {
            Admission::Everybody => false,
            Admission::OneTrial => true,
            Admission::Nobody => return None,
        };
        let (members, records, retry) = match self.settings.mode {
            Mode::Realtime => {
                let key = if trial { self.trial_lane() } else { self.next_lane() }?;
                let (record, _, retry) = self.launch(now, key)?;
                (Members::One([key]), vec![record], retry)
            }
            Mode::Batch { size, .. } => self.launch_batch(now, size, trial)?,
        };
        let id = JobId(self.jobs_before);
        self.jobs_before += 1;
        self.retries_in_flight += usize::from(retry);
        if trial {
            self.gate.trial_sent(id);
        }
        self.jobs.insert(id, Job { lanes: members, records: records.len(), switches: self.switches, retry });
        Some((id, records))
    }

    /// Puts the next record of a lane in flight: it, whether it is the lane's first in flight, and
    /// whether it has failed before.
    fn launch(&mut self, now: Moment, key: LaneKey) -> Option<(T, bool, bool)> {
        let lane = self.lanes.get_mut(&key)?;
        let first = lane.in_flight() == 0;
        let retry = first && lane.is_troubled();
        let record = lane.launch(now)?.body.clone();
        self.index.relist(key, lane, self.settings.lane_share);
        Some((record, first, retry))
    }

    fn launch_batch(&mut self, now: Moment, size: usize, trial: bool) -> Option<(Members, Vec<T>, bool)> {
        let order = self.next_batch(size, trial);
        let (mut members, mut records, mut any_retry) = (Vec::new(), Vec::with_capacity(order.len()), false);
        for key in order {
            let Some((record, first, retry)) = self.launch(now, key) else { continue };
            if first {
                members.push(key);
            }
            records.push(record);
            any_retry |= retry;
        }
        (!records.is_empty()).then_some((Members::Many(members), records, any_retry))
    }

    /// Whether what failed before may be tried again now. That takes half of the places at most,
    /// since each may end in a timeout, and what is new mustn't wait for that.
    fn may_retry(&self) -> bool {
        self.retries_in_flight < (self.settings.in_flight / 2).max(1)
    }

    /// The lane that goes next while the gate is open. Retries come first, for they come seldom.
    fn next_lane(&self) -> Option<LaneKey> {
        let retry = self.index.retries.first().filter(|_| self.may_retry());
        retry.or_else(|| self.index.ready.first()).map(|(_, key)| *key)
    }

    fn next_batch(&self, size: usize, trial: bool) -> Vec<LaneKey> {
        let keys: Vec<_> = if trial {
            self.trial_lanes()
        } else {
            let retries = self.index.retries.iter().filter(|_| self.may_retry());
            self.index.ready.iter().chain(retries).map(|(_, key)| *key).collect()
        };
        let due = self.due.unwrap_or_default();
        let lanes = keys.into_iter().filter_map(|key| Some((key, self.lanes.get(&key)?)));
        let waiting = lanes.flat_map(|(key, lane)| batch::candidates(key, lane, due)).collect();
        batch::choose(waiting, size, BATCH_BYTES_MAX)
    }

    /// The lanes that a trial may take: those whose last try is the longest ago, so that one bad
    /// record can't keep the gate closed.
    fn trial_lanes(&self) -> Vec<LaneKey> {
        let able = |lane: &Lane<T>| {
            !lane.queue.is_empty()
                && match lane.state {
                    State::Ready => true,
                    State::Asleep(_) => lane.trouble.wakes,
                    State::Busy(_) => false,
                }
        };
        let rank = |lane: &Lane<T>| (lane.is_suspect(), lane.trouble.last_tried);
        let Some(best) = self.lanes.values().filter(|lane| able(lane)).map(rank).min() else {
            return Vec::new();
        };
        let best = self.lanes.iter().filter(|(_, lane)| able(lane) && rank(lane) == best);
        best.map(|(key, _)| *key).collect()
    }

    /// The lane of a single trial: the oldest and the newest by turns, so that a crowd of old
    /// records that all fail can't hide that new ones would get through.
    fn trial_lane(&self) -> Option<LaneKey> {
        let first = |key: &LaneKey| Some(self.lanes.get(key)?.queue.front()?.sequence);
        let lanes = self.trial_lanes().into_iter();
        if self.gate.failures_after().is_multiple_of(2) {
            lanes.min_by_key(first)
        } else {
            lanes.max_by_key(first)
        }
    }

    fn wake_at(&self, now: Moment) -> Option<Moment> {
        let sleeper = self.index.asleep.first().map(|(until, _)| *until);
        [sleeper, self.gate.trial_at(), self.due_at, self.window.wake_at()]
            .into_iter()
            .flatten()
            .filter(|at| *at > now)
            .min()
    }
}
