//! The way out: a simulated Graph whose statuses go to the box, what the CRM asks for, and customers who write.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use model::OutboxId;
use reqwest::Method;
use serde_json::{Value, json};
use simulate::graph::{Behaviour, Graph, GraphSettings, Letter, Statuses, Webhooks};
use simulate::whatsapp::{Backoff, Retry, SenderOptions, Target};

use super::faketime::true_time;
use super::{Api, LONG, LOOK_EVERY, Poster, Site, eventually, secret};

pub(crate) const NUMBER: &str = "106540352242922";
pub(crate) const GRAPH_TOKEN: &str = "EAAGtokenOfTheTests";
/// What every text holds, and no log may.
pub(crate) const WORDS: &str = "confidential words";
/// Calls of the API at a time where many messages are queued.
const CALLERS: usize = 16;

/// What must not be in the log of a box that sends.
pub(crate) fn secrets() -> BTreeSet<String> {
    [WORDS, "Confidential Name", GRAPH_TOKEN, "anotherToken"].map(str::to_owned).into()
}

/// Meta's limits but for the throughput; statuses without chance, to the box of `site`.
pub(crate) fn graph_settings(site: &Site) -> GraphSettings {
    let backoff = Backoff { first: Duration::from_millis(25), longest: Duration::from_millis(200) };
    let sender = SenderOptions {
        retry: Retry::Later(backoff),
        ..SenderOptions::new(Target::parse(&site.webhook_url()).unwrap())
    };
    GraphSettings {
        token: Some(GRAPH_TOKEN.to_owned()),
        numbers: site.numbers.iter().map(|(id, _)| id.clone()).collect(),
        webhooks: Some(Webhooks::new(sender, secret())),
        statuses: Statuses::PLAIN,
        throughput: None,
        ..GraphSettings::new("127.0.0.1:0".parse().unwrap())
    }
}

/// Starts a Graph and has the site's messages go there.
pub(crate) fn start_graph(site: &mut Site, settings: GraphSettings) -> Arc<Graph> {
    let graph = Graph::start(settings).unwrap();
    send_to(site, &graph.url());
    Arc::new(graph)
}

/// Has the site's messages go there.
pub(crate) fn send_to(site: &mut Site, url: &str) {
    site.put("graph_token", GRAPH_TOKEN.as_bytes());
    site.more =
        format!("[[whatsapp.endpoints]]\nname = \"meta\"\nurl = \"{url}\"\ntoken = \"file:graph_token\"\n");
}

pub(crate) fn behave(graph: &Graph, texts: &[&str]) {
    let behaviours: Vec<Behaviour> = texts.iter().map(|text| text.parse().unwrap()).collect();
    graph.behave(&behaviours);
}

/// What Graph saw of a message.
pub(crate) fn letter(graph: &Graph, id: &str) -> Option<Letter> {
    graph.messages().into_iter().find(|letter| letter.outbox_id == id)
}

/// What Graph took from the outbox for one customer, in that order, is in the order of the queue; beside those that
/// a person sent again.
pub(crate) fn assert_order(graph: &Graph, recipient: &str, sent_again: &[String]) {
    let mut order = graph.order(NUMBER, recipient);
    order.retain(|id| !sent_again.contains(id));
    let places: Vec<u64> = order.iter().map(|id| OutboxId::parse(id).unwrap().place).collect();
    assert!(
        places.is_sorted(),
        "{recipient} got messages in another order than they were queued: {places:?}"
    );
}

/// So many calls may be under way and late, all of them, and arrive together with those behind them.
const LATE: usize = 8;
/// And so late may one be that was alone.
const LATE_MS: i64 = 250;

/// In so many seconds on end Graph saw no more messages than may go in them, and those that came late.
pub(crate) fn assert_pace(graph: &Graph, a_second: usize, seconds: usize) {
    let mut times: Vec<i64> = graph.messages().iter().map(|letter| letter.first_ms).collect();
    times.sort_unstable();
    let count = seconds * a_second + LATE;
    let shortest = times.iter().zip(&times[count..]).map(|(from, to)| to - from).min().unwrap();
    println!("pace: {} messages took {shortest} ms at least", count + 1);
    assert!(shortest >= i64::try_from(seconds).unwrap() * 1_000 - LATE_MS, "{seconds} s: {shortest} ms");
}

/// A customer's phone, with its `+`.
pub(crate) fn phone(customer: usize) -> String {
    format!("+1212555{customer:04}")
}

pub(crate) fn text(to: &str, words: &str) -> Value {
    json!({ "to": to, "type": "text", "text": { "body": format!("{WORDS} {words}") } })
}

pub(crate) fn template(to: &str) -> Value {
    let template = json!({ "name": "order_sent", "language": { "code": "en" } });
    json!({ "to": to, "type": "template", "template": template })
}

/// A webhook in which a customer writes, at a time in seconds since 1970.
fn inbound(number: &str, phone: &str, at: i64) -> Value {
    let from = phone.trim_start_matches('+');
    json!({ "object": "whatsapp_business_account", "entry": [{ "id": "1", "changes": [{ "field": "messages",
        "value": {
            "messaging_product": "whatsapp",
            "metadata": { "display_phone_number": "15550783881", "phone_number_id": number },
            "contacts": [{ "profile": { "name": "Confidential Name" }, "wa_id": from }],
            "messages": [{ "from": from, "id": format!("wamid.IN{from}{at}"), "timestamp": at.to_string(),
                "type": "text", "text": { "body": WORDS } }],
        } }] }] })
}

/// A webhook that says how a message stands, at a time in seconds since 1970.
pub(crate) fn status_of(letter: &Letter, word: &str, at: i64) -> Value {
    json!({ "object": "whatsapp_business_account", "entry": [{ "id": "1", "changes": [{ "field": "messages",
        "value": {
            "messaging_product": "whatsapp",
            "metadata": { "display_phone_number": "15550783881", "phone_number_id": letter.number },
            "statuses": [{ "id": letter.wamids[0], "status": word, "timestamp": at.to_string(),
                "recipient_id": letter.recipient.trim_start_matches('+'),
                "biz_opaque_callback_data": letter.outbox_id }],
        } }] }] })
}

impl Poster {
    /// A customer writes to the number just now, and Graph knows it.
    pub(crate) async fn wrote(&self, graph: &Graph, phone: &str) {
        graph.ears().heard(NUMBER, Some(phone.trim_start_matches('+')), None);
        self.wrote_at(phone, true_time()).await;
    }

    /// The webhook of a customer who wrote then; Graph knows nothing of it.
    pub(crate) async fn wrote_at(&self, phone: &str, at: i64) {
        assert_eq!(self.status(inbound(NUMBER, phone, at).to_string()).await, 200);
    }
}

impl Api {
    /// Queues a message; gives its id.
    pub(crate) async fn queue(&self, key: &str, body: &Value) -> String {
        let (status, answer) = self.post("/v1/messages", Some(key), body).await.unwrap();
        assert_eq!(status, 202, "{answer:#}");
        answer["id"].as_str().unwrap().to_owned()
    }

    /// The same, asked again until it is answered, whatever happens to the box meanwhile.
    pub(crate) async fn queue_surely(&self, key: &str, body: &Value) -> String {
        let start = Instant::now();
        loop {
            match self.post("/v1/messages", Some(key), body).await {
                Ok((202, answer)) => return answer["id"].as_str().unwrap().to_owned(),
                // Nobody is there, or it is busy starting or ending.
                Err(_) | Ok((503, _)) => {}
                Ok(other) => panic!("{other:?}"),
            }
            assert!(start.elapsed() < LONG, "waited {LONG:?} in vain for a message to be queued");
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Queues all of them, several at a time, under the keys `{name}-{place}`; gives their ids in that order.
    pub(crate) async fn queue_all(&self, name: &str, bodies: &Arc<Vec<Value>>) -> Vec<String> {
        let mut callers = tokio::task::JoinSet::new();
        for caller in 0..CALLERS {
            let (api, bodies, name) = (self.clone(), Arc::clone(bodies), name.to_owned());
            callers.spawn(async move {
                let mut ids = Vec::new();
                for place in (caller..bodies.len()).step_by(CALLERS) {
                    ids.push((place, api.queue_surely(&format!("{name}-{place}"), &bodies[place]).await));
                }
                ids
            });
        }
        let mut ids: Vec<(usize, String)> = callers.join_all().await.into_iter().flatten().collect();
        ids.sort_unstable();
        ids.into_iter().map(|(_, id)| id).collect()
    }

    pub(crate) async fn message(&self, id: &str) -> Value {
        self.get(&format!("/v1/messages/{id}")).await
    }

    /// Waits until a message stands so, and gives it.
    pub(crate) async fn until(&self, id: &str, status: &str) -> Value {
        eventually(&format!("{id} is {status}"), async || {
            let message = self.message(id).await;
            let got = message["status"].as_str().unwrap();
            assert!(got == status || !is_over(got), "{id} is to be {status}: {message:#}");
            (got == status).then_some(message)
        })
        .await
    }

    /// The same of one that is to end.
    pub(crate) async fn until_over(&self, id: &str, status: &str) -> Value {
        eventually(&format!("{id} is {status}"), async || {
            let message = self.message(id).await;
            (message["status"] == status).then_some(message)
        })
        .await
    }

    /// Waits until a message is held for that reason, and gives it.
    pub(crate) async fn held(&self, id: &str, reason: &str) -> Value {
        eventually(&format!("{id} is held for {reason}"), async || {
            let message = self.message(id).await;
            (message["status"] == "held" && message["reason"]["code"] == reason).then_some(message)
        })
        .await
    }

    /// All messages of a list, page by page.
    pub(crate) async fn list(&self, status: &str) -> Vec<Value> {
        let mut all = Vec::new();
        let mut after = String::new();
        loop {
            let page = self.get(&format!("/v1/messages?status={status}&limit=200{after}")).await;
            all.extend(page["messages"].as_array().unwrap().iter().cloned());
            match page["next"].as_str() {
                Some(next) => after = format!("&after={next}"),
                None => return all,
            }
        }
    }

    /// A person's word on an uncertain message.
    pub(crate) async fn resolve(&self, id: &str, word: &str) -> (u16, Value) {
        self.post(&format!("/v1/messages/{id}/resolve"), None, &json!({ "as": word })).await.unwrap()
    }

    /// Takes a message back; gives the status of the answer.
    pub(crate) async fn take_back(&self, id: &str) -> u16 {
        self.ask(Method::DELETE, &format!("/v1/messages/{id}")).await.unwrap().status().as_u16()
    }

    /// What is used of a limit of the number.
    pub(crate) async fn used(&self, limit: &str) -> u64 {
        let quota = self.get("/v1/quota").await;
        let quotas = quota["quotas"].as_array().unwrap();
        let found = quotas.iter().find(|quota| quota["name"] == limit && quota["number"] == NUMBER);
        found.unwrap_or_else(|| panic!("no quota {limit}: {quota:#}"))["used"].as_u64().unwrap()
    }

    /// How the number's way out is.
    pub(crate) async fn way(&self) -> Value {
        let quota = self.get("/v1/quota").await;
        let numbers = quota["numbers"].as_array().unwrap();
        numbers.iter().find(|way| way["number"] == NUMBER).unwrap().clone()
    }
}

/// Whether nothing becomes of a message that stands so.
fn is_over(status: &str) -> bool {
    matches!(status, "failed" | "expired" | "cancelled")
}
