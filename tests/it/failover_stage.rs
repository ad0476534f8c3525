//! A box with two endpoints in each direction, a network of its own before the preferred ones, and live traffic.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;
use simulate::crm::{Crm, Keep};
use simulate::graph::{DoorSettings, Graph, GraphSettings, Letter, Statuses};
use simulate::proxy::{Fault, Proxy, ProxyOptions};
use simulate::whatsapp::{Pace, PayloadOptions, Report};
use tokio::task::JoinHandle;

use crate::harness::front::{Authority, Front, Names};
use crate::harness::sending::{GRAPH_TOKEN, NUMBER, graph_settings, phone, secrets, template};
use crate::harness::{Api, Appliance, Feed, Load, Site, crm, skip, within};

pub(crate) const KEY: &str = "keyOfTheProviderOfTheTests";
/// The door of the backup, as the simulated world calls it.
pub(crate) const BACKUP_DOOR: &str = "360dialog";
pub(crate) const CRM: &str = "crm";
/// Between two messages, and two webhooks.
const EVERY: Duration = Duration::from_millis(100);
/// Customers who write.
const CUSTOMERS: u32 = 20;
/// What is on its way at the end has arrived by then.
const SETTLES: Duration = Duration::from_secs(45);

pub(crate) fn whatsapp() -> String {
    format!("whatsapp/{NUMBER}")
}

/// What befalls the preferred endpoints of both directions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    Network(Fault),
    /// The certificate is another one, which nobody vouches for.
    Certificate,
    /// Nobody answers for the name, and connections that were open have ended.
    NamesGone,
}

/// What stands before a preferred endpoint.
struct Before {
    proxy: Proxy,
    front: Option<Front>,
}

pub(crate) struct Stage {
    pub(crate) site: Site,
    pub(crate) graph: Arc<Graph>,
    /// The preferred one, and the other.
    pub(crate) crms: [Crm; 2],
    before: [Before; 2],
    names: Option<Names>,
    appliance: Option<Appliance>,
    pub(crate) api: Api,
    pub(crate) feed: Feed,
}

impl Stage {
    /// `health` is for both directions; empty for the defaults. Nothing where the machine can't play this trouble.
    pub(crate) async fn new(seed: u64, trouble: Trouble, health: &str) -> Option<Self> {
        let names = if trouble == Trouble::NamesGone { Some(names().await?) } else { None };
        let crms = [crm(Keep::Counters, true), crm(Keep::Counters, true)];
        let mut site = Site::without_crm();
        site.number_keys = "[numbers.limits]\nmessages_per_day = 100000\napi_calls_per_day = 1000000\n\
             unique_recipients_per_24h = 100000"
            .into();
        let statuses = Statuses { unread: 100, batch: 10, batch_ms: 250, ..Statuses::PLAIN };
        let settings = GraphSettings { statuses, ..graph_settings(&site) };
        let graph = Arc::new(Graph::start(settings).unwrap());
        let dialog = DoorSettings::three_sixty("127.0.0.1:0".parse().unwrap(), KEY);
        let dialog = graph.open(dialog).unwrap();
        let authority = (trouble == Trouble::Certificate).then(Authority::new);
        let mut before = Vec::new();
        for upstream in [graph.address(), crms[0].address()] {
            let proxy = Proxy::start(ProxyOptions { seed, ..ProxyOptions::new(upstream) }).unwrap();
            let front = match &authority {
                Some(authority) => Some(Front::start(proxy.address(), authority).await),
                None => None,
            };
            before.push(Before { proxy, front });
        }
        let before: [Before; 2] = before.try_into().ok().unwrap();
        let [whatsapp, records] = before.each_ref().map(|before| match (&before.front, &names) {
            (Some(front), _) => format!("https://{}", front.address),
            (_, Some(_)) => format!("http://endpoint.failover.test:{}", before.proxy.address().port()),
            _ => format!("http://{}", before.proxy.address()),
        });
        let ca = if authority.is_some() { "ca = \"ca.pem\"\n" } else { "" };
        site.put("ca.pem", authority.map_or_else(String::new, |authority| authority.pem).as_bytes());
        site.put("graph_token", GRAPH_TOKEN.as_bytes());
        site.put("key", KEY.as_bytes());
        let health = |of: &str| match health {
            "" => String::new(),
            health => format!("[{of}.health]\n{health}\n"),
        };
        site.more = format!(
            "{}[[whatsapp.endpoints]]\nname = \"meta\"\nurl = \"{whatsapp}/v24.0\"\ntoken = \"file:graph_token\"\n{ca}\
             [[whatsapp.endpoints]]\nname = \"backup\"\nurl = \"{}\"\nheader = \"D360-API-KEY\"\n\
             token = \"file:key\"\npath = \"/messages\"\n\
             {}[[crm.endpoints]]\nname = \"primary\"\nurl = \"{records}/wagate\"\n{ca}\
             [[crm.endpoints]]\nname = \"backup\"\nurl = \"{}\"\n",
            health("whatsapp"),
            dialog.url(),
            health("crm"),
            crms[1].url(),
        );
        if let Some(names) = &names {
            site.put("resolv.conf", format!("nameserver {}\n", names.address).as_bytes());
            site.put("hosts", b"127.0.0.1 localhost\n");
            site.starter = in_a_world_of_its_own(&site);
        }
        let mut appliance = Appliance::start(&site).await;
        appliance.secret_words = secrets();
        appliance.secret_words.insert(KEY.to_owned());
        let api = appliance.api.clone();
        let feed = Feed::open(&api).await;
        Some(Self { site, graph, crms, before, names, appliance: Some(appliance), api, feed })
    }

    pub(crate) async fn begins(&self, trouble: Trouble) {
        match trouble {
            Trouble::Network(fault) => self.set(fault).await,
            Trouble::Certificate => self.show(true),
            Trouble::NamesGone => {
                self.names.as_ref().unwrap().fall_silent(true);
                self.set(Fault::Refuse).await;
                self.set(Fault::Pass).await;
            }
        }
    }

    pub(crate) async fn ends(&self, trouble: Trouble) {
        match trouble {
            Trouble::Network(_) => self.set(Fault::Pass).await,
            Trouble::Certificate => self.show(false),
            Trouble::NamesGone => self.names.as_ref().unwrap().fall_silent(false),
        }
    }

    async fn set(&self, fault: Fault) {
        tokio::join!(self.before[0].proxy.set(fault), self.before[1].proxy.set(fault));
    }

    fn show(&self, bad: bool) {
        self.before.iter().filter_map(|before| before.front.as_ref()).for_each(|front| front.show(bad));
    }

    /// Restarts the box as a power cut does, with its network well from then on.
    pub(crate) async fn restart(&mut self) {
        self.set(Fault::Pass).await;
        self.appliance.take().unwrap().kill();
        self.appliance = Some(Appliance::start(&self.site).await);
        self.feed = Feed::open(&self.api).await;
    }

    pub(crate) async fn stop(&mut self) {
        self.appliance.take().unwrap().stop().await;
    }

    /// The endpoint that a group goes by.
    pub(crate) async fn active(&self, group: &str) -> String {
        let endpoints = self.endpoints().await;
        let mut active = endpoints.iter().filter(|one| one["group"] == *group && one["active"] == true);
        let name = active.next().unwrap()["name"].as_str().unwrap().to_owned();
        assert!(active.next().is_none(), "two are active: {endpoints:?}");
        name
    }

    pub(crate) async fn endpoints(&self) -> Vec<Value> {
        self.api.get("/v1/endpoints").await["endpoints"].as_array().unwrap().clone()
    }

    /// Both groups go by these, and all that shows it says the same.
    pub(crate) async fn goes_by(&self, patience: Duration, names: [&str; 2]) {
        let groups = [whatsapp(), CRM.to_owned()];
        within(patience, &format!("the groups go by {names:?}"), async || {
            let active = (self.active(&groups[0]).await, self.active(&groups[1]).await);
            (active.0 == names[0] && active.1 == names[1]).then_some(())
        })
        .await;
        for (group, name) in groups.iter().zip(names) {
            let label = format!("group=\"{group}\",endpoint=\"{name}\"");
            assert!((self.api.metric("wagate_endpoint_active", &label).await - 1.0).abs() < f64::EPSILON);
            let label = format!("group=\"{group}\"");
            assert!((self.api.metric("wagate_endpoint_active", &label).await - 1.0).abs() < f64::EPSILON);
        }
    }

    pub(crate) fn letters(&self) -> HashMap<String, Letter> {
        let letters = self.graph.messages().into_iter();
        letters.map(|letter| (letter.outbox_id.clone(), letter)).collect()
    }
}

/// A program that sees a hosts file and DNS settings of the site's.
fn in_a_world_of_its_own(site: &Site) -> Vec<String> {
    let path = |name: &str| site.path().join(name).to_str().unwrap().to_owned();
    let script =
        "mount --bind \"$1\" /etc/resolv.conf && mount --bind \"$2\" /etc/hosts && shift 2 && exec \"$@\"";
    ["unshare", "--mount", "sh", "-c", script, "sh", &path("resolv.conf"), &path("hosts")]
        .map(str::to_owned)
        .into()
}

async fn names() -> Option<Names> {
    const TEST: &str = "names that are gone";
    if !rustix::process::getuid().is_root() {
        println!("SKIPPED: {}: only root can give a program other DNS settings", TEST.to_uppercase());
        return None;
    }
    let can = std::process::Command::new("unshare")
        .args(["--mount", "true"])
        .status()
        .is_ok_and(|left| left.success());
    let names = if can { Names::start().await } else { None };
    if names.is_none() {
        skip(TEST, "a mount namespace and port 53 of loopback are needed");
    }
    names
}

/// Ten messages and ten webhooks a second.
pub(crate) struct Traffic {
    stopped: Arc<Mutex<bool>>,
    messages: JoinHandle<Vec<String>>,
    webhooks: Load,
}

/// What went in.
pub(crate) struct Sent {
    pub(crate) messages: Vec<String>,
    pub(crate) webhooks: Report,
}

impl Traffic {
    pub(crate) fn start(stage: &Stage, seed: u64) -> Self {
        let stopped = Arc::new(Mutex::new(false));
        let (api, end) = (stage.api.clone(), Arc::clone(&stopped));
        let messages = tokio::spawn(async move {
            let mut ticks = tokio::time::interval(EVERY);
            let mut queued = tokio::task::JoinSet::new();
            for place in 0.. {
                ticks.tick().await;
                if *end.lock().unwrap() {
                    break;
                }
                let (api, body) = (api.clone(), template(&phone(place)));
                queued.spawn(async move { api.queue_surely(&format!("live-{place}"), &body).await });
            }
            queued.join_all().await
        });
        let options =
            PayloadOptions { seed, contacts: CUSTOMERS, statuses_percent: 0, ..PayloadOptions::default() };
        let webhooks = Load::start(&stage.site, &options, 1, Pace::PerSecond(10.0), None);
        Self { stopped, messages, webhooks }
    }

    pub(crate) async fn stop(self) -> Sent {
        *self.stopped.lock().unwrap() = true;
        Sent { messages: self.messages.await.unwrap(), webhooks: self.webhooks.stop().await }
    }
}

/// What came of the messages.
#[derive(Debug, Default)]
pub(crate) struct Messages {
    pub(crate) queued: usize,
    pub(crate) lost: usize,
    pub(crate) twice: usize,
    /// Were uncertain at any time, and are at the end.
    pub(crate) uncertain: (usize, usize),
    /// Were taken by the backup.
    pub(crate) by_backup: usize,
}

/// What came of the records.
#[derive(Debug, Default)]
pub(crate) struct Records {
    pub(crate) queued: usize,
    pub(crate) lost: usize,
    pub(crate) both: u64,
    pub(crate) by_backup: u64,
}

impl Stage {
    /// Waits until nothing is under way, and counts what became of the messages.
    pub(crate) async fn count_messages(&self, sent: &Sent) -> Messages {
        within(SETTLES, "every message is on its way", async || {
            let mut open = self.api.list("open").await.into_iter();
            let waits = |one: &Value| matches!(one["status"].as_str(), Some("queued" | "held" | "sending"));
            (!open.any(|one| waits(&one))).then_some(())
        })
        .await;
        assert!(self.graph.settle(SETTLES).await, "statuses aren't taken");
        let mut found = Messages { queued: sent.messages.len(), ..Messages::default() };
        let said = self.feed.events();
        let were = said.iter().filter(|event| event.name == "message" && event.data["status"] == "uncertain");
        let were: BTreeSet<&str> = were.map(|event| event.data["id"].as_str().unwrap()).collect();
        let uncertain: BTreeSet<String> = {
            let listed = self.api.list("uncertain").await;
            listed.iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect()
        };
        found.uncertain = (were.len(), uncertain.len());
        let letters = self.letters();
        for id in &sent.messages {
            let letter = letters.get(id);
            let taken = letter.map_or(0, |letter| letter.accepted);
            found.twice += usize::from(taken > 1);
            found.by_backup +=
                usize::from(letter.is_some_and(|letter| letter.taken_by.iter().any(|by| by == BACKUP_DOOR)));
            let posted = letter.map_or(0, |letter| letter.posted);
            assert!(posted <= 1, "posted {posted} times: {letter:?}");
            if taken == 0 && !uncertain.contains(id) {
                found.lost += 1;
                println!("lost: {:#}", self.api.message(id).await);
            }
        }
        let observed = self.graph.observed();
        assert_eq!((observed.taken_twice, observed.without_outbox_id), (0, 0));
        found
    }

    /// Waits until the CRM has all, and counts what became of the records.
    pub(crate) async fn count_records(&self, sent: &Sent) -> Records {
        self.api.drained().await;
        let mut lanes: BTreeMap<String, Vec<(u64, Instant)>> = BTreeMap::new();
        let mut found = Records::default();
        let mut ids = BTreeSet::new();
        let mut after = "0".to_owned();
        loop {
            let page = self.api.get(&format!("/v1/records?after={after}&limit=1000")).await;
            let records = page["records"].as_array().unwrap();
            if records.is_empty() {
                break;
            }
            for record in records {
                let (source, id) = (record["source"].as_str().unwrap(), record["id"].as_str().unwrap());
                let seen = self.crms.each_ref().map(|crm| crm.look(|observed| observed.seen(source, id)));
                found.queued += 1;
                ids.insert(id.to_owned());
                let Some(first) = seen.iter().flatten().map(|seen| seen.first_at).min() else {
                    found.lost += 1;
                    continue;
                };
                if let Some(contact) = record["data"]["contact"]["id"].as_str() {
                    let sequence = record["sequence"].as_str().unwrap().parse().unwrap();
                    lanes.entry(contact.to_owned()).or_default().push((sequence, first));
                }
            }
            page["next"].as_str().unwrap().clone_into(&mut after);
        }
        for (contact, lane) in &lanes {
            // The log is in order of sequence.
            assert!(lane.is_sorted_by_key(|(_, first)| *first), "{contact}: out of order: {lane:?}");
        }
        for webhook in &sent.webhooks.acknowledged {
            for item in webhook.items.iter() {
                assert!(ids.contains(&*item.id), "acknowledged, and not in the log: {}", item.id);
            }
        }
        for crm in &self.crms {
            crm.look(|observed| assert!(observed.is_clean(), "{:?}", observed.complaints()));
        }
        found.both = self.crms[0].in_common(&self.crms[1]);
        found.by_backup = self.crms[1].totals().records;
        found
    }

    /// When the backup took the first message of those that went out after `since`, in milliseconds since 1970.
    pub(crate) fn first_message_by_backup(&self, since_ms: i64) -> Option<Duration> {
        let letters = self.graph.messages().into_iter();
        let by_backup = letters.filter(|letter| letter.taken_by.iter().any(|by| by == BACKUP_DOOR));
        let first = by_backup.map(|letter| letter.first_ms).min()?;
        Some(Duration::from_millis(u64::try_from(first - since_ms).unwrap_or(0)))
    }

    /// When the backup took the first record.
    pub(crate) async fn first_record_by_backup(&self, since: Instant) -> Option<Duration> {
        let mut first: Option<Instant> = None;
        let mut after = "0".to_owned();
        loop {
            let page = self.api.get(&format!("/v1/records?after={after}&limit=1000")).await;
            let records = page["records"].as_array().unwrap();
            if records.is_empty() {
                return first.map(|first| first - since);
            }
            for record in records {
                let (source, id) = (record["source"].as_str().unwrap(), record["id"].as_str().unwrap());
                let seen = self.crms[1].look(|observed| observed.seen(source, id));
                first = first.into_iter().chain(seen.map(|seen| seen.first_at)).min();
            }
            page["next"].as_str().unwrap().clone_into(&mut after);
        }
    }
}
