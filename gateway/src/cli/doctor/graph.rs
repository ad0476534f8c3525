//! Questions to WhatsApp: the one seam between checks and endpoints.

use reqwest::Url;
use serde_json::Value;

use super::unheard::Unheard;
use super::world::{Heard, World, ask};
use crate::config::{Config, WhatsAppEndpoint};

/// Where messages go on Meta's own hosts. A provider that has another path isn't asked Meta's questions.
const META_PATH: &str = "/{phone_number_id}/messages";

/// Whether the endpoint is Meta's Graph, by whatever host, and can be asked about numbers and tokens.
pub(super) fn is_meta(endpoint: &WhatsAppEndpoint) -> bool {
    endpoint.path == META_PATH && endpoint.header.is_none()
}

/// The endpoint at which Meta can be asked about a number.
pub(super) fn meta_of<'a>(config: &'a Config, number: &str) -> Option<&'a WhatsAppEndpoint> {
    config.whatsapp.endpoints.iter().find(|endpoint| is_meta(endpoint) && serves(endpoint, number))
}

/// The first number that an endpoint serves.
pub(super) fn number_of<'a>(config: &'a Config, endpoint: &WhatsAppEndpoint) -> Option<&'a str> {
    let ids = config.numbers.iter().map(|number| number.phone_number_id.as_str());
    ids.into_iter().find(|id| serves(endpoint, id))
}

fn serves(endpoint: &WhatsAppEndpoint, number: &str) -> bool {
    endpoint.numbers.as_ref().is_none_or(|ids| ids.iter().any(|id| id == number))
}

/// GET of what lies behind the endpoint's url, with its credential.
pub(super) async fn get(
    world: &World,
    endpoint: &WhatsAppEndpoint,
    path: &str,
    query: &[(&str, &str)],
) -> Result<Heard, Unheard> {
    let base = endpoint.url.as_str().trim_end_matches('/');
    let wrong = |_| Unheard::Unsendable("url and path of the endpoint make no URL".to_owned());
    let mut url = Url::parse(&format!("{base}{path}")).map_err(wrong)?;
    if !query.is_empty() {
        url.query_pairs_mut().extend_pairs(query);
    }
    let mut request = world.http.get(url);
    if let Some(token) = &endpoint.token {
        request = match &endpoint.header {
            Some(header) => request.header(header, token.expose()),
            None => request.bearer_auth(token.expose()),
        };
    }
    ask(request).await
}

/// The probe of an endpoint: of Meta's how the number is, of another its own address.
pub(super) async fn probe(
    world: &World,
    endpoint: &WhatsAppEndpoint,
    number: Option<&str>,
) -> Result<Heard, Unheard> {
    match number {
        Some(number) if is_meta(endpoint) => {
            get(world, endpoint, &format!("/{number}"), &[("fields", "health_status")]).await
        }
        _ => get(world, endpoint, "", &[]).await,
    }
}

/// Graph's error code in an answer.
pub(super) fn code(body: &Value) -> Option<i64> {
    body.pointer("/error/code")?.as_i64()
}

/// Why Graph doesn't answer a question, and what to do, in our own words: Graph's may quote the token.
pub(super) fn refusal(heard: &Heard) -> (String, &'static str) {
    let code = code(&heard.body);
    let with_code = |what: &str| match code {
        Some(code) => format!("{what} (HTTP {}, code {code})", heard.status),
        None => format!("{what} (HTTP {})", heard.status),
    };
    match (heard.status, code) {
        (_, Some(190 | 102 | 104 | 463 | 467 | 0)) | (401, _) => (
            with_code("WhatsApp doesn't accept the token: it's missing, expired or revoked"),
            "make a new one (Business Settings, System users), put it into the token's file, `systemctl reload wagate`",
        ),
        (_, Some(3 | 10 | 200..=299)) | (403, _) => (
            with_code("the token may not ask that"),
            "give its system user the app and the WhatsApp account, and the token both whatsapp_business_ permissions",
        ),
        (_, Some(33 | 100)) | (404, _) => (
            with_code("WhatsApp knows no such number, or this token may not see it"),
            "compare `phone_number_id` with App Dashboard, WhatsApp, API Setup; it isn't the phone number itself",
        ),
        (_, Some(4 | 613 | 80_007 | 130_429)) | (429, _) => {
            (with_code("too many calls for the moment"), "wait an hour and run `wagate doctor` again")
        }
        (500.., _) => {
            (with_code("WhatsApp is out of order"), "see metastatus.com; wait, and run `wagate doctor` again")
        }
        _ => (with_code("WhatsApp refuses the question"), "look the code up in Meta's list of error codes"),
    }
}
