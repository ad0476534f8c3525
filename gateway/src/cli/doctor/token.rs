//! Whether WhatsApp accepts the tokens, for how long, and for what.

use futures_util::future::join_all;
use model::WallTime;
use serde_json::Value;

use super::finding::{Check, Finding};
use super::graph;
use super::unheard::{Side, Unheard};
use super::words;
use super::world::{Heard, World};
use crate::clock;

/// A token that ends sooner is worth a warning: a new one takes a person at Meta's pages.
const ENDS_SOON_DAYS: i64 = 7;
/// After so long people are reminded to replace a credential.
const OLD_DAYS: i64 = 30;
const DAY_MS: i64 = 24 * 3_600_000;
/// What the token has to be allowed.
const SCOPES: [&str; 2] = ["whatsapp_business_messaging", "whatsapp_business_management"];

/// Where a new one comes from, and where it goes.
const REPLACE: &str = "make a new one (Business Settings, System users, Generate token; expiry: never), put it \
     into the token's file, `systemctl reload wagate`";

pub(super) async fn check(world: &World) -> Vec<Finding> {
    let endpoints = &world.config.whatsapp.endpoints;
    if endpoints.is_empty() {
        return vec![Finding::skip(Check::Token, "no endpoint of WhatsApp is configured: nothing is sent")];
    }
    join_all(endpoints.iter().map(|endpoint| async move {
        let skip = |why: &str| Finding::skip(Check::Token, why).about(&endpoint.name);
        if !graph::is_meta(endpoint) {
            return skip("a provider's key, which Meta can't be asked about: the line on reach tells whether it's accepted");
        }
        let Some(token) = &endpoint.token else {
            return skip("no token is configured for it");
        };
        let query = [("input_token", token.expose())];
        let heard = graph::get(world, endpoint, "/debug_token", &query).await;
        judge(&heard, clock::now()).about(&endpoint.name)
    }))
    .await
}

/// What `GET /debug_token` says, at `now`.
pub(super) fn judge(heard: &Result<Heard, Unheard>, now: WallTime) -> Finding {
    let heard = match heard {
        Err(why) => {
            return Finding::skip(Check::Token, format!("couldn't be asked about: {}", why.words()))
                .next(why.next(Side::Internet));
        }
        Ok(heard) => heard,
    };
    let data = &heard.body["data"];
    if heard.status != 200 || !data["is_valid"].is_boolean() {
        let (what, next) = graph::refusal(heard);
        // What keeps the box from asking says nothing of the token, unless it is refused.
        let refused = heard.status == 401 || graph::code(&heard.body) == Some(190);
        return if refused {
            Finding::fail(Check::Token, what).next(REPLACE)
        } else {
            Finding::warn(Check::Token, what).next(next)
        };
    }
    let finding = of_token(data, now);
    let age = age_days(data, now);
    let finding = age.map_or(finding.clone(), |days| finding.fact("age_days", days));
    match time(data, "expires_at") {
        Some(ends) => finding.fact("expires_at", ends.rfc3339_seconds()),
        None => finding.fact("expires_at", Value::Null),
    }
}

fn of_token(data: &Value, now: WallTime) -> Finding {
    if data["is_valid"] == false {
        let why = data.pointer("/error/code").and_then(Value::as_i64);
        let why = why.map_or(String::new(), |code| format!(" (code {code})"));
        return Finding::fail(
            Check::Token,
            format!("WhatsApp doesn't accept it{why}: it has expired or was revoked"),
        )
        .detail("Nothing can be sent. What is queued stays, and goes once there is a new one.")
        .next(REPLACE);
    }
    let missing: Vec<&str> = SCOPES.into_iter().filter(|scope| !has_scope(data, scope)).collect();
    if !missing.is_empty() {
        return Finding::fail(Check::Token, format!("it lacks the permission {}", missing.join(" and ")))
            .detail(if missing.contains(&SCOPES[0]) {
                "Without whatsapp_business_messaging nothing can be sent."
            } else {
                "Without whatsapp_business_management the box can't see whether webhooks come here."
            })
            .next(
                "make a new one with both whatsapp_business_ permissions (Business Settings, System users), \
                   put it into the token's file, `systemctl reload wagate`",
            );
    }
    for (key, what) in [("expires_at", "it"), ("data_access_expires_at", "its access to data")] {
        let Some(ends) = time(data, key) else { continue };
        let left = ends.0.saturating_sub(now.0);
        if left < ENDS_SOON_DAYS * DAY_MS {
            let words = format!("{what} ends at {}, {}", ends.rfc3339_seconds(), in_days(left));
            return Finding::warn(Check::Token, words).next(REPLACE);
        }
    }
    let ends = time(data, "expires_at").map_or("it has no end".to_owned(), |ends| {
        format!("it ends at {}, {}", ends.rfc3339_seconds(), in_days(ends.0.saturating_sub(now.0)))
    });
    match age_days(data, now) {
        Some(days) if days > OLD_DAYS => {
            Finding::warn(Check::Token, format!("accepted; {} old, and {ends}", days_of(days)))
                .detail("It works. A credential that is never replaced is worth more to a thief each month.")
                .next(REPLACE)
        }
        Some(days) => Finding::ok(
            Check::Token,
            format!("accepted, with both permissions; {} old, {ends}", days_of(days)),
        ),
        None => Finding::ok(Check::Token, format!("accepted, with both permissions; {ends}")),
    }
}

fn has_scope(data: &Value, scope: &str) -> bool {
    data["scopes"].as_array().is_some_and(|scopes| scopes.iter().any(|one| one == scope))
}

/// Seconds since 1970; 0 is never.
fn time(data: &Value, key: &str) -> Option<WallTime> {
    Some(WallTime::from_seconds(data[key].as_i64().filter(|seconds| *seconds > 0)?))
}

fn age_days(data: &Value, now: WallTime) -> Option<i64> {
    Some(now.0.saturating_sub(time(data, "issued_at")?.0).max(0) / DAY_MS)
}

fn days_of(number: i64) -> String {
    words::days(number.unsigned_abs())
}

fn in_days(left_ms: i64) -> String {
    let days = left_ms.div_euclid(DAY_MS);
    match days {
        ..0 => "which is over".to_owned(),
        0 => "within a day".to_owned(),
        days => format!("in {}", days_of(days)),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::super::finding::State;
    use super::*;

    const NOW: WallTime = WallTime(1_795_000_000_000);

    fn told(status: u16, body: Value) -> Result<Heard, Unheard> {
        Ok(Heard { status, body, took: Duration::ZERO, date: None })
    }

    /// Days from now; 0 is never.
    fn token(issued: i64, expires: i64, data_access: i64, scopes: &[&str]) -> Value {
        let at = |days: i64| if days == 0 { 0 } else { NOW.0 / 1_000 + days * 86_400 };
        json!({ "data": { "is_valid": true, "issued_at": at(issued), "expires_at": at(expires),
            "data_access_expires_at": at(data_access), "scopes": scopes } })
    }

    #[test]
    fn a_token_is_judged_by_end_age_and_permissions() {
        for (body, state, part) in [
            (token(-3, 0, 0, &SCOPES), State::Ok, "3 days old, it has no end"),
            (token(-30, 60, 90, &SCOPES), State::Ok, "in 60 days"),
            (token(-31, 0, 0, &SCOPES), State::Warn, "31 days old"),
            (token(-3, 7, 0, &SCOPES), State::Ok, "in 7 days"),
            (token(-3, 6, 0, &SCOPES), State::Warn, "in 6 days"),
            (token(-3, 0, 6, &SCOPES), State::Warn, "its access to data ends"),
            (token(-3, -1, 0, &SCOPES), State::Warn, "which is over"),
            (token(-3, 0, 0, &SCOPES[..1]), State::Fail, "whatsapp_business_management"),
            (
                token(-3, 0, 0, &[]),
                State::Fail,
                "whatsapp_business_messaging and whatsapp_business_management",
            ),
            (json!({ "data": { "is_valid": false, "error": { "code": 190 } } }), State::Fail, "code 190"),
        ] {
            let finding = judge(&told(200, body.clone()), NOW);
            assert_eq!(finding.state, state, "{body}");
            assert!(finding.summary.contains(part), "{:?} lacks {part:?}", finding.summary);
            assert_eq!(finding.next.is_some(), state != State::Ok);
        }
    }

    #[test]
    fn what_meta_says_of_a_refused_token_is_not_repeated() {
        let refused = json!({ "error": { "code": 190, "message": "Malformed access token s3cret" } });
        let finding = judge(&told(401, refused), NOW);
        assert_eq!(finding.state, State::Fail);
        assert!(!format!("{finding:?}").contains("s3cret"), "{finding:?}");
        let limited = judge(&told(400, json!({ "error": { "code": 4 } })), NOW);
        assert_eq!(limited.state, State::Warn, "nothing is known of the token");
        assert_eq!(judge(&Err(Unheard::Silent), NOW).state, State::Skip, "the line on reach fails");
    }
}
