//! A delivery that runs against a CRM of the tests.

use std::sync::Arc;
use std::time::Duration;

use model::Record;
use prometheus_client::registry::Registry;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use wagate_egress::{
    ClientSettings, Clients, Delivery, Endpoint, Endpoints, Metrics, Mode, Render, Settings, SigningSecrets,
    Status,
};

use crate::journal::Memory;

pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_millis(300);

/// A delivery that runs, with waits a hundred times shorter than in life.
pub(crate) struct Running {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
    pub(crate) status: watch::Receiver<Status>,
    metrics: Metrics,
    pub(crate) secrets: SigningSecrets,
}

impl Running {
    pub(crate) async fn stop(self) {
        self.stop.send(()).unwrap();
        self.task.await.unwrap();
    }

    pub(crate) fn metrics(&self) -> String {
        let mut registry = Registry::default();
        self.metrics.register(&mut registry);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        text
    }
}

pub(crate) fn settings(mode: Mode) -> Settings {
    let mut settings = Settings::new(mode, 7);
    settings.lanes.backoff.first = Duration::from_millis(10);
    settings.lanes.backoff.max = Duration::from_millis(80);
    settings.lanes.trial_every = Duration::from_millis(60);
    settings.drain = Duration::from_millis(200);
    settings
}

/// For a CRM that hangs.
pub(crate) fn client() -> ClientSettings {
    let mut client = ClientSettings::new("wagate/1.2.3".to_owned(), 8);
    client.request_timeout = REQUEST_TIMEOUT;
    client
}

/// Waits as long as in life: no busy machine makes it give up.
pub(crate) fn patient() -> ClientSettings {
    ClientSettings::new("wagate/1.2.3".to_owned(), 8)
}

pub(crate) fn start_as(
    journal: &Arc<Memory>,
    url: &str,
    settings: Settings,
    render: Render,
    client: ClientSettings,
) -> Running {
    let endpoints = Endpoints::alone(Endpoint::new("primary", url).unwrap());
    start_at(journal, &endpoints, settings, render, client)
}

pub(crate) fn start_at(
    journal: &Arc<Memory>,
    endpoints: &Endpoints,
    settings: Settings,
    render: Render,
    client: ClientSettings,
) -> Running {
    let secrets = SigningSecrets::default();
    let metrics = Metrics::default();
    let delivery = Delivery::new(
        Arc::<Memory>::clone(journal),
        render,
        endpoints,
        secrets.clone(),
        &Clients::new(client).unwrap(),
        settings,
        &metrics,
    )
    .unwrap();
    let status = delivery.status();
    let (stop, stopped) = oneshot::channel();
    let task = tokio::spawn(delivery.run(async {
        let _gone = stopped.await;
    }));
    Running { stop, task, status, metrics, secrets }
}

pub(crate) fn start_with(journal: &Arc<Memory>, url: &str, settings: Settings, render: Render) -> Running {
    start_as(journal, url, settings, render, client())
}

fn render() -> Render {
    Arc::new(|record: &Record| format!("\"{}\"", record.item.id).into_bytes())
}

pub(crate) fn start(journal: &Arc<Memory>, url: &str, settings: Settings) -> Running {
    start_as(journal, url, settings, render(), patient())
}

/// Gives a CRM that hangs up after [`REQUEST_TIMEOUT`].
pub(crate) fn start_hasty(journal: &Arc<Memory>, url: &str, settings: Settings) -> Running {
    start_with(journal, url, settings, render())
}
