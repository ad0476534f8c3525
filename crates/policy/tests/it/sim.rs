//! A journal, a CRM and a clock, just real enough for the lanes to be driven by.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use model::Sequence;
use wagate_policy::Moment;
use wagate_policy::delivery::{
    Action, Entry, JobId, LaneKey, Lanes, Outcome, Read, Settings, Source, Tail, Verdict,
};

/// What the simulated CRM is asked.
pub(crate) struct Request<'a> {
    pub(crate) now: Moment,
    /// How often the endpoint was changed before.
    pub(crate) switches: u64,
    pub(crate) records: &'a [u64],
    pub(crate) lanes: &'a BTreeMap<u64, u64>,
}

impl Request<'_> {
    pub(crate) fn holds_lane(&self, lane: u64) -> bool {
        self.records.iter().any(|record| self.lanes[record] == lane)
    }
}

/// What it answers, and when; `accepted` where the verdict doesn't tell (an answer that is lost).
pub(crate) struct Answer {
    pub(crate) after: Duration,
    pub(crate) verdict: Verdict,
    pub(crate) accepted: bool,
}

impl Answer {
    pub(crate) fn new(after_ms: u64, verdict: Verdict) -> Self {
        let accepted = verdict == Verdict::Accepted;
        Self { after: Duration::from_millis(after_ms), verdict, accepted }
    }
}

enum Event {
    Answer(JobId, Vec<u64>, Answer),
    Page(Option<Vec<Entry<u64>>>),
}

pub(crate) struct Sim<C> {
    pub(crate) now: Moment,
    pub(crate) lanes: Lanes<u64>,
    pub(crate) crm: C,
    /// Every record and its lane.
    pub(crate) journal: BTreeMap<u64, u64>,
    unsettled: BTreeMap<u64, u64>,
    replays: BTreeMap<u64, u64>,
    replay_count: u64,
    pub(crate) dead: BTreeMap<u64, u32>,
    /// Every record that the CRM took, in its order, the first time.
    pub(crate) accepted: Vec<u64>,
    seen: BTreeSet<u64>,
    pub(crate) repeats: usize,
    /// Every request: when, and what.
    pub(crate) requests: Vec<(Moment, Vec<u64>)>,
    events: BTreeMap<(Moment, u64), Event>,
    ticket: u64,
    pub(crate) read_time: Duration,
    pub(crate) reads_fail: bool,
    pub(crate) reads: usize,
    settings: Settings,
    pub(crate) most_held: usize,
    pub(crate) most_lanes: usize,
    /// Of each lane the job in flight, and how often the endpoint was changed before that.
    in_flight: BTreeMap<u64, (JobId, u64)>,
    given_up: BTreeSet<JobId>,
}

impl<C: FnMut(&Request<'_>) -> Answer> Sim<C> {
    pub(crate) fn new(settings: Settings, crm: C) -> Self {
        Self {
            now: Moment::START,
            lanes: Lanes::new(settings, 1),
            crm,
            journal: BTreeMap::new(),
            unsettled: BTreeMap::new(),
            replays: BTreeMap::new(),
            replay_count: 0,
            dead: BTreeMap::new(),
            accepted: Vec::new(),
            seen: BTreeSet::new(),
            repeats: 0,
            requests: Vec::new(),
            events: BTreeMap::new(),
            ticket: 0,
            read_time: Duration::ZERO,
            reads_fail: false,
            reads: 0,
            settings,
            most_held: 0,
            most_lanes: 0,
            in_flight: BTreeMap::new(),
            given_up: BTreeSet::new(),
        }
    }

    /// A record of `lane` becomes durable; gaps in the sequence are normal.
    pub(crate) fn append(&mut self, lane: u64) -> u64 {
        let sequence = self.journal.last_key_value().map_or(1, |(last, _)| last + 1 + last % 3);
        self.journal.insert(sequence, lane);
        self.unsettled.insert(sequence, lane);
        sequence
    }

    pub(crate) fn retry_dead(&mut self, sequence: u64) {
        self.dead.remove(&sequence);
        self.replays.insert(sequence, self.journal[&sequence]);
        self.replay_count += 1;
    }

    /// The power is cut: what is in flight may have arrived or not, its answers are lost.
    pub(crate) fn restart(&mut self, seed: u64) {
        for event in std::mem::take(&mut self.events).into_values() {
            if let Event::Answer(_, records, answer) = event
                && answer.accepted
            {
                self.take(&records);
            }
        }
        self.in_flight.clear();
        self.given_up.clear();
        self.lanes = Lanes::new(self.settings, seed);
    }

    /// Another endpoint is in use from now on.
    pub(crate) fn switch(&mut self) {
        self.lanes.switched();
    }

    /// What is in flight to endpoints that were left is given up. They may take it all the same.
    pub(crate) fn abandon(&mut self) {
        let now = self.lanes.switches();
        let left = |event: &Event| match event {
            Event::Answer(job, records, _) => {
                let lane = self.journal[&records[0]];
                let left = self.in_flight.get(&lane).is_some_and(|(of, then)| of == job && *then < now);
                left.then_some((*job, records.len()))
            }
            Event::Page(_) => None,
        };
        let left: Vec<_> = self.events.values().filter_map(left).collect();
        assert_eq!(self.lanes.abandon(now), left.iter().map(|(_, records)| records).sum::<usize>());
        self.given_up.extend(left.iter().map(|(job, _)| job));
        self.in_flight.retain(|_, (job, _)| !self.given_up.contains(job));
    }

    pub(crate) fn tell_tail(&mut self) {
        let newest = Sequence(self.journal.last_key_value().map_or(0, |(last, _)| *last));
        self.lanes.tail(Tail { newest, replays: self.replay_count });
    }

    pub(crate) fn unsettled(&self) -> usize {
        self.unsettled.len() + self.replays.len()
    }

    /// The lanes of what isn't settled yet.
    pub(crate) fn left(&self) -> Vec<u64> {
        self.unsettled.values().chain(self.replays.values()).copied().collect()
    }

    /// Lets everything happen that happens within `span`.
    pub(crate) fn run(&mut self, span: Duration) {
        let end = self.now + span;
        self.tell_tail();
        loop {
            let wake = self.settle_down();
            let event = self.events.first_key_value().map(|((at, _), _)| *at);
            let next = [wake, event].into_iter().flatten().min().filter(|at| *at <= end);
            let Some(next) = next else { break };
            self.now = self.now.max(next);
            while let Some(entry) = self.events.first_entry()
                && entry.key().0 <= self.now
            {
                let event = entry.remove();
                self.happen(event);
            }
        }
        self.now = end;
    }

    /// Polls until the lanes wait; returns until when.
    fn settle_down(&mut self) -> Option<Moment> {
        for _ in 0..10_000 {
            self.check_bounds();
            match self.lanes.poll(self.now) {
                Action::Wait(until) => {
                    assert!(until.is_none_or(|at| at > self.now), "waits for the past");
                    return until;
                }
                Action::Read(read) => {
                    self.reads += 1;
                    let page = (!self.reads_fail).then(|| self.read(&read));
                    self.schedule(self.read_time, Event::Page(page));
                    if self.read_time.is_zero() {
                        let (_, event) = self.events.pop_first().expect("just scheduled");
                        self.happen(event);
                    }
                }
                Action::Send { job, records } => self.send(job, records),
            }
        }
        panic!("the lanes never come to rest");
    }

    fn read(&self, read: &Read) -> Vec<Entry<u64>> {
        let from = match read.source {
            Source::Onwards | Source::Again => &self.unsettled,
            Source::Replays => &self.replays,
        };
        let entry = |(sequence, lane): (&u64, &u64)| Entry {
            sequence: Sequence(*sequence),
            lane: LaneKey::of(&lane.to_string()),
            bytes: 100,
            body: *sequence,
        };
        from.range(read.after.0 + 1..).take(read.limit).map(entry).collect()
    }

    fn send(&mut self, job: JobId, records: Vec<u64>) {
        assert!(!records.is_empty(), "an empty job");
        for record in &records {
            let lane = self.journal[record];
            let (holder, _) = *self.in_flight.entry(lane).or_insert((job, self.lanes.switches()));
            assert_eq!(holder, job, "two jobs of lane {lane} in flight");
            assert!(
                self.unsettled.contains_key(record) || self.replays.contains_key(record),
                "{record} was settled and is sent again"
            );
        }
        let first_time: Vec<_> =
            records.iter().filter(|record| self.unsettled.contains_key(record)).collect();
        assert!(first_time.is_sorted(), "a batch out of order: {records:?}");
        self.requests.push((self.now, records.clone()));
        let switches = self.lanes.switches();
        let request = Request { now: self.now, switches, records: &records, lanes: &self.journal };
        let answer = (self.crm)(&request);
        self.schedule(answer.after, Event::Answer(job, records, answer));
    }

    fn schedule(&mut self, after: Duration, event: Event) {
        self.ticket += 1;
        self.events.insert((self.now + after, if after.is_zero() { 0 } else { self.ticket }), event);
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Page(Some(page)) => self.lanes.page(self.now, page),
            Event::Page(None) => self.lanes.read_failed(self.now),
            Event::Answer(job, records, answer) => {
                if answer.accepted {
                    self.take(&records);
                }
                if self.given_up.remove(&job) {
                    assert_eq!(self.lanes.answered(self.now, job, &answer.verdict), Outcome::Kept);
                    return;
                }
                for record in &records {
                    self.in_flight.remove(&self.journal[record]);
                }
                match self.lanes.answered(self.now, job, &answer.verdict) {
                    Outcome::Delivered(delivered) => {
                        assert_eq!(answer.verdict, Verdict::Accepted);
                        assert_eq!(
                            delivered.iter().collect::<BTreeSet<_>>(),
                            records.iter().collect::<BTreeSet<_>>()
                        );
                        for record in delivered {
                            self.settle(record);
                        }
                    }
                    Outcome::DeadLetter { record, attempts } => {
                        assert_eq!(records, [record], "a dead letter stands alone");
                        self.settle(record);
                        self.dead.insert(record, attempts);
                    }
                    Outcome::Kept => assert_ne!(answer.verdict, Verdict::Accepted),
                }
            }
        }
    }

    fn settle(&mut self, record: u64) {
        let known = self.unsettled.remove(&record).is_some() || self.replays.remove(&record).is_some();
        assert!(known, "{record} was settled twice");
    }

    /// The CRM takes records: the first time each, those of a lane must come in order.
    fn take(&mut self, records: &[u64]) {
        for record in records {
            if !self.seen.insert(*record) {
                self.repeats += 1;
                continue;
            }
            let lane = self.journal[record];
            if self.unsettled.contains_key(record) {
                let earlier = self
                    .unsettled
                    .range(..record)
                    .find(|(other, of)| **of == lane && !self.seen.contains(other));
                assert_eq!(earlier, None, "{record} overtook a record of its lane");
            }
            self.accepted.push(*record);
        }
    }

    fn check_bounds(&mut self) {
        let (records, _) = self.lanes.held();
        self.most_held = self.most_held.max(records);
        self.most_lanes = self.most_lanes.max(self.lanes.lanes());
        assert!(records <= self.settings.window_records, "{records} records held");
        assert!(self.lanes.lanes() <= 3 * self.settings.window_records, "{} lanes", self.lanes.lanes());
        assert!(self.lanes.in_flight() <= self.settings.in_flight);
    }
}
