//! The customers: they write once, so that their windows are open, and then are written to.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use model::signature::hub::AppSecret;
use serde_json::{Value, json};

use super::waiting;
use crate::load::{Connection, Generator, Pace, Until, tls_config};
use crate::path::Load;
use crate::server::{API_TOKEN, APP_SECRET, NUMBER, Server};
use crate::sink::Sink;
use crate::work::{LANES, Work};

/// Area codes, each with a hundred numbers kept free for fiction (555-0100 to 555-0199).
const AREAS: [u32; 10] = [212, 213, 305, 312, 415, 503, 617, 702, 808, 917];
/// As many as the webhooks of the other parts are of.
pub(super) const CUSTOMERS_MAX: usize = 1_000;
/// What comes in one webhook.
const BATCH: usize = 50;
const COMES_WITHIN: Duration = Duration::from_secs(25);
const GLANCE: Duration = Duration::from_millis(20);

/// The phone of a customer, as WhatsApp writes it.
pub(super) fn phone(number: usize) -> String {
    let number = number % CUSTOMERS_MAX;
    format!("1{}55501{:02}", AREAS[number / 100], number % 100)
}

/// Has so many customers write, and waits until the CRM knows.
pub(super) fn write(customers: usize, server: &Server, tls: bool, sink: &Sink) -> anyhow::Result<()> {
    let config = tls.then(tls_config).transpose()?;
    let mut connection = Connection::open(server.address(), config.as_ref())?;
    let secret = AppSecret::new(APP_SECRET.as_bytes());
    let numbers: Vec<usize> = (0..customers).collect();
    for numbers in numbers.chunks(BATCH) {
        let body = webhook(numbers)?.to_string();
        let head = format!(
            "POST /webhook HTTP/1.1\r\nhost: bench.example.com\r\ncontent-type: application/json\r\n\
             x-hub-signature-256: {}\r\ncontent-length: {}\r\n\r\n",
            secret.sign(body.as_bytes()),
            body.len()
        );
        let status = connection.ask(&[head.as_bytes(), body.as_bytes()].concat())?;
        anyhow::ensure!(status == 200, "a webhook was answered {status}");
    }
    arrived(sink, customers as u64)
}

fn webhook(numbers: &[usize]) -> anyhow::Result<Value> {
    let now = std::time::UNIX_EPOCH.elapsed()?.as_secs();
    let contacts: Vec<Value> = numbers
        .iter()
        .map(|number| json!({ "profile": { "name": format!("Customer {number}") }, "wa_id": phone(*number) }))
        .collect();
    let messages: Vec<Value> = numbers
        .iter()
        .map(|number| {
            json!({
                "from": phone(*number),
                "id": format!("wamid.bench-{number}"),
                "timestamp": now.to_string(),
                "type": "text",
                "text": { "body": "Is the blue one still there?" },
            })
        })
        .collect();
    Ok(json!({
        "object": "whatsapp_business_account",
        "entry": [{
            "id": "102290129340398",
            "changes": [{
                "field": "messages",
                "value": {
                    "messaging_product": "whatsapp",
                    "metadata": { "display_phone_number": "15550783881", "phone_number_id": NUMBER },
                    "contacts": contacts,
                    "messages": messages,
                },
            }],
        }],
    }))
}

/// Requests that queue so many messages, to each customer in turn, each with a key of its own.
pub(super) fn messages(count: usize, customers: usize) -> Arc<Work> {
    let request = |number: usize| {
        let body = json!({
            "to": format!("+{}", phone(number % customers)),
            "type": "text",
            "text": { "body": format!("Yes, it is, and it can be with you on Friday. Shall we send it? ({number})") },
        });
        post(
            "/v1/messages",
            &format!("authorization: Bearer {API_TOKEN}\r\nidempotency-key: bench-{number}\r\n"),
            &body,
        )
    };
    Arc::new(Work::requests((0..count).map(request)))
}

/// Queues all of `work`, over all connections.
pub(super) fn queue(generator: &mut Generator, work: &Work) -> anyhow::Result<()> {
    let mut acked = generator.run(Load::Saturated.pace(), Until::all_but(work, 0))?.acked;
    // What doesn't go up evenly lies on the first connections.
    let rest = work.webhooks() % LANES;
    if rest > 0 {
        acked += generator.run(Pace::Closed(1), Until::webhooks(rest))?.acked;
    }
    anyhow::ensure!(acked == work.webhooks() as u64, "{acked} of {} messages were queued", work.webhooks());
    Ok(())
}

/// A request with a body of JSON.
pub(super) fn post(path: &str, headers: &str, body: &Value) -> Vec<u8> {
    let body = body.to_string();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: bench\r\n{headers}content-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body.as_bytes()].concat()
}

/// Waits until the CRM has so many records, and fails when it has more.
pub(super) fn arrived(sink: &Sink, records: u64) -> anyhow::Result<()> {
    until(|| Ok(sink.arrived() >= records))
        .with_context(|| format!("the CRM has {} records", sink.arrived()))?;
    anyhow::ensure!(sink.arrived() == records, "the CRM has {} of {records} records", sink.arrived());
    Ok(())
}

/// Waits until the gateway shows that so many messages wait, the first of `work` among them. It shows what it has at
/// once when something is asked of its outbox, and else within ten seconds: so it is asked for that one again.
pub(super) fn shown(server: &Server, work: &Work, messages: u64) -> anyhow::Result<()> {
    let known = work.lanes.first().and_then(|lane| lane.request(0)).context("a message")?;
    let mut connection = Connection::open(server.api(), None)?;
    until(|| {
        let status = connection.ask(known)?;
        anyhow::ensure!(status == 202, "a message that is queued was answered {status}");
        Ok(waiting(server)? == messages)
    })
    .with_context(|| format!("not {messages} messages wait"))
}

/// Waits for something that must come.
pub(super) fn until(mut there: impl FnMut() -> anyhow::Result<bool>) -> anyhow::Result<()> {
    let deadline = Instant::now() + COMES_WITHIN;
    while !there()? {
        anyhow::ensure!(Instant::now() < deadline, "it didn't come within {COMES_WITHIN:?}");
        std::thread::sleep(GLANCE);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::http::Message;

    #[test]
    fn customers_differ_and_so_do_the_keys_of_what_is_queued_for_them() {
        assert_eq!((0..CUSTOMERS_MAX).map(phone).collect::<HashSet<_>>().len(), CUSTOMERS_MAX);
        let work = messages(100, 10);
        let mut keys = HashSet::new();
        for lane in &work.lanes {
            for place in 0..lane.webhooks.len() {
                let request = lane.request(place).unwrap();
                let message = Message::parse(request).unwrap().unwrap();
                assert_eq!(message.len(), request.len());
                keys.insert(message.header(b"idempotency-key").unwrap().to_vec());
            }
        }
        assert_eq!(keys.len(), 100);
    }
}
