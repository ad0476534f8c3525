//! `wagate status`

use std::fmt::Write as _;

use serde_json::Value;

use super::client::Client;
use super::{Exit, Status};
use crate::out;

pub(super) fn run(args: &Status) -> anyhow::Result<Exit> {
    let client = Client::new(&args.api)?;
    let status = Client::block_on(async {
        let mut status = client.get("/v1/status", &[]).await?;
        // Without them the rest is still worth knowing: a gateway of an earlier version doesn't tell.
        if let (Some(members), Ok(mut told)) =
            (status.as_object_mut(), client.get("/v1/endpoints", &[]).await)
        {
            members.insert("endpoints".to_owned(), told["endpoints"].take());
        }
        Ok(status)
    })?;
    if args.api.json {
        out::json(&status)?;
    } else {
        out::answer(&describe(&status))?;
    }
    Ok(if status["ready"] == true { Exit::Done } else { Exit::Failed })
}

/// A page for people.
fn describe(status: &Value) -> String {
    let text = |pointer: &str| match status.pointer(pointer) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => "-".to_owned(),
        Some(other) => other.to_string(),
    };
    let mut page = String::new();
    let mut line = |name: &str, value: String| {
        // Writing to a string can't fail.
        let _ = writeln!(page, "{name:<14}{value}");
    };
    let ready = status["ready"] == true;
    line(
        "gateway",
        format!("{}, version {}", if ready { "up" } else { "not taking records" }, text("/version")),
    );
    line("store", text("/store"));
    let age = status.pointer("/backlog/oldest_age_seconds").and_then(Value::as_f64);
    let waiting = text("/backlog/records");
    line(
        "undelivered",
        age.map_or_else(|| waiting.clone(), |age| format!("{waiting}, the oldest for {}", span(age))),
    );
    line("dead letters", text("/backlog/dead_letters"));
    line(
        "records",
        format!(
            "{} kept, the newest {}; {} taken and {} known before since the start",
            text("/records/kept"),
            text("/records/newest"),
            text("/records/received"),
            text("/records/duplicates")
        ),
    );
    if status["delivery"].is_object() {
        let state = match status.pointer("/delivery/paused") {
            Some(Value::String(why)) => format!("paused ({why}), {}", text("/delivery/last_error")),
            _ if status.pointer("/delivery/failing") == Some(&Value::Bool(true)) => {
                let (count, error) = (text("/delivery/consecutive_failures"), text("/delivery/last_error"));
                format!("failing ({count} in a row), {error}")
            }
            _ => "flowing".to_owned(),
        };
        line("delivery", format!("{} to `{}`, {state}", text("/delivery/mode"), text("/delivery/endpoint")));
    } else {
        line("delivery", "none configured: the CRM pulls".to_owned());
    }
    if status["sending"].is_object() {
        let count = |name: &str| text(&format!("/sending/{name}"));
        line(
            "sending",
            format!(
                "{} queued, {} held, {} on their way, {} uncertain",
                count("queued"),
                count("held"),
                count("sending"),
                count("uncertain")
            ),
        );
        for stop in status.pointer("/sending/stopped").and_then(Value::as_array).into_iter().flatten() {
            let part = |name: &str| stop[name].as_str().unwrap_or("-").to_owned();
            line("STOPPED", format!("{}: {}; see `wagate quota`", part("number"), part("reason")));
        }
        let list = |name: &str| status.pointer(&format!("/sending/{name}")).and_then(Value::as_array);
        for blocked in list("blocked").into_iter().flatten() {
            let part = |name: &str| blocked[name].as_str().map(str::to_owned);
            let until = part("until").map_or_else(String::new, |until| format!(", until {until}"));
            let (number, reason) = [part("number"), part("reason")].map(Option::unwrap_or_default).into();
            if reason != "stopped" {
                line("blocked", format!("{number}: {reason}{until}"));
            }
        }
        for token in list("tokens").into_iter().flatten() {
            line("token", describe_token(token));
        }
        for reminder in list("reminders").into_iter().flatten() {
            line("reminder", reminder.as_str().unwrap_or_default().to_owned());
        }
    }
    for endpoint in status["endpoints"].as_array().into_iter().flatten() {
        line("endpoint", describe_endpoint(endpoint));
    }
    let bytes =
        |pointer: &str| status.pointer(pointer).and_then(Value::as_u64).map_or_else(|| "-".to_owned(), size);
    line("disk", format!("{} live, {} on disk", bytes("/disk/live_bytes"), bytes("/disk/file_bytes")));
    describe_machine(status, &mut line);
    line("certificate", format!("until {}", text("/certificate_expires")));
    describe_acme(&status["acme"], &mut line);
    if let Some(until) = status["api_certificate_expires"].as_str() {
        line("of the API", format!("until {until}"));
    }
    let alarms = status["alarms"].as_array().map(Vec::as_slice).unwrap_or_default();
    if alarms.is_empty() {
        line("alarms", "none".to_owned());
    }
    for alarm in alarms {
        line("ALARM", alarm.as_str().unwrap_or_default().to_owned());
    }
    page
}

/// The box below, its clock and its drive; nothing where there is none.
fn describe_machine(status: &Value, line: &mut impl FnMut(&str, String)) {
    let machine = &status["machine"];
    if machine.is_object() {
        let part = |name: &str| machine[name].as_str().unwrap_or("-");
        let state = if machine["state"] == "trial" { ", on trial" } else { "" };
        line("box", format!("{}, {} of slot {}{state}", part("id"), part("version"), part("slot")));
    }
    let update = &status["update"];
    if update.is_object() {
        let part = |name: &str| update[name].as_str();
        let version = part("version").map_or(String::new(), |version| format!("{version} "));
        let detail = part("detail").map_or(String::new(), |detail| format!(": {detail}"));
        line("update", format!("{version}{}{detail}", part("stage").unwrap_or("-")));
    }
    // An older gateway doesn't tell.
    if status.pointer("/sending/clock_trusted") == Some(&Value::Bool(false)) {
        let why = status.pointer("/time/trouble").and_then(Value::as_str);
        let why = why.map_or(String::new(), |why| format!(": {why}"));
        line("clock", format!("not trusted yet{why}"));
    } else if let Some(offset) = status.pointer("/time/offset_ms").and_then(Value::as_i64) {
        line("clock", format!("right by the time servers, {offset} ms off when they were asked"));
    }
    if let Some(percent) = status.pointer("/wear/life_used_percent").and_then(Value::as_u64) {
        let device = status.pointer("/wear/device").and_then(Value::as_str).unwrap_or("-");
        line("drive", format!("{device}: up to {percent} % of its life is used"));
    }
}

/// How getting the certificate stands; nothing where it comes from elsewhere.
fn describe_acme(acme: &Value, line: &mut impl FnMut(&str, String)) {
    let part = |name: &str| acme[name].as_str();
    let Some(state) = part("state") else { return };
    let mut words = state.to_owned();
    if let Some(at) = part("renews_at") {
        words.push_str(&format!(", renewed from {at} on"));
    }
    if let Some(error) = part("last_error") {
        words.push_str(&format!(", {} failures: {error}", acme["failures"]));
    }
    if let Some(next) = part("next") {
        words.push_str(&format!("; what to do: {next}"));
    }
    line("acme", words);
    if let Some(account) = part("account") {
        line("", format!("account {account}"));
    }
}

/// How an endpoint stands; a star in front of the one that its group goes by.
fn describe_endpoint(endpoint: &Value) -> String {
    let part = |name: &str| endpoint[name].as_str().unwrap_or("-");
    let mark = if endpoint["active"] == true { "*" } else { " " };
    let strikes = match endpoint["strikes"].as_u64() {
        None | Some(0) => String::new(),
        Some(1) => ", 1 strike".to_owned(),
        Some(several) => format!(", {several} strikes"),
    };
    let latency = endpoint["latency_ms"].as_u64().map_or_else(String::new, |ms| format!(", {ms} ms"));
    format!("{mark} {} of {}: {}{strikes}{latency}", part("name"), part("group"), part("state"))
}

/// The age of an endpoint's token, and when it ends.
fn describe_token(token: &Value) -> String {
    let part = |name: &str| token[name].as_str();
    let age = match part("since") {
        Some(_) => format!("{} days old", token["age_days"]),
        None => "of unknown age".to_owned(),
    };
    let ends = part("expires").map_or_else(|| "no end is known".to_owned(), |at| format!("ends {at}"));
    let invalid = if token["valid"] == false { "; NOT VALID, says WhatsApp" } else { "" };
    format!("of endpoint {}: {age}, {ends}{invalid}", part("endpoint").unwrap_or("-"))
}

/// A time as people say it.
pub(super) fn span(seconds: f64) -> String {
    match seconds {
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7_200.0 => format!("{:.0} min", s / 60.0),
        s if s < 172_800.0 => format!("{:.0} h", s / 3_600.0),
        s => format!("{:.0} days", s / 86_400.0),
    }
}

fn size(bytes: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "a size for people")]
    let mib = bytes as f64 / f64::from(1 << 20);
    if mib < 1024.0 { format!("{mib:.1} MiB") } else { format!("{:.1} GiB", mib / 1024.0) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn endpoints_are_shown_with_a_star_at_those_in_use() {
        let page = describe(&json!({ "ready": true, "endpoints": [
            { "group": "crm", "name": "primary", "state": "closed", "active": true, "strikes": 0, "latency_ms": 12 },
            { "group": "whatsapp/1", "name": "meta", "state": "open", "active": false, "strikes": 3,
              "latency_ms": null },
            { "group": "whatsapp/1", "name": "backup", "state": "suspect", "active": true, "strikes": 1,
              "latency_ms": 1_830 }] }));
        for line in [
            "endpoint      * primary of crm: closed, 12 ms",
            "endpoint        meta of whatsapp/1: open, 3 strikes",
            "endpoint      * backup of whatsapp/1: suspect, 1 strike, 1830 ms",
        ] {
            assert!(page.contains(&format!("\n{line}\n")), "{line:?} isn't in\n{page}");
        }
        assert!(!describe(&json!({ "ready": true, "endpoints": [] })).contains("endpoint"));
    }

    #[test]
    fn the_box_its_clock_and_its_drive_are_shown_where_there_is_one() {
        let page = describe(&json!({ "ready": true, "sending": { "clock_trusted": false },
            "machine": { "id": "wagate-7f3a", "version": "0.2.0", "slot": "b", "state": "trial" },
            "update": { "version": "0.2.0", "stage": "waiting", "detail": "no connection" },
            "time": { "trouble": "no time server answers", "offset_ms": null },
            "wear": { "device": "mmcblk0", "life_used_percent": 20 } }));
        for line in [
            "box           wagate-7f3a, 0.2.0 of slot b, on trial",
            "update        0.2.0 waiting: no connection",
            "clock         not trusted yet: no time server answers",
            "drive         mmcblk0: up to 20 % of its life is used",
        ] {
            assert!(page.contains(&format!("\n{line}\n")), "{line:?} isn't in\n{page}");
        }
        let page =
            describe(&json!({ "ready": true, "machine": null, "update": null, "time": null, "wear": null }));
        assert!(
            !["\nbox ", "\nupdate ", "\nclock ", "\ndrive "].iter().any(|line| page.contains(line)),
            "{page}"
        );
    }

    #[test]
    fn how_the_certificate_is_got_is_shown_where_it_is() {
        let page = describe(
            &json!({ "ready": true, "acme": { "state": "failing", "renews_at": "2027-01-01T00:00:00Z",
            "failures": 2, "last_error": "the authority says no", "next": "see the DNS",
            "account": "https://acme.example/acct/7" } }),
        );
        let line = "\nacme          failing, renewed from 2027-01-01T00:00:00Z on, 2 failures: the authority says no; \
                    what to do: see the DNS\n              account https://acme.example/acct/7\n";
        assert!(page.contains(line), "{page}");
        assert!(!describe(&json!({ "ready": true, "acme": null })).contains("acme"));
    }

    #[test]
    fn delivery_flows_only_where_no_trouble_is_told() {
        let delivery = |failing: bool, paused: Option<&str>| {
            let page =
                describe(&json!({ "ready": true, "delivery": { "endpoint": "primary", "mode": "realtime",
                "paused": paused, "failing": failing, "consecutive_failures": 7, "last_error": "500" } }));
            page.lines().find(|line| line.starts_with("delivery ")).unwrap().to_owned()
        };
        for (shown, expected) in [
            (delivery(false, None), "realtime to `primary`, flowing"),
            (delivery(true, None), "realtime to `primary`, failing (7 in a row), 500"),
            (delivery(true, Some("unreachable")), "realtime to `primary`, paused (unreachable), 500"),
        ] {
            assert!(shown.ends_with(expected), "{shown}");
        }
    }

    #[test]
    fn sending_is_shown_where_the_gateway_says_how_it_stands() {
        let page = describe(&json!({ "ready": true }));
        assert!(!page.contains("sending"), "{page}");
        let page = describe(
            &json!({ "ready": true, "sending": { "queued": 3, "held": 12, "sending": 1, "uncertain": 0,
            "stopped": [{ "number": "106540352242922", "reason": "the token has expired" }],
            "blocked": [{ "number": "106540352242922", "reason": "stopped", "until": null },
                        { "number": "2", "reason": "messages_per_day", "until": "2026-11-20T16:00:00Z" }],
            "tokens": [
                { "endpoint": "meta", "since": "2026-10-01T00:00:00Z", "age_days": 50, "valid": true,
                  "expires": "2026-12-01T00:00:00Z" },
                { "endpoint": "backup", "since": null, "age_days": 0, "expires": null, "valid": false }],
            "reminders": ["the token of endpoint meta ends at 2026-12-01T00:00:00Z: replace it"] } }),
        );
        for line in [
            "blocked       2: messages_per_day, until 2026-11-20T16:00:00Z",
            "token         of endpoint meta: 50 days old, ends 2026-12-01T00:00:00Z",
            "token         of endpoint backup: of unknown age, no end is known; NOT VALID, says WhatsApp",
            "reminder      the token of endpoint meta ends at 2026-12-01T00:00:00Z: replace it",
        ] {
            assert!(page.contains(&format!("\n{line}\n")), "{line:?} isn't in\n{page}");
        }
        assert!(!page.contains("blocked       106540352242922"), "{page}");
        assert!(page.contains("\nsending       3 queued, 12 held, 1 on their way, 0 uncertain\n"), "{page}");
        assert!(
            page.contains("\nSTOPPED       106540352242922: the token has expired; see `wagate quota`\n"),
            "{page}"
        );
    }
}
