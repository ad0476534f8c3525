//! Everything that runs: the gateway as `run` has it, and a stand-in on either side.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, anyhow};
use model::signature::hub::AppSecret;
use model::signature::standard_webhooks::SigningSecret;
use simulate::Journeys;
use simulate::crm::{Answering, Crm, CrmOptions, Observed};
use simulate::graph::{Graph, GraphSettings, Statuses, Webhooks};
use simulate::whatsapp::{
    Backoff, Pace, PayloadOptions, Payloads, Retry, Sender, SenderOptions, Supply, Target, handshake,
};

use super::folder::{Around, Folder};
use super::screen::Places;
use crate::app::App;
use crate::config::{self, accepted};

/// Webhooks in a second: as many as eyes can follow.
const WEBHOOKS_PER_SECOND: f64 = 2.5;
/// Customers who write: few, so that one sees them again.
const CUSTOMERS: u32 = 10;
/// About one seed in nine gives so many customers different names.
const SEEDS_MAX: u64 = 200;
/// The shop's number, from the documentation.
pub(super) const PHONE: &str = "85291234567";
/// Any free port of this machine that nobody else can reach.
const ANY_PORT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
/// Connections that WhatsApp sends over.
const CONNECTIONS: u32 = 2;
/// The CRM answers so long after a question came: at once would look as if nobody had read it.
const THINKS: Duration = Duration::from_millis(400);
/// One in so many replies is posted twice, as by a CRM that has lost the answer.
const TWICE_EVERY: usize = 8;
/// What becomes of a reply on its way to the customer's eyes: fast enough to be watched, with the
/// troubles of the real one. All are read, so that each reply has an end.
const STATUSES: Statuses = Statuses {
    sent_ms: 80,
    delivered_ms: 250,
    read_ms: 800,
    unread: 0,
    lost: 0,
    early: 5,
    duplicate: 5,
    disorder: 5,
    batch: 1,
    batch_ms: 0,
};
/// WhatsApp comes again soon, so that a hiccup costs no minutes.
const AGAIN: Backoff = Backoff { first: Duration::from_millis(200), longest: Duration::from_secs(2) };
/// How long it goes on with that at the end.
pub(super) const DRAIN: Duration = Duration::from_secs(10);

/// The running parts, and the folder they run in.
pub(super) struct Stage {
    pub(super) app: App,
    pub(super) crm: Crm,
    pub(super) graph: Graph,
    pub(super) journeys: Arc<Journeys>,
    pub(super) places: Places,
    payloads: PayloadOptions,
    app_secret: AppSecret,
    target: Target,
    /// Last, so that it is removed when nothing uses it any more.
    _folder: Folder,
}

impl Stage {
    /// Starts the CRM and WhatsApp's API, then the gateway, and does WhatsApp's handshake.
    ///
    /// # Errors
    /// When something of it doesn't start.
    pub(super) async fn set() -> anyhow::Result<Self> {
        let folder = Folder::create()?;
        let journeys = Arc::new(Journeys::default());
        let payloads = payloads();
        let [webhook, api] = free_addresses()?;
        let (url, messages) = (format!("https://{webhook}/webhook"), format!("http://{api}/v1/messages"));
        let (target, app_secret) = (Target::parse(&url)?, AppSecret::new(folder.app_secret.as_bytes()));
        let crm = Crm::start(CrmOptions {
            signing_secrets: vec![SigningSecret::parse(&folder.signing_secret)?],
            journeys: Some(Arc::clone(&journeys)),
            answering: Some(Answering {
                messages: Target::parse(&messages)?,
                token: folder.api_token.clone(),
                thinks: THINKS,
                twice_every: TWICE_EVERY,
            }),
            ..CrmOptions::new(ANY_PORT)
        })
        .map_err(|error| anyhow!("the simulated CRM doesn't start: {error}"))?;
        let graph = Graph::start(GraphSettings {
            token: Some(folder.graph_token.clone()),
            waba_id: payloads.waba_id.clone(),
            display_phone_number: payloads.display_phone_number.clone(),
            webhooks: Some(Webhooks {
                connections: CONNECTIONS,
                journeys: Some(Arc::clone(&journeys)),
                ..Webhooks::new(sender(&target, Pace::Saturate), app_secret.clone())
            }),
            statuses: STATUSES,
            // Not the customers' own, which would give replies the names of messages.
            seed: payloads.seed ^ u64::MAX,
            ..GraphSettings::new(ANY_PORT)
        })
        .map_err(|error| anyhow!("the simulated WhatsApp doesn't start: {error}"))?;
        folder.write(&Around {
            webhook,
            api,
            crm: &crm.url(),
            whatsapp: &graph.url(),
            phone_number_id: &payloads.phone_number_id,
            phone: PHONE,
        })?;
        let app = App::start(accepted::start(&folder.config(), &config::system_env)?, None)
            .await
            .context("the gateway doesn't start")?;
        // Its message holds its causes.
        let shaken = handshake(&url, &folder.verify_token, payloads.seed).await;
        shaken.map_err(|error| anyhow!("WhatsApp's handshake failed: {error}"))?;
        let places = Places {
            config: folder.config().display().to_string(),
            api: format!("http://{}", app.api_address()),
            crm_page: format!("http://{}/", crm.address()),
            webhook: url,
        };
        Ok(Self { app, crm, graph, journeys, places, payloads, app_secret, target, _folder: folder })
    }

    /// Whether every question is answered, every reply taken and every status in the CRM.
    pub(super) fn is_quiet(&self) -> bool {
        let (queued, idle) = self.crm.replies();
        let queued = queued as u64;
        idle && self.graph.observed().accepted >= queued
            && self.graph.is_settled()
            && self.crm.look(Observed::recorded) >= queued
            && self.journeys.under_way() == 0
    }

    /// A WhatsApp, and what it has to send. What one customer writes goes out in order.
    pub(super) fn whatsapp(&self) -> (Sender, Vec<Supply>) {
        let sender = Sender::new(sender(&self.target, Pace::PerSecond(WEBHOOKS_PER_SECOND)));
        // Who writes may be answered for a day.
        let lanes = Payloads::lanes(&self.payloads, CONNECTIONS)
            .into_iter()
            .map(|lane| lane.heard_by(self.graph.ears()));
        let supplies = lanes.map(|lane| Supply::live(lane, self.app_secret.clone())).collect();
        (sender.with_journeys(Arc::clone(&self.journeys)), supplies)
    }
}

/// How WhatsApp sends webhooks.
fn sender(target: &Target, pace: Pace) -> SenderOptions {
    let retry = Retry::InOrder(AGAIN);
    SenderOptions { pace, retry, drain: DRAIN, ..SenderOptions::new(target.clone()) }
}

/// A quiet day in a shop: now and then several write at once, and Meta sends something twice.
fn payloads() -> PayloadOptions {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut options = PayloadOptions {
        seed: now.as_secs() ^ u64::from(now.subsec_nanos()),
        contacts: CUSTOMERS,
        // Those of the replies come from the API that takes them.
        statuses_percent: 0,
        display_phone_number: PHONE.into(),
        without_phone_percent: 10,
        batch_percent: 8,
        batch_items_max: 3,
        duplicate_percent: 4,
        starts_at: i64::try_from(now.as_secs()).unwrap_or_default(),
        // Somewhat more than there are, so that no timestamp lies in the future.
        items_per_second: 3,
        ..PayloadOptions::default()
    };
    // People are told apart by their names: the first seed will do that gives no name twice.
    for seed in options.seed..options.seed.saturating_add(SEEDS_MAX) {
        options.seed = seed;
        let mut names = HashSet::new();
        if Payloads::new(options.clone()).names().all(|name| names.insert(name.to_owned())) {
            break;
        }
    }
    options
}

/// Two addresses that nobody listens on. Known before the gateway starts, so that its
/// configuration names them and other commands find it.
fn free_addresses() -> anyhow::Result<[SocketAddr; 2]> {
    let listen = || {
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .and_then(|listener| Ok((listener.local_addr()?, listener)))
    };
    // Both are held before the first is let go, so that they differ.
    let held = (listen(), listen());
    match held {
        (Ok((one, _)), Ok((two, _))) => Ok([one, two]),
        (Err(error), _) | (_, Err(error)) => Err(anyhow!("can't listen on this machine's loopback: {error}")),
    }
}
