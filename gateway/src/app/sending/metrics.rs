//! What sending counts.

use std::fmt;

use model::Outcome;
use policy::sending::class;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use tokio::sync::watch;

use super::status::Status;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    number: String,
    result: &'static str,
}

/// Counters of the sending thread.
#[derive(Debug, Clone, Default)]
pub(super) struct Metrics {
    sends: Family<Labels, Counter>,
    facts: Counter,
    turns: Counter,
}

impl Metrics {
    pub(super) fn register(&self, registry: &mut Registry, status: watch::Receiver<Status>) {
        registry.register(
            "wagate_sends",
            "Calls that posted a message, by what came of them",
            self.sends.clone(),
        );
        registry.register(
            "wagate_outbox_journal_records",
            "Records of the journal that the outbox has read",
            self.facts.clone(),
        );
        registry.register("wagate_outbox_transactions", "Transactions of the outbox", self.turns.clone());
        registry.register_collector(Box::new(Shown(status)));
    }

    pub(super) fn called(&self, number: &str, outcome: &Outcome) {
        let result = match outcome {
            Outcome::Accepted { .. } => "accepted",
            Outcome::Refused(refusal) => class(refusal).name(),
            Outcome::NotSent { .. } => "not_sent",
            Outcome::Unknown { .. } => "unknown",
        };
        self.sends.get_or_create(&Labels { number: number.to_owned(), result }).inc();
    }

    pub(super) fn read(&self, facts: usize) {
        self.facts.inc_by(facts as u64);
    }

    pub(super) fn committed(&self) {
        self.turns.inc();
    }
}

struct Shown(watch::Receiver<Status>);

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shown")
    }
}

impl Collector for Shown {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let status = self.0.borrow().clone();
        let mut gauges = |name, help, rows: Vec<([(&str, String); 2], u64)>| {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for (labels, value) in rows {
                ConstGauge::new(value).encode(family.encode_family(&labels)?)?;
            }
            Ok::<(), fmt::Error>(())
        };
        let limit =
            |quota: &outbox::Quota| [("number", quota.number.clone()), ("limit", quota.name.to_owned())];
        let used = status.quotas.iter().map(|quota| (limit(quota), quota.used)).collect();
        gauges("wagate_quota_used", "Used of each limit", used)?;
        let most = status.quotas.iter().map(|quota| (limit(quota), quota.limit)).collect();
        gauges("wagate_quota_limit", "The limits", most)?;
        let messages = status.ways.iter().flat_map(|way| {
            let counts = &way.counts;
            [
                ("queued", counts.queued),
                ("held", counts.held),
                ("sending", counts.sending),
                ("uncertain", counts.uncertain),
            ]
            .map(|(word, count)| ([("number", way.number.clone()), ("status", word.to_owned())], count))
        });
        gauges("wagate_outbox_messages", "Messages that aren't over, by status", messages.collect())?;
        for (name, help, value) in [
            (
                "wagate_outbox_stopped",
                "Numbers that WhatsApp lets send nothing",
                status.ways.iter().filter(|way| way.stopped.is_some()).count() as u64,
            ),
            ("wagate_clock_trusted", "1 when the clock is believed", u64::from(status.clock_trusted)),
        ] {
            let gauge = ConstGauge::new(value);
            gauge.encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)?;
        }
        Ok(())
    }
}
