//! `wagate queue`

use model::OutboxId;
use reqwest::Method;
use serde_json::{Value, json};

use super::{Queue, QueueAction, view};
use crate::cli::Exit;
use crate::cli::client::Client;
use crate::{clock, out};

/// Messages asked for at a time.
const PAGE: &str = "100";

pub(crate) fn run(args: &Queue) -> anyhow::Result<Exit> {
    let client = Client::new(&args.api)?;
    Client::block_on(async {
        match &args.action {
            None => list(args, &client).await,
            Some(QueueAction::Show { id }) => {
                show(args, &client.get(&path(*id, ""), &[]).await?)?;
                Ok(Exit::Done)
            }
            Some(QueueAction::Cancel { ids }) => cancel(args, &client, ids).await,
            Some(QueueAction::Resume { number }) => resume(args, &client, number.as_deref()).await,
            Some(QueueAction::Resolve { id, as_ }) => {
                let body = json!({ "as": as_ });
                show(args, &client.post(&path(*id, "/resolve"), &[], &body).await?)?;
                Ok(Exit::Done)
            }
        }
    })
}

async fn resume(args: &Queue, client: &Client, number: Option<&str>) -> anyhow::Result<Exit> {
    let numbers = match number {
        Some(number) => vec![number.to_owned()],
        None => stopped(&client.get("/v1/quota", &[]).await?),
    };
    for number in &numbers {
        client.ask(Method::POST, &format!("/v1/numbers/{number}/resume"), &[]).await?;
        if !args.api.json {
            out::answer(&format!("{number} tries again: see `wagate quota`\n"))?;
        }
    }
    if args.api.json {
        out::json(&json!({ "resumed": numbers }))?;
    } else if numbers.is_empty() {
        out::talk("no number is stopped");
    }
    Ok(Exit::Done)
}

/// The numbers of `GET /v1/quota` that are stopped.
fn stopped(quota: &Value) -> Vec<String> {
    let ways = quota["numbers"].as_array().into_iter().flatten();
    let stopped = ways.filter(|way| way["stopped"].is_object());
    stopped.filter_map(|way| way["number"].as_str()).map(str::to_owned).collect()
}

fn path(id: OutboxId, verb: &str) -> String {
    format!("/v1/messages/{id}{verb}")
}

fn show(args: &Queue, message: &Value) -> std::io::Result<()> {
    if args.api.json { out::json(message) } else { out::answer(&view::page(message, clock::now())) }
}

async fn list(args: &Queue, client: &Client) -> anyhow::Result<Exit> {
    let status = if args.uncertain { "uncertain" } else { "open" };
    let mut messages = Vec::new();
    let mut after: Option<String> = None;
    let mut shown = false;
    loop {
        let mut query = vec![("status", status.to_owned()), ("limit", PAGE.to_owned())];
        query.extend(after.clone().map(|after| ("after", after)));
        let page = client.get("/v1/messages", &query).await?;
        let some = page["messages"].as_array().cloned().unwrap_or_default();
        if args.api.json {
            messages.extend(some.iter().cloned());
        } else {
            if !some.is_empty() && !shown {
                out::answer(&view::titles())?;
                shown = true;
            }
            let now = clock::now();
            some.iter().try_for_each(|message| out::answer(&view::line(message, now)))?;
        }
        match next(&page, &some, after.as_deref()) {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    if args.api.json {
        out::json(&json!({ "messages": messages }))?;
    } else if !shown {
        out::talk(if args.uncertain { "no message is uncertain" } else { "no message is open" });
    }
    Ok(Exit::Done)
}

/// Where the next page begins; `None` behind the last one. A page that leads nowhere else ends it, too.
fn next(page: &Value, some: &[Value], after: Option<&str>) -> Option<String> {
    let next = page["next"].as_str().filter(|_| !some.is_empty())?;
    (Some(next) != after).then(|| next.to_owned())
}

/// Takes back each; one that can't be taken back any more doesn't keep the others from it.
async fn cancel(args: &Queue, client: &Client, ids: &[OutboxId]) -> anyhow::Result<Exit> {
    let mut done = Vec::new();
    let mut exit = Exit::Done;
    for id in ids {
        match client.ask(Method::DELETE, &path(*id, ""), &[]).await {
            Ok(_) => done.push(id.to_string()),
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

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Command};

    const ID: &str = "m-00000000000000000000000007";

    fn parse(words: &[&str]) -> Result<Queue, String> {
        match Cli::try_parse_from(["wagate", "queue"].iter().chain(words)) {
            Ok(Cli { command: Command::Queue(args) }) => Ok(args),
            Ok(_) => Err("another command".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn ids_and_words_are_checked_before_the_gateway_is_asked() {
        assert!(matches!(parse(&[]), Ok(Queue { action: None, uncertain: false, .. })));
        assert!(parse(&["--uncertain", "--json"]).unwrap().uncertain);
        let id = OutboxId::parse(ID).unwrap();
        assert!(
            matches!(parse(&["show", ID]).unwrap().action, Some(QueueAction::Show { id: shown }) if shown == id)
        );
        let resolved = parse(&["resolve", ID, "--as", "resend", "--json"]).unwrap();
        assert!(matches!(&resolved.action, Some(QueueAction::Resolve { as_, .. }) if as_ == "resend"));
        let resumed = |words: &[&str]| match parse(words).unwrap().action {
            Some(QueueAction::Resume { number }) => number,
            _ => panic!("{words:?}"),
        };
        assert_eq!((resumed(&["resume"]), resumed(&["resume", "106"]).as_deref()), (None, Some("106")));
        for (words, part) in [
            (["resume", "../1"].as_slice(), "a phone_number_id is digits"),
            (&["show", "../status"], "as `wagate queue` shows it"),
            (&["cancel"], "<ID>"),
            (&["cancel", ID, "7"], "`m-` and 26 characters"),
            (&["resolve", ID], "--as"),
            (&["resolve", ID, "--as", "lost"], "sent, failed, resend"),
        ] {
            let said = parse(words).unwrap_err();
            assert!(said.contains(part), "{words:?}: {part:?} isn't in\n{said}");
        }
        assert_eq!(path(id, "/resolve"), format!("/v1/messages/{ID}/resolve"));
    }

    #[test]
    fn without_a_number_those_that_are_stopped_go_on() {
        let quota = json!({ "numbers": [{ "number": "1", "stopped": null }, { "number": "2", "stopped": { "code": 190 } }] });
        assert_eq!(stopped(&quota), ["2"]);
        assert!(stopped(&Value::Null).is_empty());
    }

    #[test]
    fn the_list_ends_where_no_page_follows() {
        let page = |next: Value| json!({ "messages": [1], "next": next });
        let some = [json!(1)];
        assert_eq!(next(&page(json!("8")), &some, Some("7")).as_deref(), Some("8"));
        assert_eq!(next(&page(json!("8")), &some, None).as_deref(), Some("8"));
        assert_eq!(next(&page(json!("8")), &some, Some("8")), None, "it leads nowhere");
        assert_eq!(next(&page(Value::Null), &some, Some("7")), None);
        assert_eq!(next(&page(json!("8")), &[], Some("7")), None);
    }
}
