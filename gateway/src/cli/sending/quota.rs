//! `wagate quota`

use std::fmt::Write as _;

use model::{Refusal, WallTime};
use serde_json::{Value, json};

use super::{Quota, view};
use crate::cli::Exit;
use crate::cli::client::Client;
use crate::{clock, out};

pub(crate) fn run(args: &Quota) -> anyhow::Result<Exit> {
    let client = Client::new(&args.api)?;
    let quota = Client::block_on(client.get("/v1/quota", &[]))?;
    if args.api.json {
        out::json(&quota)?;
    } else {
        let page = describe(&quota, clock::now());
        if page.is_empty() {
            out::talk("no [[numbers]] are configured: nothing can be sent");
        }
        out::answer(&page)?;
    }
    Ok(Exit::Done)
}

/// A page for people: each number with its limits, and what keeps it from sending.
fn describe(quota: &Value, now: WallTime) -> String {
    let list = |name: &str| quota[name].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut numbers: Vec<&Value> = Vec::new();
    for entry in list("quotas").iter().chain(list("numbers")) {
        if !numbers.contains(&&entry["number"]) {
            numbers.push(&entry["number"]);
        }
    }
    let mut page = String::new();
    for number in numbers {
        // Writing to a string can't fail.
        let _ = writeln!(page, "{}", view::text(number));
        for limit in list("quotas").iter().filter(|limit| limit["number"] == *number) {
            page += &limit_line(limit, now);
        }
        for way in list("numbers").iter().filter(|way| way["number"] == *number) {
            page += &way_lines(way, now);
        }
    }
    page
}

fn limit_line(limit: &Value, now: WallTime) -> String {
    let used = limit["used"].as_u64();
    let most = limit["limit"].as_u64();
    let share = match (used, most) {
        (Some(_), Some(0)) => "100 %".to_owned(),
        (Some(used), Some(most)) => format!("{} %", u128::from(used) * 100 / u128::from(most)),
        _ => String::new(),
    };
    let of = format!("{} of {}", view::text(&limit["used"]), view::text(&limit["limit"]));
    let resets =
        view::until(&limit["resets_at"], now).map_or(String::new(), |until| format!("resets {until}"));
    let line = format!("  {:<26}  {of:<18}  {share:>5}  {resets}", view::text(&limit["name"]));
    format!("{}\n", line.trim_end())
}

fn way_lines(way: &Value, now: WallTime) -> String {
    let counts: Vec<String> = ["queued", "held", "sending", "uncertain"]
        .into_iter()
        .filter(|name| way[*name].is_u64())
        .map(|name| format!("{} {name}", way[name]))
        .collect();
    let mut lines = String::new();
    if !counts.is_empty() {
        let _ = writeln!(lines, "  {}", counts.join(", "));
    }
    if way["uncertain"].as_u64().is_some_and(|count| count > 0) {
        lines += "  see `wagate queue --uncertain`, and say what became of them: `wagate queue resolve`\n";
    }
    let stopped = &way["stopped"];
    if stopped.is_object() {
        let code = stopped["code"].as_i64();
        let shown = code.map_or(String::new(), |code| format!("{code}: "));
        let since = view::text(&stopped["since"]);
        let _ = writeln!(lines, "  STOPPED since {since}: {shown}{}", view::text(&stopped["reason"]));
        let refusal = Refusal { code, ..Refusal::default() };
        if code.is_some() {
            let _ = writeln!(lines, "  {}", policy::sending::advice(&refusal));
        }
        if way["blocked"]["reason"] == "stopped" && way["blocked"]["until"].is_null() {
            let number = view::text(&way["number"]);
            let _ = writeln!(
                lines,
                "  it doesn't try again by itself: `wagate queue resume {number}` lets it go on"
            );
        }
    }
    let blocked = &way["blocked"];
    if blocked.is_object() {
        let until =
            view::until(&blocked["until"], now).map_or(String::new(), |until| format!(", free {until}"));
        let why = view::reason(&json!({ "code": blocked["reason"], "detail": blocked["detail"] }));
        let _ = writeln!(lines, "  BLOCKED{until}: {why}");
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-21T13:00:00Z.
    const NOW: WallTime = WallTime(1_795_266_000_000);

    #[test]
    fn each_number_has_its_limits_and_what_keeps_it_from_sending() {
        let quota = json!({
            "quotas": [
                { "number": "10", "name": "messages_per_day", "limit": 1000, "used": 1000, "resets_at": "2026-11-21T16:00:00Z" },
                { "number": "10", "name": "unique_recipients_per_24h", "limit": 250, "used": 0, "resets_at": null },
                { "number": "10", "name": "messages_per_second", "limit": 80, "used": null, "resets_at": null },
                { "number": "20", "name": "messages_per_day", "limit": 0, "used": 0, "resets_at": "2026-11-21T13:40:00Z" } ],
            "numbers": [
                { "number": "10", "queued": 3, "held": 12, "sending": 0, "uncertain": 1, "stopped": null,
                  "blocked": { "reason": "messages_per_day", "detail": "the day is over", "until": "2026-11-21T16:00:00Z" } },
                { "number": "20", "queued": 0, "held": 0, "sending": 0, "uncertain": 0, "blocked": null,
                  "stopped": { "code": 190, "reason": "Error validating access token", "since": "2026-11-21T12:00:00Z" } } ]
        });
        let expected = "10
  messages_per_day            1000 of 1000        100 %  resets in 3 h, at 2026-11-21T16:00:00Z
  unique_recipients_per_24h   0 of 250              0 %
  messages_per_second         - of 80
  3 queued, 12 held, 0 sending, 1 uncertain
  see `wagate queue --uncertain`, and say what became of them: `wagate queue resolve`
  BLOCKED, free in 3 h, at 2026-11-21T16:00:00Z: messages_per_day: the day is over
20
  messages_per_day            0 of 0              100 %  resets in 40 min, at 2026-11-21T13:40:00Z
  0 queued, 0 held, 0 sending, 0 uncertain
  STOPPED since 2026-11-21T12:00:00Z: 190: Error validating access token
  The access token is missing, expired or revoked: put a valid one into the configuration; the queue is kept until then.
";
        assert_eq!(describe(&quota, NOW), expected);
    }

    #[test]
    fn without_numbers_there_is_nothing_to_say() {
        assert_eq!(describe(&json!({}), NOW), "");
        let way = json!({ "blocked": { "reason": "no_route", "until": null } });
        assert_eq!(way_lines(&way, NOW), "  BLOCKED: no_route\n");
        let way = json!({ "number": "10", "stopped": { "code": 131_048, "reason": "spam", "since": "2026-11-21T12:00:00Z" },
            "blocked": { "reason": "stopped", "until": null } });
        assert!(
            way_lines(&way, NOW).contains("\n  it doesn't try again by itself: `wagate queue resume 10`")
        );
    }
}
