//! What the gateway says of a certificate that it gets by ACME.

use serde_json::Value;

use super::super::finding::{Check, Finding, State};
use crate::demo::text::harmless;

/// For what is wrong with a certificate that nobody puts in place.
const RENEW: &str = "it is renewed by itself: `wagate status` says how that stands, and SIGHUP (`systemctl reload wagate`) \
                     has it tried at once; docs/operating/certificates.md";

/// `acme` of `/v1/status`.
pub(super) struct Told<'a>(&'a Value);

impl<'a> Told<'a> {
    /// `None` where the gateway gets none.
    pub(super) fn of(status: &'a Value) -> Option<Self> {
        status.get("acme").filter(|acme| acme.is_object()).map(Self)
    }

    /// The finding where there is no certificate to be looked at.
    pub(super) fn without_any(&self) -> Option<Finding> {
        let none = match self.0["state"].as_str() {
            Some("missing") => {
                let finding =
                    Finding::fail(Check::Certificate, format!("there is none yet: {}", self.error()));
                finding.next(self.next())
            }
            Some("getting") => {
                Finding::warn(Check::Certificate, "there is none yet: it is being got from the authority")
                    .next("a minute later, once more")
            }
            _ => return None,
        };
        Some(none.detail("Until there is one Meta can't reach this box."))
    }

    /// What `finding` is with what the gateway knows: who renews it, and why it hasn't yet.
    pub(super) fn amend(&self, mut finding: Finding) -> Finding {
        let failing = self.0["state"] == "failing";
        if failing {
            let failures = self.0["failures"].as_u64().unwrap_or_default();
            let more = format!(
                "Renewing it has failed {failures} times in a row, the last time so: {}.",
                self.error()
            );
            finding.detail = Some(match finding.detail.take() {
                Some(detail) => format!("{detail} {more}"),
                None => more,
            });
            if finding.state == State::Ok {
                finding.state = State::Warn;
            }
        }
        if finding.state != State::Ok {
            finding.next = Some(if failing { self.next() } else { RENEW.to_owned() });
        }
        match self.0["renews_at"].as_str() {
            Some(at) => finding.fact("renews_at", at),
            None => finding,
        }
    }

    fn error(&self) -> String {
        self.0["last_error"].as_str().map_or_else(|| "the log says more".to_owned(), harmless)
    }

    fn next(&self) -> String {
        let next = self.0["next"].as_str().map_or_else(|| RENEW.to_owned(), harmless);
        match self.0["next_attempt_at"].as_str() {
            Some(at) => format!("{next}; it is tried again at {}, or by SIGHUP", harmless(at)),
            None => next,
        }
    }
}

/// While the gateway doesn't run, and nothing is kept.
pub(super) fn not_kept(why: &str) -> Finding {
    Finding::skip(
        Check::Certificate,
        format!("the gateway isn't running, and of its certificate it is known: {why}"),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(state: &str) -> Value {
        json!({ "acme": { "state": state, "failures": 3, "last_error": "the authority says no: dns\u{1b}",
            "next": "give the name an address", "next_attempt_at": "2026-11-22T15:00:00Z",
            "renews_at": "2027-01-01T00:00:00Z" } })
    }

    #[test]
    fn none_yet_is_told_with_what_the_authority_said() {
        let status = told("missing");
        let finding = Told::of(&status).unwrap().without_any().unwrap();
        assert_eq!(finding.state, State::Fail);
        assert!(finding.summary.starts_with("there is none yet: the authority says no: dns"), "{finding:?}");
        assert!(!finding.summary.contains('\u{1b}'));
        let next = finding.next.unwrap();
        assert!(next.starts_with("give the name an address; it is tried again at 2026-11-22"), "{next}");
        assert_eq!(Told::of(&told("getting")).unwrap().without_any().unwrap().state, State::Warn);
        assert!(Told::of(&told("valid")).unwrap().without_any().is_none());
        assert!(Told::of(&json!({ "acme": null })).is_none());
    }

    #[test]
    fn a_renewal_that_fails_is_a_warning_while_the_certificate_is_good() {
        let good = || Finding::ok(Check::Certificate, "for box.example.com");
        let status = told("failing");
        let finding = Told::of(&status).unwrap().amend(good());
        assert_eq!(finding.state, State::Warn);
        assert!(finding.detail.unwrap().contains("has failed 3 times in a row"));
        let status = told("valid");
        let finding = Told::of(&status).unwrap().amend(good());
        assert_eq!((finding.state, finding.next), (State::Ok, None));
        assert_eq!(finding.facts["renews_at"], "2027-01-01T00:00:00Z");
        let over = Told::of(&status).unwrap().amend(Finding::fail(Check::Certificate, "over").next("cp"));
        assert_eq!(over.next.as_deref(), Some(RENEW));
    }
}
