//! From WhatsApp to the CRM: how long each record was under way.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::{Histogram, Summary};

/// Records under way that are remembered; past it further ones aren't timed, and are counted.
pub const UNDER_WAY_MAX: usize = 1 << 20;

/// Joins the two ends of a run in one process: the sender notes when an item was first sent, the
/// CRM when its record first arrived.
#[derive(Debug, Default)]
pub struct Journeys(Mutex<Under>);

#[derive(Debug, Default)]
struct Under {
    way: HashMap<Box<str>, Instant>,
    untimed: u64,
    taken: Histogram,
}

impl Journeys {
    /// Notes that the item with this record id was sent; only its first time counts.
    pub fn sent(&self, id: &str, at: Instant) {
        let mut under = self.lock();
        if under.way.len() >= UNDER_WAY_MAX {
            under.untimed += 1;
        } else if !under.way.contains_key(id) {
            under.way.insert(id.into(), at);
        }
    }

    /// Notes that the record arrived for the first time; tells how long it took.
    pub fn arrived(&self, id: &str, at: Instant) -> Option<Duration> {
        let mut under = self.lock();
        let sent = under.way.remove(id)?;
        let took = at.saturating_duration_since(sent);
        under.taken.record(took);
        Some(took)
    }

    /// The times of all that have arrived.
    #[must_use]
    pub fn summary(&self) -> Summary {
        self.lock().taken.summary()
    }

    /// How many were sent and haven't arrived.
    #[must_use]
    pub fn under_way(&self) -> usize {
        self.lock().way.len()
    }

    /// How many weren't timed since too many were under way.
    #[must_use]
    pub fn untimed(&self) -> u64 {
        self.lock().untimed
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Under> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_runs_from_the_first_sending_to_the_first_arrival() {
        let journeys = Journeys::default();
        let start = Instant::now();
        journeys.sent("a", start);
        journeys.sent("a", start + Duration::from_secs(5));
        assert_eq!(journeys.under_way(), 1);
        assert_eq!(journeys.arrived("a", start + Duration::from_secs(7)), Some(Duration::from_secs(7)));
        assert_eq!(journeys.arrived("a", start + Duration::from_secs(9)), None);
        assert_eq!(journeys.arrived("never sent", start), None);
        assert_eq!((journeys.summary().count, journeys.under_way()), (1, 0));
    }
}
