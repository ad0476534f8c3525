//! What checks work with.

use std::path::PathBuf;
use std::time::Duration;

use egress::{ClientSettings, Clients, EgressError, Graph};
use serde_json::Value;
use tokio::sync::OnceCell;
use tokio::time::Instant;

use super::graph;
use super::unheard::Unheard;
use crate::app::product;
use crate::cli::{Target, trust};
use crate::config::{Config, Roots, WhatsAppEndpoint};

/// How long a name, a connection or an answer is waited for, at most.
pub(super) const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// How long a whole check may take: three answers, one after the other, and what the box itself needs.
pub(super) const CHECK_WITHIN: Duration = Duration::from_secs(16);
/// Of an answer so much is read; those of Graph are below 2 KiB, and a record of the gateway may have 4 MiB.
const ANSWER_BYTES_MAX: usize = 8 * 1024 * 1024;

/// The configuration, the way out, and what several checks want to know.
pub(super) struct World {
    pub(super) config: Config,
    /// Trusts whom the system trusts.
    pub(super) http: reqwest::Client,
    /// What the box itself makes its clients with.
    pub(super) clients: Clients,
    /// The clients of the box for WhatsApp's endpoints, in the order of the configuration.
    graphs: Vec<Graph>,
    /// Above `/proc`, `/sys` and `/run`: a slash, but for tests.
    pub(super) root: PathBuf,
    gateway: OnceCell<Gateway>,
}

/// Whether the gateway runs.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Gateway {
    /// It told how it stands: the body of `/v1/status`.
    Runs(Value),
    /// Something answers there, and not as our gateway would.
    Stranger(u16),
    /// Nothing answers.
    Silent(Unheard),
    /// `api.listen` has port 0: nobody can know where it is.
    Nowhere,
}

/// An answer.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Heard {
    pub(super) status: u16,
    /// Null where it's no JSON.
    pub(super) body: Value,
    /// From the first byte out to the last one in, connecting included.
    pub(super) took: Duration,
    /// The `Date` header.
    pub(super) date: Option<String>,
}

impl World {
    /// # Errors
    /// When no HTTP client can be made, or an endpoint can't be used.
    pub(super) fn new(config: Config, root: PathBuf) -> anyhow::Result<Self> {
        let graphs = config.whatsapp.endpoints.iter().map(graph::client).collect::<Result<_, _>>()?;
        let clients = clients(Vec::new())?;
        Ok(Self { http: clients.client()?, clients, graphs, config, root, gateway: OnceCell::new() })
    }

    /// The endpoints of WhatsApp, each with the client that the box itself would have.
    pub(super) fn whatsapp(&self) -> impl Iterator<Item = (&WhatsAppEndpoint, &Graph)> {
        self.config.whatsapp.endpoints.iter().zip(&self.graphs)
    }

    /// A client that trusts an endpoint's own authorities besides.
    ///
    /// # Errors
    /// When there is none to be had; the configuration was accepted, so that there is.
    pub(super) fn trusting(&self, ca: Option<&Roots>) -> Result<reqwest::Client, Unheard> {
        let Some(roots) = ca else { return Ok(self.http.clone()) };
        clients(roots.pem.clone())
            .and_then(|clients| clients.client())
            .map_err(|error| Unheard::Unsendable(error.to_string()))
    }

    /// Whether the gateway runs, and what it says; asked once.
    pub(super) async fn gateway(&self) -> &Gateway {
        self.gateway.get_or_init(|| self.ask_gateway()).await
    }

    async fn ask_gateway(&self) -> Gateway {
        match self.of_gateway("/v1/status").await {
            None => Gateway::Nowhere,
            Some(Ok(heard)) if heard.status == 200 && heard.body["ready"].is_boolean() => {
                Gateway::Runs(heard.body)
            }
            Some(Ok(heard)) => Gateway::Stranger(heard.status),
            Some(Err(why)) => Gateway::Silent(why),
        }
    }

    /// Asks the gateway's API; `None` where nobody can know where it is.
    pub(super) async fn of_gateway(&self, path: &str) -> Option<Result<Heard, Unheard>> {
        let target = Target::here(&self.config).ok()?;
        let url = target.url.join(path).ok()?;
        let client = match trust::client(&self.clients, &target) {
            Ok(client) => client,
            Err(error) => return Some(Err(Unheard::Unsendable(format!("{error:#}")))),
        };
        Some(ask(client.get(url).bearer_auth(target.token.expose()), ANSWER_WITHIN).await)
    }
}

fn clients(extra_roots: Vec<u8>) -> Result<Clients, EgressError> {
    let mut settings = ClientSettings::new(product(), 1);
    settings.connect_timeout = ANSWER_WITHIN;
    settings.request_timeout = ANSWER_WITHIN;
    settings.extra_roots = extra_roots;
    Clients::new(settings)
}

/// Sends a request and reads the answer, all of it `within` a time.
pub(super) async fn ask(request: reqwest::RequestBuilder, within: Duration) -> Result<Heard, Unheard> {
    let begun = Instant::now();
    let failed = |error| Unheard::of(error, within);
    let mut response = request.timeout(within).send().await.map_err(failed)?;
    let status = response.status().as_u16();
    let date = response.headers().get(reqwest::header::DATE);
    let date = date.and_then(|date| date.to_str().ok()).map(str::to_owned);
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        if body.len() + chunk.len() > ANSWER_BYTES_MAX {
            body.clear();
            break;
        }
        body.extend_from_slice(&chunk);
    }
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    Ok(Heard { status, body, took: begun.elapsed(), date })
}
