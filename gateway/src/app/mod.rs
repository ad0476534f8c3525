//! Stand-in until the real one is merged.
#![allow(missing_docs, clippy::all, clippy::pedantic, clippy::unwrap_used, clippy::unused_async)]
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use egress::{
    ClientSettings, Clients, Delivery, Endpoint, Journal, JournalError, Mode, Settings, Settlement,
    SigningSecrets, Tail,
};
use ingress::*;
use model::{ContactId, Record, Sequence, WallTime};
use tokio::sync::watch;

pub struct App {
    webhook: SocketAddr,
    api: SocketAddr,
    stop: watch::Sender<bool>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

#[derive(Default)]
struct Memory {
    records: Mutex<(BTreeMap<Sequence, Arc<Record>>, std::collections::HashSet<String>)>,
    tail: watch::Sender<Tail>,
}

impl Admit for Memory {
    async fn admit(&self, body: bytes::Bytes) -> Result<(), Refusal> {
        tokio::time::sleep(std::time::Duration::from_micros(900)).await;
        for item in records::digest(&body) {
            let mut r = self.records.lock().unwrap();
            if !r.1.insert(item.id.clone()) {
                continue;
            }
            let sequence = Sequence(r.1.len() as u64);
            let id = item.contact.as_ref().map(|c| {
                let v = c.user_id.clone().or(c.phone.clone()).unwrap_or_default();
                ContactId::from_stored(format!("c-{v}"))
            });
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
            r.0.insert(
                sequence,
                Arc::new(Record {
                    sequence,
                    received_at: WallTime(now.as_millis() as i64),
                    contact_id: id,
                    replayed: false,
                    item,
                }),
            );
            self.tail.send_modify(|t| t.newest = sequence);
        }
        Ok(())
    }
}
impl Journal for Memory {
    fn undelivered(&self, after: Sequence, limit: usize, _: usize) -> Result<Vec<Arc<Record>>, JournalError> {
        Ok(self.records.lock().unwrap().0.range(after.next()..).take(limit).map(|(_, r)| r.clone()).collect())
    }
    fn replays(&self, _: Sequence, _: usize, _: usize) -> Result<Vec<Arc<Record>>, JournalError> {
        Ok(vec![])
    }
    fn settle(&self, s: &[(Sequence, Settlement)]) {
        for (s, _) in s {
            self.records.lock().unwrap().0.remove(s);
        }
    }
    fn watch(&self) -> watch::Receiver<Tail> {
        self.tail.subscribe()
    }
}

impl App {
    pub async fn start(start: crate::config::accepted::Start) -> anyhow::Result<App> {
        let c = start.loaded.config;
        std::fs::create_dir_all(&c.store.path)?;
        let memory = Arc::new(Memory::default());
        let (stop, stopped) = watch::channel(false);
        let wait = || {
            let mut s = stopped.clone();
            async move {
                let _ = s.wait_for(|s| *s).await;
            }
        };
        let l = tokio::net::TcpListener::bind(c.webhook.listen).await?;
        let webhook = l.local_addr()?;
        let secrets = c
            .webhook
            .app_secret
            .iter()
            .map(|s| model::signature::hub::AppSecret::new(s.expose().as_bytes()))
            .collect();
        let w = Webhook::new(
            c.webhook.path.clone(),
            Credentials::new(c.webhook.verify_token.expose().into(), secrets)?,
            RequestLimits::default(),
            memory.clone(),
            Metrics::default(),
        );
        let tls = Tls::open(&Source::SelfSigned(c.store.path.clone()))?;
        let t1 = tokio::spawn({
            let s = wait();
            async move {
                serve_webhooks(l, Transport::Tls(tls), ConnectionLimits::default(), Arc::new(w), s).await;
            }
        });
        let signing = SigningSecrets::new(
            c.crm
                .signing_secret
                .iter()
                .map(|s| model::signature::standard_webhooks::SigningSecret::parse(s.expose()).unwrap())
                .collect(),
        );
        let numbers = records::Numbers::default();
        let d = Delivery::new(
            memory,
            Arc::new(move |r: &Record| records::render(r, &numbers)),
            Endpoint::new("crm", c.crm.endpoints[0].url.as_str())?,
            signing,
            Clients::new(ClientSettings::new("wagate".into(), 8))?,
            Settings::new(Mode::Realtime, 3),
            &egress::Metrics::default(),
        )?;
        let t2 = tokio::spawn(d.run(wait()));
        Ok(App { webhook, api: c.api.listen, stop, tasks: vec![t1, t2] })
    }
    pub fn webhook_address(&self) -> SocketAddr {
        self.webhook
    }
    pub fn api_address(&self) -> SocketAddr {
        self.api
    }
    pub async fn stop(self) -> anyhow::Result<()> {
        self.stop.send_replace(true);
        for t in self.tasks {
            t.await?;
        }
        Ok(())
    }
}
