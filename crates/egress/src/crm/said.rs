//! What answers of the CRM say of the endpoint that gave them. Pure.

use std::time::Duration;

use policy::delivery::{Failure, Verdict};
use policy::failover::Answer;

/// What the answer to a record says. `held` is whether a 5xx is held against the endpoint
/// ([`Passing`](policy::delivery::Passing)): it may be about what a record holds, unless no other gets through
/// either. What an endpoint says of us (too fast, not let in, a bad request) is no fault of its own.
pub(crate) const fn by_record(verdict: &Verdict, held: bool) -> Answer {
    match verdict {
        Verdict::Accepted => Answer::Good,
        Verdict::Retry { failure: Failure::NotSent | Failure::Unknown, .. } => Answer::Failed,
        Verdict::Retry { failure: Failure::Server, .. } if held => Answer::Failed,
        Verdict::Retry { .. } | Verdict::Unauthorized | Verdict::Refused => Answer::Neutral,
    }
}

/// Waits up to this one are no word of being away: the usual backoff is no shorter.
const SHORT_WAIT: Duration = Duration::from_secs(1);

/// For how long the endpoint says that it is away itself: a 5xx with a time to wait. Who asks for a pause because
/// we are too fast (408, 425, 429) is there.
pub(crate) fn away(verdict: &Verdict) -> Option<Duration> {
    match verdict {
        Verdict::Retry { failure: Failure::Server, retry_after } => {
            retry_after.filter(|asked| *asked > SHORT_WAIT)
        }
        Verdict::Retry { .. } | Verdict::Accepted | Verdict::Unauthorized | Verdict::Refused => None,
    }
}

/// What the answer to a probe says; `None` is the want of one. Any answer under 500 is good: a login page, a
/// redirect or "not found" come from something that works.
pub(crate) fn by_probe(status: Option<u16>) -> Answer {
    if status.is_some_and(|code| code < 500) { Answer::Good } else { Answer::Failed }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_no_proof_against_an_endpoint_that_takes_others() {
        let retry = |failure| Verdict::Retry { failure, retry_after: None };
        for (verdict, not_held, held) in [
            (Verdict::Accepted, Answer::Good, Answer::Good),
            (retry(Failure::NotSent), Answer::Failed, Answer::Failed),
            (retry(Failure::Unknown), Answer::Failed, Answer::Failed),
            (retry(Failure::Server), Answer::Neutral, Answer::Failed),
            (retry(Failure::Busy), Answer::Neutral, Answer::Neutral),
            (Verdict::Unauthorized, Answer::Neutral, Answer::Neutral),
            (Verdict::Refused, Answer::Neutral, Answer::Neutral),
        ] {
            assert_eq!(
                (by_record(&verdict, false), by_record(&verdict, true)),
                (not_held, held),
                "{verdict:?}"
            );
        }
    }

    #[test]
    fn only_errors_with_a_time_say_that_an_endpoint_is_away() {
        let minute = Duration::from_secs(60);
        let verdict = |failure, retry_after| Verdict::Retry { failure, retry_after };
        assert_eq!(away(&verdict(Failure::Server, Some(minute))), Some(minute));
        assert_eq!(away(&verdict(Failure::Server, Some(SHORT_WAIT))), None);
        assert_eq!(away(&verdict(Failure::Server, None)), None);
        for failure in [Failure::Busy, Failure::NotSent, Failure::Unknown] {
            assert_eq!(away(&verdict(failure, Some(minute))), None, "{failure:?}");
        }
        for verdict in [Verdict::Accepted, Verdict::Unauthorized, Verdict::Refused] {
            assert_eq!(away(&verdict), None, "{verdict:?}");
        }
    }

    #[test]
    fn any_answer_to_a_probe_under_500_is_good() {
        for code in [200, 204, 301, 302, 304, 400, 401, 403, 404, 405, 409, 429, 499] {
            assert_eq!(by_probe(Some(code)), Answer::Good, "{code}");
        }
        for code in [500, 502, 503, 504, 599, 999] {
            assert_eq!(by_probe(Some(code)), Answer::Failed, "{code}");
        }
        assert_eq!(by_probe(None), Answer::Failed);
    }
}
