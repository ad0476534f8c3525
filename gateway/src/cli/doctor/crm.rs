//! Whether the CRM takes a record: a round trip with an event that says that it is a test.

use std::time::Duration;

use egress::SigningSecrets;
use futures_util::future::join_all;
use model::WallTime;
use model::signature::standard_webhooks::SigningSecret;
use reqwest::header::CONTENT_TYPE;
use ring::rand::{SecureRandom as _, SystemRandom};
use serde_json::json;

use super::finding::{Check, Finding};
use super::unheard::{Side, Unheard};
use super::world::{Heard, World, ask};
use crate::clock;
use crate::config::CrmEndpoint;
use crate::demo::text::time;

/// So much of an endpoint's own time is waited for at most: more than the 10 s that it has where nothing else is
/// said, and less than a check has.
const ROUND_TRIP_WITHIN: Duration = Duration::from_secs(12);
/// The type of a test event; no record of a customer has it.
pub(super) const TYPE: &str = "wagate.test.v1";

pub(super) async fn check(world: &World) -> Vec<Finding> {
    let crm = &world.config.crm;
    if crm.endpoints.is_empty() {
        return vec![Finding::skip(Check::Crm, "no endpoint is configured: the CRM pulls")];
    }
    let secrets = crm.signing_secret.iter().filter_map(|secret| SigningSecret::parse(secret.expose()).ok());
    let secrets = SigningSecrets::new(secrets.collect());
    join_all(crm.endpoints.iter().map(|endpoint| {
        let secrets = &secrets;
        async move {
            let heard = post(world, endpoint, secrets).await;
            judge(&heard, !crm.signing_secret.is_empty()).about(&endpoint.name)
        }
    }))
    .await
}

async fn post(world: &World, endpoint: &CrmEndpoint, secrets: &SigningSecrets) -> Result<Heard, Unheard> {
    let mut chance = [0; 8];
    let no_chance = |_| Unheard::Other("the system gives no random numbers".to_owned());
    SystemRandom::new().fill(&mut chance).map_err(no_chance)?;
    let id = format!("doctor-{:016x}", u64::from_le_bytes(chance));
    let now = clock::now();
    let body = event(&id, now);
    let timestamp = now.0.div_euclid(1_000);
    let mut signatures = Vec::new();
    secrets.sign(&id, timestamp, body.as_bytes(), |_, signature| signatures.push(signature.to_owned()));
    let mut request = world
        .trusting(endpoint.ca.as_ref())?
        .post(endpoint.url.clone())
        .header(CONTENT_TYPE, "application/cloudevents+json")
        .header("webhook-id", &id)
        .header("idempotency-key", &id)
        .header("webhook-timestamp", timestamp);
    if !signatures.is_empty() {
        request = request.header("webhook-signature", signatures.join(" "));
    }
    ask(request.body(body), endpoint.timeout.min(ROUND_TRIP_WITHIN)).await
}

/// The event, which is nobody's: no subject, no sequence.
fn event(id: &str, now: WallTime) -> String {
    let sent_at = now.rfc3339_millis();
    json!({
        "specversion": "1.0",
        "id": id,
        "source": "/wagate",
        "type": TYPE,
        "time": sent_at,
        "datacontenttype": "application/json",
        "data": { "test": true, "sent_at": sent_at },
    })
    .to_string()
}

/// What the CRM's answer to the test event means; `signed` where the event was.
pub(super) fn judge(heard: &Result<Heard, Unheard>, signed: bool) -> Finding {
    let heard = match heard {
        Ok(heard) => heard,
        Err(why) => {
            return Finding::fail(Check::Crm, format!("the test event didn't get there: {}", why.words()))
                .next(why.next(Side::Crm));
        }
    };
    let (status, took) = (heard.status, heard.took);
    let finding = match status {
        200..=299 | 409 => {
            let how = if signed { "" } else { " (unsigned: there is no `crm.signing_secret`)" };
            Finding::ok(Check::Crm, format!("takes the test event in {}{how}", time(took)))
        }
        401 | 403 => Finding::fail(Check::Crm, format!("doesn't let the test event in (HTTP {status})"))
            .detail("Deliveries to it wait until it lets them in.")
            .next(if signed {
                "compare `crm.signing_secret` with the CRM's own, and the clocks of both; then the CRM's access rules"
            } else {
                "the CRM wants signed deliveries: give both sides one secret, here as `crm.signing_secret`"
            }),
        408 | 425 | 429 => Finding::warn(Check::Crm, format!("is too busy for the test event (HTTP {status})"))
            .next("records wait and are sent again; where it stays so, the CRM needs more room"),
        300..=399 => Finding::fail(Check::Crm, format!("sends the test event elsewhere (HTTP {status}), which is never followed"))
            .next("write the final address into the endpoint's url"),
        404 | 405 => Finding::fail(Check::Crm, format!("takes nothing at that address (HTTP {status})"))
            .next("compare the endpoint's url with the address at which the CRM takes POSTs"),
        400..=499 => Finding::warn(Check::Crm, format!("refuses the test event (HTTP {status})"))
            .detail("It must ignore types that it doesn't know with a 2xx, or each new kind of record becomes a dead letter.")
            .next(format!("have the CRM answer 200 to types that it doesn't know, {TYPE} among them; docs/formats/deliveries.md")),
        _ => Finding::fail(Check::Crm, format!("fails at the test event (HTTP {status})"))
            .next("see the CRM's own log"),
    };
    finding.latency(took).fact("status", status)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::finding::State;
    use super::*;

    #[test]
    fn every_answer_of_the_crm_has_its_meaning() {
        for (codes, state) in [
            (&[200, 201, 202, 204, 409][..], State::Ok),
            (&[400, 410, 415, 422, 429, 408], State::Warn),
            (&[301, 308, 401, 403, 404, 405, 500, 503, 599, 199], State::Fail),
        ] {
            for status in codes {
                let heard =
                    Ok(Heard { status: *status, body: Value::Null, took: Duration::ZERO, date: None });
                for signed in [false, true] {
                    let finding = judge(&heard, signed);
                    assert_eq!(finding.state, state, "{status}");
                    assert_eq!(finding.next.is_some(), state != State::Ok, "{status}");
                }
            }
        }
        assert_eq!(judge(&Err(Unheard::Refused), true).state, State::Fail);
    }

    #[test]
    fn the_event_says_that_it_is_a_test_and_is_nobodys() {
        let event: Value = serde_json::from_str(&event("doctor-1", WallTime(1_795_214_596_042))).unwrap();
        let expected = json!({
            "specversion": "1.0", "id": "doctor-1", "source": "/wagate", "type": "wagate.test.v1",
            "time": "2026-11-20T22:43:16.042Z", "datacontenttype": "application/json",
            "data": { "test": true, "sent_at": "2026-11-20T22:43:16.042Z" },
        });
        assert_eq!(event, expected);
    }
}
