//! The groups of endpoints: which endpoint each direction uses, and everybody who is told when that changes.
//!
//! The decisions are [`policy::failover`]'s and the loop of probes is [`egress::failover`]'s. Here stands what they
//! need of this program: groups made from the configuration, probes that take their unit first, a state that
//! outlives a restart, and the telling of it: log, metrics, `/v1/events`, and a record to the CRM.

mod groups;
mod keeper;
mod kept;
mod metrics;
mod probes;
mod teller;

use std::sync::Arc;
use std::time::Duration;

use egress::{Probes, Watched};
use prometheus_client::registry::Registry;
use store::Store;
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub(crate) use self::groups::{Group, Groups};
use self::keeper::Keeper;
use self::metrics::Metrics;
use self::probes::WhatsAppProbes;
use self::teller::Teller;
use super::events::Events;
use super::sending::{Routes, Sending};
use super::when_true;
use crate::config::Config;

/// What the groups work with.
pub(super) struct Around<'a> {
    pub(super) config: &'a Config,
    pub(super) store: Arc<Store>,
    pub(super) sending: Sending,
    pub(super) routes: watch::Receiver<Arc<Routes>>,
    /// How the CRM's endpoints are probed.
    pub(super) crm: Vec<Arc<egress::crm::Probe>>,
    pub(super) events: Events,
    pub(super) stopped: watch::Receiver<bool>,
}

/// Starts probing, and telling.
pub(super) fn start(groups: &Groups, around: &Around<'_>, registry: &mut Registry) -> Vec<JoinHandle<()>> {
    let metrics = Metrics::default();
    metrics.register(registry, groups.clone());
    let (keeper, keeping) = Keeper::start(Arc::clone(&around.store), around.stopped.clone());
    let mut tasks = vec![keeping];
    for group in groups.all() {
        let teller = Teller::new(group, around, keeper.clone(), metrics.clone());
        let (group, stopped) = (group.clone(), when_true(around.stopped.clone()));
        let counted = metrics.probes(&group);
        let (patience, watched) = (group.patience, group.watched.clone());
        tasks.push(match group.number {
            Some(number) => {
                let (sending, routes) = (around.sending.clone(), around.routes.clone());
                let probes = WhatsAppProbes { number, patience, sending, routes, counted };
                tokio::spawn(run(watched, patience, probes, teller, stopped))
            }
            None => {
                let probes = probes::crm(around.crm.clone(), counted);
                tokio::spawn(run(watched, patience, probes, teller, stopped))
            }
        });
    }
    tasks
}

async fn run(
    watched: Watched,
    patience: Duration,
    probes: impl Probes,
    teller: Teller,
    stopped: impl Future<Output = ()>,
) {
    tokio::select! {
        () = watched.run(patience, probes, |changes| teller.tell(changes)) => {}
        () = stopped => {}
    }
}
