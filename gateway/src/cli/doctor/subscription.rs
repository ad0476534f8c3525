//! Whether Meta sends this box its webhooks: our app subscribed, the callback ours.

use futures_util::future::join_all;
use reqwest::Url;
use serde_json::Value;

use super::finding::{Check, Finding};
use super::graph;
use super::public::public_url;
use super::unheard::{Side, Unheard};
use super::world::{Heard, World};

pub(super) async fn check(world: &World) -> Vec<Finding> {
    let numbers = &world.config.numbers;
    if numbers.is_empty() {
        return vec![Finding::skip(Check::Subscription, "no [[numbers]] are configured")];
    }
    let ours = public_url(&world.config);
    join_all(numbers.iter().map(|number| {
        let ours = ours.as_ref();
        async move { of_number(world, &number.phone_number_id, ours).await.about(&number.phone_number_id) }
    }))
    .await
}

async fn of_number(world: &World, id: &str, ours: Option<&Url>) -> Finding {
    let Some(endpoint) = graph::meta_of(&world.config, id) else {
        let why =
            "no endpoint of Meta serves it, so nobody can be asked: see the provider's page for its webhook";
        return Finding::skip(Check::Subscription, why);
    };
    let fields = [("fields", "health_status,webhook_configuration")];
    let number = match answered(
        "where the number's webhooks go",
        graph::get(world, endpoint, &format!("/{id}"), &fields).await,
    ) {
        Ok(body) => body,
        Err(finding) => return *finding,
    };
    let Some(account) = entity(&number, "WABA") else {
        return Finding::skip(
            Check::Subscription,
            "WhatsApp doesn't say which account the number belongs to",
        );
    };
    // An id of Meta's is digits, and must be: it goes into a URL.
    if !account.bytes().all(|byte| byte.is_ascii_digit()) {
        return Finding::skip(Check::Subscription, "WhatsApp names an account that can't be asked about");
    }
    let heard = graph::get(world, endpoint, &format!("/{account}/subscribed_apps"), &[]).await;
    let apps = match answered("which apps are subscribed", heard) {
        Ok(body) => body,
        Err(finding) => return *finding,
    };
    judge(&number, &apps, ours)
}

/// A usable answer, or the line that says why there is none. `what` was asked for.
pub(super) fn answered(what: &str, heard: Result<Heard, Unheard>) -> Result<Value, Box<Finding>> {
    match heard {
        Ok(heard) if heard.status == 200 && heard.body.is_object() => Ok(heard.body),
        Ok(heard) => {
            let (why, next) = graph::refusal(&heard);
            Err(Box::new(Finding::warn(Check::Subscription, format!("{what} isn't known: {why}")).next(next)))
        }
        Err(why) => Err(Box::new(
            Finding::skip(Check::Subscription, format!("{what} isn't known: {}", why.words()))
                .next(why.next(Side::Internet)),
        )),
    }
}

/// The id of an entity of a number's `health_status`.
fn entity<'a>(number: &'a Value, kind: &str) -> Option<&'a str> {
    let entities = number.pointer("/health_status/entities")?.as_array()?;
    entities.iter().find(|entity| entity["entity_type"] == kind)?["id"].as_str()
}

/// The callback in force, and on which level it was set: the number's beats the account's beats the app's.
fn callback(number: &Value) -> Option<(&str, &'static str)> {
    let levels = [
        ("phone_number", "for this number"),
        ("whatsapp_business_account", "for the whole account"),
        ("application", "for the app"),
    ];
    let set = levels.into_iter().filter_map(|(level, words)| {
        let url = number["webhook_configuration"][level].as_str()?;
        (!url.is_empty()).then_some((url, words))
    });
    set.into_iter().next()
}

/// What `number` (`fields=health_status,webhook_configuration`) and `apps` (`/subscribed_apps`) say, where
/// the webhook of this box is `ours`.
pub(super) fn judge(number: &Value, apps: &Value, ours: Option<&Url>) -> Finding {
    let subscribed: Vec<&str> = apps["data"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|app| app.pointer("/whatsapp_business_api_data/id")?.as_str())
        .collect();
    let app = entity(number, "APP");
    if app.is_some_and(|app| !subscribed.contains(&app)) || subscribed.is_empty() {
        let others = if subscribed.is_empty() { "no app is" } else { "only other apps are" };
        return Finding::fail(Check::Subscription, format!("our app isn't subscribed to the account ({others}): nothing arrives"))
            .next("subscribe it: POST /{account}/subscribed_apps with the token, or App Dashboard, WhatsApp, Configuration");
    }
    let Some((theirs, level)) = callback(number) else {
        return Finding::fail(
            Check::Subscription,
            "the app is subscribed, and Meta has no address to send to",
        )
        .next("set the callback URL: App Dashboard, WhatsApp, Configuration; or `wagate failover take`");
    };
    let finding = match ours {
        None => {
            Finding::warn(Check::Subscription, format!("Meta sends to {theirs} (set {level}); whether that's this box isn't known"))
                .next("write this box's address into the configuration: `public_url` in [webhook]")
        }
        Some(ours) if same(ours, theirs) => {
            Finding::ok(Check::Subscription, format!("our app is subscribed, and Meta sends to {ours} (set {level})"))
        }
        Some(ours) => Finding::fail(Check::Subscription, "Meta sends to another address than this box's")
            .detail(format!("Meta: {theirs} (set {level}). This box: {ours}."))
            .next("`wagate failover take` has Meta send here; where a standby box has taken over, that's as it should be"),
    };
    let finding = if app.is_none() {
        finding.detail("Which of the subscribed apps is ours, WhatsApp doesn't say.")
    } else {
        finding
    };
    finding.fact("callback", theirs).fact("public_url", ours.map(Url::as_str))
}

/// Whether Meta's text means our address: a port that goes without saying may be written out.
fn same(ours: &Url, theirs: &str) -> bool {
    Url::parse(theirs).is_ok_and(|theirs| theirs == *ours)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::finding::State;
    use super::*;

    const OURS: &str = "https://box.example.com/webhook";

    fn number(configuration: &Value) -> Value {
        json!({ "id": "1", "webhook_configuration": configuration, "health_status": { "entities": [
            { "entity_type": "WABA", "id": "22" }, { "entity_type": "APP", "id": "33" }] } })
    }

    fn apps(ids: &[&str]) -> Value {
        let one = |id: &&str| json!({ "whatsapp_business_api_data": { "id": id, "name": "x", "link": "y" } });
        json!({ "data": ids.iter().map(one).collect::<Vec<_>>() })
    }

    fn state(configuration: &Value, ids: &[&str], ours: Option<&str>) -> State {
        let ours = ours.map(|ours| Url::parse(ours).unwrap());
        judge(&number(configuration), &apps(ids), ours.as_ref()).state
    }

    #[test]
    fn another_app_is_not_ours() {
        let configuration = || json!({ "application": OURS });
        assert_eq!(state(&configuration(), &["33", "44"], Some(OURS)), State::Ok);
        assert_eq!(state(&configuration(), &["44"], Some(OURS)), State::Fail);
        assert_eq!(state(&configuration(), &[], Some(OURS)), State::Fail);
        let without_app = json!({ "webhook_configuration": configuration() });
        let ours = Url::parse(OURS).unwrap();
        assert_eq!(
            judge(&without_app, &apps(&["44"]), Some(&ours)).state,
            State::Ok,
            "ours, for all that's known"
        );
    }

    #[test]
    fn the_callback_of_the_number_beats_that_of_the_account_and_of_the_app() {
        let other = "https://standby.example.com/webhook";
        for (configuration, expected) in [
            (json!({ "application": OURS }), State::Ok),
            (json!({ "application": other }), State::Fail),
            (json!({ "application": other, "whatsapp_business_account": OURS }), State::Ok),
            (json!({ "application": OURS, "whatsapp_business_account": other }), State::Fail),
            (
                json!({ "application": other, "whatsapp_business_account": other, "phone_number": OURS }),
                State::Ok,
            ),
            (json!({ "application": OURS, "phone_number": other }), State::Fail),
            (json!({ "application": OURS, "phone_number": "" }), State::Ok),
            (json!({ "application": "https://box.example.com:443/webhook" }), State::Ok),
            (json!({ "application": "https://box.example.com/webhook/" }), State::Fail),
            (json!({}), State::Fail),
            (Value::Null, State::Fail),
        ] {
            assert_eq!(state(&configuration, &["33"], Some(OURS)), expected, "{configuration}");
        }
        assert_eq!(state(&json!({ "application": OURS }), &["33"], None), State::Warn, "nobody knows ours");
    }
}
