//! What the CRM has seen, and what was wrong with it.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::time::Instant;

use model::Kind;
use serde::Serialize;

use super::conversation::{Conversation, Tick};
use super::record::Record;

/// Complaints kept word by word; further ones are only counted.
pub const COMPLAINTS_MAX: usize = 1_000;
/// Contacts whose conversation is kept; further ones are counted and checked, and not shown.
pub const CONVERSATIONS_MAX: usize = 2_000;
/// Messages of the store that are followed one by one, the first.
pub const FOLLOWED_MAX: usize = 1 << 18;
/// Records kept as they came, the newest.
pub const RECORDS_MAX: usize = 1_000;
/// Bytes that these may take.
pub const RECORDS_BYTES_MAX: usize = 16 * 1024 * 1024;

/// How much is kept of what arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Keep {
    /// Conversations and the newest records, to be looked at.
    #[default]
    Everything,
    /// Only what the checks need, about 60 bytes a record: for load tests.
    Counters,
}

/// What a delivery or a record can be found wrong for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Wrong {
    /// The content type is none of the two, or doesn't fit the body.
    ContentType,
    /// A header that the contract names is missing or unreadable.
    Header,
    /// The signature isn't right.
    Signature,
    /// The timestamp is too far from now.
    Timestamp,
    /// The body or a record in it isn't as the contract has it.
    Malformed,
    /// The first delivery of a record came after a later one of the same lane.
    Order,
    /// A record came again with another sequence.
    Renumbered,
}

/// One thing that was wrong. Holds no message text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Complaint {
    /// Which kind.
    pub wrong: Wrong,
    /// For people.
    pub detail: String,
}

/// A record's first arrival and how often it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// When it came first.
    pub first_at: Instant,
    /// The sequence that it came with.
    pub sequence: u64,
    /// How often it was taken.
    pub times: u32,
}

/// The sums.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Totals {
    /// Deliveries (requests) that were read whole.
    pub deliveries: u64,
    /// Of those, refused because the behaviour wanted it.
    pub refused: u64,
    /// Records taken, repetitions included.
    pub taken: u64,
    /// Different records taken.
    pub records: u64,
    /// Lanes (contacts, or accounts) seen.
    pub lanes: u64,
}

/// What the CRM was told of one message that it sent through the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Followed {
    /// The record of its sending came.
    pub recorded: bool,
    /// The status of this word came, and so on.
    pub sent: bool,
    /// It is on the customer's phone.
    pub delivered: bool,
    /// The customer has seen it.
    pub read: bool,
    /// It won't get there.
    pub failed: bool,
}

/// Everything that the CRM has seen.
#[derive(Debug, Default)]
pub struct Observed {
    keep: Keep,
    totals: Totals,
    /// By fingerprint of source and id: 64 bits, so that among a million records two are taken for
    /// one with a chance of about one in 40 million.
    seen: HashMap<u64, Seen, BuildHasherDefault<DefaultHasher>>,
    /// The highest sequence first delivered in each lane.
    lanes: HashMap<Box<str>, u64>,
    wrong: BTreeMap<Wrong, u64>,
    complaints: Vec<Complaint>,
    /// By outbox id.
    followed: HashMap<Box<str>, Followed>,
    recorded: u64,
    pub(crate) conversations: BTreeMap<String, Conversation>,
    pub(crate) newest: VecDeque<Box<str>>,
    newest_bytes: usize,
}

impl Observed {
    pub(crate) fn new(keep: Keep) -> Self {
        Self { keep, ..Self::default() }
    }

    /// How many different records both CRMs have taken: with two endpoints of one gateway, those that
    /// came to the one and again to the other.
    #[must_use]
    pub fn in_common(&self, other: &Self) -> u64 {
        self.seen.keys().filter(|record| other.seen.contains_key(record)).count() as u64
    }

    /// The sums.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// Whether nothing was ever wrong.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.wrong.is_empty()
    }

    /// How often this was wrong.
    #[must_use]
    pub fn count(&self, wrong: Wrong) -> u64 {
        self.wrong.get(&wrong).copied().unwrap_or_default()
    }

    /// What was wrong, the first [`COMPLAINTS_MAX`].
    #[must_use]
    pub fn complaints(&self) -> &[Complaint] {
        &self.complaints
    }

    /// What is known of one record; `None` if it was never taken.
    #[must_use]
    pub fn seen(&self, source: &str, id: &str) -> Option<Seen> {
        self.seen.get(&fingerprint(source, id)).copied()
    }

    /// Those of `ids` that never arrived: empty when nothing was lost.
    pub fn missing<'a>(&self, source: &str, ids: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
        ids.into_iter().filter(|id| self.seen(source, id).is_none()).collect()
    }

    /// What came of a message that was sent through the gateway, by its outbox id.
    #[must_use]
    pub fn followed(&self, outbox_id: &str) -> Followed {
        self.followed.get(outbox_id).copied().unwrap_or_default()
    }

    /// How many records of a sending (`wagate.message.sent.v1`) were taken.
    #[must_use]
    pub const fn recorded(&self) -> u64 {
        self.recorded
    }

    pub(crate) fn delivery(&mut self, refused: bool) {
        self.totals.deliveries += 1;
        self.totals.refused += u64::from(refused);
    }

    /// Takes a record; tells whether it is the first time, and what is wrong with its coming.
    pub(crate) fn take(
        &mut self,
        record: &Record<'_>,
        sequence: u64,
        json: &str,
        at: Instant,
    ) -> (bool, Option<Complaint>) {
        self.totals.taken += 1;
        let key = fingerprint(&record.source, &record.id);
        if let Some(seen) = self.seen.get_mut(&key) {
            seen.times = seen.times.saturating_add(1);
            let before = seen.sequence;
            let complaint = (before != sequence).then(|| {
                self.complain(Wrong::Renumbered, format!("sequence {before} came again as {sequence}"))
            });
            return (false, complaint);
        }
        self.totals.records += 1;
        self.seen.insert(key, Seen { first_at: at, sequence, times: 1 });
        let complaint = self.in_order(record, sequence);
        if self.keep == Keep::Everything {
            self.follow(record);
            self.show(record, sequence, json);
        }
        (true, complaint)
    }

    fn in_order(&mut self, record: &Record<'_>, sequence: u64) -> Option<Complaint> {
        let Some(last) = self.lanes.get_mut(record.lane()) else {
            self.totals.lanes += 1;
            self.lanes.insert(record.lane().into(), sequence);
            return None;
        };
        let before = *last;
        *last = before.max(sequence);
        let late = sequence <= before && !record.is_replayed();
        late.then(|| {
            self.complain(Wrong::Order, format!("sequence {sequence} came first after {before} of its lane"))
        })
    }

    /// Notes what is wrong, and gives it back.
    pub(crate) fn complain(&mut self, wrong: Wrong, detail: String) -> Complaint {
        *self.wrong.entry(wrong).or_default() += 1;
        let complaint = Complaint { wrong, detail };
        if self.complaints.len() < COMPLAINTS_MAX {
            self.complaints.push(complaint.clone());
        }
        complaint
    }

    fn follow(&mut self, record: &Record<'_>) {
        let Some(outbox_id) = record.outbox_id() else { return };
        if !self.followed.contains_key(&*outbox_id) && self.followed.len() >= FOLLOWED_MAX {
            return;
        }
        let followed = self.followed.entry(outbox_id.into()).or_default();
        if Kind::from_event_type(&record.kind) == Some(Kind::MessageSent) {
            followed.recorded = true;
            self.recorded += 1;
            return;
        }
        match record.summary().as_deref().and_then(Tick::of) {
            Some(Tick::Sent) => followed.sent = true,
            Some(Tick::Delivered) => followed.delivered = true,
            Some(Tick::Read) => followed.read = true,
            Some(Tick::Failed) => followed.failed = true,
            Some(Tick::Accepted) | None => {}
        }
    }

    fn show(&mut self, record: &Record<'_>, sequence: u64, json: &str) {
        self.newest_bytes += json.len();
        self.newest.push_back(json.into());
        while self.newest.len() > RECORDS_MAX || self.newest_bytes > RECORDS_BYTES_MAX {
            let Some(oldest) = self.newest.pop_front() else { break };
            self.newest_bytes -= oldest.len();
        }
        let lane = record.lane();
        if !self.conversations.contains_key(lane) && self.conversations.len() >= CONVERSATIONS_MAX {
            return;
        }
        self.conversations.entry(lane.to_owned()).or_default().take(record, sequence);
    }
}

fn fingerprint(source: &str, id: &str) -> u64 {
    // The zero byte keeps ("a", "bc") and ("ab", "c") apart.
    BuildHasherDefault::<DefaultHasher>::default().hash_one((source, 0_u8, id))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::crm::conversation::tests::{sent, status};
    use crate::crm::conversation::{CONVERSATION_LINES_MAX, LINE_BYTES_MAX};

    fn record(sequence: u64, id: &str, contact: Option<&str>, replayed: bool) -> String {
        json!({
            "specversion": "1.0", "id": id, "source": "/wagate/1", "type": "wagate.message.received.v1",
            "time": "2026-11-20T22:43:15Z", "datacontenttype": "application/json",
            "sequence": format!("{sequence:020}"),
            "data": {
                "received_at": "2026-11-20T22:43:16.042Z", "replayed": replayed,
                "contact": contact.map(|id| json!({ "id": id, "name": "N" })), "message": { "text": "x".repeat(9_000) },
            }
        })
        .to_string()
    }

    /// Takes the records and gives what was complained of.
    fn wrongs(records: &[String]) -> (Observed, Vec<Wrong>) {
        let mut observed = Observed::new(Keep::Everything);
        let now = Instant::now();
        for json in records {
            let (record, sequence) = Record::parse(json).unwrap();
            observed.take(&record, sequence, json, now);
        }
        let wrongs = observed.complaints().iter().map(|complaint| complaint.wrong).collect();
        (observed, wrongs)
    }

    #[test]
    fn order_is_judged_in_each_lane_by_first_deliveries() {
        let (a, b) = (Some("c-A"), Some("c-B"));
        let (observed, wrong) = wrongs(&[
            record(5, "five", a, false),
            record(1, "one", b, false),
            record(2, "two", None, false),
            record(6, "six", a, false),
            record(5, "five", a, false),
            record(3, "three", a, true),
            record(7, "seven", a, false),
        ]);
        assert_eq!(wrong, []);
        assert!(observed.is_clean());
        assert_eq!(observed.seen("/wagate/1", "five").unwrap().times, 2);
        assert_eq!(observed.missing("/wagate/1", ["five", "eight"]), ["eight"]);
        assert_eq!(observed.missing("/wagate/2", ["five"]), ["five"]);
        let totals = observed.totals();
        assert_eq!((totals.taken, totals.records, totals.lanes), (7, 6, 3));
    }

    #[test]
    fn disorder_is_noticed_with_and_without_a_contact() {
        for lane in [Some("c-A"), None] {
            let (observed, wrong) = wrongs(&[
                record(5, "a", lane, false),
                record(4, "b", lane, false),
                record(6, "c", lane, false),
            ]);
            assert_eq!(wrong, [Wrong::Order]);
            assert_eq!(observed.count(Wrong::Order), 1);
            // Two records at one place are as wrong.
            assert_eq!(wrongs(&[record(5, "a", lane, false), record(5, "b", lane, false)]).1, [Wrong::Order]);
        }
    }

    #[test]
    fn a_record_that_changes_its_place_is_noticed() {
        let again = [record(5, "a", None, false), record(6, "a", None, false)];
        assert_eq!(wrongs(&again).1, [Wrong::Renumbered]);
    }

    #[test]
    fn what_is_shown_is_bounded() {
        let records: Vec<String> =
            (1..=1_100).map(|number| record(number, &number.to_string(), Some("c-A"), false)).collect();
        let (observed, _) = wrongs(&records);
        assert_eq!(observed.newest.len(), RECORDS_MAX);
        let conversation = &observed.conversations["c-A"];
        assert_eq!(conversation.lines.len(), CONVERSATION_LINES_MAX);
        assert_eq!(conversation.lines[0].sequence, 1_100 - CONVERSATION_LINES_MAX as u64 + 1);
        assert_eq!(conversation.lines[0].text.len(), LINE_BYTES_MAX);
    }

    #[test]
    fn what_the_store_sent_is_followed_by_its_outbox_id() {
        let ours = Some("o-1");
        let records =
            [status(1, "sent", ours), sent(2), status(3, "read", ours), status(4, "failed", None), sent(2)];
        let (observed, wrong) = wrongs(&records);
        assert_eq!(wrong, []);
        let followed = Followed { recorded: true, sent: true, read: true, ..Followed::default() };
        assert_eq!((observed.followed("o-1"), observed.recorded()), (followed, 1));
        assert_eq!(observed.followed("o-2"), Followed::default());
    }

    #[test]
    fn complaints_are_bounded_and_still_counted() {
        let mut observed = Observed::new(Keep::Counters);
        for _ in 0..COMPLAINTS_MAX + 5 {
            observed.complain(Wrong::Header, String::new());
        }
        assert_eq!(observed.complaints().len(), COMPLAINTS_MAX);
        assert_eq!(observed.count(Wrong::Header), COMPLAINTS_MAX as u64 + 5);
    }
}
