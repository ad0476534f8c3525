//! Marks that wait for the writer: the next group takes along whatever is there.
//!
//! They stand in the order in which they were made, and have nothing to do with the queue of
//! webhooks: delivery that is faster than the disk doesn't keep a webhook out.

use crate::format::entry::Mark;

/// Sequences in one mark: it fills no more than a few blocks, and the state's lock is held for moments.
pub(crate) const SEQUENCES_MAX: usize = 1024;
/// Who makes more marks than so many bytes waits until they're written.
const BYTES_MAX: usize = 256 << 10;
/// With so many sequences waiting the writer is called: a quarter of the receipts that there are.
const CALL_AT: usize = 1024;

/// Marks that the shared state knows and the log doesn't yet.
#[derive(Debug, Default)]
pub(crate) struct Marks {
    waiting: Vec<Mark>,
    bytes: usize,
    sequences: usize,
    /// The writer comes by soon in any case.
    awaited: bool,
    /// The writer was told to come at once.
    called: bool,
}

impl Marks {
    /// Adds a mark behind the others. True if the writer is to be told: where it doesn't come by
    /// itself, where there are many, and for a mark that has no receipt.
    pub(crate) fn push(&mut self, mark: Mark) -> bool {
        self.bytes += bytes_of(&mark);
        let receipt = matches!(&mark, Mark::Settled(_));
        if let Mark::Settled(sequences) = &mark {
            self.sequences += sequences.len();
        }
        self.add(mark);
        let call = !self.called && (!self.awaited || !receipt || self.sequences >= CALL_AT);
        self.called |= call;
        call
    }

    fn add(&mut self, mark: Mark) {
        if let (Mark::Settled(more), Some(Mark::Settled(there))) = (&mark, self.waiting.last_mut())
            && there.len() + more.len() <= SEQUENCES_MAX
        {
            there.extend(more);
            return;
        }
        self.waiting.push(mark);
    }

    /// Whether there are too many.
    pub(crate) const fn is_full(&self) -> bool {
        self.bytes > BYTES_MAX
    }

    /// Whether there are any. If not the writer goes to sleep, and the next one is told.
    pub(crate) const fn rest(&mut self) -> bool {
        self.awaited = !self.waiting.is_empty();
        self.awaited
    }

    /// All of them, in order; the writer comes again soon.
    pub(crate) fn take(&mut self) -> Vec<Mark> {
        self.called = false;
        self.awaited = true;
        self.bytes = 0;
        self.sequences = 0;
        std::mem::take(&mut self.waiting)
    }
}

/// What a mark takes in the log, roughly and rather too much.
fn bytes_of(mark: &Mark) -> usize {
    match mark {
        Mark::Settled(sequences) => 16 + sequences.len() * 10,
        Mark::Dead { reason, .. } => 96 + reason.len(),
        Mark::Retry { .. } | Mark::Dropped { .. } | Mark::Sealed { .. } => 64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_keep_their_order() {
        let mut marks = Marks::default();
        for mark in [Mark::Settled(vec![1]), Mark::Settled(vec![2, 3]), Mark::Retry { sequence: 9 }] {
            marks.push(mark);
        }
        marks.push(Mark::Settled(vec![9]));
        let taken = marks.take();
        assert_eq!(
            taken,
            [Mark::Settled(vec![1, 2, 3]), Mark::Retry { sequence: 9 }, Mark::Settled(vec![9])]
        );
        assert!(marks.take().is_empty());
    }

    #[test]
    fn the_writer_is_told_once_and_only_if_it_does_not_come_by_itself() {
        let settled = |count| Mark::Settled(vec![1; count]);
        let mut marks = Marks::default();
        assert!(marks.push(settled(1)), "it sleeps");
        assert!(!marks.push(settled(1)), "it was told");
        marks.take();
        assert!(!marks.push(settled(CALL_AT - 1)), "it comes by");
        assert!(marks.push(settled(1)), "there are many");
        assert!(!marks.push(Mark::Retry { sequence: 1 }));
        marks.take();
        assert!(marks.push(Mark::Retry { sequence: 1 }), "there is no receipt for it");
        assert!(marks.rest(), "it can't sleep yet");
        marks.take();
        assert!(!marks.rest());
        assert!(marks.push(settled(1)), "it sleeps again");
    }

    #[test]
    fn one_mark_stays_small_and_all_of_them_are_bounded() {
        let mut marks = Marks::default();
        let mut pushed = 0;
        while !marks.is_full() {
            marks.push(Mark::Settled(vec![u64::MAX; 1000]));
            pushed += 1;
        }
        assert!((25..=27).contains(&pushed));
        assert_eq!(marks.take().len(), pushed);
        assert!(!marks.is_full());
    }
}
