//! Whether WhatsApp and the CRM can be reached, and how quickly they answer: by the probes of failover.

use std::time::Duration;

use egress::crm::Probe as CrmProbe;
use egress::graph::CanSend;
use egress::{Called, Endpoint, Graph, HealthStatus, Probe};
use futures_util::future::{join, join_all};
use policy::failover::Answer;
use tokio::time::Instant;

use super::finding::{Check, Finding};
use super::graph::{self, Trouble};
use super::others::{self, Group};
use super::unheard::{Side, Unheard};
use super::world::{ANSWER_WITHIN, Heard, World, ask};
use crate::config::{CrmEndpoint, Health, WhatsAppEndpoint};
use crate::demo::text::time;

/// Where a number's troubles are shown.
const SEE_NUMBER: &str = "see the number in WhatsApp Manager, Account tools, Phone numbers";

pub(super) async fn check(world: &World) -> Vec<Finding> {
    let config = &world.config;
    let whatsapp = world.whatsapp().map(|(endpoint, graph)| of_whatsapp(world, endpoint, graph));
    let crm = config.crm.endpoints.iter().map(|endpoint| of_crm(world, endpoint));
    let (mut findings, crm) = join(join_all(whatsapp), join_all(crm)).await;
    findings.extend(crm);
    if findings.is_empty() {
        let why = "no endpoints are configured: nothing is sent, and the CRM pulls";
        return vec![Finding::skip(Check::Reach, why)];
    }
    others::tell(&mut findings, &Group::all(config));
    findings
}

/// How long a probe is waited for.
fn patience(health: Health) -> Duration {
    health.timeout.min(ANSWER_WITHIN)
}

async fn of_whatsapp(world: &World, endpoint: &WhatsAppEndpoint, graph: &Graph) -> Finding {
    let health = world.config.whatsapp.health;
    let is_graph = graph.endpoint().is_graph();
    let Some(number) = graph::number_of(&world.config, endpoint) else {
        return Finding::skip(Check::Reach, "it serves none of the [[numbers]]").about(&endpoint.name);
    };
    // Failover needs a word only; what stands behind it is for people.
    let (probe, status) = join(graph.probe(number, patience(health)), async {
        if is_graph { Some(graph::heard(endpoint, graph.health(number).await)) } else { None }
    })
    .await;
    judge_whatsapp(&probe, status.as_ref(), health).about(&endpoint.name)
}

/// `status` is what the same endpoint says of the number; `None` for a provider's, which says nothing.
pub(super) fn judge_whatsapp(
    probe: &Called<Probe>,
    status: Option<&Result<HealthStatus, Trouble>>,
    health: Health,
) -> Finding {
    let took = probe.latency;
    match (&probe.outcome, status) {
        (Probe::Failed { reason, .. }, _) => match probe.status {
            // An answer that came whole, and is none of an endpoint that works.
            Some(code @ 500..) => {
                answers_badly(code, took).next("see metastatus.com, or the provider's page")
            }
            _ => unreachable(&Unheard::read(reason, patience(health)), Side::Internet),
        },
        (Probe::Blocked { reason }, _) => {
            let finding = Finding::fail(
                Check::Reach,
                format!("answers in {}; this number may send nothing", time(took)),
            );
            let finding = match complaint(status) {
                Some((what, next)) => finding.detail(what).next(next),
                None => finding.detail(format!("{reason}.")).next(SEE_NUMBER),
            };
            finding.latency(took).fact("can_send_message", "BLOCKED")
        }
        (Probe::Neutral { reason }, None) => no_key(probe.status, reason, took),
        // For failover any answer will do; a person wants to know which.
        (Probe::Good, None) if matches!(probe.status, Some(401 | 403 | 407 | 429)) => {
            no_key(probe.status, "", took)
        }
        (Probe::Neutral { .. } | Probe::Good, Some(Ok(status))) => of_number(status, took, health),
        (Probe::Neutral { .. } | Probe::Good, Some(Err(Trouble::Refused(refusal)))) => {
            by_latency(took, health)
                .detail(format!("It didn't say how the number is: {}.", graph::refusal(refusal).0))
        }
        (Probe::Neutral { .. } | Probe::Good, Some(Err(Trouble::Unheard(why)))) => comes_and_goes(why, took),
        (Probe::Good, None) => by_latency(took, health),
    }
}

/// A provider answers, and not to us.
fn no_key(status: Option<u16>, reason: &str, took: Duration) -> Finding {
    let finding = match status {
        None => return unreachable(&Unheard::Unsendable(reason.to_owned()), Side::Internet),
        Some(429) => Finding::warn(Check::Reach, "too many calls for the moment (HTTP 429)")
            .next("wait an hour and run `wagate doctor` again"),
        Some(code @ (401 | 407)) => Finding::fail(Check::Reach, format!("it refuses the key (HTTP {code})"))
            .detail("Nothing can be sent through it.")
            .next("ask the provider for the number's key, put it into the token's file, `systemctl reload wagate`"),
        // That is what 360dialog says of whatever it has no call for, such as its bare url.
        Some(code) => Finding::ok(Check::Reach, format!("answers in {}", time(took)))
            .detail(format!("Whether it takes the key only a message shows: to all else it says HTTP {code}.")),
    };
    finding.latency(took)
}

async fn of_crm(world: &World, endpoint: &CrmEndpoint) -> Finding {
    let (crm, health) = (&world.config.crm, world.config.crm.health);
    let within = patience(health).min(endpoint.timeout);
    let roots = endpoint.ca.as_ref().map_or_else(Vec::new, |roots| roots.pem.clone());
    let path = crm.health_path.as_deref();
    let probe = Endpoint::new(&endpoint.name, endpoint.url.as_str())
        .map_err(anyhow::Error::from)
        .map(|endpoint| endpoint.with_timeout(within).with_roots(roots))
        .and_then(|endpoint| Ok(CrmProbe::new(&endpoint, path, &world.clients)?));
    let probe = match probe {
        Ok(probe) => probe,
        Err(error) => {
            return unreachable(&Unheard::Unsendable(error.to_string()), Side::Crm).about(&endpoint.name);
        }
    };
    let begun = Instant::now();
    let finding = match probe.ask().await {
        Answer::Good => by_latency(begun.elapsed(), health),
        // The probe doesn't say why.
        Answer::Neutral | Answer::Failed | Answer::Blocked => {
            judge_crm(&once_more(world, endpoint, within).await)
        }
    };
    finding.about(&endpoint.name)
}

async fn once_more(world: &World, endpoint: &CrmEndpoint, within: Duration) -> Result<Heard, Unheard> {
    let mut url = endpoint.url.clone();
    if let Some(path) = &world.config.crm.health_path {
        url.set_path(path);
        url.set_query(None);
    }
    ask(world.trusting(endpoint.ca.as_ref())?.get(url), within).await
}

/// What came of a second question, where the probe wasn't good.
pub(super) fn judge_crm(heard: &Result<Heard, Unheard>) -> Finding {
    match heard {
        Err(why) => unreachable(why, Side::Crm),
        Ok(heard) if heard.status >= 500 => {
            answers_badly(heard.status, heard.took).next("see the CRM's own log")
        }
        Ok(heard) => Finding::warn(
            Check::Reach,
            format!("failed at first, and answers in {} when asked again", time(heard.took)),
        )
        .next("run `wagate doctor` again; where it stays so, see the CRM's own log and the network between")
        .latency(heard.took),
    }
}

fn comes_and_goes(why: &Unheard, took: Duration) -> Finding {
    let words = format!("answers in {}, and not when asked again: {}", time(took), why.words());
    Finding::warn(Check::Reach, words)
        .next("run `wagate doctor` again; where it stays so, see what else uses the line")
        .latency(took)
}

fn unreachable(why: &Unheard, side: Side) -> Finding {
    // Something else can.
    let reached = matches!(why, Unheard::NotGraph | Unheard::NotHttp);
    let words = if reached { why.words() } else { format!("can't be reached: {}", why.words()) };
    Finding::fail(Check::Reach, words).next(why.next(side))
}

fn answers_badly(status: u16, took: Duration) -> Finding {
    Finding::fail(Check::Reach, format!("answers with HTTP {status} in {}", time(took))).latency(took)
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

/// What WhatsApp says of a number that isn't blocked.
fn of_number(status: &HealthStatus, took: Duration, health: Health) -> Finding {
    let finding = by_latency(took, health);
    match status.can_send {
        CanSend::Limited => {
            let words = format!("answers in {}; this number may send only so much", time(took));
            let limited =
                Finding::warn(Check::Reach, words).latency(took).fact("can_send_message", "LIMITED");
            match complaint(Some(&Ok(status.clone()))) {
                Some((what, next)) => limited.detail(what).next(next),
                None => limited.next(SEE_NUMBER),
            }
        }
        CanSend::Available => finding.fact("can_send_message", "AVAILABLE"),
        CanSend::Blocked | CanSend::Other => finding,
    }
}

/// The first thing that WhatsApp complains of, and what it suggests.
fn complaint(status: Option<&Result<HealthStatus, Trouble>>) -> Option<(String, String)> {
    let entities = &status?.as_ref().ok()?.entities;
    let ill = entities.iter().filter(|entity| entity.can_send != CanSend::Available);
    let (entity, error) = ill.filter_map(|entity| Some((entity, entity.errors.first()?))).next()?;
    let whose = match entity.kind.as_str() {
        "PHONE_NUMBER" => "the number",
        "WABA" => "the WhatsApp account",
        "BUSINESS" => "the business",
        "APP" => "the app",
        _ => "something else",
    };
    let code = error.code.map_or(String::new(), |code| format!(" (code {code})"));
    let what = format!("It's about {whose}{code}: {}", error.description);
    let next = Some(error.solution.clone()).filter(|solution| !solution.is_empty());
    Some((what, next.unwrap_or_else(|| SEE_NUMBER.to_owned())))
}

#[cfg(test)]
pub(super) mod tests {
    use egress::graph::{HealthEntity, HealthError};
    use model::Refusal;
    use serde_json::Value;

    use super::super::finding::State;
    use super::*;

    pub(in super::super) fn health() -> Health {
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

    pub(in super::super) fn probed(outcome: Probe, status: Option<u16>, ms: u64) -> Called<Probe> {
        Called { outcome, latency: Duration::from_millis(ms), date_ms: None, throttle: None, status }
    }

    pub(in super::super) fn failed(status: Option<u16>, reason: &str) -> Called<Probe> {
        probed(Probe::Failed { reason: reason.to_owned(), unsent: status.is_none() }, status, 85)
    }

    pub(in super::super) fn neutral(status: u16) -> Called<Probe> {
        probed(Probe::Neutral { reason: "Malformed access token s3cret".to_owned() }, Some(status), 85)
    }

    pub(in super::super) fn blocked() -> Called<Probe> {
        probed(Probe::Blocked { reason: "WABA: no (1)".to_owned() }, Some(200), 85)
    }

    /// What WhatsApp says of a number; the account has the errors.
    pub(in super::super) fn number(sum: CanSend, errors: Vec<HealthError>) -> Result<HealthStatus, Trouble> {
        let entity = HealthEntity {
            kind: "WABA".to_owned(),
            id: Some("2".to_owned()),
            can_send: sum,
            errors,
            notes: Vec::new(),
        };
        Ok(HealthStatus { can_send: sum, entities: vec![entity] })
    }

    pub(in super::super) fn payment() -> HealthError {
        HealthError {
            code: Some(141_006),
            description: "There is an error with the payment method.".to_owned(),
            solution: "Add a payment method to the account.".to_owned(),
        }
    }

    pub(in super::super) fn refused(http: u16, code: i64) -> Trouble {
        let details = "Malformed access token s3cret".to_owned();
        Trouble::Refused(Refusal { code: Some(code), details, http: Some(http), ..Refusal::default() })
    }

    #[test]
    fn an_answer_of_whatsapp_is_judged_as_failover_judges_it() {
        let good = |ms| probed(Probe::Good, Some(200), ms);
        let well = number(CanSend::Available, Vec::new());
        let limited = number(CanSend::Limited, Vec::new());
        let unheard = Err(Trouble::Unheard(Unheard::Broken));
        // The token has a line of its own.
        let no_token = Err(refused(401, 190));
        for (probe, status, state) in [
            (good(85), Some(&well), State::Ok),
            (good(1_500), Some(&well), State::Ok),
            (good(1_501), Some(&well), State::Warn),
            (good(85), Some(&limited), State::Warn),
            (good(85), Some(&unheard), State::Warn),
            (blocked(), Some(&well), State::Fail),
            (neutral(401), Some(&no_token), State::Ok),
            (failed(Some(200), "200: isn't Graph's answer"), Some(&no_token), State::Fail),
            (failed(Some(302), "302: the answer points elsewhere"), Some(&no_token), State::Fail),
            (failed(Some(503), "503: s3cret"), Some(&well), State::Fail),
            (failed(None, "no answer came in time"), Some(&unheard), State::Fail),
            (good(85), None, State::Ok),
            (neutral(401), None, State::Fail),
            (neutral(403), None, State::Ok),
            (neutral(429), None, State::Warn),
            (failed(Some(502), "502: s3cret"), None, State::Fail),
        ] {
            let finding = judge_whatsapp(&probe, status, health());
            assert_eq!(finding.state, state, "{probe:?} {status:?}");
            assert_eq!(finding.next.is_some(), state != State::Ok, "{finding:?}");
            assert!(!format!("{finding:?}").contains("s3cret"), "{finding:?}");
        }
    }

    #[test]
    fn a_crm_whose_probe_failed_is_asked_why() {
        let heard = |status| Ok(Heard { status, body: Value::Null, took: Duration::ZERO, date: None });
        for (heard, state, part) in [
            (heard(404), State::Warn, "when asked again"),
            (heard(500), State::Fail, "HTTP 500"),
            (Err(Unheard::Refused), State::Fail, "connection refused"),
        ] {
            let finding = judge_crm(&heard);
            assert_eq!((finding.state, finding.summary.contains(part)), (state, true), "{finding:?}");
        }
    }

    #[test]
    fn what_blocks_a_number_is_told_with_metas_own_advice() {
        let status = number(CanSend::Blocked, vec![payment()]);
        let finding = judge_whatsapp(&blocked(), Some(&status), health());
        let detail =
            "It's about the WhatsApp account (code 141006): There is an error with the payment method.";
        assert_eq!(finding.detail.as_deref(), Some(detail));
        assert_eq!(finding.next.as_deref(), Some("Add a payment method to the account."));
        let unasked = judge_whatsapp(&blocked(), Some(&Err(Trouble::Unheard(Unheard::Broken))), health());
        assert_eq!(unasked.detail.as_deref(), Some("WABA: no (1)."));
    }
}
