//! Everything that runs: the gateway as `run` has it, and a stand-in on either side.

use std::collections::HashSet;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, anyhow};
use model::signature::hub::AppSecret;
use model::signature::standard_webhooks::SigningSecret;
use simulate::Journeys;
use simulate::crm::{Crm, CrmOptions};
use simulate::whatsapp::{
    Backoff, Pace, PayloadOptions, Payloads, Retry, Sender, SenderOptions, Supply, Target, handshake,
};

use super::folder::{Around, Folder};
use super::screen::Places;
use crate::app::App;
use crate::config::{self, accepted};

/// Webhooks in a second: as many as eyes can follow.
const WEBHOOKS_PER_SECOND: f64 = 3.0;
/// Customers who write: few, so that one sees them again.
const CUSTOMERS: u32 = 10;
/// About one seed in nine gives so many customers different names.
const SEEDS_MAX: u64 = 200;
/// The shop's number, from the documentation.
pub(super) const PHONE: &str = "85291234567";
/// Connections that WhatsApp sends over.
const CONNECTIONS: u32 = 2;
/// WhatsApp comes again soon, so that a hiccup costs no minutes.
const AGAIN: Backoff = Backoff { first: Duration::from_millis(200), longest: Duration::from_secs(2) };
/// How long it goes on with that at the end.
pub(super) const DRAIN: Duration = Duration::from_secs(10);

/// The running parts, and the folder they run in.
pub(super) struct Stage {
    pub(super) app: App,
    pub(super) crm: Crm,
    pub(super) journeys: Arc<Journeys>,
    pub(super) places: Places,
    payloads: PayloadOptions,
    app_secret: AppSecret,
    target: Target,
    /// Last, so that it is removed when nothing uses it any more.
    _folder: Folder,
}

impl Stage {
    /// Starts the CRM, then the gateway, and does WhatsApp's handshake.
    ///
    /// # Errors
    /// When something of it doesn't start.
    pub(super) async fn set() -> anyhow::Result<Self> {
        let folder = Folder::create()?;
        let journeys = Arc::new(Journeys::default());
        let crm = Crm::start(CrmOptions {
            signing_secrets: vec![SigningSecret::parse(&folder.signing_secret)?],
            journeys: Some(Arc::clone(&journeys)),
            ..CrmOptions::new(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
        })
        .map_err(|error| anyhow!("the simulated CRM doesn't start: {error}"))?;
        let payloads = payloads();
        let [webhook, api] = free_addresses()?;
        folder.write(&Around {
            webhook,
            api,
            crm: &crm.url(),
            phone_number_id: &payloads.phone_number_id,
            phone: PHONE,
        })?;
        let app = App::start(accepted::start(&folder.config(), &config::system_env)?)
            .await
            .context("the gateway doesn't start")?;
        let url = format!("https://{}/webhook", app.webhook_address());
        // Its message holds its causes.
        let shaken = handshake(&url, &folder.verify_token, payloads.seed).await;
        shaken.map_err(|error| anyhow!("WhatsApp's handshake failed: {error}"))?;
        let places = Places {
            config: folder.config().display().to_string(),
            api: format!("http://{}", app.api_address()),
            crm_page: format!("http://{}/", crm.address()),
            webhook: url.clone(),
        };
        let (app_secret, target) = (AppSecret::new(folder.app_secret.as_bytes()), Target::parse(&url)?);
        Ok(Self { app, crm, journeys, places, payloads, app_secret, target, _folder: folder })
    }

    /// A WhatsApp, and what it has to send. What one customer writes goes out in order.
    pub(super) fn whatsapp(&self) -> (Sender, Vec<Supply>) {
        let sender = Sender::new(SenderOptions {
            pace: Pace::PerSecond(WEBHOOKS_PER_SECOND),
            retry: Retry::InOrder(AGAIN),
            drain: DRAIN,
            ..SenderOptions::new(self.target.clone())
        });
        let lanes = Payloads::lanes(&self.payloads, CONNECTIONS);
        let supplies = lanes.into_iter().map(|lane| Supply::live(lane, self.app_secret.clone())).collect();
        (sender.with_journeys(Arc::clone(&self.journeys)), supplies)
    }
}

/// A quiet day in a shop: now and then several write at once, and Meta sends something twice.
fn payloads() -> PayloadOptions {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut options = PayloadOptions {
        seed: now.as_secs() ^ u64::from(now.subsec_nanos()),
        contacts: CUSTOMERS,
        statuses_percent: 25,
        display_phone_number: PHONE.into(),
        without_phone_percent: 10,
        batch_percent: 8,
        batch_items_max: 3,
        duplicate_percent: 4,
        starts_at: i64::try_from(now.as_secs()).unwrap_or_default(),
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
