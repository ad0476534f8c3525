//! The thread that hands records to the CRM.
//!
//! A thread and a runtime of its own: a CRM that takes all it can doesn't take the time of the
//! thread that answers Meta.

use std::sync::Arc;
use std::thread::JoinHandle;

use anyhow::Context as _;
use egress::{ClientSettings, Clients, Delivery, Endpoint, Endpoints, Mode, Settings, Status};
use prometheus_client::registry::Registry;
use records::Numbers;
use tokio::sync::{oneshot, watch};

use super::journal::StoreJournal;
use super::secrets::Secrets;
use crate::clock;
use crate::config::{Config, CrmMode};

pub(super) struct DeliveryThread {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
    status: watch::Receiver<Status>,
}

impl DeliveryThread {
    /// Starts delivery to the first endpoint; `None` where there is none and the CRM pulls.
    pub(super) fn start(
        config: &Config,
        journal: Arc<StoreJournal>,
        numbers: Arc<Numbers>,
        secrets: &Secrets,
        registry: &mut Registry,
    ) -> anyhow::Result<Option<Self>> {
        let Some(endpoint) = config.crm.endpoints.first() else { return Ok(None) };
        let endpoint = Endpoint::new(&endpoint.name, endpoint.url.as_str())?;
        let mode = match config.crm.mode {
            CrmMode::Realtime => Mode::Realtime,
            CrmMode::Batch => Mode::Batch { every: config.crm.batch_every, size: config.crm.batch_size },
        };
        // The seed of the jitter: it need differ between boxes, no more.
        let settings =
            Settings::new(mode, clock::now().0.unsigned_abs() ^ u64::from(std::process::id()) << 40);
        let mut client = ClientSettings::new(product(), settings.lanes.in_flight);
        client.request_timeout = config.crm.timeout;
        let metrics = egress::Metrics::default();
        metrics.register(registry);
        let delivery = Delivery::new(
            journal,
            Arc::new(move |record| records::render(record, &numbers)),
            &Endpoints::alone(endpoint),
            secrets.signing(),
            &Clients::new(client)?,
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
        Ok(Some(Self { stop, thread: thread.context("no thread for delivery")?, status }))
    }

    pub(super) fn status(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }

    /// Stops and waits; what is unanswered stays undelivered.
    pub(super) fn stop(self) -> std::thread::Result<()> {
        drop(self.stop);
        self.thread.join()
    }
}

/// Readings of the journal go one at a time; name look-ups may stand beside one.
const BLOCKING_THREADS: usize = 4;

/// What the box calls itself towards the CRM.
pub(crate) fn product() -> String {
    format!("wagate/{}", env!("CARGO_PKG_VERSION"))
}
