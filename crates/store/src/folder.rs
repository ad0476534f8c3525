//! The thread that folds the tail into redb, and does what a full or failing disk asks for.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use crate::dead::DeadChange;
use crate::disk::Disk;
use crate::error::ReadError;
use crate::index::blocks::Lost;
use crate::index::compaction::Compaction;
use crate::index::fold::{self, Fold, Folded, Keep, Log};
use crate::index::retention;
use crate::index::schema::{self, Checkpoint};
use crate::log::Position;
use crate::state::{FoldProblem, TailEntry};
use crate::store::Shared;

/// After a failed fold the next try comes so much later.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// On a full disk this part of the content may go at once, if it is delivered.
const GIVE_WAY_PART: u64 = 4;

/// What the writer asks for.
pub(crate) enum Order {
    Fold(Box<Fold>),
    Close,
}

/// A fold that is in redb, given back with what it did.
pub(crate) struct Done {
    pub(crate) fold: Box<Fold>,
    pub(crate) folded: Folded,
}

pub(crate) struct Folder {
    pub(crate) shared: Arc<Shared>,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) checkpoint: Checkpoint,
    pub(crate) orders: Receiver<Order>,
    pub(crate) done: SyncSender<Done>,
    pub(crate) wake: Box<dyn Fn() + Send>,
    pub(crate) history: Duration,
    pub(crate) max_bytes: u64,
    /// A fold has come through since the start: the index can be read and written.
    pub(crate) proved: bool,
    pub(crate) compaction: Compaction,
}

impl Folder {
    pub(crate) fn run(mut self) {
        while let Ok(Order::Fold(fold)) = self.orders.recv() {
            let Some(folded) = self.fold_until_done(&fold) else { return };
            self.checkpoint = folded.checkpoint.clone();
            self.compaction.folded();
            self.note_room(&folded);
            self.set_aside(&folded);
            if !std::mem::replace(&mut self.proved, true)
                && let Err(error) = self.disk.forget_index_panics()
            {
                tracing::debug!(%error, "the count of panics stays");
            }
            if self.done.send(Done { fold, folded }).is_err() {
                return;
            }
            (self.wake)();
        }
    }

    /// Folds, as often as it takes; `None` when the store is closed meanwhile.
    fn fold_until_done(&mut self, fold: &Fold) -> Option<Folded> {
        let before = (self.checkpoint.position, self.checkpoint.seen_ms);
        loop {
            match self.fold_once(fold, before) {
                Ok(folded) => {
                    self.set_problem(None);
                    return Some(folded);
                }
                Err(error) => self.recover(&error),
            }
            match self.fold_once(fold, before) {
                Ok(folded) => {
                    self.set_problem(None);
                    if let Err(error) = self.disk.keep_reserve() {
                        tracing::debug!(%error, "no room for the reserve yet");
                    }
                    return Some(folded);
                }
                Err(error) => self.recover(&error),
            }
            // Waiting for an order is the pause: the only one that can come now is to close.
            match self.orders.recv_timeout(RETRY_AFTER) {
                Err(RecvTimeoutError::Timeout) => {}
                Ok(_) | Err(RecvTimeoutError::Disconnected) => return None,
            }
        }
    }

    fn fold_once(&self, fold: &Fold, before: (Position, u64)) -> Result<Folded, ReadError> {
        let reached = (self.checkpoint.position, self.checkpoint.seen_ms);
        if reached != before && reached == (fold.position, fold.seen_ms) {
            // It was committed, and only the word of it got lost: twice would count its bytes twice.
            let checkpoint = self.checkpoint.clone();
            return Ok(Folded { checkpoint, dropped: retention::Dropped::default(), lost: Vec::new() });
        }
        let log = Log {
            segments: &self.shared.segments,
            geometry: self.shared.geometry,
            salt: &self.shared.salt,
            given_up: &|at: &TailEntry| self.shared.lock().unread.refused(at, Instant::now()),
        };
        let keep = Keep { history: self.history, target_bytes: retention::target(self.max_bytes) };
        fold::fold(&self.shared.index, &log, fold, &self.checkpoint, keep)
    }

    /// After an error redb takes no more writes until it is opened again. Where the disk is full,
    /// the reserve and a part of the delivered history give way.
    pub(crate) fn recover(&mut self, error: &ReadError) {
        let full = is_disk_full(error);
        self.set_problem(Some(if full { FoldProblem::DiskFull } else { FoldProblem::Failed }));
        tracing::error!(%error, full, "the log can't be folded into the index; trying again");
        if matches!(error, ReadError::Log(_)) {
            // It is the log that the disk refuses to read; nothing is wrong with redb.
            return;
        }
        self.compaction.failed();
        if full && let Err(error) = self.disk.release_reserve() {
            tracing::warn!(%error, "the reserve can't be released");
        }
        if let Err(error) = self.reopen() {
            tracing::error!(%error, "the index can't be opened again");
            return;
        }
        if full {
            let content = self.checkpoint.content_bytes;
            let keep = Keep { history: self.history, target_bytes: content - content / GIVE_WAY_PART };
            match fold::make_room(&self.shared.index, &self.checkpoint, keep, self.floor()) {
                Ok(folded) => {
                    if folded.dropped.bytes > 0 {
                        tracing::error!(
                            bytes = folded.dropped.bytes,
                            "the disk is full: delivered history went early"
                        );
                    }
                    self.note_dropped(&folded);
                    self.note_room(&folded);
                    let all_went = folded.dropped.bytes == 0;
                    self.checkpoint = folded.checkpoint;
                    if all_went && self.compaction.is_worth_it(Instant::now()) {
                        self.compact();
                    }
                }
                Err(error) => {
                    tracing::error!(%error, "no room can be made on the full disk");
                    if let Err(error) = self.reopen() {
                        tracing::error!(%error, "the index can't be opened again");
                    }
                }
            }
        }
    }

    /// Nothing is left that may go, and still there's no room: redb's file has holes that the disk has no
    /// blocks for, and redb would write there before it uses what history has left free.
    fn compact(&mut self) {
        tracing::warn!("the disk is full: the index is made smaller, which may take minutes");
        let outcome = self.shared.index.compact(&*self.disk);
        let gave = match outcome {
            Ok(gave) => gave,
            Err(error) => {
                tracing::error!(%error, "the index can't be made smaller on the full disk");
                if let Err(error) = self.reopen() {
                    tracing::error!(%error, "the index can't be opened again");
                }
                false
            }
        };
        if !gave {
            tracing::error!("the index can't be made smaller: the disk needs room from elsewhere");
        }
        self.compaction.ended(gave, Instant::now());
    }

    /// Opens the index again and takes from it how far it is folded: a commit that failed may have
    /// got through all the same.
    fn reopen(&mut self) -> Result<(), ReadError> {
        self.shared.index.reopen(&*self.disk)?;
        self.checkpoint = schema::checkpoint(&self.shared.index.begin_read()?)?;
        Ok(())
    }

    fn set_aside(&self, folded: &Folded) {
        for Lost { first: sequence, bytes, .. } in &folded.lost {
            tracing::error!(sequence, "a record in the log can't be read any more; see the folder `damaged`");
            _ = self.shared.set_aside(&format!("log-record-{sequence}"), bytes);
        }
    }

    /// How far delivered history may go: up to what is settled by now and folded, but no letter may
    /// lose its record before it is in the index with a copy of its own.
    fn floor(&self) -> u64 {
        let state = self.shared.lock();
        let floor = state.settled.floor().min(self.checkpoint.next_sequence - 1);
        let letter = state.dead.iter().find(|(_, change)| matches!(change, DeadChange::Put { .. }));
        letter.map_or(floor, |(sequence, _)| floor.min(sequence - 1))
    }

    /// What was let go gives a compaction something to give back.
    const fn note_room(&mut self, folded: &Folded) {
        if folded.dropped.bytes > 0 {
            self.compaction.dropped();
        }
    }

    fn note_dropped(&self, folded: &Folded) {
        let mut state = self.shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.counters.dropped_early += folded.dropped.early;
        state.dropped = state.dropped.max(folded.checkpoint.dropped);
        state.content_bytes = folded.checkpoint.content_bytes;
    }

    fn set_problem(&self, problem: Option<FoldProblem>) {
        let mut state = self.shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        if problem.is_some() {
            state.counters.fold_failures += 1;
        }
        state.problem = problem;
    }
}

fn is_disk_full(error: &ReadError) -> bool {
    use std::io::ErrorKind::{QuotaExceeded, StorageFull};
    if let ReadError::Index(error) = error
        && let redb::Error::Io(error) = &**error
    {
        return matches!(error.kind(), StorageFull | QuotaExceeded);
    }
    false
}
