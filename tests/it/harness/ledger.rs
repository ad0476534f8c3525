//! The pull log of a box, compared with what WhatsApp and the CRM saw.

use std::collections::{HashMap, HashSet};

use serde_json::Value;
use simulate::Item;
use simulate::crm::Crm;
use simulate::whatsapp::Report;

use super::Api;

/// Everything in `/v1/records`.
#[derive(Default)]
pub(crate) struct Ledger {
    /// Sequences by source and id.
    sequences: HashMap<(String, String), u64>,
}

impl Ledger {
    /// Pulls the whole log from the beginning: sequences grow, and no event is there twice.
    pub(crate) async fn pull(api: &Api) -> Self {
        let mut ledger = Self::default();
        let mut after = String::from("0");
        let mut last = 0;
        loop {
            let page = api.get(&format!("/v1/records?after={after}&limit=1000")).await;
            let records = page["records"].as_array().unwrap();
            for record in records {
                last = ledger.add(record, last);
            }
            let next = page["next"].as_str().unwrap().to_owned();
            if records.is_empty() {
                return ledger;
            }
            assert_eq!(next.parse::<u64>().unwrap(), last, "`next` is the last of the page");
            after = next;
        }
    }

    fn add(&mut self, record: &Value, last: u64) -> u64 {
        let text = |name: &str| record[name].as_str().unwrap().to_owned();
        let sequence: u64 = text("sequence").parse().unwrap();
        assert!(sequence > last, "{sequence} stands behind {last}");
        let before = self.sequences.insert((text("source"), text("id")), sequence);
        assert_eq!(before, None, "an event is in the log twice, as {before:?} and {sequence}");
        sequence
    }

    pub(crate) fn len(&self) -> usize {
        self.sequences.len()
    }

    pub(crate) fn sequence(&self, source: &str, id: &str) -> Option<u64> {
        self.sequences.get(&(source.to_owned(), id.to_owned())).copied()
    }

    /// What was acknowledged is in the log, in the order in which each contact wrote it; what is in
    /// the log was sent.
    pub(crate) fn assert_holds(&self, source: &str, reports: &[&Report]) {
        let acknowledged = || reports.iter().flat_map(|report| &report.acknowledged).flat_map(|webhook| webhook.items.iter());
        let open = reports.iter().flat_map(|report| &report.unacknowledged).flat_map(|items| items.iter());
        let mut lanes: HashMap<u32, Vec<(u32, u64)>> = HashMap::new();
        for item in acknowledged().filter(|item| !item.repeat) {
            let sequence = self.sequence(source, &item.id);
            let sequence = sequence.unwrap_or_else(|| panic!("acknowledged and not in the log: {}", item.id));
            lanes.entry(item.contact).or_default().push((item.counter, sequence));
        }
        for (contact, mut lane) in lanes {
            lane.sort_unstable();
            let in_order = lane.is_sorted_by_key(|(_, sequence)| *sequence);
            assert!(in_order, "contact {contact}: the log is in another order than the sending: {lane:?}");
        }
        let sent: HashSet<&str> = acknowledged().chain(open).map(|item: &Item| &*item.id).collect();
        let unknown: Vec<_> = self.sequences.keys().filter(|(_, id)| !sent.contains(id.as_str())).collect();
        assert!(unknown.is_empty(), "nobody has sent {unknown:?}");
    }

    /// The CRM has seen just what is in the log, under the same sequences, and found nothing wrong.
    pub(crate) fn assert_delivered(&self, crm: &Crm) {
        crm.look(|observed| {
            for ((source, id), sequence) in &self.sequences {
                let seen = observed.seen(source, id);
                let seen = seen.unwrap_or_else(|| panic!("{sequence} isn't delivered"));
                assert_eq!(seen.sequence, *sequence);
            }
            assert!(observed.is_clean(), "{:#?}", observed.complaints());
            assert_eq!(observed.totals().records, self.sequences.len() as u64, "the CRM has more than the log");
        });
    }
}
