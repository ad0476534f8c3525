//! How long Meta keeps what it couldn't deliver.

use futures_util::future::join_all;
use serde_json::Value;

use super::finding::{Check, Finding};
use super::graph;
use super::unheard::Unheard;
use super::world::{Heard, World};

pub(super) async fn check(world: &World) -> Vec<Finding> {
    let numbers = &world.config.numbers;
    if numbers.is_empty() {
        return vec![Finding::skip(Check::Storage, "no [[numbers]] are configured")];
    }
    join_all(numbers.iter().map(|number| async move {
        let id = &number.phone_number_id;
        let Some(endpoint) = graph::meta_of(&world.config, id) else {
            return Finding::skip(Check::Storage, "no endpoint of Meta serves it: ask the provider")
                .about(id);
        };
        judge(&graph::get(world, endpoint, &format!("/{id}/settings"), &[]).await).about(id)
    }))
    .await
}

/// What `GET /{number}/settings` says.
pub(super) fn judge(heard: &Result<Heard, Unheard>) -> Finding {
    let skip = |why: &str| {
        Finding::skip(
            Check::Storage,
            format!("whether Meta keeps messages for this number isn't known: {why}"),
        )
    };
    let heard = match heard {
        Err(why) => return skip(&why.words()),
        Ok(heard) if heard.status != 200 => return skip(&graph::refusal(heard).0),
        Ok(heard) => heard,
    };
    let status = heard.body.pointer("/storage_configuration/status").and_then(Value::as_str);
    // The case of the word differs between Meta's pages.
    match status.map(str::to_ascii_uppercase).as_deref() {
        Some("NO_STORAGE_ENABLED") => {
            Finding::warn(Check::Storage, "this number has No Storage: Meta keeps undelivered webhooks and media one hour only")
                .detail("A box or line that is down for longer loses what customers write meanwhile. Otherwise it is days.")
                .next("unless the law asks for it, switch it off at Meta; else give the box a standby and a second line")
                .fact("status", "NO_STORAGE_ENABLED")
        }
        Some("IN_COUNTRY_STORAGE_ENABLED") => {
            Finding::ok(Check::Storage, "Meta keeps what it couldn't deliver for days, in the country that was chosen")
                .fact("status", "IN_COUNTRY_STORAGE_ENABLED")
        }
        Some("DEFAULT") => {
            Finding::ok(Check::Storage, "Meta keeps what it couldn't deliver for days").fact("status", "DEFAULT")
        }
        Some(_) => skip("Meta names a setting that this version doesn't know"),
        None => skip("Meta doesn't say"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::super::finding::State;
    use super::*;

    #[test]
    fn no_storage_is_worth_a_warning_and_what_is_unknown_is_left_out() {
        for (status, body, state) in [
            (
                200,
                json!({ "storage_configuration": { "status": "NO_STORAGE_ENABLED", "retention_minutes": 60 } }),
                State::Warn,
            ),
            (200, json!({ "storage_configuration": { "status": "no_storage_enabled" } }), State::Warn),
            (200, json!({ "storage_configuration": { "status": "IN_COUNTRY_STORAGE_ENABLED" } }), State::Ok),
            (200, json!({ "storage_configuration": { "status": "default" } }), State::Ok),
            (200, json!({ "storage_configuration": { "status": "SOMETHING" } }), State::Skip),
            (200, json!({}), State::Skip),
            (403, json!({ "error": { "code": 10 } }), State::Skip),
        ] {
            let heard = Ok(Heard { status, body: body.clone(), took: Duration::ZERO, date: None });
            assert_eq!(judge(&heard).state, state, "{body}");
        }
        assert_eq!(judge(&Err(Unheard::Silent)).state, State::Skip);
    }
}
