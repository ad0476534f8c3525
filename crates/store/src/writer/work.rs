//! What is handed to the writer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use model::{Item, WallTime};

use crate::contacts::HashedAlias;
use crate::error::Refused;
use crate::keyed::Hash;
use crate::transact::{Change, OnContacts};

/// Called once with what became of a job.
pub type Answer = Box<dyn FnOnce(Result<(), Refused>) + Send>;

/// An item with its hashes, which the caller's thread has worked out.
pub(crate) struct Prepared {
    pub(crate) item: Item,
    pub(crate) event: Hash,
    pub(crate) aliases: Vec<HashedAlias>,
}

/// What a webhook holds, or a part of it.
pub(crate) struct Append {
    pub(crate) items: Vec<Prepared>,
    pub(crate) received_at: WallTime,
    pub(crate) bytes: usize,
    pub(crate) answer: Answer,
    /// Shared by the parts of a webhook: one was refused. Those behind it must be refused, too, or
    /// they'd get their places before it when the webhook comes again.
    pub(crate) refused: Option<Arc<AtomicBool>>,
}

impl Append {
    /// Whether a part before this one was refused.
    pub(crate) fn is_cut_off(&self) -> bool {
        self.refused.as_ref().is_some_and(|refused| refused.load(Ordering::Acquire))
    }
}

/// What the box itself writes, all or nothing.
pub(crate) struct Transact {
    pub(crate) own: Own,
    pub(crate) bytes: usize,
    /// Taken although the budget is used up.
    pub(crate) essential: bool,
    pub(crate) answer: OnContacts,
}

/// What a transaction holds.
pub(crate) struct Own {
    pub(crate) changes: Vec<Change>,
    pub(crate) items: Vec<Prepared>,
    /// People to be found, or made, by their aliases.
    pub(crate) meets: Vec<Vec<HashedAlias>>,
    pub(crate) received_at: WallTime,
}

/// What becomes part of a group.
pub(crate) enum Work {
    Append(Append),
    Transact(Box<Transact>),
}

impl Work {
    /// What it counts for in a group.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Append(append) => append.bytes,
            Self::Transact(transact) => transact.bytes,
        }
    }

    /// Answers who waits that nothing came of it.
    pub(crate) fn refuse(self, refused: Refused) {
        match self {
            Self::Append(append) => (append.answer)(Err(refused)),
            Self::Transact(transact) => (transact.answer)(Err(refused)),
        }
    }
}

/// What the writer is asked to do.
pub(crate) enum Job {
    Work(Work),
    /// There are marks in the shared state: durable with the next group, or soon.
    Marks,
    /// Answers when everything before it is durable.
    Flush(Answer),
    /// Answers when everything before it is in redb.
    Fold(Answer),
    /// Answers with the next group, whatever becomes of it.
    Ping(Answer),
    /// Looks whether a fold is done.
    Wake,
    Close,
}

impl Job {
    /// Answers who waits that nothing came of it.
    pub(crate) fn refuse(self, refused: Refused) {
        match self {
            Self::Work(work) => work.refuse(refused),
            Self::Flush(answer) | Self::Fold(answer) | Self::Ping(answer) => answer(Err(refused)),
            Self::Marks | Self::Wake | Self::Close => {}
        }
    }
}
