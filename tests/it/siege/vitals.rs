//! What an attack costs the box, read from `/proc`.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// Between two looks.
const EVERY: Duration = Duration::from_millis(20);

/// What a process has, or has had at most.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Vitals {
    /// Resident memory, in bytes.
    pub(crate) rss: u64,
    /// Open descriptors.
    pub(crate) fds: usize,
}

impl Vitals {
    pub(crate) fn of(pid: u32) -> Self {
        let text = std::fs::read_to_string(path(pid, "status")).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
        let kib: u64 = line.trim().trim_end_matches(" kB").parse().unwrap_or_default();
        let fds = std::fs::read_dir(path(pid, "fd")).map_or(0, Iterator::count);
        Self { rss: kib * 1024, fds }
    }

    fn or_more(self, other: Self) -> Self {
        Self { rss: self.rss.max(other.rss), fds: self.fds.max(other.fds) }
    }
}

/// Bytes that a process has caused to be written to a disk.
pub(crate) fn written(pid: u32) -> u64 {
    let text = std::fs::read_to_string(path(pid, "io")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("write_bytes: ")).unwrap();
    line.parse().unwrap()
}

fn path(pid: u32, name: &str) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}/{name}"))
}

/// Looks at a process again and again, on a thread of its own.
pub(crate) struct Watch {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Vitals>,
}

impl Watch {
    pub(crate) fn start(pid: u32) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut most = Vitals::of(pid);
            while !told.load(Ordering::Relaxed) {
                std::thread::sleep(EVERY);
                most = most.or_more(Vitals::of(pid));
            }
            most
        });
        Self { stop, thread }
    }

    /// The most that there was.
    pub(crate) fn stop(self) -> Vitals {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}
