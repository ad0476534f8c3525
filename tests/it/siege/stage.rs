//! The box under siege, and what has to be true of it between two attacks.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::attacker::{Attack, Field, MARK, Tally};
use super::sender::{Good, KEPT, Sent};
use super::vitals::{Vitals, Watch, written};
use crate::harness::{Appliance, Site, skip};

/// How much below the box the attackers' threads stand: on a machine of their own they would take nothing of it.
const NICE: i32 = 10;
/// How many times as long an attack may take on a busy machine.
const SLOWER_MAX: u32 = 5;
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Sockets that the attackers may hold, if the machine lets them.
const SOCKETS: u64 = 16_384;
/// What a connection may cost: buffers of rustls (two records, 34 KiB), of hyper (a head of 16 KiB and an answer), of
/// HTTP/2 (a list of headers of 16 KiB and what an answer waits in), the task, the allocator's loss. 256 of each of
/// two listeners.
const RSS_CONNECTIONS: u64 = 2 * 256 * 96 * 1024;
/// Bodies: 32 MiB are counted, and a buffer that grows is up to twice its content.
const RSS_BODIES: u64 = 2 * 32 * 1024 * 1024;

/// The box, the good sender, and the attackers' field.
pub(crate) struct Stage {
    site: Site,
    appliance: Appliance,
    pub(crate) good: Good,
    pub(crate) field: Field,
    /// Before any attack.
    pub(crate) at_start: Vitals,
    ids: BTreeSet<String>,
    /// The last record that was looked at.
    after: String,
}

impl Stage {
    /// A box as it is by default.
    pub(crate) async fn start() -> Self {
        Self::start_at(Site::without_crm()).await
    }

    /// A box that says all it can, with a key that makes each handshake as dear as on a small processor: the signature of
    /// RSA with 4,096 bits takes 50 times as long as that of the usual key. `None` where there is no openssl.
    pub(crate) async fn start_slow() -> Option<Self> {
        let mut site = Site::without_crm();
        let (certificate, key) = (site.path().join("cert.pem"), site.path().join("key.pem"));
        let made = Command::new("openssl")
            .args([
                "req", "-x509", "-newkey", "rsa:4096", "-nodes", "-days", "30", "-subj", "/CN=box", "-keyout",
            ])
            .arg(&key)
            .arg("-out")
            .arg(&certificate)
            .output();
        match made {
            Ok(made) => assert!(made.status.success(), "{made:?}"),
            Err(error) => {
                skip("a siege of a slow box", &format!("openssl: {error}"));
                return None;
            }
        }
        site.tls = format!("certificate = {certificate:?}\nkey = {key:?}");
        site.log_level = "debug";
        Some(Self::start_at(site).await)
    }

    async fn start_at(site: Site) -> Self {
        let limit = getrlimit(Resource::Nofile);
        let most = limit.maximum.map_or(SOCKETS, |most| most.min(SOCKETS));
        setrlimit(
            Resource::Nofile,
            Rlimit { current: Some(limit.current.map_or(most, |now| now.max(most))), ..limit },
        )
        .unwrap();
        let appliance = Appliance::start(&site).await;
        let address = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let good = Good::start(address(site.webhook_port));
        good.begin();
        tokio::time::sleep(Duration::from_millis(600)).await;
        let sent = good.end().await;
        assert!(sent.wrong.is_empty() && sent.captured.len() >= 20, "{:?}", sent.wrong);
        let field = Field::new(address(site.webhook_port), address(site.api_port), sent.captured.clone());
        let at_start = Vitals::of(appliance.pid());
        let mut stage =
            Self { site, appliance, good, field, at_start, ids: BTreeSet::new(), after: "0".to_owned() };
        assert_eq!(stage.records_are(&sent).await, None);
        stage
    }

    /// Lets attackers loose for so long, on a thread of their own; when it is over all their connections are closed.
    ///
    /// On a busy machine attackers get less done, and go on until it is `enough`, for a bounded time.
    pub(crate) async fn attack(
        &self,
        attack: Attack,
        time: Duration,
        enough: impl Fn(&Tally) -> bool + Send + 'static,
    ) -> Arc<Tally> {
        let field = self.field.anew();
        let tally = Arc::clone(&field.tally);
        let so_far = Arc::clone(&tally);
        let attacker = tokio::task::spawn_blocking(move || {
            std::thread::spawn(move || {
                rustix::process::nice(NICE).unwrap();
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                let local = tokio::task::LocalSet::new();
                let over = async {
                    let end = Instant::now() + time * SLOWER_MAX;
                    tokio::time::sleep(time).await;
                    while !enough(&so_far) && Instant::now() < end {
                        tokio::time::sleep(LOOK_EVERY).await;
                    }
                };
                local.block_on(&runtime, async {
                    tokio::select! {
                        () = attack(field) => {}
                        () = over => {}
                    }
                });
            })
            .join()
        });
        attacker.await.unwrap().unwrap();
        tally
    }

    pub(crate) fn watch(&self) -> Watch {
        Watch::start(self.appliance.pid())
    }

    /// Bytes that the program has written so far, as the kernel counts them and again as it does itself.
    pub(crate) async fn written(&self) -> f64 {
        let own = self.appliance.api.metric("wagate_store_written_bytes_total", "").await;
        written(self.appliance.pid()) as f64 + own
    }

    /// Resident memory that it may have.
    pub(crate) const fn rss_max(&self) -> u64 {
        self.at_start.rss + RSS_CONNECTIONS + RSS_BODIES
    }

    /// How many lines the log has.
    pub(crate) fn lines(&self) -> usize {
        self.appliance.log.lines().len()
    }

    /// What it says from a line on.
    pub(crate) fn lines_from(&self, first: usize) -> Vec<String> {
        self.appliance.log.lines().split_off(first)
    }

    /// Whether the log is bounded whatever strangers do; at DEBUG each of their connections may have a line.
    pub(crate) fn is_quiet(&self) -> bool {
        self.site.log_level != "debug"
    }

    /// Waits until nobody but the good sender is connected. Then a stranger is served at once.
    pub(crate) async fn at_rest(&self, patience: Duration) -> Option<String> {
        let begun = Instant::now();
        loop {
            let open = self.appliance.api.metric("wagate_connections_open", "webhook").await;
            if open <= KEPT as f64 {
                break;
            }
            if begun.elapsed() > patience {
                return Some(format!("{open} connections are still open {patience:?} after the attack"));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let mut tries = 1..=super::TRIES;
        loop {
            let begun = Instant::now();
            let stranger = self.field.tls(self.field.address()).await;
            let took = begun.elapsed();
            if stranger.is_ok() && took <= super::P99 {
                return None;
            }
            let late = format!("a stranger came in after {took:?}: {stranger:?}");
            println!("{late}");
            tries.next();
            if stranger.is_err() || tries.is_empty() {
                return Some(late);
            }
        }
    }

    /// Compares what is new in the store with what good webhooks have brought.
    pub(crate) async fn records_are(&mut self, sent: &Sent) -> Option<String> {
        self.ids.extend(sent.ids.iter().cloned());
        let mut missing: BTreeSet<&str> = sent.ids.iter().map(String::as_str).collect();
        let mut doubtful: BTreeSet<&str> = sent.doubtful.iter().map(String::as_str).collect();
        loop {
            let page = self.appliance.api.get(&format!("/v1/records?after={}&limit=1000", self.after)).await;
            let records = page["records"].as_array().unwrap();
            for record in records {
                let id = record["id"].as_str().unwrap();
                if !missing.remove(id) && !doubtful.remove(id) {
                    return Some(format!("a record that nobody good has sent, or a second one: {record}"));
                }
            }
            if records.is_empty() {
                break;
            }
            page["next"].as_str().unwrap().clone_into(&mut self.after);
        }
        (!missing.is_empty()).then(|| format!("{} records are missing", missing.len()))
    }

    /// Looks through everything on the disk and in the log for what attackers have sent, and stops the box.
    pub(crate) async fn end(self) -> Vec<String> {
        let Self { site, appliance, good, ids, .. } = self;
        let mut broken = Vec::new();
        let lines = appliance.log.lines();
        let is_quiet = site.log_level != "debug";
        let is_theirs = |line: &&String| (is_quiet && line.contains(MARK)) || line.contains(char::is_control);
        if let Some(line) = lines.iter().find(is_theirs) {
            broken.push(format!("attackers write the log: {line:?}"));
        }
        drop(good);
        appliance.stop().await;
        let holds = |text: &str| {
            let found = Command::new("grep").args(["-rlF", text]).arg(&site.store).output().unwrap();
            String::from_utf8(found.stdout).unwrap()
        };
        if ids.iter().take(20).all(|id| holds(id.split(':').next().unwrap()).is_empty()) {
            broken.push("the search through the store finds nothing at all".to_owned());
        }
        let marked = holds(MARK);
        if !marked.is_empty() {
            broken.push(format!("what attackers sent is on the disk, in {marked}"));
        }
        broken
    }
}
