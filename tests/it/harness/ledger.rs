//! The pull log of a box, compared with what WhatsApp and the CRM saw.

use std::collections::{HashMap, HashSet};

use serde_json::Value;
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
        Self::pull_after(api, 0).await
    }

    /// The same from the oldest record that is kept.
    pub(crate) async fn pull_from_oldest(api: &Api) -> Self {
        let oldest: u64 = api.get("/v1/records?limit=1").await["oldest"].as_str().unwrap().parse().unwrap();
        Self::pull_after(api, oldest - 1).await
    }

    async fn pull_after(api: &Api, after: u64) -> Self {
        let mut ledger = Self::default();
        let mut last = after;
        let mut after = after.to_string();
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
        let mut sent: HashSet<&str> = HashSet::new();
        for report in reports {
            let mut lanes: HashMap<u32, Vec<(u32, u64)>> = HashMap::new();
            let acknowledged = report.acknowledged.iter().flat_map(|webhook| webhook.items.iter());
            for item in acknowledged {
                sent.insert(&item.id);
                if !item.repeat {
                    let sequence = self.sequence(source, &item.id);
                    let sequence =
                        sequence.unwrap_or_else(|| panic!("acknowledged and not in the log: {}", item.id));
                    lanes.entry(item.contact).or_default().push((item.counter, sequence));
                }
            }
            for (contact, mut lane) in lanes {
                lane.sort_unstable();
                let in_order = lane.is_sorted_by_key(|(_, sequence)| *sequence);
                assert!(
                    in_order,
                    "contact {contact}: the log is in another order than the sending: {lane:?}"
                );
            }
            let open = report.unacknowledged.iter().flat_map(|items| items.iter());
            sent.extend(open.map(|item| &*item.id));
        }
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
            assert_eq!(
                observed.totals().records,
                self.sequences.len() as u64,
                "the CRM has more than the log"
            );
        });
    }
}
