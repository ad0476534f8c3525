//! Whether WhatsApp and the CRM can be reached, and how quickly they answer.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::Value;

use super::finding::{Check, Finding};
use super::graph;
use super::unheard::{Side, Unheard};
use super::world::{Heard, World, ask};
use crate::config::{CrmEndpoint, Health};
use crate::demo::text::time;

pub(super) async fn check(world: &World) -> Vec<Finding> {
    let config = &world.config;
    let whatsapp = join_all(config.whatsapp.endpoints.iter().map(|endpoint| async move {
        let number = graph::number_of(config, endpoint);
        let heard = graph::probe(world, endpoint, number).await;
        let meta = graph::is_meta(endpoint);
        judge_whatsapp(&endpoint.name, meta, &heard, config.whatsapp.health)
    }));
    let crm = join_all(config.crm.endpoints.iter().map(|endpoint| async move {
        let heard = probe_crm(world, endpoint).await;
        judge_crm(&endpoint.name, &heard, config.crm.health)
    }));
    let (mut findings, crm) = futures_util::future::join(whatsapp, crm).await;
    findings.extend(crm);
    if findings.is_empty() {
        findings.push(Finding::skip(
            Check::Reach,
            "no endpoints are configured: nothing is sent, and the CRM pulls",
        ));
    }
    findings
}

async fn probe_crm(world: &World, endpoint: &CrmEndpoint) -> Result<Heard, Unheard> {
    let mut url = endpoint.url.clone();
    if let Some(path) = &world.config.crm.health_path {
        url.set_path(path);
        url.set_query(None);
    }
    ask(world.http.get(url)).await
}

/// `meta` is Graph itself, which says how the number is.
pub(super) fn judge_whatsapp(
    name: &str,
    meta: bool,
    heard: &Result<Heard, Unheard>,
    health: Health,
) -> Finding {
    let finding = match heard {
        Err(why) => unreachable(why, Side::Internet),
        Ok(heard) if heard.status >= 500 || (300..400).contains(&heard.status) => answers_badly(heard)
            .next("see metastatus.com, or the provider's page; the box tries another endpoint by itself"),
        Ok(heard) if matches!(heard.status, 401 | 403) && !meta => Finding::fail(
            Check::Reach,
            format!("it refuses the key (HTTP {})", heard.status),
        )
        .next(
            "ask the provider for the number's key, put it into the token's file, `systemctl reload wagate`",
        )
        .latency(heard.took),
        Ok(heard) if heard.status == 200 && heard.body["health_status"].is_object() => {
            of_number(heard, &heard.body["health_status"], health)
        }
        Ok(heard) if heard.status == 200 && meta && !heard.body.is_object() => {
            Finding::fail(Check::Reach, "what answers there isn't WhatsApp")
                .next(
                    "correct the endpoint's url; or something in between (a login page) answers in its stead",
                )
                .latency(heard.took)
        }
        Ok(heard) => {
            let finding = by_latency(heard.took, health);
            if heard.status >= 400 && meta {
                finding.detail(format!("It didn't say how the number is: {}.", graph::refusal(heard).0))
            } else {
                finding
            }
        }
    };
    finding.about(name)
}

/// Any answer under 500 is one of a program that works: what it thinks of records is another line's.
pub(super) fn judge_crm(name: &str, heard: &Result<Heard, Unheard>, health: Health) -> Finding {
    let finding = match heard {
        Err(why) => unreachable(why, Side::Crm),
        Ok(heard) if heard.status >= 500 => {
            answers_badly(heard).next("see the CRM's own log; records wait on disk until it is well")
        }
        Ok(heard) => by_latency(heard.took, health),
    };
    finding.about(name)
}

fn unreachable(why: &Unheard, side: Side) -> Finding {
    Finding::fail(Check::Reach, format!("can't be reached: {}", why.words())).next(why.next(side))
}

fn answers_badly(heard: &Heard) -> Finding {
    Finding::fail(Check::Reach, format!("answers with HTTP {} in {}", heard.status, time(heard.took)))
        .latency(heard.took)
}

fn by_latency(took: Duration, health: Health) -> Finding {
    let words = format!("answers in {}", time(took));
    let finding = if took > health.slow {
        Finding::warn(Check::Reach, words)
            .detail(format!(
                "Over {} counts as a strike: {} of them, and the next endpoint is used.",
                time(health.slow),
                health.strikes
            ))
            .next("see what else uses the line; where it is always so, raise `slow` in the configuration")
    } else if took > health.normal {
        Finding::ok(Check::Reach, format!("{words}, slower than the usual {}", time(health.normal)))
    } else {
        Finding::ok(Check::Reach, words)
    };
    finding.latency(took)
}

/// What WhatsApp says of the number.
fn of_number(heard: &Heard, health_status: &Value, health: Health) -> Finding {
    let sum = health_status["can_send_message"].as_str().unwrap_or_default();
    let finding = match sum {
        "BLOCKED" => Finding::fail(
            Check::Reach,
            format!("answers in {}; WhatsApp lets this number send nothing", time(heard.took)),
        ),
        "LIMITED" => Finding::warn(
            Check::Reach,
            format!("answers in {}; WhatsApp limits what this number sends", time(heard.took)),
        ),
        _ => return by_latency(heard.took, health).fact("can_send_message", sum),
    };
    let finding = finding.latency(heard.took).fact("can_send_message", sum);
    match complaint(health_status) {
        Some((what, solution)) => finding.detail(what).next(solution),
        None => finding.next("see the number in WhatsApp Manager, Account tools, Phone numbers"),
    }
}

/// The first thing that WhatsApp complains of, and what it suggests.
fn complaint(health_status: &Value) -> Option<(String, String)> {
    let entities = health_status["entities"].as_array()?;
    let entity = entities.iter().find(|entity| {
        entity["can_send_message"] != "AVAILABLE"
            && entity["errors"].as_array().is_some_and(|list| !list.is_empty())
    })?;
    let whose = match entity["entity_type"].as_str()? {
        "PHONE_NUMBER" => "the number",
        "WABA" => "the WhatsApp account",
        "BUSINESS" => "the business",
        "APP" => "the app",
        _ => "something else",
    };
    let error = entity["errors"].as_array()?.first()?;
    let text = |name: &str| error[name].as_str().map(str::to_owned);
    let code = error["error_code"].as_i64().map_or(String::new(), |code| format!(" (code {code})"));
    let what = format!("It's about {whose}{code}: {}", text("error_description").unwrap_or_default());
    let solution = text("possible_solution")
        .unwrap_or_else(|| "see the number in WhatsApp Manager, Account tools, Phone numbers".to_owned());
    Some((what, solution))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::finding::State;
    use super::*;

    fn health() -> Health {
        let ms = Duration::from_millis;
        Health {
            every: ms(3_600_000),
            recheck: ms(10_000),
            normal: ms(800),
            slow: ms(1_500),
            strikes: 3,
            recover: 3,
            timeout: ms(5_000),
        }
    }

    fn heard(status: u16, body: Value, ms: u64) -> Result<Heard, Unheard> {
        Ok(Heard { status, body, took: Duration::from_millis(ms), date: None })
    }

    fn number(sum: &str) -> Value {
        json!({ "id": "1", "health_status": { "can_send_message": sum } })
    }

    #[test]
    fn an_answer_of_whatsapp_is_judged_as_failover_judges_it() {
        let refused = json!({ "error": { "code": 190, "message": "Malformed access token s3cret" } });
        for (meta, heard, state) in [
            (true, heard(200, number("AVAILABLE"), 85), State::Ok),
            (true, heard(200, number("AVAILABLE"), 1_500), State::Ok),
            (true, heard(200, number("AVAILABLE"), 1_501), State::Warn),
            (true, heard(200, number("LIMITED"), 85), State::Warn),
            (true, heard(200, number("BLOCKED"), 85), State::Fail),
            (true, heard(200, Value::Null, 85), State::Fail),
            // The token has a line of its own.
            (true, heard(401, refused.clone(), 85), State::Ok),
            (false, heard(401, refused, 85), State::Fail),
            (false, heard(404, Value::Null, 85), State::Ok),
            (true, heard(302, Value::Null, 85), State::Fail),
            (false, heard(502, Value::Null, 85), State::Fail),
            (true, Err(Unheard::Silent), State::Fail),
        ] {
            let finding = judge_whatsapp("meta", meta, &heard, health());
            assert_eq!(finding.state, state, "{meta} {heard:?}");
            assert_eq!(finding.next.is_some(), state != State::Ok);
            assert!(!format!("{finding:?}").contains("s3cret"));
        }
    }

    #[test]
    fn a_crm_that_answers_at_all_is_there() {
        for (heard, state) in [
            (heard(200, Value::Null, 3), State::Ok),
            (heard(405, Value::Null, 3), State::Ok),
            (heard(401, Value::Null, 3), State::Ok),
            (heard(404, Value::Null, 1_600), State::Warn),
            (heard(500, Value::Null, 3), State::Fail),
            (Err(Unheard::Refused), State::Fail),
        ] {
            assert_eq!(judge_crm("primary", &heard, health()).state, state, "{heard:?}");
        }
    }

    #[test]
    fn what_blocks_a_number_is_told_with_metas_own_advice() {
        let entities = json!([
            { "entity_type": "PHONE_NUMBER", "id": "1", "can_send_message": "AVAILABLE" },
            { "entity_type": "WABA", "id": "2", "can_send_message": "BLOCKED", "errors": [{
                "error_code": 141006, "error_description": "There's an error with the payment method.",
                "possible_solution": "Add a payment method to the account." }] },
        ]);
        let body = json!({ "health_status": { "can_send_message": "BLOCKED", "entities": entities } });
        let finding = judge_whatsapp("meta", true, &heard(200, body, 85), health());
        let detail =
            "It's about the WhatsApp account (code 141006): There's an error with the payment method.";
        assert_eq!(finding.detail.as_deref(), Some(detail));
        assert_eq!(finding.next.as_deref(), Some("Add a payment method to the account."));
    }
}
