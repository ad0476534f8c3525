//! What is counted of the time servers.

use std::sync::atomic::AtomicU64;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::ask::Heard;
use super::keep::Why;

type Labels = [(&'static str, &'static str); 1];

/// All of them; clones share them.
#[derive(Debug, Clone, Default)]
pub(super) struct Metrics {
    offset: Gauge<f64, AtomicU64>,
    pub(super) synchronized: Gauge,
    pub(super) sets: Counter,
    answers: Family<Labels, Counter>,
    rounds: Family<Labels, Counter>,
}

impl Metrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        let help =
            "How far the time servers were ahead of the clock when they last agreed, before it was set";
        registry.register("wagate_clock_offset_seconds", help, self.offset.clone());
        let help = "1 while time servers agree on the time, or did in the last 4 hours";
        registry.register("wagate_clock_synchronized", help, self.synchronized.clone());
        let help = "How often the time servers have set the clock";
        registry.register("wagate_clock_sets", help, self.sets.clone());
        let help = "Questions to time servers, by what came of them";
        registry.register("wagate_clock_answers", help, self.answers.clone());
        let help = "Rounds of questions to the time servers, by what they came to";
        registry.register("wagate_clock_rounds", help, self.rounds.clone());
    }

    pub(super) fn answered(&self, heard: &Heard) {
        self.answers.get_or_create(&[("result", heard.label())]).inc();
    }

    pub(super) fn agreed(&self, offset_ms: i64) {
        #[expect(clippy::cast_precision_loss, reason = "seconds for plots")]
        self.offset.set(offset_ms as f64 / 1_000.0);
        self.rounds.get_or_create(&[("result", "agreed")]).inc();
    }

    pub(super) fn refused(&self, why: Why) {
        self.rounds.get_or_create(&[("result", why.label())]).inc();
    }
}
