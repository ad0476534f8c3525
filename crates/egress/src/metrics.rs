//! What delivery shows of itself.

use policy::delivery::{Failure, Verdict};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// Labels of `wagate_deliveries_total`.
type Labels = [(&'static str, String); 2];

/// Upper bounds of the buckets of `wagate_delivery_seconds`: around the half millisecond that the
/// baseline reaches, the 3 s that are promised, and the hours of an outage.
const SECONDS: [f64; 16] = [
    0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.1, 0.25, 0.5, 1.0, 3.0, 10.0, 60.0, 900.0, 3_600.0,
    86_400.0,
];

/// The metrics of delivery; clones share them.
#[derive(Debug, Clone)]
pub struct Metrics {
    pub(crate) seconds: Histogram,
    deliveries: Family<Labels, Counter>,
    pub(crate) in_flight: Gauge,
    pub(crate) window_records: Gauge,
    pub(crate) window_bytes: Gauge,
    pub(crate) paused: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            seconds: Histogram::new(SECONDS),
            deliveries: Family::default(),
            in_flight: Gauge::default(),
            window_records: Gauge::default(),
            window_bytes: Gauge::default(),
            paused: Gauge::default(),
        }
    }
}

impl Metrics {
    /// Shows them in `registry`, each under its full name.
    pub fn register(&self, registry: &mut Registry) {
        let metrics = self.clone();
        registry.register(
            "wagate_delivery_seconds",
            "From the receipt of a record to its acceptance by the CRM, by the box's clock",
            metrics.seconds,
        );
        registry.register(
            "wagate_deliveries",
            "Tries of records at the CRM, by what came of them",
            metrics.deliveries,
        );
        registry.register("wagate_deliveries_in_flight", "Requests to the CRM in flight", metrics.in_flight);
        registry.register("wagate_delivery_window_records", "Records read ahead", metrics.window_records);
        registry.register("wagate_delivery_window_bytes", "Payload bytes read ahead", metrics.window_bytes);
        registry.register(
            "wagate_delivery_paused",
            "0: the CRM takes records; 1: it can't be reached; 2: it asked for a pause; 3: it lets nobody in",
            metrics.paused,
        );
    }

    /// The counters of one endpoint.
    pub(crate) fn results(&self, endpoint: &str) -> Results {
        let result = |name: &str| {
            let labels = [("endpoint", endpoint.to_owned()), ("result", name.to_owned())];
            self.deliveries.get_or_create_owned(&labels)
        };
        Results {
            accepted: result("accepted"),
            refused: result("refused"),
            unauthorized: result("unauthorized"),
            busy: result("busy"),
            server_error: result("server_error"),
            no_answer: result("no_answer"),
            no_connection: result("no_connection"),
            dead_letter: result("dead_letter"),
        }
    }
}

/// `wagate_deliveries_total` of one endpoint: each try of each record counts once, and a record
/// that is given up counts once more as `dead_letter`.
#[derive(Debug)]
pub(crate) struct Results {
    pub(crate) accepted: Counter,
    pub(crate) refused: Counter,
    pub(crate) unauthorized: Counter,
    pub(crate) busy: Counter,
    pub(crate) server_error: Counter,
    pub(crate) no_answer: Counter,
    pub(crate) no_connection: Counter,
    pub(crate) dead_letter: Counter,
}

impl Results {
    /// The counter of requests that ended so.
    pub(crate) const fn of(&self, verdict: &Verdict) -> &Counter {
        match verdict {
            Verdict::Accepted => &self.accepted,
            Verdict::Refused => &self.refused,
            Verdict::Unauthorized => &self.unauthorized,
            Verdict::Retry { failure: Failure::Busy, .. } => &self.busy,
            Verdict::Retry { failure: Failure::Server, .. } => &self.server_error,
            Verdict::Retry { failure: Failure::Unknown, .. } => &self.no_answer,
            Verdict::Retry { failure: Failure::NotSent, .. } => &self.no_connection,
        }
    }
}
