//! The store as the rest of the program knows it.

use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use model::{Item, Record, Sequence, WallTime};

use crate::contacts::HashedAlias;
use crate::dead::{self, DeadChange, DeadLetter, Letter};
use crate::disk::{Disk, Segment};
use crate::error::{OpenError, ReadError, Refused};
use crate::format::entry::Mark;
use crate::format::group::Salt;
use crate::index::{Index, schema};
use crate::keyed::{Hash, HashKey};
use crate::log::Geometry;
use crate::options::{GROUP_BYTES, Options};
use crate::state::{Counters, FoldProblem, State};
use crate::view::{self, Flow, Seen};
use crate::writer::{Answer, Job, Prepared};

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
    pub(crate) on_durable: OnDurable,
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
/// All calls may block on the disk, apart from [`Store::append`] and the marks.
pub struct Store {
    shared: Arc<Shared>,
    jobs: SyncSender<Job>,
    key: HashKey,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// What a page of the journal is to hold.
#[derive(Debug, Clone, Copy, Default)]
pub struct Query {
    /// Only records behind this one; from the oldest on where it is `None`.
    pub after: Option<Sequence>,
    /// At most so many records.
    pub limit: usize,
    /// At most about so many bytes.
    pub bytes: usize,
}

/// A page of the journal.
#[derive(Debug, Clone)]
pub struct Page {
    /// The records, in order.
    pub records: Vec<Arc<Record>>,
    /// Where the next page begins; never behind a record that may still appear.
    pub next: Sequence,
    /// The oldest record that is kept, or the place of the next where there is none.
    pub oldest: Sequence,
    /// The newest durable record; 0 where there is none.
    pub newest: Sequence,
}

/// How much waits, and since when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Backlog {
    /// Records that aren't settled.
    pub pending: u64,
    /// When the oldest of them was received, by the box's clock then.
    pub oldest_received_at: Option<WallTime>,
}

/// How the store is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Health {
    /// Counts since the start.
    pub counters: Counters,
    /// Bytes that count against the budget.
    pub live_bytes: u64,
    /// Bytes that the index takes on the disk.
    pub index_bytes: u64,
    /// Bytes handed to the index file since the start.
    pub index_bytes_written: u64,
    /// Bytes that the intake log takes on the disk.
    pub log_bytes: u64,
    /// Records in the tail that aren't folded yet.
    pub tail_records: u64,
    /// Records kept, the tail included.
    pub records: u64,
    /// The last fold failed because the disk is full.
    pub disk_full: bool,
    /// The budget is used up by what isn't delivered.
    pub over_budget: bool,
    /// The last fold failed for another reason than a full disk.
    pub fold_failing: bool,
    /// The disk has refused too often: the process should be restarted.
    pub broken: bool,
}

/// Records that one look at the journal goes through at most when it filters.
const SCAN_MAX: usize = 10_000;
/// Records of one append in one group: a larger webhook is split, and answered when all is durable.
const PART_BYTES: usize = 2 * GROUP_BYTES;
/// What a record takes beside its raw bytes, roughly; for limits, not for accounts.
const OVERHEAD_BYTES: usize = 512;

impl Store {
    /// Opens the store on `disk`, made where there is none, and starts its two threads.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(disk: Arc<dyn Disk>, options: Options, on_durable: OnDurable) -> Result<Self, OpenError> {
        crate::open::open(disk, options, on_durable)
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
        let mut answers = split_answer(answer, parts.len());
        for (items, bytes) in parts {
            let Some(answer) = answers.pop() else { return };
            self.send(Job::Append { items, received_at, bytes, answer });
        }
    }

    fn prepare(&self, item: Item) -> Prepared {
        let event = event_hash(&self.key, &item.source, &item.id);
        let aliases = item.contact.iter().flat_map(|contact| &contact.aliases);
        let aliases = aliases.map(|alias| HashedAlias::new(&self.key, alias)).collect();
        Prepared { item, event, aliases }
    }

    fn send(&self, job: Job) {
        match self.jobs.try_send(job) {
            Ok(()) => {}
            Err(TrySendError::Full(job)) => refuse(job, Refused::Busy),
            Err(TrySendError::Disconnected(job)) => refuse(job, Refused::Closed),
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
        let newest = self.shared.lock().newest;
        for part in sequences.chunks(MARKS_MAX) {
            let known = part.iter().map(|sequence| sequence.0).filter(|sequence| *sequence <= newest);
            self.mark(Mark::Settled(known.collect()));
        }
    }

    /// Notes that the CRM has refused this one for good.
    pub fn give_up(
        &self,
        sequence: Sequence,
        reason: &str,
        status: Option<u16>,
        attempts: u32,
        at: WallTime,
    ) {
        let reason: String = reason.chars().take(REASON_MAX).collect();
        self.mark(Mark::Dead { sequence: sequence.0, reason, status, attempts, at_ms: at.0 });
    }

    fn mark(&self, mark: Mark) {
        self.shared.lock().apply(&mark);
        // Waiting for a place is better than losing the mark: the queue empties with every group.
        // Where the writer is gone a repeat after the restart is all that it costs.
        let _ = self.jobs.send(Job::Mark(mark));
    }

    /// Has a dead letter sent again; durable when this returns.
    ///
    /// # Errors
    /// As for an append. A letter that isn't there is no error; ask [`Store::dead_letter`] first.
    pub fn retry_dead_letter(&self, sequence: Sequence) -> Result<(), Refused> {
        self.mark_now(Mark::Retry { sequence: sequence.0 })
    }

    /// Throws a dead letter away; durable when this returns.
    ///
    /// # Errors
    /// As for an append.
    pub fn drop_dead_letter(&self, sequence: Sequence) -> Result<(), Refused> {
        self.mark_now(Mark::Dropped { sequence: sequence.0 })
    }

    fn mark_now(&self, mark: Mark) -> Result<(), Refused> {
        self.shared.lock().apply(&mark);
        self.ask(|answer| Job::MarkNow(mark, answer))
    }

    /// Returns when everything handed over before is durable. Also the writer's own probe.
    ///
    /// # Errors
    /// As for an append.
    pub fn flush(&self) -> Result<(), Refused> {
        self.ask(Job::Flush)
    }

    /// Returns when everything handed over before is in redb.
    ///
    /// # Errors
    /// As for an append.
    pub fn fold(&self) -> Result<(), Refused> {
        self.ask(Job::Fold)
    }

    /// A page of the journal: the records that `wanted` takes.
    ///
    /// # Errors
    /// [`ReadError::Gone`] where `after` is outside of what is kept, or what the disk says.
    pub fn page(&self, query: &Query, wanted: &dyn Fn(&Record) -> bool) -> Result<Page, ReadError> {
        let (dropped, newest) = {
            let state = self.shared.lock();
            (state.dropped, state.newest)
        };
        let oldest = Sequence(dropped + 1);
        let after = query.after.unwrap_or(Sequence(dropped));
        if after.0 < dropped || after.0 > newest {
            return Err(ReadError::Gone { oldest, newest: Sequence(newest) });
        }
        let mut page = Page { records: Vec::new(), next: after, oldest, newest: Sequence(newest) };
        let mut bytes = 0;
        let mut looked = 0;
        view::scan(&self.shared, after.0, &|_, _| true, &mut |seen| {
            looked += 1;
            match seen {
                Seen::Record(record) => {
                    if wanted(record) {
                        bytes += record.item.raw.len() + OVERHEAD_BYTES;
                        if !page.records.is_empty() && bytes > query.bytes {
                            return Flow::Stop;
                        }
                        page.records.push(Arc::clone(record));
                    }
                    page.next = record.sequence;
                }
                Seen::Damaged { last, .. } => page.next = Sequence(last),
            }
            if page.records.len() >= query.limit || looked >= SCAN_MAX { Flow::Stop } else { Flow::On }
        })?;
        Ok(page)
    }

    /// Records behind `after` that aren't settled, in order: at most `limit` and about `bytes`.
    ///
    /// # Errors
    /// What the disk says. Records that can't be read are set aside, counted and settled; they are
    /// no error.
    pub fn undelivered(
        &self,
        after: Sequence,
        limit: usize,
        bytes: usize,
    ) -> Result<Vec<Arc<Record>>, ReadError> {
        let floor = self.shared.lock().settled.floor();
        let mut records = Vec::new();
        let mut taken = 0;
        let mut lost = Vec::new();
        let wanted = |first, last| {
            let state = self.shared.lock();
            (first..=last).any(|sequence| !state.settled.contains(sequence))
        };
        view::scan(&self.shared, after.0.max(floor), &wanted, &mut |seen| {
            match seen {
                Seen::Record(record) => {
                    if self.shared.lock().settled.contains(record.sequence.0) {
                        return Flow::On;
                    }
                    taken += record.item.raw.len() + OVERHEAD_BYTES;
                    if !records.is_empty() && taken > bytes {
                        return Flow::Stop;
                    }
                    records.push(Arc::clone(record));
                }
                Seen::Damaged { first, last, bytes } => {
                    let state = self.shared.lock();
                    lost.extend(
                        (first..=last).filter(|sequence| !state.settled.contains(*sequence)).map(Sequence),
                    );
                    drop(state);
                    if let Err(error) = self.shared.disk.set_aside(&format!("record-{first}"), bytes) {
                        tracing::warn!(%error, "damaged bytes can't be set aside");
                    }
                }
            }
            if records.len() >= limit { Flow::Stop } else { Flow::On }
        })?;
        if !lost.is_empty() {
            tracing::error!(records = lost.len(), "records can't be read any more; see the folder `damaged`");
            self.shared.lock().counters.damaged += lost.len() as u64;
            self.settle(&lost);
        }
        Ok(records)
    }

    /// How much waits, and since when.
    ///
    /// # Errors
    /// What the disk says.
    pub fn backlog(&self) -> Result<Backlog, ReadError> {
        let pending = self.shared.lock().pending;
        if pending == 0 {
            return Ok(Backlog::default());
        }
        let oldest = self.undelivered(Sequence::START, 1, 1)?;
        Ok(Backlog { pending, oldest_received_at: oldest.first().map(|record| record.received_at) })
    }

    /// Records that aren't settled.
    #[must_use]
    pub fn pending(&self) -> u64 {
        self.shared.lock().pending
    }

    /// The newest durable record; 0 where there is none.
    #[must_use]
    pub fn newest(&self) -> Sequence {
        Sequence(self.shared.lock().newest)
    }

    /// Changes whenever a person wants a dead letter sent again.
    #[must_use]
    pub fn replays_asked(&self) -> u64 {
        self.shared.lock().replays
    }

    /// Dead letters behind `after`, in order of sequence, at most `limit`; only those that are to
    /// be sent again where `retrying`.
    ///
    /// # Errors
    /// What the disk says.
    pub fn dead_letters(
        &self,
        after: Sequence,
        limit: usize,
        retrying: bool,
    ) -> Result<Vec<DeadLetter>, ReadError> {
        let mut letters = Vec::new();
        let mut after = after.0;
        while letters.len() < limit {
            let Some(sequence) = self.next_letter(after, retrying)? else { break };
            after = sequence;
            if let Some(letter) =
                self.dead_letter(Sequence(sequence))?.filter(|letter| !retrying || letter.retrying)
            {
                letters.push(letter);
            }
        }
        Ok(letters)
    }

    /// The next place behind `after` where a letter may be.
    fn next_letter(&self, after: u64, retrying: bool) -> Result<Option<u64>, ReadError> {
        let changed = self.shared.lock().dead.range(after + 1..).next().map(|(sequence, _)| *sequence);
        let transaction = self.shared.index.begin_read()?;
        let stored = if retrying {
            let table = transaction.open_table(schema::RETRIES)?;
            table.range(after + 1..)?.next().transpose()?.map(|(sequence, _)| sequence.value())
        } else {
            let table = transaction.open_table(schema::DEAD)?;
            table.range(after + 1..)?.next().transpose()?.map(|(sequence, _)| sequence.value())
        };
        Ok(match (changed, stored) {
            (Some(changed), Some(stored)) => Some(changed.min(stored)),
            (changed, stored) => changed.or(stored),
        })
    }

    /// One dead letter.
    ///
    /// # Errors
    /// What the disk says.
    pub fn dead_letter(&self, sequence: Sequence) -> Result<Option<DeadLetter>, ReadError> {
        let change = self.shared.lock().dead.get(&sequence.0).cloned();
        if change == Some(DeadChange::Gone) {
            return Ok(None);
        }
        let transaction = self.shared.index.begin_read()?;
        let stored = transaction.open_table(schema::DEAD)?.get(sequence.0)?;
        let stored = stored.and_then(|bytes| dead::from_bytes(sequence.0, bytes.value()).ok());
        let retrying = transaction.open_table(schema::RETRIES)?.get(sequence.0)?.is_some();
        let (letter, record, retrying) = match (change, stored) {
            (Some(DeadChange::Put { letter, retry }), stored) => {
                let record = match stored.and_then(|(_, record)| record) {
                    Some(record) => Some(record),
                    None => self.record(sequence)?,
                };
                (letter, record, retry)
            }
            (Some(DeadChange::Retry), Some((letter, record))) => (letter, record, true),
            (None, Some((letter, record))) => (letter, record, retrying),
            (Some(DeadChange::Retry | DeadChange::Gone) | None, _) => return Ok(None),
        };
        let Letter { reason, status, attempts, at_ms } = letter;
        Ok(Some(DeadLetter { record, sequence, reason, status, attempts, at: WallTime(at_ms), retrying }))
    }

    /// Dead letters, how many.
    ///
    /// # Errors
    /// What the disk says.
    pub fn dead_letter_count(&self) -> Result<u64, ReadError> {
        use redb::ReadableTableMetadata as _;
        let changes: Vec<(u64, bool)> = {
            let state = self.shared.lock();
            let is_put = |change: &DeadChange| matches!(change, DeadChange::Put { .. });
            let relevant = state.dead.iter().filter(|(_, change)| **change != DeadChange::Retry);
            relevant.map(|(sequence, change)| (*sequence, is_put(change))).collect()
        };
        let transaction = self.shared.index.begin_read()?;
        let table = transaction.open_table(schema::DEAD)?;
        let mut count = table.len()?;
        for (sequence, put) in changes {
            match (put, table.get(sequence)?.is_some()) {
                (true, false) => count += 1,
                (false, true) => count -= 1,
                _ => {}
            }
        }
        Ok(count)
    }

    /// Dead letters behind `after` that are to be sent again, as records with `replayed` set.
    ///
    /// # Errors
    /// What the disk says.
    pub fn replays(&self, after: Sequence, limit: usize) -> Result<Vec<Arc<Record>>, ReadError> {
        let letters = self.dead_letters(after, limit, true)?;
        let replay = |letter: DeadLetter| {
            letter.record.map(|record| Arc::new(Record { replayed: true, ..Record::clone(&record) }))
        };
        Ok(letters.into_iter().filter_map(replay).collect())
    }

    /// One record, wherever it is.
    ///
    /// # Errors
    /// What the disk says.
    pub fn record(&self, sequence: Sequence) -> Result<Option<Arc<Record>>, ReadError> {
        let mut found = None;
        view::scan(&self.shared, sequence.0.saturating_sub(1), &|_, _| true, &mut |seen| {
            if let Seen::Record(record) = seen {
                if record.sequence == sequence {
                    found = Some(Arc::clone(record));
                }
            }
            Flow::Stop
        })?;
        Ok(found)
    }

    /// How the store is doing.
    #[must_use]
    pub fn health(&self) -> Health {
        let index_bytes = self.shared.disk.index_bytes().unwrap_or(0);
        let geometry = self.shared.geometry;
        let state = self.shared.lock();
        Health {
            counters: state.counters,
            live_bytes: state.live_bytes(),
            index_bytes,
            log_bytes: u64::from(geometry.segments) * geometry.segment_bytes,
            index_bytes_written: self.shared.index.written(),
            tail_records: state.tail.len() as u64,
            records: state.records + state.tail.len() as u64,
            disk_full: state.problem == Some(FoldProblem::DiskFull),
            over_budget: state.live_bytes() >= self.shared.max_bytes,
            fold_failing: state.problem == Some(FoldProblem::Failed),
            broken: state.broken,
        }
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

/// Sequences in one mark: a mark with them fills no more than a few blocks.
const MARKS_MAX: usize = 1024;
/// Of what the CRM says so many characters are kept.
const REASON_MAX: usize = 500;

/// What an item takes in the log, roughly and rather too much.
fn bytes_of(item: &Item) -> usize {
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

fn refuse(job: Job, refused: Refused) {
    match job {
        Job::Append { answer, .. } | Job::MarkNow(_, answer) | Job::Flush(answer) | Job::Fold(answer) => {
            answer(Err(refused));
        }
        Job::Mark(_) | Job::Wake | Job::Close => {}
    }
}

/// One answer for `parts` jobs: called when the last of them is, with the worst.
fn split_answer(answer: Answer, parts: usize) -> Vec<Answer> {
    if parts == 1 {
        return vec![answer];
    }
    let shared = Arc::new(Mutex::new((parts, Ok(()), Some(answer))));
    (0..parts)
        .map(|_| {
            let shared = Arc::clone(&shared);
            let answer: Answer = Box::new(move |result| {
                let mut left = shared.lock().unwrap_or_else(PoisonError::into_inner);
                left.0 -= 1;
                left.1 = left.1.and(result);
                if left.0 == 0 {
                    if let Some(answer) = left.2.take() {
                        answer(left.1);
                    }
                }
            });
            answer
        })
        .collect()
}
