//! What has gone wrong, in words: what happened, whose fault it is, what to do next.

use std::io;

use instant_acme::{Error, Problem};
use policy::renewal::Trouble;

use super::http::{Caller, Unheard};
use crate::demo::text::harmless;

/// Characters of what an authority says that are shown.
const SAID_MAX: usize = 300;
/// What the kinds of problems begin with.
pub(super) const ERRORS: &str = "urn:ietf:params:acme:error:";
/// For what nobody here can mend.
const WAIT: &str = "nothing, unless it goes on: it is tried again by itself";

/// A failed attempt.
#[derive(Debug)]
pub(super) struct Failure {
    /// How soon it's tried again.
    pub(super) trouble: Trouble,
    /// What has happened.
    pub(super) words: String,
    /// What to do next. One of a few sentences, so that an alarm which bears it stays the same.
    pub(super) next: String,
    /// What can't be used any more.
    pub(super) forget: Forget,
    /// A name was looked for and not found: another way to prove it may do better.
    pub(super) proof: bool,
}

/// What a failure has spoilt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Forget {
    Nothing,
    Order,
    Account,
}

impl Failure {
    /// The box's own disk has refused.
    pub(super) fn disk(doing: &str, error: &io::Error) -> Self {
        Self {
            trouble: Trouble::Local,
            words: format!("the store's folder can't be written ({doing}): {error}"),
            next: "see to the disk: `wagate doctor`".to_owned(),
            forget: Forget::Nothing,
            proof: false,
        }
    }

    /// The disk doesn't give out what is kept.
    pub(super) fn unread(file: &str, why: &str) -> Self {
        Self {
            trouble: Trouble::Local,
            words: format!("`tls/acme/{file}` in the store can't be read: {why}"),
            next: "let the user that wagate runs as read the file, or see to the disk: `wagate doctor`"
                .to_owned(),
            forget: Forget::Nothing,
            proof: false,
        }
    }

    /// Something of our own, such as a lack of randomness.
    pub(super) fn own(error: &dyn std::fmt::Display) -> Self {
        Self { trouble: Trouble::Local, ..Self::unreachable(error.to_string()) }
    }

    pub(super) fn unreachable(words: String) -> Self {
        let next = "see that the box reaches the authority: name servers, the clock, TCP port 443 outwards";
        Self {
            trouble: Trouble::Unreachable,
            words,
            next: next.to_owned(),
            forget: Forget::Nothing,
            proof: false,
        }
    }

    /// What the authority has given can't be used.
    pub(super) fn unusable(words: String) -> Self {
        Self {
            trouble: Trouble::Refused,
            words,
            next: "ask whoever runs the authority".to_owned(),
            forget: Forget::Order,
            proof: false,
        }
    }

    /// Of a call to the authority, made while `doing` this.
    pub(super) fn of(error: Error, doing: &str, caller: &Caller) -> Self {
        match error {
            Error::Api(problem) => Self::said(&problem, None, doing, caller),
            Error::Timeout(_) => Self {
                next: WAIT.to_owned(),
                ..Self::unreachable(format!("the authority takes too long ({doing})"))
            },
            Error::Other(error) => {
                let failure = Self::unreachable(format!("{error} ({doing})"));
                match caller.retry_after().filter(|_| error.is::<Unheard>()) {
                    Some(asked) => Self { trouble: Trouble::Limited(Some(asked)), ..failure },
                    None => failure,
                }
            }
            Error::Crypto | Error::KeyRejected => {
                Self { forget: Forget::Account, ..Self::own(&"the key of the account can't be used") }
            }
            // An answer in no form that is known, such as of a captive portal.
            other @ (Error::Http(_)
            | Error::InvalidUri(_)
            | Error::Json(_)
            | Error::Unsupported(_)
            | Error::Str(_)
            | _) => {
                Self::unreachable(format!("the authority's answer can't be understood: {other} ({doing})"))
            }
        }
    }

    /// Of a problem document (RFC 8555, section 6.7), about `name` where that is known.
    pub(super) fn said(problem: &Problem, name: Option<&str>, doing: &str, caller: &Caller) -> Self {
        let kind = problem.r#type.as_deref().unwrap_or_default();
        let kind = kind.strip_prefix(ERRORS).unwrap_or(kind);
        let about = name.map_or_else(String::new, |name| format!(" for {name}"));
        let mut words = format!("the authority says no{about} ({doing}): {}", harmless(kind));
        if let Some(detail) = &problem.detail {
            words.push_str(&format!(": {}", cut(detail)));
        }
        for part in &problem.subproblems {
            words.push_str(&format!("; {}", cut(&part.to_string())));
        }
        let trouble = match kind {
            "rateLimited" => Trouble::Limited(caller.retry_after()),
            "badNonce" | "serverInternal" => Trouble::Unreachable,
            _ => Trouble::Refused,
        };
        let forget = match kind {
            "accountDoesNotExist" => Forget::Account,
            // Of an order the same means a name.
            "unauthorized" if name.is_none() => Forget::Account,
            _ if trouble == Trouble::Refused => Forget::Order,
            _ => Forget::Nothing,
        };
        Self { trouble, words, next: next(kind, name.is_some()), forget, proof: name.is_some() }
    }
}

fn cut(text: &str) -> String {
    harmless(&text.chars().take(SAID_MAX).collect::<String>())
}

fn next(kind: &str, of_name: bool) -> String {
    match kind {
        "connection" | "tls" => {
            "let TCP port 443 of the public address lead to this box (for HTTP-01 port 80): \
             docs/operating/certificates.md"
        }
        "incorrectResponse" | "unauthorized" if of_name => {
            "somebody else answers under that name: let its address in the DNS, and the port forward, lead to this box"
        }
        "dns" => "give the name an address in the DNS that leads to this box",
        "caa" => "the name's CAA record in the DNS allows another authority only: allow this one",
        "rejectedIdentifier" | "unsupportedIdentifier" => {
            "this authority gives nothing for that name: correct `webhook.tls.acme.domains`"
        }
        "rateLimited" => "wait: it is tried again when the authority allows it; don't delete anything",
        "invalidContact" | "unsupportedContact" => "correct `webhook.tls.acme.contact`",
        "externalAccountRequired" => {
            "this authority wants an account made beforehand, which wagate can't use: take another `directory`"
        }
        "userActionRequired" => "the authority wants a person to agree to its new terms: see its pages",
        "accountDoesNotExist" | "unauthorized" => "nothing: a new account is made by itself",
        _ => WAIT,
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn said(json: &str, name: Option<&str>) -> Failure {
        Failure::said(&serde_json::from_str(json).unwrap(), name, "proving the name", &Caller::for_tests())
    }

    #[test]
    fn a_problem_is_told_with_its_name_and_what_to_do() {
        let failure = said(
            r#"{"type": "urn:ietf:params:acme:error:connection", "detail": "203.0.113.9: Fetching: Timeout\u001b[31m"}"#,
            Some("box.example.com"),
        );
        assert!(
            failure.words.starts_with(
                "the authority says no for box.example.com (proving the name): connection: 203.0.113.9: "
            ),
            "{failure:?}"
        );
        assert!(!failure.words.contains('\u{1b}') && failure.next.contains("443"), "{failure:?}");
        assert!(failure.trouble == Trouble::Refused && failure.proof && failure.forget == Forget::Order);
    }

    #[test]
    fn each_kind_of_no_has_its_pace_and_what_it_spoils() {
        for (kind, trouble, forget) in [
            ("rateLimited", Trouble::Limited(None), Forget::Nothing),
            ("badNonce", Trouble::Unreachable, Forget::Nothing),
            ("serverInternal", Trouble::Unreachable, Forget::Nothing),
            ("accountDoesNotExist", Trouble::Refused, Forget::Account),
            ("unauthorized", Trouble::Refused, Forget::Account),
            ("rejectedIdentifier", Trouble::Refused, Forget::Order),
            ("malformed", Trouble::Refused, Forget::Order),
        ] {
            let failure = said(&format!(r#"{{"type": "{ERRORS}{kind}"}}"#), None);
            assert_eq!((failure.trouble, failure.forget), (trouble, forget), "{kind}");
        }
        let long = "x".repeat(10_000);
        let parts = said(
            &format!(
                r#"{{"type": "{ERRORS}malformed", "detail": "{long}", "subproblems": [
                {{"type": "{ERRORS}caa", "detail": "no", "identifier": {{"type": "dns", "value": "a.example"}}}}]}}"#
            ),
            None,
        );
        assert!(parts.words.len() < 500 && parts.words.contains("a.example"), "{parts:?}");
    }

    #[test]
    fn what_is_no_answer_is_tried_again_soon() {
        for (error, trouble) in [
            (Error::Timeout(None), Trouble::Unreachable),
            (Error::Other(Box::new(Unheard("refused".to_owned()))), Trouble::Unreachable),
            (Error::Str("no nonce"), Trouble::Unreachable),
            (Error::KeyRejected, Trouble::Local),
        ] {
            let failure = Failure::of(error, "ordering", &Caller::for_tests());
            assert_eq!(failure.trouble, trouble, "{failure:?}");
            assert!(!failure.next.is_empty());
        }
        assert_ne!(Trouble::Limited(Some(Duration::ZERO)), Trouble::Limited(None));
    }
}
