//! Keeps a line that the network can trigger from filling the log.

use std::time::Duration;

use tokio::time::Instant;

/// The least time between two lines of a kind.
const EVERY: Duration = Duration::from_secs(60);

/// Lets a line through at once, and then one a minute.
#[derive(Debug, Default)]
pub(crate) struct Quiet {
    last: Option<Instant>,
    swallowed: u64,
}

impl Quiet {
    /// Asks for a line: how many were swallowed since the last one, or `None` to stay silent.
    pub(crate) fn line(&mut self, now: Instant) -> Option<u64> {
        if self.last.is_some_and(|last| now.duration_since(last) < EVERY) {
            self.swallowed += 1;
            return None;
        }
        self.last = Some(now);
        Some(std::mem::take(&mut self.swallowed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speaks_at_once_and_then_once_a_minute() {
        let start = Instant::now();
        let mut quiet = Quiet::default();
        assert_eq!(quiet.line(start), Some(0));
        assert_eq!(quiet.line(start + Duration::from_secs(1)), None);
        assert_eq!(quiet.line(start + Duration::from_secs(59)), None);
        assert_eq!(quiet.line(start + Duration::from_secs(60)), Some(2));
    }
}
