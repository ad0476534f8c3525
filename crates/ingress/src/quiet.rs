//! Log lines that strangers can cause, kept from filling the disk.

use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

/// One line a minute and kind is enough to be seen.
const EVERY: Duration = Duration::from_secs(60);

/// Lets one line of a kind through each minute and counts the others.
#[derive(Debug, Default)]
pub struct Quiet(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    last: Option<Instant>,
    held_back: u64,
}

impl Quiet {
    /// Whether to say it at `now`: then how often it went unsaid since the last time.
    pub fn speak(&self, now: Instant) -> Option<u64> {
        let mut state = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if state.last.is_some_and(|last| now.duration_since(last) < EVERY) {
            state.held_back += 1;
            return None;
        }
        state.last = Some(now);
        Some(std::mem::take(&mut state.held_back))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_speaks_once_a_minute_and_says_how_often_it_did_not() {
        let quiet = Quiet::default();
        let start = Instant::now();
        assert_eq!(quiet.speak(start), Some(0));
        assert_eq!(quiet.speak(start + Duration::from_secs(1)), None);
        assert_eq!(quiet.speak(start + Duration::from_secs(59)), None);
        assert_eq!(quiet.speak(start + Duration::from_secs(60)), Some(2));
    }
}
