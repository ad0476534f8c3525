//! The tail of the log that outlives the machine's start: written when something happened that will be asked about,
//! and at no other time.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use board::{BoardError, FileStorage};

use super::super::keeping::Keeping;

/// Bytes of one.
const TAIL_BYTES: usize = 64 * 1024;
/// Of them, those for the first line.
const HEAD_BYTES: usize = 1024;
/// How many there are; the oldest is replaced.
const TAILS: usize = 4;
/// At most one in this time for processes that end again and again; what is on the way down is always written.
const EVERY: Duration = Duration::from_secs(600);

/// Where tails go.
#[derive(Debug)]
pub(in super::super) struct Tails {
    folder: PathBuf,
    written: Option<Instant>,
    keeping: Keeping,
}

impl Tails {
    /// Into the folder of what the box keeps.
    pub(in super::super) const fn new(folder: PathBuf, keeping: Keeping) -> Self {
        Self { folder, written: None, keeping }
    }

    /// Has a tail written, and doesn't wait for that, unless one was written a moment ago; `last`: in any case.
    pub(in super::super) fn write(&mut self, why: &str, log: &super::Log, now: Instant, last: bool) {
        let recent = self.written.is_some_and(|at| now.saturating_duration_since(at) < EVERY);
        if recent && !last {
            return;
        }
        self.written = Some(now);
        let (folder, why, tail) = (self.folder.clone(), why.to_owned(), log.tail(TAIL_BYTES - HEAD_BYTES));
        let taken = self.keeping.later(move || {
            if let Err(error) = put(&folder, &why, &tail) {
                tracing::warn!("the tail of the log can't be written: {error}");
            }
        });
        if !taken {
            tracing::warn!("the tail of the log isn't written: the disk doesn't answer");
        }
    }
}

fn put(folder: &Path, why: &str, tail: &str) -> Result<(), BoardError> {
    let mut storage = FileStorage::open(folder)?;
    let (name, number) = next(&storage);
    storage.set(&name, format!("# {number} {why}\n{tail}").as_bytes()).map(drop)
}

/// The value that is free, or the oldest one, and the number of the tail that goes into it.
fn next(storage: &FileStorage) -> (String, u64) {
    let name = |place: usize| format!("log-tail-{place}");
    let number = |place: usize| {
        let bytes = storage.get(&name(place)).ok()??;
        let text = String::from_utf8_lossy(&bytes);
        text.strip_prefix("# ")?.split(' ').next()?.parse::<u64>().ok()
    };
    let numbers: Vec<u64> = (1..=TAILS).map(|place| number(place).unwrap_or(0)).collect();
    let oldest = numbers.iter().enumerate().min_by_key(|(_, number)| **number).map_or(0, |(place, _)| place);
    (name(oldest + 1), numbers.iter().max().copied().unwrap_or(0).saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_are_kept_and_not_more_than_one_in_ten_minutes() {
        let log = super::super::Log::new().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let keeping = Keeping::start().unwrap();
        let mut tails = Tails::new(folder.path().join("box"), keeping.clone());
        let wait = || assert!(keeping.wait(Duration::from_secs(30)));
        let start = Instant::now();
        let minutes = |minutes: u64| start + Duration::from_secs(60 * minutes);
        for n in 0..6 {
            log.push(format!("line {n}"));
            tails.write("it died", &log, minutes(10 * n), false);
            tails.write("again", &log, minutes(10 * n + 9), false);
            wait();
        }
        assert_eq!(std::fs::read_dir(folder.path().join("box")).unwrap().count(), 4);
        let text = |place: u32| {
            std::fs::read_to_string(folder.path().join(format!("box/log-tail-{place}"))).unwrap()
        };
        assert!(text(2).starts_with("# 6 it died\nline 0\n"), "{}", text(2));
        assert!(text(3).starts_with("# 3 "));
        tails.write("going down", &log, minutes(51), true);
        wait();
        assert!(text(3).starts_with("# 7 going down\n") && text(3).ends_with("line 5\n"));
    }
}
