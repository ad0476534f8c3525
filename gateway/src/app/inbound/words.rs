//! What Meta's refusals mean for who takes over or gives back. Pure.

use model::{Outcome, Refusal};

use super::line::Failed;

/// Why it couldn't be asked where webhooks go.
pub(super) fn unread(failed: &Failed) -> String {
    format!("Meta couldn't be asked where the webhooks go: {}", why(failed))
}

/// Why Meta didn't send webhooks to this box, `url`.
pub(super) fn not_taken(failed: &Failed, url: &str) -> String {
    match verification(failed) {
        Some(details) => format!(
            "Meta could not reach this box at {url}, or got another answer than it wants: {details}. Open the address from \
             outside, and see to its certificate and to `verify_token`"
        ),
        None => format!("Meta didn't take the address of this box: {}", why(failed)),
    }
}

/// Why Meta didn't send them back to where they went before.
pub(super) fn not_given_back(failed: &Failed, before: Option<&str>) -> String {
    match (verification(failed), before) {
        (Some(details), Some(before)) => format!(
            "Meta could not reach the other box at {before}, or got another answer than it wants: {details}. The webhooks \
             still come here. See that it runs, and that both boxes have the same `verify_token`; or set the address by \
             hand: POST /{{phone_number_id}} with webhook_configuration and the token that it was set with, or an empty \
             override_callback_uri for the app's own address"
        ),
        _ => format!("Meta didn't change it, the webhooks still come here: {}", why(failed)),
    }
}

/// What is said of a callback that failed the handshake.
fn verification(failed: &Failed) -> Option<&str> {
    let Failed::Call(Outcome::Refused(refusal)) = failed else { return None };
    (refusal.code == Some(2_200)).then(|| refusal.details.trim_end_matches('.'))
}

fn why(failed: &Failed) -> String {
    match failed {
        Failed::Unit(why) => format!("no call may be made now ({})", why.sentence()),
        Failed::Outbox(error) => error.to_string(),
        Failed::Call(Outcome::Refused(refusal)) => refused(refusal),
        Failed::Call(Outcome::NotSent { reason }) => format!("it can't be reached from here: {reason}"),
        Failed::Call(Outcome::Unknown { reason }) => {
            format!("nobody knows what came of it: {reason}. Ask again")
        }
        Failed::Call(Outcome::Accepted { .. }) => "its answer can't be read".to_owned(),
    }
}

fn refused(refusal: &Refusal) -> String {
    let Refusal { code, details, http, .. } = refusal;
    let number = code.or(http.map(i64::from)).map_or(String::new(), |number| format!("{number}: "));
    let said = format!("{number}{details}");
    match code {
        Some(0 | 104 | 190) => {
            format!(
                "the endpoint's token is missing, expired or revoked ({said}). Put a valid one into the configuration"
            )
        }
        Some(3 | 10 | 200..=299) => format!(
            "the endpoint's token may not do this ({said}). It needs the permission whatsapp_business_management for this \
             account"
        ),
        Some(33 | 100) => format!(
            "it doesn't know this number or this address, or the token has no access to the number ({said})"
        ),
        Some(4 | 613 | 80_007) => format!("the app makes too many calls ({said}). Ask again in some minutes"),
        _ => said,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(code: i64) -> Failed {
        let details = "the details".to_owned();
        let http = Some(400);
        Failed::Call(Outcome::Refused(Refusal { code: Some(code), details, http, ..Refusal::default() }))
    }

    #[test]
    fn each_refusal_says_what_to_do_next() {
        let url = "https://b.example/webhook";
        for (code, expected) in [
            (190, "Put a valid one into the configuration"),
            (10, "whatsapp_business_management"),
            (200, "whatsapp_business_management"),
            (299, "whatsapp_business_management"),
            (2_200, "could not reach this box at https://b.example/webhook"),
            (100, "no access to the number"),
            (4, "in some minutes"),
            (131_000, "131000: the details"),
        ] {
            let words = not_taken(&refusal(code), url);
            assert!(words.contains(expected) && words.contains("the details"), "{code}: {words}");
        }
        let words = not_given_back(&refusal(2_200), Some("https://a.example/webhook"));
        assert!(words.contains("https://a.example/webhook") && words.contains("by hand"), "{words}");
        assert!(not_given_back(&refusal(2_200), None).contains("still come here"));
        assert!(unread(&refusal(190)).contains("190"));
        let unsent = Failed::Call(Outcome::NotSent { reason: "no route".into() });
        assert!(not_taken(&unsent, url).contains("can't be reached from here: no route"));
    }

    #[test]
    fn only_a_clear_no_leaves_everything_as_it_was() {
        assert!(refusal(2_200).is_refused());
        let http =
            |status| Failed::Call(Outcome::Refused(Refusal { http: Some(status), ..Refusal::default() }));
        assert!(http(404).is_refused() && !http(500).is_refused() && !http(302).is_refused());
        assert!(Failed::Call(Outcome::NotSent { reason: String::new() }).is_refused());
        assert!(!Failed::Call(Outcome::Unknown { reason: String::new() }).is_refused());
    }
}
