//! Whether the box knows what time it is.

use futures_util::future::join_all;
use jiff::fmt::rfc2822::DateTimeParser;
use model::WallTime;

use super::finding::{Check, Finding};
use super::unheard::Unheard;
use super::words::days;
use super::world::{ANSWER_WITHIN, Heard, World, ask};
use crate::clock;
use crate::demo::text::count;

/// A clock that is off by more is worth a look: windows and limits shift by as much.
const WARN_MS: i64 = 5_000;
/// By more, and receivers that check `webhook-timestamp` begin to refuse (300 s is what Standard Webhooks
/// suggests), and windows close early or late.
const FAIL_MS: i64 = 60_000;
/// A `Date` header is cut to whole seconds: half of one is what is missing on average.
const HALF_SECOND_MS: i64 = 500;
/// Where systemd-timesyncd keeps its state, and the file that is there once the clock was set.
const TIMESYNC: &str = "run/systemd/timesync";
const SYNCHRONIZED: &str = "run/systemd/timesync/synchronized";

/// What the clock was compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Compared {
    /// A host's clock: so many milliseconds are we ahead.
    With { host: String, ahead_ms: i64 },
    /// A host's certificate isn't valid at our time.
    NotValid { host: String },
    /// No host told the time.
    Nothing,
}

pub(super) async fn check(world: &World) -> Finding {
    let (whatsapp, crm) = (&world.config.whatsapp.endpoints, &world.config.crm.endpoints);
    let whatsapp = whatsapp.iter().map(|endpoint| (&endpoint.url, endpoint.ca.as_ref()));
    let urls = whatsapp.chain(crm.iter().map(|endpoint| (&endpoint.url, endpoint.ca.as_ref())));
    // The answer to plain HTTP may be anybody's.
    let asked =
        urls.filter_map(|(url, ca)| Some((url, ca, url.host_str()?)).filter(|_| url.scheme() == "https"));
    let compared = join_all(asked.map(|(url, ca, host)| async move {
        let Ok(http) = world.trusting(ca) else { return Compared::Nothing };
        let mut root = url.clone();
        root.set_path("/");
        root.set_query(None);
        let before = clock::now();
        let heard = ask(http.get(root), ANSWER_WITHIN).await;
        compare(host, &heard, before, clock::now())
    }))
    .await;
    let synchronized = if world.root.join(SYNCHRONIZED).exists() {
        Some(true)
    } else {
        world.root.join(TIMESYNC).exists().then_some(false)
    };
    judge(&best(compared), synchronized)
}

/// What says most: a time that was told, else a certificate that isn't valid; of several the first.
fn best(mut compared: Vec<Compared>) -> Compared {
    compared.sort_by_key(|one| match one {
        Compared::With { .. } => 0,
        Compared::NotValid { .. } => 1,
        Compared::Nothing => 2,
    });
    compared.into_iter().next().unwrap_or(Compared::Nothing)
}

/// What an answer says about the clock, which showed `before` and `after` it came.
pub(super) fn compare(
    host: &str,
    heard: &Result<Heard, Unheard>,
    before: WallTime,
    after: WallTime,
) -> Compared {
    let host = host.to_owned();
    match heard {
        Err(Unheard::WrongTime) => Compared::NotValid { host },
        Err(_) => Compared::Nothing,
        Ok(heard) => {
            let date =
                heard.date.as_deref().and_then(|date| DateTimeParser::new().parse_timestamp(date).ok());
            date.map_or(Compared::Nothing, |date| {
                let middle = before.0.midpoint(after.0);
                let ahead_ms = middle.saturating_sub(date.as_millisecond()).saturating_sub(HALF_SECOND_MS);
                Compared::With { host, ahead_ms }
            })
        }
    }
}

/// `synchronized` is what systemd says; `None` where it isn't the one to say.
pub(super) fn judge(compared: &Compared, synchronized: Option<bool>) -> Finding {
    const MEND: &str =
        "let the box reach a time server: `timedatectl` shows whether it does, UDP port 123 outwards";
    let kernel = match synchronized {
        Some(true) => "; the system keeps it synchronised",
        Some(false) => "; the system has reached no time server yet",
        None => "",
    };
    match compared {
        Compared::With { host, ahead_ms } => {
            let off = ahead_ms.saturating_abs();
            let way = if *ahead_ms > 0 { "ahead of" } else { "behind" };
            let words = format!("{} {way} {host}{kernel}", span(off));
            let finding = if off > FAIL_MS {
                Finding::fail(Check::Clock, words)
                    .detail("Customers' windows are judged wrongly, and a CRM that checks the time of deliveries refuses them.")
                    .next(MEND)
            } else if off > WARN_MS {
                Finding::warn(Check::Clock, words).next(MEND)
            } else {
                let words = format!("right to {} s, by {host}{kernel}", off.max(1_000).div_euclid(1_000));
                let finding = Finding::ok(Check::Clock, words);
                if synchronized == Some(false) {
                    finding.detail("It may drift off: nothing sets it.")
                } else {
                    finding
                }
            };
            finding.fact("ahead_ms", *ahead_ms)
        }
        Compared::NotValid { host } => Finding::fail(
            Check::Clock,
            format!("the certificate of {host} isn't valid at the time that this box has"),
        )
        .detail("The clock is wrong by days or more, or something in between answers in its stead.")
        .next(MEND),
        Compared::Nothing => match synchronized {
            Some(true) => {
                Finding::ok(Check::Clock, "the system keeps it synchronised; no https endpoint told the time")
            }
            Some(false) => Finding::warn(
                Check::Clock,
                "the system has reached no time server, and no https endpoint told the time",
            )
            .next(MEND),
            None => Finding::skip(Check::Clock, "no https endpoint told the time to compare with")
                .next("`timedatectl` shows what the system thinks of it"),
        },
    }
}

/// A length of time as people say it.
fn span(ms: i64) -> String {
    let seconds = ms.unsigned_abs() / 1_000;
    match seconds {
        0..120 => format!("{}.{} s", seconds, ms.unsigned_abs() % 1_000 / 100),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => count(seconds / 3_600, "hour"),
        _ => days(seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::Value;

    use super::super::finding::State;
    use super::*;

    #[test]
    fn the_date_header_is_compared_with_the_middle_of_the_call() {
        let heard = |date: &str| {
            Ok(Heard { status: 404, body: Value::Null, took: Duration::ZERO, date: Some(date.to_owned()) })
        };
        // 1994-11-06T08:49:37Z
        let then = 784_111_777_000;
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        for (before, after, ahead_ms) in [
            (then, then + 1_000, 0),
            (then + 7_000, then + 9_000, 7_500),
            (then - 100_000, then - 100_000, -100_500),
        ] {
            let compared = compare("graph", &heard(date), WallTime(before), WallTime(after));
            assert_eq!(compared, Compared::With { host: "graph".to_owned(), ahead_ms });
        }
        for nothing in [heard("yesterday"), Err(Unheard::Silent(ANSWER_WITHIN))] {
            assert_eq!(compare("graph", &nothing, WallTime(0), WallTime(0)), Compared::Nothing);
        }
        let expired = compare("graph", &Err(Unheard::WrongTime), WallTime(0), WallTime(0));
        assert_eq!(expired, Compared::NotValid { host: "graph".to_owned() });
        let with = |ahead_ms| Compared::With { host: "graph".to_owned(), ahead_ms };
        assert_eq!(best(vec![Compared::Nothing, expired.clone(), with(1), with(2)]), with(1));
        assert_eq!(best(vec![Compared::Nothing, expired.clone()]), expired);
        assert_eq!(best(Vec::new()), Compared::Nothing);
    }

    #[test]
    fn five_seconds_are_worth_a_word_and_a_minute_is_too_much() {
        for (ahead_ms, state) in [
            (0, State::Ok),
            (5_000, State::Ok),
            (-5_001, State::Warn),
            (60_000, State::Warn),
            (60_001, State::Fail),
            (-60_001, State::Fail),
            (i64::MIN, State::Fail),
        ] {
            let compared = Compared::With { host: "graph".to_owned(), ahead_ms };
            for synchronized in [None, Some(true), Some(false)] {
                let finding = judge(&compared, synchronized);
                assert_eq!(finding.state, state, "{ahead_ms}");
                assert_eq!(finding.next.is_some(), state != State::Ok);
            }
        }
    }
}
