//! The time before anybody has told it: a box has no clock that runs while it's off.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use board::FileStorage;

use super::log::STATE;

/// Where the last known time is kept, in milliseconds since 1970.
const KEY: &str = "clock";
/// A file that is so much younger than the firmware was written by a clock that was wrong: 20 years.
const FAR_MS: i64 = 20 * 365 * 86_400_000;
/// So it is if a file is so much younger than the last time that was saved, once there is one: 30 days. Of years in
/// which a time server was wrong files tell for ever.
const BEYOND_SAVED_MS: i64 = 30 * 86_400_000;
/// How often the time is saved while the machine runs, so that a power cut after months leaves one of that day: a week.
const SAVE_EVERY: Duration = Duration::from_secs(7 * 86_400);
/// Files that are looked at in a folder.
const FILES_MAX: usize = 1000;

/// The time that has surely been reached: that of the build, the last one that was saved, and the newest write of
/// what lies in `folders`, unless that is far from what was saved.
pub(super) fn floor(built_at_ms: i64, kept: &Path, folders: &[PathBuf]) -> i64 {
    let saved = FileStorage::open(kept).ok().and_then(|storage| storage.get(KEY).ok()?);
    let saved = saved.and_then(|bytes| String::from_utf8(bytes).ok()?.trim().parse::<i64>().ok());
    let files =
        folders.iter().flat_map(|folder| std::fs::read_dir(folder).into_iter().flatten().take(FILES_MAX));
    let written = files.flatten().filter_map(|entry| ms(entry.metadata().ok()?.modified().ok()?));
    let far = built_at_ms.saturating_add(FAR_MS);
    let saved = saved.filter(|ms| *ms <= far);
    let last = saved.map_or(far, |ms| ms.max(built_at_ms).saturating_add(BEYOND_SAVED_MS).min(far));
    written.filter(|ms| *ms <= last).chain(saved).fold(built_at_ms, i64::max)
}

/// When the time is to be saved again.
#[derive(Debug)]
pub(super) struct Calendar {
    saved: Instant,
}

impl Calendar {
    /// Not for a while: a run saves it when it is set first.
    pub(super) const fn new(now: Instant) -> Self {
        Self { saved: now }
    }

    /// Whether it is to be saved now; said once.
    pub(super) fn is_due(&mut self, now: Instant) -> bool {
        let due = now.saturating_duration_since(self.saved) >= SAVE_EVERY;
        if due {
            self.saved = now;
        }
        due
    }
}

/// How long ago the kernel started, by `file` (`/proc/uptime`); nothing where that can't be read.
pub(super) fn uptime(file: &Path) -> Duration {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let seconds = text.split(' ').next().and_then(|text| text.parse().ok()).unwrap_or(0.0);
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

/// Sets the clock forward where it stands before `floor`.
pub(super) fn at_least(floor_ms: i64) {
    match board::linux::set_clock_at_least(floor_ms) {
        Ok(false) => {}
        Ok(true) => {
            tracing::info!(target: STATE, "the clock was set to the last time that is known for certain");
        }
        Err(error) => tracing::error!("the clock can't be set: {error}"),
    }
}

/// Keeps the time of now.
pub(super) fn save(kept: &Path) {
    let saved = FileStorage::open(kept).and_then(|mut storage| {
        let now = ms(SystemTime::now()).unwrap_or(0);
        storage.set(KEY, now.to_string().as_bytes())
    });
    if let Err(error) = saved {
        tracing::warn!("the time can't be kept: {error}");
    }
}

fn ms(time: SystemTime) -> Option<i64> {
    i64::try_from(time.duration_since(UNIX_EPOCH).ok()?.as_millis()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_floor_is_the_latest_of_what_is_known() {
        let root = tempfile::tempdir().unwrap();
        let (kept, store) = (root.path().join("box"), root.path().join("store"));
        std::fs::create_dir(&store).unwrap();
        let floor = |built| floor(built, &kept, &[kept.clone(), store.clone()]);
        assert_eq!(floor(1_700_000_000_000), 1_700_000_000_000);
        let put = |name: &str, seconds: u64| {
            let file = std::fs::File::create(store.join(name)).unwrap();
            file.set_modified(UNIX_EPOCH + Duration::from_secs(seconds)).unwrap();
        };
        put("log", 1_700_000_500);
        put("far", 4_000_000_000);
        assert_eq!(floor(1_700_000_000_000), 1_700_000_500_000, "a file of the year 2096 is a mistake");
        assert_eq!(floor(1_700_000_900_000), 1_700_000_900_000);
        let before = ms(SystemTime::now()).unwrap();
        save(&kept);
        assert!(floor(1_700_000_000_000) >= before);
        std::fs::write(kept.join("clock"), "nonsense").unwrap();
        let now = ms(SystemTime::now()).unwrap();
        assert!(floor(1_700_000_000_000) <= now);
    }

    #[test]
    fn a_year_that_a_time_server_made_up_isnt_believed_again() {
        const DAY: u64 = 86_400;
        let root = tempfile::tempdir().unwrap();
        let kept = root.path().join("box");
        let mut storage = FileStorage::open(&kept).unwrap();
        let (built, saved) = (1_700_000_000, 1_700_000_000 + 100 * DAY);
        let floor = || floor(1_700_000_000_000, &kept, std::slice::from_ref(&kept)) / 1000;
        let written = |name: &str, seconds: u64| {
            let file = std::fs::File::create(kept.join(name)).unwrap();
            file.set_modified(UNIX_EPOCH + Duration::from_secs(seconds)).unwrap();
        };
        written("identity", built + 5 * 365 * DAY);
        assert_eq!(floor(), 1_700_000_000 + 5 * 365 * 86_400, "nothing is known against it");
        storage.set(KEY, format!("{saved}000").as_bytes()).unwrap();
        written("log", saved + 8 * DAY);
        // The file of the saved time itself was written just now.
        let of_today = std::fs::File::options().append(true).open(kept.join(KEY)).unwrap();
        of_today.set_modified(UNIX_EPOCH + Duration::from_secs(saved)).unwrap();
        assert_eq!(floor(), 1_700_000_000 + 108 * 86_400, "what was written since counts");
    }

    #[test]
    fn it_is_saved_once_a_week() {
        let now = Instant::now();
        let mut calendar = Calendar::new(now);
        let hours = (0..24 * 7 * 3).filter(|hour| calendar.is_due(now + Duration::from_secs(3600 * hour)));
        assert_eq!(hours.collect::<Vec<u64>>(), [168, 336]);
    }
}
