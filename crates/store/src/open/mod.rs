//! Opening a store: redb in milliseconds, then the log's tail.

mod load;
mod log;
mod meta;

use std::sync::atomic::AtomicBool;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use self::load::Loaded;
use crate::aside::Aside;
use crate::disk::{Disk, Segment};
use crate::error::{OpenError, index_error, io_error, read_error};
use crate::folder::Folder;
use crate::format::Unreadable;
use crate::format::entry::Mark;
use crate::hand::Hand;
use crate::index::compaction::Compaction;
use crate::index::fold::{self, Fold, Keep, Log};
use crate::index::schema::{Checkpoint, Identity};
use crate::index::{Index, retention};
use crate::keyed::HashKey;
use crate::log::replay::Replayed;
use crate::log::ring::Ring;
use crate::log::{Geometry, Position};
use crate::options::{BLOCK, JOBS_MAX, Options};
use crate::receipts::Receipts;
use crate::state::State;
use crate::store::{OnDurable, Shared, Store};
use crate::writer::{Job, Writer};

/// So many panics of redb without a fold between them, and its file is taken for damaged. One may
/// have been something else.
const INDEX_PANICS_MAX: u64 = 2;

pub(crate) fn open(disk: Arc<dyn Disk>, options: Options, on_durable: OnDurable) -> Result<Store, OpenError> {
    let geometry = Geometry { segments: options.segments, segment_bytes: options.segment_bytes };
    if options.segments < 2
        || options.segment_bytes < 2 * BLOCK
        || !options.segment_bytes.is_multiple_of(BLOCK)
    {
        return Err(OpenError::Options("the log needs two segments or more, of whole blocks"));
    }
    let index = Index::new(options.cache_bytes);
    let identity = meta::identity(&*disk, &index)?;
    // An index that is made begins where the log does: there may be one from before it was lost.
    let make = || {
        if !disk.has_index().map_err(io_error("the folder can't be read"))? {
            let (cut, position) = log::find(&*disk, &identity.salt, geometry)?;
            let checkpoint = Checkpoint { position, ..Checkpoint::new(cut) };
            let format = meta::format_of_new(options.keep_format);
            Index::make(&*disk, |transaction| meta::fill(transaction, &identity, &checkpoint, format))
                .map_err(index_error)?;
        }
        index.reopen(&*disk).map_err(index_error)
    };
    let panics = disk.index_panics().map_err(io_error("the folder can't be read"))?;
    let known = if panics >= INDEX_PANICS_MAX && disk.has_index().unwrap_or(false) {
        Err(OpenError::Damaged(Unreadable("reading it has ended in a panic again and again")))
    } else {
        make().and_then(|()| meta::read_checkpoint(&index))
    };
    let rebuilt = match known {
        Ok(_) => false,
        Err(error) if meta::is_damage(&error) => {
            tracing::error!(
                %error,
                "the index is damaged: it is set aside and built anew from the intake log; older records are in the file \
                 in the folder `damaged` only"
            );
            index.close();
            disk.set_index_aside().map_err(io_error("the damaged index can't be moved away"))?;
            disk.forget_index_panics().map_err(io_error("the folder can't be written"))?;
            make()?;
            true
        }
        Err(error) => return Err(error),
    };
    let mut checkpoint = meta::read_checkpoint(&index)?;
    meta::settle_format(&index, options.keep_format)?;
    let mut memory = Loaded::read(&index, &checkpoint)?;
    let old = log::open(&*disk, checkpoint.geometry)?;
    let aside = Aside { disk: &*disk, on_trial: options.keep_format };
    let replayed = memory.replay(&old, &checkpoint, &identity, aside)?;
    if checkpoint.next_sequence == 1 {
        // Nothing was ever folded into this index: what the log doesn't hold went with another.
        checkpoint.dropped = memory.state.first_unfolded() - 1;
    }
    memory.state.counters.damaged += u64::from(rebuilt);
    if !options.deliver {
        let newest = memory.state.newest;
        memory.state.settled.insert_range(memory.state.settled.floor() + 1, newest);
        memory.state.pending = 0;
    }
    let mut start = Start { index, identity, checkpoint, memory, replayed };
    if start.checkpoint.geometry != geometry {
        start.recut(&old, geometry, &options, &*disk)?;
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
        old: &[Arc<dyn Segment>],
        geometry: Geometry,
        options: &Options,
        disk: &dyn Disk,
    ) -> Result<(), OpenError> {
        let end = self.replayed.end;
        let position = Position { generation: end.generation + 1, offset: 0, number: end.number + 1 };
        let seen_ms = self.memory.state.seen_ms;
        let fold = Fold::take(self.memory.memory(), position, seen_ms, self.checkpoint.day, false);
        let log = Log {
            segments: old,
            geometry: self.checkpoint.geometry,
            salt: &self.identity.salt,
            // The start has just read it all: an error now is one for the next start.
            given_up: &|_| false,
        };
        let keep = Keep { history: options.history, target_bytes: retention::target(options.max_bytes) };
        let before = std::mem::replace(&mut self.checkpoint.geometry, geometry);
        let folded = fold::fold(&self.index, &log, &fold, &self.checkpoint, keep).map_err(read_error)?;
        self.memory.state.folded(fold.next_sequence - 1);
        self.memory.state.dead.clear();
        self.memory.state.values.folded();
        self.memory.state.people.folded(&fold.contacts);
        self.memory.duplicates.folded(&fold.duplicates);
        self.memory.contacts.folded(&fold.contacts);
        self.memory.refresh(&self.index)?;
        self.checkpoint = folded.checkpoint;
        self.replayed.end = position;
        // Where something couldn't be read, a person may want to try; they're set aside instead.
        if self.replayed.lost == 0
            && folded.lost.is_empty()
            && let Err(error) = disk.remove_segments(before.segments)
        {
            tracing::warn!(%error, "segments of the log as it was cut before can't be removed");
        }
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
        state.hand = Hand::behind(state.newest);
        let receipts = receipts(&*disk, &identity, &mut state)?;
        let shared = Arc::new(Shared {
            segments: ring.segments(),
            geometry: checkpoint.geometry,
            salt: identity.salt,
            id: identity.store,
            state: Mutex::new(state),
            index,
            disk: Arc::clone(&disk),
            max_bytes: options.max_bytes,
            on_trial: options.keep_format,
            on_durable,
            receipts,
            folds_held: AtomicBool::new(options.hold_folds),
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
            proved: false,
            compaction: Compaction::default(),
        };
        let (newest, seen_ms, folded) = {
            let state = shared.lock();
            (state.newest, state.seen_ms, state.tail.is_empty() && state.values.is_empty())
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
            last_fold_at: (0, 0),
            crowded: false,
            stalled: false,
            fold_waiters: Vec::new(),
            last_fold: Instant::now(),
            oldest_unfolded: (!folded).then(Instant::now),
            marks_since: None,
            failures: 0,
            company: 0,
            lingers: true,
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

/// Opens the receipts and settles what they say that the log doesn't. `None`, and a warning, if they
/// can't be had: a full disk has no room for them, and the store opens all the same.
///
/// They go then. Some may be of sequences that the log has lost and that others are given now; found
/// at a later start they would settle records that nobody has delivered. To keep them is to refuse.
fn receipts(disk: &dyn Disk, identity: &Identity, state: &mut State) -> Result<Option<Receipts>, OpenError> {
    match Receipts::open(disk, identity.salt, state.newest) {
        Ok((receipts, mut known)) => {
            known.retain(|sequence| !state.settled.contains(*sequence));
            if !known.is_empty() {
                // The writer comes by for them, as it does after every group.
                let _ = state.mark(Mark::Settled(known));
            }
            Ok(Some(receipts))
        }
        Err(error) => {
            tracing::warn!(%error, "there are no receipts: a kill may repeat deliveries");
            disk.forget_receipts().map_err(io_error(
                "the file `receipts` can be neither used nor removed, and as it is it would keep records from being \
                 delivered: remove it by hand, which costs some repeated deliveries at most",
            ))?;
            Ok(None)
        }
    }
}
