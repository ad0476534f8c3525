//! Opening a store: redb in milliseconds, then the log's tail.

use std::collections::HashMap;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use ::ring::rand::SecureRandom as _;
use redb::ReadableTable as _;

use crate::contacts::Contacts;
use crate::disk::Disk;
use crate::duplicates::Duplicates;
use crate::error::{OpenError, ReadError};
use crate::folder::Folder;
use crate::format::entry::{EntryKind, Mark};
use crate::format::record_v1;
use crate::index::fold::{self, Fold, Keep, Log, Memory};
use crate::index::schema::{self, Checkpoint, Identity};
use crate::index::{Index, retention};
use crate::keyed::HashKey;
use crate::log::replay::{self, Found, Replayed, Visit};
use crate::log::ring::{self, Ring};
use crate::log::{Geometry, Position};
use crate::options::{BLOCK, JOBS_MAX, Options};
use crate::settled::Settled;
use crate::state::{State, TailEntry};
use crate::store::{OnDurable, Shared, Store, event_hash};
use crate::writer::{Job, Writer};

pub(crate) fn open(disk: Arc<dyn Disk>, options: Options, on_durable: OnDurable) -> Result<Store, OpenError> {
    let geometry = Geometry { segments: options.segments, segment_bytes: options.segment_bytes };
    if options.segments < 2
        || options.segment_bytes < 2 * BLOCK
        || !options.segment_bytes.is_multiple_of(BLOCK)
    {
        return Err(OpenError::Options("the log needs two segments or more, of whole blocks"));
    }
    let index = Index::new(options.cache_bytes);
    let fresh = new_identity()?;
    Index::make(&*disk, |transaction| fill(transaction, &fresh, &Checkpoint::new(geometry)))
        .map_err(index_error)?;
    index.reopen(&*disk).map_err(index_error)?;
    let (identity, checkpoint) = read_meta(&index)?;
    let mut memory = Loaded::read(&index, &checkpoint)?;
    let old = ring::open_segments(&*disk, checkpoint.geometry)
        .map_err(io_error("the intake log can't be opened"))?;
    let replayed = memory.replay(&old, &checkpoint, &identity, &*disk)?;
    if !options.deliver {
        let newest = memory.state.newest;
        memory.state.settled.insert_range(memory.state.settled.floor() + 1, newest);
        memory.state.pending = 0;
    }
    let mut start = Start { index, identity, checkpoint, memory, replayed };
    if start.checkpoint.geometry != geometry {
        start.recut(&old, geometry, &options)?;
    }
    drop(old);
    start.run(disk, options, on_durable)
}

struct Start {
    index: Index,
    identity: Identity,
    checkpoint: Checkpoint,
    memory: Loaded,
    replayed: Replayed,
}

impl Start {
    /// Moves to a ring of another cut: everything is folded, and the log begins anew.
    fn recut(
        &mut self,
        old: &[Arc<dyn crate::disk::Segment>],
        geometry: Geometry,
        options: &Options,
    ) -> Result<(), OpenError> {
        let end = self.replayed.end;
        let position = Position { generation: end.generation + 1, offset: 0, number: end.number + 1 };
        let seen_ms = self.memory.state.seen_ms;
        let fold = Fold::take(self.memory.memory(), position, seen_ms, self.checkpoint.day, false);
        let log = Log { segments: old, geometry: self.checkpoint.geometry, salt: &self.identity.salt };
        let keep = Keep { history: options.history, target_bytes: retention::target(options.max_bytes) };
        self.checkpoint.geometry = geometry;
        let folded = fold::fold(&self.index, &log, &fold, &self.checkpoint, keep).map_err(read_error)?;
        self.memory.state.folded(fold.next_sequence - 1);
        self.memory.state.dead.clear();
        self.memory.duplicates.folded(&fold.duplicates);
        self.memory.contacts.folded(&fold.contacts);
        self.memory.refresh(&self.index)?;
        self.checkpoint = folded.checkpoint;
        self.replayed.end = position;
        Ok(())
    }

    fn run(self, disk: Arc<dyn Disk>, options: Options, on_durable: OnDurable) -> Result<Store, OpenError> {
        let Self { index, identity, checkpoint, memory, replayed } = self;
        let ring = Ring::open(&*disk, checkpoint.geometry, identity.salt, replayed.end, checkpoint.position)
            .map_err(io_error("the intake log can't be opened"))?;
        if let Err(error) = disk.keep_reserve() {
            tracing::warn!(%error, "no room for the reserve that a full disk is cleared with");
        }
        let mut state = memory.state;
        state.content_bytes = checkpoint.content_bytes;
        state.records = checkpoint.records;
        state.dropped = checkpoint.dropped;
        let shared = Arc::new(Shared {
            segments: ring.segments(),
            geometry: checkpoint.geometry,
            salt: identity.salt,
            id: identity.store,
            state: Mutex::new(state),
            index,
            disk: Arc::clone(&disk),
            max_bytes: options.max_bytes,
            on_durable,
        });
        let (jobs, job_queue) = sync_channel(JOBS_MAX);
        let (orders, order_queue) = sync_channel(1);
        let (done, done_queue) = sync_channel(1);
        let wake = jobs.clone();
        let folder = Folder {
            shared: Arc::clone(&shared),
            disk,
            checkpoint: checkpoint.clone(),
            orders: order_queue,
            done,
            // A full queue needs no waking.
            wake: Box::new(move || drop(wake.try_send(Job::Wake))),
            history: options.history,
            max_bytes: options.max_bytes,
        };
        let (newest, seen_ms, tail_is_empty) = {
            let state = shared.lock();
            (state.newest, state.seen_ms, state.tail.is_empty())
        };
        let writer = Writer {
            next_sequence: newest + 1,
            seen_before_ms: seen_ms,
            day: checkpoint.day,
            shared: Arc::clone(&shared),
            options,
            jobs: job_queue,
            orders,
            done: done_queue,
            ring,
            duplicates: memory.duplicates,
            contacts: memory.contacts,
            opened: Instant::now(),
            random: ::ring::rand::SystemRandom::new(),
            held: None,
            folding: false,
            stalled: false,
            fold_waiters: Vec::new(),
            folded_floor: checkpoint.floor,
            last_fold: Instant::now(),
            oldest_unfolded: (!tail_is_empty).then(Instant::now),
            marks_since: None,
            failures: 0,
        };
        let thread = |name: &str| std::thread::Builder::new().name(name.to_owned());
        let threads = vec![
            thread("store-folder")
                .spawn(move || folder.run())
                .map_err(io_error("a thread can't be started"))?,
            thread("store-writer")
                .spawn(move || writer.run())
                .map_err(io_error("a thread can't be started"))?,
        ];
        Ok(Store::assemble(shared, jobs, HashKey::new(&identity.hash_key), threads))
    }
}

/// What the index and the tail say when the store is opened.
struct Loaded {
    state: State,
    duplicates: Duplicates,
    contacts: Contacts,
}

impl Loaded {
    fn read(index: &Index, checkpoint: &Checkpoint) -> Result<Self, OpenError> {
        let mut settled = Settled::new(checkpoint.floor);
        let mut duplicates = Duplicates::default();
        let mut joined = HashMap::new();
        let transaction = index.begin_read().map_err(read_error)?;
        let mut load = || -> Result<(), redb::Error> {
            for entry in transaction.open_table(schema::SETTLED)?.iter()? {
                let (chunk, bytes) = entry?;
                settled.load(chunk.value(), bytes.value());
            }
            for entry in transaction.open_table(schema::JOINED)?.iter()? {
                let (from, to) = entry?;
                joined.insert(from.value(), to.value());
            }
            for entry in transaction.open_table(schema::RUNS)?.iter()? {
                duplicates.load(entry?.1.value());
            }
            Ok(())
        };
        load().map_err(|error| OpenError::Index(Box::new(error)))?;
        let state = State {
            settled,
            pending: checkpoint.pending,
            newest: checkpoint.next_sequence - 1,
            seen_ms: checkpoint.seen_ms,
            joined,
            ..State::default()
        };
        let mut loaded = Self { state, duplicates, contacts: Contacts::default() };
        loaded.refresh(index)?;
        Ok(loaded)
    }

    fn refresh(&mut self, index: &Index) -> Result<(), OpenError> {
        let transaction = index.begin_read().map_err(read_error)?;
        self.duplicates
            .refresh(&transaction)
            .and_then(|()| self.contacts.refresh(&transaction))
            .map_err(|error| OpenError::Index(Box::new(error)))
    }

    fn memory(&mut self) -> Memory<'_> {
        Memory { state: &mut self.state, duplicates: &self.duplicates, contacts: &self.contacts }
    }

    fn replay(
        &mut self,
        segments: &[Arc<dyn crate::disk::Segment>],
        checkpoint: &Checkpoint,
        identity: &Identity,
        disk: &dyn Disk,
    ) -> Result<Replayed, OpenError> {
        let key = HashKey::new(&identity.hash_key);
        let mut visitor = Replay { loaded: self, key: &key, disk, damaged: 0 };
        let replayed =
            replay::replay(segments, checkpoint.geometry, &identity.salt, checkpoint.position, &mut visitor)
                .map_err(io_error("the intake log can't be read"))?;
        let damaged = visitor.damaged + replayed.damaged;
        if replayed.holes > 0 || damaged > 0 {
            tracing::error!(
                holes = replayed.holes,
                damaged,
                "the intake log has damage: acknowledged records may be missing; see the folder `damaged`"
            );
        }
        self.state.counters.holes = replayed.holes;
        self.state.counters.damaged = damaged;
        self.state.seen_ms = self.state.seen_ms.max(replayed.seen_ms);
        // What was read back may still be in the page cache only: a process that was killed had
        // written it and not yet synced. Nothing is shown before it is durable.
        for generation in checkpoint.position.generation..=replayed.end.generation {
            let slot = checkpoint.geometry.slot(generation) as usize;
            segments[slot].sync().map_err(io_error("the intake log can't be synced"))?;
        }
        Ok(replayed)
    }
}

struct Replay<'a> {
    loaded: &'a mut Loaded,
    key: &'a HashKey,
    disk: &'a dyn Disk,
    damaged: u64,
}

impl Visit for Replay<'_> {
    fn entry(&mut self, found: &Found<'_>) {
        let state = &mut self.loaded.state;
        match found.entry.kind {
            EntryKind::Mark => match Mark::from_bytes(&found.entry.body) {
                Ok(mark) => state.apply(&mark),
                Err(_) => self.damaged += 1,
            },
            EntryKind::Record => match record_v1::identity(&found.entry.body) {
                Ok((source, id, lesson)) if found.entry.sequence > state.newest => {
                    self.loaded.duplicates.insert(event_hash(self.key, source, id));
                    self.loaded.contacts.learn(&lesson);
                    state.joined.extend(lesson.joined.iter().map(|from| (*from, lesson.contact)));
                    let entry = TailEntry {
                        sequence: found.entry.sequence,
                        generation: found.generation,
                        offset: found.offset,
                        length: found.length,
                        seen_ms: found.seen_ms,
                    };
                    state.add(entry, false);
                }
                Ok(_) => {}
                Err(_) => self.damaged += 1,
            },
        }
    }

    fn damage(&mut self, generation: u64, offset: u64, bytes: &[u8]) {
        if let Err(error) = self.disk.set_aside(&format!("log-{generation}-{offset}"), bytes) {
            tracing::warn!(%error, "damaged bytes can't be set aside");
        }
    }
}

/// Everything that a new index begins with.
fn fill(
    transaction: &redb::WriteTransaction,
    identity: &Identity,
    checkpoint: &Checkpoint,
) -> Result<(), redb::Error> {
    let mut meta = transaction.open_table(schema::META)?;
    meta.insert("format", schema::FORMAT.to_le_bytes().as_slice())?;
    meta.insert("identity", schema::to_bytes(identity).as_slice())?;
    meta.insert("checkpoint", schema::to_bytes(checkpoint).as_slice())?;
    transaction.open_table(schema::BLOCKS)?;
    transaction.open_table(schema::SETTLED)?;
    transaction.open_table(schema::DEAD)?;
    transaction.open_table(schema::RETRIES)?;
    transaction.open_table(schema::ALIASES)?;
    transaction.open_table(schema::JOINED)?;
    transaction.open_table(schema::RUNS)?;
    Ok(())
}

/// The store's identity and how far it is folded.
fn read_meta(index: &Index) -> Result<(Identity, Checkpoint), OpenError> {
    let read = || -> Result<(Option<u32>, Identity, Checkpoint), ReadError> {
        let transaction = index.begin_read()?;
        let meta = transaction.open_table(schema::META)?;
        let missing = crate::format::Unreadable("the index has no checkpoint");
        let format =
            meta.get("format")?.and_then(|bytes| bytes.value().try_into().ok().map(u32::from_le_bytes));
        if format.is_some_and(|found| found > schema::FORMAT) {
            // The rest may look otherwise in a later format.
            return Ok((
                format,
                Identity::default(),
                Checkpoint::new(Geometry { segments: 2, segment_bytes: 0 }),
            ));
        }
        let identity = meta.get("identity")?.ok_or(missing)?;
        let checkpoint = meta.get("checkpoint")?.ok_or(missing)?;
        Ok((format, schema::from_bytes(identity.value())?, schema::from_bytes(checkpoint.value())?))
    };
    let (format, identity, checkpoint) = read().map_err(read_error)?;
    match format {
        Some(found) if found > schema::FORMAT => Err(OpenError::TooNew { found, known: schema::FORMAT }),
        _ => Ok((identity, checkpoint)),
    }
}

fn new_identity() -> Result<Identity, OpenError> {
    let random = ::ring::rand::SystemRandom::new();
    let mut bytes = [0; 64];
    random.fill(&mut bytes).map_err(|_| OpenError::Options("the system gives no random numbers"))?;
    let mut identity = Identity { store: String::from("s-"), salt: [0; 16], hash_key: [0; 32] };
    for byte in &bytes[..10] {
        identity.store.push_str(&format!("{byte:02x}"));
    }
    identity.salt.copy_from_slice(&bytes[16..32]);
    identity.hash_key.copy_from_slice(&bytes[32..]);
    Ok(identity)
}

fn io_error(what: &'static str) -> impl Fn(std::io::Error) -> OpenError {
    move |source| OpenError::Io { what: what.to_owned(), source }
}

fn index_error(error: redb::Error) -> OpenError {
    match error {
        redb::Error::DatabaseAlreadyOpen => OpenError::InUse,
        other => OpenError::Index(Box::new(other)),
    }
}

fn read_error(error: ReadError) -> OpenError {
    match error {
        ReadError::Index(error) => index_error(*error),
        ReadError::Log(source) => OpenError::Io { what: "the intake log can't be read".to_owned(), source },
        other => OpenError::Io {
            what: "the index can't be read".to_owned(),
            source: std::io::Error::other(other.to_string()),
        },
    }
}
