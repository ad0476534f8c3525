//! The clock of the real program, moved by `libfaketime` (Debian's package `faketime`). The monotonic clock is
//! left alone, as on a real machine.

use std::path::PathBuf;

use simulate::graph::MovedClock;

use super::{Site, skip};

const DAY: i64 = 86_400;

/// A wall clock that a test turns.
pub(crate) struct Faketime {
    /// The same time for the simulated Graph, which only ever goes on.
    pub(crate) graph: MovedClock,
    ahead: i64,
}

impl Faketime {
    /// Has the site's processes run by it, from the true time on. Without the library the test is skipped.
    pub(crate) fn of(site: &mut Site, test: &str) -> Option<Self> {
        let Some(library) = library() else {
            skip(test, "the package `faketime` is not installed");
            return None;
        };
        let clock = site.path().join("clock");
        site.environment = [
            ("LD_PRELOAD", library.to_str().unwrap()),
            ("FAKETIME_TIMESTAMP_FILE", clock.to_str().unwrap()),
            ("FAKETIME_NO_CACHE", "1"),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
            ("DONT_FAKE_MONOTONIC", "1"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        set(site, 0);
        Some(Self { graph: MovedClock::default(), ahead: 0 })
    }

    /// So many seconds from the true time; Graph's clock stays as it is.
    pub(crate) fn set(&mut self, site: &Site, seconds: i64) {
        self.ahead = seconds;
        set(site, seconds);
    }

    /// On by so many seconds, and Graph's clock with it.
    pub(crate) fn turn_on(&mut self, site: &Site, seconds: i64) {
        self.graph.turn_on(seconds * 1_000);
        self.set(site, self.ahead + seconds);
    }

    /// On to the next time that the local time is `hour`:00, where it is so many hours ahead of UTC.
    pub(crate) fn turn_to(&mut self, site: &Site, hour: i64, ahead_of_utc: i64) {
        let local = self.now() + ahead_of_utc * 3_600;
        self.turn_on(site, (hour * 3_600 - local).rem_euclid(DAY));
    }

    /// Seconds since 1970.
    pub(crate) fn now(&self) -> i64 {
        true_time() + self.ahead
    }
}

/// The true time in seconds since 1970.
pub(crate) fn true_time() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_secs()).unwrap()
}

fn set(site: &Site, seconds: i64) {
    site.put("clock", format!("{seconds:+}\n").as_bytes());
}

fn library() -> Option<PathBuf> {
    let folders = std::fs::read_dir("/usr/lib").ok()?.flatten().map(|entry| entry.path());
    let places = folders.chain(["/usr/lib".into(), "/usr/lib64".into(), "/usr/local/lib".into()]);
    places.map(|folder| folder.join("faketime/libfaketimeMT.so.1")).find(|path| path.exists())
}
