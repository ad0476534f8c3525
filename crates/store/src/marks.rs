//! Marks that wait for the writer: the next group takes along whatever is there.
//!
//! They stand in the order in which they were made, and have nothing to do with the queue of
//! webhooks: delivery that is faster than the disk doesn't keep a webhook out.

use crate::format::entry::Mark;

/// Sequences in one mark: a mark with them fills no more than a few blocks.
const SEQUENCES_MAX: usize = 1024;
/// Who makes more marks than so many bytes waits until they're written.
const BYTES_MAX: usize = 256 << 10;

/// Marks that the shared state knows and the log doesn't yet.
#[derive(Debug, Default)]
pub(crate) struct Marks {
    waiting: Vec<Mark>,
    bytes: usize,
    called: bool,
}

impl Marks {
    /// Adds a mark behind the others.
    pub(crate) fn push(&mut self, mark: Mark) {
        self.bytes += bytes_of(&mark);
        if let (Mark::Settled(more), Some(Mark::Settled(there))) = (&mark, self.waiting.last_mut())
            && there.len() + more.len() <= SEQUENCES_MAX
        {
            there.extend(more);
            return;
        }
        self.waiting.push(mark);
    }

    /// Whether the writer is to be told; true once until they're taken.
    pub(crate) const fn call(&mut self) -> bool {
        !std::mem::replace(&mut self.called, true)
    }

    /// Whether there are too many.
    pub(crate) const fn is_full(&self) -> bool {
        self.bytes > BYTES_MAX
    }

    /// All of them, in order.
    pub(crate) fn take(&mut self) -> Vec<Mark> {
        self.called = false;
        self.bytes = 0;
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
    fn marks_keep_their_order_and_the_writer_is_told_once() {
        let mut marks = Marks::default();
        marks.push(Mark::Settled(vec![1]));
        assert!(marks.call());
        marks.push(Mark::Settled(vec![2, 3]));
        assert!(!marks.call());
        marks.push(Mark::Retry { sequence: 9 });
        marks.push(Mark::Settled(vec![9]));
        let taken = marks.take();
        assert_eq!(
            taken,
            [Mark::Settled(vec![1, 2, 3]), Mark::Retry { sequence: 9 }, Mark::Settled(vec![9])]
        );
        assert!(marks.call());
        assert!(marks.take().is_empty());
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
