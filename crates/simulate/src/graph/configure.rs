//! Where webhooks go is changed: only to a URL that has passed the handshake.

use std::sync::Arc;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;

use super::front::Front;
use super::refusal::Refusal;
use super::setup::CALLBACK_CHARS_MAX;
use super::shared::Shared;
use super::world::{Say, Verdict};
use crate::whatsapp::Target;
use crate::whatsapp::handshake::{HandshakeError, handshake};

/// The body of `POST /{number}`.
#[derive(Deserialize)]
struct Configuration {
    webhook_configuration: Option<Callback>,
}

/// Where to, and what to ask there.
#[derive(Deserialize, Default)]
struct Callback {
    override_callback_uri: Option<String>,
    #[serde(default)]
    verify_token: String,
}

/// `POST /{number}` with `webhook_configuration`; an empty URL takes the override away.
pub(crate) async fn number(
    shared: &Arc<Shared>,
    front: &Front,
    number: &str,
    body: &Bytes,
) -> Result<Verdict, Refusal> {
    shared.world().know(number)?;
    let wanted: Configuration = read(body)?;
    let Some(callback) = wanted.webhook_configuration else {
        return Err(Refusal::because(100, "The parameter webhook_configuration is required."));
    };
    let Some(url) = callback.override_callback_uri.clone() else {
        return Err(Refusal::because(100, "The parameter override_callback_uri is required."));
    };
    let verdict = agreed(shared, front);
    if matches!(verdict.say, Say::Yes(_)) {
        let to = if url.is_empty() { None } else { Some(verified(shared, url, &callback).await?) };
        shared.redirects().set_number(number, to);
    }
    Ok(verdict)
}

/// `POST /{account}/subscribed_apps`: subscribes the store's app, with an override or, where none is
/// named, without.
pub(crate) async fn account(shared: &Arc<Shared>, front: &Front, body: &Bytes) -> Result<Verdict, Refusal> {
    let callback: Callback = if body.is_empty() { Callback::default() } else { read(body)? };
    let verdict = agreed(shared, front);
    if matches!(verdict.say, Say::Yes(_)) {
        let url = callback.override_callback_uri.clone().filter(|url| !url.is_empty());
        let to = match url {
            Some(url) => Some(verified(shared, url, &callback).await?),
            None => None,
        };
        shared.redirects().set_account(to);
        shared.world().setup.subscribed = true;
    }
    Ok(verdict)
}

fn read<'a, T: Deserialize<'a>>(body: &'a Bytes) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|_| Refusal::because(100, "The body is not valid JSON."))
}

/// What the behaviours make of such a call.
fn agreed(shared: &Shared, front: &Front) -> Verdict {
    shared.world().other(front.place, |_| Say::Yes(json!({ "success": true })))
}

/// Does what Meta does before it takes a URL.
async fn verified(shared: &Shared, url: String, callback: &Callback) -> Result<(String, Target), Refusal> {
    if url.chars().count() > CALLBACK_CHARS_MAX {
        let why =
            format!("Param override_callback_uri must be at most {CALLBACK_CHARS_MAX} characters long.");
        return Err(Refusal::because(100, why));
    }
    let failed = |why: String| Refusal::because(2_200, format!("Callback verification failed: {why}"));
    let target = Target::parse(&url).map_err(|why| failed(why.to_string()))?;
    let seed = shared.world().next_number();
    match handshake(&url, &callback.verify_token, shared.seed() ^ seed).await {
        Ok(_) => Ok((url, target)),
        Err(HandshakeError::Refused(status)) => Err(failed(format!(
            "HTTP Status Code = {status}; the callback URL or the verify token couldn't be validated."
        ))),
        Err(why) => Err(failed(why.to_string())),
    }
}
