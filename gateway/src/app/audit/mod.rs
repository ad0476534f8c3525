//! The audit log: who had the box do what, when, and how it was answered.
//!
//! An entry is durable before the deed begins, and its outcome before the answer goes out: what was done is never
//! without its entry, whatever ends the program in between. An entry without an outcome says just that.

mod kept;

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use ingress::Budget;
use store::{Change, ReadError, Refused, Store, Transaction};
use tokio::sync::{Mutex, oneshot};
use tokio::time::timeout;

pub(crate) use self::kept::Kept;
use crate::clock;
use crate::config::Api;

/// Entries that are kept, at some 120 bytes each; the oldest go. A shop has a few a day.
pub(crate) const ENTRIES_MAX: u64 = 10_000;
/// Entries that a client may have written in a minute, for as long as it likes: nobody pushes out what others have done in
/// less than two and a half hours, and the flash gets no more than 8 KiB a second.
const PER_MINUTE: NonZeroU32 = NonZeroU32::new(60).expect("not zero");
/// Those at once, which come back at that rate: a command that has hundreds of dead letters sent again isn't held up.
pub(crate) const AT_ONCE: NonZeroU32 = NonZeroU32::new(600).expect("not zero");
/// So many that are too old are looked for with each new one: more than one where a writing was refused, for what
/// it was to remove stayed.
const REMOVED_AT_ONCE: usize = 16;
/// So long one may take, with waiting for those before it; it takes milliseconds, and on a worn card a second.
pub(crate) const WRITE_WITHIN: Duration = Duration::from_secs(10);
/// The same for what is done all the same without one: the remedy of a box whose store is stuck mustn't wait for it.
pub(crate) const MEND_WITHIN: Duration = Duration::from_secs(2);

/// The log. Clones share it.
#[derive(Clone)]
pub(crate) struct Audit(Arc<Inner>);

struct Inner {
    store: Arc<Store>,
    /// The number of the next entry. A number whose writing was refused isn't used again: what was refused may be on
    /// the disk all the same, and come to light at the next start.
    next: Mutex<u64>,
    /// By client; none is ever forgotten.
    budget: Budget<Arc<str>>,
}

/// What is about to be done.
#[derive(Debug, Clone)]
pub(crate) struct Deed {
    pub(crate) client: Arc<str>,
    pub(crate) address: Option<IpAddr>,
    /// Method and route, without what stands in its place in braces.
    pub(crate) action: String,
    pub(crate) target: Option<String>,
}

/// An entry whose deed goes on.
pub(crate) struct Begun {
    audit: Audit,
    number: u64,
    kept: Kept,
}

/// An entry and its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) number: u64,
    pub(crate) kept: Kept,
}

impl Audit {
    /// Goes on behind the last entry.
    ///
    /// # Errors
    /// When the store can't be read.
    pub(crate) fn open(store: Arc<Store>) -> Result<Self, ReadError> {
        let next = newest(&store)?.map_or(1, |newest| newest.saturating_add(1));
        // The clients, and the holder of `api.token`.
        let budget = Budget::new(PER_MINUTE, AT_ONCE, Api::CLIENTS_MAX + 1);
        Ok(Self(Arc::new(Inner { store, next: Mutex::new(next), budget })))
    }

    /// Charges an entry to `client`.
    ///
    /// # Errors
    /// When it has had too many written: the time until it may have another.
    pub(crate) fn charge(&self, client: &Arc<str>) -> Result<(), Duration> {
        self.0.budget.charge(client)
    }

    /// Writes an entry for `deed`; durable when it returns `Ok`.
    ///
    /// # Errors
    /// When the store doesn't take it, or not `within` that time: it may be written later all the same. The deed is
    /// then not to be done.
    pub(crate) async fn begin(&self, deed: Deed, within: Duration) -> Result<Begun, Refused> {
        // Those before it, and what has to be read, count as well.
        timeout(within, self.begin_at_leisure(deed)).await.unwrap_or(Err(Refused::Busy))
    }

    async fn begin_at_leisure(&self, deed: Deed) -> Result<Begun, Refused> {
        let Deed { client, address, action, target } = deed;
        let kept = Kept {
            at_ms: clock::now().0,
            client: client.as_ref().to_owned(),
            address: address.map(|address| address.to_canonical()),
            action,
            target,
            status: None,
        };
        let mut next = self.0.next.lock().await;
        let number = *next;
        // Whatever becomes of it from here on: it may be dropped while the store still writes.
        *next = next.saturating_add(1);
        let mut changes = vec![put(number, &kept)];
        changes.extend(self.too_old(number).await.into_iter().map(|key| Change { key, value: None }));
        self.write(changes).await?;
        drop(next);
        Ok(Begun { audit: self.clone(), number, kept })
    }

    /// Entries behind `after`, the oldest first; without it the newest ones. Blocks on the disk.
    ///
    /// # Errors
    /// When the store can't be read.
    pub(crate) fn read(&self, after: Option<u64>, limit: usize) -> Result<Vec<Entry>, ReadError> {
        let after = match after {
            Some(after) => after,
            None => newest(&self.0.store)?.unwrap_or(0).saturating_sub(limit as u64),
        };
        let from = kept::key(after.saturating_add(1));
        let rows = self.0.store.reader().values(&from, &kept::END, limit)?;
        let entry = |(key, value): (Vec<u8>, Vec<u8>)| {
            let entry = kept::number_of(&key).zip(kept::decode(&value));
            if entry.is_none() {
                tracing::error!("an entry of the audit log can't be read");
            }
            entry.map(|(number, kept)| Entry { number, kept })
        };
        Ok(rows.into_iter().filter_map(entry).collect())
    }

    /// The keys of entries that go when `number` comes.
    async fn too_old(&self, number: u64) -> Vec<Vec<u8>> {
        let Some(oldest) = number.checked_sub(ENTRIES_MAX) else { return Vec::new() };
        let store = Arc::clone(&self.0.store);
        let read = move || store.reader().values(&kept::key(0), &kept::key(oldest), REMOVED_AT_ONCE);
        // What can't be looked for now is with the next entry.
        let found = tokio::task::spawn_blocking(read).await;
        let left = found.into_iter().flatten().flatten().map(|(key, _)| key);
        // Also where it can't be read.
        left.chain([kept::key(oldest)]).collect()
    }

    async fn write(&self, changes: Vec<Change>) -> Result<(), Refused> {
        let (sender, durable) = oneshot::channel();
        // A full store is no reason for a box that nobody can look after.
        let transaction = Transaction { changes, items: Vec::new(), essential: true };
        // Who asked may be gone by the time of the answer.
        self.0.store.transact(transaction, clock::now(), Box::new(move |result| _ = sender.send(result)));
        durable.await.unwrap_or(Err(Refused::Closed))
    }
}

impl Begun {
    /// Writes how it was answered, and says it. `noted` is what it turned out to be about, where that is known only now.
    pub(crate) async fn end(mut self, status: u16, noted: Option<String>) {
        self.kept.status = Some(status);
        self.kept.target = noted.or(self.kept.target);
        let Kept { client, action, .. } = &self.kept;
        let address = self.kept.address.map_or_else(String::new, |address| address.to_string());
        let target = self.kept.target.as_deref().unwrap_or_default();
        tracing::info!(entry = self.number, %client, address, %action, target, status, "an operator's action");
        let written = timeout(WRITE_WITHIN, self.audit.write(vec![put(self.number, &self.kept)])).await;
        if let Err(error) = written.unwrap_or(Err(Refused::Busy)) {
            // It has begun, and is done: the answer tells its caller what the entry doesn't.
            tracing::error!(entry = self.number, %error, "the outcome of an operator's action couldn't be kept");
        }
    }
}

fn put(number: u64, kept: &Kept) -> Change {
    Change { key: kept::key(number), value: Some(kept::encode(kept)) }
}

/// The highest number, found by halving, since the table is read forwards only.
fn newest(store: &Store) -> Result<Option<u64>, ReadError> {
    let reader = store.reader();
    let first_from = |number: u64| -> Result<Option<u64>, ReadError> {
        let row = reader.values(&kept::key(number), &kept::END, 1)?.into_iter().next();
        Ok(row.and_then(|(key, _)| kept::number_of(&key)))
    };
    let Some(mut known) = first_from(0)? else { return Ok(None) };
    let mut step = ENTRIES_MAX.next_power_of_two();
    while step > 0 {
        match known.checked_add(step).map(first_from).transpose()?.flatten() {
            Some(further) => known = further,
            None => step /= 2,
        }
    }
    Ok(Some(known))
}

#[cfg(test)]
mod tests;
