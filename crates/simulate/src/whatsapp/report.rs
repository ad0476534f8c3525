//! What a run of the sender came to.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::{Histogram, Item};

/// The outcome of a run.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Different webhooks that were sent at least once.
    pub webhooks: u64,
    /// Requests, repetitions included.
    pub requests: u64,
    /// Webhooks answered with 200.
    pub acked: u64,
    /// Items in them, copies included.
    pub acked_items: u64,
    /// Answers other than 200, by status.
    pub refused: BTreeMap<u16, u64>,
    /// Requests that broke or timed out; they may have arrived.
    pub broken: u64,
    /// Attempts that failed before anything was sent.
    pub unreachable: u64,
    /// Connections opened.
    pub connections: u64,
    /// Of acknowledged requests: from the time at which the schedule wanted them sent to the
    /// answer, so that a stalled server can't hide its stall by stalling the sender as well.
    pub latency: Histogram,
    /// What was acknowledged, by connection in order of time; empty unless asked for.
    pub acknowledged: Vec<Acknowledged>,
    /// What never was: given up, or open at the end. It may have arrived all the same.
    pub unacknowledged: Vec<Arc<[Item]>>,
    /// How long the run took.
    pub took: Duration,
}

/// A webhook that got its 200.
#[derive(Debug, Clone)]
pub struct Acknowledged {
    /// What it holds.
    pub items: Arc<[Item]>,
    /// When the 200 came.
    pub at: Instant,
}

impl Report {
    /// Whether everything that was sent was acknowledged.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.webhooks == self.acked
    }

    /// Acknowledged webhooks per second.
    #[must_use]
    pub fn acked_per_second(&self) -> f64 {
        let seconds = self.took.as_secs_f64();
        if seconds > 0.0 { self.acked as f64 / seconds } else { 0.0 }
    }

    /// The record ids that were acknowledged, copies included.
    pub fn acknowledged_ids(&self) -> impl Iterator<Item = &str> {
        self.acknowledged.iter().flat_map(|webhook| webhook.items.iter().map(|item| &*item.id))
    }

    /// Adds what another connection came to.
    pub(crate) fn add(&mut self, other: Self) {
        self.webhooks += other.webhooks;
        self.requests += other.requests;
        self.acked += other.acked;
        self.acked_items += other.acked_items;
        for (status, times) in other.refused {
            *self.refused.entry(status).or_default() += times;
        }
        self.broken += other.broken;
        self.unreachable += other.unreachable;
        self.connections += other.connections;
        self.latency.merge(&other.latency);
        self.acknowledged.extend(other.acknowledged);
        self.unacknowledged.extend(other.unacknowledged);
    }
}

/// Counters to look at while a run goes on.
#[derive(Debug, Default)]
pub struct Progress {
    pub(crate) webhooks: AtomicU64,
    pub(crate) acked: AtomicU64,
    pub(crate) failed: AtomicU64,
}

/// What [`Progress`] says at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Different webhooks sent so far.
    pub webhooks: u64,
    /// Answered with 200.
    pub acked: u64,
    /// Attempts that weren't.
    pub failed: u64,
}

impl Progress {
    /// Reads the counters.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts {
            webhooks: self.webhooks.load(Ordering::Relaxed),
            acked: self.acked.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
        }
    }
}
