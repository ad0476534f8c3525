//! `wagate records`

use serde_json::Value;

use super::client::Client;
use super::{Exit, Records};
use crate::out;

/// Records asked for at a time while following.
const FOLLOW_LIMIT: &str = "500";
/// How long the gateway holds a question that it has no answer to yet.
const FOLLOW_WAIT: &str = "20s";

pub(super) fn run(args: &Records) -> anyhow::Result<Exit> {
    let client = Client::new(&args.api)?;
    Client::block_on(show(args, &client))?;
    Ok(Exit::Done)
}

async fn show(args: &Records, client: &Client) -> anyhow::Result<()> {
    let mut query = vec![("limit", args.limit.to_string())];
    query.extend(args.after.map(|after| ("after", after.to_string())));
    query.extend(args.contact.clone().map(|contact| ("contact", contact)));
    query.extend(args.type_.clone().map(|type_| ("type", type_)));
    let page = client.get("/v1/records", &query).await?;
    if args.api.json && !args.follow {
        return Ok(out::json(&page)?);
    }
    print(args, &page)?;
    if args.follow { follow(args, client, &page).await } else { Ok(()) }
}

/// Prints what arrives behind `page`, until somebody has seen enough.
async fn follow(args: &Records, client: &Client, page: &Value) -> anyhow::Result<()> {
    let mut next = page["next"].as_str().unwrap_or_default().to_owned();
    loop {
        let mut query = vec![
            ("after", next.clone()),
            ("limit", FOLLOW_LIMIT.to_owned()),
            ("wait", FOLLOW_WAIT.to_owned()),
        ];
        query.extend(args.contact.clone().map(|contact| ("contact", contact)));
        query.extend(args.type_.clone().map(|type_| ("type", type_)));
        let page = client.get("/v1/records", &query).await?;
        print(args, &page)?;
        next = page["next"].as_str().unwrap_or(&next).to_owned();
    }
}

fn print(args: &Records, page: &Value) -> std::io::Result<()> {
    for record in page["records"].as_array().into_iter().flatten() {
        let line = if args.api.json { format!("{record}\n") } else { line(record) };
        out::answer(&line)?;
    }
    Ok(())
}

/// One record in a line: where, when, what, who, and the beginning of what was said.
pub(super) fn line(record: &Value) -> String {
    let text = |pointer: &str| record.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let type_ = text("/type").trim_start_matches("wagate.").trim_end_matches(".v1");
    let said = [
        text("/data/message/text"),
        text("/data/status/status"),
        text("/data/message/media/caption"),
        text("/data/message/type"),
        text("/data/field"),
        text("/data/reason"),
    ];
    let switched = match text("/data/endpoint/to") {
        "" => String::new(),
        to => format!("{} to {to}: {}", text("/data/endpoint/from"), text("/data/endpoint/reason")),
    };
    let said = said.into_iter().find(|said| !said.is_empty()).unwrap_or(&switched);
    let said: String = said.chars().map(|c| if c.is_control() { ' ' } else { c }).take(60).collect();
    let who = [text("/subject"), text("/source")].into_iter().find(|who| !who.is_empty()).unwrap_or_default();
    format!("{}  {}  {type_:<17} {who:<16} {said}\n", text("/sequence"), text("/time"))
}
