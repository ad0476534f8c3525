//! `wagate audit`

use clap::Args;
use serde_json::Value;

use super::client::Client;
use super::{ApiArgs, Exit};
use crate::out;

/// `wagate audit`
#[derive(Debug, Args)]
pub struct AuditLog {
    /// The gateway.
    #[command(flatten)]
    pub api: ApiArgs,
    /// Begin after this entry
    #[arg(long, value_name = "NUMBER")]
    pub after: Option<u64>,
    /// At most this many
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub limit: usize,
}

pub(super) fn run(args: &AuditLog) -> anyhow::Result<Exit> {
    let client = Client::new(&args.api)?;
    let mut query = vec![("limit", args.limit.to_string())];
    query.extend(args.after.map(|after| ("after", after.to_string())));
    let page = Client::block_on(client.get("/v1/audit", &query))?;
    if args.api.json {
        out::json(&page)?;
    } else {
        let entries = page["entries"].as_array().into_iter().flatten();
        entries.map(line).try_for_each(|line| out::answer(&line))?;
    }
    Ok(Exit::Done)
}

fn line(entry: &Value) -> String {
    let text = |name: &str| entry[name].as_str().unwrap_or("-");
    let outcome =
        entry["status"].as_u64().map_or_else(|| "no outcome".to_owned(), |status| status.to_string());
    let target = entry["target"].as_str().map_or_else(String::new, |target| format!(" ({target})"));
    format!(
        "{:>6}  {}  {} from {}  {}{target}: {outcome}\n",
        entry["number"].to_string(),
        text("at"),
        text("client"),
        text("address"),
        text("action"),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_entry_is_a_line() {
        let entry = json!({ "number": 7, "at": "2026-11-22T14:00:00.000Z", "client": "crm", "address": "192.168.1.7",
            "action": "POST /v1/deadletters/{id}/retry", "target": "00000000000000001234", "status": 202 });
        assert_eq!(
            line(&entry),
            "     7  2026-11-22T14:00:00.000Z  crm from 192.168.1.7  POST /v1/deadletters/{id}/retry (00000000000000001234): 202\n"
        );
        let begun = json!({ "number": 8, "at": "2026-11-22T14:00:00.000Z", "client": "api.token", "address": null,
            "action": "POST /v1/box/reboot", "target": null, "status": null });
        assert_eq!(
            line(&begun),
            "     8  2026-11-22T14:00:00.000Z  api.token from -  POST /v1/box/reboot: no outcome\n"
        );
    }
}
