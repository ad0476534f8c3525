//! How far an update is, on a line that is written over on a terminal.

use std::io::{IsTerminal as _, Write as _};

use serde_json::Value;

/// How much of the bundle has come.
pub(super) fn amount(job: &Value) -> String {
    let mib = |bytes: u64| {
        #[expect(clippy::cast_precision_loss, reason = "a size for people")]
        let mib = bytes as f64 / f64::from(1 << 20);
        mib
    };
    let received = mib(job["received"].as_u64().unwrap_or_default());
    match job["total"].as_u64() {
        Some(total) => format!("{received:.1} of {:.1} MiB", mib(total)),
        None => format!("{received:.1} MiB"),
    }
}

/// A line on stderr: of a terminal the last one is written over, elsewhere only what is new in words is said.
#[derive(Debug, Default)]
pub(super) struct Line {
    said: String,
    open: bool,
}

impl Line {
    /// Says `words`, and on a terminal `amount` behind them.
    pub(super) fn say(&mut self, words: &str, amount: &str) {
        let mut stderr = std::io::stderr().lock();
        if stderr.is_terminal() {
            let behind = if amount.is_empty() { String::new() } else { format!(", {amount}") };
            // That nobody listens is no error.
            let _ = write!(stderr, "\r\u{1b}[K{words}{behind}").and_then(|()| stderr.flush());
            self.open = true;
        } else if self.said != words {
            let _ = writeln!(stderr, "{words}");
        }
        words.clone_into(&mut self.said);
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if self.open {
            let _ = writeln!(std::io::stderr());
        }
    }
}
