//! The store as the rest of the program knows it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use model::{Item, Sequence, WallTime};

use crate::disk::{Disk, Segment};
use crate::error::{OpenError, Refused};
use crate::format::entry::Mark;
use crate::format::group::Salt;
use crate::index::Index;
use crate::keyed::{Hash, HashKey};
use crate::log::Geometry;
use crate::marks;
use crate::options::{GROUP_BYTES, Options};
use crate::receipts::Receipts;
use crate::state::{Call, State};
use crate::writer::{Answer, Append, Job, Prepared, Work};

/// Told the newest durable record after each group.
pub type OnDurable = Box<dyn Fn(Sequence) + Send + Sync>;

/// What threads and readers share.
pub(crate) struct Shared {
    pub(crate) segments: Arc<[Arc<dyn Segment>]>,
    pub(crate) geometry: Geometry,
    pub(crate) salt: Salt,
    pub(crate) id: String,
    pub(crate) state: Mutex<State>,
    pub(crate) index: Index,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) max_bytes: u64,
    /// The version that runs may be gone again: [`crate::Options::keep_format`].
    pub(crate) on_trial: bool,
    pub(crate) on_durable: OnDurable,
    /// `None` where they can't be written.
    pub(crate) receipts: Option<Receipts>,
    /// [`Options::hold_folds`], until [`Store::begin_folding`].
    pub(crate) folds_held: AtomicBool,
}

impl Shared {
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What makes two events the same, hashed.
pub(crate) fn event_hash(key: &HashKey, source: &str, id: &str) -> Hash {
    key.hash(0, &[source.as_bytes(), id.as_bytes()])
}

/// The durable journal of a box.
///
/// All calls may block on the disk, apart from [`Store::append`], [`Store::transact`], [`Store::meet`] and the marks.
pub struct Store {
    pub(crate) shared: Arc<Shared>,
    jobs: SyncSender<Job>,
    pub(crate) key: HashKey,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// Records of one append in one group: a larger webhook is split, and answered when all is durable.
const PART_BYTES: usize = 2 * GROUP_BYTES;
/// What a record takes beside its raw bytes, roughly; for limits, not for accounts.
pub(crate) const OVERHEAD_BYTES: usize = 512;

impl Store {
    /// Opens the store on `disk`, made where there is none, and starts its two threads.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(disk: Arc<dyn Disk>, options: Options, on_durable: OnDurable) -> Result<Self, OpenError> {
        crate::open::open(disk, options, on_durable)
    }

    /// Lets folds begin that were held back by [`Options::hold_folds`]; nothing where they weren't.
    pub fn begin_folding(&self) {
        self.shared.folds_held.store(false, Ordering::Release);
        // With a full queue the writer comes by anyway.
        _ = self.jobs.try_send(Job::Wake);
    }

    pub(crate) fn assemble(
        shared: Arc<Shared>,
        jobs: SyncSender<Job>,
        key: HashKey,
        threads: Vec<JoinHandle<()>>,
    ) -> Self {
        Self { shared, jobs, key, threads: Mutex::new(threads) }
    }

    /// The id that was made with the store.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.shared.id
    }

    /// Takes what a webhook holds. `answer` is called once: with `Ok` when every item is durable, or
    /// was known and durable before; on a refusal nothing may be assumed of any of them.
    pub fn append(&self, items: Vec<Item>, received_at: WallTime, answer: Answer) {
        let mut parts = Vec::new();
        let mut part = Vec::new();
        let mut bytes = 0;
        for item in items {
            let size = bytes_of(&item);
            if bytes + size > PART_BYTES && !part.is_empty() {
                parts.push((std::mem::take(&mut part), std::mem::take(&mut bytes)));
            }
            bytes += size;
            part.push(self.prepare(item));
        }
        parts.push((part, bytes));
        let refused = (parts.len() > 1).then(Arc::<AtomicBool>::default);
        let mut answers = split_answer(answer, parts.len(), refused.as_ref());
        for (items, bytes) in parts {
            let Some(answer) = answers.pop() else { return };
            let append = Append { items, received_at, bytes, answer, refused: refused.clone() };
            if append.is_cut_off() {
                Work::Append(append).refuse(Refused::Busy);
            } else {
                self.send(Job::Work(Work::Append(append)));
            }
        }
    }

    pub(crate) fn prepare(&self, mut item: Item) -> Prepared {
        let event = event_hash(&self.key, &item.source, &item.id);
        let aliases = item.contact.as_ref().map_or_else(Vec::new, |contact| self.hashed(&contact.aliases));
        // A record has none, whether it comes from memory or from the disk.
        if let Some(contact) = &mut item.contact {
            contact.aliases = Vec::new();
        }
        Prepared { item, event, aliases }
    }

    pub(crate) fn send(&self, job: Job) {
        match self.jobs.try_send(job) {
            Ok(()) => {}
            Err(TrySendError::Full(job)) => job.refuse(Refused::Busy),
            Err(TrySendError::Disconnected(job)) => job.refuse(Refused::Closed),
        }
    }

    fn ask(&self, job: impl FnOnce(Answer) -> Job) -> Result<(), Refused> {
        let (sender, receiver) = sync_channel(1);
        // The receiver waits right here; it can't be gone.
        self.send(job(Box::new(move |result| _ = sender.send(result))));
        receiver.recv().unwrap_or(Err(Refused::Closed))
    }

    /// As [`Store::append`], but waits for the answer.
    ///
    /// # Errors
    /// As the answer says.
    pub fn append_and_wait(&self, items: Vec<Item>, received_at: WallTime) -> Result<(), Refused> {
        let (sender, receiver) = sync_channel(1);
        self.append(items, received_at, Box::new(move |result| _ = sender.send(result)));
        receiver.recv().unwrap_or(Err(Refused::Closed))
    }

    /// Notes that the CRM has these. No reading that begins after this returns shows them as
    /// undelivered; written with the next group and durable with it, or within the time that the
    /// options say.
    pub fn settle(&self, sequences: &[Sequence]) {
        for part in sequences.chunks(marks::SEQUENCES_MAX) {
            let newest = self.shared.lock().newest;
            let known = part.iter().map(|sequence| sequence.0);
            let known: Vec<u64> = known.filter(|sequence| *sequence <= newest).collect();
            if known.is_empty() {
                continue;
            }
            if let Some(receipts) = &self.shared.receipts {
                receipts.note(&known);
            }
            self.mark(Mark::Settled(known));
        }
    }

    pub(crate) fn mark(&self, mark: Mark) {
        let call = self.shared.lock().mark(mark);
        self.call(call);
    }

    /// Tells the writer of marks. Where it is gone a repeat after the restart is all that it costs.
    fn call(&self, call: Call) {
        match call {
            Call::Nobody => {}
            // With a full queue the writer comes by anyway.
            Call::Writer => _ = self.jobs.try_send(Job::Marks),
            Call::AndWait => {
                let (sender, receiver) = sync_channel(1);
                let answer: Answer = Box::new(move |result| _ = sender.send(result));
                if self.jobs.send(Job::Flush(answer)).is_ok() {
                    // Written or not, the marks are off the hands of who made them.
                    let _ = receiver.recv();
                }
            }
        }
    }

    pub(crate) fn mark_now(&self, mark: Mark) -> Result<(), Refused> {
        let _ = self.shared.lock().mark(mark);
        self.ask(Job::Flush)
    }

    /// Returns when everything handed over before is durable. Also the writer's own probe.
    ///
    /// # Errors
    /// As for an append.
    pub fn flush(&self) -> Result<(), Refused> {
        self.ask(Job::Flush)
    }

    /// Asks the writer for a sign of life, which writes nothing by itself. `answer` is called once:
    /// - `Ok` when the writer has come by, whatever became of the group that it wrote then: a disk that is full, or
    ///   refuses, is no reason to doubt the writer. One that hangs in a write or a sync doesn't come by.
    /// - [`Refused::Busy`] at once when the queue is full, which says nothing: to be asked again.
    /// - [`Refused::Closed`] when there is no writer any more.
    ///
    /// Never blocks.
    pub fn ping(&self, answer: Answer) {
        self.send(Job::Ping(answer));
    }

    /// Returns when everything handed over before is in redb.
    ///
    /// # Errors
    /// As for an append.
    pub fn fold(&self) -> Result<(), Refused> {
        self.ask(Job::Fold)
    }

    /// Records that aren't settled.
    #[must_use]
    pub fn pending(&self) -> u64 {
        self.shared.lock().pending
    }

    /// The newest durable record, or the last of the sequences behind it that are none and never will
    /// be; 0 where there is neither. Who reads on until here has seen everything that there is.
    #[must_use]
    pub fn newest(&self) -> Sequence {
        Sequence(self.shared.lock().certain)
    }

    /// Changes whenever a person wants a dead letter sent again.
    #[must_use]
    pub fn replays_asked(&self) -> u64 {
        self.shared.lock().replays
    }

    /// Stops both threads; what was handed over before is durable. Called by dropping, too.
    pub fn close(&self) {
        let _ = self.jobs.send(Job::Close);
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a thread of the store had panicked");
            }
        }
        self.shared.index.close();
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.close();
    }
}

/// What an item takes in the log, roughly and rather too much.
pub(crate) fn bytes_of(item: &Item) -> usize {
    let contact = item.contact.iter().flat_map(|contact| {
        [
            &contact.phone,
            &contact.wa_id,
            &contact.user_id,
            &contact.parent_user_id,
            &contact.username,
            &contact.name,
        ]
    });
    let account = [&item.account.waba_id, &item.account.phone_number_id, &item.account.phone, &item.group];
    let texts: usize = contact.chain(account).flatten().map(String::len).sum();
    item.raw.len() + item.source.len() + item.id.len() + item.field.len() + texts + OVERHEAD_BYTES
}

/// One answer for `parts` jobs: called when the last of them is, with the first refusal. `refused` is
/// set by it.
fn split_answer(answer: Answer, parts: usize, refused: Option<&Arc<AtomicBool>>) -> Vec<Answer> {
    let Some(refused) = refused else { return vec![answer] };
    let shared = Arc::new(Mutex::new((parts, Ok(()), Some(answer))));
    (0..parts)
        .map(|_| {
            let (shared, refused) = (Arc::clone(&shared), Arc::clone(refused));
            let answer: Answer = Box::new(move |result| {
                if result.is_err() {
                    refused.store(true, Ordering::Release);
                }
                let mut left = shared.lock().unwrap_or_else(PoisonError::into_inner);
                left.0 -= 1;
                left.1 = left.1.and(result);
                if left.0 == 0
                    && let Some(answer) = left.2.take()
                {
                    answer(left.1);
                }
            });
            answer
        })
        .collect()
}
