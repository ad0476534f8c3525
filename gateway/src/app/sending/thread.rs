//! The thread that the outbox lives on.
//!
//! A thread and a runtime of its own: reading what may go next takes no time from who answers Meta.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use anyhow::Context as _;
use model::Sequence;
use outbox::Outbox;
use policy::sending::{Clock, Reading};
use prometheus_client::registry::Registry;
use records::Numbers;
use store::Store;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;

use super::Sending;
use super::journal::RECORDS_A_TURN;
use super::leaps::Leaps;
use super::metrics::Metrics;
use super::notes::Notes;
use super::routes::{Routes, Ways};
use super::status::Status;
use super::table::StoreTable;
use super::tokens::Tokens;
use super::work::Work;
use crate::app::events::Events;
use crate::app::failover::Groups;
use crate::clock;
use crate::config::Config;

/// Name look-ups, one at a time.
const BLOCKING_THREADS: usize = 2;

pub(in crate::app) struct SendingThread {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
    routes: watch::Sender<Arc<Routes>>,
    ways: Ways,
    status: watch::Receiver<Status>,
}

impl SendingThread {
    /// Opens the outbox and starts its thread. Blocks on the disk.
    pub(in crate::app) fn start(
        config: &Config,
        store: Arc<Store>,
        tail: watch::Receiver<egress::Tail>,
        known: Arc<Numbers>,
        events: Events,
        groups: Groups,
        registry: &mut Registry,
    ) -> anyhow::Result<(Self, Sending)> {
        let (sending, asked) = Sending::new();
        let table = StoreTable::new(&store);
        let began = Instant::now();
        let reading = Reading { wall_ms: clock::now().0, mono_ms: 0 };
        let ahead = i64::try_from(config.clock.believed_ahead.as_millis()).unwrap_or(i64::MAX);
        let mut clock = Clock::start(Outbox::last_known_ms(&table)?, reading, ahead);
        let now = clock.now_ms(reading);
        let leaps = Leaps::new(now, reading);
        let (mut outbox, done) = Outbox::open(&table, config.sending()?, now)?;
        // What was in flight is uncertain now. It is part of the first transaction, without which nothing goes out;
        // a disk that takes none for the moment is no reason not to start.
        outbox.carry(done);
        let routes = watch::Sender::new(Arc::new(Routes::new(config)?));
        let ways = Ways::new(routes.subscribe(), groups);
        let status = watch::Sender::new(Status::default());
        let shown = status.subscribe();
        let metrics = Metrics::default();
        metrics.register(registry, status.subscribe());
        let work = Work {
            outbox,
            store,
            clock,
            began,
            leaps,
            asked,
            tail,
            routes: routes.subscribe(),
            ways: ways.clone(),
            numbers: known,
            notes: Notes::new(config),
            events,
            status,
            metrics,
            random: ring::rand::SystemRandom::new(),
            tokens: Tokens::new(sending.clone()),
            answered: Vec::new(),
            in_flight: JoinSet::new(),
            carried_since: None,
            shown_at: None,
            unshown: true,
            resume: false,
            accounts: BTreeMap::new(),
            skip_to: Sequence::START,
            most: RECORDS_A_TURN,
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(BLOCKING_THREADS)
            .build()
            .context("no runtime for sending")?;
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::Builder::new().name("outbox".to_owned()).spawn(move || {
            runtime.block_on(work.run(stopped));
            runtime.shutdown_background();
        });
        let thread = thread.context("no thread for sending")?;
        Ok((Self { stop, thread, routes, ways, status: shown }, sending))
    }

    pub(in crate::app) fn status(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }

    /// The way that calls take now.
    pub(in crate::app) fn ways(&self) -> Ways {
        self.ways.clone()
    }

    /// The clients of all endpoints, which change with the tokens.
    pub(in crate::app) fn routes(&self) -> watch::Receiver<Arc<Routes>> {
        self.routes.subscribe()
    }

    /// Takes over new tokens; what was stopped for the old ones is tried again.
    pub(in crate::app) fn replace(&self, config: &Config) {
        match Routes::new(config) {
            Ok(routes) => _ = self.routes.send_replace(Arc::new(routes)),
            Err(error) => tracing::error!(%error, "the new tokens can't be used; the old ones stay"),
        }
    }

    /// Lets calls in flight end, and waits.
    pub(in crate::app) fn stop(self) -> std::thread::Result<()> {
        drop(self.stop);
        self.thread.join()
    }
}
