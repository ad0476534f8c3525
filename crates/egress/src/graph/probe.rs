//! Whether an endpoint is well: one question, and what its answer means.

use std::time::Duration;

use model::{Outcome, Refusal};
use policy::sending::{Class, class};
use serde_json::Value;
use tokio::time::Instant;

use super::client::Graph;
use super::health::{CanSend, HealthStatus};
use super::heard::Called;
use super::refusal::refusal;

/// What a probe says of its endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probe {
    /// It answers; how well is said by the latency.
    Good,
    /// It answers that nothing can be sent.
    Blocked {
        /// What it gives for a reason, in words.
        reason: String,
    },
    /// It answers, and says nothing of its health: throttled, or the token isn't let in. Another
    /// endpoint would be no remedy.
    Neutral {
        /// Why, in words.
        reason: String,
    },
    /// No answer, or none of an endpoint that works.
    Failed {
        /// Why, in words.
        reason: String,
        /// It surely never left the box.
        unsent: bool,
    },
}

/// What an endpoint is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Question {
    /// Graph: its `health_status`.
    Health,
    /// A provider, which has no such field: whether it answers at all.
    Anything,
}

impl Graph {
    /// Asks the endpoint whether it is well, over a connection of its own: name, TCP, certificate and
    /// answer as they are now. `timeout` is that of all of it together.
    ///
    /// The latency is measured from the beginning of the call. That a probe is unanswered after a
    /// shorter time is for the caller to notice: pin the future, select on it and on a timer, and go
    /// on waiting for it when the timer was first. Dropping it hangs up.
    pub async fn probe(&self, number: &str, timeout: Duration) -> Called<Probe> {
        let endpoint = self.endpoint();
        let (place, question) = if endpoint.is_graph() {
            (endpoint.node(number, "", &["health_status"]), Question::Health)
        } else {
            (Ok(endpoint.url().clone()), Question::Anything)
        };
        let url = match place {
            Ok(url) => url,
            // The configuration's fault, and the same at every endpoint.
            Err(reason) => return unasked(Probe::Neutral { reason: reason.to_owned() }),
        };
        let wire = match self.fresh(timeout) {
            Ok(wire) => wire,
            Err(error) => return unasked(Probe::Failed { reason: error.to_string(), unsent: true }),
        };
        // What the first of all spends on reading certificates isn't the endpoint's.
        let begun = Instant::now();
        let request = endpoint.sign(wire.client.get(url));
        let heard = wire.exchange(endpoint, request, begun).await;
        heard.judged(|heard| match heard {
            Ok((head, body)) => judge(question, head.status, body),
            Err(outcome) => {
                let unsent = matches!(outcome, Outcome::NotSent { .. });
                Probe::Failed { reason: silence(outcome), unsent }
            }
        })
    }
}

const fn unasked(probe: Probe) -> Called<Probe> {
    Called::unanswered(probe, Duration::ZERO)
}

fn silence(outcome: Outcome) -> String {
    match outcome {
        Outcome::NotSent { reason } | Outcome::Unknown { reason } => reason,
        Outcome::Refused(refusal) => refusal.details,
        Outcome::Accepted { .. } => "no answer came".to_owned(),
    }
}

/// What an answer that came whole means.
fn judge(question: Question, status: u16, body: &[u8]) -> Probe {
    match (question, status) {
        (Question::Health, 200..=299) => healthy(status, body),
        // Nothing says what a provider answers there; that it answers is all that is asked.
        (Question::Anything, 200..=499) => Probe::Good,
        // Graph doesn't redirect: this is a captive portal, or a wrong address.
        (Question::Health, 300..=399) => failed(status, "the answer points elsewhere"),
        (Question::Health, 400..=599) => refused(status, body),
        (Question::Anything, 500..=599) => failed(status, &refusal(body).details),
        _ => failed(status, "is no status of an answer"),
    }
}

/// A field that Graph leaves out says nothing against the endpoint; what isn't Graph's answer does
/// (a captive portal says 200 to everything).
fn healthy(status: u16, body: &[u8]) -> Probe {
    let answer: Value = serde_json::from_slice(body).unwrap_or_default();
    if !answer.is_object() {
        return failed(status, "isn't Graph's answer");
    }
    match HealthStatus::read(&answer) {
        Some(health) if health.can_send == CanSend::Blocked => Probe::Blocked { reason: health.blocked_by() },
        _ => Probe::Good,
    }
}

/// Refusals are answers: only what a token or a rate is refused for says nothing. Meta gives some of these with 5xx, so
/// the code is asked before the status.
fn refused(status: u16, body: &[u8]) -> Probe {
    let said = refusal(body);
    let class = said.code.map(|code| class(&Refusal { code: Some(code), ..Refusal::default() }));
    let why = if class.is_some_and(Class::is_throttling) || status == 429 {
        "calls are throttled"
    } else if matches!(class, Some(Class::Stop(_)))
        || said.code.is_some_and(is_of_the_session)
        || matches!(status, 401 | 403 | 407)
    {
        "the token can't send"
    } else if status >= 500 {
        return failed(status, &said.details);
    } else {
        return Probe::Good;
    };
    let code = said.code.map_or_else(String::new, |code| format!(", code {code}"));
    Probe::Neutral { reason: format!("{why} ({status}{code}): {}", said.details) }
}

/// Codes of a session that has ended or was changed, which Graph gives for calls that post nothing
/// (<https://developers.facebook.com/docs/graph-api/guides/error-handling>).
const fn is_of_the_session(code: i64) -> bool {
    matches!(code, 102 | 463 | 467)
}

fn failed(status: u16, words: &str) -> Probe {
    Probe::Failed { reason: format!("{status}: {words}"), unsent: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "good";
    const BLOCKED: &str = "blocked";
    const NEUTRAL: &str = "neutral";
    const FAILED: &str = "failed";

    fn word(probe: &Probe) -> &'static str {
        match probe {
            Probe::Good => GOOD,
            Probe::Blocked { .. } => BLOCKED,
            Probe::Neutral { .. } => NEUTRAL,
            Probe::Failed { .. } => FAILED,
        }
    }

    fn health(word: &str) -> String {
        format!(r#"{{"health_status":{{"can_send_message":"{word}","entities":[]}},"id":"1"}}"#)
    }

    fn error(code: i64) -> String {
        format!(r#"{{"error":{{"message":"(#{code}) no","code":{code}}}}}"#)
    }

    #[test]
    fn every_answer_of_graph_has_its_meaning() {
        for (status, body, expected) in [
            (200, health("AVAILABLE"), GOOD),
            (200, health("LIMITED"), GOOD),
            (200, health("A_NEW_WORD"), GOOD),
            (200, health("BLOCKED"), BLOCKED),
            (200, r#"{"id":"1"}"#.to_owned(), GOOD),
            (200, r#"{"health_status":"fine"}"#.to_owned(), GOOD),
            (200, "{}".to_owned(), GOOD),
            (200, "<html>Welcome to Shop WiFi</html>".to_owned(), FAILED),
            (200, "[]".to_owned(), FAILED),
            (200, "true".to_owned(), FAILED),
            (200, r#"{"id":"#.to_owned(), FAILED),
            (200, String::new(), FAILED),
            (204, String::new(), FAILED),
            (301, health("AVAILABLE"), FAILED),
            (302, String::new(), FAILED),
            (304, String::new(), FAILED),
            (307, String::new(), FAILED),
            (400, error(190), NEUTRAL),
            (401, error(190), NEUTRAL),
            (401, String::new(), NEUTRAL),
            (400, error(0), NEUTRAL),
            (400, error(10), NEUTRAL),
            (403, error(10), NEUTRAL),
            (403, error(200), NEUTRAL),
            (403, "<html>Forbidden</html>".to_owned(), NEUTRAL),
            (407, String::new(), NEUTRAL),
            (400, error(102), NEUTRAL),
            (400, error(104), NEUTRAL),
            (400, error(463), NEUTRAL),
            (400, error(467), NEUTRAL),
            (403, error(131_031), NEUTRAL),
            (400, error(4), NEUTRAL),
            (429, error(4), NEUTRAL),
            (400, error(80_007), NEUTRAL),
            (400, error(130_429), NEUTRAL),
            (400, error(141_002), NEUTRAL),
            (429, String::new(), NEUTRAL),
            (400, error(100), GOOD),
            (400, error(999_999), GOOD),
            (404, error(100), GOOD),
            (404, "<html>Not Found</html>".to_owned(), GOOD),
            (400, "nonsense".to_owned(), GOOD),
            (500, error(190), NEUTRAL),
            (500, error(131_045), NEUTRAL),
            (503, error(80_007), NEUTRAL),
            (500, error(1), FAILED),
            (502, "<html>Bad Gateway</html>".to_owned(), FAILED),
            (503, error(2), FAILED),
            (599, String::new(), FAILED),
            (199, String::new(), FAILED),
            (600, String::new(), FAILED),
        ] {
            let probe = judge(Question::Health, status, body.as_bytes());
            assert_eq!(word(&probe), expected, "{status} {body}: {probe:?}");
        }
    }

    #[test]
    fn of_a_provider_any_answer_in_time_will_do() {
        let meta =
            |code| format!(r#"{{"meta":{{"success":false,"http_code":{code},"developer_message":"no"}}}}"#);
        for (status, body, expected) in [
            (200, "<html>Welcome</html>".to_owned(), GOOD),
            (204, String::new(), GOOD),
            (302, String::new(), GOOD),
            (400, meta(400), GOOD),
            (401, meta(401), GOOD),
            (403, meta(403), GOOD),
            (404, meta(404), GOOD),
            (405, String::new(), GOOD),
            (429, meta(429), GOOD),
            (400, error(190), GOOD),
            (500, meta(500), FAILED),
            (502, meta(502), FAILED),
            (100, String::new(), FAILED),
        ] {
            let probe = judge(Question::Anything, status, body.as_bytes());
            assert_eq!(word(&probe), expected, "{status} {body}: {probe:?}");
        }
    }

    #[test]
    fn reasons_say_whose_word_it_is() {
        for (status, body, expected) in [
            (
                400,
                error(190),
                Probe::Neutral { reason: "the token can't send (400, code 190): (#190) no".into() },
            ),
            (429, error(4), Probe::Neutral { reason: "calls are throttled (429, code 4): (#4) no".into() }),
            (503, error(2), Probe::Failed { reason: "503: (#2) no".into(), unsent: false }),
            (
                302,
                String::new(),
                Probe::Failed { reason: "302: the answer points elsewhere".into(), unsent: false },
            ),
            (200, String::new(), Probe::Failed { reason: "200: isn't Graph's answer".into(), unsent: false }),
        ] {
            assert_eq!(judge(Question::Health, status, body.as_bytes()), expected);
        }
        let blocked = r#"{"health_status":{"can_send_message":"BLOCKED","entities":[
            {"entity_type":"APP","id":"1","can_send_message":"AVAILABLE"},
            {"entity_type":"WABA","id":"2","can_send_message":"BLOCKED","errors":[
                {"error_code":141006,"error_description":"There is an error with the payment method."}]}]}}"#;
        let expected = "WABA: There is an error with the payment method. (141006)";
        let probe = judge(Question::Health, 200, blocked.as_bytes());
        assert_eq!(probe, Probe::Blocked { reason: expected.into() });
    }

    #[test]
    fn whatever_comes_is_judged() {
        for status in 0..1000 {
            for question in [Question::Health, Question::Anything] {
                let probe = judge(question, status, b"\xff{");
                assert!(status < 500 || word(&probe) == FAILED, "{status}: {probe:?}");
                assert!((200..500).contains(&status) || word(&probe) == FAILED, "{status}: {probe:?}");
            }
        }
    }
}
