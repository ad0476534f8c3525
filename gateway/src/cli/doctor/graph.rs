//! Questions to WhatsApp: the client that the box itself has, and what its answers mean here.

use std::time::Duration;

use egress::{Called, Graph, GraphSettings};
use model::{Outcome, Refusal};

use super::unheard::Unheard;
use super::world::{ANSWER_WITHIN, World};
use crate::app::product;
use crate::app::sending::endpoint;
use crate::config::{Config, WhatsAppEndpoint};

/// Calls at once, at one endpoint: two for each line of a number and one for the token.
const CALLS: usize = 8;
/// Where a question went unanswered, the probe most likely did as well, and its line says what to do.
pub(super) const SEE_REACH: &str = "see the line on reach";

/// Why a question has no usable answer.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Trouble {
    /// WhatsApp refuses it.
    Refused(Refusal),
    /// None came.
    Unheard(Unheard),
}

/// The box's client of an endpoint, with less patience.
///
/// # Errors
/// When the endpoint can't be used; the configuration was accepted, so that it can.
pub(super) fn client(entry: &WhatsAppEndpoint) -> anyhow::Result<Graph> {
    let endpoint = endpoint(entry)?;
    Ok(Graph::new(endpoint.with_timeout(patience(entry)), GraphSettings::new(product(), CALLS)))
}

/// How long an answer of the endpoint is waited for.
fn patience(entry: &WhatsAppEndpoint) -> Duration {
    entry.timeout.min(ANSWER_WITHIN)
}

/// The endpoint at which Meta can be asked about a number.
pub(super) fn meta_of<'a>(world: &'a World, number: &str) -> Option<(&'a WhatsAppEndpoint, &'a Graph)> {
    world.whatsapp().find(|(entry, graph)| graph.endpoint().is_graph() && entry.serves(number))
}

/// Why Meta can't be asked about a number.
pub(super) fn no_meta(config: &Config, number: &str) -> &'static str {
    if config.whatsapp.serving(number).next().is_some() {
        "a provider's endpoint: Meta can't be asked through it; see the provider's own page"
    } else {
        "no endpoint of WhatsApp serves it, so Meta can't be asked"
    }
}

/// The first number that an endpoint serves.
pub(super) fn number_of<'a>(config: &'a Config, entry: &WhatsAppEndpoint) -> Option<&'a str> {
    let ids = config.numbers.iter().map(|number| number.phone_number_id.as_str());
    ids.into_iter().find(|id| entry.serves(id))
}

/// What an endpoint answered, or why that is of no use.
pub(super) fn heard<T>(entry: &WhatsAppEndpoint, called: Called<Result<T, Outcome>>) -> Result<T, Trouble> {
    called.outcome.map_err(|outcome| match outcome {
        // Graph doesn't redirect.
        Outcome::Refused(Refusal { http: Some(300..=399), .. }) | Outcome::Accepted { .. } => {
            Trouble::Unheard(Unheard::NotGraph)
        }
        Outcome::Refused(refusal) => Trouble::Refused(refusal),
        Outcome::NotSent { reason } | Outcome::Unknown { reason } => {
            Trouble::Unheard(Unheard::read(&reason, patience(entry)))
        }
    })
}

/// Why Graph doesn't answer a question, and what to do, in our own words: Graph's may quote the token.
pub(super) fn refusal(refusal: &Refusal) -> (String, &'static str) {
    let status = refusal.http.unwrap_or_default();
    let with_code = |what: &str| match refusal.code {
        Some(code) => format!("{what} (HTTP {status}, code {code})"),
        None => format!("{what} (HTTP {status})"),
    };
    match (status, refusal.code) {
        (500.., _) => {
            (with_code("WhatsApp is out of order"), "see metastatus.com; wait, and run `wagate doctor` again")
        }
        _ if refuses_token(refusal) => (
            with_code("WhatsApp doesn't accept the token: it's missing, expired or revoked"),
            "make a new one (Business Settings, System users), put it into the token's file, `systemctl reload wagate`",
        ),
        (_, Some(4 | 613 | 80_007 | 130_429)) | (429, _) => {
            (with_code("too many calls for the moment"), "wait an hour and run `wagate doctor` again")
        }
        (_, Some(3 | 10 | 200..=299)) | (403, _) => (
            with_code("the token may not ask that"),
            "give its system user the app and the WhatsApp account, and the token both whatsapp_business_ permissions",
        ),
        (_, Some(33 | 100)) | (404, _) => (
            with_code("WhatsApp knows nothing of what was asked for, or this token may not see it"),
            "compare `url` with Meta's, and `phone_number_id` with App Dashboard, WhatsApp, API Setup; it isn't the phone number itself",
        ),
        _ => (with_code("WhatsApp refuses the question"), "look the code up in Meta's list of error codes"),
    }
}

/// Whether it is the token that is refused, and not the question.
pub(super) fn refuses_token(refusal: &Refusal) -> bool {
    let of_the_session = matches!(refusal.code, Some(0 | 102 | 104 | 190 | 463 | 467));
    refusal.http < Some(500) && (of_the_session || refusal.http == Some(401))
}
