//! Which records go together.

use model::Sequence;

use super::lane::{Lane, LaneKey};

/// A record that might go with the next batch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate {
    /// The sequence, or that of a record before it in the lane if that is higher (a replay stands
    /// behind what was there when it came), then lane and place: sorting by this keeps every lane
    /// in its own order.
    pub(super) order: (Sequence, LaneKey, usize),
    pub(super) bytes: usize,
    pub(super) together: usize,
    /// Needn't wait for company.
    pub(super) due: bool,
}

/// The records of an idle lane as candidates; what is numbered up to `due` needn't wait.
pub(super) fn candidates<T>(
    key: LaneKey,
    lane: &Lane<T>,
    due: Sequence,
) -> impl Iterator<Item = Candidate> + '_ {
    lane.queue.iter().enumerate().scan(Sequence::START, move |highest, (place, waiting)| {
        *highest = waiting.sequence.max(*highest);
        Some(Candidate {
            order: (*highest, key, place),
            bytes: waiting.bytes,
            together: waiting.together,
            due: waiting.attempts > 0 || waiting.replay || waiting.sequence <= due,
        })
    })
}

/// The lanes of the next batch, one for each record in it, in the order of the records; empty while
/// the records should wait for company.
///
/// The batch is the longest beginning of what waits that stays within `size`, `bytes` and every
/// member's own bound. A record that is larger than `bytes` goes alone.
pub(super) fn choose(mut waiting: Vec<Candidate>, size: usize, bytes: usize) -> Vec<LaneKey> {
    let due = waiting.len() >= size
        || waiting.iter().any(|candidate| candidate.due)
        || waiting.iter().map(|candidate| candidate.bytes).sum::<usize>() >= bytes;
    if !due {
        return Vec::new();
    }
    waiting.sort_unstable_by_key(|candidate| candidate.order);
    let mut room = size;
    let mut total = 0_usize;
    let mut chosen = Vec::new();
    for candidate in waiting {
        room = room.min(candidate.together);
        total = total.saturating_add(candidate.bytes);
        if chosen.len() >= room || (!chosen.is_empty() && total > bytes) {
            break;
        }
        chosen.push(candidate.order.1);
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(sequence: u64, together: usize, due: bool) -> Candidate {
        Candidate {
            order: (Sequence(sequence), LaneKey::of(&sequence.to_string()), 0),
            bytes: 10,
            together,
            due,
        }
    }

    fn sequences(chosen: &[LaneKey]) -> Vec<u64> {
        chosen.iter().map(|key| (1..100).find(|n| LaneKey::of(&n.to_string()) == *key).unwrap()).collect()
    }

    #[test]
    fn leaves_when_full_or_due_and_never_before() {
        let three = |due| vec![candidate(3, 99, false), candidate(1, 99, due), candidate(2, 99, false)];
        assert_eq!(sequences(&choose(three(false), 4, 1_000)), [0_u64; 0]);
        assert_eq!(sequences(&choose(three(false), 3, 1_000)), [1, 2, 3]);
        assert_eq!(sequences(&choose(three(false), 2, 1_000)), [1, 2]);
        assert_eq!(sequences(&choose(three(true), 4, 1_000)), [1, 2, 3]);
        assert_eq!(sequences(&choose(three(false), 4, 30)), [1, 2, 3]);
        assert_eq!(sequences(&choose(three(false), 4, 25)), [1, 2]);
        assert_eq!(sequences(&choose(three(false), 4, 5)), [1], "what is too big goes alone");
    }

    #[test]
    fn no_member_is_in_a_larger_batch_than_it_may_be() {
        let waiting = |first, second| {
            vec![candidate(1, first, true), candidate(2, second, true), candidate(3, 99, true)]
        };
        assert_eq!(sequences(&choose(waiting(1, 99), 9, 1_000)), [1]);
        assert_eq!(sequences(&choose(waiting(99, 1), 9, 1_000)), [1]);
        assert_eq!(sequences(&choose(waiting(99, 2), 9, 1_000)), [1, 2]);
    }
}
