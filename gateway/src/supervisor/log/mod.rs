//! What the box says about itself: all of it into a ring in memory, what people should see on the console at once.
//!
//! Nothing is written to the flash but a tail ([`tail`]), when something happened that will be asked about.

mod console;
pub(super) mod kernel;
mod ring;
mod severity;
pub(super) mod tail;

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use tracing::Level;
use tracing_subscriber::fmt::MakeWriter;

use self::console::Console;
use self::ring::Ring;
use self::severity::{Severity, severity};

/// Lines of this target are a few words on the state of the box: they are shown although nothing is wrong.
pub(super) const STATE: &str = "wagate::state";

/// See the module. Clones are the same log.
#[derive(Debug, Clone)]
pub(super) struct Log {
    ring: Arc<Mutex<Ring>>,
    console: Console,
}

impl Log {
    /// An empty one, whose console is this process's stderr.
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self { ring: Arc::default(), console: Console::start(Box::new(io::stderr()))? })
    }

    /// A line of the process `name`. What has no level is something like a panic, or mistakes in a configuration:
    /// people should see it.
    pub(super) fn of_child(&self, name: &str, line: &str) {
        let line = format!("{name}: {line}");
        if severity(&line) != Severity::Usual {
            self.console.show(line.clone());
        }
        self.push(line);
    }

    /// Shows `text` on the console, and keeps it nowhere.
    pub(super) fn show(&self, text: &str) {
        text.lines().for_each(|line| self.console.show(line.to_owned()));
    }

    /// The last `count` lines, the oldest first.
    pub(super) fn last(&self, count: usize) -> Vec<String> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner).last(count)
    }

    /// The last whole lines within `bytes`.
    pub(super) fn tail(&self, bytes: usize) -> String {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner).tail(bytes)
    }

    fn push(&self, line: String) {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }
}

/// One line of the supervisor itself, on its way.
#[derive(Debug)]
pub(super) struct Line<'l> {
    log: &'l Log,
    shown: bool,
    bytes: Vec<u8>,
}

impl io::Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line<'_> {
    fn drop(&mut self) {
        let text = String::from_utf8_lossy(&self.bytes);
        for line in text.lines() {
            if self.shown {
                self.log.console.show(line.to_owned());
            }
            self.log.push(line.to_owned());
        }
    }
}

impl<'l> MakeWriter<'l> for Log {
    type Writer = Line<'l>;

    fn make_writer(&'l self) -> Line<'l> {
        Line { log: self, shown: true, bytes: Vec::new() }
    }

    fn make_writer_for(&'l self, of: &tracing::Metadata<'_>) -> Line<'l> {
        let shown = *of.level() <= Level::WARN || of.target() == STATE;
        Line { log: self, shown, bytes: Vec::new() }
    }
}
