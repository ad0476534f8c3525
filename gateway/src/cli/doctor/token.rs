//! Whether WhatsApp accepts the tokens, for how long, and for what.

use egress::TokenInfo;
use futures_util::future::join_all;
use model::WallTime;

use super::finding::{Check, Finding};
use super::graph::{self, SEE_REACH, Trouble};
use super::words;
use super::world::World;
use crate::clock;

/// A token that ends sooner is worth a warning: a new one takes a person at Meta's pages.
const ENDS_SOON_DAYS: i64 = 7;
/// After so long people are reminded to replace a credential.
const OLD_DAYS: i64 = 30;
const DAY_MS: i64 = 24 * 3_600_000;
/// What the token has to be allowed.
const SCOPES: [&str; 2] = ["whatsapp_business_messaging", "whatsapp_business_management"];

/// Where a new one comes from, and where it goes.
const REPLACE: &str = "make a new one (Business Settings, System users, Generate token; expiry: never), put it \
     into the token's file, `systemctl reload wagate`";

const STOPPED: &str = "Nothing can be sent. What is queued stays, and goes once there is a new one.";
/// A provider's key isn't one of Meta's.
const PROVIDERS: &str =
    "a provider's endpoint: Meta knows nothing of its key; where it's refused, the line on reach says so";

pub(super) async fn check(world: &World) -> Vec<Finding> {
    if world.config.whatsapp.endpoints.is_empty() {
        return vec![Finding::skip(Check::Token, "no endpoint of WhatsApp is configured: nothing is sent")];
    }
    join_all(world.whatsapp().map(|(endpoint, graph)| async move {
        let finding = if graph.endpoint().has_token_info() {
            judge(&graph::heard(endpoint, graph.token_info().await), clock::now())
        } else if endpoint.token.is_none() {
            Finding::skip(Check::Token, "no token is configured for it")
        } else {
            Finding::skip(Check::Token, PROVIDERS)
        };
        finding.about(&endpoint.name)
    }))
    .await
}

/// What Meta says of a token, at `now`.
pub(super) fn judge(heard: &Result<TokenInfo, Trouble>, now: WallTime) -> Finding {
    let info = match heard {
        Ok(info) => info,
        // What keeps the box from asking says nothing of the token, unless it is refused.
        Err(Trouble::Refused(refusal)) if graph::refuses_token(refusal) => {
            return Finding::fail(Check::Token, graph::refusal(refusal).0).detail(STOPPED).next(REPLACE);
        }
        Err(Trouble::Refused(refusal)) => {
            let (what, next) = graph::refusal(refusal);
            return Finding::warn(Check::Token, what).next(next);
        }
        Err(Trouble::Unheard(why)) => {
            return Finding::skip(Check::Token, format!("couldn't be asked about: {}", why.words()))
                .next(SEE_REACH);
        }
    };
    let finding = of_token(info, now);
    let finding = match age_days(info, now) {
        Some(days) => finding.fact("age_days", days),
        None => finding,
    };
    finding.fact("expires_at", info.expires_at.map(WallTime::rfc3339_seconds))
}

fn of_token(info: &TokenInfo, now: WallTime) -> Finding {
    if !info.is_valid {
        return Finding::fail(Check::Token, "WhatsApp doesn't accept it: it has expired or was revoked")
            .detail(STOPPED)
            .next(REPLACE);
    }
    let has = |scope: &&str| info.scopes.iter().any(|one| one == scope);
    let missing: Vec<&str> = SCOPES.into_iter().filter(|scope| !has(scope)).collect();
    if !missing.is_empty() {
        return Finding::fail(Check::Token, format!("it lacks the permission {}", missing.join(" and ")))
            .detail(if missing.contains(&SCOPES[0]) {
                "Without whatsapp_business_messaging nothing can be sent."
            } else {
                "Without whatsapp_business_management the box can't see whether webhooks come here."
            })
            .next(
                "make a new one with both whatsapp_business_ permissions (Business Settings, System users), \
                   put it into the token's file, `systemctl reload wagate`",
            );
    }
    for (ends, what) in [(info.expires_at, "it"), (info.data_access_expires_at, "its access to data")] {
        let Some(ends) = ends else { continue };
        let left = ends.0.saturating_sub(now.0);
        if left < ENDS_SOON_DAYS * DAY_MS {
            let words = format!("{what} ends at {}, {}", ends.rfc3339_seconds(), in_days(left));
            return Finding::warn(Check::Token, words).next(REPLACE);
        }
    }
    let ends = info.expires_at.map_or("it has no end".to_owned(), |ends| {
        format!("it ends at {}, {}", ends.rfc3339_seconds(), in_days(ends.0.saturating_sub(now.0)))
    });
    match age_days(info, now) {
        Some(days) if days > OLD_DAYS => {
            Finding::warn(Check::Token, format!("accepted; {} old, and {ends}", days_of(days)))
                .detail("It works. A credential that is never replaced is worth more to a thief each month.")
                .next(REPLACE)
        }
        Some(days) => {
            Finding::ok(Check::Token, format!("accepted, both permissions; {} old, {ends}", days_of(days)))
        }
        None => Finding::ok(Check::Token, format!("accepted, both permissions; {ends}")),
    }
}

fn age_days(info: &TokenInfo, now: WallTime) -> Option<i64> {
    Some(now.0.saturating_sub(info.issued_at?.0).max(0) / DAY_MS)
}

fn days_of(number: i64) -> String {
    words::days(number.unsigned_abs())
}

fn in_days(left_ms: i64) -> String {
    let days = left_ms.div_euclid(DAY_MS);
    match days {
        ..0 => "which is over".to_owned(),
        0 => "within a day".to_owned(),
        days => format!("in {}", days_of(days)),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use model::Refusal;

    use super::super::finding::State;
    use super::super::unheard::Unheard;
    use super::*;

    const NOW: WallTime = WallTime(1_795_000_000_000);

    /// Days from `now`; 0 is never.
    pub(in super::super) fn token(
        now: WallTime,
        issued: i64,
        expires: i64,
        data_access: i64,
        scopes: &[&str],
    ) -> TokenInfo {
        let at = |days: i64| (days != 0).then_some(WallTime(now.0 + days * DAY_MS));
        TokenInfo {
            is_valid: true,
            app_id: None,
            issued_at: at(issued),
            expires_at: at(expires),
            data_access_expires_at: at(data_access),
            scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
        }
    }

    #[test]
    fn a_token_is_judged_by_end_age_and_permissions() {
        let token =
            |issued, expires, data_access, scopes: &[&str]| token(NOW, issued, expires, data_access, scopes);
        for (info, state, part) in [
            (token(-3, 0, 0, &SCOPES), State::Ok, "3 days old, it has no end"),
            (token(-30, 60, 90, &SCOPES), State::Ok, "in 60 days"),
            (token(-31, 0, 0, &SCOPES), State::Warn, "31 days old"),
            (token(-3, 7, 0, &SCOPES), State::Ok, "in 7 days"),
            (token(-3, 6, 0, &SCOPES), State::Warn, "in 6 days"),
            (token(-3, 0, 6, &SCOPES), State::Warn, "its access to data ends"),
            (token(-3, -1, 0, &SCOPES), State::Warn, "which is over"),
            (token(-3, 0, 0, &SCOPES[..1]), State::Fail, "whatsapp_business_management"),
            (
                token(-3, 0, 0, &[]),
                State::Fail,
                "whatsapp_business_messaging and whatsapp_business_management",
            ),
            (TokenInfo { is_valid: false, ..token(-3, 0, 0, &SCOPES) }, State::Fail, "revoked"),
        ] {
            let finding = judge(&Ok(info.clone()), NOW);
            assert_eq!(finding.state, state, "{info:?}");
            assert!(finding.summary.contains(part), "{:?} lacks {part:?}", finding.summary);
            assert_eq!(finding.next.is_some(), state != State::Ok);
        }
    }

    #[test]
    fn what_meta_says_of_a_refused_token_is_not_repeated() {
        let refused = |http, code| {
            let details = "Malformed access token s3cret".to_owned();
            let refusal = Refusal { code: Some(code), details, http: Some(http), ..Refusal::default() };
            judge(&Err(Trouble::Refused(refusal)), NOW)
        };
        for (http, code, state) in [
            (401, 190, State::Fail),
            (400, 190, State::Fail),
            (400, 463, State::Fail),
            // Nothing is known of the token.
            (400, 4, State::Warn),
            (403, 10, State::Warn),
            (500, 190, State::Warn),
        ] {
            let finding = refused(http, code);
            assert_eq!(finding.state, state, "{http} {code}");
            assert!(!format!("{finding:?}").contains("s3cret"), "{finding:?}");
        }
        let unheard = judge(&Err(Trouble::Unheard(Unheard::Refused)), NOW);
        assert_eq!(unheard.state, State::Skip, "the line on reach fails");
    }
}
