//! How endpoints are probed.

use std::sync::Arc;
use std::time::Duration;

use egress::{Probe, Probes};
use outbox::Other;
use policy::failover::Answer;
use tokio::sync::{oneshot, watch};

use super::metrics::Counted;
use crate::app::sending::{Routes, Sending};

/// Probes of the endpoints of one number. A probe is a call like any other, and takes its unit first.
pub(super) struct WhatsAppProbes {
    pub(super) number: String,
    pub(super) patience: Duration,
    pub(super) sending: Sending,
    pub(super) routes: watch::Receiver<Arc<Routes>>,
    pub(super) counted: Counted,
}

impl Probes for WhatsAppProbes {
    fn permit(&mut self, endpoint: usize) -> impl Future<Output = bool> + Send + 'static {
        let (sending, number, counted) = (self.sending.clone(), self.number.clone(), self.counted.clone());
        async move {
            let taken = sending.ask(move |turn| turn.take_call(&number, Other::Probe)).await;
            let taken = matches!(taken, Ok(Ok(())));
            if !taken {
                counted.probed(endpoint, None);
            }
            taken
        }
    }

    fn probe(&mut self, endpoint: usize) -> impl Future<Output = Answer> + Send + 'static {
        let graph = self.routes.borrow().at(&self.number, endpoint).cloned();
        let (sending, number, counted) = (self.sending.clone(), self.number.clone(), self.counted.clone());
        let patience = self.patience;
        async move {
            let (sender, answered) = oneshot::channel();
            // A task of its own: the place that the call takes is given back whoever stops waiting for it.
            tokio::spawn(async move {
                let (answer, unsent) = match graph {
                    Some(graph) => {
                        let name = graph.endpoint().name().to_owned();
                        let called = graph.probe(&number, patience).await;
                        judged(&name, called.outcome)
                    }
                    None => (Answer::Failed, true),
                };
                counted.probed(endpoint, Some(answer));
                let _ = sender.send(answer);
                sending.end_call(number, Other::Probe, unsent).await;
            });
            answered.await.unwrap_or(Answer::Failed)
        }
    }
}

/// Probes of the CRM's endpoints, by their place in order of preference. They need no permit.
pub(super) fn crm(probes: Vec<Arc<egress::crm::Probe>>, counted: Counted) -> impl Probes {
    move |endpoint: usize| {
        let (probe, counted) = (probes.get(endpoint).cloned(), counted.clone());
        async move {
            let answer = match probe {
                Some(probe) => probe.ask().await,
                None => Answer::Failed,
            };
            counted.probed(endpoint, Some(answer));
            answer
        }
    }
}

/// What a probe means for the group, and whether it surely never left.
fn judged(endpoint: &str, probe: Probe) -> (Answer, bool) {
    let (answer, reason, unsent) = match probe {
        Probe::Good => return (Answer::Good, false),
        Probe::Blocked { reason } => (Answer::Blocked, reason, false),
        Probe::Neutral { reason } => (Answer::Neutral, reason, false),
        Probe::Failed { reason, unsent } => (Answer::Failed, reason, unsent),
    };
    tracing::debug!(endpoint, reason, "a probe isn't good");
    (answer, unsent)
}
