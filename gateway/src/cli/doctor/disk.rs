//! Room for records: what is free, what the store may still take, and how long that lasts.

use std::path::Path;
use std::time::Duration;

use model::WallTime;
use serde_json::Value;

use super::finding::{Check, Finding};
use super::words::{days, size};
use super::world::{Gateway, World};
use crate::clock;
use crate::config::Store;

/// Below so many days until the budget is used up somebody should see to it.
const WARN_DAYS: u64 = 30;
/// Below so many it can't wait.
const FAIL_DAYS: u64 = 3;
const DAY_MS: u64 = 24 * 3_600_000;
/// From less history no rate can be told.
const HISTORY_MIN_MS: u64 = 3_600_000;

/// What the running gateway knows of its store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Live {
    /// Bytes that count against `store.max_size`.
    pub(super) bytes: u64,
    /// How long ago the oldest record kept was received; `None` without records.
    pub(super) kept_ms: Option<u64>,
}

pub(super) async fn check(world: &World) -> Finding {
    let store = &world.config.store;
    let Some(free) = free(&store.path) else {
        return Finding::fail(Check::Disk, "the file system of `store.path` can't be looked at")
            .next("see that the folder above it is there, and mounted");
    };
    let live = match world.gateway().await {
        Gateway::Runs(status) => match status.pointer("/disk/live_bytes").and_then(Value::as_u64) {
            Some(bytes) => Some(Live { bytes, kept_ms: kept_ms(world).await }),
            None => None,
        },
        Gateway::Stranger(_) | Gateway::Silent(_) | Gateway::Nowhere => None,
    };
    judge(free, store, live)
}

/// Bytes that an ordinary user may still write where `path` is, or will be.
fn free(path: &Path) -> Option<u64> {
    let path = std::path::absolute(path).ok()?;
    let there = path.ancestors().find(|path| path.exists())?;
    let seen = rustix::fs::statvfs(there).ok()?;
    Some(seen.f_bavail.saturating_mul(seen.f_frsize))
}

async fn kept_ms(world: &World) -> Option<u64> {
    let heard = world.of_gateway("/v1/records?limit=1").await?.ok()?;
    let text = heard.body.pointer("/records/0/data/received_at")?.as_str()?;
    let at = WallTime(text.parse::<jiff::Timestamp>().ok()?.as_millisecond());
    u64::try_from(clock::now().0.saturating_sub(at.0)).ok()
}

/// `free` bytes on the file system; `live` where the gateway runs.
pub(super) fn judge(free: u64, store: &Store, live: Option<Live>) -> Finding {
    let Some(live) = live else { return stopped(free, store) };
    let room = store.max_size.saturating_sub(live.bytes);
    let used =
        format!("{} of {} used, {} free on the disk", size(live.bytes), size(store.max_size), size(free));
    let finding = if free < room {
        Finding::fail(Check::Disk, used)
            .detail(format!("`store.max_size` lets the store grow by {} more: the disk would be full first, and webhooks refused.", size(room)))
            .next("make room on the disk, or lower `store.max_size`; docs/operating/recover.md")
    } else {
        match lasts(live, store) {
            Lasts::Unknown => Finding::ok(
                Check::Disk,
                format!("{used}; there is too little history yet to tell how long it lasts"),
            ),
            Lasts::For { history_bytes } => Finding::ok(
                Check::Disk,
                format!(
                    "{used}; at this rate it's never full: {} of history take {}",
                    days(days_of(store.history)),
                    size(history_bytes)
                ),
            ),
            Lasts::Days(left) => {
                let words = format!("{used}; at this rate full in {}", days(left));
                let finding = if left < FAIL_DAYS {
                    Finding::fail(Check::Disk, words)
                } else if left < WARN_DAYS {
                    Finding::warn(Check::Disk, words)
                } else {
                    return Finding::ok(Check::Disk, words).fact("days_left", left);
                };
                finding
                    .detail("Then the oldest history goes before its time; with nothing delivered left, webhooks are refused.")
                    .next("raise `store.max_size` where the disk has room, or lower `store.history`")
                    .fact("days_left", left)
            }
        }
    };
    finding.fact("free_bytes", free).fact("live_bytes", live.bytes).fact("max_bytes", store.max_size)
}

/// What can be said without the gateway.
fn stopped(free: u64, store: &Store) -> Finding {
    let log = store.log_segment.saturating_mul(u64::from(store.log_segments));
    let finding = if free < log {
        Finding::fail(
            Check::Disk,
            format!("{} free on the disk: not enough for the intake log ({})", size(free), size(log)),
        )
        .next("make room on the disk; docs/operating/recover.md")
    } else {
        let words =
            format!("{} free on the disk; how long it lasts only the running gateway knows", size(free));
        Finding::ok(Check::Disk, words)
    };
    finding.fact("free_bytes", free).fact("max_bytes", store.max_size)
}

/// How long the budget lasts.
enum Lasts {
    /// Nobody can say yet.
    Unknown,
    /// For ever: the whole history fits.
    For { history_bytes: u64 },
    /// So many days.
    Days(u64),
}

fn lasts(live: Live, store: &Store) -> Lasts {
    let Some(kept_ms) = live.kept_ms.filter(|kept_ms| *kept_ms >= HISTORY_MIN_MS) else {
        return Lasts::Unknown;
    };
    let over = |bytes: u64, by: u64, of: u64| {
        let product = u128::from(bytes).saturating_mul(u128::from(by));
        u64::try_from(product / u128::from(of.max(1))).unwrap_or(u64::MAX)
    };
    let history_ms = u64::try_from(store.history.as_millis()).unwrap_or(u64::MAX);
    let history_bytes = over(live.bytes, history_ms, kept_ms);
    if history_bytes <= store.max_size {
        return Lasts::For { history_bytes };
    }
    Lasts::Days(over(store.max_size.saturating_sub(live.bytes), kept_ms, live.bytes) / DAY_MS)
}

const fn days_of(time: Duration) -> u64 {
    time.as_secs() / 86_400
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::finding::State;
    use super::*;

    const GIB: u64 = 1 << 30;

    /// The defaults of `[store]`.
    pub(in super::super) fn store() -> Store {
        Store {
            path: "/var/lib/wagate".into(),
            max_size: 4 * GIB,
            history: Duration::from_secs(180 * 86_400),
            log_segment: 16 << 20,
            log_segments: 4,
        }
    }

    fn live(bytes: u64, kept_days: u64) -> Option<Live> {
        Some(Live { bytes, kept_ms: Some(kept_days * DAY_MS) })
    }

    #[test]
    fn days_left_come_from_what_was_kept_for_how_long() {
        for (free, live, state, days_left) in [
            // A GiB in 90 days: two in 180, and that fits.
            (100 * GIB, live(GIB, 90), State::Ok, None),
            // A GiB in 40 days: three more last 120 days.
            (100 * GIB, live(GIB, 40), State::Ok, Some(120)),
            (100 * GIB, live(2 * GIB, 29), State::Warn, Some(29)),
            (100 * GIB, live(2 * GIB, 30), State::Ok, Some(30)),
            (100 * GIB, live(2 * GIB, 3), State::Warn, Some(3)),
            (100 * GIB, live(2 * GIB, 2), State::Fail, Some(2)),
            (100 * GIB, live(4 * GIB, 100), State::Fail, Some(0)),
            (100 * GIB, live(5 * GIB, 100), State::Fail, Some(0)),
            // The disk is smaller than the budget.
            (GIB, live(GIB, 90), State::Fail, None),
            (3 * GIB, live(GIB, 90), State::Ok, None),
            (100 * GIB, Some(Live { bytes: GIB, kept_ms: Some(HISTORY_MIN_MS - 1) }), State::Ok, None),
            (100 * GIB, Some(Live { bytes: 0, kept_ms: None }), State::Ok, None),
            (100 * GIB, Some(Live { bytes: u64::MAX, kept_ms: Some(u64::MAX) }), State::Fail, Some(0)),
            (GIB, None, State::Ok, None),
            (63 << 20, None, State::Fail, None),
        ] {
            let finding = judge(free, &store(), live);
            assert_eq!(finding.state, state, "{free} {live:?}: {}", finding.summary);
            assert_eq!(finding.facts.get("days_left").and_then(Value::as_u64), days_left, "{live:?}");
            assert_eq!(finding.next.is_some(), state != State::Ok);
        }
    }

    #[test]
    fn a_store_that_is_not_there_yet_is_looked_for_above() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(free(&folder.path().join("not/yet")).is_some(), free(folder.path()).is_some());
        assert!(free(Path::new("relative/not/yet")).is_some_and(|free| free > 0));
    }
}
