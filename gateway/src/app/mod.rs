//! The running gateway: opens the store, binds the listeners, starts the workers, drains.
//!
//! A webhook's way: [`ingress`] proves it to be Meta's, [`admit`] takes it apart and hands it to
//! the [`store`], whose answer is the 200. The delivery worker reads the store's journal through
//! [`journal`] and posts to the CRM; the store side ([`crate::api`]) shows and steers.

pub(crate) mod access;
pub(crate) mod acme;
mod admit;
mod alarms;
mod answers;
pub(crate) mod audit;
mod board;
mod certificates;
mod delivery;
pub mod events;
mod failover;
#[cfg(test)]
pub(crate) mod fake;
#[cfg(test)]
pub(crate) mod fake_board;
mod front;
pub(crate) mod inbound;
mod journal;
pub(crate) mod machine;
mod metrics;
mod opening;
mod panics;
pub(crate) mod secrets;
pub(crate) mod sending;
pub mod snapshot;
pub(crate) mod strangers;
pub(crate) mod time;
pub(crate) mod update;
pub(crate) mod wear;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use ::board::{Board, Notify};
use anyhow::Context as _;
use egress::Journal as _;
use ingress::{ConnectionLimits, RequestLimits, Webhook};
use model::WallTime;
use policy::sending::Micros;
use prometheus_client::registry::Registry;
use store::Store;
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub(crate) use self::board::{Opening, note_unconfined};
pub(crate) use self::delivery::product;

use self::admit::StoreAdmit;
use self::answers::Answers;
use self::audit::Audit;
use self::board::{Below, Metrics as HeartMetrics, Probe, Proof, SelfTest};
use self::certificates::Certificates;
use self::delivery::DeliveryThread;
use self::events::Events;
use self::failover::{Around, Groups};
use self::front::Front;
use self::inbound::Inbound;
use self::machine::Machine;
pub(crate) use self::opening::api_tls_folder;
use self::opening::{bind, numbers, open_store};
use self::secrets::Secrets;
use self::sending::{Heard, SendingThread};
use self::snapshot::Shown;
use self::strangers::Strangers;
use self::time::{TimeKeeper, Told};
use self::update::Updates;
use self::wear::WearWatch;
use crate::api;
use crate::config::accepted::{self, Start};
use crate::config::{self, Loaded, Problems};

/// A running gateway.
pub struct App {
    loaded: Loaded,
    store: Arc<Store>,
    secrets: Arc<Secrets>,
    front: Front,
    api_address: SocketAddr,
    delivery: Option<DeliveryThread>,
    sending: SendingThread,
    acme: Option<acme::Handle>,
    tasks: Vec<JoinHandle<()>>,
    heart: HeartMetrics,
    keeper: Notify,
    stop: watch::Sender<bool>,
    broken: watch::Receiver<bool>,
}

impl App {
    /// Opens the store, binds both listeners and starts the workers; `board` is the machine below, where there is
    /// one.
    ///
    /// # Errors
    /// When the store can't be opened, an address can't be bound, or there is no certificate: the
    /// message says what to do. Whether the CRM or Meta can be reached doesn't matter.
    pub async fn start(start: Start, board: Option<Arc<dyn Board>>) -> anyhow::Result<Self> {
        let Start { loaded, refused } = start;
        let config = &loaded.config;
        say_refused(refused.as_ref());
        let (stop, stopped) = watch::channel(false);
        let machine = Machine::new(board.clone());
        let below = Below::look(board).await;
        let (journal, store) = open_store(config, &below).await?;
        let numbers = Arc::new(numbers(config));
        let mut registry = Registry::default();
        let events = Events::default();
        events.register(&mut registry);
        let heart = HeartMetrics::default();
        heart.register(&mut registry);

        let certificates = Certificates::open(config)?;
        let ingress_metrics = ingress::Metrics::default();
        ingress_metrics.register(&mut registry);
        let (answers, self_test) = (Arc::new(Answers::default()), Arc::<SelfTest>::default());
        let webhook = Arc::new(Webhook::new(
            config.webhook.path.clone(),
            secrets::credentials(config)?,
            RequestLimits::default(),
            Arc::new(StoreAdmit::new(Arc::clone(&store), Arc::clone(&answers), Arc::clone(&self_test))),
            ingress_metrics.clone(),
        ));
        let (tls, api_tls) = (certificates.public.clone(), certificates.api.clone());
        let secrets = Arc::new(Secrets::new(config, Arc::clone(&webhook), tls.clone(), api_tls.clone())?);
        let api_listener = bind(config.api.listen, "api.listen").await?;
        let api_address = api_listener.local_addr()?;

        let mut tasks = Vec::new();
        tasks.extend(certificates.watch(&mut registry, &stopped));
        let (transport, api_transport) = certificates.transports();
        let mut acme = None;
        if let (Some(tls), config::Tls::Acme(settings)) = (&tls, &config.webhook.tls) {
            let (store, events) = (&config.store.path, events.clone());
            let ready = acme::Ready::open(settings, store, tls.clone(), events, &mut registry).await;
            acme = Some(ready.handle());
            tasks.push(tokio::spawn(ready.run(ingress_metrics.listener("acme"), stopped.clone())));
        }
        let (listen, told) = (config.webhook.listen, stopped.clone());
        let limits =
            ConnectionLimits { relays: config.webhook.relays.clone(), ..ConnectionLimits::default() };
        let front = Front::start(listen, transport, limits, webhook, answers, told, below.keep_format())?;
        let groups = Groups::open(config, &store);
        // Not before both sides listen: a box that can't start would deliver a little at each try, and
        // not hear the answers.
        let delivery = DeliveryThread::start(
            config,
            &groups,
            Arc::clone(&journal),
            Arc::clone(&numbers),
            &secrets,
            &mut registry,
        )?;

        let updates = Updates::new(machine.clone(), events.clone(), stopped.clone());
        tasks.push(tokio::spawn(machine::watch(machine.clone(), events.clone(), when_true(stopped.clone()))));
        let time = Told::default();
        let (sending, questions) = SendingThread::start(
            config,
            Arc::clone(&store),
            Heard { journal: journal.watch(), time_servers: time.agreed.subscribe() },
            Arc::clone(&numbers),
            events.clone(),
            groups.clone(),
            &mut registry,
        )?;
        certificates.judge_clients_by(&sending.status());
        let time_status = time.status.subscribe();
        if machine.is_there() {
            let (status, servers) = (sending.status(), config.clock.servers.clone());
            let proved = move || status.borrow().proved_ms;
            let keeper = TimeKeeper::new(machine, servers, time, proved, &mut registry);
            tasks.push(tokio::spawn(keeper.run(when_true(stopped.clone()))));
        }
        let around = Around {
            config,
            store: Arc::clone(&store),
            sending: questions.clone(),
            routes: sending.routes(),
            crm: delivery.as_ref().map(DeliveryThread::probes).unwrap_or_default(),
            events: events.clone(),
            stopped: stopped.clone(),
        };
        tasks.extend(failover::start(&groups, &around, &mut registry));

        let inbound = Inbound::open(
            config,
            inbound::Parts {
                verify_token: secrets.verify_token(),
                routes: sending.routes(),
                sending: questions.clone(),
                store: Arc::clone(&store),
            },
        )?;
        inbound.register(&mut registry);
        tasks.push(tokio::spawn(inbound::watch(inbound.clone(), when_true(stopped.clone()))));

        let strangers = Strangers::default();
        strangers.register(&mut registry);
        let shown = Arc::new(Shown {
            store: Arc::clone(&store),
            journal: Arc::clone(&journal),
            delivery: delivery.as_ref().map(DeliveryThread::status),
            mode: config.crm.mode,
            groups: groups.clone(),
            inbound: Some(inbound.clone()),
            refused: refused.as_ref().map(Problems::summary),
            tls: tls.clone(),
            acme: acme.clone(),
            api_tls,
            strangers: strangers.clone(),
            sending: sending.status(),
            updates: updates.clone(),
            time: time_status,
            wear: WearWatch::new(PathBuf::from("/"), config.store.path.clone()),
        });
        metrics::register(&mut registry, Arc::clone(&shown));
        let (broken_sender, broken) = watch::channel(false);

        let downloads = api::Downloads::new(sending.ways());
        downloads.register(&mut registry);
        let side = api::Side {
            shown: Arc::clone(&shown),
            access: secrets.access(),
            strangers,
            audit: Audit::open(Arc::clone(&store)).context("the audit log can't be read")?,
            numbers,
            sending: questions,
            uploads: api::Uploads::new(sending.ways()),
            downloads,
            low_water: config.costs.low_water.unwrap_or(Micros(0)),
            registry: Arc::new(registry),
            events: events.clone(),
            endpoints: Arc::new(move || groups.views()),
            inbound,
            updates,
            stopped: stopped.clone(),
        };
        tasks.push(tokio::spawn(api::serve(
            api_listener,
            api_transport,
            ingress_metrics.listener("api"),
            side,
            when_true(stopped.clone()),
        )));
        let told = when_true(stopped.clone());
        tasks.push(tokio::spawn(events::watch_records(Arc::clone(&shown), events.clone(), told)));
        tasks.push(tokio::spawn(alarms::watch(shown, events, broken_sender, when_true(stopped.clone()))));
        let proof = Proof {
            store: Arc::clone(&store),
            self_test,
            address: front.address(),
            inside: front.inside(),
            path: config.webhook.path.clone(),
            relays: config.webhook.relays.clone(),
            tls,
            app_secret: secrets.app_secret(),
        };
        tasks.push(tokio::spawn(below.prove(proof, when_true(stopped))));

        store.begin_folding();
        if refused.is_none()
            && let Err(error) = accepted::keep(&loaded)
        {
            tracing::warn!(%error, "this configuration couldn't be kept as the last one that works");
        }
        tracing::info!(webhook = %front.address(), api = %api_address, store = store.id(), "the gateway is up");
        let keeper = Notify::nobody();
        Ok(Self {
            loaded,
            store,
            secrets,
            front,
            api_address,
            delivery,
            sending,
            acme,
            tasks,
            heart,
            keeper,
            stop,
            broken,
        })
    }

    /// Tells `keeper` that the gateway is ready, gives it its heartbeat from now on, and the word when the end
    /// begins. For within the runtime.
    pub fn keep(&mut self, keeper: Notify) {
        told(keeper.ready());
        let (probe, stopped) = (Probe::new(Arc::clone(&self.store)), when_true(self.stop.subscribe()));
        let beating = board::beat(probe, keeper.watchdog(), self.heart.clone(), stopped);
        self.tasks.push(tokio::spawn(beating));
        self.keeper = keeper;
    }

    /// Where Meta's webhooks are taken.
    #[must_use]
    pub const fn webhook_address(&self) -> SocketAddr {
        self.front.address()
    }

    /// Where the store side is served.
    #[must_use]
    pub const fn api_address(&self) -> SocketAddr {
        self.api_address
    }

    /// Reads secrets and certificates again; what can't be read stays as it was, and is said.
    pub fn reload(&self) {
        told(self.keeper.reloading());
        match self.loaded.reload_secrets(&config::system_env) {
            Ok(config) => {
                self.secrets.replace(&config);
                self.sending.replace(&config);
            }
            Err(problems) => {
                tracing::error!(%problems, "the secrets couldn't be read again; the old ones stay");
            }
        }
        self.secrets.reload_certificates();
        if let Some(acme) = &self.acme {
            acme.look_again();
        }
        told(self.keeper.ready());
    }

    /// Comes to pass when the disk has refused so often that only a restart helps.
    pub async fn broken(&self) {
        when_true(self.broken.clone()).await;
    }

    /// Drains: no more connections, requests in flight finish, what the CRM has answered is noted;
    /// at most 10 s. What is undelivered stays on disk.
    ///
    /// # Errors
    /// When a worker had panicked.
    pub async fn stop(self) -> anyhow::Result<()> {
        tracing::info!("draining");
        told(self.keeper.stopping());
        self.stop.send_replace(true);
        // All sides drain at the same time, so that one deadline holds for all.
        let (delivery, front, sending) = (self.delivery, self.front, self.sending);
        let delivery = tokio::task::spawn_blocking(move || delivery.map_or(Ok(()), DeliveryThread::stop));
        let front = tokio::task::spawn_blocking(move || front.join());
        let sending = tokio::task::spawn_blocking(move || sending.stop());
        let mut panicked = false;
        for task in self.tasks {
            panicked |= task.await.is_err();
        }
        panicked |= delivery.await?.is_err();
        panicked |= front.await?.is_err();
        panicked |= sending.await?.is_err();
        let store = Arc::clone(&self.store);
        tokio::task::spawn_blocking(move || store.close()).await?;
        tracing::info!("stopped");
        anyhow::ensure!(!panicked, "a worker had panicked; see the log");
        Ok(())
    }
}

/// A keeper that doesn't listen costs a line.
fn told(result: Result<(), ::board::BoardError>) {
    if let Err(error) = result {
        tracing::warn!("{error}");
    }
}

/// Comes to pass when the watched value is true, or its owner is gone.
pub(crate) async fn when_true(mut watched: watch::Receiver<bool>) {
    // An owner that is gone means the end, too.
    let _ = watched.wait_for(|value| *value).await;
}

fn say_refused(refused: Option<&Problems>) {
    if let Some(problems) = refused {
        tracing::error!("the configuration file is refused; running with the last one that worked");
        for problem in &problems.list {
            tracing::error!("{}", problems.line(problem));
        }
    }
}

/// How old a record is: the box's clock may have gone back since, which makes it new.
#[must_use]
pub fn age_seconds(received_at: WallTime, now: WallTime) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "an age for people and plots")]
    let ms = now.0.saturating_sub(received_at.0).max(0) as f64;
    ms / 1000.0
}
