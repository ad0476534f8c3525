//! What of the way in is shown in `/metrics`.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::{MetricType, TypedMetric as _};
use prometheus_client::registry::Registry;

use super::Inbound;

struct Shown(Inbound);

impl Inbound {
    /// Adds its metrics to `registry`.
    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register_collector(Box::new(Shown(self.clone())));
    }
}

impl fmt::Debug for Shown {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Inbound")
    }
}

impl Collector for Shown {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let inner = &self.0.0;
        let taken = inner.taken();
        let help = "1 for a number whose webhooks this box has taken over";
        let mut family = encoder.encode_descriptor("wagate_inbound_taken", help, None, MetricType::Gauge)?;
        for number in &inner.numbers {
            let gauge = ConstGauge::new(u64::from(taken.contains(&number)));
            gauge.encode(family.encode_family(&[("number", number.as_str())])?)?;
        }
        let Some(watch) = &inner.watch else { return Ok(()) };
        let help = "Time without a sign of life of the peer box; 0 while it answers";
        let gauge = ConstGauge::new(watch.silent_for().as_secs_f64());
        gauge.encode(encoder.encode_descriptor(
            "wagate_standby_peer_silent_seconds",
            help,
            None,
            ConstGauge::<f64>::TYPE,
        )?)
    }
}
