//! The authorities that Meta's client certificate may come from.

use ingress::{Root, client_roots};
use model::WallTime;

use super::super::finding::{Check, Finding};
use super::super::words;
use super::super::world::World;
use crate::clock;

/// Before so many days a new file should be there; Meta announces a change weeks ahead.
const WARN_DAYS: i64 = 30;
const DAY_MS: i64 = 24 * 3_600_000;
const GET: &str =
    "get Meta's new CA file and append it to `webhook.client_auth.ca`; docs/operating/certificates.md";

/// Nothing where no client is asked.
pub(super) fn check(world: &World) -> Option<Finding> {
    let asked = world.config.webhook.client_auth.asked()?;
    let read = client_roots(&asked.ca).map_err(|error| error.to_string());
    Some(judge(&read, clock::now(), asked.required))
}

/// Judges what is in the file.
pub(in super::super) fn judge(read: &Result<Vec<Root>, String>, now: WallTime, required: bool) -> Finding {
    let finding = match read {
        Err(why) => Finding::fail(Check::Certificate, why.clone())
            .detail(
                "With this file wagate doesn't start; while it runs it keeps the authorities that it has.",
            )
            .next("put Meta's CA file in place, as PEM; docs/operating/certificates.md"),
        Ok(roots) => by_age(roots, now, required),
    };
    finding.about("client authorities")
}

fn by_age(roots: &[Root], now: WallTime, required: bool) -> Finding {
    let ends = |root: &Root| root.expires.map_or(i64::MAX, |expires| expires.0);
    // While one is good for long the others may end: they are the old ones.
    let Some(last) = roots.iter().max_by_key(|root| ends(root)) else {
        return Finding::fail(Check::Certificate, "none").next(GET);
    };
    let days = ends(last).saturating_sub(now.0).div_euclid(DAY_MS);
    let old: Vec<_> =
        roots.iter().filter(|root| ends(root) < now.0).map(|root| format!("{:?}", root.name)).collect();
    let words = |when: &str| format!("{} in the file; the last, {:?}, {when}", roots.len(), last.name);
    let left = words::days(days.unsigned_abs());
    let finding = if days < 0 {
        let finding = Finding::warn(Check::Certificate, words(&format!("ended {left} ago")));
        finding.detail("A root that is over is taken still; Meta has another by now, or will soon.").next(GET)
    } else if days < WARN_DAYS {
        let finding = Finding::warn(Check::Certificate, words(&format!("ends in {left}")));
        let who = if required { "Meta's webhooks are" } else { "what Meta shows then is" };
        let then =
            format!("Meta changes to another before that, and {who} turned away until that one is known.");
        finding.detail(then).next(GET)
    } else if last.expires.is_none() {
        Finding::ok(Check::Certificate, words("doesn't end"))
    } else {
        Finding::ok(Check::Certificate, words(&format!("ends in {left}")))
    };
    let finding = if finding.detail.is_none() && !old.is_empty() {
        finding.detail(format!("Over, and free to go from the file: {}.", old.join(", ")))
    } else {
        finding
    };
    finding.fact("days_left", days)
}
