//! A message of the API in words, and times as people say them.

use std::fmt::Write as _;

use model::WallTime;
use serde_json::Value;

use crate::cli::status::span;

/// Columns of the list, as wide as what usually stands in them: an outbox id, the longest status, the
/// longest priority, a phone number, an age.
const COLUMNS: [(&str, usize); 5] = [("id", 28), ("status", 9), ("priority", 8), ("to", 16), ("age", 7)];

/// Characters of what a message says that are shown.
const SAID_MAX: usize = 200;

/// The titles of the list.
pub(super) fn titles() -> String {
    let mut line = String::new();
    for (title, width) in COLUMNS {
        // Writing to a string can't fail.
        let _ = write!(line, "{title:<width$}  ");
    }
    line + "why\n"
}

/// A message in one line of the list.
pub(super) fn line(message: &Value, now: WallTime) -> String {
    let age = time(queued_at(message)).map_or_else(|| "-".to_owned(), |at| span(seconds(at, now)));
    let cells = [
        text(&message["id"]),
        text(&message["status"]),
        text(&message["priority"]),
        text(&message["to"]),
        age,
    ];
    let mut line = String::new();
    for (cell, (_, width)) in cells.into_iter().zip(COLUMNS) {
        let _ = write!(line, "{cell:<width$}  ");
    }
    if let Some(code) = message.pointer("/reason/code") {
        line += &text(code);
    }
    if let Some(until) = until(&message["not_before"], now) {
        let _ = write!(line, ", not before {until}");
    }
    format!("{}\n", line.trim_end())
}

/// A message with all that is known of it.
pub(super) fn page(message: &Value, now: WallTime) -> String {
    let mut page = String::new();
    let mut put = |name: &str, value: String| {
        let _ = writeln!(page, "{name:<14}{value}");
    };
    put("message", text(&message["id"]));
    put("status", text(&message["status"]));
    if message["reason"].is_object() {
        put("why", reason(&message["reason"]));
    }
    for (title, name) in [
        ("to", "to"),
        ("contact", "contact"),
        ("from", "from"),
        ("type", "type"),
        ("template", "template"),
        ("priority", "priority"),
        ("attempts", "attempts"),
        ("endpoint", "endpoint"),
        ("wamid", "wamid"),
    ] {
        if !message[name].is_null() {
            put(title, text(&message[name]));
        }
    }
    if let Some(said) = said(message) {
        put("text", said);
    }
    if message["fallback_used"] == true {
        put("fallback", "the window had closed: the template went in its place".to_owned());
    }
    for (title, name) in
        [("not before", "not_before"), ("expires", "expires_at"), ("window closes", "window_closes_at")]
    {
        if let Some(until) = until(&message[name], now) {
            put(title, until);
        }
    }
    let error = &message["error"];
    if error.is_object() {
        let code =
            if error["code"].is_null() { String::new() } else { format!("{}: ", text(&error["code"])) };
        put("error", format!("{code}{}", text(&error["detail"])));
        if let Some(advice) = error["advice"].as_str() {
            put("advice", plain(advice));
        }
    }
    let parts = message["parts"].as_array().map(Vec::as_slice).unwrap_or_default();
    if parts.len() > 1 {
        put("parts", parts.iter().map(text).collect::<Vec<_>>().join(", "));
    }
    for step in message["history"].as_array().into_iter().flatten() {
        let why = step.get("reason").filter(|why| !why.is_null());
        let why =
            why.map_or(String::new(), |why| format!("  {}", why.get("code").map_or_else(|| text(why), text)));
        put("", format!("{}  {}{why}", text(&step["at"]), text(&step["status"])));
    }
    page
}

/// The beginning of what the message says, to know it again by.
fn said(message: &Value) -> Option<String> {
    let caption = || message["message"][message["type"].as_str()?]["caption"].as_str();
    let said = message.pointer("/message/text/body").and_then(Value::as_str).or_else(caption)?;
    Some(plain(said).chars().take(SAID_MAX).collect())
}

/// `{code, detail}`, or the code alone.
pub(super) fn reason(reason: &Value) -> String {
    match (&reason["code"], reason["detail"].as_str()) {
        (Value::Null, None) => text(reason),
        (Value::Null, Some(detail)) => plain(detail),
        (code, None) => text(code),
        (code, Some(detail)) => format!("{}: {}", text(code), plain(detail)),
    }
}

/// `in 3 h, at 2026-11-21T16:00:00Z`; `None` where there is no time.
pub(super) fn until(value: &Value, now: WallTime) -> Option<String> {
    let at = time(value)?;
    let left = -seconds(at, now);
    let shown = text(value);
    Some(if left > 0.0 { format!("in {}, at {shown}", span(left)) } else { format!("now, since {shown}") })
}

/// What stands in an answer, on one line; `-` for nothing.
pub(super) fn text(value: &Value) -> String {
    match value.as_str() {
        Some(text) => plain(text),
        None if value.is_null() => "-".to_owned(),
        None => value.to_string(),
    }
}

/// Without what could move a terminal's cursor.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn queued_at(message: &Value) -> &Value {
    let at = &message["queued_at"];
    if at.is_null() { &message["history"][0]["at"] } else { at }
}

fn time(value: &Value) -> Option<WallTime> {
    let time: jiff::Timestamp = value.as_str()?.parse().ok()?;
    Some(WallTime(time.as_millisecond()))
}

/// How long ago `at` is, in seconds.
fn seconds(at: WallTime, now: WallTime) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "an age for people")]
    let ms = now.0.saturating_sub(at.0) as f64;
    ms / 1_000.0
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// 2026-11-21T13:00:00Z.
    const NOW: WallTime = WallTime(1_795_266_000_000);

    fn held() -> Value {
        json!({
            "id": "m-00000000000000000000000007", "status": "held", "priority": "campaign", "to": "+85261234567",
            "from": "106540352242922", "type": "template", "template": "sale", "attempts": 2,
            "reason": { "code": "messages_per_day", "detail": "the day's messages are used up" },
            "not_before": "2026-11-21T16:00:00Z", "expires_at": null, "fallback_used": false, "wamid": null,
            "error": { "code": 130_429, "detail": "slow\u{1b}[31m down", "class": "wait", "advice": "It slows down." },
            "parts": ["m-00000000000000000000000007"],
            "history": [
                { "at": "2026-11-21T12:15:00Z", "status": "queued", "reason": null },
                { "at": "2026-11-21T12:16:00Z", "status": "held", "reason": "messages_per_day" } ]
        })
    }

    #[test]
    fn a_message_is_a_line_below_its_titles() {
        let line = line(&held(), NOW);
        assert_eq!(
            line,
            "m-00000000000000000000000007  held       campaign  +85261234567      45 min   messages_per_day, not before in 3 h, at 2026-11-21T16:00:00Z\n"
        );
        assert_eq!(line.find("messages_per_day"), titles().find("why"));
        assert_eq!(titles().find("age"), line.find("45 min"));
    }

    #[test]
    fn a_message_without_anything_is_a_line_all_the_same() {
        assert_eq!(line(&json!({}), NOW).split_whitespace().collect::<Vec<_>>(), ["-"; 5]);
        assert_eq!(page(&json!({}), NOW), "message       -\nstatus        -\n");
    }

    #[test]
    fn a_page_says_all_that_is_known_and_moves_no_cursor() {
        let page = page(&held(), NOW);
        for part in [
            "why           messages_per_day: the day's messages are used up\n",
            "template      sale\n",
            "not before    in 3 h, at 2026-11-21T16:00:00Z\n",
            "error         130429: slow [31m down\n",
            "advice        It slows down.\n",
            "              2026-11-21T12:16:00Z  held  messages_per_day\n",
        ] {
            assert!(page.contains(part), "{part:?} isn't in\n{page}");
        }
        for absent in ["wamid", "expires", "fallback", "parts", "\u{1b}"] {
            assert!(!page.contains(absent), "{absent} is in\n{page}");
        }
    }

    #[test]
    fn a_message_is_known_again_by_what_it_says() {
        let text = json!({ "type": "text", "message": { "text": { "body": "Ready\nat 5".repeat(100) } } });
        let shown = said(&text).unwrap();
        assert!(shown.starts_with("Ready at 5") && shown.len() == SAID_MAX);
        let image =
            json!({ "type": "image", "message": { "image": { "id": "7", "caption": "Your order" } } });
        assert!(page(&image, NOW).contains("text          Your order\n"));
        assert_eq!(said(&json!({ "type": "image", "message": { "image": { "id": "7" } } })), None);
        assert_eq!(said(&json!({ "type": 5 })), None);
    }

    #[test]
    fn times_are_said_as_people_say_them() {
        let said = |text: &str| until(&json!(text), NOW);
        assert_eq!(said("2026-11-21T13:01:30Z").unwrap(), "in 90 s, at 2026-11-21T13:01:30Z");
        assert_eq!(said("2026-11-21T21:40:00+08:00").unwrap(), "in 40 min, at 2026-11-21T21:40:00+08:00");
        assert_eq!(said("2026-11-21T12:00:00Z").unwrap(), "now, since 2026-11-21T12:00:00Z");
        assert_eq!(said("soon"), None);
        assert_eq!(until(&Value::Null, NOW), None);
    }
}
