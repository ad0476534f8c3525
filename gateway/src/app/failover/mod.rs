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
        let mut teller = Teller::new(group, around, keeper.clone(), metrics.clone());
        let stopped = when_true(around.stopped.clone());
        let group = group.clone();
        let counted = metrics.probes(&group);
        if let Some(number) = group.number.clone() {
            let probes = WhatsAppProbes {
                number,
                patience: group.patience,
                sending: around.sending.clone(),
                routes: around.routes.clone(),
                counted,
            };
            tasks.push(tokio::spawn(async move {
                tokio::select! {
                    () = group.watched.run(group.patience, probes, |changes| teller.tell(changes)) => {}
                    () = stopped => {}
                }
            }));
        }
    }
    tasks
}
