//! The thread that the outbox lives on.
//!
//! A thread and a runtime of its own: reading what may go next takes no time from who answers Meta. Calls are made on
//! the program's own runtime: a disk that stalls isn't to look like a slow endpoint.

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
use crate::app::time::Agreed;
use crate::clock;
use crate::config::Config;

/// What the thread listens to beside questions.
pub(in crate::app) struct Heard {
    /// What comes in.
    pub(in crate::app) journal: watch::Receiver<egress::Tail>,
    /// What time servers say, where the box asks any.
    pub(in crate::app) time_servers: watch::Receiver<Option<Agreed>>,
}

pub(in crate::app) struct SendingThread {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
    routes: watch::Sender<Arc<Routes>>,
    ways: Ways,
    status: watch::Receiver<Status>,
}

impl SendingThread {
    /// Opens the outbox and starts its thread. Blocks on the disk. Calls are made on the runtime of whoever starts it,
    /// which has to run until [`SendingThread::stop`] has returned.
    pub(in crate::app) fn start(
        config: &Config,
        store: Arc<Store>,
        heard: Heard,
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
            tail: heard.journal,
            routes: routes.subscribe(),
            agreed: heard.time_servers,
            ways: ways.clone(),
            numbers: known,
            notes: Notes::new(config),
            events,
            status,
            metrics,
            random: ring::rand::SystemRandom::new(),
            tokens: Tokens::new(sending.clone(), tokio::runtime::Handle::current()),
            answered: Vec::new(),
            in_flight: JoinSet::new(),
            calls_on: tokio::runtime::Handle::current(),
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

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use egress::Journal as _;
    use model::{Address, OutboxId, Priority, Standing};
    use outbox::{Draft, Enqueue, Kind};
    use store::FolderDisk;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::app::journal::{self, StoreJournal};
    use crate::config::{self, Source};

    fn config(url: &str) -> Config {
        let text = format!(
            r#"
            [webhook]
            verify_token = "v"
            app_secret = "s"
            tls = {{ self_signed = true }}
            [api]
            token = "0123456789abcdef0123456789abcdef"
            [[numbers]]
            phone_number_id = "1"
            [[whatsapp.endpoints]]
            name = "meta"
            url = "{url}/v24.0"
            token = "t"
            "#
        );
        let source = Source::new(Path::new("/nowhere/wagate.toml"), text);
        config::parse(source, &|_| None).unwrap().config
    }

    async fn queue(sending: &Sending, contact: u8) -> OutboxId {
        let draft = Draft {
            number: "1".to_owned(),
            to: Some(Address::Phone(format!("+8526123000{contact}"))),
            contact: u128::from(contact),
            priority: Priority::Service,
            kind: Kind::Template,
            template: Some("hello".to_owned()),
            payload: r#"{"type":"template","template":{"name":"hello","language":{"code":"en"}}}"#.to_owned(),
            fallback: None,
            expires_ms: None,
            chance: u64::from(contact),
        };
        let call = Enqueue { key: [contact; 16], body: [1; 16], drafts: vec![draft] };
        sending.ask(move |turn| turn.enqueue(call)).await.unwrap().unwrap().id
    }

    /// The next call that posts a message, whole. What asks about the token is hung up on.
    async fn message(listener: &TcpListener) -> TcpStream {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let (mut come, mut portion) = (Vec::new(), [0; 4_096]);
            let is_whole = |come: &[u8]| {
                come.ends_with(b"}") || (come.starts_with(b"GET") && come.ends_with(b"\r\n\r\n"))
            };
            while !is_whole(&come) {
                let count = stream.read(&mut portion).await.unwrap();
                assert!(count > 0, "the request breaks off");
                come.extend_from_slice(&portion[..count]);
            }
            if come.starts_with(b"POST") {
                return stream;
            }
        }
    }

    async fn accept(stream: &mut TcpStream, wamid: &str) {
        let body =
            format!(r#"{{"messaging_product":"whatsapp","contacts":[],"messages":[{{"id":"{wamid}"}}]}}"#);
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close";
        let answer = format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        stream.write_all(answer.as_bytes()).await.unwrap();
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_disk_that_stalls_delays_no_answer_and_a_stop_waits_for_one() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let config = config(&format!("http://{}", listener.local_addr().unwrap()));
        let folder = tempfile::tempdir().unwrap();
        let (tail, on_durable) = journal::tail();
        let disk = Arc::new(FolderDisk::new(folder.path()).unwrap());
        let options = store::Options { segment_bytes: 8 << 20, segments: 2, ..store::Options::default() };
        let store = Arc::new(Store::open(disk, options, on_durable).unwrap());
        let journal = StoreJournal::new(Arc::clone(&store), tail);
        let (thread, sending) = SendingThread::start(
            &config,
            Arc::clone(&store),
            Heard { journal: journal.watch(), time_servers: watch::Sender::default().subscribe() },
            Arc::default(),
            Events::default(),
            Groups::open(&config, &store),
            &mut Registry::default(),
        )
        .unwrap();

        queue(&sending, 1).await;
        let mut stream = message(&listener).await;
        let (stalls, stalled) = oneshot::channel();
        let (taken, is_taken) = std::sync::mpsc::sync_channel(1);
        let stall = sending.ask(move |_| {
            _ = stalls.send(());
            Ok(is_taken.recv_timeout(Duration::from_secs(10)).is_ok())
        });
        let answering = async {
            stalled.await.unwrap();
            accept(&mut stream, "wamid.1").await;
            // Whoever has the answer hangs up.
            assert_eq!(stream.read(&mut [0; 8]).await.unwrap(), 0);
            taken.send(()).unwrap();
        };
        let (stall, ()) = tokio::join!(stall, answering);
        assert!(stall.unwrap(), "the answer waited for the disk");

        let last = queue(&sending, 2).await;
        let mut stream = message(&listener).await;
        let stopping = tokio::task::spawn_blocking(move || thread.stop());
        sending.questions.closed().await;
        assert!(!stopping.is_finished(), "a call is under way");
        accept(&mut stream, "wamid.2").await;
        stopping.await.unwrap().unwrap();
        let (table, now) = (StoreTable::new(&store), clock::now().0);
        let (outbox, _) = Outbox::open(&table, config.sending().unwrap(), now).unwrap();
        let shown = outbox.turn(&table, now).message(last).unwrap().unwrap();
        assert_eq!((shown.standing, shown.wamid.as_deref()), (Standing::Accepted, Some("wamid.2")));
    }
}
