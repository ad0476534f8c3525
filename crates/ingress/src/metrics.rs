//! What the listeners count.

use std::sync::Arc;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::answer::Outcome;

/// A label and its value.
type Label = [(&'static str, &'static str); 1];
type Labels = [(&'static str, &'static str); 2];

/// Everything that this crate counts; clones count together.
#[derive(Debug, Clone)]
pub struct Metrics {
    webhooks: Family<Label, Counter>,
    /// The one of `webhooks` that counts nearly all of them: found once, not for each.
    taken: Counter,
    /// From a request's head to the answer, for what was taken.
    pub(crate) ack_seconds: Histogram,
    pub(crate) requests_in_flight: Gauge,
    pub(crate) body_bytes_in_flight: Gauge,
    pub(crate) addresses_remembered: Gauge,
    open: Family<Label, Gauge>,
    waiting: Family<Label, Gauge>,
    connections: Family<Labels, Counter>,
}

/// Upper ends of the buckets of `wagate_ack_seconds`, around Meta's standard: half of the answers
/// within 250 ms, 99 of 100 within a second.
const ACK_BUCKETS: [f64; 13] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

impl Default for Metrics {
    fn default() -> Self {
        let webhooks: Family<Label, Counter> = Family::default();
        let taken = webhooks.get_or_create_owned(&[("result", Outcome::Taken.label())]);
        Self {
            webhooks,
            taken,
            ack_seconds: Histogram::new(ACK_BUCKETS),
            requests_in_flight: Gauge::default(),
            body_bytes_in_flight: Gauge::default(),
            addresses_remembered: Gauge::default(),
            open: Family::default(),
            waiting: Family::default(),
            connections: Family::default(),
        }
    }
}

impl Metrics {
    /// Puts everything into `registry`, which has no prefix: the names are whole.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("wagate_webhooks", "Requests to the public side, by result", self.webhooks.clone());
        registry.register(
            "wagate_ack_seconds",
            "Time from a webhook's head to its 200",
            self.ack_seconds.clone(),
        );
        registry.register(
            "wagate_webhook_requests_in_flight",
            "Webhooks being stored",
            self.requests_in_flight.clone(),
        );
        registry.register(
            "wagate_webhook_body_bytes_in_flight",
            "Bytes of webhooks in memory",
            self.body_bytes_in_flight.clone(),
        );
        registry.register(
            "wagate_unsigned_addresses",
            "Addresses remembered for unsigned requests",
            self.addresses_remembered.clone(),
        );
        registry.register("wagate_connections_open", "Connections open, by listener", self.open.clone());
        registry.register(
            "wagate_handshakes_waiting",
            "Handshakes of strangers that wait for their turn, by listener",
            self.waiting.clone(),
        );
        registry.register(
            "wagate_connections",
            "Connections that ended or were never let in, by listener and result",
            self.connections.clone(),
        );
    }

    /// The counters of one listener; `name` is the label's value.
    #[must_use]
    pub fn listener(&self, name: &'static str) -> ListenerMetrics {
        ListenerMetrics {
            name,
            open: Arc::new(self.open.get_or_create(&[("listener", name)]).clone()),
            waiting: self.waiting.get_or_create(&[("listener", name)]).clone(),
            connections: self.connections.clone(),
        }
    }

    /// How many requests to the webhook's path had this result so far.
    #[must_use]
    pub fn webhooks(&self, result: &'static str) -> u64 {
        self.webhooks.get_or_create(&[("result", result)]).get()
    }

    pub(crate) fn count(&self, outcome: &Outcome) {
        if *outcome == Outcome::Taken {
            self.taken.inc();
        } else {
            self.webhooks.get_or_create(&[("result", outcome.label())]).inc();
        }
    }
}

/// What one listener counts of its connections.
#[derive(Debug, Clone)]
pub struct ListenerMetrics {
    name: &'static str,
    open: Arc<Gauge>,
    waiting: Gauge,
    connections: Family<Labels, Counter>,
}

impl ListenerMetrics {
    /// How many connections ended this way so far.
    #[must_use]
    pub fn ended(&self, result: &'static str) -> u64 {
        self.connections.get_or_create(&self.labels(result)).get()
    }

    /// How many connections are open.
    #[must_use]
    pub fn open(&self) -> i64 {
        self.open.get()
    }

    /// The listener's name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    pub(crate) fn waiting(&self) -> Gauge {
        self.waiting.clone()
    }

    pub(crate) fn opened(&self) {
        self.open.inc();
    }

    pub(crate) fn closed(&self, result: &'static str) {
        self.open.dec();
        self.never_opened(result);
    }

    pub(crate) fn never_opened(&self, result: &'static str) {
        self.connections.get_or_create(&self.labels(result)).inc();
    }

    const fn labels(&self, result: &'static str) -> Labels {
        [("listener", self.name), ("result", result)]
    }
}

/// What is counted of a certificate. Only where there is one: without TLS a zero would say that it
/// expires now.
#[derive(Debug, Clone, Default)]
pub(crate) struct CertificateMetrics {
    /// Negative once it isn't valid any more.
    pub(crate) seconds_left: Gauge,
    pub(crate) fault: Gauge,
    pub(crate) loads: Counter,
}

impl CertificateMetrics {
    /// Names of the three, in the order of the fields.
    pub(crate) const PUBLIC: [&str; 3] =
        ["wagate_certificate_expiry_seconds", "wagate_certificate_fault", "wagate_certificate_loads"];
    /// The same for the store side.
    pub(crate) const API: [&str; 3] = [
        "wagate_api_certificate_expiry_seconds",
        "wagate_api_certificate_fault",
        "wagate_api_certificate_loads",
    ];

    pub(crate) fn register(&self, registry: &mut Registry, [seconds_left, fault, loads]: [&str; 3]) {
        registry.register(
            seconds_left,
            "Time until the certificate in use expires, by the box's clock",
            self.seconds_left.clone(),
        );
        registry.register(
            fault,
            "1 while the certificate files cannot be used and an older certificate is kept",
            self.fault.clone(),
        );
        registry.register(loads, "Certificates loaded since the start", self.loads.clone());
    }
}
