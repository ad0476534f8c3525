//! `wagate send`

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use model::{OutboxId, WallTime};
use ring::rand::{SecureRandom as _, SystemRandom};
use serde_json::Value;
use tokio::time::Instant;

use super::{SendMessage, message, view};
use crate::cli::Exit;
use crate::cli::client::Client;
use crate::{clock, out};

/// How often the gateway is asked what became of a message.
const LOOK_EVERY: Duration = Duration::from_millis(500);

pub(crate) fn run(args: &SendMessage) -> anyhow::Result<Exit> {
    let client = Client::new(&args.api)?;
    let key = match &args.key {
        Some(key) => key.clone(),
        None => {
            let key = fresh_key()?;
            // Before anything can go wrong: whoever gets no answer asks again with it.
            out::talk(&format!("the same command with `--key {key}` queues nothing twice"));
            key
        }
    };
    Client::block_on(async {
        let answer = client.post("/v1/messages", &[("Idempotency-Key", &key)], &message::body(args)).await?;
        match args.wait {
            Some(wait) => follow(args, &client, &answer, Instant::now() + wait).await,
            None => {
                if args.api.json {
                    out::json(&answer)?;
                } else {
                    let why =
                        if answer["status"] == "held" { why(&client, &answer).await } else { Value::Null };
                    out::answer(&describe(&answer, &why, clock::now()))?;
                }
                Ok(Exit::Done)
            }
        }
    })
}

fn fresh_key() -> anyhow::Result<String> {
    let mut bytes = [0; 16];
    SystemRandom::new().fill(&mut bytes).map_err(|_| anyhow!("the system has no random numbers"))?;
    Ok(format!("{:032x}", u128::from_be_bytes(bytes)))
}

/// Why a message is held. It is queued whether that can be asked or not.
async fn why(client: &Client, answer: &Value) -> Value {
    let Some(id) = answer["id"].as_str().and_then(OutboxId::parse) else { return Value::Null };
    let message = client.get(&format!("/v1/messages/{id}"), &[]).await;
    message.map_or(Value::Null, |message| message["reason"].clone())
}

/// What the gateway says when it has queued a message: the id, how it stands and why.
fn describe(answer: &Value, why: &Value, now: WallTime) -> String {
    let mut line = format!("{}  {}", view::text(&answer["id"]), view::text(&answer["status"]));
    if why.is_object() {
        let _ = write!(line, "  {}", view::reason(why));
    }
    if let Some(until) = view::until(&answer["not_before"], now) {
        let _ = write!(line, ", not before {until}");
    }
    if let Some(until) = view::until(&answer["window_closes_at"], now) {
        let _ = write!(line, ", the window closes {until}");
    }
    for part in answer["parts"].as_array().into_iter().flatten().filter(|part| **part != answer["id"]) {
        let _ = write!(line, "\n{}  part of it", view::text(part));
    }
    line + "\n"
}

/// Looks until the message is over or there is no time left.
async fn follow(args: &SendMessage, client: &Client, answer: &Value, end: Instant) -> anyhow::Result<Exit> {
    let id = answer["id"].as_str().and_then(OutboxId::parse);
    let id = id.context("the gateway's answer names no message")?;
    let mut last = String::new();
    let message = loop {
        let message = client.get(&format!("/v1/messages/{id}"), &[]).await;
        let message = message.with_context(|| format!("it is queued as {id}; what became of it"))?;
        let status = view::text(&message["status"]);
        let over = fate(&status) != Fate::Open;
        if over || Instant::now() >= end {
            break message;
        }
        if status != last {
            out::talk(&format!("{id}  {status}"));
            last = status;
        }
        tokio::time::sleep_until((Instant::now() + LOOK_EVERY).min(end)).await;
    };
    if args.api.json {
        out::json(&message)?;
    } else {
        let mut line = format!("{id}  {}", view::text(&message["status"]));
        if message["reason"].is_object() {
            let _ = write!(line, "  {}", view::reason(&message["reason"]));
        }
        out::answer(&format!("{line}\n"))?;
        if let Some(advice) = message.pointer("/error/advice") {
            out::talk(&view::text(advice));
        }
    }
    Ok(exit(&view::text(&message["status"])))
}

/// What a status means for who waits.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    /// More is to come.
    Open,
    /// It has arrived.
    Arrived,
    /// It won't.
    GivenUp,
}

fn fate(status: &str) -> Fate {
    match status {
        "delivered" | "read" => Fate::Arrived,
        "failed" | "expired" | "cancelled" => Fate::GivenUp,
        _ => Fate::Open,
    }
}

/// When the time is up, what WhatsApp has taken counts as done.
fn exit(status: &str) -> Exit {
    match fate(status) {
        Fate::Arrived => Exit::Done,
        Fate::Open if matches!(status, "accepted" | "sent") => Exit::Done,
        Fate::Open | Fate::GivenUp => Exit::Failed,
    }
}

#[cfg(test)]
mod tests {
    use model::Standing;
    use serde_json::json;

    use super::*;

    #[test]
    fn waiting_ends_when_nothing_more_is_to_come() {
        for (standing, over, exit_then) in [
            (Standing::Queued, false, Exit::Failed),
            (Standing::Held, false, Exit::Failed),
            (Standing::Sending, false, Exit::Failed),
            (Standing::Accepted, false, Exit::Done),
            (Standing::Sent, false, Exit::Done),
            (Standing::Delivered, true, Exit::Done),
            (Standing::Read, true, Exit::Done),
            (Standing::Failed, true, Exit::Failed),
            (Standing::Expired, true, Exit::Failed),
            (Standing::Cancelled, true, Exit::Failed),
            (Standing::Uncertain, false, Exit::Failed),
        ] {
            let status = standing.as_str();
            assert_eq!((fate(status) != Fate::Open, exit(status)), (over, exit_then), "{status}");
        }
    }

    #[test]
    fn the_answer_shows_id_status_and_what_is_waited_for() {
        let now = WallTime(1_795_266_000_000);
        let answer = json!({ "id": "m-7", "status": "queued", "not_before": null, "window_closes_at": "2026-11-21T15:00:00Z" });
        assert_eq!(
            describe(&answer, &Value::Null, now),
            "m-7  queued, the window closes in 2 h, at 2026-11-21T15:00:00Z\n"
        );
        let answer = json!({ "id": "m-7", "status": "held", "not_before": "2026-11-21T16:00:00Z", "parts": ["m-7", "m-8"] });
        assert_eq!(
            describe(&answer, &json!({ "code": "messages_per_day", "detail": "used up" }), now),
            "m-7  held  messages_per_day: used up, not before in 3 h, at 2026-11-21T16:00:00Z\nm-8  part of it\n"
        );
    }

    #[test]
    fn a_fresh_key_is_another_one_each_time() {
        let (one, other) = (fresh_key().unwrap(), fresh_key().unwrap());
        assert!(one.len() == 32 && one.bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert_ne!(one, other);
    }
}
