//! `wagate deadletters`

use reqwest::Method;
use serde_json::{Value, json};

use super::client::Client;
use super::{DeadLetters, DeadLettersAction, Exit, records};
use crate::out;

pub(super) fn run(args: &DeadLetters) -> anyhow::Result<Exit> {
    let client = Client::new(&args.api)?;
    Client::block_on(async {
        match args.action.as_ref().unwrap_or(&DeadLettersAction::List) {
            DeadLettersAction::List => list(args, &client).await,
            DeadLettersAction::Retry { ids } => each(args, &client, ids, Method::POST, "/retry").await,
            DeadLettersAction::Delete { ids } => each(args, &client, ids, Method::DELETE, "").await,
        }
    })
}

async fn list(args: &DeadLetters, client: &Client) -> anyhow::Result<Exit> {
    let mut letters = Vec::new();
    let mut after = String::from("0");
    loop {
        let page = client.get("/v1/deadletters", &[("after", after.clone())]).await?;
        let some = page["deadletters"].as_array().cloned().unwrap_or_default();
        if some.is_empty() {
            break;
        }
        after = page["next"].as_str().unwrap_or_default().to_owned();
        if args.api.json {
            letters.extend(some);
        } else {
            some.iter().try_for_each(|letter| out::answer(&describe(letter)))?;
        }
    }
    if args.api.json {
        out::json(&json!({ "deadletters": letters }))?;
    }
    Ok(Exit::Done)
}

fn describe(letter: &Value) -> String {
    let text = |name: &str| letter[name].as_str().unwrap_or_default();
    let again = if letter["retrying"] == true { ", being sent again" } else { "" };
    format!(
        "{}    given up {} after {} tries{again}: {}\n",
        records::line(&letter["record"]),
        text("at"),
        letter["attempts"],
        text("reason")
    )
}

/// Does the same to each; one that fails doesn't keep the others from it.
async fn each(
    args: &DeadLetters,
    client: &Client,
    ids: &[String],
    method: Method,
    verb: &str,
) -> anyhow::Result<Exit> {
    let mut done = Vec::new();
    let mut exit = Exit::Done;
    for id in ids {
        match client.ask(method.clone(), &format!("/v1/deadletters/{id}{verb}"), &[]).await {
            Ok(_) => done.push(id),
            Err(error) => {
                out::talk(&format!("{id}: {error:#}"));
                exit = Exit::Failed;
            }
        }
    }
    if args.api.json {
        out::json(&json!({ "done": done }))?;
    }
    Ok(exit)
}
