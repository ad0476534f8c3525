//! What an answer means. Pure.

use model::{Outcome, Refusal};
use serde_json::Value;

use super::refusal::refusal;

/// Ids that the other side gives are kept up to this length; the longest known has some 130 bytes.
const ID_BYTES_MAX: usize = 256;

/// Judges an answer that came whole: `take` finds in the body of a 2xx what was asked for.
///
/// A 2xx without it is no answer of Graph's (a captive portal says 200 to everything), and proves
/// neither that the request arrived nor that it didn't.
pub(super) fn judge<T>(
    status: u16,
    body: &[u8],
    retry_after_ms: Option<u64>,
    take: impl FnOnce(&Value) -> Option<T>,
) -> Result<T, Outcome> {
    match status {
        200..=299 => {
            let found = serde_json::from_slice(body).ok().and_then(|answer| take(&answer));
            found.ok_or_else(|| Outcome::Unknown { reason: format!("a {status} that isn't Graph's answer") })
        }
        300..=399 => Err(Outcome::Refused(Refusal {
            details: "the answer points elsewhere, which isn't followed: check the endpoint's url".to_owned(),
            http: Some(status),
            retry_after_ms,
            ..Refusal::default()
        })),
        400..=599 => Err(Outcome::Refused(Refusal { http: Some(status), retry_after_ms, ..refusal(body) })),
        _ => Err(Outcome::Unknown { reason: format!("{status} is no status of an answer") }),
    }
}

/// What the answer to a message says: acceptance is a `messages` array that holds one.
pub(super) fn accepted(answer: &Value) -> Option<Outcome> {
    let message = answer.get("messages")?.as_array()?.first()?.as_object()?;
    let contact = answer.get("contacts").and_then(|contacts| contacts.get(0));
    let of_contact = |key| contact.and_then(|contact| id(contact.get(key)?));
    Some(Outcome::Accepted {
        wamid: message.get("id").and_then(id),
        wa_id: of_contact("wa_id"),
        user_id: of_contact("user_id"),
        pacing: message.get("message_status").and_then(id).filter(|word| word != "accepted"),
    })
}

/// What the answer to a mark says: `{"success": true}`.
pub(super) fn marked(answer: &Value) -> Option<Outcome> {
    let marked = answer.get("success")?.as_bool()?;
    marked.then_some(Outcome::Accepted { wamid: None, wa_id: None, user_id: None, pacing: None })
}

/// Where an upload was put; older interfaces answer with a list.
pub(super) fn media_id(answer: &Value) -> Option<String> {
    let listed = || answer.get("media")?.get(0)?.get("id");
    id(answer.get("id").or_else(listed)?)
}

/// An id as Graph gives them: text of 1 to 256 visible characters.
pub(super) fn id(value: &Value) -> Option<String> {
    let text = value.as_str()?;
    let fits = (1..=ID_BYTES_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    fits.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(status: u16, body: &str) -> Outcome {
        judge(status, body.as_bytes(), None, accepted).unwrap_or_else(|outcome| outcome)
    }

    fn accepted_as(wamid: Option<&str>) -> Outcome {
        Outcome::Accepted { wamid: wamid.map(str::to_owned), wa_id: None, user_id: None, pacing: None }
    }

    #[test]
    fn the_answer_of_the_documentation_is_read_whole() {
        let body = r#"{"messaging_product":"whatsapp",
            "contacts":[{"input":"+16505551234","wa_id":"16505551234","user_id":"US.13491208655302741918"}],
            "messages":[{"id":"wamid.HBgLMTY0","message_status":"held_for_quality_assessment"}]}"#;
        let expected = Outcome::Accepted {
            wamid: Some("wamid.HBgLMTY0".to_owned()),
            wa_id: Some("16505551234".to_owned()),
            user_id: Some("US.13491208655302741918".to_owned()),
            pacing: Some("held_for_quality_assessment".to_owned()),
        };
        assert_eq!(sent(200, body), expected);
    }

    #[test]
    fn only_a_message_is_acceptance() {
        for (body, wamid) in [
            (r#"{"messages":[{"id":"wamid.A","message_status":"accepted"}]}"#, Some("wamid.A")),
            (r#"{"messages":[{"id":"wamid.A"}],"contacts":"nonsense"}"#, Some("wamid.A")),
            (r#"{"messages":[{}]}"#, None),
            (r#"{"messages":[{"id":7}]}"#, None),
            (r#"{"messages":[{"id":""}]}"#, None),
            (r#"{"messages":[{"id":"two words"}]}"#, None),
        ] {
            assert_eq!(sent(200, body), accepted_as(wamid), "{body}");
            assert_eq!(sent(201, body), accepted_as(wamid), "{body}");
        }
        let long = format!(r#"{{"messages":[{{"id":"{}"}}]}}"#, "w".repeat(ID_BYTES_MAX + 1));
        assert_eq!(sent(200, &long), accepted_as(None));
        for body in [
            "",
            "<html>Welcome to Shop WiFi</html>",
            "{}",
            "[]",
            "null",
            r#"{"success":true}"#,
            r#"{"messages":[]}"#,
            r#"{"messages":["wamid.A"]}"#,
            r#"{"messages":{"id":"wamid.A"}}"#,
            r#"{"messages":[{"id":"wamid.A"}]"#,
            r#"{"error":{"code":131047,"message":"no"}}"#,
        ] {
            assert!(matches!(sent(200, body), Outcome::Unknown { .. }), "{body}");
        }
    }

    #[test]
    fn a_mark_and_an_upload_have_answers_of_their_own() {
        let mark = |body: &str| judge(200, body.as_bytes(), None, marked);
        assert_eq!(mark(r#"{"success":true}"#), Ok(accepted_as(None)));
        for body in [r#"{"success":false}"#, r#"{"success":"true"}"#, "{}", "ok"] {
            assert!(matches!(mark(body), Err(Outcome::Unknown { .. })), "{body}");
        }
        let upload = |body: &str| judge(200, body.as_bytes(), None, media_id);
        assert_eq!(upload(r#"{"id":"1037543291543636"}"#), Ok("1037543291543636".to_owned()));
        assert_eq!(upload(r#"{"media":[{"id":"a-b"}]}"#), Ok("a-b".to_owned()));
        assert!(matches!(upload(r#"{"h":"x"}"#), Err(Outcome::Unknown { .. })));
    }

    #[test]
    fn every_status_has_its_meaning() {
        for status in 100..1000 {
            for body in ["", r#"{"error":{"code":1}}"#] {
                let outcome = sent(status, body);
                let refused = matches!(&outcome, Outcome::Refused(refusal) if refusal.http == Some(status));
                assert_eq!(refused, (300..600).contains(&status), "{status}");
                assert!(refused || matches!(outcome, Outcome::Unknown { .. }), "{status}");
            }
        }
    }
}
