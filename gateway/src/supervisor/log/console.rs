//! The console: a serial line, which may take a tenth of a second for a line, or stand still.

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

/// Lines that wait for the console; more are left out, since nobody may wait for it.
const WAITING_MAX: usize = 256;
/// So many lines in [`WINDOW`] are read by nobody any more; the rest is in the log.
const LINES_MAX: u32 = 60;
/// See [`LINES_MAX`].
const WINDOW: Duration = Duration::from_secs(10);

/// The way to the console. Clones lead to the same one.
#[derive(Debug, Clone)]
pub(super) struct Console {
    lines: SyncSender<String>,
}

impl Console {
    /// Starts the thread that writes `to` the console.
    pub(super) fn start(to: Box<dyn Write + Send>) -> io::Result<Self> {
        let (lines, waiting) = sync_channel(WAITING_MAX);
        std::thread::Builder::new().name("console".into()).spawn(move || write(&waiting, to))?;
        Ok(Self { lines })
    }

    /// Shows a line as soon as may be, or never.
    pub(super) fn show(&self, line: String) {
        let _ = self.lines.try_send(line);
    }
}

fn write(waiting: &Receiver<String>, mut to: Box<dyn Write + Send>) {
    let mut pace = Pace::new(Instant::now());
    while let Ok(line) = waiting.recv() {
        match pace.admit(Instant::now()) {
            Some(0) => {}
            Some(left_out) => drop(writeln!(to, "({left_out} lines left out; they are in the log)")),
            None => continue,
        }
        let _ = writeln!(to, "{line}");
        let _ = to.flush();
    }
}

/// So many lines a window.
struct Pace {
    since: Instant,
    shown: u32,
    left_out: u64,
}

impl Pace {
    const fn new(now: Instant) -> Self {
        Self { since: now, shown: 0, left_out: 0 }
    }

    /// Whether a line may be shown now: then with the number of those that weren't before it.
    fn admit(&mut self, now: Instant) -> Option<u64> {
        if now.saturating_duration_since(self.since) >= WINDOW {
            (self.since, self.shown) = (now, 0);
        }
        if self.shown >= LINES_MAX {
            self.left_out += 1;
            return None;
        }
        self.shown += 1;
        Some(std::mem::take(&mut self.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_cut_and_counted() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        let admitted = (0..200).filter(|_| pace.admit(start) == Some(0)).count();
        assert_eq!(admitted, 60);
        assert_eq!(pace.admit(start + WINDOW), Some(140));
        assert_eq!(pace.admit(start + WINDOW), Some(0));
    }
}
