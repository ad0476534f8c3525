//! What Graph says when it says no.

use serde_json::{Value, json};

/// Meta's codes that are played, with the HTTP status of each, its title, and what a person reads.
const KNOWN: &[(i64, u16, &str, &str)] = &[
    (2, 503, "API Service", "Temporary due to downtime or due to being overloaded."),
    (4, 400, "API Too Many Calls", "The app has reached its API call rate limit."),
    (33, 400, "Parameter value is not valid", "The business phone number has been deleted."),
    (100, 400, "Invalid parameter", "The request included one or more unsupported or misspelled parameters."),
    (190, 401, "Access token has expired", "Your access token has expired."),
    (368, 403, "Temporarily blocked for policies violations", "The account has been restricted."),
    (2_200, 400, "Callback verification failed", "The callback URL couldn't be verified."),
    (130_429, 400, "Rate limit hit", "Cloud API message throughput has been reached."),
    (
        130_472,
        400,
        "User's number is part of an experiment",
        "Message was not sent as part of an experiment.",
    ),
    (131_000, 500, "Something went wrong", "Message failed to send due to an unknown error."),
    (131_008, 400, "Required parameter is missing", "The request is missing a required parameter."),
    (131_009, 400, "Parameter value is not valid", "One or more parameter values are invalid."),
    (131_016, 500, "Service unavailable", "A service is temporarily unavailable."),
    (131_026, 400, "Message undeliverable", "Unable to deliver message."),
    (131_031, 403, "Account has been locked", "The account has been restricted or disabled."),
    (
        131_042,
        400,
        "Business eligibility payment issue",
        "There was an error related to your payment method.",
    ),
    (
        131_047,
        400,
        "Re-engagement message",
        "More than 24 hours have passed since the recipient last replied to the sender number.",
    ),
    (131_048, 400, "Spam rate limit hit", "There are restrictions on how many messages can be sent."),
    (
        131_049,
        400,
        "Meta chose not to deliver",
        "This message was not delivered to maintain healthy ecosystem engagement.",
    ),
    (131_050, 400, "User has stopped marketing messages", "The user has chosen to stop marketing messages."),
    (131_053, 400, "Media upload error", "Unable to upload the media used in the message."),
    (
        131_056,
        400,
        "(Business Account, Consumer Account) pair rate limit hit",
        "Too many messages sent from the sender phone number to the same recipient phone number.",
    ),
    (131_057, 500, "Account in maintenance mode", "Business Account is in maintenance mode."),
    (131_062, 400, "Unsupported recipient", "This message type cannot be sent to a business-scoped user id."),
    (132_001, 404, "Template does not exist", "The template does not exist in the specified language."),
    (132_015, 400, "Template is paused", "The template is paused due to low quality."),
    (132_016, 400, "Template is disabled", "The template has been paused too many times due to low quality."),
];

/// An answer that says no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// Meta's code; `None` for an answer that has no Graph error in it.
    pub(crate) code: Option<i64>,
    /// The HTTP status.
    pub(crate) http: u16,
    title: String,
    details: String,
    /// A provider says it of its own accord, in its own form.
    pub(crate) of_provider: bool,
    /// Seconds for `Retry-After`.
    pub(crate) retry_after_s: Option<u32>,
}

impl Refusal {
    /// The refusal with this code. 500 and 503 are HTTP statuses: the one with code 131000 in it, the
    /// other as a load balancer gives it, with no Graph error at all.
    pub(crate) fn of(code: i64) -> Self {
        match code {
            500 => Self::of(131_000),
            501..600 => Self {
                code: None,
                http: u16::try_from(code).unwrap_or(503),
                title: "Service Unavailable".to_owned(),
                details: String::new(),
                of_provider: false,
                retry_after_s: None,
            },
            _ => {
                let known = KNOWN.iter().find(|known| known.0 == code);
                let (_, http, title, details) =
                    known.copied().unwrap_or((code, 400, "Refused", "The simulator was asked to refuse."));
                Self {
                    code: Some(code),
                    http,
                    title: title.to_owned(),
                    details: details.to_owned(),
                    of_provider: false,
                    retry_after_s: None,
                }
            }
        }
    }

    /// The same with words of its own, which name what is wrong with the request.
    pub(crate) fn because(code: i64, details: impl Into<String>) -> Self {
        Self { details: details.into(), ..Self::of(code) }
    }

    /// What a provider refuses before Graph is asked.
    pub(crate) fn of_provider(http: u16, details: &str) -> Self {
        Self { http, details: details.to_owned(), of_provider: true, ..Self::of(503) }
    }

    /// A file that isn't there, in the words of a host that knows no Graph.
    pub(crate) fn not_found() -> Self {
        Self { http: 404, title: "Not Found".to_owned(), ..Self::of(503) }
    }

    /// The same with a `Retry-After`.
    pub(crate) fn after(self, retry_after_s: Option<u32>) -> Self {
        Self { retry_after_s, ..self }
    }

    /// As the answer's body: Graph's own, or a page that isn't JSON.
    pub(crate) fn body(&self, trace: u64) -> String {
        let Some(code) = self.code else {
            return format!("<html><body><h1>{} {}</h1></body></html>\n", self.http, self.title);
        };
        // The old ones are told by their message, the newer codes by their details.
        let words = if matches!(code, 100 | 2_200) { &self.details } else { &self.title };
        let mut error = json!({
            "message": format!("(#{code}) {words}"),
            "type": "OAuthException",
            "code": code,
            "fbtrace_id": format!("A{trace:016x}"),
        });
        if code != 190 {
            error["error_data"] = json!({ "messaging_product": "whatsapp", "details": self.details });
        }
        if matches!(code, 2 | 131_016) {
            error["is_transient"] = json!(true);
        }
        json!({ "error": error }).to_string()
    }

    /// As it stands in a status that says `failed`.
    pub(crate) fn in_status(&self) -> Value {
        json!([{
            "code": self.code,
            "title": self.title,
            "message": self.title,
            "error_data": { "details": self.details },
            "href": "https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes/",
        }])
    }

    /// As 360dialog says it of its own accord.
    pub(crate) fn bsp(&self) -> String {
        json!({ "meta": { "http_code": self.http, "developer_message": self.details, "success": false } })
            .to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(code: i64) -> (u16, Value) {
        let refusal = Refusal::of(code);
        (refusal.http, serde_json::from_str(&refusal.body(7)).unwrap())
    }

    #[test]
    fn each_code_has_its_status_and_stands_in_the_body() {
        for (code, http) in [
            (131_047, 400),
            (131_056, 400),
            (130_429, 400),
            (190, 401),
            (131_049, 400),
            (131_026, 400),
            (131_000, 500),
            (2, 503),
            (999_999, 400),
        ] {
            let (status, body) = error(code);
            assert_eq!((status, &body["error"]["code"]), (http, &json!(code)));
            assert!(body["error"]["message"].as_str().unwrap().starts_with(&format!("(#{code}) ")));
        }
        assert_eq!(error(2).1["error"]["is_transient"], true);
        assert_eq!((error(500).0, &error(500).1["error"]["code"]), (500, &json!(131_000)));
    }

    #[test]
    fn a_load_balancer_speaks_no_json() {
        let refusal = Refusal::of(503);
        assert_eq!((refusal.http, refusal.code), (503, None));
        assert!(serde_json::from_str::<Value>(&refusal.body(1)).is_err());
    }

    #[test]
    fn no_code_stands_twice_in_the_table() {
        assert!(KNOWN.is_sorted_by(|one, other| one.0 < other.0));
    }
}
