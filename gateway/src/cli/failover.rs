//! `wagate failover`

use std::fmt::Write as _;
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::client::Client;
use super::{ApiArgs, Exit};
use crate::out;

/// So long the gateway may take: several calls of Meta for each number, one after another.
const PATIENCE: Duration = Duration::from_secs(600);

/// `wagate failover`
#[derive(Debug, Args)]
pub struct Failover {
    /// The gateway.
    #[command(flatten)]
    pub api: ApiArgs,
    /// What to do.
    #[command(subcommand)]
    pub action: FailoverAction,
}

/// What to do with webhooks.
#[derive(Debug, Subcommand)]
pub enum FailoverAction {
    /// Have Meta send the webhooks to this box
    Take {
        /// Only of this number, by its phone_number_id; may be given several times
        #[arg(long = "number", value_name = "ID")]
        numbers: Vec<String>,
    },
    /// Have Meta send them where they went before
    GiveBack {
        /// Only of this number, by its phone_number_id; may be given several times
        #[arg(long = "number", value_name = "ID")]
        numbers: Vec<String>,
        /// Also where somebody else has changed the address since
        #[arg(long)]
        force: bool,
    },
    /// Ask Meta where they go
    Status,
}

pub(super) fn run(args: &Failover) -> anyhow::Result<Exit> {
    let client = Client::patient(&args.api, PATIENCE)?;
    let answer = Client::block_on(async {
        match &args.action {
            FailoverAction::Take { numbers } => client.post("/v1/failover/take", &[], &named(numbers)).await,
            FailoverAction::GiveBack { numbers, force } => {
                let mut body = named(numbers);
                body["force"] = json!(force);
                client.post("/v1/failover/give-back", &[], &body).await
            }
            FailoverAction::Status => client.get("/v1/failover", &[]).await,
        }
    })?;
    let is_status = matches!(args.action, FailoverAction::Status);
    if args.api.json {
        out::json(&answer)?;
    } else {
        out::answer(&if is_status { status(&answer) } else { deeds(&answer) })?;
    }
    let done = if is_status { is_known(&answer) } else { answer["done"] == true };
    Ok(if done { Exit::Done } else { Exit::Failed })
}

fn named(numbers: &[String]) -> Value {
    if numbers.is_empty() { json!({}) } else { json!({ "numbers": numbers }) }
}

/// Whether Meta has said of every number where its webhooks go.
fn is_known(answer: &Value) -> bool {
    answer["numbers"].as_array().is_some_and(|numbers| numbers.iter().all(|number| number["error"].is_null()))
}

/// What came of each number, a line each.
fn deeds(answer: &Value) -> String {
    let text = |deed: &Value, name: &str| deed[name].as_str().unwrap_or("-").to_owned();
    let mut page = String::new();
    for deed in answer["numbers"].as_array().into_iter().flatten() {
        let word = if deed["done"] == true { "ok" } else { "FAILED" };
        // Writing to a string can't fail.
        let _ = writeln!(page, "{}  {word}: {}", text(deed, "number"), text(deed, "detail"));
    }
    page
}

/// A page for people.
fn status(answer: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let mut page = String::new();
    let mut line = |name: &str, value: String| {
        let _ = writeln!(page, "{name:<14}{value}");
    };
    line("this box", text(&answer["public_url"]));
    let standby = &answer["standby"];
    if standby.is_object() {
        let since = &standby["silent_since"];
        let since = since.as_str().map_or(String::new(), |since| format!(", silent since {since}"));
        line("peer", format!("{}: {}{since}", text(&standby["peer"]), text(&standby["state"])));
        if let Some(error) = standby["last_error"].as_str() {
            line("", format!("taking over failed: {error}"));
        }
    }
    for number in answer["numbers"].as_array().into_iter().flatten() {
        line("number", text(&number["number"]));
        if let Some(error) = number["error"].as_str() {
            line("", error.to_owned());
        } else {
            let whose = if number["ours"] == true { "this box" } else { "not this box" };
            line("", format!("webhooks go to {} ({whose})", text(&number["in_force"])));
        }
        if let Some(at) = number["taken_at"].as_str() {
            let before = number["before"].as_str().unwrap_or("the account's or app's own address");
            line("", format!("taken over at {at}; before: {before}"));
        }
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_has_its_line_and_a_failure_is_seen() {
        let answer = json!({ "done": false, "numbers": [
            { "number": "1", "done": true, "what": "taken", "detail": "the webhooks come to this box now" },
            { "number": "2", "done": false, "what": "failed", "detail": "Meta could not reach this box" } ] });
        assert_eq!(
            deeds(&answer),
            "1  ok: the webhooks come to this box now\n2  FAILED: Meta could not reach this box\n"
        );
    }

    #[test]
    fn status_says_where_webhooks_go_and_how_the_peer_is() {
        let answer = json!({ "public_url": "https://b.example/webhook",
            "standby": { "peer": "http://10.0.0.1:8080/healthz", "state": "taken",
                "silent_since": "2026-11-22T04:00:00.000Z", "last_error": null },
            "numbers": [
                { "number": "1", "in_force": "https://b.example/webhook", "ours": true, "error": null,
                  "taken_at": "2026-11-22T04:01:00.000Z", "before": null },
                { "number": "2", "in_force": null, "ours": null, "error": "Meta couldn't be asked",
                  "taken_at": null, "before": null } ] });
        let expected = "\
this box      https://b.example/webhook
peer          http://10.0.0.1:8080/healthz: taken, silent since 2026-11-22T04:00:00.000Z
number        1
              webhooks go to https://b.example/webhook (this box)
              taken over at 2026-11-22T04:01:00.000Z; before: the account's or app's own address
number        2
              Meta couldn't be asked
";
        assert_eq!(status(&answer), expected);
        assert!(!is_known(&answer));
    }
}
