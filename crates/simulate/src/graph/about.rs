//! What Graph tells of a number, of its account and of a token.

use serde_json::{Value, json};

use super::behaviour::{Entity, Says};
use super::front::Front;
use super::setup::Setup;
use super::shared::Shared;
use super::world::World;

/// What Graph knows of a number, or of it what is asked for.
pub(crate) fn number(
    shared: &Shared,
    world: &mut World,
    front: &Front,
    id: &str,
    fields: &[String],
) -> Value {
    let usual = ["verified_name", "code_verification_status", "display_phone_number", "quality_rating"];
    let mut about = json!({ "id": id });
    let mut put = |field: &str, value: Option<Value>| {
        if let Some(value) = value {
            about[field] = value;
        }
    };
    if fields.is_empty() {
        for field in usual {
            put(field, plain(shared, field));
        }
    }
    for field in fields {
        let value = match field.as_str() {
            "health_status" => Some(health(shared, world, front, id)["health_status"].take()),
            "webhook_configuration" => Some(webhook_configuration(shared, &world.setup, id)),
            field => plain(shared, field),
        };
        put(field, value);
    }
    about
}

/// What doesn't change.
fn plain(shared: &Shared, field: &str) -> Option<Value> {
    Some(match field {
        "verified_name" => json!("Simulated store"),
        "display_phone_number" => json!(shared.display_phone_number()),
        "quality_rating" => json!("GREEN"),
        "code_verification_status" => json!("VERIFIED"),
        "name_status" => json!("APPROVED"),
        "platform_type" => json!("CLOUD_API"),
        "status" => json!("CONNECTED"),
        "throughput" => json!({ "level": "STANDARD" }),
        "whatsapp_business_manager_messaging_limit" => json!("TIER_250"),
        _ => return None,
    })
}

/// `health_status`: in sum it is as bad as the worst of the entities.
pub(crate) fn health(shared: &Shared, world: &mut World, front: &Front, number: &str) -> Value {
    let said = world.health(front.place);
    let entities: Vec<Value> = Entity::ALL
        .into_iter()
        .zip(said)
        .map(|(entity, says)| {
            let id = match entity {
                Entity::PhoneNumber => number,
                Entity::Waba => shared.waba_id(),
                Entity::Business => &world.setup.business_id,
                Entity::App => &world.setup.app_id,
            };
            let word = says.word();
            let mut told = json!({ "entity_type": entity.word(), "id": id, "can_send_message": word });
            if says != Says::Available {
                told["errors"] = json!([{
                    "error_code": 141_000,
                    "error_description": format!("{} is {word}, as the simulator was told.", entity.word()),
                    "possible_solution": "Tell the simulator otherwise.",
                }]);
            }
            told
        })
        .collect();
    let sum = said.into_iter().max().unwrap_or_default();
    json!({ "health_status": { "can_send_message": sum.word(), "entities": entities } })
}

/// Where webhooks of a number go; what isn't set isn't there.
fn webhook_configuration(shared: &Shared, setup: &Setup, number: &str) -> Value {
    let redirects = shared.redirects();
    let mut told = json!({});
    for (key, url) in [
        ("phone_number", redirects.number_url(number)),
        ("whatsapp_business_account", redirects.account_url()),
        ("application", setup.app_callback.clone()),
    ] {
        if let Some(url) = url {
            told[key] = json!(url);
        }
    }
    told
}

/// `GET /{account}/subscribed_apps`.
pub(crate) fn subscribed_apps(shared: &Shared, setup: &Setup) -> Value {
    let app = |id: &str, name: &str, callback: Option<String>| {
        let link = format!("https://www.facebook.com/games/?app_id={id}");
        let data = json!({ "id": id, "link": link, "name": name });
        let mut app = json!({ "whatsapp_business_api_data": data });
        if let Some(callback) = callback {
            app["override_callback_uri"] = json!(callback);
        }
        app
    };
    let ours =
        setup.subscribed.then(|| app(&setup.app_id, &setup.app_name, shared.redirects().account_url()));
    let others =
        setup.other_apps.iter().map(|other| app(&other.id, &other.name, other.override_callback_uri.clone()));
    json!({ "data": ours.into_iter().chain(others).collect::<Vec<_>>() })
}

/// `GET /{number}/settings`, as far as it is about storage and what stands beside it.
pub(crate) fn settings(setup: &Setup) -> Value {
    json!({
        "calling": { "status": "disabled" },
        "payload_encryption": { "status": "disabled" },
        "storage_configuration": setup.storage.told(),
    })
}

/// `GET /debug_token`. A token that is no good has an `error` beside it.
pub(crate) fn token(setup: &Setup, let_in: bool, issued_s: i64) -> Value {
    let token = &setup.token;
    let valid = token.is_valid.unwrap_or(let_in);
    let mut data = json!({
        "app_id": setup.app_id, "type": "SYSTEM_USER", "application": setup.app_name, "is_valid": valid,
        "issued_at": issued_s, "expires_at": token.expires_at_s, "data_access_expires_at": 0,
        "scopes": token.scopes, "user_id": "122094000000000000",
    });
    let granular = token.scopes.iter().map(|scope| {
        let held = token.granular_scopes.iter().find(|(name, _)| name == scope);
        match held {
            Some((_, targets)) => json!({ "scope": scope, "target_ids": targets }),
            None => json!({ "scope": scope }),
        }
    });
    data["granular_scopes"] = granular.collect();
    if !valid {
        data["error"] = json!({ "code": 190, "message": "The session has been invalidated." });
    }
    json!({ "data": data })
}
