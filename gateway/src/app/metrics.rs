//! The store's part of `/metrics`, read at each scrape.

use std::fmt;
use std::sync::Arc;

use model::Kind;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::{MetricType, TypedMetric as _};
use prometheus_client::registry::Registry;

use super::age_seconds;
use super::snapshot::Shown;
use crate::clock;

/// Adds the store's metrics to `registry`.
pub(super) fn register(registry: &mut Registry, shown: Arc<Shown>) {
    registry.register_collector(Box::new(StoreCollector(shown)));
}

struct StoreCollector(Arc<Shown>);

impl fmt::Debug for StoreCollector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoreCollector")
    }
}

impl Collector for StoreCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let health = self.0.store.health();
        let counters = health.counters;
        let oldest = self.0.oldest_undelivered();
        let age = oldest.map_or(0.0, |received_at| age_seconds(received_at, clock::now()));

        let name = encoder.encode_descriptor(
            "wagate_records",
            "Records taken since the start, by type",
            None,
            MetricType::Counter,
        );
        let mut family = name?;
        for (kind, count) in Kind::ALL.iter().zip(counters.records) {
            let labels = [("type", kind.event_type())];
            ConstCounter::new(count).encode(family.encode_family(&labels)?)?;
        }
        for (name, help, value) in [
            ("wagate_duplicates", "Events recognised as seen before", counters.duplicates),
            ("wagate_store_groups", "Group commits made durable", counters.groups),
            ("wagate_store_folds", "Folds of the intake log into the index", counters.folds),
            ("wagate_store_fold_failures", "Folds that failed and were tried again", counters.fold_failures),
            ("wagate_store_write_failures", "Groups that the disk refused", counters.write_failures),
            (
                "wagate_store_holes",
                "Places in the intake log where something acknowledged may be missing",
                counters.holes,
            ),
            ("wagate_store_damaged", "Records that couldn't be read and were set aside", counters.damaged),
            (
                "wagate_store_dropped_early",
                "Blocks of delivered history that went for want of room",
                counters.dropped_early,
            ),
            (
                "wagate_store_written_bytes",
                "Bytes written to the intake log and the index",
                counters.log_bytes_written + health.index_bytes_written,
            ),
        ] {
            let counter = ConstCounter::new(value);
            counter.encode(encoder.encode_descriptor(name, help, None, ConstCounter::<u64>::TYPE)?)?;
        }
        let below = self.0.updates.machine().known();
        let on_medium = below.as_ref().is_some_and(|about| about.configuration_refused.is_some());
        for (name, help, value) in [
            ("wagate_backlog_records", "Records that wait for the CRM", self.0.store.pending()),
            (
                "wagate_dead_letters",
                "Records that the CRM has refused",
                self.0.store.dead_letter_count().unwrap_or(0),
            ),
            ("wagate_store_bytes", "Bytes that count against store.max_size", health.live_bytes),
            (
                "wagate_store_file_bytes",
                "Bytes that the store takes on the disk",
                health.index_bytes + health.log_bytes,
            ),
            (
                "wagate_store_tail_records",
                "Records in the intake log that aren't folded yet",
                health.tail_records,
            ),
            (
                "wagate_store_full",
                "1 when the disk or the budget is full",
                u64::from(health.disk_full || health.over_budget),
            ),
            (
                "wagate_configuration_refused",
                "1 when the last configuration that worked is in force instead of the file, or of the one on the card",
                u64::from(self.0.refused.is_some() || on_medium),
            ),
        ] {
            let gauge = ConstGauge::new(value);
            gauge.encode(encoder.encode_descriptor(name, help, None, ConstGauge::<u64>::TYPE)?)?;
        }
        // Absent where the drive doesn't tell.
        if let Some(percent) = self.0.wear.now().and_then(|wear| wear.percent()) {
            let help = "How much of the drive's life is used, by its own estimate, in steps of a tenth";
            let gauge = ConstGauge::new(f64::from(percent) / 100.0);
            let name = "wagate_flash_life_used_ratio";
            gauge.encode(encoder.encode_descriptor(name, help, None, ConstGauge::<f64>::TYPE)?)?;
        }
        if let Some(about) = below {
            let gauge = ConstGauge::new(u64::from(about.on_trial()));
            let help = "1 while the version that runs still has to prove itself";
            gauge.encode(encoder.encode_descriptor(
                "wagate_update_on_trial",
                help,
                None,
                ConstGauge::<u64>::TYPE,
            )?)?;
            let gauge = ConstGauge::new(u64::from(about.boot_alarm().is_some()));
            let help = "1 when the last start has something to say that nobody asked for, such as that an update was rolled back";
            gauge.encode(encoder.encode_descriptor(
                "wagate_boot_note",
                help,
                None,
                ConstGauge::<u64>::TYPE,
            )?)?;
        }
        let help = "Age of the oldest record that waits for the CRM; 0 without one";
        let gauge = ConstGauge::new(age);
        gauge.encode(encoder.encode_descriptor(
            "wagate_oldest_undelivered_seconds",
            help,
            None,
            ConstGauge::<f64>::TYPE,
        )?)
    }
}
