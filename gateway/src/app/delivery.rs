//! The thread that hands records to the CRM.
//!
//! A thread and a runtime of its own: a CRM that takes all it can doesn't take the time of the
//! thread that answers Meta.

use std::sync::Arc;
use std::thread::JoinHandle;

use anyhow::Context as _;
use egress::crm::Probe;
use egress::{ClientSettings, Clients, Delivery, Endpoint, Endpoints, Mode, Settings, Status};
use prometheus_client::registry::Registry;
use records::Numbers;
use tokio::sync::{oneshot, watch};

use super::failover::Groups;
use super::journal::StoreJournal;
use super::secrets::Secrets;
use crate::clock;
use crate::config::{Config, CrmEndpoint, CrmMode};

pub(super) struct DeliveryThread {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
    status: watch::Receiver<Status>,
    probes: Vec<Arc<Probe>>,
}

impl DeliveryThread {
    /// Starts delivery to the endpoint that the CRM's group uses; `None` where there is none and the CRM pulls.
    pub(super) fn start(
        config: &Config,
        groups: &Groups,
        journal: Arc<StoreJournal>,
        numbers: Arc<Numbers>,
        secrets: &Secrets,
        registry: &mut Registry,
    ) -> anyhow::Result<Option<Self>> {
        let Some(group) = groups.crm() else { return Ok(None) };
        let listed: anyhow::Result<Vec<Endpoint>> = config.crm.endpoints.iter().map(endpoint).collect();
        let endpoints = Endpoints::new(listed?, group.watched.clone())?;
        let mode = match config.crm.mode {
            CrmMode::Realtime => Mode::Realtime,
            CrmMode::Batch => Mode::Batch { every: config.crm.batch_every, size: config.crm.batch_size },
        };
        // The seed of the jitter: it need differ between boxes, no more.
        let settings =
            Settings::new(mode, clock::now().0.unsigned_abs() ^ u64::from(std::process::id()) << 40);
        let mut client = ClientSettings::new(product(), settings.lanes.in_flight);
        client.request_timeout = config.crm.timeout;
        let clients = Clients::new(client)?;
        let path = config.crm.health_path.as_deref();
        let probe = |endpoint| Ok(Arc::new(Probe::new(endpoint, path, &clients)?));
        let probes = endpoints.list().iter().map(probe).collect::<anyhow::Result<_>>()?;
        let metrics = egress::Metrics::default();
        metrics.register(registry);
        let delivery = Delivery::new(
            journal,
            Arc::new(move |record| records::render(record, &numbers)),
            &endpoints,
            secrets.signing(),
            &clients,
            settings,
            &metrics,
        )?;
        let status = delivery.status();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(BLOCKING_THREADS)
            .build()
            .context("no runtime for delivery")?;
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::Builder::new().name("deliver".to_owned()).spawn(move || {
            let running = runtime.spawn(delivery.run(async {
                // Whoever drops the sender wants the end, too.
                let _ = stopped.await;
            }));
            let ended = runtime.block_on(running);
            runtime.shutdown_background();
            // Whoever joins the thread is to see a panic of the task.
            if let Err(Ok(panic)) = ended.map_err(tokio::task::JoinError::try_into_panic) {
                std::panic::resume_unwind(panic);
            }
        });
        Ok(Some(Self { stop, thread: thread.context("no thread for delivery")?, status, probes }))
    }

    pub(super) fn status(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }

    /// How the endpoints are probed, in order of preference.
    pub(super) fn probes(&self) -> Vec<Arc<Probe>> {
        self.probes.clone()
    }

    /// Stops and waits; what is unanswered stays undelivered.
    pub(super) fn stop(self) -> std::thread::Result<()> {
        drop(self.stop);
        self.thread.join()
    }
}

fn endpoint(entry: &CrmEndpoint) -> anyhow::Result<Endpoint> {
    let roots = entry.ca.as_ref().map_or_else(Vec::new, |roots| roots.pem.clone());
    Ok(Endpoint::new(&entry.name, entry.url.as_str())?.with_timeout(entry.timeout).with_roots(roots))
}

/// Readings of the journal go one at a time; name look-ups may stand beside one.
const BLOCKING_THREADS: usize = 4;

/// What the box calls itself towards the CRM.
pub(crate) fn product() -> String {
    format!("wagate/{}", env!("CARGO_PKG_VERSION"))
}
