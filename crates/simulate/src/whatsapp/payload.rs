//! Webhook bodies as Meta writes them, from a seed.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;

use super::change::Change;
use super::contact::{CONTACTS_MAX, Contact};
use super::text::push_escaped;
use crate::graph::Ears;
use crate::random::{Random, mix};
use crate::{Item, What};

/// Bodies that are remembered to be sent once more.
const REMEMBERED: usize = 64;
/// Updates in one webhook at most, as Meta documents.
pub const BATCH_MAX: u32 = 1_000;

/// What is generated.
#[derive(Debug, Clone)]
pub struct PayloadOptions {
    /// Where chance starts; two runs against one gateway need two seeds, or all ids repeat.
    pub seed: u64,
    /// How many customers write, 1 to [`CONTACTS_MAX`].
    pub contacts: u32,
    /// How many of 100 of them have a username and no phone.
    pub without_phone_percent: u32,
    /// `entry.id`.
    pub waba_id: String,
    /// `metadata.phone_number_id`.
    pub phone_number_id: String,
    /// `metadata.display_phone_number`.
    pub display_phone_number: String,
    /// How many of 100 items are statuses of the store's messages.
    pub statuses_percent: u32,
    /// How many of 100 bodies hold several items, of different contacts, each in a change of its
    /// own.
    pub batch_percent: u32,
    /// The most items in such a body, up to [`BATCH_MAX`].
    pub batch_items_max: u32,
    /// How many of 100 bodies are an earlier one once more, byte for byte.
    pub duplicate_percent: u32,
    /// How many of 100 bodies are overtaken by the next one, and of 100 messages of the store have
    /// their statuses in disorder. Running numbers of a contact are then no longer in order.
    pub disorder_percent: u32,
    /// The timestamp of the first item, in seconds since 1970.
    pub starts_at: i64,
    /// By which the timestamps grow.
    pub items_per_second: u32,
}

impl Default for PayloadOptions {
    /// The mix of the benchmark: 1000 contacts, one item a body, no duplicates, in order.
    fn default() -> Self {
        Self {
            seed: 1,
            contacts: 1_000,
            without_phone_percent: 5,
            waba_id: "102290129340398".into(),
            phone_number_id: "106540352242922".into(),
            display_phone_number: "15550783881".into(),
            statuses_percent: 45,
            batch_percent: 0,
            batch_items_max: 25,
            duplicate_percent: 0,
            disorder_percent: 0,
            starts_at: 1_795_214_595,
            items_per_second: 100,
        }
    }
}

impl PayloadOptions {
    /// The `source` that the records of these webhooks have.
    #[must_use]
    pub fn source(&self) -> String {
        format!("/wagate/{}", self.phone_number_id)
    }
}

/// One webhook body.
#[derive(Debug, Clone)]
pub struct Body {
    /// The bytes to send and sign.
    pub bytes: Bytes,
    /// What it holds, in the order in which it stands there.
    pub items: Arc<[Item]>,
    /// True for an earlier body once more.
    pub repeat: bool,
}

/// An endless stream of webhook bodies: unless asked for otherwise 45 % texts, 10 % pictures,
/// choices and places, 45 % statuses; compact JSON with everything beyond ASCII escaped, about 680 bytes.
#[derive(Debug)]
pub struct Payloads {
    options: PayloadOptions,
    random: Random,
    contacts: Vec<Contact>,
    lane: Lane,
    /// Items made so far in this lane.
    made: u64,
    remembered: VecDeque<Body>,
    overtaken: Option<Body>,
    heard_by: Option<Ears>,
}

/// A part of the whole that shares no contact and no id with the other parts.
#[derive(Debug, Clone, Copy)]
struct Lane {
    number: u32,
    of: u32,
}

impl Payloads {
    /// All contacts in one stream.
    #[must_use]
    pub fn new(options: PayloadOptions) -> Self {
        Self::lane(options, Lane { number: 0, of: 1 })
    }

    /// The contacts dealt out to `lanes` streams, at least one and at most as many as there are
    /// contacts. Sent over one connection each, what one contact writes goes out in order.
    #[must_use]
    pub fn lanes(options: &PayloadOptions, lanes: u32) -> Vec<Self> {
        let of = lanes.clamp(1, options.contacts.clamp(1, CONTACTS_MAX));
        (0..of).map(|number| Self::lane(options.clone(), Lane { number, of })).collect()
    }

    /// The names of the customers; several may share one.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.contacts.iter().map(|contact| &*contact.name)
    }

    /// Tells the simulated Graph who the customers are, and whenever one writes, so that it opens the
    /// service window.
    #[must_use]
    pub fn heard_by(mut self, graph: Ears) -> Self {
        for contact in &self.contacts {
            graph.know(contact.phone.as_deref(), &contact.user_id, &contact.name);
        }
        self.heard_by = Some(graph);
        self
    }

    fn lane(options: PayloadOptions, lane: Lane) -> Self {
        let contacts = (lane.number..options.contacts.clamp(1, CONTACTS_MAX))
            .step_by(lane.of as usize)
            .map(|index| Contact::new(options.seed, index, options.without_phone_percent))
            .collect();
        Self {
            random: Random::new(mix(options.seed).wrapping_add(u64::from(lane.number))),
            contacts,
            lane,
            made: 0,
            remembered: VecDeque::new(),
            overtaken: None,
            heard_by: None,
            options,
        }
    }

    fn fresh(&mut self) -> Body {
        let items = if self.random.percent(self.options.batch_percent) {
            2 + self.random.below(u64::from(self.options.batch_items_max.clamp(2, BATCH_MAX)) - 1)
        } else {
            1
        };
        let mut json = String::with_capacity(1_024);
        json.push_str(r#"{"object":"whatsapp_business_account","entry":[{"id":""#);
        push_escaped(&mut json, &self.options.waba_id);
        json.push_str(r#"","changes":["#);
        let mut held: Vec<Item> = Vec::with_capacity(usize::try_from(items).unwrap_or_default());
        for place in 0..items {
            if place > 0 {
                json.push(',');
            }
            let start = json.len();
            let mut item = self.change(&mut json);
            held.push(item.clone());
            if items > 1 && self.random.percent(self.options.duplicate_percent) {
                let again = json[start..].to_owned();
                json.push(',');
                json.push_str(&again);
                item.repeat = true;
                held.push(item);
            }
        }
        json.push_str("]}]}");
        Body { bytes: json.into(), items: held.into(), repeat: false }
    }

    /// Writes one change with one item.
    fn change(&mut self, json: &mut String) -> Item {
        let place = usize::try_from(self.random.below(self.contacts.len() as u64)).unwrap_or_default();
        let number = self.made * u64::from(self.lane.of) + u64::from(self.lane.number);
        self.made += 1;
        let mut change = Change {
            json,
            options: &self.options,
            random: &mut self.random,
            contact: &mut self.contacts[place],
            number,
        };
        let item = change.write();
        if let (Some(graph), What::Message(_)) = (&self.heard_by, item.what) {
            let contact = &self.contacts[place];
            graph.heard(&self.options.phone_number_id, contact.phone.as_deref(), Some(&contact.user_id));
        }
        item
    }

    fn again(&mut self) -> Option<Body> {
        let place = self.random.below(self.remembered.len() as u64);
        let mut body = self.remembered.get(usize::try_from(place).ok()?)?.clone();
        body.items = body.items.iter().map(|item| Item { repeat: true, ..item.clone() }).collect();
        body.repeat = true;
        Some(body)
    }
}

impl Iterator for Payloads {
    type Item = Body;

    fn next(&mut self) -> Option<Body> {
        if let Some(body) = self.overtaken.take() {
            return Some(body);
        }
        if self.options.duplicate_percent > 0
            && self.random.percent(self.options.duplicate_percent)
            && let Some(body) = self.again()
        {
            return Some(body);
        }
        let mut body = self.fresh();
        if self.options.disorder_percent > 0 && self.random.percent(self.options.disorder_percent) {
            let overtaking = self.fresh();
            self.overtaken = Some(std::mem::replace(&mut body, overtaking));
        }
        // Only what went out can come again, so the one overtaken isn't remembered.
        if self.options.duplicate_percent > 0 {
            if self.remembered.len() == REMEMBERED {
                self.remembered.pop_front();
            }
            self.remembered.push_back(body.clone());
        }
        Some(body)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use serde_json::Value;

    use super::*;

    fn every_kind() -> PayloadOptions {
        PayloadOptions {
            batch_percent: 10,
            duplicate_percent: 5,
            disorder_percent: 5,
            ..PayloadOptions::default()
        }
    }

    /// The record ids that a body really holds, read back from its bytes.
    fn ids_in(bytes: &[u8]) -> Vec<String> {
        let body: Value = serde_json::from_slice(bytes).unwrap();
        let mut ids = Vec::new();
        for change in body["entry"][0]["changes"].as_array().unwrap() {
            for message in change["value"]["messages"].as_array().into_iter().flatten() {
                ids.push(message["id"].as_str().unwrap().to_owned());
            }
            for status in change["value"]["statuses"].as_array().into_iter().flatten() {
                ids.push(format!(
                    "{}:{}",
                    status["id"].as_str().unwrap(),
                    status["status"].as_str().unwrap()
                ));
            }
        }
        ids
    }

    #[test]
    fn the_mix_is_the_one_of_the_benchmark() {
        let (mut bytes, mut texts, mut others, mut statuses) = (0, 0, 0, 0);
        for body in Payloads::new(PayloadOptions::default()).take(10_000) {
            bytes += body.bytes.len();
            assert!(body.bytes.is_ascii());
            match body.items[0].what {
                What::Message("text") => texts += 1,
                What::Message(_) => others += 1,
                What::Status(_) => statuses += 1,
            }
        }
        assert!((4_300..4_700).contains(&texts), "{texts}");
        assert!((900..1_100).contains(&others), "{others}");
        assert!((4_300..4_700).contains(&statuses), "{statuses}");
        assert!((640..720).contains(&(bytes / 10_000)), "{}", bytes / 10_000);
    }

    #[test]
    fn there_are_as_many_statuses_as_asked_for() {
        for (statuses_percent, expected) in
            [(0, 0..=0), (20, 1_800..=2_200), (100, 10_000..=10_000), (500, 10_000..=10_000)]
        {
            let options = PayloadOptions { statuses_percent, ..PayloadOptions::default() };
            let statuses = Payloads::new(options)
                .take(10_000)
                .filter(|body| matches!(body.items[0].what, What::Status(_)));
            let statuses = statuses.count();
            assert!(expected.contains(&statuses), "{statuses_percent} %: {statuses}");
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_bytes_and_another_seed_other_ids() {
        let bodies = |seed| -> Vec<Body> {
            Payloads::new(PayloadOptions { seed, ..every_kind() }).take(500).collect()
        };
        let bytes = |bodies: &[Body]| bodies.iter().map(|body| body.bytes.clone()).collect::<Vec<_>>();
        let ids = |bodies: &[Body]| -> HashSet<Box<str>> {
            bodies.iter().flat_map(|body| body.items.iter().map(|item| item.id.clone())).collect()
        };
        assert_eq!(bytes(&bodies(1)), bytes(&bodies(1)));
        assert!(ids(&bodies(1)).is_disjoint(&ids(&bodies(2))));
    }

    #[test]
    fn a_body_tells_what_it_holds_and_only_marked_copies_repeat() {
        let mut seen = HashSet::new();
        let mut repeats = 0;
        for lane in Payloads::lanes(&every_kind(), 3) {
            for body in lane.take(1_000) {
                let told: Vec<&str> = body.items.iter().map(|item| &*item.id).collect();
                assert_eq!(ids_in(&body.bytes), told);
                for item in &*body.items {
                    assert_eq!(seen.insert(item.id.clone()), !item.repeat, "{}", item.id);
                    repeats += u32::from(item.repeat);
                    assert!(item.id.len() <= 256 && item.id.bytes().all(|byte| byte.is_ascii_graphic()));
                }
            }
        }
        assert!(repeats > 100, "{repeats}");
    }

    #[test]
    fn a_contact_counts_on_and_its_messages_say_the_number() {
        let mut counters: HashMap<u32, u32> = HashMap::new();
        let options = PayloadOptions { batch_percent: 10, contacts: 50, ..PayloadOptions::default() };
        for body in Payloads::new(options).take(2_000) {
            let text = std::str::from_utf8(&body.bytes).unwrap();
            for item in &*body.items {
                let counter = counters.entry(item.contact).or_default();
                *counter += 1;
                assert_eq!(item.counter, *counter);
                if matches!(item.what, What::Message(_)) {
                    assert!(text.contains(&format!(" #{}\"", item.counter)), "{text}");
                }
            }
        }
        assert_eq!(counters.len(), 50);
    }

    #[test]
    fn disorder_is_disorder() {
        let mut counters: HashMap<u32, u32> = HashMap::new();
        let options = PayloadOptions { disorder_percent: 20, contacts: 5, ..PayloadOptions::default() };
        let behind = Payloads::new(options)
            .take(2_000)
            .filter(|body| {
                let item = &body.items[0];
                counters.insert(item.contact, item.counter).is_some_and(|before| before > item.counter)
            })
            .count();
        assert!(behind > 20, "{behind}");
    }

    #[test]
    fn who_has_no_phone_shows_none() {
        let options = PayloadOptions { without_phone_percent: 100, ..PayloadOptions::default() };
        for body in Payloads::new(options).take(300) {
            let text = std::str::from_utf8(&body.bytes).unwrap();
            for phone in ["wa_id", "\"from\"", "recipient_id\""] {
                assert!(!text.contains(phone), "{text}");
            }
            assert!(text.contains("\"username\"") && text.contains("\"user_id\""));
        }
    }

    #[test]
    fn hostile_options_are_held_within_bounds() {
        let options = PayloadOptions {
            contacts: 0,
            batch_percent: 100,
            batch_items_max: 0,
            items_per_second: 0,
            waba_id: "\"\\".into(),
            ..PayloadOptions::default()
        };
        let lanes = Payloads::lanes(&options, 0);
        assert_eq!(lanes.len(), 1);
        for body in lanes.into_iter().flatten().take(10) {
            assert_eq!(ids_in(&body.bytes).len(), 2);
        }
    }
}
