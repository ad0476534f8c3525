//! What the groups count and show.

use std::fmt;

use policy::failover::Answer;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use super::groups::{Group, Groups};

type Labels = Vec<(&'static str, String)>;

/// Counters of the groups; clones share them.
#[derive(Debug, Clone, Default)]
pub(super) struct Metrics {
    probes: Family<Labels, Counter>,
    switches: Family<Labels, Counter>,
}

/// Counts the probes of one group.
#[derive(Debug, Clone)]
pub(super) struct Counted {
    group: String,
    endpoints: Vec<String>,
    probes: Family<Labels, Counter>,
}

impl Metrics {
    pub(super) fn register(&self, registry: &mut Registry, groups: Groups) {
        let help = "Probes of endpoints, by what came of them";
        registry.register("wagate_endpoint_probes", help, self.probes.clone());
        let help = "Changes of the endpoint that a group uses";
        registry.register("wagate_endpoint_switches", help, self.switches.clone());
        registry.register_collector(Box::new(Shown(groups)));
    }

    pub(super) fn switched(&self, group: &str) {
        self.switches.get_or_create_owned(&vec![("group", group.to_owned())]).inc();
    }

    pub(super) fn probes(&self, group: &Group) -> Counted {
        let (group, endpoints) = (group.watched.name().to_owned(), group.watched.endpoints().to_vec());
        Counted { group, endpoints, probes: self.probes.clone() }
    }
}

impl Counted {
    /// A probe of the endpoint of that place has ended so; `None` where it couldn't be made.
    pub(super) fn probed(&self, endpoint: usize, answer: Option<Answer>) {
        let result = match answer {
            Some(Answer::Good) => "answered",
            Some(Answer::Neutral) => "not_let_in",
            Some(Answer::Failed) => "failed",
            Some(Answer::Blocked) => "blocked",
            None => "no_unit",
        };
        let endpoint = self.endpoints.get(endpoint).cloned().unwrap_or_default();
        let labels =
            vec![("group", self.group.clone()), ("endpoint", endpoint), ("result", result.to_owned())];
        self.probes.get_or_create_owned(&labels).inc();
    }
}

/// How every endpoint stands, read at each scrape.
struct Shown(Groups);

impl fmt::Debug for Shown {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Shown")
    }
}

impl Collector for Shown {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let views = self.0.views();
        let mut family = |name: &str, help: &str, value: fn(&crate::api::EndpointView) -> Option<f64>| {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for view in &views {
                if let Some(value) = value(view) {
                    let labels = [("group", view.group.as_str()), ("endpoint", view.name.as_str())];
                    ConstGauge::new(value).encode(family.encode_family(&labels)?)?;
                }
            }
            Ok(())
        };
        family("wagate_endpoint_active", "1 for the endpoint that a group uses", |view| {
            Some(f64::from(u8::from(view.active)))
        })?;
        family("wagate_endpoint_strikes", "Strikes against an endpoint", |view| {
            Some(f64::from(view.strikes))
        })?;
        family("wagate_endpoint_latency_seconds", "How long an endpoint's last answer took", |view| {
            #[expect(clippy::cast_precision_loss, reason = "a latency for plots")]
            view.latency_ms.map(|ms| ms as f64 / 1_000.0)
        })
    }
}
