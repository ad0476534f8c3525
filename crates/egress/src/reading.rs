//! The page of the journal that is being read.

use std::sync::Arc;

use model::Record;
use policy::delivery::{Entry, LaneKey, Read, Source};
use tokio::task::{self, JoinHandle};

use crate::{Journal, JournalError};

/// What a record takes of the window besides its payload, roughly.
const RECORD_BYTES: usize = 512;

/// A page, or why there is none.
pub(crate) type Page = Result<Vec<Entry<Arc<Record>>>, JournalError>;

/// At most one page at a time, read where blocking is allowed.
#[derive(Debug, Default)]
pub(crate) struct Reading(Option<JoinHandle<Page>>);

impl Reading {
    /// Reads a page: at once where it is at hand, else [`Reading::done`] has it in time.
    pub(crate) fn start(&mut self, journal: &Arc<dyn Journal>, read: Read) -> Option<Page> {
        if read.source == Source::Onwards
            && let Some(records) = journal.at_hand(read.after, read.limit, read.bytes)
        {
            return Some(Ok(entries(records)));
        }
        let journal = Arc::clone(journal);
        self.0 = Some(task::spawn_blocking(move || page(&*journal, &read)));
        None
    }

    /// The page that is being read, once it is there; waits for ever if none is. Safe to cancel.
    pub(crate) async fn done(&mut self) -> Page {
        let Some(handle) = &mut self.0 else { return std::future::pending().await };
        let page = handle.await.unwrap_or_else(|error| Err(JournalError(error.into())));
        self.0 = None;
        page
    }
}

fn page(journal: &dyn Journal, read: &Read) -> Page {
    let records = match read.source {
        Source::Onwards | Source::Again => journal.undelivered(read.after, read.limit, read.bytes)?,
        Source::Replays => journal.replays(read.after, read.limit, read.bytes)?,
    };
    Ok(entries(records))
}

fn entries(records: Vec<Arc<Record>>) -> Vec<Entry<Arc<Record>>> {
    let entry = |record: Arc<Record>| Entry {
        sequence: record.sequence,
        lane: LaneKey::of(record.lane()),
        bytes: record.item.raw.len() + RECORD_BYTES,
        body: record,
    };
    records.into_iter().map(entry).collect()
}
