//! An outbox in memory, for tests of those who ask it: it makes no calls, and its time stands still.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use outbox::{Call, Called, Outbox, Pair, Settings, Table, TableError};
use store::Refused;

use super::Sending;

/// What the test holds of it.
#[derive(Debug, Clone)]
pub(crate) struct Fake {
    /// The outbox's now, in milliseconds since 1970.
    pub(crate) now_ms: Arc<AtomicI64>,
    /// What it would post.
    pub(crate) calls: Arc<Mutex<Vec<Call>>>,
    /// No turn can be made durable.
    pub(crate) is_full: Arc<AtomicBool>,
}

#[derive(Default)]
struct Memory(BTreeMap<Vec<u8>, Vec<u8>>);

impl Memory {
    fn apply(&mut self, changes: &[outbox::Change]) {
        for (key, value) in changes {
            match value {
                Some(value) => _ = self.0.insert(key.clone(), value.clone()),
                None => _ = self.0.remove(key),
            }
        }
    }
}

impl Table for Memory {
    fn value(&self, key: &[u8]) -> Result<Option<Vec<u8>>, TableError> {
        Ok(self.0.get(key).cloned())
    }

    fn values(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Vec<Pair>, TableError> {
        let found = self.0.range(from.to_vec()..to.to_vec()).take(limit);
        Ok(found.map(|(key, value)| (key.clone(), value.clone())).collect())
    }

    fn family(&self, contact: u128) -> Vec<u128> {
        vec![contact]
    }

    fn hash(&self, text: &[u8]) -> [u8; 16] {
        let digest = ring::digest::digest(&ring::digest::SHA256, text);
        digest.as_ref()[..16].try_into().unwrap()
    }
}

/// Starts one; it ends when nobody can ask any more.
pub(crate) fn start(settings: Settings, now_ms: i64) -> (Sending, Fake) {
    let (sending, mut asked) = Sending::new();
    let fake =
        Fake { now_ms: Arc::new(AtomicI64::new(now_ms)), calls: Arc::default(), is_full: Arc::default() };
    let held = fake.clone();
    std::thread::spawn(move || {
        let mut table = Memory::default();
        // A start is paced as if as many as may had just gone.
        let opened_ms = now_ms - 2_000;
        let (mut outbox, done) = Outbox::open(&table, settings, opened_ms).unwrap();
        table.apply(&done.changes);
        outbox.commit(&done);
        while let Some(question) = asked.blocking_recv() {
            let mut turn = outbox.turn(&table, held.now_ms.load(Ordering::Relaxed));
            let answer = question(&mut turn).unwrap();
            while turn.advance().unwrap() {}
            let done = turn.finish().unwrap();
            if held.is_full.load(Ordering::Relaxed) {
                answer(Err(Refused::Full));
                continue;
            }
            table.apply(&done.changes);
            outbox.commit(&done);
            held.calls.lock().unwrap().extend(done.calls);
            answer(Ok(()));
        }
    });
    (sending, fake)
}

impl Fake {
    /// The call that is under way.
    pub(crate) fn call(&self) -> Call {
        let mut calls = self.calls.lock().unwrap();
        assert_eq!(calls.len(), 1, "{calls:?}");
        calls.remove(0)
    }
}

/// What came of a call.
pub(crate) fn called(call: Call, outcome: model::Outcome) -> Called {
    Called {
        id: call.id,
        number: call.number,
        endpoint: "meta".to_owned(),
        left: false,
        outcome,
        slow_for_ms: None,
        chance: 0,
    }
}
