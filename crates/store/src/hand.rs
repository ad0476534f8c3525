//! Records on hand: the newest of what waits for delivery, as it was taken apart.
//!
//! Who keeps up with the intake is served from here, without a look at the disk.

use std::collections::VecDeque;
use std::sync::Arc;

use model::{Record, Sequence};

use crate::settled::Settled;
use crate::store::OVERHEAD_BYTES;

/// Bytes of records kept, about: some 2,000 of the usual ones, a tenth of a second at full speed.
/// Who falls further behind reads from the log, a group at a time.
const HAND_BYTES: usize = 2 << 20;

/// The newest durable records that aren't settled.
#[derive(Debug, Default)]
pub(crate) struct Hand {
    records: VecDeque<Arc<Record>>,
    bytes: usize,
    /// All that isn't settled behind this sequence is here.
    from: u64,
}

impl Hand {
    /// An empty hand for records behind `newest`.
    pub(crate) fn behind(newest: u64) -> Self {
        Self { from: newest, ..Self::default() }
    }

    /// Takes a record that is durable, and newer than all before.
    pub(crate) fn push(&mut self, record: Arc<Record>) {
        self.bytes += bytes_of(&record);
        self.records.push_back(record);
        while self.bytes > HAND_BYTES {
            let Some(oldest) = self.records.pop_front() else { break };
            self.bytes -= bytes_of(&oldest);
            self.from = oldest.sequence.0;
        }
    }

    /// Lets go of records at the front that nobody waits for any more.
    pub(crate) fn trim(&mut self, settled: &Settled) {
        while self.records.front().is_some_and(|oldest| settled.contains(oldest.sequence.0)) {
            let Some(oldest) = self.records.pop_front() else { break };
            self.bytes -= bytes_of(&oldest);
        }
    }

    /// The records behind `after` that aren't settled, at most `limit` and about `bytes` but one at
    /// least; `None` where there may be some that aren't here.
    pub(crate) fn after(
        &self,
        after: Sequence,
        limit: usize,
        bytes: usize,
        settled: &Settled,
    ) -> Option<Vec<Arc<Record>>> {
        let after = after.0.max(settled.floor());
        if after < self.from {
            return None;
        }
        let mut taken = 0;
        let begin = self.records.partition_point(|record| record.sequence.0 <= after);
        let waiting = self.records.range(begin..).filter(|record| !settled.contains(record.sequence.0));
        let fitting = waiting.take(limit).enumerate().take_while(|(place, record)| {
            taken += bytes_of(record);
            *place == 0 || taken <= bytes
        });
        Some(fitting.map(|(_, record)| Arc::clone(record)).collect())
    }
}

/// What a record counts for, as in a page that is read from the disk.
pub(crate) fn bytes_of(record: &Record) -> usize {
    record.item.raw.len() + OVERHEAD_BYTES
}
