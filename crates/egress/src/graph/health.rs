//! What `health_status` says. Pure.

use serde_json::Value;

use super::answer::id;
use super::refusal::{code, words};

/// Entities that are kept; Graph names four of a number.
const ENTITIES_MAX: usize = 16;
/// Errors that are kept of each.
const ERRORS_MAX: usize = 8;

/// Whether messages can be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CanSend {
    /// They can.
    Available,
    /// They can, within limits.
    Limited,
    /// They can't.
    Blocked,
    /// A word that isn't known.
    Other,
}

impl CanSend {
    fn of(word: &str) -> Self {
        match word {
            "AVAILABLE" => Self::Available,
            "LIMITED" => Self::Limited,
            "BLOCKED" => Self::Blocked,
            _ => Self::Other,
        }
    }
}

/// What Graph says of a number's health
/// (<https://developers.facebook.com/docs/whatsapp/cloud-api/health-status>).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthStatus {
    /// In sum.
    pub can_send: CanSend,
    /// Of each that a message passes, at most 16.
    pub entities: Vec<HealthEntity>,
}

/// One of those that a message passes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthEntity {
    /// `PHONE_NUMBER`, `WABA`, `BUSINESS`, `APP`, ...
    pub kind: String,
    /// Its id; `None` where Graph doesn't say.
    pub id: Option<String>,
    /// Whether messages pass it.
    pub can_send: CanSend,
    /// Why they don't, at most 8.
    pub errors: Vec<HealthError>,
    /// Why they are limited, in Graph's words, at most 8.
    pub notes: Vec<String>,
}

/// Why an entity is blocked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthError {
    /// Meta's code; `None` where it says none.
    pub code: Option<i64>,
    /// What is wrong, in Meta's words, at most 500 bytes; may be empty.
    pub description: String,
    /// What to do, in Meta's words, at most 500 bytes; may be empty.
    pub solution: String,
}

impl HealthStatus {
    /// Reads `{"health_status": {can_send_message, entities: [..]}}`; `None` where the sum isn't said.
    /// An entity without a kind or a word is left out.
    pub(super) fn read(answer: &Value) -> Option<Self> {
        let health = answer.get("health_status")?;
        let entities = health.get("entities").and_then(Value::as_array).into_iter().flatten();
        Some(Self {
            can_send: CanSend::of(health.get("can_send_message")?.as_str()?),
            entities: entities.filter_map(HealthEntity::read).take(ENTITIES_MAX).collect(),
        })
    }

    /// Who blocks, and why, in words.
    pub(super) fn blocked_by(&self) -> String {
        let Some(entity) = self.entities.iter().find(|entity| entity.can_send == CanSend::Blocked) else {
            return "nobody says why".to_owned();
        };
        let Some(error) = entity.errors.first() else { return entity.kind.clone() };
        let code = error.code.map_or_else(String::new, |code| format!(" ({code})"));
        format!("{}: {}{code}", entity.kind, error.description)
    }
}

impl HealthEntity {
    fn read(entity: &Value) -> Option<Self> {
        let list = |key| entity.get(key).and_then(Value::as_array).into_iter().flatten();
        Some(Self {
            kind: id(entity.get("entity_type")?)?,
            id: entity.get("id").and_then(id),
            can_send: CanSend::of(entity.get("can_send_message")?.as_str()?),
            errors: list("errors").filter_map(HealthError::read).take(ERRORS_MAX).collect(),
            notes: list("additional_info").filter_map(words).take(ERRORS_MAX).collect(),
        })
    }
}

impl HealthError {
    fn read(error: &Value) -> Option<Self> {
        let error = error.as_object()?;
        let text = |key| error.get(key).and_then(words).unwrap_or_default();
        Some(Self {
            code: error.get("error_code").and_then(code),
            description: text("error_description"),
            solution: text("possible_solution"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<HealthStatus> {
        HealthStatus::read(&serde_json::from_str(text).unwrap())
    }

    #[test]
    fn the_answer_of_the_documentation_is_read_whole() {
        let health = read(
            r#"{"health_status":{"can_send_message":"BLOCKED","entities":[
                {"entity_type":"PHONE_NUMBER","id":"106540352242922","can_send_message":"LIMITED",
                 "can_receive_call_sip":"AVAILABLE","additional_info":["Your display name has not been approved."]},
                {"entity_type":"WABA","id":"102290129340398","can_send_message":"BLOCKED","errors":[
                 {"error_code":141006,"error_description":"Payment","possible_solution":"Pay"},"odd",{}]},
                {"entity_type":"APP","can_send_message":"AVAILABLE"},
                {"id":"1"},7]},"id":"1"}"#,
        );
        let health = health.unwrap();
        assert_eq!((health.can_send, health.entities.len()), (CanSend::Blocked, 3));
        let [number, account, app] = &health.entities[..] else { unreachable!() };
        assert_eq!((&number.kind[..], number.can_send), ("PHONE_NUMBER", CanSend::Limited));
        assert_eq!(number.id.as_deref(), Some("106540352242922"));
        assert_eq!(number.notes, ["Your display name has not been approved."]);
        let payment =
            HealthError { code: Some(141_006), description: "Payment".into(), solution: "Pay".into() };
        assert_eq!((account.errors.len(), &account.errors[0]), (2, &payment));
        assert_eq!((app.id.as_deref(), app.can_send), (None, CanSend::Available));
        assert_eq!(health.blocked_by(), "WABA: Payment (141006)");
    }

    #[test]
    fn what_says_no_sum_says_nothing_and_what_is_long_is_cut() {
        for nonsense in ["{}", "[]", r#"{"health_status":[]}"#, r#"{"health_status":{"can_send_message":1}}"#]
        {
            assert_eq!(read(nonsense), None, "{nonsense}");
        }
        let silent = read(r#"{"health_status":{"can_send_message":"BLOCKED"}}"#).unwrap();
        assert_eq!(silent.blocked_by(), "nobody says why");
        let error = format!(r#"{{"error_description":"{}"}}"#, "x".repeat(9_000));
        let entity = format!(
            r#"{{"entity_type":"APP","can_send_message":"BLOCKED","errors":[{}]}}"#,
            vec![error; 99].join(",")
        );
        let health = format!(
            r#"{{"health_status":{{"can_send_message":"NEW","entities":[{}]}}}}"#,
            vec![entity; 99].join(",")
        );
        let health = read(&health).unwrap();
        assert_eq!((health.can_send, health.entities.len()), (CanSend::Other, ENTITIES_MAX));
        assert_eq!(health.entities[0].errors.len(), ERRORS_MAX);
        assert_eq!(health.entities[0].errors[0].description.len(), 500);
    }
}
