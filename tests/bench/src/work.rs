//! What is sent: whole requests, made and signed beforehand, and what is known of them.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::ops::Range;
use std::sync::LazyLock;
use std::time::Instant;

use model::signature::hub::AppSecret;
use simulate::whatsapp::{PayloadOptions, Payloads};

use crate::server::APP_SECRET;

/// Keep-alive connections of the load generator, and streams that share no contact.
pub(crate) const LANES: usize = 32;

/// Nanoseconds since the program began to count; what the two ends compare.
pub(crate) fn now() -> u64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    u64::try_from(START.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// Webhooks for all connections.
#[derive(Debug, Default)]
pub(crate) struct Work {
    pub(crate) lanes: Vec<Lane>,
    pub(crate) items: Vec<Item>,
    numbers: HashMap<u64, u32, BuildHasherDefault<AsItIs>>,
}

/// What one connection sends, in this order.
#[derive(Debug, Default)]
pub(crate) struct Lane {
    bytes: Vec<u8>,
    pub(crate) webhooks: Vec<Webhook>,
}

/// One request.
#[derive(Debug, Clone)]
pub(crate) struct Webhook {
    bytes: Range<usize>,
    /// The numbers of what it holds.
    pub(crate) items: Range<u32>,
}

/// One message or status, which becomes one record.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Item {
    pub(crate) contact: u32,
    /// The contact's own running number.
    pub(crate) counter: u32,
}

impl Work {
    /// The benchmark's mix: one item in each of `webhooks`, 683 bytes on average.
    pub(crate) fn single(seed: u64, webhooks: usize) -> anyhow::Result<Self> {
        Self::made(&PayloadOptions { seed, ..PayloadOptions::default() }, |work| work.webhooks() < webhooks)
    }

    /// The same items, many to a webhook: fills a store faster.
    pub(crate) fn batched(seed: u64, items: usize) -> anyhow::Result<Self> {
        let options =
            PayloadOptions { seed, batch_percent: 100, batch_items_max: 50, ..PayloadOptions::default() };
        Self::made(&options, |work| work.items.len() < items)
    }

    /// Requests of another kind, dealt to the connections in turn; nobody waits for records of them.
    pub(crate) fn requests(requests: impl Iterator<Item = Vec<u8>>) -> Self {
        let mut work = Self { lanes: (0..LANES).map(|_| Lane::default()).collect(), ..Self::default() };
        for (number, request) in requests.enumerate() {
            work.lanes[number % LANES].add(&request, 0..0);
        }
        work
    }

    fn made(options: &PayloadOptions, more: impl Fn(&Self) -> bool) -> anyhow::Result<Self> {
        let secret = AppSecret::new(APP_SECRET.as_bytes());
        let lanes = u32::try_from(LANES)?;
        let mut payloads = Payloads::lanes(options, lanes);
        let mut work = Self { lanes: (0..LANES).map(|_| Lane::default()).collect(), ..Self::default() };
        while more(&work) {
            for (lane, payloads) in payloads.iter_mut().enumerate() {
                let Some(body) = payloads.next() else { continue };
                let first = u32::try_from(work.items.len())?;
                for item in &*body.items {
                    let number = u32::try_from(work.items.len())?;
                    work.items.push(Item { contact: item.contact, counter: item.counter });
                    let before = work.numbers.insert(hash(item.id.as_bytes()), number);
                    anyhow::ensure!(before.is_none(), "two ids with one hash: take another seed");
                }
                let items = first..u32::try_from(work.items.len())?;
                work.lanes[lane].push(&body.bytes, &secret.sign(&body.bytes), items);
            }
        }
        Ok(work)
    }

    pub(crate) fn webhooks(&self) -> usize {
        self.lanes.iter().map(|lane| lane.webhooks.len()).sum()
    }

    /// The number of the item that the record with this id came from.
    pub(crate) fn number_of(&self, id: &[u8]) -> Option<u32> {
        self.numbers.get(&hash(id)).copied()
    }
}

impl Lane {
    fn push(&mut self, body: &[u8], signature: &str, items: Range<u32>) {
        // As Meta writes it.
        let head = format!(
            "POST /webhook HTTP/1.1\r\nhost: bench.example.com\r\naccept: */*\r\nuser-agent: facebookexternalua\r\n\
             content-type: application/json\r\nx-hub-signature-256: {signature}\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        self.add(&[head.as_bytes(), body].concat(), items);
    }

    fn add(&mut self, request: &[u8], items: Range<u32>) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(request);
        self.webhooks.push(Webhook { bytes: start..self.bytes.len(), items });
    }

    /// The whole request.
    pub(crate) fn request(&self, place: usize) -> Option<&[u8]> {
        self.bytes.get(self.webhooks.get(place)?.bytes.clone())
    }
}

/// FNV-1a with 64 bits, eight bytes at a time: all ids are our own, so nobody floods it, and two
/// that collide are seen when the work is made.
fn hash(id: &[u8]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for piece in id.chunks(8) {
        let mut word = [0; 8];
        word[..piece.len()].copy_from_slice(piece);
        hash = (hash ^ u64::from_le_bytes(word)).wrapping_mul(0x0100_0000_01b3).rotate_left(23);
    }
    hash ^ (hash >> 29)
}

/// For keys that are hashes.
#[derive(Debug, Default)]
pub(crate) struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("only u64 are keys")
    }

    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Message;

    #[test]
    fn a_request_is_whole_and_its_items_are_known() {
        let work = Work::batched(9, 500).unwrap();
        assert!(work.items.len() >= 500);
        let payloads = Payloads::lanes(
            &PayloadOptions { seed: 9, batch_percent: 100, batch_items_max: 50, ..PayloadOptions::default() },
            u32::try_from(LANES).unwrap(),
        );
        for (lane, payloads) in work.lanes.iter().zip(payloads) {
            for (place, body) in payloads.take(lane.webhooks.len()).enumerate() {
                let request = lane.request(place).unwrap();
                let message = Message::parse(request).unwrap().unwrap();
                assert_eq!((message.len(), message.body), (request.len(), &body.bytes[..]));
                for (number, item) in lane.webhooks[place].items.clone().zip(&*body.items) {
                    assert_eq!(work.number_of(item.id.as_bytes()), Some(number));
                    assert_eq!(work.items[number as usize].counter, item.counter);
                }
            }
        }
        assert_eq!(work.number_of(b"wamid.unknown"), None);
    }
}
