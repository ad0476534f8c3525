//! What an answer that says no says besides. Pure.

use model::Refusal;
use serde_json::Value;

/// So much of the words is kept.
const DETAILS_BYTES_MAX: usize = 500;
/// So much of a body is looked at for words where it has none of Graph's.
const BEGINNING_BYTES: usize = 2_000;

/// Reads the body of an answer that is none of 2xx: Graph's `error`, the `errors` of older
/// interfaces, the `meta` of 360dialog's own, or anything.
///
/// `http` and `retry_after_ms` aren't in the body.
pub(super) fn refusal(body: &[u8]) -> Refusal {
    let answer: Value = serde_json::from_slice(body).unwrap_or_default();
    let said = graph(&answer).or_else(|| listed(&answer)).or_else(|| meta(&answer));
    let mut said = said.unwrap_or_default();
    if said.details.is_empty() {
        said.details = clean(&String::from_utf8_lossy(&body[..body.len().min(BEGINNING_BYTES)]));
    }
    said
}

/// `{"error": {message, code, error_data: {details}, is_transient}}`
fn graph(answer: &Value) -> Option<Refusal> {
    let error = answer.get("error")?.as_object()?;
    let details = error.get("error_data").and_then(|data| words(data.get("details")?));
    let message = || words(error.get("message")?);
    Some(Refusal {
        code: error.get("code").and_then(code),
        details: details.or_else(message).unwrap_or_default(),
        transient: error.get("is_transient").and_then(Value::as_bool).unwrap_or(false),
        ..Refusal::default()
    })
}

/// `{"errors": [{code, title, details}]}`
fn listed(answer: &Value) -> Option<Refusal> {
    let error = answer.get("errors")?.get(0)?.as_object()?;
    let details = error.get("error_data").and_then(|data| words(data.get("details")?));
    let named = || ["details", "message", "title"].iter().find_map(|key| words(error.get(*key)?));
    Some(Refusal {
        code: error.get("code").and_then(code),
        details: details.or_else(named).unwrap_or_default(),
        ..Refusal::default()
    })
}

/// `{"meta": {http_code, developer_message, success: false}}`, also `httpCode` and
/// `developerMessage`. Its code is the status again, not Meta's.
fn meta(answer: &Value) -> Option<Refusal> {
    let meta = answer.get("meta")?.as_object()?;
    let details = ["developer_message", "developerMessage"].iter().find_map(|key| words(meta.get(*key)?))?;
    Some(Refusal { details, ..Refusal::default() })
}

/// A number, also one in quotes.
pub(super) fn code(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.trim().parse().ok())
}

/// Words for people in one line of bounded length; `None` where there are none.
pub(super) fn words(value: &Value) -> Option<String> {
    value.as_str().map(clean).filter(|words| !words.is_empty())
}

/// One line of at most [`DETAILS_BYTES_MAX`] bytes.
pub(super) fn clean(text: &str) -> String {
    let mut line = String::with_capacity(text.len().min(DETAILS_BYTES_MAX));
    for letter in text.trim().chars().map(|letter| if letter.is_control() { ' ' } else { letter }) {
        if line.len() + letter.len_utf8() > DETAILS_BYTES_MAX {
            break;
        }
        line.push(letter);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_form_is_read() {
        let table: &[(&str, Option<i64>, &str, bool)] = &[
            (
                r#"{"error":{"message":"(#131047) Re-engagement message","type":"OAuthException","code":131047,
                    "error_data":{"messaging_product":"whatsapp","details":"More than 24 hours have passed"},
                    "error_subcode":2494055,"fbtrace_id":"Az8or2yhqkZfEZ-_4Qn_Bam"}}"#,
                Some(131_047),
                "More than 24 hours have passed",
                false,
            ),
            (
                r#"{"error":{"message":"Error validating access token","type":"OAuthException","code":190}}"#,
                Some(190),
                "Error validating access token",
                false,
            ),
            (
                r#"{"error":{"message":"An unexpected error","code":"2","is_transient":true}}"#,
                Some(2),
                "An unexpected error",
                true,
            ),
            (
                r#"{"error":{"code":" 100 ","message":"a","error_data":{"details":""}}}"#,
                Some(100),
                "a",
                false,
            ),
            (r#"{"error":{"code":1,"message":"a","error_data":"{\"b\":1}"}}"#, Some(1), "a", false),
            (r#"{"error":{"message":"no code"}}"#, None, "no code", false),
            (r#"{"error":{"code":"high","message":"a"}}"#, None, "a", false),
            (r#"{"error":{"code":1.5,"message":"a","is_transient":"yes"}}"#, None, "a", false),
            (r#"{"error":{"code":4}}"#, Some(4), r#"{"error":{"code":4}}"#, false),
            (
                r#"{"errors":[{"code":1013,"title":"User is not valid","details":"unknown contact"},{"code":2}]}"#,
                Some(1_013),
                "unknown contact",
                false,
            ),
            (r#"{"errors":[{"code":"470","title":"Too late"}]}"#, Some(470), "Too late", false),
            (
                r#"{"meta":{"success":false,"http_code":401,"developer_message":"Invalid api key"}}"#,
                None,
                "Invalid api key",
                false,
            ),
            (
                r#"{"meta":{"success":false,"httpCode":400,"developerMessage":"Rate limit"}}"#,
                None,
                "Rate limit",
                false,
            ),
            (
                r#"{"meta":{"developer_message":"see errors"},"errors":[{"code":130429,"title":"slow"}]}"#,
                Some(130_429),
                "slow",
                false,
            ),
            (r#"{"error":"gone"}"#, None, r#"{"error":"gone"}"#, false),
            (r#"{"errors":[]}"#, None, r#"{"errors":[]}"#, false),
            (r#"{"errors":"no"}"#, None, r#"{"errors":"no"}"#, false),
            (r#"{"meta":7}"#, None, r#"{"meta":7}"#, false),
            ("<h1>502</h1>\r\n\t<p>Bad\u{7f}</p>\n", None, "<h1>502</h1>   <p>Bad </p>", false),
            ("", None, "", false),
            ("null", None, "null", false),
        ];
        for (body, code, details, transient) in table {
            let expected = Refusal {
                code: *code,
                details: (*details).to_owned(),
                transient: *transient,
                ..Refusal::default()
            };
            assert_eq!(refusal(body.as_bytes()), expected, "{body}");
        }
    }

    #[test]
    fn details_are_one_line_that_ends_between_letters() {
        let long = "\u{4f60}\u{597d}\n".repeat(100);
        for body in [
            serde_json::json!({"error": {"code": 1, "message": long}}).to_string(),
            serde_json::json!({"error": {"error_data": {"details": long}}}).to_string(),
            serde_json::json!({"errors": [{"title": long}]}).to_string(),
            serde_json::json!({"meta": {"developerMessage": long}}).to_string(),
            long.clone(),
        ] {
            let details = refusal(body.as_bytes()).details;
            // 71 lines of 7 bytes, and one letter of 3.
            assert_eq!(details.len(), 500, "{details}");
            assert!(details.starts_with("\u{4f60}\u{597d} \u{4f60}"), "{details}");
        }
        let broken = refusal(b"\xff\xfe{bytes\0");
        assert_eq!(broken.details, "\u{fffd}\u{fffd}{bytes ");
    }

    /// Fifty thousand damaged bodies: whatever comes, there is a refusal of bounded size.
    #[test]
    fn nothing_that_comes_can_hurt() {
        let whole = "{\"error\":{\"message\":\"\u{4f60}\",\"code\":\"7\",\"error_data\":{\"details\":\"d\"}},\
                     \"errors\":[{\"code\":1}],\"meta\":{\"developer_message\":\"x\"}}";
        let mut dice = 11_u64;
        let mut throw = |sides: usize| {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(dice >> 33).unwrap() % sides
        };
        let mut coded = 0;
        for _ in 0..50_000 {
            let mut bytes = whole.as_bytes().to_vec();
            for _ in 0..=throw(3) {
                let place = throw(bytes.len());
                match throw(3) {
                    0 => bytes[place] = u8::try_from(throw(256)).unwrap(),
                    1 if bytes.len() > 1 => drop(bytes.remove(place)),
                    _ => bytes.insert(place, b"\"{}[]:,7\0"[throw(9)]),
                }
            }
            let refusal = refusal(&bytes);
            assert!(refusal.details.len() <= DETAILS_BYTES_MAX);
            assert!(!refusal.details.contains(char::is_control));
            coded += usize::from(refusal.code.is_some());
        }
        assert!((1_000..50_000).contains(&coded), "{coded}");
    }
}
