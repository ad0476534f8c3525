//! A journal in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use model::{Account, ContactId, Item, Kind, Record, Sequence, WallTime};
use tokio::sync::watch;
use wagate_egress::{Journal, JournalError, Settlement, Tail};

#[derive(Default)]
struct State {
    unsettled: BTreeMap<Sequence, Arc<Record>>,
    replays: BTreeMap<Sequence, Arc<Record>>,
    settled: BTreeMap<Sequence, Settlement>,
    failing_reads: u32,
    reads: usize,
    at_hand: bool,
}

pub(crate) struct Memory {
    state: Mutex<State>,
    tail: watch::Sender<Tail>,
    left: watch::Sender<usize>,
}

impl Memory {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::default(),
            tail: watch::Sender::default(),
            left: watch::Sender::default(),
        })
    }

    /// Appends a record of `lane`; its id is `lane:sequence`.
    pub(crate) fn append(&self, lane: &str) -> Sequence {
        let mut sequence = Sequence::START;
        self.tail.send_modify(|tail| {
            tail.newest = Sequence(tail.newest.0 + 2);
            sequence = tail.newest;
            let record = Arc::new(record(lane, sequence));
            let mut state = self.state.lock().unwrap();
            state.unsettled.insert(sequence, record);
            self.left.send_replace(state.unsettled.len() + state.replays.len());
        });
        sequence
    }

    pub(crate) fn retry(&self, lane: &str, sequence: Sequence) {
        let record = Record { replayed: true, ..record(lane, sequence) };
        let mut state = self.state.lock().unwrap();
        state.replays.insert(sequence, Arc::new(record));
        self.left.send_replace(state.unsettled.len() + state.replays.len());
        drop(state);
        self.tail.send_modify(|tail| tail.replays += 1);
    }

    pub(crate) fn fail_reads(&self, count: u32) {
        self.state.lock().unwrap().failing_reads = count;
    }

    /// Whether all that is there counts as being in memory.
    pub(crate) fn hold_at_hand(&self, at_hand: bool) {
        self.state.lock().unwrap().at_hand = at_hand;
    }

    /// How often the disk was asked for what is undelivered.
    pub(crate) fn reads(&self) -> usize {
        self.state.lock().unwrap().reads
    }

    pub(crate) fn settled(&self) -> BTreeMap<Sequence, Settlement> {
        self.state.lock().unwrap().settled.clone()
    }

    /// Waits until no more than `count` records are unsettled.
    pub(crate) async fn left(&self, count: usize) {
        let mut left = self.left.subscribe();
        let done = left.wait_for(|left| *left <= count);
        tokio::time::timeout(Duration::from_secs(60), done).await.expect("records are left").unwrap();
    }
}

fn record(lane: &str, sequence: Sequence) -> Record {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Record {
        sequence,
        received_at: WallTime(i64::try_from(now.as_millis()).unwrap()),
        contact_id: Some(ContactId::from_stored(lane.to_owned())),
        replayed: false,
        item: Item {
            kind: Kind::MessageReceived,
            source: "/wagate/1".to_owned(),
            id: format!("{lane}:{}", sequence.0),
            time: None,
            account: Account::default(),
            contact: None,
            group: None,
            via: None,
            field: "messages".to_owned(),
            reason: String::new(),
            raw: b"{}".to_vec(),
        },
    }
}

impl Journal for Memory {
    fn undelivered(
        &self,
        after: Sequence,
        limit: usize,
        _bytes: usize,
    ) -> Result<Vec<Arc<Record>>, JournalError> {
        let mut state = self.state.lock().unwrap();
        state.reads += 1;
        if state.failing_reads > 0 {
            state.failing_reads -= 1;
            return Err(JournalError("the disk hums a sad tune".into()));
        }
        Ok(state.unsettled.range(after.next()..).take(limit).map(|(_, record)| Arc::clone(record)).collect())
    }

    fn at_hand(&self, after: Sequence, limit: usize, _bytes: usize) -> Option<Vec<Arc<Record>>> {
        let state = self.state.lock().unwrap();
        let unsettled = state.unsettled.range(after.next()..).take(limit);
        state.at_hand.then(|| unsettled.map(|(_, record)| Arc::clone(record)).collect())
    }

    fn replays(
        &self,
        after: Sequence,
        limit: usize,
        _bytes: usize,
    ) -> Result<Vec<Arc<Record>>, JournalError> {
        let state = self.state.lock().unwrap();
        Ok(state.replays.range(after.next()..).take(limit).map(|(_, record)| Arc::clone(record)).collect())
    }

    fn settle(&self, settlements: &[(Sequence, Settlement)]) {
        let mut state = self.state.lock().unwrap();
        for (sequence, settlement) in settlements {
            let known = state.unsettled.remove(sequence).or_else(|| state.replays.remove(sequence));
            assert!(known.is_some(), "{sequence} was settled twice");
            state.settled.insert(*sequence, settlement.clone());
        }
        self.left.send_replace(state.unsettled.len() + state.replays.len());
    }

    fn watch(&self) -> watch::Receiver<Tail> {
        self.tail.subscribe()
    }
}
