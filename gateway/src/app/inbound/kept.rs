//! What is kept of webhooks that were taken over, in the store's table of values (docs/formats/failover.md).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use reqwest::Url;
use serde::{Deserialize, Serialize};
use store::{Change, ReadError, Refused, Store, Transaction};
use tokio::sync::oneshot;

use crate::clock;

/// Everything here begins with it.
const SPACE: u8 = b'W';
/// Behind it: a number that was taken over.
const NUMBER: u8 = b'n';
/// Behind it: nothing; the peer that has been heard.
const PEER: u8 = b'p';
/// The layout of values.
const VERSION: u8 = 1;
/// Numbers that are read at a start; a box has a few.
const NUMBERS_MAX: usize = 1_024;

/// A number that was taken over. The first layout, never edited.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kept {
    /// The number's override before; `None` where it had none.
    pub(super) before: Option<String>,
    /// What it was set to instead: this box, by the URL that it had then.
    pub(super) ours: String,
    /// When that was begun, in milliseconds since 1970 by the box's clock.
    pub(super) begun_ms: i64,
    /// When Meta had confirmed it; `None` until then.
    pub(super) taken_ms: Option<i64>,
}

/// What is kept, in memory too.
pub(super) struct Shelf {
    store: Arc<Store>,
    numbers: Mutex<BTreeMap<String, Kept>>,
}

impl Shelf {
    /// Reads what was kept.
    pub(super) fn open(store: Arc<Store>) -> Result<Self, ReadError> {
        let rows = store.reader().values(&[SPACE, NUMBER], &[SPACE, NUMBER + 1], NUMBERS_MAX)?;
        let mut numbers = BTreeMap::new();
        for (key, value) in rows {
            match (number_of(&key), decode(&value)) {
                (Some(number), Some(kept)) => drop(numbers.insert(number, kept)),
                _ => tracing::error!(
                    "what was kept of webhooks that were taken over can't be read: see `wagate failover status`"
                ),
            }
        }
        Ok(Self { store, numbers: Mutex::new(numbers) })
    }

    pub(super) fn get(&self, number: &str) -> Option<Kept> {
        self.lock().get(number).cloned()
    }

    /// Keeps it; durable when it returns `Ok`, and else as before.
    pub(super) async fn put(&self, number: &str, kept: Kept) -> Result<(), Refused> {
        self.write(number_key(number), Some(encode(&kept))).await?;
        self.lock().insert(number.to_owned(), kept);
        Ok(())
    }

    /// Forgets it, likewise.
    pub(super) async fn forget(&self, number: &str) -> Result<(), Refused> {
        self.write(number_key(number), None).await?;
        self.lock().remove(number);
        Ok(())
    }

    /// Whether this peer was ever heard.
    pub(super) fn is_known(&self, peer: &Url) -> Result<bool, ReadError> {
        let known = self.store.reader().value(&[SPACE, PEER])?;
        Ok(known.is_some_and(|value| value == self.peer(peer)))
    }

    /// Notes that it was.
    pub(super) async fn known(&self, peer: &Url) -> Result<(), Refused> {
        self.write(vec![SPACE, PEER], Some(self.peer(peer))).await
    }

    /// A URL may hold what is nobody's business: a hash tells it from another as well.
    fn peer(&self, peer: &Url) -> Vec<u8> {
        let mut value = vec![VERSION];
        value.extend_from_slice(&self.store.hash(peer.as_str().as_bytes()));
        value
    }

    async fn write(&self, key: Vec<u8>, value: Option<Vec<u8>>) -> Result<(), Refused> {
        let (sender, durable) = oneshot::channel();
        // A full store is no reason to forget whose webhooks these are.
        let transaction =
            Transaction { changes: vec![Change { key, value }], items: Vec::new(), essential: true };
        self.store.transact(transaction, clock::now(), Box::new(move |result| _ = sender.send(result)));
        durable.await.unwrap_or(Err(Refused::Closed))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Kept>> {
        self.numbers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn number_key(number: &str) -> Vec<u8> {
    let mut key = vec![SPACE, NUMBER];
    key.extend(number.bytes().filter(|byte| *byte != 0));
    key.push(0);
    key
}

fn number_of(key: &[u8]) -> Option<String> {
    let number = key.strip_prefix(&[SPACE, NUMBER])?.strip_suffix(&[0])?;
    String::from_utf8(number.to_vec()).ok()
}

fn encode(kept: &Kept) -> Vec<u8> {
    // Texts and numbers always have a form in postcard.
    postcard::to_extend(kept, vec![VERSION]).unwrap_or_default()
}

/// `None` for what can't be read; what is left over at the end makes a value unreadable.
fn decode(value: &[u8]) -> Option<Kept> {
    let (version, rest) = value.split_first()?;
    let (kept, left) = postcard::take_from_bytes(rest).ok()?;
    (*version == VERSION && left.is_empty()).then_some(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept() -> Kept {
        Kept {
            before: Some("https://a.example/w".into()),
            ours: "https://b.example/w".into(),
            begun_ms: 1_795_266_000_000,
            taken_ms: Some(1_795_266_000_500),
        }
    }

    /// The bytes of the first layout, which stay readable.
    #[test]
    fn the_first_layout_is_what_it_was() {
        let none = Kept { before: None, taken_ms: None, begun_ms: 1, ..kept() };
        let mut bytes = vec![1, 0, 19];
        bytes.extend_from_slice(b"https://b.example/w");
        bytes.extend_from_slice(&[2, 0]);
        assert_eq!(encode(&none), bytes);
        let mut bytes = vec![1, 1, 19];
        bytes.extend_from_slice(b"https://a.example/w");
        bytes.push(19);
        bytes.extend_from_slice(b"https://b.example/w");
        bytes.extend_from_slice(&[128, 210, 137, 227, 191, 104, 1, 232, 217, 137, 227, 191, 104]);
        assert_eq!(encode(&kept()), bytes);
        assert_eq!(decode(&bytes), Some(kept()));
        assert_eq!(number_key("106"), b"Wn106\0");
        assert_eq!(number_of(b"Wn106\0").as_deref(), Some("106"));
    }

    #[test]
    fn what_is_damaged_counts_as_none() {
        let whole = encode(&kept());
        for length in 0..whole.len() {
            assert_eq!(decode(&whole[..length]), None);
        }
        let longer = [&whole[..], &[0]].concat();
        let newer = [&[2], &whole[1..]].concat();
        assert_eq!((decode(&longer), decode(&newer)), (None, None));
    }
}
